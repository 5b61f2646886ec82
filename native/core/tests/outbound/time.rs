//! How long each step may take.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::Method;
use http_body_util::{BodyExt as _, StreamBody};
use pilotlight_core::outbound::{Outbound, Resolve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use wasmtime_wasi_http::RequestOptions;

use crate::support::*;

#[tokio::test]
async fn a_silent_handshake_ends_with_the_connect_time() {
    let address = listen(LOCAL, 0, hang).await;
    let mut brief = grant(&[&format!("https://{address}")]);
    brief.connect = SHORT;
    let outbound = Outbound::new(brief).unwrap();
    let start = Instant::now();
    assert_eq!(failure(&outbound, &format!("https://{address}/")).await, "ConnectionTimeout");
    assert!(start.elapsed() >= SHORT);
    assert_eq!(outbound.open_connections(), 0);
}

/// Never answers before it is let go.
struct Stuck(Mutex<Option<oneshot::Receiver<()>>>);

impl Resolve for Stuck {
    fn resolve(&self, _host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let release = self.0.lock().unwrap().take();
        async move {
            if let Some(release) = release {
                _ = release.await;
            }
            Ok(vec![])
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_lookup_that_was_given_up_keeps_its_slot_until_the_resolver_answers() {
    let (release, stuck) = oneshot::channel();
    let mut brief = grant(&["*"]);
    brief.connect = SHORT;
    let outbound = resolving(brief, Arc::new(Stuck(Mutex::new(Some(stuck)))));
    assert_eq!(failure(&outbound, "http://svc.test/").await, "DnsTimeout");
    assert_eq!(outbound.open_connections(), 1);
    release.send(()).unwrap();
    until(|| outbound.open_connections() == 0).await;
}

#[tokio::test]
async fn a_silent_server_ends_with_the_first_byte_time() {
    let address = listen(LOCAL, 0, hang).await;
    let outbound = allow_with(address, |grant| grant.first_byte = SHORT);
    let start = Instant::now();
    assert_eq!(failure(&outbound, &at(address, "/")).await, "ConnectionReadTimeout");
    assert!(start.elapsed() >= SHORT);
    until(|| outbound.open_connections() == 0).await;
}

#[tokio::test]
async fn a_head_that_trickles_ends_with_the_first_byte_time() {
    let address = listen(LOCAL, 0, |mut stream| async move {
        for byte in HELLO.bytes().cycle() {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(SHORT / 3).await;
        }
    })
    .await;
    let outbound = allow_with(address, |grant| grant.first_byte = SHORT);
    assert_eq!(failure(&outbound, &at(address, "/")).await, "ConnectionReadTimeout");
}

#[tokio::test]
async fn the_first_byte_time_does_not_run_while_the_request_is_still_going_out() {
    let (address, mut record) = recording(HELLO).await;
    let outbound = allow_with(address, |grant| grant.first_byte = SHORT);
    let (feed, body) = fed();
    let feeding = async move {
        for _ in 0..6 {
            sleep(SHORT / 4).await;
            feed.send(data("x")).await.unwrap();
        }
    };
    let (reply, ()) = tokio::join!(fetch(&outbound, request(Method::POST, &at(address, "/"), body)), feeding);
    assert_eq!(reply.unwrap().body, "hello");
    assert_eq!(record.recv().await.unwrap().matches("1\r\nx\r\n").count(), 6);
}

#[tokio::test]
async fn silence_in_the_body_ends_with_the_between_bytes_time() {
    let address = listen(LOCAL, 0, |mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await.unwrap();
        hang(stream).await;
    })
    .await;
    let outbound = allow_with(address, |grant| grant.between_bytes = SHORT);
    let mut body = head(&outbound, get(&at(address, "/"))).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    assert_eq!(code(body.frame().await.unwrap()), "ConnectionReadTimeout");
    assert!(body.frame().await.is_none());
    until(|| outbound.open_connections() == 0).await;
}

#[tokio::test]
async fn a_guest_that_reads_slowly_is_not_the_servers_silence() {
    let address = replying(HELLO).await;
    let outbound = allow_with(address, |grant| grant.between_bytes = SHORT);
    let body = head(&outbound, get(&at(address, "/"))).await.unwrap().into_body();
    sleep(SHORT * 2).await;
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
}

#[tokio::test]
async fn the_between_bytes_time_begins_anew_with_each_piece() {
    let address = listen(LOCAL, 0, |mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n").await.unwrap();
        for byte in b"sixsix" {
            sleep(SHORT / 3).await;
            stream.write_all(&[*byte]).await.unwrap();
        }
    })
    .await;
    let outbound = allow_with(address, |grant| grant.between_bytes = SHORT);
    assert_eq!(fetch(&outbound, get(&at(address, "/"))).await.unwrap().body, "sixsix");
}

#[tokio::test]
async fn a_server_that_takes_no_bytes_ends_with_the_between_bytes_time() {
    let address = listen(LOCAL, 0, hang).await;
    let outbound = allow_with(address, |grant| grant.between_bytes = SHORT);
    let endless = futures::stream::repeat_with(|| data(vec![0; 1 << 16]));
    let body = StreamBody::new(endless).boxed_unsync();
    let sent = fetch(&outbound, request(Method::POST, &at(address, "/"), body)).await;
    assert_eq!(code(sent), "ConnectionWriteTimeout");
    until(|| outbound.open_connections() == 0).await;
}

#[tokio::test]
async fn a_request_left_unended_after_its_answer_ends_with_the_between_bytes_time() {
    let (done, hung_up) = oneshot::channel();
    let done = Mutex::new(Some(done));
    let address = listen(LOCAL, 0, move |mut stream| {
        let done = done.lock().unwrap().take();
        async move {
            read_head(&mut stream).await;
            stream.write_all(HELLO.as_bytes()).await.unwrap();
            while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
            _ = done.unwrap().send(());
        }
    })
    .await;
    let outbound = allow_with(address, |grant| grant.between_bytes = SHORT);
    let (feed, body) = fed();
    let reply = fetch(&outbound, request(Method::POST, &at(address, "/"), body)).await;
    assert_eq!(reply.unwrap().body, "hello");
    hung_up.await.unwrap();
    until(|| outbound.open_connections() == 0).await;
    drop(feed);
}

#[tokio::test]
async fn a_guest_may_ask_for_less_time_but_not_for_more() {
    let address = listen(LOCAL, 0, hang).await;
    let options = |first_byte| Some(RequestOptions { first_byte_timeout: Some(first_byte), ..RequestOptions::default() });
    let patient = allow_at(address);
    let less = patient.send(get(&at(address, "/")), options(SHORT)).await;
    assert_eq!(code(less), "ConnectionReadTimeout");
    let brief = allow_with(address, |grant| grant.first_byte = SHORT);
    let more = timeout(SHORT * 20, brief.send(get(&at(address, "/")), options(Duration::MAX))).await;
    assert_eq!(code(more.unwrap()), "ConnectionReadTimeout");
}

#[tokio::test]
async fn the_longest_times_do_not_overflow() {
    let address = replying(HELLO).await;
    let outbound = allow_with(address, |grant| {
        (grant.connect, grant.first_byte, grant.between_bytes) = (Duration::MAX, Duration::MAX, Duration::MAX);
    });
    assert_eq!(failure(&outbound, &at(address, "/")).await, "ok");
}

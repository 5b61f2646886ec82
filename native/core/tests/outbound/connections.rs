//! How many connections there may be, and that every ending gives one back.

use std::sync::Mutex;

use http::Method;
use http_body_util::BodyExt as _;
use pilotlight_core::outbound::{Outbound, open_connections};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use wasmtime_wasi_http::Error;

use crate::support::*;

#[tokio::test]
async fn a_connection_counts_until_its_answer_is_read_or_dropped() {
    let address = listen(LOCAL, 0, |mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await.unwrap();
        hang(stream).await;
    })
    .await;
    let outbound = allow_with(address, |grant| grant.connections = 2);
    let one = head(&outbound, get(&at(address, "/"))).await.unwrap();
    let two = head(&outbound, get(&at(address, "/"))).await.unwrap();
    assert_eq!(outbound.open_connections(), 2);
    assert!(open_connections() >= 2);
    assert_eq!(failure(&outbound, &at(address, "/")).await, "ConnectionLimitReached");
    drop(one);
    until(|| outbound.open_connections() == 1).await;
    let three = head(&outbound, get(&at(address, "/"))).await.unwrap();
    drop((two, three));
    until(|| outbound.open_connections() == 0).await;
}

#[tokio::test]
async fn every_ending_gives_the_slot_back() {
    let good = replying(HELLO).await;
    let short = replying("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await;
    let garbage = replying("nonsense\r\n\r\n").await;
    let silent = listen(LOCAL, 0, hang).await;
    let closed = TcpListener::bind((LOCAL, 0)).await.unwrap().local_addr().unwrap();
    let origins = [good, short, garbage, silent, closed].map(|address| format!("http://{address}"));
    let mut origins = origins.to_vec();
    origins.push(format!("https://{good}"));
    let mut one = grant(&[]);
    (one.origins, one.connections) = (origins.clone(), 1);
    let outbound = Outbound::new(one).unwrap();
    for origin in &origins {
        // Twice: to its end, and called off under way.
        let whole = timeout(SHORT, fetch(&outbound, get(origin))).await;
        assert!(!matches!(whole, Ok(Err(Error::ConnectionLimitReached))), "{origin}");
        until(|| outbound.open_connections() == 0).await;
        let mut sending = Box::pin(outbound.clone().send(get(origin), None));
        _ = futures::poll!(&mut sending);
        assert_eq!(outbound.open_connections(), 1);
        drop(sending);
        until(|| outbound.open_connections() == 0).await;
        if let Ok(Ok((response, sending))) = timeout(SHORT, outbound.clone().send(get(origin), None)).await {
            drop(sending);
            drop(response);
        }
        until(|| outbound.open_connections() == 0).await;
    }
}

#[tokio::test]
async fn dropping_the_body_hangs_up_although_the_sending_is_still_held() {
    let (done, hung_up) = oneshot::channel();
    let done = Mutex::new(Some(done));
    let address = listen(LOCAL, 0, move |mut stream| {
        let done = done.lock().unwrap().take();
        async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await.unwrap();
            while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
            _ = done.unwrap().send(());
        }
    })
    .await;
    let outbound = allow_at(address);
    let (feed, body) = fed();
    let (response, sending) = outbound.clone().send(request(Method::POST, &at(address, "/"), body), None).await.unwrap();
    let sending = tokio::spawn(Box::into_pin(sending));
    drop(response);
    hung_up.await.unwrap();
    sending.await.unwrap().unwrap();
    assert_eq!(outbound.open_connections(), 0);
    drop(feed);
}

#[tokio::test]
async fn a_request_body_may_outlast_its_answer() {
    let (done, received) = oneshot::channel();
    let done = Mutex::new(Some(done));
    let address = listen(LOCAL, 0, move |mut stream| {
        let done = done.lock().unwrap().take();
        async move {
            let mut all = read_head(&mut stream).await;
            stream.write_all(HELLO.as_bytes()).await.unwrap();
            while !all.ends_with("0\r\n\r\n") {
                all += &read_some(&mut stream).await;
            }
            _ = done.unwrap().send(all);
        }
    })
    .await;
    let outbound = allow_at(address);
    let (feed, body) = fed();
    let mut reply = head(&outbound, request(Method::POST, &at(address, "/"), body)).await.unwrap().into_body();
    // All of it, without asking whether there is more.
    assert_eq!(reply.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    drop(reply);
    sleep(SHORT / 10).await;
    feed.send(data("late")).await.unwrap();
    drop(feed);
    assert!(received.await.unwrap().contains("4\r\nlate\r\n"));
    until(|| outbound.open_connections() == 0).await;
}

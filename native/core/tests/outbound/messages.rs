//! What goes over the wire in both directions.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::io::TokioIo;

use crate::support::*;

#[tokio::test]
async fn a_request_is_one_of_its_own_connection() {
    let (address, mut record) = recording(HELLO).await;
    let mut request = get(&at(address, "/a%20b?c=d"));
    let headers = request.headers_mut();
    for (name, value) in [
        ("host", "elsewhere.example"),
        ("connection", "x-hop, keep-alive"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic eA=="),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip, trailers"),
        ("upgrade", "websocket"),
        ("x-end", "2"),
        ("authorization", "Bearer y"),
    ] {
        headers.append(name, value.parse().unwrap());
    }
    fetch(&allow_at(address), request).await.unwrap();
    let seen = record.recv().await.unwrap();
    let mut lines: Vec<&str> = seen.trim_end().split("\r\n").collect();
    lines[1..].sort_unstable();
    let host = format!("host: {address}");
    assert_eq!(lines, ["GET /a%20b?c=d HTTP/1.1", "authorization: Bearer y", "connection: close, te", &host, "te: trailers", "x-end: 2",]);
}

#[tokio::test]
async fn the_host_field_names_the_origin_without_its_default_port() {
    let (address, mut record) = recording(HELLO).await;
    let port = address.port();
    let name = format!("http://SVC.test.:{port}");
    let outbound = resolving(grant(&[&name, &format!("http://{address}")]), Names::new([&[LOCAL]]));
    fetch(&outbound, get(&format!("{name}?x"))).await.unwrap();
    let seen = record.recv().await.unwrap();
    assert!(seen.starts_with("GET /?x HTTP/1.1\r\n"), "{seen}");
    fetch(&outbound, get(&format!("{name}//svc.example/y"))).await.unwrap();
    assert!(record.recv().await.unwrap().starts_with("GET //svc.example/y HTTP/1.1\r\n"));
    assert!(seen.contains(&format!("host: svc.test:{port}\r\n")), "{seen}");
}

#[tokio::test]
async fn the_framing_says_what_the_body_is() {
    let (address, mut record) = recording(HELLO).await;
    let outbound = allow_at(address);
    let uri = at(address, "/");
    let said = |seen: &str| -> Vec<String> {
        let framing = |line: &&str| line.starts_with("content-length") || line.starts_with("transfer-encoding");
        seen.split("\r\n").filter(framing).map(ToOwned::to_owned).collect()
    };
    let mut send = async |request| {
        fetch(&outbound, request).await.unwrap();
        record.recv().await.unwrap()
    };
    let ended = || {
        let (feed, body) = fed();
        drop(feed);
        body
    };
    let one_piece = || StreamBody::new(futures::stream::iter([data(""), data("body")])).boxed_unsync();
    let blank = || StreamBody::new(futures::stream::iter([data("")])).boxed_unsync();
    let nothing: [&str; 0] = [];
    assert_eq!(said(&send(get(&uri)).await), nothing);
    assert_eq!(said(&send(request(Method::GET, &uri, ended())).await), nothing);
    assert_eq!(said(&send(request(Method::DELETE, &uri, ended())).await), nothing);
    assert_eq!(said(&send(request(Method::POST, &uri, empty())).await), ["content-length: 0"]);
    assert_eq!(said(&send(request(Method::PUT, &uri, ended())).await), ["content-length: 0"]);
    assert_eq!(said(&send(request(Method::PATCH, &uri, blank())).await), ["content-length: 0"]);
    assert_eq!(said(&send(request(Method::POST, &uri, full("body"))).await), ["content-length: 4"]);
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let seen = send(request(method, &uri, one_piece())).await;
        assert_eq!(said(&seen), ["transfer-encoding: chunked"]);
        assert!(seen.ends_with("\r\n\r\n4\r\nbody\r\n0\r\n\r\n"), "{seen}");
    }
    // Not ended while the request waits: a GET goes without a body.
    let (feed, body) = fed();
    assert_eq!(said(&send(request(Method::GET, &uri, body)).await), nothing);
    drop(feed);
}

#[tokio::test]
async fn a_body_that_belies_its_length_fails_the_request() {
    let address = listen(LOCAL, 0, hang).await;
    let outbound = allow_at(address);
    for body in [empty(), StreamBody::new(futures::stream::iter([data("123")])).boxed_unsync()] {
        let mut short = request(Method::POST, &at(address, "/"), body);
        short.headers_mut().insert(CONTENT_LENGTH, "5".parse().unwrap());
        let failed = code(fetch(&outbound, short).await);
        assert!(failed.starts_with("HttpRequestBodySize"), "{failed}");
    }
}

#[tokio::test]
async fn the_guests_own_failure_comes_back_to_it() {
    let address = listen(LOCAL, 0, hang).await;
    let outbound = allow_at(address);
    for (method, pieces) in [(Method::GET, 0), (Method::POST, 0), (Method::POST, 1), (Method::POST, 3)] {
        let fine = (0..pieces).map(|_| data("x"));
        let failed = std::iter::once_with(|| Err(Error::HttpRequestBodySize(Some(7))));
        let body = StreamBody::new(futures::stream::iter(fine.chain(failed))).boxed_unsync();
        let sent = fetch(&outbound, request(method, &at(address, "/"), body)).await;
        assert_eq!(code(sent), "HttpRequestBodySize(Some(7))", "after {pieces} pieces");
    }
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let address = replying("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
    let reply = fetch(&allow_at(address), request(Method::HEAD, &at(address, "/"), empty())).await.unwrap();
    assert_eq!((&reply.headers[CONTENT_LENGTH], reply.body.len()), (&"5".parse().unwrap(), 0));
    for reply in ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"] {
        let address = replying(reply).await;
        let reply = fetch(&allow_at(address), get(&at(address, "/"))).await.unwrap();
        assert_eq!(reply.body.len(), 0);
    }
}

#[tokio::test]
async fn answers_come_as_the_server_gave_them_without_hop_by_hop_fields() {
    let address = replying(
        "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 302 Over There\r\nlocation: http://127.0.0.1:1/\r\n\
         connection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nproxy-authenticate: Basic\r\nset-cookie: a\r\n\
         set-cookie: b\r\n\r\nuntil the end",
    )
    .await;
    let reply = fetch(&allow_at(address), get(&at(address, "/"))).await.unwrap();
    assert_eq!((reply.status, reply.body), (StatusCode::FOUND, Bytes::from("until the end")));
    let names: Vec<_> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["location", "set-cookie", "set-cookie"]);
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let (address, mut record) = recording(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
         5\r\nhello\r\n0\r\nx-sum: 42\r\nconnection: close\r\n\r\n",
    )
    .await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-digest", "abc".parse().unwrap());
    let body = StreamBody::new(futures::stream::iter([data("body"), Ok(Frame::trailers(trailers))]));
    let mut post = request(Method::POST, &at(address, "/"), body.boxed_unsync());
    post.headers_mut().insert(TRAILER, "x-digest".parse().unwrap());
    let reply = fetch(&allow_at(address), post).await.unwrap();
    let seen = record.recv().await.unwrap();
    assert!(seen.ends_with("4\r\nbody\r\n0\r\nx-digest: abc\r\n\r\n"), "{seen}");
    assert!(!reply.headers.contains_key(TRANSFER_ENCODING) && !reply.headers.contains_key(CONNECTION));
    let trailers = reply.trailers.unwrap();
    assert_eq!((trailers.len(), &trailers["x-sum"]), (1, &"42".parse().unwrap()));
}

/// hyper's server, sending back what it gets, as it gets it.
async fn echo() -> SocketAddr {
    async fn back(request: Request<Incoming>) -> Result<Response<Incoming>, Infallible> {
        assert_eq!(request.headers()[TE], "trailers");
        assert!(request.headers().contains_key(HOST));
        Ok(Response::new(request.into_body()))
    }
    listen(LOCAL, 0, |stream| async {
        let server = hyper::server::conn::http1::Builder::new();
        _ = server.serve_connection(TokioIo::new(stream), service_fn(back)).await;
    })
    .await
}

#[tokio::test]
async fn eight_mebibytes_stream_out_and_back_at_once() {
    let address = echo().await;
    let pieces: Vec<Bytes> = (0..128_u8).map(|piece| vec![piece; 1 << 16].into()).collect();
    let expected = pieces.concat();
    let (feed, body) = fed();
    let mut post = request(Method::POST, &at(address, "/"), body);
    post.headers_mut().insert(TE, "trailers".parse().unwrap());
    let feeding = tokio::spawn(async move {
        for piece in pieces {
            feed.send(data(piece)).await.unwrap();
        }
    });
    let outbound = allow_at(address);
    let reply = fetch(&outbound, post).await.unwrap();
    feeding.await.unwrap();
    assert_eq!(reply.body.len(), 8 << 20);
    assert!(reply.body == expected);
    until(|| outbound.open_connections() == 0).await;
}

#[tokio::test]
async fn a_guest_that_does_not_read_stops_the_server() {
    let written = Arc::new(AtomicUsize::new(0));
    let counted = written.clone();
    let address = listen(LOCAL, 0, move |mut stream| {
        let counted = counted.clone();
        async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            while let Ok(sent) = stream.write(&[0; 1 << 16]).await {
                counted.fetch_add(sent, Ordering::Relaxed);
            }
        }
    })
    .await;
    let outbound = allow_at(address);
    let response = head(&outbound, get(&at(address, "/"))).await.unwrap();
    // What the two kernels' buffers hold, and no more.
    let mut before = usize::MAX;
    while before != written.load(Ordering::Relaxed) {
        before = written.load(Ordering::Relaxed);
        sleep(SHORT).await;
    }
    assert!(before < 32 << 20, "{before} bytes");
    let mut body = response.into_body();
    let mut taken = 0;
    while taken < before + (1 << 20) {
        taken += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    drop(body);
    until(|| outbound.open_connections() == 0).await;
}

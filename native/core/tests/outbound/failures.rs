//! That each failure is called by its name.

use http::Method;
use tokio::net::TcpListener;

use crate::support::*;

#[tokio::test]
async fn failures_are_named() {
    let closed = TcpListener::bind((LOCAL, 0)).await.unwrap().local_addr().unwrap();
    assert_eq!(failure(&allow_at(closed), &at(closed, "/")).await, "ConnectionRefused");
    let too_many: &'static str = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101)).leak();
    let too_large: &'static str = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 17)).leak();
    for (reply, expected) in [
        ("", "HttpResponseIncomplete"),
        ("HTTP/1.1 200 OK\r\ncontent-le", "HttpResponseIncomplete"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", "HttpResponseIncomplete"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "HttpResponseIncomplete"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "HttpProtocolError"),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "HttpProtocolError"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "HttpProtocolError"),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "HttpUpgradeFailed"),
        (too_many, "HttpResponseHeaderSectionSize(None)"),
        (too_large, "HttpResponseHeaderSectionSize(None)"),
    ] {
        let address = replying(reply).await;
        let outbound = allow_at(address);
        assert_eq!(failure(&outbound, &at(address, "/")).await, expected, "{reply:.40}");
        until(|| outbound.open_connections() == 0).await;
    }
}

#[tokio::test]
async fn requests_that_http_cannot_carry_are_refused() {
    let outbound = allow(&["*"]);
    let sent = outbound.clone().send(request(Method::CONNECT, "http://svc.test/", empty()), None).await;
    assert_eq!(code(sent), "HttpRequestMethodInvalid");
    for (uri, expected) in [("/", "HttpRequestUriInvalid"), ("ftp://svc.test/", "HttpProtocolError")] {
        assert_eq!(failure(&outbound, uri).await, expected, "{uri}");
    }
}

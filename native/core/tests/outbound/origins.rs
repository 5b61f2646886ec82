//! Where a request may go by name.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use pilotlight_core::outbound::{GrantError, Hooks, Outbound};
use wasmtime_wasi_http::WasiHttpHooks;

use crate::support::*;

#[tokio::test]
async fn a_listed_origin_answers() {
    let address = replying(HELLO).await;
    let reply = fetch(&allow_at(address), get(&at(address, "/"))).await.unwrap();
    assert_eq!((reply.status, reply.body), (StatusCode::OK, Bytes::from("hello")));
}

#[tokio::test]
async fn both_versions_of_wasi_http_send_through_the_hooks() {
    let address = replying(HELLO).await;
    let mut hooks = Hooks::new(allow_at(address), Arc::default());
    let hooks: &mut dyn WasiHttpHooks = &mut hooks;
    assert!(!hooks.set_host_header());
    for version in ["0.2", "0.3"] {
        let answer = hooks.send_request(get(&at(address, "/")), None, Box::new(async { Ok(()) }));
        let (response, sending) = Box::into_pin(answer).await.unwrap();
        let mut sending = Box::into_pin(sending);
        // For 0.3, wasmtime looks once, without a waker, whether there is anything left to drive.
        let done = version == "0.3" && sending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let sending = (!done).then(|| tokio::spawn(sending));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
        if let Some(sending) = sending {
            sending.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn nothing_is_reachable_unless_listed() {
    let address = replying(HELLO).await;
    let other = replying(HELLO).await;
    assert_eq!(failure(&allow(&[]), &at(address, "/")).await, "HttpRequestDenied");
    assert_eq!(failure(&allow_at(other), &at(address, "/")).await, "HttpRequestDenied");
    let https = format!("https://{address}");
    assert_eq!(failure(&allow(&[&https]), &at(address, "/")).await, "HttpRequestDenied");
    assert_eq!(failure(&allow_at(address), &https).await, "HttpRequestDenied");
}

#[tokio::test]
async fn spellings_of_one_origin_are_one_origin() {
    let listed = [
        ("http://svc.test", "http://SVC.Test:80/"),
        ("HTTP://SVC.TEST:80/", "http://svc.test./"),
        ("https://svc.test.", "https://svc.test:443/"),
        ("https://xn--bcher-kva.test:444", "https://XN--BCHER-KVA.test:444/"),
    ];
    // Past the origin list, a resolver with no answer ends each of them.
    let nowhere = Names::new([]);
    for (listed, asked) in listed {
        let outbound = resolving(grant(&[listed]), nowhere.clone());
        assert!(failure(&outbound, asked).await.starts_with("DnsError"), "{listed} does not cover {asked}");
    }
    let port = replying(HELLO).await.port();
    let mapped = allow(&[&format!("http://[::ffff:7f00:1]:{port}")]);
    assert_eq!(failure(&mapped, &format!("http://[0:0:0:0:0:FFFF:127.0.0.1]:{port}/")).await, "ok");

    let apart = [
        ("http://svc.test", "http://svc.test:8080/"),
        ("http://svc.test", "https://svc.test/"),
        ("http://svc.test", "http://sub.svc.test/"),
        ("http://svc.test", "http://svc.test.example/"),
        ("http://[::1]:9", "http://127.0.0.1:9/"),
        ("http://127.0.0.1:9", "http://[::ffff:127.0.0.1]:9/"),
    ];
    for (listed, asked) in apart {
        let outbound = resolving(grant(&[listed]), nowhere.clone());
        assert_eq!(failure(&outbound, asked).await, "HttpRequestDenied", "{listed} covers {asked}");
    }
}

#[tokio::test]
async fn authorities_that_readers_could_take_differently_are_refused() {
    let mut everything = grant(&["*"]);
    everything.any_address = true;
    let outbound = resolving(everything, Names::new([]));
    for authority in [
        "svc.test@127.0.0.1",
        "user:pass@svc.test",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.5",
        "svc..test",
        "[fe80::1%25eth0]",
        "[127.0.0.1]",
        "svc.test:0",
        "svc.test:",
    ] {
        let Ok(uri) = format!("http://{authority}/").parse::<http::Uri>() else { continue };
        let failed = failure(&outbound, &uri.to_string()).await;
        assert_eq!(failed, "HttpRequestUriInvalid", "{authority}");
    }
}

#[test]
fn a_wrong_origin_is_named_with_what_would_be_right() {
    let said = |origin: &str| Outbound::new(grant(&[origin])).err().map(|error: GrantError| error.to_string());
    let expect = |origin: &str, text: &str| {
        assert_eq!(said(origin), Some(format!("outbound origin {origin:?} {text}")));
    };
    expect("api.example.com", "has no scheme; write \"https://api.example.com\"");
    expect("example .com", "has no scheme; write it like \"https://api.example.com\"");
    expect("", "has no scheme; write it like \"https://api.example.com\"");
    expect("ftp://example.com", "has the scheme \"ftp\"; use http or https");
    expect(
        "https://API.example.com:443/v1?x",
        "goes on after the host; an origin is scheme, host and port: write \"https://api.example.com\"",
    );
    expect("https://me@example.com", "holds a user name; leave out everything up to the @");
    expect("https://example.com:0", "has a wrong port; a port is a number from 1 to 65535");
    expect("https://example.com:65536", "has a wrong port; a port is a number from 1 to 65535");
    expect("https://example.com:+1", "has a wrong port; a port is a number from 1 to 65535");
    expect("https://*.example.com", "has a wildcard in its host; list each host, or \"*\" alone for every public address");
    expect("https://bücher.example", "has a host that is not ASCII; write it in punycode (xn--…)");
    expect("http://127.1", "ends like an address but is none; write an IPv4 address as four decimal numbers, like 127.0.0.1");
    let host = "has a host that is neither a name nor an address; \
        write a host name, an IPv4 address, or an IPv6 address in brackets without a zone";
    for origin in ["http://", "http://a..b", "http://[::1", "http://[fe80::1%eth0]", "http://a b", "http://[::1]x"] {
        expect(origin, host);
    }
    expect("http://localhost:9000", "is a name for loopback, which must be listed by address; add or write \"http://127.0.0.1:9000\"");
    expect("https://app.localhost", "is a name for loopback, which must be listed by address; add or write \"https://127.0.0.1\"");
    for origin in ["*", "http://127.0.0.1:9000", "http://[::1]:9000/", "https://under_score.internal", "https://10.0.0.1"] {
        assert_eq!(said(origin), None, "{origin}");
    }
}

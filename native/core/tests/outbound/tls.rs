//! TLS, with an authority of our own.

use std::net::SocketAddr;
use std::sync::Arc;

use pilotlight_core::outbound::{Outbound, Wiring, tls_config};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::*;

/// A self-made authority and a certificate of it for `svc.test` and 127.0.0.1. They certify nothing outside this file.
const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----
MIIBZjCCAQugAwIBAgIBATAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA5PdXRib3Vu
ZCB0ZXN0czAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowGTEXMBUG
A1UEAwwOT3V0Ym91bmQgdGVzdHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASG
PVk9Zt251dw3ri1Sxl2wx4mzK6VMz6xKnvSDOI776r1myyDeq6OqHHibLX1Ion2T
PdViMvHUlZTq2oIsPz9Mo0IwQDAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQE
AwICBDAdBgNVHQ4EFgQUu9ykLPeLsIVnnLh4VitVIC5SenswCgYIKoZIzj0EAwID
SQAwRgIhAJzOz5ju7y86nGGrjwMBt4l8A61agF63RsUk8yQgjnPgAiEAxYDjlupE
Aq+ZsnhrpruwgW4OT1f3hqa4QJ36acOXs8M=
-----END CERTIFICATE-----";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBmjCCAUCgAwIBAgIBAjAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA5PdXRib3Vu
ZCB0ZXN0czAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowEzERMA8G
A1UEAwwIc3ZjLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS66t/5Cafq
WzHvyz5HPszpTD+uQbqc2FWMYsxbAuCp7K9Wp9hx5i0MAXWdflK5MMD+0nQNGw1P
w5lLdPv3B5cjo30wezAZBgNVHREEEjAQgghzdmMudGVzdIcEfwAAATATBgNVHSUE
DDAKBggrBgEFBQcDATAJBgNVHRMEAjAAMB0GA1UdDgQWBBTUBBvRSVO5Np4wWA1Z
qnb+IyqfnzAfBgNVHSMEGDAWgBS73KQs94uwhWecuHhWK1UgLlJ6ezAKBggqhkjO
PQQDAgNIADBFAiBT8c6AbCgxombhWO2COhoaULejz2fjvbQ6DApOLmW7agIhALJH
MnlzQi+ncQIA1p5WqZUpg5m926ZMfrNSZbKuefn5
-----END CERTIFICATE-----";
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgnMssq3+hgFhQIiN0
x3A5ophhdupeROQvSbLanFYSNwChRANCAAS66t/5CafqWzHvyz5HPszpTD+uQbqc
2FWMYsxbAuCp7K9Wp9hx5i0MAXWdflK5MMD+0nQNGw1Pw5lLdPv3B5cj
-----END PRIVATE KEY-----";

fn server_tls() -> tokio_rustls::TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config).into()
}

/// Echoes over TLS, hanging up without a goodbye if `rude`.
async fn tls_server(reply: &'static str, rude: bool) -> SocketAddr {
    let tls = server_tls();
    listen(LOCAL, 0, move |stream| {
        let tls = tls.clone();
        async move {
            let Ok(mut stream) = tls.accept(stream).await else { return };
            let mut buffer = [0; 4096];
            _ = stream.read(&mut buffer).await;
            _ = stream.write_all(reply.as_bytes()).await;
            _ = stream.flush().await;
            if !rude {
                _ = stream.shutdown().await;
            }
        }
    })
    .await
}

fn trusting_ourselves(origins: &[&str]) -> Arc<Outbound> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY.as_bytes()).unwrap()).unwrap();
    let wiring = Wiring { resolver: Names::new([&[LOCAL]]), tls: Arc::new(tls_config(roots)) };
    Outbound::wired(grant(origins), wiring).unwrap()
}

#[tokio::test]
async fn tls_is_spoken_to_names_and_addresses_that_the_certificate_covers() {
    let address = tls_server(HELLO, false).await;
    let literal = format!("https://{address}");
    let covered = format!("https://svc.test.:{}", address.port());
    let other = format!("https://other.test:{}", address.port());
    let outbound = trusting_ourselves(&[&literal, &covered, &other]);
    assert_eq!(failure(&outbound, &literal).await, "ok");
    assert_eq!(failure(&outbound, &covered).await, "ok");
    assert_eq!(failure(&outbound, &other).await, "TlsCertificateError");
    until(|| outbound.open_connections() == 0).await;
}

#[tokio::test]
async fn strangers_are_not_trusted() {
    let address = tls_server(HELLO, false).await;
    let literal = format!("https://{address}");
    assert_eq!(failure(&allow(&[&literal]), &literal).await, "TlsCertificateError");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_named_so() {
    let address = listen(LOCAL, 0, |mut stream| async move {
        _ = stream.read(&mut [0; 64]).await;
        _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        hang(stream).await;
    })
    .await;
    let literal = format!("https://{address}");
    assert_eq!(failure(&allow(&[&literal]), &literal).await, "TlsProtocolError");
    let gone = listen(LOCAL, 0, |mut stream| async move {
        _ = stream.read(&mut [0; 4096]).await;
    })
    .await;
    let literal = format!("https://{gone}");
    assert_eq!(failure(&allow(&[&literal]), &literal).await, "ConnectionTerminated");
}

#[tokio::test]
async fn a_body_cut_off_under_tls_is_not_taken_for_whole() {
    let until_the_end = "HTTP/1.1 200 OK\r\n\r\npart of a";
    for (rude, expected) in [(false, "ok"), (true, "HttpResponseIncomplete")] {
        let address = tls_server(until_the_end, rude).await;
        let literal = format!("https://{address}");
        assert_eq!(failure(&trusting_ourselves(&[&literal]), &literal).await, expected);
    }
}

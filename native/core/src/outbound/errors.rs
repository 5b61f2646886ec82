//! Every failure as the `wasi:http` error that names it. hyper's, the system's and rustls's errors end here, so guests of
//! both versions read the same codes and nothing of ours shows through.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};

use wasmtime_wasi_http::Error;

use super::upload::Fault;
use super::wire::WriteStalled;

/// A failed lookup. The system does not say which answer the name server gave.
pub(super) fn from_lookup(error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::TimedOut => Error::DnsTimeout,
        _ => no_address(),
    }
}

pub(super) fn no_address() -> Error {
    Error::DnsError { rcode: Some("address not available".to_owned()), info_code: None }
}

/// A connection that could not be made.
pub(super) fn from_connect(error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        ErrorKind::TimedOut => Error::ConnectionTimeout,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Error::ConnectionTerminated,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => Error::DestinationIpUnroutable,
        _ => Error::DestinationUnavailable,
    }
}

/// A connection that failed after it was made, the TLS handshake included.
pub(super) fn from_stream(error: &io::Error) -> Error {
    if let Some(inner) = error.get_ref() {
        if inner.is::<WriteStalled>() {
            return Error::ConnectionWriteTimeout;
        }
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return from_tls(tls);
        }
    }
    match error.kind() {
        ErrorKind::UnexpectedEof => Error::HttpResponseIncomplete,
        ErrorKind::TimedOut => Error::ConnectionTimeout,
        ErrorKind::InvalidData | ErrorKind::InvalidInput => Error::HttpProtocolError,
        _ => Error::ConnectionTerminated,
    }
}

pub(super) fn from_handshake(error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => Error::ConnectionTerminated,
        _ => from_stream(error),
    }
}

fn from_tls(error: &rustls::Error) -> Error {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(_) | Tls::NoCertificatesPresented | Tls::UnsupportedNameType => Error::TlsCertificateError,
        Tls::AlertReceived(alert) => {
            Error::TlsAlertReceived { alert_id: Some(u8::from(*alert)), alert_message: Some(format!("{alert:?}")) }
        }
        _ => Error::TlsProtocolError,
    }
}

/// What hyper reports, the guest's own failure to produce its body first.
pub(super) fn from_hyper(error: &hyper::Error, fault: &Fault) -> Error {
    if let Some(fault) = fault.take() {
        return fault;
    }
    if let Some(error) = cause::<io::Error>(error) {
        return from_stream(error);
    }
    match error {
        _ if error.is_incomplete_message() => Error::HttpResponseIncomplete,
        // Less was written than the request's `content-length` promised.
        _ if error.is_body_write_aborted() => Error::HttpRequestBodySize(None),
        _ if error.is_parse_too_large() => Error::HttpResponseHeaderSectionSize(None),
        _ if error.is_parse() => Error::HttpProtocolError,
        _ if error.is_timeout() => Error::HttpResponseTimeout,
        _ => Error::ConnectionTerminated,
    }
}

fn cause<T: StdError + 'static>(error: &dyn StdError) -> Option<&T> {
    std::iter::successors(error.source(), |error| (*error).source()).find_map(|error| error.downcast_ref())
}

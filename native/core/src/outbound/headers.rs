//! Header fields that belong to one connection, and those that the sender of a request must get right.

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use wasmtime_wasi_http::Error;

use super::origin::Origin;
use super::upload::Length;

/// Fields of a single connection (RFC 9110, 7.6.1), besides those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    tokens(headers, header::CONNECTION).filter_map(|token| token.parse().ok()).collect()
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// Makes a guest's fields those of one request on one connection of our own.
pub(super) fn prepare(headers: &mut HeaderMap, origin: &Origin) -> Result<(), Error> {
    let wants_trailers = tokens(headers, header::TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    strip_hop_by_hop(headers);
    let host = HeaderValue::try_from(origin.authority()).map_err(|_| Error::HttpRequestUriInvalid)?;
    headers.insert(header::HOST, host);
    let connection = if wants_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        "close, te"
    } else {
        "close"
    };
    headers.insert(header::CONNECTION, HeaderValue::from_static(connection));
    Ok(())
}

/// Frames the body where hyper would guess: it sends no `content-length: 0` for methods that want one, and drops the body
/// of a GET whose length it does not know.
pub(super) fn frame(headers: &mut HeaderMap, method: &Method, length: Length) -> Result<(), Error> {
    let said = headers.get(header::CONTENT_LENGTH);
    let says_zero = said.and_then(|said| said.to_str().ok()?.parse().ok()) == Some(0_u64);
    match length {
        Length::Zero if said.is_some() && !says_zero => return Err(Error::HttpRequestBodySize(Some(0))),
        Length::Zero if said.is_none() && expects_body(method) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Length::NotZero if said.is_none() => {
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        _ => {}
    }
    Ok(())
}

fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// Methods for which an unknown length usually means no body at all.
pub(super) fn is_bodiless(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

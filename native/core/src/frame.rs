//! What a run is asked to do, and how long it may take.

use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::events::HeaderBlock;
pub use crate::sessions::Keep;

#[derive(Debug)]
pub enum Frame {
    Http(HttpFrame),
    /// One call of an exported function with JSON arguments.
    Call {
        interface: String,
        function: String,
        arguments: String,
    },
    /// The parked call of another guest, on the export that serves it.
    Linked(LinkedFrame),
    /// `wasi:cli/run`, with these arguments in place of the program's own, if there are any.
    Command {
        arguments: Vec<String>,
    },
    /// The life of a sidecar ([`crate::sidecars`]), with what its `start` is given.
    Sidecar {
        config: Vec<(String, String)>,
    },
}

#[derive(Debug)]
pub struct LinkedFrame {
    pub call: u64,
    pub interface: String,
    pub function: String,
    /// The instance stays with the caller's run, for calls like this one.
    pub keep: Option<Keep>,
}

#[derive(Debug)]
pub struct HttpFrame {
    pub method: String,
    pub scheme: String,
    pub authority: String,
    /// Path and query as on the wire.
    pub target: String,
    /// Joined with LF, see [`HeaderBlock`].
    pub headers: HeaderBlock,
    pub body: Option<Bytes>,
    /// More of the body will follow in chunks.
    pub more: bool,
}

/// From the command's arrival.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Until the answer begins.
    pub head: Duration,
    /// The longest silence of either body after that.
    pub idle: Duration,
    /// Everything, work after the answer included.
    pub total: Duration,
}

/// What is wrong with a frame: our owner's client sent what the guest's types cannot carry.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("the method {0:?} is not an HTTP method")]
    Method(String),
    #[error("the authority {0:?} is not a host with an optional port")]
    Authority(String),
    #[error("the target {0:?} is not a valid path and query")]
    Target(String),
    #[error("the header {0:?} is not valid")]
    Header(String),
}

impl HttpFrame {
    /// The request's head in the types of the `http` crate, the authority in its URI.
    pub fn head(&self) -> Result<http::request::Builder, FrameError> {
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| FrameError::Method(self.method.clone()))?;
        let authority = if self.authority.is_empty() { "localhost" } else { &self.authority };
        let authority = Authority::try_from(authority).map_err(|_| FrameError::Authority(self.authority.clone()))?;
        let uri = Uri::builder()
            .scheme(self.scheme.as_str())
            .authority(authority)
            .path_and_query(self.target.as_str())
            .build()
            .map_err(|_| FrameError::Target(self.target.clone()))?;
        let mut builder = http::Request::builder().method(method).uri(uri);
        if let Some(headers) = builder.headers_mut() {
            *headers = headers_from(&self.headers)?;
        }
        Ok(builder)
    }
}

/// Parses a header block. An empty block is an empty map.
pub fn headers_from(block: &[u8]) -> Result<HeaderMap, FrameError> {
    let mut map = HeaderMap::new();
    if block.is_empty() {
        return Ok(map);
    }
    let wrong = |name: &[u8]| FrameError::Header(String::from_utf8_lossy(name).into_owned());
    let mut parts = block.split(|&byte| byte == b'\n');
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let key = HeaderName::from_bytes(name).map_err(|_| wrong(name))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| wrong(name))?;
        map.append(key, value);
    }
    Ok(map)
}

/// Joins a header map into a block; the order of first appearance, values of one name together.
pub fn headers_into(map: &HeaderMap) -> HeaderBlock {
    let mut block = Vec::with_capacity(map.len() * 48);
    for (name, value) in map {
        if !block.is_empty() {
            block.push(b'\n');
        }
        block.extend_from_slice(name.as_str().as_bytes());
        block.push(b'\n');
        block.extend_from_slice(value.as_bytes());
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_blocks_keep_bytes_and_duplicates() {
        let block = b"x-a\n\xe9\xff\nset-cookie\na=1\nset-cookie\nb=2\nempty\n".to_vec();
        let map = headers_from(&block).unwrap();
        assert_eq!(map.get("x-a").unwrap().as_bytes(), b"\xe9\xff");
        assert_eq!(map.get_all("set-cookie").iter().count(), 2);
        assert_eq!(map.get("empty").unwrap(), "");
        assert_eq!(headers_into(&map), block);
    }

    #[test]
    fn a_wrong_header_is_named() {
        assert_eq!(headers_from(b"bad name\nx").unwrap_err().to_string(), "the header \"bad name\" is not valid");
    }
}

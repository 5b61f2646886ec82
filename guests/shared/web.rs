//! Answers over wasi:http 0.2 for guests in Rust, in blocking calls. A client that goes away is an ordinary end, never a trap.

use crate::wasi::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
use crate::wasi::io::streams::OutputStream;

/// A path with its query, the names and values of which are decoded.
pub struct Target {
    pub text: String,
    /// The last segment, so that a guest may be behind any route.
    pub path: String,
    pub query: Vec<(String, String)>,
}

impl Target {
    pub fn of(request: &IncomingRequest) -> Self {
        let text = request.path_with_query().unwrap_or_else(|| "/".to_owned());
        let (path, query) = text.split_once('?').unwrap_or((&text, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, value)| (decoded(name), decoded(value)));
        Self { path: path[path.rfind('/').unwrap_or(0)..].to_owned(), query: query.collect(), text }
    }

    pub fn find(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or("")
    }

    pub fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.find(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    }

    /// The parts of a value between its commas.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.get(name).split(',').filter(|part| !part.is_empty())
    }
}

fn decoded(text: &str) -> String {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| (*byte as char).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An answer whose head is out.
pub struct Answer {
    body: OutgoingBody,
    stream: OutputStream,
}

impl Answer {
    pub fn head(out: ResponseOutparam, status: u16, headers: &[(String, String)]) -> Self {
        let fields = Fields::new();
        for (name, value) in headers {
            if fields.append(name, value.as_bytes()).is_err() {
                unreachable!();
            }
        }
        let response = OutgoingResponse::new(fields);
        let known = response.set_status_code(status);
        let body = response.body();
        ResponseOutparam::set(out, Ok(response));
        let (Ok(()), Ok(body)) = (known, body) else { unreachable!() };
        let Ok(stream) = body.write() else { unreachable!() };
        Self { body, stream }
    }

    /// False: nobody takes it any more.
    pub fn write(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let Ok(room) = self.stream.check_write() else { return false };
            if room == 0 {
                self.stream.subscribe().block();
                continue;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(room as usize));
            if self.stream.write(part).is_err() {
                return false;
            }
            bytes = rest;
        }
        true
    }

    pub fn flush(&self) -> bool {
        self.stream.blocking_flush().is_ok()
    }

    pub fn end(self) {
        let taken = self.flush();
        drop(self.stream);
        if taken {
            let _ = OutgoingBody::finish(self.body, None);
        }
    }
}

pub fn answer(out: ResponseOutparam, status: u16, headers: &[(String, String)], body: &[u8]) {
    let answer = Answer::head(out, status, headers);
    answer.write(body);
    answer.end();
}

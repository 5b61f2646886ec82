//! Questions to sidecars. The numbers and the text of each are in the memory shared with the owner, as a request's are.

use napi::bindgen_prelude::*;
use napi_derive::napi;
use pilotlight_core::sidecars::wire::{Call, Ending, Head, Headers, Line};
use pilotlight_core::sidecars::{Consultation, Question};

use crate::{NativeEngine, milliseconds};

/// The most sidecars that one question goes to.
const MOST: usize = 32;

#[napi]
impl NativeEngine {
    /// Numbers: request, run, limit, open, the question (0 check, 1 request, 2 head, 3 lines, 4 ended, 5 pause, 6 resume), two
    /// that are the question's own, the count of sidecars and their runs, then the lengths of the parts: run, tenant, task,
    /// version, and for 0 and 1 method, scheme, authority, target, peer and headers, for 2 the headers, for 3 the lines as JSON.
    #[napi(catch_unwind)]
    pub fn consult(&mut self, body: Option<&[u8]>) -> Result<()> {
        let (numbers, bytes) = self.memory.input();
        let &[request, run, limit, open, kind, first, second, count, ..] = numbers else { return Ok(()) };
        let count = (count as usize).min(MOST);
        let sidecars = numbers[8..8 + count].iter().map(|handle| *handle as u64).collect();
        let mut parts = Parts { lengths: &numbers[8 + count..], bytes };
        let call = Call { run: parts.text(), tenant: parts.text(), task: parts.text(), version: parts.text() };
        let question = match kind as u32 {
            0 => Question::Check(parts.head()),
            1 => Question::Request(parts.head(), body.map(<[u8]>::to_vec).unwrap_or_default()),
            2 => Question::Head(first as u16, headers(parts.next())),
            3 => Question::Lines(lines(parts.next())?),
            4 => Question::Ended {
                ending: Ending::from_name(&parts.text()).unwrap_or(Ending::Platform),
                status: (first >= 0.0).then_some(first as u16),
                nanoseconds: second as u64,
            },
            5 => Question::Pause,
            _ => Question::Resume,
        };
        let limit = milliseconds(limit);
        self.engine.consult(Consultation { request: request as u64, sidecars, open: open as u32, call, on: run as u64, limit, question });
        Ok(())
    }
}

/// One after the other, the length of each in turn.
struct Parts<'a> {
    lengths: &'a [f64],
    bytes: &'a [u8],
}

impl<'a> Parts<'a> {
    fn next(&mut self) -> &'a [u8] {
        let Some((length, lengths)) = self.lengths.split_first() else { return &[] };
        self.lengths = lengths;
        let (part, rest) = self.bytes.split_at((*length as usize).min(self.bytes.len()));
        self.bytes = rest;
        part
    }

    /// Written as latin1: what is not ASCII is a byte of the wire, and becomes the character of that number.
    fn text(&mut self) -> String {
        latin1(self.next())
    }

    fn head(&mut self) -> Head {
        Head {
            method: self.text(),
            scheme: self.text(),
            authority: self.text(),
            path_with_query: self.text(),
            peer: self.text(),
            headers: headers(self.next()),
        }
    }
}

fn latin1(bytes: &[u8]) -> String {
    if bytes.is_ascii() { String::from_utf8_lossy(bytes).into_owned() } else { bytes.iter().copied().map(char::from).collect() }
}

fn headers(block: &[u8]) -> Headers {
    if block.is_empty() {
        return Vec::new();
    }
    let mut parts = block.split(|&byte| byte == b'\n');
    let mut headers = Vec::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        headers.push((latin1(name), value.to_vec()));
    }
    headers
}

#[derive(serde::Deserialize)]
struct WrittenLine {
    origin: String,
    level: Option<String>,
    text: String,
}

/// As JSON in UTF-8: lines are any text.
fn lines(json: &[u8]) -> Result<Vec<Line>> {
    let written: Vec<WrittenLine> = serde_json::from_slice(json).map_err(|error| Error::from_reason(error.to_string()))?;
    Ok(written.into_iter().map(|WrittenLine { origin, level, text }| Line { origin, level, text }).collect())
}

//! Questions to sidecars. The numbers and the text of each are in the memory shared with the owner, as a request's are.

use std::fmt::Write;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use pilotlight_core::sidecars::wire::{Call, Ending, Head, Headers, Line};
use pilotlight_core::sidecars::{Consultation, Question};

use crate::{NativeEngine, milliseconds};

/// The most sidecars that one question goes to.
const MOST: usize = 32;

#[napi]
impl NativeEngine {
    /// So many questions, one after the other. Numbers of each: request, run, limit, open, the question (0 check, 1 request, 2 head,
    /// 3 lines, 4 ended, 5 pause, 6 resume), two that are the question's own, the count of sidecars and their runs, then the lengths of
    /// the parts: run, tenant, task, version, and for 0 and 1 method, scheme, authority, target, peer and headers, for 2 the headers, for
    /// 3 the lines as JSON, for 4 the ending. `body`: of a 1 that is asked alone. Gives the answers that come at once:
    /// `[[request, answer], …]`.
    #[napi(catch_unwind)]
    pub fn consult(&mut self, count: u32, body: Option<&[u8]>) -> Result<Option<String>> {
        let (numbers, bytes) = self.memory.input();
        let mut parts = Parts { lengths: numbers, bytes };
        let asked = (0..count).map(|_| consultation(&mut parts, body)).collect::<Result<Vec<_>>>()?;
        let answers = self.engine.consult(asked);
        if answers.is_empty() {
            return Ok(None);
        }
        let mut all = String::with_capacity(answers.iter().map(|(_, answer)| answer.len() + 24).sum());
        for (request, answer) in answers {
            all.push(if all.is_empty() { '[' } else { ',' });
            let _ = write!(all, "[{request},{answer}]");
        }
        all.push(']');
        Ok(Some(all))
    }
}

fn consultation(parts: &mut Parts, body: Option<&[u8]>) -> Result<Consultation> {
    let [request, run, limit, open, kind, first, second, count] = parts.numbers();
    let sidecars = (0..(count as usize).min(MOST)).map(|_| parts.numbers::<1>()[0] as u64).collect();
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
    let (request, open, on, limit) = (request as u64, open as u32, run as u64, milliseconds(limit));
    Ok(Consultation { request, sidecars, open, call, on, limit, question })
}

/// What was written: numbers, and parts one after the other with the length of each in turn.
struct Parts<'a> {
    lengths: &'a [f64],
    bytes: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Numbers that are no lengths.
    fn numbers<const N: usize>(&mut self) -> [f64; N] {
        let Some((numbers, rest)) = self.lengths.split_first_chunk::<N>() else { return [0.0; N] };
        self.lengths = rest;
        *numbers
    }

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

//! Events through shared memory: numbers, bytes, and a JavaScript array for what is large.
//!
//! Creating JavaScript values through napi costs more than running a small guest, so the usual event creates
//! none: its numbers go into a `Float64Array` and its text and small bodies into a `Uint8Array`, both the
//! owner's and filled anew by every drain. Each event is a tag, then what that tag has:
//!
//! | tag | values |
//! |---|---|
//! | 0 ready | slot, generation, nanoseconds |
//! | 1 failed | slot, generation, outcome |
//! | 2 lease-refused | slot, generation, run |
//! | 3 head | run, status, latin1 headers, body?, ended, latin1 trailers?, start, notes |
//! | 4 chunk | run, body |
//! | 5 end | run, latin1 trailers? |
//! | 6 need-input | run, bytes |
//! | 7 result | run, text json |
//! | 8 ask | run, ask, text interface, text function, text arguments |
//! | 9 log | slot, run?, on?, origin, level?, text context?, text |
//! | 10 settled | run, began, outcome, cpu, run, start, wait, memory, request, response, dropped, calls, service, body trace? |
//! | 11 retired | slot, generation |
//! | 12 loaded | request, text json?, text error? |
//! | 13 linked | request, program?, text error? |
//! | 14 closed | |
//! | 15 kv-written | request, revision?, text error? (code, LF, message) |
//! | 16 measured | request, bytes?, text error? |
//! | 17 call | run, call, bytes, text target, text function |
//! | 18 consulted | request, run, text answer |
//! | 19 probed | request, text json?, text error? |
//! | -1 | the end |
//! | -2 | the memory is full: drain again |
//!
//! Text is a length in bytes, the bytes being the next ones; a body too, or -2 when it is the next of the array.
//! Absent is -1. An outcome is a number: 0 ok, else 1 followed by text kind, text detail, text message.

use std::ptr;
use std::slice;

use napi::bindgen_prelude::*;
use napi::{check_status, sys};
use pilotlight_core::events::{Event, GuestLine, Origin};
use pilotlight_core::kv::KvError;
use pilotlight_core::outcome::{Outcome, Usage};

/// A larger body becomes a Buffer of its own.
const SMALL: usize = 16 * 1024;
/// Numbers that any one event fits in.
const EVENT_NUMBERS: usize = 32;

/// The memory that both sides know. Written only inside a call from the owner's thread.
pub struct SharedMemory {
    numbers: *mut f64,
    numbers_len: usize,
    bytes: *mut u8,
    bytes_len: usize,
    /// Events that did not fit.
    left: Vec<Event>,
}

impl SharedMemory {
    /// The arrays must stay alive and in place as long as this does: they are the owner's fields, and Node never
    /// moves the memory of an ArrayBuffer.
    pub fn new(numbers: &mut [f64], bytes: &mut [u8]) -> Self {
        Self {
            numbers: numbers.as_mut_ptr(),
            numbers_len: numbers.len(),
            bytes: bytes.as_mut_ptr(),
            bytes_len: bytes.len(),
            left: Vec::new(),
        }
    }

    /// What the owner has written for a command.
    pub fn input(&mut self) -> (&[f64], &[u8]) {
        unsafe { (slice::from_raw_parts(self.numbers, self.numbers_len), slice::from_raw_parts(self.bytes, self.bytes_len)) }
    }

    /// Writes as many events as fit; the array of large bodies, if there are any.
    pub fn drain<'env>(&mut self, env: Env, next: impl FnOnce() -> Vec<Event>) -> Result<Option<Unknown<'env>>> {
        let events = if self.left.is_empty() { next() } else { std::mem::take(&mut self.left) };
        let (numbers, bytes) =
            unsafe { (slice::from_raw_parts_mut(self.numbers, self.numbers_len), slice::from_raw_parts_mut(self.bytes, self.bytes_len)) };
        let mut writer = Writer { env: env.raw(), numbers, bytes, n: 0, b: 0, large: ptr::null_mut(), larges: 0 };
        let mut events = events.into_iter();
        while let Some(event) = events.as_slice().first() {
            if !writer.has_room(event) {
                break;
            }
            writer.event(event)?;
            events.next();
        }
        self.left = events.collect();
        writer.number(if self.left.is_empty() { -1.0 } else { -2.0 });
        Ok((writer.larges > 0).then(|| unsafe { Unknown::from_raw_unchecked(env.raw(), writer.large) }))
    }
}

struct Writer<'a> {
    env: sys::napi_env,
    numbers: &'a mut [f64],
    bytes: &'a mut [u8],
    n: usize,
    b: usize,
    large: sys::napi_value,
    larges: u32,
}

impl Writer<'_> {
    fn has_room(&self, event: &Event) -> bool {
        self.n + EVENT_NUMBERS < self.numbers.len() && self.b + inline_bytes(event) <= self.bytes.len()
    }

    fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Ready { slot, generation, nanoseconds } => self.all(&[0.0, (*slot).into(), (*generation).into(), *nanoseconds as f64]),
            Event::Failed { slot, generation, outcome } => {
                self.all(&[1.0, (*slot).into(), (*generation).into()]);
                self.outcome(outcome)?;
            }
            Event::LeaseRefused { slot, generation, run } => self.all(&[2.0, (*slot).into(), (*generation).into(), *run as f64]),
            Event::Head { run, status, headers, body, ended, trailers, start, notes } => {
                self.all(&[3.0, *run as f64, (*status).into()]);
                self.body(Some(headers))?;
                self.body(body.as_deref())?;
                self.number(f64::from(u8::from(*ended)));
                self.body(trailers.as_deref())?;
                self.all(&[*start as f64, f64::from(*notes)]);
            }
            Event::Chunk { run, bytes } => {
                self.all(&[4.0, *run as f64]);
                self.body(Some(bytes))?;
            }
            Event::End { run, trailers } => {
                self.all(&[5.0, *run as f64]);
                self.body(trailers.as_deref())?;
            }
            Event::NeedInput { run, bytes } => self.all(&[6.0, *run as f64, *bytes as f64]),
            Event::Result { run, json } => {
                self.all(&[7.0, *run as f64]);
                self.body(Some(json.as_bytes()))?;
            }
            Event::Ask { run, ask, interface, function, arguments } => {
                self.all(&[8.0, *run as f64, *ask as f64]);
                for text in [interface, function, arguments] {
                    self.body(Some(text.as_bytes()))?;
                }
            }
            Event::Log(line) => self.line(line)?,
            Event::Call { run, call, target, function, bytes } => {
                self.all(&[17.0, *run as f64, *call as f64, *bytes as f64]);
                self.body(Some(target.as_bytes()))?;
                self.body(Some(function.as_bytes()))?;
            }
            Event::Settled { run, outcome, usage, trace, began } => {
                self.all(&[10.0, *run as f64, f64::from(u8::from(*began))]);
                self.outcome(outcome)?;
                self.usage(usage);
                self.body(trace.as_deref())?;
            }
            Event::Retired { slot, generation } => self.all(&[11.0, (*slot).into(), (*generation).into()]),
            Event::Loaded { request, result } => {
                self.all(&[12.0, *request as f64]);
                self.body(result.as_deref().ok().map(str::as_bytes))?;
                self.body(result.as_deref().err().map(|error| error.as_bytes()))?;
            }
            Event::Linked { request, result } => {
                self.all(&[13.0, *request as f64, result.as_ref().map_or(-1.0, |program| f64::from(*program))]);
                self.body(result.as_ref().err().map(|error| error.as_bytes()))?;
            }
            Event::Consulted { request, run, answer } => {
                self.all(&[18.0, *request as f64, *run as f64]);
                self.body(Some(answer.as_bytes()))?;
            }
            Event::Probed { request, result } => {
                self.all(&[19.0, *request as f64]);
                self.body(result.as_deref().ok().map(str::as_bytes))?;
                self.body(result.as_deref().err().map(|error| error.as_bytes()))?;
            }
            Event::Closed => self.number(14.0),
            Event::Measured { request, result } => {
                self.all(&[16.0, *request as f64, result.as_ref().map_or(-1.0, |bytes| *bytes as f64)]);
                self.body(result.as_ref().err().map(|error| error.as_bytes()))?;
            }
            Event::KvWritten { request, result } => {
                self.all(&[15.0, *request as f64, result.as_ref().map_or(-1.0, |revision| *revision as f64)]);
                let error = result.as_ref().err().map(kv_error_text);
                self.body(error.as_ref().map(String::as_bytes))?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &GuestLine) -> Result<()> {
        let origin = match line.origin {
            Origin::Stdout => 0.0,
            Origin::Stderr => 1.0,
            Origin::Logging => 2.0,
        };
        let number = |run: Option<u64>| run.map_or(-1.0, |run| run as f64);
        self.all(&[9.0, line.slot.into(), number(line.run), number(line.on), origin]);
        self.body(line.level.map(str::as_bytes))?;
        self.body(line.context.as_deref().map(str::as_bytes))?;
        self.body(Some(line.text.as_bytes()))
    }

    fn outcome(&mut self, outcome: &Outcome) -> Result<()> {
        let Some([kind, detail, message]) = outcome_texts(outcome) else {
            self.number(0.0);
            return Ok(());
        };
        self.number(1.0);
        for text in [kind, detail, message] {
            self.body(Some(text.as_bytes()))?;
        }
        Ok(())
    }

    fn usage(&mut self, usage: &Usage) {
        let Usage { cpu, run, start, wait, memory, request_bytes, response_bytes, dropped_lines, calls, service } = *usage;
        self.all(
            &[cpu, run, start, wait, memory, request_bytes, response_bytes, dropped_lines, u64::from(calls), service]
                .map(|value| value as f64),
        );
    }

    fn all(&mut self, numbers: &[f64]) {
        self.numbers[self.n..self.n + numbers.len()].copy_from_slice(numbers);
        self.n += numbers.len();
    }

    fn number(&mut self, number: f64) {
        self.numbers[self.n] = number;
        self.n += 1;
    }

    /// Bytes of any kind: in the shared memory when small, else as a Buffer in the array.
    fn body(&mut self, bytes: Option<&[u8]>) -> Result<()> {
        let Some(bytes) = bytes else {
            self.number(-1.0);
            return Ok(());
        };
        if bytes.len() > SMALL {
            self.number(-2.0);
            return self.large(bytes);
        }
        self.bytes[self.b..self.b + bytes.len()].copy_from_slice(bytes);
        self.b += bytes.len();
        self.number(bytes.len() as f64);
        Ok(())
    }

    fn large(&mut self, bytes: &[u8]) -> Result<()> {
        if self.larges == 0 {
            check_status!(unsafe { sys::napi_create_array(self.env, &mut self.large) }, "array")?;
        }
        let mut value = ptr::null_mut();
        check_status!(
            unsafe { sys::napi_create_buffer_copy(self.env, bytes.len(), bytes.as_ptr().cast(), ptr::null_mut(), &mut value) },
            "buffer"
        )?;
        check_status!(unsafe { sys::napi_set_element(self.env, self.large, self.larges, value) }, "element")?;
        self.larges += 1;
        Ok(())
    }
}

/// What [`Writer::body`] will put into the shared bytes for an event; enough, not exact.
fn inline_bytes(event: &Event) -> usize {
    let small = |length: usize| if length > SMALL { 0 } else { length };
    let optional = |bytes: Option<usize>| bytes.map_or(0, small);
    match event {
        Event::Head { headers, body, trailers, .. } => {
            small(headers.len()) + optional(body.as_ref().map(|body| body.len())) + optional(trailers.as_ref().map(Vec::len))
        }
        Event::Chunk { bytes, .. } => small(bytes.len()),
        Event::End { trailers, .. } => optional(trailers.as_ref().map(Vec::len)),
        Event::Result { json, .. } => small(json.len()),
        Event::Consulted { answer, .. } => small(answer.len()),
        Event::Ask { interface, function, arguments, .. } => small(interface.len()) + small(function.len()) + small(arguments.len()),
        Event::Call { target, function, .. } => small(target.len()) + small(function.len()),
        Event::Log(line) => small(line.text.len()) + optional(line.context.as_ref().map(String::len)) + 16,
        Event::Settled { outcome, trace, .. } => inline_outcome(outcome) + optional(trace.as_ref().map(Vec::len)),
        Event::Failed { outcome, .. } => inline_outcome(outcome),
        Event::KvWritten { result, .. } => optional(result.as_ref().err().map(|error| kv_error_text(error).len())),
        Event::Probed { result, .. } | Event::Loaded { result, .. } => small(result.as_ref().map_or_else(String::len, String::len)),
        Event::Linked { result, .. } => optional(result.as_ref().err().map(String::len)),
        Event::Measured { result, .. } => optional(result.as_ref().err().map(String::len)),
        _ => 0,
    }
}

fn inline_outcome(outcome: &Outcome) -> usize {
    let small = |length: usize| if length > SMALL { 0 } else { length };
    outcome_texts(outcome).map_or(0, |[kind, detail, message]| kind.len() + detail.len() + small(message.len()))
}

/// The code, a line feed, the message.
pub fn kv_error_text(error: &KvError) -> String {
    format!("{}\n{}", error.code.name(), error.message)
}

/// Kind, detail, message. A limit has its name as detail and `USED/ALLOWED` as message; plain success has none.
fn outcome_texts(outcome: &Outcome) -> Option<[std::borrow::Cow<'_, str>; 3]> {
    let (kind, detail, message) = match outcome {
        Outcome::Ok { exit: 0 } => return None,
        Outcome::Ok { exit } => ("ok", "", exit.to_string().into()),
        Outcome::GuestError { code, message } => ("guest-error", *code, message.as_str().into()),
        Outcome::Trap { message } => ("trap", "", message.as_str().into()),
        Outcome::Limit { limit, used, allowed } => ("limit", limit.name(), format!("{used}/{allowed}").into()),
        Outcome::Cancelled => ("cancelled", "", "".into()),
        Outcome::Refused { code, message } => ("refused", *code, message.as_str().into()),
        Outcome::Platform { code, message } => ("platform", *code, message.as_str().into()),
    };
    Some([kind.into(), detail.into(), message])
}

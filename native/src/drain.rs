//! Events as one flat JavaScript array: a tag, then as many values as that tag has, again and again.
//!
//! | tag | values |
//! |---|---|
//! | 0 ready | slot, generation, nanoseconds |
//! | 1 failed | slot, generation, outcome… |
//! | 2 lease-refused | slot, generation, run |
//! | 3 head | run, status, headers, body?, ended, trailers?, start |
//! | 4 chunk | run, bytes |
//! | 5 end | run, trailers? |
//! | 6 need-input | run, bytes |
//! | 7 result | run, json |
//! | 8 ask | run, ask, interface, function, arguments |
//! | 9 log | slot, run?, origin, level?, context?, text |
//! | 10 settled | run, outcome…, cpu, run, start, wait, memory, request, response, dropped |
//! | 11 retired | slot, generation |
//! | 12 loaded | request, json?, error? |
//! | 13 linked | request, program?, error? |
//! | 14 closed | |
//!
//! An outcome is three values: kind, a code or limit or number, a message or `[used, allowed]`, see `outcome`.
//! Header blocks are latin1 strings, bodies are Buffers, absent values are undefined.

use std::ptr;

use napi::bindgen_prelude::*;
use napi::{check_status, sys};
use pilotlight_core::events::{Event, GuestLine, Origin};
use pilotlight_core::outcome::{Outcome, Usage};

pub fn to_array<'env>(env: Env, events: Vec<Event>) -> Result<Unknown<'env>> {
    let mut array = ptr::null_mut();
    check_status!(unsafe { sys::napi_create_array_with_length(env.raw(), events.len() * 8, &mut array) }, "array")?;
    let mut writer = Writer { env: env.raw(), array, next: 0 };
    for event in events {
        writer.event(event)?;
    }
    writer.number(-1.0)?;
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), array) })
}

struct Writer {
    env: sys::napi_env,
    array: sys::napi_value,
    next: u32,
}

impl Writer {
    fn event(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Ready { slot, generation, nanoseconds } => self.numbers(&[0.0, slot.into(), generation.into(), nanoseconds as f64]),
            Event::Failed { slot, generation, outcome } => {
                self.numbers(&[1.0, slot.into(), generation.into()])?;
                self.outcome(&outcome)
            }
            Event::LeaseRefused { slot, generation, run } => self.numbers(&[2.0, slot.into(), generation.into(), run as f64]),
            Event::Head { run, status, headers, body, ended, trailers, start } => {
                self.numbers(&[3.0, run as f64, status.into()])?;
                self.latin1(&headers)?;
                self.optional(body.as_deref(), Self::buffer)?;
                self.boolean(ended)?;
                self.optional(trailers.as_deref(), Self::latin1)?;
                self.number(start as f64)
            }
            Event::Chunk { run, bytes } => {
                self.numbers(&[4.0, run as f64])?;
                self.buffer(&bytes)
            }
            Event::End { run, trailers } => {
                self.numbers(&[5.0, run as f64])?;
                self.optional(trailers.as_deref(), Self::latin1)
            }
            Event::NeedInput { run, bytes } => self.numbers(&[6.0, run as f64, bytes as f64]),
            Event::Result { run, json } => {
                self.numbers(&[7.0, run as f64])?;
                self.utf8(&json)
            }
            Event::Ask { run, ask, interface, function, arguments } => {
                self.numbers(&[8.0, run as f64, ask as f64])?;
                self.utf8(&interface)?;
                self.utf8(&function)?;
                self.utf8(&arguments)
            }
            Event::Log(line) => self.line(&line),
            Event::Settled { run, outcome, usage } => {
                self.numbers(&[10.0, run as f64])?;
                self.outcome(&outcome)?;
                self.usage(&usage)
            }
            Event::Retired { slot, generation } => self.numbers(&[11.0, slot.into(), generation.into()]),
            Event::Loaded { request, result } => {
                self.numbers(&[12.0, request as f64])?;
                self.optional(result.as_deref().ok(), Self::utf8)?;
                self.optional(result.as_ref().err().map(String::as_str), Self::utf8)
            }
            Event::Linked { request, result } => {
                self.numbers(&[13.0, request as f64])?;
                self.optional(result.as_ref().ok().copied().map(f64::from), Self::number)?;
                self.optional(result.as_ref().err().map(String::as_str), Self::utf8)
            }
            Event::Closed => self.number(14.0),
        }
    }

    fn line(&mut self, line: &GuestLine) -> Result<()> {
        self.numbers(&[9.0, line.slot.into()])?;
        self.optional(line.run.map(|run| run as f64), Self::number)?;
        self.utf8(match line.origin {
            Origin::Stdout => "stdout",
            Origin::Stderr => "stderr",
            Origin::Logging => "wasi:logging",
        })?;
        self.optional(line.level, Self::utf8)?;
        self.optional(line.context.as_deref(), Self::utf8)?;
        self.utf8(&line.text)
    }

    /// Kind, detail, message; `limit` has its name as detail and `USED/ALLOWED` as message.
    fn outcome(&mut self, outcome: &Outcome) -> Result<()> {
        let (kind, detail, message) = match outcome {
            Outcome::Ok { exit: 0 } => ("ok", "", String::new()),
            Outcome::Ok { exit } => ("ok", "", exit.to_string()),
            Outcome::GuestError { code, message } => ("guest-error", *code, message.clone()),
            Outcome::Trap { message } => ("trap", "", message.clone()),
            Outcome::Limit { limit, used, allowed } => ("limit", limit.name(), format!("{used}/{allowed}")),
            Outcome::Cancelled => ("cancelled", "", String::new()),
            Outcome::Refused { code, message } => ("refused", *code, message.clone()),
            Outcome::Platform { code, message } => ("platform", *code, message.clone()),
        };
        self.utf8(kind)?;
        self.utf8(detail)?;
        self.utf8(&message)
    }

    fn usage(&mut self, usage: &Usage) -> Result<()> {
        let Usage { cpu, run, start, wait, memory, request_bytes, response_bytes, dropped_lines } = *usage;
        self.numbers(&[cpu, run, start, wait, memory, request_bytes, response_bytes, dropped_lines].map(|value| value as f64))
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T) -> Result<()>) -> Result<()> {
        match value {
            Some(value) => write(self, value),
            None => self.create(|env, value| unsafe { sys::napi_get_undefined(env, value) }),
        }
    }

    fn numbers(&mut self, numbers: &[f64]) -> Result<()> {
        numbers.iter().try_for_each(|&number| self.number(number))
    }

    fn number(&mut self, number: f64) -> Result<()> {
        self.create(|env, value| unsafe { sys::napi_create_double(env, number, value) })
    }

    fn boolean(&mut self, flag: bool) -> Result<()> {
        self.create(|env, value| unsafe { sys::napi_get_boolean(env, flag, value) })
    }

    fn utf8(&mut self, text: &str) -> Result<()> {
        self.create(|env, value| unsafe { sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, value) })
    }

    fn latin1(&mut self, bytes: &[u8]) -> Result<()> {
        self.create(|env, value| unsafe { sys::napi_create_string_latin1(env, bytes.as_ptr().cast(), bytes.len() as isize, value) })
    }

    /// Copied: an external buffer costs a finalizer, which is more than 64 KiB of copying.
    fn buffer(&mut self, bytes: &[u8]) -> Result<()> {
        self.create(|env, value| unsafe { sys::napi_create_buffer_copy(env, bytes.len(), bytes.as_ptr().cast(), ptr::null_mut(), value) })
    }

    fn create(&mut self, create: impl FnOnce(sys::napi_env, *mut sys::napi_value) -> sys::napi_status) -> Result<()> {
        let mut value = ptr::null_mut();
        check_status!(create(self.env, &mut value), "value")?;
        check_status!(unsafe { sys::napi_set_element(self.env, self.array, self.next, value) }, "element")?;
        self.next += 1;
        Ok(())
    }
}

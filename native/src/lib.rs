//! The napi surface: conversions only.
//!
//! Commands are plain synchronous methods with positional arguments; events come out of `drain` as one flat
//! array of tuples, because building objects through napi costs more than running a small guest. The shapes are
//! those of `src/engine/engine.ts`; `src/engine/native.ts` is the only reader.

mod drain;

use std::time::Duration;

use mimalloc::MiMalloc;
use napi::bindgen_prelude::*;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use pilotlight_core::engine::{Engine, InstanceId};
use pilotlight_core::frame::{Deadlines, Frame, HttpFrame, headers_from};
use pilotlight_core::program::ProgramSpec;
use pilotlight_core::settings::Settings;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A header block as JavaScript gives it: latin1, so that each character is one byte.
fn block(text: &Latin1String) -> Vec<u8> {
    text.to_vec()
}

fn deadlines(head: f64, idle: f64, total: f64) -> Deadlines {
    // Infinity, and anything that would not fit an instant, is a hundred years.
    let of = |ms: f64| Duration::from_millis(if ms.is_finite() && ms < 3.2e12 { ms.max(0.0) as u64 } else { 3_200_000_000_000 });
    Deadlines { head: of(head), idle: of(idle), total: of(total) }
}

#[napi]
pub struct NativeEngine(Engine);

#[napi]
impl NativeEngine {
    /// `settings` is JSON; `wake` is called on the JavaScript thread when there is something to drain.
    #[napi(constructor, catch_unwind)]
    pub fn new(settings: String, wake: Function<(), ()>) -> Result<Self> {
        let settings: Settings = serde_json::from_str(&settings).map_err(|error| Error::from_reason(error.to_string()))?;
        // Weak: it is the owner of the engine who keeps the process alive, until it closes.
        let wake = wake.build_threadsafe_function().weak::<true>().build()?;
        let wake = Box::new(move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
        Engine::start(settings, wake).map(Self).map_err(|error| Error::from_reason(error.to_string()))
    }

    #[napi(catch_unwind)]
    pub fn load(&self, request: f64, bytes: Buffer) {
        self.0.load(request as u64, bytes.to_vec());
    }

    #[napi(catch_unwind)]
    pub fn check(&self, digest: String, scripts: Vec<String>) -> Result<String> {
        self.0.check(&digest, &scripts).map_err(Error::from_reason)
    }

    #[napi(catch_unwind)]
    pub fn link(&self, request: f64, spec: String) -> Result<()> {
        let spec: ProgramSpec = serde_json::from_str(&spec).map_err(|error| Error::from_reason(error.to_string()))?;
        self.0.link(request as u64, spec);
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn unlink(&self, program: u32) {
        self.0.unlink(program);
    }

    #[napi(catch_unwind)]
    pub fn prepare(&self, slot: u32, generation: u32, program: u32) {
        self.0.prepare(InstanceId { slot, generation }, program);
    }

    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "positional arguments are what crosses cheaply")]
    pub fn run_http(
        &self,
        slot: u32,
        generation: u32,
        program: u32,
        run: f64,
        last: bool,
        head: f64,
        idle: f64,
        total: f64,
        method: String,
        scheme: String,
        authority: String,
        target: Latin1String,
        headers: Latin1String,
        body: Option<&[u8]>,
        more: bool,
    ) {
        let target = String::from_utf8_lossy(&target).into_owned();
        let body = body.map(bytes::Bytes::copy_from_slice);
        let frame = Frame::Http(HttpFrame { method, scheme, authority, target, headers: block(&headers), body, more });
        self.0.run(InstanceId { slot, generation }, program, run as u64, frame, deadlines(head, idle, total), last);
    }

    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "positional arguments are what crosses cheaply")]
    pub fn run_call(
        &self,
        slot: u32,
        generation: u32,
        program: u32,
        run: f64,
        last: bool,
        head: f64,
        total: f64,
        interface: String,
        function: String,
        arguments: String,
    ) {
        let frame = Frame::Call { interface, function, arguments };
        self.0.run(InstanceId { slot, generation }, program, run as u64, frame, deadlines(head, total, total), last);
    }

    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "positional arguments are what crosses cheaply")]
    pub fn run_command(&self, slot: u32, generation: u32, program: u32, run: f64, last: bool, head: f64, total: f64) {
        self.0.run(InstanceId { slot, generation }, program, run as u64, Frame::Command, deadlines(head, total, total), last);
    }

    #[napi(catch_unwind)]
    pub fn chunk(&self, run: f64, bytes: &[u8]) {
        self.0.chunk(run as u64, bytes::Bytes::copy_from_slice(bytes));
    }

    #[napi(catch_unwind)]
    pub fn end(&self, run: f64, trailers: Option<Latin1String>) {
        // Trailers that are not valid header fields are left out; the body they end is whole all the same.
        let trailers = trailers.and_then(|trailers| headers_from(&trailers).ok());
        self.0.end(run as u64, trailers);
    }

    #[napi(catch_unwind)]
    pub fn credit(&self, run: f64, bytes: f64) {
        self.0.credit(run as u64, bytes as u64);
    }

    #[napi(catch_unwind)]
    pub fn answer(&self, ask: f64, ok: Option<String>, error: Option<String>) {
        self.0.answer(ask as u64, ok.ok_or_else(|| error.unwrap_or_else(|| "no answer".into())));
    }

    #[napi(catch_unwind)]
    pub fn cancel(&self, run: f64) {
        self.0.cancel(run as u64);
    }

    #[napi(catch_unwind)]
    pub fn retire(&self, slot: u32, generation: u32) {
        self.0.retire(InstanceId { slot, generation });
    }

    /// All events so far, flattened; see `drain.rs` for the tuples.
    #[napi(catch_unwind, ts_return_type = "unknown[]")]
    pub fn drain(&self, env: Env) -> Result<Unknown<'_>> {
        drain::to_array(env, self.0.drain())
    }

    /// The gauges as JSON.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> String {
        let stats = self.0.stats();
        serde_json::json!({
            "instances": stats.instances,
            "runs": stats.runs,
            "programs": stats.programs,
            "guestBytes": stats.guest_bytes,
            "connections": stats.connections,
            "asks": stats.asks,
            "capacity": stats.capacity,
            "allocator": stats.allocator,
        })
        .to_string()
    }

    /// Ends every instance; the `closed` event follows.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.0.close();
    }
}

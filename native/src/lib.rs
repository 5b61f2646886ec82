//! The napi surface: conversions only.
//!
//! Commands are plain synchronous methods; the one on the hot path, `run_http`, takes its arguments from memory
//! shared with the owner, and `drain` gives events the same way (`drain.rs` says how). The shapes are those of
//! `src/engine/engine.ts`; `src/engine/native.ts` is the only other side.

mod consult;
mod drain;
mod kv;

use std::time::Duration;

use mimalloc::MiMalloc;
use napi::bindgen_prelude::*;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use pilotlight_core::engine::{Engine, InstanceId, Place, Terms};
use pilotlight_core::frame::{Deadlines, Frame, HttpFrame, Keep, LinkedFrame, headers_from};
use pilotlight_core::program::ProgramSpec;
use pilotlight_core::settings::Settings;

use crate::drain::SharedMemory;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Infinity, and anything that would not fit an instant, is a hundred years.
fn milliseconds(ms: f64) -> Duration {
    Duration::from_millis(if ms.is_finite() && ms < 3.2e12 { ms.max(0.0) as u64 } else { 3_200_000_000_000 })
}

fn deadlines(head: f64, idle: f64, total: f64) -> Deadlines {
    Deadlines { head: milliseconds(head), idle: milliseconds(idle), total: milliseconds(total) }
}

fn place(slot: u32, generation: u32, program: u32, cell: u32) -> Place {
    Place { id: InstanceId { slot, generation }, program, cell }
}

#[napi]
pub struct NativeEngine {
    engine: Engine,
    memory: SharedMemory,
}

#[napi]
impl NativeEngine {
    /// `settings` is JSON; `wake` is called on the JavaScript thread when there is something to drain. The owner keeps
    /// `numbers` and `bytes` as long as the engine.
    #[napi(constructor, catch_unwind)]
    pub fn new(settings: String, wake: Function<(), ()>, mut numbers: Float64Array, mut bytes: Uint8Array) -> Result<Self> {
        let settings: Settings = serde_json::from_str(&settings).map_err(|error| Error::from_reason(error.to_string()))?;
        // Weak: it is the owner of the engine who keeps the process alive, until it closes.
        let wake = wake.build_threadsafe_function().weak::<true>().build()?;
        let wake = Box::new(move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
        let engine = Engine::start(settings, wake).map_err(|error| Error::from_reason(error.to_string()))?;
        // Sound: called on the owner's thread, and nothing is written outside of a call of the owner's.
        let memory = unsafe { SharedMemory::new(numbers.as_mut(), bytes.as_mut()) };
        Ok(Self { engine, memory })
    }

    #[napi(catch_unwind)]
    pub fn load(&self, request: f64, bytes: Buffer) {
        self.engine.load(request as u64, bytes.to_vec());
    }

    #[napi(catch_unwind)]
    pub fn check(&self, digest: String, scripts: Vec<String>, calls: Vec<String>) -> Result<String> {
        self.engine.check(&digest, &scripts, &calls).map_err(Error::from_reason)
    }

    #[napi(catch_unwind)]
    pub fn link(&self, request: f64, spec: String) -> Result<()> {
        let spec: ProgramSpec = serde_json::from_str(&spec).map_err(|error| Error::from_reason(error.to_string()))?;
        self.engine.link(request as u64, spec);
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn unlink(&self, program: u32) {
        self.engine.unlink(program);
    }

    /// `charge` is negative for none.
    #[napi(catch_unwind)]
    pub fn prepare(&self, slot: u32, generation: u32, program: u32, cell: u32, charge: f64) {
        self.engine.prepare(place(slot, generation, program, cell), (charge >= 0.0).then_some(charge as u64));
    }

    #[napi(catch_unwind)]
    pub fn cell(&self, cell: u32, bytes: f64, reserved: bool) {
        self.engine.set_cell(cell, bytes as u64, reserved);
    }

    #[napi(catch_unwind)]
    pub fn is_public(&self, address: String) -> bool {
        address.parse().is_ok_and(pilotlight_core::outbound::address_allowed)
    }

    #[napi(catch_unwind)]
    pub fn close_cell(&self, cell: u32) {
        self.engine.close_cell(cell);
    }

    /// What the cells hold, as JSON.
    #[napi(catch_unwind)]
    pub fn cells(&self) -> String {
        let cells = self.engine.cells().into_iter().map(|usage| {
            serde_json::json!({
                "cell": usage.cell,
                "limitBytes": usage.limit,
                "heldBytes": usage.held,
                "instances": usage.instances,
                "refusals": usage.refusals,
            })
        });
        serde_json::Value::from_iter(cells).to_string()
    }

    /// Answered by the `probed` event of the same number.
    #[napi(catch_unwind)]
    pub fn probe(&self, request: f64, probe: String) -> Result<()> {
        let probe = serde_json::from_str(&probe).map_err(|error| Error::from_reason(error.to_string()))?;
        self.engine.probe(request as u64, probe);
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn footprint(&self, request: f64, program: u32) {
        self.engine.footprint(request as u64, program);
    }

    /// The frame is in the shared memory. Numbers: slot, generation, program, run, last, head, idle, total, more, cell, traced, then
    /// the lengths of method, scheme, authority, target, headers and body (-1: none, -2: the argument).
    #[napi(catch_unwind)]
    pub fn run_http(&mut self, large_body: Option<&[u8]>) {
        let (numbers, bytes) = self.memory.input();
        let &[
            slot,
            generation,
            program,
            run,
            last,
            head,
            idle,
            total,
            more,
            cell,
            traced,
            method,
            scheme,
            authority,
            target,
            headers,
            body,
            ..,
        ] = numbers
        else {
            return;
        };
        let mut rest = bytes;
        let mut next = |length: f64| {
            let (part, tail) = rest.split_at(length as usize);
            rest = tail;
            part
        };
        let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        let frame = HttpFrame {
            method: text(next(method)),
            scheme: text(next(scheme)),
            authority: text(next(authority)),
            target: text(next(target)),
            headers: next(headers).to_vec(),
            body: if body == -2.0 {
                large_body.map(bytes::Bytes::copy_from_slice)
            } else {
                (body >= 0.0).then(|| bytes::Bytes::copy_from_slice(next(body)))
            },
            more: more != 0.0,
        };
        let place = place(slot as u32, generation as u32, program as u32, cell as u32);
        self.engine.run(
            place,
            run as u64,
            Frame::Http(frame),
            deadlines(head, idle, total),
            Terms { last: last != 0.0, traced: traced != 0.0 },
        );
    }

    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "positional arguments are what crosses cheaply")]
    pub fn run_call(
        &self,
        slot: u32,
        generation: u32,
        program: u32,
        cell: u32,
        run: f64,
        last: bool,
        traced: bool,
        head: f64,
        total: f64,
        interface: String,
        function: String,
        arguments: String,
    ) {
        let frame = Frame::Call { interface, function, arguments };
        self.engine.run(place(slot, generation, program, cell), run as u64, frame, deadlines(head, total, total), Terms { last, traced });
    }

    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "positional arguments are what crosses cheaply")]
    pub fn run_linked(
        &self,
        slot: u32,
        generation: u32,
        program: u32,
        cell: u32,
        run: f64,
        last: bool,
        traced: bool,
        head: f64,
        total: f64,
        call: f64,
        interface: String,
        function: String,
        keep: f64,
    ) {
        let keep = match keep {
            f64::INFINITY => Some(Keep::Run),
            time if time > 0.0 => Some(Keep::Like(milliseconds(time))),
            _ => None,
        };
        let frame = Frame::Linked(LinkedFrame { call: call as u64, interface, function, keep });
        self.engine.run(place(slot, generation, program, cell), run as u64, frame, deadlines(head, total, total), Terms { last, traced });
    }

    #[napi(catch_unwind)]
    pub fn release(&self, run: f64) {
        self.engine.release(run as u64);
    }

    /// A JSON array; none where nobody waits for the call any more.
    #[napi(catch_unwind)]
    pub fn call_arguments(&self, call: f64) -> Result<Option<String>> {
        self.engine.call_arguments(call as u64).map_err(Error::from_reason)
    }

    #[napi(catch_unwind)]
    pub fn answer_call(&self, call: f64, results: String) {
        self.engine.answer_call(call as u64, &results);
    }

    #[napi(catch_unwind)]
    pub fn refuse_call(&self, call: f64, message: String) {
        self.engine.refuse_call(call as u64, message);
    }

    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "positional arguments are what crosses cheaply")]
    pub fn run_command(
        &self,
        slot: u32,
        generation: u32,
        program: u32,
        cell: u32,
        run: f64,
        last: bool,
        traced: bool,
        head: f64,
        total: f64,
        arguments: Vec<String>,
    ) {
        self.engine.run(
            place(slot, generation, program, cell),
            run as u64,
            Frame::Command { arguments },
            deadlines(head, total, total),
            Terms { last, traced },
        );
    }

    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "positional arguments are what crosses cheaply")]
    pub fn run_sidecar(
        &self,
        slot: u32,
        generation: u32,
        program: u32,
        cell: u32,
        run: f64,
        last: bool,
        traced: bool,
        head: f64,
        total: f64,
        config: String,
    ) -> Result<()> {
        let config = serde_json::from_str(&config).map_err(|error| Error::from_reason(error.to_string()))?;
        self.engine.run(
            place(slot, generation, program, cell),
            run as u64,
            Frame::Sidecar { config },
            deadlines(head, total, total),
            Terms { last, traced },
        );
        Ok(())
    }

    /// `export` is the sidecar's own name for what the run's component imports as `import`.
    #[napi(catch_unwind)]
    pub fn bind(&self, run: f64, import: String, sidecar: f64, export: String, limit: f64, open: bool) {
        self.engine.bind(run as u64, import, sidecar as u64, &export, milliseconds(limit), open);
    }

    #[napi(catch_unwind)]
    pub fn unbind(&self, run: f64) {
        self.engine.unbind(run as u64);
    }

    #[napi(catch_unwind)]
    pub fn attach(&self, call: f64, sidecar: f64, export: String, limit: f64, open: bool) {
        self.engine.attach(call as u64, sidecar as u64, &export, milliseconds(limit), open);
    }

    #[napi(catch_unwind)]
    pub fn document(&self, sidecar: f64, url: String, text: String) {
        self.engine.document(sidecar as u64, url, &text);
    }

    #[napi(catch_unwind)]
    pub fn stop(&self, run: f64) {
        self.engine.stop(run as u64);
    }

    #[napi(catch_unwind)]
    pub fn pause(&self, run: f64, paused: bool) {
        self.engine.pause(run as u64, paused);
    }

    #[napi(catch_unwind)]
    pub fn chunk(&self, run: f64, bytes: &[u8]) {
        self.engine.chunk(run as u64, bytes::Bytes::copy_from_slice(bytes));
    }

    #[napi(catch_unwind)]
    pub fn end(&self, run: f64, trailers: Option<Latin1String>) {
        // Trailers that are not valid header fields are left out; the body they end is whole all the same.
        let trailers = trailers.and_then(|trailers| headers_from(&trailers).ok());
        self.engine.end(run as u64, trailers);
    }

    #[napi(catch_unwind)]
    pub fn credit(&self, run: f64, bytes: f64) {
        self.engine.credit(run as u64, bytes as u64);
    }

    #[napi(catch_unwind)]
    pub fn answer(&self, ask: f64, ok: Option<String>, error: Option<String>) {
        self.engine.answer(ask as u64, ok.ok_or_else(|| error.unwrap_or_else(|| "no answer".into())));
    }

    #[napi(catch_unwind)]
    pub fn cancel(&self, run: f64) {
        self.engine.cancel(run as u64);
    }

    #[napi(catch_unwind)]
    pub fn retire(&self, slot: u32, generation: u32) {
        self.engine.retire(InstanceId { slot, generation });
    }

    /// Writes events into the shared memory; the array of those bodies that are too large for it.
    #[napi(catch_unwind, ts_return_type = "Buffer[] | undefined")]
    pub fn drain(&mut self, env: Env) -> Result<Option<Unknown<'_>>> {
        let Self { engine, memory } = self;
        memory.drain(env, || engine.drain())
    }

    /// The gauges as JSON.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> String {
        let stats = self.engine.stats();
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
        self.engine.close();
    }
}

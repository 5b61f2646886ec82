//! What a guest writes to stdout, stderr and `wasi:logging`, cut into lines and bounded.
//!
//! Writing never blocks and never fails: past the run's budget, or the program's rate, lines are dropped and
//! counted, and the guest goes on.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::engine::Shared;
use crate::events::{Event, GuestLine, Origin};

/// A longer line is cut here.
const LINE_BYTES: usize = 16 * 1024;
/// What every line costs besides its text, so that empty lines are not free.
const LINE_OVERHEAD: u64 = 32;

/// How much text all instances of one program may write, as a token bucket refilled over time.
pub struct LogRate {
    per_second: u64,
    state: Mutex<(u64, Instant)>,
}

impl LogRate {
    pub fn new(per_second: u64) -> Self {
        Self { per_second, state: Mutex::new((per_second, Instant::now())) }
    }

    fn take(&self, bytes: u64) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let refill = now.duration_since(state.1).as_millis() as u64 * self.per_second / 1000;
        if refill > 0 {
            *state = ((state.0 + refill).min(self.per_second), now);
        }
        if state.0 < bytes {
            return false;
        }
        state.0 -= bytes;
        true
    }
}

/// The log of one instance.
pub struct GuestLog {
    slot: u32,
    budget: u64,
    rate: Arc<LogRate>,
    shared: Arc<Shared>,
    state: Mutex<State>,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    run: Option<u64>,
    on: Option<u64>,
    left: u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl GuestLog {
    pub(crate) fn new(slot: u32, budget: u64, rate: Arc<LogRate>, shared: Arc<Shared>) -> Arc<Self> {
        let state = Mutex::new(State { left: budget, ..State::default() });
        Arc::new(Self { slot, budget, rate, shared, state, dropped: AtomicU64::new(0) })
    }

    /// The run that lines belong to from here on, with a budget of its own; `None` when nobody can tell.
    pub(crate) fn begin(&self, run: Option<u64>) {
        self.begin_on(run, None);
    }

    /// The same for a sidecar, that is called for the run `on`.
    pub(crate) fn begin_on(&self, run: Option<u64>, on: Option<u64>) {
        let mut state = self.lock();
        self.flush(&mut state);
        state.run = run;
        state.on = on;
        state.left = self.budget;
        self.dropped.store(0, Ordering::Relaxed);
    }

    /// Sends unfinished lines on their way; what was dropped since `begin`.
    pub(crate) fn finish(&self) -> u64 {
        self.flush(&mut self.lock());
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn line(&self, level: &'static str, context: String, text: String) {
        let mut state = self.lock();
        self.emit(&mut state, Origin::Logging, Some(level), Some(context), text);
    }

    fn write(&self, origin: Origin, mut bytes: &[u8]) {
        let mut state = self.lock();
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let mut line = std::mem::take(state.partial(origin));
            line.extend_from_slice(&bytes[..end.min(LINE_BYTES)]);
            self.emit_bytes(&mut state, origin, &line);
            bytes = &bytes[end + 1..];
        }
        let partial = state.partial(origin);
        let room = LINE_BYTES.saturating_sub(partial.len());
        partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn flush(&self, state: &mut State) {
        for origin in [Origin::Stdout, Origin::Stderr] {
            let line = std::mem::take(state.partial(origin));
            if !line.is_empty() {
                self.emit_bytes(state, origin, &line);
            }
        }
    }

    fn emit_bytes(&self, state: &mut State, origin: Origin, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // Counted before it is copied: a flood costs nothing past its budget.
        if state.left == 0 {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.emit(state, origin, None, None, String::from_utf8_lossy(line).into_owned());
    }

    fn emit(&self, state: &mut State, origin: Origin, level: Option<&'static str>, context: Option<String>, mut text: String) {
        if text.len() > LINE_BYTES {
            let cut = (0..=LINE_BYTES).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text.truncate(cut);
        }
        let cost = text.len() as u64 + context.as_ref().map_or(0, |c| c.len() as u64) + LINE_OVERHEAD;
        if cost > state.left || !self.rate.take(cost) {
            // The first line that does not fit ends the log, so that what is there is a beginning and not a sample.
            state.left = 0;
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.left -= cost;
        self.shared.events.push(Event::Log(GuestLine { slot: self.slot, run: state.run, on: state.on, origin, level, context, text }));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn partial(&mut self, origin: Origin) -> &mut Vec<u8> {
        match origin {
            Origin::Stderr => &mut self.stderr,
            _ => &mut self.stdout,
        }
    }
}

/// One of the two streams, as WASI sees it.
#[derive(Clone)]
pub struct LogStream {
    pub log: Arc<GuestLog>,
    pub origin: Origin,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for LogStream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.log.write(self.origin, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.write(self.origin, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

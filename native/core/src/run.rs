//! One run as its owner sees it: input on its way in, credit for the way out, and the wish that it end.
//!
//! The owner's commands and the instance meet here; neither waits for the other.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::sync::oneshot;
use wasmtime_wasi_http::Error as HttpError;

use crate::calls::Reply;
use crate::engine::Shared;
use crate::events::Event;
use crate::outcome::{Limit, Outcome};
use crate::sessions::Waiting;
use crate::sidecars::Sidecar;
use crate::signal::Signal;
use crate::trace::Trace;

/// Bytes on their way in one direction before the receiver has asked for more.
pub const CREDIT: u64 = 256 * 1024;
/// How much the guest takes before the owner is told, so that small chunks do not cost an event each.
const CREDIT_STEP: u64 = 64 * 1024;

pub struct Run {
    pub handle: u64,
    pub(crate) signal: Arc<Signal>,
    cancelled: AtomicBool,
    /// Nothing about the run is said any more, whatever the guest still does with its body.
    settled: AtomicBool,
    output_credit: AtomicI64,
    input: Mutex<Input>,
    pub(crate) request_bytes: AtomicU64,
    request_limit: u64,
    shared: Arc<Shared>,
    /// The guest's export has been entered.
    began: AtomicBool,
    /// Who waits for the results, when another guest does.
    reply: Mutex<Option<oneshot::Sender<Reply>>>,
    /// What it is, where it is a sidecar that has started.
    sidecar: OnceLock<Arc<Sidecar>>,
    paused: AtomicBool,
    /// Of the tasks that its guest has called, once it has an instance of its own.
    sessions: OnceLock<Arc<Waiting>>,
    /// What it reads is to be told.
    traced: bool,
    /// Its instance's, once it has one of its own.
    trace: OnceLock<Arc<Trace>>,
}

#[derive(Default)]
struct Input {
    chunks: VecDeque<Bytes>,
    ended: bool,
    trailers: Option<HeaderMap>,
    /// The guest has let go of the body; what still comes is dropped.
    dropped: bool,
    /// Set when the body has grown past its limit.
    excess: Option<u64>,
    waker: Option<Waker>,
}

impl Run {
    pub(crate) fn new(handle: u64, signal: Arc<Signal>, request_limit: u64, traced: bool, shared: Arc<Shared>) -> Self {
        shared.counts.runs.fetch_add(1, Ordering::Relaxed);
        Self {
            handle,
            signal,
            cancelled: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            output_credit: AtomicI64::new(CREDIT as i64),
            input: Mutex::default(),
            request_bytes: AtomicU64::new(0),
            request_limit,
            shared,
            began: AtomicBool::new(false),
            reply: Mutex::default(),
            sidecar: OnceLock::new(),
            paused: AtomicBool::new(false),
            sessions: OnceLock::new(),
            traced,
            trace: OnceLock::new(),
        }
    }

    /// It begins on an instance that it has for itself.
    pub(crate) fn begins_with(&self, trace: &Arc<Trace>) {
        trace.begin(self.traced);
        if self.traced {
            let _ = self.trace.set(trace.clone());
        }
    }

    /// What its results depend on; none where that is not to be told, or not known.
    pub(crate) fn trace(&self) -> Option<&Arc<Trace>> {
        self.trace.get()
    }

    pub(crate) fn set_began(&self) {
        self.began.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.began.load(Ordering::Relaxed)
    }

    /// Its guest may call other tasks from here on.
    pub(crate) fn may_call(&self, sessions: &Arc<Waiting>) {
        let _ = self.sessions.set(sessions.clone());
    }

    pub(crate) fn stands(&self, sidecar: &Arc<Sidecar>) {
        let _ = self.sidecar.set(sidecar.clone());
    }

    /// A sidecar takes no more calls, and ends when those that wait are done.
    pub fn stop(&self) {
        if let Some(sidecar) = self.sidecar.get() {
            sidecar.stop();
        }
    }

    /// Its guest's code goes no further than the next tick, or goes on.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        self.signal.wake();
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// For those that still wait for it as a sidecar.
    pub(crate) fn sidecar(&self) -> Option<&Arc<Sidecar>> {
        self.sidecar.get()
    }

    /// Ends the sessions that wait for its next call.
    pub fn release(&self) {
        if let Some(sessions) = self.sessions.get() {
            sessions.release();
        }
    }

    /// From here on whoever waits for the results hears how it ends.
    pub(crate) fn owe(&self, reply: oneshot::Sender<Reply>) {
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
    }

    /// Who waits for the results; asked once, and to be told.
    pub(crate) fn owed(&self) -> Option<oneshot::Sender<Reply>> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub fn chunk(&self, bytes: Bytes) {
        let total = self.request_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
        let mut input = self.input();
        if total > self.request_limit {
            input.excess = Some(total);
            input.chunks.clear();
        } else if !input.dropped {
            input.chunks.push_back(bytes);
        }
        self.wake_input(input);
    }

    /// The whole body travelled inside the command; only its size is noted.
    pub(crate) fn chunk_whole(&self, bytes: usize) {
        let total = self.request_bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let mut input = self.input();
        input.ended = true;
        if total > self.request_limit {
            input.excess = Some(total);
        }
    }

    pub fn end(&self, trailers: Option<HeaderMap>) {
        let mut input = self.input();
        input.ended = true;
        input.trailers = trailers;
        self.wake_input(input);
    }

    pub fn credit(&self, bytes: u64) {
        self.output_credit.fetch_add(bytes as i64, Ordering::Relaxed);
        self.signal.wake();
    }

    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.signal.wake();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn set_settled(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    pub(crate) fn output_credit(&self) -> i64 {
        self.output_credit.load(Ordering::Relaxed)
    }

    pub(crate) fn spend(&self, bytes: usize) {
        self.output_credit.fetch_sub(bytes as i64, Ordering::Relaxed);
    }

    /// The guest has the whole request body, or wants no more of it.
    pub(crate) fn input_is_over(&self) -> bool {
        let input = self.input();
        input.dropped || (input.ended && input.chunks.is_empty())
    }

    /// The limit that the request body broke, if it did.
    pub(crate) fn input_fault(&self) -> Option<Outcome> {
        self.input().excess.map(|used| Outcome::Limit { limit: Limit::RequestBody, used, allowed: self.request_limit })
    }

    fn input(&self) -> MutexGuard<'_, Input> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_input(&self, mut input: MutexGuard<'_, Input>) {
        let waker = input.waker.take();
        drop(input);
        match waker {
            Some(waker) => waker.wake(),
            None => self.signal.wake(),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.shared.counts.runs.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request body that arrives in pieces, as the guest's `wasi:http` sees it.
pub(crate) struct InputBody {
    run: Arc<Run>,
    /// False until the guest has asked for the first byte: only then is the client told to send.
    wanted: bool,
    /// Taken by the guest and not yet reported.
    taken: u64,
    finished: bool,
}

impl InputBody {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self { run, wanted: false, taken: 0, finished: false }
    }

    fn want(&self, bytes: u64) {
        if !self.run.is_settled() {
            self.run.shared.events.push(Event::NeedInput { run: self.run.handle, bytes });
        }
    }
}

impl Body for InputBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = self.get_mut();
        if this.finished {
            return Poll::Ready(None);
        }
        if !this.wanted {
            this.wanted = true;
            this.want(CREDIT);
        }
        let mut input = this.run.input();
        if let Some(excess) = input.excess {
            drop(input);
            this.finished = true;
            return Poll::Ready(Some(Err(HttpError::HttpRequestBodySize(Some(excess)))));
        }
        if let Some(bytes) = input.chunks.pop_front() {
            drop(input);
            this.taken += bytes.len() as u64;
            if this.taken >= CREDIT_STEP {
                let taken = std::mem::take(&mut this.taken);
                this.want(taken);
            }
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if input.ended {
            let trailers = input.trailers.take();
            drop(input);
            this.finished = true;
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        input.waker = Some(cx.waker().clone());
        drop(input);
        // Whatever is left to report goes out now: the client may be waiting for it.
        if this.taken > 0 {
            let taken = std::mem::take(&mut this.taken);
            this.want(taken);
        }
        Poll::Pending
    }
}

impl Drop for InputBody {
    fn drop(&mut self) {
        let mut input = self.run.input();
        input.dropped = true;
        input.chunks.clear();
        input.waker = None;
    }
}

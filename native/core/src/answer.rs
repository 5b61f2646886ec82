//! An answer on its way out: the head, then the body as the client takes it.
//!
//! Polled by the instance's task beside the store, outside of it, so that a slow client holds up nothing but
//! its own guest. What is there when the guest pauses goes out at once (server-sent events arrive as they are
//! written); what a guest writes in one go leaves as one event.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::Response;
use http::response::Parts;
use http_body::Body;
use wasmtime_wasi_http::WasiBody;

use crate::engine::Shared;
use crate::events::Event;
use crate::frame::headers_into;
use crate::outcome::{Limit, Outcome};
use crate::run::Run;

/// At most this much leaves in one event.
const EVENT_BYTES: usize = 64 * 1024;

/// What the guest handed to its response-outparam, or returned.
pub(crate) type Given = Result<Response<WasiBody>, Outcome>;

/// Where the guest's side leaves its answer for ours.
#[derive(Default, Clone)]
pub(crate) struct AnswerSlot(Arc<Mutex<Option<Given>>>);

impl AnswerSlot {
    pub(crate) fn put(&self, given: Given) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(given);
    }

    fn take(&self) -> Option<Given> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

pub(crate) struct Answer {
    slot: AnswerSlot,
    head: Option<Parts>,
    body: Option<WasiBody>,
    buffer: BytesMut,
    trailers: Option<Vec<u8>>,
    head_sent: bool,
    done: bool,
    limit: u64,
    pub(crate) bytes: u64,
    /// Nanoseconds that went into making the instance; the head tells.
    pub(crate) start: u64,
}

/// What a poll came to.
pub(crate) enum Progress {
    /// Nothing new.
    Waiting,
    /// Bytes, the head or the end went out or came in.
    Moved,
    /// The run ends with this.
    Failed(Outcome),
}

impl Answer {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            slot: AnswerSlot::default(),
            head: None,
            body: None,
            buffer: BytesMut::new(),
            trailers: None,
            head_sent: false,
            done: false,
            limit,
            bytes: 0,
            start: 0,
        }
    }

    pub(crate) fn slot(&self) -> AnswerSlot {
        self.slot.clone()
    }

    /// The guest has answered, though perhaps not to the end.
    pub(crate) fn has_begun(&self) -> bool {
        self.head_sent || self.head.is_some()
    }

    /// The guest has written all of it.
    pub(crate) fn is_whole(&self) -> bool {
        self.body.is_none() && self.has_begun()
    }

    /// All of it is out.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Reads what the guest has written, as far as the client's credit goes, and sends full events.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, run: &Run, shared: &Shared) -> Progress {
        let mut moved = false;
        if let Some(given) = self.slot.take() {
            match given {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    (self.head, self.body) = (Some(head), Some(body));
                    moved = true;
                }
                Err(outcome) => return Progress::Failed(outcome),
            }
        }
        while let Some(body) = &mut self.body {
            if run.output_credit() - (self.buffer.len() as i64) <= 0 {
                break;
            }
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.body = None,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => {
                        self.bytes += bytes.len() as u64;
                        if self.bytes > self.limit {
                            return Progress::Failed(Outcome::Limit { limit: Limit::ResponseBody, used: self.bytes, allowed: self.limit });
                        }
                        self.buffer.extend_from_slice(&bytes);
                        if self.buffer.len() > EVENT_BYTES {
                            self.flush(run, shared);
                        }
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.trailers = Some(headers_into(&trailers));
                        }
                        self.body = None;
                    }
                },
                Poll::Ready(Some(Err(error))) => {
                    return Progress::Failed(Outcome::GuestError {
                        code: "bad-answer",
                        message: format!("the response body ended early: {error}"),
                    });
                }
            }
            moved = true;
        }
        if moved { Progress::Moved } else { Progress::Waiting }
    }

    /// Sends what there is, as far as the client's credit goes: the guest has paused, or is done. True when something
    /// went out, so that there is room for more.
    pub(crate) fn flush(&mut self, run: &Run, shared: &Shared) -> bool {
        let mut sent = self.head.is_some();
        if let Some(head) = self.head.take() {
            self.head_sent = true;
            let body = self.next_piece(run);
            self.done = self.is_drained();
            shared.events.push(Event::Head {
                run: run.handle,
                status: head.status.as_u16(),
                headers: headers_into(&head.headers),
                body,
                ended: self.done,
                trailers: if self.done { self.trailers.take() } else { None },
                start: self.start,
                notes: run.trace().map_or(0, |trace| trace.notes()),
            });
        }
        while let Some(bytes) = self.next_piece(run) {
            sent = true;
            shared.events.push(Event::Chunk { run: run.handle, bytes });
        }
        if self.head_sent && !self.done && self.is_drained() {
            self.done = true;
            sent = true;
            shared.events.push(Event::End { run: run.handle, trailers: self.trailers.take() });
        }
        sent
    }

    /// The run has ended without an answer: nothing of one will come.
    pub(crate) fn give_up(&mut self) {
        (self.head, self.body, self.done) = (None, None, true);
    }

    /// Nothing is left to read from the guest, and nothing of it to send.
    fn is_drained(&self) -> bool {
        self.body.is_none() && self.buffer.is_empty()
    }

    /// What fits an event and the client's credit.
    fn next_piece(&mut self, run: &Run) -> Option<Bytes> {
        let credit = usize::try_from(run.output_credit()).unwrap_or(0);
        let length = self.buffer.len().min(EVENT_BYTES).min(credit);
        run.spend(length);
        (length > 0).then(|| self.buffer.split_to(length).freeze())
    }
}

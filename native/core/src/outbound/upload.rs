//! The request body on its way out.
//!
//! Two things stand between the guest's body and hyper. The guest's own failure is kept aside, because hyper only lends
//! errors out and the guest must get its own back. And a body of unknown length is looked at before the head is sent:
//! most such bodies turn out to be empty or short, and a head that says so is understood by more servers.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

/// The failure of the guest's body, put aside for whoever reports the end of the request.
#[derive(Debug, Default)]
pub(super) struct Fault(Mutex<Option<Error>>);

impl Fault {
    fn put(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What hyper is told instead of it.
#[derive(Debug, thiserror::Error)]
#[error("the guest's body failed")]
pub(super) struct GuestFault;

/// What is known of a request body when its head is about to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Zero,
    Exact,
    NotZero,
    Unknown,
}

/// What is known of the body's next frame.
enum Next {
    Unknown,
    Frame(Frame<Bytes>),
    End,
    Failed,
}

pub(super) struct Upload {
    body: WasiBody,
    next: Next,
    fault: Arc<Fault>,
}

impl Upload {
    pub fn new(body: WasiBody, fault: Arc<Fault>) -> Self {
        Self { body, next: Next::Unknown, fault }
    }

    pub fn length(&self) -> Length {
        match self.next {
            _ if self.is_end_stream() => Length::Zero,
            _ if self.size_hint().exact().is_some() => Length::Exact,
            Next::Frame(_) => Length::NotZero,
            _ => Length::Unknown,
        }
    }

    /// Waits until the body's first frame, or its end, is known.
    pub async fn look(&mut self) {
        poll_fn(|cx| self.poll_look(cx)).await;
    }

    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Next::Unknown = self.next {
            self.next = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => Next::End,
                Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty) => continue,
                Some(Ok(frame)) => Next::Frame(frame),
                Some(Err(error)) => {
                    self.fault.put(error);
                    Next::Failed
                }
            };
        }
        Poll::Ready(())
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = GuestFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, GuestFault>>> {
        ready!(self.poll_look(cx));
        Poll::Ready(match std::mem::replace(&mut self.next, Next::Unknown) {
            Next::Frame(frame) => Some(Ok(frame)),
            Next::Failed => {
                self.next = Next::End;
                Some(Err(GuestFault))
            }
            Next::End | Next::Unknown => {
                self.next = Next::End;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match self.next {
            Next::Unknown => self.body.is_end_stream(),
            Next::Frame(_) | Next::Failed => false,
            Next::End => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.next {
            Next::Unknown => self.body.size_hint(),
            // Only bodies of unknown length are looked at, and one frame does not tell how many follow.
            Next::Frame(_) | Next::Failed => SizeHint::default(),
            Next::End => SizeHint::with_exact(0),
        }
    }
}

//! The response body on its way in, and the end of the connection that brings it.
//!
//! The guest pulls: hyper reads on only when the frame before was taken. A body dropped before its end closes the
//! connection; one read to its end leaves the request body to finish.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::Connection;
use tokio::sync::oneshot;
use wasmtime_wasi_http::Error;

use super::errors::from_hyper;
use super::headers::strip_hop_by_hop;
use super::timing::{Patience, Progress};
use super::upload::{Fault, Upload};
use super::wire::Wire;

pub(super) struct Answer {
    incoming: Incoming,
    patience: Patience,
    fault: Arc<Fault>,
    /// Dropped unsent, it closes the connection. None once the body is over.
    end: Option<oneshot::Sender<()>>,
}

impl Answer {
    pub fn new(incoming: Incoming, between_bytes: Duration, fault: Arc<Fault>) -> (Self, oneshot::Receiver<()>) {
        let (end, ended) = oneshot::channel();
        let patience = Patience::new(between_bytes);
        (Self { incoming, patience, fault, end: Some(end) }, ended)
    }

    fn complete(&mut self) {
        if let Some(end) = self.end.take() {
            _ = end.send(());
        }
    }

    fn fail(&mut self, error: Error) -> Result<Frame<Bytes>, Error> {
        self.end = None;
        Err(error)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.end.is_none() {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            return self.patience.poll_spent(cx).map(|()| Some(self.fail(Error::ConnectionReadTimeout)));
        };
        self.patience.rest();
        Poll::Ready(match frame {
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    strip_hop_by_hop(trailers);
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                let error = from_hyper(&error, &self.fault);
                Some(self.fail(error))
            }
            None => {
                self.complete();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none() || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // A guest that knows the length stops reading without asking for the end.
        if self.incoming.is_end_stream() {
            self.complete();
        }
    }
}

/// Moves the bytes of a connection while polled. Closes it, and gives its slot back, at its end or when dropped.
pub(super) struct Driver {
    connection: Option<Connection<Wire, Upload>>,
    fault: Arc<Fault>,
}

impl Driver {
    pub fn new(connection: Connection<Wire, Upload>, fault: Arc<Fault>) -> Self {
        Self { connection: Some(connection), fault }
    }

    /// Drives the connection from the response's head to its end. Fails if the request could not be sent whole.
    pub async fn finish(mut self, answered: oneshot::Receiver<()>, progress: Arc<Progress>, between_bytes: Duration) -> Result<(), Error> {
        tokio::select! {
            biased;
            ended = &mut self => return ended,
            answer = answered => if answer.is_err() {
                return Ok(());
            },
        }
        // Only the rest of the request is left to send, and a guest may have forgotten that it never ended it.
        tokio::select! {
            biased;
            ended = &mut self => ended,
            () = progress.silence(between_bytes) => Err(Error::ConnectionWriteTimeout),
        }
    }
}

impl Future for Driver {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(Ok(()));
        };
        let Poll::Ready(ended) = Pin::new(connection).poll(cx) else {
            return Poll::Pending;
        };
        self.connection = None;
        Poll::Ready(match ended {
            // Both messages were complete; how the peer hangs up is its own business.
            Err(error) if error.is_shutdown() => Ok(()),
            Err(error) => Err(from_hyper(&error, &self.fault)),
            Ok(()) => Ok(()),
        })
    }
}

//! One open connection as hyper sees it: the byte stream, its place in the counts, and the limit on how long the peer may
//! refuse to take what we write. Reading has no limit here: whoever waits for the bytes knows how long it may.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi_http::io::TokioIo;

use super::slots::Slot;
use super::timing::{Patience, Progress};

/// A plain or an encrypted connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The peer took nothing for too long.
#[derive(Debug, thiserror::Error)]
#[error("the peer takes no bytes")]
pub(super) struct WriteStalled;

fn stalled<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::TimedOut, WriteStalled))
}

pub(super) struct Wire {
    io: TokioIo<Box<dyn Stream>>,
    patience: Patience,
    progress: Arc<Progress>,
    _slot: Arc<Slot>,
}

impl Wire {
    pub fn new(stream: Box<dyn Stream>, slot: Arc<Slot>, progress: Arc<Progress>, longest_stall: Duration) -> Self {
        Self { io: TokioIo::new(stream), patience: Patience::new(longest_stall), progress, _slot: slot }
    }
}

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        if written.is_ready() {
            this.progress.note();
        }
        this.patience.poll_through(cx, written, stalled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.patience.poll_through(cx, flushed, stalled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let closed = Pin::new(&mut this.io).poll_shutdown(cx);
        this.patience.poll_through(cx, closed, stalled)
    }
}

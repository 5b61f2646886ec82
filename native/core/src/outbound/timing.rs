//! The times a request may take, and the two ways in which waiting is measured.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep, sleep_until};
use wasmtime_wasi_http::RequestOptions;

/// Keeps sums of instants and durations away from overflow.
const LONGEST: Duration = Duration::from_hours(30 * 24);

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    pub between_bytes: Duration,
}

impl Timeouts {
    pub fn new(connect: Duration, first_byte: Duration, between_bytes: Duration) -> Self {
        Self { connect: connect.min(LONGEST), first_byte: first_byte.min(LONGEST), between_bytes: between_bytes.min(LONGEST) }
    }

    /// A guest may ask for less than it was granted, never for more.
    pub fn within(self, options: Option<RequestOptions>) -> Self {
        let options = options.unwrap_or_default();
        let lesser = |granted: Duration, asked: Option<Duration>| asked.map_or(granted, |asked| asked.min(granted));
        Self {
            connect: lesser(self.connect, options.connect_timeout),
            first_byte: lesser(self.first_byte, options.first_byte_timeout),
            between_bytes: lesser(self.between_bytes, options.between_bytes_timeout),
        }
    }
}

/// How long one side of a stream may stay pending. The clock runs from the first poll that found nothing, so time during
/// which nobody asked does not count against the peer.
pub(super) struct Patience {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Patience {
    pub fn new(limit: Duration) -> Self {
        Self { limit, sleep: None, waiting: false }
    }

    /// Something came.
    pub fn rest(&mut self) {
        self.waiting = false;
    }

    /// Nothing came; ready when it has been so for too long.
    pub fn poll_spent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let timer = self.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(Instant::now() + limit);
        }
        timer.as_mut().poll(cx)
    }

    /// Passes a readiness through, or ends a pending one that has lasted too long with `spent`.
    pub fn poll_through<T>(&mut self, cx: &mut Context<'_>, result: Poll<T>, spent: impl FnOnce() -> T) -> Poll<T> {
        if result.is_ready() {
            self.rest();
            return result;
        }
        ready!(self.poll_spent(cx));
        Poll::Ready(spent())
    }
}

/// When a connection last took bytes from us.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    last_ms: AtomicU64,
}

impl Progress {
    pub fn new() -> Self {
        Self { start: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    pub fn note(&self) {
        let elapsed = self.start.elapsed().as_millis();
        self.last_ms.store(elapsed.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Ends once nothing was written for `limit`.
    pub async fn silence(&self, limit: Duration) {
        loop {
            let last = self.start + Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
            if last + limit <= Instant::now() {
                return;
            }
            sleep_until(last + limit).await;
        }
    }
}

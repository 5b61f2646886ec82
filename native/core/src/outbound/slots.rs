//! Connections open at once, counted for each program and for the process. A slot is given back when it is dropped, so
//! every ending gives it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime_wasi_http::Error;

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Outbound connections open now in this process, those still being made included.
pub fn open_connections() -> usize {
    OPEN.load(Ordering::Relaxed)
}

#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    open: AtomicUsize,
}

impl Slots {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, open: AtomicUsize::new(0) })
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub fn take(self: &Arc<Self>) -> Result<Arc<Slot>, Error> {
        let one_more = |open| (open < self.limit).then_some(open + 1);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).map_err(|_| Error::ConnectionLimitReached)?;
        OPEN.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Slot(self.clone())))
    }
}

/// One connection's place in the counts. Shared, because a name lookup cannot be called off: it keeps the place until the
/// system has answered, even when nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Slot(Arc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

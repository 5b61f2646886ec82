//! What the engine tells its owner, and the queue it goes through.
//!
//! Events are pushed by instances on any thread and drained in batches by the one owner. A push wakes the
//! owner at most once per batch; what nobody waits for (`retired`, log lines) does not wake it at all and
//! goes with the next batch, at the latest with the ticker's next beat.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::kv::KvError;
use crate::outcome::{Outcome, Usage};

/// A header block joined with LF: `name\nvalue\nname\nvalue`, each byte one character (latin1).
pub type HeaderBlock = Vec<u8>;

#[derive(Debug)]
pub enum Event {
    Ready {
        slot: u32,
        generation: u32,
        nanoseconds: u64,
    },
    Failed {
        slot: u32,
        generation: u32,
        outcome: Outcome,
    },
    LeaseRefused {
        slot: u32,
        generation: u32,
        run: u64,
    },
    Head {
        run: u64,
        status: u16,
        headers: HeaderBlock,
        body: Option<Bytes>,
        ended: bool,
        trailers: Option<HeaderBlock>,
        start: u64,
        /// Of a run that is traced: what it has done so far ([`crate::trace::note`]).
        notes: u32,
    },
    Chunk {
        run: u64,
        bytes: Bytes,
    },
    End {
        run: u64,
        trailers: Option<HeaderBlock>,
    },
    NeedInput {
        run: u64,
        bytes: u64,
    },
    Result {
        run: u64,
        json: String,
    },
    Ask {
        run: u64,
        ask: u64,
        interface: String,
        function: String,
        arguments: String,
    },
    /// A guest calls another task: its arguments, so many bytes as values count, are parked under `call`.
    Call {
        run: u64,
        call: u64,
        target: String,
        function: String,
        bytes: u64,
    },
    Log(GuestLine),
    /// `trace` is what the results depend on ([`crate::trace::Trace::report`]), of a run that is traced and had its instance to
    /// itself.
    Settled {
        run: u64,
        outcome: Outcome,
        usage: Usage,
        trace: Option<Vec<u8>>,
        /// The guest's export was entered.
        began: bool,
    },
    Retired {
        slot: u32,
        generation: u32,
    },
    /// A `load` has finished: the component's description as JSON, or what is wrong with it.
    Loaded {
        request: u64,
        result: Result<String, String>,
    },
    /// A `link` has finished: the program, or what is wrong with it.
    Linked {
        request: u64,
        result: Result<u32, String>,
    },
    /// A program's footprint has been measured: bytes, or why it could not be.
    Measured {
        request: u64,
        result: Result<u64, String>,
    },
    /// A request was made again: its answer as JSON, or why there is none.
    Probed {
        request: u64,
        result: Result<String, String>,
    },
    /// A write to key-value data has been done, at a revision, or refused.
    KvWritten {
        request: u64,
        result: Result<u64, KvError>,
    },
    /// A consultation is over, as JSON ([`crate::sidecars::Question`]). Of one that nobody waits for (0), what has failed.
    Consulted {
        request: u64,
        /// The run that it was about.
        run: u64,
        answer: String,
    },
    Closed,
}

/// One line that a guest wrote.
#[derive(Debug)]
pub struct GuestLine {
    pub slot: u32,
    pub run: Option<u64>,
    /// Of a sidecar: the run that it was called for.
    pub on: Option<u64>,
    pub origin: Origin,
    pub level: Option<&'static str>,
    pub context: Option<String>,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Stdout,
    Stderr,
    Logging,
}

impl Event {
    /// Nobody waits for these: they may go with the next batch.
    fn is_quiet(&self) -> bool {
        matches!(self, Event::Retired { .. } | Event::Log(_))
    }
}

/// Calls the owner's thread, which then drains.
pub type Wake = Box<dyn Fn() + Send + Sync>;

pub struct EventQueue {
    events: Mutex<Vec<Event>>,
    /// True from the wake until the drain that follows it.
    signalled: AtomicBool,
    wake: Wake,
}

impl EventQueue {
    pub fn new(wake: Wake) -> Self {
        Self { events: Mutex::default(), signalled: AtomicBool::new(false), wake }
    }

    pub fn push(&self, event: Event) {
        let quiet = event.is_quiet();
        self.lock().push(event);
        if !quiet {
            self.signal();
        }
    }

    /// Takes all events so far, oldest first.
    pub fn drain(&self) -> Vec<Event> {
        // Cleared before the take: a push that comes between the two wakes once too often, never once too few.
        self.signalled.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.lock())
    }

    /// Wakes the owner for quiet events that have been waiting.
    pub fn beat(&self) {
        if !self.lock().is_empty() {
            self.signal();
        }
    }

    fn signal(&self) {
        if !self.signalled.swap(true, Ordering::SeqCst) {
            (self.wake)();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Event>> {
        // A poisoned queue is still a queue: pushes cannot leave it half-changed.
        self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

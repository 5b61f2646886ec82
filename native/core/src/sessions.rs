//! Sessions: instances of other tasks that a run has called and that wait for its next call.
//!
//! Which instance serves a call, the owner decides. It may have that one stay with the caller's run, for all of it or for a
//! time; then the calls that follow go from store to store, and nobody is asked. An instance that waits is one that has
//! nothing to do: several calls at once find it gone from here, and the owner is asked for another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::calls::{Parked, Target};
use crate::desk::Desk;

/// For which calls a session is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Every function of the interface, as long as the caller's run goes on.
    Run,
    /// Calls of the same function with arguments of the same order of magnitude, so long from the first one on: what was
    /// chosen for one of them was chosen for those.
    Like(Duration),
}

/// Sessions that a run keeps waiting: one that calls many at once does not hold all of them for it.
const MOST: usize = 8;

/// The sessions of a caller's instance that wait, all of the run that it has.
#[derive(Default)]
pub(crate) struct Waiting {
    waiting: Mutex<OfRun>,
}

#[derive(Default)]
struct OfRun {
    /// None: between runs.
    run: Option<u64>,
    idle: Vec<Idle>,
}

struct Idle {
    for_calls: ForCalls,
    next: oneshot::Sender<Parked>,
    desk: Weak<Desk>,
}

/// The calls that a session may take.
#[derive(Clone)]
pub(crate) struct ForCalls {
    first: Arc<Target>,
    like: Option<Like>,
}

#[derive(Clone)]
struct Like {
    magnitude: u32,
    until: Instant,
}

/// Where a session waits for its caller's next call.
#[derive(Clone)]
pub(crate) struct Sessions {
    waiting: Arc<Waiting>,
    run: u64,
}

/// An instance that is to take the next call.
pub(crate) struct Session {
    next: oneshot::Sender<Parked>,
    /// Its instance's.
    pub desk: Weak<Desk>,
}

impl Session {
    /// Gives the call back when the instance is gone.
    pub fn send(self, call: Parked) -> Result<(), Parked> {
        self.next.send(call)
    }
}

impl Waiting {
    pub fn of(self: &Arc<Self>, run: u64) -> Sessions {
        Sessions { waiting: self.clone(), run }
    }

    /// The instance has a run, or none: sessions of any other end.
    pub fn begin(&self, run: Option<u64>) {
        self.lock().run = run;
        self.release();
    }

    /// Sessions that wait end: their room is needed.
    pub fn release(&self) {
        // Dropped outside of the lock: each wakes the instance that waits.
        let ended = std::mem::take(&mut self.lock().idle);
        drop(ended);
    }

    /// A session for this call of so many bytes, if one waits.
    pub fn take(&self, target: &Arc<Target>, bytes: usize) -> Option<Session> {
        let mut of_run = self.lock();
        if of_run.idle.is_empty() {
            return None;
        }
        let now = Instant::now();
        let mut ended = Vec::new();
        let mut index = 0;
        let mut found = None;
        while index < of_run.idle.len() {
            let idle = &of_run.idle[index];
            if idle.for_calls.is_over(now) {
                ended.push(of_run.idle.swap_remove(index));
            } else if idle.for_calls.has(target, bytes) {
                found = Some(of_run.idle.swap_remove(index));
                break;
            } else {
                index += 1;
            }
        }
        drop(of_run);
        found.map(|Idle { next, desk, .. }| Session { next, desk })
    }

    fn lock(&self) -> MutexGuard<'_, OfRun> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    /// The instance waits for the next call like these; `None` when there will be none, or enough wait already.
    pub fn wait(&self, for_calls: &ForCalls, desk: Weak<Desk>) -> Option<oneshot::Receiver<Parked>> {
        let mut of_run = self.waiting.lock();
        if of_run.run != Some(self.run) || of_run.idle.len() >= MOST || for_calls.is_over(Instant::now()) {
            return None;
        }
        let (next, receiver) = oneshot::channel();
        of_run.idle.push(Idle { for_calls: for_calls.clone(), next, desk });
        Some(receiver)
    }
}

impl ForCalls {
    /// `bytes`: those of the first call's arguments.
    pub fn new(keep: Keep, first: Arc<Target>, bytes: usize) -> Self {
        let like = match keep {
            Keep::Run => None,
            Keep::Like(time) => Some(Like { magnitude: magnitude(bytes), until: Instant::now() + time }),
        };
        Self { first, like }
    }

    fn has(&self, target: &Arc<Target>, bytes: usize) -> bool {
        match &self.like {
            None => Arc::ptr_eq(&self.first, target) || self.first.interface == target.interface,
            Some(like) => Arc::ptr_eq(&self.first, target) && like.magnitude == magnitude(bytes),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.like.as_ref().is_some_and(|like| now >= like.until)
    }
}

/// Orders of magnitude, by two.
fn magnitude(bytes: usize) -> u32 {
    usize::BITS - bytes.leading_zeros()
}

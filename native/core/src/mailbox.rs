//! Where commands for one instance wait, and the way jobs reach the guest's side.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::frame::{Deadlines, Frame};
use crate::job::{Job, JobState};
use crate::run::Run;
use crate::signal::Signal;

/// A `run` command as it waits for the instance.
pub(crate) struct Order {
    pub run: Arc<Run>,
    pub frame: Frame,
    pub deadlines: Deadlines,
    /// The instance retires when this run has settled.
    pub last: bool,
    pub received: Instant,
}

#[derive(Default)]
pub(crate) struct Mailbox {
    pub signal: Arc<Signal>,
    mail: Mutex<Mail>,
}

#[derive(Default)]
struct Mail {
    orders: VecDeque<Order>,
    retire: bool,
    abandon: bool,
    /// The instance is gone; nothing is taken any more.
    closed: bool,
}

impl Mailbox {
    /// False when the instance is gone.
    pub fn post(&self, order: Order) -> bool {
        let mut mail = self.mail();
        if mail.closed {
            return false;
        }
        mail.orders.push_back(order);
        drop(mail);
        self.signal.wake();
        true
    }

    /// No runs will follow: the instance ends once those it has are settled.
    pub fn retire(&self) {
        self.mail().retire = true;
        self.signal.wake();
    }

    /// The engine is closing: the instance ends now.
    pub fn abandon(&self) {
        self.mail().abandon = true;
        self.signal.wake();
    }

    pub fn next(&self) -> Option<Order> {
        self.mail().orders.pop_front()
    }

    pub fn has_orders(&self) -> bool {
        !self.mail().orders.is_empty()
    }

    pub fn is_retired(&self) -> bool {
        self.mail().retire
    }

    pub fn is_abandoned(&self) -> bool {
        self.mail().abandon
    }

    /// Takes nothing from here on; what was still waiting.
    pub fn close(&self) -> VecDeque<Order> {
        let mut mail = self.mail();
        mail.closed = true;
        std::mem::take(&mut mail.orders)
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands jobs from the instance's task to the closure inside the store, and says when that may end.
#[derive(Default)]
pub(crate) struct Inbox {
    jobs: Mutex<VecDeque<Job>>,
    states: Mutex<Vec<(Arc<Run>, Arc<JobState>)>>,
    closing: AtomicBool,
    /// The last job is a command.
    command: AtomicBool,
}

impl Inbox {
    pub fn push(&self, job: Job) {
        self.command.store(matches!(job.frame, Frame::Command { .. }), Ordering::Release);
        self.states().push((job.run.clone(), job.state.clone()));
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
    }

    pub fn pop(&self) -> Option<Job> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub fn is_command(&self) -> bool {
        self.command.load(Ordering::Acquire)
    }

    /// No job will be pushed any more.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// The store has nothing left to do: jobs that have finished are quiet.
    pub fn set_quiet(&self) {
        for (_, state) in self.states().iter() {
            if state.finished.load(Ordering::Acquire) {
                state.quiet.store(true, Ordering::Release);
            }
        }
    }

    /// A quiet store may be dropped once nobody writes into it and nobody reads out of it.
    pub fn may_end(&self) -> bool {
        if !self.closing.load(Ordering::Acquire) {
            return false;
        }
        self.states().iter().all(|(run, state)| state.answered.load(Ordering::Acquire) || run.input_is_over())
    }

    pub fn forget(&self, run: u64) {
        self.states().retain(|(other, _)| other.handle != run);
    }

    fn states(&self) -> MutexGuard<'_, Vec<(Arc<Run>, Arc<JobState>)>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

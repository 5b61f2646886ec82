//! The waker of one instance.
//!
//! An instance polls its store, its answers and its mailbox in one loop. Wakes that arrive while it polls
//! only set a flag, and the loop goes round again; wakes at any other time reschedule the task. So a guest
//! and the host side of its streams can hand over to each other many times without a trip through the
//! executor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use futures::task::AtomicWaker;

#[derive(Default)]
pub struct Signal {
    flag: AtomicBool,
    polling: AtomicBool,
    task: AtomicWaker,
}

impl Signal {
    pub fn wake(&self) {
        self.flag.store(true, Ordering::SeqCst);
        if !self.polling.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }

    /// Begins a poll of the task whose waker is given.
    pub fn enter(&self, waker: &Waker) {
        self.task.register(waker);
        self.polling.store(true, Ordering::SeqCst);
        self.flag.store(false, Ordering::SeqCst);
    }

    /// From here on wakes only set the flag, until somebody has polled or leaves.
    pub fn hold(&self) {
        self.polling.store(true, Ordering::SeqCst);
    }

    /// Begins another round; true if something happened since the last one began.
    pub fn take(&self) -> bool {
        self.flag.swap(false, Ordering::SeqCst)
    }

    /// Ends a poll; true if a wake came in and must not be lost, so that the caller polls again.
    pub fn leave(&self) -> bool {
        self.polling.store(false, Ordering::SeqCst);
        self.flag.load(Ordering::SeqCst)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        Signal::wake(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Signal::wake(self);
    }
}

//! Where the task of an instance lies between polls: its executor's to poll, or whoever's that waits for it just now.
//!
//! A guest that calls another one waits for nothing but that. Handed over by the executor, the call takes two trips through its
//! queues, and often wakes a second thread that finds nothing to do: several times what the call itself takes. So the caller
//! takes the callee's task from its desk, and polls it itself once its own store is at rest.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

use crate::signal::Signal;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Desk {
    lying: Mutex<Lying>,
    /// The executor wanted to poll it while somebody else had it.
    missed: AtomicBool,
    /// The instance's own.
    signal: Arc<Signal>,
}

#[derive(Default)]
struct Lying {
    /// None: somebody polls it, or it has ended.
    work: Option<Work>,
    has_ended: bool,
    /// The executor's.
    waker: Option<Waker>,
}

/// A task that was taken from its desk; it is put back in the end.
pub(crate) struct Taken {
    desk: Arc<Desk>,
    work: Option<Work>,
    waker: Waker,
    /// Nobody else hears of what it was woken for until it was polled.
    polled: bool,
}

impl Desk {
    /// Has the executor run the task, which knows its own desk.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(threads: &Handle, signal: Arc<Signal>, work: impl FnOnce(Weak<Desk>) -> F) {
        let desk = Arc::new(Self { lying: Mutex::default(), missed: AtomicBool::new(false), signal });
        // It counts its own rounds, and a guest's time by ticks: what tokio would add makes it wait in the middle of a call.
        desk.lock().work = Some(Box::pin(tokio::task::unconstrained(work(Arc::downgrade(&desk)))));
        threads.spawn(std::future::poll_fn(move |cx| desk.poll(cx)));
    }

    fn poll(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        let work = {
            let mut lying = self.lock();
            if lying.has_ended {
                return Poll::Ready(());
            }
            match &mut lying.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => lying.waker = Some(cx.waker().clone()),
            }
            lying.work.take()
        };
        let Some(mut work) = work else {
            self.missed.store(true, Ordering::SeqCst);
            // It may have been put back in between, by somebody who did not see that yet.
            if self.lock().work.is_some() {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        };
        crate::instance::nothing_handed();
        let polled = work.as_mut().poll(cx);
        let mut lying = self.lock();
        match polled {
            Poll::Ready(()) => lying.has_ended = true,
            Poll::Pending => lying.work = Some(work),
        }
        polled
    }

    /// The task, if it lies there; until it is put back, its instance is not woken by what comes up for it.
    pub fn take(self: &Arc<Self>) -> Option<Taken> {
        let mut lying = self.lock();
        let waker = lying.waker.clone()?;
        let work = lying.work.take()?;
        drop(lying);
        self.signal.hold();
        Some(Taken { desk: self.clone(), work: Some(work), waker, polled: false })
    }

    fn lock(&self) -> MutexGuard<'_, Lying> {
        self.lying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Polls it once, in its executor's name.
    pub fn poll(&mut self) {
        let Some(work) = &mut self.work else { return };
        self.polled = true;
        if work.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready() {
            self.work = None;
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut lying = self.desk.lock();
        lying.has_ended = self.work.is_none();
        lying.work = self.work.take();
        let has_ended = lying.has_ended;
        drop(lying);
        if !self.polled {
            self.desk.signal.leave();
        }
        if self.desk.missed.swap(false, Ordering::SeqCst) || has_ended || !self.polled {
            self.waker.wake_by_ref();
        }
    }
}

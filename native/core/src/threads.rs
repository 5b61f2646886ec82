//! Threads that execute guests: everybody's, and those of reserved cells.
//!
//! A reserve is worth little when the runs of others have the processors. As soon as there is a reserved cell, its
//! instances have threads of their own, and everybody else's go behind them (and behind the owner's thread) wherever
//! the system can be told so. Without reserved cells nothing is different.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

pub(crate) struct Threads {
    common: Option<Runtime>,
    reserved: OnceLock<Runtime>,
    count: usize,
    yielding: Arc<Yielding>,
}

/// Everybody's threads, and whether they go behind.
#[derive(Default)]
struct Yielding {
    threads: Mutex<Vec<priority::Thread>>,
    is_on: AtomicBool,
}

impl Threads {
    /// `count` threads; 0 = as many as there are cores.
    pub fn start(count: usize) -> std::io::Result<Self> {
        let yielding = Arc::new(Yielding::default());
        let of_thread = yielding.clone();
        let common = builder(count, "pilotlight").on_thread_start(move || of_thread.enter()).build()?;
        Ok(Self { common: Some(common), reserved: OnceLock::new(), count, yielding })
    }

    /// Everybody's.
    pub fn common(&self) -> Option<&Handle> {
        self.common.as_ref().map(Runtime::handle)
    }

    /// Those of reserved cells, started when they are first asked for; everybody's where they cannot be.
    pub fn reserved(&self) -> Option<&Handle> {
        if self.reserved.get().is_none()
            && let Ok(runtime) = builder(self.count, "pilotlight-res").build()
        {
            self.yielding.begin();
            // Another thread may have been quicker; a runtime must not be dropped where tasks run.
            if let Err(second) = self.reserved.set(runtime) {
                second.shutdown_background();
            }
        }
        self.reserved.get().map(Runtime::handle).or_else(|| self.common())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Tasks that still run are dropped at their next wait; a guest yields at least every tick.
        if let Some(runtime) = self.common.take() {
            runtime.shutdown_background();
        }
        if let Some(runtime) = self.reserved.take() {
            runtime.shutdown_background();
        }
    }
}

impl Yielding {
    fn enter(&self) {
        let thread = priority::current();
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        // Seen by one of the two: whoever begins looks at the list after it has said so.
        if self.is_on.load(Ordering::SeqCst) {
            priority::lower(thread);
        }
    }

    fn begin(&self) {
        self.is_on.store(true, Ordering::SeqCst);
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            priority::lower(*thread);
        }
    }
}

fn builder(count: usize, name: &str) -> Builder {
    let mut builder = Builder::new_multi_thread();
    if count > 0 {
        builder.worker_threads(count);
    }
    builder.thread_name(name).enable_all();
    builder
}

#[cfg(target_os = "linux")]
mod priority {
    /// A weight of about a tenth of the usual one, for the scheduler.
    const NICE: i32 = 10;

    pub type Thread = i32;

    pub fn current() -> Thread {
        // Sound: no arguments, and cannot fail.
        unsafe { libc::gettid() }
    }

    /// A thread that has ended by now, or is another process's, is none of ours to care about: it is not there, or refused.
    pub fn lower(thread: Thread) {
        // Sound: plain numbers; Linux takes a thread's id here.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, thread as libc::id_t, NICE) };
    }
}

#[cfg(not(target_os = "linux"))]
mod priority {
    pub type Thread = ();

    pub fn current() -> Thread {}

    pub fn lower(_: Thread) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn nice_of(handle: &Handle) -> i32 {
        let (sender, receiver) = std::sync::mpsc::channel();
        handle.spawn(async move {
            // Sound: asks for the priority of the calling thread.
            let _ = sender.send(unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) });
        });
        receiver.recv().unwrap()
    }

    #[test]
    fn everybodys_threads_go_behind_once_there_are_reserved_ones() {
        let threads = Threads::start(1).unwrap();
        let before = nice_of(threads.common().unwrap());
        assert_eq!(nice_of(threads.reserved().unwrap()), before);
        assert_eq!(nice_of(threads.common().unwrap()), before + 10);
    }
}

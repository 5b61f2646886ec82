//! How quick a program's calls are, of all its instances: quick ones may be made by whoever asks.
//!
//! What a guard takes is often less than handing it to another thread. So the owner's own thread polls it, where it has been quick for
//! long enough. One that then takes its time holds up everybody, for a tick at most; it is not trusted again for so much longer.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// So little is no hindrance.
const QUICK: Duration = Duration::from_micros(100);
/// So much is one.
const SLOW: Duration = Duration::from_millis(1);
/// Quick calls in a row, at first and at the most.
const NEEDED: u32 = 50;
const MOST_NEEDED: u32 = 1_000_000;

pub(crate) struct Pace {
    /// Quick calls since the last slow one.
    quick: AtomicU32,
    needed: AtomicU32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { quick: AtomicU32::new(0), needed: AtomicU32::new(NEEDED) }
    }
}

impl Pace {
    pub fn is_quick(&self) -> bool {
        self.quick.load(Ordering::Relaxed) >= self.needed.load(Ordering::Relaxed)
    }

    /// A call has taken so much CPU time.
    pub fn note(&self, cpu: Duration) {
        if cpu <= QUICK {
            self.quick.fetch_add(1, Ordering::Relaxed);
        } else if cpu >= SLOW {
            self.quick.store(0, Ordering::Relaxed);
            let needed = self.needed.load(Ordering::Relaxed);
            self.needed.store(needed.saturating_mul(4).min(MOST_NEEDED), Ordering::Relaxed);
        } else {
            // Neither: it stays where it is, and is handed on.
            self.quick.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_takes_a_while_and_longer_after_each_time_that_it_was_misused() {
        let pace = Pace::default();
        let quick = |count: u32| (0..count).for_each(|_| pace.note(Duration::from_micros(3)));
        quick(49);
        assert!(!pace.is_quick());
        quick(1);
        assert!(pace.is_quick());
        pace.note(Duration::from_millis(10));
        quick(199);
        assert!(!pace.is_quick());
        quick(1);
        assert!(pace.is_quick());
        for _ in 0..20 {
            pace.note(Duration::from_millis(10));
        }
        quick(999_999);
        assert!(!pace.is_quick());
        // What is neither quick nor slow costs no more than the trust that it had.
        let pace = Pace::default();
        (0..50).for_each(|_| pace.note(Duration::ZERO));
        pace.note(Duration::from_micros(500));
        assert!(!pace.is_quick());
        (0..50).for_each(|_| pace.note(Duration::ZERO));
        assert!(pace.is_quick());
    }
}

//! Counting what a store holds: the sum of its linear memories and tables against its limit and the node's count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

/// Bytes of one table element in the host.
const TABLE_ELEMENT: u64 = size_of::<usize>() as u64;

/// Refuses growth past the limit on the *sum* over a component's memories and tables, which
/// wasmtime's own `StoreLimits` does not know. Gives its bytes back to the node's count when dropped.
pub struct MemoryMeter {
    limit: u64,
    held: u64,
    /// Readable while the store is borrowed.
    peak: Arc<AtomicU64>,
    denied: Option<u64>,
    node: Arc<AtomicU64>,
}

impl MemoryMeter {
    pub fn new(limit: u64, node: Arc<AtomicU64>) -> Self {
        Self { limit, held: 0, peak: Arc::default(), denied: None, node }
    }

    /// The highest sum so far, in bytes.
    pub fn peak_gauge(&self) -> Arc<AtomicU64> {
        self.peak.clone()
    }

    /// What the last refused growth would have come to, and the limit, since the last [`MemoryMeter::forgive`].
    pub fn denied(&self) -> Option<(u64, u64)> {
        self.denied.map(|wanted| (wanted, self.limit))
    }

    /// Forgets a refusal: a new run begins on the instance.
    pub fn forgive(&mut self) {
        self.denied = None;
    }

    fn grow(&mut self, bytes: u64) -> bool {
        let wanted = self.held.saturating_add(bytes);
        if wanted > self.limit {
            self.denied = Some(wanted);
            return false;
        }
        self.held = wanted;
        self.peak.fetch_max(wanted, Ordering::Relaxed);
        self.node.fetch_add(bytes, Ordering::Relaxed);
        true
    }
}

impl Drop for MemoryMeter {
    fn drop(&mut self) {
        self.node.fetch_sub(self.held, Ordering::Relaxed);
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current) as u64))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow((desired.saturating_sub(current) as u64).saturating_mul(TABLE_ELEMENT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_on_the_sum_of_all_memories_and_is_given_back() {
        let node = Arc::new(AtomicU64::new(0));
        let mut meter = MemoryMeter::new(300, node.clone());
        assert!(meter.memory_growing(0, 100, None).unwrap());
        assert!(meter.memory_growing(0, 150, None).unwrap());
        assert!(!meter.memory_growing(150, 250, None).unwrap());
        assert_eq!(meter.denied(), Some((350, 300)));
        assert!(meter.table_growing(0, 6, None).unwrap());
        assert_eq!((meter.peak_gauge().load(Ordering::Relaxed), node.load(Ordering::Relaxed)), (298, 298));
        drop(meter);
        assert_eq!(node.load(Ordering::Relaxed), 0);
    }
}

//! Counting what a store holds: the sum of its linear memories and tables against its limit and its cell's, and in the
//! node's count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use crate::cells::Share;
use crate::outcome::Limit;
use crate::trace::{Trace, note};

/// Bytes of one table element in the host.
const TABLE_ELEMENT: u64 = size_of::<usize>() as u64;

/// Refuses growth past the limit on the *sum* over a component's memories and tables, which
/// wasmtime's own `StoreLimits` does not know. Gives its bytes back to the cell and the node's count when dropped.
pub struct MemoryMeter {
    limit: u64,
    held: u64,
    /// Readable while the store is borrowed.
    peak: Arc<AtomicU64>,
    denied: Option<Denied>,
    node: Arc<AtomicU64>,
    cell: Option<Share>,
    trace: Arc<Trace>,
}

/// Growth that was refused: by which limit, what it would have come to there, and what that limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    pub limit: Limit,
    pub used: u64,
    pub allowed: u64,
}

impl MemoryMeter {
    pub(crate) fn new(limit: u64, node: Arc<AtomicU64>, cell: Option<Share>, trace: Arc<Trace>) -> Self {
        Self { limit, held: 0, peak: Arc::default(), denied: None, node, cell, trace }
    }

    /// A run begins. From the first one on the cell counts what the store holds.
    pub fn begin(&mut self) {
        if let Some(cell) = &mut self.cell {
            cell.begin(self.held);
        }
    }

    /// Linear memories and tables, in bytes.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// The highest sum so far, in bytes.
    pub fn peak_gauge(&self) -> Arc<AtomicU64> {
        self.peak.clone()
    }

    /// The last growth that was refused since the last [`MemoryMeter::forgive`].
    pub fn denied(&self) -> Option<Denied> {
        self.denied
    }

    /// Forgets a refusal: a new run begins on the instance.
    pub fn forgive(&mut self) {
        self.denied = None;
    }

    /// `unit` is the size of one of what there may be `maximum` of by the memory's or table's own declaration: growth past
    /// that fails in any case, and what did not come about must not be counted.
    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>, unit: u64) -> bool {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        let bytes = (desired.saturating_sub(current) as u64).saturating_mul(unit);
        let wanted = self.held.saturating_add(bytes);
        if wanted > self.limit {
            self.denied = Some(Denied { limit: Limit::Memory, used: wanted, allowed: self.limit });
            self.trace.note(note::SHORT);
            return false;
        }
        if let Some(Err(full)) = self.cell.as_mut().map(|cell| cell.grow(bytes)) {
            self.denied = Some(Denied { limit: Limit::CellMemory, used: full.wanted, allowed: full.limit });
            self.trace.note(note::SHORT);
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
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, maximum, 1))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, maximum, TABLE_ELEMENT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::Cells;

    #[test]
    fn the_limit_is_on_the_sum_of_all_memories_and_is_given_back() {
        let node = Arc::new(AtomicU64::new(0));
        let mut meter = MemoryMeter::new(300, node.clone(), None, Arc::default());
        assert!(meter.memory_growing(0, 100, None).unwrap());
        assert!(meter.memory_growing(0, 150, None).unwrap());
        assert!(!meter.memory_growing(150, 250, None).unwrap());
        assert_eq!(meter.denied(), Some(Denied { limit: Limit::Memory, used: 350, allowed: 300 }));
        assert!(meter.table_growing(0, 6, None).unwrap());
        assert_eq!((meter.peak_gauge().load(Ordering::Relaxed), node.load(Ordering::Relaxed)), (298, 298));
        drop(meter);
        assert_eq!(node.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn growth_past_what_a_memory_declares_fails_and_counts_nowhere() {
        let node = Arc::new(AtomicU64::new(0));
        let mut meter = MemoryMeter::new(300, node.clone(), None, Arc::default());
        assert!(meter.memory_growing(0, 100, Some(200)).unwrap());
        assert!(!meter.memory_growing(100, 201, Some(200)).unwrap());
        assert!(!meter.table_growing(0, 3, Some(2)).unwrap());
        assert_eq!((meter.held(), meter.denied(), node.load(Ordering::Relaxed)), (100, None, 100));
        assert!(meter.memory_growing(100, 200, Some(200)).unwrap());
    }

    #[test]
    fn growth_past_the_cell_is_refused_from_the_first_run_on_and_blamed_on_the_cell() {
        let (node, cells) = (Arc::new(AtomicU64::new(0)), Cells::default());
        cells.set(1, 200, false);
        let held = || cells.usage()[0].held;
        let share = Share::new(cells.get(1).unwrap(), Some(10));
        let mut meter = MemoryMeter::new(300, node.clone(), Some(share), Arc::default());
        assert!(meter.memory_growing(0, 250, None).unwrap());
        assert_eq!((held(), node.load(Ordering::Relaxed)), (10, 250));
        meter.begin();
        assert_eq!(held(), 250);
        // The instance's own limit is looked at first: the cell is not asked.
        assert!(!meter.memory_growing(250, 301, None).unwrap());
        assert_eq!(meter.denied(), Some(Denied { limit: Limit::Memory, used: 301, allowed: 300 }));
        assert_eq!(cells.usage()[0].refusals, 0);
        assert!(!meter.memory_growing(250, 260, None).unwrap());
        assert_eq!(meter.denied(), Some(Denied { limit: Limit::CellMemory, used: 260, allowed: 200 }));
        assert_eq!((held(), meter.held(), node.load(Ordering::Relaxed), cells.usage()[0].refusals), (250, 250, 250, 1));
        meter.forgive();
        assert_eq!(meter.denied(), None);
        cells.set(1, 260, false);
        assert!(meter.memory_growing(250, 260, None).unwrap());
        drop(meter);
        assert_eq!((held(), node.load(Ordering::Relaxed)), (0, 0));
    }
}

//! Cells: shares of the node's memory that instances count in, all of a cell against one limit.
//!
//! A cell refuses growth while instances run, and nothing else: whether there is room for one more instance, the owner
//! decides, who may put in what he likes. [`crate::meter`] knows what an instance has.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

pub(crate) struct Cell {
    id: u32,
    /// For one tenant alone, whose instances have threads of their own.
    reserved: bool,
    limit: AtomicU64,
    held: AtomicU64,
    instances: AtomicU64,
    refusals: AtomicU64,
}

/// A reading of a cell. `refusals` are the growths that it refused, ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellUsage {
    pub cell: u32,
    pub limit: u64,
    pub held: u64,
    pub instances: u64,
    pub refusals: u64,
}

/// Growth that would not have fitted: what the cell would hold, and what it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CellFull {
    pub wanted: u64,
    pub limit: u64,
}

impl Cell {
    fn new(id: u32, limit: u64, reserved: bool) -> Self {
        Self { id, reserved, limit: limit.into(), held: 0.into(), instances: 0.into(), refusals: 0.into() }
    }

    /// Counts growth, unless the cell would hold more than it may: two that grow at once never pass the limit together.
    fn grow(&self, bytes: u64) -> Result<(), CellFull> {
        let limit = self.limit.load(Ordering::Relaxed);
        let fits = |held: u64| held.checked_add(bytes).filter(|wanted| *wanted <= limit);
        match self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(held) => {
                self.refusals.fetch_add(1, Ordering::Relaxed);
                Err(CellFull { wanted: held.saturating_add(bytes), limit })
            }
        }
    }

    fn usage(&self) -> CellUsage {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CellUsage {
            cell: self.id,
            limit: read(&self.limit),
            held: read(&self.held),
            instances: read(&self.instances),
            refusals: read(&self.refusals),
        }
    }
}

/// The cells that the owner has made, by number. Number 0 stands for none.
#[derive(Default)]
pub(crate) struct Cells(RwLock<HashMap<u32, Arc<Cell>>>);

impl Cells {
    /// Makes a cell, or gives one another limit. One that holds more by now keeps it, and grows no further.
    /// Whether it is reserved is said when it is made.
    pub fn set(&self, id: u32, limit: u64, reserved: bool) {
        let mut cells = self.0.write().unwrap_or_else(PoisonError::into_inner);
        cells.entry(id).or_insert_with(|| Arc::new(Cell::new(id, limit, reserved))).limit.store(limit, Ordering::Relaxed);
    }

    /// Forgets a cell. Instances that are in it count there until they go, and keep to its limit.
    pub fn close(&self, id: u32) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub fn get(&self, id: u32) -> Option<Arc<Cell>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// All of them, in the order of their numbers.
    pub fn usage(&self) -> Vec<CellUsage> {
        let mut usage: Vec<_> = self.0.read().unwrap_or_else(PoisonError::into_inner).values().map(|cell| cell.usage()).collect();
        usage.sort_unstable_by_key(|usage| usage.cell);
        usage
    }
}

/// How what one instance holds counts in its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It waits for its first run; a charge stands for what it has.
    Charged,
    /// The same, by what it has.
    Waiting,
    /// It has begun to run: by what it has, and growth may be refused.
    Running,
}

/// One instance's part of what a cell holds; given back when dropped.
pub(crate) struct Share {
    cell: Arc<Cell>,
    counted: u64,
    phase: Phase,
}

impl Share {
    pub fn is_reserved(&self) -> bool {
        self.cell.reserved
    }

    /// An instance that has not run yet. `charge` bytes stand for what it holds until it does.
    pub fn new(cell: Arc<Cell>, charge: Option<u64>) -> Self {
        let counted = charge.unwrap_or(0);
        cell.instances.fetch_add(1, Ordering::Relaxed);
        cell.held.fetch_add(counted, Ordering::Relaxed);
        Self { cell, counted, phase: if charge.is_some() { Phase::Charged } else { Phase::Waiting } }
    }

    pub fn grow(&mut self, bytes: u64) -> Result<(), CellFull> {
        match self.phase {
            Phase::Charged => return Ok(()),
            Phase::Waiting => {
                self.cell.held.fetch_add(bytes, Ordering::Relaxed);
            }
            Phase::Running => self.cell.grow(bytes)?,
        }
        self.counted += bytes;
        Ok(())
    }

    /// The first run begins: the `held` bytes of the instance count from now on, whether the cell has room for them or not.
    pub fn begin(&mut self, held: u64) {
        if self.phase == Phase::Running {
            return;
        }
        self.phase = Phase::Running;
        // In one step, up or down: nobody may see both counted, and be refused for it.
        self.cell.held.fetch_add(held.wrapping_sub(self.counted), Ordering::Relaxed);
        self.counted = held;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.cell.held.fetch_sub(self.counted, Ordering::Relaxed);
        self.cell.instances.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(limit: u64) -> Arc<Cell> {
        Arc::new(Cell::new(1, limit, false))
    }

    fn running(cell: &Arc<Cell>) -> Share {
        let mut share = Share::new(cell.clone(), None);
        share.begin(0);
        share
    }

    #[test]
    fn growth_past_the_limit_is_refused_and_counted_and_what_fits_is_not() {
        let cell = cell(100);
        let (mut one, mut other) = (running(&cell), running(&cell));
        assert_eq!(one.grow(60), Ok(()));
        assert_eq!(other.grow(41), Err(CellFull { wanted: 101, limit: 100 }));
        assert_eq!(other.grow(40), Ok(()));
        assert_eq!(one.grow(u64::MAX), Err(CellFull { wanted: u64::MAX, limit: 100 }));
        assert_eq!(cell.usage(), CellUsage { cell: 1, limit: 100, held: 100, instances: 2, refusals: 2 });
        drop(one);
        assert_eq!(cell.usage(), CellUsage { cell: 1, limit: 100, held: 40, instances: 1, refusals: 2 });
        drop(other);
        assert_eq!((cell.usage().held, cell.usage().instances), (0, 0));
    }

    #[test]
    fn an_instance_that_waits_counts_its_charge_and_from_its_first_run_what_it_has() {
        let cell = cell(100);
        let mut share = Share::new(cell.clone(), Some(30));
        assert_eq!(share.grow(500), Ok(()));
        assert_eq!(cell.usage().held, 30);
        share.begin(500);
        share.begin(7);
        assert_eq!((cell.usage().held, cell.usage().refusals), (500, 0));
        assert_eq!(share.grow(1), Err(CellFull { wanted: 501, limit: 100 }));
        drop(share);
        assert_eq!(cell.usage().held, 0);
    }

    #[test]
    fn one_that_waits_without_a_charge_counts_what_it_has_past_the_limit_too() {
        let cell = cell(100);
        let mut share = Share::new(cell.clone(), None);
        assert_eq!(share.grow(150), Ok(()));
        assert_eq!((cell.usage().held, cell.usage().refusals), (150, 0));
        share.begin(150);
        assert_eq!(cell.usage().held, 150);
    }

    #[test]
    fn a_limit_is_changed_in_place_and_a_cell_that_is_closed_goes_on_for_those_in_it() {
        let cells = Cells::default();
        cells.set(7, 100, false);
        cells.set(3, 1, false);
        let mut share = running(&cells.get(7).unwrap());
        assert_eq!(share.grow(80), Ok(()));
        cells.set(7, 50, false);
        assert_eq!(share.grow(1), Err(CellFull { wanted: 81, limit: 50 }));
        cells.set(7, 200, false);
        assert_eq!(share.grow(100), Ok(()));
        assert_eq!(cells.usage().iter().map(|usage| (usage.cell, usage.held)).collect::<Vec<_>>(), [(3, 0), (7, 180)]);
        cells.close(7);
        cells.close(7);
        assert!(cells.get(7).is_none());
        assert_eq!(share.grow(21), Err(CellFull { wanted: 201, limit: 200 }));
        cells.set(7, 10, false);
        drop(share);
        assert_eq!(cells.get(7).unwrap().usage(), CellUsage { cell: 7, limit: 10, held: 0, instances: 0, refusals: 0 });
    }

    #[test]
    fn instances_that_grow_at_once_never_pass_the_limit_together() {
        let cell = cell(1000);
        let granted: u64 = std::thread::scope(|scope| {
            let grow = || {
                let mut share = running(&cell);
                let granted = (0..5000).filter(|_| share.grow(3).is_ok()).count() as u64 * 3;
                assert!(cell.usage().held <= 1000);
                std::mem::forget(share);
                granted
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(grow)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, 999);
        assert_eq!((cell.usage().held, cell.usage().refusals), (999, 4 * 5000 - 333));
    }
}

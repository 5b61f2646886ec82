//! What an unused instance of a program holds: a few are made for it, the process is looked at after each, and all go.
//!
//! The process's anonymous memory is read from `smaps_rollup`, which walks the page tables. `statm` would be cheaper, but
//! it lags behind by up to 128 KiB a core, and a small instance holds less. Anonymous, because the pages of a component's
//! code and of its initial memory that no instance has written are there once for all of them. Where a slot of the pool was
//! used before and kept some memory, a new instance takes it over and the process does not grow; so what lies in unused
//! slots is taken off each reading. The rest of the process allocates meanwhile, too: the largest and the smallest step
//! are left out, and the sizes of the instance's memories bound the result.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;

use crate::engine::Shared;
use crate::host::Host;
use crate::instance::{Counted, store};
use crate::outcome::blame;
use crate::program::Program;

/// Instances that are made, where there is room for twice as many.
const INSTANCES: usize = 8;
/// How long making them may take, all together.
const TIME: Duration = Duration::from_secs(2);
/// No instance holds less: its bookkeeping in the host and the first pages of its stack.
const FLOOR: u64 = 32 * 1024;
/// What an instance may hold beside its linear memories and tables.
const SLACK: u64 = 64 * 1024;

/// An instance that nobody will run.
struct Sample {
    store: Store<Host>,
    _permit: OwnedSemaphorePermit,
    _count: Counted,
}

/// Bytes. Blocks the thread; the instances are gone when it returns.
pub(crate) fn measure(shared: &Arc<Shared>, program: &Arc<Program>, runtime: &Handle) -> Result<u64, String> {
    let deadline = Instant::now() + TIME;
    // Runs that come meanwhile find as much room again as is taken here.
    let wanted = shared.permits.available_permits().div_ceil(2).min(INSTANCES);
    let mut samples: Vec<Sample> = Vec::with_capacity(INSTANCES);
    let mut readings = Vec::with_capacity(INSTANCES + 1);
    readings.extend(resident(shared));
    while samples.len() < wanted && !shared.is_closing() {
        let Ok(permit) = shared.permits.clone().try_acquire_owned() else { break };
        match sample(shared, program, runtime, permit, deadline) {
            Ok(sample) => samples.push(sample),
            // A few are better than none.
            Err(_) if !samples.is_empty() => break,
            Err(message) => return Err(format!("no instance can be made to measure: {message}")),
        }
        readings.extend(resident(shared));
    }
    if samples.is_empty() {
        return Err("no instance can be made to measure: every instance of the node is in use".into());
    }
    let linear = samples.iter().map(|sample| sample.store.data().memory.held()).max().unwrap_or(0);
    Ok(estimate(&readings, linear))
}

fn sample(
    shared: &Arc<Shared>,
    program: &Arc<Program>,
    runtime: &Handle,
    permit: OwnedSemaphorePermit,
    deadline: Instant,
) -> Result<Sample, String> {
    let host = Host::unheard(shared, program).map_err(|error| format!("{error:#}"))?;
    let count = Counted::new(shared);
    let mut store = store(host, Arc::new(AtomicBool::new(false)));
    let making = program.pre.instantiate_async(&mut store);
    let made = runtime.block_on(async { tokio::time::timeout_at(deadline.into(), making).await });
    match made {
        Ok(Ok(_)) => Ok(Sample { store, _permit: permit, _count: count }),
        Ok(Err(error)) => Err(blame(&error, store.data().evidence()).reason()),
        Err(_) => Err(format!("it was not ready within {} ms", TIME.as_millis())),
    }
}

/// Bytes that one instance added, from readings before the first and after each. Without readings: `linear`, the sizes of
/// its memories and tables.
fn estimate(readings: &[i64], linear: u64) -> u64 {
    let mut steps: Vec<i64> = readings.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if steps.is_empty() {
        return linear.max(FLOOR);
    }
    steps.sort_unstable();
    let usual = if steps.len() < 4 { &steps[..] } else { &steps[1..steps.len() - 1] };
    let mean = usual.iter().sum::<i64>() / usual.len() as i64;
    u64::try_from(mean).unwrap_or(0).clamp(FLOOR, linear + SLACK)
}

/// Anonymous memory of the process without what lies in unused slots of the pool, in bytes.
fn resident(shared: &Shared) -> Option<i64> {
    let unused = shared.engine.pooling_allocator_metrics().map_or(0, |pool| {
        let stacks = pool.unused_stack_bytes_resident().unwrap_or(0);
        pool.unused_memory_bytes_resident() + pool.unused_table_bytes_resident() + stacks
    });
    anonymous(&std::fs::read_to_string("/proc/self/smaps_rollup").ok()?).map(|bytes| bytes - unused as i64)
}

/// `Pss_Anon`, or `Anonymous` on Linux before 5.9, of a `smaps_rollup`, in bytes.
fn anonymous(rollup: &str) -> Option<i64> {
    let field = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<i64>().ok().map(|kib| kib * 1024)
    };
    field("Pss_Anon").or_else(|| field("Anonymous"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: i64 = 1024;

    #[test]
    fn a_step_out_of_the_usual_is_left_out_on_either_side() {
        let readings = [0, 100, 200, 9000, 9100, 5000, 5100, 5200, 5300].map(|kib| kib * KIB);
        assert_eq!(estimate(&readings, 1 << 20), 100 * 1024);
    }

    #[test]
    fn no_result_is_below_the_floor_or_far_above_the_memories() {
        assert_eq!(estimate(&[0, 0, 0], 1 << 20), FLOOR);
        assert_eq!(estimate(&[900, 500, 0], 1 << 20), FLOOR);
        assert_eq!(estimate(&[0, 1 << 30, 2 << 30], 1 << 20), (1 << 20) + SLACK);
        assert_eq!(estimate(&[0, 1 << 30], 0), SLACK);
    }

    #[test]
    fn without_readings_it_is_the_size_of_the_memories() {
        assert_eq!(estimate(&[], 1 << 20), 1 << 20);
        assert_eq!(estimate(&[5], 10), FLOOR);
    }

    #[test]
    fn anonymous_memory_is_read_from_either_kind_of_rollup() {
        let new = "00400000-7fff [rollup]\nRss:  9 kB\nPss_Anon:             112 kB\nAnonymous:           120 kB\n";
        let old = "00400000-7fff [rollup]\nRss:  9 kB\nAnonymous:           120 kB\n";
        assert_eq!(anonymous(new), Some(112 * KIB));
        assert_eq!(anonymous(old), Some(120 * KIB));
        assert_eq!(anonymous("Rss:  9 kB\n"), None);
    }
}

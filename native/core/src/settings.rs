//! What the owner says about the engine as a whole.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::kv;

/// The engine's clock beat: the resolution of CPU limits and the longest a loop runs before others may.
pub const TICK: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Where compiled components are kept; nothing is kept without.
    pub cache: Option<PathBuf>,
    /// Most instances at once.
    pub instances: u32,
    /// Threads that run guests; 0 = as many as there are cores.
    pub threads: usize,
    /// Bytes of an instance's memory and tables that stay mapped when it is reset.
    pub keep_resident_bytes: usize,
    /// Takes memory as it is needed instead of from a pool: for one component of any shape, rather than many instances.
    pub on_demand: bool,
    /// Trap messages name the guest's functions. Costs on every trap.
    pub backtraces: bool,
    /// Where key-value data is; in memory unless it is said.
    #[serde(default)]
    pub key_value: kv::Settings,
}

/// How instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocator {
    Pooling,
    OnDemand,
}

/// Builds the wasmtime engine: pooling where the machine has the address space for it, on demand otherwise.
pub fn engine(settings: &Settings) -> wasmtime::Result<(Engine, Allocator)> {
    if settings.on_demand {
        return Ok((Engine::new(&base(settings))?, Allocator::OnDemand));
    }
    let mut config = base(settings);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings)));
    match Engine::new(&config) {
        Ok(engine) => Ok((engine, Allocator::Pooling)),
        Err(_) => Ok((Engine::new(&base(settings))?, Allocator::OnDemand)),
    }
}

fn base(settings: &Settings) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .wasm_component_model_async_stackful(true)
        .wasm_component_model_more_async_builtins(true)
        .epoch_interruption(true)
        // Epoch checks make frames larger; recursion that fits elsewhere should fit here.
        .max_wasm_stack(1 << 20)
        .wasm_backtrace_max_frames(settings.backtraces.then(|| 20.try_into().expect("20 is not zero")));
    config
}

fn pool(settings: &Settings) -> PoolingAllocationConfig {
    let n = settings.instances;
    let mut pool = PoolingAllocationConfig::default();
    // Large JavaScript and Python guests need big core instances, long tables and several of each.
    pool.total_component_instances(n)
        .total_core_instances(n.saturating_mul(4).max(64))
        .total_memories(n.saturating_add(n / 8).max(64))
        .total_tables(n.saturating_mul(2).max(128))
        .total_stacks(n.saturating_mul(2).max(64))
        .total_gc_heaps((n / 8).max(16))
        .max_core_instances_per_component(100)
        .max_memories_per_component(100)
        .max_tables_per_component(100)
        .max_core_instance_size(10 << 20)
        .max_component_instance_size(10 << 20)
        .table_elements(100_000)
        .max_memories_per_module(2)
        .max_tables_per_module(4)
        .linear_memory_keep_resident(settings.keep_resident_bytes)
        .table_keep_resident(settings.keep_resident_bytes / 4)
        // Resets only the pages a guest has written; without it the reset is a memset of all that is kept.
        .pagemap_scan(Enabled::Auto);
    pool
}

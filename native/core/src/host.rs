//! The data of one store: what WASI and the host capabilities know about the instance in it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::cells::Share;
use crate::desk::{Desk, Taken};
use crate::engine::Shared;
use crate::events::Origin;
use crate::guestlog::{GuestLog, LogStream};
use crate::kv::Kv;
use crate::meter::MemoryMeter;
use crate::outbound::{Hooks, address_allowed};
use crate::outcome::Evidence;
use crate::program::{Program, Stdio};
use crate::sessions::Waiting;
use crate::sidecars::Bound;
use crate::trace::{Clock, Random, Trace, note};

pub struct Host {
    table: ResourceTable,
    wasi: WasiCtx,
    stdio: Stdio,
    http: WasiHttpCtx,
    hooks: Hooks,
    pub(crate) memory: MemoryMeter,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) program: Arc<Program>,
    pub(crate) shared: Arc<Shared>,
    /// The run that holds the instance, for asks; `None` when several share it.
    pub(crate) run: Option<u64>,
    /// Of the tasks that the run has called.
    pub(crate) sessions: Arc<Waiting>,
    /// Its own task's, and tasks of others that it has taken to poll when it is at rest.
    pub(crate) desk: Weak<Desk>,
    pub(crate) taken: Arc<Mutex<Vec<Taken>>>,
    /// Sidecars that serve its imports, for the run that it has.
    pub(crate) bound: Vec<Arc<Bound>>,
    /// What it reads and does that results depend on.
    pub(crate) trace: Arc<Trace>,
    /// Of a sidecar: the trace of the run that it is called for.
    pub(crate) serving: Option<Arc<Trace>>,
}

impl Host {
    /// Fails when a granted directory cannot be opened.
    pub(crate) fn new(shared: &Arc<Shared>, program: &Arc<Program>, slot: u32, cell: Option<Share>) -> wasmtime::Result<Self> {
        let log = GuestLog::new(slot, program.spec.limits.log_bytes, program.log_rate.clone(), shared.clone());
        Self::with_log(shared, program, log, program.spec.stdio, cell)
    }

    /// For an instance that no run will see: what it writes goes nowhere.
    pub(crate) fn unheard(shared: &Arc<Shared>, program: &Arc<Program>) -> wasmtime::Result<Self> {
        let log = GuestLog::new(u32::MAX, 0, program.log_rate.clone(), shared.clone());
        Self::with_log(shared, program, log, Stdio::Capture, None)
    }

    fn with_log(
        shared: &Arc<Shared>,
        program: &Arc<Program>,
        log: Arc<GuestLog>,
        stdio: Stdio,
        cell: Option<Share>,
    ) -> wasmtime::Result<Self> {
        let spec = &program.spec;
        let mut table = ResourceTable::new();
        table.set_max_capacity(spec.limits.handles as usize);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(spec.limits.header_bytes as usize);
        let trace = Arc::<Trace>::default();
        Ok(Self {
            table,
            wasi: wasi(program, &log, stdio, &trace, &spec.arguments)?,
            stdio,
            http,
            hooks: Hooks::new(program.outbound.clone(), trace.clone()),
            memory: MemoryMeter::new(spec.limits.memory_bytes, shared.counts.guest_bytes.clone(), cell, trace.clone()),
            log,
            program: program.clone(),
            shared: shared.clone(),
            run: None,
            sessions: Arc::default(),
            desk: Weak::new(),
            taken: Arc::default(),
            bound: Vec::new(),
            trace,
            serving: None,
        })
    }

    /// Arguments of the run that begins: the instance was made before anybody knew them, and has not looked.
    pub(crate) fn be_given(&mut self, arguments: Vec<String>) -> wasmtime::Result<()> {
        self.wasi = wasi(&self.program, &self.log, self.stdio, &self.trace, &arguments)?;
        Ok(())
    }

    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// The resources, the key-value data, and where to note what is read of it.
    pub(crate) fn reading(&mut self) -> (&mut ResourceTable, &Arc<Kv>, &Trace) {
        (&mut self.table, &self.shared.kv, &self.trace)
    }

    pub(crate) fn value_limits(&self) -> crate::values::Limits {
        crate::values::Limits::of_bytes(self.program.spec.limits.value_bytes as usize)
    }

    /// Takes the task of an instance that is about to be called, to be polled as soon as this one waits for it.
    pub(crate) fn take(&self, desk: &Weak<Desk>) {
        if let Some(taken) = desk.upgrade().and_then(|desk| desk.take()) {
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
        }
    }

    pub(crate) fn evidence(&self) -> Evidence {
        let limits = &self.program.spec.limits;
        Evidence {
            memory_denied: self.memory.denied(),
            handle_limit: limits.handles,
            header_limit: limits.header_bytes,
            value_limit: limits.value_bytes,
        }
    }
}

fn wasi(program: &Program, log: &Arc<GuestLog>, stdio: Stdio, trace: &Arc<Trace>, arguments: &[String]) -> wasmtime::Result<WasiCtx> {
    let spec = &program.spec;
    let mut builder = WasiCtx::builder();
    builder.wall_clock(Clock(trace.clone())).secure_random(Random(trace.clone())).insecure_random(Random(trace.clone()));
    builder.envs(&spec.environment).args(arguments);
    match stdio {
        Stdio::Inherit => {
            builder.inherit_stdio();
        }
        Stdio::Capture => {
            builder
                .stdout(LogStream { log: log.clone(), origin: Origin::Stdout })
                .stderr(LogStream { log: log.clone(), origin: Origin::Stderr });
        }
    }
    for directory in &spec.directories {
        let permissions = if directory.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        builder.preopened_dir(&directory.host, &directory.guest, permissions)?;
    }
    if spec.sockets {
        builder.inherit_network().allow_tcp(true).allow_udp(true).allow_ip_name_lookup(true);
        let (any, trace) = (spec.outbound.any_address, trace.clone());
        // What outbound HTTP may not reach, a socket may not either.
        builder.socket_addr_check(move |address, _use| {
            trace.note(note::SOCKETS);
            Box::pin(async move { any || address_allowed(address.ip()) })
        });
    } else {
        builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    }
    Ok(builder.build())
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

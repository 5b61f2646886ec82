//! The engine: one wasmtime engine, one executor, one table of slots, one queue of events.
//!
//! It obeys: instances are named by the owner as (slot, generation), and nothing is made, refilled or retired
//! unless a command says so. Each instance is one task that owns its store ([`crate::instance`]).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::{Semaphore, oneshot};
use wasmtime::component::{Component, Linker};

use crate::artefacts::{ArtefactError, Artefacts};
use crate::calls::{self, Parked, Served};
use crate::capabilities;
use crate::cells::{CellUsage, Cells, Share};
use crate::component_check::{Missing, missing_imports};
use crate::describe;
use crate::desk::Desk;
use crate::events::{Event, EventQueue, Wake};
use crate::footprint;
use crate::frame::{Deadlines, Frame};
use crate::host::Host;
use crate::instance::{self, Mailbox, Order};
use crate::kv::{self, Kv, KvError};
use crate::outbound::{self, Grant, Outbound, Probe};
use crate::outcome::{Outcome, Usage};
use crate::program::{Program, ProgramSpec};
use crate::run::Run;
use crate::settings::{self, Allocator, Settings, TICK};
use crate::sidecars::{Bound, Chain, Consultation, Sidecar};
use crate::threads::Threads;
use crate::values;

/// The most that arguments or results come to which the owner looks at.
const CALL_BYTES: usize = 16 << 20;

/// What the owner says to an ask: the JSON array of results, or an error message.
pub type Reply = Result<String, String>;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("wasmtime cannot start on this machine: {0}")]
    Start(String),
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
    #[error(transparent)]
    KeyValue(#[from] KvError),
}

/// Names an instance; the generation is the fencing token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceId {
    pub slot: u32,
    pub generation: u32,
}

/// Names an instance, and says what it is made of and where it counts should it have to be made.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub id: InstanceId,
    pub program: u32,
    /// 0: in no cell.
    pub cell: u32,
}

/// Of one run.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The instance goes when it has settled.
    pub last: bool,
    /// What its results depend on is told when it has.
    pub traced: bool,
}

/// What all instances share.
pub struct Shared {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) events: EventQueue,
    pub(crate) counts: Counts,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) kv: Arc<Kv>,
    pub(crate) next_ask: AtomicU64,
    asks: Mutex<HashMap<u64, oneshot::Sender<Reply>>>,
    calls: Mutex<HashMap<u64, Parked>>,
    slots: Mutex<HashMap<u32, Slot>>,
    runs: Mutex<HashMap<u64, Arc<Run>>>,
    /// By their own run.
    sidecars: Mutex<HashMap<u64, Arc<Sidecar>>>,
    /// What was fetched for sidecars, by their own run and its address.
    documents: Mutex<HashMap<(u64, String), Arc<str>>>,
    /// What serves imports of runs that have not begun, by run.
    bound: Mutex<HashMap<u64, Vec<Arc<Bound>>>>,
    closing: AtomicBool,
}

/// A slot remembers its last generation when it is empty, so that a late command cannot raise the dead.
struct Slot {
    generation: u32,
    held: Option<Held>,
}

/// How long a component that no program is made of stays mapped: whoever has loaded it is about to link it.
const KEPT: Duration = Duration::from_secs(60);

struct Loaded {
    component: Component,
    at: Instant,
}

/// An instance, and what it was made of: its program may have been unlinked since.
#[derive(Clone)]
struct Held {
    mailbox: Arc<Mailbox>,
    program: Arc<Program>,
}

/// Gauges that go back to where they were when nothing runs.
#[derive(Default)]
pub struct Counts {
    pub instances: AtomicU64,
    pub runs: AtomicU64,
    pub guest_bytes: Arc<AtomicU64>,
}

/// A reading of all gauges.
#[derive(Debug, Clone)]
pub struct Stats {
    pub instances: u64,
    pub runs: u64,
    pub programs: u64,
    pub guest_bytes: u64,
    pub connections: u64,
    pub asks: u64,
    pub capacity: u64,
    pub allocator: &'static str,
}

pub struct Engine {
    shared: Arc<Shared>,
    settings: Settings,
    allocator: Allocator,
    artefacts: Arc<Artefacts>,
    linker: Arc<Linker<Host>>,
    components: Arc<RwLock<HashMap<String, Loaded>>>,
    programs: Arc<RwLock<HashMap<u32, Arc<Program>>>>,
    next_program: Arc<AtomicU32>,
    cells: Cells,
    threads: Threads,
}

impl Engine {
    /// Starts the engine, its threads and its ticker. `wake` is called from any thread when events are waiting.
    pub fn start(settings: Settings, wake: Wake) -> Result<Self, EngineError> {
        let start = |error: wasmtime::Error| EngineError::Start(format!("{error:#}"));
        let (engine, allocator) = settings::engine(&settings).map_err(start)?;
        let linker = linker(&engine).map_err(start)?;
        let artefacts = Artefacts::new(&engine, settings.cache.clone())?;
        let kv = Arc::new(Kv::start(settings.key_value.clone())?);
        let threads = Threads::start(settings.threads).map_err(|error| EngineError::Start(error.to_string()))?;
        let shared = Arc::new(Shared {
            events: EventQueue::new(wake),
            counts: Counts::default(),
            permits: Arc::new(Semaphore::new(settings.instances as usize)),
            kv,
            next_ask: AtomicU64::new(1),
            asks: Mutex::default(),
            calls: Mutex::default(),
            slots: Mutex::default(),
            runs: Mutex::default(),
            sidecars: Mutex::default(),
            documents: Mutex::default(),
            bound: Mutex::default(),
            closing: AtomicBool::new(false),
            engine,
        });
        tick(&shared);
        Ok(Self {
            shared,
            settings,
            allocator,
            artefacts: Arc::new(artefacts),
            linker: Arc::new(linker),
            components: Arc::default(),
            programs: Arc::default(),
            next_program: Arc::new(AtomicU32::new(1)),
            cells: Cells::default(),
            threads,
        })
    }

    /// Compiles or maps a component on a thread of its own, describes it, and answers with [`Event::Loaded`].
    pub fn load(&self, request: u64, bytes: Vec<u8>) {
        let (shared, artefacts, components) = (self.shared.clone(), self.artefacts.clone(), self.components.clone());
        self.blocking(move || {
            let begin = Instant::now();
            let result = contain(|| {
                let loaded = artefacts.load(&shared.engine, &bytes).map_err(|error| error.to_string())?;
                let mut description =
                    serde_json::to_value(describe::describe(&loaded.component, &shared.engine)).map_err(|error| error.to_string())?;
                description["digest"] = loaded.digest.as_str().into();
                description["cached"] = loaded.cached.into();
                description["compileNanoseconds"] = (begin.elapsed().as_nanos() as u64).into();
                description["compiledBytes"] = loaded.compiled_bytes.into();
                write(&components).insert(loaded.digest, Loaded { component: loaded.component, at: Instant::now() });
                Ok(description.to_string())
            });
            shared.events.push(Event::Loaded { request, result });
        });
    }

    /// The complete list of imports of a loaded component that nothing satisfies, as JSON.
    pub fn check(&self, digest: &str, scripts: &[String], calls: &[String]) -> Result<String, String> {
        let component = self.component(digest)?;
        let linker = self.linker_for(&component, scripts, calls)?;
        let missing = missing_imports(&component, &self.shared.engine, &linker);
        Ok(serde_json::json!({ "missing": missing }).to_string())
    }

    /// Links a loaded component off the owner's thread and answers with [`Event::Linked`].
    pub fn link(&self, request: u64, spec: ProgramSpec) {
        let component = self.component(&spec.digest);
        let linker = component.as_ref().map_err(Clone::clone).and_then(|component| self.linker_for(component, &spec.scripts, &spec.calls));
        let (shared, programs, next) = (self.shared.clone(), self.programs.clone(), self.next_program.clone());
        self.blocking(move || {
            let result = contain(|| {
                let (component, linker) = (component?, linker?);
                let outbound = Outbound::new(grant(&spec)).map_err(|error| error.to_string())?;
                let pre = linker.instantiate_pre(&component).map_err(|_| unmet(&missing_imports(&component, &shared.engine, &linker)))?;
                let id = next.fetch_add(1, Ordering::Relaxed);
                write(&programs).insert(id, Arc::new(Program::new(spec, pre, outbound)));
                Ok(id)
            });
            shared.events.push(Event::Linked { request, result });
        });
    }

    pub fn unlink(&self, program: u32) {
        if write(&self.programs).remove(&program).is_none() {
            return;
        }
        let programs = read(&self.programs);
        write(&self.components)
            .retain(|digest, loaded| loaded.at.elapsed() < KEPT || programs.values().any(|program| program.spec.digest == *digest));
    }

    /// Makes an instance in an unused slot; `Ready` or `Failed` says how that went. `charge` bytes count for it in its cell
    /// until its first run, or what it has where there is none.
    pub fn prepare(&self, place: Place, charge: Option<u64>) {
        let id = place.id;
        let failed = |outcome| self.shared.events.push(Event::Failed { slot: id.slot, generation: id.generation, outcome });
        let program = match self.program(place.program) {
            Ok(program) => program,
            Err(outcome) => return failed(outcome),
        };
        let Lookup::Unused = self.shared.lookup(id) else { return failed(in_use()) };
        match self.share(place.cell, charge) {
            Ok(share) => self.spawn(id, self.shared.claim(id, program), share),
            Err(outcome) => failed(outcome),
        }
    }

    /// Runs a frame on an instance, made on the way if the slot is unused.
    pub fn run(&self, place: Place, handle: u64, frame: Frame, deadlines: Deadlines, Terms { last, traced }: Terms) {
        let id = place.id;
        let (held, fresh) = match self.shared.lookup(id) {
            Lookup::Held(held) => (held, None),
            Lookup::Unused => match self.program(place.program).and_then(|program| Ok((program, self.share(place.cell, None)?))) {
                Ok((program, share)) => (self.shared.claim(id, program), Some(share)),
                Err(outcome) => return self.refuse(id, handle, outcome),
            },
            Lookup::Stale => {
                return self.shared.events.push(Event::LeaseRefused { slot: id.slot, generation: id.generation, run: handle });
            }
        };
        let limit = held.program.spec.limits.request_body_bytes;
        let run = Arc::new(Run::new(handle, held.mailbox.signal.clone(), limit, traced, self.shared.clone()));
        self.shared.runs().insert(handle, run.clone());
        let order = Order { run, frame, deadlines, last, received: Instant::now() };
        if !held.mailbox.post(order) {
            // The instance ended between the owner's last event and this command.
            self.shared.runs().remove(&handle);
            return self.shared.events.push(Event::LeaseRefused { slot: id.slot, generation: id.generation, run: handle });
        }
        if let Some(share) = fresh {
            self.spawn(id, held, share);
        }
    }

    pub fn chunk(&self, run: u64, bytes: Bytes) {
        if let Some(run) = self.find(run) {
            run.chunk(bytes);
        }
    }

    pub fn end(&self, run: u64, trailers: Option<HeaderMap>) {
        if let Some(run) = self.find(run) {
            run.end(trailers);
        }
    }

    pub fn credit(&self, run: u64, bytes: u64) {
        if let Some(run) = self.find(run) {
            run.credit(bytes);
        }
    }

    pub fn cancel(&self, run: u64) {
        if let Some(run) = self.find(run) {
            run.cancel();
        }
    }

    /// Asks sidecars of runs; the answers that come at once, by request, the others by [`Event::Consulted`].
    pub fn consult(&self, consultations: Vec<Consultation>) -> Vec<(u64, String)> {
        let Some(threads) = self.threads.common() else { return Vec::new() };
        let _threads = threads.enter();
        Chain::begin(&self.shared, consultations)
    }

    /// A sidecar is to serve an interface that the run's component imports; before the run is ordered. One that is gone
    /// already serves nothing: its calls come to the owner, as those of any other task do.
    pub fn bind(&self, run: u64, import: String, sidecar: u64, export: &str, limit: Duration, open: bool) {
        let Some(sidecar) = self.shared.sidecars().get(&sidecar).cloned() else { return };
        self.shared.bound().entry(run).or_default().push(Arc::new(Bound { import, export: export.into(), sidecar, limit, open }));
    }

    /// Takes back what was bound for a run that is not ordered after all.
    pub fn unbind(&self, run: u64) {
        self.shared.bound().remove(&run);
    }

    /// A call of a guest, and those of the interface that follow in its run, go to a sidecar.
    pub fn attach(&self, call: u64, sidecar: u64, export: &str, limit: Duration, open: bool) {
        let Some(parked) = self.shared.calls().remove(&call) else { return };
        let sidecar = self.shared.sidecars().get(&sidecar).cloned();
        let answer = match sidecar {
            Some(sidecar) => {
                let import = parked.target.interface.clone();
                Ok(Served::By(Arc::new(Bound { import, export: export.into(), sidecar, limit, open })))
            }
            None => Err("the sidecar has stopped".into()),
        };
        let _ = parked.reply.send(answer);
    }

    /// What a sidecar that stands finds at an address from here on, without asking; one that is gone finds nothing.
    pub fn document(&self, sidecar: u64, url: String, text: &str) {
        if self.find(sidecar).is_some() {
            self.shared.documents().insert((sidecar, url), text.into());
        }
    }

    /// A sidecar does what waits for it, and stops.
    pub fn stop(&self, run: u64) {
        if let Some(run) = self.find(run) {
            run.stop();
        }
    }

    pub fn pause(&self, run: u64, paused: bool) {
        if let Some(run) = self.find(run) {
            run.pause(paused);
        }
    }

    /// Sessions that wait for the next call of the run's guest end.
    pub fn release(&self, run: u64) {
        if let Some(run) = self.find(run) {
            run.release();
        }
    }

    pub fn answer(&self, ask: u64, reply: Reply) {
        let sender = self.shared.asks().remove(&ask);
        if let Some(sender) = sender {
            let _ = sender.send(reply);
        }
    }

    /// A parked call fails with this; one that has been taken up, or whose caller is gone, is left alone.
    pub fn refuse_call(&self, call: u64, message: String) {
        let parked = self.shared.calls().remove(&call);
        if let Some(Parked { reply, .. }) = parked {
            let _ = reply.send(Err(message));
        }
    }

    /// The arguments of a parked call as a JSON array; none where it has been taken up, or its caller is gone.
    pub fn call_arguments(&self, call: u64) -> Result<Option<String>, String> {
        let calls = self.shared.calls();
        let Some(Parked { target, arguments, .. }) = calls.get(&call) else { return Ok(None) };
        let types = target.ty.params().map(|(_, ty)| ty);
        let json = values::values_to_json(arguments, types, values::Limits::of_bytes(CALL_BYTES));
        json.map(|json| Some(json.to_string())).map_err(|error| error.to_string())
    }

    /// A parked call has come to this, a JSON array of results, without anybody being run for it.
    pub fn answer_call(&self, call: u64, results: &str) {
        let Some(Parked { target, reply, .. }) = self.shared.calls().remove(&call) else { return };
        let values = match target.ty.results().len() {
            0 => Ok(Vec::new()),
            _ => values::results_from_json(results, target.ty.results(), values::Limits::of_bytes(CALL_BYTES)),
        };
        let _ = reply.send(values.map(Served::Values).map_err(|error| error.to_string()));
    }

    /// Ends an instance once its runs have settled; a stale name is ignored, the instance is gone already.
    pub fn retire(&self, id: InstanceId) {
        if let Lookup::Held(held) = self.shared.lookup(id) {
            held.mailbox.retire();
        }
    }

    /// Makes a cell that may hold so many bytes, or gives it another limit. 0 is no cell.
    /// `reserved`: its instances run on threads of their own, before everybody else's.
    pub fn set_cell(&self, cell: u32, bytes: u64, reserved: bool) {
        if cell != 0 {
            self.cells.set(cell, bytes, reserved);
        }
    }

    /// Forgets a cell; instances in it stay as they are.
    pub fn close_cell(&self, cell: u32) {
        self.cells.close(cell);
    }

    /// What the cells hold, in the order of their numbers.
    pub fn cells(&self) -> Vec<CellUsage> {
        self.cells.usage()
    }

    /// Measures what an unused instance of a program holds, and answers with [`Event::Measured`].
    pub fn footprint(&self, request: u64, program: u32) {
        let program = self.program(program).map_err(|outcome| outcome.reason());
        let Some(handle) = self.threads.common() else { return };
        let (shared, handle) = (self.shared.clone(), handle.clone());
        self.blocking(move || {
            let result = contain(|| footprint::measure(&shared, &program?, &handle));
            shared.events.push(Event::Measured { request, result });
        });
    }

    pub fn drain(&self) -> Vec<Event> {
        self.shared.events.drain()
    }

    pub fn stats(&self) -> Stats {
        let counts = &self.shared.counts;
        Stats {
            instances: counts.instances.load(Ordering::Relaxed),
            runs: counts.runs.load(Ordering::Relaxed),
            programs: read(&self.programs).len() as u64,
            guest_bytes: counts.guest_bytes.load(Ordering::Relaxed),
            connections: crate::outbound::open_connections() as u64,
            asks: self.shared.asks().len() as u64,
            capacity: u64::from(self.settings.instances),
            allocator: match self.allocator {
                Allocator::Pooling => "pooling",
                Allocator::OnDemand => "on-demand",
            },
        }
    }

    /// Ends every instance; [`Event::Closed`] follows when all are gone. Runs in progress settle as `platform`.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        let instances: Vec<_> = self.shared.slots().values().filter_map(|slot| slot.held.clone()).collect();
        let none = instances.is_empty();
        for held in instances {
            held.mailbox.abandon();
        }
        if none {
            self.shared.close();
        }
    }

    /// Makes an outbound request as a program of these grants may, and answers with [`Event::Probed`].
    pub fn probe(&self, request: u64, probe: Probe) {
        let shared = self.shared.clone();
        let Some(threads) = self.threads.common() else { return };
        threads.spawn(async move {
            let result = outbound::probe(probe).await;
            let result = result.and_then(|probed| serde_json::to_string(&probed).map_err(|error| error.to_string()));
            shared.events.push(Event::Probed { request, result });
        });
    }

    /// Key-value data, for reading.
    pub fn kv(&self) -> &Kv {
        &self.shared.kv
    }

    /// Writes to key-value data and answers with [`Event::KvWritten`].
    pub fn kv_write(&self, request: u64, op: kv::Op) {
        // Weak: what waits in the writer does not keep the engine, of which the writer is a part.
        let shared = Arc::downgrade(&self.shared);
        let reply = move |done: Result<kv::Done, KvError>| {
            let Some(shared) = shared.upgrade() else { return };
            let result = done.map(|done| match done {
                kv::Done::Revision(revision) => revision,
                kv::Done::Signed(_) | kv::Done::Unsigned(_) => 0,
            });
            shared.events.push(Event::KvWritten { request, result });
        };
        self.shared.kv.submit(op, Box::new(reply));
    }

    fn refuse(&self, id: InstanceId, run: u64, outcome: Outcome) {
        self.shared.events.push(Event::Settled { run, outcome, usage: Usage::default(), trace: None, began: false });
        self.shared.events.push(Event::Retired { slot: id.slot, generation: id.generation });
    }

    fn program(&self, program: u32) -> Result<Arc<Program>, Outcome> {
        if self.shared.closing.load(Ordering::SeqCst) {
            return Err(Outcome::Platform { code: "closing", message: "the engine is closing".into() });
        }
        let message = || Outcome::Platform { code: "internal", message: format!("program {program} is not linked") };
        read(&self.programs).get(&program).cloned().ok_or_else(message)
    }

    /// The part of a cell that an instance will have; none in cell 0.
    fn share(&self, cell: u32, charge: Option<u64>) -> Result<Option<Share>, Outcome> {
        if cell == 0 {
            return Ok(None);
        }
        let missing = || Outcome::Platform { code: "internal", message: format!("cell {cell} is not there") };
        self.cells.get(cell).ok_or_else(missing).map(|cell| Some(Share::new(cell, charge)))
    }

    fn component(&self, digest: &str) -> Result<Component, String> {
        read(&self.components).get(digest).map(|loaded| loaded.component.clone()).ok_or_else(|| format!("component {digest} is not loaded"))
    }

    /// The linker for a component: the common one, or a copy that also has its script imports and its calls of other tasks.
    fn linker_for(&self, component: &Component, scripts: &[String], calls: &[String]) -> Result<Arc<Linker<Host>>, String> {
        if scripts.is_empty() && calls.is_empty() {
            return Ok(self.linker.clone());
        }
        let mut linker = Linker::clone(&self.linker);
        let engine = &self.shared.engine;
        capabilities::add_scripts(&mut linker, engine, component, scripts).map_err(|error| format!("{error:#}"))?;
        calls::add_calls(&mut linker, engine, component, calls).map_err(|error| format!("{error:#}"))?;
        Ok(Arc::new(linker))
    }

    fn find(&self, run: u64) -> Option<Arc<Run>> {
        self.shared.runs().get(&run).cloned()
    }

    fn spawn(&self, id: InstanceId, held: Held, cell: Option<Share>) {
        let reserved = cell.as_ref().is_some_and(Share::is_reserved);
        if let Some(threads) = if reserved { self.threads.reserved() } else { self.threads.common() } {
            let (shared, signal) = (self.shared.clone(), held.mailbox.signal.clone());
            Desk::spawn(threads, signal, |desk| instance::live(shared, held.program, id, held.mailbox, cell, desk));
        }
    }

    fn blocking(&self, work: impl FnOnce() + Send + 'static) {
        if let Some(threads) = self.threads.common() {
            threads.spawn_blocking(work);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

enum Lookup {
    Held(Held),
    Unused,
    Stale,
}

impl Shared {
    pub(crate) fn asks(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Reply>>> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, HashMap<u64, Parked>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn runs(&self) -> MutexGuard<'_, HashMap<u64, Arc<Run>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sidecars(&self) -> MutexGuard<'_, HashMap<u64, Arc<Sidecar>>> {
        self.sidecars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn documents(&self) -> MutexGuard<'_, HashMap<(u64, String), Arc<str>>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn bound(&self) -> MutexGuard<'_, HashMap<u64, Vec<Arc<Bound>>>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<u32, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    fn claim(&self, id: InstanceId, program: Arc<Program>) -> Held {
        let held = Held { mailbox: Arc::default(), program };
        self.slots().insert(id.slot, Slot { generation: id.generation, held: Some(held.clone()) });
        held
    }

    fn lookup(&self, id: InstanceId) -> Lookup {
        match self.slots().get(&id.slot) {
            Some(Slot { generation, held: Some(held) }) if *generation == id.generation => Lookup::Held(held.clone()),
            Some(Slot { generation, held: None }) if *generation < id.generation => Lookup::Unused,
            Some(_) => Lookup::Stale,
            None => Lookup::Unused,
        }
    }

    /// The instance is gone and its store with it.
    pub(crate) fn release(&self, id: InstanceId) {
        let mut slots = self.slots();
        if let Some(slot) = slots.get_mut(&id.slot)
            && slot.generation == id.generation
        {
            slot.held = None;
        }
        let last = self.closing.load(Ordering::SeqCst) && slots.values().all(|slot| slot.held.is_none());
        drop(slots);
        self.events.push(Event::Retired { slot: id.slot, generation: id.generation });
        if last {
            self.close();
        }
    }

    /// Nothing runs any more. Key-value data is on the disk and free for the next engine before the owner is told.
    fn close(&self) {
        self.kv.close();
        self.events.push(Event::Closed);
    }
}

fn in_use() -> Outcome {
    Outcome::Platform { code: "internal", message: "the slot is in use".into() }
}

/// Beats for epochs and for quiet events, as long as the engine is alive.
fn tick(shared: &Arc<Shared>) {
    let weak = Arc::downgrade(shared);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let Some(shared) = weak.upgrade() else { return };
            shared.engine.increment_epoch();
            shared.events.beat();
        }
    });
}

/// Everything that every component may import: WASI 0.2 and 0.3, `wasi:http` of both, and our capabilities.
fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    capabilities::add_to_linker(&mut linker)?;
    Ok(linker)
}

fn grant(spec: &ProgramSpec) -> Grant {
    let outbound = &spec.outbound;
    Grant {
        origins: outbound.origins.clone(),
        any_address: outbound.any_address,
        connect: Duration::from_millis(outbound.connect_ms),
        first_byte: Duration::from_millis(outbound.first_byte_ms),
        between_bytes: Duration::from_millis(outbound.between_bytes_ms),
        connections: outbound.connections,
    }
}

/// The whole list of what is missing, in a sentence.
fn unmet(missing: &[Missing]) -> String {
    let part = |missing: &Missing| {
        let interface = if missing.interface.is_empty() { "the world" } else { &missing.interface };
        format!("{interface} ({})", missing.items.join(", "))
    };
    let parts: Vec<_> = missing.iter().map(part).collect();
    format!("nothing provides these imports: {}", parts.join("; "))
}

/// Runs work that may panic on strange input; a panic becomes its message.
fn contain<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("internal error: {}", message.unwrap_or("panicked")))
    })
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

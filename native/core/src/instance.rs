//! One instance: a task that owns a store, takes orders from its mailbox, and ends when its owner says so or
//! when the store cannot go on.
//!
//! All that concerns the instance is polled here, in one place and in this order: the store, then answers and
//! deadlines, outside of it. Limits are enforced here because timers inside `run_concurrent` are not reliable
//! (wasmtime #11869, #11870): a guest that computes yields at every tick of the engine, so control always
//! comes back within one. A run that must end takes the whole `run_concurrent` future with it and at once the
//! store; a single call's future is never dropped with the store kept.

use std::future::{pending, poll_fn};
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use wasmtime::component::{Accessor, Instance};
use wasmtime::{AsContextMut, Store, UpdateDeadline};

use crate::active::Active;
use crate::cells::Share;
use crate::desk::{Desk, Taken};
use crate::engine::{InstanceId, Shared};
use crate::events::Event;
use crate::frame::Frame;
use crate::guestlog::GuestLog;
use crate::host::Host;
use crate::job::Job;
pub(crate) use crate::mailbox::{Inbox, Mailbox, Order};
use crate::outcome::{Limit, Outcome, blame};
use crate::program::{HttpEntry, Program, Stdio};
use crate::sessions::Waiting;

/// Rounds of one poll before the executor gets to run something else.
const ROUNDS: u32 = 128;
/// How long making an instance may take when no run waits for it.
const PREPARE_TIME: Duration = Duration::from_secs(60);

/// The life of the instance, from the command that named it until its slot is free again.
pub(crate) async fn live(
    shared: Arc<Shared>,
    program: Arc<Program>,
    id: InstanceId,
    mailbox: Arc<Mailbox>,
    cell: Option<Share>,
    desk: Weak<Desk>,
) {
    let _slot = Claim { shared: shared.clone(), mailbox: mailbox.clone(), id };
    let mut task = Task::new(shared, program, id, mailbox);
    task.cell = cell;
    task.desk = desk;
    // A panic drops the task inside, which settles its runs; the slot is freed either way.
    let _ = AssertUnwindSafe(task.run()).catch_unwind().await;
}

/// Frees the slot, after everything else of the instance is gone.
struct Claim {
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    id: InstanceId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        for order in self.mailbox.close() {
            self.shared.runs().remove(&order.run.handle);
            self.shared.events.push(Event::LeaseRefused { slot: self.id.slot, generation: self.id.generation, run: order.run.handle });
        }
        self.shared.release(self.id);
    }
}

/// Why a poll of the store came to an end other than its own.
enum Ending {
    /// The one run, or all runs, end with this.
    Outcome(Outcome),
    /// The runs are settled already; only the store is left.
    Settled,
    /// The engine closes.
    Abandoned,
}

struct Task {
    shared: Arc<Shared>,
    program: Arc<Program>,
    id: InstanceId,
    mailbox: Arc<Mailbox>,
    waker: Waker,
    inbox: Arc<Inbox>,
    actives: Vec<Active>,
    /// Set by the epoch callback: the guest has used up its tick.
    yielded: Arc<AtomicBool>,
    /// The job that was given to the guest since it last came to rest; a trap now is its doing.
    suspect: Option<u64>,
    cpu: Duration,
    /// Since when this thread works for the instance without a pause; `cpu` is without it.
    working: Option<Duration>,
    memory: Arc<AtomicU64>,
    /// Until there is a store to count with it.
    cell: Option<Share>,
    log: Option<Arc<GuestLog>>,
    sessions: Option<Arc<Waiting>>,
    desk: Weak<Desk>,
    /// Tasks of other instances that the guest waits for.
    taken: Arc<Mutex<Vec<Taken>>>,
    timer: Option<Pin<Box<Sleep>>>,
    start_nanoseconds: u64,
    /// No order is taken any more: a run was the last one, or one had to be given up.
    closing: bool,
    made: Option<Instant>,
    /// When making the instance is given up, where no run with deadlines of its own waits for it.
    prepare_by: Instant,
}

/// A store and the instance in it, and the permit that says there is room for them.
struct Made {
    store: Store<Host>,
    instance: Instance,
    _permit: OwnedSemaphorePermit,
    _count: Counted,
}

/// Counts an instance that exists.
pub(crate) struct Counted(Arc<Shared>);

impl Counted {
    pub fn new(shared: &Arc<Shared>) -> Self {
        shared.counts.instances.fetch_add(1, Ordering::Relaxed);
        Self(shared.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counts.instances.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A store that counts what it holds and yields at every beat, which sets `yielded`.
pub(crate) fn store(host: Host, yielded: Arc<AtomicBool>) -> Store<Host> {
    let shared = host.shared.clone();
    let value_bytes = host.program.spec.limits.value_bytes as usize;
    let mut store = Store::new(&shared.engine, host);
    store.limiter(|host| &mut host.memory);
    // wasmtime counts at least the size of a `Val` for each value, whatever the value's own size.
    store.set_hostcall_fuel(value_bytes.saturating_mul(size_of::<wasmtime::component::Val>()));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        yielded.store(true, Ordering::Relaxed);
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

impl Task {
    fn new(shared: Arc<Shared>, program: Arc<Program>, id: InstanceId, mailbox: Arc<Mailbox>) -> Self {
        Self {
            waker: Waker::from(mailbox.signal.clone()),
            shared,
            program,
            id,
            mailbox,
            inbox: Arc::default(),
            actives: Vec::new(),
            yielded: Arc::default(),
            suspect: None,
            cpu: Duration::ZERO,
            working: None,
            memory: Arc::default(),
            cell: None,
            log: None,
            sessions: None,
            desk: Weak::new(),
            taken: Arc::default(),
            timer: None,
            start_nanoseconds: 0,
            closing: false,
            made: None,
            prepare_by: Instant::now() + PREPARE_TIME,
        }
    }

    async fn run(&mut self) {
        let ordered = self.take_order();
        let Some(made) = self.make(ordered).await else { return };
        let mut made = Some(made);
        loop {
            // An idle instance waits here, outside of the store, where it holds next to nothing.
            if self.actives.is_empty() && !self.wait().await {
                return;
            }
            if !Box::pin(self.serve(&mut made)).await {
                return;
            }
        }
    }

    /// Makes the instance; on failure says so to whoever asked for it.
    async fn make(&mut self, ordered: bool) -> Option<Made> {
        let begin = Instant::now();
        let result = match self.permit().await {
            Ok(permit) => Box::pin(self.instantiate(permit)).await,
            Err(outcome) => Err(outcome),
        };
        match result {
            Ok(made) => {
                self.made = Some(begin);
                if ordered {
                    self.start_nanoseconds = begin.elapsed().as_nanos() as u64;
                } else {
                    let nanoseconds = begin.elapsed().as_nanos() as u64;
                    self.shared.events.push(Event::Ready { slot: self.id.slot, generation: self.id.generation, nanoseconds });
                }
                Some(made)
            }
            Err(outcome) => {
                // Whoever hears of it finds the cell as it was.
                self.cell = None;
                if ordered {
                    self.settle_all(&outcome);
                } else {
                    self.shared.events.push(Event::Failed { slot: self.id.slot, generation: self.id.generation, outcome });
                }
                None
            }
        }
    }

    /// Room for one instance. Usually there at once: the owner counts, and only stores on their way out are in the way.
    async fn permit(&mut self) -> Result<OwnedSemaphorePermit, Outcome> {
        let permits = self.shared.permits.clone();
        if let Ok(permit) = permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let full = || Outcome::Refused { code: "node-full", message: "every instance of the node is in use".into() };
        match self.drive(tokio::time::timeout(Duration::from_millis(500), permits.acquire_owned())).await {
            Ok(Ok(Ok(permit))) => Ok(permit),
            Ok(_) => Err(full()),
            Err(ending) => Err(ending.outcome()),
        }
    }

    async fn instantiate(&mut self, permit: OwnedSemaphorePermit) -> Result<Made, Outcome> {
        let platform = |error: wasmtime::Error| Outcome::Platform { code: "internal", message: format!("{error:#}") };
        let mut host = Host::new(&self.shared, &self.program, self.id.slot, self.cell.take()).map_err(platform)?;
        host.log.begin(self.actives.first().map(|active| active.run.handle));
        self.memory = host.memory.peak_gauge();
        self.log = Some(host.log.clone());
        self.sessions = Some(host.sessions.clone());
        host.desk = self.desk.clone();
        host.taken = self.taken.clone();
        host.run = None;
        let count = Counted::new(&self.shared);
        let mut store = store(host, self.yielded.clone());
        let program = self.program.clone();
        let made = self.drive(program.pre.instantiate_async(&mut store)).await;
        match made {
            Ok(Ok(instance)) => Ok(Made { store, instance, _permit: permit, _count: count }),
            Ok(Err(error)) => Err(blame(&error, store.data().evidence())),
            Err(ending) => Err(ending.outcome()),
        }
    }

    /// Waits for an order; false when there will be none.
    async fn wait(&mut self) -> bool {
        poll_fn(|cx| {
            loop {
                self.mailbox.signal.enter(cx.waker());
                self.working = None;
                if self.mailbox.is_abandoned() {
                    return Poll::Ready(false);
                }
                if !self.closing && self.take_order() {
                    return Poll::Ready(true);
                }
                if self.closing || self.mailbox.is_retired() {
                    return Poll::Ready(false);
                }
                if !self.mailbox.signal.leave() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Runs what was ordered, and what is ordered meanwhile; false when the instance must not be used again.
    async fn serve(&mut self, held: &mut Option<Made>) -> bool {
        let Some(made) = held else { return false };
        let (instance, inbox, program) = (made.instance, self.inbox.clone(), self.program.clone());
        if let Some(active) = self.actives.first_mut() {
            active.begin(std::mem::take(&mut self.start_nanoseconds));
        }
        let store = &mut made.store;
        store.data_mut().memory.begin();
        let ending =
            self.drive(store.run_concurrent(async |accessor: &Accessor<Host>| guest(accessor, instance, &inbox, &program).await)).await;
        match ending {
            // The guest's side is at rest and will not be asked again.
            Ok(Ok(Ok(()))) => {
                // Nothing in the store will write again: without it, bodies that the guest let lie come to their end.
                *held = None;
                self.finish_answers().await;
                false
            }
            Ok(Ok(Err(error)) | Err(error)) => {
                let outcome = blame(&error, store.data().evidence());
                if self.actives.len() > 1 {
                    self.suspect = self.culprit(store).or(self.suspect);
                }
                for active in &mut self.actives {
                    active.last_words();
                }
                self.settle_blamed(outcome);
                false
            }
            Err(Ending::Outcome(outcome)) => {
                self.settle_blamed(outcome);
                false
            }
            Err(Ending::Settled) => false,
            Err(Ending::Abandoned) => {
                self.settle_all(&Ending::Abandoned.outcome());
                false
            }
        }
    }

    /// The store is at rest and its last words are buffered: sends them as the client takes them.
    async fn finish_answers(&mut self) {
        match self.drive(pending::<()>()).await {
            Err(Ending::Outcome(outcome)) => self.settle_blamed(outcome),
            Err(Ending::Abandoned) => self.settle_all(&Ending::Abandoned.outcome()),
            Ok(()) | Err(Ending::Settled) => {}
        }
    }

    /// Polls the guest's side together with everything around it until one of them comes to an end.
    async fn drive<F: Future>(&mut self, future: F) -> Result<F::Output, Ending> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let signal = self.mailbox.signal.clone();
            signal.enter(cx.waker());
            // Still set when one drive follows another within a poll of the task: asking costs a system call.
            self.working.get_or_insert_with(|| HANDED.take().unwrap_or_else(thread_time));
            let waker = self.waker.clone();
            let mut inner = Context::from_waker(&waker);
            let mut rounds = 0;
            loop {
                // Paused, nothing of the store moves; what ends a run does so all the same.
                let polled = if self.is_paused() { Poll::Pending } else { future.as_mut().poll(&mut inner) };
                if let Poll::Ready(output) = polled {
                    signal.leave();
                    return Poll::Ready(Ok(output));
                }
                let yielded = self.yielded.swap(false, Ordering::Relaxed);
                if yielded {
                    self.count_cpu();
                }
                if self.poll_taken() && rounds < ROUNDS && signal.take() {
                    rounds += 1;
                    continue;
                }
                if let Some(ending) = self.look(&mut inner) {
                    signal.leave();
                    return Poll::Ready(Err(ending));
                }
                rounds += 1;
                if !yielded && rounds < ROUNDS && signal.take() {
                    continue;
                }
                // The guest has come to rest (or has had its share): what it wrote goes out now.
                if self.flush() && rounds < ROUNDS && !yielded {
                    continue;
                }
                if yielded || rounds >= ROUNDS {
                    self.pause();
                    signal.leave();
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                // At rest nobody is suspected any more, and the next order may be taken that had to wait for that.
                if self.suspect.take().is_some() && self.mailbox.has_orders() {
                    continue;
                }
                self.arm(&mut inner);
                if !signal.leave() {
                    self.pause();
                    return Poll::Pending;
                }
                signal.enter(cx.waker());
            }
        })
        .await
    }

    /// Polls what the guest waits for, outside of its store: the time is theirs. True if there was any.
    fn poll_taken(&mut self) -> bool {
        let taken = std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.is_empty() {
            return false;
        }
        let now = thread_time();
        if let Some(since) = self.working.take() {
            self.cpu += now.saturating_sub(since);
        }
        // What the clock says at the handover holds for both: asking it again costs more than what lies between.
        HANDED.set(Some(now));
        for mut task in taken {
            task.poll();
        }
        self.working = Some(HANDED.take().unwrap_or_else(thread_time));
        true
    }

    /// The one run that has the instance is to go no further for now.
    fn is_paused(&self) -> bool {
        matches!(self.actives.as_slice(), [active] if active.run.is_paused())
    }

    /// Adds what this thread has worked for the instance so far.
    fn count_cpu(&mut self) {
        let now = thread_time();
        if let Some(since) = self.working.replace(now) {
            self.cpu += now.saturating_sub(since);
        }
    }

    /// The task gives up its thread.
    fn pause(&mut self) {
        if let Some(since) = self.working.take() {
            let now = thread_time();
            self.cpu += now.saturating_sub(since);
            HANDED.set(Some(now));
        }
    }

    /// Everything outside of the store: orders, bodies, cancels, limits, runs that are complete.
    fn look(&mut self, cx: &mut Context<'_>) -> Option<Ending> {
        if self.mailbox.is_abandoned() {
            return Some(Ending::Abandoned);
        }
        let now = Instant::now();
        if self.made.is_some() {
            self.accept();
        } else if self.actives.is_empty() && now >= self.prepare_by {
            let allowed = PREPARE_TIME.as_millis() as u64;
            return Some(Ending::Outcome(Outcome::Limit { limit: Limit::HeadTime, used: allowed, allowed }));
        }
        let mut index = 0;
        while index < self.actives.len() {
            let active = &mut self.actives[index];
            let outcome = active
                .look(cx, self.cpu)
                .or_else(|| active.expired(now))
                .or_else(|| active.cpu_exceeded(self.cpu, self.program.spec.limits.cpu_ms));
            let Some(outcome) = outcome else {
                index += 1;
                continue;
            };
            if self.actives.len() == 1 {
                return Some(Ending::Outcome(outcome));
            }
            // Others share the store: this caller is answered now, the instance takes no more, and ends with the last of them.
            if matches!(outcome, Outcome::Limit { limit: Limit::Cpu, .. }) {
                return Some(Ending::Outcome(outcome));
            }
            let active = self.actives.remove(index);
            self.closing = true;
            self.settle(active, outcome);
        }
        self.complete_runs();
        (self.actives.is_empty() && self.made.is_some() && (self.closing || self.mailbox.is_retired())).then_some(Ending::Settled)
    }

    /// Takes one order into the running store, when there is room and the guest has come to rest.
    fn accept(&mut self) {
        if self.closing || self.suspect.is_some() || self.actives.len() >= self.program.spec.max_concurrent as usize {
            return;
        }
        if self.take_order() {
            self.actives.last_mut().expect("an order was just taken").begin(0);
            self.mailbox.signal.wake();
        }
    }

    /// Turns the next order into a run of this instance; false when there is none.
    fn take_order(&mut self) -> bool {
        let Some(order) = self.mailbox.next() else { return false };
        let expects_answer = matches!(order.frame, Frame::Http(_));
        let limit = self.program.spec.limits.response_body_bytes;
        let (program, shared) = (self.program.clone(), self.shared.clone());
        let mut active = Active::new(order.run.clone(), order.deadlines, order.received, limit, expects_answer, program, shared);
        active.cpu_base = self.cpu;
        let alone = self.program.spec.max_concurrent <= 1;
        self.suspect = Some(order.run.handle);
        self.closing |= order.last;
        self.inbox.push(Job { run: order.run, frame: order.frame, slot: active.answer.slot(), state: active.state.clone(), alone });
        if self.closing {
            self.inbox.close();
        }
        self.actives.push(active);
        true
    }

    /// Settles the runs of which nothing is left.
    fn complete_runs(&mut self) {
        let alone = self.program.spec.max_concurrent <= 1;
        let mut index = 0;
        while index < self.actives.len() {
            let active = &mut self.actives[index];
            let over = active.state.finished.load(Ordering::Acquire) && (!alone || active.state.quiet.load(Ordering::Acquire));
            if over && !active.is_answered() {
                active.flush();
            }
            let failure = active.state.failure();
            if failure.is_none() && !(over && active.is_complete()) {
                index += 1;
                continue;
            }
            let active = self.actives.remove(index);
            let outcome = failure.unwrap_or(Outcome::Ok { exit: active.state.exit.load(Ordering::Relaxed) });
            self.settle(active, outcome);
        }
    }

    /// Sends what guests have written; true when anything went out, which the guest's side may be waiting for.
    fn flush(&mut self) -> bool {
        let mut sent = false;
        for active in &mut self.actives {
            sent |= active.flush();
        }
        sent
    }

    /// Wakes the task at the next deadline. Most runs end before they need a timer at all.
    fn arm(&mut self, cx: &mut Context<'_>) {
        let preparing = (self.made.is_none() && self.actives.is_empty()).then_some(self.prepare_by);
        let Some(next) = self.actives.iter().map(Active::next_deadline).chain(preparing).min() else { return };
        let next = tokio::time::Instant::from_std(next);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
        if timer.deadline() != next {
            timer.as_mut().reset(next);
        }
        if timer.as_mut().poll(cx).is_ready() {
            self.mailbox.signal.wake();
        }
    }

    /// The run whose task was executing when the store ended: the store still knows.
    fn culprit(&self, store: &mut Store<Host>) -> Option<u64> {
        let mut context = store.as_context_mut();
        let stack: Vec<_> = context.async_call_stack().ok()?.collect();
        // Youngest first: the innermost task that is a run's own.
        let guilty = stack.iter().find_map(|task| self.actives.iter().find(|active| active.state.is_task(*task)));
        guilty.map(|active| active.run.handle)
    }

    /// The store has ended with `outcome`: the run whose doing it is gets it, the others lose their instance.
    fn settle_blamed(&mut self, outcome: Outcome) {
        let actives = std::mem::take(&mut self.actives);
        let alone = actives.len() == 1;
        for active in actives {
            let guilty = alone || self.suspect == Some(active.run.handle);
            let lost = || Outcome::Platform { code: "instance-lost", message: "another run on the instance ended it".into() };
            let outcome = if guilty { outcome.clone() } else { lost() };
            self.settle(active, outcome);
        }
    }

    fn settle_all(&mut self, outcome: &Outcome) {
        for active in std::mem::take(&mut self.actives) {
            self.settle(active, outcome.clone());
        }
    }

    fn settle(&mut self, active: Active, outcome: Outcome) {
        self.count_cpu();
        if self.program.spec.stdio == Stdio::Inherit {
            // Rust's stdout is buffered, and a library in another program's process has no exit of its own to flush it.
            let _ = std::io::stdout().flush();
        }
        self.inbox.forget(active.run.handle);
        if let Some(sessions) = &self.sessions {
            sessions.begin(None);
        }
        let dropped = self.log.as_ref().map_or(0, |log| log.finish());
        active.settle(outcome, self.cpu, self.memory(), dropped);
    }

    fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }
}

impl Ending {
    fn outcome(self) -> Outcome {
        match self {
            Ending::Outcome(outcome) => outcome,
            Ending::Settled => Outcome::Cancelled,
            Ending::Abandoned => Outcome::Platform { code: "closing", message: "the engine is closing".into() },
        }
    }
}

std::thread_local! {
    /// This thread's CPU time, as one task left it for the next in the same poll.
    static HANDED: std::cell::Cell<Option<Duration>> = const { std::cell::Cell::new(None) };
}

/// A task begins in its executor's hands: what another left behind is long over.
pub(crate) fn nothing_handed() {
    HANDED.set(None);
}

/// CPU time of this thread.
pub(crate) fn thread_time() -> Duration {
    ThreadTime::now().as_duration()
}

/// The guest's side, inside the store: calls exports as jobs come in, and ends when nothing is left to do.
async fn guest(accessor: &Accessor<Host>, instance: Instance, inbox: &Inbox, program: &Program) -> wasmtime::Result<()> {
    let handler = accessor.with(|mut store| handler_func(store.as_context_mut(), instance, program))?;
    let mut calls = FuturesUnordered::new();
    poll_fn(|cx| {
        loop {
            while let Poll::Ready(Some(result)) = calls.poll_next_unpin(cx) {
                let result: wasmtime::Result<()> = result;
                if let Err(error) = result {
                    return Poll::Ready(Err(error));
                }
            }
            // A guest in a synchronous call, or with back-pressure on, takes no more for now.
            let is_free = handler.is_none_or(|func| accessor.poll_ready_for_concurrent_call(func, cx).is_ready());
            if is_free && let Some(job) = inbox.pop() {
                calls.push(job.run(accessor, instance));
                continue;
            }
            if !calls.is_empty() {
                return Poll::Pending;
            }
            // A command is over when it says so; what it leaves running goes with it, as it does for any program.
            if !inbox.is_command() {
                ready!(accessor.poll_no_interesting_tasks(cx));
            }
            inbox.set_quiet();
            return if inbox.may_end() { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
    })
    .await
}

/// The function that HTTP requests go to, where several may be in it at once.
fn handler_func(
    mut store: wasmtime::StoreContextMut<'_, Host>,
    instance: Instance,
    program: &Program,
) -> wasmtime::Result<Option<wasmtime::component::Func>> {
    if program.spec.max_concurrent <= 1 {
        return Ok(None);
    }
    Ok(match &program.http {
        Some(HttpEntry::P2(entry)) => Some(*entry.load(&mut store, &instance)?.wasi_http_incoming_handler().func_handle().func()),
        Some(HttpEntry::P3(entry)) => Some(*entry.load(&mut store, &instance)?.wasi_http_handler().func_handle().func()),
        None => None,
    })
}

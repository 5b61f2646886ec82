//! Sidecars: instances that stay, and are called for the runs that they stand beside.
//!
//! The owner has one started as a run of its own ([`crate::frame::Frame::Sidecar`]) that lasts until it is told to stop. Its
//! calls come from the owner ([`consult`]: guards, transforms, …) and from the runs whose imports it serves, and wait here
//! in one line: an instance does one thing at a time. Limits of time are each call's own, as for sessions.

mod consult;
mod exports;
pub(crate) mod jwks;
mod pace;
pub mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use wasmtime::component::{Accessor, Func, Instance, Val};
use wasmtime::{AsContextMut, Result};

pub(crate) use consult::Chain;
use consult::Failure;
pub use consult::{Consultation, Question};
pub(crate) use pace::Pace;

use self::exports::Exports;
use self::wire::{Done, Work};
use crate::calls::{Results, Target};
use crate::desk::Desk;
use crate::events::Event;
use crate::host::Host;
use crate::instance::thread_time;
use crate::job::{JobState, find_function};
use crate::outcome::{Limit, Outcome};
use crate::program::Program;
use crate::run::Run;
use crate::trace::{Trace, note};
use crate::values::{self, ValueError};

/// How the owner's and the guests' calls reach one.
pub(crate) struct Sidecar {
    line: Mutex<Line>,
    /// Its instance's.
    pub desk: Weak<Desk>,
    pub program: Arc<Program>,
}

#[derive(Default)]
struct Line {
    /// None: it is to stop, and takes no more.
    open: Option<mpsc::UnboundedSender<Asked>>,
    /// How it has ended.
    outcome: Option<Outcome>,
    /// Who still waits for an answer, until it is known how it has ended.
    left: Vec<Waiter>,
}

/// A sidecar that serves an imported interface, for one run.
pub(crate) struct Bound {
    /// As the run's component imports it, and as the sidecar exports it.
    pub import: String,
    pub export: Arc<str>,
    pub sidecar: Arc<Sidecar>,
    /// How long a call may wait and take.
    pub limit: Duration,
    /// The run goes on where the sidecar fails.
    pub open: bool,
}

/// One call in the line.
pub(crate) struct Asked {
    pub what: What,
    pub owed: Owed,
    /// The run that it is for: what the sidecar logs meanwhile is about that.
    pub on: Option<u64>,
    /// Nobody waits for it after that.
    pub until: Instant,
}

pub(crate) enum What {
    Work {
        work: Work,
    },
    /// A function that a guest imports.
    Import {
        export: Arc<str>,
        target: Arc<Target>,
        arguments: Vec<Val>,
        /// The caller's, where it is traced.
        trace: Option<Arc<Trace>>,
    },
}

/// Who is to hear what comes of a call.
pub(crate) enum Waiter {
    Chain(Box<Chain>),
    Import(oneshot::Sender<Results>),
}

/// An answer that is owed. Dropped without one, because the sidecar has ended, whoever waits hears of how it has.
pub(crate) struct Owed {
    to: Option<Waiter>,
    by: Arc<Sidecar>,
}

impl Sidecar {
    fn new(desk: Weak<Desk>, program: Arc<Program>) -> (Arc<Self>, mpsc::UnboundedReceiver<Asked>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Arc::new(Self { line: Mutex::new(Line { open: Some(sender), ..Line::default() }), desk, program }), receiver)
    }

    pub fn owed_to(self: &Arc<Self>, chain: Box<Chain>) -> Owed {
        Owed { to: Some(Waiter::Chain(chain)), by: self.clone() }
    }

    /// What comes of a call of a guest's.
    pub fn owed(self: &Arc<Self>) -> (Owed, oneshot::Receiver<Results>) {
        let (sender, receiver) = oneshot::channel();
        (Owed { to: Some(Waiter::Import(sender)), by: self.clone() }, receiver)
    }

    /// Puts a call in the line; gives it back when it takes none any more.
    pub fn ask(&self, asked: Asked) -> std::result::Result<(), Asked> {
        match &self.lock().open {
            Some(line) => line.send(asked).map_err(|unsent| unsent.0),
            None => Err(asked),
        }
    }

    /// What is in the line is done, then it stops.
    pub fn stop(&self) {
        self.lock().open.take();
    }

    /// It has ended like this; whoever still waits is told.
    pub fn set_outcome(&self, outcome: Outcome) {
        let mut line = self.lock();
        line.open = None;
        let reason = outcome.reason();
        line.outcome = Some(outcome);
        let left = std::mem::take(&mut line.left);
        drop(line);
        for waiter in left {
            waiter.hears_of(Failure::gone(&reason));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    fn hears_of(self, failure: Failure) {
        match self {
            Waiter::Chain(chain) => chain.done(Err(failure)),
            Waiter::Import(reply) => drop(reply.send(Err(failure.reason))),
        }
    }
}

impl Owed {
    fn failed(mut self, reason: &str) {
        if let Some(waiter) = self.to.take() {
            waiter.hears_of(Failure::of_call(reason));
        }
    }

    fn done(mut self, done: Done) {
        if let Some(Waiter::Chain(chain)) = self.to.take() {
            chain.done(Ok(done));
        }
    }

    fn results(mut self, results: Results) {
        if let Some(Waiter::Import(reply)) = self.to.take() {
            let _ = reply.send(results);
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        let Some(waiter) = self.to.take() else { return };
        let mut line = self.by.lock();
        match &line.outcome {
            Some(outcome) => {
                let reason = outcome.reason();
                drop(line);
                waiter.hears_of(Failure::gone(&reason));
            }
            None => line.left.push(waiter),
        }
    }
}

/// The life of one: `start`, then calls as they come, then `stop`. An error has ended the store.
pub(crate) async fn stand(
    accessor: &Accessor<Host>,
    instance: Instance,
    run: &Run,
    state: &JobState,
    config: Vec<(String, String)>,
) -> Result<()> {
    let exports = match accessor.with(|mut store| Exports::of(store.as_context_mut(), &instance)) {
        Ok(exports) => exports,
        Err(error) => {
            state.fail(Outcome::Refused { code: "invalid-argument", message: format!("{error:#}") });
            return Ok(());
        }
    };
    run.set_began();
    let turn = state.turn();
    let started = exports.start(accessor, config).await?;
    drop(turn);
    if let Err(message) = started {
        state.fail(Outcome::GuestError { code: "rejected-config", message });
        return Ok(());
    }
    let (shared, desk, program) = accessor.with(|mut store| {
        let host = store.get();
        (host.shared.clone(), host.desk.clone(), host.program.clone())
    });
    let (sidecar, mut line) = Sidecar::new(desk, program.clone());
    run.stands(&sidecar);
    shared.sidecars().insert(run.handle, sidecar);
    shared.events.push(Event::Result { run: run.handle, json: "null".into() });
    let mut known = Vec::new();
    while let Some(Asked { what, owed, on, until }) = line.recv().await {
        if Instant::now() > until {
            owed.failed("it was busy for too long");
            continue;
        }
        accessor.with(|mut store| {
            let host = store.get();
            host.memory.forgive();
            host.log.begin_on(Some(run.handle), on);
        });
        let turn = state.turn();
        match what {
            What::Work { work } => {
                // Whoever polls it because it is quick measures it there.
                let measuring = (!program.pace.is_quick()).then(|| (std::thread::current().id(), thread_time()));
                let done = exports.perform(accessor, work).await?;
                drop(turn);
                if let Some((thread, before)) = measuring {
                    let is_same = thread == std::thread::current().id();
                    program.pace.note(if is_same { thread_time().saturating_sub(before) } else { Duration::MAX });
                }
                owed.done(done);
            }
            What::Import { export, target, arguments, trace } => {
                let before = trace.as_ref().map(|trace| trace.named());
                accessor.with(|mut store| store.get().serving = trace.clone());
                let said = import(accessor, instance, &mut known, &export, &target, arguments).await;
                drop(turn);
                accessor.with(|mut store| store.get().serving = None);
                // What it says depends on what only it knows.
                if let Some(trace) = trace
                    && before == Some(trace.named())
                {
                    trace.note(note::SIDECAR);
                }
                match said {
                    Ok(values) => owed.results(Ok(values)),
                    Err(Failed::This(message)) => owed.results(Err(message)),
                    Err(Failed::All(outcome)) => {
                        state.fail(outcome);
                        return Ok(());
                    }
                    Err(Failed::Store(error)) => return Err(error),
                }
            }
        }
    }
    accessor.with(|mut store| store.get().log.begin_on(Some(run.handle), None));
    let turn = state.turn();
    exports.stop(accessor).await?;
    drop(turn);
    Ok(())
}

enum Failed {
    /// Of the one call.
    This(String),
    /// The sidecar ends with this.
    All(Outcome),
    Store(wasmtime::Error),
}

type Known = Vec<(Arc<Target>, Func, usize)>;

async fn import(
    accessor: &Accessor<Host>,
    instance: Instance,
    known: &mut Known,
    export: &str,
    target: &Arc<Target>,
    arguments: Vec<Val>,
) -> std::result::Result<Vec<Val>, Failed> {
    let found = known.iter().find(|(other, ..)| Arc::ptr_eq(other, target)).map(|(_, func, results)| (*func, *results));
    let (func, results) = match found {
        Some(found) => found,
        None => {
            let found = accessor.with(|mut store| find_function(store.as_context_mut(), instance, export, &target.function));
            let (func, ty) = found.map_err(|outcome| Failed::This(outcome.reason()))?;
            if let Some(message) = target.misfit(&ty) {
                return Err(Failed::This(message));
            }
            known.push((target.clone(), func, ty.results().len()));
            (func, ty.results().len())
        }
    };
    let mut values = vec![Val::Bool(false); results];
    func.call_concurrent(accessor, &arguments, &mut values).await.map_err(Failed::Store)?;
    let limits = accessor.with(|mut store| store.get().value_limits());
    match values::measure(&values, limits) {
        Ok(_) => Ok(values),
        Err(ValueError::TooLarge { reached, limit, .. }) => {
            Err(Failed::All(Outcome::Limit { limit: Limit::Values, used: reached as u64, allowed: limit as u64 }))
        }
        Err(error) => Err(Failed::All(Outcome::GuestError { code: "bad-answer", message: error.to_string() })),
    }
}

//! The guest's side of a run: one frame becomes one call of an export.
//!
//! Runs inside the store's `run_concurrent`. What the guest answers is left in the job's slots, where the
//! instance's task finds it; an error returned from here has ended the store.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use wasmtime::component::{Accessor, GuestTaskId, Instance, Val};
use wasmtime::{AsContextMut, Result, StoreContextMut};
use wasmtime_wasi_http::p2::bindings::http::types as p2_types;
use wasmtime_wasi_http::{WasiBody, WasiHttpView, p3};

use crate::answer::AnswerSlot;
use crate::calls::{Parked, Served};
use crate::events::Event;
use crate::frame::{Frame, HttpFrame, LinkedFrame};
use crate::host::Host;
use crate::outcome::{Limit, Outcome};
use crate::program::{CommandEntry, HttpEntry};
use crate::run::{InputBody, Run};
use crate::sessions::ForCalls;
use crate::sidecars;
use crate::values::{self, ValueError};

/// How far a job is; written by the guest's side, read by the instance's task.
#[derive(Default)]
pub(crate) struct JobState {
    /// The export has returned.
    pub finished: AtomicBool,
    /// Nothing the guest started is left over; set once the store says so.
    pub quiet: AtomicBool,
    /// The client has been sent all of the answer; set by the instance's task.
    pub answered: AtomicBool,
    pub exit: AtomicI32,
    /// Calls of other guests that have begun, and the nanoseconds that those which are over took.
    pub turns: AtomicU32,
    pub service: AtomicU64,
    /// A session whose caller has nothing for it to do.
    pub resting: AtomicBool,
    /// A sidecar, which rests for as long as nobody calls it.
    pub standing: AtomicBool,
    outcome: Mutex<Option<Outcome>>,
    task: Mutex<Option<GuestTaskId>>,
}

impl JobState {
    /// The run ends with this, though the store is sound.
    pub(crate) fn fail(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    /// The component-model task that the export's call has become.
    fn begun_as(&self, task: GuestTaskId) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// One call of another guest begins; it is over when what this returns is dropped.
    pub(crate) fn turn(&self) -> Turn<'_> {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.resting.store(false, Ordering::Release);
        Turn { state: self, began: Instant::now() }
    }

    pub(crate) fn is_task(&self, task: GuestTaskId) -> bool {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) == Some(task)
    }

    pub(crate) fn failure(&self) -> Option<Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

pub(crate) struct Turn<'a> {
    state: &'a JobState,
    began: Instant,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.state.service.fetch_add(self.began.elapsed().as_nanos() as u64, Ordering::Relaxed);
        self.state.resting.store(true, Ordering::Release);
    }
}

pub(crate) struct Job {
    pub run: Arc<Run>,
    pub frame: Frame,
    pub slot: AnswerSlot,
    pub state: Arc<JobState>,
    /// No other run shares the instance, so what the guest logs and asks is this run's.
    pub alone: bool,
}

impl Job {
    /// Calls the export and returns when it has returned. What it started may go on.
    pub(crate) async fn run(self, accessor: &Accessor<Host>, instance: Instance) -> Result<()> {
        let state = self.state.clone();
        let run = self.alone.then_some(self.run.handle);
        accessor.with(|mut store| {
            let host = store.get();
            host.run = run;
            if let Some(handle) = run
                && !host.program.spec.calls.is_empty()
            {
                host.sessions.begin(run);
                self.run.may_call(&host.sessions);
                host.bound = host.shared.bound().remove(&handle).unwrap_or_default();
            }
            host.memory.forgive();
            host.log.begin(run);
            if run.is_some() {
                self.run.begins_with(&host.trace);
            }
        });
        match self.frame {
            Frame::Http(frame) => {
                self.run.set_began();
                http(accessor, instance, frame, self.run, self.slot, &state).await?
            }
            Frame::Call { interface, function, arguments } => {
                call(accessor, instance, &self.run, &state, &interface, &function, &arguments).await?
            }
            Frame::Linked(frame) => linked(accessor, instance, &self.run, &state, frame).await?,
            Frame::Command { arguments } => {
                if !arguments.is_empty() {
                    accessor.with(|mut store| store.get().be_given(arguments))?;
                }
                self.run.set_began();
                command(accessor, instance, &state).await?
            }
            Frame::Sidecar { config } => {
                state.standing.store(true, Ordering::Release);
                sidecars::stand(accessor, instance, &self.run, &state, config).await?
            }
        }
        state.finished.store(true, Ordering::Release);
        Ok(())
    }
}

async fn http(
    accessor: &Accessor<Host>,
    instance: Instance,
    frame: HttpFrame,
    run: Arc<Run>,
    slot: AnswerSlot,
    state: &JobState,
) -> Result<()> {
    let request = match request(frame, run) {
        Ok(request) => request,
        Err(outcome) => {
            state.fail(outcome);
            return Ok(());
        }
    };
    let program = accessor.with(|mut store| store.get().program.clone());
    match &program.http {
        Some(HttpEntry::P2(entry)) => http_p2(accessor, instance, entry, request, slot, state).await,
        Some(HttpEntry::P3(entry)) => http_p3(accessor, instance, entry, request, slot, state).await,
        None => {
            state.fail(Outcome::Refused { code: "not-http", message: "the component has no HTTP handler".into() });
            Ok(())
        }
    }
}

/// The request in the types of `wasi:http`, its body whole or arriving.
fn request(frame: HttpFrame, run: Arc<Run>) -> Result<http::Request<WasiBody>, Outcome> {
    let malformed = |error: crate::frame::FrameError| Outcome::Refused { code: "malformed", message: error.to_string() };
    let head = frame.head().map_err(malformed)?;
    let body = match (frame.more, frame.body) {
        (true, first) => {
            if let Some(first) = first {
                run.chunk(first);
            }
            InputBody::new(run).boxed_unsync()
        }
        (false, Some(bytes)) => {
            run.chunk_whole(bytes.len());
            if let Some(fault) = run.input_fault() {
                return Err(fault);
            }
            Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
        }
        (false, None) => {
            run.chunk_whole(0);
            Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync()
        }
    };
    head.body(body).map_err(|error| Outcome::Refused { code: "malformed", message: error.to_string() })
}

async fn http_p2(
    accessor: &Accessor<Host>,
    instance: Instance,
    entry: &wasmtime_wasi_http::p2::bindings::ProxyIndices,
    request: http::Request<WasiBody>,
    slot: AnswerSlot,
    state: &JobState,
) -> Result<()> {
    let answered = Arc::new(AtomicBool::new(false));
    let (handler, call) = accessor.with(|mut store| {
        let proxy = entry.load(store.as_context_mut(), &instance)?;
        let handler = proxy.wasi_http_incoming_handler().func_handle();
        let scheme = match request.uri().scheme_str() {
            Some("https") => p2_types::Scheme::Https,
            _ => p2_types::Scheme::Http,
        };
        let mut http = store.get().http();
        let incoming = http.new_incoming_request(scheme, request)?;
        let outparam = http.new_response_outparam_from_callback({
            let answered = answered.clone();
            move |given| {
                answered.store(true, Ordering::Relaxed);
                slot.put(given.map_err(|code| guest_error(&code)));
            }
        })?;
        let call = handler.start_call_concurrent(store.as_context_mut(), (incoming, outparam))?;
        state.begun_as(call.task());
        wasmtime::error::Ok((handler, call))
    })?;
    handler.finish_call_concurrent(accessor, call).await?;
    if !answered.load(Ordering::Relaxed) {
        state.fail(Outcome::GuestError { code: "no-answer", message: "the handler returned without an answer".into() });
    }
    Ok(())
}

async fn http_p3(
    accessor: &Accessor<Host>,
    instance: Instance,
    entry: &p3::bindings::ServiceIndices,
    request: http::Request<WasiBody>,
    slot: AnswerSlot,
    state: &JobState,
) -> Result<()> {
    let (handler, call, request_done) = accessor.with(|mut store| {
        let service = entry.load(store.as_context_mut(), &instance)?;
        let handler = service.wasi_http_handler().func_handle();
        let http = store.get().http();
        let (request, request_done) = p3::Request::from_http(http.hooks, request);
        // Boxed here: the future's own type would carry the borrow of the hooks with it.
        let request_done: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(request_done);
        let request = http.table.push(request)?;
        let call = handler.start_call_concurrent(store.as_context_mut(), (request,))?;
        state.begun_as(call.task());
        wasmtime::error::Ok((handler, call, request_done))
    })?;
    match handler.finish_call_concurrent(accessor, call).await?.0 {
        Err(code) => slot.put(Err(guest_error(&code))),
        Ok(response) => {
            let given = accessor.with(|mut store| {
                let response = store.get().http().table.delete(response)?;
                response.into_http_with_getter(&mut store, request_done, Host::http)
            });
            slot.put(given.map_err(|error| Outcome::GuestError { code: "bad-answer", message: format!("{error:#}") }));
        }
    }
    Ok(())
}

fn guest_error(code: &impl std::fmt::Debug) -> Outcome {
    Outcome::GuestError { code: "error-code", message: format!("{code:?}") }
}

async fn command(accessor: &Accessor<Host>, instance: Instance, state: &JobState) -> Result<()> {
    let program = accessor.with(|mut store| store.get().program.clone());
    let status = match &program.command {
        Some(CommandEntry::P2(entry)) => {
            let run = accessor.with(|mut store| {
                let command = entry.load(store.as_context_mut(), &instance)?;
                let run = command.wasi_cli_run().func_run();
                let call = run.start_call_concurrent(store.as_context_mut(), ())?;
                wasmtime::error::Ok((run, call))
            })?;
            run.0.finish_call_concurrent(accessor, run.1).await?.0
        }
        Some(CommandEntry::P3(entry)) => {
            let command = accessor.with(|mut store| entry.load(store.as_context_mut(), &instance))?;
            command.wasi_cli_run().call_run(accessor).await?
        }
        None => {
            state.fail(Outcome::Refused { code: "not-command", message: "the component does not export wasi:cli/run".into() });
            return Ok(());
        }
    };
    state.exit.store(i32::from(status.is_err()), Ordering::Relaxed);
    Ok(())
}

async fn call(
    accessor: &Accessor<Host>,
    instance: Instance,
    run: &Run,
    state: &JobState,
    interface: &str,
    function: &str,
    arguments: &str,
) -> Result<()> {
    let prepared = accessor.with(|mut store| {
        let (func, ty) = find_function(store.as_context_mut(), instance, interface, function)?;
        let limits = store.get().value_limits();
        let parameters = values::arguments_from_json(arguments, ty.params(), limits)
            .map_err(|error| Outcome::Refused { code: "invalid-argument", message: error.to_string() })?;
        Ok((func, ty, parameters))
    });
    let (func, ty, parameters) = match prepared {
        Ok(prepared) => prepared,
        Err(outcome) => {
            state.fail(outcome);
            return Ok(());
        }
    };
    let types: Vec<_> = ty.results().collect();
    let (limits, shared) = accessor.with(|mut store| (store.get().value_limits(), store.get().shared.clone()));
    let mut results = vec![Val::Bool(false); types.len()];
    run.set_began();
    func.call_concurrent(accessor, &parameters, &mut results).await?;
    let json = match (results.first(), types.first()) {
        (Some(value), Some(ty)) => values::to_json(value, ty, limits).map(|json| json.to_string()),
        _ => Ok("null".into()),
    };
    match json {
        Ok(_) if run.is_settled() => {}
        Ok(json) => shared.events.push(Event::Result { run: run.handle, json }),
        Err(ValueError::TooLarge { reached, limit, .. }) => {
            state.fail(Outcome::Limit { limit: Limit::Values, used: reached as u64, allowed: limit as u64 })
        }
        Err(error) => state.fail(Outcome::GuestError { code: "bad-answer", message: error.to_string() }),
    }
    Ok(())
}

/// Runs calls of another guest: the one that the frame names, and those that come while its session is kept. Takes the
/// arguments of each over once the function is known to be of the type that its caller imports.
async fn linked(
    accessor: &Accessor<Host>,
    instance: Instance,
    run: &Run,
    state: &JobState,
    LinkedFrame { call, interface, function, keep }: LinkedFrame,
) -> Result<()> {
    let prepared = accessor.with(|mut store| {
        let served = find_function(store.as_context_mut(), instance, &interface, &function)?;
        let host = store.get();
        let mut calls = host.shared.calls();
        // The caller is gone, or has been told something else.
        let parked = calls.get(&call).ok_or(Outcome::Cancelled)?;
        if let Some(message) = parked.target.misfit(&served.1) {
            return Err(Outcome::Refused { code: "invalid-argument", message });
        }
        let parked = calls.remove(&call).expect("it has just been looked at");
        Ok((served, parked, host.value_limits(), host.desk.clone(), host.shared.clone()))
    });
    let ((mut func, ty), mut parked, limits, desk, shared) = match prepared {
        Ok(prepared) => prepared,
        Err(outcome) => {
            state.fail(outcome);
            return Ok(());
        }
    };
    let mut results = ty.results().len();
    run.set_began();
    let kept = keep.zip(parked.sessions.clone()).map(|(keep, sessions)| {
        let bytes = values::measure(&parked.arguments, limits).unwrap_or(usize::MAX);
        (sessions, ForCalls::new(keep, parked.target.clone(), bytes))
    });
    let mut served = vec![(parked.target.clone(), func, results)];
    loop {
        let Parked { arguments, reply, .. } = parked;
        run.owe(reply);
        let mut values = vec![Val::Bool(false); results];
        let turn = state.turn();
        func.call_concurrent(accessor, &arguments, &mut values).await?;
        drop(turn);
        match values::measure(&values, limits) {
            Ok(_) => {}
            Err(ValueError::TooLarge { reached, limit, .. }) => {
                state.fail(Outcome::Limit { limit: Limit::Values, used: reached as u64, allowed: limit as u64 });
                return Ok(());
            }
            Err(error) => {
                state.fail(Outcome::GuestError { code: "bad-answer", message: error.to_string() });
                return Ok(());
            }
        }
        // What may become a record.
        if run.trace().is_some() && !run.is_settled() {
            let ty = parked.target.ty.results().next();
            let json = match (values.first(), &ty) {
                (Some(value), Some(ty)) => values::to_json(value, ty, limits).map(|json| json.to_string()),
                _ => Ok("null".into()),
            };
            if let Ok(json) = json {
                shared.events.push(Event::Result { run: run.handle, json });
            }
        }
        // Before the caller hears: its next call may come at once.
        let next = kept.as_ref().and_then(|(sessions, for_calls)| sessions.wait(for_calls, desk.clone()));
        if let Some(reply) = run.owed() {
            let _ = reply.send(Ok(Served::Values(values)));
        }
        let Some(next) = next else { return Ok(()) };
        let Ok(call) = next.await else { return Ok(()) };
        parked = call;
        let known = served.iter().find(|(target, ..)| Arc::ptr_eq(target, &parked.target));
        (func, results) = match known {
            Some((_, func, results)) => (*func, *results),
            None => {
                let found = accessor.with(|mut store| find_function(store.as_context_mut(), instance, &interface, &parked.target.function));
                let found = found.and_then(|(func, ty)| match parked.target.misfit(&ty) {
                    None => Ok((func, ty)),
                    Some(message) => Err(Outcome::Refused { code: "invalid-argument", message }),
                });
                match found {
                    Ok((func, ty)) => {
                        served.push((parked.target.clone(), func, ty.results().len()));
                        (func, ty.results().len())
                    }
                    // Only this call has failed; the session is as good as before, and is let go for simplicity's sake.
                    Err(outcome) => {
                        let _ = parked.reply.send(Err(outcome.reason()));
                        return Ok(());
                    }
                }
            }
        };
    }
}

pub(crate) fn find_function(
    mut store: StoreContextMut<'_, Host>,
    instance: Instance,
    interface: &str,
    function: &str,
) -> Result<(wasmtime::component::Func, wasmtime::component::types::ComponentFunc), Outcome> {
    let unknown = |what: String| Outcome::Refused { code: "no-function", message: what };
    let parent = match interface {
        "" => None,
        name => Some(
            instance
                .get_export_index(&mut store, None, name)
                .ok_or_else(|| unknown(format!("the component does not export the interface {name}")))?,
        ),
    };
    let index = instance.get_export_index(&mut store, parent.as_ref(), function);
    let func = index.and_then(|index| instance.get_func(&mut store, index));
    let func = func.ok_or_else(|| {
        unknown(format!("there is no function {function} in {}", if interface.is_empty() { "the component's world" } else { interface }))
    })?;
    let ty = func.ty(&store);
    Ok((func, ty))
}

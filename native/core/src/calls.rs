//! Calls of other tasks by guests: imported functions that another component serves, in a store of its own.
//!
//! The arguments of a call are parked here while the owner finds an instance for it ([`Event::Call`]); they never leave
//! the engine. The owner then runs a [`crate::frame::Frame::Linked`] that names the call, or refuses it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::oneshot;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Accessor, Component, Linker, LinkerInstance, Type, Val};
use wasmtime::{Engine, Result, StoreContextMut, format_err};

use crate::engine::Shared;
use crate::events::Event;
use crate::host::Host;
use crate::sessions::Sessions;
use crate::sidecars::{Asked, Bound, What};
use crate::trace::note;
use crate::values;

/// What came of a call: its results, or why there are none.
pub(crate) type Results = std::result::Result<Vec<Val>, String>;
pub(crate) type Reply = std::result::Result<Served, String>;

pub(crate) enum Served {
    Values(Vec<Val>),
    /// A sidecar is to take it, and those of the interface that follow.
    By(Arc<Bound>),
}

/// What is called, as the caller imports it.
pub(crate) struct Target {
    pub interface: String,
    pub function: String,
    pub ty: ComponentFunc,
}

/// A call that waits for its instance.
pub(crate) struct Parked {
    pub target: Arc<Target>,
    pub arguments: Vec<Val>,
    pub reply: oneshot::Sender<Reply>,
    /// The caller's, where it has a run of its own.
    pub sessions: Option<Sessions>,
}

impl Target {
    /// Why a function of this type cannot serve it, if so: by the types, as values of several may look the same.
    pub fn misfit(&self, ty: &ComponentFunc) -> Option<String> {
        let Self { interface, function, ty: own } = self;
        let same = |own: &mut dyn Iterator<Item = Type>, other: &mut dyn Iterator<Item = Type>| own.eq(other);
        if !same(&mut own.params().map(|(_, ty)| ty), &mut ty.params().map(|(_, ty)| ty)) {
            return Some(format!("{interface}#{function} takes other types than its caller gives"));
        }
        if !same(&mut own.results(), &mut ty.results()) {
            return Some(format!("{interface}#{function} gives other types than its caller takes"));
        }
        None
    }
}

/// A call that came to nothing, where its type cannot say so.
#[derive(Debug, thiserror::Error)]
#[error("{interface}#{function}: {message}")]
pub(crate) struct CallFailed {
    interface: String,
    function: String,
    message: String,
}

/// A sidecar that serves an import has failed, and the run is not to go on without it.
#[derive(Debug, thiserror::Error)]
#[error("the sidecar that serves {interface} failed: {message}")]
pub(crate) struct SidecarFailed {
    interface: String,
    message: String,
}

/// The cases, in the order of preference, by which an error type can say that a call failed.
const FAILURES: [&str; 5] = ["unavailable", "failed", "other", "internal-error", "internal"];

/// Defines each function of the imported interfaces named in `calls` as a call of another task. Fails with what of them
/// cannot cross from one store to another.
pub fn add_calls(linker: &mut Linker<Host>, engine: &Engine, component: &Component, calls: &[String]) -> Result<()> {
    for (interface, item) in component.component_type().imports(engine) {
        if !calls.iter().any(|call| call == interface) {
            continue;
        }
        let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
        let mut target = linker.instance(interface)?;
        for (name, item) in instance.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(ty) => {
                    if let Some(kind) = staying(&ty) {
                        return Err(format_err!(
                            "{interface}: {name} has {kind} in its type, which lives inside one instance; another task cannot serve it"
                        ));
                    }
                    add_call(&mut target, interface, name, &ty)?;
                }
                ComponentItem::Resource(_) => {
                    return Err(format_err!("{interface}: the resource {name} lives inside one instance; another task cannot serve it"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn staying(ty: &ComponentFunc) -> Option<&'static str> {
    ty.params().map(|(_, ty)| ty).chain(ty.results()).find_map(|ty| values::staying(&ty))
}

fn add_call(target: &mut LinkerInstance<'_, Host>, interface: &str, function: &str, ty: &ComponentFunc) -> Result<()> {
    let called = Arc::new(Target { interface: interface.to_owned(), function: function.to_owned(), ty: ty.clone() });
    if ty.async_() {
        target.func_new_concurrent(function, move |accessor: &Accessor<Host>, _, parameters, results| {
            let called = called.clone();
            Box::pin(async move {
                let (bytes, bound) = accessor.with(|mut store| -> Result<_> {
                    let host = store.get();
                    Ok((values::measure(parameters, host.value_limits())?, bound(host, &called)))
                })?;
                if let Some(bound) = bound {
                    let said = accessor.with(|mut store| to_sidecar(store.get(), &bound, &called, parameters));
                    return take_said(&bound, &called, said.await, results);
                }
                let session = accessor.with(|mut store| in_session(store.get(), &called, parameters, bytes));
                let reply = match session {
                    Some(session) => session.await.ok(),
                    None => None,
                };
                let reply = match reply {
                    Some(reply) => reply,
                    None => accessor.with(|mut store| asked(store.get(), &called, parameters, bytes)).await,
                };
                match reply {
                    Ok(Served::By(bound)) => {
                        let said = accessor.with(|mut store| {
                            store.get().bound.push(bound.clone());
                            to_sidecar(store.get(), &bound, &called, parameters)
                        });
                        take_said(&bound, &called, said.await, results)
                    }
                    Ok(Served::Values(values)) => take(&called, Ok(values), results),
                    Err(message) => take(&called, Err(message), results),
                }
            })
        })
    } else {
        target.func_new_async(function, move |mut store: StoreContextMut<'_, Host>, _, parameters, results| {
            let called = called.clone();
            Box::new(async move {
                let bytes = values::measure(parameters, store.data().value_limits())?;
                if let Some(bound) = bound(store.data(), &called) {
                    let said = to_sidecar(store.data(), &bound, &called, parameters);
                    return take_said(&bound, &called, said.await, results);
                }
                let reply = match in_session(store.data_mut(), &called, parameters, bytes) {
                    Some(session) => session.await.ok(),
                    None => None,
                };
                let reply = match reply {
                    Some(reply) => reply,
                    None => asked(store.data_mut(), &called, parameters, bytes).await,
                };
                match reply {
                    Ok(Served::By(bound)) => {
                        store.data_mut().bound.push(bound.clone());
                        let said = to_sidecar(store.data(), &bound, &called, parameters);
                        take_said(&bound, &called, said.await, results)
                    }
                    Ok(Served::Values(values)) => take(&called, Ok(values), results),
                    Err(message) => take(&called, Err(message), results),
                }
            })
        })
    }
}

/// The sidecar that serves the interface for this run.
fn bound(host: &Host, target: &Target) -> Option<Arc<Bound>> {
    host.bound.iter().find(|bound| bound.import == target.interface).cloned()
}

/// Puts the call in the sidecar's line; what comes of it follows.
fn to_sidecar(host: &Host, bound: &Bound, target: &Arc<Target>, parameters: &[Val]) -> impl Future<Output = Results> + use<> {
    let (owed, answer) = bound.sidecar.owed();
    let trace = host.trace.is_on().then(|| host.trace.clone());
    let what = What::Import { export: bound.export.clone(), target: target.clone(), arguments: parameters.to_vec(), trace };
    host.take(&bound.sidecar.desk);
    // One that takes no more drops it: then the answer is how it has ended.
    drop(bound.sidecar.ask(Asked { what, owed, on: host.run, until: Instant::now() + bound.limit }));
    let noted = host.trace.clone();
    async move {
        let said = answer.await.unwrap_or_else(|_| Err("it has stopped".into()));
        // Whether it fails so again is not known.
        if said.is_err() {
            noted.note(note::SIDECAR);
        }
        said
    }
}

/// Where a sidecar fails and may, a function that gives nothing has done nothing, and one whose type can say that it failed does.
fn take_said(bound: &Bound, target: &Target, said: Results, results: &mut [Val]) -> Result<()> {
    match said {
        Err(message) if !bound.open => Err(SidecarFailed { interface: target.interface.clone(), message }.into()),
        Err(_) if results.is_empty() => Ok(()),
        said => take(target, said, results),
    }
}

/// Gives the call, whose arguments are of so many bytes, to a session that waits for the run's next one, if one does. No
/// reply comes from a session that has ended without taking the call up.
fn in_session(host: &mut Host, target: &Arc<Target>, parameters: &[Val], bytes: usize) -> Option<oneshot::Receiver<Reply>> {
    let run = host.run?;
    let session = host.sessions.take(target, bytes)?;
    let (parked, reply) = parked(target, parameters, Some(host.sessions.of(run)));
    host.take(&session.desk);
    session.send(parked).is_ok().then_some(reply)
}

/// Keeps the arguments and asks the owner for an instance. What it returns takes the call back when it is dropped.
fn asked(host: &mut Host, target: &Arc<Target>, parameters: &[Val], bytes: usize) -> Waiting {
    let shared = host.shared.clone();
    let (parked, receiver) = parked(target, parameters, host.run.map(|run| host.sessions.of(run)));
    let call = shared.next_ask.fetch_add(1, Ordering::Relaxed);
    shared.calls().insert(call, parked);
    shared.events.push(Event::Call {
        run: host.run.unwrap_or(0),
        call,
        target: target.interface.clone(),
        function: target.function.clone(),
        bytes: bytes as u64,
    });
    Waiting { call, receiver, shared }
}

fn parked(target: &Arc<Target>, parameters: &[Val], sessions: Option<Sessions>) -> (Parked, oneshot::Receiver<Reply>) {
    let (reply, receiver) = oneshot::channel();
    (Parked { target: target.clone(), arguments: parameters.to_vec(), reply, sessions }, receiver)
}

struct Waiting {
    call: u64,
    receiver: oneshot::Receiver<Reply>,
    shared: Arc<Shared>,
}

impl Future for Waiting {
    type Output = Reply;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.receiver)
            .poll(cx)
            .map(|reply| reply.unwrap_or_else(|_| Err("the task that was called has ended".into())))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.calls().remove(&self.call);
    }
}

fn take(target: &Target, reply: Results, results: &mut [Val]) -> Result<()> {
    match reply {
        Ok(values) => {
            for (slot, value) in results.iter_mut().zip(values) {
                *slot = value;
            }
            Ok(())
        }
        Err(message) => match target.ty.results().next().and_then(|ty| error_value(&ty, &message)) {
            Some(value) => {
                results[0] = value;
                Ok(())
            }
            None => Err(CallFailed { interface: target.interface.clone(), function: target.function.clone(), message }.into()),
        },
    }
}

/// The value by which a function of this result type says that its call failed, if its error type can say so: a string, or
/// a case with one of the names above that carries nothing or a string.
fn error_value(ty: &Type, message: &str) -> Option<Val> {
    let Type::Result(result) = ty else { return None };
    let text = || Val::String(message.to_owned());
    let error = match result.err()? {
        Type::String => text(),
        Type::Enum(cases) => {
            let name = FAILURES.iter().find(|name| cases.names().any(|case| case == **name))?;
            Val::Enum((*name).to_owned())
        }
        Type::Variant(variant) => FAILURES.iter().find_map(|name| {
            let case = variant.cases().find(|case| case.name == *name)?;
            let payload = match case.ty {
                None => None,
                Some(Type::String) => Some(Box::new(text())),
                Some(Type::Option(option)) if matches!(option.ty(), Type::String) => Some(Box::new(Val::Option(Some(Box::new(text()))))),
                Some(_) => return None,
            };
            Some(Val::Variant((*name).to_owned(), payload))
        })?,
        _ => return None,
    };
    Some(Val::Result(Err(Some(Box::new(error)))))
}

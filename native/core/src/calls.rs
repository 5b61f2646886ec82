//! Calls of other tasks by guests: imported functions that another component serves, in a store of its own.
//!
//! The arguments of a call are parked here while the owner finds an instance for it ([`Event::Call`]); they never leave
//! the engine. The owner then runs a [`crate::frame::Frame::Linked`] that names the call, or refuses it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Accessor, Component, Linker, LinkerInstance, Type, Val};
use wasmtime::{Engine, Result, StoreContextMut, format_err};

use crate::engine::Shared;
use crate::events::Event;
use crate::host::Host;
use crate::values;

/// What came of a call: its results, or why there are none.
pub(crate) type Reply = std::result::Result<Vec<Val>, String>;

/// A call that waits for its instance.
pub(crate) struct Parked {
    pub arguments: Vec<Val>,
    pub reply: oneshot::Sender<Reply>,
}

/// A call that came to nothing, where its type cannot say so.
#[derive(Debug, thiserror::Error)]
#[error("{interface}#{function}: {message}")]
pub(crate) struct CallFailed {
    interface: String,
    function: String,
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
    let (interface, name) = (interface.to_owned(), function.to_owned());
    if ty.async_() {
        target.func_new_concurrent(function, move |accessor: &Accessor<Host>, ty, parameters, results| {
            let (interface, name) = (interface.clone(), name.clone());
            Box::pin(async move {
                let waiting = accessor.with(|mut store| park(store.get(), &interface, &name, parameters))?;
                take(&interface, &name, waiting.await, &ty, results)
            })
        })
    } else {
        target.func_new_async(function, move |mut store: StoreContextMut<'_, Host>, ty, parameters, results| {
            let (interface, name) = (interface.clone(), name.clone());
            Box::new(async move {
                let waiting = park(store.data_mut(), &interface, &name, parameters)?;
                take(&interface, &name, waiting.await, &ty, results)
            })
        })
    }
}

/// Keeps the arguments and asks the owner for an instance. What it returns takes the call back when it is dropped.
fn park(host: &mut Host, interface: &str, function: &str, parameters: &[Val]) -> Result<Waiting> {
    let bytes = values::measure(parameters, host.value_limits())?;
    let shared = host.shared.clone();
    let call = shared.next_ask.fetch_add(1, Ordering::Relaxed);
    let (reply, receiver) = oneshot::channel();
    shared.calls().insert(call, Parked { arguments: parameters.to_vec(), reply });
    shared.events.push(Event::Call {
        run: host.run.unwrap_or(0),
        call,
        target: interface.to_owned(),
        function: function.to_owned(),
        bytes: bytes as u64,
    });
    Ok(Waiting { call, receiver, shared })
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

fn take(interface: &str, function: &str, reply: Reply, ty: &ComponentFunc, results: &mut [Val]) -> Result<()> {
    match reply {
        Ok(values) => {
            for (slot, value) in results.iter_mut().zip(values) {
                *slot = value;
            }
            Ok(())
        }
        Err(message) => match ty.results().next().and_then(|ty| error_value(&ty, &message)) {
            Some(value) => {
                results[0] = value;
                Ok(())
            }
            None => Err(CallFailed { interface: interface.into(), function: function.into(), message }.into()),
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

//! Host capabilities beyond WASI's core: `wasi:logging`, `wasi:config`, `wasi:keyvalue` ([`crate::keyvalue`]), and
//! imports that the owner answers.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Accessor, Component, ComponentType, Lift, Linker, Lower, Val};
use wasmtime::{Engine, Result, StoreContextMut, format_err};

use crate::engine::{Reply, Shared};
use crate::events::Event;
use crate::host::Host;
use crate::trace::note;
use crate::values::{self, Limits};

/// Pre-release versions do not match by semver, so each draft that is in use is linked by its name.
const CONFIG_DRAFTS: [&str; 2] = ["wasi:config/store@0.2.0-rc.1", "wasi:config/store@0.2.0-draft-2024-09-27"];
const DEPEND: &str = "pilotlight:memo/depend@0.1.0";
const LOGGING: &str = "wasi:logging/logging@0.1.0-draft";

#[derive(ComponentType, Lift, Lower, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "guests make them")]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
    #[component(name = "critical")]
    Critical,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
        }
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "our store cannot fail, the interface says that one may")]
enum ConfigError {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

pub fn add_to_linker(linker: &mut Linker<Host>) -> Result<()> {
    linker.instance(LOGGING)?.func_wrap(
        "log",
        |store: StoreContextMut<'_, Host>, (level, context, message): (Level, String, String)| {
            store.data().log.line(level.name(), context, message);
            Ok(())
        },
    )?;
    linker.instance(DEPEND)?.func_wrap("on", |store: StoreContextMut<'_, Host>, (resource, state): (String, String)| {
        let host = store.data();
        host.serving.as_ref().unwrap_or(&host.trace).depends(resource, state);
        Ok(())
    })?;
    crate::keyvalue::add_to_linker(linker)?;
    crate::sidecars::jwks::add_to_linker(linker)?;
    for name in CONFIG_DRAFTS {
        let mut store = linker.instance(name)?;
        store.func_wrap("get", |store: StoreContextMut<'_, Host>, (key,): (String,)| {
            let config = &store.data().program.spec.config;
            let found = config.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
            Ok((Ok::<_, ConfigError>(found),))
        })?;
        store.func_wrap("get-all", |store: StoreContextMut<'_, Host>, (): ()| {
            Ok((Ok::<_, ConfigError>(store.data().program.spec.config.clone()),))
        })?;
    }
    Ok(())
}

/// Defines each function of the imported interfaces named in `scripts` as a question to the owner.
pub fn add_scripts(linker: &mut Linker<Host>, engine: &Engine, component: &Component, scripts: &[String]) -> Result<()> {
    for (interface, item) in component.component_type().imports(engine) {
        if !scripts.iter().any(|script| script == interface) {
            continue;
        }
        let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
        let mut target = linker.instance(interface)?;
        for (function, item) in instance.exports(engine) {
            let ComponentItem::ComponentFunc(ty) = item.ty else { continue };
            add_script(&mut target, interface, function, &ty)?;
        }
    }
    Ok(())
}

fn add_script(
    target: &mut wasmtime::component::LinkerInstance<'_, Host>,
    interface: &str,
    function: &str,
    ty: &ComponentFunc,
) -> Result<()> {
    let (interface, name) = (interface.to_owned(), function.to_owned());
    if ty.async_() {
        target.func_new_concurrent(function, move |accessor: &Accessor<Host>, ty, parameters, results| {
            let (interface, name) = (interface.clone(), name.clone());
            Box::pin(async move {
                let (answer, limits) =
                    accessor.with(|mut store| (ask(store.get(), &interface, &name, &ty, parameters), store.get().value_limits()));
                take(&interface, &name, answer?.await, &ty, limits, results)
            })
        })
    } else {
        target.func_new_async(function, move |mut store: StoreContextMut<'_, Host>, ty, parameters, results| {
            let (interface, name) = (interface.clone(), name.clone());
            Box::new(async move {
                let answer = ask(store.data_mut(), &interface, &name, &ty, parameters)?;
                take(&interface, &name, answer.await, &ty, store.data().value_limits(), results)
            })
        })
    }
}

/// Sends the question on its way. The answer's receiver takes the question back when it is dropped unanswered.
fn ask(host: &mut Host, interface: &str, function: &str, ty: &ComponentFunc, parameters: &[Val]) -> Result<Asked> {
    let arguments = values::values_to_json(parameters, ty.params().map(|(_, ty)| ty), host.value_limits())?;
    // What Pilotlight itself is asked is known to it.
    if !interface.starts_with("pilotlight:") {
        host.trace.note(note::IMPORT);
    }
    let shared = host.shared.clone();
    let ask = shared.next_ask.fetch_add(1, Ordering::Relaxed);
    let (sender, receiver) = oneshot::channel();
    shared.asks().insert(ask, sender);
    shared.events.push(Event::Ask {
        run: host.run.unwrap_or(0),
        ask,
        interface: interface.to_owned(),
        function: function.to_owned(),
        arguments: arguments.to_string(),
    });
    Ok(Asked { ask, receiver, shared })
}

struct Asked {
    ask: u64,
    receiver: oneshot::Receiver<Reply>,
    shared: std::sync::Arc<Shared>,
}

impl Future for Asked {
    type Output = Option<Reply>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.receiver).poll(cx).map(Result::ok)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.shared.asks().remove(&self.ask);
    }
}

fn take(interface: &str, function: &str, reply: Option<Reply>, ty: &ComponentFunc, limits: Limits, results: &mut [Val]) -> Result<()> {
    let json = match reply {
        Some(Ok(json)) => json,
        Some(Err(message)) => return Err(format_err!("{interface}#{function}: {message}")),
        None => return Err(format_err!("{interface}#{function} was never answered")),
    };
    let values = values::results_from_json(&json, ty.results(), limits).map_err(|error| format_err!("{interface}#{function}: {error}"))?;
    for (slot, value) in results.iter_mut().zip(values) {
        *slot = value;
    }
    Ok(())
}

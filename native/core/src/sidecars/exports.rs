//! What a sidecar exports, looked up once for its instance.

use wasmtime::component::{Accessor, ComponentNamedList, Instance, Lift, Lower, TypedFunc};
use wasmtime::{Result, StoreContextMut};

use super::wire::{Call, Done, Ending, Head, Headers, Identity, Line, Refusal, Work};
use crate::host::Host;
use std::sync::Arc;

type Config = Vec<(String, String)>;

/// Absent: the component does not export it.
pub(super) struct Exports {
    start: Option<TypedFunc<(Config,), (std::result::Result<(), String>,)>>,
    pause: Option<TypedFunc<(), ()>>,
    resume: Option<TypedFunc<(), ()>>,
    stop: Option<TypedFunc<(), ()>>,
    check: Option<TypedFunc<(Arc<Call>, Arc<Head>), (std::result::Result<Option<Identity>, Refusal>,)>>,
    request: Option<TypedFunc<(Arc<Call>, Head, Vec<u8>), (std::result::Result<(Head, Vec<u8>), Refusal>,)>>,
    head: Option<TypedFunc<(Arc<Call>, u16, Headers), ((u16, Headers),)>>,
    lines: Option<TypedFunc<(Arc<Call>, Vec<Line>), ()>>,
    ended: Option<TypedFunc<(Arc<Call>, Ending, Option<u16>, u64), ()>>,
}

impl Exports {
    /// Fails where the component exports an interface of ours with other types than ours.
    pub fn of(mut store: StoreContextMut<'_, Host>, instance: &Instance) -> Result<Self> {
        let store = &mut store;
        Ok(Self {
            start: find(store, instance, "lifecycle", "start")?,
            pause: find(store, instance, "lifecycle", "pause")?,
            resume: find(store, instance, "lifecycle", "resume")?,
            stop: find(store, instance, "lifecycle", "stop")?,
            check: find(store, instance, "guard", "check")?,
            request: find(store, instance, "transform", "request")?,
            head: find(store, instance, "respond", "head")?,
            lines: find(store, instance, "tap", "lines")?,
            ended: find(store, instance, "observer", "ended")?,
        })
    }

    /// What the sidecar says to its configuration.
    pub async fn start(&self, accessor: &Accessor<Host>, config: Config) -> Result<std::result::Result<(), String>> {
        match &self.start {
            Some(start) => Ok(start.call_concurrent(accessor, (config,)).await?.0),
            None => Ok(Ok(())),
        }
    }

    pub async fn stop(&self, accessor: &Accessor<Host>) -> Result<()> {
        match &self.stop {
            Some(stop) => stop.call_concurrent(accessor, ()).await,
            None => Ok(()),
        }
    }

    pub async fn perform(&self, accessor: &Accessor<Host>, work: Work) -> Result<Done> {
        match (work, self) {
            (Work::Check { call, head }, Self { check: Some(func), .. }) => {
                func.call_concurrent(accessor, (call, head)).await.map(|(said,)| Done::Checked(said))
            }
            (Work::Request { call, head, body }, Self { request: Some(func), .. }) => {
                func.call_concurrent(accessor, (call, head, body)).await.map(|(said,)| Done::Requested(said))
            }
            (Work::Head { call, status, headers }, Self { head: Some(func), .. }) => {
                func.call_concurrent(accessor, (call, status, headers)).await.map(|((status, headers),)| Done::Headed(status, headers))
            }
            (Work::Lines { call, batch }, Self { lines: Some(func), .. }) => {
                func.call_concurrent(accessor, (call, batch)).await.map(|()| Done::Nothing)
            }
            (Work::Ended { call, ending, status, nanoseconds }, Self { ended: Some(func), .. }) => {
                func.call_concurrent(accessor, (call, ending, status, nanoseconds)).await.map(|()| Done::Nothing)
            }
            (Work::Pause, Self { pause: Some(func), .. }) | (Work::Resume, Self { resume: Some(func), .. }) => {
                func.call_concurrent(accessor, ()).await.map(|()| Done::Nothing)
            }
            _ => Ok(Done::Nothing),
        }
    }
}

fn find<P, R>(
    store: &mut StoreContextMut<'_, Host>,
    instance: &Instance,
    interface: &str,
    function: &str,
) -> Result<Option<TypedFunc<P, R>>>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let interface = format!("pilotlight:sidecar/{interface}@0.1.0");
    let Some(parent) = instance.get_export_index(&mut *store, None, &interface) else { return Ok(None) };
    let Some(index) = instance.get_export_index(&mut *store, Some(&parent), function) else { return Ok(None) };
    let func = instance.get_typed_func(&mut *store, index);
    func.map(Some)
        .map_err(|error| error.context(format!("{interface}#{function} is not of the type that it has in wit/pilotlight/sidecar.wit")))
}

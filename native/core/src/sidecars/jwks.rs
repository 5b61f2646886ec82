//! `pilotlight:sidecar/jwks`: documents that the owner fetches for a sidecar, once asked for, and keeps fresh beside its calls.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use tokio::sync::oneshot;
use wasmtime::component::Linker;
use wasmtime::{Result, StoreContextMut};

use crate::events::Event;
use crate::host::Host;

pub const JWKS: &str = "pilotlight:sidecar/jwks@0.1.0";

/// What the owner answers with: the one result in an array, as other asks have it.
#[derive(Deserialize)]
struct Answer([Said; 1]);

#[derive(Deserialize)]
#[serde(tag = "tag", content = "val", rename_all = "lowercase")]
enum Said {
    Ok(String),
    Err(String),
}

pub fn add_to_linker(linker: &mut Linker<Host>) -> Result<()> {
    linker.instance(JWKS)?.func_wrap_async("fetch", |store: StoreContextMut<'_, Host>, (url,): (String,)| {
        Box::new(async move {
            let host = store.data();
            let shared = host.shared.clone();
            let run = host.run.unwrap_or(0);
            if let Some(text) = shared.documents().get(&(run, url.clone())) {
                return Ok((Ok::<_, String>(text.to_string()),));
            }
            let ask = shared.next_ask.fetch_add(1, Ordering::Relaxed);
            let (sender, receiver) = oneshot::channel();
            shared.asks().insert(ask, sender);
            let _asked = Asked { ask, shared: shared.clone() };
            let arguments = serde_json::json!([url]).to_string();
            shared.events.push(Event::Ask { run, ask, interface: JWKS.into(), function: "fetch".into(), arguments });
            let said = match receiver.await {
                Ok(Ok(json)) => serde_json::from_str(&json).map_or_else(|error| Err(error.to_string()), |Answer([said])| said.into()),
                Ok(Err(message)) => Err(message),
                Err(_) => Err("nobody has answered".into()),
            };
            Ok((said,))
        })
    })
}

/// Takes the question back when the guest's call is dropped.
struct Asked {
    ask: u64,
    shared: Arc<crate::engine::Shared>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.shared.asks().remove(&self.ask);
    }
}

impl From<Said> for std::result::Result<String, String> {
    fn from(said: Said) -> Self {
        match said {
            Said::Ok(text) => Ok(text),
            Said::Err(message) => Err(message),
        }
    }
}

//! A program: a component linked with its imports and its grants, ready to instantiate.

use std::sync::Arc;

use serde::Deserialize;
use wasmtime::component::InstancePre;
use wasmtime_wasi_http::{p2, p3};

use crate::guestlog::LogRate;
use crate::host::Host;
use crate::outbound::Outbound;
use crate::sidecars::Pace;

/// Text that all instances of a program may log in a second.
const LOG_BYTES_PER_SECOND: u64 = 1024 * 1024;

/// What the owner says about a program; see `src/engine/program.ts` for the meaning of each field.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProgramSpec {
    pub digest: String,
    pub limits: Limits,
    pub environment: Vec<(String, String)>,
    pub arguments: Vec<String>,
    pub directories: Vec<Directory>,
    pub config: Vec<(String, String)>,
    pub outbound: OutboundSpec,
    pub sockets: bool,
    pub stdio: Stdio,
    pub max_concurrent: u32,
    pub scripts: Vec<String>,
    /// Imported interfaces that other tasks serve.
    #[serde(default)]
    pub calls: Vec<String>,
    /// Whose key-value data it sees.
    #[serde(default = "default_tenant")]
    pub tenant: String,
    /// Names of the stores that it may open.
    #[serde(default)]
    pub stores: Vec<String>,
}

fn default_tenant() -> String {
    "default".into()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    pub memory_bytes: u64,
    pub cpu_ms: u64,
    pub request_body_bytes: u64,
    pub response_body_bytes: u64,
    pub header_bytes: u64,
    pub handles: u64,
    pub log_bytes: u64,
    pub value_bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Directory {
    pub host: String,
    pub guest: String,
    pub read_only: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutboundSpec {
    pub origins: Vec<String>,
    pub any_address: bool,
    pub connect_ms: u64,
    pub first_byte_ms: u64,
    pub between_bytes_ms: u64,
    pub connections: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stdio {
    Capture,
    Inherit,
}

pub struct Program {
    pub(crate) spec: ProgramSpec,
    pub(crate) pre: InstancePre<Host>,
    /// How its HTTP handler is called, if it has one.
    pub(crate) http: Option<HttpEntry>,
    pub(crate) command: Option<CommandEntry>,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) log_rate: Arc<LogRate>,
    /// Of its calls as a sidecar.
    pub(crate) pace: Pace,
}

/// Export indices, looked up once for all instances.
pub(crate) enum HttpEntry {
    P2(p2::bindings::ProxyIndices),
    P3(p3::bindings::ServiceIndices),
}

pub(crate) enum CommandEntry {
    P2(wasmtime_wasi::p2::bindings::CommandIndices),
    P3(wasmtime_wasi::p3::bindings::CommandIndices),
}

impl Program {
    pub(crate) fn new(spec: ProgramSpec, pre: InstancePre<Host>, outbound: Arc<Outbound>) -> Self {
        // 0.3 is preferred where a component exports both, as it streams better.
        let http = p3::bindings::ServiceIndices::new(&pre)
            .map(HttpEntry::P3)
            .or_else(|_| p2::bindings::ProxyIndices::new(&pre).map(HttpEntry::P2))
            .ok();
        let command = wasmtime_wasi::p3::bindings::CommandIndices::new(&pre)
            .map(CommandEntry::P3)
            .or_else(|_| wasmtime_wasi::p2::bindings::CommandIndices::new(&pre).map(CommandEntry::P2))
            .ok();
        let log_rate = Arc::new(LogRate::new(LOG_BYTES_PER_SECOND));
        Self { spec, pre, http, command, outbound, log_rate, pace: Pace::default() }
    }
}

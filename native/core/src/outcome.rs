//! How a run ended, as a value, and what it took. The blame is decided here and nowhere else.

use wasmtime::component::ResourceTableError;
use wasmtime_wasi_http::FieldMapError;

use crate::calls::{CallFailed, SidecarFailed};
use crate::meter::Denied;
use crate::values::ValueError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// `exit` is the status of a `wasi:cli/run` component, 0 otherwise.
    Ok {
        exit: i32,
    },
    /// The guest's own error. `code` is `error-code`, `no-answer`, `bad-answer`, or `call-failed` where a call of another task
    /// came to nothing and its type could not say so.
    GuestError {
        code: &'static str,
        message: String,
    },
    Trap {
        message: String,
    },
    Limit {
        limit: Limit,
        used: u64,
        allowed: u64,
    },
    Cancelled,
    /// No capacity in the engine, or a frame that does not fit the program.
    Refused {
        code: &'static str,
        message: String,
    },
    /// Ours. `instance-lost` when another run took the shared instance along.
    Platform {
        code: &'static str,
        message: String,
    },
}

impl Outcome {
    /// In a few words, for a message.
    pub fn reason(&self) -> String {
        match self {
            Outcome::Ok { exit } => format!("it has exited with {exit}"),
            Outcome::Limit { limit, used, allowed } => format!("{}: {used} of {allowed}", limit.name()),
            Outcome::Cancelled => "it was cancelled".into(),
            Outcome::GuestError { message, .. }
            | Outcome::Trap { message }
            | Outcome::Refused { message, .. }
            | Outcome::Platform { message, .. } => message.clone(),
        }
    }
}

/// Bytes for memory, bodies, headers and values; milliseconds for cpu and the times; a count for handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Memory,
    /// The cell's, which all instances in it share.
    CellMemory,
    Cpu,
    HeadTime,
    IdleTime,
    TotalTime,
    RequestBody,
    ResponseBody,
    ResponseHeaders,
    Handles,
    Values,
}

impl Limit {
    pub fn name(self) -> &'static str {
        match self {
            Limit::Memory => "memory",
            Limit::CellMemory => "cell-memory",
            Limit::Cpu => "cpu",
            Limit::HeadTime => "head-time",
            Limit::IdleTime => "idle-time",
            Limit::TotalTime => "total-time",
            Limit::RequestBody => "request-body",
            Limit::ResponseBody => "response-body",
            Limit::ResponseHeaders => "response-headers",
            Limit::Handles => "handles",
            Limit::Values => "values",
        }
    }
}

/// What a run took. Nanoseconds and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu: u64,
    pub run: u64,
    pub start: u64,
    pub wait: u64,
    pub memory: u64,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub dropped_lines: u64,
    /// Of other guests, taken one after the other; and what of the run's time they took.
    pub calls: u32,
    pub service: u64,
}

/// What the store knew when the error came out of it.
#[derive(Debug, Clone, Copy)]
pub struct Evidence {
    /// A growth of memory that was refused.
    pub memory_denied: Option<Denied>,
    pub handle_limit: u64,
    pub header_limit: u64,
    pub value_limit: u64,
}

/// wasmtime's error for values past the fuel is private; its text is not.
const FUEL_EXHAUSTED: &str = "too much data is being copied between the host and the guest";

/// Blames an error that ended a store.
pub fn blame(error: &wasmtime::Error, evidence: Evidence) -> Outcome {
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return Outcome::Ok { exit: exit.0 };
    }
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return Outcome::Refused { code: "node-full", message: "the instance pool is empty".into() };
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        let allowed = evidence.handle_limit;
        return Outcome::Limit { limit: Limit::Handles, used: allowed + 1, allowed };
    }
    if let Some(FieldMapError::TooManyFields | FieldMapError::TotalSizeTooBig) = error.downcast_ref::<FieldMapError>() {
        let allowed = evidence.header_limit;
        return Outcome::Limit { limit: Limit::ResponseHeaders, used: allowed + 1, allowed };
    }
    if error.root_cause().to_string().starts_with(FUEL_EXHAUSTED) {
        let allowed = evidence.value_limit;
        return Outcome::Limit { limit: Limit::Values, used: allowed + 1, allowed };
    }
    if let Some(failed) = error.downcast_ref::<SidecarFailed>() {
        return Outcome::Refused { code: "sidecar", message: failed.to_string() };
    }
    if let Some(failed) = error.downcast_ref::<CallFailed>() {
        return Outcome::GuestError { code: "call-failed", message: failed.to_string() };
    }
    if let Some(ValueError::TooLarge { reached, limit, .. }) = error.downcast_ref::<ValueError>() {
        return Outcome::Limit { limit: Limit::Values, used: *reached as u64, allowed: *limit as u64 };
    }
    if let Some(wasmtime::Trap::NoAsyncResult) = error.downcast_ref::<wasmtime::Trap>() {
        return Outcome::GuestError { code: "no-answer", message: "the handler returned without an answer".into() };
    }
    // A guest whose allocator was refused memory usually traps next; the refusal is the cause worth naming.
    if let Some(Denied { limit, used, allowed }) = evidence.memory_denied {
        return Outcome::Limit { limit, used, allowed };
    }
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => Outcome::Trap { message: trap.to_string() },
        None => Outcome::Trap { message: error.root_cause().to_string() },
    }
}

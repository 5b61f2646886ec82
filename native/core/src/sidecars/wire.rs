//! The types of `pilotlight:sidecar` (`wit/pilotlight/sidecar.wit`) as components lift and lower them.

use std::sync::Arc;

use wasmtime::component::{ComponentType, Lift, Lower};

/// Names and value bytes, duplicates and order kept.
pub type Headers = Vec<(String, Vec<u8>)>;

/// The run that a sidecar is called for.
#[derive(ComponentType, Lift, Lower, Clone, Debug, Default)]
#[component(record)]
pub struct Call {
    pub run: String,
    pub tenant: String,
    pub task: String,
    pub version: String,
}

#[derive(ComponentType, Lift, Lower, Clone, Debug, Default)]
#[component(record)]
pub struct Head {
    pub method: String,
    pub scheme: String,
    pub authority: String,
    #[component(name = "path-with-query")]
    pub path_with_query: String,
    pub headers: Headers,
    pub peer: String,
}

#[derive(ComponentType, Lift, Lower, Clone, Debug)]
#[component(record)]
pub struct Identity {
    pub subject: String,
    pub claims: Vec<(String, String)>,
}

#[derive(ComponentType, Lift, Lower, Clone, Debug)]
#[component(record)]
pub struct Refusal {
    pub status: u16,
    pub headers: Headers,
    pub reason: String,
}

#[derive(ComponentType, Lift, Lower, Clone, Debug)]
#[component(record)]
pub struct Line {
    pub origin: String,
    pub level: Option<String>,
    pub text: String,
}

/// In the order of the WIT, and of the owner's numbers for them.
#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub enum Ending {
    #[component(name = "ok")]
    Ok,
    #[component(name = "guest-error")]
    GuestError,
    #[component(name = "trap")]
    Trap,
    #[component(name = "limit")]
    Limit,
    #[component(name = "cancelled")]
    Cancelled,
    #[component(name = "refused")]
    Refused,
    #[component(name = "recalled")]
    Recalled,
    #[component(name = "platform")]
    Platform,
}

impl Ending {
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ok" => Ending::Ok,
            "guest-error" => Ending::GuestError,
            "trap" => Ending::Trap,
            "limit" => Ending::Limit,
            "cancelled" => Ending::Cancelled,
            "refused" => Ending::Refused,
            "recalled" => Ending::Recalled,
            "platform" => Ending::Platform,
            _ => return None,
        })
    }
}

/// What one call of a sidecar's export takes.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Check { call: Arc<Call>, head: Arc<Head> },
    Request { call: Arc<Call>, head: Head, body: Vec<u8> },
    Head { call: Arc<Call>, status: u16, headers: Headers },
    Lines { call: Arc<Call>, batch: Vec<Line> },
    Ended { call: Arc<Call>, ending: Ending, status: Option<u16>, nanoseconds: u64 },
    Pause,
    Resume,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Done {
    Checked(Result<Option<Identity>, Refusal>),
    Requested(Result<(Head, Vec<u8>), Refusal>),
    Headed(u16, Headers),
    /// Nothing is given back, or the sidecar does not export it.
    Nothing,
}

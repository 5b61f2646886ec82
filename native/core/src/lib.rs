//! Runs WebAssembly components: the engine of Pilotlight, without any notion of Node.
//!
//! The owner sends commands to an [`engine::Engine`] and drains [`events::Event`]s from it; what there is to
//! decide, the owner decides. `docs/boundary.md` says why the parts are cut as they are.

mod active;
mod answer;
mod artefacts;
mod calls;
mod capabilities;
pub mod cells;
pub mod component_check;
pub mod describe;
mod desk;
pub mod engine;
pub mod events;
mod footprint;
pub mod frame;
mod guestlog;
mod host;
mod instance;
mod job;
mod keyvalue;
pub mod kv;
mod mailbox;
mod meter;
pub mod outbound;
pub mod outcome;
pub mod program;
pub mod run;
mod sessions;
pub mod settings;
pub mod sidecars;
mod signal;
mod threads;
pub mod trace;
pub mod values;

//! What the runs of one instance have read and done: what their results depend on.
//!
//! Key-value reads are kept for the life of the instance, since what an earlier run has read may be in its memory still; for
//! an instance that serves one run, which is the usual one, that is the run's own. A key that is read again keeps the revision
//! of the first time: if another has come since, the result is out of date. All else is noted from the moment on when a run
//! begins that is to be traced: what is read while instantiating does not count.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use wasmtime_wasi::HostWallClock;

use crate::kv::{Dep, Deps, Mark};

/// Distinct reads that are kept; beyond, nobody can say what the results depend on.
const READS: usize = 1000;
/// No key of a store, nor the beginning of a page, is longer.
const LONGEST_KEY: usize = 1024;
/// Bytes of keys, resources and addresses that are kept.
const BYTES: usize = 512 * 1024;

/// What a run did, apart from reads that can be looked at again. `src/engine/trace.ts` has the same numbers.
pub mod note {
    /// It tried to change a store.
    pub const WROTE: u32 = 1;
    pub const CLOCK: u32 = 1 << 1;
    pub const RANDOM: u32 = 1 << 2;
    /// A socket was used.
    pub const SOCKETS: u32 = 1 << 3;
    /// An outbound request that is no GET or HEAD.
    pub const REQUEST: u32 = 1 << 4;
    /// An outbound answer that was not read to its end and has no validator, or that did not come.
    pub const UNREAD: u32 = 1 << 5;
    /// A function of the embedder's.
    pub const IMPORT: u32 = 1 << 6;
    /// A sidecar that did not say what it depends on.
    pub const SIDECAR: u32 = 1 << 7;
    /// Something was read twice, and was another by then.
    pub const TORN: u32 = 1 << 8;
    /// More reads than are kept.
    pub const MANY: u32 = 1 << 9;
    /// Its memory was not allowed to grow: what it made of that is not what it would answer with more room.
    pub const SHORT: u32 = 1 << 10;
    /// A store could not be read.
    pub const FAILED: u32 = 1 << 11;
}

/// What stands for a value: the first half of its SHA-256.
pub type Hash = [u8; 16];

pub fn hash(bytes: &[u8]) -> Hash {
    half(Sha256::new_with_prefix(bytes))
}

fn half(hasher: Sha256) -> Hash {
    let digest = hasher.finalize();
    let mut half = Hash::default();
    half.copy_from_slice(&digest[..16]);
    half
}

#[derive(Default)]
pub struct Trace {
    notes: AtomicU32,
    /// A run that is to be traced has begun.
    on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stores: HashMap<Arc<str>, HashMap<(Dep, String), (u64, Mark)>>,
    /// What the guest says that it depends on, and in which state that is.
    depends: HashMap<String, String>,
    fetched: Vec<Fetched>,
    count: usize,
    bytes: usize,
}

/// An outbound GET or HEAD, and how to find out whether its answer would be the same again.
#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Fetched {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub status: u16,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// Of the whole body, in hex; none where it was not read to its end.
    pub body: Option<String>,
}

impl Trace {
    /// A run begins that has the instance to itself.
    pub fn begin(&self, traced: bool) {
        self.notes.fetch_and(note::TORN | note::MANY, Ordering::Relaxed);
        self.on.store(traced, Ordering::Release);
    }

    /// A run goes on that is to be traced: reads are worth hashing.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    pub fn note(&self, note: u32) {
        self.notes.fetch_or(note, Ordering::Relaxed);
    }

    pub fn notes(&self) -> u32 {
        self.notes.load(Ordering::Relaxed)
    }

    pub fn wrote(&self) {
        self.note(note::WROTE);
    }

    /// Something of a store was read, at a revision: `key` is the key, or where a listing began.
    pub fn read(&self, store: &Arc<str>, dep: Dep, key: &str, revision: u64, mark: Mark) {
        // Longer ones could not be written down as they are.
        if key.len() > LONGEST_KEY {
            return self.note(note::MANY);
        }
        let mut state = self.state();
        let State { stores, count, bytes, .. } = &mut *state;
        match stores.entry(store.clone()).or_default().entry((dep, key.to_owned())) {
            Entry::Occupied(known) => {
                let (first, before) = *known.get();
                if first != revision && (before != mark || mark == Mark::Unknown) {
                    self.note(note::TORN);
                }
            }
            Entry::Vacant(place) => {
                if *count >= READS || *bytes + key.len() > BYTES {
                    return self.note(note::MANY);
                }
                *count += 1;
                *bytes += key.len();
                place.insert((revision, mark));
            }
        }
    }

    /// The guest says that it depends on a resource which is in this state.
    pub fn depends(&self, resource: String, depends: String) {
        if !self.is_on() {
            return;
        }
        let mut state = self.state();
        if state.depends.get(&resource).is_some_and(|before| *before != depends) {
            return self.note(note::TORN);
        }
        state.count += 1;
        state.bytes += resource.len() + depends.len();
        if state.count > READS || state.bytes > BYTES {
            return self.note(note::MANY);
        }
        state.depends.insert(resource, depends);
    }

    /// How many dependencies the guest has named.
    pub fn named(&self) -> usize {
        self.state().depends.len()
    }

    /// The answer to an outbound request begins; what it gives is the place of its body's hash.
    pub fn fetched(&self, fetched: Fetched) -> Option<usize> {
        let mut state = self.state();
        state.count += 1;
        state.bytes += fetched.url.len() + fetched.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if state.count > READS || state.bytes > BYTES {
            self.note(note::MANY);
            return None;
        }
        state.fetched.push(fetched);
        Some(state.fetched.len() - 1)
    }

    /// The body of that answer was read to its end.
    pub fn body_read(&self, place: usize, hasher: Sha256) {
        if let Some(fetched) = self.state().fetched.get_mut(place) {
            fetched.body = Some(half(hasher).iter().map(|byte| format!("{byte:02x}")).collect());
        }
    }

    /// Notes (four bytes, little-endian), the length of what was read of stores (four), that ([`Deps`]), and the rest as JSON,
    /// or nothing where there is none.
    pub fn report(&self, tenant: &str) -> Vec<u8> {
        let state = self.state();
        if state.fetched.iter().any(|fetched| fetched.body.is_none() && fetched.etag.is_none() && fetched.method != "HEAD") {
            self.note(note::UNREAD);
        }
        let mut deps = Deps::default();
        for (store, reads) in &state.stores {
            deps.place(tenant, store, reads.len());
            for ((dep, key), (revision, mark)) in reads {
                deps.push(*dep, key, *revision, *mark);
            }
        }
        let deps = deps.into_bytes();
        let mut report = Vec::with_capacity(8 + deps.len());
        report.extend_from_slice(&self.notes().to_le_bytes());
        report.extend_from_slice(&(deps.len() as u32).to_le_bytes());
        report.extend_from_slice(&deps);
        if !state.depends.is_empty() || !state.fetched.is_empty() {
            let rest = json!({ "depends": state.depends, "fetched": state.fetched });
            report.extend_from_slice(rest.to_string().as_bytes());
        }
        report
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The system's clock, whose readings are noted.
pub struct Clock(pub Arc<Trace>);

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.note(note::CLOCK);
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
    }
}

/// The thread's generator, whose numbers are noted. Making one for each instance would cost what a small guest does.
pub struct Random(pub Arc<Trace>);

impl Random {
    fn generator(&self) -> rand::rngs::ThreadRng {
        self.0.note(note::RANDOM);
        rand::rng()
    }
}

impl rand::TryRng for Random {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.generator().try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.generator().try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.generator().try_fill_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(trace: &Trace, key: &str, revision: u64, value: &[u8]) {
        trace.read(&Arc::from("s"), Dep::Value, key, revision, Mark::Present(hash(value)));
    }

    #[test]
    fn a_key_keeps_the_revision_of_its_first_reading() {
        let trace = Trace::default();
        read(&trace, "k", 3, b"a");
        let first = trace.report("t");
        read(&trace, "k", 4, b"a");
        assert_eq!(trace.report("t"), first);
        read(&trace, "k", 5, b"b");
        assert_eq!(trace.notes(), note::TORN);
    }

    #[test]
    fn what_is_noted_is_of_the_run_that_has_begun() {
        let trace = Trace::default();
        trace.wrote();
        trace.note(note::CLOCK);
        trace.begin(true);
        assert_eq!(trace.notes(), 0);
        trace.depends("r".into(), "1".into());
        trace.depends("r".into(), "1".into());
        assert_eq!((trace.named(), trace.notes()), (1, 0));
        trace.depends("r".into(), "2".into());
        assert_eq!(trace.notes(), note::TORN);
    }

    #[test]
    fn too_many_reads_are_unknown_reads() {
        let trace = Trace::default();
        (0..READS).for_each(|n| read(&trace, &n.to_string(), 1, b""));
        assert_eq!(trace.notes(), 0);
        read(&trace, "7", 1, b"");
        assert_eq!(trace.notes(), 0);
        read(&trace, "one more", 1, b"");
        assert_eq!(trace.notes(), note::MANY);
    }
}

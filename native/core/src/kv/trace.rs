//! What the runs of one instance have read and whether they wrote: what their results depend on.
//!
//! Reads are kept for the life of the instance, since what an earlier run has read may be in its memory still; for an
//! instance that serves one run, which is the usual one, that is the run's own. A key that is read again keeps the
//! revision of the first time: if another has come since, the result is out of date.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

/// Distinct reads that are kept; beyond, nobody can say what the results depend on.
const READS: usize = 1000;

#[derive(Default)]
pub struct Trace {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stores: HashMap<Arc<str>, Reads>,
    count: usize,
    wrote: bool,
}

#[derive(Default)]
struct Reads {
    keys: HashMap<String, u64>,
    /// Of the whole store, when it was listed.
    listing: Option<u64>,
}

impl Trace {
    pub fn read(&self, store: &Arc<str>, key: &str, revision: u64) {
        let mut state = self.state();
        if state.count > READS {
            return;
        }
        let reads = state.stores.entry(store.clone()).or_default();
        if !reads.keys.contains_key(key) {
            reads.keys.insert(key.to_owned(), revision);
            state.count += 1;
        }
    }

    pub fn listed(&self, store: &Arc<str>, revision: u64) {
        let mut state = self.state();
        let reads = state.stores.entry(store.clone()).or_default();
        if reads.listing.is_none() {
            reads.listing = Some(revision);
            state.count += 1;
        }
    }

    pub fn wrote(&self) {
        self.state().wrote = true;
    }

    /// A run begins that has the instance to itself.
    pub fn begin(&self) {
        self.state().wrote = false;
    }

    /// As JSON: `reads` is a list of `[store, key, revision]` and `[store, revision]`, or null when there were too many.
    pub fn report(&self) -> String {
        let state = self.state();
        let reads = (state.count <= READS).then(|| {
            let mut reads = Vec::with_capacity(state.count);
            for (store, of) in &state.stores {
                reads.extend(of.listing.map(|revision| json!([**store, revision])));
                reads.extend(of.keys.iter().map(|(key, revision)| json!([**store, key, revision])));
            }
            Value::Array(reads)
        });
        json!({ "reads": reads, "wrote": state.wrote }).to_string()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_the_revision_of_its_first_reading() {
        let (trace, store) = (Trace::default(), Arc::from("s"));
        trace.read(&store, "k", 3);
        trace.read(&store, "k", 4);
        trace.wrote();
        assert_eq!(trace.report(), r#"{"reads":[["s","k",3]],"wrote":true}"#);
        trace.begin();
        assert_eq!(trace.report(), r#"{"reads":[["s","k",3]],"wrote":false}"#);
    }

    #[test]
    fn too_many_reads_are_unknown_reads() {
        let (trace, store) = (Trace::default(), Arc::from("s"));
        (0..READS).for_each(|n| trace.read(&store, &n.to_string(), 1));
        assert!(trace.report().contains("[\"s\",\"7\",1]"));
        trace.listed(&store, 9);
        assert_eq!(trace.report(), r#"{"reads":null,"wrote":false}"#);
    }
}

//! Key-value data of guests, in one LMDB file: tenants have stores, stores have keys.
//!
//! Every change takes the next number of one 64-bit counter, its revision. A key holds its value and the revision of its
//! last change, and goes on to hold that when it is deleted; a log tells who changed what at which revision, for as
//! long as somebody with a cursor has not read it. Reading happens on the calling thread, writing on one thread for all
//! ([`writer`]). Which store a guest may open, and what WIT makes of it, is not decided here but in
//! [`crate::keyvalue`]. `docs/keyvalue.md` has the reasons.

mod apply;
mod deps;
mod error;
mod file;
mod record;
mod tables;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use heed::{Env, RoTxn, WithTls};
use serde::Deserialize;
use tokio::sync::oneshot;

pub use apply::{Delta, Done, Expect, Op};
pub use deps::{Dep, Deps, Mark, Verdict, page_key, page_mark};
pub use error::{Code, KvError};
pub use record::{Change, KEY_BYTES, Kind, Place, VALUE_BYTES};
pub use writer::Reply;

use file::Hold;
use record::{check_key, check_name};
use tables::Tables;
use writer::{Ground, Job, Writer};

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The folder of the file; without one the data lives as long as the engine.
    pub path: Option<PathBuf>,
    pub sync: Sync,
    /// Address space, and so size of the file, to begin with and at most.
    #[serde(default = "map_min")]
    pub map_min: usize,
    #[serde(default = "map_max")]
    pub map_max: usize,
}

/// When an answered write is on the disk itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// Within milliseconds.
    Group,
    /// Before it is answered.
    Always,
}

fn map_min() -> usize {
    256 << 20
}

fn map_max() -> usize {
    1 << 40
}

impl Default for Settings {
    fn default() -> Self {
        Self { path: None, sync: Sync::Group, map_min: map_min(), map_max: map_max() }
    }
}

impl Settings {
    /// The map for a file of this length: room for as much again.
    fn map_for(&self, length: u64) -> usize {
        const STEP: usize = 1 << 20;
        let wanted = usize::try_from(length).unwrap_or(usize::MAX).saturating_mul(2).max(self.map_min).min(self.map_max);
        wanted.max(STEP).next_multiple_of(STEP)
    }
}

/// Names of keys in one page of a listing, in bytes.
pub const PAGE_KEYS: usize = 64 * 1024;

/// A value and the revision of the change that put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub value: Vec<u8>,
    pub revision: u64,
}

/// What a look at a key that may not be there finds: its revision, and the value where there is one.
pub type Looked = (u64, Option<Vec<u8>>);

/// A key in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    pub revision: u64,
    /// Of the value.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInfo {
    pub name: String,
    pub revision: u64,
    pub keys: u64,
    pub bytes: u64,
}

/// Bytes of all keys and values of a tenant, and how many they may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageInfo {
    pub used: u64,
    pub quota: Option<u64>,
}

/// The number of a store, remembered by whoever reads it often; [`Kv`] sees to it that it is not used when it is old.
#[derive(Debug, Default)]
pub struct StoreNumber {
    removals: u64,
    id: u32,
}

pub struct Kv {
    settings: Settings,
    state: RwLock<State>,
    map: Arc<RwLock<()>>,
    removals: Arc<AtomicU64>,
}

enum State {
    /// In memory, and nobody has needed it yet.
    Unopened,
    Open(Box<Open>),
    Closed,
}

/// In the order in which they must end.
struct Open {
    writer: Writer,
    tables: Tables,
    env: Env<WithTls>,
    _hold: Hold,
}

impl Kv {
    /// Opens the file, or gets ready to hold data in memory. The error says which file and what to do about it.
    pub fn start(settings: Settings) -> Result<Self, KvError> {
        let kv = Self { state: RwLock::new(State::Unopened), map: Arc::default(), removals: Arc::new(AtomicU64::new(1)), settings };
        if kv.settings.path.is_some() {
            let open = kv.open()?;
            *write(&kv.state) = State::Open(Box::new(open));
        }
        Ok(kv)
    }

    fn open(&self) -> Result<Open, KvError> {
        let file::Opened { env, tables, hold } = file::open(&self.settings)?;
        let writer = Writer::start(Ground {
            env: env.clone(),
            tables,
            settings: self.settings.clone(),
            map: self.map.clone(),
            removals: self.removals.clone(),
        })?;
        Ok(Open { writer, tables, env, _hold: hold })
    }

    /// Does all that is waiting, syncs, and gives the file free. What comes later is answered with an error.
    pub fn close(&self) {
        let last = std::mem::replace(&mut *write(&self.state), State::Closed);
        drop(last);
    }

    fn with<T>(&self, work: impl FnOnce(&Open) -> Result<T, KvError>) -> Result<T, KvError> {
        loop {
            match &*read(&self.state) {
                State::Open(open) => return work(open),
                State::Closed => return Err(KvError::closed()),
                State::Unopened => {}
            }
            let mut state = write(&self.state);
            if matches!(*state, State::Unopened) {
                *state = State::Open(Box::new(self.open()?));
            }
        }
    }

    fn reading<T>(&self, work: impl FnOnce(&Tables, &RoTxn) -> Result<T, KvError>) -> Result<T, KvError> {
        self.with(|open| {
            let _in_place = read(&self.map);
            work(&open.tables, &*open.env.read_txn()?)
        })
    }

    /// The revision of the last change in the file.
    pub fn revision(&self) -> Result<u64, KvError> {
        self.reading(|tables, txn| tables.revision(txn))
    }

    pub fn get(&self, place: &Place, key: &str) -> Result<Option<Found>, KvError> {
        let read = |revision, value: Option<&[u8]>| value.map(|value| Found { value: value.to_vec(), revision });
        self.look(place, &mut StoreNumber::default(), key, read)
    }

    /// The revision of a key's last change, its deletion included. Of a key that never was it is 0, or higher once
    /// something was forgotten that it cannot be told from.
    pub fn revision_of(&self, place: &Place, key: &str) -> Result<u64, KvError> {
        self.look(place, &mut StoreNumber::default(), key, |revision, _| revision)
    }

    /// Shows `read` a key's revision and value, in place.
    pub fn look<T>(
        &self,
        place: &Place,
        number: &mut StoreNumber,
        key: &str,
        read: impl FnOnce(u64, Option<&[u8]>) -> T,
    ) -> Result<T, KvError> {
        check_key(key)?;
        self.reading(|tables, txn| {
            let id = self.number(tables, txn, place, number)?;
            match tables.entry(txn, id, key)? {
                Some(entry) => Ok(read(entry.revision, entry.value)),
                None => Ok(read(tables.floor(txn, place)?, None)),
            }
        })
    }

    /// Values of several keys as of one moment, in order: revision, and the value where there is one. Refuses when they
    /// are more than `limit` bytes in all.
    pub fn look_many(&self, place: &Place, keys: &[String], limit: u64) -> Result<Vec<Looked>, KvError> {
        keys.iter().try_for_each(|key| check_key(key))?;
        self.reading(|tables, txn| {
            let floor = tables.floor(txn, place)?;
            let id = tables.store(txn, place)?.map_or(0, |store| store.id);
            let mut left = limit;
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                let entry = tables.entry(txn, id, key)?;
                let value = entry.and_then(|entry| entry.value);
                left = left.checked_sub(value.map_or(0, <[u8]>::len) as u64).ok_or_else(|| {
                    KvError::invalid(format!("these {} values are more than {limit} bytes in all; ask for fewer at a time", keys.len()))
                })?;
                found.push((entry.map_or(floor, |entry| entry.revision), value.map(<[u8]>::to_vec)));
            }
            Ok(found)
        })
    }

    fn number(&self, tables: &Tables, txn: &RoTxn, place: &Place, number: &mut StoreNumber) -> Result<u32, KvError> {
        let removals = self.removals.load(Ordering::Acquire);
        if number.id == 0 || number.removals != removals {
            *number = StoreNumber { removals, id: tables.store(txn, place)?.map_or(0, |store| store.id) };
        }
        Ok(number.id)
    }

    /// Keys under a prefix in their order, from behind `after`: at most `limit`, and whether there are more.
    pub fn list(&self, place: &Place, prefix: &str, after: Option<&str>, limit: usize) -> Result<(Vec<Listed>, bool), KvError> {
        self.reading(|tables, txn| {
            let (mut keys, mut more) = (Vec::new(), false);
            let Some(store) = tables.store(txn, place)? else { return Ok((keys, more)) };
            tables.each_under(txn, store.id, prefix, after, |key, entry| {
                let Some(value) = entry.value else { return Ok(true) };
                more = keys.len() >= limit;
                if !more {
                    keys.push(Listed { key: record::text(key)?, revision: entry.revision, bytes: value.len() as u64 });
                }
                Ok(!more)
            })?;
            Ok((keys, more))
        })
    }

    /// Keys of a whole store, from behind `after` and `skip` further ones, until they are more than `limit` bytes; the
    /// revision of the store, and whether there are more.
    pub fn keys(&self, place: &Place, after: Option<&str>, skip: u64, limit: usize) -> Result<(Vec<String>, u64, bool), KvError> {
        // A cursor is a key that was listed.
        after.map_or(Ok(()), check_key)?;
        self.reading(|tables, txn| keys_in(tables, txn, place, after, skip, limit))
    }

    /// The highest revision under a prefix, deletions included. Costs nothing for the whole store, and otherwise a look
    /// at each key under the prefix.
    pub fn revision_under(&self, place: &Place, prefix: &str) -> Result<u64, KvError> {
        self.reading(|tables, txn| tables.revision_under(txn, place, prefix))
    }

    pub fn stores(&self, tenant: &str) -> Result<Vec<StoreInfo>, KvError> {
        check_name("tenant", tenant)?;
        self.reading(|tables, txn| {
            let info = |(name, store): (String, record::StoreRecord)| StoreInfo {
                name,
                revision: store.revision,
                keys: store.keys,
                bytes: store.bytes,
            };
            Ok(tables.stores_of(txn, tenant)?.into_iter().map(info).collect())
        })
    }

    pub fn usage(&self, tenant: &str) -> Result<UsageInfo, KvError> {
        check_name("tenant", tenant)?;
        self.reading(|tables, txn| {
            let tenant = tables.tenant(txn, tenant)?;
            Ok(UsageInfo { used: tenant.used, quota: tenant.quota })
        })
    }

    /// The log for the owner of a cursor, oldest first: from behind the cursor, or from behind `after` where that is
    /// later.
    pub fn changes(&self, cursor: &str, after: Option<u64>, limit: usize) -> Result<Vec<Change>, KvError> {
        check_name("cursor", cursor)?;
        self.reading(|tables, txn| {
            let Some(passed) = tables.cursor(txn, cursor)? else {
                return Err(KvError::invalid(format!("there is no cursor {cursor:?}; register it first")));
            };
            tables.changes(txn, after.unwrap_or(0).max(passed), limit)
        })
    }

    /// Hands an operation to the writer, which answers when it is committed. `reply` is called on any thread.
    pub fn submit(&self, op: Op, reply: Reply) {
        let mut job = Some(Job { op, reply });
        let submitted = self.with(|open| {
            open.writer.submit(job.take().expect("it is submitted once"));
            Ok(())
        });
        if let (Err(error), Some(job)) = (submitted, job) {
            (job.reply)(Err(error));
        }
    }

    /// The same, for those who wait without a thread of their own.
    pub async fn write(&self, op: Op) -> Result<Done, KvError> {
        let (sender, receiver) = oneshot::channel();
        // Whoever has asked may be gone by then.
        self.submit(op, Box::new(move |result| drop(sender.send(result))));
        receiver.await.unwrap_or_else(|_| Err(KvError::closed()))
    }
}

fn keys_in(
    tables: &Tables,
    txn: &RoTxn,
    place: &Place,
    after: Option<&str>,
    skip: u64,
    limit: usize,
) -> Result<(Vec<String>, u64, bool), KvError> {
    let (mut keys, mut bytes, mut more, mut skip) = (Vec::new(), 0, false, skip);
    let Some(store) = tables.store(txn, place)? else { return Ok((keys, tables.floor(txn, place)?, more)) };
    tables.each_under(txn, store.id, "", after, |key, entry| {
        if entry.value.is_none() {
            return Ok(true);
        }
        if skip > 0 {
            skip -= 1;
            return Ok(true);
        }
        more = bytes > limit;
        if !more {
            bytes += key.len() + 16;
            keys.push(record::text(key)?);
        }
        Ok(!more)
    })?;
    Ok((keys, store.revision, more))
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

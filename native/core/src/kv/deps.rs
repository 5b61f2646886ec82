//! What a result has read of stores, and whether that is still so.
//!
//! Written one place after the other, so that what several runs have read can be put together by joining it: the length of the
//! tenant's name (one byte) and the name, those of the store, how many readings follow (four bytes); then each: what was read
//! (one byte), the length of its key (two) and the key, the revision (eight) and the state (sixteen). Numbers are little-endian.
//! `src/memo/deps.ts` reads and writes the same.

use sha2::{Digest, Sha256};

use super::error::KvError;
use super::record::{Place, StoreRecord};
use super::tables::Tables;
use super::{Kv, PAGE_KEYS};
use crate::trace::{Hash, hash};

/// What of a store was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dep {
    /// A key's value.
    Value,
    /// Whether a key has one.
    Exists,
    /// A page of the names of all keys: how many were passed over, NUL, and the name after which it begins.
    Page,
    /// Everything under a prefix.
    Prefix,
}

/// How that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Absent,
    Present(Hash),
    /// Nobody looked: the revision alone tells.
    Unknown,
}

const NOTHING: Hash = [0; 16];

/// Writes them.
#[derive(Default)]
pub struct Deps {
    bytes: Vec<u8>,
}

impl Deps {
    /// So many readings of this store follow.
    pub fn place(&mut self, tenant: &str, store: &str, count: usize) {
        for name in [tenant, store] {
            self.bytes.push(name.len() as u8);
            self.bytes.extend_from_slice(name.as_bytes());
        }
        self.bytes.extend_from_slice(&(count as u32).to_le_bytes());
    }

    pub fn push(&mut self, dep: Dep, key: &str, revision: u64, mark: Mark) {
        let (kind, state) = match (dep, mark) {
            (Dep::Value, Mark::Present(hash)) => (0, hash),
            (Dep::Value, Mark::Absent) => (1, NOTHING),
            (Dep::Value, Mark::Unknown) => (2, NOTHING),
            (Dep::Exists, Mark::Absent) => (4, NOTHING),
            (Dep::Exists, _) => (3, NOTHING),
            (Dep::Page, Mark::Present(hash)) => (5, hash),
            // A page of nothing, or that nobody looked at: the revision alone tells.
            (Dep::Page | Dep::Prefix, _) => (6, NOTHING),
        };
        let key = if dep == Dep::Page && kind == 6 { "" } else { key };
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&(key.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(&revision.to_le_bytes());
        self.bytes.extend_from_slice(&state);
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The names on a page and whether there are more, as one state.
pub fn page_mark(keys: &[String], more: bool) -> Mark {
    let mut hasher = Sha256::new();
    for key in keys {
        hasher.update((key.len() as u32).to_le_bytes());
        hasher.update(key.as_bytes());
    }
    hasher.update([u8::from(more)]);
    let mut half = NOTHING;
    half.copy_from_slice(&hasher.finalize()[..16]);
    Mark::Present(half)
}

/// Where a page begins, as a key.
pub fn page_key(after: Option<&str>, skip: u64) -> String {
    format!("{skip}\0{}", after.unwrap_or_default())
}

/// What has been found.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is as it was read, at this revision of the file.
    Holds(u64),
    /// The first that is not, counted from 0.
    Changed(usize),
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], KvError> {
        let (part, rest) = self.0.split_at_checked(length).ok_or_else(|| KvError::invalid("what was read is cut off"))?;
        self.0 = rest;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], KvError> {
        self.take(N).map(|bytes| bytes.try_into().expect("as many were taken"))
    }

    fn text(&mut self, length: usize) -> Result<&'a str, KvError> {
        std::str::from_utf8(self.take(length)?).map_err(|_| KvError::invalid("what was read is no text"))
    }
}

impl Kv {
    /// Looks whether what was read is as it was. `since`: the revision of the file at which that was so; what has not changed since
    /// then need not be looked at. All as of one moment.
    pub fn check(&self, since: u64, deps: &[u8]) -> Result<Verdict, KvError> {
        self.reading(|tables, txn| {
            let now = tables.revision(txn)?;
            if now == since {
                return Ok(Verdict::Holds(now));
            }
            let (mut reader, mut index) = (Reader(deps), 0);
            while !reader.0.is_empty() {
                let [length] = reader.array()?;
                let tenant = reader.text(length.into())?;
                let [length] = reader.array()?;
                let place = Place::new(tenant, reader.text(length.into())?)?;
                let count = u32::from_le_bytes(reader.array()?);
                let store = tables.store(txn, &place)?;
                let floor = match &store {
                    Some(store) => store.floor,
                    None => tables.tenant(txn, tenant)?.floor,
                };
                let is_same = store.as_ref().map_or(floor, |store| store.revision) <= since;
                for _ in 0..count {
                    let [kind] = reader.array()?;
                    let length = u16::from_le_bytes(reader.array()?);
                    let key = reader.text(length.into())?;
                    let revision = u64::from_le_bytes(reader.array()?);
                    let state: Hash = reader.array()?;
                    if !is_same
                        && !self.holds(
                            tables,
                            txn,
                            Looking { place: &place, store: store.as_ref(), floor, since },
                            kind,
                            key,
                            revision,
                            state,
                        )?
                    {
                        return Ok(Verdict::Changed(index));
                    }
                    index += 1;
                }
            }
            Ok(Verdict::Holds(now))
        })
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one reading")]
    fn holds(
        &self,
        tables: &Tables,
        txn: &heed::RoTxn,
        Looking { place, store, floor, since }: Looking,
        kind: u8,
        key: &str,
        revision: u64,
        state: Hash,
    ) -> Result<bool, KvError> {
        match kind {
            0..=4 => {
                let entry = match store {
                    Some(store) => tables.entry(txn, store.id, key)?,
                    None => None,
                };
                let now = entry.map_or(floor, |entry| entry.revision);
                if now == revision || now <= since {
                    return Ok(true);
                }
                let value = entry.and_then(|entry| entry.value);
                Ok(match kind {
                    0 => value.is_some_and(|value| hash(value) == state),
                    1 | 4 => value.is_none(),
                    3 => value.is_some(),
                    _ => false,
                })
            }
            5 => {
                let now = store.map_or(floor, |store| store.revision);
                if now == revision {
                    return Ok(true);
                }
                let (skip, after) = key.split_once('\0').unwrap_or(("0", ""));
                let after = (!after.is_empty()).then_some(after);
                let (keys, _, more) = super::keys_in(tables, txn, place, after, skip.parse().unwrap_or(0), PAGE_KEYS)?;
                Ok(page_mark(&keys, more) == Mark::Present(state))
            }
            6 => {
                let now = tables.revision_under(txn, place, key)?;
                Ok(now == revision || now <= since)
            }
            _ => Err(KvError::invalid(format!("there is no reading of kind {kind}"))),
        }
    }
}

struct Looking<'a> {
    place: &'a Place,
    store: Option<&'a StoreRecord>,
    floor: u64,
    since: u64,
}

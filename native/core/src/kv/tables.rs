//! The tables of the file, and what can be asked of them within one transaction.

use heed::types::Bytes;
use heed::{Database, Env, RoTxn, RwTxn, WithTls};

use super::error::{Failure, KvError};
use super::record::{Change, Entry, FORMAT, Place, StoreRecord, TenantRecord, damaged, entry_key, number, store_key, text};

pub(super) type Table = Database<Bytes, Bytes>;

const NAMES: [&str; 7] = ["meta", "stores", "data", "tombstones", "tenants", "log", "cursors"];

#[derive(Clone, Copy)]
pub(super) struct Tables {
    /// `format`, `revision` and `next-store`.
    pub meta: Table,
    /// `tenant NUL store` → [`StoreRecord`].
    pub stores: Table,
    /// number of the store, key → [`Entry`].
    pub data: Table,
    /// number of the store, revision → key.
    pub tombstones: Table,
    /// tenant → [`TenantRecord`].
    pub tenants: Table,
    /// revision → [`Change`]. Empty unless there are cursors.
    pub log: Table,
    /// name → the revision up to which its owner is done.
    pub cursors: Table,
}

/// Why a file cannot be used; the opener knows its name.
pub(super) enum Unusable {
    Foreign,
    Format(u32),
    Error(KvError),
}

impl From<KvError> for Unusable {
    fn from(error: KvError) -> Self {
        Unusable::Error(error)
    }
}

impl Tables {
    pub const COUNT: u32 = NAMES.len() as u32;

    /// Finds the tables, or makes them in a file that has nothing at all.
    pub fn open(env: &Env<WithTls>) -> Result<Self, Unusable> {
        let mut txn = env.write_txn()?;
        match env.open_database::<Bytes, Bytes>(&txn, Some(NAMES[0]))? {
            Some(meta) => match meta.get(&txn, b"format")?.map(<[u8; 4]>::try_from) {
                Some(Ok(format)) if u32::from_be_bytes(format) == FORMAT => {}
                Some(Ok(format)) => return Err(Unusable::Format(u32::from_be_bytes(format))),
                _ => return Err(Unusable::Foreign),
            },
            None if env.stat().entries > 0 => return Err(Unusable::Foreign),
            None => {}
        }
        let mut table = |name| env.create_database::<Bytes, Bytes>(&mut txn, Some(name));
        let [meta, stores, data, tombstones, tenants, log, cursors] = NAMES;
        let tables = Self {
            meta: table(meta)?,
            stores: table(stores)?,
            data: table(data)?,
            tombstones: table(tombstones)?,
            tenants: table(tenants)?,
            log: table(log)?,
            cursors: table(cursors)?,
        };
        tables.meta.put(&mut txn, b"format", &FORMAT.to_be_bytes())?;
        txn.commit()?;
        Ok(tables)
    }

    /// Of the last change in the file.
    pub fn revision(&self, txn: &RoTxn) -> Result<u64, KvError> {
        self.meta.get(txn, b"revision")?.map_or(Ok(0), number)
    }

    pub fn set_revision(&self, txn: &mut RwTxn, revision: u64) -> Result<(), heed::Error> {
        self.meta.put(txn, b"revision", &revision.to_be_bytes())
    }

    pub fn tenant(&self, txn: &RoTxn, tenant: &str) -> Result<TenantRecord, KvError> {
        self.tenants.get(txn, tenant.as_bytes())?.map_or(Ok(TenantRecord::default()), TenantRecord::decode)
    }

    pub fn store(&self, txn: &RoTxn, place: &Place) -> Result<Option<StoreRecord>, KvError> {
        self.stores.get(txn, &place.key())?.map(StoreRecord::decode).transpose()
    }

    pub fn entry<'t>(&self, txn: &'t RoTxn, store: u32, key: &str) -> Result<Option<Entry<'t>>, KvError> {
        self.data.get(txn, &entry_key(store, key.as_bytes()))?.map(Entry::decode).transpose()
    }

    /// The revision that an absent key without a tombstone has.
    pub fn floor(&self, txn: &RoTxn, place: &Place) -> Result<u64, KvError> {
        match self.store(txn, place)? {
            Some(store) => Ok(store.floor),
            None => Ok(self.tenant(txn, &place.tenant)?.floor),
        }
    }

    /// Names and records of a tenant's stores, by name.
    pub fn stores_of(&self, txn: &RoTxn, tenant: &str) -> Result<Vec<(String, StoreRecord)>, KvError> {
        let prefix = store_key(tenant, "");
        let mut stores = Vec::new();
        for item in self.stores.prefix_iter(txn, &prefix)? {
            let (key, record) = item?;
            stores.push((text(&key[prefix.len()..])?, StoreRecord::decode(record)?));
        }
        Ok(stores)
    }

    /// Goes over the entries under a prefix, tombstones too, in the order of their keys and beginning behind `after`,
    /// until `each` says false.
    pub fn each_under(
        &self,
        txn: &RoTxn,
        store: u32,
        prefix: &str,
        after: Option<&str>,
        mut each: impl FnMut(&[u8], Entry) -> Result<bool, KvError>,
    ) -> Result<(), KvError> {
        use std::ops::Bound;
        let begin = entry_key(store, prefix.as_bytes());
        // A key behind `after` and not under the prefix may still come before it.
        let after = after.map(|after| entry_key(store, after.as_bytes())).filter(|after| *after >= begin);
        let from = after.as_deref().map_or(Bound::Included(&begin[..]), Bound::Excluded);
        for item in self.data.range(txn, &(from, Bound::Unbounded))? {
            let (key, bytes) = item?;
            if !key.starts_with(&begin) || !each(&key[4..], Entry::decode(bytes)?)? {
                break;
            }
        }
        Ok(())
    }

    /// The highest revision under a prefix, deletions included.
    pub fn revision_under(&self, txn: &RoTxn, place: &Place, prefix: &str) -> Result<u64, KvError> {
        let Some(store) = self.store(txn, place)? else { return Ok(self.tenant(txn, &place.tenant)?.floor) };
        if prefix.is_empty() {
            return Ok(store.revision);
        }
        let mut highest = store.floor;
        self.each_under(txn, store.id, prefix, None, |_, entry| {
            highest = highest.max(entry.revision);
            Ok(true)
        })?;
        Ok(highest)
    }

    pub fn cursor(&self, txn: &RoTxn, name: &str) -> Result<Option<u64>, KvError> {
        self.cursors.get(txn, name.as_bytes())?.map(number).transpose()
    }

    /// The log after a revision, oldest first.
    pub fn changes(&self, txn: &RoTxn, after: u64, limit: usize) -> Result<Vec<Change>, KvError> {
        use std::ops::Bound;
        let after = after.to_be_bytes();
        let mut changes = Vec::new();
        for item in self.log.range(txn, &(Bound::Excluded(&after[..]), Bound::Unbounded))?.take(limit) {
            let (revision, bytes) = item?;
            changes.push(Change::decode(number(revision)?, bytes)?);
        }
        Ok(changes)
    }

    /// A number for a new store; numbers are not used again.
    pub fn next_store(&self, txn: &mut RwTxn) -> Result<u32, Failure> {
        let next = match self.meta.get(txn, b"next-store")? {
            None => 1,
            Some(bytes) => <[u8; 4]>::try_from(bytes).map(u32::from_be_bytes).map_err(|_| damaged())?,
        };
        let following = next.checked_add(1).ok_or_else(|| KvError::io("the key-value file has used up its numbers for stores"))?;
        self.meta.put(txn, b"next-store", &following.to_be_bytes())?;
        Ok(next)
    }
}

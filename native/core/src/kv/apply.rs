//! Changes, as they go into one write transaction.
//!
//! An operation checks everything before it changes anything, so that one that is refused leaves the others of its
//! transaction as they are. Each change takes the next revision; the counter is written once, at the end.

use std::collections::HashMap;

use heed::{Env, RwTxn, WithTls};

use super::error::{Code, Failure, KvError};
use super::record::{
    Change, Entry, Kind, Place, StoreRecord, TenantRecord, check_key, check_name, check_value, entry_key, store_key, tombstone_key,
};
use super::tables::Tables;

/// Tombstones that a store keeps; the oldest makes room, and the store's floor rises to its revision.
pub(super) const TOMBSTONES: u64 = 10_000;

/// What a write expects of the key it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Anything,
    /// There is no value.
    Absent,
    /// The key's last change, its deletion included, has this revision.
    Revision(u64),
}

/// What a number is increased by, and what it must fit in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delta {
    Signed(i64),
    Unsigned(u64),
}

#[derive(Debug, Clone)]
pub enum Op {
    Put {
        place: Place,
        key: String,
        value: Vec<u8>,
        expect: Expect,
    },
    Delete {
        place: Place,
        key: String,
        expect: Expect,
    },
    /// Numbers are decimal text; an absent key counts as zero.
    Increment {
        place: Place,
        key: String,
        delta: Delta,
    },
    /// All or none of them.
    PutMany {
        place: Place,
        entries: Vec<(String, Vec<u8>)>,
    },
    DeleteMany {
        place: Place,
        keys: Vec<String>,
    },
    SetQuota {
        tenant: String,
        bytes: Option<u64>,
    },
    /// Everything that the tenant has stored, and its quota.
    RemoveTenant {
        tenant: String,
    },
    /// A new cursor begins at the present revision; one that exists stays where it is.
    RegisterCursor {
        name: String,
    },
    AdvanceCursor {
        name: String,
        revision: u64,
    },
    DropCursor {
        name: String,
    },
}

/// What came of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The revision of the change; of the key's last one, or of the file's, where there was nothing to change.
    Revision(u64),
    Signed(i64),
    Unsigned(u64),
}

impl Op {
    /// About how much it writes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Op::Put { value, .. } => value.len(),
            Op::PutMany { entries, .. } => entries.iter().map(|(_, value)| value.len()).sum(),
            _ => 0,
        }
    }
}

pub(super) struct Writing<'e> {
    tables: Tables,
    txn: RwTxn<'e>,
    revision: u64,
    begin: u64,
    /// There are cursors that want to hear of changes.
    logging: bool,
}

impl<'e> Writing<'e> {
    pub fn begin(env: &'e Env<WithTls>, tables: Tables) -> Result<Self, Failure> {
        let txn = env.write_txn()?;
        let revision = tables.revision(&txn)?;
        let logging = !tables.cursors.is_empty(&txn)?;
        Ok(Self { tables, txn, revision, begin: revision, logging })
    }

    pub fn commit(mut self) -> Result<(), Failure> {
        if self.revision != self.begin {
            self.tables.set_revision(&mut self.txn, self.revision)?;
        }
        Ok(self.txn.commit()?)
    }

    pub fn apply(&mut self, op: &Op) -> Result<Done, Failure> {
        match op {
            Op::Put { place, key, value, expect } => self.put(place, key, value, *expect).map(Done::Revision),
            Op::Delete { place, key, expect } => self.delete(place, key, *expect).map(Done::Revision),
            Op::Increment { place, key, delta } => self.increment(place, key, *delta),
            Op::PutMany { place, entries } => self.put_many(place, entries).map(Done::Revision),
            Op::DeleteMany { place, keys } => self.delete_many(place, keys).map(Done::Revision),
            Op::SetQuota { tenant, bytes } => self.set_quota(tenant, *bytes),
            Op::RemoveTenant { tenant } => self.remove_tenant(tenant),
            Op::RegisterCursor { name } => self.register_cursor(name),
            Op::AdvanceCursor { name, revision } => self.advance_cursor(name, *revision),
            Op::DropCursor { name } => self.drop_cursor(name),
        }
    }

    fn put(&mut self, place: &Place, key: &str, value: &[u8], expect: Expect) -> Result<u64, Failure> {
        check_key(key)?;
        check_value(value)?;
        let (tenant, store) = self.records(place)?;
        let before = self.before(&store, key)?;
        before.check(key, expect)?;
        check_quota(&place.tenant, &tenant, cost(key, value), before.cost(key))?;
        self.write(place, key, value)
    }

    fn put_many(&mut self, place: &Place, entries: &[(String, Vec<u8>)]) -> Result<u64, Failure> {
        let (tenant, store) = self.records(place)?;
        // The last of several values of a key is the one that stays.
        let mut costs = HashMap::new();
        let mut freed = 0;
        for (key, value) in entries {
            check_key(key)?;
            check_value(value)?;
            if costs.insert(key, cost(key, value)).is_none() {
                freed += self.before(&store, key)?.cost(key);
            }
        }
        check_quota(&place.tenant, &tenant, costs.values().sum(), freed)?;
        for (key, value) in entries {
            self.write(place, key, value)?;
        }
        Ok(self.revision)
    }

    fn increment(&mut self, place: &Place, key: &str, delta: Delta) -> Result<Done, Failure> {
        check_key(key)?;
        let (_, store) = self.records(place)?;
        let no_number = |what: &str| KvError::invalid(format!("{what} under the key {key:?} {}", delta.wants()));
        let before = match self.tables.entry(&self.txn, store.id, key)?.and_then(|entry| entry.value) {
            None => 0,
            Some(value) => {
                std::str::from_utf8(value).ok().and_then(|text| text.parse::<i128>().ok()).ok_or_else(|| no_number("the value"))?
            }
        };
        let (after, done) = match delta {
            Delta::Signed(delta) => {
                let sum = i64::try_from(before + i128::from(delta)).map_err(|_| no_number("the sum"))?;
                (sum.to_string(), Done::Signed(sum))
            }
            Delta::Unsigned(delta) => {
                let sum = u64::try_from(before + i128::from(delta)).map_err(|_| no_number("the sum"))?;
                (sum.to_string(), Done::Unsigned(sum))
            }
        };
        self.put(place, key, after.as_bytes(), Expect::Anything)?;
        Ok(done)
    }

    fn delete(&mut self, place: &Place, key: &str, expect: Expect) -> Result<u64, Failure> {
        check_key(key)?;
        let Some(store) = self.tables.store(&self.txn, place)? else {
            let before = Before { revision: self.tables.floor(&self.txn, place)?, value: None };
            before.check(key, expect)?;
            return Ok(before.revision);
        };
        let before = self.before(&store, key)?;
        before.check(key, expect)?;
        if before.value.is_none() {
            return Ok(before.revision);
        }
        self.bury(place, key)
    }

    fn delete_many(&mut self, place: &Place, keys: &[String]) -> Result<u64, Failure> {
        for key in keys {
            check_key(key)?;
        }
        for key in keys {
            self.delete(place, key, Expect::Anything)?;
        }
        Ok(self.revision)
    }

    /// Puts a value, everything checked.
    fn write(&mut self, place: &Place, key: &str, value: &[u8]) -> Result<u64, Failure> {
        let (mut tenant, mut store) = self.records(place)?;
        if store.id == 0 {
            store.id = self.tables.next_store(&mut self.txn)?;
        }
        let before = self.before(&store, key)?;
        let old = self.tables.entry(&self.txn, store.id, key)?.map(|entry| (entry.revision, entry.value.is_none()));
        if let Some((revision, true)) = old {
            self.tables.tombstones.delete(&mut self.txn, &tombstone_key(store.id, revision))?;
            store.tombstones -= 1;
        }
        let (added, freed) = (cost(key, value), before.cost(key));
        let revision = self.next(Kind::Put, place, key)?;
        self.tables.data.put(&mut self.txn, &entry_key(store.id, key.as_bytes()), &Entry { revision, value: Some(value) }.encode())?;
        store.revision = revision;
        store.keys += u64::from(before.value.is_none());
        store.bytes = (store.bytes + added).saturating_sub(freed);
        tenant.used = (tenant.used + added).saturating_sub(freed);
        self.set_records(place, &tenant, &store)?;
        Ok(revision)
    }

    /// Replaces a value by a tombstone.
    fn bury(&mut self, place: &Place, key: &str) -> Result<u64, Failure> {
        let (mut tenant, mut store) = self.records(place)?;
        let freed = self.before(&store, key)?.cost(key);
        let revision = self.next(Kind::Delete, place, key)?;
        self.tables.data.put(&mut self.txn, &entry_key(store.id, key.as_bytes()), &Entry { revision, value: None }.encode())?;
        self.tables.tombstones.put(&mut self.txn, &tombstone_key(store.id, revision), key.as_bytes())?;
        store.revision = revision;
        store.keys -= 1;
        store.tombstones += 1;
        store.bytes = store.bytes.saturating_sub(freed);
        tenant.used = tenant.used.saturating_sub(freed);
        if store.tombstones > TOMBSTONES {
            self.forget_oldest(&mut store)?;
        }
        self.set_records(place, &tenant, &store)?;
        Ok(revision)
    }

    fn forget_oldest(&mut self, store: &mut StoreRecord) -> Result<(), Failure> {
        let prefix = store.id.to_be_bytes();
        let oldest = self.tables.tombstones.prefix_iter(&self.txn, &prefix)?.next().transpose()?;
        let Some((at, key)) = oldest.map(|(at, key)| (at.to_vec(), key.to_vec())) else { return Ok(()) };
        let revision = super::record::number(&at[4..])?;
        self.tables.data.delete(&mut self.txn, &entry_key(store.id, &key))?;
        self.tables.tombstones.delete(&mut self.txn, &at)?;
        store.tombstones -= 1;
        store.floor = store.floor.max(revision);
        Ok(())
    }

    fn set_quota(&mut self, tenant: &str, bytes: Option<u64>) -> Result<Done, Failure> {
        check_name("tenant", tenant)?;
        let record = TenantRecord { quota: bytes, ..self.tables.tenant(&self.txn, tenant)? };
        self.tables.tenants.put(&mut self.txn, tenant.as_bytes(), &record.encode())?;
        Ok(Done::Revision(self.revision))
    }

    fn remove_tenant(&mut self, tenant: &str) -> Result<Done, Failure> {
        use std::ops::Bound;
        check_name("tenant", tenant)?;
        for (name, store) in self.tables.stores_of(&self.txn, tenant)? {
            let (from, to) = (store.id.to_be_bytes(), (store.id + 1).to_be_bytes());
            let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
            self.tables.data.delete_range(&mut self.txn, &range)?;
            self.tables.tombstones.delete_range(&mut self.txn, &range)?;
            self.tables.stores.delete(&mut self.txn, &store_key(tenant, &name))?;
        }
        self.revision += 1;
        if self.logging {
            self.tables.log.put(&mut self.txn, &self.revision.to_be_bytes(), &Change::encode(Kind::Remove, tenant, "", ""))?;
        }
        // What is left of it: whoever has this name next does not begin before this.
        let record = TenantRecord { floor: self.revision, ..TenantRecord::default() };
        self.tables.tenants.put(&mut self.txn, tenant.as_bytes(), &record.encode())?;
        Ok(Done::Revision(self.revision))
    }

    fn register_cursor(&mut self, name: &str) -> Result<Done, Failure> {
        check_name("cursor", name)?;
        if let Some(revision) = self.tables.cursor(&self.txn, name)? {
            return Ok(Done::Revision(revision));
        }
        self.tables.cursors.put(&mut self.txn, name.as_bytes(), &self.revision.to_be_bytes())?;
        self.logging = true;
        Ok(Done::Revision(self.revision))
    }

    fn advance_cursor(&mut self, name: &str, revision: u64) -> Result<Done, Failure> {
        let Some(before) = self.tables.cursor(&self.txn, name)? else {
            return Err(KvError::invalid(format!("there is no cursor {name:?}; register it first")).into());
        };
        // It never goes back, as what it has passed may be gone, nor ahead of what has happened.
        let after = revision.min(self.revision).max(before);
        if after != before {
            self.tables.cursors.put(&mut self.txn, name.as_bytes(), &after.to_be_bytes())?;
            self.trim()?;
        }
        Ok(Done::Revision(after))
    }

    fn drop_cursor(&mut self, name: &str) -> Result<Done, Failure> {
        if self.tables.cursors.delete(&mut self.txn, name.as_bytes())? {
            self.trim()?;
        }
        Ok(Done::Revision(self.revision))
    }

    /// Forgets what every cursor has passed.
    fn trim(&mut self) -> Result<(), Failure> {
        use std::ops::Bound;
        let mut slowest = None;
        for item in self.tables.cursors.iter(&self.txn)? {
            let revision = super::record::number(item?.1)?;
            slowest = Some(slowest.map_or(revision, |slowest: u64| slowest.min(revision)));
        }
        self.logging = slowest.is_some();
        match slowest {
            None => self.tables.log.clear(&mut self.txn)?,
            Some(revision) => {
                let to = revision.to_be_bytes();
                self.tables.log.delete_range(&mut self.txn, &(Bound::Unbounded, Bound::Included(&to[..])))?;
            }
        }
        Ok(())
    }

    /// The next revision, noted in the log.
    fn next(&mut self, kind: Kind, place: &Place, key: &str) -> Result<u64, Failure> {
        self.revision += 1;
        if self.logging {
            let change = Change::encode(kind, &place.tenant, &place.store, key);
            self.tables.log.put(&mut self.txn, &self.revision.to_be_bytes(), &change)?;
        }
        Ok(self.revision)
    }

    /// The tenant's and the store's record; a store that is not there yet has the number 0.
    fn records(&self, place: &Place) -> Result<(TenantRecord, StoreRecord), KvError> {
        let tenant = self.tables.tenant(&self.txn, &place.tenant)?;
        let new = || StoreRecord { revision: tenant.floor, floor: tenant.floor, ..StoreRecord::default() };
        let store = self.tables.store(&self.txn, place)?.unwrap_or_else(new);
        Ok((tenant, store))
    }

    fn set_records(&mut self, place: &Place, tenant: &TenantRecord, store: &StoreRecord) -> Result<(), heed::Error> {
        self.tables.tenants.put(&mut self.txn, place.tenant.as_bytes(), &tenant.encode())?;
        self.tables.stores.put(&mut self.txn, &place.key(), &store.encode())
    }

    fn before(&self, store: &StoreRecord, key: &str) -> Result<Before, KvError> {
        let entry = self.tables.entry(&self.txn, store.id, key)?;
        Ok(Before {
            revision: entry.map_or(store.floor, |entry| entry.revision),
            value: entry.and_then(|entry| entry.value).map(|value| value.len() as u64),
        })
    }
}

/// A key before a change: its revision, and the length of its value.
struct Before {
    revision: u64,
    value: Option<u64>,
}

impl Before {
    fn check(&self, key: &str, expect: Expect) -> Result<(), KvError> {
        match expect {
            Expect::Anything => Ok(()),
            Expect::Absent if self.value.is_none() => Ok(()),
            Expect::Absent => Err(KvError::conflict(format!("the key {key:?} exists, at revision {}", self.revision))),
            Expect::Revision(revision) if revision == self.revision => Ok(()),
            Expect::Revision(revision) => Err(KvError::conflict(format!(
                "the key {key:?} is at revision {}, not {revision}: it has been changed since",
                self.revision
            ))),
        }
    }

    fn cost(&self, key: &str) -> u64 {
        self.value.map_or(0, |value| value + key.len() as u64)
    }
}

impl Delta {
    fn wants(self) -> &'static str {
        match self {
            Delta::Signed(_) => "is not a whole number of 64 bits",
            Delta::Unsigned(_) => "is not a whole number from 0 up, of 64 bits",
        }
    }
}

/// What a key with a value counts for against the quota.
fn cost(key: &str, value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}

/// Only growth is refused: whoever is over a quota that was lowered can still make things smaller.
fn check_quota(name: &str, tenant: &TenantRecord, added: u64, freed: u64) -> Result<(), KvError> {
    let Some(quota) = tenant.quota else { return Ok(()) };
    let after = (tenant.used + added).saturating_sub(freed);
    if added <= freed || after <= quota {
        return Ok(());
    }
    let message = format!("the tenant {name} would store {after} bytes and may store {quota}; delete something or have the quota raised");
    Err(KvError::new(Code::Quota, message))
}

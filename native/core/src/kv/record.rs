//! How things lie in the file: keys, values and the small records about stores and tenants.
//!
//! Numbers are big-endian, so that keys sort as they count.

use super::error::KvError;

/// Changes with the layout below; a file of another number is refused.
pub(super) const FORMAT: u32 = 1;

/// LMDB takes 511 bytes, of which the number of the store needs four.
pub const KEY_BYTES: usize = 480;
pub const VALUE_BYTES: usize = 8 * 1024 * 1024;
/// Names of tenants and stores.
const NAME_BYTES: usize = 128;

/// One store of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub tenant: String,
    pub store: String,
}

impl Place {
    /// Refuses names that are empty, longer than 128 bytes, or hold a NUL.
    pub fn new(tenant: &str, store: &str) -> Result<Self, KvError> {
        check_name("tenant", tenant)?;
        check_name("store", store)?;
        Ok(Self { tenant: tenant.to_owned(), store: store.to_owned() })
    }

    pub(super) fn key(&self) -> Vec<u8> {
        store_key(&self.tenant, &self.store)
    }
}

pub(super) fn check_name(what: &str, name: &str) -> Result<(), KvError> {
    match name.len() {
        1..=NAME_BYTES if !name.contains('\0') => Ok(()),
        1..=NAME_BYTES => Err(KvError::invalid(format!("the name of a {what} has no NUL in it"))),
        length => Err(KvError::invalid(format!("the name of a {what} has 1 to {NAME_BYTES} bytes, not {length}"))),
    }
}

pub(super) fn check_key(key: &str) -> Result<(), KvError> {
    match key.len() {
        1..=KEY_BYTES => Ok(()),
        length => Err(KvError::invalid(format!("a key has 1 to {KEY_BYTES} bytes, not {length}"))),
    }
}

pub(super) fn check_value(value: &[u8]) -> Result<(), KvError> {
    match value.len() {
        0..=VALUE_BYTES => Ok(()),
        length => Err(KvError::invalid(format!("a value has at most {VALUE_BYTES} bytes, not {length}"))),
    }
}

/// Where a store's record is; all stores of a tenant share the beginning.
pub(super) fn store_key(tenant: &str, store: &str) -> Vec<u8> {
    [tenant.as_bytes(), &[0], store.as_bytes()].concat()
}

/// Where a key's entry is. The number of the store stands for both names, which leaves the key its length.
pub(super) fn entry_key(store: u32, key: &[u8]) -> Vec<u8> {
    [&store.to_be_bytes(), key].concat()
}

/// Where a tombstone is noted: the oldest of a store comes first.
pub(super) fn tombstone_key(store: u32, revision: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&store.to_be_bytes());
    key[4..].copy_from_slice(&revision.to_be_bytes());
    key
}

/// What is under a key: the revision of its last change, and the value unless it was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub revision: u64,
    pub value: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    pub fn encode(&self) -> Vec<u8> {
        let value = self.value.unwrap_or_default();
        let mut bytes = Vec::with_capacity(9 + value.len());
        bytes.extend_from_slice(&self.revision.to_be_bytes());
        bytes.push(u8::from(self.value.is_some()));
        bytes.extend_from_slice(value);
        bytes
    }

    pub fn decode(bytes: &'a [u8]) -> Result<Self, KvError> {
        let (revision, rest) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
        let revision = u64::from_be_bytes(*revision);
        match rest.split_first() {
            Some((1, value)) => Ok(Self { revision, value: Some(value) }),
            Some((0, [])) => Ok(Self { revision, value: None }),
            _ => Err(damaged()),
        }
    }
}

/// A store: its number, the last change in it, and what is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StoreRecord {
    pub id: u32,
    /// Of the last change anywhere in the store.
    pub revision: u64,
    /// The highest revision that was forgotten with a tombstone. An absent key without one counts as changed then.
    pub floor: u64,
    pub keys: u64,
    pub tombstones: u64,
    pub bytes: u64,
}

impl StoreRecord {
    pub fn encode(&self) -> Vec<u8> {
        let numbers = [u64::from(self.id), self.revision, self.floor, self.keys, self.tombstones, self.bytes];
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, KvError> {
        let [id, revision, floor, keys, tombstones, bytes] = numbers(bytes)?;
        Ok(Self { id: u32::try_from(id).map_err(|_| damaged())?, revision, floor, keys, tombstones, bytes })
    }
}

/// What a tenant stores and may store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TenantRecord {
    /// Bytes of all keys and values.
    pub used: u64,
    pub quota: Option<u64>,
    /// The revision at which a tenant of this name was removed: nothing under the name is older.
    pub floor: u64,
}

impl TenantRecord {
    pub fn encode(&self) -> Vec<u8> {
        [self.used, self.quota.unwrap_or(u64::MAX), self.floor].iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, KvError> {
        let [used, quota, floor] = numbers(bytes)?;
        Ok(Self { used, quota: (quota != u64::MAX).then_some(quota), floor })
    }
}

/// What happened at a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Put,
    Delete,
    /// The tenant with all its stores; such a change names no store and no key.
    Remove,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Put => "put",
            Kind::Delete => "delete",
            Kind::Remove => "remove",
        }
    }
}

/// One line of the log. Names stand in it in full: it outlives what it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub revision: u64,
    pub tenant: String,
    pub store: String,
    pub key: String,
    pub kind: Kind,
}

impl Change {
    pub(super) fn encode(kind: Kind, tenant: &str, store: &str, key: &str) -> Vec<u8> {
        let kind = match kind {
            Kind::Put => 0,
            Kind::Delete => 1,
            Kind::Remove => 2,
        };
        // Names have at most 128 bytes.
        let mut bytes = vec![kind, tenant.len() as u8, store.len() as u8];
        for part in [tenant, store, key] {
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }

    pub(super) fn decode(revision: u64, bytes: &[u8]) -> Result<Self, KvError> {
        let &[kind, tenant, store, ref rest @ ..] = bytes else { return Err(damaged()) };
        let kind = match kind {
            0 => Kind::Put,
            1 => Kind::Delete,
            2 => Kind::Remove,
            _ => return Err(damaged()),
        };
        let (tenant, rest) = rest.split_at_checked(tenant.into()).ok_or_else(damaged)?;
        let (store, key) = rest.split_at_checked(store.into()).ok_or_else(damaged)?;
        Ok(Self { revision, tenant: text(tenant)?, store: text(store)?, key: text(key)?, kind })
    }
}

pub(super) fn text(bytes: &[u8]) -> Result<String, KvError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| damaged())
}

pub(super) fn number(bytes: &[u8]) -> Result<u64, KvError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| damaged())
}

fn numbers<const N: usize>(bytes: &[u8]) -> Result<[u64; N], KvError> {
    if bytes.len() != N * 8 {
        return Err(damaged());
    }
    let mut all = [0; N];
    for (number, bytes) in all.iter_mut().zip(bytes.chunks_exact(8)) {
        *number = u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    }
    Ok(all)
}

pub(super) fn damaged() -> KvError {
    KvError::io("the key-value file is damaged: a record in it cannot be read; restore it from a backup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let store = StoreRecord { id: 7, revision: 1 << 40, floor: 3, keys: 4, tombstones: 5, bytes: 6 };
        assert_eq!(StoreRecord::decode(&store.encode()), Ok(store));
        for quota in [None, Some(0), Some(10)] {
            let tenant = TenantRecord { used: 1, quota, floor: 2 };
            assert_eq!(TenantRecord::decode(&tenant.encode()), Ok(tenant));
        }
        for value in [None, Some(&b""[..]), Some(&b"abc"[..])] {
            let entry = Entry { revision: 9, value };
            assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
        }
        let change = Change { revision: 3, tenant: "t".into(), store: "s".into(), key: "k/ä".into(), kind: Kind::Delete };
        assert_eq!(Change::decode(3, &Change::encode(Kind::Delete, "t", "s", "k/ä")), Ok(change));
    }

    #[test]
    fn bytes_that_are_no_record_are_an_error() {
        assert!(Entry::decode(b"short").is_err());
        assert!(Entry::decode(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 9]).is_err());
        assert!(StoreRecord::decode(&[0; 47]).is_err());
        assert!(Change::decode(1, &[0, 9, 9, b'x']).is_err());
    }

    #[test]
    fn one_tenants_stores_are_not_under_anothers_prefix() {
        assert!(!store_key("ab", "c").starts_with(&store_key("a", "")));
    }
}

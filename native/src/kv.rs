//! Key-value data for the owner: reads as plain calls, writes answered by an event.
//!
//! Lists cross as JSON. An error is its code, a line feed and its message.

use napi::bindgen_prelude::*;
use napi_derive::napi;
use pilotlight_core::kv::{Expect, KvError, Op, Place, Verdict};
use serde::Deserialize;
use serde_json::json;

use crate::NativeEngine;
use crate::drain::kv_error_text;

#[napi(object)]
pub struct KvFound {
    pub value: Buffer,
    pub revision: f64,
}

/// A write, as `src/engine/kv.ts` says it. The value travels beside it.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Write {
    Put { tenant: String, store: String, key: String, if_revision: Option<u64>, if_absent: Option<bool> },
    Delete { tenant: String, store: String, key: String, if_revision: Option<u64>, if_absent: Option<bool> },
    SetQuota { tenant: String, bytes: Option<u64> },
    RemoveTenant { tenant: String },
    RegisterCursor { cursor: String },
    AdvanceCursor { cursor: String, revision: u64 },
    DropCursor { cursor: String },
}

impl Write {
    fn op(self, value: Option<&[u8]>) -> std::result::Result<Op, KvError> {
        Ok(match self {
            Write::Put { tenant, store, key, if_revision, if_absent } => Op::Put {
                place: Place::new(&tenant, &store)?,
                key,
                value: value.unwrap_or_default().to_vec(),
                expect: expect(if_revision, if_absent),
            },
            Write::Delete { tenant, store, key, if_revision, if_absent } => {
                Op::Delete { place: Place::new(&tenant, &store)?, key, expect: expect(if_revision, if_absent) }
            }
            Write::SetQuota { tenant, bytes } => Op::SetQuota { tenant, bytes },
            Write::RemoveTenant { tenant } => Op::RemoveTenant { tenant },
            Write::RegisterCursor { cursor } => Op::RegisterCursor { name: cursor },
            Write::AdvanceCursor { cursor, revision } => Op::AdvanceCursor { name: cursor, revision },
            Write::DropCursor { cursor } => Op::DropCursor { name: cursor },
        })
    }
}

fn expect(revision: Option<u64>, absent: Option<bool>) -> Expect {
    match (revision, absent) {
        (Some(revision), _) => Expect::Revision(revision),
        (None, Some(true)) => Expect::Absent,
        (None, _) => Expect::Anything,
    }
}

fn failure(error: KvError) -> Error {
    Error::from_reason(kv_error_text(&error))
}

/// A number that JavaScript can count: 2^53 changes are more than there will be.
fn number(revision: std::result::Result<u64, KvError>) -> Result<f64> {
    revision.map(|revision| revision as f64).map_err(failure)
}

fn place(tenant: &str, store: &str) -> Result<Place> {
    Place::new(tenant, store).map_err(failure)
}

#[napi]
impl NativeEngine {
    #[napi(catch_unwind)]
    pub fn kv_get(&self, tenant: String, store: String, key: String) -> Result<Option<KvFound>> {
        let found = self.engine.kv().get(&place(&tenant, &store)?, &key).map_err(failure)?;
        Ok(found.map(|found| KvFound { value: found.value.into(), revision: found.revision as f64 }))
    }

    #[napi(catch_unwind)]
    pub fn kv_revision(&self) -> Result<f64> {
        number(self.engine.kv().revision())
    }

    #[napi(catch_unwind)]
    pub fn kv_revision_of(&self, tenant: String, store: String, key: String) -> Result<f64> {
        number(self.engine.kv().revision_of(&place(&tenant, &store)?, &key))
    }

    #[napi(catch_unwind)]
    pub fn kv_revision_under(&self, tenant: String, store: String, prefix: String) -> Result<f64> {
        number(self.engine.kv().revision_under(&place(&tenant, &store)?, &prefix))
    }

    /// The revision of the file at which all of it holds; or, of the first that does not, its number from 0 on, less than nothing:
    /// -1 for the first.
    #[napi(catch_unwind)]
    pub fn kv_check(&self, since: f64, deps: &[u8]) -> Result<f64> {
        match self.engine.kv().check(since as u64, deps).map_err(failure)? {
            Verdict::Holds(revision) => Ok(revision as f64),
            Verdict::Changed(index) => Ok(-1.0 - index as f64),
        }
    }

    #[napi(catch_unwind)]
    pub fn kv_list(&self, tenant: String, store: String, prefix: String, after: Option<String>, limit: u32) -> Result<String> {
        let listed = self.engine.kv().list(&place(&tenant, &store)?, &prefix, after.as_deref(), limit as usize);
        let (keys, more) = listed.map_err(failure)?;
        let keys: Vec<_> =
            keys.into_iter().map(|listed| json!({ "key": listed.key, "revision": listed.revision, "bytes": listed.bytes })).collect();
        Ok(json!({ "keys": keys, "more": more }).to_string())
    }

    #[napi(catch_unwind)]
    pub fn kv_stores(&self, tenant: String) -> Result<String> {
        let stores = self.engine.kv().stores(&tenant).map_err(failure)?;
        let stores: Vec<_> = stores
            .into_iter()
            .map(|store| json!({ "name": store.name, "revision": store.revision, "keys": store.keys, "bytes": store.bytes }))
            .collect();
        Ok(json!(stores).to_string())
    }

    #[napi(catch_unwind)]
    pub fn kv_usage(&self, tenant: String) -> Result<String> {
        let usage = self.engine.kv().usage(&tenant).map_err(failure)?;
        Ok(json!({ "used": usage.used, "quota": usage.quota }).to_string())
    }

    #[napi(catch_unwind)]
    pub fn kv_changes(&self, cursor: String, after: Option<f64>, limit: u32) -> Result<String> {
        let changes = self.engine.kv().changes(&cursor, after.map(|after| after as u64), limit as usize).map_err(failure)?;
        let changes: Vec<_> = changes
            .into_iter()
            .map(|change| {
                let op = change.kind.name();
                json!({ "revision": change.revision, "tenant": change.tenant, "store": change.store, "key": change.key, "op": op })
            })
            .collect();
        Ok(json!(changes).to_string())
    }

    /// Answered by the `kv-written` event of the same number.
    #[napi(catch_unwind)]
    pub fn kv_write(&self, request: f64, operation: String, value: Option<&[u8]>) -> Result<()> {
        let write: Write = serde_json::from_str(&operation).map_err(|error| Error::from_reason(format!("invalid\n{error}")))?;
        self.engine.kv_write(request as u64, write.op(value).map_err(failure)?);
        Ok(())
    }
}

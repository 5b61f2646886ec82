//! `wasi:keyvalue` in both drafts that are in use, over [`crate::kv`].
//!
//! A guest opens the stores that its program was granted, by name, and finds its tenant's data in them. Reads happen at
//! once, on the thread that runs the guest; writes wait for the writer without holding that thread. What was read is
//! noted in the instance's trace.

use std::sync::Arc;

use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};

use crate::host::Host;
use crate::kv::{Code, Delta, Dep, Done, Expect, Kv, KvError, Mark, Op, PAGE_KEYS, Place, StoreNumber, page_key, page_mark};
use crate::trace::{Trace, hash, note};

#[derive(ComponentType, Lift, Lower, Debug)]
#[component(variant)]
#[allow(dead_code, reason = "the interface has it; a store that was not granted is not told apart from none")]
enum StoreError {
    #[component(name = "no-such-store")]
    NoSuchStore,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "other")]
    Other(String),
}

impl From<KvError> for StoreError {
    fn from(error: KvError) -> Self {
        StoreError::Other(error.message)
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum CasError {
    #[component(name = "store-error")]
    Store(StoreError),
    #[component(name = "cas-failed")]
    Failed(Resource<Cas>),
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct KeyResponse<Cursor> {
    keys: Vec<String>,
    cursor: Option<Cursor>,
}

struct Bucket {
    store: Opened,
    number: StoreNumber,
}

/// A store that a guest has opened.
#[derive(Clone)]
struct Opened {
    name: Arc<str>,
    place: Place,
}

/// A key, and the revision that a swap expects of it.
struct Cas {
    store: Opened,
    key: String,
    revision: u64,
}

type Answer<T> = Result<(Result<T, StoreError>,)>;
type Pairs = Vec<Option<(String, Vec<u8>)>>;

pub fn add_to_linker(linker: &mut Linker<Host>) -> Result<()> {
    let mut store = linker.instance("wasi:keyvalue/store@0.2.0-draft")?;
    add_store(&mut store)?;
    // This draft's cursors are numbers: how many keys have been listed.
    store.func_wrap(
        "[method]bucket.list-keys",
        |mut store: StoreContextMut<'_, Host>, (bucket, cursor): (Resource<Bucket>, Option<u64>)| {
            let passed = cursor.unwrap_or(0);
            let listed = list(store.data_mut(), &bucket, None, passed)?;
            Ok((listed.map(|(keys, more)| KeyResponse { cursor: more.then_some(passed + keys.len() as u64), keys }),))
        },
    )?;
    let mut store = linker.instance("wasi:keyvalue/store@0.2.0-draft2")?;
    add_store(&mut store)?;
    // And this one's are text: the last key that has been listed.
    store.func_wrap(
        "[method]bucket.list-keys",
        |mut store: StoreContextMut<'_, Host>, (bucket, cursor): (Resource<Bucket>, Option<String>)| {
            let listed = list(store.data_mut(), &bucket, cursor.as_deref(), 0)?;
            Ok((listed.map(|(keys, more)| KeyResponse { cursor: keys.last().filter(|_| more).cloned(), keys }),))
        },
    )?;
    add_batch(&mut linker.instance("wasi:keyvalue/batch@0.2.0-draft")?)?;
    add_batch(&mut linker.instance("wasi:keyvalue/batch@0.2.0-draft2")?)?;
    linker.instance("wasi:keyvalue/atomics@0.2.0-draft")?.func_wrap_async(
        "increment",
        |mut store: StoreContextMut<'_, Host>, (bucket, key, delta): (Resource<Bucket>, String, u64)| {
            Box::new(async move {
                let done = increment(store.data_mut(), &bucket, key, Delta::Unsigned(delta))?.await;
                Ok((done.map(|done| if let Done::Unsigned(sum) = done { sum } else { 0 }),))
            })
        },
    )?;
    let mut atomics = linker.instance("wasi:keyvalue/atomics@0.2.0-draft2")?;
    atomics.func_wrap_async(
        "increment",
        |mut store: StoreContextMut<'_, Host>, (bucket, key, delta): (Resource<Bucket>, String, i64)| {
            Box::new(async move {
                let done = increment(store.data_mut(), &bucket, key, Delta::Signed(delta))?.await;
                Ok((done.map(|done| if let Done::Signed(sum) = done { sum } else { 0 }),))
            })
        },
    )?;
    add_cas(&mut atomics)
}

fn add_store(store: &mut LinkerInstance<'_, Host>) -> Result<()> {
    store.resource("bucket", ResourceType::host::<Bucket>(), |mut store, rep| {
        store.data_mut().table().delete(Resource::<Bucket>::new_own(rep))?;
        Ok(())
    })?;
    store.func_wrap("open", |mut store: StoreContextMut<'_, Host>, (name,): (String,)| Ok((open(store.data_mut(), &name)?,)))?;
    store.func_wrap("[method]bucket.get", |mut store: StoreContextMut<'_, Host>, (bucket, key): (Resource<Bucket>, String)| {
        look(store.data_mut(), Dep::Value, &bucket, &key, |value| value.map(<[u8]>::to_vec))
    })?;
    store.func_wrap("[method]bucket.exists", |mut store: StoreContextMut<'_, Host>, (bucket, key): (Resource<Bucket>, String)| {
        look(store.data_mut(), Dep::Exists, &bucket, &key, |value| value.is_some())
    })?;
    store.func_wrap_async(
        "[method]bucket.set",
        |mut store: StoreContextMut<'_, Host>, (bucket, key, value): (Resource<Bucket>, String, Vec<u8>)| {
            Box::new(async move {
                let expect = Expect::Anything;
                let done = write(store.data_mut(), &bucket, |place| Op::Put { place, key, value, expect })?.await;
                Ok((done.map(|_| ()),))
            })
        },
    )?;
    store.func_wrap_async("[method]bucket.delete", |mut store: StoreContextMut<'_, Host>, (bucket, key): (Resource<Bucket>, String)| {
        Box::new(async move {
            let expect = Expect::Anything;
            let done = write(store.data_mut(), &bucket, |place| Op::Delete { place, key, expect })?.await;
            Ok((done.map(|_| ()),))
        })
    })
}

fn add_batch(batch: &mut LinkerInstance<'_, Host>) -> Result<()> {
    batch.func_wrap("get-many", |mut store: StoreContextMut<'_, Host>, (bucket, keys): (Resource<Bucket>, Vec<String>)| {
        get_many(store.data_mut(), &bucket, keys)
    })?;
    batch.func_wrap_async(
        "set-many",
        |mut store: StoreContextMut<'_, Host>, (bucket, entries): (Resource<Bucket>, Vec<(String, Vec<u8>)>)| {
            Box::new(async move {
                let done = write(store.data_mut(), &bucket, |place| Op::PutMany { place, entries })?.await;
                Ok((done.map(|_| ()),))
            })
        },
    )?;
    batch.func_wrap_async("delete-many", |mut store: StoreContextMut<'_, Host>, (bucket, keys): (Resource<Bucket>, Vec<String>)| {
        Box::new(async move {
            let done = write(store.data_mut(), &bucket, |place| Op::DeleteMany { place, keys })?.await;
            Ok((done.map(|_| ()),))
        })
    })
}

fn add_cas(atomics: &mut LinkerInstance<'_, Host>) -> Result<()> {
    atomics.resource("cas", ResourceType::host::<Cas>(), |mut store, rep| {
        store.data_mut().table().delete(Resource::<Cas>::new_own(rep))?;
        Ok(())
    })?;
    atomics.func_wrap("[static]cas.new", |mut store: StoreContextMut<'_, Host>, (bucket, key): (Resource<Bucket>, String)| {
        let host = store.data_mut();
        let store = host.table().get(&bucket)?.store.clone();
        Ok((new_cas(host, store, key)?,))
    })?;
    atomics.func_wrap("[method]cas.current", |mut store: StoreContextMut<'_, Host>, (cas,): (Resource<Cas>,)| {
        current(store.data_mut(), &cas)
    })?;
    atomics.func_wrap_async("swap", |mut store: StoreContextMut<'_, Host>, (cas, value): (Resource<Cas>, Vec<u8>)| {
        Box::new(async move {
            let host = store.data_mut();
            let Cas { store: opened, key, revision } = host.table().delete(cas)?;
            let op = Op::Put { place: opened.place.clone(), key: key.clone(), value, expect: Expect::Revision(revision) };
            let done = submit(host, op).await;
            Ok((match done {
                Ok(_) => Ok(()),
                Err(error) if error.code == Code::Conflict => Err(match new_cas(store.data_mut(), opened, key)? {
                    Ok(next) => CasError::Failed(next),
                    Err(error) => CasError::Store(error),
                }),
                Err(error) => Err(CasError::Store(error.into())),
            },))
        })
    })
}

/// A store that was not granted is denied, whether it exists or not.
fn open(host: &mut Host, name: &str) -> Result<Result<Resource<Bucket>, StoreError>> {
    let spec = &host.program.spec;
    if !spec.stores.iter().any(|store| store == name) {
        return Ok(Err(StoreError::AccessDenied));
    }
    let place = match Place::new(&spec.tenant, name) {
        Ok(place) => place,
        Err(error) => return Ok(Err(error.into())),
    };
    let bucket = Bucket { store: Opened { name: name.into(), place }, number: StoreNumber::default() };
    Ok(Ok(host.table().push(bucket)?))
}

fn look<T>(host: &mut Host, dep: Dep, bucket: &Resource<Bucket>, key: &str, read: impl FnOnce(Option<&[u8]>) -> T) -> Answer<T> {
    let (table, kv, trace) = host.reading();
    let Bucket { store, number } = table.get_mut(bucket)?;
    let found = kv.look(&store.place, number, key, |revision, value| (revision, mark(trace, dep, value), read(value)));
    Ok((found.map_err(|error| failed(trace, error)).map(|(revision, mark, value)| {
        trace.read(&store.name, dep, key, revision, mark);
        value
    }),))
}

/// What stands for a value that was read; worth its price where the run is traced.
fn mark(trace: &Trace, dep: Dep, value: Option<&[u8]>) -> Mark {
    match value {
        None => Mark::Absent,
        Some(_) if dep == Dep::Exists => Mark::Present([0; 16]),
        Some(value) if trace.is_on() => Mark::Present(hash(value)),
        Some(_) => Mark::Unknown,
    }
}

/// What could not be read now may be read the next time; a key that no store can hold never.
fn failed(trace: &Trace, error: KvError) -> StoreError {
    if error.code != Code::Invalid {
        trace.note(note::FAILED);
    }
    error.into()
}

fn get_many(host: &mut Host, bucket: &Resource<Bucket>, keys: Vec<String>) -> Answer<Pairs> {
    // More than this would not fit the guest's memory in any case.
    let limit = host.program.spec.limits.memory_bytes;
    let (table, kv, trace) = host.reading();
    let Bucket { store, .. } = table.get(bucket)?;
    let found = match kv.look_many(&store.place, &keys, limit) {
        Ok(found) => found,
        Err(error) => return Ok((Err(failed(trace, error)),)),
    };
    let pair = |(key, (revision, value)): (String, (u64, Option<Vec<u8>>))| {
        trace.read(&store.name, Dep::Value, &key, revision, mark(trace, Dep::Value, value.as_deref()));
        value.map(|value| (key, value))
    };
    Ok((Ok(keys.into_iter().zip(found).map(pair).collect()),))
}

/// A page of keys, and whether there are more.
fn list(host: &mut Host, bucket: &Resource<Bucket>, after: Option<&str>, skip: u64) -> Result<Result<(Vec<String>, bool), StoreError>> {
    let (table, kv, trace) = host.reading();
    let Bucket { store, .. } = table.get(bucket)?;
    Ok(kv.keys(&store.place, after, skip, PAGE_KEYS).map_err(|error| failed(trace, error)).map(|(keys, revision, more)| {
        let mark = if trace.is_on() { page_mark(&keys, more) } else { Mark::Unknown };
        trace.read(&store.name, Dep::Page, &page_key(after, skip), revision, mark);
        (keys, more)
    }))
}

fn new_cas(host: &mut Host, store: Opened, key: String) -> Result<Result<Resource<Cas>, StoreError>> {
    let (table, kv, trace) = host.reading();
    let looked = kv.look(&store.place, &mut StoreNumber::default(), &key, |revision, value| (revision, mark(trace, Dep::Value, value)));
    let (revision, mark) = match looked {
        Ok(looked) => looked,
        Err(error) => return Ok(Err(failed(trace, error))),
    };
    trace.read(&store.name, Dep::Value, &key, revision, mark);
    Ok(Ok(table.push(Cas { store, key, revision })?))
}

/// The value now. A swap that follows expects what was seen here.
fn current(host: &mut Host, cas: &Resource<Cas>) -> Answer<Option<Vec<u8>>> {
    let (table, kv, trace) = host.reading();
    let Cas { store, key, revision } = table.get_mut(cas)?;
    let found = kv.look(&store.place, &mut StoreNumber::default(), key, |revision, value| {
        (revision, mark(trace, Dep::Value, value), value.map(<[u8]>::to_vec))
    });
    Ok((found.map_err(|error| failed(trace, error)).map(|(now, mark, value)| {
        trace.read(&store.name, Dep::Value, key, now, mark);
        *revision = now;
        value
    }),))
}

fn increment(
    host: &mut Host,
    bucket: &Resource<Bucket>,
    key: String,
    delta: Delta,
) -> Result<impl Future<Output = std::result::Result<Done, StoreError>> + Send + use<>> {
    write(host, bucket, move |place| Op::Increment { place, key, delta })
}

/// Sends a write on its way; the future is its answer, and does not borrow the store.
fn write<F: FnOnce(Place) -> Op>(
    host: &mut Host,
    bucket: &Resource<Bucket>,
    op: F,
) -> Result<impl Future<Output = std::result::Result<Done, StoreError>> + Send + use<F>> {
    let place = host.table().get(bucket)?.store.place.clone();
    let done = submit(host, op(place));
    Ok(async move { done.await.map_err(Into::into) })
}

fn submit(host: &mut Host, op: Op) -> impl Future<Output = std::result::Result<Done, KvError>> + Send + use<> {
    let (_, kv, trace) = host.reading();
    trace.wrote();
    let kv: Arc<Kv> = kv.clone();
    async move { kv.write(op).await }
}

//! Paths over `wasi:keyvalue`.

use crate::wasi::keyvalue::store::{Bucket, Error, open};
use crate::wasi::keyvalue::{atomics, batch};
use crate::web::Target;
use crate::{Said, said, value, wait};

fn failed(error: Error) -> (u16, String) {
    (
        500,
        match error {
            Error::NoSuchStore => "no such store".to_owned(),
            Error::AccessDenied => "access denied".to_owned(),
            Error::Other(why) => why,
        },
    )
}

fn opened(target: &Target) -> Result<Bucket, (u16, String)> {
    open(target.find("store").unwrap_or("default")).map_err(failed)
}

/// A line `key=value`, or `key!` where it is absent.
fn line(out: &mut Vec<u8>, key: &str, sign: &str, value: Option<&[u8]>) {
    out.extend(key.as_bytes());
    match value {
        Some(value) => {
            out.extend(sign.as_bytes());
            out.extend(value);
        }
        None => out.extend(sign.replace('=', "!").as_bytes()),
    }
    out.push(b'\n');
}

fn read_each(out: &mut Vec<u8>, bucket: &Bucket, target: &Target, sign: &str) -> Result<(), (u16, String)> {
    for key in target.list("keys") {
        line(out, key, sign, bucket.get(key).map_err(failed)?.as_deref());
    }
    Ok(())
}

pub fn get(target: &Target) -> Said {
    let bucket = opened(target)?;
    let mut out = Vec::new();
    read_each(&mut out, &bucket, target, "=")?;
    if target.find("ms").is_some() {
        wait(target.number("ms", 0));
    }
    if target.get("again") == "1" {
        read_each(&mut out, &bucket, target, "==")?;
    }
    Ok(out)
}

pub fn exists(target: &Target) -> Said {
    let bucket = opened(target)?;
    let mut out = String::new();
    for key in target.list("keys") {
        out += &format!("{key}={}\n", bucket.exists(key).map_err(failed)?);
    }
    said(out)
}

pub fn list(target: &Target) -> Said {
    let bucket = opened(target)?;
    let mut out = String::new();
    let mut cursor = None;
    loop {
        let page = bucket.list_keys(cursor.as_deref()).map_err(failed)?;
        for key in page.keys {
            out += &key;
            out.push('\n');
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return said(out);
        }
    }
}

pub fn many(target: &Target) -> Said {
    let bucket = opened(target)?;
    let keys: Vec<String> = target.list("keys").map(str::to_owned).collect();
    let found = batch::get_many(&bucket, &keys).map_err(failed)?;
    let mut out = Vec::new();
    for (key, found) in keys.iter().zip(found) {
        line(&mut out, key, "=", found.as_ref().map(|(_, value)| value.as_slice()));
    }
    Ok(out)
}

pub fn set(target: &Target) -> Said {
    opened(target)?.set(target.get("key"), target.get("value").as_bytes()).map_err(failed)?;
    said("ok")
}

pub fn get_set(target: &Target) -> Said {
    let bucket = opened(target)?;
    let old = bucket.get(target.get("key")).map_err(failed)?;
    bucket.set(target.get("key"), target.get("value").as_bytes()).map_err(failed)?;
    value(old)
}

pub fn increment(target: &Target) -> Said {
    let bucket = opened(target)?;
    said(atomics::increment(&bucket, target.get("key"), 1).map_err(failed)?.to_string())
}

/// Traps where the store cannot be read: the interface has no word for that.
pub fn look_up(key: &str) -> Option<String> {
    let found = open("default").and_then(|bucket| bucket.get(key)).unwrap_or_else(|_| core::arch::wasm32::unreachable());
    found.map(|value| String::from_utf8_lossy(&value).into_owned())
}

pub fn put(key: &str, value: &str) {
    if open("default").and_then(|bucket| bucket.set(key, value.as_bytes())).is_err() {
        core::arch::wasm32::unreachable()
    }
}

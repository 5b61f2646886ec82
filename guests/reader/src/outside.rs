//! Files, and requests to elsewhere.

use crate::wasi::filesystem::preopens::get_directories;
use crate::wasi::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use crate::wasi::http::outgoing_handler;
use crate::wasi::http::types::{ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme};
use crate::wasi::io::streams::InputStream;
use crate::web::Target;
use crate::{Said, said};

/// All that is left in a stream.
fn rest(stream: &InputStream) -> Vec<u8> {
    let mut out = Vec::new();
    while let Ok(piece) = stream.blocking_read(65536) {
        out.extend(piece);
    }
    out
}

pub fn rest_of(body: &IncomingBody) -> Vec<u8> {
    body.stream().map(|stream| rest(&stream)).unwrap_or_default()
}

fn directory() -> Option<Descriptor> {
    get_directories().into_iter().next().map(|(directory, _)| directory)
}

pub fn file(path: &str) -> Option<Vec<u8>> {
    let file = directory()?.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), DescriptorFlags::READ).ok()?;
    file.read_via_stream(0).ok().map(|stream| rest(&stream))
}

/// The names in the directory, sorted, one a line.
pub fn files() -> Option<String> {
    let entries = directory()?.read_directory().ok()?;
    let mut names = Vec::new();
    while let Ok(Some(entry)) = entries.read_directory_entry() {
        names.push(entry.name + "\n");
    }
    names.sort();
    Some(names.concat())
}

fn send(target: &Target, method: Method, headers: &[&str], body: Option<&[u8]>) -> Result<IncomingResponse, (u16, String)> {
    let bad = |()| (400, "no such request".to_owned());
    let failed = |error: ErrorCode| (502, format!("{error:?}"));
    let url = target.get("url");
    let (scheme, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (Scheme::Http, rest),
        (_, Some(rest)) => (Scheme::Https, rest),
        _ => return Err(bad(())),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let fields = Fields::new();
    for name in headers {
        if let Some(value) = target.find(name) {
            fields.append(name, value.as_bytes()).map_err(|_| bad(()))?;
        }
    }
    let request = OutgoingRequest::new(fields);
    request.set_method(&method).map_err(bad)?;
    request.set_scheme(Some(&scheme)).map_err(bad)?;
    request.set_authority(Some(authority)).map_err(bad)?;
    request.set_path_with_query(Some(if path.is_empty() { "/" } else { path })).map_err(bad)?;
    let outgoing = body.is_some().then(|| request.body()).transpose().map_err(bad)?;
    let future = outgoing_handler::handle(request, None).map_err(failed)?;
    if let (Some(outgoing), Some(body)) = (outgoing, body) {
        let stream = outgoing.write().map_err(bad)?;
        let _ = stream.blocking_write_and_flush(body);
        drop(stream);
        let _ = OutgoingBody::finish(outgoing, None);
    }
    future.subscribe().block();
    match future.get() {
        Some(Ok(answered)) => answered.map_err(failed),
        _ => core::arch::wasm32::unreachable(),
    }
}

pub fn get(target: &Target) -> Said {
    let response = send(target, Method::Get, &["accept", "authorization"], None)?;
    if target.get("drop") == "1" {
        return said(response.status().to_string());
    }
    Ok(response.consume().map(|body| rest_of(&body)).unwrap_or_default())
}

pub fn post(target: &Target) -> Said {
    said(send(target, Method::Post, &[], Some(b"x"))?.status().to_string())
}

//! Outbound requests of runs that are traced: what a result depends on, and how to ask whether that has changed.
//!
//! The answer to a GET or HEAD is a reading: it is noted with its validators, and with a hash of its body once the guest has
//! read that to the end. Any other request may have done something, and the run is no longer one that need not run again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ETAG, HeaderMap, HeaderName, LAST_MODIFIED};
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::{Grant, Outbound, Sending};
use crate::trace::{Fetched, Trace, note};

/// Whoever takes longer than this to connect, to begin or to go on is not there.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most of a body that is read to compare it.
const PROBE_BYTES: u64 = 64 * 1024 * 1024;

pub(super) async fn send(
    outbound: Arc<Outbound>,
    trace: Arc<Trace>,
    request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<(Response<WasiBody>, Sending), Error> {
    let method = request.method().clone();
    let is_reading = matches!(method, Method::GET | Method::HEAD);
    if !is_reading {
        trace.note(note::REQUEST);
    }
    let url = request.uri().to_string();
    let headers = said(request.headers());
    let sent = outbound.send(request, options).await;
    let Ok((response, sending)) = sent else {
        // Why it did not come may be over by the next time.
        trace.note(note::UNREAD);
        return sent;
    };
    if !is_reading {
        return Ok((response, sending));
    }
    let place = trace.fetched(Fetched {
        method: method.to_string(),
        url,
        headers,
        status: response.status().as_u16(),
        etag: field(response.headers(), &ETAG),
        last_modified: field(response.headers(), &LAST_MODIFIED),
        body: None,
    });
    let Some(place) = place else { return Ok((response, sending)) };
    let response = response.map(|body| Hashed { body, place, trace, hasher: Some(Sha256::new()) }.boxed_unsync());
    Ok((response, sending))
}

fn field(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn said(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

/// A body whose hash is noted once it was read to its end.
struct Hashed {
    body: WasiBody,
    place: usize,
    trace: Arc<Trace>,
    hasher: Option<Sha256>,
}

impl Hashed {
    fn over(&mut self) {
        if let Some(hasher) = self.hasher.take() {
            self.trace.body_read(self.place, hasher);
        }
    }
}

impl Body for Hashed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(bytes), Some(hasher)) = (frame.data_ref(), &mut self.hasher) {
                    hasher.update(bytes);
                }
                // Whoever knows the length does not ask for the end.
                if self.body.is_end_stream() {
                    self.over();
                }
            }
            Poll::Ready(None) => self.over(),
            Poll::Ready(Some(Err(_))) => self.hasher = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Hashed {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.over();
        }
    }
}

/// A request that is made again to see whether its answer would be another.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// As in [`super::Grant`].
    pub origins: Vec<String>,
    #[serde(default)]
    pub any_address: bool,
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// Gives the text of the body too, when it is no longer than this.
    #[serde(default)]
    pub text_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probed {
    pub status: u16,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub body: String,
    pub text: Option<String>,
}

/// Makes the request and reads its answer to the end.
pub async fn probe(probe: Probe) -> Result<Probed, String> {
    let grant = Grant {
        origins: probe.origins,
        any_address: probe.any_address,
        connect: PATIENCE,
        first_byte: PATIENCE,
        between_bytes: PATIENCE,
        connections: 1,
    };
    let outbound = Outbound::new(grant).map_err(|error| error.to_string())?;
    let mut request = Request::builder().method(probe.method.as_str()).uri(&probe.url);
    for (name, value) in &probe.headers {
        request = request.header(name.as_str(), value.as_str());
    }
    let body: WasiBody = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let request = request.body(body).map_err(|error| error.to_string())?;
    let words = |error: Error| format!("{error:?}");
    let (response, sending) = outbound.send(request, None).await.map_err(words)?;
    let (head, mut body) = response.into_parts();
    let mut sending = Box::into_pin(sending);
    let (mut hasher, mut text, mut length, mut is_over) = (Sha256::new(), Vec::new(), 0, false);
    while !is_over {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            ended = &mut sending => {
                ended.map_err(words)?;
                sending = Box::pin(std::future::pending());
                continue;
            }
        };
        match frame {
            Some(frame) => {
                if let Ok(bytes) = frame.map_err(words)?.into_data() {
                    length += bytes.len() as u64;
                    if length > PROBE_BYTES {
                        return Err(format!("its answer is longer than {PROBE_BYTES} bytes"));
                    }
                    hasher.update(&bytes);
                    if length <= probe.text_bytes {
                        text.extend_from_slice(&bytes);
                    }
                }
            }
            None => is_over = true,
        }
    }
    let digest = hasher.finalize();
    Ok(Probed {
        status: head.status.as_u16(),
        etag: field(&head.headers, &ETAG),
        last_modified: field(&head.headers, &LAST_MODIFIED),
        body: digest[..16].iter().map(|byte| format!("{byte:02x}")).collect(),
        text: (probe.text_bytes > 0 && length <= probe.text_bytes).then(|| String::from_utf8_lossy(&text).into_owned()),
    })
}

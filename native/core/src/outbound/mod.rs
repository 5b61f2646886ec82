//! Outbound `wasi:http` of both versions: the replacement for wasmtime's `default_send_request`.
//!
//! [`Outbound`] is what a program may reach and how much of it at once; its instances share one, each store holding its
//! own [`Hooks`]. A request passes the origin list (`policy`), takes a slot (`slots`), is connected to an address that
//! was checked after resolution (`connect`, `address`), and is then spoken by hyper over HTTP/1.1.
//!
//! Left to others: deadlines of the run and the sizes of bodies. Left to the guest: redirects, retries, cookies. Left out
//! for now: keep-alive (a connection carries one request), HTTP/2, proxies. wasmtime's default filter of forbidden headers
//! stays in force; we also strip hop-by-hop fields it does not know, in both directions, and write `Host` ourselves.
//!
//! Limits of hyper that guests see: request trailers are sent only if a `Trailer` field announced them and the body is
//! chunked; a response head may have 64 KiB and 100 fields.

mod address;
mod answer;
mod connect;
mod errors;
mod headers;
mod origin;
mod policy;
mod slots;
mod timing;
mod traced;
mod upload;
mod wire;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

pub use address::address_allowed;
pub use connect::{Resolve, SystemResolver, Wiring, tls_config};
pub use policy::GrantError;
pub use slots::open_connections;
pub use traced::{Probe, Probed, probe};

use crate::trace::Trace;
use answer::{Answer, Driver};
use origin::Origin;
use policy::Policy;
use slots::{Slot, Slots};
use timing::{Progress, Timeouts};
use upload::{Fault, Length, Upload};
use wire::Wire;

/// The largest response head and the most that hyper buffers for one connection in each direction.
const BUFFER: usize = 64 * 1024;

/// How long a GET or HEAD waits, once connected, for its body of unknown length to show whether there is any. Guests
/// usually end an empty one right after sending the request.
const GRACE: Duration = Duration::from_millis(20);

/// What the operator lets a program reach over HTTP. Nothing, unless listed.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Origins such as `https://api.example.com` or `http://127.0.0.1:9000`, or `*` for every origin at a public address.
    /// Loopback, link-local and private ranges are reached only at addresses listed here; a listed address also serves
    /// names that resolve to it, on the same scheme and port.
    pub origins: Vec<String>,
    /// No check of addresses: with `*`, everything that this machine reaches.
    pub any_address: bool,
    /// Lookup, TCP and TLS together.
    pub connect: Duration,
    /// From the last byte of the request that the peer took to the whole head of the response.
    pub first_byte: Duration,
    /// Between two pieces of the response body, and the longest the peer may take no bytes of the request.
    pub between_bytes: Duration,
    /// Connections open at once for the program.
    pub connections: usize,
}

/// The sending of a request after its head has come back: poll it to move the bytes, drop it to close the connection.
pub type Sending = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// A program's way out, shared by its instances.
pub struct Outbound {
    policy: Policy,
    timeouts: Timeouts,
    slots: Arc<Slots>,
    wiring: Wiring,
}

impl Outbound {
    pub fn new(grant: Grant) -> Result<Arc<Self>, GrantError> {
        Self::wired(grant, Wiring::default())
    }

    /// With another resolver or other trust than the system's.
    pub fn wired(grant: Grant, wiring: Wiring) -> Result<Arc<Self>, GrantError> {
        Ok(Arc::new(Self {
            policy: Policy::new(&grant.origins, grant.any_address)?,
            timeouts: Timeouts::new(grant.connect, grant.first_byte, grant.between_bytes),
            slots: Slots::new(grant.connections),
            wiring,
        }))
    }

    /// Connections the program has open now, those still being made included.
    pub fn open_connections(&self) -> usize {
        self.slots.open()
    }

    /// Sends a request and waits for the head of its response. Needs a tokio runtime with time and I/O. Dropping the
    /// future, or the response body before its end, closes the connection.
    pub async fn send(
        self: Arc<Self>,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<(Response<WasiBody>, Sending), Error> {
        let origin = Origin::of(request.uri())?;
        if !self.policy.allows_origin(&origin) {
            return Err(Error::HttpRequestDenied);
        }
        if request.method() == Method::CONNECT {
            // A tunnel, which wasi:http has no way to carry.
            return Err(Error::HttpRequestMethodInvalid);
        }
        let slot = self.slots.take()?;
        let timeouts = self.timeouts.within(options);
        let fault = Arc::new(Fault::default());
        let mut request = request.map(|body| Upload::new(body, fault.clone()));
        headers::prepare(request.headers_mut(), &origin)?;
        let wire = self.connect(&origin, slot, &mut request, timeouts).await?;
        if let Some(failed) = fault.take() {
            return Err(failed);
        }
        finish_head(&mut request)?;
        exchange(wire, request, timeouts, fault).await
    }

    /// Looks at the request body while the connection is being made.
    async fn connect(
        &self,
        origin: &Origin,
        slot: Arc<Slot>,
        request: &mut Request<Upload>,
        timeouts: Timeouts,
    ) -> Result<(Wire, Arc<Progress>), Error> {
        let grace = if headers::is_bodiless(request.method()) { GRACE } else { Duration::ZERO };
        let opening = connect::open(&self.policy, &self.wiring, origin, &slot, timeouts.connect);
        let stream = if request.body().length() == Length::Unknown {
            look_while(opening, request.body_mut(), grace).await?
        } else {
            opening.await?
        };
        let progress = Arc::new(Progress::new());
        Ok((Wire::new(stream, slot, progress.clone(), timeouts.between_bytes), progress))
    }
}

/// Waits for `opening`, and after it for `grace` at most, watching how the body begins.
async fn look_while<T>(opening: impl Future<Output = Result<T, Error>>, upload: &mut Upload, grace: Duration) -> Result<T, Error> {
    let mut opening = pin!(opening);
    tokio::select! {
        biased;
        opened = &mut opening => {
            let opened = opened?;
            _ = timeout(grace, upload.look()).await;
            Ok(opened)
        }
        () = upload.look() => opening.await,
    }
}

/// Writes what depends on the body, and the request line as an origin server wants it.
fn finish_head(request: &mut Request<Upload>) -> Result<(), Error> {
    let length = request.body().length();
    let method = request.method().clone();
    headers::frame(request.headers_mut(), &method, length)?;
    *request.uri_mut() = origin_form(request.uri())?;
    *request.version_mut() = Version::HTTP_11;
    Ok(())
}

fn origin_form(uri: &Uri) -> Result<Uri, Error> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    path.parse().map_err(|_| Error::HttpRequestUriInvalid)
}

async fn exchange(
    (wire, progress): (Wire, Arc<Progress>),
    request: Request<Upload>,
    timeouts: Timeouts,
    fault: Arc<Fault>,
) -> Result<(Response<WasiBody>, Sending), Error> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(BUFFER).handshake(wire).await.map_err(|error| errors::from_hyper(&error, &fault))?;
    let mut driver = Driver::new(connection, fault.clone());
    let mut response = pin!(sender.send_request(request));
    let response = tokio::select! {
        biased;
        response = &mut response => response,
        ended = &mut driver => {
            ended?;
            response.await
        }
        () = progress.silence(timeouts.first_byte) => return Err(Error::ConnectionReadTimeout),
    };
    let response = response.map_err(|error| errors::from_hyper(&error, &fault))?;
    let (mut head, incoming) = response.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::HttpUpgradeFailed);
    }
    headers::strip_hop_by_hop(&mut head.headers);
    head.extensions.clear();
    let (answer, answered) = Answer::new(incoming, timeouts.between_bytes, fault);
    let sending = driver.finish(answered, progress, timeouts.between_bytes);
    Ok((Response::from_parts(head, answer.boxed_unsync()), Box::new(sending)))
}

/// A store's hooks into `wasi:http`.
pub struct Hooks {
    outbound: Arc<Outbound>,
    trace: Arc<Trace>,
}

impl Hooks {
    pub fn new(outbound: Arc<Outbound>, trace: Arc<Trace>) -> Self {
        Self { outbound, trace }
    }
}

impl WasiHttpHooks for Hooks {
    /// [`Outbound::send`] writes it from the origin that was checked.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _consumed: Sending,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Sending), Error>> + Send> {
        let sending = self.outbound.clone();
        if self.trace.is_on() {
            return Box::new(traced::send(sending, self.trace.clone(), request, options));
        }
        Box::new(sending.send(request, options))
    }
}

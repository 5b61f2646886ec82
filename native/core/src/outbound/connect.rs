//! From an origin to an open byte stream: look the name up once, keep the addresses that policy allows, connect to
//! exactly those, and speak TLS where the scheme says so. Nothing is looked up again after the check, so a name server
//! that changes its answer changes nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::Error;

use super::errors::{from_connect, from_handshake, from_lookup, no_address};
use super::origin::{Host, Origin, Scheme};
use super::policy::Policy;
use super::slots::Slot;
use super::wire::Stream;

/// Finds the addresses of a name, in the order in which they are to be tried.
pub trait Resolve: Send + Sync {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver (`getaddrinfo` on a blocking thread).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// What connections are made with.
#[derive(Clone)]
pub struct Wiring {
    pub resolver: Arc<dyn Resolve>,
    pub tls: Arc<ClientConfig>,
}

impl Default for Wiring {
    /// The system's resolver, and TLS that trusts the roots of Mozilla. Both are shared by the whole process.
    fn default() -> Self {
        Self { resolver: Arc::new(SystemResolver), tls: public_tls() }
    }
}

fn public_tls() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let build = || {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
        Arc::new(tls_config(roots))
    };
    CONFIG.get_or_init(build).clone()
}

/// TLS 1.2 and 1.3 for HTTP/1.1, trusting `roots`. Names its crypto provider, so it does not depend on what else in the
/// process installed one.
pub fn tls_config(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has suites for every protocol version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Lookup, connection and handshake together take at most `limit`.
pub(super) async fn open(
    policy: &Policy,
    wiring: &Wiring,
    origin: &Origin,
    slot: &Arc<Slot>,
    limit: Duration,
) -> Result<Box<dyn Stream>, Error> {
    let deadline = Instant::now() + limit;
    let found = timeout_at(deadline, addresses(wiring, origin, slot)).await.map_err(|_| Error::DnsTimeout)??;
    let allowed: Vec<SocketAddr> = found
        .iter()
        .filter(|address| policy.allows_address(origin, **address))
        .map(|address| SocketAddr::new(*address, origin.port))
        .collect();
    match (found.is_empty(), allowed.is_empty()) {
        (true, _) => return Err(no_address()),
        (_, true) => return Err(Error::DestinationIpProhibited),
        _ => {}
    }
    let stream = dial(&allowed, deadline).await?;
    match origin.scheme {
        Scheme::Http => Ok(Box::new(stream)),
        Scheme::Https => timeout_at(deadline, encrypt(wiring, &origin.host, stream)).await.unwrap_or(Err(Error::ConnectionTimeout)),
    }
}

/// The lookup runs on a task of its own that holds the slot: given up or not, it occupies a thread until the system
/// answers, and a guest must not be able to start more of them than it may have connections.
async fn addresses(wiring: &Wiring, origin: &Origin, slot: &Arc<Slot>) -> Result<Vec<IpAddr>, Error> {
    let name = match &origin.host {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(name) => name.clone(),
    };
    let slot = slot.clone();
    let lookup = wiring.resolver.resolve(name);
    let task = tokio::spawn(async move {
        let found = lookup.await;
        drop(slot);
        found
    });
    let found = task.await.map_err(|_| Error::InternalError(None))?;
    found.map_err(|error| from_lookup(&error))
}

/// The first address that accepts, each having its share of the time left.
async fn dial(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Error> {
    let mut last = Error::ConnectionTimeout;
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Heads and chunks are written whole; waiting to join them only adds latency.
                _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = from_connect(&error),
            Err(_) => last = Error::ConnectionTimeout,
        }
    }
    Err(last)
}

async fn encrypt(wiring: &Wiring, host: &Host, stream: TcpStream) -> Result<Box<dyn Stream>, Error> {
    let name = match host {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Error::TlsCertificateError)?,
    };
    let connector = TlsConnector::from(wiring.tls.clone());
    let stream = connector.connect(name, stream).await.map_err(|error| from_handshake(&error))?;
    Ok(Box::new(stream))
}

//! Servers, bodies and grants that the tests are made of.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use pilotlight_core::outbound::{Grant, Outbound, Resolve, Wiring};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use wasmtime_wasi_http::{Error, WasiBody};

pub const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// A loopback address that no grant here lists.
pub const UNLISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// A limit that a test waits out. Ten times what a busy machine needs for the rest.
pub const SHORT: Duration = Duration::from_millis(300);

pub fn grant(origins: &[&str]) -> Grant {
    Grant {
        origins: origins.iter().map(ToString::to_string).collect(),
        any_address: false,
        connect: Duration::from_secs(10),
        first_byte: Duration::from_secs(10),
        between_bytes: Duration::from_secs(10),
        connections: 8,
    }
}

pub fn allow(origins: &[&str]) -> Arc<Outbound> {
    Outbound::new(grant(origins)).unwrap()
}

/// Allows what listens at `address`, under limits changed by `change`.
pub fn allow_with(address: SocketAddr, change: impl FnOnce(&mut Grant)) -> Arc<Outbound> {
    let mut grant = grant(&[&format!("http://{address}")]);
    change(&mut grant);
    Outbound::new(grant).unwrap()
}

pub fn allow_at(address: SocketAddr) -> Arc<Outbound> {
    allow_with(address, |_| {})
}

/// Answers each lookup with the next list, the last one for ever.
pub struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Names {
    pub fn new<const N: usize>(answers: [&[Ipv4Addr]; N]) -> Arc<Self> {
        let answers = answers.map(|list| list.iter().copied().map(IpAddr::V4).collect());
        Arc::new(Self { answers: Mutex::new(answers.into()), asked: AtomicUsize::new(0) })
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Resolve for Names {
    fn resolve(&self, _host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        async move { answer.ok_or_else(|| io::Error::other("no such name")) }.boxed()
    }
}

pub fn resolving(grant: Grant, resolver: Arc<dyn Resolve>) -> Arc<Outbound> {
    Outbound::wired(grant, Wiring { resolver, ..Wiring::default() }).unwrap()
}

/// Serves every connection to a fresh port of `address` with `handle`, until the test's runtime ends.
pub async fn listen<F>(address: impl Into<IpAddr>, port: u16, handle: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((address.into(), port)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    address
}

/// A server that reads a head, answers with `reply` as it stands, and hangs up.
pub async fn replying(reply: &'static str) -> SocketAddr {
    listen(LOCAL, 0, move |mut stream| async move {
        read_head(&mut stream).await;
        _ = stream.write_all(reply.as_bytes()).await;
    })
    .await
}

/// A server that answers `reply` and passes on everything it read.
pub async fn recording(reply: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (seen, record) = mpsc::unbounded_channel();
    let address = listen(LOCAL, 0, move |mut stream| {
        let seen = seen.clone();
        async move {
            let mut all = read_head(&mut stream).await;
            let lower = all.to_lowercase();
            if lower.contains("transfer-encoding: chunked") {
                while !all.contains("\r\n0\r\n") || !all.ends_with("\r\n\r\n") {
                    all += &read_some(&mut stream).await;
                }
            }
            _ = stream.write_all(reply.as_bytes()).await;
            _ = seen.send(all);
        }
    })
    .await;
    (address, record)
}

pub async fn read_some(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).await.unwrap_or(0);
    assert_ne!(read, 0, "the client hung up early");
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = String::new();
    while !head.contains("\r\n\r\n") {
        head += &read_some(stream).await;
    }
    head
}

pub async fn hang(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

pub fn empty() -> WasiBody {
    Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync()
}

pub fn full(bytes: impl Into<Bytes>) -> WasiBody {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body fed by hand, of unknown length like a guest's own.
pub fn fed() -> (mpsc::Sender<Result<Frame<Bytes>, Error>>, WasiBody) {
    let (feed, frames) = mpsc::channel(1);
    let frames = futures::stream::unfold(frames, |mut frames| async { Some((frames.recv().await?, frames)) });
    (feed, StreamBody::new(frames).boxed_unsync())
}

pub fn data(bytes: impl Into<Bytes>) -> Result<Frame<Bytes>, Error> {
    Ok(Frame::data(bytes.into()))
}

pub fn request(method: Method, uri: &str, body: WasiBody) -> Request<WasiBody> {
    Request::builder().method(method).uri(uri).body(body).unwrap()
}

pub fn get(uri: &str) -> Request<WasiBody> {
    request(Method::GET, uri, empty())
}

pub fn at(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}

/// A response head whose connection is driven in the background, as the runtime does it.
pub async fn head(outbound: &Arc<Outbound>, request: Request<WasiBody>) -> Result<Response<WasiBody>, Error> {
    let (response, sending) = outbound.clone().send(request, None).await?;
    tokio::spawn(Box::into_pin(sending));
    Ok(response)
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

pub async fn fetch(outbound: &Arc<Outbound>, request: Request<WasiBody>) -> Result<Reply, Error> {
    let (head, body) = head(outbound, request).await?.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned();
    Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes(), trailers })
}

#[track_caller]
pub fn code<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

pub async fn failure(outbound: &Arc<Outbound>, uri: &str) -> String {
    code(fetch(outbound, get(uri)).await)
}

/// Closing is done by tasks of the runtime, a moment after the cause.
pub async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.expect("never came true");
}

pub const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

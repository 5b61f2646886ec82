//! Origins: scheme, host and port. One parser reads both what the operator lists and what a guest asks for, and the
//! `Host` header and the TLS name are written from its result, so no two readers can disagree about where a request goes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wasmtime_wasi_http::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            _ if text.eq_ignore_ascii_case("http") => Some(Self::Http),
            _ if text.eq_ignore_ascii_case("https") => Some(Self::Https),
            _ => None,
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// A name in lower case without its trailing dot, or a literal address. Two spellings of an address (`127.0.0.1`,
/// `::ffff:127.0.0.1`) are two hosts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// A name that means this machine, whatever a resolver says (RFC 6761).
    pub fn is_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if name == "localhost" || name.ends_with(".localhost"))
    }

    pub fn is_loopback(&self) -> bool {
        matches!(self, Self::Address(address) if address.to_canonical().is_loopback())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// What is wrong with an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityFault {
    UserInfo,
    Port,
    Wildcard,
    NotAscii,
    /// `127.1`, `0x7f000001`, `2130706433`: addresses to some readers, names to others.
    OddAddress,
    Host,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    pub scheme: Scheme,
    pub host: Host,
    pub port: u16,
}

impl Origin {
    pub fn parse(scheme: Scheme, authority: &str) -> Result<Self, AuthorityFault> {
        if authority.contains('@') {
            return Err(AuthorityFault::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let port = port.map_or(Ok(scheme.default_port()), parse_port)?;
        Ok(Self { scheme, host: parse_host(host)?, port })
    }

    /// Where a guest's request wants to go.
    pub fn of(uri: &http::Uri) -> Result<Self, Error> {
        let scheme = uri.scheme_str().ok_or(Error::HttpRequestUriInvalid)?;
        let scheme = Scheme::parse(scheme).ok_or(Error::HttpProtocolError)?;
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        Self::parse(scheme, authority.as_str()).map_err(|_| Error::HttpRequestUriInvalid)
    }

    /// The same scheme and port at a literal address.
    pub fn at(&self, address: IpAddr) -> Self {
        Self { host: Host::Address(address), ..self.clone() }
    }

    /// Host and port as the `Host` header wants them: the port only if it is not the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority())
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), AuthorityFault> {
    if !authority.starts_with('[') {
        return Ok(match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        });
    }
    let end = authority.find(']').ok_or(AuthorityFault::Host)? + 1;
    let (host, rest) = authority.split_at(end);
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(AuthorityFault::Host),
    }
}

fn parse_port(text: &str) -> Result<u16, AuthorityFault> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err(AuthorityFault::Port),
    }
}

fn parse_host(text: &str) -> Result<Host, AuthorityFault> {
    if let Some(inside) = text.strip_prefix('[') {
        let literal = inside.strip_suffix(']').unwrap_or(inside);
        let address: Ipv6Addr = literal.parse().map_err(|_| AuthorityFault::Host)?;
        return Ok(Host::Address(address.into()));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    check_name(&name).map(|()| Host::Name(name))
}

fn check_name(name: &str) -> Result<(), AuthorityFault> {
    if !name.is_ascii() {
        return Err(AuthorityFault::NotAscii);
    }
    if name.contains('*') {
        return Err(AuthorityFault::Wildcard);
    }
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(AuthorityFault::Host);
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if is_number(last) { Err(AuthorityFault::OddAddress) } else { Ok(()) }
}

/// Underscores are no part of a host name, yet internal names have them.
fn is_label(label: &str) -> bool {
    matches!(label.len(), 1..=63) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// "Ends in a number" of the WHATWG URL standard: such a host is an address, or nothing.
fn is_number(label: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits(label) || label.strip_prefix("0x").is_some_and(hex)
}

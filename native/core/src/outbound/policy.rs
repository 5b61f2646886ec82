//! What the operator granted, turned once into the two questions that each request asks: may it go to this origin, and
//! may it connect to this address?

use std::collections::HashSet;
use std::net::IpAddr;

use thiserror::Error;

use super::address::address_allowed;
use super::origin::{AuthorityFault, Origin, Scheme};

/// An origin in a grant that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("outbound origin {origin:?} {wrong}; {right}")]
pub struct GrantError {
    pub origin: String,
    pub wrong: String,
    pub right: String,
}

#[derive(Debug)]
pub(super) struct Policy {
    /// `*` was listed.
    every_origin: bool,
    any_address: bool,
    origins: HashSet<Origin>,
}

impl Policy {
    pub fn new(origins: &[String], any_address: bool) -> Result<Self, GrantError> {
        let (stars, named): (Vec<_>, Vec<_>) = origins.iter().partition(|text| *text == "*");
        let named: Vec<(&str, Origin)> =
            named.into_iter().map(|text| Ok((text.as_str(), parse(text)?))).collect::<Result<_, GrantError>>()?;
        if !any_address {
            named.iter().try_for_each(|(text, origin)| check_localhost(text, origin, &named))?;
        }
        let origins = named.into_iter().map(|(_, origin)| origin).collect();
        Ok(Self { every_origin: !stars.is_empty(), any_address, origins })
    }

    pub fn allows_origin(&self, origin: &Origin) -> bool {
        self.every_origin || self.origins.contains(origin)
    }

    /// Public addresses are free; others only with the port (and scheme) at which they are listed. That holds for names
    /// too, so an internal name works once its address stands beside it; a name alone never opens an address, because
    /// whoever answers for the name decides what it points at.
    pub fn allows_address(&self, origin: &Origin, address: IpAddr) -> bool {
        self.any_address || address_allowed(address) || self.origins.contains(&origin.at(address))
    }
}

fn parse(text: &str) -> Result<Origin, GrantError> {
    let error = |wrong: String, right: String| GrantError { origin: text.to_owned(), wrong, right };
    let Some((scheme, rest)) = text.split_once("://") else {
        let right = match Origin::parse(Scheme::Https, text) {
            Ok(origin) => format!("write {:?}", origin.to_string()),
            Err(_) => "write it like \"https://api.example.com\"".to_owned(),
        };
        return Err(error("has no scheme".to_owned(), right));
    };
    let Some(scheme) = Scheme::parse(scheme) else {
        return Err(error(format!("has the scheme {scheme:?}"), "use http or https".to_owned()));
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let origin = Origin::parse(scheme, authority).map_err(|fault| {
        let (wrong, right) = explain(fault);
        error(wrong.to_owned(), right.to_owned())
    })?;
    if !matches!(tail, "" | "/") {
        let right = format!("an origin is scheme, host and port: write {:?}", origin.to_string());
        return Err(error("goes on after the host".to_owned(), right));
    }
    Ok(origin)
}

fn explain(fault: AuthorityFault) -> (&'static str, &'static str) {
    match fault {
        AuthorityFault::UserInfo => ("holds a user name", "leave out everything up to the @"),
        AuthorityFault::Port => ("has a wrong port", "a port is a number from 1 to 65535"),
        AuthorityFault::Wildcard => ("has a wildcard in its host", "list each host, or \"*\" alone for every public address"),
        AuthorityFault::NotAscii => ("has a host that is not ASCII", "write it in punycode (xn--…)"),
        AuthorityFault::OddAddress => ("ends like an address but is none", "write an IPv4 address as four decimal numbers, like 127.0.0.1"),
        AuthorityFault::Host => (
            "has a host that is neither a name nor an address",
            "write a host name, an IPv4 address, or an IPv6 address in brackets without a zone",
        ),
    }
}

/// `localhost` can only ever mean an address that must be listed, so listed alone it would be a grant that never works.
fn check_localhost(text: &str, origin: &Origin, named: &[(&str, Origin)]) -> Result<(), GrantError> {
    let beside = |other: &Origin| other.host.is_loopback() && other.scheme == origin.scheme && other.port == origin.port;
    if !origin.host.is_localhost() || named.iter().any(|(_, other)| beside(other)) {
        return Ok(());
    }
    let address = origin.at(IpAddr::from([127, 0, 0, 1])).to_string();
    Err(GrantError {
        origin: text.to_owned(),
        wrong: "is a name for loopback, which must be listed by address".to_owned(),
        right: format!("add or write {address:?}"),
    })
}

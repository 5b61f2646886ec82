//! A token: its three parts, its signature, its times, and whom it is for. Why one is not valid is nobody's business but ours.

use serde_json::{Map, Value};

use crate::base64url;
use crate::config::Config;
use crate::json;
use crate::keys::{Algorithm, Key};

pub type Claims = Map<String, Value>;

/// It does not hold.
#[derive(Debug, PartialEq)]
pub struct Invalid;

/// The claims of a token that holds at `now`, seconds since 1970. `more`: keys that were fetched.
pub fn verified(token: &str, config: &Config, more: &[Key], now: f64) -> Result<Claims, Invalid> {
    if token.len() > config.max_bytes {
        return Err(Invalid);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Invalid);
    };
    let algorithm_and_key = read_header(&object(header)?)?;
    let (algorithm, id) = &algorithm_and_key;
    if !config.allows(*algorithm) {
        return Err(Invalid);
    }
    let signature = base64url::decode(signature).ok_or(Invalid)?;
    let signed = &token.as_bytes()[..header.len() + 1 + payload.len()];
    // A key that is named is tried alone, with those that have no name.
    let named = |key: &&Key| id.is_none() || key.id.is_none() || key.id == *id;
    let mut candidates = config.keys.iter().chain(more).filter(|key| key.algorithm() == *algorithm).filter(named);
    if !candidates.any(|key| key.verifies(signed, &signature)) {
        return Err(Invalid);
    }
    let claims = object(payload)?;
    in_time(&claims, config, now)?;
    for_us(&claims, config)?;
    if claims.get("sub").is_some_and(|subject| subject.as_str().is_none_or(str::is_empty)) {
        return Err(Invalid);
    }
    Ok(claims)
}

fn object(part: &str) -> Result<Claims, Invalid> {
    match base64url::decode(part).and_then(|bytes| json::parse(&bytes)) {
        Some(Value::Object(members)) => Ok(members),
        _ => Err(Invalid),
    }
}

/// What it says to be signed by. Keys that it brings along are no keys of ours, and are not looked at.
fn read_header(header: &Claims) -> Result<(Algorithm, Option<String>), Invalid> {
    // Nothing is understood that a token could call critical (RFC 7515, section 4.1.11).
    if header.contains_key("crit") || header.get("b64").is_some_and(|b64| b64 != true) {
        return Err(Invalid);
    }
    if let Some(kind) = header.get("typ") {
        let kind = kind.as_str().ok_or(Invalid)?.to_ascii_lowercase();
        if !["jwt", "at+jwt"].contains(&kind.strip_prefix("application/").unwrap_or(&kind)) {
            return Err(Invalid);
        }
    }
    let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::of_name).ok_or(Invalid)?;
    let id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(_) => return Err(Invalid),
    };
    Ok((algorithm, id))
}

fn in_time(claims: &Claims, config: &Config, now: f64) -> Result<(), Invalid> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().filter(|time| time.is_finite() && *time >= 0.0).map(Some).ok_or(Invalid),
    };
    let (expiry, not_before, issued) = (time("exp")?, time("nbf")?, time("iat")?);
    let is_over = expiry.is_some_and(|expiry| expiry + config.leeway <= now);
    let is_early = [not_before, issued].into_iter().flatten().any(|from| from > now + config.leeway);
    if is_over || is_early || (expiry.is_none() && config.require_expiry) { Err(Invalid) } else { Ok(()) }
}

fn for_us(claims: &Claims, config: &Config) -> Result<(), Invalid> {
    if let Some(issuers) = &config.issuers {
        let issuer = claims.get("iss").and_then(Value::as_str).ok_or(Invalid)?;
        if !issuers.iter().any(|own| own == issuer) {
            return Err(Invalid);
        }
    }
    if let Some(audiences) = &config.audiences {
        let named = claims.get("aud").and_then(json::texts).ok_or(Invalid)?;
        if !named.iter().any(|one| audiences.iter().any(|own| own == one)) {
            return Err(Invalid);
        }
    }
    Ok(())
}

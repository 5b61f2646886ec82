//! What `start` is given: names and values, and what is wrong with them.

use serde_json::Value;

use crate::json;
use crate::keys::{Algorithm, Key};
use crate::routes::Routes;

pub struct Config {
    /// None: those of the keys.
    algorithms: Option<Vec<Algorithm>>,
    pub keys: Vec<Key>,
    pub jwks: Option<String>,
    pub issuers: Option<Vec<String>>,
    pub audiences: Option<Vec<String>>,
    pub leeway: f64,
    pub require_expiry: bool,
    pub max_bytes: usize,
    pub header: String,
    pub subject: String,
    pub claims: Vec<String>,
    pub routes: Routes,
}

const NAMES: &str = "algorithms, secret, secretBase64, key, keys, jwks, issuer, audience, leeway, requireExpiry, maxBytes, header, subject, claims, routes";

impl Config {
    pub fn of(pairs: &[(String, String)]) -> Result<Self, String> {
        let mut config = Self {
            algorithms: None,
            keys: Vec::new(),
            jwks: None,
            issuers: None,
            audiences: None,
            leeway: 60.0,
            require_expiry: true,
            max_bytes: 8192,
            header: "authorization".into(),
            subject: "sub".into(),
            claims: vec!["iss".into(), "scope".into()],
            routes: Routes::default(),
        };
        for (name, value) in pairs {
            config.set(name, value).map_err(|what| format!("{name}{}{what}", if what.starts_with('[') { "" } else { ": " }))?;
        }
        if config.keys.is_empty() && config.jwks.is_none() {
            return Err("there is no key: expected one of secret, secretBase64, key, keys, jwks".into());
        }
        if let Some(unused) = config.algorithms.iter().flatten().find(|wanted| !config.may_have_key(**wanted)) {
            return Err(format!("algorithms: there is no key for {}", unused.name()));
        }
        Ok(config)
    }

    /// A set at an address may come to have any key but a secret.
    fn may_have_key(&self, algorithm: Algorithm) -> bool {
        (self.jwks.is_some() && algorithm != Algorithm::Hs256) || self.keys.iter().any(|key| key.algorithm() == algorithm)
    }

    /// Whether tokens of this algorithm are verified at all.
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.as_ref().is_none_or(|all| all.contains(&algorithm))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "algorithms" => {
                let names = some(list(value)?)?;
                let names = names.iter().flat_map(|text| text.split(','));
                self.algorithms = Some(names.map(|name| algorithm(name.trim())).collect::<Result<_, _>>()?);
            }
            "secret" => self.keys.push(Key::secret(value.as_bytes().to_vec())?),
            "secretBase64" => {
                let bytes = crate::base64url::decode(value).ok_or("expected base64url without padding")?;
                self.keys.push(Key::secret(bytes)?);
            }
            "key" => {
                let jwk = json::parse(value.as_bytes()).ok_or("expected one JWK as JSON")?;
                self.keys.push(Key::of_jwk(&jwk)?.ok_or("expected a key that verifies HS256, RS256, ES256 or EdDSA")?);
            }
            "keys" => {
                let keys = key_set(value.as_bytes())?.into_iter().collect::<Result<Vec<_>, _>>()?;
                if keys.is_empty() {
                    return Err("none of them verifies HS256, RS256, ES256 or EdDSA".into());
                }
                self.keys.extend(keys);
            }
            "jwks" => {
                if !value.starts_with("https://") && !value.starts_with("http://") {
                    return Err("expected a URL such as \"https://id.example.com/keys\"".into());
                }
                self.jwks = Some(value.to_owned());
            }
            "issuer" => self.issuers = Some(some(list(value)?)?),
            "audience" => self.audiences = Some(some(list(value)?)?),
            "leeway" => {
                let seconds = value.parse::<u64>().ok().filter(|seconds| *seconds <= 100_000_000_000);
                self.leeway = seconds.ok_or("expected a whole number of seconds, not below zero")? as f64;
            }
            "requireExpiry" => self.require_expiry = flag(value)?,
            "maxBytes" => self.max_bytes = value.parse().ok().filter(|bytes| (64..=65_536).contains(bytes)).ok_or("expected a number of bytes from 64 to 65536")?,
            "header" => {
                if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                    return Err("expected the name of a header".into());
                }
                self.header = value.to_ascii_lowercase();
            }
            "subject" if value.is_empty() => return Err("expected the name of a claim".into()),
            "subject" => self.subject = value.to_owned(),
            "claims" => self.claims = list(value)?,
            "routes" => self.routes = Routes::of(&json::parse(value.as_bytes()).ok_or("expected an array of routes")?)?,
            _ => return Err(format!("unknown; there are {NAMES}")),
        }
        Ok(())
    }
}

/// The keys of a set that are for what we verify, each with what is wrong with it. The caller knows whose mistake that would be.
pub fn key_set(text: &[u8]) -> Result<Vec<Result<Key, String>>, String> {
    let set = json::parse(text).ok_or("expected a JWK set as JSON")?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("expected a JWK set: { \"keys\": [ … ] }")?;
    let read = keys.iter().enumerate().map(|(i, jwk)| Key::of_jwk(jwk).map_err(|what| format!("keys[{i}]: {what}")));
    Ok(read.filter_map(Result::transpose).collect())
}

/// A JSON array of texts, or one text.
fn list(value: &str) -> Result<Vec<String>, String> {
    if value.starts_with('[') {
        let parsed = json::parse(value.as_bytes());
        let texts = parsed.as_ref().and_then(json::texts).ok_or("expected a text or an array of texts")?;
        return Ok(texts.into_iter().map(str::to_owned).collect());
    }
    Ok(vec![value.to_owned()])
}

/// A list of what is allowed that allows nothing is a mistake.
fn some(list: Vec<String>) -> Result<Vec<String>, String> {
    if list.is_empty() || list.iter().any(String::is_empty) { Err("expected at least one, and none empty".into()) } else { Ok(list) }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::of_name(text).ok_or_else(|| format!("{text} is none of HS256, RS256, ES256, EdDSA"))
}

fn flag(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "expected true or false".to_owned())
}

//! What `start` is given: names and values, and what is wrong with them.

use serde_json::Value;

use crate::json;
use crate::keys::{Algorithm, Key};
use crate::routes::Routes;

pub struct Config {
    /// Undefined algorithms are those of the keys.
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
        if let Some(unused) = config.algorithms.iter().flatten().find(|wanted| config.jwks.is_none() && !config.keys.iter().any(|key| key.algorithm() == **wanted)) {
            return Err(format!("algorithms: there is no key for {}", unused.name()));
        }
        Ok(config)
    }

    /// Whether tokens of this algorithm are verified at all.
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.as_ref().is_none_or(|all| all.contains(&algorithm))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "algorithms" => self.algorithms = Some(list(value)?.iter().map(|text| algorithm(text)).collect::<Result<_, _>>()?),
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
                let keys = key_set(value.as_bytes())?;
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
            "issuer" => self.issuers = Some(list(value)?),
            "audience" => self.audiences = Some(list(value)?),
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
            "subject" => self.subject = value.to_owned(),
            "claims" => self.claims = list(value)?,
            "routes" => self.routes = Routes::of(&json::parse(value.as_bytes()).ok_or("expected an array of routes")?)?,
            _ => return Err(format!("unknown; there are {NAMES}")),
        }
        Ok(())
    }
}

/// The keys of a set that verify what we do; of those that are broken it is the whole set's fault.
pub fn key_set(text: &[u8]) -> Result<Vec<Key>, String> {
    let set = json::parse(text).ok_or("expected a JWK set as JSON")?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("expected a JWK set: { \"keys\": [ … ] }")?;
    let read = keys.iter().enumerate().map(|(i, jwk)| Key::of_jwk(jwk).map_err(|what| format!("keys[{i}]: {what}")));
    Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// A JSON array of texts, or one text; commas part several.
fn list(value: &str) -> Result<Vec<String>, String> {
    if value.starts_with('[') {
        let parsed = json::parse(value.as_bytes());
        let texts = parsed.as_ref().and_then(json::texts).ok_or("expected a text or an array of texts")?;
        return Ok(texts.into_iter().map(str::to_owned).collect());
    }
    Ok(vec![value.to_owned()])
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::of_name(text).ok_or_else(|| format!("{text} is none of HS256, RS256, ES256, EdDSA"))
}

fn flag(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "expected true or false".to_owned())
}

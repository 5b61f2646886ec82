//! From a request's head to a verdict, in the words of RFC 6750.

use serde_json::Value;

use crate::config::{Config, key_set};
use crate::json;
use crate::keys::{Algorithm, Key};
use crate::routes::Needs;
use crate::token::{Claims, verified};

const TWICE: &str = "The credentials are there twice.";

pub struct Guard {
    config: Config,
    /// The set that was fetched last, and its keys.
    fetched: Option<(String, Vec<Key>)>,
}

/// Who is calling: the subject, and claims that are passed on.
#[derive(Debug, PartialEq)]
pub struct Caller {
    pub subject: String,
    pub claims: Vec<(String, String)>,
}

/// A refusal: its status, its challenge, and what it says.
#[derive(Debug, PartialEq)]
pub struct Refused {
    pub status: u16,
    pub challenge: Option<String>,
    pub reason: &'static str,
}

impl Guard {
    pub fn of(config: &[(String, String)]) -> Result<Self, String> {
        Ok(Self { config: Config::of(config)?, fetched: None })
    }

    /// `fetch` gives the document at the address that the configuration names.
    pub fn start(&mut self, fetch: impl FnOnce(&str) -> Result<String, String>) -> Result<(), String> {
        // What cannot be had now may be had later: requests are refused until then.
        let Some(url) = self.config.jwks.clone() else { return Ok(()) };
        match fetch(&url) {
            Ok(text) => {
                let keys = published(&text).map_err(|what| format!("jwks: {url}: {what}"))?;
                self.fetched = Some((text, keys));
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    /// `Ok(None)`: it may pass, and nobody is known to be calling.
    pub fn check(
        &mut self,
        method: &str,
        path_with_query: &str,
        headers: &[(String, Vec<u8>)],
        now: f64,
        fetch: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<Option<Caller>, Refused> {
        let token = self.token(headers)?;
        // Keys are only asked for where there is a token: what is public does not wait for them.
        if token.is_some() {
            self.refresh(fetch)?;
        }
        let needs = self.config.routes.needs(method, path_with_query).map_err(|_| malformed("The path can be read in two ways."))?;
        let Some(token) = token else {
            if needs.is_some_and(|needs| needs.public) {
                return Ok(None);
            }
            return Err(Refused { status: 401, challenge: Some("Bearer".into()), reason: "This takes a bearer token." });
        };
        let more = self.fetched.as_ref().map_or(&[][..], |(_, keys)| keys);
        let claims = verified(&token, &self.config, more, now).map_err(|_| Refused {
            status: 401,
            challenge: Some("Bearer error=\"invalid_token\"".into()),
            reason: "The token is not valid.",
        })?;
        if let Some(needs) = needs {
            meets(needs, &claims)?;
        }
        Ok(Some(self.caller(&claims)))
    }

    fn refresh(&mut self, fetch: impl FnOnce(&str) -> Result<String, String>) -> Result<(), Refused> {
        let Some(url) = self.config.jwks.clone() else { return Ok(()) };
        let text = fetch(&url).map_err(|_| unavailable())?;
        if self.fetched.as_ref().is_some_and(|(last, _)| *last == text) {
            return Ok(());
        }
        match (published(&text), &mut self.fetched) {
            (Ok(keys), fetched) => *fetched = Some((text, keys)),
            // What is no set says nothing of keys: those before it stay, as they do where nothing can be fetched.
            (Err(_), Some((last, _))) => *last = text,
            (Err(_), None) => return Err(unavailable()),
        }
        Ok(())
    }

    /// The one token that is shown; none where there is none.
    fn token(&self, headers: &[(String, Vec<u8>)]) -> Result<Option<String>, Refused> {
        let mut values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&self.config.header)).map(|(_, value)| value);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(malformed(TWICE));
        }
        let Ok(text) = core::str::from_utf8(value) else { return Err(malformed("The credentials are not text.")) };
        if self.config.header != "authorization" {
            return Ok(Some(text.to_owned()));
        }
        match text.split_once(' ') {
            // No token has a comma: this is two headers that somebody on the way has made one of.
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && token.contains(',') => Err(malformed(TWICE)),
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim_start_matches(' ').to_owned())),
            _ if text.eq_ignore_ascii_case("bearer") => Err(malformed("There is no token.")),
            // Another scheme's credentials are none of ours.
            _ => Ok(None),
        }
    }

    fn caller(&self, claims: &Claims) -> Caller {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let passed = |name: &String| claims.get(name).map(|value| (name.clone(), text(value)));
        Caller {
            subject: claims.get(&self.config.subject).map(text).unwrap_or_default(),
            claims: self.config.claims.iter().filter_map(passed).collect(),
        }
    }
}

/// Keys of a set that anybody may read. None of them is a secret; what is broken or weak is passed over (RFC 7517, section 5), so that one bad
/// key does not take the good ones along.
fn published(text: &str) -> Result<Vec<Key>, String> {
    Ok(key_set(text.as_bytes())?.into_iter().flatten().filter(|key| key.algorithm() != Algorithm::Hs256).collect())
}

fn meets(needs: &Needs, claims: &Claims) -> Result<(), Refused> {
    let granted: Vec<&str> = match (claims.get("scope"), claims.get("scp")) {
        (Some(Value::String(scopes)), _) | (None, Some(Value::String(scopes))) => scopes.split(' ').collect(),
        (None, Some(scopes)) => json::texts(scopes).unwrap_or_default(),
        _ => Vec::new(),
    };
    if !needs.scopes.iter().all(|scope| granted.contains(&scope.as_str())) {
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", needs.scopes.join(" "));
        return Err(Refused { status: 403, challenge: Some(challenge), reason: "The token does not reach so far." });
    }
    let has = |(name, wanted): &(String, Value)| match claims.get(name) {
        Some(Value::Array(all)) => all.contains(wanted) || claims.get(name) == Some(wanted),
        other => other == Some(wanted),
    };
    if needs.claims.iter().all(has) {
        return Ok(());
    }
    Err(Refused { status: 403, challenge: Some("Bearer error=\"insufficient_scope\"".into()), reason: "The token does not reach so far." })
}

fn malformed(reason: &'static str) -> Refused {
    Refused { status: 400, challenge: Some("Bearer error=\"invalid_request\"".into()), reason }
}

fn unavailable() -> Refused {
    Refused { status: 503, challenge: None, reason: "Tokens cannot be verified at the moment." }
}

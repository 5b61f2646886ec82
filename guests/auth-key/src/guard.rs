//! From a request's head to a verdict: the key's hash names an entry of a store, and the entry says whose the key is.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::json;
use crate::routes::{Needs, Routes};

pub struct Guard {
    pub store: String,
    header: String,
    routes: Routes,
}

#[derive(Debug, PartialEq)]
pub struct Caller {
    pub subject: String,
    pub claims: Vec<(String, String)>,
}

#[derive(Debug, PartialEq)]
pub struct Refused {
    pub status: u16,
    pub challenge: Option<String>,
    pub reason: &'static str,
}

/// A longer one is none of ours.
const LONGEST_KEY: usize = 512;

impl Guard {
    pub fn of(config: &[(String, String)]) -> Result<Self, String> {
        let mut guard = Self { store: "auth-keys".into(), header: "x-api-key".into(), routes: Routes::default() };
        for (name, value) in config {
            match name.as_str() {
                "store" => guard.store = value.clone(),
                "header" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
                    guard.header = value.to_ascii_lowercase();
                }
                "header" => return Err("header: expected the name of a header".into()),
                "routes" => {
                    let routes = json::parse(value.as_bytes()).ok_or("routes: expected an array of routes")?;
                    guard.routes = Routes::of(&routes).map_err(|what| format!("routes{}{what}", if what.starts_with('[') { "" } else { ": " }))?;
                }
                _ => return Err(format!("{name}: unknown; there are store, header, routes")),
            }
        }
        Ok(guard)
    }

    /// `lookup` gives the entry of a name, or fails where the store cannot be asked. `Ok(None)`: nobody is known to be calling.
    pub fn check(
        &self,
        method: &str,
        path_with_query: &str,
        headers: &[(String, Vec<u8>)],
        now: f64,
        lookup: impl FnOnce(&str) -> Result<Option<Vec<u8>>, ()>,
    ) -> Result<Option<Caller>, Refused> {
        let needs = self.routes.needs(method, path_with_query).map_err(|_| Refused {
            status: 400,
            challenge: None,
            reason: "The path can be read in two ways.",
        })?;
        let Some(key) = self.key(headers)? else {
            if needs.is_some_and(|needs| needs.public) {
                return Ok(None);
            }
            return Err(self.unauthorized("This takes a key."));
        };
        let name: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        let entry = lookup(&name).map_err(|()| Refused { status: 503, challenge: None, reason: "Keys cannot be looked up at the moment." })?;
        let known = entry.as_deref().and_then(|entry| Known::of(entry, now));
        let known = known.ok_or_else(|| self.unauthorized("The key is not valid."))?;
        if needs.is_some_and(|needs| !known.meets(needs)) {
            return Err(Refused { status: 403, challenge: None, reason: "The key does not reach so far." });
        }
        Ok(Some(known.caller()))
    }

    fn key<'a>(&self, headers: &'a [(String, Vec<u8>)]) -> Result<Option<&'a [u8]>, Refused> {
        let mut values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&self.header)).map(|(_, value)| value.as_slice());
        let Some(mut value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Refused { status: 400, challenge: None, reason: "The key is there twice." });
        }
        if self.header == "authorization" {
            match value.split_at_checked(7) {
                Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => value = key,
                _ => return Ok(None),
            }
        }
        if value.is_empty() || value.len() > LONGEST_KEY || !value.iter().all(u8::is_ascii_graphic) {
            return Err(self.unauthorized("The key is not valid."));
        }
        Ok(Some(value))
    }

    fn unauthorized(&self, reason: &'static str) -> Refused {
        let challenge = if self.header == "authorization" { "Bearer".to_owned() } else { format!("ApiKey header=\"{}\"", self.header) };
        Refused { status: 401, challenge: Some(challenge), reason }
    }
}

/// What a store says of a key: `{ "subject": "partner-a", "scopes": ["read"], "expires": 1798761600, "claims": { "plan": "pro" } }`.
struct Known {
    subject: String,
    scopes: Vec<String>,
    claims: Vec<(String, Value)>,
}

impl Known {
    /// None where the entry is none, or is over.
    fn of(entry: &[u8], now: f64) -> Option<Self> {
        let entry = json::parse(entry)?;
        let subject = entry.get("subject")?.as_str().filter(|subject| !subject.is_empty())?.to_owned();
        if let Some(expires) = entry.get("expires")
            && seconds(expires)? <= now
        {
            return None;
        }
        // One text has several as `scope` of a token has them, with blanks between.
        let scopes = match entry.get("scopes") {
            None => Vec::new(),
            Some(scopes) => json::texts(scopes)?.into_iter().flat_map(str::split_ascii_whitespace).map(str::to_owned).collect(),
        };
        let claims = match entry.get("claims") {
            None => Vec::new(),
            Some(claims) => claims.as_object()?.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        };
        Some(Self { subject, scopes, claims })
    }

    fn meets(&self, needs: &Needs) -> bool {
        needs.scopes.iter().all(|scope| self.scopes.contains(scope))
            && needs.claims.iter().all(|(name, wanted)| self.claims.iter().any(|(own, value)| own == name && value == wanted))
    }

    fn caller(self) -> Caller {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let scope = (!self.scopes.is_empty()).then(|| ("scope".to_owned(), self.scopes.join(" ")));
        let claims = self.claims.into_iter().map(|(name, value)| (name, text(value)));
        Caller { subject: self.subject, claims: scope.into_iter().chain(claims).collect() }
    }
}

/// Since 1970: a number, or a time as RFC 3339 has it, in UTC.
fn seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64().filter(|seconds| seconds.is_finite()),
        Value::String(text) => utc(text),
        _ => None,
    }
}

/// `2027-01-01T00:00:00Z`, with a fraction of a second or without. A day that there is not is no time.
fn utc(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    // A leap second is the last of its minute.
    if !(1..=12).contains(&month) || !(1..=days_of_month).contains(&day) || hour > 23 || minute > 59 || second > 60 || !is_digits {
        return None;
    }
    // Days from civil, by Howard Hinnant.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * m + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second) as f64 + fraction)
}

/// Three numbers of so many digits each.
fn numbers(text: &str, by: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(by);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        assert_eq!(utc("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(utc("2026-11-26T20:00:30.5Z"), Some(1_795_723_230.5));
        assert_eq!(utc("2024-02-29T00:00:00Z"), Some(1_709_164_800.0));
        for wrong in ["2026-11-26", "2026-11-26T20:00:00", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "x", "2026-11-26T20:00:00+01:00", "+026-11-26T20:00:00Z", "2026-02-29T00:00:00Z", "2026-11-31T00:00:00Z", "2026-1-1T0:0:0Z", "2026-11-26T24:00:00Z", "2026-11-26T20:00:1e1Z", "2026-11-26T20:00:00.Z", "2026-11-26-01T20:00:00Z"] {
            assert_eq!(utc(wrong), None, "{wrong}");
        }
    }
}

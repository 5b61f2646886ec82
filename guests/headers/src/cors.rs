//! Which other origins a browser may show answers to: the CORS protocol of the Fetch standard.

use serde_json::Value;

use crate::config::{self, shown};
use crate::fields::{self, Headers, is_token};

const CONFIG: [&str; 6] = ["origins", "methods", "headers", "exposed", "credentials", "maxAge"];
const METHODS: &str = "GET, HEAD, POST";
/// No browser keeps it for longer. Seconds.
const MOST_AGE: u64 = 86_400;
/// All that an answer says about it. Where the manifest decides, what the task says is taken out.
const ALL: &str = "access-control-";
/// Of the answer that a preflight would have had, whose body does not go out.
const OF_THE_BODY: [&str; 5] = ["content-encoding", "content-language", "content-length", "content-type", "etag"];

pub struct Cors {
    /// None: all of them.
    origins: Option<Vec<String>>,
    methods: String,
    /// Empty: none but those that need no leave.
    headers: String,
    exposed: String,
    credentials: bool,
    max_age: Option<u64>,
}

/// What of a request decides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Asked {
    /// It comes from an origin that is allowed; of a list, from which.
    origin: Option<usize>,
    is_preflight: bool,
}

impl Cors {
    pub fn of(value: &Value) -> Result<Self, String> {
        let mut origins = Vec::new();
        let (mut methods, mut headers, mut exposed) = (METHODS.to_owned(), String::new(), String::new());
        let (mut credentials, mut max_age) = (false, None);
        for (member, value) in config::members("cors", value)? {
            let field = format!("cors.{member}");
            match member.as_str() {
                "origins" => origins = config::strings(&field, value)?,
                "methods" => methods = tokens(&field, value)?,
                "headers" => headers = tokens(&field, value)?,
                "exposed" => exposed = tokens(&field, value)?,
                "credentials" => credentials = config::flag(&field, &value.to_string())?,
                "maxAge" => max_age = Some(age(&field, value)?),
                _ => return Err(config::unknown(&field, &CONFIG)),
            }
        }
        if origins.is_empty() {
            return Err(r#"cors.origins: it names none; name some, as ["https://a.example"], or all, as ["*"]"#.into());
        }
        let is_all = origins == ["*"];
        if !is_all {
            origins.iter().try_for_each(|origin| check_origin(origin))?;
        }
        let lists = [("origins", if is_all { "*" } else { "" }), ("methods", &methods), ("headers", &headers), ("exposed", &exposed)];
        for (member, list) in lists {
            if credentials && list.split(", ").any(|each| each == "*") {
                return Err(format!(r#"cors.{member}: "*" does not go with credentials; name each, or take credentials out"#));
            }
        }
        Ok(Self { origins: (!is_all).then_some(origins), methods, headers, exposed, credentials, max_age })
    }

    pub fn asked(&self, method: &str, headers: &Headers) -> Asked {
        let Some(origin) = fields::find(headers, "origin") else { return Asked::default() };
        let found = match &self.origins {
            Some(origins) => origins.iter().position(|each| each.as_bytes() == origin),
            None => Some(0),
        };
        let is_preflight = method == "OPTIONS" && fields::find(headers, "access-control-request-method").is_some();
        Asked { origin: found, is_preflight }
    }

    /// The status that goes out. A preflight carries no credentials and asks nothing of the task, so that what has refused
    /// it, a guard for want of credentials above all, does not decide.
    pub fn respond(&self, Asked { origin, is_preflight }: Asked, status: u16, headers: &mut Headers) -> u16 {
        headers.retain(|(name, _)| !has_prefix(name, ALL));
        if self.origins.is_some() {
            vary_by_origin(headers);
        }
        let Some(origin) = origin else { return status };
        let origin = self.origins.as_ref().map_or(Some("*"), |origins| origins.get(origin).map(String::as_str));
        let Some(origin) = origin else { return status };
        let mut say = |name: &str, value: &str| {
            if !value.is_empty() {
                fields::add(headers, name, value);
            }
        };
        say("access-control-allow-origin", origin);
        say("access-control-allow-credentials", if self.credentials { "true" } else { "" });
        if !is_preflight {
            say("access-control-expose-headers", &self.exposed);
            return status;
        }
        say("access-control-allow-methods", &self.methods);
        say("access-control-allow-headers", &self.headers);
        say("access-control-max-age", &self.max_age.map_or_else(String::new, |age| age.to_string()));
        if status < 400 {
            return status;
        }
        OF_THE_BODY.iter().for_each(|name| fields::remove(headers, name));
        204
    }
}

/// Answers to several origins differ, and a cache has to know, of answers to none too.
fn vary_by_origin(headers: &mut Headers) {
    let is_said = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("vary")).any(|(_, value)| {
        value.split(|byte| *byte == b',').any(|each| {
            let each = each.trim_ascii();
            each == b"*" || each.eq_ignore_ascii_case(b"origin")
        })
    });
    if !is_said {
        fields::add(headers, "vary", "origin");
    }
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// As a browser writes it, since it is compared letter by letter.
fn check_origin(origin: &str) -> Result<(), String> {
    let host = origin.split_once("://").filter(|(scheme, _)| is_token(scheme)).map(|(_, host)| host);
    let is_host = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b':' | b'[' | b']' | b'_'))
    };
    let is_usual_port =
        (origin.starts_with("https://") && origin.ends_with(":443")) || (origin.starts_with("http://") && origin.ends_with(":80"));
    let is_lower = !origin.bytes().any(|byte| byte.is_ascii_uppercase());
    (host.is_some_and(is_host) && is_lower && !is_usual_port).then_some(()).ok_or_else(|| {
        format!(
            r#"cors.origins: {} is no origin; write scheme and host in lower case, and a port only where it is not the usual one, as "https://a.example", or "*" alone"#,
            shown(origin)
        )
    })
}

/// Names of methods or headers, as the answer lists them.
fn tokens(field: &str, value: &Value) -> Result<String, String> {
    let tokens = config::strings(field, value)?;
    match tokens.iter().find(|token| !is_token(token)) {
        Some(wrong) => Err(format!("{field}: {} is no name; it has letters, digits and dashes", shown(wrong))),
        None => Ok(tokens.join(", ")),
    }
}

fn age(field: &str, value: &Value) -> Result<u64, String> {
    let age = value.as_u64().filter(|age| *age <= MOST_AGE);
    age.ok_or_else(|| format!("{field}: it has to be a whole number of seconds, at most {MOST_AGE}"))
}

//! What a manifest wants of the headers of each answer.
//!
//! First what is removed goes, then what is set comes, then each security header that the answer has none of, and last
//! CORS, which alone may change the status.

use serde_json::Value;

use crate::config;
use crate::cors::{Asked, Cors};
use crate::fields::{self, Headers};
use crate::runs::Runs;

const CONFIG: [&str; 4] = ["security", "set", "remove", "cors"];
/// With the values that they have where nobody says otherwise.
const SECURITY: [(&str, Option<&str>); 8] = [
    ("x-content-type-options", Some("nosniff")),
    ("referrer-policy", Some("strict-origin-when-cross-origin")),
    ("x-frame-options", Some("DENY")),
    (TRANSPORT, Some("max-age=31536000")),
    ("content-security-policy", None),
    ("permissions-policy", None),
    ("cross-origin-opener-policy", None),
    ("cross-origin-resource-policy", None),
];
/// Means something to a browser that came by https alone.
const TRANSPORT: &str = "strict-transport-security";
/// Of older ones it is not known what they have asked.
const MOST_RUNS: usize = 4096;

pub struct Policy {
    security: Vec<(String, String)>,
    set: Vec<(String, String)>,
    remove: Vec<String>,
    cors: Option<Cors>,
    runs: Runs<Seen>,
}

pub struct Request<'a> {
    pub method: &'a str,
    pub scheme: &'a str,
    pub headers: &'a Headers,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    is_https: bool,
    asked: Asked,
}

impl Default for Policy {
    fn default() -> Self {
        let security = SECURITY.iter().filter_map(|(name, value)| Some((name.to_string(), value.as_ref()?.to_string())));
        Self { security: security.collect(), set: Vec::new(), remove: Vec::new(), cors: None, runs: Runs::new(MOST_RUNS) }
    }
}

impl Policy {
    pub fn of(config: &[(String, String)]) -> Result<Self, String> {
        let mut policy = Self::default();
        for (field, text) in config {
            match field.as_str() {
                "security" => policy.secure(&config::json(field, text, "an object")?)?,
                "set" => policy.set = set_of(&config::json(field, text, "an object")?)?,
                "remove" => {
                    policy.remove = config::list(field, text)?.iter().map(|name| fields::name_of(field, name)).collect::<Result<_, _>>()?;
                }
                "cors" => policy.cors = Some(Cors::of(&config::json(field, text, "an object")?)?),
                _ => return Err(config::unknown(field, &CONFIG)),
            }
        }
        let of_cors = policy.set.iter().find(|(name, _)| name.starts_with("access-control-"));
        if let (Some((name, _)), Some(_)) = (of_cors, &policy.cors) {
            return Err(format!("set.{name}: cors says that already; say it there, or take cors out"));
        }
        Ok(policy)
    }

    pub fn saw(&mut self, run: &str, Request { method, scheme, headers }: Request<'_>) {
        let asked = self.cors.as_ref().map(|cors| cors.asked(method, headers)).unwrap_or_default();
        self.runs.insert(run, Seen { is_https: scheme.eq_ignore_ascii_case("https"), asked });
    }

    /// A run whose request was not seen, since another guard has refused it before, is none of a browser that asks.
    pub fn head(&mut self, run: &str, status: u16, mut headers: Headers) -> (u16, Headers) {
        // It stays: where a later sidecar fails, a problem takes the place of this answer, and is shown here too.
        let Seen { is_https, asked } = self.runs.get(run).copied().unwrap_or_default();
        for name in &self.remove {
            fields::remove(&mut headers, name);
        }
        for (name, value) in &self.set {
            fields::set(&mut headers, name, value);
        }
        for (name, value) in &self.security {
            if is_https || name != TRANSPORT {
                fields::add_if_absent(&mut headers, name, value);
            }
        }
        let status = self.cors.as_ref().map_or(status, |cors| cors.respond(asked, status, &mut headers));
        (status, headers)
    }

    /// Changes the usual security headers as the manifest says.
    fn secure(&mut self, value: &Value) -> Result<(), String> {
        for (member, value) in config::members("security", value)? {
            let (field, name) = (format!("security.{member}"), member.to_ascii_lowercase());
            let known = SECURITY.map(|(name, _)| name);
            if !known.contains(&name.as_str()) {
                return Err(format!("{}; others go under set", config::unknown(&field, &known)));
            }
            self.security.retain(|(each, _)| *each != name);
            match value {
                Value::Bool(false) => {}
                Value::String(value) => {
                    fields::check_value(&field, value)?;
                    self.security.push((name, value.clone()));
                }
                _ => return Err(format!("{field}: it has to be a string, or false to leave it out")),
            }
        }
        Ok(())
    }
}

fn set_of(value: &Value) -> Result<Vec<(String, String)>, String> {
    let mut set: Vec<(String, String)> = Vec::new();
    for (member, value) in config::members("set", value)? {
        let field = format!("set.{member}");
        let name = fields::name_of(&field, member)?;
        let Value::String(value) = value else { return Err(format!("{field}: it has to be a string")) };
        fields::check_value(&field, value)?;
        if set.iter().any(|(each, _)| *each == name) {
            return Err(format!("{field}: it is there twice, in another case; keep one of them"));
        }
        set.push((name, value.clone()));
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(config: &[(&str, &str)]) -> Result<Policy, String> {
        Policy::of(&config.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>())
    }

    fn headers(lines: &[&str]) -> Headers {
        lines.iter().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn lines(headers: &Headers) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect()
    }

    /// What goes out for a request with these headers and an answer with those.
    fn answered(policy: &mut Policy, method: &str, asked: &[&str], status: u16, answer: &[&str]) -> (u16, Vec<String>) {
        policy.saw("r", Request { method, scheme: "http", headers: &headers(asked) });
        let (status, headers) = policy.head("r", status, headers(answer));
        (status, lines(&headers))
    }

    const BARE: (&str, &str) = ("security", r#"{"x-content-type-options":false,"referrer-policy":false,"x-frame-options":false}"#);
    const PREFLIGHT: [&str; 2] = ["Origin: https://a.example", "access-control-request-method: PUT"];

    #[test]
    fn an_answer_gets_the_usual_headers_where_it_has_none() {
        let (status, lines) = answered(&mut configured(&[]).unwrap(), "GET", &[], 404, &["X-Frame-Options: SAMEORIGIN"]);
        let expected =
            ["X-Frame-Options: SAMEORIGIN", "x-content-type-options: nosniff", "referrer-policy: strict-origin-when-cross-origin"];
        assert_eq!((status, lines), (404, expected.map(String::from).to_vec()));
    }

    #[test]
    fn transport_security_is_for_https() {
        let mut policy = configured(&[BARE]).unwrap();
        policy.saw("r", Request { method: "GET", scheme: "https", headers: &vec![] });
        assert_eq!(lines(&policy.head("r", 200, vec![]).1), ["strict-transport-security: max-age=31536000"]);
        assert_eq!(policy.head("unseen", 200, vec![]), (200, vec![]));
    }

    #[test]
    fn headers_are_removed_set_and_added_as_the_manifest_says() {
        let config = [
            BARE,
            ("set", r#"{"Cache-Control":"no-store","x-new":"1"}"#),
            ("remove", r#"["Server","x-powered-by"]"#),
            ("security", r#"{"content-security-policy":"default-src 'self'"}"#),
        ];
        let answer = ["server: x", "SERVER: y", "cache-control: public", "a: b"];
        let (_, lines) = answered(&mut configured(&config).unwrap(), "GET", &[], 200, &answer);
        assert_eq!(lines, ["a: b", "cache-control: no-store", "x-new: 1", "content-security-policy: default-src 'self'"]);
    }

    #[test]
    fn an_origin_of_the_list_may_read_the_answer() {
        let config = [BARE, ("cors", r#"{"origins":["https://b.example","https://a.example"],"exposed":["x-id"],"credentials":true}"#)];
        let mut policy = configured(&config).unwrap();
        let answer = ["vary: accept", "access-control-allow-origin: *"];
        let (status, lines) = answered(&mut policy, "GET", &["origin: https://a.example"], 200, &answer);
        let expected = [
            "vary: accept",
            "vary: origin",
            "access-control-allow-origin: https://a.example",
            "access-control-allow-credentials: true",
            "access-control-expose-headers: x-id",
        ];
        assert_eq!((status, lines), (200, expected.map(String::from).to_vec()));
        for asked in [&["origin: https://c.example"][..], &[]] {
            assert_eq!(answered(&mut policy, "GET", asked, 200, &answer), (200, vec!["vary: accept".into(), "vary: origin".into()]));
        }
        assert_eq!(answered(&mut policy, "GET", &[], 200, &["Vary: Accept, Origin"]).1, ["Vary: Accept, Origin"]);
    }

    #[test]
    fn any_origin_is_the_same_answer_for_all() {
        let mut policy = configured(&[BARE, ("cors", r#"{"origins":["*"]}"#)]).unwrap();
        assert_eq!(answered(&mut policy, "GET", &["origin: null"], 500, &[]), (500, vec!["access-control-allow-origin: *".into()]));
        assert_eq!(answered(&mut policy, "GET", &[], 200, &[]), (200, vec![]));
    }

    #[test]
    fn a_preflight_that_was_refused_is_answered() {
        let cors = r#"{"origins":["https://a.example"],"methods":["GET","PUT"],"headers":["x-a","content-type"],"maxAge":600}"#;
        let mut policy = configured(&[BARE, ("cors", cors)]).unwrap();
        let expected = [
            "vary: origin",
            "access-control-allow-origin: https://a.example",
            "access-control-allow-methods: GET, PUT",
            "access-control-allow-headers: x-a, content-type",
            "access-control-max-age: 600",
        ];
        let expected = expected.map(String::from).to_vec();
        for status in [401, 403, 404, 405, 500] {
            let answer = ["Content-Type: application/problem+json", "content-length: 12"];
            assert_eq!(answered(&mut policy, "OPTIONS", &PREFLIGHT, status, &answer), (204, expected.clone()));
        }
        assert_eq!(answered(&mut policy, "OPTIONS", &PREFLIGHT, 200, &[]), (200, expected));
    }

    #[test]
    fn what_is_no_preflight_of_an_allowed_origin_keeps_its_status() {
        let mut policy = configured(&[BARE, ("cors", r#"{"origins":["https://a.example"]}"#)]).unwrap();
        let other = ["origin: https://b.example", PREFLIGHT[1]];
        for (method, asked) in [("OPTIONS", &other[..]), ("OPTIONS", &PREFLIGHT[..1]), ("PUT", &PREFLIGHT), ("OPTIONS", &PREFLIGHT[1..])] {
            let (status, lines) = answered(&mut policy, method, asked, 405, &[]);
            assert_eq!((status, lines.iter().any(|line| line.contains("methods"))), (405, false));
        }
    }

    #[test]
    fn a_bad_configuration_is_named() {
        for (field, text, expected) in [
            ("csp", "", "csp: there is no such field; there are security, set, remove, cors"),
            ("security", "a", r#"security: "a" is a string; write an object"#),
            ("security", "[]", r#"security: "[]" is no object"#),
            ("security", r#"{"server":"x"}"#, "security.server: there is no such field; there are x-content-type-options"),
            ("security", r#"{"x-frame-options":true}"#, "security.x-frame-options: it has to be a string, or false"),
            ("security", r#"{"x-frame-options":"a\nb"}"#, r#"security.x-frame-options: "a\nb" is no value of a header"#),
            ("set", r#"{"a b":"x"}"#, r#"set.a b: "a b" is no name of a header"#),
            ("set", r#"{"Content-Length":"1"}"#, "set.Content-Length: content-length is not for a manifest to say"),
            ("set", r#"{"a":"ü"}"#, r#"set.a: "ü" is no value of a header"#),
            ("set", r#"{"a":1}"#, "set.a: it has to be a string"),
            ("set", r#"{"A":"1","a":"1"}"#, "set.a: it is there twice"),
            ("remove", r#"[""]"#, r#"remove: "" is no name of a header"#),
            ("cors", "{}", "cors.origins: it names none"),
            ("cors", r#"{"origin":["*"]}"#, "cors.origin: there is no such field; there are origins, methods"),
            ("cors", r#"{"origins":"*"}"#, r#"cors.origins: "\"*\"" is no array of strings"#),
            ("cors", r#"{"origins":["*"],"credentials":true}"#, r#"cors.origins: "*" does not go with credentials"#),
            ("cors", r#"{"origins":["http://a"],"credentials":true,"headers":["x","*"]}"#, r#"cors.headers: "*" does not go with"#),
            ("cors", r#"{"origins":["*"],"credentials":"yes"}"#, "cors.credentials: "),
            ("cors", r#"{"origins":["*"],"maxAge":86401}"#, "cors.maxAge: it has to be a whole number of seconds"),
            ("cors", r#"{"origins":["*"],"methods":["GET, PUT"]}"#, r#"cors.methods: "GET, PUT" is no name"#),
        ] {
            let wrong = configured(&[(field, text)]).err().unwrap();
            assert!(wrong.starts_with(expected), "{wrong}");
        }
        let both = [("set", r#"{"access-control-max-age":"1"}"#), ("cors", r#"{"origins":["*"]}"#)];
        assert!(configured(&both).err().unwrap().starts_with("set.access-control-max-age: cors says that already"));
    }

    #[test]
    fn an_origin_is_written_as_a_browser_writes_it() {
        for origin in
            ["a.example", "https://a.example/", "https://A.example", "https://a.example:443", "http://a:80", "null", "*", "https://"]
        {
            let config = format!(r#"{{"origins":["http://b:8080","{origin}"]}}"#);
            assert!(configured(&[("cors", &config)]).err().unwrap().contains("is no origin; write scheme and host"), "{origin}");
        }
        for origin in ["http://localhost:3000", "https://[::1]:8443", "chrome-extension://abc", "http://a:443"] {
            assert!(configured(&[("cors", &format!(r#"{{"origins":["{origin}"]}}"#))]).is_ok(), "{origin}");
        }
    }
}

//! Remembers the request of each run, and makes the line when the run has ended.

use crate::config;
use crate::runs::Runs;

const CONFIG: [&str; 2] = ["fields", "query"];
/// In the order of a line whose fields nobody has chosen.
const FIELDS: [&str; 11] = ["run", "tenant", "task", "version", "ending", "status", "ms", "method", "path", "peer", "agent"];
/// Runs that are under way at once; of older ones the line has no request.
const MOST_RUNS: usize = 4096;
/// Longer ones are cut, so that all remembered runs take some MiB at most. Bytes.
const MOST_PATH: usize = 1024;
const MOST_WORD: usize = 256;

pub struct AccessLog {
    query: bool,
    fields: Vec<&'static str>,
    runs: Runs<Seen>,
}

/// A request as it comes.
pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub peer: &'a str,
    pub agent: &'a str,
}

struct Seen {
    method: String,
    path: String,
    peer: String,
    agent: String,
}

/// Whose run has ended.
pub struct Of<'a> {
    pub run: &'a str,
    pub tenant: &'a str,
    pub task: &'a str,
    pub version: &'a str,
}

#[derive(Debug, PartialEq)]
pub struct Line {
    pub warns: bool,
    pub text: String,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self { query: false, fields: FIELDS.to_vec(), runs: Runs::new(MOST_RUNS) }
    }
}

impl AccessLog {
    pub fn of(config: &[(String, String)]) -> Result<Self, String> {
        let mut log = Self::default();
        for (field, text) in config {
            match field.as_str() {
                "query" => log.query = config::flag(field, text)?,
                "fields" => log.fields = config::choices(field, text, &FIELDS)?,
                _ => return Err(config::unknown(field, &CONFIG)),
            }
        }
        if log.fields.is_empty() {
            return Err(format!("fields: it names none; take it out for all, or name some of {}", FIELDS.join(", ")));
        }
        Ok(log)
    }

    pub fn saw(&mut self, run: &str, Request { method, target, peer, agent }: Request<'_>) {
        let path = if self.query { target } else { target.split('?').next().unwrap_or_default() };
        let seen =
            Seen { method: cut(method, MOST_WORD), path: cut(path, MOST_PATH), peer: cut(peer, MOST_WORD), agent: cut(agent, MOST_WORD) };
        self.runs.insert(run, seen);
    }

    pub fn ended(&mut self, of: Of<'_>, ending: &str, status: Option<u16>, nanoseconds: u64) -> Line {
        let seen = self.runs.take(of.run);
        let seen = seen.as_ref();
        let mut text = String::from("{");
        for field in &self.fields {
            let value = match *field {
                "run" => Some(quoted(of.run)),
                "tenant" => Some(quoted(of.tenant)),
                "task" => Some(quoted(of.task)),
                "version" => Some(quoted(of.version)),
                "ending" => Some(quoted(ending)),
                "status" => Some(status.map_or_else(|| "null".into(), |status| status.to_string())),
                "ms" => Some(milliseconds(nanoseconds)),
                "method" => seen.and_then(|seen| known(&seen.method)),
                "path" => seen.and_then(|seen| known(&seen.path)),
                "peer" => seen.and_then(|seen| known(&seen.peer)),
                _ => seen.and_then(|seen| known(&seen.agent)),
            };
            let Some(value) = value else { continue };
            let comma = if text.len() > 1 { "," } else { "" };
            text.push_str(&format!("{comma}\"{field}\":{value}"));
        }
        text.push('}');
        let warns = matches!(ending, "trap" | "limit" | "platform") || status.is_some_and(|status| status >= 500);
        Line { warns, text }
    }
}

fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| quoted(text))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// In whole microseconds, without going through a float.
fn milliseconds(nanoseconds: u64) -> String {
    let microseconds = nanoseconds / 1000;
    format!("{}.{:03}", microseconds / 1000, microseconds % 1000)
}

fn cut(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Of<'static> = Of { run: "r1", tenant: "acme", task: "shop", version: "v3" };

    fn configured(config: &[(&str, &str)]) -> Result<AccessLog, String> {
        AccessLog::of(&config.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>())
    }

    fn seen(config: &[(&str, &str)]) -> AccessLog {
        let mut log = configured(config).unwrap();
        log.saw("r1", Request { method: "GET", target: "/a?b=c", peer: "1.2.3.4", agent: "curl \"8\"\n" });
        log
    }

    #[test]
    fn a_line_has_the_request_and_the_end() {
        let line = seen(&[]).ended(OF, "ok", Some(200), 1_234_567);
        let text = concat!(
            r#"{"run":"r1","tenant":"acme","task":"shop","version":"v3","ending":"ok","status":200,"ms":1.234,"#,
            r#""method":"GET","path":"/a","peer":"1.2.3.4","agent":"curl \"8\"\n"}"#
        );
        assert_eq!(line, Line { warns: false, text: text.into() });
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let line = configured(&[]).unwrap().ended(OF, "cancelled", None, 999);
        assert_eq!(line.text, r#"{"run":"r1","tenant":"acme","task":"shop","version":"v3","ending":"cancelled","status":null,"ms":0.000}"#);
    }

    #[test]
    fn fields_are_chosen_and_ordered_by_the_configuration() {
        let line = seen(&[("fields", r#"["path","ms"]"#), ("query", "true")]).ended(OF, "ok", None, 5_000_000);
        assert_eq!(line.text, r#"{"path":"/a?b=c","ms":5.000}"#);
    }

    #[test]
    fn what_failed_warns() {
        let warns = |ending, status| configured(&[]).unwrap().ended(OF, ending, status, 0).warns;
        assert!(warns("trap", None) && warns("limit", None) && warns("platform", Some(200)) && warns("ok", Some(500)));
        assert!(!warns("guest-error", Some(404)) && !warns("refused", Some(499)) && !warns("cancelled", None));
    }

    #[test]
    fn long_words_are_cut_between_letters() {
        let mut log = configured(&[("fields", r#"["path"]"#)]).unwrap();
        let target = format!("/a{}", "ü".repeat(2000));
        log.saw("r1", Request { method: "GET", target: &target, peer: "", agent: "" });
        assert_eq!(log.ended(OF, "ok", None, 0).text, format!(r#"{{"path":"/a{}"}}"#, "ü".repeat(511)));
    }

    #[test]
    fn a_bad_configuration_is_named() {
        let wrong = |config| configured(config).err().unwrap();
        assert_eq!(wrong(&[("quiery", "1")]), "quiery: there is no such field; there are fields, query");
        assert_eq!(wrong(&[("query", "1")]), r#"query: "1" is neither true nor false"#);
        assert!(wrong(&[("fields", "[]")]).starts_with("fields: it names none"));
        assert!(wrong(&[("fields", r#"["referer"]"#)]).starts_with(r#"fields: there is no "referer"; there are run, tenant"#));
    }
}

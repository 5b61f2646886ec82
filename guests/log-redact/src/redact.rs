//! Which parts of a line are masked, and the line without them.
//!
//! All patterns look at the line as it was written: what one of them masks changes nothing for the others, and a mask is
//! never masked again.

use regex_lite::{Regex, RegexBuilder};

use crate::config;
use crate::find::{self, Block};
use crate::runs::Runs;

const CONFIG: [&str; 3] = ["patterns", "builtin", "mask"];
const BUILTIN: [&str; 6] = ["bearer", "jwt", "email", "card", "aws-key", "pem"];
const MASK: &str = "[redacted]";
const MOST_MASK: usize = 64;
const MOST_PATTERNS: usize = 32;
const MOST_PATTERN: usize = 1000;
/// What one compiled pattern may take. Bytes.
const PATTERN_MEMORY: usize = 256 * 1024;
/// The host cuts longer lines; a mask is longer than what it covers where somebody wants it so. Bytes.
const MOST_LINE: usize = 16 * 1024;
/// Runs that are in the middle of a PEM block.
const MOST_RUNS: usize = 4096;

pub struct Redactor {
    rules: Vec<Rule>,
    mask: String,
    /// By run and origin.
    blocks: Runs<Block>,
}

enum Rule {
    /// `hints`: one of them is in each match, in whatever case. Most lines have none, and looking is cheap.
    Regex {
        hints: &'static [&'static str],
        regex: Regex,
    },
    Card,
    Pem,
}

impl Redactor {
    pub fn of(config: &[(String, String)]) -> Result<Self, String> {
        let (mut patterns, mut builtin, mut mask) = (Vec::new(), None, MASK.to_owned());
        for (field, text) in config {
            match field.as_str() {
                "patterns" => patterns = config::list(field, text)?,
                "builtin" => builtin = Some(config::choices(field, text, &BUILTIN)?),
                "mask" => mask = mask_of(text)?,
                _ => return Err(config::unknown(field, &CONFIG)),
            }
        }
        if patterns.len() > MOST_PATTERNS {
            return Err(format!("patterns: there are {}; {MOST_PATTERNS} are the most", patterns.len()));
        }
        let builtin = builtin.unwrap_or_else(|| if patterns.is_empty() { BUILTIN.to_vec() } else { Vec::new() });
        let mut rules = Vec::new();
        for name in builtin {
            rules.push(builtin_rule(name)?);
        }
        for (i, pattern) in patterns.iter().enumerate() {
            let regex = compiled(pattern).map_err(|wrong| format!("patterns[{i}]: {} {wrong}", config::shown(pattern)))?;
            rules.push(Rule::Regex { hints: &[], regex });
        }
        if rules.is_empty() {
            return Err(format!("builtin: it is empty, and there are no patterns; name what to mask, out of {}", BUILTIN.join(", ")));
        }
        Ok(Self { rules, mask, blocks: Runs::new(MOST_RUNS) })
    }

    pub fn redact(&mut self, run: &str, origin: &str, text: &str) -> String {
        let mut marked = vec![false; text.len()];
        let mut mark = |range: std::ops::Range<usize>| marked[range].fill(true);
        for rule in &self.rules {
            match rule {
                Rule::Regex { hints, regex } => {
                    if hints.is_empty() || hints.iter().any(|hint| find::has(text, hint)) {
                        regex.find_iter(text).for_each(|found| mark(found.range()));
                    }
                }
                Rule::Card => find::cards(text, &mut mark),
                Rule::Pem => {
                    let key = format!("{run} {origin}");
                    let left = find::pem(text, self.blocks.take(&key), &mut mark);
                    if let Some(block) = left {
                        self.blocks.insert(&key, block);
                    }
                }
            }
        }
        masked(text, &marked, &self.mask)
    }
}

/// The text with one mask in place of each stretch that is marked, byte for byte.
fn masked(text: &str, marked: &[bool], mask: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MOST_LINE));
    let mut inside = false;
    for (at, letter) in text.char_indices() {
        let is_marked = marked[at];
        if is_marked && !inside {
            out.push_str(mask);
        } else if !is_marked {
            out.push(letter);
        }
        inside = is_marked;
        if out.len() >= MOST_LINE {
            break;
        }
    }
    out
}

fn builtin_rule(name: &str) -> Result<Rule, String> {
    let (hints, pattern): (&'static [&'static str], &str) = match name {
        "bearer" => (&["bearer"], r#"(?i)\bbearer(?:["'\s:=+]|%20)+[a-z0-9._~+/=-]{8,}"#),
        // Also encrypted ones, which have five parts.
        "jwt" => (&["eyj"], r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){1,3}"),
        "email" => (&["@", "%40"], r#"[^\s@"'<>(),;:=&?/\[\]{}]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"#),
        "aws-key" => (&["AKIA", "ASIA", "key"], r#"(?:AKIA|ASIA)[A-Z0-9]{16}|(?i:secret[_-]?access[_-]?key)["'\s:=]+[A-Za-z0-9/+]{40}"#),
        "card" => return Ok(Rule::Card),
        _ => return Ok(Rule::Pem),
    };
    let regex = compiled(pattern).map_err(|wrong| format!("builtin: {name} {wrong}"))?;
    Ok(Rule::Regex { hints, regex })
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MOST_PATTERN {
        return Err(format!("has {} bytes; {MOST_PATTERN} are the most", pattern.len()));
    }
    let regex = RegexBuilder::new(pattern).size_limit(PATTERN_MEMORY).build();
    let regex = regex.map_err(|error| format!("is no regular expression that is supported here: {error}"))?;
    if regex.is_match("") {
        return Err("also fits where there is nothing; have it ask for one letter at least".into());
    }
    Ok(regex)
}

fn mask_of(text: &str) -> Result<String, String> {
    if text.len() > MOST_MASK || text.chars().any(char::is_control) {
        return Err(format!(
            "mask: {} is too long or has control characters; write at most {MOST_MASK} bytes of plain text",
            config::shown(text)
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(config: &[(&str, &str)]) -> Result<Redactor, String> {
        Redactor::of(&config.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>())
    }

    fn usual(text: &str) -> String {
        configured(&[]).unwrap().redact("r", "stdout", text)
    }

    #[test]
    fn secrets_of_known_shapes_are_masked() {
        for (text, expected) in [
            ("authorization: Bearer abcdef123456 ok", "authorization: [redacted] ok"),
            (r#"{"bearer":"abcdef123456"}"#, r#"{"[redacted]"}"#),
            ("t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-1;", "t=[redacted];"),
            ("from Jörg.x+y@mail.example.co.uk, hello", "from [redacted], hello"),
            ("/?mail=a%40example.org&b=1", "/?mail=[redacted]&b=1"),
            ("card 4111 1111 1111 1111 paid", "card [redacted] paid"),
            ("key AKIAIOSFODNN7EXAMPLE", "key [redacted]"),
            ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY.", "AWS_[redacted]."),
            ("x -----BEGIN PRIVATE KEY-----\\nabc\\n-----END PRIVATE KEY----- y", "x [redacted] y"),
        ] {
            assert_eq!(usual(text), expected);
        }
    }

    #[test]
    fn plain_lines_stay_as_they_are() {
        for text in ["", "GET /a 200 3 ms", "the bearer left", "a @ b.c", "2026-08-02 10:00:00 ñ", "🙂 eyJ.a.b", "-----BEGIN of the day"]
        {
            assert_eq!(usual(text), text);
        }
    }

    #[test]
    fn a_key_over_several_lines_is_masked_to_its_end() {
        let mut redactor = configured(&[("builtin", r#"["pem"]"#)]).unwrap();
        let lines = ["-----BEGIN RSA PRIVATE KEY-----", "MIIE", "-----END RSA PRIVATE KEY-----", "after"];
        let out = lines.map(|line| {
            (redactor.redact("a", "stdout", line), redactor.redact("a", "stderr", "other"), redactor.redact("b", "stdout", "b"))
        });
        assert_eq!(out.each_ref().map(|(a, _, _)| a.as_str()), [MASK, MASK, MASK, "after"]);
        assert!(out.iter().all(|(_, other, b)| other == "other" && b == "b"));
        assert!(redactor.blocks.is_empty());
    }

    #[test]
    fn own_patterns_take_the_place_of_the_usual_ones() {
        let mut redactor = configured(&[("patterns", r#"["pin=\\d+", "[a-c]+x"]"#), ("mask", "…")]).unwrap();
        assert_eq!(redactor.redact("r", "stdout", "pin=1234 a@example.org abcx"), "… a@example.org …");
    }

    #[test]
    fn matches_that_overlap_become_one_mask_and_masks_are_not_masked() {
        let mut redactor = configured(&[("patterns", r#"["abc", "bcd", "x+"]"#), ("mask", "xx")]).unwrap();
        assert_eq!(redactor.redact("r", "stdout", "_abcd_x_"), "_xx_xx_");
    }

    #[test]
    fn a_line_does_not_grow_past_what_the_host_takes() {
        let mut redactor = configured(&[("patterns", r#"["a"]"#), ("mask", &"m".repeat(64))]).unwrap();
        assert!(redactor.redact("r", "stdout", &"ab".repeat(8000)).len() <= MOST_LINE + MOST_MASK);
    }

    #[test]
    fn a_bad_configuration_is_named() {
        let wrong = |config| configured(config).err().unwrap();
        assert_eq!(wrong(&[("pattern", "[]")]), "pattern: there is no such field; there are patterns, builtin, mask");
        assert_eq!(wrong(&[("patterns", "a+")]), r#"patterns: "a+" is a string; write an array of strings"#);
        assert!(
            wrong(&[("patterns", r#"["a", "(b"]"#)]).starts_with(r#"patterns[1]: "(b" is no regular expression that is supported here: "#)
        );
        assert!(wrong(&[("patterns", r#"["a*"]"#)]).starts_with(r#"patterns[0]: "a*" also fits where there is nothing"#));
        assert!(wrong(&[("patterns", r#"["(?:a{999}){999}"]"#)]).starts_with("patterns[0]: "));
        assert!(wrong(&[("builtin", r#"["iban"]"#)]).starts_with(r#"builtin: there is no "iban"; there are bearer, jwt"#));
        assert!(wrong(&[("builtin", "[]")]).starts_with("builtin: it is empty"));
        assert!(wrong(&[("mask", "a\nb")]).starts_with("mask: "));
    }
}

//! Keeps the lines of each run until its answer begins. What does not go out with the answer is given back, to be logged:
//! no line is lost, and none is there twice.

use std::fmt::{self, Display};

use crate::runs::Runs;

/// Runs under way at once; lines of an older one that nobody has fetched are forgotten.
const MOST_RUNS: usize = 1024;
/// Of one run.
const MOST_LINES: usize = 200;
const MOST_BYTES: usize = 8 * 1024;
/// Of all headers that are added, with their name and what is between it and the value.
const HEADER_BYTES: usize = 4096;
/// A front takes some KiB of headers, and clients often no more than 16.
const HEADER_RANGE: std::ops::RangeInclusive<usize> = 256..=16 * 1024;
/// `pilotlight-log: ` and the end of its line.
const EACH_HEADER: usize = 18;
const TRUNCATED: &str = "truncated";

pub struct Debug {
    header_bytes: usize,
    runs: Runs<Kept>,
}

#[derive(Default)]
struct Kept {
    lines: Vec<Line>,
    bytes: usize,
    /// All lines of the run so far.
    count: u64,
    /// Some line was given back because there was no room.
    is_full: bool,
    is_answered: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub origin: String,
    pub level: Option<String>,
    pub text: String,
}

impl Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}; {}; {}", self.origin, self.level.as_deref().unwrap_or("-"), self.text)
    }
}

impl Default for Debug {
    fn default() -> Self {
        Self { header_bytes: HEADER_BYTES, runs: Runs::new(MOST_RUNS) }
    }
}

impl Debug {
    pub fn of(config: &[(String, String)]) -> Result<Self, String> {
        let mut debug = Self::default();
        for (field, text) in config {
            if field != "maxBytes" {
                return Err(format!("{field}: there is no such field; there is maxBytes"));
            }
            let bytes = text.parse().ok().filter(|bytes| HEADER_RANGE.contains(bytes));
            let wrong = || format!("maxBytes: it has to be a whole number from {} to {}", HEADER_RANGE.start(), HEADER_RANGE.end());
            debug.header_bytes = bytes.ok_or_else(wrong)?;
        }
        Ok(debug)
    }

    /// Gives it back where it cannot go out with the answer.
    pub fn line(&mut self, run: &str, line: Line) -> Option<Line> {
        let kept = self.kept(run);
        kept.count += 1;
        if kept.is_answered {
            return Some(line);
        }
        let bytes = line.origin.len() + line.text.len() + line.level.as_ref().map_or(0, String::len);
        // The first that finds no room is the end, so that what is sent is a beginning and not a sample.
        kept.is_full |= kept.lines.len() == MOST_LINES || kept.bytes + bytes > MOST_BYTES;
        if kept.is_full {
            return Some(line);
        }
        kept.bytes += bytes;
        kept.lines.push(line);
        None
    }

    /// The answer begins: the values of headers for it, and the lines that found no room in them.
    pub fn head(&mut self, run: &str) -> (Vec<String>, Vec<Line>) {
        let most = self.header_bytes;
        let kept = self.kept(run);
        kept.is_answered = true;
        let mut lines = std::mem::take(&mut kept.lines);
        let (values, taken) = values(&lines, most, kept.is_full);
        (values, lines.split_off(taken))
    }

    /// A line about the end, and those that no answer has taken.
    pub fn ended(&mut self, run: &str, ending: &str, status: Option<u16>, nanoseconds: u64) -> (String, Vec<Line>) {
        let kept = self.runs.take(run).unwrap_or_default();
        let status = status.map_or_else(|| "-".into(), |status| status.to_string());
        let microseconds = nanoseconds / 1000;
        let (whole, part) = (microseconds / 1000, microseconds % 1000);
        (format!("ended {ending}; status {status}; {whole}.{part:03} ms; lines {}", kept.count), kept.lines)
    }

    fn kept(&mut self, run: &str) -> &mut Kept {
        self.runs.get_or_default(run)
    }
}

/// A header for each line, and how many have one. The last value says so where not all have.
fn values(lines: &[Line], most: usize, is_full: bool) -> (Vec<String>, usize) {
    let mut values: Vec<String> = Vec::new();
    let mut room = most - EACH_HEADER - TRUNCATED.len();
    for line in lines {
        let value = encoded(&line.to_string());
        if value.len() + EACH_HEADER > room {
            break;
        }
        room -= value.len() + EACH_HEADER;
        values.push(value);
    }
    let taken = values.len();
    if is_full || taken < lines.len() {
        values.push(TRUNCATED.into());
    }
    (values, taken)
}

/// As a header can carry it: `%` and all bytes but visible ASCII and blanks by their two digits.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' => out.push_str("%25"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { origin: "stdout".into(), level: None, text: text.into() }
    }

    fn configured(name: &str, value: &str) -> Result<Debug, String> {
        Debug::of(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn lines_before_the_answer_go_out_with_it_and_later_ones_are_given_back() {
        let mut debug = Debug::default();
        let warning = Line { origin: "wasi:logging".into(), level: Some("warn".into()), text: "50 %\tdone ü".into() };
        assert_eq!((debug.line("a", line("one")), debug.line("a", warning), debug.line("b", line("other"))), (None, None, None));
        let values = ["stdout; -; one", "wasi:logging; warn; 50 %25%09done %C3%BC"].map(String::from).to_vec();
        assert_eq!(debug.head("a"), (values, vec![]));
        assert_eq!(debug.line("a", line("late")), Some(line("late")));
        assert_eq!(debug.ended("a", "ok", Some(200), 1_500_000), ("ended ok; status 200; 1.500 ms; lines 3".into(), vec![]));
    }

    #[test]
    fn a_run_without_an_answer_gives_its_lines_back_at_its_end() {
        let mut debug = Debug::default();
        debug.line("a", line("one"));
        assert_eq!(debug.ended("a", "trap", None, 0), ("ended trap; status -; 0.000 ms; lines 1".into(), vec![line("one")]));
        assert!(debug.runs.is_empty());
    }

    #[test]
    fn headers_stay_within_their_bytes() {
        let mut debug = configured("maxBytes", "256").unwrap();
        for n in 0..20 {
            debug.line("a", line(&format!("number {n}")));
        }
        let (values, left) = debug.head("a");
        assert_eq!(values.last().map(String::as_str), Some("truncated"));
        assert_eq!(left.first(), Some(&line(&format!("number {}", values.len() - 1))));
        let bytes: usize = values.iter().map(|value| "pilotlight-log: \r\n".len() + value.len()).sum();
        assert!(bytes <= 256, "{bytes}");
    }

    #[test]
    fn a_flood_is_given_back() {
        let mut debug = Debug::default();
        let back = (0..1000).filter(|_| debug.line("a", line("")).is_some()).count();
        assert_eq!(back, 1000 - MOST_LINES);
        let (values, left) = debug.head("a");
        assert_eq!((values.len() - 1 + left.len(), values.last().map(String::as_str)), (MOST_LINES, Some("truncated")));
        assert_eq!(debug.line("b", line(&"x".repeat(9000))), Some(line(&"x".repeat(9000))));
        assert_eq!(debug.head("b").0, ["truncated"]);
    }

    #[test]
    fn runs_that_nobody_ends_are_forgotten() {
        let mut debug = Debug::default();
        for run in 0..5000 {
            debug.line(&run.to_string(), line("x"));
        }
        assert_eq!(debug.runs.len(), MOST_RUNS);
    }

    #[test]
    fn a_bad_configuration_is_named() {
        assert_eq!(configured("max", "1").err().unwrap(), "max: there is no such field; there is maxBytes");
        for value in ["", "-1", "1.5", "255", "16385", "99999999999999999999"] {
            assert_eq!(configured("maxBytes", value).err().unwrap(), "maxBytes: it has to be a whole number from 256 to 16384");
        }
    }
}

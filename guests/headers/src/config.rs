//! Reads what a manifest says. Each error names the field, what is wrong with it, and what would be right.

use serde_json::{Map, Value};

pub fn unknown(field: &str, known: &[&str]) -> String {
    format!("{field}: there is no such field; there are {}", known.join(", "))
}

pub fn flag(field: &str, text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{field}: {} is neither true nor false", shown(text))),
    }
}

/// What was no string in the manifest.
pub fn json(field: &str, text: &str, right: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|_| format!("{field}: {} is a string; write {right}", shown(text)))
}

pub fn strings(field: &str, value: &Value) -> Result<Vec<String>, String> {
    let strings: Option<Vec<String>> = value.as_array().and_then(|all| all.iter().map(|one| one.as_str().map(String::from)).collect());
    strings.ok_or_else(|| format!("{field}: {} is no array of strings", shown(&value.to_string())))
}

pub fn members<'a>(field: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{field}: {} is no object", shown(&value.to_string())))
}

/// An array of strings.
pub fn list(field: &str, text: &str) -> Result<Vec<String>, String> {
    strings(field, &json(field, text, "an array of strings")?)
}

/// An array of strings out of `known`, each at most once.
pub fn choices(field: &str, text: &str, known: &[&'static str]) -> Result<Vec<&'static str>, String> {
    let mut chosen = Vec::new();
    for name in list(field, text)? {
        let Some(found) = known.iter().find(|each| **each == name) else {
            return Err(format!("{field}: there is no {}; there are {}", shown(&name), known.join(", ")));
        };
        if chosen.contains(found) {
            return Err(format!("{field}: {name} is there twice; keep one of them"));
        }
        chosen.push(*found);
    }
    Ok(chosen)
}

/// A value as an error shows it: its beginning, quoted.
pub fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(60).collect();
    format!("{start:?}{}", if chars.next().is_some() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_would_be_right() {
        assert_eq!(unknown("quary", &["query"]), "quary: there is no such field; there are query");
        assert_eq!(flag("query", "yes").unwrap_err(), r#"query: "yes" is neither true nor false"#);
        assert_eq!(list("a", "b").unwrap_err(), r#"a: "b" is a string; write an array of strings"#);
        assert_eq!(list("a", "[1]").unwrap_err(), r#"a: "[1]" is no array of strings"#);
        assert_eq!(choices("a", r#"["x"]"#, &["y", "z"]).unwrap_err(), r#"a: there is no "x"; there are y, z"#);
        assert_eq!(choices("a", r#"["y","y"]"#, &["y"]).unwrap_err(), "a: y is there twice; keep one of them");
    }

    #[test]
    fn a_long_value_is_shown_in_part() {
        assert_eq!(shown(&"ü".repeat(100)), format!("\"{}\"…", "ü".repeat(60)));
    }
}

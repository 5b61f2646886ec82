//! Headers as a list, and what of a manifest may become one.

use crate::config::shown;

/// Names as they were written; they are the same in whatever case.
pub type Headers = Vec<(String, Vec<u8>)>;

/// Fields that say how an answer is carried, which nobody but the transport knows.
const CARRYING: [&str; 8] =
    ["connection", "content-length", "keep-alive", "pilotlight-run", "te", "trailer", "transfer-encoding", "upgrade"];

pub fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
}

pub fn remove(headers: &mut Headers, name: &str) {
    headers.retain(|(each, _)| !each.eq_ignore_ascii_case(name));
}

pub fn add(headers: &mut Headers, name: &str, value: &str) {
    headers.push((name.to_owned(), value.as_bytes().to_vec()));
}

/// In place of all that have the name.
pub fn set(headers: &mut Headers, name: &str, value: &str) {
    remove(headers, name);
    add(headers, name, value);
}

pub fn add_if_absent(headers: &mut Headers, name: &str, value: &str) {
    if find(headers, name).is_none() {
        add(headers, name, value);
    }
}

/// A name that may be set and removed, in lower case.
pub fn name_of(field: &str, name: &str) -> Result<String, String> {
    let name = name.to_ascii_lowercase();
    if !is_token(&name) {
        return Err(format!("{field}: {} is no name of a header; it has letters, digits and dashes", shown(&name)));
    }
    if CARRYING.contains(&name.as_str()) {
        return Err(format!("{field}: {name} is not for a manifest to say; take it out"));
    }
    Ok(name)
}

/// The value goes out as it is written here, so that it is the one that the answer has.
pub fn check_value(field: &str, value: &str) -> Result<(), String> {
    let is_visible = !value.is_empty() && value.trim() == value && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_visible.then_some(()).ok_or_else(|| {
        format!("{field}: {} is no value of a header; write visible ASCII, without control characters and blanks around it", shown(value))
    })
}

pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

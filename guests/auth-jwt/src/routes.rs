//! What is needed where: paths, in the order in which they are named; the first that fits holds.

use serde_json::Value;

#[derive(Debug, Default, PartialEq)]
pub struct Needs {
    pub public: bool,
    pub scopes: Vec<String>,
    pub claims: Vec<(String, Value)>,
}

#[derive(Debug)]
struct Route {
    /// Segments; the last one of a prefix is left out.
    path: String,
    is_prefix: bool,
    methods: Vec<String>,
    needs: Needs,
}

/// A path that one reader takes for another than the next.
#[derive(Debug, PartialEq)]
pub struct Ambiguous;

#[derive(Debug, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// `[{ "path": "/admin/*", "methods": ["POST"], "scopes": ["admin"], "claims": { "role": "x" }, "public": true }]`.
    pub fn of(config: &Value) -> Result<Self, String> {
        let routes = config.as_array().ok_or("expected an array of routes")?;
        routes.iter().enumerate().map(|(i, route)| read(route).map_err(|what| format!("[{i}]{what}"))).collect::<Result<_, _>>().map(Self)
    }

    /// What a request needs, where a route fits. Of a path that can be read in two ways nothing can be said.
    pub fn needs(&self, method: &str, path_with_query: &str) -> Result<Option<&Needs>, Ambiguous> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let raw = path_with_query.split(['?', '#']).next().unwrap_or("");
        let path = plain(raw).ok_or(Ambiguous)?;
        Ok(self.0.iter().find(|route| route.fits(method, &path)).map(|route| &route.needs))
    }
}

impl Route {
    fn fits(&self, method: &str, path: &str) -> bool {
        let fits = if self.is_prefix {
            path.strip_prefix(self.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        } else {
            path == self.path
        };
        fits && (self.methods.is_empty() || self.methods.iter().any(|own| own.eq_ignore_ascii_case(method)))
    }
}

fn read(route: &Value) -> Result<Route, String> {
    let members = route.as_object().ok_or(": expected an object with a path")?;
    if let Some(name) = members.keys().find(|name| !["path", "methods", "scopes", "claims", "public"].contains(&name.as_str())) {
        return Err(format!(".{name}: unknown; there are path, methods, scopes, claims, public"));
    }
    let path = route.get("path").and_then(Value::as_str).filter(|path| path.starts_with('/'));
    let path = path.ok_or(".path: expected a path such as \"/admin/*\"")?;
    let texts = |name: &str| match route.get(name) {
        None => Ok(Vec::new()),
        Some(value) => {
            let texts = value.as_array().and_then(|all| all.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
            texts.ok_or_else(|| format!(".{name}: expected an array of texts"))
        }
    };
    let claims = match route.get("claims") {
        None => Vec::new(),
        Some(Value::Object(claims)) => claims.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        Some(_) => return Err(".claims: expected an object of claims and their values".into()),
    };
    let public = match route.get("public") {
        None => false,
        Some(Value::Bool(public)) => *public,
        Some(_) => return Err(".public: expected true or false".into()),
    };
    let (scopes, methods) = (texts("scopes")?, texts("methods")?);
    if public && (!scopes.is_empty() || !claims.is_empty()) {
        return Err(".public: what is public needs neither scopes nor claims".into());
    }
    if scopes.iter().any(|scope| !is_scope(scope)) {
        return Err(".scopes: a scope is of visible ASCII without blanks, quotes and backslashes".into());
    }
    let (path, is_prefix) = match path.strip_suffix("/*") {
        Some(prefix) => (prefix, true),
        None => (path, false),
    };
    if path.contains('*') {
        return Err(".path: \"*\" may only be the whole last segment, as in \"/files/*\"".into());
    }
    // One that no request could ever fit would protect nothing.
    let path = if path.is_empty() { Some(String::new()) } else { plain(path).filter(|_| !path.contains(['?', '#']) && !(is_prefix && path.ends_with('/'))) };
    let path = path.ok_or(".path: no request has this path; expected one without query, \"..\", \"//\", \"%2f\", \"\\\" and \";\"")?;
    Ok(Route { path, is_prefix, methods, needs: Needs { public, scopes, claims } })
}

/// As RFC 6749, section 3.3, has it; it has to stand in quotes in a challenge.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

/// The path with its percent-encodings read; none where what comes of that could be taken for another path: slashes that were encoded,
/// segments that go up, empty ones, backslashes, what is no UTF-8.
fn plain(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = tail else { return None };
        let digit = |letter: u8| (letter as char).to_digit(16);
        let byte = (digit(*high)? << 4 | digit(*low)?) as u8;
        if matches!(byte, b'/' | b'\\' | 0) {
            return None;
        }
        bytes.push(byte);
        rest = tail;
    }
    let path = String::from_utf8(bytes).ok()?;
    let strange = |segment: &str| segment == "." || segment == ".." || segment.contains(['\\', ';']);
    let inner = path.strip_prefix('/')?;
    let has_gap = inner.strip_suffix('/').unwrap_or(inner).split('/').any(str::is_empty) && !inner.is_empty();
    (!has_gap && !inner.split('/').any(strange)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn routes() -> Routes {
        Routes::of(&json!([
            { "path": "/health", "public": true },
            { "path": "/open/*", "public": true },
            { "path": "/admin/*", "methods": ["POST"], "scopes": ["admin"] },
            { "path": "/*", "scopes": ["read"] },
        ]))
        .unwrap()
    }

    fn public(path: &str) -> bool {
        routes().needs("GET", path).unwrap().is_some_and(|needs| needs.public)
    }

    #[test]
    fn the_first_that_fits_holds() {
        for path in ["/health", "/health?x=/admin", "/open", "/open/", "/open/a/b", "/open/%61"] {
            assert!(public(path), "{path}");
        }
        assert_eq!(routes().needs("post", "/admin/x").unwrap().unwrap().scopes, ["admin"]);
        assert_eq!(routes().needs("GET", "/admin/x").unwrap().unwrap().scopes, ["read"]);
    }

    #[test]
    fn of_what_could_be_another_path_nothing_is_said() {
        for path in ["/open/../admin", "/open/%2e%2e/admin", "/open/..%2fadmin", "/open%2f..", "/open//admin", "/open/a\\b", "/open/%5c", "/open/.;/x", "/open/%zz", "/open/%ff"] {
            assert_eq!(routes().needs("GET", path), Err(Ambiguous), "{path}");
            assert_eq!(Routes::default().needs("GET", path), Ok(None));
        }
        assert!(public("/open/100%25") && !public("/openly"));
    }

    #[test]
    fn a_route_is_written_as_its_requests_are() {
        let routes = Routes::of(&json!([{ "path": "/a%20b/%2a", "public": true }])).unwrap();
        assert!(routes.needs("GET", "/a%20b/*").unwrap().is_some());
        for path in ["/a/../b", "/a//*", "/a%2fb", "/a;b", "/a\\b", "/a?x=1", "/a#x", "/100%"] {
            let message = Routes::of(&json!([{ "path": path }])).unwrap_err();
            assert!(message.starts_with("[0].path: no request has this path"), "{path}: {message}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (config, message) in [
            (json!({}), "expected an array of routes"),
            (json!([{ "path": "x" }]), "[0].path: expected a path such as \"/admin/*\""),
            (json!([{ "path": "/a", "scope": [] }]), "[0].scope: unknown; there are path, methods, scopes, claims, public"),
            (json!([{ "path": "/a*" }]), "[0].path: \"*\" may only be the whole last segment, as in \"/files/*\""),
            (json!([{ "path": "/a", "scopes": ["a b"] }]), "[0].scopes: a scope is of visible ASCII without blanks, quotes and backslashes"),
            (json!([{ "path": "/a", "public": true, "scopes": ["x"] }]), "[0].public: what is public needs neither scopes nor claims"),
        ] {
            assert_eq!(Routes::of(&config).unwrap_err(), message);
        }
    }
}

//! Tokens that the standards print, with the keys that they print, and what must not be made of them. What these tokens say is long over,
//! so they are judged by a clock of their own time.

use auth_jwt::guard::{Caller, Guard};

/// Seven minutes before the tokens of RFC 7515 are over.
const THEN: f64 = 1_300_818_960.0;
/// RFC 7515, A.1.1; RFC 7519, 3.1, has the same token.
const SECRET: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const HS256: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// A.2.
const RSA: &str = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
const RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// A.3.
const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// A.5.
const UNSECURED: &str = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";

fn guard(config: &[(&str, &str)]) -> Guard {
    let config: Vec<_> = config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Guard::of(&config).unwrap()
}

/// Its caller, or the status of the refusal.
fn judged(guard: &mut Guard, token: &str, now: f64, document: Result<&str, &str>) -> Result<Option<Caller>, u16> {
    let headers = [("Authorization".to_owned(), format!("Bearer {token}").into_bytes())];
    let fetch = |_: &str| document.map(str::to_owned).map_err(str::to_owned);
    guard.check("GET", "/", &headers, now, fetch).map_err(|refused| refused.status)
}

#[test]
fn the_examples_of_rfc_7515_hold_by_their_own_keys_and_by_no_other() {
    let keys = [("secretBase64", SECRET, HS256), ("key", RSA, RS256), ("key", EC, ES256)];
    for (i, (name, key, _)) in keys.iter().enumerate() {
        for (j, (_, _, token)) in keys.iter().enumerate() {
            let mut guard = guard(&[(name, key), ("leeway", "0")]);
            let said = judged(&mut guard, token, THEN, Err(""));
            assert_eq!(said.is_ok(), i == j, "key {i}, token {j}");
            assert_eq!(judged(&mut guard, token, 1_300_819_380.0, Err("")), Err(401), "over by the second");
        }
        assert_eq!(judged(&mut guard(&[(name, key)]), UNSECURED, THEN, Err("")), Err(401));
    }
}

#[test]
fn no_text_made_of_a_token_makes_it_panic() {
    let mut guard = guard(&[("secretBase64", SECRET), ("key", RSA), ("keys", &format!("{{\"keys\":[{EC}]}}"))]);
    for token in [HS256, RS256, ES256] {
        for at in 0..token.len() {
            assert_eq!(judged(&mut guard, &token[..at], THEN, Err("")), Err(401));
            for letter in ["A", ".", "=", "é", "\0"] {
                let made = format!("{}{letter}{}", &token[..at], &token[at + 1..]);
                assert!(made == token || judged(&mut guard, &made, THEN, Err("")) == Err(401), "{at} {letter}");
            }
        }
    }
}

#[test]
fn a_published_set_gives_its_good_keys_and_no_secret() {
    let oct = format!(r#"{{"kty":"oct","k":"{SECRET}"}}"#);
    let set = format!(r#"{{"keys":[{{"kty":"RSA","n":"AQAB","e":"AQAB"}},{{"kty":"EC","crv":"P-256"}},{{}},7,{oct},{EC}]}}"#);
    let mut guard = guard(&[("jwks", "https://id.example.com/keys")]);
    assert_eq!(judged(&mut guard, ES256, THEN, Err("down")), Err(503));
    assert_eq!(judged(&mut guard, ES256, THEN, Ok("<html>")), Err(503));
    assert!(judged(&mut guard, ES256, THEN, Ok(&set)).is_ok());
    assert_eq!(judged(&mut guard, HS256, THEN, Ok(&set)), Err(401));
    // What is no set takes no keys away; a set without a key does.
    assert!(judged(&mut guard, ES256, THEN, Ok("<html>")).is_ok());
    assert!(judged(&mut guard, ES256, THEN, Ok("<html>")).is_ok());
    assert_eq!(judged(&mut guard, ES256, THEN, Ok(r#"{"keys":[]}"#)), Err(401));
}

#[test]
fn what_has_no_token_waits_for_no_keys() {
    let routes = r#"[{"path":"/open","public":true}]"#;
    let mut guard = guard(&[("jwks", "https://id.example.com/keys"), ("routes", routes)]);
    let asked = |_: &str| -> Result<String, String> { panic!("nobody asks") };
    assert_eq!(guard.check("GET", "/open", &[], THEN, asked), Ok(None));
    assert_eq!(guard.check("GET", "/", &[], THEN, asked).unwrap_err().status, 401);
}

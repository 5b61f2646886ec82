//! Lets requests pass that show the word of its configuration in `X-Word`, and says who is calling.

wit_bindgen::generate!({ path: ["wit/sidecar.wit", "world.wit"], world: "local:sidecar/sidecar", generate_all });

use std::sync::Mutex;

use exports::pilotlight::sidecar::{guard, lifecycle};
use pilotlight::sidecar::types::{Call, Head, Identity, Refusal};

struct Sidecar;
export!(Sidecar);

static WORD: Mutex<String> = Mutex::new(String::new());

impl lifecycle::Guest for Sidecar {
    /// Names and values of `config`; an error refuses the deploy.
    fn start(config: Vec<(String, String)>) -> Result<(), String> {
        let mut word = "please".to_owned();
        for (name, value) in config {
            match name.as_str() {
                "word" => word = value,
                _ => return Err(format!("{name}: unknown; there is \"word\"")),
            }
        }
        *WORD.lock().unwrap() = word;
        Ok(())
    }
    fn pause() {}
    fn resume() {}
    fn stop() {}
}

impl guard::Guest for Sidecar {
    fn check(_call: Call, head: Head) -> Result<Option<Identity>, Refusal> {
        let field = |wanted: &str| {
            let found = head.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        if field("x-word").as_deref() != Some(&*WORD.lock().unwrap()) {
            return Err(Refusal { status: 401, headers: Vec::new(), reason: "Say the word in X-Word.".into() });
        }
        Ok(Some(Identity { subject: field("x-user").unwrap_or_else(|| "somebody".into()), claims: Vec::new() }))
    }
}

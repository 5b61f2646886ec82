//! Verifies bearer tokens (RFC 7519, 6750): HS256, RS256, ES256 and EdDSA, by keys of the configuration or of a set at an address.

pub mod base64url;
pub mod config;
pub mod guard;
pub mod json;
pub mod keys;
pub mod routes;
pub mod token;

#[cfg(target_arch = "wasm32")]
mod component {
    wit_bindgen::generate!({
        path: [
            "../../wit/pilotlight/sidecar.wit",
            "../../wit/wasi/0.2.12/io.wit",
            "../../wit/wasi/0.2.12/clocks.wit",
            "world.wit",
        ],
        world: "pilotlight:auth-jwt/guest",
        generate_all,
    });

    use std::cell::RefCell;

    use crate::guard::{Caller, Guard, Refused};
    use exports::pilotlight::sidecar::{guard, lifecycle};
    use pilotlight::sidecar::jwks;
    use pilotlight::sidecar::types::{Call, Head, Identity, Refusal};
    use wasi::clocks::wall_clock;

    struct Component;
    export!(Component);

    thread_local! {
        /// None: it was never started, and lets nobody pass.
        static GUARD: RefCell<Option<Guard>> = const { RefCell::new(None) };
    }

    impl lifecycle::Guest for Component {
        fn start(config: Vec<(String, String)>) -> Result<(), String> {
            let mut configured = Guard::of(&config)?;
            configured.start(jwks::fetch)?;
            GUARD.set(Some(configured));
            Ok(())
        }
        fn pause() {}
        fn resume() {}
        fn stop() {}
    }

    impl guard::Guest for Component {
        fn check(_call: Call, head: Head) -> Result<Option<Identity>, Refusal> {
            let now = wall_clock::now();
            let now = now.seconds as f64 + f64::from(now.nanoseconds) / 1e9;
            let said = GUARD.with_borrow_mut(|guard| match guard {
                Some(guard) => guard.check(&head.method, &head.path_with_query, &head.headers, now, jwks::fetch),
                None => Err(Refused { status: 503, challenge: None, reason: "Tokens cannot be verified at the moment." }),
            });
            match said {
                Ok(caller) => Ok(caller.map(|Caller { subject, claims }| Identity { subject, claims })),
                Err(Refused { status, challenge, reason }) => {
                    let challenge = challenge.map(|challenge| ("WWW-Authenticate".to_owned(), challenge.into_bytes()));
                    let later = (status == 503).then(|| ("Retry-After".to_owned(), b"1".to_vec()));
                    Err(Refusal { status, headers: challenge.into_iter().chain(later).collect(), reason: reason.into() })
                }
            }
        }
    }
}

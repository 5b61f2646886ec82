//! Looks an API key up in a store: the entry of its hash says whose it is, until when, and what it reaches.

pub mod guard;
#[path = "../../auth-jwt/src/json.rs"]
pub mod json;
#[path = "../../auth-jwt/src/routes.rs"]
pub mod routes;

#[cfg(target_arch = "wasm32")]
mod component {
    wit_bindgen::generate!({
        path: [
            "../../wit/pilotlight/sidecar.wit",
            "../../wit/wasi/0.2.12/io.wit",
            "../../wit/wasi/0.2.12/clocks.wit",
            "../../wit/wasi/draft/keyvalue-draft2.wit",
            "world.wit",
        ],
        world: "pilotlight:auth-key/guest",
        generate_all,
    });

    use std::cell::RefCell;

    use crate::guard::{Caller, Guard, Refused};
    use exports::pilotlight::sidecar::{guard, lifecycle};
    use pilotlight::sidecar::types::{Call, Head, Identity, Refusal};
    use wasi::clocks::wall_clock;
    use wasi::keyvalue::store;

    struct Component;
    export!(Component);

    thread_local! {
        static GUARD: RefCell<Option<Guard>> = const { RefCell::new(None) };
    }

    impl lifecycle::Guest for Component {
        fn start(config: Vec<(String, String)>) -> Result<(), String> {
            let guard = Guard::of(&config)?;
            store::open(&guard.store).map_err(|error| format!("store: {} cannot be opened: {error:?}", guard.store))?;
            GUARD.set(Some(guard));
            Ok(())
        }
        fn pause() {}
        fn resume() {}
        fn stop() {}
    }

    impl guard::Guest for Component {
        fn check(_call: Call, head: Head) -> Result<Option<Identity>, Refusal> {
            let now = wall_clock::now().seconds as f64;
            let said = GUARD.with_borrow(|guard| match guard {
                Some(guard) => guard.check(&head.method, &head.path_with_query, &head.headers, now, |name| {
                    store::open(&guard.store).and_then(|bucket| bucket.get(name)).map_err(|_| ())
                }),
                None => Err(Refused { status: 503, challenge: None, reason: "Keys cannot be looked up at the moment." }),
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

//! Security headers and CORS on each answer, of refusals and problems too.

pub mod config;
pub mod cors;
pub mod fields;
pub mod policy;
pub mod runs;

#[cfg(target_arch = "wasm32")]
mod component {
    wit_bindgen::generate!({
        path: ["../../wit/pilotlight/sidecar.wit", "world.wit"],
        world: "pilotlight:headers/guest",
        generate_all,
    });

    use std::cell::RefCell;

    use crate::policy::{Policy, Request};
    use exports::pilotlight::sidecar::{guard, lifecycle, respond};
    use pilotlight::sidecar::types::{Call, Head, Identity, Refusal};

    struct Component;
    export!(Component);

    type Headers = Vec<(String, Vec<u8>)>;

    thread_local! {
        static POLICY: RefCell<Policy> = RefCell::new(Policy::default());
    }

    impl lifecycle::Guest for Component {
        fn start(config: Vec<(String, String)>) -> Result<(), String> {
            let configured = Policy::of(&config)?;
            POLICY.set(configured);
            Ok(())
        }
        fn pause() {}
        fn resume() {}
        fn stop() {}
    }

    impl guard::Guest for Component {
        fn check(call: Call, head: Head) -> Result<Option<Identity>, Refusal> {
            let Head { method, scheme, headers, .. } = &head;
            POLICY.with_borrow_mut(|policy| policy.saw(&call.run, Request { method, scheme, headers }));
            Ok(None)
        }
    }

    impl respond::Guest for Component {
        fn head(call: Call, status: u16, headers: Headers) -> (u16, Headers) {
            POLICY.with_borrow_mut(|policy| policy.head(&call.run, status, headers))
        }
    }
}

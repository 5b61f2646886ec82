//! One line of JSON for each run, as web servers write it.

pub mod access;
#[path = "../../headers/src/config.rs"]
pub mod config;
#[path = "../../headers/src/runs.rs"]
pub mod runs;

#[cfg(target_arch = "wasm32")]
mod component {
    wit_bindgen::generate!({
        path: ["../../wit/pilotlight/sidecar.wit", "../../wit/wasi/draft/logging.wit", "world.wit"],
        world: "pilotlight:log-access/guest",
        generate_all,
    });

    use std::cell::RefCell;

    use crate::access::{AccessLog, Of, Request};
    use exports::pilotlight::sidecar::{guard, lifecycle, observer};
    use pilotlight::sidecar::types::{Call, Ending, Head, Identity, Refusal};
    use wasi::logging::logging::{Level, log};

    struct Component;
    export!(Component);

    thread_local! {
        static LOG: RefCell<AccessLog> = RefCell::new(AccessLog::default());
    }

    impl lifecycle::Guest for Component {
        fn start(config: Vec<(String, String)>) -> Result<(), String> {
            let configured = AccessLog::of(&config)?;
            LOG.set(configured);
            Ok(())
        }
        fn pause() {}
        fn resume() {}
        fn stop() {}
    }

    impl guard::Guest for Component {
        fn check(call: Call, head: Head) -> Result<Option<Identity>, Refusal> {
            let agent = head.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
            let agent = agent.map(|(_, value)| String::from_utf8_lossy(value)).unwrap_or_default();
            let request = Request { method: &head.method, target: &head.path_with_query, peer: &head.peer, agent: &agent };
            LOG.with_borrow_mut(|access| access.saw(&call.run, request));
            Ok(None)
        }
    }

    impl observer::Guest for Component {
        fn ended(call: Call, ending: Ending, status: Option<u16>, nanoseconds: u64) {
            let Call { run, tenant, task, version } = &call;
            let ending = name(ending);
            let line = LOG.with_borrow_mut(|access| access.ended(Of { run, tenant, task, version }, ending, status, nanoseconds));
            log(if line.warns { Level::Warn } else { Level::Info }, "access", &line.text);
        }
    }

    fn name(ending: Ending) -> &'static str {
        match ending {
            Ending::Ok => "ok",
            Ending::GuestError => "guest-error",
            Ending::Trap => "trap",
            Ending::Limit => "limit",
            Ending::Cancelled => "cancelled",
            Ending::Refused => "refused",
            Ending::Recalled => "recalled",
            Ending::Platform => "platform",
        }
    }
}

//! The lines of a run, sent along with its answer to whoever asked for them.

pub mod kept;
#[path = "../../headers/src/runs.rs"]
pub mod runs;

#[cfg(target_arch = "wasm32")]
mod component {
    wit_bindgen::generate!({
        path: ["../../wit/pilotlight/sidecar.wit", "../../wit/wasi/draft/logging.wit", "world.wit"],
        world: "pilotlight:debug/guest",
        generate_all,
    });

    use std::cell::RefCell;

    use crate::kept::{Debug, Line};
    use exports::pilotlight::sidecar::{lifecycle, observer, respond, tap};
    use pilotlight::sidecar::types::{self, Call, Ending};
    use wasi::logging::logging::{Level, log};

    struct Component;
    export!(Component);

    type Headers = Vec<(String, Vec<u8>)>;

    thread_local! {
        static DEBUG: RefCell<Debug> = RefCell::new(Debug::default());
    }

    impl lifecycle::Guest for Component {
        fn start(config: Vec<(String, String)>) -> Result<(), String> {
            let configured = Debug::of(&config)?;
            DEBUG.set(configured);
            Ok(())
        }
        fn pause() {}
        fn resume() {}
        fn stop() {}
    }

    impl tap::Guest for Component {
        fn lines(call: Call, batch: Vec<types::Line>) {
            for types::Line { origin, level, text } in batch {
                let left = DEBUG.with_borrow_mut(|debug| debug.line(&call.run, Line { origin, level, text }));
                left.into_iter().for_each(|line| write(&call, &line.to_string()));
            }
        }
    }

    impl respond::Guest for Component {
        fn head(call: Call, status: u16, mut headers: Headers) -> (u16, Headers) {
            let (values, left) = DEBUG.with_borrow_mut(|debug| debug.head(&call.run));
            headers.extend(values.into_iter().map(|value| ("pilotlight-log".into(), value.into_bytes())));
            left.iter().for_each(|line| write(&call, &line.to_string()));
            (status, headers)
        }
    }

    impl observer::Guest for Component {
        fn ended(call: Call, ending: Ending, status: Option<u16>, nanoseconds: u64) {
            let (summary, left) = DEBUG.with_borrow_mut(|debug| debug.ended(&call.run, name(ending), status, nanoseconds));
            left.iter().for_each(|line| write(&call, &line.to_string()));
            write(&call, &summary);
        }
    }

    fn write(call: &Call, message: &str) {
        log(Level::Debug, &format!("debug {}", call.run), message);
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

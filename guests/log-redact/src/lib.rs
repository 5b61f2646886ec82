//! Writes the lines of a run again, without what nobody is to read in a log.

#[path = "../../headers/src/config.rs"]
pub mod config;
pub mod find;
pub mod redact;
#[path = "../../headers/src/runs.rs"]
pub mod runs;

#[cfg(target_arch = "wasm32")]
mod component {
    wit_bindgen::generate!({
        path: ["../../wit/pilotlight/sidecar.wit", "../../wit/wasi/draft/logging.wit", "world.wit"],
        world: "pilotlight:log-redact/guest",
        generate_all,
    });

    use std::cell::RefCell;

    use crate::redact::Redactor;
    use exports::pilotlight::sidecar::{lifecycle, tap};
    use pilotlight::sidecar::types::{Call, Line};
    use wasi::logging::logging::{Level, log};

    struct Component;
    export!(Component);

    thread_local! {
        static REDACTOR: RefCell<Option<Redactor>> = const { RefCell::new(None) };
    }

    impl lifecycle::Guest for Component {
        fn start(config: Vec<(String, String)>) -> Result<(), String> {
            let configured = Redactor::of(&config)?;
            REDACTOR.set(Some(configured));
            Ok(())
        }
        fn pause() {}
        fn resume() {}
        fn stop() {}
    }

    impl tap::Guest for Component {
        fn lines(call: Call, batch: Vec<Line>) {
            REDACTOR.with_borrow_mut(|redactor| {
                // Without a start there is no telling what to mask: nothing is written.
                let Some(redactor) = redactor else { return };
                for Line { origin, level, text } in batch {
                    log(level_of(level.as_deref()), &origin, &redactor.redact(&call.run, &origin, &text));
                }
            });
        }
    }

    /// Lines of stdout and stderr have none.
    fn level_of(name: Option<&str>) -> Level {
        match name {
            Some("trace") => Level::Trace,
            Some("debug") => Level::Debug,
            Some("warn") => Level::Warn,
            Some("error") => Level::Error,
            Some("critical") => Level::Critical,
            _ => Level::Info,
        }
    }
}

//! A guard that lets every request pass and an observer that only counts: what a sidecar costs that does nothing.

wit_bindgen::generate!({
    path: ["../../wit/pilotlight/sidecar.wit", "world.wit"],
    world: "test:onlooker/guest",
    generate_all,
});

use std::sync::atomic::{AtomicU64, Ordering};

use exports::pilotlight::sidecar::{guard, observer};
use pilotlight::sidecar::types::{Call, Ending, Head, Identity, Refusal};

struct Component;
export!(Component);

static ENDED: AtomicU64 = AtomicU64::new(0);

impl guard::Guest for Component {
    fn check(_call: Call, _head: Head) -> Result<Option<Identity>, Refusal> {
        Ok(None)
    }
}

impl observer::Guest for Component {
    fn ended(_call: Call, _ending: Ending, _status: Option<u16>, _nanoseconds: u64) {
        ENDED.fetch_add(1, Ordering::Relaxed);
    }
}

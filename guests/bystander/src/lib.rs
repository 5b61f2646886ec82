//! A sidecar for tests: it exports all that one can, and does in each of its functions as its configuration says.
//!
//! `start` takes the names of functions (`check`, `request`, `head`, `lines`, `ended`, `pause`, `resume`, `stop`, `start`) with what
//! they do: `trap`, `loop`, `grow`, `hang` (waits for a year on a host clock), `flood` (writes 100,000 lines), `refuse` (those
//! that can). A request's header `x-FUNCTION` says so for that one request. `log` is `true` where each call is to leave a line:
//! the function, the number of the instance, how many calls it has had, and what it was called for.

wit_bindgen::generate!({
    path: [
        "../../wit/pilotlight/sidecar.wit",
        "../../wit/wasi/draft/logging.wit",
        "../../wit/wasi/0.2.12/io.wit",
        "../../wit/wasi/0.2.12/clocks.wit",
        "../../wit/wasi/0.2.12/random.wit",
        "world.wit",
    ],
    world: "test:bystander/guest",
    generate_all,
});

use std::cell::RefCell;

use exports::pilotlight::sidecar::{guard, lifecycle, observer, respond, tap, transform};
use pilotlight::sidecar::types::{Call, Ending, Head, Identity, Line, Refusal};
use wasi::clocks::monotonic_clock;
use wasi::logging::logging::{Level, log};
use wasi::random::random::get_random_u64;

struct Component;
export!(Component);

#[derive(Default)]
struct State {
    config: Vec<(String, String)>,
    log: bool,
    /// Tells instances apart.
    instance: u64,
    calls: u64,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Notes a call, and does what is asked for; true: it is to refuse.
fn does(function: &str, about: &str, headers: &[(String, Vec<u8>)]) -> bool {
    let (line, how) = STATE.with_borrow_mut(|state| {
        state.calls += 1;
        let line = state.log.then(|| format!("{function} {:x} {} {about}", state.instance, state.calls));
        let asked = headers.iter().find(|(name, _)| name.strip_prefix("x-") == Some(function));
        let asked = asked.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        let configured = state.config.iter().find(|(name, _)| name == function).map(|(_, value)| value.clone());
        (line, asked.or(configured))
    });
    if let Some(line) = line {
        log(Level::Info, "bystander", &line);
    }
    match how.as_deref() {
        Some("trap") => core::arch::wasm32::unreachable(),
        Some("loop") => loop {
            core::hint::black_box(0);
        },
        Some("grow") => {
            let mut kept = Vec::new();
            loop {
                kept.push(vec![1u8; 1 << 20]);
            }
        }
        Some("hang") => monotonic_clock::subscribe_duration(365 * 86_400 * 1_000_000_000).block(),
        Some("flood") => (0..100_000).for_each(|i| log(Level::Info, "flood", &format!("line {i} of a flood"))),
        Some("refuse") => return true,
        _ => {}
    }
    false
}

fn refusal(function: &str) -> Refusal {
    Refusal { status: 418, headers: vec![("x-refused-by".into(), b"bystander".to_vec())], reason: format!("{function} refuses") }
}

impl guard::Guest for Component {
    fn check(call: Call, head: Head) -> Result<Option<Identity>, Refusal> {
        if does("check", &format!("{} {}", call.run, head.path_with_query), &head.headers) {
            return Err(refusal("check"));
        }
        let user = head.headers.iter().find(|(name, _)| name == "x-user");
        Ok(user.map(|(_, value)| Identity { subject: String::from_utf8_lossy(value).into_owned(), claims: Vec::new() }))
    }
}

impl transform::Guest for Component {
    /// Takes out the header `x-secret`, adds `x-transformed`, and writes the body in capitals.
    fn request(call: Call, mut head: Head, body: Vec<u8>) -> Result<(Head, Vec<u8>), Refusal> {
        if does("request", &format!("{} {}", call.run, head.path_with_query), &head.headers) {
            return Err(refusal("request"));
        }
        head.headers.retain(|(name, _)| name != "x-secret");
        head.headers.push(("x-transformed".into(), b"yes".to_vec()));
        if let Some((path, _)) = head.path_with_query.split_once("?secret=") {
            head.path_with_query = path.to_owned();
        }
        Ok((head, body.to_ascii_uppercase()))
    }
}

impl respond::Guest for Component {
    fn head(call: Call, status: u16, mut headers: Vec<(String, Vec<u8>)>) -> (u16, Vec<(String, Vec<u8>)>) {
        does("head", &format!("{} {status}", call.run), &[]);
        headers.push(("x-bystander".into(), b"was here".to_vec()));
        (status, headers)
    }
}

impl tap::Guest for Component {
    fn lines(call: Call, batch: Vec<Line>) {
        for line in batch {
            does("lines", &format!("{} {} {}", call.run, line.origin, line.text), &[]);
        }
    }
}

impl observer::Guest for Component {
    fn ended(call: Call, ending: Ending, status: Option<u16>, _nanoseconds: u64) {
        does("ended", &format!("{} {ending:?} {}", call.run, status.unwrap_or(0)), &[]);
    }
}

impl lifecycle::Guest for Component {
    fn start(config: Vec<(String, String)>) -> Result<(), String> {
        STATE.with_borrow_mut(|state| {
            state.log = config.iter().any(|(name, value)| name == "log" && value == "true");
            state.instance = get_random_u64();
            state.config = config;
        });
        if does("start", "-", &[]) { Err("it was told to refuse".into()) } else { Ok(()) }
    }

    fn pause() {
        does("pause", "-", &[]);
    }

    fn resume() {
        does("resume", "-", &[]);
    }

    fn stop() {
        does("stop", "-", &[]);
    }
}

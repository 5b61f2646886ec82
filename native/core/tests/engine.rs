//! The engine's protocol, without Node: what was asked for happens, is answered once, and leaves nothing behind.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pilotlight_core::engine::{Engine, InstanceId, Place, Terms};
use pilotlight_core::events::Event;
use pilotlight_core::frame::{Deadlines, Frame, HttpFrame};
use pilotlight_core::outcome::{Limit, Outcome};
use pilotlight_core::program::ProgramSpec;
use pilotlight_core::settings::Settings;

/// The owner's side: events come in by condition variable instead of an event loop.
const LAST: Terms = Terms { last: true, traced: false };

struct Owner {
    engine: Engine,
    woken: Arc<(Mutex<bool>, Condvar)>,
    events: Vec<Event>,
}

impl Owner {
    fn start() -> Self {
        let woken = Arc::new((Mutex::new(false), Condvar::new()));
        let wake = {
            let woken = woken.clone();
            Box::new(move || {
                *woken.0.lock().unwrap() = true;
                woken.1.notify_all();
            })
        };
        let settings = Settings {
            cache: None,
            instances: 64,
            threads: 2,
            keep_resident_bytes: 1 << 20,
            on_demand: false,
            backtraces: false,
            key_value: Default::default(),
        };
        Self { engine: Engine::start(settings, wake).unwrap(), woken, events: Vec::new() }
    }

    /// Drains until `done` finds what it looks for in all events so far.
    fn until<T>(&mut self, what: &str, done: impl Fn(&[Event]) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            self.events.extend(self.engine.drain());
            if let Some(found) = done(&self.events) {
                return found;
            }
            let left = deadline.checked_duration_since(Instant::now()).unwrap_or_else(|| panic!("{what} did not come: {:?}", self.events));
            let guard = self.woken.0.lock().unwrap();
            let (mut guard, _) = self.woken.1.wait_timeout_while(guard, left.min(Duration::from_millis(200)), |woken| !*woken).unwrap();
            *guard = false;
        }
    }

    fn program(&mut self, guest: &str) -> u32 {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../guests/{guest}/{guest}.wasm"));
        self.engine.load(1, std::fs::read(path).unwrap());
        let description = self.until("loaded", |events| {
            events.iter().find_map(|event| match event {
                Event::Loaded { request: 1, result } => Some(result.clone().unwrap()),
                _ => None,
            })
        });
        let digest = serde_json::from_str::<serde_json::Value>(&description).unwrap()["digest"].as_str().unwrap().to_owned();
        self.engine.link(2, spec(&digest));
        self.until("linked", |events| {
            events.iter().find_map(|event| match event {
                Event::Linked { request: 2, result } => Some(result.clone().unwrap()),
                _ => None,
            })
        })
    }

    fn outcome(&mut self, run: u64) -> Outcome {
        self.until("settled", |events| {
            events.iter().find_map(|event| match event {
                Event::Settled { run: other, outcome, .. } if *other == run => Some(outcome.clone()),
                _ => None,
            })
        })
    }

    fn get(&mut self, id: InstanceId, program: u32, run: u64, target: &str) {
        self.engine.run(place(id, program), run, http("GET", target, None, false), deadlines(5_000), LAST);
    }

    /// The bytes of a run's answer so far.
    fn body(&self, run: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for event in &self.events {
            match event {
                Event::Head { run: other, body: Some(body), .. } if *other == run => bytes.extend_from_slice(body),
                Event::Chunk { run: other, bytes: chunk } if *other == run => bytes.extend_from_slice(chunk),
                _ => {}
            }
        }
        bytes
    }

    fn is_empty(&mut self) {
        self.until("rest", |events| {
            let made = events.iter().filter(|event| matches!(event, Event::Retired { .. })).count();
            (made > 0).then_some(())
        });
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let stats = self.engine.stats();
            if stats.instances == 0 && stats.runs == 0 && stats.guest_bytes == 0 && stats.asks == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "something is left: {stats:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn spec(digest: &str) -> ProgramSpec {
    serde_json::from_value(serde_json::json!({
        "digest": digest,
        "limits": {
            "memoryBytes": 16 << 20, "cpuMs": 300, "requestBodyBytes": 8 << 20, "responseBodyBytes": 64 << 20,
            "headerBytes": 64 << 10, "handles": 256, "logBytes": 4096, "valueBytes": 1 << 20,
        },
        "environment": [], "arguments": [], "directories": [], "config": [],
        "outbound": { "origins": [], "anyAddress": false, "connectMs": 100, "firstByteMs": 100, "betweenBytesMs": 100, "connections": 1 },
        "sockets": false, "stdio": "capture", "maxConcurrent": 1, "scripts": [],
    }))
    .unwrap()
}

fn http(method: &str, target: &str, body: Option<Bytes>, more: bool) -> Frame {
    Frame::Http(HttpFrame {
        method: method.into(),
        scheme: "http".into(),
        authority: "test".into(),
        target: target.into(),
        headers: b"accept\n*/*".to_vec(),
        body,
        more,
    })
}

fn deadlines(head_ms: u64) -> Deadlines {
    Deadlines { head: Duration::from_millis(head_ms), idle: Duration::from_secs(5), total: Duration::from_secs(10) }
}

fn id(slot: u32, generation: u32) -> InstanceId {
    InstanceId { slot, generation }
}

fn place(id: InstanceId, program: u32) -> Place {
    Place { id, program, cell: 0 }
}

#[test]
fn a_small_answer_is_one_event_and_its_run_settles_once() {
    for guest in ["hello-p2", "hello-p3"] {
        let mut owner = Owner::start();
        let program = owner.program(guest);
        for run in 1..=50 {
            owner.get(id(0, run as u32), program, run, "/");
            assert_eq!(owner.outcome(run), Outcome::Ok { exit: 0 });
            // The slot's next generation may be named only once this one is gone.
            owner.until("retired", |events| {
                events.iter().any(|event| matches!(event, Event::Retired { generation, .. } if u64::from(*generation) == run)).then_some(())
            });
            assert_eq!(owner.body(run), b"Hello, WASI!\n");
        }
        let settled = owner.events.iter().filter(|event| matches!(event, Event::Settled { .. })).count();
        assert_eq!(settled, 50, "{guest}");
        owner.is_empty();
    }
}

#[test]
fn a_prepared_instance_takes_a_run_and_a_stale_name_is_refused() {
    let mut owner = Owner::start();
    let program = owner.program("hello-p2");
    owner.engine.prepare(place(id(3, 7), program), None);
    owner.until("ready", |events| events.iter().any(|event| matches!(event, Event::Ready { slot: 3, generation: 7, .. })).then_some(()));
    owner.get(id(3, 6), program, 1, "/");
    owner.until("refusal", |events| events.iter().any(|event| matches!(event, Event::LeaseRefused { run: 1, .. })).then_some(()));
    owner.get(id(3, 7), program, 2, "/");
    assert_eq!(owner.outcome(2), Outcome::Ok { exit: 0 });
    owner.until("retired", |events| events.iter().any(|event| matches!(event, Event::Retired { slot: 3, generation: 7 })).then_some(()));
    // The slot is empty now, and its old name raises nothing from the dead.
    owner.get(id(3, 7), program, 3, "/");
    owner.until("refusal", |events| events.iter().any(|event| matches!(event, Event::LeaseRefused { run: 3, .. })).then_some(()));
    owner.is_empty();
}

#[test]
fn bodies_stream_both_ways_by_credit() {
    for guest in ["echo-p2", "echo-p3"] {
        let mut owner = Owner::start();
        let program = owner.program(guest);
        owner.engine.run(place(id(0, 1), program), 1, http("POST", "/", None, true), deadlines(5_000), LAST);
        let piece = Bytes::from(vec![b'x'; 64 * 1024]);
        let (mut sent, mut credited) = (0u64, 0usize);
        const TOTAL: u64 = 4 << 20;
        while sent < TOTAL {
            let wanted = owner.until("credit", |events| {
                let wanted: u64 = events.iter().map(|event| if let Event::NeedInput { bytes, .. } = event { *bytes } else { 0 }).sum();
                (wanted > sent).then_some(wanted)
            });
            while sent < wanted.min(TOTAL) {
                let bytes = piece.slice(..piece.len().min((wanted - sent) as usize));
                sent += bytes.len() as u64;
                owner.engine.chunk(1, bytes);
            }
            let got = owner.body(1).len();
            owner.engine.credit(1, (got - credited) as u64);
            credited = got;
        }
        owner.engine.end(1, None);
        loop {
            let got = owner.until("more", |events| {
                let over = events.iter().any(|event| matches!(event, Event::Settled { .. }));
                (over || events.len() > credited / (64 * 1024)).then_some(over)
            });
            let bytes = owner.body(1).len();
            owner.engine.credit(1, (bytes - credited) as u64);
            credited = bytes;
            if got {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(owner.outcome(1), Outcome::Ok { exit: 0 });
        assert_eq!(owner.body(1).len() as u64, sent, "{guest}");
        owner.is_empty();
    }
}

#[test]
fn whatever_a_guest_does_ends_with_the_right_blame() {
    for guest in ["behave-p2", "behave-p3"] {
        let mut owner = Owner::start();
        let program = owner.program(guest);
        type Expected = (&'static str, fn(&Outcome) -> bool);
        let expected: [Expected; 6] = [
            ("/trap", |outcome| matches!(outcome, Outcome::Trap { .. })),
            ("/loop", |outcome| matches!(outcome, Outcome::Limit { limit: Limit::Cpu, .. })),
            ("/memory", |outcome| matches!(outcome, Outcome::Limit { limit: Limit::Memory, allowed: 16_777_216, .. })),
            ("/hang", |outcome| matches!(outcome, Outcome::Limit { limit: Limit::HeadTime, .. })),
            ("/none", |outcome| matches!(outcome, Outcome::GuestError { code: "no-answer", .. })),
            ("/error", |outcome| matches!(outcome, Outcome::GuestError { code: "error-code", .. })),
        ];
        for (run, (target, fits)) in (1..).zip(expected) {
            // Only the one that waits is to run into its deadline; on a busy machine CPU time passes slowly.
            let head = if target == "/hang" { 1_000 } else { 15_000 };
            let deadlines = Deadlines { total: Duration::from_secs(20), ..deadlines(head) };
            owner.engine.run(place(id(run as u32, 1), program), run, http("GET", target, None, false), deadlines, LAST);
            let outcome = owner.outcome(run);
            assert!(fits(&outcome), "{guest} {target}: {outcome:?}");
        }
        owner.is_empty();
    }
}

#[test]
fn a_cancelled_run_settles_as_cancelled_and_a_closed_engine_ends_all() {
    let mut owner = Owner::start();
    let program = owner.program("behave-p3");
    owner.get(id(0, 1), program, 1, "/hang");
    owner.get(id(1, 1), program, 2, "/loop");
    owner.engine.cancel(1);
    assert_eq!(owner.outcome(1), Outcome::Cancelled);
    owner.get(id(2, 1), program, 3, "/hang");
    owner.engine.close();
    for run in [2, 3] {
        assert!(matches!(owner.outcome(run), Outcome::Platform { code: "closing", .. }));
    }
    owner.until("closed", |events| events.iter().any(|event| matches!(event, Event::Closed)).then_some(()));
    owner.is_empty();
}

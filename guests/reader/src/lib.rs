//! Reads what its path says, and answers what it read: a guest for tests of what a run depends on. The paths are told in
//! `guests/README.md`. The first thing that each run does is to leave a line `ran …` on stdout.

wit_bindgen::generate!({
    path: [
        "../../wit/wasi/0.2.12/io.wit",
        "../../wit/wasi/0.2.12/clocks.wit",
        "../../wit/wasi/0.2.12/random.wit",
        "../../wit/wasi/0.2.12/filesystem.wit",
        "../../wit/wasi/0.2.12/sockets.wit",
        "../../wit/wasi/0.2.12/cli.wit",
        "../../wit/wasi/0.2.12/http.wit",
        "../../wit/wasi/draft/config.wit",
        "../../wit/wasi/draft/keyvalue-draft2.wit",
        "../../wit/pilotlight/memo.wit",
        "../../wit/pilotlight/task.wit",
        "../shared/memo.wit",
        "world.wit",
    ],
    world: "test:reader/guest",
    generate_all,
});

mod kv;
mod outside;
#[path = "../../shared/ran.rs"]
mod ran;
#[path = "../../shared/web.rs"]
mod web;

use exports::demo::memo::lookup;
use pilotlight::memo::depend;
use pilotlight::task::identity;
use ran::ran;
use wasi::cli::environment::get_environment;
use wasi::clocks::{monotonic_clock, wall_clock};
use wasi::http::types::{IncomingRequest, Method, ResponseOutparam};
use wasi::random::{insecure, insecure_seed, random};
use web::{Answer, Target, answer};

struct Component;
export!(Component);

/// What to answer with status 200, or another status and what to say with it.
type Said = Result<Vec<u8>, (u16, String)>;

fn said(text: impl Into<String>) -> Said {
    Ok(text.into().into_bytes())
}

/// A value, or `!` where there is none.
fn value(found: Option<impl Into<Vec<u8>>>) -> Said {
    Ok(found.map_or_else(|| b"!".to_vec(), Into::into))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wait(ms: u64) {
    monotonic_clock::subscribe_duration(ms * 1_000_000).block();
}

impl exports::wasi::http::incoming_handler::Guest for Component {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = Target::of(&request);
        ran(&target.text);
        let said = match target.path.as_str() {
            "/headers" => return answer(out, 200, &target.query, b"ok"),
            "/status" => {
                let code = target.number("code", 200);
                return answer(out, code as u16, &[], format!("status {code}").as_bytes());
            }
            "/big" => return big(out, target.number("bytes", 65536) as usize),
            "/cut" => {
                let answer = Answer::head(out, 200, &[]);
                answer.write(b"some of the body\n");
                answer.flush();
                // Without it the host knows of the trap before the head has gone out.
                wait(target.number("ms", 50));
                core::arch::wasm32::unreachable()
            }
            "/trap" => core::arch::wasm32::unreachable(),
            "/echo" => echo(request, &target),
            _ => does(&target),
        };
        match said {
            Ok(body) => answer(out, 200, &[], &body),
            Err((status, why)) => answer(out, status, &[], why.as_bytes()),
        }
    }
}

fn does(target: &Target) -> Said {
    match target.path.as_str() {
        "/" => said("hello"),
        "/get" => kv::get(target),
        "/exists" => kv::exists(target),
        "/list" => kv::list(target),
        "/many" => kv::many(target),
        "/set" => kv::set(target),
        "/get-set" => kv::get_set(target),
        "/increment" => kv::increment(target),
        "/clock" => said(wall_clock::now().seconds.to_string()),
        "/monotonic" => {
            monotonic_clock::now();
            said("ok")
        }
        "/random" => said(hex(&random::get_random_bytes(8))),
        "/insecure-random" => said(hex(&insecure::get_insecure_random_bytes(8))),
        "/seed" => {
            insecure_seed::insecure_seed();
            said("ok")
        }
        "/config" => match wasi::config::store::get(target.get("key")) {
            Ok(found) => value(found),
            Err(error) => Err((500, format!("{error:?}"))),
        },
        "/env" => value(get_environment().into_iter().find(|(name, _)| name == target.get("name")).map(|(_, value)| value)),
        "/file" => value(outside::file(target.get("path"))),
        "/files" => value(outside::files()),
        "/out" => outside::get(target),
        "/post" => outside::post(target),
        "/depend" => {
            depend::on(target.get("resource"), target.get("state"));
            said("ok")
        }
        "/who" => said(identity::caller().map_or_else(|| "nobody".to_owned(), |caller| caller.subject)),
        "/sleep" => {
            wait(target.number("ms", 0));
            said("slept")
        }
        "/spin" => said(spun(target.number("rounds", 1_000_000)).to_string()),
        _ => Err((404, "no such path".to_owned())),
    }
}

fn echo(request: IncomingRequest, target: &Target) -> Said {
    let method = match request.method() {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(ref name) => name,
    }
    .to_owned();
    let headers = request.headers().entries();
    let mut headers: Vec<_> = headers.into_iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(&value))).collect();
    headers.sort();
    let mut out = format!("{method}\n{}\n{}\n", target.text, headers.concat()).into_bytes();
    if let Ok(body) = request.consume() {
        out.extend(outside::rest_of(&body));
    }
    Ok(out)
}

/// Letters, in pieces.
fn big(out: ResponseOutparam, bytes: usize) {
    const LETTERS: usize = 26;
    let piece: Vec<u8> = (b'a'..=b'z').cycle().take(LETTERS * 157).collect();
    let answer = Answer::head(out, 200, &[]);
    let mut left = bytes;
    while left > 0 && answer.write(&piece[..left.min(piece.len())]) {
        left -= left.min(piece.len());
    }
    answer.end();
}

/// Marsaglia's xorshift of 32 bits, so many times from 1.
fn spun(rounds: u64) -> u32 {
    (0..rounds).fold(1, |mut x, _| {
        x ^= x << 13;
        x ^= x >> 17;
        x ^ x << 5
    })
}

impl lookup::Guest for Component {
    fn get(key: String) -> Option<String> {
        ran(&format!("get {key}"));
        kv::look_up(&key)
    }

    fn put(key: String, value: String) {
        ran(&format!("put {key}"));
        kv::put(&key, &value);
    }

    fn now() -> u64 {
        ran("now");
        wall_clock::now().seconds
    }
}

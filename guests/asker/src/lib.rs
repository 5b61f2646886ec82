//! Asks `demo:memo/lookup`, which somebody else provides: `/get?keys=a,b` answers a line `key=value`, or `key!`, for each key,
//! `/put?key=&value=` and `/now` do as they say. With `&own=k` the answer begins with what its own store `default` has for that key.

wit_bindgen::generate!({
    path: [
        "../../wit/wasi/0.2.12/io.wit",
        "../../wit/wasi/0.2.12/clocks.wit",
        "../../wit/wasi/0.2.12/random.wit",
        "../../wit/wasi/0.2.12/filesystem.wit",
        "../../wit/wasi/0.2.12/sockets.wit",
        "../../wit/wasi/0.2.12/cli.wit",
        "../../wit/wasi/0.2.12/http.wit",
        "../../wit/wasi/draft/keyvalue-draft2.wit",
        "../shared/memo.wit",
        "world.wit",
    ],
    world: "test:asker/guest",
    generate_all,
});

#[path = "../../shared/ran.rs"]
mod ran;
#[expect(dead_code, reason = "made for guests that do more")]
#[path = "../../shared/web.rs"]
mod web;

use demo::memo::lookup;
use ran::ran;
use wasi::http::types::{IncomingRequest, ResponseOutparam};
use wasi::keyvalue::store;
use web::{Target, answer};

struct Component;
export!(Component);

/// The value of its own, a line of its own; `!` where there is none.
fn own(key: &str) -> String {
    match store::open("default").and_then(|bucket| bucket.get(key)) {
        Ok(Some(value)) => format!("{}\n", String::from_utf8_lossy(&value)),
        Ok(None) => "!\n".to_owned(),
        Err(_) => core::arch::wasm32::unreachable(),
    }
}

impl exports::wasi::http::incoming_handler::Guest for Component {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = Target::of(&request);
        ran(&target.text);
        let mut said = target.find("own").map(own).unwrap_or_default();
        match target.path.as_str() {
            "/get" => {
                for key in target.list("keys") {
                    said += &lookup::get(key).map_or_else(|| format!("{key}!\n"), |value| format!("{key}={value}\n"));
                }
            }
            "/put" => {
                lookup::put(target.get("key"), target.get("value"));
                said += "ok";
            }
            "/now" => said += &lookup::now().to_string(),
            _ => return answer(out, 404, &[], b"no such path"),
        }
        answer(out, 200, &[], said.as_bytes());
    }
}

impl exports::demo::memo::ask::Guest for Component {
    fn get(key: String) -> Option<String> {
        ran(&format!("get {key}"));
        lookup::get(&key)
    }
}

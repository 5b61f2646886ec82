//! `/?words=a,b,a` answers how often each word is there: `{"a": 2, "b": 1}`. Each run leaves `ran PATH` on stdout.
//!
//! Nothing in it knows of records, and its answer is the same for the same words; but `HashMap` takes the seed of its hasher from
//! `wasi:random/insecure-seed`, as it does in any function in Rust.

wit_bindgen::generate!({
    path: [
        "../../wit/wasi/0.2.12/io.wit",
        "../../wit/wasi/0.2.12/clocks.wit",
        "../../wit/wasi/0.2.12/random.wit",
        "../../wit/wasi/0.2.12/filesystem.wit",
        "../../wit/wasi/0.2.12/sockets.wit",
        "../../wit/wasi/0.2.12/cli.wit",
        "../../wit/wasi/0.2.12/http.wit",
        "world.wit",
    ],
    world: "test:hashmap/guest",
    generate_all,
});

#[expect(dead_code, reason = "made for guests that do more")]
#[path = "../../shared/web.rs"]
mod web;

use std::collections::HashMap;

use wasi::http::types::{IncomingRequest, ResponseOutparam};
use web::{Target, answer};

struct Component;
export!(Component);

impl exports::wasi::http::incoming_handler::Guest for Component {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = Target::of(&request);
        println!("ran {}", target.text);
        let mut counts = HashMap::new();
        for word in target.list("words") {
            *counts.entry(word).or_insert(0) += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort();
        let pairs: Vec<_> = counts.into_iter().map(|(word, count)| format!("\"{word}\": {count}")).collect();
        answer(out, 200, &[], format!("{{{}}}\n", pairs.join(", ")).as_bytes());
    }
}

/**
 * A node with three unlike providers of one capability, which are called by the rule of its argument; for `bench/dispatch`.
 *
 * Each line on stdin is the seed of a block of calls, the same for every rule; the answer is their times as JSON. A rule is a
 * provider's name (always that one), `ours` (by capability), or `oracle` (whichever is cheapest by what was measured of all
 * three before, and by whether it has an instance ready at that moment). Plain JavaScript over `dist`.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "@bytecodealliance/jco";
import { Runtime } from "../../dist/runtime.js";

const CAPABILITY = "bench:digest/digest@1.0.0";
/**
 * Rounds of arithmetic when an instance is made, in each call, and for each byte: what they are good at differs. The one that is
 * slow to start is kept ready, and its instances take so many calls.
 */
const PROVIDERS = {
  lean: { start: 0, call: 0, byte: 2000 },
  table: { start: 5_000_000, call: 600_000, byte: 50, ready: 1, uses: 20 },
  even: { start: 0, call: 200_000, byte: 700 },
};
/** Bytes of the arguments, few and many. */
const SIZES = [16, 2048];
const CALLS = 2000;
const AT_ONCE = 2;

/** @param {{ start: number, call: number, byte: number }} rounds */
const component = ({ start, call, byte }) =>
  parse(`(component
  (core module $m
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 64))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (global.get $next))
    (func $work (param $rounds i32) (result i64)
      (local $x i64)
      (local.set $x (i64.const 88172645463325252))
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $rounds)))
        (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
        (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
        (br $next)))
      (local.get $x))
    (func $begin (drop (call $work (i32.const ${start}))))
    (start $begin)
    (func (export "digest") (param i32 i32) (result i64)
      (call $work (i32.add (i32.const ${call}) (i32.mul (local.get 1) (i32.const ${byte}))))))
  (core instance $i (instantiate $m))
  (func $digest (param "data" (list u8)) (result u64)
    (canon lift (core func $i "digest") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (instance $out (export "digest" (func $digest)))
  (export "${CAPABILITY}" (instance $out)))`);

const runtime = new Runtime({});
for (const [name, rounds] of Object.entries(PROVIDERS)) {
  const kept = "ready" in rounds ? { capacity: { ready: rounds.ready }, reuse: { maxRequests: rounds.uses } } : {};
  await runtime.deploy({ manifest: { name, provides: [CAPABILITY], ...kept }, component: await component(rounds) });
}
const data = SIZES.map((bytes) => Buffer.alloc(bytes, 7).toString("base64"));

/** @param {string} name @param {number} size */
const named = (name, size) => runtime.call(name, `${CAPABILITY}#digest`, [data[size]]);

/** @typedef {{ name: string, times: number[] }} Measured */

/** What each takes with an instance ready, and no other call beside it. @returns {Promise<Measured[]>} */
async function calibrate() {
  const measured = [];
  for (const name of Object.keys(PROVIDERS)) {
    const times = [];
    for (const size of SIZES.keys()) {
      const all = [];
      for (let i = 0; i < 60; i++) {
        await sleep(8);
        const begin = performance.now();
        await named(name, size);
        all.push(performance.now() - begin);
      }
      times.push(all.sort((a, b) => a - b)[30] ?? 0);
    }
    measured.push({ name, times });
  }
  return measured;
}

/** @param {readonly Measured[]} measured @param {number} size */
function cheapest(measured, size) {
  const { items } = runtime.control.capabilities(runtime.operator, "default", { limit: 10 });
  const starts = new Map(items.map(({ task, versions }) => [task, versions[0]?.now]));
  let [best, least] = ["", Number.POSITIVE_INFINITY];
  for (const { name, times } of measured) {
    const now = starts.get(name);
    const cost = (times[size] ?? 0) + (now === undefined || now.rung.endsWith("/ready") ? 0 : now.startMs);
    if (cost < least) [best, least] = [name, cost];
  }
  return best;
}

/** mulberry32 @param {number} seed */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bursts with pauses between them; what share of the arguments is large changes every 500 calls. @param {number} seed */
async function block(seed) {
  const chance = random(seed);
  /** @type {number[]} */
  const times = [];
  let share = 0.5;
  for (let done = 0; done < CALLS;) {
    if (done % 500 < 40) share = [0.1, 0.5, 0.9][Math.floor(chance() * 3)] ?? 0.5;
    const sizes = Array.from({ length: Math.min(CALLS - done, 20 + Math.floor(chance() * 20)) }, () => (chance() < share ? 1 : 0));
    done += sizes.length;
    const pause = 2 + chance() * 8;
    const one = async () => {
      for (let size = sizes.pop(); size !== undefined; size = sizes.pop()) {
        const begin = performance.now();
        await take(size);
        times.push(performance.now() - begin);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    await sleep(pause);
  }
  return times;
}

const [rule = "ours"] = process.argv.slice(2);
const measured = rule === "oracle" ? await calibrate() : [];
/** @param {number} size */
const take = (size) =>
  rule === "ours" ? runtime.call(CAPABILITY, "digest", [data[size]]) : named(rule === "oracle" ? cheapest(measured, size) : rule, size);

process.stderr.write(`node on http://127.0.0.1:0/\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const times = (await block(Number(line))).sort((a, b) => a - b);
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  process.stdout.write(`${JSON.stringify({ calls: times.length, mean, p99: times[Math.floor(times.length * 0.99)] })}\n`);
}
await runtime.close();

/** Calls of one guest by another, as the engine has them: whoever owns it finds the instances, and nothing else. */
import { parse } from "@bytecodealliance/jco";
import { describe, expect, it } from "vitest";
import type { EngineEvent, ProgramId } from "../../src/engine/engine.js";
import { call, useEngine, type Terms, type TestRun } from "../support/engine.js";

const engine = useEngine();
const CALC = "demo:math/calc";
const RELAY = "demo:app/relay";
const FOR_RUN = Number.POSITIVE_INFINITY;

type Called = Extract<EngineEvent, { kind: "call" }>;

interface Service {
  readonly callee?: ProgramId;
  readonly keep?: number;
  readonly head?: number;
}

/** A guest that imports calc, and whatever it is to call with it. */
async function caller(name: string | Uint8Array, func: string, args: unknown, terms: Terms = {}): Promise<TestRun> {
  return engine.run(await engine.link(name, { calls: [CALC], ...terms }), call(RELAY, func, args));
}

/** Gives an instance to each call that the run makes, until it is over. The runs that served them, in order. */
async function serve(run: TestRun, { callee, keep = 0, head = 10_000 }: Service = {}): Promise<TestRun[]> {
  const program = callee ?? (await engine.program("calc"));
  const served: TestRun[] = [];
  const calls = (): Called[] => run.events.filter((event) => event.kind === "call");
  for (;;) {
    await engine.until(() => calls().length > served.length || run.over !== undefined);
    const next = calls()[served.length];
    if (next === undefined) break;
    const frame = { kind: "linked", call: next.call, interface: CALC, function: next.function, keep } as const;
    served.push(engine.run(program, frame, { deadlines: { head } }));
  }
  await Promise.all(served.map(({ ended }) => ended));
  return served;
}

function resultOf(run: TestRun): unknown {
  return JSON.parse((run.events.find((event) => event.kind === "result") as { json: string }).json);
}

describe("a call of another guest", () => {
  it("tells the owner what is called and how large its arguments are, and goes to the instance that it names", async () => {
    const run = await caller("relay", "add", [20, 22]);
    const [served] = await serve(run);
    expect(resultOf(run)).toBe(42);
    expect(run.events[0]).toMatchObject({ kind: "call", target: CALC, function: "add", bytes: expect.any(Number) });
    expect(served?.kinds()).toEqual(["settled"]);
    expect(served?.events[0]).toMatchObject({ began: true, outcome: { kind: "ok" }, usage: { calls: 1 } });
  });

  it("that is refused ends its caller as a failed call", async () => {
    const run = await caller("relay", "add", [1, 2]);
    const { call: waiting } = await run.first("call");
    engine.send({ kind: "refuse-call", call: waiting, message: "nobody is at home" });
    expect(await run.outcome()).toEqual({ kind: "guest-error", code: "call-failed", message: `${CALC}#add: nobody is at home` });
  });

  it("that is refused is the function's error where its type can say so", async () => {
    const run = await caller("relay", "divide", [7, 2]);
    const { call: waiting } = await run.first("call");
    engine.send({ kind: "refuse-call", call: waiting, message: "nobody is at home" });
    await run.ended;
    expect(resultOf(run)).toEqual({ tag: "err", val: "nobody is at home" });
  });

  it("whose caller has gone does not begin", async () => {
    const run = await caller("relay", "add", [1, 2]);
    const { call: waiting } = await run.first("call");
    run.cancel();
    await run.ended;
    const frame = { kind: "linked", call: waiting, interface: CALC, function: "add", keep: 0 } as const;
    const late = engine.run(await engine.program("calc"), frame);
    expect(await late.outcome()).toEqual({ kind: "cancelled" });
    expect(late.events.at(-1)).toMatchObject({ began: false });
  });

  it("goes on when its caller dies meanwhile", async () => {
    const run = engine.run(await engine.link(await spinning(), { calls: [CALC] }), call(RELAY, "add", [400_000_000, 0]));
    const { call: waiting } = await run.first("call");
    const frame = { kind: "linked", call: waiting, interface: "slow", function: "add", keep: FOR_RUN } as const;
    const served = engine.run(await engine.link(await slow()), frame);
    await engine.gauges(({ instances }) => instances === 2);
    run.cancel();
    expect((await run.ended).outcome).toEqual({ kind: "cancelled" });
    expect(served.over).toBeUndefined();
    expect((await served.ended).outcome).toEqual({ kind: "ok", exit: 0 });
  });

  it("has its callee's limits: a loop there is the callee's, and its caller hears of it", async () => {
    const run = await caller(await spinning(), "add", [4_000_000_000, 0]);
    const { call: waiting } = await run.first("call");
    const frame = { kind: "linked", call: waiting, interface: "slow", function: "add", keep: 0 } as const;
    const served = engine.run(await engine.link(await slow(), { limits: { cpuMs: 50 } }), frame);
    expect((await served.ended).outcome).toMatchObject({ kind: "limit", limit: "cpu", allowed: 50 });
    expect((await run.ended).outcome).toMatchObject({ kind: "guest-error", code: "call-failed" });
  });

  it("with larger arguments than its caller may lift, or a larger result than its callee may, is a limit of that one", async () => {
    const arguments_ = await caller("relay", "many", [1], { limits: { valueBytes: 60 } });
    expect(await arguments_.outcome()).toMatchObject({ kind: "limit", limit: "values", allowed: 60 });
    const run = await caller("relay", "add", [1, 2]);
    const [served] = await serve(run, { callee: await engine.link("calc", { limits: { valueBytes: 32 } }) });
    expect((await served?.ended)?.outcome).toMatchObject({ kind: "limit", limit: "values", allowed: 32 });
    expect(await run.outcome()).toMatchObject({ kind: "guest-error", code: "call-failed" });
  });

  it("of a function that the callee has not, or not of that type, does not begin and waits for another", async () => {
    const run = await caller(await importing("u32", "u32", "u64"), "add", [20, 22]);
    const { call: waiting } = await run.first("call");
    const calc = await engine.program("calc");
    const frame = { kind: "linked", call: waiting, interface: CALC, function: "add", keep: 0 } as const;
    const wrong = engine.run(calc, frame);
    expect(await wrong.outcome()).toEqual({
      kind: "refused",
      code: "invalid-argument",
      message: `${CALC}#add gives other types than its caller takes`,
    });
    expect(wrong.events.at(-1)).toMatchObject({ began: false });
    const none = engine.run(calc, { ...frame, function: "subtract" });
    expect(await none.outcome()).toMatchObject({ kind: "refused", code: "no-function" });
    engine.send({ kind: "refuse-call", call: waiting, message: "nobody can" });
    expect(await run.outcome()).toMatchObject({ message: `${CALC}#add: nobody can` });
  });

  it("is compared by type, not by value: an empty list of texts is none of numbers", async () => {
    const run = await caller(await importing("u32", "(list string)", "u32"), "add", [1, []]);
    const { call: waiting } = await run.first("call");
    const callee = await engine.link(await exporting("(list u32)"));
    const served = engine.run(callee, { kind: "linked", call: waiting, interface: CALC, function: "add", keep: 0 });
    expect(await served.outcome()).toMatchObject({ message: `${CALC}#add takes other types than its caller gives` });
    engine.send({ kind: "refuse-call", call: waiting, message: "no" });
    await run.ended;
  });
});

describe("an instance that stays with its caller's run", () => {
  it("takes every further call of the interface, and the owner hears of none", async () => {
    const run = await caller("relay", "many", [1000]);
    const [served, ...others] = await serve(run, { keep: FOR_RUN });
    expect(resultOf(run)).toBe(1000);
    expect(others).toEqual([]);
    const { usage, outcome } = (await served?.ended) ?? {};
    expect(outcome).toEqual({ kind: "ok", exit: 0 });
    expect(usage?.calls).toBe(1000);
    expect(usage?.serviceNanoseconds).toBeGreaterThan(0);
    expect(usage?.serviceNanoseconds).toBeLessThanOrEqual(usage?.runNanoseconds ?? 0);
  });

  it("without that takes one alone", async () => {
    const run = await caller("relay", "many", [3]);
    expect(await serve(run)).toHaveLength(3);
    expect(resultOf(run)).toBe(3);
  });

  it("for a time takes calls until that is over; then the owner is asked anew", async () => {
    const run = await caller("relay", "many", [200_000]);
    const served = await serve(run, { keep: 20 });
    expect(resultOf(run)).toBe(200_000);
    expect(served.length).toBeGreaterThan(1);
    expect(served.length).toBeLessThan(20_000);
  });

  it("that traps fails the call that it has, and the next one finds another", async () => {
    const run = engine.run(await engine.link(await trapping(), { calls: [CALC] }), call(RELAY, "add", [0, 3]));
    const served = await serve(run, { keep: FOR_RUN, callee: await engine.link(await fragile()) });
    expect(resultOf(run)).toBe(2);
    expect(await Promise.all(served.map(({ ended }) => ended.then(({ outcome }) => outcome.kind)))).toEqual(["trap", "ok"]);
  });

  it("is let go when the owner wants its room, and when its caller leaves it alone", async () => {
    for (const release of [true, false]) {
      const run = engine.run(await engine.link(await waiting(), { calls: [CALC], scripts: ["wait"] }), call(RELAY, "add", [1, 2]));
      const called = await run.first("call");
      const frame = { kind: "linked", call: called.call, interface: CALC, function: "add", keep: FOR_RUN } as const;
      const served = engine.run(await engine.program("calc"), frame);
      const { ask } = await run.first("ask");
      expect(served.over).toBeUndefined();
      if (release) engine.send({ kind: "release", run: run.handle });
      expect((await served.ended).outcome).toEqual({ kind: "ok", exit: 0 });
      expect(run.over).toBeUndefined();
      engine.send({ kind: "answer", ask, ok: "[]", error: undefined });
      await run.ended;
    }
  });

  it("has the limits of each call, not of all of them: CPU and the time for an answer", async () => {
    const run = await caller("relay", "many", [60_000]);
    const callee = await engine.link("calc", { limits: { cpuMs: 40 } });
    const [served] = await serve(run, { keep: FOR_RUN, callee, head: 60 });
    expect(resultOf(run)).toBe(60_000);
    const { usage } = (await served?.ended) ?? {};
    expect(usage?.runNanoseconds).toBeGreaterThan(60e6);
    expect(usage?.cpuNanoseconds).toBeGreaterThan(40e6);
  });

  it("ends with its caller's run, whichever way that ends", async () => {
    const run = engine.run(await engine.link(await waiting(), { calls: [CALC], scripts: ["wait"] }), call(RELAY, "add", [1, 2]));
    const called = await run.first("call");
    const frame = { kind: "linked", call: called.call, interface: CALC, function: "add", keep: FOR_RUN } as const;
    const served = engine.run(await engine.program("calc"), frame);
    await run.first("ask");
    run.cancel();
    expect((await run.ended).outcome).toEqual({ kind: "cancelled" });
    expect((await served.ended).outcome).toEqual({ kind: "ok", exit: 0 });
  });
});

describe("an async function of another guest", () => {
  it("is called as any, by a plain lowering", async () => {
    const run = await caller(await importing("u32", "u32", "u32", "async"), "add", [20, 22]);
    await serve(run);
    expect(resultOf(run)).toBe(42);
  });

  it("may be served by one that is async itself, and works on after it has returned", async () => {
    const run = await caller(await importing("u32", "u32", "u32", "async"), "add", [20, 22]);
    const [served] = await serve(run, { callee: await engine.link(await asyncCalc()), keep: FOR_RUN });
    expect(resultOf(run)).toBe(42);
    expect((await served?.ended)?.outcome).toEqual({ kind: "ok", exit: 0 });
  });

  it("may be called twice at once: each call has an instance of its own, and they wait for the next ones together", async () => {
    const run = await caller(await together(), "add", [10, 20]);
    const calls = (): Called[] => run.events.filter((event) => event.kind === "call");
    await engine.until(() => calls().length === 2);
    const frames = calls().map(
      ({ call: number }) => ({ kind: "linked", call: number, interface: CALC, function: "add", keep: FOR_RUN }) as const,
    );
    // The second is answered first.
    const calc = await engine.program("calc");
    const second = engine.run(calc, frames[1] as (typeof frames)[number]);
    const first = engine.run(calc, frames[0] as (typeof frames)[number]);
    await run.ended;
    expect(resultOf(run)).toBe(33);
    expect((await Promise.all([first.ended, second.ended])).map(({ usage }) => usage.calls)).toEqual([1, 1]);
  });

  it("that is refused ends its caller, with the other call still on its way", async () => {
    const run = await caller(await together(), "add", [10, 20]);
    const calls = (): Called[] => run.events.filter((event) => event.kind === "call");
    await engine.until(() => calls().length === 2);
    engine.send({ kind: "refuse-call", call: (calls()[0] as Called).call, message: "no" });
    expect(await run.outcome()).toMatchObject({ kind: "guest-error", code: "call-failed" });
    const frame = { kind: "linked", call: (calls()[1] as Called).call, interface: CALC, function: "add", keep: 0 } as const;
    expect(await engine.run(await engine.program("calc"), frame).outcome()).toEqual({ kind: "cancelled" });
  });
});

/** A calc whose `add` is lifted async: it returns its sum as a task does, and yields once more before it ends. */
function asyncCalc(): Promise<Uint8Array> {
  return component(`
    (core func $return (canon task.return (result u32)))
    (core func $yield (canon thread.yield))
    (core module $m
      (import "task" "return" (func $return (param i32)))
      (import "task" "yield" (func $yield (result i32)))
      (func (export "add") (param i32 i32)
        (call $return (i32.add (local.get 0) (local.get 1)))
        (drop (call $yield))))
    (core instance $i (instantiate $m (with "task" (instance (export "return" (func $return)) (export "yield" (func $yield))))))
    (func $out async (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add") async))
    (instance $o (export "add" (func $out)))
    (export "${CALC}" (instance $o))`);
}

/** Passes `add` on to a calc of these types. */
function importing(a: string, b: string, result: string, async: "async" | "" = ""): Promise<Uint8Array> {
  const type = `(func ${async} (param "a" ${a}) (param "b" ${b}) (result ${result}))`;
  const flat = [a, b].map((type_) => (type_.startsWith("(list") ? "i32 i32" : core(type_))).join(" ");
  const count = flat.split(" ").length;
  const gets = Array.from({ length: count }, (_, i) => `(local.get ${i})`).join(" ");
  return component(`
    (import "${CALC}" (instance $calc (export "add" ${type})))
    ${MEMORY}
    (core func $add (canon lower (func $calc "add") (memory $bytes) (realloc $realloc)))
    (core module $m
      (import "calc" "add" (func $add (param ${flat}) (result ${core(result)})))
      (func (export "add") (param ${flat}) (result ${core(result)}) (call $add ${gets})))
    (core instance $i (instantiate $m (with "calc" (instance (export "add" (func $add))))))
    (func $out ${async} (param "a" ${a}) (param "b" ${b}) (result ${result})
      (canon lift (core func $i "add") (memory $bytes) (realloc $realloc)))
    (instance $o (export "add" (func $out)))
    (export "${RELAY}" (instance $o))`);
}

/** A calc whose `add` has a list for its second parameter. */
function exporting(b: string): Promise<Uint8Array> {
  return component(`
    ${MEMORY}
    (core module $m (func (export "add") (param i32 i32 i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m))
    (func $out (param "a" u32) (param "b" ${b}) (result u32) (canon lift (core func $i "add") (memory $bytes) (realloc $realloc)))
    (instance $o (export "add" (func $out)))
    (export "${CALC}" (instance $o))`);
}

/** `add` of the plain types, passed on. */
function spinning(): Promise<Uint8Array> {
  return importing("u32", "u32", "u32");
}

/** `add` counts down its first argument before it answers; the interface is `slow`. */
function slow(): Promise<Uint8Array> {
  return component(`
    (core module $m
      (func (export "add") (param i32 i32) (result i32)
        (block $done (loop $next
          (br_if $done (i32.eqz (local.get 0)))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (br $next)))
        (local.get 1)))
    (core instance $i (instantiate $m))
    (func $out (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (instance $o (export "add" (func $out)))
    (export "slow" (instance $o))`);
}

/** Calls `check` three times over, whose error it counts, and gives the number of calls that went well. */
function trapping(): Promise<Uint8Array> {
  return component(`
    (import "${CALC}" (instance $calc (export "add" (func (param "a" u32) (result (result u32 (error string)))))))
    ${MEMORY}
    (core func $add (canon lower (func $calc "add") (memory $bytes) (realloc $realloc)))
    (core module $m
      (import "calc" "add" (func $add (param i32 i32)))
      (import "memory" "memory" (memory 1))
      (func (export "add") (param $from i32) (param $to i32) (result i32)
        (local $well i32)
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $from) (local.get $to)))
          (call $add (local.get $from) (i32.const 0))
          (if (i32.eqz (i32.load8_u (i32.const 0))) (then (local.set $well (i32.add (local.get $well) (i32.const 1)))))
          (local.set $from (i32.add (local.get $from) (i32.const 1)))
          (br $next)))
        (local.get $well)))
    (core instance $i (instantiate $m
      (with "calc" (instance (export "add" (func $add))))
      (with "memory" (instance (export "memory" (memory $bytes))))))
    (func $out (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (instance $o (export "add" (func $out)))
    (export "${RELAY}" (instance $o))`);
}

/** Its `add` traps when it is given 0. */
function fragile(): Promise<Uint8Array> {
  return component(`
    ${MEMORY}
    (core module $m
      (import "memory" "memory" (memory 1))
      (func (export "add") (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (unreachable)))
        (i32.store8 (i32.const 0) (i32.const 0))
        (i32.store (i32.const 4) (local.get 0))
        (i32.const 0)))
    (core instance $i (instantiate $m (with "memory" (instance (export "memory" (memory $bytes))))))
    (func $out (param "a" u32) (result (result u32 (error string)))
      (canon lift (core func $i "add") (memory $bytes) (realloc $realloc)))
    (instance $o (export "add" (func $out)))
    (export "${CALC}" (instance $o))`);
}

/** Adds by a call, and then waits for what the owner is asked. */
function waiting(): Promise<Uint8Array> {
  return component(`
    (import "${CALC}" (instance $calc (export "add" (func (param "a" u32) (param "b" u32) (result u32)))))
    (import "wait" (instance $wait (export "wait" (func))))
    (core func $add (canon lower (func $calc "add")))
    (core func $wait (canon lower (func $wait "wait")))
    (core module $m
      (import "calc" "add" (func $add (param i32 i32) (result i32)))
      (import "wait" "wait" (func $wait))
      (func (export "add") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)) (call $wait)))
    (core instance $i (instantiate $m
      (with "calc" (instance (export "add" (func $add))))
      (with "wait" (instance (export "wait" (func $wait))))))
    (func $out (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (instance $o (export "add" (func $out)))
    (export "${RELAY}" (instance $o))`);
}

function core(type: string): string {
  return type.endsWith("64") ? "i64" : "i32";
}

/** Memory for what does not fit into registers. */
const MEMORY = `
  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 64))
    (func (export "realloc") (param i32 i32 i32) (param $new i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $new)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $bytes))
  (alias core export $memory "realloc" (core func $realloc))`;

function component(wat: string): Promise<Uint8Array> {
  return parse(`(component ${wat})`);
}

/**
 * Starts both calls before it waits for either: `twice(a)` is `add(a, 1)` and `add(a, 2)` together. Written for async lowering:
 * a call that cannot return at once is a subtask, which is waited for in a set.
 */
function together(): Promise<Uint8Array> {
  return component(`
    (import "${CALC}" (instance $calc (export "add" (func async (param "a" u32) (param "b" u32) (result u32)))))
    ${MEMORY}
    (core func $add (canon lower (func $calc "add") async (memory $bytes)))
    (core func $new (canon waitable-set.new))
    (core func $wait (canon waitable-set.wait (memory $bytes)))
    (core func $join (canon waitable.join))
    (core func $drop (canon subtask.drop))
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "memory" "memory" (memory 1))
      (import "calc" "add" (func $add (param i32 i32 i32) (result i32)))
      (import "set" "new" (func $new (result i32)))
      (import "set" "wait" (func $wait (param i32 i32) (result i32)))
      (import "set" "join" (func $join (param i32 i32)))
      (import "set" "drop" (func $drop (param i32)))
      (import "task" "return" (func $return (param i32)))
      ;; What a call says of itself: the subtask above four bits of state, of which 2 is that it has returned.
      (func $wait-for (param $set i32) (param $call i32)
        (if (i32.eq (i32.and (local.get $call) (i32.const 15)) (i32.const 2)) (then (return)))
        (call $join (i32.shr_u (local.get $call) (i32.const 4)) (local.get $set)))
      (func (export "add") (param $a i32) (param $b i32)
        (local $set i32) (local $one i32) (local $two i32) (local $left i32)
        (local.set $one (call $add (local.get $a) (i32.const 1) (i32.const 16)))
        (local.set $two (call $add (local.get $b) (i32.const 2) (i32.const 20)))
        (local.set $set (call $new))
        (call $wait-for (local.get $set) (local.get $one))
        (call $wait-for (local.get $set) (local.get $two))
        (local.set $left (i32.add
          (i32.ne (i32.and (local.get $one) (i32.const 15)) (i32.const 2))
          (i32.ne (i32.and (local.get $two) (i32.const 15)) (i32.const 2))))
        (block $done (loop $next
          (br_if $done (i32.eqz (local.get $left)))
          (drop (call $wait (local.get $set) (i32.const 0)))
          ;; A subtask event: which one at 0, its state at 4.
          (if (i32.eq (i32.load (i32.const 4)) (i32.const 2)) (then
            (call $drop (i32.load (i32.const 0)))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))))
          (br $next)))
        (call $return (i32.add (i32.load (i32.const 16)) (i32.load (i32.const 20))))))
    (core instance $i (instantiate $m
      (with "memory" (instance (export "memory" (memory $bytes))))
      (with "calc" (instance (export "add" (func $add))))
      (with "set" (instance
        (export "new" (func $new)) (export "wait" (func $wait)) (export "join" (func $join)) (export "drop" (func $drop))))
      (with "task" (instance (export "return" (func $return))))))
    (func $out async (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add") async))
    (instance $o (export "add" (func $out)))
    (export "${RELAY}" (instance $o))`);
}

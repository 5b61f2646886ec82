/** Typed calls over HTTP, and calls of one guest by another, through a whole runtime with real components. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "@bytecodealliance/jco";
import { Packr, Unpackr } from "msgpackr";
import { describe, expect, it } from "vitest";
import type { ManifestInput } from "../../src/tasks/manifest.js";
import { tempDir } from "../support/files.js";
import { guestPath } from "../support/guests.js";
import { nothingAhead, startRuntime, type StartedRuntime } from "../support/runtime.js";
import { cells, startNode } from "../support/tenants.js";

const CALC = "demo:math/calc";
const RELAY = "demo:app/relay";
const NEXT = "demo:chain/next@1.0.0";

const task = (name: string, guest: string, more: Partial<ManifestInput> = {}) => ({
  manifest: { name, ...more },
  component: readFileSync(guestPath(guest)),
});

type Deployed = ReturnType<typeof task>;

interface Answered {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

async function call(node: StartedRuntime, path: string, args: unknown, headers: Record<string, string> = {}): Promise<Answered> {
  const response = await node.get(`/-/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(args),
  });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

/** Its `add` adds, and then divides what came of it by one: two functions of what it calls, one after the other. */
function addsAndDivides(): Promise<Uint8Array> {
  return parse(`(component
    (import "${CALC}" (instance $calc
      (export "add" (func (param "a" u32) (param "b" u32) (result u32)))
      (export "divide" (func (param "a" u64) (param "b" u64) (result (result (tuple u64 u64) (error string)))))))
    (core module $memory
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $bytes))
    (alias core export $memory "realloc" (core func $realloc))
    (core func $add (canon lower (func $calc "add")))
    (core func $divide (canon lower (func $calc "divide") (memory $bytes) (realloc $realloc)))
    (core module $m
      (import "memory" "memory" (memory 1))
      (import "calc" "add" (func $add (param i32 i32) (result i32)))
      (import "calc" "divide" (func $divide (param i64 i64 i32)))
      (func (export "add") (param i32 i32) (result i32)
        (call $divide (i64.extend_i32_u (call $add (local.get 0) (local.get 1))) (i64.const 1) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then (unreachable)))
        (i32.load (i32.const 8))))
    (core instance $i (instantiate $m
      (with "memory" (instance (export "memory" (memory $bytes))))
      (with "calc" (instance (export "add" (func $add)) (export "divide" (func $divide))))))
    (func $out (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (instance $o (export "add" (func $out)))
    (export "${RELAY}" (instance $o)))`);
}

/** An `add` that has so many pages of memory and computes for so many rounds; other functions of calc are not there. */
function adder(pages: number, rounds: number): Promise<Uint8Array> {
  return parse(`(component
    (core module $m
      (memory (export "memory") ${pages})
      (func (export "add") (param i32 i32) (result i32)
        (local $rounds i32)
        (local.set $rounds (i32.const ${rounds}))
        (block $done (loop $next
          (br_if $done (i32.eqz (local.get $rounds)))
          (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
          (br $next)))
        (i32.add (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func $add (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (instance $out (export "add" (func $add)))
    (export "${CALC}" (instance $out)))`);
}

const add = (node: StartedRuntime, args: unknown) => call(node, `tasks/calc/${CALC}/add`, args);

describe("a function of a named task", () => {
  it("is called with arguments in order, or by name, and answers with its result", async () => {
    const node = await startRuntime([task("calc", "calc")]);
    expect(await add(node, [1, 2])).toMatchObject({ status: 200, body: 3 });
    expect(await add(node, { a: 40, b: 2 })).toMatchObject({ status: 200, body: 42 });
    expect(await call(node, `tasks/calc/${CALC}/touch`, [])).toMatchObject({ status: 200, body: null });
    expect(await call(node, "tasks/calc/demo%3Amath/calc/add", [1, 2])).toMatchObject({ status: 200, body: 3 });
    const { headers } = await add(node, [1, 2]);
    expect(headers.get("pilotlight-run")).toMatch(/^[0-9a-f]{32}$/);
  });

  it("that returns a result answers 200 with its ok value and 422 with its error value", async () => {
    const node = await startRuntime([task("calc", "calc")]);
    const divide = (args: unknown) => call(node, `tasks/calc/${CALC}/divide`, args);
    expect(await divide([7, 2])).toMatchObject({ status: 200, body: [3, 1] });
    expect(await divide([7, 0])).toMatchObject({
      status: 422,
      body: { type: "https://pilotlight.dev/problems/call/error", error: "division by zero", run: expect.any(String) },
    });
    expect(await call(node, `tasks/calc/${CALC}/check`, [-1])).toMatchObject({ status: 422, body: { error: expect.any(String) } });
  });

  it("takes and gives MessagePack: bytes as bytes, integers of any size as integers", async () => {
    const node = await startRuntime([task("calc", "calc")]);
    const packed = async (name: string, args: unknown): Promise<unknown> => {
      const response = await node.get(`/-/tasks/calc/${CALC}/${name}`, {
        method: "POST",
        headers: { "content-type": "application/msgpack", accept: "application/msgpack" },
        body: new Uint8Array(new Packr({ useRecords: false }).pack(args)),
      });
      expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/msgpack"]);
      return new Unpackr({ int64AsType: "bigint" }).unpack(Buffer.from(await response.arrayBuffer()));
    };
    expect(await packed("reverse", [Buffer.from([1, 2, 255])])).toEqual(Buffer.from([255, 2, 1]));
    const most = [255, -128, 65_535, -32_768, 4_294_967_295, -2_147_483_648, 18_446_744_073_709_551_615n, -9_223_372_036_854_775_808n];
    expect(await packed("widths", most)).toEqual(most);
    expect(await packed("odds", { c: "é", yes: true, x: Number.NaN, y: Number.NEGATIVE_INFINITY })).toEqual([
      "é",
      true,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      expect.anything(),
    ]);
  });

  it.each([
    [
      "arguments of a wrong type",
      `${CALC}/add`,
      ["x", 2],
      400,
      "request/invalid-argument",
      '$[0]: expected a whole number (u32), found "x".',
    ],
    ["too few of them", `${CALC}/add`, [1], 400, "request/invalid-argument", "Missing argument b; the parameters are a, b."],
    [
      "an unknown function",
      `${CALC}/nope`,
      [],
      404,
      "call/no-function",
      /^There is no function nope in demo:math\/calc; there are add, stats, /,
    ],
    [
      "an unknown interface",
      "demo:math/other/add",
      [],
      404,
      "call/no-function",
      "calc does not export demo:math/other; it exports demo:math/calc.",
    ],
    ["a trap", `${CALC}/crash`, [], 500, "guest/trap", undefined],
  ])("is told of %s", async (_, path, args, status, code, detail) => {
    const node = await startRuntime([task("calc", "calc")]);
    const answer = await call(node, `tasks/calc/${path}`, args);
    const told = detail instanceof RegExp ? expect.stringMatching(detail) : detail;
    expect(answer).toMatchObject({ status, body: { type: `https://pilotlight.dev/problems/${code}`, run: expect.any(String) } });
    expect((answer.body as { detail?: string }).detail).toEqual(told);
  });

  it.each([
    ["no JSON", "application/json", "[1,", 400, "request/invalid-argument"],
    ["no MessagePack", "application/msgpack", "\u00c1", 400, "request/invalid-argument"],
    ["another type", "text/plain", "1", 415, "request/unsupported-media-type"],
  ])("refuses a body that is %s", async (_, type, body, status, code) => {
    const node = await startRuntime([task("calc", "calc")]);
    const response = await node.get(`/-/tasks/calc/${CALC}/add`, {
      method: "POST",
      headers: { "content-type": type },
      body: Buffer.from(body, "latin1"),
    });
    expect([response.status, ((await response.json()) as { type: string }).type]).toEqual([
      status,
      `https://pilotlight.dev/problems/${code}`,
    ]);
  });

  it("says what it takes and gives when asked with OPTIONS, and a task lists all of its own", async () => {
    const node = await startRuntime([task("calc", "calc")]);
    const options = await node.get(`/-/tasks/calc/${CALC}/divide`, { method: "OPTIONS" });
    expect([options.status, options.headers.get("allow")]).toEqual([200, "POST, OPTIONS"]);
    expect(await options.json()).toMatchObject({
      function: "divide",
      wit: "func(a: u64, b: u64) -> result<tuple<u64, u64>, string>",
      parameters: { type: "array", minItems: 2 },
      result: { type: "array", minItems: 2 },
      error: { type: "string" },
    });
    const document = (await (await node.get("/-/tasks/calc/openapi.json")).json()) as { paths: object };
    expect(Object.keys(document.paths)).toContain(`/-/tasks/calc/${CALC}/add`);
    const get = await node.get(`/-/tasks/calc/${CALC}/add`);
    expect([get.status, get.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
  });
});

describe("a call by capability", () => {
  it("names no task, and says on request who was chosen and why", async () => {
    const node = await startRuntime([task("calc", "calc", { provides: [CALC] }), task("other", "calc", { provides: [CALC] })]);
    const ask = () => call(node, `call/${CALC}/add`, [1, 2], { "pilotlight-explain": "1" });
    let answer = await ask();
    // One in ten goes to another while nothing is known of it, and says so.
    for (let i = 0; i < 20 && answer.headers.get("server-timing")?.includes("; a look at one that is little known") === true; i++)
      answer = await ask();
    expect(answer).toMatchObject({ status: 200, body: 3 });
    expect(answer.headers.get("server-timing")).toMatch(/pick;desc="(calc|other) exec=[\d.]+ms start=[\d.]+ms; cheapest of 2/);
    const run = answer.headers.get("pilotlight-run") as string;
    const record = (await (await node.get(`/-/runs/${run}`)).json()) as { pick: { considered: { provider: string }[] } };
    expect(record.pick.considered.map(({ provider }) => provider).sort()).toEqual(["calc", "other"]);
  });

  it("may come from the program that embeds the runtime", async () => {
    const { runtime } = await startRuntime([task("calc", "calc", { provides: [CALC] })]);
    expect(await runtime.call(CALC, "add", [1, 2])).toBe(3);
    expect(await runtime.call(CALC, "divide", { a: 7, b: 0 })).toEqual({ tag: "err", val: "division by zero" });
    await expect(runtime.call(CALC, "crash")).rejects.toMatchObject({ name: "CallError", outcome: { kind: "trap" } });
    await expect(runtime.call("demo:math/other", "add")).rejects.toThrow("No task that this call may reach provides demo:math/other.");
  });

  it("is served by a compatible version that is no older, and by nobody else", async () => {
    const node = await startRuntime([task("spin", "spin", { provides: ["bench:work/spin@1.0.0"] })]);
    expect(await call(node, "call/bench:work/spin@1.0.0/spin", [10])).toMatchObject({ status: 200 });
    expect(await call(node, "call/bench:work/spin/spin", [10])).toMatchObject({ status: 200 });
    for (const version of ["1.1.0", "2.0.0", "0.9.0"])
      expect(await call(node, `call/bench:work/spin@${version}/spin`, [10])).toMatchObject({
        status: 404,
        body: {
          type: "https://pilotlight.dev/problems/call/no-provider",
          detail: `No task that this call may reach provides bench:work/spin@${version}; provided are bench:work/spin@1.0.0.`,
        },
      });
  });

  it("follows the alias: a task that goes provides nothing any more", async () => {
    const node = await startRuntime([task("calc", "calc", { provides: [CALC] })]);
    await node.runtime.remove("calc");
    expect(await call(node, `call/${CALC}/add`, [1, 2])).toMatchObject({
      status: 404,
      body: { detail: "No task that this call may reach provides demo:math/calc." },
    });
  });

  it("takes a preference, and is told what one is", async () => {
    const node = await startRuntime([task("calc", "calc", { provides: [CALC] })]);
    expect(await call(node, `call/${CALC}/add`, [1, 2], { "pilotlight-prefer": "time=0.5" })).toMatchObject({ status: 200 });
    expect(await call(node, `call/${CALC}/add`, [1, 2], { "pilotlight-prefer": "speed" })).toMatchObject({
      status: 400,
      body: { detail: '"speed" is no preference; expected time, memory, or time=WEIGHT with a weight from 0 to 1.' },
    });
  });

  it("goes by what the call prefers, or else the calling task, or else the tenant", async () => {
    const node = await startRuntime([
      { manifest: { name: "wide", provides: [CALC] }, component: await adder(800, 0) },
      { manifest: { name: "narrow", provides: [CALC] }, component: await adder(1, 20_000_000) },
      task("plain", "relay"),
      task("sparing", "relay", { prefer: "memory" }),
    ]);
    const { runtime } = node;
    const taken = async (path: string, headers = {}): Promise<string> => {
      // Each is known, and now and then another is looked at: most of them say which it is.
      const before = node.log.lines.length;
      for (let i = 0; i < 25; i++) await call(node, path, [1, 2], headers);
      const by = node.log.lines.slice(before).filter(({ msg, task: name }) => msg === "run" && (name === "wide" || name === "narrow"));
      return by.filter((line) => line["task"] === "wide").length > by.length / 2 ? "wide" : "narrow";
    };
    const direct = `call/${CALC}/add`;
    await taken(direct);
    expect(await taken(direct)).toBe("wide");
    expect(await taken(direct, { "pilotlight-prefer": "memory" })).toBe("narrow");
    expect([await taken(`tasks/plain/${RELAY}/add`), await taken(`tasks/sparing/${RELAY}/add`)]).toEqual(["wide", "narrow"]);
    await runtime.control.updateTenant(runtime.operator, "default", { prefer: "memory" }, undefined);
    expect([await taken(direct), await taken(`tasks/plain/${RELAY}/add`)]).toEqual(["narrow", "narrow"]);
    expect(await taken(direct, { "pilotlight-prefer": "time" })).toBe("wide");
    await node.idle();
  }, 60_000);

  it("goes to the next provider when one cannot be started, each tried once", async () => {
    const full = { limits: { concurrency: 1 }, capacity: { whenFull: "reject" as const } };
    const node = await startRuntime([
      task("one", "spin", { provides: ["bench:work/spin@1.0.0"], ...full }),
      task("two", "spin", { provides: ["bench:work/spin@1.0.0"], ...full }),
    ]);
    const spin = (rounds: number) => call(node, "call/bench:work/spin@1.0.0/spin", [rounds]);
    const long = [spin(2_000_000_000), spin(2_000_000_000)];
    // Both are taken, each by another: a third finds nobody.
    let third = await spin(1);
    for (let i = 0; i < 200 && third.status === 200; i++) third = await spin(1);
    expect(third).toMatchObject({ status: 429, body: { type: "https://pilotlight.dev/problems/capacity/task-full" } });
    expect((await Promise.all(long)).map(({ status }) => status)).toEqual([200, 200]);
  }, 60_000);
});

describe("a function that takes or gives a resource", () => {
  it("is refused by name, when it is called and when it is asked what it takes; the document leaves it out", async () => {
    const node = await startRuntime([task("hello", "hello-p3")]);
    const at = "/-/tasks/hello/wasi:http/handler@0.3.0/handle";
    const refused = {
      status: 400,
      body: {
        type: "https://pilotlight.dev/problems/call/not-callable",
        detail: expect.stringMatching(
          /^wasi:http\/handler@0\.3\.0#handle cannot be called from outside: handle takes or gives the resource /,
        ),
      },
    };
    expect(await call(node, at.slice(3), [1])).toMatchObject(refused);
    const asked = await node.get(at, { method: "OPTIONS" });
    expect({ status: asked.status, body: await asked.json() }).toMatchObject(refused);
    expect(await (await node.get("/-/tasks/hello/openapi.json")).json()).toMatchObject({ paths: {} });
    await node.idle();
  });
});

describe("a guest that calls another task", () => {
  const relayed = () =>
    startRuntime([task("calc", "calc", { provides: [CALC] }), task("relay", "relay", { uses: { [CALC]: { task: "calc" } } })]);

  it("reaches the one that its manifest names", async () => {
    const node = await relayed();
    expect(await call(node, `tasks/relay/${RELAY}/add`, [20, 22])).toMatchObject({ status: 200, body: 42 });
    expect(await call(node, `tasks/relay/${RELAY}/many`, [100])).toMatchObject({ status: 200, body: 100 });
    const runs = node.log.lines.filter(({ msg }) => msg === "run");
    const parent = runs.find((line) => line["task"] === "relay")?.["run"];
    expect(runs.find((line) => line["task"] === "calc")).toMatchObject({ parent, path: `${CALC}#add` });
    await node.idle();
  });

  it("has one instance of it for all of its calls, as one run that says how many they were", async () => {
    const node = await relayed();
    expect(await call(node, `tasks/relay/${RELAY}/many`, [100])).toMatchObject({ body: 100 });
    const runs = node.log.lines.filter(({ msg, task: name }) => msg === "run" && name === "calc");
    expect(runs).toMatchObject([{ calls: 100 }]);
    expect(await (await node.get(`/-/runs/${runs[0]?.["run"]}`)).json()).toMatchObject({ calls: 100, task: "calc" });
    await node.idle();
  });

  it("has room for it on a node that its callers fill, and is refused at once where the reserve is used up, too", async () => {
    const node = await startRuntime([link("z")], { ...ENDED, instances: 1 });
    await node.runtime.deploy(link("y", "z"));
    await node.runtime.deploy(link("x", "y"));
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(node, `tasks/y/${NEXT}/step`, [1])));
    expect(answers.map(({ status, body }) => [status, body])).toEqual(Array.from({ length: 20 }, () => [200, 1]));
    const runs = node.log.lines.filter(({ msg, task: name }) => msg === "run" && name === "z");
    expect(new Set(runs.map((line) => line["capacity"]))).toEqual(new Set(["reserve/linked"]));
    // x has the node, y the reserve, and z neither: x is told that y failed, and y why.
    expect(await call(node, `tasks/x/${NEXT}/step`, [2])).toMatchObject({
      status: 502,
      body: { type: "https://pilotlight.dev/problems/call/failed" },
    });
    const inner = node.log.lines.find((line) => line["task"] === "y" && line["outcome"] === "guest-error");
    expect(inner?.["cause"]).toMatch(/z \(run \w+\): The node has no capacity left\.$/);
    await node.idle();
  });

  it("waits itself until there is room for both, on a node without room for all, once it is known to call", async () => {
    const MiB = 2 ** 20;
    const usual = nothingAhead(64);
    // One cell that holds 20 runs of 2 MiB: an eighth of their limit.
    const shared = { ...usual.pools.shared, cellBytes: 41 * MiB, cellSlots: 64 };
    const capacity = { ...usual, budgetBytes: 57 * MiB, lobbyBytes: 16 * MiB, overcommit: 8, pools: { ...usual.pools, shared } };
    const limits = { memory: "16MiB" };
    const imports = { [NEXT]: { step: (depth: number) => sleep(20, depth) } };
    const node = await startRuntime([task("z", "chain", { limits })], { imports, instances: 64, capacity });
    await node.runtime.deploy(task("y", "chain", { limits, uses: { [NEXT]: { task: "z" } } }));
    expect(await call(node, `tasks/y/${NEXT}/step`, [2])).toMatchObject({ status: 200 });
    const answers = await Promise.all(Array.from({ length: 60 }, () => call(node, `tasks/y/${NEXT}/step`, [2])));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 60 }, () => 200));
    await node.idle();
  });

  it("gives back the one that waits for it when that is in the way of another call", async () => {
    const full = { limits: { concurrency: 1 }, capacity: { whenFull: "reject" as const } };
    const node = await startRuntime([task("calc", "calc", { provides: [CALC], ...full })]);
    await node.runtime.deploy({ manifest: { name: "both" }, component: await addsAndDivides() });
    expect(await call(node, `tasks/both/${RELAY}/add`, [20, 22])).toMatchObject({ status: 200, body: 42 });
    const runs = node.log.lines.filter(({ msg, task: name }) => msg === "run" && name === "calc");
    expect(runs.map((line) => [line["path"], line["outcome"]])).toEqual(
      expect.arrayContaining([
        [`${CALC}#add`, "ok"],
        [`${CALC}#divide`, "ok"],
      ]),
    );
    await node.idle();
  });

  it("that it imports without naming it is served by whoever provides it", async () => {
    const node = await startRuntime([task("calc", "calc", { provides: [CALC] }), task("late", "relay")]);
    expect(await call(node, `tasks/late/${RELAY}/add`, [20, 22])).toMatchObject({ status: 200, body: 42 });
    await node.runtime.remove("calc");
    expect(await call(node, `tasks/late/${RELAY}/add`, [20, 22])).toMatchObject({
      status: 404,
      body: { type: "https://pilotlight.dev/problems/call/no-provider" },
    });
  });

  it("keeps the one that it names: that is not deleted while it does", async () => {
    const node = await relayed();
    await expect(node.runtime.remove("calc")).rejects.toThrow(
      /The task calc is named in "uses" or "sidecars" by relay; deploy those without it first/,
    );
    await node.runtime.remove("relay");
    expect(await node.runtime.remove("calc")).toBe(true);
  });

  it("gets the error value of a function that has one, and passes it on", async () => {
    const node = await relayed();
    expect(await call(node, `tasks/relay/${RELAY}/divide`, [7, 0])).toMatchObject({ status: 422, body: { error: "division by zero" } });
  });

  it("hears of a failure by its error type where that can say so", async () => {
    const node = await startRuntime([task("calc", "calc", { provides: [CALC] }), task("late", "relay")]);
    await node.runtime.remove("calc");
    expect(await call(node, `tasks/late/${RELAY}/divide`, [7, 2])).toMatchObject({
      status: 422,
      body: { error: "No task that this call may reach provides demo:math/calc." },
    });
  });

  it("ends with a failed call, not a trap, where the other traps and its type cannot say so; only that run is hurt", async () => {
    const node = await relayed();
    const answer = await call(node, `tasks/relay/${RELAY}/crash`, []);
    expect(answer).toMatchObject({
      status: 502,
      body: {
        type: "https://pilotlight.dev/problems/call/failed",
        detail: expect.stringMatching(/^calc \(run [0-9a-f]{32}\): The function trapped\.$/),
      },
    });
    const run = answer.headers.get("pilotlight-run") as string;
    expect(await (await node.get(`/-/runs/${run}`)).json()).toMatchObject({ outcome: "guest-error", task: "relay" });
    expect(await call(node, `tasks/relay/${RELAY}/add`, [1, 2])).toMatchObject({ status: 200, body: 3 });
    await node.idle();
  });

  it("is refused a call that leads back to a task that waits for it", async () => {
    const node = await startRuntime([link("z")], ENDED);
    await node.runtime.deploy(link("a", "z"));
    expect(await call(node, `tasks/a/${NEXT}/step`, [1])).toMatchObject({ status: 200, body: 1 });
    await node.runtime.deploy(link("z", "a"));
    expect(await call(node, `tasks/a/${NEXT}/step`, [5])).toMatchObject({
      status: 502,
      body: { type: "https://pilotlight.dev/problems/call/failed", detail: expect.stringMatching(/^z \(run [0-9a-f]{32}\): /) },
    });
    const inner = node.log.lines.find((line) => line["task"] === "z" && line["outcome"] === "guest-error");
    expect(inner?.["cause"]).toBe(`${NEXT}#step: ${NEXT} is to be served by a, which waits for this call: a → z.`);
    await node.idle();
  });

  it("is refused a call that nobody but those who wait could take", async () => {
    const node = await startRuntime([task("z", "chain", { provides: [NEXT] })], ENDED);
    await node.runtime.deploy(task("a", "chain", { provides: [NEXT] }));
    await node.runtime.remove("z");
    expect(await call(node, `tasks/a/${NEXT}/step`, [1])).toMatchObject({
      status: 508,
      body: {
        type: "https://pilotlight.dev/problems/call/cycle",
        detail: `${NEXT} is provided by a alone, which waits for this call: a.`,
      },
    });
  });

  it("may be eight calls from the first, and no more", async () => {
    const node = await startRuntime([link("t0")], ENDED);
    for (let i = 1; i <= 9; i++) await node.runtime.deploy(link(`t${i}`, `t${i - 1}`));
    expect(await call(node, `tasks/t8/${NEXT}/step`, [8])).toMatchObject({ status: 200, body: 8 });
    expect(await call(node, `tasks/t9/${NEXT}/step`, [8])).toMatchObject({ status: 200, body: 8 });
    expect(await call(node, `tasks/t9/${NEXT}/step`, [9])).toMatchObject({ status: 502 });
    const innermost = node.log.lines.find((line) => line["task"] === "t1" && line["outcome"] === "guest-error");
    expect(innermost?.["cause"]).toMatch(
      /would be the call number 9 of a chain; 8 are the most: t9 → t8 → t7 → t6 → t5 → t4 → t3 → t2 → t1\.$/,
    );
    await node.idle();
  });

  it("has no more time than its caller has left", async () => {
    const node = await startRuntime([link("z")], { imports: { [NEXT]: { step: () => new Promise(() => {}) } } });
    await node.runtime.deploy({ ...link("a", "z"), manifest: { ...link("a", "z").manifest, limits: { timeout: "300ms" } } });
    const answer = await call(node, `tasks/a/${NEXT}/step`, [2]);
    expect([answer.status, (answer.body as { type: string }).type]).toEqual([504, "https://pilotlight.dev/problems/guest/timeout"]);
    await node.idle();
  });
});

describe("a guest that knows only when it runs what it calls", () => {
  const ASK = "tasks/ask/demo:app/ask";
  const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64");
  const asking = (...others: Deployed[]) =>
    startRuntime([task("calc", "calc", { provides: [CALC] }), task("ask", "dispatcher"), ...others]);
  const ask = (node: StartedRuntime, capability: string, func: string, args: unknown) =>
    call(node, `${ASK}/call`, [capability, func, base64(args)]);

  it("calls it by name, and gets the result, or the function's own error, as JSON", async () => {
    const node = await asking();
    expect(await ask(node, CALC, "add", [20, 22])).toMatchObject({ status: 200, body: base64(42) });
    expect(await ask(node, CALC, "divide", { a: 7, b: 0 })).toMatchObject({
      status: 422,
      body: { error: { tag: "guest", val: base64("division by zero") } },
    });
    const runs = node.log.lines.filter(({ msg }) => msg === "run");
    const parent = runs.find((line) => line["task"] === "ask")?.["run"];
    expect(runs.find((line) => line["task"] === "calc")).toMatchObject({ parent, pick: "the only one" });
    await node.idle();
  });

  it("may look at the candidates without calling any", async () => {
    const node = await asking(task("other", "calc", { provides: [CALC] }));
    const { body } = await call(node, `${ASK}/candidates`, [CALC]);
    expect((body as { task: string }[]).map((each) => each.task).sort()).toEqual(["calc", "other"]);
    expect(node.log.lines.filter((line) => line["task"] === "calc")).toEqual([]);
  });

  it.each<[string, string, string, unknown, object]>([
    [
      "nobody provides",
      "demo:math/other",
      "add",
      [],
      { tag: "no-provider", val: "No task that this call may reach provides demo:math/other." },
    ],
    [
      "has no such function",
      CALC,
      "nope",
      [],
      { tag: "no-provider", val: expect.stringMatching(/^There is no function nope in demo:math\/calc; /) },
    ],
    ["takes other arguments", CALC, "add", ["x", 1], { tag: "invalid-argument", val: '$[0]: expected a whole number (u32), found "x".' }],
    [
      "is no name of a capability",
      "nonsense",
      "add",
      [],
      { tag: "invalid-argument", val: expect.stringMatching(/^"nonsense" is no capability/) },
    ],
    ["traps", CALC, "crash", [], { tag: "failed", val: "The function trapped." }],
  ])("is told of what %s", async (_, capability, func, args, error) => {
    expect(await ask(await asking(), capability, func, args)).toMatchObject({ status: 422, body: { error } });
  });

  it("does not reach itself through another", async () => {
    const node = await asking(task("echo", "dispatcher", { provides: ["demo:app/ask"] }));
    expect(await ask(node, "demo:app/ask", "call", ["demo:app/ask", "call", ""])).toMatchObject({
      status: 422,
      body: { error: { tag: "guest" } },
    });
  });
});

describe("tenants", () => {
  it("reach what is public or open to them, and of the rest learn nothing; a task in between lends nobody its rights", async () => {
    const node = await startNode({ capacity: cells(8, { warming: 2 }), durable: true, data: tempDir() });
    for (const tenant of ["acme", "globex"]) await node.tenant(tenant);
    const deploy = (tenant: string, name: string, guest: string, more: Partial<ManifestInput>) =>
      node.runtime.control.deploy(node.runtime.operator, tenant, {
        manifest: { component: "c.wasm", name, ...more },
        component: readFileSync(guestPath(guest)),
      });
    await deploy("globex", "calc", "calc", { provides: [CALC], access: { tenants: ["acme"] } });
    await deploy("acme", "relay", "relay", { access: "public", provides: [RELAY] });
    const issue = async (tenant: string): Promise<string> =>
      (await node.runtime.control.issueKey(node.runtime.operator, tenant, { scopes: ["invoke"] })).text;
    const [acme, globex] = [await issue("acme"), await issue("globex")];
    await node.tenant("initech");
    const initech = await issue("initech");
    const as = (key: string, path: string, args: unknown) => call(node, path, args, { "pilotlight-key": key });
    expect(await as(acme, `call/${CALC}/add`, [1, 2])).toMatchObject({ status: 200, body: 3 });
    expect(await as(globex, `call/${CALC}/add`, [1, 2])).toMatchObject({ status: 200, body: 3 });
    expect(await as(initech, `call/${CALC}/add`, [1, 2])).toMatchObject({
      status: 404,
      body: { detail: "No task that this call may reach provides demo:math/calc." },
    });
    // Whoever calls acme's public task gets what acme's task may reach.
    expect(await as(initech, `call/${RELAY}/add`, [1, 2])).toMatchObject({ status: 200, body: 3 });
    // By way of globex' own task nothing is reached that is acme's alone.
    await deploy("acme", "secret", "spin", { provides: ["bench:work/spin@1.0.0"], access: "key" });
    expect(await as(globex, "call/bench:work/spin@1.0.0/spin", [1])).toMatchObject({ status: 404 });
    expect(await as(acme, "call/bench:work/spin@1.0.0/spin", [1])).toMatchObject({ status: 200 });
    await deploy("globex", "ask", "dispatcher", { provides: ["demo:app/ask"] });
    const args = [["bench:work/spin@1.0.0", "spin", Buffer.from("[1]").toString("base64")]];
    expect(await as(acme, "call/demo:app/ask/call", args[0])).toMatchObject({ status: 422, body: { error: { tag: "no-provider" } } });
  });

  it("have their providers and dependencies again after a restart", async () => {
    const data = tempDir();
    const first = await startRuntime([], { data, durable: true });
    await first.runtime.deploy(task("calc", "calc", { provides: [CALC] }));
    await first.runtime.deploy(task("relay", "relay", { uses: { [CALC]: { task: "calc" } } }));
    await first.runtime.deploy(task("late", "relay"));
    await first.runtime.close();
    const again = await startRuntime([], { data, durable: true });
    await again.runtime.start();
    expect(await again.runtime.call("relay", `${RELAY}#add`, [1, 2])).toBe(3);
    expect(await again.runtime.call("late", `${RELAY}#add`, [1, 2])).toBe(3);
    expect(await again.runtime.call(CALC, "add", [1, 2])).toBe(3);
  });
});

describe("a deploy is refused", () => {
  it.each<[string, Partial<ManifestInput>, string, RegExp]>([
    [
      "that provides what it does not export",
      { provides: ["acme:image/resize@1.0.0"] },
      "calc",
      /provides\[0\]: the component does not export acme:image\/resize@1\.0\.0; it exports demo:math\/calc/,
    ],
    [
      "that provides one capability twice",
      { provides: [CALC, CALC] },
      "calc",
      /demo:math\/calc and demo:math\/calc are one capability to callers; keep one of them/,
    ],
    ["that provides no interface", { provides: ["resize"] }, "calc", /expected the name of a WIT interface such as/],
    [
      "that uses what it does not import",
      { uses: { "demo:math/other": { task: "calc" } } },
      "relay",
      /uses\.demo:math\/other: the component does not import it; it imports demo:math\/calc/,
    ],
    ["that uses a task that is not there", { uses: { [CALC]: { task: "nope" } } }, "relay", /there is no task nope; deploy it first/],
    [
      "that uses a task without the interface",
      { uses: { [CALC]: { task: "other" } } },
      "relay",
      /the task other does not export it in a version that fits; it exports bench:work\/spin@1\.0\.0/,
    ],
    ["that uses itself", { uses: { [CALC]: { task: "new" } } }, "relay", /a task cannot call itself; name another/],
    ["that imports what nobody provides", {}, "relay", /nothing provides these imports: demo:math\/calc/],
  ])("%s", async (_, manifest, guest, message) => {
    const node = await startRuntime([task("other", "spin")]);
    await expect(node.runtime.deploy(task("new", guest, manifest))).rejects.toThrow(message);
    expect(node.runtime.tasks().map(({ name }) => name)).toEqual(["other"]);
  });
});

/** The end of a chain asks the embedder. */
const ENDED = { imports: { [NEXT]: { step: (depth: number) => depth } } };

/** A link of a chain, which names the next. */
function link(name: string, next?: string): ReturnType<typeof task> {
  return task(name, "chain", next === undefined ? {} : { uses: { [NEXT]: { task: next } } });
}

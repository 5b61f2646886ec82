import { describe, expect, it } from "vitest";
import { call, http, openEngine, useEngine, type Answer } from "../support/engine.js";

const engine = useEngine();
const hello = (): Promise<number> => engine.program("hello-p3");
const behave = (): Promise<number> => engine.program("behave-p3");

describe.each(["p2", "p3"])("a WASI HTTP component, %s", (version) => {
  it("answers a small request in one event, and settles after it", async () => {
    const program = await engine.program(`hello-${version}`);
    const runs = Array.from({ length: 5 }, () => engine.run(program, "/"));
    const [answer] = (await Promise.all(runs.map((run) => run.answer()))) as [Answer];
    // The engine's clock beat may fall between a guest's last byte and its end, and what is there goes out.
    const inOne = runs.find((run) => run.kinds().join() === "head,settled");
    expect(await inOne?.first("head")).toMatchObject({ status: 200, ended: true, trailers: undefined });
    expect(answer).toMatchObject({ status: 200, body: "Hello, WASI!\n", outcome: { kind: "ok", exit: 0 } });
    expect(answer.usage).toMatchObject({ requestBytes: 0, responseBytes: 13, droppedLines: 0 });
    expect(answer.usage.memoryBytes).toBeGreaterThan(0);
    expect(answer.usage.startNanoseconds).toBeGreaterThan(0);
    expect(answer.usage.runNanoseconds).toBeGreaterThan(0);
  });

  it("gets method, target, authority, headers and their bytes as they were sent", async () => {
    const headers = ["X-One", "1", "x-two", "caf\u00e9", "X-One", "again", "x-empty", ""];
    const frame = http("/info/a%2Fb/../c?q=%zz&q", { method: "PURGE", scheme: "https", authority: "example.org:8443", headers });
    const { body } = await engine.ask(`echo-${version}`, frame);
    const info = JSON.parse(body) as { headers: [string, string][] };
    expect(info).toMatchObject({ method: "PURGE", authority: "example.org:8443" });
    expect(body).toContain("/info/a%2Fb/../c?q=%zz&q");
    expect(info.headers.filter(([name]) => name.toLowerCase() === "x-one").map(([, value]) => value)).toEqual(["1", "again"]);
    expect(body).toContain("x-two");
  });

  it.each([
    ["/status?code=404", 404, "404"],
    ["/status?code=204", 204, ""],
    ["/status?code=599", 599, "599"],
  ])("answers %s as it likes", async (target, status, body) => {
    expect(await engine.ask(`behave-${version}`, target)).toMatchObject({ status, body, outcome: { kind: "ok" } });
  });

  it("ends with its own error code when it gives one", async () => {
    expect(await engine.ask(`behave-${version}`, "/error")).toMatchObject({
      status: undefined,
      outcome: { kind: "guest-error", code: "error-code", message: 'ErrorCode::InternalError(Some("told to fail"))' },
    });
  });

  it.each(["/none", "/drop"])("that does not answer (%s) is told from one that traps", async (target) => {
    const message = "the handler returned without an answer";
    expect(await engine.ask(`behave-${version}`, target)).toMatchObject({
      status: undefined,
      outcome: { kind: "guest-error", code: "no-answer", message },
    });
  });

  it.each([0, 1])("that exits with %d in the middle has not answered", async (code) => {
    const { status, outcome } = await engine.ask(`behave-${version}`, `/exit?code=${code}`);
    expect(status).toBeUndefined();
    expect(outcome).toEqual({ kind: "guest-error", code: "no-answer", message: "the handler ended without a whole answer" });
  });

  it.each([
    ["/trap", /^wasm trap: wasm `unreachable` instruction executed$/],
    ["/stack", /^wasm trap: /],
    ["/twice", /./],
    ["/after-end-trap", /^wasm trap: wasm `unreachable` instruction executed$/],
  ])("that traps (%s) ends as a trap with its message", async (target, message) => {
    const { outcome } = await engine.ask(`behave-${version}`, target);
    expect(outcome).toEqual({ kind: "trap", message: expect.stringMatching(message) as unknown });
  });

  it("that traps after its head was sent ends as a trap, without an end to its body", async () => {
    const run = engine.run(await engine.program(`behave-${version}`), "/after-head-trap?ms=20");
    expect(await run.outcome()).toMatchObject({ kind: "trap" });
    expect(run.kinds()).toEqual(["head", "settled"]);
    expect(await run.first("head")).toMatchObject({ ended: false });
  });

  it("that breaks its body off ends as an answer that is none", async () => {
    const { outcome } = await engine.ask(`behave-${version}`, "/after-head-error");
    expect(outcome).toMatchObject({
      kind: "guest-error",
      code: "bad-answer",
      message: expect.stringMatching(/^the response body ended early: /) as unknown,
    });
  });

  it("settles only when the work after the answer is done", async () => {
    const run = engine.run(await engine.program(`behave-${version}`), "/after-end?ms=10");
    await run.ended;
    expect(run.kinds()).toEqual(["head", "settled"]);
    expect(run.lines.map(({ text }) => text)).toEqual(["after the end"]);
  });
});

describe("a frame that does not fit", () => {
  it.each([
    [http("/", { method: "A B" }), 'the method "A B" is not an HTTP method'],
    [http("no slash"), 'the target "no slash" is not a valid path and query'],
    [http("/<"), 'the target "/<" is not a valid path and query'],
    [http("/", { headers: ["bad name", "x"] }), 'the header "bad name" is not valid'],
    [http("/", { headers: ["x", "a\u0000b"] }), 'the header "x" is not valid'],
  ])("is refused as malformed (%#): it names what is wrong", async (frame, message) => {
    expect(await engine.run(await hello(), frame).outcome()).toEqual({ kind: "refused", code: "malformed", message });
  });

  it("is refused when the component cannot be asked this way", async () => {
    const [calc, command] = [await engine.program("calc"), await engine.program("command-p3")];
    expect(await engine.run(calc, "/").outcome()).toEqual({
      kind: "refused",
      code: "not-http",
      message: "the component has no HTTP handler",
    });
    expect(await engine.run(command, "/").outcome()).toMatchObject({ code: "not-http" });
    expect(await engine.run(calc, { kind: "command" }).outcome()).toEqual({
      kind: "refused",
      code: "not-command",
      message: "the component does not export wasi:cli/run",
    });
    expect(await engine.run(calc, call("demo:math/none", "x", [])).outcome()).toEqual({
      kind: "refused",
      code: "no-function",
      message: "the component does not export the interface demo:math/none",
    });
    expect(await engine.run(calc, call("demo:math/calc", "x", [])).outcome()).toMatchObject({
      message: "there is no function x in demo:math/calc",
    });
    expect(await engine.run(calc, call("", "x", [])).outcome()).toMatchObject({
      message: "there is no function x in the component's world",
    });
  });

  it("cannot cross when its head is larger than the memory it crosses in, and says so", async () => {
    const program = await hello();
    const frame = http("/", { headers: ["x", "v".repeat(600 * 1024)] });
    expect(() =>
      engine.send({ kind: "run", ...engine.slot(), program, run: 9_999_999, frame, deadlines: { head: 1, idle: 1, total: 1 }, last: true }),
    ).toThrow(/a request head of this size cannot cross/);
  });
});

describe("an instance", () => {
  it("is made on the way by a run on an unused slot, and retires after the last", async () => {
    const on = engine.slot();
    await engine.run(await hello(), "/", { on }).ended;
    await engine.gone(on);
    expect(engine.saw("ready", on)).toBe(false);
  });

  it("that was prepared costs its run no start", async () => {
    const program = await hello();
    const on = await engine.prepare(program);
    const { usage } = await engine.run(program, "/", { on }).answer();
    expect(usage.startNanoseconds).toBe(0);
  });

  it("is used again until a run says that it is the last", async () => {
    const program = await engine.program("counter-p2");
    const on = engine.slot();
    const bodies = [];
    for (const last of [false, false, true]) bodies.push((await engine.run(program, "/", { on, last }).answer()).body);
    expect(bodies).toEqual(["1\n", "2\n", "3\n"]);
    await engine.gone(on);
  });

  it("takes runs in the order of the commands, though they come at once", async () => {
    const program = await engine.program("counter-p3");
    const on = engine.slot();
    const runs = [false, false, true].map((last) => engine.run(program, "/?ms=5", { on, last, deadlines: { total: 3000 } }));
    expect(await Promise.all(runs.map(async (run) => (await run.answer()).body))).toEqual(["1\n", "2\n", "3\n"]);
  });

  it("takes the next run as soon as the one before has settled, however long that has computed", async () => {
    const program = await engine.program("behave-p3");
    const on = await engine.prepare(program);
    for (let i = 0; i < 25; i++) {
      const { outcome } = await engine.run(program, "/cpu?ms=25", { on, last: i === 24, deadlines: { total: 3000 } }).answer();
      expect(outcome).toEqual({ kind: "ok", exit: 0 });
    }
  });

  it("is gone after a trap", async () => {
    const program = await behave();
    const on = engine.slot();
    await engine.run(program, "/trap", { on, last: false }).ended;
    await engine.gone(on);
    await expect(engine.run(program, "/", { on }).ended).rejects.toThrow("was refused");
  });

  it("retires on command when it is idle", async () => {
    const on = await engine.prepare(await hello());
    engine.retire(on);
    await engine.gone(on);
  });

  it("retires on command after the run that it has", async () => {
    const on = engine.slot();
    const run = engine.run(await behave(), "/sleep?ms=10", { on, last: false });
    engine.retire(on);
    expect((await run.answer()).status).toBe(200);
    await engine.gone(on);
  });

  it("refuses the runs that it had no time for, when it goes", async () => {
    const program = await behave();
    const on = engine.slot();
    const first = engine.run(program, "/sleep?ms=10", { on });
    const second = engine.run(program, "/", { on });
    expect((await first.answer()).status).toBe(200);
    await expect(second.ended).rejects.toThrow("was refused");
    expect(second.kinds()).toEqual(["lease-refused"]);
  });

  it("whose retire is sent under an older or newer generation stays", async () => {
    const program = await hello();
    const on = await engine.prepare(program, engine.slot(5));
    for (const generation of [4, 6]) engine.retire({ ...on, generation });
    expect((await engine.run(program, "/", { on }).answer()).status).toBe(200);
  });

  it("of a component that traps while it starts cannot be made, and says why", async () => {
    const program = await engine.link("hello-p2", { limits: { memoryBytes: 1000 } });
    const on = engine.slot();
    engine.send({ kind: "prepare", ...on, program });
    await engine.until(() => engine.saw("failed", on));
    const failed = engine.events.find((event) => event.kind === "failed" && event.slot === on.slot);
    expect(failed).toMatchObject({ outcome: { kind: "limit", limit: "memory", allowed: 1000 } });
    expect(await engine.run(program, "/").outcome()).toMatchObject({ kind: "limit", limit: "memory", allowed: 1000 });
  });
});

describe("a stale name", () => {
  it("is refused a lease once its instance is gone", async () => {
    const program = await hello();
    const on = engine.slot();
    await engine.run(program, "/", { on }).ended;
    await engine.gone(on);
    const late = engine.run(program, "/", { on });
    await expect(late.ended).rejects.toThrow(`the lease of run ${late.handle} on ${on.slot}/1 was refused`);
    expect(late.kinds()).toEqual(["lease-refused"]);
    // The slot itself is free for the next generation.
    expect((await engine.run(program, "/", { on: { ...on, generation: 2 } }).answer()).status).toBe(200);
  });

  it("is refused a lease while another generation holds the slot, older or newer", async () => {
    const program = await hello();
    const on = await engine.prepare(program, engine.slot(5));
    for (const generation of [4, 6]) {
      await expect(engine.run(program, "/", { on: { ...on, generation } }).ended).rejects.toThrow("was refused");
    }
    expect((await engine.run(program, "/", { on }).answer()).status).toBe(200);
  });

  it("cannot be prepared", async () => {
    const program = await hello();
    const on = await engine.prepare(program, engine.slot(5));
    for (const generation of [4, 5, 6]) engine.send({ kind: "prepare", ...on, generation, program });
    const failures = (): unknown[] => engine.events.filter((event) => event.kind === "failed" && event.slot === on.slot);
    await engine.until(() => failures().length === 3);
    expect(failures()[0]).toMatchObject({ outcome: { kind: "platform", code: "internal", message: "the slot is in use" } });
    expect((await engine.run(program, "/", { on }).answer()).status).toBe(200);
  });
});

describe("cancelling", () => {
  it("before the run has begun ends it", async () => {
    const run = engine.run(await behave(), "/hang");
    run.cancel();
    expect(await run.outcome()).toEqual({ kind: "cancelled" });
    expect(run.kinds()).toEqual(["settled"]);
    await engine.gone(run.on);
  });

  it.each(["/hang", "/loop"])("ends a run that would never end (%s)", async (target) => {
    const run = engine.run(await behave(), target);
    await engine.gauges(({ instances }) => instances > 0);
    run.cancel();
    expect(await run.outcome()).toEqual({ kind: "cancelled" });
    await engine.gone(run.on);
  });

  it("ends a run whose answer has begun, without an end", async () => {
    const run = engine.run(await behave(), "/slow?pieces=1000&ms=5");
    await run.first("chunk");
    run.cancel();
    expect(await run.outcome()).toEqual({ kind: "cancelled" });
    expect(run.kinds()).not.toContain("end");
  });

  it("after the end does nothing, twice neither", async () => {
    const run = engine.run(await hello(), "/");
    await run.ended;
    run.cancel();
    run.cancel();
    const other = engine.run(await behave(), "/hang");
    other.cancel();
    other.cancel();
    expect(await other.outcome()).toEqual({ kind: "cancelled" });
    expect(other.kinds()).toEqual(["settled"]);
  });

  it("ends a run that waits for room", async () => {
    const small = openEngine({ instances: 1 });
    const program = await small.program("behave-p3");
    const first = small.run(program, "/hang");
    await small.gauges(({ instances }) => instances === 1);
    const second = small.run(program, "/");
    second.cancel();
    expect(await second.outcome()).toEqual({ kind: "cancelled" });
    first.cancel();
  });
});

describe("late and lost commands", () => {
  it("of runs, asks and instances that nobody knows do nothing", async () => {
    engine.send({ kind: "chunk", run: 77_777, bytes: Buffer.from("x") });
    engine.send({ kind: "end", run: 77_777, trailers: undefined });
    engine.send({ kind: "credit", run: 77_777, bytes: 10 });
    engine.send({ kind: "cancel", run: 77_777 });
    engine.send({ kind: "answer", ask: 77_777, ok: "[]", error: undefined });
    engine.send({ kind: "retire", slot: 77_777, generation: 1 });
    expect((await engine.run(await hello(), "/").answer()).status).toBe(200);
  });
});

describe("an engine that is full", () => {
  it("refuses a run as node-full when no instance ends in time", async () => {
    const small = openEngine({ instances: 1 });
    const program = await small.program("behave-p3");
    const first = small.run(program, "/hang");
    await small.gauges(({ instances }) => instances === 1);
    expect(await small.run(program, "/").outcome()).toEqual({
      kind: "refused",
      code: "node-full",
      message: "every instance of the node is in use",
    });
    first.cancel();
  });

  it("waits for the instance that is on its way out", async () => {
    const small = openEngine({ instances: 1 });
    const program = await small.program("behave-p3");
    const first = small.run(program, "/sleep?ms=20");
    const second = small.run(program, "/");
    expect((await first.answer()).status).toBe(200);
    expect((await second.answer()).status).toBe(200);
  });

  it("says how many instances it takes", () =>
    expect(engine.port.stats()).toMatchObject({ capacity: 64, allocator: expect.stringMatching(/^(pooling|on-demand)$/) as unknown }));
});

describe("closing", () => {
  it("settles what runs as platform/closing, and gives everything back", async () => {
    const own = openEngine();
    const program = await own.program("behave-p3");
    const runs = ["/hang", "/loop", "/slow?pieces=1000&ms=5", "/after-end?ms=100000"].map((target) => own.run(program, target));
    const idle = await own.prepare(program);
    await runs[2]?.first("head");
    const queued = own.run(program, "/", { on: idle, last: false });
    await own.close();
    const closing = { kind: "platform", code: "closing", message: "the engine is closing" };
    for (const run of runs) expect(await run.outcome()).toEqual(closing);
    expect(queued.over).toBeDefined();
    expect(own.saw("retired", idle)).toBe(true);
    await own.idle();
    expect(own.port.stats()).toMatchObject({ instances: 0, runs: 0, guestBytes: 0 });
  });

  it("may be asked for twice, and runs that come later settle as platform/closing", async () => {
    const own = openEngine();
    const program = await own.program("hello-p3");
    await Promise.all([own.close(), own.close()]);
    expect(await own.run(program, "/").outcome()).toEqual({ kind: "platform", code: "closing", message: "the engine is closing" });
  });
});

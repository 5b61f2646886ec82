/** Each limit ends the run that breaks it, and the outcome says which it was, what was used and what was allowed. */
import { describe, expect, it } from "vitest";
import type { Outcome } from "../../src/engine/outcome.js";
import { call, http, useEngine, type Terms } from "../support/engine.js";

const engine = useEngine();
const KiB = 1024;

type LimitOutcome = Extract<Outcome, { kind: "limit" }>;

/** The outcome, checked to be of that limit: more was used than allowed. */
function broke(outcome: Outcome, limit: LimitOutcome["limit"], allowed: number): LimitOutcome {
  expect(outcome).toMatchObject({ kind: "limit", limit, allowed });
  expect((outcome as LimitOutcome).used).toBeGreaterThanOrEqual(allowed);
  return outcome as LimitOutcome;
}

describe.each(["p2", "p3"])("a %s guest that", (version) => {
  const run = async (target: string | ReturnType<typeof http>, terms: Terms = {}, deadlines = {}): Promise<Outcome> =>
    engine.run(await engine.program(`behave-${version}`, terms), target, { deadlines }).outcome();

  it("wants more memory than it may have, and traps for it, is blamed for memory", async () => {
    const outcome = await run("/memory", { limits: { memoryBytes: 4096 * KiB } });
    // What it asked for last: at most the 16 pages of its step more than it may have.
    expect(broke(outcome, "memory", 4096 * KiB).used).toBeLessThan((4096 + 17 * 64) * KiB);
  });

  it("can live without the memory that it was refused goes on", async () => {
    const { body, usage, outcome } = await engine.ask(`behave-${version}`, "/grow-ok", { limits: { memoryBytes: 4096 * KiB } });
    expect(outcome).toEqual({ kind: "ok", exit: 0 });
    expect(Number(body)).toBeGreaterThan(3000 * KiB);
    expect(usage.memoryBytes).toBeLessThanOrEqual(4096 * KiB);
    expect(usage.memoryBytes).toBeGreaterThan(Number(body));
  });

  it("loops is stopped when its CPU time is up", async () => {
    const { used } = broke(await run("/loop", { limits: { cpuMs: 60 } }), "cpu", 60);
    expect(used).toBeLessThan(1000);
  });

  it("waits uses up no CPU time", async () => {
    const { outcome, usage } = await engine.ask(`behave-${version}`, "/sleep?ms=80", { limits: { cpuMs: 40 } });
    expect(outcome).toEqual({ kind: "ok", exit: 0 });
    expect(usage.runNanoseconds).toBeGreaterThan(79e6);
    expect(usage.cpuNanoseconds).toBeLessThan(40e6);
  });

  it.each(["/hang", "/loop"])("does not answer in time (%s) has broken the time until the head", async (target) => {
    const { used } = broke(await run(target, {}, { head: 50 }), "head-time", 50);
    expect(used).toBeLessThan(2000);
  });

  it("falls silent after its head has broken the idle time", async () => {
    broke(await run("/after-head-hang", {}, { idle: 50 }), "idle-time", 50);
  });

  it("is not idle while it writes", async () => {
    expect(await run("/slow?pieces=8&ms=20", {}, { idle: 130, head: 1000 })).toEqual({ kind: "ok", exit: 0 });
  });

  it("goes on and on has broken the time for everything, before its head or after it", async () => {
    broke(await run("/hang", {}, { total: 50 }), "total-time", 50);
    broke(await run("/slow?pieces=1000&ms=5", {}, { total: 60 }), "total-time", 60);
  });

  it("works on after its answer has that time too, and the answer is whole", async () => {
    const { outcome, body } = await engine.ask(`behave-${version}`, "/after-end?ms=100000", {}, { deadlines: { total: 60 } });
    broke(outcome, "total-time", 60);
    expect(body).toBe("ok\n");
  });

  it("makes more host resources than it may have is blamed for handles", async () => {
    const outcome = await run("/handles", { limits: { handles: 100 } });
    expect(outcome).toEqual({ kind: "limit", limit: "handles", used: 101, allowed: 100 });
  });

  it("answers with more than it may is cut off, before the head if that was still to come", async () => {
    const terms = { limits: { responseBodyBytes: 1000 } };
    broke(await run("/big?bytes=1001", terms), "response-body", 1000);
    expect(await run("/big?bytes=1000", terms)).toEqual({ kind: "ok", exit: 0 });
    const late = engine.run(await engine.program(`behave-${version}`, { limits: { responseBodyBytes: 20 } }), "/slow?pieces=9&ms=5");
    broke(await late.outcome(), "response-body", 20);
    expect(late.kinds()).not.toContain("end");
    expect(late.bytes().toString()).toBe("data: 0\n\ndata: 1\n\n");
  });

  it("reads more of a body than the request may have is blamed for the request", async () => {
    const terms = { limits: { requestBodyBytes: 100 } };
    const post = (body: number): ReturnType<typeof http> => http("/read", { method: "POST", body: Buffer.alloc(body) });
    expect(await run(post(100), terms)).toEqual({ kind: "ok", exit: 0 });
    expect(await run(post(101), terms)).toEqual({ kind: "limit", limit: "request-body", used: 101, allowed: 100 });
    const chunked = engine.run(await engine.program(`behave-${version}`, terms), http("/read", { method: "POST", more: true }));
    await chunked.first("need-input");
    chunked.chunk(Buffer.alloc(60));
    chunked.chunk(Buffer.alloc(60));
    expect(await chunked.outcome()).toEqual({ kind: "limit", limit: "request-body", used: 120, allowed: 100 });
  });

  it("waits for a body that never comes has broken the time until the head, and after it the idle time", async () => {
    broke(await run(http("/read", { method: "POST", more: true }), {}, { head: 50 }), "head-time", 50);
    const echo = engine.run(await engine.program(`echo-${version}`), http("/", { method: "POST", more: true }), {
      deadlines: { idle: 50 },
    });
    await echo.first("need-input");
    echo.chunk("x");
    broke(await echo.outcome(), "idle-time", 50);
  });

  it("answers within the limit on headers may, and beyond it is blamed or told", async () => {
    const terms = { limits: { headerBytes: 8 * KiB } };
    expect((await engine.ask(`behave-${version}`, "/headers?bytes=4000", terms)).headers["x-filler"]).toHaveLength(4000);
    const { body, outcome } = await engine.ask(`behave-${version}`, "/headers?bytes=20000", terms);
    // WASI 0.3 lets the guest know that a field was refused; 0.2 ends it.
    if (version === "p2") expect(outcome).toEqual({ kind: "limit", limit: "response-headers", used: 8 * KiB + 1, allowed: 8 * KiB });
    else expect(Number(body)).toBeLessThan(8 * KiB);
  });
});

describe("values of a call", () => {
  const terms = { limits: { valueBytes: 1000 } };

  it("that are too large to go in are refused with the place, for they are the caller's", async () => {
    const reverse = call("demo:math/calc", "reverse", [Buffer.alloc(5000).toString("base64")]);
    expect(await engine.run(await engine.program("calc", terms), reverse).outcome()).toEqual({
      kind: "refused",
      code: "invalid-argument",
      message: "$[0]: values come to 200040 bytes here, 199040 more than the limit of 1000",
    });
  });

  it("within the limit pass", async () => {
    const run = engine.run(await engine.program("calc", terms), call("demo:math/calc", "stats", [[1, 2, 3]]));
    expect(await run.outcome()).toEqual({ kind: "ok", exit: 0 });
  });
});

describe("CPU time on an instance that is used again", () => {
  it("is counted for each run alone", async () => {
    const program = await engine.program("behave-p3", { limits: { cpuMs: 250 } });
    const on = engine.slot();
    for (let i = 0; i < 4; i++) {
      const { usage, outcome } = await engine.run(program, "/cpu?ms=90", { on, last: i === 3 }).answer();
      expect(outcome).toEqual({ kind: "ok", exit: 0 });
      expect(usage.cpuNanoseconds).toBeLessThan(250e6);
      expect(usage.cpuNanoseconds).toBeGreaterThan(10e6);
    }
  });
});

describe("a guest that misbehaves", () => {
  it("does not hold up its neighbours", async () => {
    const program = await engine.program("behave-p3", { limits: { cpuMs: 300 } });
    // As many as there are threads, and more.
    const loops = Array.from({ length: 4 }, () => engine.run(program, "/loop"));
    const good = Array.from({ length: 20 }, () => engine.run(program, "/"));
    for (const run of good) expect((await run.answer()).status).toBe(200);
    for (const run of loops) broke(await run.outcome(), "cpu", 300);
  });
});

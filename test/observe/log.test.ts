import { describe, expect, it } from "vitest";
import type { GuestLine } from "../../src/engine/engine.js";
import { NO_USAGE, type Outcome } from "../../src/engine/outcome.js";
import type { Run } from "../../src/invoke/run.js";
import { logGuestLine, logRefusal, logRun } from "../../src/observe/log.js";
import { incoming } from "../invoke/requests.js";
import { Workbench } from "../invoke/workbench.js";
import { fakeTask } from "../tasks/fake-task.js";
import { Captured } from "./captured.js";

/** A run that has settled. */
function ended(outcome: Outcome, facts: Partial<Run> = {}): Run {
  const run = new Workbench().run(fakeTask("thumbs"));
  const usage = {
    ...NO_USAGE,
    cpuNanoseconds: 1_234_567,
    startNanoseconds: 50_000,
    memoryBytes: 1000,
    requestBytes: 10,
    responseBytes: 20,
  };
  return Object.assign(run, { outcome, state: "settled", status: 200, rung: "own/linked", grantedAt: 1.5, settledAt: 4, usage }, facts);
}

describe("the line of a run", () => {
  it("says whose it was, how it ended and what it took", () => {
    const captured = new Captured();
    const origin = { kind: "http", method: "GET", path: "/a?b", requestId: "req-1", traceparent: "00-1-2-01" } as const;
    const run = ended({ kind: "ok", exit: 0 }, { origin });
    logRun(captured.log, run);
    expect(captured.lines()).toEqual([
      {
        level: "info",
        msg: "run",
        run: run.id,
        tenant: "default",
        task: "thumbs",
        version: "v1",
        method: "GET",
        path: "/a?b",
        status: 200,
        outcome: "ok",
        capacity: "own/linked",
        queueMs: 1.5,
        startMs: 0.05,
        runMs: 2.5,
        cpuMs: 1.235,
        memory: 1000,
        bytesIn: 10,
        bytesOut: 20,
        requestId: "req-1",
        traceparent: "00-1-2-01",
      },
    ]);
  });

  it.each<[Outcome, string, string | undefined]>([
    [{ kind: "ok", exit: 0 }, "info", undefined],
    [{ kind: "cancelled" }, "info", undefined],
    [{ kind: "guest-error", code: "error-code", message: "told to fail" }, "warn", "told to fail"],
    [{ kind: "trap", message: "unreachable" }, "warn", "unreachable"],
    [{ kind: "limit", limit: "memory", used: 12, allowed: 10 }, "warn", "memory: 12 of 10"],
    [{ kind: "refused", code: "node-full", message: "every instance is in use" }, "warn", "every instance is in use"],
    [{ kind: "platform", code: "internal", message: "ours" }, "error", "ours"],
  ])("of %j is written at its level, with the cause", (outcome, level, cause) => {
    const captured = new Captured();
    logRun(captured.log, ended(outcome));
    expect(captured.lines()).toMatchObject([{ level, outcome: outcome.kind }]);
    expect(captured.lines()[0]?.["cause"]).toBe(cause);
  });

  it("that is put together by hand is, to the byte, what pino writes", () => {
    const origin = { kind: "http", method: "GET", path: '/"\\\u00e9\u0001\u2028', requestId: "a\tb", traceparent: undefined } as const;
    const raw = (outcome: Outcome): string => {
      const captured = new Captured();
      logRun(captured.log, ended(outcome, { origin, id: "0".repeat(32) }));
      return captured.writes.join("").replace(/"time":\d+/, '"time":0');
    };
    // A cancelled run takes the way through pino, and differs in nothing else.
    expect(raw({ kind: "ok", exit: 0 })).toBe(raw({ kind: "cancelled" }).replace('"outcome":"cancelled"', '"outcome":"ok"'));
  });

  it("says where a run took place, and why no nearer, when it was not the usual place", () => {
    const captured = new Captured();
    const place = { rung: "warming/linked", pool: "variable", why: ["own/ready: none is idle", 'own: "x"'] } as const;
    logRun(captured.log, ended({ kind: "ok", exit: 0 }, place));
    logRun(captured.log, ended({ kind: "trap", message: "" }, place));
    const { rung, pool, why } = place;
    expect(captured.lines().map((line) => [line["capacity"], line["pool"], line["why"]])).toEqual([
      [rung, pool, why],
      [rung, pool, why],
    ]);
    const raw = captured.writes.join("").replace(/"time":\d+/g, '"time":0');
    expect(raw).toContain(`"capacity":"warming/linked","pool":"variable","why":${JSON.stringify(why)},"queueMs":1.5`);
  });

  it.each<[string, Partial<Run>, boolean]>([
    ["found an instance ready", { rung: "own/ready", term: "direct", why: [] }, false],
    ["had one made in its own cell", { rung: "own/linked", term: "direct", why: ["own/ready: none is idle"] }, false],
    ["found one ready in a cell without room", { rung: "own/linked", term: "direct", why: ["own/ready: idle ones are …"] }, true],
    ["waited for one", { rung: "own/ready", term: "wait", why: ["waited: the node had no room"] }, true],
    ["went over to the shared cells", { rung: "own/linked", term: "spill", why: ["own: the reserve is in use"] }, true],
  ])("of one that %s says so", (_what, facts, isTold) => {
    for (const outcome of [{ kind: "ok", exit: 0 }, { kind: "cancelled" }] as const) {
      const captured = new Captured();
      logRun(captured.log, ended(outcome, { pool: "shared", ...facts }));
      const { pool, term, why } = captured.lines()[0] as Record<string, unknown>;
      const expected = ["shared", facts.term === "direct" ? undefined : facts.term, facts.why];
      expect([pool, term, why]).toEqual(isTold ? expected : [undefined, undefined, undefined]);
    }
  });

  it("of a run that never had a lease has no capacity and no time of running", () => {
    const captured = new Captured();
    logRun(
      captured.log,
      ended(
        { kind: "refused", code: "node-full", message: "full" },
        { grantedAt: undefined, rung: undefined, status: undefined, usage: NO_USAGE },
      ),
    );
    const [line] = captured.lines();
    expect(line).toMatchObject({ queueMs: 4, runMs: 0 });
    expect(line).not.toHaveProperty("capacity");
    expect(line).not.toHaveProperty("status");
  });

  it("is left out below the level that was asked for", () => {
    const captured = new Captured("warn");
    logRun(captured.log, ended({ kind: "ok", exit: 0 }));
    logRun(captured.log, ended({ kind: "trap", message: "" }));
    expect(captured.lines()).toHaveLength(1);
  });

  it("says how many calls of another run it took, if several", () => {
    const captured = new Captured();
    for (const calls of [0, 1, 2]) logRun(captured.log, ended({ kind: "ok", exit: 0 }, { usage: { ...NO_USAGE, calls } }));
    logRun(captured.log, ended({ kind: "trap", message: "" }, { usage: { ...NO_USAGE, calls: 3 } }));
    expect(captured.lines().map((line) => line["calls"])).toEqual([undefined, undefined, 2, 3]);
  });

  it("names the lines that were dropped, if there were any", () => {
    const captured = new Captured();
    logRun(captured.log, ended({ kind: "ok", exit: 0 }, { usage: { ...NO_USAGE, droppedLines: 3 } }));
    expect(captured.lines()).toMatchObject([{ droppedLines: 3 }]);
  });

  it("of another task is another task's", () => {
    const captured = new Captured();
    for (const name of ["a", "b", "a"]) {
      const run = Object.assign(new Workbench().run(fakeTask(name)), { outcome: { kind: "ok", exit: 0 } });
      logRun(captured.log, run);
    }
    expect(captured.lines().map(({ task }) => task)).toEqual(["a", "b", "a"]);
  });

  it("of a refused request names the problem, at info", () => {
    const captured = new Captured();
    logRefusal(captured.log, incoming({ target: "/x?y" }), "id", { code: "request/not-found", detail: undefined });
    expect(captured.lines()).toEqual([
      { level: "info", msg: "refused", run: "id", method: "GET", path: "/x?y", outcome: "refused", cause: "request/not-found" },
    ]);
  });
});

describe("a line of a guest", () => {
  const guestLine = (parts: Partial<GuestLine>): GuestLine => ({
    slot: 0,
    run: 1,
    on: undefined,
    origin: "stdout",
    level: undefined,
    context: undefined,
    text: "hello",
    ...parts,
  });

  it("says where it was written, by which run of which task", () => {
    const captured = new Captured();
    const run = ended({ kind: "ok", exit: 0 });
    logGuestLine(captured.log, guestLine({}), run);
    expect(captured.lines()).toEqual([
      { level: "info", msg: "guest", tenant: "default", run: run.id, task: "thumbs", origin: "stdout", text: "hello" },
    ]);
  });

  it("of nobody's in particular has no run", () => {
    const captured = new Captured();
    logGuestLine(captured.log, guestLine({}), undefined);
    expect(captured.lines()).toEqual([{ level: "info", msg: "guest", origin: "stdout", text: "hello" }]);
  });

  it.each([
    ["trace", "trace"],
    ["debug", "debug"],
    ["info", "info"],
    ["warn", "warn"],
    ["error", "error"],
    ["critical", "error"],
  ] as const)("at %s through wasi:logging is a line at %s that keeps its own level and context", (guestLevel, level) => {
    const captured = new Captured();
    logGuestLine(captured.log, guestLine({ origin: "wasi:logging", level: guestLevel, context: "ctx" }), undefined);
    expect(captured.lines()).toEqual([{ level, msg: "guest", origin: "wasi:logging", guestLevel, context: "ctx", text: "hello" }]);
  });

  it("never makes the log write through at once, whatever level it claims", () => {
    const captured = new Captured();
    for (const level of ["error", "critical"] as const) logGuestLine(captured.log, guestLine({ origin: "wasi:logging", level }), undefined);
    expect(captured.flushes).toBe(0);
  });

  it.each([
    ["line ends", "one\ntwo\r\nthree\u2028four\u2029five\u0085six\vseven\feight"],
    ["a forged line", '"}\n{"level":60,"msg":"run","run":"forged"}'],
    ["JSON of its own", '{"level":60,"time":"never","msg":"run"}'],
    ["colours and cursor movements", "\u001b[31mred\u001b[0m\u001b[2J\u001b[1;1H\u009b31m\u0007\b\b"],
    ["format characters of the logger", "%s %d %j %o %O %%"],
    ["nothing that is printable", "\u0000\u0001\u007f"],
    ["half a surrogate pair", "\ud800"],
    ["quotes and backslashes", '\\"\\\\n'],
  ])("with %s stays one JSON line with exactly that text", (_what, text) => {
    const captured = new Captured();
    const run = ended({ kind: "ok", exit: 0 });
    logGuestLine(captured.log, guestLine({ text, origin: "wasi:logging", level: "info", context: text }), run);
    const [line] = captured.lines();
    expect(captured.writes).toHaveLength(1);
    expect(line).toMatchObject({ level: "info", msg: "guest", run: run.id, context: text, text });
    // No control character reaches a terminal as such.
    expect(Array.from(captured.writes[0] as string).filter((character) => character < " ")).toEqual(["\n"]);
  });

  it("is left out below the level that was asked for", () => {
    const captured = new Captured("warn");
    logGuestLine(captured.log, guestLine({}), undefined);
    logGuestLine(captured.log, guestLine({ level: "debug" }), undefined);
    logGuestLine(captured.log, guestLine({ level: "warn" }), undefined);
    expect(captured.lines()).toHaveLength(1);
  });
});

import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Grant, PoolCommand, PoolEvent } from "../../src/pool/types.js";
import { fakeTask } from "../tasks/fake-task.js";
import { ScriptedPool, Workbench } from "./workbench.js";

const EMPTY = { idle: 0, busy: 0, starting: 0, ending: 0, waiting: 0 };

describe("a run", () => {
  it("is sent to the engine with its lease, its cell and its deadlines, and settles once", () => {
    const bench = new Workbench();
    const run = bench.submit(bench.deploy(fakeTask("a", { limits: { timeout: "1s", idle: "2s", duration: "3s" } })));
    expect(bench.engine.sent).toEqual([
      {
        kind: "run",
        slot: 0,
        generation: 1,
        program: 101,
        cell: run.cell,
        run: run.handle,
        frame: { kind: "command" },
        deadlines: { head: 1000, idle: 2000, total: 3000 },
        last: true,
      },
    ]);
    expect([run.state, run.rung, run.pool, run.term, bench.executor.liveCount]).toEqual([
      "running",
      "warming/linked",
      "shared",
      "direct",
      1,
    ]);
    expect(run.why).toContain("own/ready: none is idle");
    expect(bench.engine.sentOfCells[0]).toMatchObject({ kind: "cell", cell: run.cell });
    bench.clock.time = 5;
    bench.engine.settle(run.handle, { kind: "ok", exit: 0 }, { memoryBytes: 7 });
    expect([run.state, run.outcome, run.settledAt, run.usage.memoryBytes]).toEqual(["settled", { kind: "ok", exit: 0 }, 5, 7]);
    expect(run.endings).toHaveLength(1);
    expect(bench.seen).toEqual(["settled 01 ok"]);
    expect(bench.executor.liveCount).toBe(0);
    bench.engine.emit({ kind: "retired", slot: 0, generation: 1 });
    expect(bench.pool.counts()).toEqual(EMPTY);
  });

  it("hears of its events in order, and of no other's", () => {
    const bench = new Workbench();
    const task = bench.deploy(fakeTask("a"));
    const [one, two] = [bench.submit(task), bench.submit(task)];
    bench.engine.emit(
      { kind: "need-input", run: one.handle, bytes: 1 },
      { kind: "result", run: two.handle, json: "2" },
      { kind: "end", run: one.handle, trailers: undefined },
    );
    expect(one.events.map(({ kind }) => kind)).toEqual(["need-input", "end"]);
    expect(two.events.map(({ kind }) => kind)).toEqual(["result"]);
  });

  it("hears nothing after it has settled", () => {
    const bench = new Workbench();
    const run = bench.submit(bench.deploy(fakeTask("a")));
    bench.engine.settle(run.handle);
    bench.engine.emit({ kind: "need-input", run: run.handle, bytes: 1 });
    bench.engine.settle(run.handle, { kind: "cancelled" });
    expect([run.events, run.endings]).toEqual([[], [{ kind: "ok", exit: 0 }]]);
  });

  it("has what is left of its time when it has waited for its lease", () => {
    const bench = new Workbench({ capacity: 1 });
    const task = bench.deploy(fakeTask("a", { limits: { timeout: "1s", duration: "2s" } }));
    const first = bench.submit(task);
    const second = bench.submit(task);
    expect(second.state).toBe("waiting");
    bench.clock.time = 300;
    bench.engine.settle(first.handle);
    expect(bench.engine.run(second.handle).deadlines).toEqual({ head: 700, idle: 30_000, total: 1700 });
    expect([second.grantedAt, bench.executor.known(second.id)?.record?.queueMs]).toEqual([300, 300]);
  });

  it("is told its time as people count it: from the request, by the manifest", () => {
    const bench = new Workbench({ capacity: 1 });
    const task = bench.deploy(fakeTask("a", { limits: { timeout: "1s" } }));
    const first = bench.submit(task);
    const second = bench.submit(task);
    bench.clock.time = 300;
    bench.engine.settle(first.handle);
    bench.clock.time = 1001;
    bench.engine.settle(second.handle, { kind: "limit", limit: "head-time", used: 701, allowed: 700 });
    expect(second.outcome).toEqual({ kind: "limit", limit: "head-time", used: 1001, allowed: 1000 });
  });

  it("is refused at once where there is no room and no waiting", () => {
    const bench = new Workbench({ capacity: 1 });
    const task = bench.deploy(fakeTask("a", { capacity: { whenFull: "reject" }, limits: { concurrency: 1 } }));
    bench.submit(task);
    expect(bench.submit(task).outcome).toEqual({
      kind: "refused",
      code: "task-full",
      message: "the task runs as often at once as its limits allow",
      retryAfter: 1,
    });
    const other = bench.deploy(fakeTask("b", { capacity: { whenFull: "reject" } }, 2));
    expect(bench.submit(other).outcome).toEqual({
      kind: "refused",
      code: "node-full",
      message: "the node has no room for one more instance",
      retryAfter: 1,
    });
    expect(bench.engine.of("run")).toHaveLength(1);
  });

  it("is refused when it has waited for as long as it may", () => {
    vi.useFakeTimers();
    try {
      const bench = new Workbench({ capacity: 1 });
      const task = bench.deploy(fakeTask("a", { limits: { timeout: "60s" } }));
      bench.submit(task);
      const waiting = bench.submit(task);
      bench.clock.time = 9_999;
      vi.advanceTimersByTime(100);
      expect(waiting.outcome).toBeUndefined();
      bench.clock.time = 10_000;
      vi.advanceTimersByTime(100);
      expect(waiting.outcome).toMatchObject({ kind: "refused", code: "node-full" });
      expect(bench.executor.liveCount).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it("asks again when the engine does not know its lease, and begins only once", () => {
    const bench = new Workbench();
    const run = bench.submit(bench.deploy(fakeTask("a", { reuse: { maxRequests: 10 } })));
    bench.engine.emit({ kind: "lease-refused", slot: 0, generation: 1, run: run.handle }, { kind: "retired", slot: 0, generation: 1 });
    expect(bench.engine.of("run").map(({ slot, generation }) => [slot, generation])).toEqual([
      [0, 1],
      [1, 1],
    ]);
    expect([run.state, run.endings]).toEqual(["running", []]);
    bench.engine.settle(run.handle);
    bench.engine.emit({ kind: "retired", slot: 1, generation: 1 });
    expect(run.endings).toHaveLength(1);
    expect(bench.pool.counts()).toEqual(EMPTY);
  });
});

describe("cancelling a run", () => {
  it("that runs asks the engine, and the run settles when the engine says so", () => {
    const bench = new Workbench();
    const run = bench.submit(bench.deploy(fakeTask("a")));
    bench.executor.cancel(run);
    expect(bench.engine.sent.at(-1)).toEqual({ kind: "cancel", run: run.handle });
    expect(run.endings).toEqual([]);
    bench.engine.settle(run.handle, { kind: "cancelled" });
    expect(run.endings).toEqual([{ kind: "cancelled" }]);
  });

  it("that waits settles it at once, and the engine never hears of it", () => {
    const bench = new Workbench({ capacity: 1 });
    const task = bench.deploy(fakeTask("a"));
    const first = bench.submit(task);
    const second = bench.submit(task);
    bench.executor.cancel(second);
    expect(second.endings).toEqual([{ kind: "cancelled" }]);
    bench.engine.settle(first.handle);
    expect(bench.engine.of("run")).toHaveLength(1);
    expect(bench.pool.counts().waiting).toBe(0);
  });

  it("that has ended does nothing", () => {
    const bench = new Workbench();
    const run = bench.submit(bench.deploy(fakeTask("a")));
    bench.engine.settle(run.handle);
    bench.executor.cancel(run);
    expect(bench.engine.of("cancel")).toEqual([]);
    expect(run.endings).toHaveLength(1);
  });

  it("of all runs ends those that wait and asks for those that run", () => {
    const bench = new Workbench({ capacity: 1 });
    const task = bench.deploy(fakeTask("a"));
    const [first, second] = [bench.submit(task), bench.submit(task)];
    bench.executor.cancelAll();
    expect([first.endings, second.endings]).toEqual([[], [{ kind: "cancelled" }]]);
    expect(bench.engine.of("cancel").map(({ run }) => run)).toEqual([first.handle]);
  });
});

describe("an instance", () => {
  const reused = { reuse: { maxRequests: 10 } } as const;

  it.each([
    [{ kind: "ok", exit: 0 }, true],
    [{ kind: "guest-error", code: "error-code", message: "" }, true],
    [{ kind: "guest-error", code: "no-answer", message: "" }, false],
    [{ kind: "guest-error", code: "bad-answer", message: "" }, false],
    [{ kind: "trap", message: "" }, false],
    [{ kind: "limit", limit: "cpu", used: 2, allowed: 1 }, false],
    [{ kind: "cancelled" }, false],
    [{ kind: "refused", code: "malformed", message: "" }, false],
    [{ kind: "platform", code: "internal", message: "" }, false],
  ] as const)("whose run ended with %j is used again: %s", (outcome, again) => {
    const bench = new Workbench();
    const task = bench.deploy(fakeTask("a", reused));
    bench.engine.settle(bench.submit(task).handle, outcome);
    expect(bench.engine.of("retire")).toHaveLength(again ? 0 : 1);
    expect(bench.engine.run(bench.submit(task).handle).slot).toBe(again ? 0 : 1);
  });

  it("is made ahead of demand, and observers hear of how that went", () => {
    const bench = new Workbench();
    bench.deploy(fakeTask("a", { capacity: { ready: 2 } }));
    const made = { kind: "prepare", generation: 1, program: 101, cell: 1, charge: expect.any(Number) as number };
    expect(bench.engine.sent).toEqual([
      { ...made, slot: 0 },
      { ...made, slot: 1 },
    ]);
    expect(bench.code.asked).toEqual(["prepares 1", "prepares 1"]);
    bench.engine.emit(
      { kind: "ready", slot: 0, generation: 1, nanoseconds: 40 },
      { kind: "failed", slot: 1, generation: 1, outcome: { kind: "platform", code: "internal", message: "" } },
    );
    expect(bench.seen).toEqual(["prepared 40", "failed platform"]);
    expect(bench.engine.of("prepare")).toHaveLength(2);
  });

  it("that has idled too long is retired by the executor's one timer", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const bench = new Workbench();
    const passTo = (time: number): void => {
      for (; bench.clock.time < time; bench.clock.time++) vi.advanceTimersByTime(1);
      vi.advanceTimersByTime(1);
    };
    bench.engine.settle(bench.submit(bench.deploy(fakeTask("a", { reuse: { maxRequests: 9, maxIdle: "500ms" } }))).handle);
    passTo(499);
    expect(bench.engine.of("retire")).toEqual([]);
    passTo(502);
    expect(bench.engine.of("retire")).toEqual([{ kind: "retire", slot: 0, generation: 1 }]);
  });
});

describe("a program that is removed", () => {
  it("is forgotten when its last run has ended, those that waited included", () => {
    const bench = new Workbench({ capacity: 1 });
    const task = bench.deploy(fakeTask("a", {}, 7));
    const [first, second] = [bench.submit(task), bench.submit(task)];
    bench.executor.tell({ kind: "remove", program: 7 });
    bench.engine.settle(first.handle);
    expect([bench.engine.run(second.handle).program, bench.code.asked]).toEqual([107, []]);
    bench.engine.settle(second.handle);
    expect(bench.code.asked).toEqual(["forget 7"]);
  });

  it("stays for those that are on their way to it: they run, or are called off", () => {
    const bench = new Workbench();
    const task = bench.deploy(fakeTask("a", {}, 7));
    const [first, second, third] = [bench.run(task), bench.run(task), bench.run(task)];
    for (const run of [first, second, third, first]) bench.executor.hold(run);
    expect([bench.executor.liveCount, bench.executor.live(second.id)]).toEqual([3, second]);
    bench.executor.retire(7);
    bench.executor.submit(first);
    expect([first.state, bench.code.asked]).toEqual(["running", []]);
    bench.executor.cancel(second);
    expect([second.outcome, bench.code.asked]).toEqual([{ kind: "cancelled" }, []]);
    bench.executor.endUnstarted(third, { kind: "ok", exit: 0 });
    bench.engine.settle(first.handle);
    bench.engine.emit({ kind: "retired", slot: 0, generation: 1 });
    expect([bench.code.asked, bench.executor.liveCount]).toEqual([["forget 7"], 0]);
  });

  it("is gone at once where nothing is on its way", () => {
    const bench = new Workbench();
    bench.deploy(fakeTask("a", {}, 7));
    bench.executor.retire(7);
    expect(bench.code.asked).toEqual(["forget 7"]);
  });
});

describe("a run on its way to capacity", () => {
  it("ends with its tenant, and with the node", async () => {
    const bench = new Workbench();
    const task = bench.deploy(fakeTask("a"));
    const [one, other] = [bench.run(task), bench.run(task)];
    bench.executor.hold(one);
    bench.executor.forget(task.tenant);
    expect(one.outcome).toEqual({ kind: "cancelled" });
    bench.executor.hold(other);
    const drained = bench.executor.drained(60_000);
    bench.executor.cancelAll();
    await drained;
    expect(other.outcome).toEqual({ kind: "cancelled" });
    // What is over is not held any more.
    bench.executor.hold(other);
    expect(bench.executor.liveCount).toBe(0);
  });
});

describe("lines of guests", () => {
  it("are given to observers with the run they belong to, if that can be told", () => {
    const bench = new Workbench();
    const run = bench.submit(bench.deploy(fakeTask("a")));
    const line = { slot: 0, on: undefined, origin: "stdout", level: undefined, context: undefined } as const;
    bench.engine.emit({
      kind: "log-batch",
      lines: [
        { ...line, run: run.handle, text: "mine" },
        { ...line, run: undefined, on: undefined, text: "nobody's" },
      ],
    });
    expect(bench.lines.map(({ line: { text }, run: id }) => [text, id])).toEqual([
      ["mine", run.id],
      ["nobody's", undefined],
    ]);
  });
});

describe("draining", () => {
  it("is over when the last run has ended", async () => {
    const bench = new Workbench();
    const run = bench.submit(bench.deploy(fakeTask("a")));
    let over = false;
    const drained = bench.executor.drained(1_000_000).then(() => (over = true));
    await Promise.resolve();
    expect(over).toBe(false);
    bench.engine.settle(run.handle);
    expect(await drained).toBe(true);
  });

  it("is over at once when nothing runs, and at its limit when something does not end", async () => {
    const bench = new Workbench();
    await bench.executor.drained(1_000_000);
    bench.submit(bench.deploy(fakeTask("a")));
    await bench.executor.drained(1);
    expect(bench.executor.liveCount).toBe(1);
  });
});

describe("the record of a run", () => {
  it("is there while it lives and after it has ended", () => {
    const bench = new Workbench();
    const run = bench.submit(bench.deploy(fakeTask("a")));
    expect(bench.executor.live(run.id)).toBe(run);
    expect(bench.executor.known(run.id)?.record).toMatchObject({
      id: run.id,
      task: "a",
      state: "running",
      ended: false,
      outcome: undefined,
      capacity: "warming/linked",
      pool: "shared",
      term: "direct",
      cell: 1,
      why: run.why,
    });
    bench.engine.settle(run.handle, { kind: "trap", message: "" });
    expect(bench.executor.live(run.id)).toBeUndefined();
    expect(bench.executor.known(run.id)?.record).toMatchObject({ id: run.id, state: "settled", ended: true, outcome: "trap" });
    expect(bench.executor.known("0".repeat(32))).toBeUndefined();
  });
});

describe("a task that is not linked", () => {
  it("is linked by its first run, once for all that come meanwhile, and they say so", async () => {
    const bench = new Workbench();
    const task = bench.deploy(fakeTask("a", {}, 7), "compiled");
    const link = deferred<void>();
    bench.code.raising = () => link.promise;
    const runs = [bench.submit(task), bench.submit(task)];
    expect([bench.code.asked, bench.engine.sent, runs[0]?.state]).toEqual([["raise 7"], [], "waiting"]);
    link.resolve();
    await bench.rest();
    expect(runs.map((run) => [run.state, bench.engine.run(run.handle).program])).toEqual([
      ["running", 107],
      ["running", 107],
    ]);
    bench.engine.settle(runs[0]?.handle as number);
    expect(bench.executor.known(runs[0]?.id as string)?.record).toMatchObject({ capacity: "warming/compiled", outcome: "ok" });
  });

  it("that cannot be linked ends its runs as ours, with the reason for the log once", async () => {
    const bench = new Workbench();
    bench.code.raising = async () => Promise.reject(new Error("the component hunter2 is damaged"));
    const task = bench.deploy(fakeTask("a"), "stored");
    const runs = [bench.submit(task), bench.submit(task)];
    await bench.rest();
    const outcome = { kind: "platform", code: "internal", message: "the component *** is damaged" };
    expect(runs.map(({ endings }) => endings)).toEqual([[outcome], [outcome]]);
    expect(bench.seen.filter((line) => line.startsWith("raise"))).toEqual(["raise of 1 failed: the component hunter2 is damaged"]);
    // It is not tried again at once, and the next run is told the same.
    expect([bench.submit(task).outcome, bench.code.asked]).toEqual([outcome, ["raise 1"]]);
    expect(bench.executor.liveCount).toBe(0);
  });

  it("forgets a run that is cancelled meanwhile", async () => {
    const bench = new Workbench();
    const link = deferred<void>();
    bench.code.raising = () => link.promise;
    const run = bench.submit(bench.deploy(fakeTask("a"), "stored"));
    bench.executor.cancel(run);
    link.resolve();
    await bench.rest();
    expect([run.endings, bench.engine.sent, bench.executor.liveCount]).toEqual([[{ kind: "cancelled" }], [], 0]);
  });
});

describe("what the pool commands", () => {
  /** A bench whose pool answers a demand with this grant, and the rest by `answer`. */
  function scripted(answer: (event: PoolEvent) => readonly PoolCommand[] = () => []) {
    const pool = new ScriptedPool();
    pool.answer = (event) => (event.kind === "demand" ? [grantOf(event.run)] : answer(event));
    const bench = new Workbench({ pool });
    bench.code.link(1);
    return { pool, bench, task: fakeTask("a", { limits: { timeout: "1s", duration: "3s" } }) };
  }
  const grantOf = (run: number, parts: Partial<Grant> = {}): Grant => ({
    kind: "grant",
    run,
    slot: 4,
    generation: 9,
    program: 1,
    cell: 2,
    fresh: true,
    last: true,
    rung: "own/linked",
    why: ["own/ready: none is idle"],
    pool: "dedicated",
    term: "wait",
    ...parts,
  });

  it("is asked for with the run's own terms", () => {
    const { pool, bench, task } = scripted();
    bench.clock.time = 100;
    const run = bench.submit(task);
    expect(pool.told).toEqual([{ kind: "demand", run: run.handle, program: 1, deadline: 1100, lease: 8000, priority: "interactive" }]);
    expect(run).toMatchObject({ rung: "own/linked", why: ["own/ready: none is idle"], pool: "dedicated", term: "wait", cell: 2 });
    expect([run.lease?.generation, run.lease?.deadline]).toEqual([9, 8100]);
  });

  it("hears how the run went under the lease's token, when its listener has", () => {
    const { pool, bench, task } = scripted();
    const order: string[] = [];
    const run = bench.submit(task, { settled: () => order.push(`told ${pool.told.length}`) });
    bench.engine.settle(run.handle, { kind: "ok", exit: 0 }, { memoryBytes: 5, startNanoseconds: 6, waitNanoseconds: 7 });
    expect(pool.told.slice(1)).toEqual([
      {
        kind: "settled",
        run: run.handle,
        slot: 4,
        generation: 9,
        ending: "sound",
        memoryBytes: 5,
        startNanoseconds: 6,
        waitNanoseconds: 7,
      },
    ]);
    expect([order, run.lease]).toEqual([["told 1"], undefined]);
  });

  it("gives the lease back even if the listener throws, and obeys what is left", () => {
    const { pool, bench, task } = scripted((event) =>
      event.kind === "settled" && event.run === 1 ? [grantOf(99), { kind: "lower", program: 1 }] : [],
    );
    const run = bench.submit(task, { settled: () => expect.fail("the socket is gone") });
    expect(() => bench.engine.settle(run.handle)).toThrow("the socket is gone");
    expect(pool.told.map(({ kind }) => kind)).toEqual(["demand", "settled", "retired", "settled"]);
    expect(bench.code.asked).toContain("lower 1");
  });

  it("settles a run whose lease has expired, and what the engine says of it later changes nothing", () => {
    const { pool, bench, task } = scripted((event) =>
      event.kind === "tick"
        ? [
            { kind: "expire", run: 1, slot: 4, generation: 9 },
            { kind: "retire", slot: 4, generation: 9 },
          ]
        : [],
    );
    const run = bench.submit(task);
    bench.executor.tell({ kind: "tick" });
    expect(run.endings).toEqual([
      { kind: "platform", code: "lease-expired", message: "the run outlived its lease, and the engine did not end it" },
    ]);
    expect(bench.engine.sent.slice(1)).toEqual([
      { kind: "cancel", run: run.handle },
      { kind: "retire", slot: 4, generation: 9 },
    ]);
    bench.engine.emit(
      { kind: "need-input", run: run.handle, bytes: 1 },
      { kind: "lease-refused", slot: 4, generation: 9, run: run.handle },
    );
    bench.engine.settle(run.handle, { kind: "ok", exit: 0 });
    expect([run.endings.length, run.events, pool.told.map(({ kind }) => kind)]).toEqual([1, [], ["demand", "tick"]]);
  });

  it("gives an instance back that was to be made for a run which is gone", () => {
    const { pool, bench } = scripted((event) => (event.kind === "tick" ? [grantOf(77), grantOf(78, { fresh: false })] : []));
    bench.executor.tell({ kind: "tick" });
    expect(pool.told.slice(1).map((event) => [event.kind, "run" in event ? event.run : undefined])).toEqual([
      ["retired", undefined],
      ["settled", 77],
      ["settled", 78],
    ]);
    expect(bench.engine.sent).toEqual([]);
  });

  it("ends a run that cannot cross, and gives its lease back", () => {
    const { pool, bench, task } = scripted();
    bench.engine.refuses = new Error("a request head of this size cannot cross");
    const run = bench.submit(task);
    expect(run.endings).toEqual([{ kind: "platform", code: "internal", message: "a request head of this size cannot cross" }]);
    expect(pool.told.map(({ kind }) => kind)).toEqual(["demand", "retired", "settled"]);
  });

  it("ends a run whose program is not there, and gives its lease back", () => {
    const { pool, bench, task } = scripted();
    bench.code.linked.clear();
    expect(bench.submit(task).endings).toEqual([{ kind: "platform", code: "internal", message: "its program is not linked" }]);
    expect(pool.told.map(({ kind }) => kind)).toEqual(["demand", "retired", "settled"]);
  });

  it("makes instances in cells, and trials in none", () => {
    const { bench } = scripted((event) =>
      event.kind === "tick"
        ? [
            { kind: "cell", cell: 2, bytes: 500, reserved: false },
            { kind: "prepare", slot: 1, generation: 1, program: 1, cell: 2, charge: 50 },
            { kind: "prepare", slot: 2, generation: 1, program: 1, cell: 0, charge: 50 },
            { kind: "close-cell", cell: 2 },
          ]
        : [],
    );
    bench.executor.tell({ kind: "tick" });
    expect(bench.engine.sent).toEqual([
      { kind: "prepare", slot: 1, generation: 1, program: 101, cell: 2, charge: 50 },
      { kind: "prepare", slot: 2, generation: 1, program: 101 },
    ]);
    expect(bench.engine.sentOfCells).toEqual([
      { kind: "cell", cell: 2, bytes: 500, reserved: false },
      { kind: "close-cell", cell: 2 },
    ]);
  });

  it("is told that an instance failed whose program is not there", () => {
    const { pool, bench } = scripted((event) =>
      event.kind === "tick" ? [{ kind: "prepare", slot: 1, generation: 3, program: 8, cell: 2, charge: 50 }] : [],
    );
    bench.executor.tell({ kind: "tick" });
    expect(pool.told.slice(1)).toEqual([{ kind: "failed", slot: 1, generation: 3 }]);
  });

  it("is told what linking took and what the program holds then", async () => {
    const { pool, bench } = scripted((event) => (event.kind === "tick" ? [{ kind: "raise", program: 3 }] : []));
    bench.code.raising = async () => void (bench.clock.time += 12);
    bench.executor.tell({ kind: "tick" });
    await bench.rest();
    expect(pool.told.slice(1)).toEqual([{ kind: "raised", program: 3, bytes: 1000, milliseconds: 12 }]);
  });

  it.each([
    ["tenant-full", 1500, 2, "what the tenant has of the node is in use"],
    ["overloaded", 12_000, 12, "the node has more to do than its processors can"],
    ["draining", 0, 1, "the node, or this tenant on it, takes no runs at the moment"],
  ] as const)("refuses a run as %s with an honest time to come back", (reason, retryAfter, seconds, message) => {
    const pool = new ScriptedPool();
    const bench = new Workbench({ pool });
    pool.answer = (event) => (event.kind === "demand" ? [{ kind: "refuse", run: event.run, reason, retryAfter }] : []);
    expect(bench.submit(fakeTask("a")).outcome).toEqual({ kind: "refused", code: reason, message, retryAfter: seconds });
  });

  it("refuses a run without code as ours, whatever is known of it", () => {
    const pool = new ScriptedPool();
    const bench = new Workbench({ pool });
    pool.answer = (event) => (event.kind === "demand" ? [{ kind: "refuse", run: event.run, reason: "no-code", retryAfter: 0 }] : []);
    expect(bench.submit(fakeTask("a")).outcome).toEqual({ kind: "platform", code: "internal", message: "its program could not be linked" });
  });
});

describe("the executor's one timer", () => {
  function timed() {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const pool = new ScriptedPool();
    const bench = new Workbench({ pool });
    const ticks = (): number => pool.told.filter(({ kind }) => kind === "tick").length;
    const pass = (milliseconds: number): void => {
      bench.clock.time += milliseconds;
      vi.advanceTimersByTime(milliseconds);
    };
    return { pool, bench, ticks, pass };
  }

  it("is not set while nothing runs and the pool waits for nothing", () => {
    const { bench } = timed();
    bench.executor.tell({ kind: "tick" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("looks every 50 ms while runs are alive, and says how late it was", () => {
    const { pool, bench, ticks, pass } = timed();
    const run = bench.submit(fakeTask("a"));
    pass(50);
    expect([ticks(), pool.lags]).toEqual([1, [[50, 0]]]);
    // The event loop was busy for 30 ms more than it should have been.
    bench.clock.time += 30;
    pass(50);
    expect([ticks(), pool.lags]).toEqual([
      2,
      [
        [50, 0],
        [130, 30],
      ],
    ]);
    bench.executor.cancel(run);
    pass(50);
    expect(pool.lags).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is moved when something earlier comes up while nothing runs", () => {
    const { pool, bench, ticks, pass } = timed();
    pool.wake = 800;
    bench.executor.tell({ kind: "drain" });
    pool.wake = 200;
    bench.executor.tell({ kind: "drain" });
    pass(199);
    expect(ticks()).toBe(0);
    pass(1);
    expect(ticks()).toBe(1);
  });

  it("never rests longer than a second, and not at all once it is stopped", () => {
    const { pool, bench, ticks, pass } = timed();
    pool.wake = 60_000;
    bench.executor.tell({ kind: "drain" });
    pass(1000);
    expect(ticks()).toBe(1);
    bench.executor.stop();
    bench.executor.tell({ kind: "drain" });
    pass(5000);
    expect(ticks()).toBe(1);
  });
});

describe("a trial", () => {
  it("makes one instance beside everything else, and lets it go", async () => {
    const bench = new Workbench();
    bench.deploy(fakeTask("a"));
    const tried = bench.executor.try(1, 1000);
    expect(bench.engine.of("prepare")).toEqual([{ kind: "prepare", slot: 0, generation: 1, program: 101 }]);
    bench.engine.emit({ kind: "ready", slot: 0, generation: 1, nanoseconds: 5 });
    expect(await tried).toBeUndefined();
    expect(bench.engine.of("retire")).toEqual([{ kind: "retire", slot: 0, generation: 1 }]);
  });

  it("that cannot be made is told with the outcome", async () => {
    const bench = new Workbench();
    bench.deploy(fakeTask("a"));
    const tried = bench.executor.try(1, 1000);
    bench.engine.emit({ kind: "failed", slot: 0, generation: 1, outcome: { kind: "trap", message: "at start" } });
    expect(await tried).toEqual({ kind: "trap", message: "at start" });
  });

  it("is not waited for where there is no room, or longer than told", async () => {
    const bench = new Workbench({ capacity: 1 });
    bench.submit(bench.deploy(fakeTask("a")));
    expect(await bench.executor.try(1, 100_000)).toBeUndefined();
    const roomy = new Workbench();
    roomy.deploy(fakeTask("a"));
    expect(await roomy.executor.try(1, 5)).toBeUndefined();
  });
});

function deferred<T>(): { readonly promise: Promise<T>; resolve(value: T): void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve: (value) => resolve(value) };
}

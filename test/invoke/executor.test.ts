import { describe, expect, it, vi } from "vitest";
import { UNLINKED, type Task } from "../../src/tasks/task.js";
import { fakeTask } from "../tasks/fake-task.js";
import { Workbench } from "./workbench.js";

const EMPTY = { idle: 0, busy: 0, starting: 0, ending: 0, waiting: 0 };

describe("a run", () => {
  it("is sent to the engine with its lease and its deadlines, and settles once", () => {
    const bench = new Workbench();
    const run = bench.submit(bench.deploy(fakeTask("a", { limits: { timeout: "1s", idle: "2s", duration: "3s" } })));
    expect(bench.engine.sent).toEqual([
      {
        kind: "run",
        slot: 0,
        generation: 1,
        program: 1,
        run: run.handle,
        frame: { kind: "command" },
        deadlines: { head: 1000, idle: 2000, total: 3000 },
        last: true,
      },
    ]);
    expect([run.state, run.rung, bench.executor.liveCount]).toEqual(["running", "own/linked", 1]);
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
    });
    const other = bench.deploy(fakeTask("b", { capacity: { whenFull: "reject" } }, 2));
    expect(bench.submit(other).outcome).toEqual({ kind: "refused", code: "node-full", message: "every instance of the node is in use" });
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
    expect(bench.engine.sent).toEqual([
      { kind: "prepare", slot: 0, generation: 1, program: 1 },
      { kind: "prepare", slot: 1, generation: 1, program: 1 },
    ]);
    bench.engine.emit(
      { kind: "ready", slot: 0, generation: 1, nanoseconds: 40 },
      { kind: "failed", slot: 1, generation: 1, outcome: { kind: "platform", code: "internal", message: "" } },
    );
    expect(bench.seen).toEqual(["prepared 40", "failed platform"]);
    expect(bench.engine.of("prepare")).toHaveLength(2);
  });

  it("that has idled too long is retired by the executor's one timer", () => {
    vi.useFakeTimers();
    try {
      const bench = new Workbench();
      bench.engine.settle(bench.submit(bench.deploy(fakeTask("a", { reuse: { maxRequests: 9, maxIdle: "5s" } }))).handle);
      bench.clock.time = 4999;
      vi.advanceTimersByTime(60);
      expect(bench.engine.of("retire")).toEqual([]);
      bench.clock.time = 5000;
      vi.advanceTimersByTime(60);
      expect(bench.engine.of("retire")).toEqual([{ kind: "retire", slot: 0, generation: 1 }]);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("a program that is removed", () => {
  it("is unlinked when its last run has ended, those that waited included", () => {
    const bench = new Workbench({ capacity: 1 });
    const task = bench.deploy(fakeTask("a", {}, 7));
    const [first, second] = [bench.submit(task), bench.submit(task)];
    bench.executor.removeProgram(7);
    expect(bench.engine.unlinked).toEqual([]);
    bench.engine.settle(first.handle);
    expect(bench.engine.run(second.handle).program).toBe(7);
    expect(bench.engine.unlinked).toEqual([]);
    bench.engine.settle(second.handle);
    expect(bench.engine.unlinked).toEqual([7]);
  });
});

describe("lines of guests", () => {
  it("are given to observers with the run they belong to, if that can be told", () => {
    const bench = new Workbench();
    const run = bench.submit(bench.deploy(fakeTask("a")));
    const line = { slot: 0, origin: "stdout", level: undefined, context: undefined } as const;
    bench.engine.emit({
      kind: "log-batch",
      lines: [
        { ...line, run: run.handle, text: "mine" },
        { ...line, run: undefined, text: "nobody's" },
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
      capacity: "own/linked",
    });
    bench.engine.settle(run.handle, { kind: "trap", message: "" });
    expect(bench.executor.live(run.id)).toBeUndefined();
    expect(bench.executor.known(run.id)?.record).toMatchObject({ id: run.id, state: "settled", ended: true, outcome: "trap" });
    expect(bench.executor.known("0".repeat(32))).toBeUndefined();
  });
});

describe("a task that is not linked", () => {
  const stub = (): Task => ({ ...fakeTask("a"), version: { ...fakeTask("a").version, program: UNLINKED, info: undefined } });

  it("is linked by its first run, once for all that come meanwhile, and they say so", async () => {
    const bench = new Workbench();
    const task = stub();
    const linked = fakeTask("a", {}, 7);
    let asked = 0;
    const link = deferred<Task>();
    bench.raise = (wanted) => (expect(wanted).toBe(task), asked++, link.promise);
    const runs = [bench.submit(task), bench.submit(task)];
    expect([asked, bench.engine.sent, runs[0]?.state]).toEqual([2, [], "waiting"]);
    bench.deploy(linked);
    link.resolve(linked);
    await link.promise;
    await Promise.resolve();
    expect(runs.map((run) => [run.state, run.task, bench.engine.run(run.handle).program])).toEqual([
      ["running", linked, 7],
      ["running", linked, 7],
    ]);
    bench.engine.settle(runs[0]?.handle as number);
    expect(bench.executor.known(runs[0]?.id as string)?.record).toMatchObject({ capacity: "own/compiled", outcome: "ok" });
  });

  it("that cannot be linked ends the run as ours, and the next one tries again", async () => {
    const bench = new Workbench();
    bench.raise = async () => Promise.reject(new Error("the component hunter2 is damaged"));
    const run = bench.submit(stub());
    await new Promise(setImmediate);
    expect(run.endings).toEqual([{ kind: "platform", code: "internal", message: "the component *** is damaged" }]);
    expect(bench.executor.liveCount).toBe(0);
  });

  it("forgets a run that is cancelled meanwhile", async () => {
    const bench = new Workbench();
    const link = deferred<Task>();
    bench.raise = () => link.promise;
    const run = bench.submit(stub());
    bench.executor.cancel(run);
    link.resolve(bench.deploy(fakeTask("a", {}, 7)));
    await new Promise(setImmediate);
    expect([run.endings, bench.engine.sent, bench.executor.liveCount]).toEqual([[{ kind: "cancelled" }], [], 0]);
  });
});

describe("an instance ahead of the first run", () => {
  it("is made and told of; the next run has it", async () => {
    const bench = new Workbench();
    const task = bench.deploy(fakeTask("a"));
    const warmed = bench.executor.warm(1, 1000);
    expect(bench.engine.of("prepare")).toEqual([{ kind: "prepare", slot: 0, generation: 1, program: 1 }]);
    bench.engine.emit({ kind: "ready", slot: 0, generation: 1, nanoseconds: 5 });
    expect(await warmed).toBeUndefined();
    expect(bench.submit(task).rung).toBe("own/ready");
  });

  it("that cannot be made is told with the outcome", async () => {
    const bench = new Workbench();
    bench.deploy(fakeTask("a"));
    const warmed = bench.executor.warm(1, 1000);
    bench.engine.emit({ kind: "failed", slot: 0, generation: 1, outcome: { kind: "trap", message: "at start" } });
    expect(await warmed).toEqual({ kind: "trap", message: "at start" });
  });

  it("is not waited for where there is no room, or longer than told", async () => {
    const bench = new Workbench({ capacity: 1 });
    bench.submit(bench.deploy(fakeTask("a")));
    expect(await bench.executor.warm(1, 100_000)).toBeUndefined();
    const roomy = new Workbench();
    roomy.deploy(fakeTask("a"));
    expect(await roomy.executor.warm(1, 5)).toBeUndefined();
  });
});

function deferred<T>(): { readonly promise: Promise<T>; resolve(value: T): void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve: (value) => resolve(value) };
}

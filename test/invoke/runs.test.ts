import { describe, expect, it } from "vitest";
import { newRunId } from "../../src/base/ids.js";
import { NO_USAGE } from "../../src/engine/outcome.js";
import { ENDED_RUNS, EndedRuns } from "../../src/invoke/runs.js";
import type { Run } from "../../src/invoke/run.js";
import { fakeTask } from "../tasks/fake-task.js";
import { Workbench } from "./workbench.js";

const task = fakeTask("a");

/** A run that has ended, with an id of its own. */
function ended(facts: Partial<Run> = {}): Run {
  const run = new Workbench().run(task);
  return Object.assign(run, { id: newRunId(), state: "settled", outcome: { kind: "ok", exit: 0 }, settledAt: 9 }, facts);
}

describe("the runs that have ended", () => {
  it("are remembered as what they were", () => {
    const runs = new EndedRuns();
    const usage = { ...NO_USAGE, cpuNanoseconds: 2_500_000, memoryBytes: 77 };
    const place = { rung: "warming/linked", pool: "variable", term: "wait", cell: 3, why: ["own/ready: none is idle"] } as const;
    const run = ended({ grantedAt: 4, status: 201, expected: true, ...place, usage, startedAtWall: Date.UTC(2026, 0, 2) });
    runs.add(run);
    expect(runs.get(run.id)?.record).toEqual({
      id: run.id,
      task: "a",
      version: "v1",
      state: "settled",
      ended: true,
      startedAt: "2026-01-02T00:00:00.000Z",
      outcome: "ok",
      status: 201,
      expected: true,
      capacity: "warming/linked",
      pool: "variable",
      term: "wait",
      cell: 3,
      why: ["own/ready: none is idle"],
      queueMs: 4,
      runMs: 5,
      cpuMs: 2.5,
      memoryBytes: 77,
    });
  });

  it("that never had a lease have no time of running, only of waiting", () => {
    const runs = new EndedRuns();
    const run = ended({ outcome: { kind: "refused", code: "node-full", message: "" } });
    runs.add(run);
    expect(runs.get(run.id)?.record).toMatchObject({
      outcome: "refused",
      status: undefined,
      capacity: undefined,
      pool: undefined,
      cell: undefined,
      why: [],
      queueMs: 9,
      runMs: undefined,
    });
  });

  it("are the last 10,000; the oldest goes first", () => {
    expect(ENDED_RUNS).toBe(10_000);
    const runs = new EndedRuns();
    const [run, ids] = [ended(), Array.from({ length: ENDED_RUNS + 5 }, newRunId)];
    for (const id of ids) runs.add(Object.assign(run, { id }));
    for (const id of ids.slice(0, 5)) expect(runs.get(id)).toBeUndefined();
    for (const id of [...ids.slice(5, 8), ...ids.slice(-3)]) expect(runs.get(id)?.record.id).toBe(id);
  });

  it("are each tenant's own: how many others run changes nothing, and they go with their tenant", () => {
    const runs = new EndedRuns(100);
    const mine = ended();
    runs.add(mine);
    const others = Object.assign(ended(), { task: { ...task, tenant: "globex" } });
    const ids = Array.from({ length: 250 }, newRunId);
    ids.forEach((id, at) => runs.add(Object.assign(others, { id, cell: at, pool: "shared", term: "spill", why: [`reason ${at}`] })));
    expect(runs.get(mine.id)?.record.id).toBe(mine.id);
    expect(ids.map((id) => runs.get(id) !== undefined)).toEqual(ids.map((_, at) => at >= 150));
    // What a ring holds of a run goes along when the ring grows.
    expect(runs.get(ids[200] as string)?.record).toMatchObject({ cell: 200, pool: "shared", term: "spill", why: ["reason 200"] });
    runs.forget("globex");
    expect([runs.get(ids.at(-1) as string), runs.get(mine.id)?.task]).toEqual([undefined, task]);
  });

  it("keep nothing of a run alive: not its request, not its listener", () => {
    const runs = new EndedRuns();
    const run = ended();
    runs.add(run);
    const record = runs.get(run.id)?.record;
    expect(record).not.toHaveProperty("listener");
    expect(record).not.toHaveProperty("frame");
    expect(record).not.toHaveProperty("origin");
  });

  it.each(["", "0", "x".repeat(32), "0".repeat(31), "0".repeat(33), "A".repeat(32), "0".repeat(32)])("do not hold %j", (id) => {
    const runs = new EndedRuns();
    runs.add(ended());
    expect(runs.get(id)).toBeUndefined();
  });
});

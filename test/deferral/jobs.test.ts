/** The jobs of a node: what was accepted is there, once, and moves as its state allows. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { idOf } from "../../src/base/ids.js";
import { isOver, MOVES, type Job, type JobState, type NewJob } from "../../src/deferral/job.js";
import { Jobs } from "../../src/deferral/jobs.js";
import { memoryState } from "../../src/state/memory.js";
import { put, table, type StateStore } from "../../src/state/store.js";

const OTHER = table<number>("other");

export function job(n: number | string, fields: Partial<NewJob> = {}): NewJob {
  return {
    id: idOf("test", n),
    tenant: "acme",
    task: "a",
    origin: { kind: "request" },
    work: { kind: "http", method: "POST", scheme: "http", authority: "h", target: "/" },
    caller: { kind: "anonymous" },
    input: { headers: ["a", "b"], body: Buffer.from("body") },
    ...fields,
  };
}

describe("jobs", () => {
  it("are there once they are durable, with what else was to be true then, and are not taken on twice", async () => {
    const state = memoryState();
    const jobs = new Jobs(state);
    const [one] = await jobs.accept([job(1), job(1)], 5, [put(OTHER, "place", 7)]);
    expect(one).toMatchObject({ state: "waiting", acceptedAt: 5, dueAt: 5, starts: 0, inputBytes: 6 });
    expect([await jobs.accept([job(1), job(2)], 6), jobs.load("acme")]).toMatchObject([
      [{ id: idOf("test", 2) }],
      { waiting: 2, bytes: 12 },
    ]);
    expect(state.get(OTHER, "place")).toBe(7);
    const again = new Jobs(state);
    expect([...again.all()]).toEqual([...jobs.all()]);
    expect(again.input(idOf("test", 1))).toEqual({ headers: ["a", "b"], body: Buffer.from("body") });
  });

  it("that are being accepted twice at once are one", async () => {
    const jobs = new Jobs(memoryState());
    const both = await Promise.all([jobs.accept([job(1)], 1), jobs.accept([job(1)], 1)]);
    expect(both.map(({ length }) => length)).toEqual([1, 0]);
  });

  it("go to the states that may follow theirs, one step after the other", async () => {
    const jobs = new Jobs(memoryState());
    const [one] = (await jobs.accept([job(1)], 1)) as [Job];
    const both = await Promise.all([jobs.step(one.id, "running", { starts: 1 }), jobs.step(one.id, "cancelled", {})]);
    expect(both.map((each) => each?.state)).toEqual(["running", "cancelled"]);
    expect(await jobs.step(one.id, "done", {})).toBeUndefined();
    const [two] = (await jobs.accept([job(2)], 1)) as [Job];
    await jobs.step(two.id, "running", {});
    await jobs.step(two.id, "done", { status: 200 }, { status: 200, headers: [], body: Buffer.from("x") });
    expect([jobs.input(two.id), jobs.result(two.id)?.body]).toEqual([undefined, Buffer.from("x")]);
    expect(jobs.load("acme")).toEqual({ waiting: 0, bytes: 0, kept: 2, keptBytes: 6 });
  });

  it("are not shown before they are on the disk, and not at all where that fails", async () => {
    const state = memoryState();
    const broken: StateStore = { ...state, commit: () => Promise.reject(new Error("full")) };
    const jobs = new Jobs(broken);
    await expect(jobs.accept([job(1)], 1)).rejects.toThrow("full");
    expect([...jobs.all()]).toEqual([]);
  });

  it("are listed by tenant, the latest first, in pages", async () => {
    const jobs = new Jobs(memoryState());
    for (let n = 0; n < 5; n++) await jobs.accept([job(n, { task: n === 3 ? "b" : "a" })], n);
    await jobs.accept([job(9, { tenant: "globex" })], 9);
    const ids = (list: readonly Job[]): number[] => list.map(({ acceptedAt }) => acceptedAt);
    const first = jobs.list({ tenant: "acme" }, undefined, 2);
    expect([ids(first), ids(jobs.list({ tenant: "acme" }, first[1]?.id, 10))]).toEqual([
      [4, 3],
      [2, 1, 0],
    ]);
    expect(ids(jobs.list({ tenant: "acme", task: "b" }, undefined, 10))).toEqual([3]);
  });

  it("never lose one, never have two of one id, and are after a crash what was last durable", async () => {
    const acts = fc.array(fc.tuple(fc.nat(9), fc.constantFrom("accept", "running", "done", "failed", "waiting", "cancelled", "crash")), {
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(acts, async (all) => {
        const state = memoryState();
        let jobs = new Jobs(state);
        const oracle = new Map<string, JobState>();
        for (const [n, act] of all) {
          const id = idOf("test", n);
          if (act === "crash") jobs = new Jobs(state);
          else if (act === "accept") {
            await jobs.accept([job(n)], n);
            if (!oracle.has(id)) oracle.set(id, "waiting");
          } else {
            const before = oracle.get(id);
            const moved = await jobs.step(id, act, {});
            const may = before !== undefined && MOVES[before].includes(act);
            expect(moved !== undefined).toBe(may);
            if (may) oracle.set(id, act);
          }
          expect(new Map([...jobs.all()].map((each) => [each.id, each.state]))).toEqual(oracle);
          expect(jobs.load("acme").waiting).toBe([...oracle.values()].filter((each) => !isOver(each)).length);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("that are over make way, the first that came first, beyond what a tenant may keep; dead letters stay", async () => {
    const state = memoryState();
    const jobs = new Jobs(state);
    const big = 100 * 2 ** 20;
    for (let n = 0; n < 4; n++) {
      const [one] = await jobs.accept([job(n)], n);
      await jobs.step((one as Job).id, "running", {});
      await jobs.step((one as Job).id, n === 1 ? "failed" : "done", { resultBytes: big, ...(n === 1 && { isDead: true }) });
    }
    expect(jobs.load("acme")).toMatchObject({ waiting: 1, kept: 3, keptBytes: 3 * big });
    expect(jobs.surplus("acme")).toEqual([idOf("test", 0)]);
    expect(jobs.surplus("globex")).toEqual([]);
  });
});

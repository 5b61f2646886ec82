/** The order in which jobs start. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoff, JobQueue } from "../../src/deferral/queue.js";

const ROOM = { running: 0, most: 10, perTenantMost: 10 };

/** Milliseconds in which so many are put in line and taken. */
function time(count: number): number {
  const queue = new JobQueue();
  const began = performance.now();
  for (let n = 0; n < count; n++) queue.add({ id: `a${n}`, tenant: `t${n % 100}`, dueAt: n % 1000, latest: 1e6 + n });
  let taken = 0;
  while (queue.size > 0) {
    const ids = queue.take(2000, { running: 0, most: 32, perTenantMost: 16 });
    taken += ids.length;
    for (const id of ids) queue.ended(id);
  }
  expect(taken).toBe(count);
  return performance.now() - began;
}

describe("a queue of jobs", () => {
  it("gives what is due, the earliest first, and nothing before its time", () => {
    const queue = new JobQueue();
    queue.add({ id: "b", tenant: "acme", dueAt: 20 });
    queue.add({ id: "a", tenant: "acme", dueAt: 10 });
    queue.add({ id: "c", tenant: "acme", dueAt: 30 });
    expect([queue.nextWake(0), queue.take(9, ROOM), queue.take(20, ROOM), queue.nextWake(20)]).toEqual([10, [], ["a", "b"], 30]);
  });

  it("forgets what is removed, and takes what is added again at its new time", () => {
    const queue = new JobQueue();
    queue.add({ id: "a", tenant: "acme", dueAt: 10 });
    queue.add({ id: "a", tenant: "acme", dueAt: 50 });
    queue.add({ id: "b", tenant: "acme", dueAt: 10 });
    queue.remove("b");
    expect([queue.take(20, ROOM), queue.size, queue.take(50, ROOM)]).toEqual([[], 1, ["a"]]);
  });

  it("has tenants take turns: one with very many holds up nobody", () => {
    const queue = new JobQueue();
    for (let n = 0; n < 1000; n++) queue.add({ id: `a${n}`, tenant: "acme", dueAt: 0 });
    queue.add({ id: "b", tenant: "globex", dueAt: 1 });
    expect(queue.take(1, { ...ROOM, most: 3 })).toEqual(["a0", "b", "a1"]);
  });

  it("lets a tenant have no more than its share at once", () => {
    const queue = new JobQueue();
    for (let n = 0; n < 5; n++) queue.add({ id: `a${n}`, tenant: "acme", dueAt: 0, latest: 1 });
    expect(queue.take(1, { ...ROOM, perTenantMost: 2 })).toEqual(["a0", "a1"]);
    expect(queue.take(1, { ...ROOM, running: 2, perTenantMost: 2 })).toEqual([]);
    queue.ended("a0");
    expect(queue.take(1, { ...ROOM, running: 1, perTenantMost: 2 })).toEqual(["a2"]);
  });

  it("has that go first whose latest start comes near, also before it is due", () => {
    const queue = new JobQueue();
    queue.add({ id: "a", tenant: "acme", dueAt: 0 });
    queue.add({ id: "b", tenant: "acme", dueAt: 100_000, latest: 34_000 });
    expect([queue.nextWake(0), queue.take(3999, { ...ROOM, most: 1 }), queue.take(4000, ROOM)]).toEqual([0, ["a"], ["b"]]);
  });

  it("starts what was only put off where it is quiet", () => {
    const queue = new JobQueue();
    queue.add({ id: "put off", tenant: "acme", dueAt: 1000, mayStartEarly: true });
    queue.add({ id: "planned", tenant: "acme", dueAt: 1000 });
    expect([queue.take(1, ROOM), queue.take(1, { ...ROOM, quiet: true })]).toEqual([[], ["put off"]]);
  });

  it("takes little longer for each of 30,000 than of 3,000", () => {
    // The quicker of two rounds each, so that what else the machine does cancels out.
    const [few, many] = [3_000, 30_000].map((count) => Math.min(time(count), time(count)) / count) as [number, number];
    expect(many / few).toBeLessThan(6);
  });

  it("gives what is said to be urgent half of the places at most: two tenants that say so of all keep nobody out", () => {
    const queue = new JobQueue();
    for (let n = 0; n < 40; n++) for (const tenant of ["x", "y"]) queue.add({ id: `${tenant}${n}`, tenant, dueAt: 0, latest: 10 });
    queue.add({ id: "mine", tenant: "acme", dueAt: 0 });
    const taken = queue.take(1, { running: 0, most: 32, perTenantMost: 16 });
    expect([taken.length, taken.includes("mine")]).toEqual([32, true]);
  });

  it("has that of a tenant's go first whose latest start is nearest, and no other wait behind them for ever", () => {
    const queue = new JobQueue();
    const [hour, one] = [3_600_000, { ...ROOM, most: 1 }];
    queue.add({ id: "any time", tenant: "acme", dueAt: 0 });
    queue.add({ id: "late", tenant: "acme", dueAt: 10, latest: 10 * hour });
    queue.add({ id: "soon", tenant: "acme", dueAt: 20, latest: hour / 2 });
    const order: string[] = [];
    for (let id = queue.take(30, one)[0]; id !== undefined; id = queue.take(30, one)[0]) {
      order.push(id);
      queue.ended(id);
    }
    expect(order).toEqual(["soon", "any time", "late"]);
  });

  it("that waits for room alone wants no waking, and what is tried again waits until it is due", () => {
    const queue = new JobQueue();
    queue.add({ id: "a", tenant: "acme", dueAt: 0, latest: 10 });
    queue.add({ id: "b", tenant: "acme", dueAt: 0, latest: 10 });
    expect([queue.take(5, { ...ROOM, most: 1 }), queue.nextWake(5)]).toEqual([["a"], Number.POSITIVE_INFINITY]);
    queue.ended("a");
    queue.add({ id: "a", tenant: "acme", dueAt: 500, latest: 10, isRetry: true });
    expect([queue.take(6, ROOM), queue.take(499, ROOM), queue.nextWake(499), queue.take(500, ROOM)]).toEqual([["b"], [], 500, ["a"]]);
  });

  it("starts each once, never too many, none late where there is room, and never sleeps past a time", () => {
    const act = fc.record({
      kind: fc.constantFrom("add", "remove", "take", "end"),
      n: fc.nat(20),
      tenant: fc.nat(3),
      at: fc.nat(50_000),
      latest: fc.option(fc.nat(60_000), { nil: undefined }),
      early: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(act, { maxLength: 200 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        (acts, most, perTenantMost) => {
          const queue = new JobQueue();
          const waiting = new Map<string, { tenant: string; dueAt: number; latest: number | undefined }>();
          const running = new Map<string, string>();
          let now = 0;
          for (const { kind, n, tenant, at, latest, early } of acts) {
            const id = `j${n}`;
            if (kind === "add" && !running.has(id)) {
              const job = { tenant: `t${tenant}`, dueAt: now + at, latest: latest === undefined ? undefined : now + latest };
              queue.add({ id, ...job, mayStartEarly: early });
              waiting.set(id, job);
            } else if (kind === "remove") {
              queue.remove(id);
              waiting.delete(id);
            } else if (kind === "end") {
              queue.ended(id);
              running.delete(id);
            } else if (kind === "take") {
              now += at;
              const ids = queue.take(now, { running: running.size, most, perTenantMost });
              for (const each of ids) {
                const job = waiting.get(each);
                expect(job, "it waited, and was not started before").toBeDefined();
                expect((job?.dueAt as number) <= now || (job?.latest ?? Infinity) - 30_000 <= now).toBe(true);
                waiting.delete(each);
                running.set(each, job?.tenant as string);
              }
              expect(running.size).toBeLessThanOrEqual(most);
              for (const name of new Set(running.values()))
                expect([...running.values()].filter((each) => each === name).length).toBeLessThanOrEqual(perTenantMost);
              // Whoever could start has started.
              const counts = (name: string): number => [...running.values()].filter((each) => each === name).length;
              const left = [...waiting.values()].filter((job) => job.dueAt <= now && counts(job.tenant) < perTenantMost);
              expect(left.length === 0 || running.size === most).toBe(true);
              const due = Math.min(Infinity, ...[...waiting.values()].filter((job) => job.dueAt > now).map((job) => job.dueAt));
              expect(queue.nextWake(now)).toBeLessThanOrEqual(Math.max(due, now + 1));
            }
            expect(queue.size).toBe(waiting.size);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

it("pauses grow up to the longest, and are not all alike", () => {
  const pauses = { delay: 100, longest: 1000 };
  expect([1, 2, 3, 4, 5, 60].map((attempt) => backoff(attempt, pauses, () => 0))).toEqual([100, 200, 400, 800, 1000, 1000]);
  expect(backoff(1, pauses, () => 0.999)).toBeCloseTo(75, 0);
});

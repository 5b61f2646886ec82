/** Random histories of runs, signals, announcements and clocks: caps hold, sums are right, everything ends. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MiB, Scene } from "./scene.js";

const LIMITS = {
  tenantInstances: 8,
  nodeInstances: 12,
  live: 20,
  pending: 6,
  causes: 6,
  followers: 3,
  tenants: 4,
  least: 2,
  senderBurst: 1e6,
};
const ROOM = 6.5 * MiB;
const TENANTS = ["t", "u", "v"];
const TASKS = ["A", "B", "C", "D", "E", "F", "G", "H"];

type Operation = (scene: Scene) => void;

const tenant = fc.constantFrom(...TENANTS);
const task = fc.constantFrom(...TASKS);

/** What is done to one tenant may tell of that one alone. */
function of(name: string, what: string, work: Operation): Operation {
  const operate: Operation = (scene) => {
    scene.foresight.tick(scene.now);
    const before = told(scene);
    work(scene);
    for (const other of TENANTS) if (other !== name) expect(told(scene).get(other)).toEqual(before.get(other));
  };
  return named(`${what} of ${name}`, operate);
}

function named(text: string, operate: Operation): Operation {
  return Object.assign(operate, { toString: () => text, [fc.toStringMethod]: () => text });
}

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(tenant, task, fc.integer({ min: 1, max: 6 })).map(([t, k, n]) => of(t, `${n} ${k}`, (scene) => scene.run(k, n, t))),
  },
  // Patterns that can be learnt.
  {
    weight: 4,
    arbitrary: fc
      .tuple(tenant, task, task, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 40_000 }))
      .map(([t, cause, k, count, delay]) =>
        named(`${cause} then ${count} ${k} after ${delay} of ${t}`, (scene) => scene.train(4, { cause, task: k, count, delay, tenant: t })),
      ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(tenant, task, fc.option(task))
      .map(([t, k, key]) => of(t, `signal ${k}`, (scene) => scene.signal(k, t, key ?? undefined))),
  },
  {
    weight: 4,
    arbitrary: fc
      .record({
        tenant,
        task,
        count: fc.integer({ min: 0, max: 10 }),
        ahead: fc.integer({ min: -5000, max: 50_000 }),
        window: fc.integer({ min: 1, max: 30_000 }),
        confidence: fc.double({ min: 0.01, max: 1, noNaN: true }),
        key: fc.option(fc.constantFrom("a", "b"), { nil: undefined }),
        sender: fc.constantFrom("s", "r"),
      })
      .map(({ ahead, ...said }) => of(said.tenant, JSON.stringify(said), (scene) => scene.announce({ ...said, start: scene.now + ahead }))),
  },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 30_000 }).map((ms) => named(`pass ${ms}`, (scene) => scene.after(ms))) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 200_000 }).map((ms) =>
      named(`jump ${ms}`, (scene) => {
        scene.now += ms;
        scene.foresight.tick(scene.now);
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 20_000 }).map((ms) =>
      named(`back ${ms}`, (scene) => {
        scene.now -= ms;
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(task, fc.constantFrom(undefined, 0, 1, 5000)).map(([k, linkMs]) =>
      named(`cost ${k} ${linkMs}`, (scene) => {
        scene.costs.set(k, linkMs === undefined ? undefined : { linkMs, startMs: linkMs / 2, bytes: (1 + (linkMs % 7)) * MiB });
      }),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(tenant, task).map(([t, k]) => of(t, `reset ${k}`, (scene) => scene.foresight.reset(t, k))) },
  { weight: 1, arbitrary: tenant.map((t) => of(t, "forget", (scene) => scene.foresight.forget(t))) },
);

/** What was told of each tenant, as text. */
function told(scene: Scene): Map<string, string> {
  const all = new Map<string, string>();
  for (const [name, said] of scene.told) {
    const of = name.slice(0, 1);
    all.set(of, `${all.get(of) ?? ""} ${name} ${said.count} ${said.until}`);
  }
  return all;
}

function check(scene: Scene): void {
  const { foresight } = scene;
  let [node, linked] = [0, 0];
  for (const name of TENANTS) {
    const { expected, announcements, pairs } = foresight.view(scene.now, name);
    let [own, bytes] = [0, 0];
    for (const { task: k, count, until, depth } of expected) {
      // What people see is what was told, and is whole and above 0.
      expect(scene.told.get(`${name}/${k}`)).toEqual({ count, until, depth });
      expect(Number.isSafeInteger(count) && count > 0).toBe(true);
      if (depth === "ready") own += count;
      else linked++;
      bytes += depth === "ready" ? count * MiB : 0;
    }
    expect(own).toBeLessThanOrEqual(LIMITS.tenantInstances);
    expect(bytes).toBeLessThanOrEqual(ROOM);
    expect(announcements.length).toBeLessThanOrEqual(LIMITS.pending);
    expect(pairs.length).toBeLessThanOrEqual(LIMITS.causes * LIMITS.followers);
    for (const pair of pairs) {
      expect(pair.likelihood >= 0 && pair.likelihood <= 1 && pair.number >= 0 && pair.delay >= 0 && pair.chance <= 1).toBe(true);
      expect(pair.cause === pair.task && pair.kind === "task").toBe(false);
    }
    node += own;
  }
  const totals = foresight.totals();
  // The sum of what was told is what is held.
  expect(totals.instances).toBe(node);
  expect(node).toBeLessThanOrEqual(LIMITS.nodeInstances);
  expect(totals.live).toBeLessThanOrEqual(LIMITS.live * TENANTS.length);
  expect(linked).toBeLessThanOrEqual(totals.live);
  expect(Object.values(totals).every((value) => value >= 0)).toBe(true);
  expect(foresight.nextWake()).toBeGreaterThan(scene.now);
}

describe("in any history", () => {
  it("caps hold, nobody else is touched, what is told is the sum of what is expected, and all of it ends", { timeout: 120_000 }, () => {
    let told = 0;
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 80, size: "max" }), (history) => {
        const scene = new Scene(LIMITS);
        scene.room = ROOM;
        for (const operate of history) {
          operate(scene);
          check(scene);
        }
        told += scene.statements;
        scene.foresight.restore(scene.now, JSON.parse(JSON.stringify(scene.foresight.snapshot())));
        check(scene);
        scene.now = Math.max(scene.now, 0) + 1e8;
        scene.pass(scene.now + 1e8);
        expect(scene.told.size).toBe(0);
        expect(scene.foresight.totals()).toMatchObject({ instances: 0, bytes: 0, live: 0 });
        expect(scene.foresight.nextWake()).toBe(Number.POSITIVE_INFINITY);
      }),
      { numRuns: 200 },
    );
    // The histories are no empty ones.
    expect(told).toBeGreaterThan(1000);
  });
});

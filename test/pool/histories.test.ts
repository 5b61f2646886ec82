/** Random histories against a model of a node (`node-model.ts`), which judges every command and every state. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Pool, type PoolProgram } from "../../src/pool/pool.js";
import { NodeModel } from "./node-model.js";
import { CLEAN, program } from "./script.js";

type Operation = (node: NodeModel) => void;

const pick = fc.nat(1000);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 200 }))
      .map(([p, patience]) => named(`demand ${p}`, (node) => node.demand(p, patience))),
  },
  { weight: 8, arbitrary: pick.map((n) => named(`deliver ${n}`, (node) => node.deliver(n))) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 80 }).map((ms) => named(`pass ${ms}`, (node) => node.pass(ms))) },
  { weight: 1, arbitrary: pick.map((n) => named(`withdraw ${n}`, (node) => node.withdraw(n))) },
  { weight: 1, arbitrary: pick.map((n) => named(`lose ${n}`, (node) => node.lose(n))) },
  { weight: 1, arbitrary: pick.map((n) => named(`fail ${n}`, (node) => node.fail(n))) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(pick, fc.constantFrom("unsound" as const, "fat" as const, "refused" as const))
      .map(([n, how]) => named(`${how} ${n}`, (node) => settle(node, n, how))),
  },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }).map((p) => named(`warm ${p}`, (node) => node.warm(p))) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }).map((p) => named(`remove ${p}`, (node) => node.remove(p))) },
);

function named(text: string, run: Operation): Operation {
  return Object.assign(run, { toString: () => text, [fc.toStringMethod]: () => text });
}

function settle(node: NodeModel, n: number, how: "unsound" | "fat" | "refused"): void {
  const leased = node.leased();
  const run = leased[n % Math.max(1, leased.length)];
  if (run !== undefined) node.settle(run, how);
}

const terms: fc.Arbitrary<Omit<PoolProgram, "program">> = fc.record({
  concurrency: fc.integer({ min: 1, max: 5 }),
  ready: fc.integer({ min: 0, max: 3 }),
  whenFull: fc.constantFrom("wait" as const, "wait" as const, "reject" as const),
  reuse: fc.record({
    maxRequests: fc.integer({ min: 1, max: 4 }),
    maxConcurrent: fc.integer({ min: 1, max: 3 }),
    maxMemory: fc.constant(100),
    maxIdle: fc.integer({ min: 1, max: 100 }),
    maxAge: fc.integer({ min: 1, max: 300 }),
  }),
});

describe("in any history of events", () => {
  it("no promise of the pool is broken, and everything goes back to nothing", () => {
    fc.assert(
      fc.property(
        fc.record({
          capacity: fc.integer({ min: 1, max: 5 }),
          parallelism: fc.integer({ min: 1, max: 3 }),
          queue: fc.integer({ min: 0, max: 8 }),
        }),
        fc.tuple(terms, terms, terms),
        fc.array(operation, { minLength: 1, maxLength: 120 }),
        (options, programs, history) => {
          const node = new NodeModel(options);
          // The fourth program is one that nobody has deployed.
          for (const [i, each] of programs.entries()) node.add({ program: i + 1, ...each });
          for (const operate of history) operate(node);
          node.finish();
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe("a simulated node", () => {
  it("keeps its promises over 100,000 steps", () => {
    const random = generator(20_260);
    const node = new NodeModel({ capacity: 12, parallelism: 2, queue: 40 });
    const below = (n: number): number => Math.floor(random() * n);
    for (let id = 1; id <= 6; id++) {
      const reuse = { maxRequests: 1 + below(20), maxConcurrent: 1 + below(4), maxIdle: 50, maxAge: 400 };
      node.add(program(id, { concurrency: 2 + below(8), ready: below(4), whenFull: id === 6 ? "reject" : "wait", ...reuse }));
    }
    for (let step = 0; step < 100_000; step++) {
      const what = random();
      if (what < 0.42) node.demand(1 + below(6), 20 + below(200));
      else if (what < 0.9) node.deliver(below(1000));
      else if (what < 0.96) node.pass(below(10));
      else if (what < 0.97) node.withdraw(below(1000));
      else if (what < 0.975) node.lose(below(1000));
      else if (what < 0.98) node.fail(below(1000));
      else if (what < 0.983) node.warm(1 + below(6));
      else settle(node, below(1000), (["unsound", "fat", "refused"] as const)[below(3)] as "fat");
      if (step % 100 === 0) node.sweep();
    }
    node.finish();
    expect(node.granted).toBeGreaterThan(30_000);
    expect(node.doubled).toBeGreaterThan(1000);
    expect(node.refused).toBeGreaterThan(1000);
  });
});

describe("a step on the clean path", () => {
  it("costs the same with 1,000 programs as with one", () => {
    const few = pathOf(1);
    const many = pathOf(1000);
    // The quickest of several rounds each, in turn, so that what else the machine does cancels out.
    let [one, thousand] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let round = 0; round < 12; round++) {
      one = Math.min(one, few());
      thousand = Math.min(thousand, many());
    }
    expect(thousand / one).toBeLessThan(3);
  });
});

/** Times 2,000 clean runs on a pool of so many programs, each with an instance ready. */
function pathOf(programs: number): () => number {
  const pool = new Pool({ capacity: 5000, parallelism: 2, queue: 100 });
  for (let id = 1; id <= programs; id++) {
    for (const command of pool.step(0, {
      kind: "add",
      program: { program: id, concurrency: 200, ready: 1, whenFull: "wait", reuse: CLEAN },
    })) {
      if (command.kind === "prepare") pool.step(0, { ...command, kind: "ready" });
    }
  }
  let run = 0;
  const cycle = (): void => {
    const commands = pool.step(0, { kind: "demand", run: ++run, program: 1 + (run % programs), deadline: 1000 });
    pool.nextWake();
    for (const command of commands) if (command.kind === "prepare") pool.step(0, { ...command, kind: "ready" });
    pool.step(0, { kind: "settled", run, sound: true, memoryBytes: 1 });
    for (const command of commands) if (command.kind === "grant") pool.step(0, { ...command, kind: "retired" });
  };
  return () => {
    const begin = performance.now();
    for (let i = 0; i < 2000; i++) cycle();
    return performance.now() - begin;
  };
}

/** mulberry32: the same history every time. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

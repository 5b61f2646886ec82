/** Random histories against a model of a node (bench/soak/leases/), which judges every command, and everything after each step. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createForecast } from "../../src/forecast/history.js";
import { Pool } from "../../src/pool/pool.js";
import { WHEN_FULL, SUB_POOLS } from "../../src/pool/types.js";
import type { EngineProgram } from "../../bench/soak/leases/engine.js";
import { Judge, judgeReserves } from "../../bench/soak/leases/judge.js";
import { JUMP, NodeModel, type How } from "../../bench/soak/leases/node.js";
import { makeRealPool } from "../../bench/soak/leases/soak.js";
import { addProgram, changeTerms, optionsOf, settingsOf, TENANTS } from "../../bench/soak/leases/work.js";
import { Random } from "../../bench/soak/support/random.js";
import { FixedForecast, MiB, program, settings } from "./script.js";

type Operation = (node: NodeModel) => void;

const HOWS: readonly How[] = ["sound", "unsound", "cut", "exhausted", "fat", "refused"];
const n = fc.nat(1000);
const tenant = fc.constantFrom(...TENANTS);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(n, fc.integer({ min: 1, max: 500 })).map(([p, patience]) => demand(p, patience)) },
  {
    weight: 6,
    arbitrary: fc.tuple(n, fc.constantFrom(...HOWS)).map(([i, how]) => named(`settle ${i} ${how}`, (node) => node.settle(i, how))),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(n, n).map(([i, p]) => named(`call ${i} ${p}`, (node) => withProgram(node, p, (each) => node.call(i, each, 500)))),
  },
  { weight: 8, arbitrary: n.map((i) => named(`deliver ${i}`, (node) => node.deliver(i))) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 3000 }).map((ms) => named(`pass ${ms}`, (node) => node.pass(ms))) },
  { weight: 1, arbitrary: fc.integer({ min: JUMP + 1, max: 1e6 }).map((ms) => named(`jump ${ms}`, (node) => node.pass(ms))) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 1e6 }).map((ms) => named(`back ${ms}`, (node) => node.goBack(ms))) },
  ...(["withdraw", "lose", "fail", "silence", "settleLate", "echo", "drainCell"] as const).map((what) => ({
    weight: 1,
    arbitrary: n.map((i) => named(`${what} ${i}`, (node) => node[what](i))),
  })),
  { weight: 1, arbitrary: n.map((i) => named(`try ${i}`, (node) => withProgram(node, i, (each) => node.try(each)))) },
  { weight: 1, arbitrary: n.map((i) => named(`remove ${i}`, (node) => withProgram(node, i, (each) => node.remove(each)))) },
  { weight: 1, arbitrary: n.map((i) => named(`add ${i}`, (node) => addProgram(node, new Random(i)))) },
  { weight: 1, arbitrary: n.map((i) => named(`learn ${i}`, (node) => withProgram(node, i, (each) => node.learn(each, i)))) },
  { weight: 1, arbitrary: n.map((i) => named(`terms ${i}`, (node) => changeTerms(node, new Random(i)))) },
  { weight: 1, arbitrary: n.map((i) => named(`configure ${i}`, (node) => node.configure(settingsOf(new Random(i), reserved(node))))) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(n, fc.constantFrom(...SUB_POOLS), fc.constantFrom(...WHEN_FULL))
      .map(([i, pool, whenFull]) =>
        named(`amend ${i} ${pool} ${whenFull}`, (node) => withProgram(node, i, (each) => node.amend(each, pool, whenFull))),
      ),
  },
  { weight: 1, arbitrary: tenant.map((name) => named(`drain ${name}`, (node) => node.drain(name))) },
  { weight: 2, arbitrary: tenant.map((name) => named(`resume ${name}`, (node) => node.resume(name))) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      named("drain", (node) => node.drain()),
      named("resume", (node) => node.resume()),
    ),
  },
);

function demand(p: number, patience: number): Operation {
  return named(`demand ${p} ${patience}`, (node) => withProgram(node, p, (each) => node.demand(each, patience, 1000, p % 3 === 0)));
}

function named(text: string, run: Operation): Operation {
  return Object.assign(run, { toString: () => text, [fc.toStringMethod]: () => text });
}

function withProgram(node: NodeModel, i: number, work: (program: EngineProgram) => void): void {
  const there = [...node.engine.programs.values()].filter(({ isForgotten }) => !isForgotten);
  if (there.length > 0) work(there[i % there.length] as EngineProgram);
}

function reserved(node: NodeModel): number {
  return [...node.tenants.values()].reduce((sum, { terms }) => sum + terms.dedicated, 0);
}

describe("in any history of events", () => {
  it("no promise of the pool is broken, and everything goes back to nothing", { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.array(operation, { minLength: 1, maxLength: 150 }), (seed, history) => {
        const random = new Random(seed);
        const node = new NodeModel(optionsOf(random), makeRealPool);
        const judge = new Judge(node);
        for (let i = 0; i < 3; i++) changeTerms(node, random);
        for (let i = 0; i < 5; i++) addProgram(node, random);
        for (const operate of history) {
          operate(node);
          judge.judge();
        }
        node.finish();
        judgeReserves(node);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a step on the clean path", () => {
  it("costs the same with 1,000 programs of 100 tenants as with one", () => {
    const few = pathOf(1);
    const many = pathOf(1000);
    // The quickest of several rounds each, in turn, so that what else the machine does cancels out.
    let [one, thousand] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let round = 0; round < 12; round++) {
      one = Math.min(one, few());
      thousand = Math.min(thousand, many());
    }
    expect(thousand / one).toBeLessThan(4);
  });

  it("costs little more with 200 runs of other tenants in line that nothing can be done for", () => {
    const free = pathOf(20);
    const pressed = pathOf(20, 200);
    let [without, beside] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let round = 0; round < 12; round++) {
      without = Math.min(without, free());
      beside = Math.min(beside, pressed());
    }
    // Each is passed over with a glance, about 4 times in all; looking for a place for each would be 100 times.
    expect(beside / without).toBeLessThan(20);
  });
});

/** Times 2,000 clean runs on a pool of so many programs, with so many others in line. */
function pathOf(programs: number, waiting = 0): () => number {
  const all = settings({ budgetBytes: 21_000 * MiB, lobbyBytes: 1000 * MiB });
  const pool = new Pool({ slots: 5000, parallelism: 2, queue: 1000 }, all, waiting > 0 ? new FixedForecast() : createForecast());
  for (let id = 1; id <= programs; id++) {
    pool.step(0, { kind: "add", program: program(id, { tenant: `t${id % 100}`, concurrency: 200, memoryLimit: MiB }) });
  }
  for (let i = 0; i < waiting; i++) {
    // Their tenants have no reserve, and wait for one.
    pool.step(0, { kind: "add", program: program(100_000 + i, { tenant: `w${i}`, pool: "dedicated" }) });
    pool.step(0, { kind: "demand", run: 1e9 + i, program: 100_000 + i, deadline: 1e9, lease: 1, priority: "interactive" });
  }
  let run = 0;
  const cycle = (): void => {
    const id = 1 + (++run % programs);
    const commands = pool.step(0, { kind: "demand", run, program: id, deadline: 1000, lease: 1000, priority: "interactive" });
    pool.nextWake();
    for (const command of commands) {
      if (command.kind !== "grant") continue;
      const { slot, generation } = command;
      const ended = { run, slot, generation, ending: "sound", memoryBytes: 1, startNanoseconds: 0, waitNanoseconds: 0 } as const;
      pool.step(0, { kind: "settled", ...ended });
      pool.step(0, { kind: "retired", slot, generation });
    }
  };
  return () => {
    const begin = performance.now();
    for (let i = 0; i < 2000; i++) cycle();
    return performance.now() - begin;
  };
}

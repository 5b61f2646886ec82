/** The foresight bench's simulator on something small: what foresight hides, what it wastes, and that nothing is hidden without it. */
import { describe, expect, it } from "vitest";
import { withForesight, without, type Setting } from "../../bench/foresight/replay.js";
import { generateChains, IN_ORDER, type ChainWorkload } from "../../bench/sim/chains.js";
import type { Costs, Steps } from "../../bench/sim/costs.js";
import { generateDays } from "../../bench/sim/day.js";
import { deferring } from "../../bench/sim/deferring.js";
import { generateTrace } from "../../bench/sim/generate.js";
import { Usage } from "../../bench/sim/in-use.js";
import { mixed } from "../../bench/sim/mixed.js";
import { Prepared } from "../../bench/sim/prepared.js";
import { usualCapacity } from "../../src/config/capacity.js";
import { createForecast } from "../../src/forecast/history.js";
import { Pool } from "../../src/pool/pool.js";
import { Foresight } from "../../src/triggers/foresight/foresight.js";

const HOUR = 3_600_000;
const GIB = 2 ** 30;
const STEPS: Steps = { compileMs: 1000, raiseMs: 2, instantiateMs: 0.1, programBytes: 1_000_000, readyBytes: 20_000 };
const COSTS: Costs = { c: STEPS, rust: STEPS, javascript: STEPS };
const POOL = { slots: 20_000, parallelism: 64, queue: 10_000 };
const WORKLOAD: ChainWorkload = { seed: 3, chains: 8, hours: 4, gap: [5 * 60_000, 15 * 60_000], disorder: IN_ORDER };

function setting(): Setting {
  const mix = mixed(generateTrace({ seed: 3, tasks: 10, hours: 4 }), generateChains(WORKLOAD));
  return {
    mix,
    scene: { trace: mix.trace, costs: COSTS, window: { from: 2 * HOUR, until: 4 * HOUR } },
    makePool: (settings) => new Pool(POOL, settings, createForecast()),
    settings: { ...usualCapacity(POOL.slots, 32 * GIB), programIdle: 60_000 },
  };
}

describe("on a few chains", () => {
  it("foresight hides most of what followers wait for, and nothing is hidden where it is told of nothing", () => {
    const plain = without(setting());
    const foreseen = withForesight(setting(), { makeForesight: (ports) => new Foresight(ports), said: [] });
    const deaf = withForesight(setting(), { makeForesight: (ports) => new Foresight(ports, { threshold: 2 }), said: [] });
    expect(plain.followers).toBeGreaterThan(0);
    expect(foreseen.followers).toBeLessThan(plain.followers / 2);
    expect(deaf.followers).toBe(plain.followers);
    expect(deaf.usage).toMatchObject({ prepared: 0, waited: 0 });
    const { prepared, used, taken, waited, wasted } = foreseen.usage;
    expect(used + taken).toBeLessThanOrEqual(prepared);
    expect(used / prepared).toBeGreaterThan(0.7);
    expect(wasted).toBeLessThan(waited);
    expect(withForesight(setting(), { makeForesight: (ports) => new Foresight(ports), said: [] })).toEqual(foreseen);
  });
});

describe("what was prepared", () => {
  const prepared = (): Prepared => new Prepared(setting().scene);
  const T = 3 * HOUR;

  it("is used by a run that was expected, and not by another", () => {
    const seen = prepared();
    seen.made(T, 0, 1, 2);
    seen.made(T, 0, 2, 2);
    // The pool's own.
    seen.made(T, 0, 3, 2);
    seen.granted(T + 1000, { run: 0, program: 0, slot: 1, waited: 0 });
    seen.expected(0);
    seen.granted(T + 2000, { run: 1, program: 0, slot: 2, waited: 0 });
    for (const slot of [1, 2, 3]) seen.ended(T + 5000, slot);
    expect(seen.usage).toMatchObject({ prepared: 2, used: 1, taken: 1, waited: 3, wasted: 2, ran: 4 });
  });

  it("is a miss when foresight takes its word back, and when it ends", () => {
    const seen = prepared();
    seen.made(T, 0, 1, 2);
    seen.made(T, 0, 2, 2);
    seen.told(T + 1000, 0, 1);
    seen.ended(T + 1500, 1);
    seen.ended(T + 3000, 2);
    expect(seen.usage).toMatchObject({ prepared: 2, used: 0, waited: 4.5, wasted: 4.5 });
  });
});

it("days with what can wait: some is put off from the second day on, nobody's bound is broken, and nothing is lost", async () => {
  const requests = generateDays({ seed: 2, days: 2, load: 3, deferrable: 0.3 });
  const { usage, accepted, putOff, broken } = await deferring(requests, 86_400_000, () => 0.5);
  expect(accepted).toBe(requests.filter(({ notAfter }) => notAfter !== undefined).length);
  expect(putOff).toBeGreaterThan(accepted / 10);
  expect(broken).toBe(0);
  expect(usage.mean).toBeCloseTo(3, 0);
});

it("use is the most at any moment, and the most for more than a share of the time", () => {
  const usage = new Usage(100);
  usage.change(0, 5);
  usage.change(100, -3);
  usage.change(1000, 7);
  usage.change(1001, -8);
  usage.change(1100, 0);
  expect([usage.peak, usage.enough(0.5), usage.enough(0.0001)]).toEqual([9, 2, 9]);
});

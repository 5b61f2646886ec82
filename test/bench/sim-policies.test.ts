/** What the simulator says of each policy: exact on three requests made by hand, and never better than who knows all beforehand. */
import { describe, expect, it } from "vitest";
import { clairvoyantAhead, clairvoyantOnDemand } from "../../bench/sim/clairvoyant.js";
import type { Costs, Steps } from "../../bench/sim/costs.js";
import { atEqualMemory } from "../../bench/sim/equal.js";
import { generateTrace } from "../../bench/sim/generate.js";
import { foretold, hybridHistogram, IdleTimes } from "../../bench/sim/hybrid.js";
import { NEVER } from "../../bench/sim/keeping.js";
import { Ledger } from "../../bench/sim/ledger.js";
import type { Policy, Scene } from "../../bench/sim/policy.js";
import { keepAlive, leastRecentlyUsed } from "../../bench/sim/rivals.js";
import { TraceBuilder } from "../../bench/sim/trace.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Round numbers: linking takes 100 ms, an instance 10; a program holds 1000 bytes, a ready instance 100, a running one 500. */
const STEPS: Steps = { compileMs: 5000, raiseMs: 100, instantiateMs: 10, programBytes: 1000, readyBytes: 100 };
const COSTS: Costs = { c: STEPS, rust: STEPS, javascript: STEPS };

/** Requests of task 0 or 1, each of one second and 500 bytes. */
function scene(requests: readonly (readonly [time: number, task: number])[], until: number): Scene {
  const builder = new TraceBuilder();
  for (const [time, task] of requests) builder.add(time, task, SECOND, 500);
  const tasks = ["a", "b"].map((tenant) => ({ tenant, name: "task", component: "c" as const }));
  return { trace: builder.build(tasks), costs: COSTS, window: { from: 0, until } };
}

/** Three requests of one task, five seconds apart. */
const THREE = scene(
  [
    [0, 0],
    [5 * SECOND, 0],
    [10 * SECOND, 0],
  ],
  20 * SECOND,
);

/** Byte-milliseconds over the window. */
const byteMs = (policy: Policy, of: Scene): number => policy.replay(of).averageBytes * (of.window.until - of.window.from);

describe("of three requests by hand", () => {
  it("LRU links once, makes an instance for each, and holds the program for good", () => {
    const outcome = leastRecentlyUsed(NEVER).replay(THREE);
    expect(outcome).toMatchObject({ runs: 3, coldStarts: 1, refused: 0, peakBytes: 1500, p99StartMs: 110 });
    expect(outcome.coldSeconds).toBeCloseTo(0.13, 9);
    // Each instance is there while it is made and while it runs.
    expect(byteMs(leastRecentlyUsed(NEVER), THREE)).toBeCloseTo(1000 * 20_000 + 500 * 3 * 1010, 3);
  });

  it("LRU lets go of what was used least recently once its bytes run out", () => {
    const two = scene(
      [
        [0, 0],
        [5 * SECOND, 1],
        [10 * SECOND, 0],
      ],
      20 * SECOND,
    );
    const outcome = leastRecentlyUsed(1600).replay(two);
    expect(outcome).toMatchObject({ coldStarts: 3, peakBytes: 1500 });
    expect(outcome.coldSeconds).toBeCloseTo(0.33, 9);
    expect(byteMs(leastRecentlyUsed(1600), two)).toBeCloseTo(1000 * 20_000 + 500 * 3 * 1010, 3);
    expect(leastRecentlyUsed(2600).replay(two).coldStarts).toBe(2);
  });

  it("LRU lets nothing go that runs, even beyond its bytes", () => {
    const both = scene(
      [
        [0, 0],
        [500, 1],
      ],
      20 * SECOND,
    );
    const outcome = leastRecentlyUsed(1600).replay(both);
    expect(outcome).toMatchObject({ coldStarts: 2, peakBytes: 3000 });
    // The first one's program goes when its run has ended, at 1110 ms.
    expect(byteMs(leastRecentlyUsed(1600), both)).toBeCloseTo(1000 * 1110 + 1000 * 19_500 + 500 * 2 * 1010, 3);
  });

  it("keep-alive has program and instance wait for the next run, and makes one at the first alone", () => {
    const outcome = keepAlive(1).replay(THREE);
    expect(outcome).toMatchObject({ runs: 3, coldStarts: 1, peakBytes: 1500 });
    expect(outcome.coldSeconds).toBeCloseTo(0.11, 9);
    // One instance from 100 ms on, which never gets smaller.
    expect(byteMs(keepAlive(1), THREE)).toBeCloseTo(1000 * 20_000 + 500 * 19_900, 3);
  });

  it("keep-alive would hold less if instances gave back what their runs took", () => {
    // Runs from 100 to 1110, 5000 to 6000 and 10000 to 11000; an instance like an unused one between and after.
    const instances = 500 * (1010 + 1000 + 1000) + 100 * (5000 - 1110 + 4000 + 9000);
    const emptied = keepAlive(1, NEVER, "emptied");
    expect(byteMs(emptied, THREE)).toBeCloseTo(1000 * 20_000 + instances, 3);
    expect(emptied.replay(THREE).coldSeconds).toBe(keepAlive(1).replay(THREE).coldSeconds);
  });

  it("keep-alive lets both go a minute after the run", () => {
    const rare = scene(
      [
        [0, 0],
        [5 * MINUTE, 0],
      ],
      10 * MINUTE,
    );
    expect(keepAlive(1).replay(rare).coldStarts).toBe(2);
    expect(byteMs(keepAlive(1), rare)).toBeCloseTo(2 * (1000 * (1110 + MINUTE) + 500 * (1010 + MINUTE)), 3);
  });

  it("keep-alive keeps as many instances as were needed at once", () => {
    const burst = scene(
      [
        [0, 0],
        [500, 0],
        [10 * SECOND, 0],
        [10 * SECOND, 0],
      ],
      20 * SECOND,
    );
    const outcome = keepAlive(1).replay(burst);
    expect(outcome.byComponent.c).toMatchObject({ runs: 4, cold: 1, made: 2 });
    const instances = 500 * (20_000 - 100 + 20_000 - 500);
    expect(byteMs(keepAlive(1), burst)).toBeCloseTo(1000 * 20_000 + instances, 3);
  });

  it("a run that comes while the program is being linked waits for the rest of it", () => {
    const early = scene(
      [
        [0, 0],
        [40, 0],
      ],
      20 * SECOND,
    );
    const { coldStarts, coldSeconds } = leastRecentlyUsed(NEVER).replay(early);
    expect(coldStarts).toBe(2);
    expect(coldSeconds).toBeCloseTo(0.11 + 0.07, 9);
  });

  it("the hybrid histogram keeps four hours until it knows a gap, and then fetches ahead of it", () => {
    const regular = scene(
      [
        [0, 0],
        [30 * MINUTE, 0],
        [60 * MINUTE, 0],
      ],
      2 * HOUR,
    );
    const outcome = hybridHistogram().replay(regular);
    expect(outcome).toMatchObject({ runs: 3, coldStarts: 1 });
    expect(outcome.coldSeconds).toBeCloseTo(0.11, 9);
    // The idle time is a little less than 30 minutes: bin 29. Fetched at 26.1, kept until 33 minutes after the end.
    const [fetch, until] = [26.1 * MINUTE, 33 * MINUTE];
    const second = 30 * MINUTE + SECOND;
    const third = 60 * MINUTE + SECOND;
    const program = second + (third - second - fetch) + (until - fetch);
    const ready = 60 * MINUTE - second - fetch - 110 + (until - fetch - 110);
    expect(byteMs(hybridHistogram(), regular)).toBeCloseTo(1000 * program + 100 * ready + 500 * (second - 100 + SECOND), 0);
  });

  it("who knows all and links on demand keeps through the gaps that its bytes suffice for", () => {
    // Runs hold 500 for a second each, and their program: what is left suffices for one gap and not for two.
    const all = clairvoyantOnDemand(NEVER).replay(THREE);
    expect(all.coldSeconds).toBeCloseTo(0.1, 9);
    expect(byteMs(clairvoyantOnDemand(NEVER), THREE)).toBeCloseTo(1000 * 11_000 + 500 * 3000, 3);
    const budget = (1500 * 3000 + 1000 * 100) / 20_000;
    expect(clairvoyantOnDemand(budget).replay(THREE).coldStarts).toBe(2);
    expect(clairvoyantOnDemand(0).replay(THREE).coldStarts).toBe(3);
    expect(byteMs(clairvoyantOnDemand(0), THREE)).toBeCloseTo(3 * (1000 * 1100 + 500 * 1000), 3);
  });

  it("who knows all and fetches ahead never waits, and links just in time", () => {
    const late = scene(
      [
        [1000, 0],
        [5 * SECOND, 0],
        [10 * SECOND, 0],
      ],
      20 * SECOND,
    );
    expect(clairvoyantAhead().replay(late)).toMatchObject({ coldStarts: 0, coldSeconds: 0 });
    expect(byteMs(clairvoyantAhead(), late)).toBeCloseTo(3 * (1000 * 1100 + 500 * 1000), 3);
  });
});

describe("idle times", () => {
  const planAfter = (...idle: number[]): ReturnType<IdleTimes["plan"]> => {
    const times = new IdleTimes();
    for (const one of idle) times.add(one);
    return times.plan(0);
  };

  it("that are unknown are waited for four hours", () => expect(planAfter()).toEqual({ until: 4 * HOUR, again: NEVER, againUntil: NEVER }));
  it("below a minute keep the program", () => expect(planAfter(5000, 6000, 7000)).toMatchObject({ until: 1.1 * MINUTE, again: NEVER }));
  it("that spread over all minutes are no pattern", () => {
    const spread = Array.from({ length: 240 }, (_, minute) => minute * MINUTE);
    expect(planAfter(...spread)).toMatchObject({ until: 4 * HOUR, again: NEVER });
  });
  it("beyond four hours are foretold as a series, 15 % around", () => {
    const plan = planAfter(6 * HOUR, 6 * HOUR, 6 * HOUR);
    expect(plan.until).toBe(0);
    expect(plan.again).toBeCloseTo(5.1 * HOUR, 3);
    expect(plan.againUntil).toBeCloseTo(6.9 * HOUR, 3);
  });
  it("that alternate are foretold to alternate", () => expect(foretold([5, 9, 5, 9, 5, 9])).toBeLessThan(7));
});

describe("on a generated trace", () => {
  const window = { from: 3 * HOUR, until: 6 * HOUR };
  const scenes = [1, 2, 3].map((seed): Scene => ({ trace: generateTrace({ seed, tasks: 120, hours: 6 }), costs: realistic(), window }));

  it("nobody who links on demand waits less than who knows all beforehand, with the same bytes on average", () => {
    for (const each of scenes) {
      const average = keepAlive(10).replay(each).averageBytes;
      for (const policy of [keepAlive(1), keepAlive(10), keepAlive(60), keepAlive(60, average), leastRecentlyUsed(average / 4)]) {
        const outcome = policy.replay(each);
        const bound = clairvoyantOnDemand(outcome.averageBytes).replay(each);
        expect(bound.coldSeconds).toBeLessThanOrEqual(outcome.coldSeconds);
        expect(clairvoyantAhead().replay(each).coldSeconds).toBeLessThanOrEqual(bound.coldSeconds);
      }
    }
  });

  it("every policy says the same of the same trace, counts the same runs, and peaks above its average", () => {
    for (const each of scenes.slice(0, 1)) {
      const runs = keepAlive(10).replay(each).runs;
      for (const policy of [keepAlive(1), hybridHistogram(), hybridHistogram(2e8), leastRecentlyUsed(2e8), clairvoyantOnDemand(2e8)]) {
        const outcome = policy.replay(each);
        expect(policy.replay(each)).toEqual(outcome);
        expect(outcome.runs).toBe(runs);
        expect(outcome.peakBytes).toBeGreaterThan(outcome.averageBytes);
      }
    }
  });

  it("longer keep-alive waits less and holds more", () => {
    const [one, ten, sixty] = [1, 10, 60].map((minutes) => keepAlive(minutes).replay(scenes[0] as Scene));
    expect(one?.coldSeconds).toBeGreaterThan(ten?.coldSeconds as number);
    expect(ten?.coldSeconds).toBeGreaterThan(sixty?.coldSeconds as number);
    expect(one?.averageBytes).toBeLessThan(ten?.averageBytes as number);
    expect(ten?.averageBytes).toBeLessThan(sixty?.averageBytes as number);
  });

  it("at equal memory a policy gets the largest budget with which it holds no more on average", () => {
    const each = scenes[0] as Scene;
    const { averageBytes, peakBytes } = keepAlive(10, NEVER, "emptied").replay(each);
    const { outcome, budgetBytes } = atEqualMemory(each, averageBytes, leastRecentlyUsed, [averageBytes / 2, 4 * peakBytes], 12);
    expect(outcome.averageBytes).toBeLessThanOrEqual(averageBytes);
    expect(outcome.averageBytes).toBeGreaterThan(0.95 * averageBytes);
    expect(leastRecentlyUsed(budgetBytes).replay(each)).toEqual(outcome);
  });
});

function realistic(): Costs {
  return {
    c: { compileMs: 12, raiseMs: 0.4, instantiateMs: 0.034, programBytes: 215_000, readyBytes: 12_600 },
    rust: { compileMs: 45, raiseMs: 0.55, instantiateMs: 0.033, programBytes: 380_000, readyBytes: 12_600 },
    javascript: { compileMs: 1400, raiseMs: 5.3, instantiateMs: 0.125, programBytes: 3_550_000, readyBytes: 16_700 },
  };
}

describe("the ledger", () => {
  it("counts only the window: bytes in it, and runs that were asked for in it", () => {
    const ledger = new Ledger({ from: 10, until: 20 });
    ledger.change(0, 100);
    ledger.started(5, "c", { raise: 1, make: 1, other: 1 });
    ledger.change(15, 100);
    ledger.started(12, "rust", { raise: 0, make: 2, other: 0 });
    ledger.change(30, 1000);
    ledger.refused(25);
    ledger.refused(19);
    expect(ledger.outcome("p")).toMatchObject({
      averageBytes: 150,
      peakBytes: 200,
      runs: 1,
      coldSeconds: 0.002,
      refused: 1,
      coldStarts: 0,
    });
  });

  it("does not go back in time, and has a window that ends after it begins", () => {
    const ledger = new Ledger({ from: 0, until: 1 });
    ledger.change(5, 1);
    expect(() => ledger.change(4, 1)).toThrow("the ledger is at 5 ms already, not at 4");
    expect(() => new Ledger({ from: 3, until: 3 })).toThrow("a window ends after it begins, not at 3 after 3");
  });
});

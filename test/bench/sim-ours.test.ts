/** Our own pool in the simulator: what exists is counted exactly, whatever the pool commands, and the real pool serves every run. */
import { describe, expect, it } from "vitest";
import { clairvoyantAhead } from "../../bench/sim/clairvoyant.js";
import type { Costs, Steps } from "../../bench/sim/costs.js";
import { generateTrace } from "../../bench/sim/generate.js";
import { deployed, ours } from "../../bench/sim/ours.js";
import type { Scene } from "../../bench/sim/policy.js";
import { keepAlive } from "../../bench/sim/rivals.js";
import { TraceBuilder } from "../../bench/sim/trace.js";
import { usualCapacity } from "../../src/config/capacity.js";
import { createForecast } from "../../src/forecast/history.js";
import { Pool, type PoolCommand, type PoolEvent, type PoolSettings } from "../../src/pool/pool.js";

const SECOND = 1000;
const HOUR = 3_600_000;
const GIB = 2 ** 30;
const OPTIONS = { slots: 20_000, parallelism: 64, queue: 10_000 };
const SETTINGS = usualCapacity(OPTIONS.slots, 64 * GIB);

const STEPS: Steps = { compileMs: 5000, raiseMs: 100, instantiateMs: 10, programBytes: 1000, readyBytes: 100 };
const COSTS: Costs = { c: STEPS, rust: STEPS, javascript: STEPS };

/** Three requests of one task, five seconds apart, each of a second and 500 bytes. */
function three(): Scene {
  const builder = new TraceBuilder();
  for (const time of [0, 5 * SECOND, 10 * SECOND]) builder.add(time, 0, SECOND, 500);
  return { trace: builder.build([{ tenant: "a", name: "task", component: "c" }]), costs: COSTS, window: { from: 0, until: 20 * SECOND } };
}

/** The real pool, with what it was told and what it commanded written down. */
function recorded(): { readonly make: (settings: PoolSettings) => Pool; readonly log: { now: number; what: PoolEvent | PoolCommand }[] } {
  const log: { now: number; what: PoolEvent | PoolCommand }[] = [];
  const make = (settings: PoolSettings): Pool => {
    const pool = new Pool(OPTIONS, settings, createForecast());
    const step = pool.step.bind(pool);
    pool.step = (now, event) => {
      const commands = step(now, event);
      for (const what of [event, ...commands]) log.push({ now, what });
      return commands;
    };
    return pool;
  };
  return { make, log };
}

/** Byte-milliseconds until `end` from the log alone: each thing from the command that makes it to the one that ends it. */
function byteMsOf(log: ReturnType<typeof recorded>["log"], end: number): number {
  let sum = 0;
  const bytes = new Map<string, number>();
  // Whatever begins or changes is added with the rest of the time, and what it was before taken off.
  const set = (now: number, name: string, to: number): void => {
    sum += (to - (bytes.get(name) ?? 0)) * (end - now);
    bytes.set(name, to);
  };
  for (const { now, what } of log) {
    if (now > end) continue;
    if (what.kind === "raise") set(now, `program ${what.program}`, 1000);
    if (what.kind === "lower") set(now, `program ${what.program}`, 0);
    if (what.kind === "prepare") set(now, `slot ${what.slot}`, 100);
    if (what.kind === "grant") set(now, `slot ${what.slot}`, 500);
    if (what.kind === "settled" || what.kind === "retire") set(now, `slot ${what.slot}`, 0);
  }
  return sum;
}

describe("our pool on three requests by hand", () => {
  it("holds exactly what its commands make and end", () => {
    const { make, log } = recorded();
    const scene = three();
    const outcome = ours("ours", make, SETTINGS).replay(scene);
    expect(outcome.averageBytes * 20 * SECOND).toBeCloseTo(byteMsOf(log, 20 * SECOND), 3);
    expect(outcome).toMatchObject({ runs: 3, refused: 0, coldStarts: 1 });
  });

  it("has the first run wait for linking and making, and says how long each took", () => {
    const { make, log } = recorded();
    const { byComponent, coldSeconds } = ours("ours", make, SETTINGS).replay(three());
    const grants = log.flatMap(({ what }) => (what.kind === "grant" ? [what] : []));
    expect(byComponent.c.raiseMs).toBeCloseTo(100, 6);
    expect(byComponent.c.made).toBe(grants.filter(({ fresh }) => fresh).length);
    expect(byComponent.c.makeMs).toBeCloseTo(10 * byComponent.c.made, 6);
    expect(coldSeconds).toBeCloseTo((100 + byComponent.c.makeMs + byComponent.c.otherMs) / 1000, 9);
  });

  it("is told of each step when that has taken its time", () => {
    const { make, log } = recorded();
    ours("ours", make, SETTINGS).replay(three());
    const at = (kind: string): number => (log.find(({ what }) => what.kind === kind) as { now: number }).now;
    expect(at("raised") - at("raise")).toBe(100);
    const first = log.find(({ what }) => what.kind === "grant") as { now: number; what: PoolCommand & { kind: "grant" } };
    expect(first.what.fresh).toBe(true);
    expect(at("settled") - first.now).toBe(10 + SECOND);
  });
});

it("a run that the pool refuses is counted as refused, and waits for nothing", () => {
  const { make } = recorded();
  const refusing = (settings: PoolSettings): Pool => {
    const pool = make(settings);
    pool.step(0, { kind: "drain" });
    return pool;
  };
  expect(ours("ours", refusing, SETTINGS).replay(three())).toMatchObject({ runs: 0, refused: 3, coldSeconds: 0, averageBytes: 0 });
});

it("a pool that asks to be woken at once, again and again, is found out", () => {
  const { make } = recorded();
  const restless = (settings: PoolSettings): Pool => {
    const pool = make(settings);
    pool.nextWake = () => 0;
    return pool;
  };
  expect(() => ours("ours", restless, SETTINGS).replay(three())).toThrow(/the pool wants to be woken at 0 ms, again and again/);
});

it("a task that holds more than a manifest allows that says nothing has a limit that suffices", () => {
  const task = { tenant: "a", name: "task", component: "c" } as const;
  expect(deployed(1, task, 500).memoryLimit).toBe(128 * 2 ** 20);
  expect(deployed(1, task, GIB).memoryLimit).toBe(GIB);
});

describe("our pool on a generated trace", () => {
  const scene: Scene = {
    trace: generateTrace({ seed: 5, tasks: 60, hours: 4 }),
    costs: {
      c: { compileMs: 12, raiseMs: 0.4, instantiateMs: 0.034, programBytes: 215_000, readyBytes: 12_600 },
      rust: { compileMs: 45, raiseMs: 0.55, instantiateMs: 0.033, programBytes: 380_000, readyBytes: 12_600 },
      javascript: { compileMs: 1400, raiseMs: 5.3, instantiateMs: 0.125, programBytes: 3_550_000, readyBytes: 16_700 },
    },
    window: { from: 2 * HOUR, until: 4 * HOUR },
  };
  const replay = (): ReturnType<ReturnType<typeof ours>["replay"]> => ours("ours", recorded().make, SETTINGS).replay(scene);

  it("serves every run, is the same every time, and never better than who knows all beforehand", () => {
    const outcome = replay();
    expect(outcome.refused).toBe(0);
    expect(outcome.runs).toBe(keepAlive(10).replay(scene).runs);
    expect(outcome.peakBytes).toBeGreaterThan(outcome.averageBytes);
    expect(clairvoyantAhead().replay(scene).coldSeconds).toBeLessThanOrEqual(outcome.coldSeconds);
    expect(replay()).toEqual(outcome);
  });
});

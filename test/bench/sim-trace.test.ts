/** The generated traces have the shape that `bench/sim/workload.ts` says, and traces of one's own are read or refused with reasons. */
import { describe, expect, it } from "vitest";
import { merged, poller, renewal, timer, type Arrivals } from "../../bench/sim/arrivals.js";
import { Agenda } from "../../bench/sim/agenda.js";
import { parseTrace, readTrace } from "../../bench/sim/csv.js";
import { arrivalsOf, generateTrace, modelTasks, type TaskModel } from "../../bench/sim/generate.js";
import { COMPONENT_SHARES, TraceBuilder } from "../../bench/sim/trace.js";
import { MEMORY, TRIGGERS } from "../../bench/sim/workload.js";
import { Random } from "../../bench/soak/support/random.js";
import { median } from "../../bench/support/statistics.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const share = <T>(items: readonly T[], holds: (item: T) => boolean): number => items.filter(holds).length / items.length;

function gapsOf(arrivals: Arrivals, count: number): number[] {
  const times = Array.from({ length: count + 1 }, () => arrivals.next());
  return times.slice(1).map((time, n) => time - (times[n] as number));
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function variationOf(values: readonly number[]): number {
  const mean = meanOf(values);
  return Math.sqrt(meanOf(values.map((value) => (value - mean) ** 2))) / mean;
}

describe("the tasks of a generated trace", () => {
  const models = modelTasks({ seed: 7, tasks: 8000, hours: 1 });

  it("are asked for as often as published: 45 % at most once an hour, 81 % at most once a minute", () => {
    expect(share(models, ({ perDay }) => perDay <= 1)).toBeCloseTo(0.19, 1);
    expect(share(models, ({ perDay }) => perDay <= 24)).toBeCloseTo(0.45, 1);
    expect(Math.abs(share(models, ({ perDay }) => perDay <= 24) - 0.45)).toBeLessThan(0.02);
    expect(Math.abs(share(models, ({ perDay }) => perDay <= 1440) - 0.81)).toBeLessThan(0.02);
    expect(Math.max(...models.map(({ perDay }) => perDay)) / Math.min(...models.map(({ perDay }) => perDay))).toBeGreaterThan(1e5);
  });

  it("are started by timers, by timers and others, and by others, in the published shares", () => {
    for (const [trigger, expected] of Object.entries(TRIGGERS)) {
      expect(Math.abs(share(models, (model) => model.trigger === trigger) - expected)).toBeLessThan(0.015);
    }
  });

  it("are written in each kind of component in the assumed shares", () => {
    for (const [component, expected] of Object.entries(COMPONENT_SHARES)) {
      expect(Math.abs(share(models, (model) => model.component === component) - expected)).toBeLessThan(0.02);
    }
  });

  it("run for a log-normal time around 0.68 s, and hold Burr's bytes", () => {
    const middle = Math.exp(median(models.map(({ durationMu }) => durationMu + 0.5 ** 2 / 2))) / 1000;
    expect(Math.abs(middle / Math.exp(-0.38) - 1)).toBeLessThan(0.1);
    const sigma = variationOfLogs(models.map(({ durationMu }) => durationMu));
    expect(Math.abs(sigma - 2.36)).toBeLessThan(0.08);
    const burrMiddle = MEMORY.scale * (2 ** (1 / MEMORY.k) - 1) ** (1 / MEMORY.c);
    expect(Math.abs(median(models.map(({ bytes }) => bytes)) / burrMiddle - 1)).toBeLessThan(0.03);
  });

  it("belong to tenants of which 54 % have one task and 95 % at most ten", () => {
    const counts = new Map<string, number>();
    for (const { tenant } of models) counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
    expect(Math.abs(share([...counts.values()], (count) => count === 1) - 0.54)).toBeLessThan(0.03);
    expect(Math.abs(share([...counts.values()], (count) => count <= 10) - 0.95)).toBeLessThan(0.02);
  });

  it("vary in the gaps between requests as published", () => {
    const variation = (kind: TaskModel["trigger"]): number[] =>
      models
        .filter(({ trigger }) => trigger === kind)
        .slice(0, 1000)
        .map((model, n) => variationOf(gapsOf(arrivalsOf(new Random(n), model), 2000)));
    const [others, timers] = [variation("others"), variation("timers")];
    expect(Math.abs(share(others, (cv) => cv < 0.05) - 0.11)).toBeLessThan(0.02);
    expect(Math.abs(share(others, (cv) => cv <= 1) - 0.34)).toBeLessThan(0.05);
    expect(Math.abs(share(others, (cv) => cv <= 4) - 0.76)).toBeLessThan(0.06);
    expect(Math.abs(share(timers, (cv) => cv < 0.05) - 0.5)).toBeLessThan(0.06);
    expect(share(timers, (cv) => cv <= 1)).toBeGreaterThan(0.9);
    // "At least one timer", where mixed ones are a little more than half: figure 6 has 30 % at 0 and 76 % up to 1.
    const mixed = variation("mixed");
    const any = (holds: (cv: number) => boolean): number =>
      (TRIGGERS.timers * share(timers, holds) + TRIGGERS.mixed * share(mixed, holds)) / (TRIGGERS.timers + TRIGGERS.mixed);
    expect(Math.abs(any((cv) => cv < 0.05) - 0.3)).toBeLessThan(0.06);
    expect(Math.abs(any((cv) => cv <= 1) - 0.76)).toBeLessThan(0.1);
  });
});

function variationOfLogs(values: readonly number[]): number {
  const mean = meanOf(values);
  return Math.sqrt(meanOf(values.map((value) => (value - mean) ** 2)));
}

/** Of columns that are too long to compare value by value. */
function isSame(a: Float64Array | Int32Array, b: Float64Array | Int32Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));
}

describe("a generated trace", () => {
  const workload = { seed: 3, tasks: 300, hours: 24 };
  const trace = generateTrace(workload);

  it("is the same for the same seed, and another for another", () => {
    const again = generateTrace(workload);
    expect(again.tasks).toEqual(trace.tasks);
    for (const column of ["time", "task", "duration", "bytes"] as const) expect(isSame(again[column], trace[column])).toBe(true);
    expect(isSame(generateTrace({ ...workload, seed: 4 }).time, trace.time)).toBe(false);
  });

  it("is in order and within its time, and brings about as many requests as its tasks are asked for", () => {
    expect(trace.time.every((time, n) => n === 0 || time >= (trace.time[n - 1] as number))).toBe(true);
    expect(trace.time[trace.length - 1]).toBeLessThan(DAY);
    const expected = modelTasks(workload).reduce((sum, { perDay }) => sum + perDay, 0);
    expect(Math.abs(trace.length / expected - 1)).toBeLessThan(0.25);
  });

  it("has runs from a millisecond to half a minute, which hold up to 64 MiB", () => {
    expect(trace.duration.every((ms) => ms >= 1 && ms <= 30_000)).toBe(true);
    expect(trace.bytes.every((bytes) => bytes > 0 && bytes <= 64 * 2 ** 20)).toBe(true);
  });
});

describe("a stream of requests", () => {
  it.each([0.1, 0.5, 1, 2, 4])("of independent gaps has its mean and a coefficient of variation of %d", (variation) => {
    const gaps = gapsOf(renewal(new Random(1), 1000, variation, 0), 200_000);
    expect(Math.abs(meanOf(gaps) / 1000 - 1)).toBeLessThan(0.04);
    expect(Math.abs(variationOf(gaps) / variation - 1)).toBeLessThan(0.04);
  });

  it("swings with the day", () => {
    const arrivals = renewal(new Random(1), MINUTE, 1, 0.3);
    const perHour = Array.from({ length: 24 }, () => 0);
    for (let n = 0; n < 100 * 1440; n++) {
      const hour = Math.floor((arrivals.next() / HOUR) % 24);
      perHour[hour] = (perHour[hour] as number) + 1;
    }
    expect((perHour[14] as number) / meanOf(perHour)).toBeCloseTo(1.3, 1);
    expect((perHour[2] as number) / meanOf(perHour)).toBeCloseTo(0.7, 1);
  });

  it("of a timer is never early and at most two seconds late", () => {
    const arrivals = timer(new Random(1), MINUTE, 15_000);
    for (let n = 0; n < 1000; n++) {
      const late = arrivals.next() - (15_000 + n * MINUTE);
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThanOrEqual(2000);
    }
  });

  it("of a client that polls is nearly regular and begins within the trace", () => {
    const arrivals = poller(new Random(1), MINUTE, 0.02);
    expect(arrivals.next()).toBeGreaterThanOrEqual(0);
    expect(variationOf(gapsOf(arrivals, 1000))).toBeCloseTo(0.02, 2);
  });

  it("of several streams is all of them in order", () => {
    const all = merged([timer(new Random(1), 3 * MINUTE, 0), timer(new Random(2), 5 * MINUTE, MINUTE)]);
    const minutes = Array.from({ length: 7 }, () => Math.floor(all.next() / MINUTE));
    expect(minutes).toEqual([0, 1, 3, 6, 6, 9, 11]);
  });
});

describe("a trace in a CSV", () => {
  it("has tasks by tenant and name, in the order of time, with or without a header", () => {
    const lines = ["0,a,one,12.5,1024", "20,b,one,1,2048", "10,a,one,3,4096"];
    for (const text of [lines.join("\n"), ["time, tenant, task, duration, bytes", ...lines, ""].join("\r\n")]) {
      const trace = parseTrace(text, "trace.csv");
      expect(trace.tasks.map(({ tenant, name }) => [tenant, name])).toEqual([
        ["a", "one"],
        ["b", "one"],
      ]);
      expect([...trace.time]).toEqual([0, 10, 20]);
      expect([...trace.task]).toEqual([0, 0, 1]);
      expect([...trace.duration]).toEqual([12.5, 3, 1]);
      expect([...trace.bytes]).toEqual([1024, 4096, 2048]);
    }
  });

  it("gives a task the same kind of component every time, and all kinds in their shares", () => {
    const lines = Array.from({ length: 3000 }, (_, n) => `${n},t,task-${n},1,1`).join("\n");
    const { tasks } = parseTrace(lines, "trace.csv");
    expect(parseTrace(lines, "trace.csv").tasks).toEqual(tasks);
    expect(Math.abs(share(tasks, ({ component }) => component === "javascript") - 0.3)).toBeLessThan(0.03);
  });

  it.each([
    ["0,a,one,5", "trace.csv:2 has 4 fields; a line is time,tenant,task,duration,bytes"],
    ["soon,a,one,5,1", 'trace.csv:2: time is "soon"; it should be a number, 0 or more (milliseconds from the beginning)'],
    ["0,a,one,-5,1", 'trace.csv:2: duration is "-5"; it should be a number, 0 or more (milliseconds)'],
    ["0,a,one,5,", 'trace.csv:2: bytes is ""; it should be a number, 0 or more (what the run holds)'],
    ["0,,one,5,1", "trace.csv:2: tenant is empty; it should be a name without commas"],
    ["0,a, ,5,1", "trace.csv:2: task is empty; it should be a name without commas"],
  ])("with the line %j is refused", (line, message) => {
    expect(() => parseTrace(`0,a,one,5,1\n${line}\n`, "trace.csv")).toThrow(message);
  });

  it("without requests, or that is not there, is refused", () => {
    expect(() => parseTrace("time,tenant,task,duration,bytes\n", "trace.csv")).toThrow("trace.csv has no requests; a line is time,");
    expect(() => readTrace("/nowhere/trace.csv")).toThrow("/nowhere/trace.csv cannot be read: ENOENT");
  });
});

it("a trace takes requests only in order", () => {
  const builder = new TraceBuilder();
  builder.add(10, 0, 1, 1);
  expect(() => builder.add(9, 0, 1, 1)).toThrow("a request at 9 ms cannot follow one at 10 ms");
});

it("an agenda gives what is due first, and of one moment what was put in first", () => {
  const random = new Random(1);
  const agenda = new Agenda<string>();
  const entries = Array.from({ length: 500 }, (_, n) => ({ time: random.below(50), name: `${n}` }));
  for (const { time, name } of entries) agenda.push(time, name);
  agenda.push(Number.POSITIVE_INFINITY, "never");
  const expected = [...entries].sort((a, b) => a.time - b.time).map(({ name }) => name);
  expect(Array.from({ length: 500 }, () => agenda.pop())).toEqual(expected);
  expect(agenda.next).toBe(Number.POSITIVE_INFINITY);
  expect(() => agenda.pop()).toThrow("nothing is left to happen");
});

/** What a name holds in memory; and, printed only, what telling and asking cost in processor time. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { Random } from "../../bench/soak/support/random.js";
import type { Forecast } from "../../src/forecast/forecast.js";
import { createForecast } from "../../src/forecast/history.js";
import { drawOf, run } from "./callers.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function held(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const NAMES = Array.from({ length: 20_000 }, (_, i) => `task-${i}`);
/** Kept, so that nothing of an earlier one is given back while a later one is weighed. */
const forecasts: Forecast[] = [];

/** Bytes a name, over so many names after so many runs. */
function bytes(names: number, runs: number, gap: () => number): number {
  const before = held();
  const forecast = createForecast();
  forecasts.push(forecast);
  for (const name of NAMES.slice(0, names)) {
    const demand = forecast.of(name);
    let at = 0;
    for (let i = 0; i < runs; i++) run(demand, (at += gap()));
    demand.next(at);
    demand.peak(at, 60_000);
  }
  return (held() - before) / names;
}

it("a name with few runs holds less than a KiB, and one with many no more than one with some", () => {
  const draw = drawOf(new Random(1));
  const beat = (): number => 300_000;
  const loose = (): number => 1000 + 600_000 * draw();
  bytes(2000, 100, loose);
  const [one, few, some, many] = [bytes(20_000, 1, beat), bytes(20_000, 6, beat), bytes(4000, 100, loose), bytes(4000, 1000, loose)];
  console.log(`forecast memory: ${[one, few, some, many].map(Math.round).join(", ")} bytes a name after 1, 6, 100, 1000 runs`);
  expect(one).toBeLessThan(600);
  expect(few).toBeLessThan(1024);
  expect(some).toBeLessThan(4096);
  expect(many).toBeLessThan(some + 256);
  expect(forecasts).toHaveLength(5);
});

it("what telling and asking costs is printed", () => {
  const forecast = createForecast();
  const demands = NAMES.slice(0, 1000).map((name) => forecast.of(name));
  const draw = drawOf(new Random(2));
  const lapses = Array.from({ length: 4096 }, () => draw());
  let now = 0;
  const time = (lapse: number, work: (demand: (typeof demands)[number], now: number) => void): string => {
    const steps = 400_000;
    let start = 0;
    // The first round is for the compiler.
    for (const round of [0, 1]) {
      start = process.cpuUsage().user;
      for (let i = 0; i < steps; i++) work(demands[i % 1000]!, (now += lapse * lapses[i % 4096]!));
      if (round === 1) break;
    }
    return `${Math.round(((process.cpuUsage().user - start) / steps) * 1000)} ns`;
  };
  const lines = {
    "arrived + ended within a burst": time(0.001, run),
    "arrived + ended, each a new burst": time(30, run),
    peak: time(0.001, (demand, at) => demand.peak(at, 60_000)),
    next: time(0.001, (demand, at) => demand.next(at)),
    rate: time(0.001, (demand, at) => demand.rate(at)),
  };
  console.log(`forecast cost over 1000 names: ${JSON.stringify(lines)}`);
  expect(Object.keys(lines)).toHaveLength(5);
});

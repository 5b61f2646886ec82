/** Callers as they come: each gives the time of its next call, in milliseconds. Seeded; the numbers are a caller's own. */
import type { Random } from "../../bench/soak/support/random.js";
import type { Demand } from "../../src/forecast/forecast.js";

export type Caller = () => number;
export type Kind = (draw: () => number) => Caller;

export const drawOf = (random: Random) => (): number => random.below(2 ** 30) / 2 ** 30;

/** Evenly over the magnitudes between two. */
const among = (draw: () => number, least: number, most: number): number => least * (most / least) ** draw();
const normal = (draw: () => number): number => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());

/** Calls whose gaps are drawn one by one. */
function renewal(gap: () => number): Caller {
  let time = 0;
  return () => (time += gap());
}

/** From ten seconds to an hour; Poisson from five seconds to two hours on average. */
export const KINDS = {
  poisson: (draw) => {
    const mean = among(draw, 5000, 7_200_000);
    return renewal(() => -Math.log(1 - draw()) * mean);
  },
  "a cron, up to 5 % late": (draw) => {
    const period = among(draw, 10_000, 3_600_000);
    let tick = 0;
    return () => ++tick * period + 0.05 * draw() * period;
  },
  "a cron that leaves out a tick in ten": (draw) => {
    const period = among(draw, 10_000, 3_600_000);
    let tick = 0;
    return () => {
      while (draw() < 0.1) tick++;
      return ++tick * period + 0.03 * draw() * period;
    };
  },
  "a cron with a call between some ticks": (draw) => {
    const period = among(draw, 30_000, 3_600_000);
    let tick = 0;
    let between = false;
    return () => {
      between = !between && draw() < 0.15;
      return between ? (tick + 0.2 + 0.6 * draw()) * period : ++tick * period + 0.02 * draw() * period;
    };
  },
  "a timer that starts again after each call": (draw) => {
    const period = among(draw, 10_000, 3_600_000);
    return renewal(() => period * (1 + 0.05 * normal(draw)));
  },
  "gaps from a half to one and a half": (draw) => {
    const mean = among(draw, 10_000, 3_600_000);
    return renewal(() => mean * (0.5 + draw()));
  },
  "a gap and twice that gap in turn": (draw) => {
    const gap = among(draw, 30_000, 3_600_000);
    let call = 0;
    return renewal(() => gap * (call++ % 2 === 0 ? 1 : 2) * (1 + 0.02 * normal(draw)));
  },
  "log-normal gaps, narrow": (draw) => {
    const median = among(draw, 10_000, 3_600_000);
    const sigma = 0.2 + 0.3 * draw();
    return renewal(() => median * Math.exp(sigma * normal(draw)));
  },
  "log-normal gaps, wide": (draw) => {
    const median = among(draw, 10_000, 3_600_000);
    const sigma = 1 + draw();
    return renewal(() => median * Math.exp(sigma * normal(draw)));
  },
} satisfies Record<string, Kind>;

/** One run that is over at once. */
export function run(demand: Demand, at: number): void {
  demand.arrived(at);
  demand.ended(at);
}

export function runAll(demand: Demand, times: Iterable<number>): void {
  for (const at of times) run(demand, at);
}

/** `count` times, `period` apart, the first at `period`; `late` gives how late each is. */
export function ticks(count: number, period: number, late: (tick: number) => number = () => 0): number[] {
  return Array.from({ length: count }, (_, i) => (i + 1) * period + late(i + 1));
}

/**
 * When requests for one task come: from timers, from clients that poll, and in bursts.
 *
 * Each is a stream of ascending times in milliseconds. A renewal stream is drawn in a time that runs evenly and then laid
 * over the day, so that more of it falls into the busy hours; its coefficient of variation is that before the day.
 */
import type { Random } from "../soak/support/random.js";
import { exponential, gammaGap, normal, uniform } from "./chance.js";

export interface Arrivals {
  /** The next time; the streams have no end. */
  next(): number;
}

const DAY = 86_400_000;
/** The busiest hour of the day. */
const NOON = 14 * 3_600_000;
/** How late a timer fires, on average and at most, in milliseconds. */
const TIMER_LATE = 200;
const TIMER_LATEST = 2000;

/** A timer: every `period` from `phase` on, each a little late. */
export function timer(random: Random, period: number, phase: number): Arrivals {
  let due = phase - period;
  return {
    next: () => {
      due += period;
      return due + Math.min(TIMER_LATEST, TIMER_LATE * exponential(random));
    },
  };
}

/** Clients that ask again a while after they were answered: nearly regular, and without a schedule. */
export function poller(random: Random, period: number, variation: number): Arrivals {
  let time = period * (uniform(random) - 1);
  return {
    next: () => {
      do time += period * Math.max(0.05, 1 + variation * normal(random));
      while (time < 0);
      return time;
    },
  };
}

/**
 * Independent gaps of this mean and coefficient of variation: of a gamma distribution up to 1, of two exponential ones with
 * balanced means above (short gaps within a burst, long ones between). `swing` is how much more than the mean comes in
 * the busiest hour, from 0 to below 1.
 */
export function renewal(random: Random, mean: number, variation: number, swing: number): Arrivals {
  const gap = variation <= 1 ? gammaGaps(random, mean, variation) : burstGaps(random, mean, variation);
  let even = gap.first;
  return {
    next: () => {
      const time = laidOverDay(even, swing);
      even += gap.next();
      return time;
    },
  };
}

/** All of several streams. */
export function merged(streams: readonly Arrivals[]): Arrivals {
  const heads = streams.map((stream) => stream.next());
  return {
    next: () => {
      let first = 0;
      for (let n = 1; n < heads.length; n++) if ((heads[n] as number) < (heads[first] as number)) first = n;
      const time = heads[first] as number;
      heads[first] = (streams[first] as Arrivals).next();
      return time;
    },
  };
}

interface Gaps {
  /** From the beginning of the trace, which falls anywhere. */
  readonly first: number;
  next(): number;
}

function gammaGaps(random: Random, mean: number, variation: number): Gaps {
  return { first: mean * gammaGap(random, variation) * uniform(random), next: () => mean * gammaGap(random, variation) };
}

function burstGaps(random: Random, mean: number, variation: number): Gaps {
  const square = variation ** 2;
  const short = 0.5 * (1 + Math.sqrt((square - 1) / (square + 1)));
  const draw = (isShort: boolean): number => (mean * exponential(random)) / (2 * (isShort ? short : 1 - short));
  // Both kinds take half of all time, so the trace begins in either as often.
  return { first: draw(random.chance(0.5)), next: () => draw(random.chance(short)) };
}

/** Where a moment of even time lies in a day whose rate is 1 + swing × cos, as seen from its busiest hour. */
function laidOverDay(even: number, swing: number): number {
  if (swing === 0) return even;
  const turn = (2 * Math.PI) / DAY;
  const origin = Math.sin(-turn * NOON);
  let time = even;
  // Newton's method; the rate is never 0, so it gets there.
  for (let step = 0; step < 20; step++) {
    const off = time + (swing / turn) * (Math.sin(turn * (time - NOON)) - origin) - even;
    time -= off / (1 + swing * Math.cos(turn * (time - NOON)));
    if (Math.abs(off) < 1e-3) break;
  }
  return time;
}

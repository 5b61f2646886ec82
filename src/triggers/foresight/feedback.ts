/**
 * What becomes of predictions, and what follows from that: pairs that keep missing are not acted on for a while, and who
 * announces what does not come is believed less.
 */
import type { Pair } from "./pairs.js";

/** The last predictions of a pair that are looked at; after a pause, so many are enough. */
const LOOKED_AT = 8;
const AFTER_PAUSE = 4;
/** A pair with a smaller share of hits switches itself off. */
const LEAST_SHARE = 0.5;
const FIRST_PAUSE = 60_000;
const LONGEST_PAUSE = 3_600_000;
/** The weight of one more announcement in the trust in its sender. */
const TRUST_PACE = 0.25;
/** However little came of what it announced: it is still heard, so that it can be believed again. */
const LEAST_TRUST = 0.1;

/**
 * `hit`: a run came that found it prepared; `early`: before that was done, though it was foreseen; `late`: a little after the
 * window; `wasted`: none came.
 */
export type Outcome = "hit" | "early" | "late" | "wasted";

/** Runs and instances, ever; bytes × seconds. */
export interface Counters {
  predictions: number;
  /** Runs that found what was prepared for them, and that came before it was ready or after it had gone. */
  hits: number;
  late: number;
  /** Instances that nobody used, and what they and held programs took. */
  wasted: number;
  waste: number;
  announcements: number;
  refused: number;
  switchedOff: number;
  /** Predictions that were not worth their price, or for which there was no room. */
  passed: number;
}

export function noCounters(): Counters {
  return { predictions: 0, hits: 0, late: 0, wasted: 0, waste: 0, announcements: 0, refused: 0, switchedOff: 0, passed: 0 };
}

/** A prediction of the pair is over. `isRight`: a run came in its window. True: the pair is off from now on. */
export function judge(pair: Pair, isRight: boolean, now: number): boolean {
  // What was predicted before it was switched off says nothing new.
  if (pair.offUntil > now) return false;
  pair.outcomes = ((pair.outcomes << 1) | (isRight ? 1 : 0)) & (2 ** LOOKED_AT - 1);
  pair.judged = Math.min(LOOKED_AT, pair.judged + 1);
  if (pair.judged < (pair.pauses === 0 ? LOOKED_AT : AFTER_PAUSE)) return false;
  if (ones(pair.outcomes) / pair.judged >= LEAST_SHARE) {
    if (pair.judged === LOOKED_AT) pair.pauses = 0;
    return false;
  }
  pair.offUntil = now + Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** pair.pauses);
  pair.pauses++;
  pair.outcomes = 0;
  pair.judged = 0;
  return true;
}

function ones(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** The trust in a sender after so much of an announcement came, 0 to 1. */
export function trustAfter(trust: number, share: number): number {
  return Math.max(LEAST_TRUST, trust + TRUST_PACE * (share - trust));
}

/** What of the confidence that a sender states is believed. Most of what it announces comes: all of it. */
export function believed(confidence: number, trust: number): number {
  return confidence * Math.min(1, 2 * trust);
}

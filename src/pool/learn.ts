/** What steps cost and what things hold, learnt from what was seen; priors where nothing was. */

const MiB = 2 ** 20;
/** The weight of one more observation. */
const WEIGHT = 0.2;

/** Milliseconds of a step up before anyone has seen it: a small native program's. */
export const PRIOR_COSTS = { linked: 0.05, compiled: 2, stored: 500 };
/** A linked program and an unused instance before they were measured. */
export const PRIOR_PROGRAM_BYTES = MiB / 4;
export const PRIOR_READY_BYTES = MiB / 4;
/** The least that an instance is charged: its store and its context. */
export const LEAST_BYTES = 32 * 1024;

/** The learnt value after one more observation. */
export function learn(learnt: number, seen: number): number {
  return learnt + WEIGHT * (seen - learnt);
}

/** A peak that follows upwards at once and downwards slowly. */
export function learnPeak(peak: number, seen: number): number {
  return seen >= peak ? seen : peak + 0.01 * (seen - peak);
}

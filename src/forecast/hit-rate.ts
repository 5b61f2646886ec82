/**
 * How often predictions of a kind came true lately: an exponentially weighted share of about the last seven.
 *
 * Half a prediction that came true by half is added, so that the first ones prove little.
 */

const FADE = 0.85;
const PRIOR_HITS = 0.25;
const PRIOR_TRIALS = 0.5;
/** A prediction is given above this only; one that was never tried is at this. */
export const WORTH_TELLING = 0.5;

/** The share among so many. */
export function shareOf(hits: number, trials: number): number {
  return (hits + PRIOR_HITS) / (trials + PRIOR_TRIALS);
}

export class HitRate {
  #hits = 0;
  #trials = 0;

  /** Starts over from what a look back gave. */
  restart(hits: number, trials: number): void {
    this.#hits = hits;
    this.#trials = trials;
  }

  hit(): void {
    this.#hits = this.#hits * FADE + 1;
    this.#trials = this.#trials * FADE + 1;
  }

  missed(times: number): void {
    for (let i = 0; i < times; i++) {
      this.#hits *= FADE;
      this.#trials = this.#trials * FADE + 1;
    }
  }

  /** The share as it is once so many more have been missed. */
  after(misses: number): number {
    let hits = this.#hits;
    let trials = this.#trials;
    for (let i = 0; i < misses; i++) {
      hits *= FADE;
      trials = trials * FADE + 1;
    }
    return shareOf(hits, trials);
  }
}

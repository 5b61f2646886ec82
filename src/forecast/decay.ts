/** Values that lose half of themselves in a given time: the peak of concurrency, and the rate of arrivals. */

/** What is left of a value after so long. Milliseconds. */
function decayed(value: number, elapsed: number, halfLife: number): number {
  return value === 0 || elapsed <= 0 ? value : value * Math.exp((-Math.LN2 * elapsed) / halfLife);
}

/**
 * The most runs at once lately: the maximum, over all the past, of what ran then, halved for each half-life since.
 *
 * Whoever uses it tells it what ran before each change as well as after, so that what ran for an hour counts until its end.
 */
export class DecayedPeak {
  #value = 0;
  #at = -Infinity;

  /** `running` runs at once, at `now`, which is never before an earlier one. */
  note(running: number, now: number, halfLife: number): void {
    const left = this.at(now, halfLife);
    this.#value = running > left ? running : left;
    this.#at = now;
  }

  at(now: number, halfLife: number): number {
    return decayed(this.#value, now - this.#at, halfLife);
  }
}

/** Arrivals, each of which counts half after a half-life. */
export class DecayedRate {
  #count = 0;
  #at = -Infinity;

  arrived(now: number, halfLife: number): void {
    this.#count = decayed(this.#count, now - this.#at, halfLife) + 1;
    this.#at = now;
  }

  /** A second. An even stream of r a second holds r × half-life ÷ ln 2 arrivals. */
  at(now: number, halfLife: number): number {
    return (decayed(this.#count, now - this.#at, halfLife) * Math.LN2 * 1000) / halfLife;
  }
}

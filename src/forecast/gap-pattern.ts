/** When the next burst starts: on the beat of a period if there is one, else where most gaps have ended. */
import type { Expected } from "./forecast.js";
import { IdleHistogram } from "./idle-histogram.js";
import { Period } from "./period.js";

/** A period that is right less often than this gives way to a histogram that is right more often, though its window is wider. */
const SURE = 0.7;

export class GapPattern {
  readonly #least: number;
  readonly #spread: number;
  readonly #period = new Period();
  /** Made when there are as many gaps as the period keeps, out of those: most names never get there. */
  #idle: IdleHistogram | undefined;
  /** The last answer, and the times that it holds for; none after a start. */
  #expected: Expected | undefined;
  #holdsFrom = Infinity;
  #holdsUntil = -Infinity;

  /** See `IdleHistogram`. */
  constructor(least: number, spread: number) {
    this.#least = least;
    this.#spread = spread;
  }

  /** A burst starts at `now`, so long after the one before. Times never go back. */
  started(now: number, gap: number): void {
    this.#period.started(now, gap);
    if (this.#idle !== undefined) this.#idle.started(now, gap);
    else if (this.#period.full) this.#idle = this.#histogram(now);
    this.#holdsFrom = Infinity;
  }

  /** When the next burst is foreseen, at `now`, which is not before the last start. */
  next(now: number): Expected | undefined {
    if (now < this.#holdsFrom || now > this.#holdsUntil) {
      this.#expected = this.#look(now);
      this.#holdsFrom = now;
      this.#holdsUntil = this.#expected?.until ?? Infinity;
    }
    return this.#expected;
  }

  #look(now: number): Expected | undefined {
    const tick = this.#period.next(now);
    if (tick !== undefined && tick.likelihood >= SURE) return tick;
    const window = this.#idle?.next(now);
    if (tick === undefined || window === undefined) return tick ?? window;
    return window.likelihood > tick.likelihood ? window : tick;
  }

  #histogram(now: number): IdleHistogram {
    const histogram = new IdleHistogram(this.#least, this.#spread);
    for (const gap of this.#period.gaps) histogram.started(now, gap);
    return histogram;
  }
}

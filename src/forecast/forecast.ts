/**
 * What demand will be, from what it was: one forecast for ready targets, deferral and schedules.
 *
 * The port. `history.ts` implements it from decayed peaks, the time of day and the gaps between runs. Times are
 * milliseconds of a monotonic clock; whoever asks gives the time, so tests and the simulator drive it.
 */

/** When the next run is likely to be asked for. */
export interface Expected {
  /** Not before, and not after; the time between is as likely as the pattern is loose. */
  readonly from: number;
  readonly until: number;
  /** The share of predictions of this kind that came true lately, 0 to 1. */
  readonly likelihood: number;
}

/** The demand for one thing. */
export interface Demand {
  /** A run was asked for. */
  arrived(now: number): void;
  /** One that was asked for is over, however it ended. */
  ended(now: number): void;
  /** Runs that go on or wait, now. */
  readonly running: number;
  /** Milliseconds; undefined: none was ever asked for. */
  readonly lastArrival: number | undefined;
  /** The most runs at once that are to be expected within so long from now. 0: none. */
  peak(now: number, horizonMs: number): number;
  /** Runs a second, decayed. */
  rate(now: number): number;
  /** When the next one is foreseen; undefined: the past shows no pattern. */
  next(now: number): Expected | undefined;
}

export interface Forecast {
  /** The demand for what has this name, made at the first call. */
  of(name: string): Demand;
  forget(name: string): void;
}

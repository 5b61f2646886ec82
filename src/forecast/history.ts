/**
 * The forecast out of what happened: decayed peak, time of day, gaps between bursts.
 *
 * The pool tells every run twice, so telling must cost nothing to speak of: `arrived` and `ended` allocate nothing once a name
 * is known, and what a name holds is bounded and grows with need (docs/forecast.md has numbers). A time before the last event
 * counts as that event's.
 */
import { DayProfile } from "./day-profile.js";
import { DecayedPeak, DecayedRate } from "./decay.js";
import type { Demand, Expected, Forecast } from "./forecast.js";
import { GapPattern } from "./gap-pattern.js";

export interface ForecastOptions {
  /** Milliseconds in which a peak of concurrency loses half. */
  readonly peakHalfLife?: number;
  /** Milliseconds in which an arrival loses half of its weight in the rate. */
  readonly rateHalfLife?: number;
  /** An arrival sooner than so many milliseconds after the last one is part of its burst. */
  readonly burstGap?: number;
  /** Runs of a name before its time of day is looked at. */
  readonly profileAfter?: number;
  /** Gaps without a beat are a pattern while their long ones are at most so many times their short ones. */
  readonly spread?: number;
  /**
   * Milliseconds since 1970 at a monotonic time. Left out, the monotonic time itself: then a day begins whenever that clock
   * did, which is a day all the same.
   */
  readonly wall?: (now: number) => number;
}

const DEFAULTS: Required<ForecastOptions> = {
  peakHalfLife: 60_000,
  rateHalfLife: 30_000,
  burstGap: 1000,
  profileAfter: 64,
  spread: 4,
  wall: (now) => now,
};

/** How much the last burst counts in the usual size of one. */
const SIZE_GAIN = 0.3;

/** Every option given must be above 0; otherwise a RangeError says which is not. */
export function createForecast(options: ForecastOptions = {}): Forecast {
  const settings = { ...DEFAULTS, ...options };
  checkAll(settings);
  const names = new Map<string, History>();
  return {
    of: (name) => {
      let history = names.get(name);
      if (history === undefined) names.set(name, (history = new History(settings)));
      return history;
    },
    forget: (name) => void names.delete(name),
  };
}

function checkAll(settings: Required<ForecastOptions>): void {
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value === "function") continue;
    if (!(value > 0 && value < Infinity)) throw new RangeError(`forecast option ${name} must be a number above 0, and is ${value}`);
  }
}

class History implements Demand {
  readonly #settings: Required<ForecastOptions>;
  readonly #peak = new DecayedPeak();
  readonly #rate = new DecayedRate();
  #profile: DayProfile | undefined;
  #pattern: GapPattern | undefined;
  #running = 0;
  #runs = 0;
  /** Times of the last event, the last arrival and the start of the burst that it was part of. */
  #last = -Infinity;
  #lastArrival = -Infinity;
  #burstStart = -Infinity;
  /** The most runs at once since that start, and how many that usually are. */
  #size = 0;
  #usualSize = 1;

  constructor(settings: Required<ForecastOptions>) {
    this.#settings = settings;
  }

  get running(): number {
    return this.#running;
  }

  get lastArrival(): number | undefined {
    return this.#lastArrival === -Infinity ? undefined : this.#lastArrival;
  }

  arrived(now: number): void {
    const time = this.#timeOf(now);
    const before = this.#running++;
    this.#last = time;
    this.#peak.note(this.#running, time, this.#settings.peakHalfLife);
    this.#rate.arrived(time, this.#settings.rateHalfLife);
    if (time - this.#lastArrival >= this.#settings.burstGap) this.#burst(time);
    this.#lastArrival = time;
    if (this.#running > this.#size) this.#size = this.#running;
    if (this.#profile !== undefined) this.#profile.note(before, this.#running, time);
    else if (++this.#runs >= this.#settings.profileAfter) this.#profile = new DayProfile(this.#settings.wall, time);
  }

  ended(now: number): void {
    if (this.#running === 0) return;
    const time = this.#timeOf(now);
    const before = this.#running--;
    this.#last = time;
    this.#peak.note(before, time, this.#settings.peakHalfLife);
    this.#profile?.note(before, this.#running, time);
  }

  peak(now: number, horizonMs: number): number {
    const time = this.#timeOf(now);
    const horizon = horizonMs > 0 ? horizonMs : 0;
    let most = Math.max(this.#running, this.#peak.at(time, this.#settings.peakHalfLife));
    if (this.#profile !== undefined) most = Math.max(most, this.#profile.most(time, horizon));
    if (most >= this.#usualSize) return most;
    const expected = this.#pattern?.next(time);
    return expected !== undefined && expected.from <= time + horizon ? this.#usualSize : most;
  }

  rate(now: number): number {
    return this.#rate.at(this.#timeOf(now), this.#settings.rateHalfLife);
  }

  next(now: number): Expected | undefined {
    return this.#pattern?.next(this.#timeOf(now));
  }

  /** Times that go back, and what is no time, count as the last event's. */
  #timeOf(now: number): number {
    return now > this.#last && now < Infinity ? now : this.#last;
  }

  #burst(time: number): void {
    if (this.#lastArrival !== -Infinity) {
      this.#usualSize += SIZE_GAIN * (this.#size - this.#usualSize);
      this.#pattern ??= new GapPattern(this.#settings.burstGap, this.#settings.spread);
      this.#pattern.started(time, time - this.#burstStart);
    }
    this.#burstStart = time;
    this.#size = this.#running;
  }
}

/**
 * Callers that come like a clock: cron, timers, health checks. Finds the period, follows it, and measures how often it is right.
 *
 * A period is found when the last two gaps agree and most of the last eight are multiples of it; ticks that were left out and
 * calls between ticks are expected. From then on each start that is on the beat corrects period, phase and looseness a little.
 * Predictions are made and scored also while they are too poor to be told, and a better period replaces a worse one.
 */
import type { Expected } from "./forecast.js";
import { HitRate, shareOf, WORTH_TELLING } from "./hit-rate.js";

const GAPS_KEPT = 8;
const GAPS_NEEDED = 4;
/** How far a gap may be off, as a share of the period: when looking for one, and when following one. */
const FIT = 0.15;
const BEAT = 0.2;
/** A gap over more ticks than this says nothing about the phase. */
const TICKS_PER_GAP = 4;
/** The share of predictions that would have come true, for a period to be taken up. */
const TAKEN_UP = 0.7;
/** A tick that stays out is followed by so many more predictions. */
const WINDOWS = 3;
/** How much of a deviation goes into the phase, the period and the looseness. */
const PHASE_GAIN = 0.5;
const PERIOD_GAIN = 0.15;
const LOOSENESS_GAIN = 0.2;
/** The least half width of a window: a second, but not more than `BEAT`. */
const LEAST_WIDTH = 1000;

export class Period {
  /** The last gaps, in a ring; as many of its places count as there were gaps. */
  readonly gaps: number[] = [0, 0, 0, 0, 0, 0, 0, 0];
  #count = 0;
  #newest = -1;
  /** Milliseconds; 0: none was found. */
  #period = 0;
  /** Where the last tick on the beat should have been. */
  #phase = 0;
  /** Mean distance of ticks from where they should have been. */
  #looseness = 0;
  /** The middle of the next window. */
  #first = 0;
  readonly #rate = new HitRate();

  /** As many gaps are known as are kept. */
  get full(): boolean {
    return this.#count === GAPS_KEPT;
  }

  /** A burst starts at `now`, so long after the one before. */
  started(now: number, gap: number): void {
    this.#newest = (this.#newest + 1) % GAPS_KEPT;
    this.gaps[this.#newest] = gap;
    if (this.#count < GAPS_KEPT) this.#count++;
    if (this.#period > 0) {
      this.#score(now);
      if (this.#follow(now) === 1) return;
    }
    this.#find(now);
  }

  /** The tick that is foreseen at `now`: the same one until its window is over, and none again once there is none. */
  next(now: number): Expected | undefined {
    if (this.#period === 0) return undefined;
    const passed = this.#passed(now);
    const likelihood = this.#rate.after(passed);
    if (passed === WINDOWS || likelihood <= WORTH_TELLING) return undefined;
    const middle = this.#first + passed * this.#period;
    return { from: middle - this.#width(), until: middle + this.#width(), likelihood };
  }

  /** Half of a window. Three times the mean distance is 2.4 standard deviations of a normal one, and all of an even one. */
  #width(): number {
    return Math.min(Math.max(3 * this.#looseness, LEAST_WIDTH), BEAT * this.#period);
  }

  /** How many windows are over at `now`, at most all. */
  #passed(now: number): number {
    const late = now - this.#first - this.#width();
    return late <= 0 ? 0 : Math.min(WINDOWS, Math.ceil(late / this.#period));
  }

  #score(now: number): void {
    const passed = this.#passed(now);
    this.#rate.missed(passed);
    if (passed === WINDOWS) return;
    if (now >= this.#first + passed * this.#period - this.#width()) this.#rate.hit();
    else this.#rate.missed(1);
  }

  /** Moves on to the next window. How many ticks came to pass with this start; 0: it was off the beat. */
  #follow(now: number): number {
    const since = now - this.#phase;
    const ticks = Math.max(1, Math.round(since / this.#period));
    const off = since - ticks * this.#period;
    if (ticks <= TICKS_PER_GAP && Math.abs(off) <= BEAT * this.#period) {
      this.#phase = now - (1 - PHASE_GAIN) * off;
      this.#period += (PERIOD_GAIN * off) / ticks;
      this.#looseness += LOOSENESS_GAIN * (Math.abs(off) - this.#looseness);
      this.#first = this.#phase + this.#period;
      return ticks;
    }
    if (ticks > TICKS_PER_GAP) {
      this.#phase = now;
      this.#first = now + this.#period;
    } else {
      this.#first = this.#phase + (Math.floor((since - this.#width()) / this.#period) + 1) * this.#period;
    }
    return 0;
  }

  /** Looks back from now over the gaps, with the last two as the first guess at the period. */
  #find(now: number): void {
    if (this.#count < GAPS_NEEDED) return;
    const last = this.#gapAt(0);
    const before = this.#gapAt(1);
    if (Math.abs(last - before) > FIT * Math.max(last, before)) return;
    const guess = (last + before) / 2;
    let ticks = 0;
    let span = 0;
    let farthest = 0;
    let hits = 0;
    let strays = 0;
    let sinceBeat = 0;
    for (let age = 0; age < this.#count; age++) {
      const gap = this.#gapAt(age);
      sinceBeat += gap;
      // The beat goes on over calls between ticks; or it starts anew here, after a clock was set or a service started again.
      const length = onBeat(sinceBeat, guess) ? sinceBeat : gap;
      if (!onBeat(length, guess)) {
        strays++;
        continue;
      }
      const over = Math.round(length / guess);
      ticks += over;
      span += length;
      farthest = Math.max(farthest, Math.abs(length - over * guess));
      hits++;
      sinceBeat = 0;
    }
    // The first two made the guess: they prove nothing.
    const trials = ticks + strays - 2;
    const share = shareOf(hits - 2, trials);
    if (share < TAKEN_UP || (this.#period > 0 && share <= this.#rate.after(0))) return;
    this.#rate.restart(hits - 2, trials);
    this.#period = span / ticks;
    // So few gaps show less than there is: starts wide, and narrows while it is followed.
    this.#looseness = farthest;
    this.#phase = now;
    this.#first = now + this.#period;
  }

  #gapAt(age: number): number {
    return this.gaps[(this.#newest - age + GAPS_KEPT) % GAPS_KEPT] as number;
  }
}

function onBeat(length: number, period: number): boolean {
  const ticks = Math.round(length / period);
  return ticks >= 1 && ticks < TICKS_PER_GAP && Math.abs(length - ticks * period) <= FIT * period;
}

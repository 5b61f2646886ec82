/**
 * How many runs at once there usually are at this time of the day: 288 slots of five minutes.
 *
 * A slot holds the sum of its daily peaks, each day counting three quarters of the next, so that it follows a change within days
 * and a free weekend leaves more than half. Days of the week are not told apart. What has not been folded in yet, because
 * nothing happened since, is reckoned when somebody asks: asking changes nothing.
 */

const SLOT = 5 * 60_000;
const SLOTS = 288;
const DAY = SLOT * SLOTS;
/** What a day counts beside the one after it. */
const FADE = 0.75;
/** With three, a slot that was in use on one day only stays below one half: 1 ÷ (1 + 0.75 + 0.75²) = 0.43. */
const DAYS_NEEDED = 3;
/** After so long without an event, or when the time of day is set back by more than an hour, the profile starts over. */
const SLOTS_KEPT = 14 * SLOTS;
const SLOTS_BACK = 12;
/** Ten million years: beyond, adding one to a slot would at some time change nothing. */
const LAST_SLOT = 2 ** 40;

export class DayProfile {
  readonly #wall: (now: number) => number;
  readonly #sums = new Float32Array(SLOTS);
  /** Slots are numbered from 1970 on. The first one known, and the one that goes on. */
  #first: number;
  #slot: number;
  /** When that ends, on the monotonic clock. */
  #slotEnd: number;
  /** The most runs at once in it. */
  #peak = 0;
  /** The last answer of `most`, for the slots from and to. */
  #from = -1;
  #to = -1;
  #most = 0;

  /** `wall` gives the milliseconds since 1970 for a monotonic time. */
  constructor(wall: (now: number) => number, now: number) {
    this.#wall = wall;
    this.#slot = this.#slotOf(now);
    this.#first = this.#slot;
    this.#slotEnd = this.#endOf(now);
  }

  /** Of what ran until `now`, and what runs from then on. Times never go back. */
  note(before: number, after: number, now: number): void {
    if (now >= this.#slotEnd) this.#move(before, now);
    if (after <= this.#peak) return;
    this.#peak = after;
    this.#from = -1;
  }

  /** The usual peak between `now` and so long after, at most a day; 0 where fewer than three days are known. */
  most(now: number, horizonMs: number): number {
    const from = this.#slotOf(now);
    const to = Math.min(Math.floor((this.#wall(now) + Math.min(horizonMs, DAY)) / SLOT), from + SLOTS - 1);
    if (from !== this.#from || to !== this.#to) {
      this.#from = from;
      this.#to = to;
      this.#most = 0;
      for (let slot = from; slot <= to; slot++) this.#most = Math.max(this.#most, this.#usual(slot));
    }
    return this.#most;
  }

  #usual(slot: number): number {
    const days = Math.floor((slot - this.#first) / SLOTS);
    if (!(days >= DAYS_NEEDED)) return 0;
    return (this.#sumAt(slot) * (1 - FADE)) / (1 - FADE ** days);
  }

  /** The sum of the days before `slot`: as it is folded in, then the slot that goes on, then days on which nothing happened. */
  #sumAt(slot: number): number {
    const sum = this.#sums[slot % SLOTS] as number;
    const ahead = slot - this.#slot;
    if (ahead <= 0) return sum;
    if (ahead % SLOTS === 0) return (sum * FADE + this.#peak) * FADE ** (ahead / SLOTS - 1);
    return sum * FADE ** Math.floor(ahead / SLOTS);
  }

  #move(running: number, now: number): void {
    const slot = this.#slotOf(now);
    this.#slotEnd = this.#endOf(now);
    if (slot > this.#slot + SLOTS_KEPT || slot < this.#slot - SLOTS_BACK) this.#startOver(slot);
    for (; this.#slot < slot; this.#slot++) {
      const i = this.#slot % SLOTS;
      this.#sums[i] = (this.#sums[i] as number) * FADE + this.#peak;
      this.#peak = running;
    }
    this.#from = -1;
  }

  #startOver(slot: number): void {
    this.#sums.fill(0);
    this.#first = slot;
    this.#slot = slot;
    this.#peak = 0;
  }

  /** A time of day that is none, before 1970 or beyond the last slot, counts as 1970. */
  #slotOf(now: number): number {
    const slot = Math.floor(this.#wall(now) / SLOT);
    return slot > 0 && slot < LAST_SLOT ? slot : 0;
  }

  #endOf(now: number): number {
    const into = this.#wall(now) % SLOT;
    return now + SLOT - (into >= 0 ? into : 0);
  }
}

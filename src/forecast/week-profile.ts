/**
 * How much usually goes on at this time of the week: 7 × 96 quarter hours, each a mean that forgets.
 *
 * A quarter hour of a weekday that has been seen less than twice is taken from the same time of all days. What is told of a quarter
 * hour is averaged over it, however often it is told. Times may jump: what lies before the quarter hour that goes on is left out.
 */

const SLOT = 15 * 60_000;
const DAY_SLOTS = 96;
const WEEK_SLOTS = 7 * DAY_SLOTS;
/** What the newest quarter hour counts in its mean. */
const GAIN = 0.4;
/** Quarter hours of one weekday before they count by themselves. */
const SEEN = 2;
/** A question about more than this is a question about a week. */
const WEEK = WEEK_SLOTS * SLOT;

/** Known work to come: when, and how much there is of it beside what is usual. */
export interface Scheduled {
  readonly at: number;
  /** Load times milliseconds. */
  readonly loadMs: number;
}

interface Snapshot {
  readonly version: 1;
  readonly means: readonly number[];
  readonly counts: readonly number[];
}

export class WeekProfile {
  readonly #means = new Float64Array(WEEK_SLOTS);
  readonly #counts = new Uint32Array(WEEK_SLOTS);
  #slot = -1;
  #sum = 0;
  #samples = 0;

  /** So much goes on now, in whatever unit. `now`: milliseconds since 1970. */
  note(now: number, load: number): void {
    if (!Number.isFinite(now) || !Number.isFinite(load) || now < 0 || load < 0) return;
    const slot = Math.floor(now / SLOT);
    if (slot < this.#slot) return;
    if (slot > this.#slot) this.#fold(slot);
    this.#sum += load;
    this.#samples++;
  }

  /** The mean from one time to another; undefined: too little is known of that. */
  expected(from: number, to: number, scheduled: Iterable<Scheduled> = []): number | undefined {
    if (!Number.isFinite(from) || !Number.isFinite(to)) return undefined;
    const end = Math.min(Math.max(to, from + 1), from + WEEK);
    // Beyond what numbers can tell apart there is no next quarter hour.
    if (end <= from || Math.abs(from) > 2 ** 52) return undefined;
    let [sum, length] = [0, 0];
    for (let at = from; at < end;) {
      const next = Math.min(end, (Math.floor(at / SLOT) + 1) * SLOT);
      const mean = this.#meanOf(Math.floor(at / SLOT));
      if (mean === undefined) return undefined;
      sum += mean * (next - at);
      length += next - at;
      at = next;
    }
    for (const { at, loadMs } of scheduled) if (at >= from && at < end) sum += loadMs;
    return sum / length;
  }

  snapshot(): Snapshot {
    return { version: 1, means: [...this.#means], counts: [...this.#counts] };
  }

  /** Takes up what a snapshot says; one that is none changes nothing. */
  restore(kept: unknown): void {
    const { version, means, counts } = (kept ?? {}) as Partial<Snapshot>;
    if (version !== 1 || means?.length !== WEEK_SLOTS || counts?.length !== WEEK_SLOTS) return;
    for (let i = 0; i < WEEK_SLOTS; i++) {
      const [mean, count] = [Number(means[i]), Number(counts[i])];
      if (!(mean >= 0 && mean < 1e15 && count >= 0)) continue;
      this.#means[i] = mean;
      this.#counts[i] = count;
    }
  }

  #fold(slot: number): void {
    if (this.#samples > 0) {
      const at = this.#slot % WEEK_SLOTS;
      const mean = this.#sum / this.#samples;
      const count = this.#counts[at] as number;
      this.#means[at] = count === 0 ? mean : (this.#means[at] as number) + (mean - (this.#means[at] as number)) * GAIN;
      this.#counts[at] = Math.min(count + 1, 1000);
    }
    [this.#slot, this.#sum, this.#samples] = [slot, 0, 0];
  }

  #meanOf(slot: number): number | undefined {
    const own = ((slot % WEEK_SLOTS) + WEEK_SLOTS) % WEEK_SLOTS;
    if ((this.#counts[own] as number) >= SEEN) return this.#means[own];
    let [sum, seen] = [0, 0];
    for (let at = own % DAY_SLOTS; at < WEEK_SLOTS; at += DAY_SLOTS) {
      const count = Math.min(this.#counts[at] as number, SEEN);
      sum += (this.#means[at] as number) * count;
      seen += count;
    }
    return seen === 0 ? undefined : sum / seen;
  }
}

/**
 * How likely it is that a task runs within so long from any moment, whatever else happens: what a pair has to beat.
 *
 * From any moment, a run comes within w with probability E[min(gap, w)] ÷ E[gap], however the gaps between runs are
 * distributed: a moment lies in a gap as often as that is long. So the sums of min(gap, w) for a dozen w are all that is
 * kept. Long pauses count as ten minutes only: at night nothing is likely, and that proves nothing about the morning.
 */

/** Doubling from 16 ms to 33 s. */
const SHORTEST = 16;
const SCALES = Float64Array.from({ length: 12 }, (_, i) => SHORTEST * 2 ** i);
const LONGEST_GAP = 600_000;
/** With so many gaps, the sums are halved: old ones fade. */
const GAPS_KEPT = 512;

export class BaseRate {
  readonly #sums = new Float64Array(SCALES.length);
  #total = 0;
  #gaps = 0;
  #last = Number.NEGATIVE_INFINITY;

  /** Times never go back. */
  arrived(now: number): void {
    const gap = Math.min(now - this.#last, LONGEST_GAP);
    this.#last = now;
    // The first one ends no gap that is known.
    if (gap === LONGEST_GAP && this.#total === 0 && this.#gaps === 0) return void this.#gaps++;
    this.#total += gap;
    // Runs that come together add nothing to any sum.
    if (gap > 0) for (let i = 0; i < SCALES.length; i++) this.#sums[i] = (this.#sums[i] as number) + Math.min(gap, SCALES[i] as number);
    if (++this.#gaps >= GAPS_KEPT) this.#halve();
  }

  /** 0 to 1; 1 where too little is known. `ms`: at most half a minute. */
  within(now: number, ms: number): number {
    const open = Math.max(0, Math.min(now - this.#last, LONGEST_GAP));
    const total = this.#total + (Number.isFinite(open) ? open : 0);
    return this.#total <= 0 ? 1 : Math.min(1, (this.#sum(ms) + Math.min(open, ms)) / total);
  }

  /** The sum of min(gap, w) is concave in w: between two that are known, a straight line is a little below. */
  #sum(ms: number): number {
    const above = SCALES.findIndex((scale) => scale >= ms);
    if (above === -1) return this.#sums.at(-1) as number;
    const to = SCALES[above] as number;
    const [from, low] = above === 0 ? [0, 0] : [SCALES[above - 1] as number, this.#sums[above - 1] as number];
    return low + (((this.#sums[above] as number) - low) * (ms - from)) / (to - from);
  }

  #halve(): void {
    this.#gaps /= 2;
    this.#total /= 2;
    for (let i = 0; i < SCALES.length; i++) this.#sums[i] = (this.#sums[i] as number) / 2;
  }

  /** What is known, as plain numbers: the sums, their total, how many gaps. */
  kept(): number[] {
    return [...this.#sums, this.#total, this.#gaps];
  }

  /** Goes on from what was kept; anything else is passed over. */
  restore(kept: readonly number[]): void {
    if (kept.length !== SCALES.length + 2) return;
    for (let i = 0; i < SCALES.length; i++) this.#sums[i] = kept[i] as number;
    this.#total = kept[SCALES.length] as number;
    this.#gaps = kept[SCALES.length + 1] as number;
  }
}

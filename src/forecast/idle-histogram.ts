/**
 * Callers without a beat whose gaps are alike: a histogram of the gaps, and a window between its head and tail.
 *
 * The hybrid histogram policy of Shahrad et al., "Serverless in the Wild" (USENIX ATC '20), with three changes: bins grow by a
 * quarter of an octave instead of being minutes, so that a second and half a day are told apart in 64 bytes; old gaps fade; and
 * instead of the bins' coefficient of variation, the ratio of tail to head decides whether the window says anything.
 */
import type { Expected } from "./forecast.js";
import { HitRate, WORTH_TELLING } from "./hit-rate.js";

/** Four bins an octave, 16 octaves: from a second to 18 hours. */
const BINS = 64;
const BINS_PER_OCTAVE = 4;
/** Where bins begin, in shortest gaps, and where the last one ends. */
const EDGES = Float64Array.from({ length: BINS + 1 }, (_, bin) => 2 ** (bin / BINS_PER_OCTAVE));
const GAPS_NEEDED = 10;
/** With so many, all counts are halved. */
const GAPS_KEPT = 128;
/** The share of gaps that is left out at each end. */
const LEFT_OUT = 0.05;

export class IdleHistogram {
  readonly #least: number;
  readonly #spread: number;
  readonly #bins = new Uint8Array(BINS);
  /** Gaps longer than the last bin. */
  #beyond = 0;
  #total = 0;
  /** When the last burst started, and the window after it; 0: the histogram says nothing. */
  #start = 0;
  #head = 0;
  #tail = 0;
  readonly #rate = new HitRate();

  /** `least`: the shortest gap, in milliseconds. `spread`: how many times the head the tail may be. */
  constructor(least: number, spread: number) {
    this.#least = least;
    this.#spread = spread;
  }

  /** A burst starts at `now`, so long after the one before. */
  started(now: number, gap: number): void {
    if (this.#tail > 0) {
      if (gap >= this.#head && gap <= this.#tail) this.#rate.hit();
      else this.#rate.missed(1);
    }
    this.#add(gap);
    this.#start = now;
    this.#measure();
  }

  /** When a start is foreseen, at `now`; nothing once the window is over. */
  next(now: number): Expected | undefined {
    const likelihood = this.#rate.after(0);
    if (this.#tail === 0 || now > this.#start + this.#tail || likelihood <= WORTH_TELLING) return undefined;
    return { from: this.#start + this.#head, until: this.#start + this.#tail, likelihood };
  }

  #add(gap: number): void {
    const bin = Math.max(0, Math.floor(BINS_PER_OCTAVE * Math.log2(gap / this.#least)));
    if (bin < BINS) this.#bins[bin] = (this.#bins[bin] as number) + 1;
    else this.#beyond++;
    if (++this.#total >= GAPS_KEPT) this.#halve();
  }

  #halve(): void {
    this.#beyond >>= 1;
    this.#total = this.#beyond;
    for (let bin = 0; bin < BINS; bin++) this.#total += this.#bins[bin] = (this.#bins[bin] as number) >> 1;
  }

  #measure(): void {
    this.#head = 0;
    this.#tail = 0;
    const out = Math.floor(this.#total * LEFT_OUT);
    if (this.#total < GAPS_NEEDED || this.#beyond > out) return;
    let low = 0;
    for (let seen = this.#bins[0] as number; seen <= out; seen += this.#bins[low] as number) low++;
    let high = BINS - 1;
    for (let seen = this.#beyond + (this.#bins[high] as number); seen <= out; seen += this.#bins[high] as number) high--;
    if ((EDGES[high + 1 - low] as number) > this.#spread) return;
    this.#head = this.#least * (EDGES[low] as number);
    this.#tail = this.#least * (EDGES[high + 1] as number);
  }
}

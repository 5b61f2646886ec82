/** About how often each key was asked for of late: small counters that many keys share, halved now and then. */

const ROWS = 4;
const MOST = 255;

export class Frequency {
  readonly #counts: Uint8Array;
  readonly #mask: number;
  #added = 0;

  /** `size`: counters in a row, a power of two. Counts are halved after ten times as many additions. */
  constructor(size = 16_384) {
    this.#counts = new Uint8Array(ROWS * size);
    this.#mask = size - 1;
  }

  /** A key is hex digits, 32 of them, and as good as random. */
  add(key: string): void {
    for (let row = 0; row < ROWS; row++) {
      const at = this.#at(key, row);
      const count = this.#counts[at] as number;
      if (count < MOST) this.#counts[at] = count + 1;
    }
    if (++this.#added >= 10 * (this.#mask + 1)) this.#halve();
  }

  /** Never less than it was since the counts were last halved. */
  of(key: string): number {
    let least = MOST;
    for (let row = 0; row < ROWS; row++) least = Math.min(least, this.#counts[this.#at(key, row)] as number);
    return least;
  }

  #at(key: string, row: number): number {
    return row * (this.#mask + 1) + (Number.parseInt(key.slice(8 * row, 8 * row + 8), 16) & this.#mask);
  }

  #halve(): void {
    this.#added = 0;
    for (let i = 0; i < this.#counts.length; i++) this.#counts[i] = (this.#counts[i] as number) >> 1;
  }
}

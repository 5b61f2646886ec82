/** How much is in use over time, as whole numbers: the most at any moment, and the most for more than a thousandth of the time. */

export class Usage {
  readonly #from: number;
  #until = Number.POSITIVE_INFINITY;
  /** Milliseconds for which so many were in use. */
  readonly #spent: number[] = [];
  #count = 0;
  #since = 0;

  constructor(from: number) {
    this.#from = from;
  }

  change(now: number, by: number): void {
    const spent = Math.min(now, this.#until) - Math.max(this.#since, this.#from);
    if (spent > 0) this.#spent[this.#count] = (this.#spent[this.#count] ?? 0) + spent;
    this.#since = now;
    this.#count += by;
  }

  /** What comes later counts no more. */
  end(now: number): void {
    this.#until = Math.min(this.#until, now);
  }

  get peak(): number {
    return this.#spent.length - 1;
  }

  get mean(): number {
    const all = this.#spent.reduce((sum, spent) => sum + spent, 0);
    return this.#spent.reduce((sum, spent, count) => sum + spent * count, 0) / all;
  }

  /** So many or fewer suffice for all but that share of the time. */
  enough(share: number): number {
    const all = this.#spent.reduce((sum, spent) => sum + spent, 0);
    let above = 0;
    for (let count = this.#spent.length - 1; count > 0; count--) {
      above += this.#spent[count] ?? 0;
      if (above > share * all) return count;
    }
    return 0;
  }
}

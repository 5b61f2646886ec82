/** What is to happen and when, in a binary heap: the simulated clock jumps from one entry to the next. */

export class Agenda<T> {
  readonly #times: number[] = [];
  /** Entries of one moment come in the order in which they were put in. */
  readonly #orders: number[] = [];
  readonly #items: T[] = [];
  #nextOrder = 0;

  /** When the first entry is due; Infinity when there is none. */
  get next(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  get length(): number {
    return this.#times.length;
  }

  push(time: number, item: T): void {
    if (time === Number.POSITIVE_INFINITY) return;
    const order = this.#nextOrder++;
    let at = this.#times.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(time, order, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, time, order, item);
  }

  /** Takes the first entry out. */
  pop(): T {
    const first = this.#items[0];
    if (first === undefined) throw new RangeError("nothing is left to happen");
    const [time, order, item] = [this.#times.pop() as number, this.#orders.pop() as number, this.#items.pop() as T];
    const length = this.#times.length;
    if (length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      const other = child + 1;
      if (other < length && this.#isBefore(this.#times[other] as number, this.#orders[other] as number, child)) child = other;
      if (this.#isBefore(time, order, child)) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, time, order, item);
    return first;
  }

  #isBefore(time: number, order: number, place: number): boolean {
    const there = this.#times[place] as number;
    return time < there || (time === there && order < (this.#orders[place] as number));
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from] as number, this.#orders[from] as number, this.#items[from] as T);
  }

  #put(at: number, time: number, order: number, item: T): void {
    this.#times[at] = time;
    this.#orders[at] = order;
    this.#items[at] = item;
  }
}

/**
 * What is to be looked at, and when: a binary heap in which each item has one time at most.
 *
 * Setting a time anew does not search for the old entry; that one is skipped when it comes up.
 */

interface Entry<T> {
  readonly at: number;
  readonly item: T;
}

export class Agenda<T extends object> {
  readonly #heap: Entry<T>[] = [];
  readonly #times = new Map<T, number>();

  /** The item comes up at `at`, and not at any time that was set before. */
  set(item: T, at: number): void {
    if (this.#times.get(item) === at) return;
    this.#times.set(item, at);
    this.#push({ at, item });
    // So many moved entries that most of the heap is waste: begin anew with those that count.
    if (this.#heap.length > 64 && this.#heap.length > 4 * this.#times.size) this.#rebuild();
  }

  /** The item comes up at `at` at the latest. */
  atLatest(item: T, at: number): void {
    const set = this.#times.get(item);
    if (set === undefined || set > at) this.set(item, at);
  }

  delete(item: T): void {
    this.#times.delete(item);
  }

  /** When the first item comes up; Infinity: there is none. */
  next(): number {
    this.#skip();
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** The first item whose time has come, taken out. */
  take(now: number): T | undefined {
    this.#skip();
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    this.#pop();
    this.#times.delete(first.item);
    return first.item;
  }

  /** Drops entries at the top that were moved or deleted. */
  #skip(): void {
    for (let top = this.#heap[0]; top !== undefined && this.#times.get(top.item) !== top.at; top = this.#heap[0]) this.#pop();
  }

  #rebuild(): void {
    this.#heap.length = 0;
    for (const [item, at] of this.#times) this.#push({ at, item });
  }

  #push(entry: Entry<T>): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Entry<T>;
      if (above.at <= entry.at) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry<T>;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const child = right < heap.length && (heap[right] as Entry<T>).at < (heap[left] as Entry<T>).at ? right : left;
      if ((heap[child] as Entry<T>).at >= last.at) break;
      heap[at] = heap[child] as Entry<T>;
      at = child;
    }
    heap[at] = last;
  }
}

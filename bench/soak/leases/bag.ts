/** Things to pick from by chance: added, removed and picked in constant time. */

/** Knows its place; it is in one bag at a time. */
export interface Bagged {
  bagAt: number;
}

export class Bag<T extends Bagged> {
  readonly items: T[] = [];

  get size(): number {
    return this.items.length;
  }

  add(item: T): void {
    item.bagAt = this.items.push(item) - 1;
  }

  remove(item: T): void {
    const last = this.items.pop() as T;
    if (last === item) return;
    this.items[item.bagAt] = last;
    last.bagAt = item.bagAt;
  }

  /** The one that a number stands for; undefined: there is none. */
  pick(n: number): T | undefined {
    return this.items.length === 0 ? undefined : this.items[n % this.items.length];
  }
}

/** How long runs took to begin that found their instance prepared, and those for which it had to be made: the last of each task. */

/** Tasks of which it is known; the one that was seen longest ago goes first. */
const MOST = 4096;
const LAST = 128;

/** Milliseconds from admission until the guest began. */
export interface Starts {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

export interface FirstCalls {
  readonly task: string;
  readonly prepared?: Starts | undefined;
  readonly unprepared?: Starts | undefined;
}

class Last {
  readonly #ring = new Float64Array(LAST);
  count = 0;

  note(ms: number): void {
    this.#ring[this.count++ % LAST] = ms;
  }

  starts(): Starts | undefined {
    if (this.count === 0) return undefined;
    const sorted = this.#ring.slice(0, Math.min(LAST, this.count)).sort();
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
    return { count: this.count, p50: at(0.5), p99: at(0.99) };
  }
}

interface OfTask {
  readonly tenant: string;
  readonly task: string;
  readonly prepared: Last;
  readonly unprepared: Last;
}

export class FirstCallTimes {
  /** By `tenant/task`, the one that was seen longest ago first. */
  readonly #tasks = new Map<string, OfTask>();

  note(tenant: string, task: string, isPrepared: boolean, ms: number): void {
    const key = `${tenant}/${task}`;
    let known = this.#tasks.get(key);
    if (known === undefined) {
      if (this.#tasks.size >= MOST) this.#tasks.delete(this.#tasks.keys().next().value as string);
      known = { tenant, task, prepared: new Last(), unprepared: new Last() };
    } else this.#tasks.delete(key);
    this.#tasks.set(key, known);
    (isPrepared ? known.prepared : known.unprepared).note(ms);
  }

  /** Of a tenant's tasks, by name. */
  of(tenant: string): FirstCalls[] {
    const own = [...this.#tasks.values()].filter((each) => each.tenant === tenant);
    return own
      .map(({ task, prepared, unprepared }) => ({ task, prepared: prepared.starts(), unprepared: unprepared.starts() }))
      .sort((a, b) => (a.task < b.task ? -1 : 1));
  }

  forget(tenant: string): void {
    for (const [key, { tenant: owner }] of this.#tasks) if (owner === tenant) this.#tasks.delete(key);
  }
}

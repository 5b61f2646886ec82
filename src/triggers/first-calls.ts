/** How long runs took to begin that found their instance prepared, and those for which it had to be made: the last of each task. */

/** Tasks of which it is known, of a tenant and of all: one tenant's many push out few of the others'. */
const MOST_OF_TENANT = 256;
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
  readonly prepared: Last;
  readonly unprepared: Last;
}

export class FirstCallTimes {
  /** By tenant and by task; in both, what was seen longest ago comes first, and goes first. */
  readonly #tenants = new Map<string, Map<string, OfTask>>();
  #size = 0;

  note(tenant: string, task: string, isPrepared: boolean, ms: number): void {
    const tasks = latest(this.#tenants, tenant) ?? new Map<string, OfTask>();
    this.#tenants.set(tenant, tasks);
    let known = latest(tasks, task);
    if (known === undefined) {
      if (tasks.size >= MOST_OF_TENANT) this.#dropOldest(tenant, tasks);
      else if (this.#size >= MOST) for (const [name, others] of this.#tenants) if (this.#dropOldest(name, others)) break;
      known = { prepared: new Last(), unprepared: new Last() };
      this.#size++;
    }
    tasks.set(task, known);
    (isPrepared ? known.prepared : known.unprepared).note(ms);
  }

  #dropOldest(tenant: string, tasks: Map<string, OfTask>): boolean {
    const [oldest] = tasks.keys();
    if (oldest === undefined || !tasks.delete(oldest)) return false;
    this.#size--;
    if (tasks.size === 0) this.#tenants.delete(tenant);
    return true;
  }

  /** Of a tenant's tasks, by name. */
  of(tenant: string): FirstCalls[] {
    return [...(this.#tenants.get(tenant) ?? [])]
      .map(([task, { prepared, unprepared }]) => ({ task, prepared: prepared.starts(), unprepared: unprepared.starts() }))
      .sort((a, b) => (a.task < b.task ? -1 : 1));
  }

  forget(tenant: string): void {
    this.#size -= this.#tenants.get(tenant)?.size ?? 0;
    this.#tenants.delete(tenant);
  }
}

/** Takes it out, so that it is the latest once it is put back. */
function latest<T>(map: Map<string, T>, key: string): T | undefined {
  const value = map.get(key);
  if (value !== undefined) map.delete(key);
  return value;
}

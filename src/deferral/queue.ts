/**
 * The order in which jobs start: a synchronous machine over times that it is told.
 *
 * Tenants take turns among what is due, so that one with very many jobs holds up nobody. Whose latest start comes near goes before all
 * of that. What was merely put off, and for which it is quiet now, may start before its time. Everything takes logarithmic time; a
 * job that is taken back is passed over when it comes up.
 */

export interface QueuedJob {
  readonly id: string;
  readonly tenant: string;
  /** Milliseconds since 1970: not before, unless it may start early. */
  readonly dueAt: number;
  /** It is to have started by then. */
  readonly latest?: number | undefined;
  /** It is tried again, and not before it is due, however near its latest start is. */
  readonly isRetry?: boolean;
  /** It was put off for a quieter time, and for nothing else. */
  readonly mayStartEarly?: boolean;
}

export interface Room {
  /** Jobs that go on, of all tenants, and the most at once of all and of one. */
  readonly running: number;
  readonly most: number;
  readonly perTenantMost: number;
  /** Less goes on than usual. */
  readonly quiet?: boolean;
}

/** A job goes before all others so long before its latest start: those that go on have to end for it. Milliseconds. */
const NEAR_MS = 30_000;

/** What has no latest start does not wait for ever behind what has. */
const PATIENCE_MS = 3_600_000;

interface Entry extends QueuedJob {
  /** Of a tenant's that are due, whose is nearest goes first: the latest start, or an hour after it came due if that is sooner. */
  readonly goal: number;
  /** From then on its latest start is near; Infinity: it has none. */
  readonly pressesAt: number;
  readonly sequence: number;
  isGone: boolean;
}

export class JobQueue {
  readonly #entries = new Map<string, Entry>();
  /** By when they are due, those that are not. */
  readonly #later = new Heap<Entry>((a, b) => a.dueAt - b.dueAt || a.sequence - b.sequence);
  /** By when their latest start will be near, those for which it is not yet. */
  readonly #urgent = new Heap<Entry>((a, b) => a.pressesAt - b.pressesAt || a.sequence - b.sequence);
  /** By their latest start, those for which it is near. */
  readonly #pressing = new Heap<Entry>((a, b) => (a.latest as number) - (b.latest as number) || a.sequence - b.sequence);
  /** Those that may start early, in the order in which they came. */
  readonly #early = new Heap<Entry>((a, b) => a.sequence - b.sequence);
  /** What is due of each tenant; the tenant whose turn it is stands first. */
  readonly #due = new Map<string, Heap<Entry>>();
  /** Tenants of jobs that go on, and how many each has. */
  readonly #running = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  /** Those that go on and went before others because their latest start was near. */
  readonly #hurried = new Set<string>();
  #next = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** Puts it in line, in place of what has its id there. */
  add(job: QueuedJob): void {
    this.remove(job.id);
    const { latest = Number.POSITIVE_INFINITY, dueAt, isRetry = false } = job;
    const pressesAt = isRetry ? Math.max(dueAt, latest - NEAR_MS) : latest - NEAR_MS;
    const entry: Entry = { ...job, pressesAt, goal: Math.min(latest, dueAt + PATIENCE_MS), sequence: this.#next++, isGone: false };
    this.#entries.set(job.id, entry);
    this.#later.push(entry);
    if (entry.latest !== undefined) this.#urgent.push(entry);
    if (entry.mayStartEarly === true) this.#early.push(entry);
  }

  remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.isGone = true;
    this.#entries.delete(id);
    this.#tidy();
  }

  /** Those that start now, in their order; they count as running until `ended`. */
  take(now: number, { running, most, perTenantMost, quiet = false }: Room): string[] {
    this.#ripen(now);
    const taken: string[] = [];
    const hasRoom = (): boolean => running + taken.length < most;
    const start = (entry: Entry): void => {
      entry.isGone = true;
      this.#entries.delete(entry.id);
      this.#running.set(entry.id, entry.tenant);
      this.#counts.set(entry.tenant, this.#countOf(entry.tenant) + 1);
      taken.push(entry.id);
    };
    const mayHave = (entry: Entry): boolean => this.#countOf(entry.tenant) < perTenantMost;
    // Whoever says that all is urgent has half of the places by that at most; the rest goes by turns.
    const hasHurried = (): boolean => hasRoom() && this.#hurried.size < most / 2;
    takeFrom(this.#pressing, hasHurried, mayHave, (entry) => {
      this.#hurried.add(entry.id);
      start(entry);
    });
    this.#takeDue(perTenantMost, hasRoom, start);
    if (quiet) takeFrom(this.#early, hasRoom, mayHave, start);
    return taken;
  }

  /** It goes on no longer. */
  ended(id: string): void {
    const tenant = this.#running.get(id);
    if (tenant === undefined) return;
    this.#running.delete(id);
    this.#hurried.delete(id);
    const left = this.#countOf(tenant) - 1;
    if (left > 0) this.#counts.set(tenant, left);
    else this.#counts.delete(tenant);
  }

  /** When something comes due that is not yet; Infinity: nothing does. What is due waits for room alone. */
  nextWake(now: number): number {
    const later = live(this.#later);
    const next = later === undefined ? Number.POSITIVE_INFINITY : later.dueAt;
    const urgent = live(this.#urgent);
    return urgent === undefined ? next : Math.min(next, Math.max(urgent.pressesAt, now + 1));
  }

  /** What has come due joins its tenant's, and what presses the others that do. */
  #ripen(now: number): void {
    for (let entry = live(this.#urgent); entry !== undefined && entry.pressesAt <= now; entry = live(this.#urgent)) {
      this.#urgent.pop();
      this.#pressing.push(entry);
    }
    for (let entry = live(this.#later); entry !== undefined && entry.dueAt <= now; entry = live(this.#later)) {
      this.#later.pop();
      let own = this.#due.get(entry.tenant);
      if (own === undefined) this.#due.set(entry.tenant, (own = new Heap((a, b) => a.goal - b.goal || a.sequence - b.sequence)));
      own.push(entry);
    }
  }

  /** One of each tenant, round after round. */
  #takeDue(perTenantMost: number, hasRoom: () => boolean, start: (entry: Entry) => void): void {
    for (let progress = true; progress && hasRoom();) {
      progress = false;
      for (const [tenant, own] of Array.from(this.#due)) {
        if (!hasRoom()) return;
        const entry = live(own);
        if (entry === undefined) {
          this.#due.delete(tenant);
          continue;
        }
        if (this.#countOf(tenant) >= perTenantMost) continue;
        own.pop();
        start(entry);
        progress = true;
        // Its next turn comes after everybody else's.
        this.#due.delete(tenant);
        if (own.size > 0) this.#due.set(tenant, own);
      }
    }
  }

  #countOf(tenant: string): number {
    return this.#counts.get(tenant) ?? 0;
  }

  /** What is gone is not kept for ever. */
  #tidy(): void {
    const most = 2 * this.#entries.size + 64;
    for (const heap of [this.#later, this.#urgent, this.#pressing, this.#early]) if (heap.size > most) heap.keep((entry) => !entry.isGone);
    for (const [tenant, heap] of this.#due) {
      if (heap.size <= most) continue;
      heap.keep((entry) => !entry.isGone);
      if (heap.size === 0) this.#due.delete(tenant);
    }
  }
}

/** Takes what is first, and passes over whose tenant has its share; those are there afterwards as before. */
function takeFrom(heap: Heap<Entry>, hasRoom: () => boolean, may: (entry: Entry) => boolean, start: (entry: Entry) => void): void {
  const passed: Entry[] = [];
  while (hasRoom() && passed.length < MOST_PASSED) {
    const entry = live(heap);
    if (entry === undefined) break;
    heap.pop();
    if (may(entry)) start(entry);
    else passed.push(entry);
  }
  for (const entry of passed) heap.push(entry);
}

/** So many are passed over before the rest is left for the next time. */
const MOST_PASSED = 64;

/** The first that is still wanted. */
function live(heap: Heap<Entry>): Entry | undefined {
  for (let first = heap.first(); first !== undefined; first = heap.first()) {
    if (!first.isGone) return first;
    heap.pop();
  }
  return undefined;
}

/** A binary heap. */
class Heap<T> {
  readonly #before: (a: T, b: T) => number;
  #items: T[] = [];

  constructor(before: (a: T, b: T) => number) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  first(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#before(items[parent] as T, item) <= 0) break;
      items[at] = items[parent] as T;
      at = parent;
    }
    items[at] = item;
  }

  pop(): void {
    const items = this.#items;
    const last = items.pop();
    if (last === undefined || items.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.#before(items[child + 1] as T, items[child] as T) < 0) child++;
      if (this.#before(last, items[child] as T) <= 0) break;
      items[at] = items[child] as T;
      at = child;
    }
    items[at] = last;
  }

  keep(wanted: (item: T) => boolean): void {
    const kept = this.#items.filter(wanted);
    this.#items = [];
    for (const item of kept) this.push(item);
  }
}

/** How long to wait before the next try: twice as long each time, up to the longest, and a random part of a quarter less. Milliseconds. */
export function backoff(
  attempt: number,
  { delay, longest }: { readonly delay: number; readonly longest: number },
  random: () => number,
): number {
  const full = Math.min(longest, delay * 2 ** Math.min(attempt - 1, 30));
  return full * (1 - random() / 4);
}

/**
 * What runs used, by hour, task, sub-pool, term and price: what `pilotlight usage` sums and an operator bills by.
 *
 * The rows of the hour that goes on are in memory and are added to as runs end; `save` brings them to the state, and
 * whoever runs a node calls it each minute and at its end, so that a crash loses at most the last minute. Rows of
 * earlier hours are in the state alone. Bounded for each tenant, so that one with very many tasks loses its own oldest
 * hours and nobody else's.
 */
import { setImmediate } from "node:timers/promises";
import type { Run } from "../invoke/run.js";
import { SUB_POOLS, type SubPool } from "../pool/types.js";
import { put, remove, table, type Change, type StateStore } from "../state/store.js";
import type { Task } from "../tasks/task.js";
import { Tally, type StoredTally, type UsageOfRun, type UsageTerm } from "./tally.js";

/** A run as far as usage goes. */
export type SettledRun = Pick<
  Run,
  "task" | "pool" | "term" | "rung" | "admittedAt" | "grantedAt" | "headAt" | "settledAt" | "outcome" | "usage"
> & { readonly memo?: Run["memo"] };

/** What a run does not know of itself. */
export interface UsageSources {
  /** The pool's: a running instance is charged its memory limit divided by it. */
  overcommit(): number;
  /** Where the task's runs go when there is room. */
  poolOf(task: Task): SubPool;
  /** Runs of the task that are there as one ends, that one included. */
  concurrent(task: Task): number;
}

export function usageOf(run: SettledRun, sources: UsageSources): UsageOfRun {
  const { task, usage, outcome, admittedAt, grantedAt, headAt, settledAt } = run;
  return {
    tenant: task.tenant,
    task: task.name,
    pool: run.pool ?? sources.poolOf(task),
    term: run.term ?? "none",
    rung: run.rung,
    waitMs: (grantedAt ?? settledAt ?? admittedAt) - admittedAt,
    runMs: usage.runNanoseconds / 1e6,
    cpuMs: usage.cpuNanoseconds / 1e6,
    headMs: headAt === undefined ? 0 : headAt - admittedAt,
    chargedBytes: Math.max(task.version.manifest.limits.memory / sources.overcommit(), usage.memoryBytes),
    memoryBytes: usage.memoryBytes,
    requestBytes: usage.requestBytes,
    responseBytes: usage.responseBytes,
    concurrent: sources.concurrent(task),
    refused: outcome?.kind === "refused" ? outcome.code : undefined,
    limit: outcome?.kind === "limit" ? outcome.limit : undefined,
    ...(run.memo?.isRecalled === true && outcome?.kind === "ok" && { recalled: true }),
  };
}

/** A row: what the runs of one hour came to that had all of these in common. */
export interface UsageRow {
  /** Of UTC: `2026-11-25T12`. */
  readonly hour: string;
  readonly tenant: string;
  readonly task: string;
  readonly pool: SubPool;
  readonly term: UsageTerm;
  /** Of a GiB-second. */
  readonly price: number;
  readonly tally: Tally;
}

interface OpenRow extends UsageRow {
  readonly key: string;
  /** How many runs its stored form has; 0: it is not stored. */
  saved: number;
}

/** A task's rows of this hour at the prices that hold, by sub-pool and term. */
interface TaskBook {
  turn: number;
  readonly rows: (OpenRow | undefined)[];
}

interface TenantBook {
  readonly tasks: Map<string, TaskBook>;
  /** In the order in which they were begun. */
  readonly rows: Map<string, OpenRow>;
}

/** How many rows of each hour are stored, the oldest hour first. */
interface Stored {
  readonly hours: Map<string, number>;
  rows: number;
}

/** `tenant/hour/task/pool/term/price`. */
const ROWS = table<StoredTally>("usage");
/** `tenant/hour`: how many rows it has, so that nobody needs to read them to know which are too many. */
const HOURS = table<number>("usage-hours");

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const KEPT_HOURS = 31 * 24;
/** Of one tenant, stored: a month of 134 tasks that are busy every hour. */
const KEPT_ROWS = 100_000;
/** Of one tenant, in memory. */
const OPEN_ROWS = 10_000;
/** Rows that are read in one go; other work gets its turn between. */
const READ_ROWS = 1000;

const POOLS: Readonly<Record<SubPool, number>> = { shared: 0, dedicated: 1, variable: 2 };
const TERMS: Readonly<Record<UsageTerm, number>> = { direct: 0, wait: 1, spill: 2, none: 3, deferred: 4 };
const TERM_COUNT = 5;

export interface UsageOptions {
  /** Of a GiB-second, at a time in milliseconds since 1970. Asked each minute. */
  readonly priceAt: (pool: SubPool, time: number) => number;
  /** Milliseconds since 1970; does not go back (high-water.ts). */
  readonly wall: () => number;
  /** Whether there is a tenant of this name: what is stored of others is let go. */
  readonly known: (tenant: string) => boolean;
  /** Rows that are kept of a tenant; 100,000. */
  readonly keptRows?: number;
  /** Rows of a tenant that are in memory; 10,000. */
  readonly openRows?: number;
}

export class UsageBook {
  readonly #store: StateStore;
  readonly #options: UsageOptions;
  readonly #keptRows: number;
  readonly #openRows: number;
  readonly #tenants = new Map<string, TenantBook>();
  readonly #stored = new Map<string, Stored>();
  /** Tenants that have gone since the last save, by when: what is stored of them counts no longer. */
  readonly #gone = new Map<string, number>();
  #departures = 0;
  #hour = "";
  #prices: readonly number[] = [];
  /** Another number for each hour and each change of a price. */
  #turn = 0;
  /** When to look at the hour and at the prices again. */
  #until = -Infinity;
  /** The hour for which every tenant's old rows were let go. */
  #cleared = "";
  #saving: Promise<void> = Promise.resolve();

  constructor(store: StateStore, options: UsageOptions) {
    this.#store = store;
    this.#options = options;
    this.#keptRows = options.keptRows ?? KEPT_ROWS;
    this.#openRows = options.openRows ?? OPEN_ROWS;
    for (const { key, value } of store.list(HOURS)) {
      const [tenant, hour] = key.split("/") as [string, string];
      grow(this.#storedOf(tenant), hour, value);
    }
    for (const tenant of this.#stored.keys()) if (!options.known(tenant)) this.forget(tenant);
  }

  /** Milliseconds since 1970, as hours are told by. */
  now(): number {
    return this.#options.wall();
  }

  /** A run has ended. It counts in the hour, and at the price, of its end. */
  settled(run: UsageOfRun): void {
    const now = this.#options.wall();
    if (now >= this.#until) this.#look(now);
    const book = this.#tenants.get(run.tenant)?.tasks.get(run.task);
    const row = book?.turn === this.#turn ? book.rows[POOLS[run.pool] * TERM_COUNT + TERMS[run.term]] : undefined;
    (row ?? this.#open(run))?.tally.add(run);
  }

  /** When a tenant goes: its rows go as well, and whoever has its name next sees none of them. */
  forget(tenant: string): void {
    this.#tenants.delete(tenant);
    this.#gone.set(tenant, ++this.#departures);
  }

  /**
   * Calls `take` with each row of a tenant whose hour overlaps the time from `from` to before `to` (milliseconds since
   * 1970), in no order. What it is given is to be looked at, not kept.
   */
  async read(tenant: string, from: number, to: number, take: (row: UsageRow) => void): Promise<void> {
    const [first, last] = [hourOf(from), hourOf(to - 1)];
    const seen = new Set<string>();
    for (const [key, row] of this.#tenants.get(tenant)?.rows ?? []) {
      seen.add(key);
      if (row.hour >= first && row.hour <= last) take(row);
    }
    let after = `${tenant}/${first}`;
    while (!this.#gone.has(tenant)) {
      const entries = this.#store.list(ROWS, { prefix: `${tenant}/`, after, limit: READ_ROWS });
      for (const { key, value } of entries) {
        const row = rowOf(key, value);
        if (row.hour > last) return;
        if (!seen.has(key)) take(row);
      }
      if (entries.length > 0) await setImmediate();
      if (entries.length < READ_ROWS) return;
      after = (entries.at(-1) as { readonly key: string }).key;
    }
  }

  /** Stores what was added since, and lets go what is too old or too much. Rejects with a `StateError`; the next one makes up for it. */
  save(): Promise<void> {
    this.#saving = this.#saving.catch(() => {}).then(() => this.#save());
    return this.#saving;
  }

  /** The hour, and the prices, of now. */
  #look(now: number): void {
    this.#until = (Math.floor(now / MINUTE_MS) + 1) * MINUTE_MS;
    const hour = hourOf(now);
    const prices = SUB_POOLS.map((pool) => this.#options.priceAt(pool, now));
    if (hour === this.#hour && prices.every((price, i) => price === this.#prices[i])) return;
    this.#hour = hour;
    this.#prices = prices;
    this.#turn++;
  }

  /** The row that this run counts in, from now on at hand; undefined: its tenant has gone. */
  #open({ tenant, task, pool, term }: UsageOfRun): OpenRow | undefined {
    const book = this.#bookOf(tenant);
    if (book === undefined) return undefined;
    const price = this.#prices[POOLS[pool]] as number;
    const key = `${tenant}/${this.#hour}/${task}/${pool}/${term}/${price}`;
    const row = book.rows.get(key) ?? this.#begin(book, key);
    let rows = book.tasks.get(task);
    if (rows === undefined) book.tasks.set(task, (rows = { turn: this.#turn, rows: [] }));
    if (rows.turn !== this.#turn) rows.rows.length = 0;
    rows.turn = this.#turn;
    rows.rows[POOLS[pool] * TERM_COUNT + TERMS[term]] = row;
    return row;
  }

  #bookOf(tenant: string): TenantBook | undefined {
    const book = this.#tenants.get(tenant);
    if (book !== undefined || !this.#options.known(tenant)) return book;
    const made: TenantBook = { tasks: new Map(), rows: new Map() };
    this.#tenants.set(tenant, made);
    return made;
  }

  /** Goes on with what is stored of it, as after a restart within the hour. */
  #begin(book: TenantBook, key: string): OpenRow {
    const [oldest] = book.rows.values();
    if (oldest !== undefined && book.rows.size >= this.#openRows) close(book, oldest);
    const [tenant] = key.split("/") as [string];
    const stored = this.#gone.has(tenant) ? undefined : this.#store.get(ROWS, key);
    const row = rowOf(key, stored);
    const open: OpenRow = { ...row, key, saved: row.tally.count };
    book.rows.set(key, open);
    return open;
  }

  async #save(): Promise<void> {
    this.#look(this.#options.wall());
    const oldest = hourOf(this.#options.wall() - KEPT_HOURS * HOUR_MS);
    const everyone = this.#cleared === this.#hour ? [] : this.#stored.keys();
    const hour = this.#hour;
    const plans = [...new Set([...everyone, ...this.#tenants.keys(), ...this.#gone.keys()])].map((tenant) => this.#plan(tenant, oldest));
    const changes = plans.flatMap((plan) => plan.changes);
    if (changes.length > 0) await this.#store.commit(changes);
    for (const { apply } of plans) apply();
    this.#cleared = hour;
  }

  /** What is to be stored of a tenant, and what is true once it is. */
  #plan(tenant: string, oldest: string): { readonly changes: Change[]; readonly apply: () => void } {
    const gone = this.#gone.get(tenant);
    const stored = gone === undefined ? this.#storedOf(tenant) : { hours: new Map<string, number>(), rows: 0 };
    const changes: Change[] = gone === undefined ? [] : [...this.#removals(tenant, ""), ...hourRemovals(tenant, this.#stored.get(tenant))];
    const grown: Stored = { hours: new Map(), rows: 0 };
    const saved: [OpenRow, number][] = [];
    for (const row of this.#tenants.get(tenant)?.rows.values() ?? []) {
      const { count } = row.tally;
      if (row.saved === count && gone === undefined) continue;
      changes.push(put(ROWS, row.key, row.tally.store()));
      if (row.saved === 0 || gone !== undefined) grow(grown, row.hour, 1);
      saved.push([row, count]);
    }
    const dropped = this.#tooMany(stored, grown.rows, oldest);
    for (const hour of dropped) changes.push(...this.#removals(tenant, hour), remove(HOURS, `${tenant}/${hour}`));
    for (const [hour, rows] of grown.hours)
      changes.push(put(HOURS, `${tenant}/${hour}`, rows + (dropped.includes(hour) ? 0 : (stored.hours.get(hour) ?? 0))));
    const apply = (): void => {
      for (const [row, count] of saved) row.saved = count;
      for (const hour of dropped) shrink(stored, hour);
      for (const [hour, rows] of grown.hours) grow(stored, hour, rows);
      if (stored.rows > 0) this.#stored.set(tenant, stored);
      else this.#stored.delete(tenant);
      if (gone !== undefined && this.#gone.get(tenant) === gone) this.#gone.delete(tenant);
      this.#tidy(tenant);
    };
    return { changes, apply };
  }

  /** Hours to let go, the oldest first: those of before `oldest`, and those that are too many with `more` new rows. */
  #tooMany(stored: Stored, more: number, oldest: string): string[] {
    const hours: string[] = [];
    let rows = stored.rows + more;
    for (const [hour, count] of stored.hours) {
      if (hour === this.#hour || (hour >= oldest && rows <= this.#keptRows)) break;
      hours.push(hour);
      rows -= count;
    }
    return hours;
  }

  /** Rows that are stored and whose hour is over need not be at hand. */
  #tidy(tenant: string): void {
    const book = this.#tenants.get(tenant);
    if (book === undefined) return;
    for (const row of book.rows.values()) if (row.hour !== this.#hour && row.saved === row.tally.count) book.rows.delete(row.key);
    for (const [task, { turn }] of book.tasks) if (turn !== this.#turn) book.tasks.delete(task);
    if (book.rows.size === 0) this.#tenants.delete(tenant);
  }

  /** Everything that is stored of a tenant's hour; hour empty: of the tenant. */
  #removals(tenant: string, hour: string): Change[] {
    const prefix = hour === "" ? `${tenant}/` : `${tenant}/${hour}/`;
    return this.#store.list(ROWS, { prefix }).map(({ key }) => remove(ROWS, key));
  }

  #storedOf(tenant: string): Stored {
    let stored = this.#stored.get(tenant);
    if (stored === undefined) this.#stored.set(tenant, (stored = { hours: new Map(), rows: 0 }));
    return stored;
  }
}

/** `2026-11-25T12`, of UTC. */
function hourOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 13);
}

function rowOf(key: string, stored: StoredTally | undefined): UsageRow {
  const [tenant, hour, task, pool, term, price] = key.split("/") as [string, string, string, SubPool, UsageTerm, string];
  const tally = stored === undefined ? new Tally() : Tally.of(stored);
  return { hour, tenant, task, pool, term, price: Number(price), tally };
}

function close(book: TenantBook, row: OpenRow): void {
  book.rows.delete(row.key);
  const rows = book.tasks.get(row.task)?.rows;
  const place = POOLS[row.pool] * TERM_COUNT + TERMS[row.term];
  if (rows?.[place] === row) rows[place] = undefined;
}

function hourRemovals(tenant: string, stored: Stored | undefined): Change[] {
  return [...(stored?.hours.keys() ?? [])].map((hour) => remove(HOURS, `${tenant}/${hour}`));
}

function grow(stored: Stored, hour: string, rows: number): void {
  stored.hours.set(hour, (stored.hours.get(hour) ?? 0) + rows);
  stored.rows += rows;
}

function shrink(stored: Stored, hour: string): void {
  stored.rows -= stored.hours.get(hour) ?? 0;
  stored.hours.delete(hour);
}

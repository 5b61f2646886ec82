/** Runs that have ended, and a book that they are put down in. */
import type { UsageOfRun } from "../../src/observe/tally.js";
import { Tally } from "../../src/observe/tally.js";
import { UsageBook, type UsageOptions, type UsageRow } from "../../src/observe/usage.js";
import { memoryState } from "../../src/state/memory.js";
import type { StateStore } from "../../src/state/store.js";

export const MiB = 2 ** 20;
export const NOON = Date.parse("2030-01-01T12:00:00Z");
export const HOUR = 3_600_000;

/** A quarter of a second with 128 MiB: 1/32 GiB-second. */
export function runOf(over: Partial<UsageOfRun> = {}): UsageOfRun {
  return {
    tenant: "acme",
    task: "hello",
    pool: "shared",
    term: "direct",
    rung: "own/ready",
    waitMs: 0,
    runMs: 250,
    cpuMs: 125,
    headMs: 200,
    chargedBytes: 128 * MiB,
    memoryBytes: 8 * MiB,
    requestBytes: 10,
    responseBytes: 1000,
    concurrent: 1,
    refused: undefined,
    limit: undefined,
    ...over,
  };
}

export function tallyOf(...runs: readonly UsageOfRun[]): Tally {
  const tally = new Tally();
  for (const run of runs) tally.add(run);
  return tally;
}

export interface Bench {
  readonly store: StateStore;
  readonly book: UsageBook;
  /** Milliseconds since 1970. */
  wall: number;
  readonly tenants: Set<string>;
  /** Another book over the same state, as after a restart. */
  again(): UsageBook;
  /** A tenant's rows; undefined: of all time. */
  rows(tenant: string, book?: UsageBook, from?: number, to?: number): Promise<UsageRow[]>;
}

export function newBook(options: Partial<UsageOptions> = {}, store: StateStore = memoryState()): Bench {
  const tenants = new Set(["acme", "globex", "default"]);
  const open = (): UsageBook =>
    new UsageBook(store, { wall: () => bench.wall, priceAt: () => 1, known: (tenant) => tenants.has(tenant), ...options });
  const bench: Bench = {
    store,
    wall: NOON,
    tenants,
    get book() {
      return book;
    },
    again: open,
    async rows(tenant, of = book, from = 0, to = bench.wall + HOUR) {
      const rows: UsageRow[] = [];
      await of.read(tenant, from, to, (row) => rows.push({ ...row, tally: Tally.of(row.tally.store()) }));
      return rows.sort((a, b) => (a.hour < b.hour ? -1 : 1));
    },
  };
  const book = open();
  return bench;
}

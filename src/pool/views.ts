/** What people see of the pool. Bytes and milliseconds. */
import type { Code, SubPool } from "./types.js";

export type CellState = "warming" | "active" | "draining";

export interface CellView {
  readonly cell: number;
  readonly pool: SubPool;
  readonly state: CellState;
  /** Undefined: unassigned. */
  readonly tenant: string | undefined;
  readonly bytes: number;
  /** Charged for running and ready instances and for programs. */
  readonly chargedBytes: number;
  readonly slots: number;
  readonly busy: number;
  readonly idle: number;
  readonly starting: number;
  /** Programs that are linked and charged to it. */
  readonly programs: readonly number[];
  /** How long nothing has run in it; undefined: something runs. */
  readonly idleMs: number | undefined;
  /** Why it is being drained. */
  readonly sick: string | undefined;
}

export interface SubPoolView {
  readonly pool: SubPool;
  readonly cellBytes: number;
  readonly cellSlots: number;
  /** Cells now, and how many unassigned ones there should be. */
  readonly cells: number;
  readonly warming: number;
  readonly target: number;
  readonly active: number;
  readonly draining: number;
  /** Cells that were given to a tenant, taken back from idleness, and replaced because they were sick, ever. */
  readonly assigned: number;
  readonly reclaimed: number;
  readonly replaced: number;
  /** Runs that found no unassigned cell, ever. */
  readonly misses: number;
}

export interface ProgramView {
  readonly program: number;
  readonly tenant: string;
  readonly task: string;
  readonly code: Code;
  readonly pool: SubPool;
  readonly busy: number;
  readonly idle: number;
  readonly starting: number;
  readonly waiting: number;
  /** Ready instances that there should be. */
  readonly readyTarget: number;
  /** Leases ever. */
  readonly granted: number;
  /** Bytes: of the linked program, of an unused instance, of a running one as it is charged. */
  readonly programBytes: number;
  readonly readyBytes: number;
  readonly runBytes: number;
  /** Learnt milliseconds of each step up: linking from the compiled form, compiling from the stored one, instantiating. */
  readonly costs: { readonly compiled: number; readonly stored: number; readonly linked: number };
  /** Bad endings in a row, and until when no instance is made ahead because of them (milliseconds from now). */
  readonly failures: number;
  readonly pausedMs: number;
}

export interface PoolView {
  readonly budgetBytes: number;
  /** Of the budget: in cells, and in the lobby. */
  readonly cellBytes: number;
  readonly lobbyBytes: number;
  readonly lobbyChargedBytes: number;
  /** Runs in the reserve for calls, which are charged there. */
  readonly reservedRuns: number;
  readonly waiting: number;
  readonly leases: number;
  /** Runs that may go on at once before the processors are the limit; Infinity while they are not. */
  readonly runLimit: number;
  readonly draining: boolean;
  readonly pools: readonly SubPoolView[];
}

/** How often something happened, ever. */
export interface PoolTotals {
  /** Leases by rung. */
  readonly rungs: Readonly<Record<string, number>>;
  /** Rungs that were passed over, by `rung: reason`. */
  readonly passed: Readonly<Record<string, number>>;
  readonly refused: Readonly<Record<string, number>>;
  readonly expired: number;
  readonly evictedInstances: number;
  readonly evictedPrograms: number;
  /** Programs and instances that were made for a run that was foreseen. */
  readonly foreseen: number;
}

/** What starting a run of a program takes now. Milliseconds. */
export interface Outlook {
  /** How it would come by its instance if its tenant's cells have room: `own/ready`. */
  readonly rung: string;
  readonly startMs: number;
  /**
   * Of a ready instance, its share of what making the next one ready takes, as far as that is at the cost of others: nothing
   * while nothing runs, all of it when there is a run for each processor.
   */
  readonly refillMs: number;
  /** In line, where others of the program wait already or all runs that it may have go on. */
  readonly queueMs: number;
  readonly running: number;
  readonly waiting: number;
  /** Runs at once that are allowed. */
  readonly concurrency: number;
  /** How much longer a run takes than alone, since others want the processors: at least 1. */
  readonly pressure: number;
}

/** A state in memory under a time of day that the test sets, and the commit of a plan as the control plane does it. */
import { ProblemError, type Problem } from "../../src/base/problem.js";
import { memoryState } from "../../src/state/memory.js";
import type { Plan, StateStore } from "../../src/state/store.js";

export const NOON = Date.parse("2030-01-01T12:00:00Z");
export const HOUR = 3_600_000;

export interface State {
  readonly store: StateStore;
  /** What the machine's clock says, in milliseconds since 1970. */
  wall: number;
  readonly time: () => number;
  /** Commits, and shows it to readers in memory. */
  run<R>(plan: Plan<R>): Promise<R>;
}

export function newState(): State {
  const store = memoryState();
  const state: State = {
    store,
    wall: NOON,
    time: () => state.wall,
    async run(plan) {
      await store.commit(plan.changes);
      return plan.apply();
    },
  };
  return state;
}

/** Everything that the store holds in these tables, as text. */
export function stored(store: StateStore, ...tables: readonly string[]): string {
  return JSON.stringify(tables.map((name) => store.list({ name })));
}

/** The problem that this throws; fails when it throws none. */
export function problemOf(action: () => unknown): Problem {
  try {
    action();
  } catch (error) {
    if (error instanceof ProblemError) return error.problem;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** What it says, with its code: `request/conflict: …`. */
export function saidBy(action: () => unknown): string {
  const { code, detail } = problemOf(action);
  return `${code}: ${detail}`;
}

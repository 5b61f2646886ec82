/**
 * The node's settings of capacity: what its configuration says, and over it what was set on the running node.
 *
 * What was set is durable and wins over the configuration, field by field, until it is reset. Like tenants and tasks:
 * changes are plans, committed by the caller and only then seen by readers.
 */
import { MOST_SLOTS, settingsFaults } from "../config/capacity.js";
import type { FieldError } from "../base/problem.js";
import { SUB_POOLS, type PoolSettings, type SubPool, type SubPoolSettings } from "../pool/types.js";
import { put, remove, table, type Plan, type StateStore } from "../state/store.js";

/** A change of the settings on a running node. A field left out stays as it is. Bytes and milliseconds. */
export type CapacityChange = {
  readonly [K in keyof Omit<PoolSettings, "pools">]?: PoolSettings[K] | undefined;
} & {
  readonly pools?: { readonly [P in SubPool]?: { readonly [K in keyof SubPoolSettings]?: number | undefined } | undefined } | undefined;
};

const CAPACITY = table<CapacityChange>("capacity");
const NODE = "node";

export class NodeCapacity {
  readonly #base: PoolSettings;
  #set: CapacityChange;
  #current: PoolSettings;
  /** Why what was set before the start does not go together with the configuration: then the configuration alone holds. */
  readonly contradictions: readonly FieldError[];

  /** `base` is what the configuration means. */
  constructor(store: StateStore, base: PoolSettings) {
    this.#base = base;
    const stored = store.get(CAPACITY, NODE) ?? {};
    this.contradictions = settingsFaults(changed(base, stored));
    this.#set = this.contradictions.length === 0 ? stored : {};
    this.#current = changed(base, this.#set);
  }

  /** What holds now. */
  get current(): PoolSettings {
    return this.#current;
  }

  /** What was set on the running node; empty: nothing. */
  get set(): CapacityChange {
    return this.#set;
  }

  /** The settings with a change; what they are is to be checked before the plan is committed. */
  change(change: CapacityChange): Plan<PoolSettings> & { readonly settings: PoolSettings; readonly set: CapacityChange } {
    const set = merged(this.#set, change);
    return this.#going(changed(this.#base, set), set);
  }

  /** Back to the configuration. */
  reset(): ReturnType<NodeCapacity["change"]> {
    return this.#going(this.#base, {});
  }

  #going(settings: PoolSettings, set: CapacityChange): ReturnType<NodeCapacity["change"]> {
    return {
      settings,
      set,
      changes: [Object.keys(set).length === 0 ? remove(CAPACITY, NODE) : put(CAPACITY, NODE, set)],
      apply: () => {
        this.#set = set;
        this.#current = settings;
        return settings;
      },
    };
  }
}

/** Both changes as one; the later one wins. Without what is not said. */
function merged(before: CapacityChange, { pools, ...rest }: CapacityChange): CapacityChange {
  const all = SUB_POOLS.map((pool) => [pool, { ...before.pools?.[pool], ...said(pools?.[pool] ?? {}) }] as const);
  const some = all.filter(([, fields]) => Object.keys(fields).length > 0);
  const { pools: _, ...top } = before;
  return { ...top, ...said(rest), ...(some.length === 0 ? {} : { pools: Object.fromEntries(some) }) };
}

function changed(base: PoolSettings, change: CapacityChange): PoolSettings {
  const { pools, ...top } = change;
  const budgetBytes = change.budgetBytes ?? base.budgetBytes;
  const pool = (name: SubPool): SubPoolSettings => {
    const before = base.pools[name];
    const after = { ...before, ...said(pools?.[name] ?? {}) };
    // The engine has as many slots as before: what is not said follows a cell's share of the budget.
    const share = (after.cellBytes / before.cellBytes) * (base.budgetBytes / budgetBytes);
    return { ...after, cellSlots: pools?.[name]?.cellSlots ?? Math.min(MOST_SLOTS, Math.max(1, Math.floor(before.cellSlots * share))) };
  };
  return { ...base, ...said(top), pools: { shared: pool("shared"), dedicated: pool("dedicated"), variable: pool("variable") } };
}

function said<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

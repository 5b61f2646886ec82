/** What the pool is told and what it commands; `pool.ts` is the machine between the two. */

/** How a program's instances may be used again. Bytes and milliseconds; 1/1 is a clean instance for each run. */
export interface ReusePolicy {
  readonly maxRequests: number;
  readonly maxConcurrent: number;
  readonly maxMemory: number;
  readonly maxIdle: number;
  readonly maxAge: number;
}

/** The sub-pools: cells that all tenants share, a tenant's own, and what nobody reserved. */
export const SUB_POOLS = ["shared", "dedicated", "variable"] as const;
export type SubPool = (typeof SUB_POOLS)[number];

/** What happens to a run when its sub-pool has no room: it waits in line, goes to the shared sub-pool, or is refused. */
export const WHEN_FULL = ["wait", "spill", "reject"] as const;
export type WhenFull = (typeof WHEN_FULL)[number];

/**
 * How far the code of a program is: linked and ready to instantiate; its compiled form on disk; its component alone.
 * The nearest comes first.
 */
export const CODE = ["linked", "compiled", "stored"] as const;
export type Code = (typeof CODE)[number];

/**
 * Whose cell a run got: one its tenant had, an unassigned one, or one that was taken back from idleness; or the reserve for
 * calls, which is in no cell.
 */
export type Whose = "own" | "warming" | "reclaimed" | "reserve";
/** How a lease was come by: whose cell, and how far the code was. */
export type Rung = `${Whose}/${"ready" | Code}`;

/** Interactive runs go before deferrable ones of their tenant. */
export type Priority = "interactive" | "deferrable";

/** A version of a task as the pool knows it. The number is the caller's, is never reused, and outlives raising and lowering. */
export interface PoolProgram {
  readonly program: number;
  readonly tenant: string;
  /** Names the task over all its versions: what demand is forecast for. */
  readonly task: string;
  readonly reuse: ReusePolicy;
  /** Runs at once. */
  readonly concurrency: number;
  /** Instances kept ready whatever is forecast. */
  readonly ready: number;
  readonly pool: SubPool;
  readonly whenFull: WhenFull;
  /** What an instance may grow to, in bytes. */
  readonly memoryLimit: number;
  /** How far its code is now. */
  readonly code: Code;
  /** What its linked form holds, when it is linked and that is known. */
  readonly bytes?: number;
}

/** One sub-pool's terms on this node. */
export interface SubPoolSettings {
  /** What a cell may hold, in bytes. */
  readonly cellBytes: number;
  /** Instances that a cell has reserved slots for. */
  readonly cellSlots: number;
  /** Unassigned cells to keep; dedicated cells are never unassigned, so theirs is 0. */
  readonly warming: number;
}

/** What an operator may change on a running node. Bytes and milliseconds. */
export interface PoolSettings {
  /** What all cells and the lobby may hold together. */
  readonly budgetBytes: number;
  readonly pools: Readonly<Record<SubPool, SubPoolSettings>>;
  /** Of the budget, for linked programs whose tenant has no cell, for trials, and for calls that find no other room. */
  readonly lobbyBytes: number;
  /** A running instance is charged its memory limit divided by this; at least what its version is known to take. */
  readonly overcommit: number;
  /** The share of the budget that variable cells of all tenants may take, 0 to 1. */
  readonly variableCeiling: number;
  /** An idle instance that is not needed as a ready one goes after this. Shorter than `cellIdle`. */
  readonly instanceIdle: number;
  /** A cell without runs and instances goes back after this. */
  readonly cellIdle: number;
  /** Capacity is kept ready for runs that are to be expected; without it, only what manifests say. */
  readonly forecast: boolean;
  /** A linked program that nobody asked for this long, and whose next run is not foreseen, goes back to its compiled form. */
  readonly programIdle: number;
}

/** What a tenant may have. */
export interface TenantTerms {
  /** Cells of its own. */
  readonly dedicated: number;
  /** The share of the budget that its variable cells may take, 0 to 1; 0: it has no variable capacity. */
  readonly variableCeiling: number;
  /** How much of a full node it gets beside others; 1 is usual. */
  readonly weight: number;
}

export const NO_TERMS: TenantTerms = { dedicated: 0, variableCeiling: 0, weight: 1 };

/** How a run came to its end, as far as the health of instance, version and cell goes. */
export type Ending =
  | "sound"
  /** The guest trapped, or went over one of its own limits. */
  | "unsound"
  /** Ended from outside: its client left, its request was no good. The instance is not used again; its version is not to blame. */
  | "cut"
  /** Its cell had no bytes left. */
  | "exhausted";

export type PoolEvent =
  | { readonly kind: "add"; readonly program: PoolProgram }
  /** Its tenant's terms have changed; runs that wait go by the new ones. */
  | { readonly kind: "amend"; readonly program: number; readonly pool: SubPool; readonly whenFull: WhenFull }
  /** Makes one instance to see whether that works: of a program that is linked, in a cell of its tenant or in the lobby. */
  | { readonly kind: "try"; readonly program: number }
  /** Takes no more runs; instances end as they fall idle. */
  | { readonly kind: "remove"; readonly program: number }
  | {
      readonly kind: "demand";
      readonly run: number;
      readonly program: number;
      /** When waiting ends. */
      readonly deadline: number;
      /** Milliseconds that the lease may last. */
      readonly lease: number;
      readonly priority: Priority;
      /**
       * A run that goes on waits for it: it takes free room or the reserve at once or is refused, and goes before those in
       * line, whatever the processors do. Only for its code it waits. The number is that run's.
       */
      readonly parent?: number;
      /** It stands and waits for calls, as a sidecar does: it is no run that wants a processor. */
      readonly stands?: boolean;
    }
  /** A run that waits is no longer wanted. */
  | { readonly kind: "withdraw"; readonly run: number }
  | { readonly kind: "ready"; readonly slot: number; readonly generation: number; readonly nanoseconds: number }
  | { readonly kind: "failed"; readonly slot: number; readonly generation: number }
  /**
   * A run's lease is over. Names the lease by its fencing token; one that is not current changes nothing.
   * `memoryBytes`: the most that the instance has held; the times are 0 where they are not known.
   */
  | {
      readonly kind: "settled";
      readonly run: number;
      readonly slot: number;
      readonly generation: number;
      readonly ending: Ending;
      readonly memoryBytes: number;
      readonly startNanoseconds: number;
      /** From the command until the guest's first instruction. */
      readonly waitNanoseconds: number;
    }
  /** The engine did not know the instance: nothing ran. The run asks again, until `deadline`, also of a program that was removed meanwhile. */
  | { readonly kind: "lease-refused"; readonly run: number; readonly deadline: number }
  | { readonly kind: "retired"; readonly slot: number; readonly generation: number }
  /** A `raise` is done: the program is linked and holds so many bytes; it took so long. */
  | { readonly kind: "raised"; readonly program: number; readonly bytes: number; readonly milliseconds: number }
  /** It did not work out: the runs that wait for it are refused. */
  | { readonly kind: "raise-failed"; readonly program: number }
  /** Its compiled form has come or gone. */
  | { readonly kind: "code"; readonly program: number; readonly code: "compiled" | "stored" }
  /** What an unused instance of it really holds, as measured. */
  | { readonly kind: "footprint"; readonly program: number; readonly bytes: number }
  | { readonly kind: "configure"; readonly settings: PoolSettings }
  | { readonly kind: "terms"; readonly tenant: string; readonly terms: TenantTerms }
  /** A tenant, or with neither the whole node, takes no more runs; or a cell takes none and is replaced. */
  | { readonly kind: "drain"; readonly tenant?: string; readonly cell?: number }
  | { readonly kind: "resume"; readonly tenant?: string }
  /**
   * So many runs of it are expected at once until then. Replaces what was said of it before; a count of 0 takes it back. Whoever
   * says so says it anew as runs arrive: those that are granted take from what lies ready, not from the count. `ready`: so many
   * instances lie ready, no more than may run at once; `program`: it is linked and held so.
   */
  | {
      readonly kind: "expect";
      readonly program: number;
      readonly count: number;
      readonly until: number;
      readonly depth: "ready" | "program";
    }
  /** Time has passed `nextWake()`. */
  | { readonly kind: "tick" };

/** What an `expect` says. */
export type ExpectEvent = Extract<PoolEvent, { kind: "expect" }>;

/** Why a run is refused: its task's own limit, its tenant's terms, the node, more work than processors, a drain, its code. */
export type RefusalReason = "task-full" | "tenant-full" | "node-full" | "overloaded" | "draining" | "no-code";

export interface Grant {
  readonly kind: "grant";
  readonly run: number;
  readonly slot: number;
  /** The fencing token. */
  readonly generation: number;
  readonly program: number;
  /** `LOBBY`: it runs in the reserve for calls. */
  readonly cell: number;
  /** The instance is not there yet: the run's own command makes it. */
  readonly fresh: boolean;
  /** The instance is not used again. */
  readonly last: boolean;
  readonly rung: Rung;
  /** Why each nearer rung was not possible, nearest first: `"own/ready: none is idle"`. */
  readonly why: readonly string[];
  /** The sub-pool of the cell, and the term that led there. */
  readonly pool: SubPool;
  readonly term: Term;
}

/**
 * How a run got its place: from its sub-pool at once, after waiting, from the shared one because its own was full, or from the variable
 * one because it can wait.
 */
export type Term = "direct" | "wait" | "spill" | "deferred";

export type PoolCommand =
  | {
      readonly kind: "prepare";
      readonly slot: number;
      readonly generation: number;
      readonly program: number;
      readonly cell: number;
      /** Bytes that it counts in its cell until its first run. */
      readonly charge: number;
    }
  | Grant
  | {
      readonly kind: "refuse";
      readonly run: number;
      readonly reason: RefusalReason;
      /** When trying again makes sense, in milliseconds. */
      readonly retryAfter: number;
    }
  | { readonly kind: "retire"; readonly slot: number; readonly generation: number }
  /** A lease has outlived its deadline and the engine is silent: the run is over, whatever comes later. */
  | { readonly kind: "expire"; readonly run: number; readonly slot: number; readonly generation: number }
  /** Links the program; answered by `raised` or `raise-failed`. */
  | { readonly kind: "raise"; readonly program: number }
  /** Lets the linked form go; its compiled one stays. */
  | { readonly kind: "lower"; readonly program: number }
  /** A cell is there with this many bytes, or has this many from now on. */
  | {
      readonly kind: "cell";
      readonly cell: number;
      readonly bytes: number;
      /** A dedicated one: what runs in it goes before what runs in others. */
      readonly reserved: boolean;
    }
  | { readonly kind: "close-cell"; readonly cell: number }
  /** A program that was removed has served its last run: no command will name it again. */
  | { readonly kind: "forget"; readonly program: number };

/** The lobby: where programs are linked whose tenant has no cell. No run takes place there but those in the reserve for calls. */
export const LOBBY = 0;

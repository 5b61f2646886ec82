/** The pool's own records of instances, programs, tenants and cells. Bytes and milliseconds. */
import type { Demand } from "../forecast/forecast.js";
import type { CellState } from "./views.js";
import type { Code, Priority, ReusePolicy, SubPool, TenantTerms, WhenFull } from "./types.js";

export interface Cell {
  readonly id: number;
  readonly pool: SubPool;
  /** How many cells of its sub-pool it was joined from; 1 is usual. */
  readonly span: number;
  bytes: number;
  slots: number;
  state: CellState;
  tenant: TenantState | undefined;
  /** Bytes that instances and programs in it are charged. */
  charged: number;
  /** Of those, the programs'. */
  programBytes: number;
  busy: number;
  idle: number;
  starting: number;
  /** Instances that the pool has let go and the engine has not: the cell is not empty yet. */
  ending: number;
  /** Programs that are being linked for runs that will take place here. */
  pinned: number;
  readonly programs: Set<ProgramState>;
  /** Idle instances, so that they can be let go. */
  readonly idleInstances: Set<Instance>;
  /** Since when nothing has run in it, and since when its tenant has it. */
  idleSince: number;
  assignedAt: number;
  /** Runs in a row that its bytes did not suffice for. */
  exhausted: number;
  /** What it is being emptied for, and in which sub-pool runs of that want to take place. */
  emptiedFor: { readonly program: ProgramState; readonly pool: SubPool } | undefined;
  sick: string | undefined;
}

export type InstanceState = "starting" | "idle" | "busy" | "ending";

export interface Instance {
  readonly slot: number;
  readonly generation: number;
  readonly owner: ProgramState;
  /** Undefined: in the lobby, for a trial or for a call. */
  readonly cell: Cell | undefined;
  state: InstanceState;
  /** Runs on it now, and ever. */
  active: number;
  served: number;
  readonly born: number;
  idleSince: number;
  /** What it is charged in its cell. */
  charge: number;
  /** Made to see whether one can be made. */
  readonly trial: boolean;
}

/** The right to one run on one instance until a deadline. */
export interface Lease {
  readonly run: number;
  readonly instance: Instance;
  readonly priority: Priority;
  /** The run that called it and waits for it. */
  readonly parent: number | undefined;
  /** It stands and waits to be called: no run that wants a processor. */
  readonly stands: boolean;
  /** What runs that it has called are charged now, of its tenant's. */
  calledBytes: number;
  /** Of what its instance is charged, what is held back for runs that it will call; it has called one: nothing. */
  heldBytes: number;
  hasCalled: boolean;
  readonly since: number;
  /** How long it lasts, and when it ends; later when the clock has jumped ahead. */
  readonly milliseconds: number;
  deadline: number;
}

export interface ProgramState {
  readonly program: number;
  readonly task: string;
  readonly tenant: TenantState;
  readonly demand: Demand;
  readonly memoryLimit: number;
  reuse: ReusePolicy;
  concurrency: number;
  floor: number;
  pool: SubPool;
  whenFull: WhenFull;
  code: Code;
  raising: boolean;
  /** Where its linked form is charged, while it is linked or being linked: a cell, or the lobby (undefined). */
  home: Cell | undefined;
  /** Cells that are held for it while it is linked. */
  readonly pins: Set<Cell>;
  /** What had changed, on the node and for its tenant, when it was last found that there is no place for a run of it. */
  stuckAt: number;
  /** The step in which a place was found that was of no use. */
  stuckIn: number;
  /** The step in which its linked form went from a cell to another place, so that another could have its room. */
  movedIn: number;
  /** Idle instances by cell, the most recently used last. */
  readonly idle: Map<Cell, Instance[]>;
  idleCount: number;
  /** Busy ones that may take another run. */
  readonly shared: Set<Instance>;
  /** Runs that wait for an instance or for its code. */
  waiting: number;
  /** Those of them that a run waits for in its turn: they wait for the code alone. */
  readonly children: Set<number>;
  /** Runs that hold a lease. */
  leased: number;
  /** Those of them that stand and wait to be called. */
  standing: number;
  /** Leases ever. */
  granted: number;
  /** Instances that are not ending, and those that the engine still has. */
  instances: number;
  existing: number;
  starting: number;
  /** An instance could not be made: none is made ahead until someone asks for the program. */
  failing: boolean;
  removed: boolean;
  lastUsed: number;
  /** Since when, and how many times runs of it were asked for. */
  firstUsed: number;
  uses: number;
  /** Ready instances that there should be, as it was found when it was last looked at. */
  target: number;
  /** Held linked until then, because a run is foreseen. */
  foreseenUntil: number;
  /** Of the target, what would be there without anything that was said to be expected. */
  usual: number;
  /** Until then runs of it are expected, because someone said so: it is held linked. 0: nobody did. */
  expectedUntil: number;
  /** Instances that are to lie ready for them. */
  expectedReady: number;
  /** When those that were made for them, never used and no longer wanted go; Infinity: there are none. */
  releaseAt: number;
  /** What its bytes are known or thought to be. */
  programBytes: number;
  readyBytes: number;
  memoryPeak: number;
  /** What runs that one of its runs calls are charged at once, as learnt. */
  calledBytes: number;
  /** Learnt milliseconds of each step up. */
  readonly costs: Record<Code, number>;
  /** GreedyDual: the priority that its linked form, and an idle instance of it, have. */
  priority: number;
  idlePriority: number;
  /** Bad endings in a row; until when nothing is made ahead because of them. */
  failures: number;
  pausedUntil: number;
  /** Raises in a row that failed; until when none is tried. */
  raiseFailures: number;
  raisePausedUntil: number;
}

export interface TenantState {
  readonly name: string;
  terms: TenantTerms;
  readonly cells: Readonly<Record<SubPool, Cell[]>>;
  readonly programs: Set<ProgramState>;
  /** Of its cells, those that take runs; a joined one counts as many as it was joined from. */
  readonly active: Record<SubPool, number>;
  draining: boolean;
  /** A cell that is being emptied for its reserve. */
  reserving: Cell | undefined;
  /** How often room was freed in its cells. */
  changes: number;
  /** Runs that wait for room, and not for their task's own limit or its code; programs that get no ready instances meanwhile. */
  pressing: number;
  readonly held: Set<ProgramState>;
  /** What it has of the reserve for calls. */
  readonly reserve: Reserved;
}

/** Instances in the reserve for calls, and the sum of their memory limits. */
export interface Reserved {
  instances: number;
  bytes: number;
}

/** How often something was freed that any tenant may use; with a tenant's own count it says whether looking again makes sense. */
export interface Changes {
  count: number;
  /** Steps of the pool. */
  steps: number;
  /** Something that may help a run that waits was put off for the next step, so that each step comes to an end. */
  isPutOff: boolean;
}

/** Its runs, but for those that stand: these are limited by the memory that they take. */
export function working({ leased, standing }: ProgramState): number {
  return leased - standing;
}

/** Whether it runs as often at once as it may. */
export function isFull(state: ProgramState): boolean {
  return working(state) >= state.concurrency;
}

/** Some of its idle instances are there only because someone said that runs are to be expected: they are the first to go. */
export function isAhead({ expectedUntil, idleCount, usual }: ProgramState): boolean {
  return expectedUntil > 0 && idleCount > usual;
}

/** What one of its idle instances is worth where room is short. */
export function idleWorth(state: ProgramState): number {
  return isAhead(state) ? 0 : state.idlePriority;
}

/** A run of it is foreseen, or someone said that runs are to be expected: its linked form is held. */
export function isHeld(now: number, { foreseenUntil, expectedUntil }: ProgramState): boolean {
  return foreseenUntil > now || expectedUntil > now;
}

/** Instances in the cell that are not on their way out. */
export function occupants(cell: Cell): number {
  return cell.busy + cell.idle + cell.starting;
}

/** Nothing of a tenant's instances is left in it. */
export function isEmpty(cell: Cell): boolean {
  return occupants(cell) === 0 && cell.ending === 0 && cell.pinned === 0;
}

export function remove<T>(list: T[], item: T): void {
  const index = list.lastIndexOf(item);
  if (index >= 0) list.splice(index, 1);
}

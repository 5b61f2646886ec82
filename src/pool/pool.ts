/**
 * Which instance serves which run, in which cell: a synchronous state machine over the engine's protocol.
 *
 * `step(now, event)` returns commands; there are no promises, timers or clocks inside, so the runtime, a property test
 * and the simulator drive the same code. This file has the runs: they find a place on the ladder or wait in line, hold
 * a lease while they go on, and give it back. Places are found in `ladder.ts`, cells are kept in `cells.ts`, what is
 * done ahead of demand is in `upkeep.ts`.
 */
import type { Forecast } from "../forecast/forecast.js";
import { Agenda } from "./agenda.js";
import { Cells, type Room } from "./cells.js";
import { Instances, expiry, ownCharge, runCharge } from "./instances.js";
import { Ladder, holds, mayRunIn, type Place } from "./ladder.js";
import { LEAST_BYTES, PRIOR_COSTS, PRIOR_PROGRAM_BYTES, PRIOR_READY_BYTES, learn, learnPeak } from "./learn.js";
import { Overload } from "./overload.js";
import { FairQueue, type Waiter } from "./queue.js";
import { Residents } from "./residents.js";
import { isFull, working, type Cell, type Changes, type Instance, type Lease, type ProgramState, type TenantState } from "./state.js";
import {
  LOBBY,
  NO_TERMS,
  type Code,
  type ExpectEvent,
  type Grant,
  type PoolCommand,
  type PoolEvent,
  type PoolProgram,
  type PoolSettings,
  type Priority,
  type RefusalReason,
  type Rung,
  type TenantTerms,
  type Term,
} from "./types.js";
import { Upkeep } from "./upkeep.js";
import { cellView, outlookOf, poolView, programView } from "./viewing.js";
import type { CellView, Outlook, PoolTotals, PoolView, ProgramView } from "./views.js";

export type * from "./types.js";

/** What stays as it is while the node runs. */
export interface PoolOptions {
  /** Instances that may exist at once on this node. */
  readonly slots: number;
  /** As many more, for calls of runs that find no other room; none when left out. */
  readonly callSlots?: number;
  /** Processors: a busy instance is shared only once a program has this many. */
  readonly parallelism: number;
  /** Runs of one tenant that may wait at once. */
  readonly queue: number;
}

export interface PoolCounts {
  readonly idle: number;
  readonly busy: number;
  readonly starting: number;
  readonly ending: number;
  readonly waiting: number;
}

/** A run in line, and what it found when it came. */
interface Waiting extends Waiter {
  readonly state: ProgramState;
  readonly leaseMs: number;
  readonly stands: boolean;
  readonly parent: number | undefined;
  readonly code: Code;
  /** Where it was to take place while its code was not there yet. */
  place: Place | undefined;
  readonly why: readonly string[];
  readonly reason: RefusalReason;
  /** It waits for room: of its tenant, and maybe of the node. */
  readonly presses: boolean;
  readonly pressesNode: boolean;
}

interface Demanded {
  readonly run: number;
  readonly deadline: number;
  readonly lease: number;
  readonly priority: Priority;
  /** The run that has called it. */
  readonly parent?: number | undefined;
  readonly stands?: boolean | undefined;
}

/** A lease that has outlived its deadline is given this long: the engine ends runs itself. Milliseconds. */
const GRACE = 2_000;
/** What a run that calls nothing leaves of what its program is thought to call. */
const CALLS_KEPT = 0.9;
/** Runs for each processor that programs with less than their share may have beyond the limit. */
const SHARES = 8;
/** Rounds of serving and preparing in one step; two or three are usual, and the rest is for the next step. */
const ROUNDS = 100;
/** How long what a step has put off may wait for the next one. */
const LOOK_AGAIN = 5;
/** How often leases are looked at. */
const LEASE_CHECK = 1_000;
/** Where leases are looked at and this much passes between two events, the clock has jumped, or the process stood still. */
const JUMP = 5 * LEASE_CHECK;
/** What sums of times may be wrong by, in milliseconds. */
const ROUNDING = 0.001;

export class Pool {
  readonly #options: PoolOptions;
  readonly #forecast: Forecast;
  readonly #programs = new Map<number, ProgramState>();
  readonly #tenants = new Map<string, TenantState>();
  readonly #leases = new Map<number, Lease>();
  /** Of those, of sidecars. */
  #standing = 0;
  readonly #leaving = new Set<ProgramState>();
  readonly #cells: Cells;
  readonly #changes: Changes = { count: 0, steps: 0, isPutOff: false };
  readonly #instances = new Instances(this.#changes);
  readonly #residents: Residents;
  readonly #ladder: Ladder;
  readonly #upkeep: Upkeep;
  readonly #agenda = new Agenda<ProgramState>();
  readonly #queue: FairQueue<Waiting>;
  readonly #overload: Overload;
  readonly #rungs = new Map<string, number>();
  readonly #passed = new Map<string, number>();
  readonly #refused = new Map<string, number>();
  #expired = 0;
  /** The pool's own time, which never goes back: the driver's, and how far that has gone back in all. */
  #now = 0;
  #told = Number.NEGATIVE_INFINITY;
  #wentBack = 0;
  #leasesAt = Number.POSITIVE_INFINITY;
  /** When what was put off in the last step is looked at, if nothing else happens before. */
  #lookAgainAt = Number.POSITIVE_INFINITY;
  #draining = false;
  /** Runs that wait for room which other tenants may have. */
  #pressing = 0;
  /** Programs with leases. */
  #running = 0;
  /** The warming pools were filled for the first time. */
  #begun = false;
  /** Something was freed in this step: runs that wait may find a place. */
  #progress = false;
  /** What had been freed when runs that wait were last served. */
  #servedAt = -1;
  /** The place that `#canServe` found for the run that is taken from the line. */
  #place: Place | undefined;

  constructor(options: PoolOptions, settings: PoolSettings, forecast: Forecast) {
    this.#options = options;
    this.#forecast = forecast;
    this.#queue = new FairQueue({ perTenant: options.queue });
    this.#overload = new Overload({ parallelism: options.parallelism });
    this.#cells = new Cells(settings, options.slots, this.#tenants, this.#changes);
    this.#residents = new Residents(this.#cells, this.#instances.reserve);
    const { slots, callSlots = 0, parallelism } = options;
    const parts = {
      cells: this.#cells,
      instances: this.#instances,
      residents: this.#residents,
      changes: this.#changes,
      slots,
      callSlots,
    };
    this.#ladder = new Ladder({ ...parts, parallelism });
    this.#upkeep = new Upkeep({
      ...parts,
      agenda: this.#agenda,
      ladder: this.#ladder,
      isOverloaded: (now) => this.#overload.isOverloaded(now),
      isPressed: () => this.#pressing > 0,
      isDraining: (tenant) => this.#isDraining(tenant),
    });
  }

  step(time: number, event: PoolEvent): PoolCommand[] {
    const now = this.#timeOf(time);
    this.#changes.steps++;
    const out: PoolCommand[] = [];
    if (!this.#begun) {
      this.#begun = true;
      this.#cells.refill(now, out, true);
    }
    if (this.#changes.isPutOff) {
      this.#changes.isPutOff = false;
      this.#lookAgainAt = Number.POSITIVE_INFINITY;
      this.#progress = true;
    }
    this.#handle(now, event, out);
    if (this.#leaving.size > 0) this.#forget(out);
    this.#settleDown(now, out);
    if (this.#changes.isPutOff) this.#lookAgainAt = this.#queue.size > 0 ? now + LOOK_AGAIN : Number.POSITIVE_INFINITY;
    return out;
  }

  /** Runs that wait get what is there; then comes what is done ahead, which may free something in its turn. */
  #settleDown(now: number, out: PoolCommand[]): void {
    for (let round = 0; round < ROUNDS; round++) {
      const progressed = this.#progress || this.#changes.count !== this.#servedAt;
      this.#progress = false;
      this.#servedAt = this.#changes.count;
      // What others or a new size wait for goes before runs take it anew.
      if (progressed) this.#upkeep.completeAll(now, out);
      if (progressed && this.#queue.size > 0) this.#serve(now, out);
      this.#upkeep.settle(now, progressed, out);
      if (this.#queue.size === 0 || this.#changes.count === this.#servedAt) return;
    }
    this.#changes.isPutOff = true;
  }

  /** A clock that goes back goes on from where it was; one that jumps ahead ends no lease by that. */
  #timeOf(time: number): number {
    if (time < this.#told) this.#wentBack += this.#told - time;
    this.#told = time;
    const now = time + this.#wentBack;
    const passed = now - this.#now;
    if (passed > JUMP && this.#leases.size > 0) for (const lease of this.#leases.values()) lease.deadline += passed;
    return (this.#now = now);
  }

  #handle(now: number, event: PoolEvent, out: PoolCommand[]): void {
    switch (event.kind) {
      case "demand":
        return this.#demand(now, this.#wentBack === 0 ? event : { ...event, deadline: event.deadline + this.#wentBack }, out);
      case "settled":
        return this.#settled(now, event, out);
      case "retired":
      case "failed":
        return this.#gone(now, event.slot, event.generation, event.kind === "failed", out);
      case "ready":
        return this.#ready(now, event.slot, event.generation, event.nanoseconds, out);
      case "lease-refused":
        return this.#again(now, event.run, event.deadline + this.#wentBack, out);
      case "withdraw":
        return this.#withdraw(event.run);
      case "add":
        return this.#add(now, event.program, out);
      case "amend":
        return this.#amend(now, event, out);
      case "try":
        return this.#try(now, event.program, out);
      case "remove":
        return this.#remove(now, event.program, out);
      case "raised":
        return this.#raised(now, event, out);
      case "raise-failed":
        return this.#raiseFailed(now, event.program, out);
      case "code":
        return this.#code(event.program, event.code);
      case "footprint":
        return this.#footprint(event.program, event.bytes);
      case "configure":
        return this.#configure(now, event.settings, out);
      case "terms":
        return this.#terms(now, event.tenant, event.terms, out);
      case "drain":
        return this.#drain(now, event, out);
      case "resume":
        return this.#resume(now, event.tenant, out);
      case "expect":
        return this.#expect(now, event, out);
      case "tick":
        return this.#tick(now, out);
    }
  }

  /** When `tick` has something to do next; Infinity when never. */
  nextWake(): number {
    const next = Math.min(this.#queue.nextDeadline(), this.#leasesAt, this.#lookAgainAt, this.#upkeep.nextWake());
    // Nobody is to be woken before the time because of a sum that was rounded down.
    return this.#wentBack === 0 ? next : next - this.#wentBack + ROUNDING;
  }

  /** How late the driver's timer was: a sign that the event loop has more than it can do. */
  lag(time: number, milliseconds: number): void {
    this.#overload.lag(Math.max(this.#now, time + this.#wentBack), milliseconds);
  }

  /** Whether `busy` is to be told. */
  get wantsBusy(): boolean {
    return this.#overload.isLimited;
  }

  /** The share of the processors that this process has used lately, 0 to 1. */
  busy(time: number, share: number): void {
    this.#overload.busy(Math.max(this.#now, time + this.#wentBack), share);
  }

  /** What starting a run of a program takes now; undefined for one that is gone. Changes nothing. */
  outlook(program: number): Outlook | undefined {
    const state = this.#programs.get(program);
    return state && outlookOf(state, this.#queue.size, this.#overload.completionRate, this.#working, this.#options.parallelism);
  }

  /** What making one instance ready takes now, in milliseconds, and the bytes that it holds then; undefined for one that is gone. */
  costOf(program: number): { readonly linkMs: number; readonly startMs: number; readonly bytes: number } | undefined {
    const state = this.#programs.get(program);
    if (state === undefined || state.removed) return undefined;
    const { code, costs, readyBytes } = state;
    const linkMs = code === "linked" ? 0 : costs.compiled + (code === "stored" ? costs.stored : 0);
    return { linkMs, startMs: costs.linked, bytes: readyBytes };
  }

  /** Leases that runs of a program ever had; undefined for one that is gone. */
  granted(program: number): number | undefined {
    return this.#programs.get(program)?.granted;
  }

  counts(): PoolCounts {
    return { ...this.#instances.counts(), waiting: this.#queue.size };
  }

  cells(): CellView[] {
    return [...this.#cells.all.values()].map((cell) => cellView(this.#now, cell));
  }

  programs(): ProgramView[] {
    const { overcommit } = this.#cells.settings;
    return [...this.#programs.values()].map((state) => programView(this.#now, state, overcommit));
  }

  view(): PoolView {
    return poolView(this.#cells, this.#residents, {
      reservedRuns: this.#instances.reserve.instances,
      waiting: this.#queue.size,
      leases: this.#leases.size,
      runLimit: this.#overload.limit,
      draining: this.#draining,
    });
  }

  /** True when the last step has left something for the next one, which then comes soon. */
  isPutOff(): boolean {
    return this.#changes.isPutOff;
  }

  /** Room that was emptied for runs that wait for more of it, and that the tenant's own runs cannot have. */
  keptFrom(tenant: string): Room {
    return this.#cells.keptBesides(tenant);
  }

  totals(): PoolTotals {
    return {
      rungs: Object.fromEntries(this.#rungs),
      passed: Object.fromEntries(this.#passed),
      refused: Object.fromEntries(this.#refused),
      expired: this.#expired,
      evictedInstances: this.#ladder.evicted,
      evictedPrograms: this.#residents.evicted,
      foreseen: this.#upkeep.foreseen,
    };
  }

  #tenant(name: string): TenantState {
    let tenant = this.#tenants.get(name);
    if (tenant === undefined) {
      tenant = {
        name,
        terms: NO_TERMS,
        cells: { shared: [], dedicated: [], variable: [] },
        active: { shared: 0, dedicated: 0, variable: 0 },
        programs: new Set(),
        draining: false,
        reserving: undefined,
        changes: 0,
        pressing: 0,
        held: new Set(),
        reserve: { instances: 0, bytes: 0 },
      };
      this.#tenants.set(name, tenant);
    }
    return tenant;
  }

  #add(now: number, terms: PoolProgram, out: PoolCommand[]): void {
    const tenant = this.#tenant(terms.tenant);
    const known = this.#programs.get(terms.program);
    if (known !== undefined) {
      // What it is was not all known before it was linked.
      known.reuse = terms.reuse;
      known.concurrency = terms.concurrency;
      this.#freed(known.tenant);
      return;
    }
    const state = newProgram(now, terms, tenant, this.#forecast);
    this.#programs.set(terms.program, state);
    tenant.programs.add(state);
    if (terms.code === "linked" && !this.#residents.house(now, state, undefined, 0, out)) this.#residents.lower(state, out);
    this.#upkeep.review(now, state, out);
  }

  /** Room of the tenant, or what its runs may do with it, has changed. */
  #freed(tenant: TenantState): void {
    tenant.changes++;
    this.#progress = true;
  }

  #isDraining(tenant: TenantState): boolean {
    return this.#draining || tenant.draining;
  }

  #amend(now: number, { program, pool, whenFull }: Extract<PoolEvent, { kind: "amend" }>, out: PoolCommand[]): void {
    const state = this.#programs.get(program);
    if (state === undefined) return;
    state.pool = pool;
    state.whenFull = whenFull;
    state.stuckAt = -1;
    // Instances in cells where its runs take place no more are of no use.
    for (const [cell, idle] of state.idle) {
      if (!mayRunIn(state, cell.pool)) for (const instance of idle.slice()) this.#end(now, instance, out);
    }
    if (whenFull === "reject") this.#refuseRest(now, state, out);
    this.#upkeep.review(now, state, out);
    this.#freed(state.tenant);
  }

  #remove(now: number, program: number, out: PoolCommand[]): void {
    const state = this.#programs.get(program);
    if (state === undefined) return;
    state.removed = true;
    this.#leaving.add(state);
    this.#upkeep.drop(state);
    this.#endIdle(now, state, out);
  }

  #endIdle(now: number, state: ProgramState, out: PoolCommand[]): void {
    this.#instances.endIdle(now, state, out);
    this.#progress = true;
  }

  /** One instance, to see whether it can be made; beside runs and their room where the tenant has no cell. */
  #try(now: number, program: number, out: PoolCommand[]): void {
    const state = this.#programs.get(program);
    if (state === undefined || state.removed || state.code !== "linked") return;
    if (this.#instances.living >= this.#options.slots) return;
    this.#upkeep.prepare(now, state, undefined, true, out);
  }

  #demand(now: number, event: Demanded & { program: number }, out: PoolCommand[]): void {
    const state = this.#programs.get(event.program);
    if (state === undefined || state.removed) return this.#refuse(event.run, "node-full", out);
    if (this.#isDraining(state.tenant) && event.parent === undefined) return this.#refuse(event.run, "draining", out);
    state.failing = false;
    state.demand.arrived(now);
    state.lastUsed = now;
    state.uses++;
    this.#upkeep.noteDemand(now, state);
    if (event.parent !== undefined) this.#enterChild(now, state, event, out);
    else this.#enter(now, state, event, out);
  }

  /** What waits for it holds room itself: if it waited for room, too, both might wait for ever. */
  #enterChild(now: number, state: ProgramState, demand: Demanded, out: PoolCommand[]): void {
    const { run } = demand;
    this.#noteCall(demand.parent);
    if (isFull(state)) return this.#refuseAsked(now, state, run, "task-full", out);
    if (cannotBeRaised(now, state)) return this.#refuseAsked(now, state, run, "no-code", out);
    const place = this.#ladder.findForCall(now, state, out);
    if (place === undefined) return this.#refuseAsked(now, state, run, fullness(state), out);
    if (state.code === "linked") return this.#grant(now, state, demand, place, ASKED_LINKED, out);
    if (this.#raise(now, state, place.cell, out)) return this.#wait(now, state, demand, "no-code", place, out);
    this.#refuseAsked(now, state, run, fullness(state), out);
  }

  /** The caller needs the room now that was held back for what it calls. */
  #noteCall(parent: number | undefined): void {
    const caller = parent === undefined ? undefined : this.#leases.get(parent);
    if (caller === undefined || caller.hasCalled) return;
    caller.hasCalled = true;
    const { instance, heldBytes } = caller;
    caller.heldBytes = 0;
    if (heldBytes === 0 || instance.state !== "busy") return;
    this.#instances.charge(instance, instance.charge - heldBytes);
    this.#freed(instance.owner.tenant);
  }

  /** Learns what runs of a program call at once, as far as it is of their own tenant. */
  #noteCalled({ parent, instance }: Lease, sign: 1 | -1): void {
    const caller = parent === undefined ? undefined : this.#leases.get(parent);
    if (caller === undefined) return;
    const { owner } = caller.instance;
    if (owner.tenant !== instance.owner.tenant || instance.cell === undefined) return;
    caller.calledBytes = Math.max(0, caller.calledBytes + sign * instance.charge);
    owner.calledBytes = Math.max(owner.calledBytes, caller.calledBytes);
  }

  /** The code is there that they waited for: for room they do not wait. */
  #serveChildren(now: number, state: ProgramState, out: PoolCommand[]): void {
    for (const run of state.children) {
      const waiter = this.#queue.remove(run);
      if (waiter === undefined) continue;
      this.#leftLine(waiter);
      const place = isFull(state) ? undefined : this.#ladder.findForCall(now, state, out);
      // Its code may have had to go again, for want of room.
      if (place === undefined || state.code !== "linked") this.#refuseAsked(now, state, run, fullness(state), out);
      else
        this.#grant(
          now,
          state,
          { run, lease: waiter.leaseMs, priority: waiter.priority, parent: waiter.parent, stands: waiter.stands },
          place,
          waiter,
          out,
        );
    }
  }

  /** A run whose instance was gone before it began. Its program is still there, because it had a lease on it. */
  #again(now: number, run: number, deadline: number, out: PoolCommand[]): void {
    const lease = this.#leases.get(run);
    if (lease === undefined) return;
    const { priority, milliseconds, parent, stands } = lease;
    const { owner } = lease.instance;
    this.#giveBack(now, lease, false, 0, out);
    const demand = { run, deadline, lease: milliseconds, priority, parent, stands };
    if (parent !== undefined) this.#enterChild(now, owner, demand, out);
    else this.#enter(now, owner, demand, out);
  }

  /** Leases a place to the run, or puts it in line. */
  #enter(now: number, state: ProgramState, demand: Demanded, out: PoolCommand[]): void {
    if (isFull(state)) return this.#wait(now, state, demand, "task-full", undefined, out);
    // Whoever waits already goes first; where the processors are what they wait for, nobody waits long behind them.
    const isBehind = state.waiting > 0 && !state.raising;
    if (!this.#mayStart(state) || (isBehind && state.pool !== "dedicated" && this.#overload.isOverloaded(now)))
      return this.#wait(now, state, demand, "overloaded", undefined, out);
    if (isBehind) return this.#wait(now, state, demand, fullness(state), undefined, out);
    if (cannotBeRaised(now, state)) return this.#refuseAsked(now, state, demand.run, "no-code", out);
    const place = this.#ladder.find(now, state, out, demand.priority);
    if (place === undefined) return this.#wait(now, state, demand, fullness(state), undefined, out);
    if (state.code === "linked") return this.#grant(now, state, demand, place, ASKED_LINKED, out);
    const isRaised = this.#raise(now, state, place.cell, out);
    this.#wait(now, state, demand, isRaised ? "no-code" : fullness(state), place, out);
  }

  /** Runs that want a processor, as far as can be told: all that go on, but those that stand and wait to be called. */
  get #working(): number {
    return this.#leases.size - this.#standing;
  }

  /** Whether the processors take one more run. A reserve is there for its tenant whatever others do. */
  #mayStart(state: ProgramState): boolean {
    const { pool } = state;
    const leased = working(state);
    if (pool === "dedicated" || this.#overload.admits(this.#working)) return true;
    // What others' long guests hold of the limit is not at the cost of a program that has less than its share of it.
    const { limit } = this.#overload;
    const share = Math.max(1, limit / (this.#running + (leased === 0 ? 1 : 0)));
    return leased < share && this.#working < limit + SHARES * this.#options.parallelism;
  }

  /** Links the program for runs that will take place in the cell. */
  #raise(now: number, state: ProgramState, cell: Cell | undefined, out: PoolCommand[]): boolean {
    const isRaised = this.#upkeep.raise(now, state, cell, out);
    if (cell === undefined) return isRaised;
    if (!isRaised) {
      this.#upkeep.noteEmpty(now, cell, out);
      this.#ladder.noteStuck(state);
    } else if (!state.pins.has(cell)) {
      state.pins.add(cell);
      cell.pinned++;
    }
    return isRaised;
  }

  #unpin(now: number, state: ProgramState, out: PoolCommand[]): void {
    for (const cell of state.pins) {
      cell.pinned--;
      this.#upkeep.noteEmpty(now, cell, out);
      this.#changes.count++;
      state.tenant.changes++;
    }
    state.pins.clear();
  }

  #wait(now: number, state: ProgramState, demand: Demanded, reason: RefusalReason, place: Place | undefined, out: PoolCommand[]): void {
    const { run, priority } = demand;
    const patience = reason === "overloaded" ? this.#overload.patience(now, this.#queue.size) : Number.POSITIVE_INFINITY;
    if ((state.whenFull === "reject" && reason !== "no-code") || patience <= 0) return this.#refuseAsked(now, state, run, reason, out);
    const waiter: Waiting = {
      run,
      state,
      tenant: state.tenant.name,
      lane: state.program,
      deadline: Math.min(demand.deadline, now + patience),
      priority,
      parent: demand.parent,
      cost: runCharge(state, this.#cells.settings.overcommit),
      since: now,
      leaseMs: demand.lease,
      stands: demand.stands ?? false,
      code: state.code,
      place,
      why: place?.why ?? WAITED_FOR[reason],
      reason,
      presses: reason === "tenant-full" || reason === "node-full",
      pressesNode: (reason === "tenant-full" || reason === "node-full") && (state.pool !== "dedicated" || state.whenFull === "spill"),
    };
    if (!this.#queue.push(waiter)) return this.#refuseAsked(now, state, run, reason, out);
    state.waiting++;
    if (demand.parent !== undefined) state.children.add(run);
    if (waiter.presses) state.tenant.pressing++;
    if (waiter.pressesNode) this.#pressing++;
  }

  /** Refuses a run that counted as demand. */
  #refuseAsked(now: number, state: ProgramState, run: number, reason: RefusalReason, out: PoolCommand[]): void {
    state.demand.ended(now);
    if (state.waiting === 0) this.#cells.letGo(state);
    this.#refuse(run, reason, out, reason === "no-code" ? state.raisePausedUntil - now : undefined);
  }

  #refuse(run: number, reason: RefusalReason, out: PoolCommand[], after?: number): void {
    count(this.#refused, reason);
    const retryAfter = after !== undefined && after > 0 ? after : Math.max(1000, this.#overload.retryAfterMs(this.#queue.size));
    out.push({ kind: "refuse", run, reason, retryAfter });
  }

  #grant(now: number, state: ProgramState, demand: Omit<Demanded, "deadline">, place: Place, asked: Asked, out: PoolCommand[]): void {
    const fresh = place.instance === undefined;
    const instance = place.instance ?? this.#instances.create(now, state, place.cell, "busy", this.#chargeIn(state, place));
    const heldBytes = this.#occupy(state, instance, place, fresh ? 0 : instance.charge);
    this.#hold(now, state, instance, demand, heldBytes);
    const { run } = demand;
    const last = instance.served >= state.reuse.maxRequests || place.cell === undefined;
    const grant: Grant = {
      kind: "grant",
      run,
      slot: instance.slot,
      generation: instance.generation,
      program: state.program,
      cell: place.cell?.id ?? LOBBY,
      fresh,
      last,
      rung: rungOf(place, fresh, asked),
      why: reasonsOf(asked, place),
      pool: place.cell?.pool ?? "shared",
      term: termOf(state, place.cell, asked),
    };
    this.#note(grant);
    out.push(grant);
    this.#overload.started(now, this.#working);
    if (!fresh) this.#upkeep.noteShort(state);
    if (state.waiting === 0) this.#cells.letGo(state);
  }

  /** No cell holds back what grows in the reserve: it is charged all that it may come to. */
  #chargeIn(state: ProgramState, { cell }: Place): number {
    return cell === undefined ? state.memoryLimit : runCharge(state, this.#cells.settings.overcommit);
  }

  /** The instance is in use, and charged for it. Gives the bytes of that which are held back for what the run will call. */
  #occupy(state: ProgramState, instance: Instance, place: Place, before: number): number {
    if (instance.active > 0) return 0;
    this.#instances.occupy(instance);
    const charge = this.#chargeIn(state, place);
    if (instance.charge < charge) this.#instances.charge(instance, charge);
    if (place.cell === undefined) return 0;
    return Math.max(0, instance.charge - Math.max(before, ownCharge(state, this.#cells.settings.overcommit)));
  }

  #hold(now: number, state: ProgramState, instance: Instance, demand: Omit<Demanded, "deadline">, heldBytes: number): void {
    const { run, lease: milliseconds, priority, parent, stands = false } = demand;
    const { reuse } = state;
    instance.active++;
    instance.served++;
    state.leased++;
    if (stands) {
      this.#standing++;
      state.standing++;
    } else if (working(state) === 1) this.#running++;
    state.granted++;
    this.#residents.touch(now, state);
    const lease: Lease = {
      run,
      instance,
      priority,
      parent,
      stands,
      calledBytes: 0,
      heldBytes,
      hasCalled: false,
      since: now,
      milliseconds,
      deadline: now + milliseconds,
    };
    this.#leases.set(run, lease);
    this.#noteCalled(lease, 1);
    if (this.#leasesAt === Number.POSITIVE_INFINITY) this.#leasesAt = now + LEASE_CHECK;
    const isShared = instance.served < reuse.maxRequests && instance.active < reuse.maxConcurrent;
    if (isShared && instance.cell !== undefined) state.shared.add(instance);
    else state.shared.delete(instance);
  }

  #note({ rung, why }: Grant): void {
    count(this.#rungs, rung);
    for (const reason of why) count(this.#passed, reason);
  }

  #settled(now: number, event: Extract<PoolEvent, { kind: "settled" }>, out: PoolCommand[]): void {
    const lease = this.#leases.get(event.run);
    // An end that is told under an old token, or twice, changes nothing.
    if (lease === undefined || lease.instance.slot !== event.slot || lease.instance.generation !== event.generation) return;
    const state = lease.instance.owner;
    const { cell } = lease.instance;
    if (event.startNanoseconds > 0) state.costs.linked = learn(state.costs.linked, event.startNanoseconds / 1e6);
    state.memoryPeak = learnPeak(state.memoryPeak, event.memoryBytes);
    // What is not called any more is forgotten in some ten runs.
    if (!lease.hasCalled) state.calledBytes *= CALLS_KEPT;
    // The wait includes making the instance, which is no wait for a processor.
    const wait = event.waitNanoseconds - event.startNanoseconds;
    if (event.waitNanoseconds > 0) this.#overload.sample(now, Math.max(0, wait), lease.since);
    state.demand.ended(now);
    const isSound = event.ending === "sound";
    const isThere = this.#isThere(lease);
    this.#giveBack(now, lease, isSound, event.memoryBytes, out);
    // An end that others brought about says nothing of version and cell.
    if (event.ending === "cut") return;
    this.#upkeep.noteEnding(now, state, isSound, out);
    if (cell !== undefined && isThere) this.#upkeep.noteExhausted(now, cell, event.ending === "exhausted", out);
  }

  /** Its instance is not gone: then its cell may have changed, or be another tenant's. */
  #isThere({ instance }: Lease): boolean {
    return this.#instances.get(instance.slot, instance.generation) === instance;
  }

  /** The lease is over; its instance is used again, or goes. */
  #giveBack(now: number, lease: Lease, isSound: boolean, memoryBytes: number, out: PoolCommand[]): void {
    const { run, instance } = lease;
    this.#noteCalled(lease, -1);
    this.#leases.delete(run);
    if (this.#leases.size === 0) this.#leasesAt = Number.POSITIVE_INFINITY;
    const state = instance.owner;
    state.leased--;
    if (lease.stands) {
      this.#standing--;
      state.standing--;
    } else if (working(state) === 0) this.#running--;
    instance.active--;
    this.#freed(state.tenant);
    this.#overload.ended(now, this.#working);
    if (instance.state === "busy") this.#afterRun(now, state, instance, isSound, memoryBytes, out);
    this.#upkeep.noteShort(state);
  }

  /** What becomes of an instance when one of its runs has ended. */
  #afterRun(now: number, state: ProgramState, instance: Instance, isSound: boolean, memoryBytes: number, out: PoolCommand[]): void {
    const { reuse } = state;
    const isSpent = instance.served >= reuse.maxRequests;
    const isWorn = !isSound || memoryBytes > reuse.maxMemory || now - instance.born >= reuse.maxAge;
    if (instance.active > 0) {
      // Others on it finish; after this it takes no more, or one more.
      if (isWorn) instance.served = Number.POSITIVE_INFINITY;
      if (isWorn || isSpent) state.shared.delete(instance);
      else state.shared.add(instance);
      return;
    }
    state.shared.delete(instance);
    // The engine retires a spent instance by itself: its last lease said so.
    const { cell } = instance;
    const isLast = isSpent || cell === undefined;
    if (isLast && isSound && Number.isFinite(instance.served)) return this.#instances.ended(now, instance);
    if (cell === undefined) return this.#end(now, instance, out);
    // What it holds may be more than it was charged, and then more than its cell has beside others.
    const bytes = Math.max(LEAST_BYTES, memoryBytes);
    const isOver = cell.charged - instance.charge + bytes > cell.bytes;
    if (isSpent || isWorn || isOver || !this.#mayStay(state, cell)) return this.#end(now, instance, out);
    this.#instances.charge(instance, bytes);
    this.#instances.putIdle(now, instance);
    this.#upkeep.noteExpiry(state, expiry(instance));
  }

  /** Whether an instance of the program may lie idle in the cell: another run of it may come, and take place there. */
  #mayStay(state: ProgramState, cell: Cell): boolean {
    return !state.removed && !this.#isDraining(state.tenant) && mayRunIn(state, cell.pool) && holds(cell, state);
  }

  #ready(now: number, slot: number, generation: number, nanoseconds: number, out: PoolCommand[]): void {
    const instance = this.#instances.get(slot, generation);
    if (instance === undefined || instance.state !== "starting") return;
    const { owner, cell } = instance;
    owner.costs.linked = learn(owner.costs.linked, nanoseconds / 1e6);
    this.#progress = true;
    if (cell === undefined || !this.#mayStay(owner, cell)) return this.#end(now, instance, out);
    this.#instances.putIdle(now, instance);
    this.#upkeep.noteMade(now, owner);
  }

  #end(now: number, instance: Instance, out: PoolCommand[]): void {
    this.#instances.end(now, instance, out);
    this.#progress = true;
  }

  #gone(now: number, slot: number, generation: number, failed: boolean, out: PoolCommand[]): void {
    const instance = this.#instances.get(slot, generation);
    if (instance === undefined) return;
    const { owner, cell } = instance;
    this.#instances.gone(now, instance);
    this.#progress = true;
    if (failed && !instance.trial) {
      owner.failing = true;
      this.#upkeep.noteEnding(now, owner, false, out);
    }
    if (cell !== undefined) this.#upkeep.noteEmpty(now, cell, out);
    this.#upkeep.noteShort(owner);
  }

  #withdraw(run: number): void {
    const waiter = this.#queue.remove(run);
    if (waiter !== undefined) this.#leftLine(waiter).demand.ended(this.#now);
  }

  #leftLine({ run, state, presses, pressesNode }: Waiting): ProgramState {
    state.waiting--;
    state.children.delete(run);
    if (pressesNode) this.#pressing--;
    if (presses && --state.tenant.pressing === 0) this.#upkeep.release(state.tenant);
    if (state.waiting === 0) this.#cells.letGo(state);
    return state;
  }

  /** Refuses all runs that wait for the program. */
  #refuseLane(now: number, { program }: ProgramState, reason: RefusalReason, out: PoolCommand[], after?: number): void {
    for (let head = this.#queue.laneHead(program); head !== undefined; head = this.#queue.laneHead(program)) {
      this.#queue.remove(head.run);
      this.#leftLine(head).demand.ended(now);
      this.#refuse(head.run, reason, out, after);
    }
  }

  /** Of a program whose runs do not wait for room: what found none. */
  #refuseRest(now: number, state: ProgramState, out: PoolCommand[]): void {
    if (!state.raising) this.#refuseLane(now, state, fullness(state), out);
  }

  /** Grants what can be granted, in the order of fairness. */
  #serve(now: number, out: PoolCommand[]): void {
    for (;;) {
      const waiter = this.#queue.take((_lane, head) => this.#canServe(now, head, out));
      if (waiter === undefined) return;
      const state = this.#leftLine(waiter);
      const { run, leaseMs, priority, stands } = waiter;
      this.#grant(now, state, { run, lease: leaseMs, priority, stands }, this.#place as Place, waiter, out);
    }
  }

  /** Whether the first run in line of a program can have a place now; `#place` is where. */
  #canServe(now: number, head: Waiting, out: PoolCommand[]): boolean {
    const { state } = head;
    if (this.#ladder.isStuck(state)) return false;
    if (state.raising || isFull(state) || !this.#mayStart(state)) return false;
    if (cannotBeRaised(now, state)) return false;
    this.#place = this.#ladder.find(now, state, out, head.priority);
    if (this.#place === undefined) return false;
    if (state.code === "linked") return true;
    if (this.#raise(now, state, this.#place.cell, out)) head.place ??= this.#place;
    return false;
  }

  #raised(now: number, { program, bytes, milliseconds }: Extract<PoolEvent, { kind: "raised" }>, out: PoolCommand[]): void {
    const state = this.#programs.get(program);
    if (state === undefined || !state.raising) return;
    const from = state.code === "stored" ? "stored" : "compiled";
    state.costs[from] = learn(state.costs[from], milliseconds);
    this.#upkeep.raised(state);
    this.#residents.linked(now, state, bytes, out);
    // Nothing takes the cells that were held for its runs before these have been served.
    this.#serveChildren(now, state, out);
    this.#serve(now, out);
    this.#unpin(now, state, out);
    if (state.whenFull === "reject") this.#refuseRest(now, state, out);
    this.#upkeep.review(now, state, out);
    this.#freed(state.tenant);
  }

  #raiseFailed(now: number, program: number, out: PoolCommand[]): void {
    const state = this.#programs.get(program);
    if (state === undefined || !state.raising) return;
    this.#upkeep.raiseFailed(now, state, out);
    this.#unpin(now, state, out);
    this.#refuseLane(now, state, "no-code", out, state.raisePausedUntil - now);
    this.#freed(state.tenant);
  }

  #code(program: number, code: "compiled" | "stored"): void {
    const state = this.#programs.get(program);
    // What is linked does not need its compiled form before it is lowered.
    if (state !== undefined && state.code !== "linked") state.code = code;
  }

  #footprint(program: number, bytes: number): void {
    const state = this.#programs.get(program);
    if (state !== undefined) state.readyBytes = Math.max(LEAST_BYTES, bytes);
  }

  #configure(now: number, settings: PoolSettings, out: PoolCommand[]): void {
    this.#cells.configure(settings, out);
    this.#upkeep.shrink(now, out);
    for (const tenant of this.#tenants.values()) {
      if (tenant.terms.variableCeiling > 0) this.#upkeep.trim(now, tenant, out);
      if (tenant.terms.dedicated > 0) this.#upkeep.complete(now, tenant, out);
      for (const state of tenant.programs) this.#upkeep.review(now, state, out);
      tenant.changes++;
    }
    this.#upkeep.reviewCells(now, out);
    this.#cells.refill(now, out, true);
    this.#changes.count++;
    this.#progress = true;
  }

  #terms(now: number, name: string, terms: TenantTerms, out: PoolCommand[]): void {
    const tenant = this.#tenant(name);
    tenant.terms = terms;
    this.#queue.setWeight(name, terms.weight);
    this.#cells.promisesChanged();
    this.#upkeep.trim(now, tenant, out);
    this.#upkeep.complete(now, tenant, out);
    for (const state of tenant.programs) this.#upkeep.review(now, state, out);
    this.#changes.count++;
    this.#freed(tenant);
  }

  #drain(now: number, { tenant, cell }: { tenant?: string; cell?: number }, out: PoolCommand[]): void {
    this.#progress = true;
    if (cell !== undefined) {
      const known = this.#cells.all.get(cell);
      if (known !== undefined) this.#upkeep.sicken(now, known, "an operator drains it", out);
      return;
    }
    if (tenant === undefined) this.#draining = true;
    else this.#tenant(tenant).draining = true;
    for (const each of this.#tenants.values()) if (tenant === undefined || each.name === tenant) this.#drainTenant(now, each, out);
  }

  /** Runs that wait are refused, idle instances go, runs finish. */
  #drainTenant(now: number, tenant: TenantState, out: PoolCommand[]): void {
    for (const state of tenant.programs) {
      this.#refuseLane(now, state, "draining", out);
      this.#endIdle(now, state, out);
      state.target = state.usual = 0;
    }
    for (const cells of Object.values(tenant.cells)) for (const cell of cells.slice()) this.#upkeep.noteEmpty(now, cell, out);
  }

  #expect(now: number, { program, count, until, depth }: ExpectEvent, out: PoolCommand[]): void {
    const state = this.#programs.get(program);
    if (state !== undefined && !state.removed) this.#upkeep.expect(now, state, count, until + this.#wentBack, depth, out);
  }

  #resume(now: number, tenant: string | undefined, out: PoolCommand[]): void {
    if (tenant === undefined) this.#draining = false;
    else this.#tenant(tenant).draining = false;
    for (const each of this.#tenants.values()) {
      if (tenant !== undefined && each.name !== tenant) continue;
      for (const state of each.programs) this.#upkeep.review(now, state, out);
    }
  }

  #tick(now: number, out: PoolCommand[]): void {
    for (const waiter of this.#queue.expire(now)) {
      const state = this.#leftLine(waiter);
      state.demand.ended(now);
      this.#refuse(waiter.run, waiter.reason === "no-code" ? fullness(state) : waiter.reason, out);
    }
    if (now >= this.#leasesAt) this.#checkLeases(now, out);
    this.#upkeep.tick(now, out);
    this.#progress = true;
  }

  /** Leases that outlived their deadline and the grace after it: the engine is silent about them. */
  #checkLeases(now: number, out: PoolCommand[]): void {
    this.#leasesAt = now + LEASE_CHECK;
    for (const lease of this.#leases.values()) if (now - lease.deadline >= GRACE) this.#expire(now, lease, out);
  }

  #expire(now: number, lease: Lease, out: PoolCommand[]): void {
    const { run, instance } = lease;
    const { owner, cell } = instance;
    this.#expired++;
    out.push({ kind: "expire", run, slot: instance.slot, generation: instance.generation });
    owner.demand.ended(now);
    const isThere = this.#isThere(lease);
    this.#giveBack(now, lease, false, 0, out);
    this.#upkeep.noteEnding(now, owner, false, out);
    if (cell !== undefined && isThere) this.#upkeep.sicken(now, cell, "a run in it outlived its lease", out);
  }

  #forget(out: PoolCommand[]): void {
    for (const state of this.#leaving) {
      if (state.instances > 0 || state.leased > 0 || state.waiting > 0 || state.raising) continue;
      this.#leaving.delete(state);
      this.#residents.leave(state, out);
      this.#programs.delete(state.program);
      state.tenant.programs.delete(state);
      this.#upkeep.drop(state);
      if (![...state.tenant.programs].some(({ task }) => task === state.task)) this.#forecast.forget(state.task);
      out.push({ kind: "forget", program: state.program });
    }
  }
}

/** How far the code was when a run asked for it, and what it passed over and waited for since. */
type Asked = Pick<Waiting, "code" | "place" | "why"> & { readonly reason: RefusalReason | undefined };

const ASKED_LINKED: Asked = { code: "linked", place: undefined, why: [], reason: undefined };

const WAITED_FOR: Readonly<Record<RefusalReason, readonly string[]>> = {
  "task-full": ["waited: the task runs as often at once as it may"],
  "tenant-full": ["waited: the tenant's sub-pool had no room"],
  "node-full": ["waited: the node had no room"],
  overloaded: ["waited: the processors were busy"],
  draining: ["waited: it is being drained"],
  "no-code": ["waited: its code was being linked"],
};

/** Its code is not there, and making it failed a moment ago. */
function cannotBeRaised(now: number, { code, raising, raisePausedUntil }: ProgramState): boolean {
  return code !== "linked" && !raising && raisePausedUntil > now;
}

/** Whose room is used up: a tenant's own, or everyone's. */
function fullness(state: ProgramState): RefusalReason {
  if (isFull(state)) return "task-full";
  const { pool, whenFull } = state;
  return pool === "shared" || whenFull === "spill" ? "node-full" : "tenant-full";
}

function termOf(state: ProgramState, cell: Cell | undefined, { reason }: Asked): Term {
  if (cell?.pool !== state.pool) return cell?.pool === "variable" ? "deferred" : "spill";
  // Waiting for one's own code is no matter of terms.
  return reason === undefined || reason === "no-code" ? "direct" : "wait";
}

/** A run that waited for its code had a place, and passed over what was nearer; one that waited for room has found it now. */
function reasonsOf({ reason, why, place: found }: Asked, place: Place): readonly string[] {
  if (reason === undefined) return place.why;
  return reason === "no-code" ? why : [...why, ...(found ?? place).why];
}

function rungOf(place: Place, fresh: boolean, asked: Asked): Rung {
  // The cell that it had found is the tenant's own by now.
  const whose = asked.place !== undefined && asked.place.cell === place.cell ? asked.place.whose : place.whose;
  if (asked.code !== "linked") return `${whose}/${asked.code}`;
  return fresh ? `${whose}/linked` : `${whose}/ready`;
}

function newProgram(now: number, terms: PoolProgram, tenant: TenantState, forecast: Forecast): ProgramState {
  return {
    program: terms.program,
    task: terms.task,
    tenant,
    demand: forecast.of(terms.task),
    memoryLimit: terms.memoryLimit,
    reuse: terms.reuse,
    concurrency: terms.concurrency,
    floor: terms.ready,
    pool: terms.pool,
    whenFull: terms.whenFull,
    code: terms.code,
    raising: false,
    home: undefined,
    pins: new Set(),
    stuckAt: -1,
    stuckIn: -1,
    movedIn: -1,
    idle: new Map(),
    idleCount: 0,
    shared: new Set(),
    waiting: 0,
    children: new Set(),
    leased: 0,
    standing: 0,
    granted: 0,
    instances: 0,
    existing: 0,
    starting: 0,
    failing: false,
    removed: false,
    lastUsed: now,
    firstUsed: now,
    uses: 0,
    target: terms.ready,
    foreseenUntil: 0,
    usual: terms.ready,
    expectedUntil: 0,
    expectedReady: 0,
    releaseAt: Number.POSITIVE_INFINITY,
    programBytes: terms.bytes ?? PRIOR_PROGRAM_BYTES,
    readyBytes: PRIOR_READY_BYTES,
    memoryPeak: 0,
    calledBytes: 0,
    costs: { ...PRIOR_COSTS },
    priority: 0,
    idlePriority: 0,
    failures: 0,
    pausedUntil: 0,
    raiseFailures: 0,
    raisePausedUntil: 0,
  };
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

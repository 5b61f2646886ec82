/**
 * Where a run finds its place: whose cell, and how far the code is there, nearest first.
 *
 * An idle instance of the program; a cell of the tenant with room; an unassigned cell of its sub-pool, or one made from
 * what is free; room made among what lies idle in the tenant's own cells; a cell taken back from idleness. Code without
 * room is passed over for room without code. Each step that is not possible leaves its reason.
 */
import { spans, type Cells } from "./cells.js";
import { runCharge, type Instances } from "./instances.js";
import { mayGo, type Residents } from "./residents.js";
import {
  idleWorth,
  isAhead,
  isEmpty,
  occupants,
  type Cell,
  type Changes,
  type Instance,
  type ProgramState,
  type TenantState,
} from "./state.js";
import type { PoolCommand, Priority, SubPool, Whose } from "./types.js";

/** A place: an instance to use, or a cell to make one in; without a cell, the reserve for calls. */
export interface Place {
  readonly instance: Instance | undefined;
  readonly cell: Cell | undefined;
  readonly whose: Whose;
  readonly why: readonly string[];
}

const NONE_IDLE = "own/ready: none is idle";
const IDLE_WITHOUT_ROOM = "own/ready: idle ones are in cells without room to run";
/** The usual case costs no list. */
const ONLY_NONE_IDLE: readonly string[] = Object.freeze([NONE_IDLE]);
const ONLY_WITHOUT_ROOM: readonly string[] = Object.freeze([IDLE_WITHOUT_ROOM]);
const NO_REASONS: readonly string[] = Object.freeze([]);
const IN_RESERVE: readonly string[] = Object.freeze(["own: no room", "warming: nothing is left"]);
const YIELDS: readonly string[] = Object.freeze(["own: it can wait, and leaves its sub-pool to what cannot"]);
const RESERVE_IN_USE: readonly string[] = Object.freeze(["own: the reserve is in use"]);

/** A tenant with a cell may have it for so long before one that has none gets it, in milliseconds. */
const TURN = 100;
/** What parts the kinds of cells in the order in which they are taken back. */
const TIER = 1e12;

export interface LadderParts {
  readonly cells: Cells;
  readonly instances: Instances;
  readonly residents: Residents;
  readonly changes: Changes;
  /** Instances that may exist on the node, and as many more for calls. */
  readonly slots: number;
  readonly callSlots: number;
  /** A busy instance is shared only once a program has this many. */
  readonly parallelism: number;
}

export class Ladder {
  readonly #parts: LadderParts;
  /** Idle instances that went for want of room, ever. */
  evicted = 0;
  /** When a cell will have been with its tenant for so long that one without any may get it; Infinity: nobody waits for that. */
  turnAt = Number.POSITIVE_INFINITY;

  constructor(parts: LadderParts) {
    this.#parts = parts;
  }

  /**
   * The nearest place for a run of the program; undefined: there is none now. May make and empty cells for it. `priority`: what can wait
   * takes variable capacity where its tenant has some and there is room, and leaves the rest to what cannot.
   */
  find(now: number, state: ProgramState, out: PoolCommand[], priority: Priority = "interactive"): Place | undefined {
    if (this.isStuck(state)) return undefined;
    const yielding = priority === "deferrable" ? this.#inVariable(now, state, out) : undefined;
    const place = yielding ?? this.#in(now, state, state.pool, NO_REASONS, out) ?? this.#spilled(now, state, out);
    // A place for its code may come without anything being freed for runs.
    if (place === undefined) state.stuckAt = isHoused(state) ? this.#freed(state) : -1;
    return place;
  }

  /**
   * A place for a run that another waits for: as any, or in the reserve. Of that a tenant has half at most, unless it has
   * nothing of it yet.
   */
  findForCall(now: number, state: ProgramState, out: PoolCommand[]): Place | undefined {
    const place = this.find(now, state, out);
    if (place !== undefined) return place;
    const { instances, residents, cells, callSlots } = this.#parts;
    const { reserve } = state.tenant;
    const mayHave =
      instances.reserve.instances < callSlots &&
      (reserve.instances === 0 ||
        (2 * (reserve.instances + 1) <= callSlots && 2 * (reserve.bytes + state.memoryLimit) <= cells.settings.lobbyBytes));
    // The first one has it, however large: so that what is called can run at all.
    const isRoom = mayHave && residents.clearForCall(now, state, instances.reserve.instances === 0, out);
    return isRoom ? { instance: undefined, cell: undefined, whose: "reserve", why: IN_RESERVE } : undefined;
  }

  /** The place that was found is of no use: its code has none. In this step there will be no other. */
  noteStuck(state: ProgramState): void {
    state.stuckIn = this.#parts.changes.steps;
  }

  /** Where nothing was freed since it was last found stuck, it still is. */
  isStuck(state: ProgramState): boolean {
    const { changes } = this.#parts;
    if (state.stuckAt === this.#freed(state)) return true;
    if (state.stuckIn !== changes.steps) return false;
    changes.isPutOff = true;
    return true;
  }

  /** What happens in others' cells is nothing to a run that waits for a reserve. */
  #freed({ tenant, pool, whenFull }: ProgramState): number {
    return pool === "dedicated" && whenFull !== "spill" ? tenant.changes : this.#parts.changes.count + tenant.changes;
  }

  /** A place in variable capacity for a run of a program that has its place elsewhere. Nobody's cell is emptied for that. */
  #inVariable(now: number, state: ProgramState, out: PoolCommand[]): Place | undefined {
    const { tenant, pool } = state;
    if (pool === "variable" || tenant.terms.variableCeiling === 0 || !this.#hasSlot("variable")) return undefined;
    const charge = runCharge(state, this.#parts.cells.settings.overcommit);
    const own = this.#own(state, "variable", charge);
    if (own !== undefined) return { instance: undefined, cell: own, whose: "own", why: YIELDS };
    const span = this.span(state, "variable", charge);
    return this.#isHousedIn(state, "variable", span, charge)
      ? this.#fresh(now, state, "variable", span, charge, [...YIELDS], out)
      : undefined;
  }

  /** Variable capacity never goes over to the shared one: its tenants wait for it. */
  #spilled(now: number, state: ProgramState, out: PoolCommand[]): Place | undefined {
    return mayRunIn(state, "shared") && state.pool !== "shared" ? this.#in(now, state, "shared", RESERVE_IN_USE, out) : undefined;
  }

  #in(now: number, state: ProgramState, pool: SubPool, before: readonly string[], out: PoolCommand[]): Place | undefined {
    const { cells, parallelism } = this.#parts;
    const charge = runCharge(state, cells.settings.overcommit);
    const ready = readyIn(state, pool, charge);
    if (ready !== undefined) return onInstance(ready, before);
    // A busy instance that takes several is used before another is made, once there are enough of them.
    const shared = state.shared.size > 0 ? leastBusy(state, pool) : undefined;
    if (shared !== undefined && state.instances >= parallelism) return onInstance(shared, before);
    const own = this.#hasSlot(pool) ? this.#own(state, pool, charge) : undefined;
    const idle = state.idleCount > 0 ? ONLY_WITHOUT_ROOM : ONLY_NONE_IDLE;
    const why = before.length === 0 ? idle : [...before, ...idle];
    if (own !== undefined) return { instance: undefined, cell: own, whose: "own", why };
    if (shared !== undefined) return onInstance(shared, before);
    return this.#further(now, state, pool, charge, [...why, ownReason(state.tenant, pool)], out);
  }

  /** A reserve has its slots, whatever trials take. */
  #hasSlot(pool: SubPool): boolean {
    const { living, reserve } = this.#parts.instances;
    return pool === "dedicated" || living - reserve.instances < this.#parts.slots;
  }

  /** A cell of the tenant where a run has room, and its code too, or elsewhere. */
  #own(state: ProgramState, pool: SubPool, charge: number): Cell | undefined {
    if (isHoused(state)) return ownWithRoom(state, pool, charge);
    const both = ownWithRoom(state, pool, charge + state.programBytes);
    if (both !== undefined) return both;
    const own = ownWithRoom(state, pool, charge);
    return own !== undefined && this.#parts.residents.hasHome(state, own) ? own : undefined;
  }

  /** What takes more than finding: a cell from elsewhere, or room that is made. */
  #further(now: number, state: ProgramState, pool: SubPool, charge: number, why: string[], out: PoolCommand[]): Place | undefined {
    const span = this.span(state, pool, charge);
    if (this.#hasSlot(pool) && this.#isHousedIn(state, pool, span, charge)) {
      const fresh = this.#fresh(now, state, pool, span, charge, why, out);
      if (fresh !== undefined) return fresh;
    }
    const cleared = this.#clear(now, state, pool, charge, out);
    if (cleared !== undefined) return { ...cleared, why };
    return pool === "dedicated" ? undefined : this.#reclaim(now, state, pool, span, charge, why, out);
  }

  /** Cells that a run of the program takes: a joined one holds its code too where that has no other place. */
  span(state: ProgramState, pool: SubPool, charge: number): number {
    const { cells, residents } = this.#parts;
    const besides = isHoused(state) || residents.hasHome(state) ? 0 : state.programBytes;
    return cells.span(pool, Math.max(state.memoryLimit, charge + besides));
  }

  #isHousedIn(state: ProgramState, pool: SubPool, span: number, charge: number): boolean {
    if (isHoused(state)) return true;
    const bytes = span * this.#parts.cells.settings.pools[pool].cellBytes;
    if (charge + state.programBytes <= bytes) return true;
    // What other cells have room for now may be over when they are joined.
    return pool === "dedicated" ? this.#parts.residents.lobbyHolds(state) : this.#parts.residents.hasHome(state);
  }

  /** An unassigned cell, one made from what is free, or a larger one joined from empty ones of the reserve. */
  #fresh(
    now: number,
    state: ProgramState,
    pool: SubPool,
    span: number,
    charge: number,
    why: string[],
    out: PoolCommand[],
  ): Place | undefined {
    const { cells, residents } = this.#parts;
    const { tenant } = state;
    if (pool === "dedicated") {
      const joined = span > 1 ? this.#join(now, tenant, span, out) : undefined;
      if (joined === undefined) return void why.push("own: the reserve is in use");
      residents.moveIn(state, joined, charge, out);
      return { instance: undefined, cell: joined, whose: "own", why };
    }
    const taken = cells.take(now, state, pool, span, out);
    if (taken === undefined) {
      why.push(pool === "variable" ? "warming: nothing is left for it, or its ceiling is reached" : "warming: nothing is left");
      return undefined;
    }
    residents.moveIn(state, taken.cell, charge, out);
    if (taken.origin === "kept") why.push("warming: none was unassigned, one was taken back");
    if (taken.origin === "made") why.push("warming: none was unassigned, one was made");
    return { instance: undefined, cell: taken.cell, whose: taken.origin === "kept" ? "reclaimed" : "warming", why };
  }

  /** A larger cell from idle ones of the reserve; they have to be empty for it. */
  #join(now: number, tenant: TenantState, span: number, out: PoolCommand[]): Cell | undefined {
    const { residents, cells } = this.#parts;
    const idle = tenant.cells.dedicated.filter(({ state, busy, starting, pinned }) => state === "active" && busy + starting + pinned === 0);
    if (spans(idle) < span) return undefined;
    const parts: Cell[] = [];
    for (const cell of idle.sort((a, b) => a.ending + a.idle - (b.ending + b.idle))) {
      if (spans(parts) >= span) break;
      parts.push(cell);
    }
    if (!cells.canJoin(parts, span)) return undefined;
    for (const cell of parts) for (const instance of cell.idleInstances) this.#evict(now, instance, out);
    if (!parts.every(isEmpty)) return undefined;
    for (const cell of parts) {
      cells.drain(cell);
      residents.moveOut(now, cell, out);
    }
    return cells.join(now, tenant, parts, span, out);
  }

  /** Makes room in a cell of the tenant among what lies idle there. */
  #clear(now: number, state: ProgramState, pool: SubPool, charge: number, out: PoolCommand[]): Omit<Place, "why"> | undefined {
    const candidates = state.tenant.cells[pool].filter((cell) => holds(cell, state) && cell.busy + cell.starting < cell.slots);
    const missing = (cell: Cell, isFree: (program: ProgramState) => boolean): number =>
      cell.charged - releasable(cell, isFree) + this.#needs(state, cell, charge) - cell.bytes;
    for (const cell of candidates) {
      const missed = missing(cell, mayGo);
      // What cannot go may have room elsewhere.
      if (missed > 0 && !this.#parts.residents.spread(cell, missed, (program) => !mayGo(program), out)) continue;
      const place = this.#makeRoom(now, state, cell, charge, out);
      if (place !== undefined) return place;
    }
    // A program goes once the last of its instances is gone: those can be ended now.
    const cell = candidates.find((each) => missing(each, (program) => isOnlyIdleIn(program, each)) <= 0);
    if (cell === undefined) return undefined;
    for (const instance of cell.idleInstances) {
      if (instance.owner.home === cell && isOnlyIdleIn(instance.owner, cell)) this.#evict(now, instance, out);
    }
    return undefined;
  }

  /** Bytes that the run takes in the cell: with its code, where that has no place and finds none elsewhere. */
  #needs(state: ProgramState, cell: Cell, charge: number): number {
    return isHoused(state) || this.#parts.residents.hasHome(state, cell) ? charge : charge + state.programBytes;
  }

  /** Lets go what is worth least, until the run has room in the cell. */
  #makeRoom(now: number, state: ProgramState, cell: Cell, charge: number, out: PoolCommand[]): Omit<Place, "why"> | undefined {
    const { residents } = this.#parts;
    for (;;) {
      const ready = readyInCell(state, cell, charge);
      if (ready !== undefined) return { instance: ready, cell, whose: "own" };
      const needs = this.#needs(state, cell, charge);
      if (this.#hasSlot(cell.pool) && (fits(cell, needs) || this.#isSpread(cell, needs, out))) {
        return { instance: undefined, cell, whose: "own" };
      }
      const instance = leastIdle(cell);
      const program = occupants(cell) < cell.slots && this.#hasSlot(cell.pool) ? residents.lowestIn(now, cell, state) : undefined;
      if (instance !== undefined && (program === undefined || idleWorth(instance.owner) <= program.priority))
        this.#evict(now, instance, out);
      else if (program !== undefined) residents.displace(now, program, cell, out);
      // Its own code makes way for the run when it has another place.
      else if (state.home !== cell || !residents.moveToLobby(now, state, cell, out)) return undefined;
    }
  }

  /** Its programs may have room elsewhere, so that nothing has to go. */
  #isSpread(cell: Cell, needs: number, out: PoolCommand[]): boolean {
    if (occupants(cell) >= cell.slots) return false;
    return this.#parts.residents.spread(cell, cell.charged + needs - cell.bytes, () => true, out);
  }

  #evict(now: number, instance: Instance, out: PoolCommand[]): void {
    // One that was first to go anyway says nothing about what others are worth.
    if (!isAhead(instance.owner)) this.#parts.residents.noteEvicted(instance);
    this.#parts.instances.end(now, instance, out);
    this.evicted++;
  }

  /**
   * Empties a cell for the run: an idle variable one, then an idle shared one of another tenant; then, by letting its runs
   * finish, a variable one, or a shared one of a tenant that has more than its share. As many at a time as the run needs;
   * a dedicated one never.
   */
  #reclaim(
    now: number,
    state: ProgramState,
    pool: SubPool,
    span: number,
    charge: number,
    why: string[],
    out: PoolCommand[],
  ): Place | undefined {
    const { cells } = this.#parts;
    const { tenant } = state;
    for (;;) {
      if (cells.comes(tenant, pool, span)) return undefined;
      if (pool === "variable" && !cells.mayHave(tenant, span)) return undefined;
      if (!this.#isHousedIn(state, pool, span, charge)) return undefined;
      // Two that need several cells each might keep what the other needs.
      if (span > 1 && (cells.keepsForOthers(tenant) || !cells.canEverHave(tenant, pool, span))) return undefined;
      const victim = this.#victim(now, state, pool, span);
      if (victim === undefined) return undefined;
      this.empty(now, victim, out);
      victim.emptiedFor = { program: state, pool };
      if (!isEmpty(victim)) continue;
      // Nothing of an instance is left in it: it can be had at once.
      cells.keep(state, victim);
      this.reclaimed(victim, out);
      const place = this.#fresh(now, state, pool, span, charge, [], out);
      if (place !== undefined) return { ...place, why };
    }
  }

  #victim(now: number, state: ProgramState, pool: SubPool, span: number): Cell | undefined {
    let [victim, least] = [undefined as Cell | undefined, Number.POSITIVE_INFINITY];
    for (const cell of this.#parts.cells.all.values()) {
      if (cell.state !== "active" || cell.pool === "dedicated" || cell.pinned > 0) continue;
      // Variable capacity takes from variable capacity alone.
      if (pool === "variable" && cell.pool !== "variable") continue;
      const worth = this.#worth(now, cell, state.tenant, pool, span);
      if (worth < least) [victim, least] = [cell, worth];
    }
    return victim;
  }

  /** The least worth goes first: idle before busy, variable before shared; Infinity: not at all. */
  #worth(now: number, cell: Cell, asking: TenantState, pool: SubPool, span: number): number {
    const isIdle = cell.busy === 0 && cell.starting === 0;
    // The tenant's own cells of this sub-pool had no room as they are; idle ones that are too small make a larger one.
    if (cell.tenant === asking && cell.pool === pool) return isIdle && cell.span < span ? -TIER : Number.POSITIVE_INFINITY;
    return isIdle ? idleCellWorth(now, cell) : this.#busyWorth(now, cell, asking, pool);
  }

  #busyWorth(now: number, cell: Cell, asking: TenantState, pool: SubPool): number {
    const busy = cell.busy + cell.starting;
    const holder = cell.tenant as TenantState;
    if (cell.pool !== pool) return 2 * TIER + busy;
    const excess = holder.active[pool] / holder.terms.weight - (asking.active[pool] + 1) / asking.terms.weight;
    // Who has more than the one that asks would have with one more; of the richest, the least busy cell.
    if (excess > 0) return 3 * TIER - Math.min(TIER / 10, excess * 1e6) + busy;
    if (asking.active[pool] > 0) return Number.POSITIVE_INFINITY;
    // Where there are more tenants than cells they take turns.
    const turnAt = cell.assignedAt + TURN;
    if (now >= turnAt) return 4 * TIER - Math.min(TIER / 10, now - cell.assignedAt);
    this.turnAt = Math.min(this.turnAt, turnAt);
    return Number.POSITIVE_INFINITY;
  }

  /** Empties a cell that is no reserve, for a tenant's own: idle ones first. */
  emptyOne(now: number, out: PoolCommand[]): Cell | undefined {
    let [victim, least] = [undefined as Cell | undefined, Number.POSITIVE_INFINITY];
    for (const cell of this.#parts.cells.all.values()) {
      if (cell.state !== "active" || cell.pool === "dedicated" || cell.pinned > 0) continue;
      const busy = cell.busy + cell.starting;
      const worth = busy === 0 ? idleCellWorth(now, cell) : (cell.pool === "variable" ? 2 : 3) * TIER + busy;
      if (worth < least) [victim, least] = [cell, worth];
    }
    if (victim !== undefined) this.empty(now, victim, out);
    return victim;
  }

  /** A cell that was emptied for others is there no more. */
  reclaimed(cell: Cell, out: PoolCommand[]): void {
    const { cells } = this.#parts;
    cells.counts[cell.pool].reclaimed++;
    cells.close(cell, out);
  }

  /** Takes no more runs; what is idle in it goes, and its programs find another place. What runs in it finishes. */
  empty(now: number, cell: Cell, out: PoolCommand[]): void {
    this.#parts.cells.drain(cell);
    for (const instance of cell.idleInstances) this.#parts.instances.end(now, instance, out);
    this.#parts.residents.moveOut(now, cell, out);
  }
}

/** Whether runs of the program may take place in cells of the sub-pool. */
export function mayRunIn({ pool, whenFull }: ProgramState, where: SubPool): boolean {
  return pool === where || (where === "shared" && pool === "dedicated" && whenFull === "spill");
}

/** Whether the cell takes runs, and is as large as an instance of the program may grow. */
export function holds(cell: Cell, { memoryLimit }: ProgramState): boolean {
  return cell.state === "active" && cell.bytes >= memoryLimit;
}

/** Its linked form has a place: it is linked, or is being linked. */
function isHoused({ code, raising }: ProgramState): boolean {
  return code === "linked" || raising;
}

/** Among cells whose contents are worth the same, the one goes that has been idle longest. */
function idleCellWorth(now: number, cell: Cell): number {
  let worth = 0;
  for (const { owner } of cell.idleInstances) worth += idleWorth(owner);
  for (const program of cell.programs) worth += program.priority;
  return (cell.pool === "variable" ? 0 : TIER) + Math.min(TIER / 10, worth * TIER) - Math.min(1000, (now - cell.idleSince) / 1000);
}

/** What can be let go in the cell: idle instances, and the programs of which that is so. Bytes. */
function releasable(cell: Cell, isFree: (program: ProgramState) => boolean): number {
  let bytes = 0;
  for (const instance of cell.idleInstances) bytes += instance.charge;
  for (const program of cell.programs) if (isFree(program)) bytes += program.programBytes;
  return bytes;
}

/** All that is there of the program lies idle in the cell, or goes already. */
function isOnlyIdleIn(program: ProgramState, cell: Cell): boolean {
  if (program.code !== "linked" || program.leased > 0 || program.pins.size > 0) return false;
  return program.instances === (program.idle.get(cell)?.length ?? 0);
}

/** The idle instance in the cell that is worth least. */
function leastIdle(cell: Cell): Instance | undefined {
  let least: Instance | undefined;
  for (const instance of cell.idleInstances) {
    if (least === undefined || idleWorth(instance.owner) < idleWorth(least.owner)) least = instance;
  }
  return least;
}

/** An idle instance of the program in a cell that has room for it to run. */
function readyIn(state: ProgramState, pool: SubPool, charge: number): Instance | undefined {
  if (state.idleCount === 0) return undefined;
  for (const [cell, idle] of state.idle) {
    const instance = idle.at(-1) as Instance;
    if (cell.pool === pool && holds(cell, state) && cell.charged - instance.charge + charge <= cell.bytes) return instance;
  }
  return undefined;
}

function readyInCell(state: ProgramState, cell: Cell, charge: number): Instance | undefined {
  const instance = state.idle.get(cell)?.at(-1);
  return instance !== undefined && cell.charged - instance.charge + charge <= cell.bytes ? instance : undefined;
}

function onInstance(instance: Instance, why: readonly string[]): Place {
  return { instance, cell: instance.cell, whose: "own", why };
}

/** A busy instance that takes one more run. */
function leastBusy(state: ProgramState, pool: SubPool): Instance | undefined {
  let best: Instance | undefined;
  for (const instance of state.shared) {
    const { cell } = instance;
    if (cell?.pool !== pool || !holds(cell, state)) continue;
    if (best === undefined || instance.active < best.active) best = instance;
  }
  return best;
}

/** The fullest cell of the tenant that has room, so that others become empty. */
function ownWithRoom(state: ProgramState, pool: SubPool, charge: number): Cell | undefined {
  let best: Cell | undefined;
  for (const cell of state.tenant.cells[pool]) {
    if (!holds(cell, state) || !fits(cell, charge)) continue;
    if (best === undefined || cell.charged > best.charged) best = cell;
  }
  return best;
}

function fits(cell: Cell, charge: number): boolean {
  return occupants(cell) < cell.slots && cell.charged + charge <= cell.bytes;
}

function ownReason(tenant: TenantState, pool: SubPool): string {
  return tenant.cells[pool].length === 0 ? "own: the tenant has no cell" : "own: no cell of the tenant has room";
}

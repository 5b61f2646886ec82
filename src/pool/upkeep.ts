/**
 * What is done ahead of demand and after it: instances kept ready and let go, programs raised and lowered, cells given
 * back, filled up and replaced.
 *
 * Each program is looked at when there is a reason (its time on the agenda), not all of them at each step. Nothing here
 * takes capacity from a run: what is made ahead is made only where nobody waits, and never by taking a cell back.
 */
import type { Agenda } from "./agenda.js";
import type { Cells } from "./cells.js";
import { expiry, type Instances } from "./instances.js";
import type { Ladder } from "./ladder.js";
import { LIKELY, mayGo, type Residents } from "./residents.js";
import { isEmpty, occupants, type Cell, type ProgramState, type TenantState } from "./state.js";
import type { PoolCommand } from "./types.js";

/** Instances of one program made ahead at once, and programs raised ahead at once, so that filling up starves nobody. */
const STARTING_AT_ONCE = 4;
const RAISING_AT_ONCE = 4;
/** How far ahead demand is asked for, in milliseconds. */
const HORIZON = 10_000;
/** How often a program with demand is looked at. */
const PACE = 25;
const WATCH = 1_000;
/** An instance that takes less than this is made by its run: having it ready at once gains nothing. Milliseconds. */
const CHEAP = 0.2;
/** A foreseen run is prepared for this much ahead of the time that the steps take. */
const LEAD = 100;
/** A foreseen run that is late is waited for this much longer. */
const LATE = 1_000;
/** Bad endings in a row from which on a version is sick, and the delays that follow. */
const SICK_AFTER = 5;
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 60_000;
/** Runs in a row that a cell's bytes did not suffice for. */
const EXHAUSTED_AFTER = 8;

export interface UpkeepParts {
  readonly agenda: Agenda<ProgramState>;
  readonly cells: Cells;
  readonly instances: Instances;
  readonly residents: Residents;
  readonly ladder: Ladder;
  readonly programs: ReadonlyMap<number, ProgramState>;
  readonly tenants: ReadonlyMap<string, TenantState>;
  readonly slots: number;
  /** True while runs wait or the processors are busy: then nothing is made ahead. */
  pressed(): boolean;
}

export class Upkeep {
  readonly #parts: UpkeepParts;
  /** Programs that are owed ready instances now. */
  readonly #short = new Set<ProgramState>();
  /** Programs to be linked ahead of their runs. */
  readonly #toRaise = new Set<ProgramState>();
  /** Tenants whose reserve is not whole. */
  readonly #incomplete = new Set<TenantState>();
  #raising = 0;
  /** When cells are to be looked at. */
  #cellsAt = Number.POSITIVE_INFINITY;
  /** Prepared for runs that were foreseen, ever. */
  foreseen = 0;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  nextWake(): number {
    const { agenda, cells } = this.#parts;
    return Math.min(agenda.next(), this.#cellsAt, cells.nextRefill());
  }

  /** What has come due. */
  tick(now: number, out: PoolCommand[]): void {
    const { agenda } = this.#parts;
    for (let state = agenda.take(now); state !== undefined; state = agenda.take(now)) this.review(now, state, out);
    if (now >= this.#cellsAt) this.#reviewCells(now, out);
  }

  /** At the end of each step. */
  settle(now: number, out: PoolCommand[]): void {
    for (const tenant of this.#incomplete) if (this.#complete(now, tenant, out)) this.#incomplete.delete(tenant);
    if (this.#toRaise.size > 0) this.#raiseAhead(now, out);
    if (this.#short.size > 0 && !this.#parts.pressed()) this.#refill(now, out);
    this.#parts.cells.refill(now, out);
  }

  /** A run of the program was asked for: its targets may have changed. */
  noteDemand(now: number, state: ProgramState): void {
    this.#parts.agenda.atLatest(state, now + PACE);
  }

  /** The program may have fewer ready instances than it should. */
  noteShort(state: ProgramState): void {
    if (isShort(state, wantedNow(state))) this.#short.add(state);
  }

  /** An instance that was used lies idle: it has an end. */
  noteExpiry(state: ProgramState, at: number): void {
    this.#parts.agenda.atLatest(state, at);
  }

  /** Linked ahead of its runs: it keeps instances ready, or has a reserve. */
  isEager(state: ProgramState): boolean {
    return !state.removed && (state.floor > 0 || (state.pool === "dedicated" && state.tenant.terms.dedicated > 0));
  }

  /** The program is new, or its terms are. */
  admit(now: number, state: ProgramState, out: PoolCommand[]): void {
    this.review(now, state, out);
  }

  /** Whatever was planned for it is off. */
  drop(state: ProgramState): void {
    this.#parts.agenda.delete(state);
    this.#short.delete(state);
    this.#toRaise.delete(state);
  }

  /** Links it, unless that goes on already or has just failed; false in the latter case. */
  raise(now: number, state: ProgramState, out: PoolCommand[]): boolean {
    if (state.raising) return true;
    if (state.raisePausedUntil > now) return false;
    state.raising = true;
    this.#raising++;
    this.#toRaise.delete(state);
    out.push({ kind: "raise", program: state.program });
    return true;
  }

  raised(state: ProgramState): void {
    state.raising = false;
    state.raiseFailures = 0;
    this.#raising--;
    this.#short.add(state);
  }

  raiseFailed(now: number, state: ProgramState): void {
    state.raising = false;
    this.#raising--;
    state.raiseFailures++;
    state.raisePausedUntil = now + pause(state.raiseFailures - 1);
    if (this.isEager(state)) this.#parts.agenda.atLatest(state, state.raisePausedUntil);
  }

  /** How many instances should lie ready, what is held linked, and when to look again. */
  review(now: number, state: ProgramState, out: PoolCommand[]): void {
    if (state.removed) return;
    const { demand } = state;
    this.#foresee(now, state);
    state.target = this.#target(now, state);
    if (state.code !== "linked") {
      if (this.isEager(state) || state.foreseenUntil > now) this.#toRaise.add(state);
    } else {
      this.#letGo(now, state, out);
      if (isShort(state, state.target)) this.#short.add(state);
      if (this.#isUnneeded(now, state)) this.#parts.residents.lower(state, out);
    }
    const next = this.#nextLook(now, state);
    if (next < Number.POSITIVE_INFINITY) this.#parts.agenda.set(state, next);
    else if (demand.running === 0) this.#parts.agenda.delete(state);
  }

  /** Holds the program until a run that is foreseen soon, and a little longer. */
  #foresee(now: number, state: ProgramState): void {
    const next = state.demand.next(now);
    if (next === undefined || next.likelihood < LIKELY || next.from - this.#lead(state) > now || next.until + LATE <= now) return;
    const until = next.until + LATE;
    if (state.foreseenUntil >= until) return;
    state.foreseenUntil = until;
    this.foreseen++;
  }

  #lead(state: ProgramState): number {
    const { costs, code } = state;
    return LEAD + 2 * (costs.linked + (code === "linked" ? 0 : costs.compiled) + (code === "stored" ? costs.stored : 0));
  }

  #target(now: number, state: ProgramState): number {
    const { floor, failing, pausedUntil, tenant, demand, foreseenUntil } = state;
    if (tenant.draining) return 0;
    if (failing || pausedUntil > now) return 0;
    const peak = demand.peak(now, HORIZON);
    const wanted = peak < 0.5 ? 0 : Math.ceil(peak);
    // Foreseen, with nothing there yet: one will do, the rest follows when it comes.
    const forecast = foreseenUntil > now ? Math.max(1, wanted) : wanted;
    return Math.max(floor, Math.min(forecast, isCheap(state) ? 1 : forecast, state.concurrency));
  }

  /** Lets idle instances go that are too old, or that are more than are wanted and have been so for a while. */
  #letGo(now: number, state: ProgramState, out: PoolCommand[]): void {
    const { instances, cells } = this.#parts;
    if (state.idleCount === 0) return;
    let surplus = state.idleCount - state.target;
    for (const idle of [...state.idle.values()]) {
      for (const instance of [...idle]) {
        const unused = instance.served === 0;
        const over = unused && surplus > 0 && now - instance.idleSince >= cells.settings.instanceIdle;
        if (!over && expiry(instance) > now) continue;
        if (unused) surplus--;
        instances.end(now, instance, out);
      }
    }
    this.noteShort(state);
  }

  #isUnneeded(now: number, state: ProgramState): boolean {
    if (!mayGo(now, state) || this.isEager(state) || state.waiting > 0) return false;
    return now - state.lastUsed >= this.#parts.cells.settings.programIdle;
  }

  #nextLook(now: number, state: ProgramState): number {
    const { settings } = this.#parts.cells;
    const next = state.demand.next(now);
    let look = Number.POSITIVE_INFINITY;
    if (next !== undefined && next.likelihood >= LIKELY && next.from > now) look = Math.max(now + 1, next.from - this.#lead(state));
    if (state.foreseenUntil > now) look = Math.min(look, state.foreseenUntil);
    if (state.pausedUntil > now) look = Math.min(look, state.pausedUntil);
    if (state.code !== "linked") return look;
    if (!this.isEager(state)) look = Math.min(look, Math.max(now + WATCH, state.lastUsed + settings.programIdle));
    if (state.target > state.floor || state.idleCount > state.target) look = Math.min(look, now + WATCH);
    for (const idle of state.idle.values()) for (const instance of idle) look = Math.min(look, Math.max(now + 1, expiry(instance)));
    return look;
  }

  #raiseAhead(now: number, out: PoolCommand[]): void {
    for (const state of this.#toRaise) {
      if (this.#raising >= RAISING_AT_ONCE) return;
      this.#toRaise.delete(state);
      if (state.code !== "linked" && !state.removed) this.raise(now, state, out);
    }
  }

  /** Makes instances ahead of demand, where there is room that no run waits for. */
  #refill(now: number, out: PoolCommand[]): void {
    for (const state of this.#short) {
      this.#short.delete(state);
      if (state.code !== "linked") continue;
      while (isShort(state, state.target)) {
        if (state.starting >= STARTING_AT_ONCE) break;
        const cell = this.#cellAhead(now, state, out);
        if (cell === undefined) {
          // Room may come by itself: cells go back, others are made.
          this.#parts.agenda.atLatest(state, now + WATCH);
          break;
        }
        this.prepare(now, state, cell, false, out);
      }
    }
  }

  /** A cell for an instance that is made ahead: the tenant's, or an unassigned one. */
  #cellAhead(now: number, state: ProgramState, out: PoolCommand[]): Cell | undefined {
    const { instances, cells, slots, residents } = this.#parts;
    if (instances.living >= slots) return undefined;
    const own = state.tenant.cells[state.pool].find(
      (cell) =>
        cell.state === "active" &&
        cell.bytes >= state.memoryLimit &&
        occupants(cell) < cell.slots &&
        cell.charged + state.readyBytes <= cell.bytes,
    );
    // Beyond what the tenant has, only for what it said it wants ready, and for runs that are foreseen.
    if (own !== undefined || (state.floor <= state.idleCount + state.starting && state.foreseenUntil <= now)) return own;
    const taken = cells.take(now, state.tenant, state.pool, cells.span(state.pool, state.memoryLimit), out);
    if (taken !== undefined) residents.moveIn(state, taken.cell, out);
    return taken?.cell;
  }

  prepare(now: number, state: ProgramState, cell: Cell | undefined, trial: boolean, out: PoolCommand[]): void {
    const instance = this.#parts.instances.create(now, state, cell, "starting", state.readyBytes, trial);
    const { slot, generation } = instance;
    out.push({ kind: "prepare", slot, generation, program: state.program, cell: cell?.id ?? 0, charge: Math.round(state.readyBytes) });
  }

  /** A run of it ended badly, or well. A version that only ever ends badly keeps nothing ready for a while. */
  noteEnding(now: number, state: ProgramState, isSound: boolean, out: PoolCommand[]): void {
    if (isSound) {
      state.failures = 0;
      return;
    }
    state.failures++;
    if (state.failures < SICK_AFTER) return;
    state.pausedUntil = now + pause(state.failures - SICK_AFTER);
    if (state.failures > SICK_AFTER) return;
    // What it left behind may be what makes it fail.
    for (const idle of [...state.idle.values()]) for (const instance of [...idle]) this.#parts.instances.end(now, instance, out);
    this.#parts.agenda.atLatest(state, state.pausedUntil);
  }

  noteExhausted(now: number, cell: Cell, isExhausted: boolean, out: PoolCommand[]): void {
    if (!isExhausted) {
      cell.exhausted = 0;
      return;
    }
    if (++cell.exhausted === EXHAUSTED_AFTER) this.sicken(now, cell, `its bytes did not suffice for ${EXHAUSTED_AFTER} runs in a row`, out);
  }

  /** The cell takes no more runs, and another comes in its place once its runs have finished. */
  sicken(now: number, cell: Cell, reason: string, out: PoolCommand[]): void {
    if (cell.sick !== undefined) return;
    cell.sick = reason;
    if (cell.state === "warming") {
      this.#parts.cells.counts[cell.pool].replaced++;
      return this.#parts.cells.close(cell, out);
    }
    this.#parts.ladder.empty(now, cell, out);
    this.noteEmpty(now, cell, out);
  }

  /** Something has left the cell: it may be empty now. */
  noteEmpty(now: number, cell: Cell, out: PoolCommand[]): void {
    if (!isEmpty(cell)) return;
    if (cell.state === "draining") return this.#drained(now, cell, out);
    if (cell.pool === "dedicated" && cell.span === 1) return;
    cell.idleSince = Math.max(cell.idleSince, now);
    this.#cellsAt = Math.min(this.#cellsAt, cell.tenant?.draining === true ? now : cell.idleSince + this.#parts.cells.settings.cellIdle);
  }

  /** A cell that was being emptied is empty. */
  #drained(now: number, cell: Cell, out: PoolCommand[]): void {
    const { cells, ladder, residents } = this.#parts;
    const { tenant } = cell;
    residents.moveOut(now, cell, out);
    if (cell.sick === undefined) ladder.reclaimed(cell, out);
    else {
      cells.counts[cell.pool].replaced++;
      cells.close(cell, out);
    }
    if (tenant !== undefined && cell.pool === "dedicated") this.complete(now, tenant, out);
  }

  /** Cells that have been empty for long go back. */
  #reviewCells(now: number, out: PoolCommand[]): void {
    const { cells, residents } = this.#parts;
    this.#cellsAt = Number.POSITIVE_INFINITY;
    for (const cell of [...cells.all.values()]) {
      if (cell.state !== "active" || !isEmpty(cell) || (cell.pool === "dedicated" && cell.span === 1)) continue;
      const at = cell.tenant?.draining === true ? now : cell.idleSince + cells.settings.cellIdle;
      if (at > now) {
        this.#cellsAt = Math.min(this.#cellsAt, at);
        continue;
      }
      const tenant = cell.tenant as TenantState;
      cell.state = "draining";
      residents.moveOut(now, cell, out);
      cells.giveBack(cell, out);
      if (cell.pool === "dedicated") this.complete(now, tenant, out);
    }
  }

  /** Brings a tenant's reserve to what its terms say, as soon as there is room. */
  complete(now: number, tenant: TenantState, out: PoolCommand[]): void {
    if (!this.#complete(now, tenant, out)) this.#incomplete.add(tenant);
  }

  #complete(now: number, tenant: TenantState, out: PoolCommand[]): boolean {
    const { cells, ladder } = this.#parts;
    this.#giveUp(now, tenant, out);
    if (cells.settle(now, tenant, out)) {
      tenant.reclaiming = undefined;
      return true;
    }
    // Others' idle cells make room for what was promised; runs in them finish.
    if (tenant.reclaiming === undefined || !cells.all.has(tenant.reclaiming.id)) {
      tenant.reclaiming = ladder.emptyOne(now, tenant, out);
      if (tenant.reclaiming !== undefined) this.noteEmpty(now, tenant.reclaiming, out);
    }
    return cells.missing(tenant) === 0;
  }

  /** Reserved cells that are more than the terms say: empty ones at once, others when their runs have finished. */
  #giveUp(now: number, tenant: TenantState, out: PoolCommand[]): void {
    const { cells, ladder } = this.#parts;
    const staying = tenant.cells.dedicated.filter(({ state }) => state === "active");
    let surplus = staying.reduce((sum, { span }) => sum + span, 0) - tenant.terms.dedicated;
    staying.sort((a, b) => occupants(a) - occupants(b));
    for (const cell of staying) {
      if (surplus <= 0) return;
      surplus -= cell.span;
      ladder.empty(now, cell, out);
      if (!isEmpty(cell)) continue;
      cells.close(cell, out);
    }
  }

  /** After the budget was lowered: idle cells go now, busy ones when their runs have finished; no run is ended. */
  shrink(now: number, out: PoolCommand[]): void {
    const { cells, ladder, residents } = this.#parts;
    residents.shrink(now, out);
    let excess = cells.excess();
    for (const pool of ["variable", "shared"] as const) {
      while (excess > 0 && cells.warming[pool].length > 0) {
        excess -= (cells.warming[pool].at(-1) as Cell).bytes;
        cells.close(cells.warming[pool].at(-1) as Cell, out);
      }
    }
    for (const cell of [...cells.all.values()].sort(byBusyness)) {
      if (excess <= 0) return;
      if (cell.pool === "dedicated") continue;
      excess -= cell.bytes;
      if (cell.state === "draining") continue;
      ladder.empty(now, cell, out);
      this.noteEmpty(now, cell, out);
    }
  }
}

function byBusyness(a: Cell, b: Cell): number {
  return a.busy + a.starting - (b.busy + b.starting) || (a.pool === "variable" ? 0 : 1) - (b.pool === "variable" ? 0 : 1);
}

/** Made at once where that is worth it, or was asked for; the rest at the next look. */
function wantedNow(state: ProgramState): number {
  return isCheap(state) ? Math.min(state.floor, state.target) : state.target;
}

function isCheap(state: ProgramState): boolean {
  return state.costs.linked < CHEAP;
}

function isShort({ removed, failing, idleCount, starting }: ProgramState, wanted: number): boolean {
  return !removed && !failing && idleCount + starting < wanted;
}

function pause(times: number): number {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** times);
}

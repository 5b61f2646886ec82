/**
 * What is done ahead of demand and after it: instances kept ready and let go, programs raised and lowered, cells given
 * back, filled up and replaced.
 *
 * Each program is looked at when there is a reason (its time on the agenda), not all of them at each step. Nothing here
 * takes capacity from a run: what is made ahead is made only where nobody waits, and never by taking a cell back.
 */
import { Agenda } from "./agenda.js";
import type { Cells } from "./cells.js";
import { expiry, runCharge, type Instances } from "./instances.js";
import { holds, type Ladder } from "./ladder.js";
import { LIKELY, mayGo, type Residents } from "./residents.js";
import { isEmpty, isHeld, occupants, type Cell, type Changes, type Instance, type ProgramState, type TenantState } from "./state.js";
import type { PoolCommand, PoolSettings } from "./types.js";

/** Instances of one program made ahead at once, and programs raised ahead at once, so that filling up starves nobody. */
const STARTING_AT_ONCE = 4;
const RAISING_AT_ONCE = 4;
/** A program that was deployed and never asked for stays linked so long, in milliseconds. */
const NEVER_USED = 10 * 60_000;
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
  readonly changes: Changes;
  readonly slots: number;
  /** The processors are busy: nothing is made ahead. */
  isOverloaded(now: number): boolean;
  /** Runs wait for room of the node: no cell is taken ahead. */
  isPressed(): boolean;
  isDraining(tenant: TenantState): boolean;
}

export class Upkeep {
  readonly #parts: UpkeepParts;
  /** Programs that are owed ready instances now. */
  readonly #short = new Set<ProgramState>();
  /** Programs to be linked ahead of their runs. */
  readonly #toRaise = new Set<ProgramState>();
  /** Tenants whose reserve is not whole. */
  readonly #incomplete = new Set<TenantState>();
  /** When empty cells go back. */
  readonly #cellAgenda = new Agenda<Cell>();
  #raising = 0;
  /** Prepared for runs that were foreseen, ever. */
  foreseen = 0;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  nextWake(): number {
    const { agenda, cells, ladder } = this.#parts;
    return Math.min(agenda.next(), this.#cellAgenda.next(), cells.nextRefill(), ladder.turnAt);
  }

  /** What has come due. */
  tick(now: number, out: PoolCommand[]): void {
    const { agenda, ladder, changes } = this.#parts;
    for (let state = agenda.take(now); state !== undefined; state = agenda.take(now)) this.review(now, state, out);
    for (let cell = this.#cellAgenda.take(now); cell !== undefined; cell = this.#cellAgenda.take(now)) this.#reviewCell(now, cell, out);
    if (now < ladder.turnAt) return;
    ladder.turnAt = Number.POSITIVE_INFINITY;
    changes.count++;
  }

  /** At the end of each step. `progressed`: something was freed in it. */
  settle(now: number, progressed: boolean, out: PoolCommand[]): void {
    const { residents, cells } = this.#parts;
    if (progressed && residents.isOver) residents.trim(now, out);
    if (this.#toRaise.size > 0) this.#raiseAhead(now, out);
    if (this.#short.size > 0) this.#refill(now, out);
    cells.refill(now, out);
  }

  /** Reserves that are not whole, as far as that is possible now. */
  completeAll(now: number, out: PoolCommand[]): void {
    for (const tenant of this.#incomplete) if (this.#complete(now, tenant, out)) this.#incomplete.delete(tenant);
  }

  /** A run of the program was asked for: its targets may have changed. */
  noteDemand(now: number, state: ProgramState): void {
    this.#parts.agenda.atLatest(state, now + PACE);
  }

  /**
   * The program may have fewer ready instances than it should. What is expected besides is looked at later: whoever said so has
   * counted by then the run that has just come.
   */
  noteShort(state: ProgramState): void {
    if (isShort(state, wantedNow(state))) this.#short.add(state);
  }

  /** An instance that was made ahead is there: the next one can be made. */
  noteMade(now: number, state: ProgramState): void {
    if (isShort(state, state.expectedUntil > now ? state.target : wantedNow(state))) this.#short.add(state);
    this.noteDemand(now, state);
  }

  /** So many runs of it are expected until then, instead of what was said before. */
  expect(now: number, state: ProgramState, count: number, until: number, depth: "ready" | "program", out: PoolCommand[]): void {
    const isOff = !(count > 0 && until > now);
    const ready = isOff || depth === "program" ? 0 : Math.ceil(count);
    // Runs that it is lowered for may be on their way.
    if (ready < state.expectedReady) state.releaseAt = now + PACE;
    if (isOff && state.expectedUntil === 0) return;
    state.expectedReady = ready;
    state.expectedUntil = isOff ? now : until;
    this.review(now, state, out);
  }

  /** None of the tenant's runs waits for room any more: what was held back for them can be made. */
  release({ held }: TenantState): void {
    for (const state of held) this.#short.add(state);
    held.clear();
  }

  /** An instance that was used lies idle: it has an end. */
  noteExpiry(state: ProgramState, at: number): void {
    this.#parts.agenda.atLatest(state, at);
  }

  /** Linked ahead of its runs: it keeps instances ready, or has a reserve. */
  isEager(state: ProgramState): boolean {
    return !state.removed && (state.floor > 0 || (state.pool === "dedicated" && state.tenant.terms.dedicated > 0));
  }

  /** Whatever was planned for it is off. */
  drop(state: ProgramState): void {
    this.#parts.agenda.delete(state);
    this.#short.delete(state);
    state.tenant.held.delete(state);
    this.#toRaise.delete(state);
  }

  /**
   * Links it, near to the run that needs it, unless that goes on already; false when it has just failed, or when there is no
   * place for it.
   */
  raise(now: number, state: ProgramState, near: Cell | undefined, out: PoolCommand[]): boolean {
    if (state.raising) return true;
    const { agenda, residents, cells } = this.#parts;
    if (state.raisePausedUntil > now) {
      agenda.atLatest(state, state.raisePausedUntil);
      return false;
    }
    if (!residents.house(now, state, near, near === undefined ? 0 : runCharge(state, cells.settings.overcommit), out)) return false;
    state.raising = true;
    this.#raising++;
    this.#toRaise.delete(state);
    out.push({ kind: "raise", program: state.program });
    return true;
  }

  raised(state: ProgramState): void {
    state.raising = false;
    state.raiseFailures = 0;
    state.raisePausedUntil = 0;
    this.#raising--;
    this.#short.add(state);
  }

  raiseFailed(now: number, state: ProgramState, out: PoolCommand[]): void {
    state.raising = false;
    this.#raising--;
    this.#parts.residents.leave(state, out);
    state.raiseFailures++;
    state.raisePausedUntil = now + pause(state.raiseFailures - 1);
    if (this.isEager(state)) this.#parts.agenda.atLatest(state, state.raisePausedUntil);
  }

  /** How many instances should lie ready, what is held linked, and when to look again. */
  review(now: number, state: ProgramState, out: PoolCommand[]): void {
    if (state.removed) return;
    const { demand } = state;
    if (this.#parts.cells.settings.forecast) this.#foresee(now, state);
    if (state.expectedUntil > 0 && state.expectedUntil <= now) endExpectation(now, state);
    state.usual = this.#usual(now, state);
    state.target = this.#target(now, state);
    if (state.code !== "linked") {
      const isWanted = this.isEager(state) || isHeld(now, state);
      if (isWanted && !this.#parts.isDraining(state.tenant)) this.#toRaise.add(state);
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

  /** With what is expected: no more than may run at once, however cheap they are to make. */
  #target(now: number, state: ProgramState): number {
    const { usual, expectedUntil, expectedReady, concurrency } = state;
    if (expectedUntil <= now || this.#isPaused(now, state) || !this.#parts.cells.settings.forecast) return usual;
    return Math.max(usual, Math.min(expectedReady, concurrency));
  }

  #isPaused(now: number, { failing, pausedUntil, tenant }: ProgramState): boolean {
    return failing || pausedUntil > now || this.#parts.isDraining(tenant);
  }

  #usual(now: number, state: ProgramState): number {
    const { floor, demand, foreseenUntil, reuse, leased } = state;
    if (this.#isPaused(now, state)) return 0;
    if (!this.#parts.cells.settings.forecast) return floor;
    const peak = demand.peak(now, HORIZON);
    // Instances that are used again come back from the runs that go on.
    const wanted = (peak < 0.5 ? 0 : Math.ceil(peak)) - (reuse.maxRequests > 1 ? leased : 0);
    // Foreseen, with nothing there yet: one will do, the rest follows when it comes.
    const forecast = foreseenUntil > now ? Math.max(1, wanted) : wanted;
    return Math.max(floor, Math.min(forecast, isCheap(state) ? 1 : forecast, state.concurrency));
  }

  /**
   * Lets idle instances go that are too old, or that are more than are wanted and have been so for a while; at once, those
   * that were never used and were made for runs that are expected no longer.
   */
  #letGo(now: number, state: ProgramState, out: PoolCommand[]): void {
    const { instances, cells } = this.#parts;
    const isReleased = state.releaseAt <= now;
    // Those that are still being made go when they are there.
    if (isReleased && state.starting === 0) state.releaseAt = Number.POSITIVE_INFINITY;
    if (state.idleCount === 0) return;
    const { instanceIdle } = cells.settings;
    let surplus = state.idleCount - state.target;
    for (const idle of state.idle.values()) {
      for (const instance of idle.slice()) {
        const isUnused = isReleased && instance.served === 0;
        const isOver = surplus > 0 && (isUnused || now - instance.idleSince >= instanceIdle);
        if (!isOver && expiry(instance) > now) continue;
        surplus--;
        instances.end(now, instance, out);
      }
    }
    this.noteShort(state);
  }

  #isUnneeded(now: number, state: ProgramState): boolean {
    if (!mayGo(state) || this.isEager(state) || state.waiting > 0 || isHeld(now, state)) return false;
    return now - state.lastUsed >= idleTime(state, this.#parts.cells.settings);
  }

  #nextLook(now: number, state: ProgramState): number {
    const { settings } = this.#parts.cells;
    const next = state.demand.next(now);
    let look = Number.POSITIVE_INFINITY;
    if (next !== undefined && next.likelihood >= LIKELY && next.from - this.#lead(state) > now) look = next.from - this.#lead(state);
    if (state.foreseenUntil > now) look = Math.min(look, state.foreseenUntil);
    if (state.expectedUntil > now) look = Math.min(look, state.expectedUntil);
    // What is released while instances are being made is looked at again when they are there.
    if (state.releaseAt > now) look = Math.min(look, state.releaseAt);
    if (state.pausedUntil > now) look = Math.min(look, state.pausedUntil);
    if (state.code !== "linked") return look;
    if (!this.isEager(state)) look = Math.min(look, Math.max(now + WATCH, state.lastUsed + idleTime(state, settings)));
    if (state.target > state.floor) look = Math.min(look, now + WATCH);
    const over = state.idleCount > state.target;
    for (const idle of state.idle.values()) {
      // The one that has been idle longest comes first.
      if (over) look = Math.min(look, (idle[0] as Instance).idleSince + settings.instanceIdle);
      for (const instance of idle) look = Math.min(look, expiry(instance));
    }
    return Math.max(look, now + 1);
  }

  #raiseAhead(now: number, out: PoolCommand[]): void {
    for (const state of this.#toRaise) {
      if (this.#raising >= RAISING_AT_ONCE) return;
      this.#toRaise.delete(state);
      if (state.code === "linked" || state.removed) continue;
      // Where it has no place now it may have one later.
      if (!this.raise(now, state, undefined, out)) this.#parts.agenda.atLatest(state, now + WATCH);
    }
  }

  /** Makes instances ahead of demand, where there is room that no run waits for. */
  #refill(now: number, out: PoolCommand[]): void {
    const isOverloaded = this.#parts.isOverloaded(now);
    for (const state of this.#short) {
      this.#short.delete(state);
      if (state.code !== "linked") continue;
      if (state.tenant.pressing > 0) {
        state.tenant.held.add(state);
        continue;
      }
      while (isShort(state, state.target) && state.starting < STARTING_AT_ONCE) {
        const cell = isOverloaded ? undefined : this.#cellAhead(now, state, out);
        if (cell === undefined) {
          // Room may come by itself: runs get what they wait for, cells go back, others are made.
          this.#parts.agenda.atLatest(state, now + WATCH);
          break;
        }
        this.prepare(now, state, cell, false, out);
      }
    }
  }

  /** A cell for an instance that is made ahead: the tenant's, or an unassigned one. */
  #cellAhead(now: number, state: ProgramState, out: PoolCommand[]): Cell | undefined {
    const { instances, cells, slots, residents, ladder } = this.#parts;
    if (instances.living >= slots) return undefined;
    const charge = runCharge(state, cells.settings.overcommit);
    const made = state.idleCount + state.starting;
    // What someone said is expected, whether or not the forecast would have it, too.
    const isExpected = made >= state.usual || (state.expectedUntil > now && made < state.expectedReady);
    const own = ownWithRoom(state, isExpected ? charge : state.readyBytes);
    if (own !== undefined) return own;
    // Beyond what the tenant has, only for what it said it wants ready, and for runs that are foreseen or expected.
    if (this.#parts.isPressed() || (state.floor <= made && state.foreseenUntil <= now && !isExpected)) return undefined;
    const taken = cells.take(now, state, state.pool, ladder.span(state, state.pool, charge), out);
    if (taken === undefined) return undefined;
    residents.moveIn(state, taken.cell, Math.max(charge, state.readyBytes), out);
    this.noteEmpty(now, taken.cell, out);
    return hasRoom(state, taken.cell) ? taken.cell : undefined;
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
    state.target = state.usual = 0;
    if (state.failures > SICK_AFTER) return;
    // What it left behind may be what makes it fail.
    this.#parts.instances.endIdle(now, state, out);
    this.#parts.agenda.atLatest(state, state.pausedUntil);
  }

  noteExhausted(now: number, cell: Cell, isExhausted: boolean, out: PoolCommand[]): void {
    if (!isExhausted) {
      cell.exhausted = 0;
      return;
    }
    // What lies idle there holds bytes that the next run may need.
    for (const instance of cell.idleInstances) this.#parts.instances.end(now, instance, out);
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
    if (cell.state === "warming" || (cell.pool === "dedicated" && cell.span === 1)) return;
    cell.idleSince = Math.max(cell.idleSince, now);
    this.#cellAgenda.set(cell, this.#goesAt(now, cell));
  }

  #goesAt(now: number, { tenant, idleSince }: Cell): number {
    const isDrained = tenant !== undefined && this.#parts.isDraining(tenant);
    return isDrained ? now : idleSince + this.#parts.cells.settings.cellIdle;
  }

  /** A cell that was being emptied is empty. */
  #drained(now: number, cell: Cell, out: PoolCommand[]): void {
    const { cells, ladder, residents } = this.#parts;
    const { tenant } = cell;
    residents.moveOut(now, cell, out);
    if (cell.sick === undefined) {
      const { emptiedFor } = cell;
      if (emptiedFor !== undefined && emptiedFor.program.waiting > 0) cells.keep(emptiedFor.program, cell);
      ladder.reclaimed(cell, out);
    } else {
      cells.counts[cell.pool].replaced++;
      cells.close(cell, out);
    }
    if (tenant !== undefined && cell.pool === "dedicated") this.complete(now, tenant, out);
  }

  /** A cell that has been empty for long goes back. */
  #reviewCell(now: number, cell: Cell, out: PoolCommand[]): void {
    const { cells, residents } = this.#parts;
    if (cell.state !== "active" || !isEmpty(cell)) return;
    const at = this.#goesAt(now, cell);
    if (at > now) return this.#cellAgenda.set(cell, at);
    const tenant = cell.tenant as TenantState;
    cells.drain(cell);
    residents.moveOut(now, cell, out);
    cells.giveBack(cell, out);
    if (cell.pool === "dedicated") this.complete(now, tenant, out);
  }

  /** The settings have changed: what goes back goes by the new times. */
  reviewCells(now: number, out: PoolCommand[]): void {
    for (const cell of this.#parts.cells.all.values()) if (cell.state === "active") this.noteEmpty(now, cell, out);
  }

  /** Brings a tenant's reserve to what its terms say, as soon as there is room. */
  complete(now: number, tenant: TenantState, out: PoolCommand[]): void {
    if (!this.#complete(now, tenant, out)) this.#incomplete.add(tenant);
  }

  #complete(now: number, tenant: TenantState, out: PoolCommand[]): boolean {
    const { cells, ladder } = this.#parts;
    this.#giveUp(now, tenant, out);
    this.#slim(now, tenant, out);
    for (;;) {
      const settled = cells.settle(now, tenant, out);
      if (settled !== "no-room") tenant.reserving = undefined;
      const { reserving } = tenant;
      if (settled !== "no-room" || (reserving !== undefined && cells.all.has(reserving.id))) return settled === "whole";
      // Others' idle cells make room for what was promised; runs in them finish.
      const victim = (tenant.reserving = ladder.emptyOne(now, out));
      if (victim === undefined) return false;
      this.noteEmpty(now, victim, out);
    }
  }

  /** Idle instances go from reserved cells that are to hold less than what is in them. */
  #slim(now: number, { cells: { dedicated } }: TenantState, out: PoolCommand[]): void {
    const { cells, instances } = this.#parts;
    const { cellBytes, cellSlots } = cells.settings.pools.dedicated;
    for (const cell of dedicated) {
      for (const instance of cell.idleInstances) {
        const bytes = cell.span * cellBytes;
        const fits = cell.charged <= bytes && occupants(cell) <= cell.span * cellSlots && instance.owner.memoryLimit <= bytes;
        if (fits) continue;
        instances.end(now, instance, out);
      }
    }
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
      if (isEmpty(cell)) cells.close(cell, out);
    }
  }

  /** After the budget was lowered: idle cells go now, busy ones when their runs have finished; no run is ended. */
  shrink(now: number, out: PoolCommand[]): void {
    const { cells, residents } = this.#parts;
    residents.trim(now, out);
    for (const pool of ["variable", "shared"] as const) {
      while (cells.excess() > 0 && cells.warming[pool].length > 0) cells.close(cells.warming[pool].at(-1) as Cell, out);
    }
    this.#giveBack(
      now,
      cells.excess(),
      [...cells.all.values()].filter(({ pool }) => pool !== "dedicated"),
      out,
    );
    this.#giveBack(
      now,
      cells.variableExcess(),
      [...cells.all.values()].filter(({ pool }) => pool === "variable"),
      out,
    );
  }

  /** After a tenant's ceiling was lowered. */
  trim(now: number, tenant: TenantState, out: PoolCommand[]): void {
    const { cells } = this.#parts;
    this.#giveBack(now, cells.variableBytes(tenant) - cells.ceiling(tenant), tenant.cells.variable, out);
  }

  /** So many bytes of these cells go, the idle ones first; those that go anyway count. */
  #giveBack(now: number, bytes: number, among: readonly Cell[], out: PoolCommand[]): void {
    let excess = bytes;
    for (const cell of among) if (cell.state === "draining") excess -= cell.bytes;
    const staying = among.filter(({ state }) => state === "active").sort(byBusyness);
    for (const cell of staying) {
      if (excess <= 0) return;
      excess -= cell.bytes;
      this.#parts.ladder.empty(now, cell, out);
      this.noteEmpty(now, cell, out);
    }
  }
}

function byBusyness(a: Cell, b: Cell): number {
  return a.busy + a.starting - (b.busy + b.starting) || (a.pool === "variable" ? 0 : 1) - (b.pool === "variable" ? 0 : 1);
}

/**
 * A cell of the tenant where an instance of the program has room that waits for its run, if each needs so many bytes. Runs that
 * come at once take place beside one another: without room for all of them, the instance would be of no use to the last.
 */
function ownWithRoom(state: ProgramState, bytes: number): Cell | undefined {
  const more = Math.max(0, bytes - state.readyBytes);
  return state.tenant.cells[state.pool].find((cell) => holds(cell, state) && hasRoom(state, cell, more * (waitingIn(state, cell) + 1)));
}

function waitingIn({ idle }: ProgramState, cell: Cell): number {
  return cell.starting + (idle.get(cell)?.length ?? 0);
}

function hasRoom({ readyBytes }: ProgramState, cell: Cell, besides = 0): boolean {
  return occupants(cell) < cell.slots && cell.charged + readyBytes + besides <= cell.bytes;
}

function endExpectation(now: number, state: ProgramState): void {
  if (state.expectedReady > 0) state.releaseAt = Math.min(state.releaseAt, now);
  state.expectedUntil = 0;
  state.expectedReady = 0;
}

/** Made at once where that is worth it, or was asked for; the rest at the next look. */
function wantedNow(state: ProgramState): number {
  return isCheap(state) ? Math.min(state.floor, state.usual) : state.usual;
}

/** How long a program stays linked that nobody asks for: one that nobody ever asked for holds nothing for long. */
function idleTime({ uses }: ProgramState, { programIdle }: PoolSettings): number {
  return uses === 0 ? Math.min(NEVER_USED, programIdle) : programIdle;
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

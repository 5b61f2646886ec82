/**
 * Linked programs: where their bytes are charged, and which goes when room is short.
 *
 * A program is charged to one cell of its tenant, whose other cells share it by reference; without a cell, or where
 * none has room, to the lobby. Its place is taken when linking begins, so that what is linked has a place. Who goes is
 * decided by GreedyDual (Young 1994; Cao & Irani 1997): what raising it again would cost, times how often it is asked
 * for, over its bytes, above the priority of what went last. A program whose next run is foreseen is raised again in
 * time, so until then it is the first to go, and then it stays.
 */
import type { Demand } from "../forecast/forecast.js";
import type { Cells } from "./cells.js";
import { isHeld, type Cell, type Instance, type ProgramState, type Reserved } from "./state.js";
import type { PoolCommand } from "./types.js";

/** Trust in a forecast from which on it decides. */
export const LIKELY = 0.5;
/** A foreseen run that is further away than this needs nothing now; milliseconds. */
const FAR = 5_000;

interface Move {
  readonly program: ProgramState;
  /** Undefined: the lobby. */
  readonly home: Cell | undefined;
}

export class Residents {
  readonly #cells: Cells;
  readonly #reserve: Readonly<Reserved>;
  /** Those in the lobby. */
  readonly #lobby = new Set<ProgramState>();
  #lobbyBytes = 0;
  /** The priority of what went last: what stays has to beat it, so that nobody lives on old fame. */
  #inflation = 0;
  /** Programs that were let go for want of room, ever. */
  evicted = 0;

  /** `reserve`: what calls have of the lobby. */
  constructor(cells: Cells, reserve: Readonly<Reserved>) {
    this.#cells = cells;
    this.#reserve = reserve;
  }

  /** What programs and calls are charged in the lobby. */
  get lobbyBytes(): number {
    return this.#lobbyBytes + this.#reserve.bytes;
  }

  /** More than the lobby may hold: programs in use that lost their cell. */
  get isOver(): boolean {
    return this.lobbyBytes > this.#cells.settings.lobbyBytes;
  }

  /** Whether a place for its linked form can be found outside of the cell. */
  hasHome(state: ProgramState, not?: Cell): boolean {
    return cellWithRoom(state, not) !== undefined || this.#lobbyFits(state.programBytes, not);
  }

  /** Whether the lobby has room for its linked form, or can have it when others are let go. */
  lobbyHolds({ programBytes }: ProgramState): boolean {
    let over = this.lobbyBytes + programBytes - this.#cells.settings.lobbyBytes;
    for (const state of this.#lobby) {
      if (over <= 0) break;
      if (mayGo(state)) over -= state.programBytes;
    }
    return over <= 0;
  }

  /**
   * Takes a place for its linked form: in the cell near to its run if the run still fits there, in another of the tenant's,
   * in the lobby; there others go for it. False when there is none.
   */
  house(now: number, state: ProgramState, near: Cell | undefined, runBytes: number, out: PoolCommand[]): boolean {
    const { programBytes } = state;
    const isNear = near?.state === "active" && near.charged + programBytes + runBytes <= near.bytes;
    const home = isNear ? near : cellWithRoom(state, near);
    if (home === undefined && !this.#makeLobbyRoom(now, programBytes, near, out)) return false;
    this.touch(now, state);
    this.#settleIn(home, state, out);
    return true;
  }

  /** The program is linked from now on and holds so many bytes; false when there is no place for it: it was let go again. */
  linked(now: number, state: ProgramState, bytes: number, out: PoolCommand[]): boolean {
    state.code = "linked";
    this.touch(now, state);
    if (bytes === state.programBytes) return true;
    const { home } = state;
    this.leave(state, out);
    state.programBytes = bytes;
    if (this.house(now, state, home, 0, out)) return true;
    this.evicted++;
    this.#unlink(state, out);
    return false;
  }

  /** Its linked form is gone, or was never made. */
  leave(state: ProgramState, out: PoolCommand[]): void {
    if (state.home !== undefined) this.#uncharge(state.home, state, out);
    else if (this.#lobby.delete(state)) this.#lobbyBytes -= state.programBytes;
  }

  /** The tenant has a cell, for a run that will be charged so much: what is linked for it is charged there if both fit. */
  moveIn(state: ProgramState, cell: Cell, runBytes: number, out: PoolCommand[]): void {
    if (!this.#lobby.has(state) || !hasRoom(cell, state.programBytes + runBytes)) return;
    this.leave(state, out);
    this.#settleIn(cell, state, out);
  }

  /** The cell goes: its programs find another place, or are let go. */
  moveOut(now: number, cell: Cell, out: PoolCommand[]): void {
    for (const state of cell.programs) {
      this.#uncharge(cell, state, out);
      const home = cellWithRoom(state, cell);
      if (home !== undefined) {
        this.#settleIn(home, state, out);
      } else if (this.#lobbyFits(state.programBytes, cell) || !mayGo(state)) {
        // What is in use stays, and the lobby holds more than it may until something can go.
        while (!this.#lobbyHas(state.programBytes) && this.#evictFromLobby(now, cell, out));
        this.#settleIn(undefined, state, out);
      } else {
        this.evicted++;
        this.#unlink(state, out);
      }
    }
  }

  /** A run of it was asked for. */
  touch(now: number, state: ProgramState): void {
    const worth = frequency(now, state) / 1000;
    state.priority = this.#inflation + (worth * state.costs.compiled) / Math.max(1, state.programBytes);
    state.idlePriority = this.#inflation + (worth * state.costs.linked) / Math.max(1, state.readyBytes);
  }

  /** An idle instance of the program went for want of room. */
  noteEvicted({ owner }: Instance): void {
    this.#inflation = Math.max(this.#inflation, owner.idlePriority);
  }

  /**
   * Programs of the cell that are `movable` go where there is room for them that nobody uses, until it has so many bytes
   * more; if that is not enough, none of them does. Each goes once in a step: two cells that are both wanted would give
   * theirs to and fro without an end.
   */
  spread(cell: Cell, bytes: number, movable: (program: ProgramState) => boolean, out: PoolCommand[]): boolean {
    const moves = this.#plan(cell, bytes, movable);
    for (const { program, home } of moves ?? []) {
      program.movedIn = this.#cells.changes.steps;
      this.leave(program, out);
      this.#settleIn(home, program, out);
    }
    return moves !== undefined;
  }

  #plan(cell: Cell, bytes: number, movable: (program: ProgramState) => boolean): Move[] | undefined {
    const moves: Move[] = [];
    let missing = bytes;
    for (const program of cell.programs) {
      if (missing <= 0) break;
      if (!movable(program)) continue;
      if (program.movedIn === this.#cells.changes.steps) {
        this.#cells.changes.isPutOff = true;
        continue;
      }
      const { programBytes } = program;
      const taken = (where: Cell | undefined): number =>
        moves.reduce((sum, { home, program: other }) => sum + (home === where ? other.programBytes : 0), 0);
      const home = cellWithRoom(program, cell, (other) => hasRoom(other, taken(other) + programBytes));
      if (home === undefined && !this.#lobbyHas(taken(undefined) + programBytes)) continue;
      moves.push({ program, home });
      missing -= programBytes;
    }
    return missing <= 0 ? moves : undefined;
  }

  /** Of the programs of the cell that may go, the one that is worth least. */
  lowestIn(now: number, cell: Cell, besides: ProgramState): ProgramState | undefined {
    return lowest(now, cell.programs, this.#cells.settings.forecast, besides);
  }

  /** The program leaves the cell: for the lobby if it is worth more than what would have to go there, else for good. */
  displace(now: number, state: ProgramState, cell: Cell, out: PoolCommand[]): void {
    if (state.programBytes > this.#cells.settings.lobbyBytes) return this.#evict(state, out);
    while (!this.#lobbyHas(state.programBytes)) {
      const least = lowest(now, this.#lobby, this.#cells.settings.forecast);
      if (least === undefined || least.priority >= state.priority) return this.#evict(state, out);
      this.#evictFromLobby(now, cell, out);
    }
    this.leave(state, out);
    this.#settleIn(undefined, state, out);
  }

  /** The program leaves the cell for the lobby, whatever has to go there for it; false where that is not enough. */
  moveToLobby(now: number, state: ProgramState, cell: Cell, out: PoolCommand[]): boolean {
    if (!this.#makeLobbyRoom(now, state.programBytes, cell, out)) return false;
    this.leave(state, out);
    this.#settleIn(undefined, state, out);
    return true;
  }

  #evict(state: ProgramState, out: PoolCommand[]): void {
    this.#inflation = Math.max(this.#inflation, state.priority);
    this.evicted++;
    this.lower(state, out);
  }

  /** After the lobby became smaller, or something in it may go. */
  trim(now: number, out: PoolCommand[]): void {
    while (this.isOver && this.#evictFromLobby(now, undefined, out));
  }

  /** Back to the compiled form. */
  lower(state: ProgramState, out: PoolCommand[]): void {
    this.leave(state, out);
    this.#unlink(state, out);
  }

  #unlink(state: ProgramState, out: PoolCommand[]): void {
    state.code = "compiled";
    out.push({ kind: "lower", program: state.program });
  }

  #lobbyHas(bytes: number): boolean {
    return this.lobbyBytes + bytes <= this.#cells.settings.lobbyBytes;
  }

  /**
   * Has programs make way for an instance of this one in the lobby; false where that is not enough. Where it has to be taken in
   * whatever it takes, all make way that can.
   */
  clearForCall(now: number, state: ProgramState, isDue: boolean, out: PoolCommand[]): boolean {
    const { lobbyBytes } = this.#cells.settings;
    const goes = (program: ProgramState): boolean => program !== state && mayGo(program);
    let over = this.lobbyBytes + state.memoryLimit - lobbyBytes;
    for (const program of this.#lobby) if (goes(program)) over -= program.programBytes;
    if (over > 0 && !isDue) return false;
    while (!this.#lobbyHas(state.memoryLimit)) {
      const victim = lowest(now, this.#lobby, this.#cells.settings.forecast, state);
      if (victim === undefined) break;
      this.#evict(victim, out);
    }
    return true;
  }

  /** Whether the lobby has room for so much, or can have it when others go, though not to that cell. */
  #lobbyFits(bytes: number, not: Cell | undefined): boolean {
    let over = this.lobbyBytes + bytes - this.#cells.settings.lobbyBytes;
    if (over <= 0) return true;
    if (bytes > this.#cells.settings.lobbyBytes) return false;
    for (const state of this.#lobby) {
      if (mayGo(state) || cellWithRoom(state, not) !== undefined) over -= state.programBytes;
      if (over <= 0) return true;
    }
    return false;
  }

  #makeLobbyRoom(now: number, bytes: number, not: Cell | undefined, out: PoolCommand[]): boolean {
    if (!this.#lobbyFits(bytes, not)) return false;
    while (!this.#lobbyHas(bytes) && this.#evictFromLobby(now, not, out));
    return this.#lobbyHas(bytes);
  }

  #evictFromLobby(now: number, not: Cell | undefined, out: PoolCommand[]): boolean {
    // Its tenant may have a cell by now.
    for (const state of this.#lobby) {
      const home = cellWithRoom(state, not);
      if (home === undefined) continue;
      this.leave(state, out);
      this.#settleIn(home, state, out);
      return true;
    }
    const victim = lowest(now, this.#lobby, this.#cells.settings.forecast);
    if (victim !== undefined) this.#evict(victim, out);
    return victim !== undefined;
  }

  #settleIn(home: Cell | undefined, state: ProgramState, out: PoolCommand[]): void {
    if (home !== undefined) return this.#charge(home, state, out);
    this.#lobby.add(state);
    this.#lobbyBytes += state.programBytes;
  }

  #charge(cell: Cell, state: ProgramState, out: PoolCommand[]): void {
    state.home = cell;
    cell.programs.add(state);
    cell.charged += state.programBytes;
    cell.programBytes += state.programBytes;
    this.#cells.tell(cell, out);
  }

  #uncharge(cell: Cell, state: ProgramState, out: PoolCommand[]): void {
    state.home = undefined;
    cell.programs.delete(state);
    cell.charged -= state.programBytes;
    cell.programBytes -= state.programBytes;
    this.#cells.noteFreed(state.tenant);
    // One that is given up needs no other limit.
    if (cell.state === "active") this.#cells.tell(cell, out);
  }
}

/** Nothing of it runs, or is being made for a run. */
export function mayGo(state: ProgramState): boolean {
  return state.code === "linked" && state.existing === 0 && state.leased === 0 && state.pins.size === 0;
}

/** The next run is foreseen, and not soon. */
function isFarAhead(now: number, demand: Demand): boolean {
  const next = demand.next(now);
  return next !== undefined && next.likelihood >= LIKELY && next.from - now > FAR;
}

function lowest(now: number, programs: ReadonlySet<ProgramState>, isForeseeing: boolean, besides?: ProgramState): ProgramState | undefined {
  let found: ProgramState | undefined;
  let foundTurn = 0;
  for (const state of programs) {
    if (state === besides || !mayGo(state)) continue;
    const turn = turnOf(now, state, isForeseeing);
    if (found !== undefined && (turn > foundTurn || (turn === foundTurn && state.priority >= found.priority))) continue;
    [found, foundTurn] = [state, turn];
  }
  return found;
}

/** Before any priority: what is wanted much later goes first, what is wanted soon goes last. */
function turnOf(now: number, state: ProgramState, isForeseeing: boolean): number {
  if (state.waiting > 0 || isHeld(now, state)) return 1;
  return isForeseeing && isFarAhead(now, state.demand) ? -1 : 0;
}

/** Runs a second over a long time, so that rare tasks can be told apart. */
function frequency(now: number, state: ProgramState): number {
  const age = Math.max(1000, now - state.firstUsed);
  return (1000 * Math.max(1, state.uses)) / age;
}

/** A cell of the tenant that has room for its linked form: of its own sub-pool, or where its runs may go over to. */
function cellWithRoom(
  { tenant, pool, programBytes }: ProgramState,
  not?: Cell,
  has: (cell: Cell) => boolean = (cell) => hasRoom(cell, programBytes),
): Cell | undefined {
  const isHome = (cell: Cell): boolean => cell !== not && cell.state === "active" && has(cell);
  return tenant.cells[pool].find(isHome) ?? (pool === "shared" ? undefined : tenant.cells.shared.find(isHome));
}

function hasRoom(cell: Cell, bytes: number): boolean {
  return cell.charged + bytes <= cell.bytes;
}

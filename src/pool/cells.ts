/**
 * The node's memory cut into cells: which exist, whose they are, and how they come and go.
 *
 * The budget has the lobby, the dedicated cells that were promised, and what is left for everyone. A cell of the
 * shared or variable sub-pool is warming until a tenant takes it and goes back when it has been empty for a while; a
 * dedicated one is its tenant's from its making on. A task that is larger than a cell takes several, joined into one.
 * What happens inside of cells is `pool.ts`'s.
 */
import { occupants, remove, type Cell, type Changes, type ProgramState, type TenantState } from "./state.js";
import { SUB_POOLS, type PoolCommand, type PoolSettings, type SubPool } from "./types.js";

/** Cells a second that a warming pool gets back at least, and more for each that is taken a second. */
const REFILL_BASE = 10;
const REFILL_FACTOR = 4;
/** Over which time taken cells are counted, in milliseconds. */
const TAKE_MEMORY = 10_000;

export interface Room {
  readonly bytes: number;
  readonly slots: number;
}

interface Kept extends Room {
  /** The last one of the tenant's that asked for more. */
  readonly program: ProgramState;
}

interface Counts {
  assigned: number;
  reclaimed: number;
  replaced: number;
  misses: number;
}

export class Cells {
  readonly all = new Map<number, Cell>();
  readonly warming: Record<SubPool, Cell[]> = { shared: [], dedicated: [], variable: [] };
  readonly counts: Record<SubPool, Counts> = { shared: noCounts(), dedicated: noCounts(), variable: noCounts() };
  settings: PoolSettings;
  /** Instances that may exist on the node. */
  readonly #slots: number;
  readonly #tenants: ReadonlyMap<string, TenantState>;
  readonly #changes: Changes;
  #nextId = 1;
  #bytes = 0;
  #usedSlots = 0;
  /** Bytes of variable cells. */
  #variableBytes = 0;
  /** Room of cells that were emptied for a tenant's runs, kept for these until they take it or want it no more. */
  readonly #kept = new Map<TenantState, Kept>();
  #keptBytes = 0;
  #keptSlots = 0;
  /** What is promised to tenants and not made yet; counted when it is asked for, undefined: anew. */
  #promised: { readonly bytes: number; readonly slots: number } | undefined;
  /** Cells taken from warming lately, decayed, and when that was counted. */
  readonly #taken: Record<SubPool, { count: number; at: number }> = {
    shared: { count: 0, at: 0 },
    dedicated: { count: 0, at: 0 },
    variable: { count: 0, at: 0 },
  };
  /** When the next cell may be made ahead. */
  readonly #refillAt: Record<SubPool, number> = { shared: 0, dedicated: 0, variable: 0 };

  constructor(settings: PoolSettings, slots: number, tenants: ReadonlyMap<string, TenantState>, changes: Changes) {
    this.settings = settings;
    this.#slots = slots;
    this.#tenants = tenants;
    this.#changes = changes;
  }

  /** What all cells may hold together now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What is neither in cells, nor in the lobby, nor promised to or kept for a tenant. Negative after the budget was lowered. */
  free(): number {
    const { budgetBytes, lobbyBytes } = this.settings;
    return budgetBytes - lobbyBytes - this.#bytes - this.#owed().bytes - this.#keptBytes;
  }

  #freeSlots(): number {
    return this.#slots - this.#usedSlots - this.#owed().slots - this.#keptSlots;
  }

  /** Room that was emptied for runs of the program is not for other tenants. */
  keep(program: ProgramState, { bytes, slots }: Room): void {
    const kept = this.#kept.get(program.tenant);
    this.#kept.set(program.tenant, { program, bytes: bytes + (kept?.bytes ?? 0), slots: slots + (kept?.slots ?? 0) });
    this.#keptBytes += bytes;
    this.#keptSlots += slots;
  }

  /** What was kept for the program is anyone's. */
  letGo(program: ProgramState): void {
    if (this.#kept.size === 0 || this.#kept.get(program.tenant)?.program !== program) return;
    this.#takeKept(program.tenant);
    this.#changes.count++;
  }

  #takeKept(tenant: TenantState): Kept | undefined {
    const kept = this.#kept.get(tenant);
    if (kept === undefined) return undefined;
    this.#kept.delete(tenant);
    this.#keptBytes -= kept.bytes;
    this.#keptSlots -= kept.slots;
    return kept;
  }

  /** Room that is kept for others than the tenant of this name. */
  keptBesides(name: string): Room {
    let [bytes, slots] = [this.#keptBytes, this.#keptSlots];
    for (const [tenant, kept] of this.#kept) {
      if (tenant.name !== name) continue;
      bytes -= kept.bytes;
      slots -= kept.slots;
    }
    return { bytes, slots };
  }

  /** Whether room is kept for a tenant other than this one. */
  keepsForOthers(tenant: TenantState): boolean {
    return this.#kept.size > (this.#kept.has(tenant) ? 1 : 0);
  }

  /** Whether what is free, kept and being emptied for the tenant will do for such a cell. */
  comes(tenant: TenantState, pool: SubPool, span: number): boolean {
    const { cellBytes, cellSlots } = this.settings.pools[pool];
    let [bytes, slots] = [0, 0];
    for (const cell of this.all.values()) {
      if (cell.state !== "draining" || cell.emptiedFor?.program.tenant !== tenant || cell.emptiedFor.pool !== pool) continue;
      bytes += cell.bytes;
      slots += cell.slots;
    }
    if (bytes === 0) return false;
    const kept = this.#kept.get(tenant);
    bytes += Math.max(0, this.free()) + (kept?.bytes ?? 0);
    slots += Math.max(0, this.#freeSlots()) + (kept?.slots ?? 0);
    return span * cellBytes <= bytes && span * cellSlots <= slots;
  }

  /** Whether a cell of the shared or variable sub-pool can ever be so large, with all others' given up for it. */
  canEverHave(tenant: TenantState, pool: SubPool, span: number): boolean {
    const { cellBytes, cellSlots } = this.settings.pools[pool];
    const kept = this.#kept.get(tenant);
    let [bytes, slots] = [this.free() + (kept?.bytes ?? 0), this.#freeSlots() + (kept?.slots ?? 0)];
    for (const cell of this.all.values()) {
      if (cell.pool === "dedicated" || (pool === "variable" && cell.pool !== "variable")) continue;
      bytes += cell.bytes;
      slots += cell.slots;
    }
    return span * cellBytes <= bytes && span * cellSlots <= slots;
  }

  /** Dedicated cells that tenants are to have and that are not there yet, or not in their size. */
  #owed(): { readonly bytes: number; readonly slots: number } {
    if (this.#promised !== undefined) return this.#promised;
    const { cellBytes, cellSlots } = this.settings.pools.dedicated;
    let [bytes, slots] = [0, 0];
    for (const tenant of this.#tenants.values()) {
      const missing = this.missing(tenant);
      bytes += missing * cellBytes;
      slots += missing * cellSlots;
      for (const cell of tenant.cells.dedicated) {
        if (cell.state !== "active") continue;
        bytes += Math.max(0, cell.span * cellBytes - cell.bytes);
        slots += Math.max(0, cell.span * cellSlots - cell.slots);
      }
    }
    return (this.#promised = { bytes, slots });
  }

  /** What is promised may be another sum, and others may have more of the node. */
  promisesChanged(): void {
    this.#promised = undefined;
    this.#changes.count++;
  }

  /** Dedicated cells that the tenant should have and has not. */
  missing({ terms, cells }: TenantState): number {
    return Math.max(0, terms.dedicated - spans(cells.dedicated));
  }

  /** How many cells an instance takes that may grow to so many bytes. */
  span(pool: SubPool, memoryLimit: number): number {
    return Math.max(1, Math.ceil(memoryLimit / this.settings.pools[pool].cellBytes));
  }

  /**
   * An unassigned cell for a run of the program, or one made for it from what is free, or from what was kept for its tenant.
   * Undefined: there is neither, or the tenant's terms do not allow it. Never a dedicated one.
   */
  take(
    now: number,
    program: ProgramState,
    pool: SubPool,
    span: number,
    out: PoolCommand[],
  ): { readonly cell: Cell; readonly origin: "warming" | "made" | "kept" } | undefined {
    const { tenant } = program;
    if (pool === "dedicated" || (pool === "variable" && !(this.mayHave(tenant, span) && this.#isBelowCeiling(span)))) return undefined;
    const ready = span === 1 ? this.warming[pool].pop() : undefined;
    if (ready === undefined) this.counts[pool].misses++;
    const origin = ready === undefined ? this.#roomFor(program, pool, span, out) : "warming";
    if (origin === undefined) return undefined;
    const cell = ready ?? this.#make(pool, span, out);
    this.#noteTake(now, pool);
    this.#assign(cell, tenant, now);
    return { cell, origin };
  }

  /** Makes room for such a cell: of what was kept for the program, what is free, what was kept for another of its tenant's. */
  #roomFor(program: ProgramState, pool: SubPool, span: number, out: PoolCommand[]): "made" | "kept" | undefined {
    const kept = this.#kept.get(program.tenant);
    if (kept?.program !== program && this.#makeRoom(pool, span, out)) return "made";
    if (kept === undefined) return undefined;
    this.#takeKept(program.tenant);
    if (this.#makeRoom(pool, span, out)) return "kept";
    this.keep(kept.program, kept);
    return undefined;
  }

  /** Whether the tenant may have so many more variable cells. */
  mayHave(tenant: TenantState, span: number): boolean {
    return this.variableBytes(tenant) + span * this.settings.pools.variable.cellBytes <= this.ceiling(tenant);
  }

  variableBytes({ cells }: TenantState): number {
    return cells.variable.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Bytes that the tenant's variable cells may come to. */
  ceiling({ terms }: TenantState): number {
    return terms.variableCeiling * this.settings.budgetBytes;
  }

  #isBelowCeiling(span: number): boolean {
    return this.variableExcess() + span * this.settings.pools.variable.cellBytes <= 0;
  }

  /** Bytes of variable cells with a tenant, over what all of them may come to; negative below that. */
  variableExcess(): number {
    const { budgetBytes, variableCeiling } = this.settings;
    const unassigned = this.warming.variable.reduce((sum, { bytes }) => sum + bytes, 0);
    return this.#variableBytes - unassigned - variableCeiling * budgetBytes;
  }

  /** True when so many cells can be made; unassigned ones are given up for a joined one, and variable ones for anyone. */
  #makeRoom(pool: SubPool, span: number, out: PoolCommand[]): boolean {
    const { cellBytes, cellSlots } = this.settings.pools[pool];
    const [bytes, slots] = [span * cellBytes, span * cellSlots];
    const fits = (): boolean => this.free() >= bytes && this.#freeSlots() >= slots;
    if (fits()) return true;
    const given = pool === "shared" ? [this.warming.shared, this.warming.variable] : [this.warming[pool]];
    let [most, mostSlots] = [this.free(), this.#freeSlots()];
    for (const cells of given) {
      for (const cell of cells) {
        most += cell.bytes;
        mostSlots += cell.slots;
      }
    }
    if (most < bytes || mostSlots < slots) return false;
    while (!fits()) this.close((given.at(-1)?.at(-1) ?? given[0]?.at(-1)) as Cell, out);
    return true;
  }

  #make(pool: SubPool, span: number, out: PoolCommand[]): Cell {
    const { cellBytes, cellSlots } = this.settings.pools[pool];
    const cell: Cell = {
      id: this.#nextId++,
      pool,
      span,
      bytes: span * cellBytes,
      slots: span * cellSlots,
      state: "warming",
      tenant: undefined,
      charged: 0,
      programBytes: 0,
      busy: 0,
      idle: 0,
      starting: 0,
      ending: 0,
      pinned: 0,
      programs: new Set(),
      idleInstances: new Set(),
      idleSince: 0,
      assignedAt: 0,
      exhausted: 0,
      emptiedFor: undefined,
      sick: undefined,
    };
    this.all.set(cell.id, cell);
    this.#count(cell, 1);
    this.tell(cell, out);
    return cell;
  }

  /** Says to the engine what the cell's instances may hold. */
  tell(cell: Cell, out: PoolCommand[]): void {
    out.push({ kind: "cell", cell: cell.id, bytes: Math.max(0, cell.bytes - cell.programBytes), reserved: cell.pool === "dedicated" });
  }

  /** Steps and changes, for those who may do something once in each step. */
  get changes(): Changes {
    return this.#changes;
  }

  /** There is room in the tenant's cells that runs of it may wait for. */
  noteFreed(tenant: TenantState): void {
    tenant.changes++;
    this.#changes.count++;
  }

  /** It takes no more runs. */
  drain(cell: Cell): void {
    if (cell.state !== "active") return;
    cell.state = "draining";
    (cell.tenant as TenantState).active[cell.pool] -= cell.span;
    if (cell.pool === "dedicated") this.promisesChanged();
  }

  /** An empty cell without a tenant, or whose tenant gives it up, is there no more. */
  close(cell: Cell, out: PoolCommand[]): void {
    this.drain(cell);
    if (cell.tenant !== undefined) remove(cell.tenant.cells[cell.pool], cell);
    else remove(this.warming[cell.pool], cell);
    this.all.delete(cell.id);
    this.#count(cell, -1);
    cell.tenant = undefined;
    this.#changes.count++;
    out.push({ kind: "close-cell", cell: cell.id });
  }

  /** An empty cell of a tenant goes back: to the warming pool where one is wanted there, else it is there no more. */
  giveBack(cell: Cell, out: PoolCommand[]): void {
    const { warming, cellBytes, cellSlots } = this.settings.pools[cell.pool];
    const usual = cell.bytes === cellBytes && cell.slots === cellSlots && cell.sick === undefined;
    const wanted = cell.pool !== "dedicated" && usual && this.warming[cell.pool].length < warming && this.free() >= 0;
    if (!wanted) return this.close(cell, out);
    this.drain(cell);
    remove((cell.tenant as TenantState).cells[cell.pool], cell);
    cell.tenant = undefined;
    cell.state = "warming";
    cell.exhausted = 0;
    this.#changes.count++;
    this.warming[cell.pool].push(cell);
  }

  #assign(cell: Cell, tenant: TenantState, now: number): void {
    cell.tenant = tenant;
    cell.state = "active";
    cell.idleSince = now;
    cell.assignedAt = now;
    tenant.cells[cell.pool].push(cell);
    tenant.active[cell.pool] += cell.span;
    this.counts[cell.pool].assigned++;
    // Who has more of them may have to give one up.
    this.noteFreed(tenant);
    if (cell.pool === "dedicated") this.promisesChanged();
  }

  /**
   * Makes what a tenant has been promised, as far as there is room, in the size that is set. `whole`: all of it is there;
   * `no-room`: others have what is missing; `in-use`: runs of its own are in the way.
   */
  settle(now: number, tenant: TenantState, out: PoolCommand[]): "whole" | "no-room" | "in-use" {
    const { cellBytes, cellSlots } = this.settings.pools.dedicated;
    const fit = this.#fit(tenant, out);
    for (let missing = this.missing(tenant); missing > 0; missing--) {
      if (!this.#roomForReserve(cellBytes, cellSlots, out)) return "no-room";
      this.#assign(this.#make("dedicated", 1, out), tenant, now);
    }
    return fit;
  }

  /** What is promised is not free for others; for the reserves it is. Unassigned cells are given up for them. */
  #roomForReserve(bytes: number, slots: number, out: PoolCommand[]): boolean {
    const { budgetBytes, lobbyBytes } = this.settings;
    while (budgetBytes - lobbyBytes - this.#bytes < bytes || this.#slots - this.#usedSlots < slots) {
      const spare = this.warming.variable.at(-1) ?? this.warming.shared.at(-1);
      if (spare === undefined) return false;
      this.close(spare, out);
    }
    return true;
  }

  /** Brings reserved cells to the size that is set: larger when there is room, smaller as what is in them goes. */
  #fit(tenant: TenantState, out: PoolCommand[]): "whole" | "no-room" | "in-use" {
    const { cellBytes, cellSlots } = this.settings.pools.dedicated;
    let [inUse, lacksRoom] = [false, false];
    for (const cell of tenant.cells.dedicated) {
      const [bytes, slots] = [cell.span * cellBytes, cell.span * cellSlots];
      if ((cell.bytes === bytes && cell.slots === slots) || cell.state !== "active") continue;
      const [more, moreSlots] = [Math.max(0, bytes - cell.bytes), Math.max(0, slots - cell.slots)];
      const mayGrow = more + moreSlots === 0 || this.#roomForReserve(more, moreSlots, out);
      lacksRoom ||= !mayGrow;
      const goal = { bytes: Math.max(bytes, Math.ceil(cell.charged)), slots: Math.max(slots, occupants(cell)) };
      if (mayGrow) this.#resize(cell, goal.bytes, goal.slots, out);
      else this.#resize(cell, Math.min(cell.bytes, goal.bytes), Math.min(cell.slots, goal.slots), out);
      inUse ||= cell.bytes !== bytes || cell.slots !== slots;
    }
    return lacksRoom ? "no-room" : inUse ? "in-use" : "whole";
  }

  #resize(cell: Cell, bytes: number, slots: number, out: PoolCommand[]): void {
    if (cell.bytes === bytes && cell.slots === slots) return;
    this.#count(cell, -1);
    cell.bytes = bytes;
    cell.slots = slots;
    this.#count(cell, 1);
    this.#changes.count++;
    if (cell.tenant !== undefined) cell.tenant.changes++;
    this.tell(cell, out);
  }

  /** Whether cells of the reserve can make way for one as large as so many. */
  canJoin(parts: readonly Cell[], span: number): boolean {
    const { budgetBytes, lobbyBytes, pools } = this.settings;
    const bytes = parts.reduce((sum, cell) => sum + cell.bytes, budgetBytes - lobbyBytes - this.#bytes);
    const slots = parts.reduce((sum, cell) => sum + cell.slots, this.#slots - this.#usedSlots);
    return span * pools.dedicated.cellBytes <= bytes && span * pools.dedicated.cellSlots <= slots;
  }

  /** Replaces empty cells of the tenant's reserve by one as large as so many, and what is left of them. */
  join(now: number, tenant: TenantState, empty: readonly Cell[], span: number, out: PoolCommand[]): Cell {
    for (const cell of empty) this.close(cell, out);
    const cell = this.#make("dedicated", span, out);
    this.#assign(cell, tenant, now);
    this.settle(now, tenant, out);
    return cell;
  }

  /** Unassigned cells up to the target; paced, unless the target has just been set. */
  refill(now: number, out: PoolCommand[], atOnce = false): void {
    for (const pool of SUB_POOLS) {
      const { warming, cellBytes, cellSlots } = this.settings.pools[pool];
      const cells = this.warming[pool];
      // Asked in every step: nearly always there is nothing to do.
      if (cells.length === warming) continue;
      while (cells.length > warming) this.close(cells.pop() as Cell, out);
      const isDue = (): boolean => atOnce || this.#refillAt[pool] <= now;
      while (cells.length < warming && isDue() && this.free() >= cellBytes && this.#freeSlots() >= cellSlots) {
        cells.push(this.#make(pool, 1, out));
        this.#refillAt[pool] = now + 1000 / (REFILL_BASE + REFILL_FACTOR * this.#takeRate(now, pool));
      }
    }
  }

  /** When `refill` has something to do; Infinity: never. */
  nextRefill(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const pool of SUB_POOLS) {
      const { warming, cellBytes, cellSlots } = this.settings.pools[pool];
      if (this.warming[pool].length >= warming || this.free() < cellBytes || this.#freeSlots() < cellSlots) continue;
      next = Math.min(next, this.#refillAt[pool]);
    }
    return next;
  }

  /** Bytes over the budget, when that was lowered. */
  excess(): number {
    return Math.max(0, -this.free());
  }

  #noteTake(now: number, pool: SubPool): void {
    const taken = this.#taken[pool];
    taken.count = this.#takeRate(now, pool) * (TAKE_MEMORY / 1000) + 1;
    taken.at = now;
    // A higher rate shortens the wait that goes on, too.
    this.#refillAt[pool] = Math.min(this.#refillAt[pool], now + 1000 / (REFILL_BASE + REFILL_FACTOR * this.#takeRate(now, pool)));
  }

  /** Cells taken a second, lately. */
  #takeRate(now: number, pool: SubPool): number {
    const { count, at } = this.#taken[pool];
    return (count * Math.exp(-(now - at) / TAKE_MEMORY)) / (TAKE_MEMORY / 1000);
  }

  #count(cell: Cell, sign: 1 | -1): void {
    this.#bytes += sign * cell.bytes;
    this.#usedSlots += sign * cell.slots;
    if (cell.pool === "variable") this.#variableBytes += sign * cell.bytes;
    if (cell.pool === "dedicated") this.promisesChanged();
  }

  /** Unassigned cells have the new sizes at once, reserved ones by `settle`, and others when they are made anew. */
  configure(settings: PoolSettings, out: PoolCommand[]): void {
    this.settings = settings;
    this.promisesChanged();
    for (const tenant of this.#kept.keys()) this.#takeKept(tenant);
    for (const pool of SUB_POOLS) {
      const { cellBytes, cellSlots } = settings.pools[pool];
      for (const cell of this.warming[pool].slice()) if (cell.bytes !== cellBytes || cell.slots !== cellSlots) this.close(cell, out);
    }
  }
}

/** How many cells of the usual size these are. */
export function spans(cells: readonly Cell[]): number {
  return cells.reduce((sum, { span }) => sum + span, 0);
}

function noCounts(): Counts {
  return { assigned: 0, reclaimed: 0, replaced: 0, misses: 0 };
}

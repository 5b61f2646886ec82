/**
 * What holds on a node after every step, whatever happened: the sums of its memory, whose cells are whose, and that nobody
 * waits for nothing.
 *
 * It looks at the model's own records and at what the pool shows of cells and programs; where both know something they
 * must agree. A budget or a ceiling that was lowered is no reason to end a run, so what is above it may stay, but not grow.
 */
import type { CellView, ProgramView } from "../../../src/pool/views.js";
import { SUB_POOLS, type SubPool, type SubPoolSettings } from "../../../src/pool/types.js";
import { check, type EngineInstance, type EngineProgram } from "./engine.js";
import { EXPIRY, ROUNDING, type NodeModel, type Run } from "./node.js";

/** All that a question about one moment needs. */
interface Scene {
  readonly node: NodeModel;
  readonly cells: readonly CellView[];
  readonly cell: ReadonlyMap<number, CellView>;
  readonly program: ReadonlyMap<number, ProgramView>;
  readonly instances: ReadonlyMap<number, readonly EngineInstance[]>;
}

export class Judge {
  readonly #node: NodeModel;
  /** Sums that may not grow while they are too large. */
  readonly #sums = new Map<string, number>();
  /** Whose each reserved cell is. */
  readonly #reserved = new Map<number, string>();

  constructor(node: NodeModel) {
    this.#node = node;
    node.beforeChange = () => this.judge();
  }

  /** Fails with the first thing that does not hold. */
  judge(): void {
    const scene = sceneOf(this.#node);
    judgeCounts(scene);
    for (const cell of scene.cells) this.#judgeCell(scene, cell);
    this.#judgeSums(scene);
    judgeLeases(scene);
    judgeLine(scene);
  }

  /** `sum` is at most `most`, or was too large before and has not grown. */
  #atMost(what: string, sum: number, most: number): void {
    const before = this.#sums.get(what) ?? 0;
    check(sum <= most || sum <= before, () => `${what}: ${sum} of ${most}, after ${before}`);
    this.#sums.set(what, sum);
  }

  #judgeCell({ node, program, instances }: Scene, view: CellView): void {
    const { cell: id, pool, state, tenant, chargedBytes, bytes, slots } = view;
    const name = `cell ${id} of ${tenant ?? "nobody"} (${pool})`;
    const engine = node.engine.cells.get(id);
    check(engine !== undefined, () => `${name} is shown, and the engine does not have it`);
    check(state === "warming" ? tenant === undefined && pool !== "dedicated" : tenant !== undefined, () => `${name} is ${state}`);
    check(engine.existing === 0 || engine.tenant === tenant, () => `${name} has instances of ${engine.tenant}`);
    if (pool === "dedicated") {
      const owner = this.#reserved.get(id) ?? tenant ?? "nobody";
      check(owner === tenant, () => `${name} was reserved for ${owner}`);
      this.#reserved.set(id, owner);
    }
    const living = view.busy + view.idle + view.starting;
    check(living === engine.living, () => `${name} has ${living} instances by the pool, and ${engine.living} by the engine`);
    check(living <= slots, () => `${name} has ${living} instances in ${slots} slots`);
    check(chargedBytes <= bytes, () => `${name} is charged ${chargedBytes} of ${bytes} bytes`);
    let least = 0;
    for (const number of view.programs) {
      const known = program.get(number);
      check(known !== undefined && known.tenant === tenant, () => `${name} has program ${number} of ${known?.tenant}`);
      least += known.programBytes;
    }
    for (const instance of instances.get(id) ?? []) least += instance.charge;
    check(least <= chargedBytes + 1, () => `${name} is charged ${chargedBytes}, and what is in it comes to ${least}`);
  }

  #judgeSums({ node, cells, program }: Scene): void {
    const { settings, options, pool } = node;
    const { budgetBytes, lobbyBytes, variableCeiling } = settings;
    const sum = (of: readonly CellView[]): number => of.reduce((bytes, cell) => bytes + cell.bytes, 0);
    const slots = cells.reduce((total, cell) => total + cell.slots, 0);
    this.#atMost("the budget", sum(cells), budgetBytes - lobbyBytes);
    check(slots <= options.slots, () => `cells have ${slots} slots, and the node ${options.slots}`);
    const variable = cells.filter((cell) => cell.pool === "variable" && cell.tenant !== undefined);
    this.#atMost("variable cells", sum(variable), variableCeiling * budgetBytes);
    for (const { name, terms } of node.tenants.values()) {
      const own = variable.filter(({ tenant }) => tenant === name);
      this.#atMost(`variable cells of ${name}`, sum(own), terms.variableCeiling * budgetBytes);
      const reserved = cells.filter((cell) => cell.pool === "dedicated" && cell.tenant === name && cell.state === "active");
      this.#atMost(`reserved cells of ${name}`, reserved.length, terms.dedicated);
    }
    const reserved = node.reserved();
    const callBytes = reserved.reduce((bytes, { program: { terms } }) => bytes + terms.memoryLimit, 0);
    check(reserved.length <= options.callSlots, () => `${reserved.length} instances in the reserve, of ${options.callSlots}`);
    if (reserved.length > 1) this.#atMost("the reserve", callBytes, lobbyBytes);
    const view = pool.view();
    check(view.cellBytes === sum(cells), () => `the pool says ${view.cellBytes} bytes in cells, and they come to ${sum(cells)}`);
    if (view.lobbyChargedBytes > lobbyBytes) {
      const idle = [...node.engine.programs.values()].find((each) => isIdleInLobby(each, cells, program));
      check(idle === undefined, () => `the lobby holds ${view.lobbyChargedBytes} of ${lobbyBytes}, and ${idle?.terms.program} may go`);
    }
  }
}

function sceneOf(node: NodeModel): Scene {
  const cells = node.pool.cells();
  const instances = new Map<number, EngineInstance[]>();
  for (const instance of node.engine.instances.items) {
    if (instance.cell === undefined || instance.isReleased) continue;
    const { id } = instance.cell;
    const others = instances.get(id);
    if (others === undefined) instances.set(id, [instance]);
    else others.push(instance);
  }
  return {
    node,
    cells,
    cell: new Map(cells.map((cell) => [cell.cell, cell])),
    program: new Map(node.pool.programs().map((program) => [program.program, program])),
    instances,
  };
}

function isIdleInLobby(each: EngineProgram, cells: readonly CellView[], views: Scene["program"]): boolean {
  const { code, existing, leased, isForgotten, terms } = each;
  if (code !== "linked" || existing + leased > 0 || isForgotten || !views.has(terms.program)) return false;
  return !cells.some(({ programs }) => programs.includes(terms.program));
}

function judgeCounts({ node, cells, program }: Scene): void {
  const { waiting } = node.pool.counts();
  const kept = node.pool.keptFrom("");
  check(node.waiting.size > 0 || kept.bytes + kept.slots === 0, () => `${kept.bytes} bytes are kept for runs that wait, and none does`);
  check(waiting === node.waiting.size, () => `the pool says that ${waiting} wait; ${node.waiting.size} do`);
  check(cells.length === node.engine.cells.size, () => `${cells.length} cells are shown, and there are ${node.engine.cells.size}`);
  const lines = new Map<string, number>();
  for (const each of node.engine.programs.values()) {
    if (each.isForgotten) continue;
    const { program: id, tenant, concurrency } = each.terms;
    const view = program.get(id);
    check(view !== undefined, () => `program ${id} is not shown`);
    check(view.waiting === each.waiting, () => `program ${id}: ${view.waiting} wait by the pool; ${each.waiting} do`);
    check(view.busy === each.leased, () => `program ${id}: ${view.busy} leases by the pool; there are ${each.leased}`);
    check(each.leased <= concurrency, () => `${each.leased} runs of program ${id} at once, of ${concurrency}`);
    check((view.code === "linked") === (each.code === "linked"), () => `program ${id} is ${view.code} by the pool and ${each.code}`);
    lines.set(tenant, (lines.get(tenant) ?? 0) + each.waiting);
  }
  for (const [tenant, waits] of lines) check(waits <= node.options.queue, () => `${waits} runs of ${tenant} wait`);
}

/** Whoever has outlived its lease is given up; whoever waits is asked again in time. */
function judgeLeases({ node }: Scene): void {
  for (const { id, leasedUntil } of node.leased.items) {
    check(node.steady - leasedUntil <= EXPIRY, () => `run ${id} still has a lease, ${node.steady - leasedUntil} ms after its end`);
  }
  let earliest = Number.POSITIVE_INFINITY;
  for (const { deadline } of node.waiting.items) earliest = Math.min(earliest, deadline);
  const wake = node.pool.nextWake() - node.clock + node.time;
  // Times that were moved by a clock that went back may differ in the last digits.
  check(wake <= earliest + ROUNDING, () => `the pool sleeps until ${wake}, past a deadline at ${earliest}`);
}

/** Work is conserved: a run waits only where its task, its code, its terms or a node without room explain it. */
function judgeLine(scene: Scene): void {
  const { node } = scene;
  if (node.waiting.size === 0) return;
  const { runLimit, leases } = node.pool.view();
  if (leases + 1 > runLimit) return;
  // It has said that it looks again soon; a run that is then left waiting is found by the next look.
  if (node.pool.isPutOff()) return;
  const seen = new Set<EngineProgram>();
  for (const run of node.waiting.items) {
    check(run.depth === 0 || run.program.isRaising, () => `run ${run.id}, for which another waits, waits for room`);
    if (seen.has(run.program)) continue;
    seen.add(run.program);
    judgeWaiting(scene, run);
  }
}

function judgeWaiting(scene: Scene, { id, program }: Run): void {
  const { node } = scene;
  const { terms, isRaising, code, raisePausedUntil } = program;
  if (program.leased >= terms.concurrency) return;
  if (isRaising || (code !== "linked" && raisePausedUntil > node.time)) return;
  check(terms.whenFull !== "reject", () => `run ${id} waits for room, and its task says reject`);
  const found = findPlace(scene, program);
  check(found === undefined, () => `run ${id} of program ${terms.program} (${terms.tenant}, ${terms.pool}) waits, and ${found}`);
}

/** Where a run of the program could take place; undefined: nowhere. */
function findPlace(scene: Scene, program: EngineProgram): string | undefined {
  const { pool, whenFull } = program.terms;
  const spills = pool === "dedicated" && whenFull === "spill";
  return placeIn(scene, program, pool) ?? (spills ? placeIn(scene, program, "shared") : undefined);
}

function placeIn(scene: Scene, program: EngineProgram, pool: SubPool): string | undefined {
  return (
    onInstance(scene, program, pool) ??
    inOwnCell(scene, program, pool) ??
    (pool === "dedicated" ? undefined : inNewCell(scene, program, pool))
  );
}

/** What a run of it is charged, and with the code that has no place yet. */
function needs({ program: views }: Scene, { terms, code, bytes }: EngineProgram): number {
  const { runBytes } = views.get(terms.program) as ProgramView;
  return runBytes + (code === "linked" ? 0 : Math.max(bytes, 2 ** 18));
}

function onInstance({ node, cell, program: views }: Scene, { terms }: EngineProgram, pool: SubPool): string | undefined {
  const { runBytes } = views.get(terms.program) as ProgramView;
  for (const instance of node.engine.instances.items) {
    const view = instance.cell === undefined ? undefined : cell.get(instance.cell.id);
    if (instance.program.terms.program !== terms.program || view?.pool !== pool || view.state !== "active") continue;
    if (view.bytes < terms.memoryLimit) continue;
    if (instance.isClosed || instance.isReleased || instance.isStarting) continue;
    const name = `${instance.slot}/${instance.generation}`;
    if (instance.runs > 0) {
      if (instance.runs < terms.reuse.maxConcurrent) return `could share ${name}`;
    } else if (view.chargedBytes - instance.charge + runBytes <= view.bytes) return `${name} lies idle`;
  }
  return undefined;
}

function inOwnCell(scene: Scene, program: EngineProgram, pool: SubPool): string | undefined {
  const { terms } = program;
  const bytes = needs(scene, program);
  for (const cell of scene.cells) {
    if (cell.tenant !== terms.tenant || cell.pool !== pool || cell.state !== "active") continue;
    if (cell.bytes < terms.memoryLimit || cell.busy + cell.starting >= cell.slots) continue;
    let idle = 0;
    for (const { runs, isStarting, charge } of scene.instances.get(cell.cell) ?? []) if (runs === 0 && !isStarting) idle += charge;
    if (cell.chargedBytes - idle + bytes <= cell.bytes) return `cell ${cell.cell} has room, or what lies idle in it has`;
  }
  return undefined;
}

function inNewCell(scene: Scene, program: EngineProgram, pool: SubPool): string | undefined {
  const { node, cells } = scene;
  const { terms } = program;
  const { settings, options } = node;
  const { cellBytes, cellSlots } = settings.pools[pool];
  const span = Math.max(1, Math.ceil(Math.max(terms.memoryLimit, needs(scene, program)) / cellBytes));
  const [bytes, slots] = [span * cellBytes, span * cellSlots];
  if (pool === "variable" && !mayHaveVariable(scene, terms.tenant, bytes)) return undefined;
  if (span === 1 && cells.some((cell) => cell.pool === pool && cell.state === "warming")) return "a cell is warming";
  const given = cells.filter((cell) => cell.state === "warming" && (cell.pool === pool || pool === "shared"));
  const kept = node.pool.keptFrom(terms.tenant);
  let [free, freeSlots] = [settings.budgetBytes - settings.lobbyBytes - kept.bytes, options.slots - kept.slots];
  for (const cell of cells) {
    if (given.includes(cell)) continue;
    free -= cell.bytes;
    freeSlots -= cell.slots;
  }
  for (const { name, terms: promised } of node.tenants.values()) {
    const reserved = cells.filter((cell) => cell.pool === "dedicated" && cell.tenant === name);
    const { dedicated } = settings.pools;
    free -= owed(reserved, promised.dedicated, "bytes", dedicated);
    freeSlots -= owed(reserved, promised.dedicated, "slots", dedicated);
  }
  if (free >= bytes && freeSlots >= slots) return `the node has room for ${span} more cells`;
  if (cells.some(({ state }) => state === "draining")) return undefined;
  // A cell that lies idle can be had, unless it is held for a program that is being linked.
  if (span > 1 || isLinking(node)) return undefined;
  const foreign = cells.filter((cell) => cell.state === "active" && (cell.tenant !== terms.tenant || cell.pool !== pool));
  const victim = foreign.find(
    (cell) => (cell.pool === "variable" || (cell.pool === "shared" && pool === "shared")) && cell.busy + cell.starting === 0,
  );
  if (victim !== undefined) return `cell ${victim.cell} of ${victim.tenant} lies idle`;
  if (pool === "shared" && foreign.some((cell) => cell.pool === "variable")) return "others have variable capacity";
  const rich = foreign.find((cell) => cell.pool === pool && hasMore(scene, cell.tenant as string, terms.tenant, pool));
  return rich === undefined ? undefined : `${rich.tenant} has more than its share`;
}

/** What a tenant is still to have of its promise: cells that are missing, and what those that it has lack of their size. */
function owed(reserved: readonly CellView[], promised: number, what: "bytes" | "slots", { cellBytes, cellSlots }: SubPoolSettings): number {
  const size = what === "bytes" ? cellBytes : cellSlots;
  // How many cells one of another size counts for that is being emptied, is not shown.
  const counts = (cell: CellView): number =>
    cell.state === "draining" ? size * Math.min(Math.floor(cell.bytes / cellBytes), Math.floor(cell.slots / cellSlots)) : cell[what];
  const missing = promised * size - reserved.reduce((sum, cell) => sum + counts(cell), 0);
  const lacking = reserved.reduce((sum, cell) => sum + (cell.state === "active" ? Math.max(0, size - cell[what]) : 0), 0);
  return Math.max(0, missing, lacking);
}

/** Whether a tenant has more cells, for its weight, than another would have with one more. */
function hasMore({ node, cells }: Scene, holder: string, asking: string, pool: SubPool): boolean {
  const of = (name: string): readonly CellView[] =>
    cells.filter((cell) => cell.tenant === name && cell.pool === pool && cell.state === "active");
  // What a joined cell counts for, or one of another size, is not shown.
  if ([...of(holder), ...of(asking)].some(({ bytes }) => bytes !== node.settings.pools[pool].cellBytes)) return false;
  const share = (name: string, more: number): number => (of(name).length + more) / node.tenant(name).terms.weight;
  return share(holder, 0) > share(asking, 1);
}

function mayHaveVariable({ node, cells }: Scene, tenant: string, bytes: number): boolean {
  const { budgetBytes, variableCeiling } = node.settings;
  let [own, all] = [bytes, bytes];
  for (const cell of cells) {
    if (cell.pool !== "variable" || cell.tenant === undefined) continue;
    all += cell.bytes;
    if (cell.tenant === tenant) own += cell.bytes;
  }
  return own <= node.tenant(tenant).terms.variableCeiling * budgetBytes && all <= variableCeiling * budgetBytes;
}

function isLinking({ engine }: NodeModel): boolean {
  return [...engine.programs.values()].some(({ isRaising }) => isRaising);
}

/** At rest, with nothing running, every promise of reserved cells is kept, in the size that is set. */
export function judgeReserves(node: NodeModel): void {
  const { cellBytes, cellSlots } = node.settings.pools.dedicated;
  const cells = node.pool.cells();
  let needed = 0;
  for (const { terms } of node.tenants.values()) needed += terms.dedicated;
  if (needed * cellBytes > node.settings.budgetBytes - node.settings.lobbyBytes || needed * cellSlots > node.options.slots) return;
  for (const { name, terms } of node.tenants.values()) {
    const own = cells.filter(({ tenant, pool }) => pool === "dedicated" && tenant === name);
    const bytes = own.reduce((sum, cell) => sum + cell.bytes, 0);
    check(
      bytes === terms.dedicated * cellBytes,
      () => `${name} has ${bytes} bytes reserved, and should have ${terms.dedicated} cells of ${cellBytes}`,
    );
  }
  for (const pool of SUB_POOLS) {
    const warming = cells.filter((cell) => cell.pool === pool && cell.state === "warming").length;
    check(warming <= node.settings.pools[pool].warming, () => `${warming} cells of ${pool} are warming, and more than are wanted`);
  }
}

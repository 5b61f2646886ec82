/**
 * The operator's side of capacity: terms of tenants, settings of the node, and what its cells do now.
 *
 * The pool is behind a port. What adds up is decided here, before a change is committed; the pool then goes over to it in
 * its own order and ends nothing that runs. Draining is not kept: a node that starts again takes runs.
 */
import { ProblemError } from "../base/problem.js";
import { sizeText, sizeTexts, shareText } from "../base/units.js";
import { roomForCells, settingsFaults } from "../config/capacity.js";
import { SUB_POOLS, type PoolSettings } from "../pool/types.js";
import type { CellView, PoolTotals, PoolView, ProgramView } from "../pool/views.js";
import { capacityFaults } from "../tasks/capacity.js";
import type { Catalog } from "../tasks/catalog.js";
import type { Manifest } from "../tasks/manifest.js";
import type { Router } from "../tasks/router.js";
import { require as requireScope } from "../tenants/access.js";
import { invalid, noSuch } from "../tenants/refusals.js";
import { USUAL_TERMS, type Caller, type CapacityTerms, type Tenant } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { CapacityInfo, CellInfo, Page, Paged } from "./control.js";
import type { Deed, Ledger } from "./ledger.js";
import type { CapacityChange, NodeCapacity } from "./node-capacity.js";
import { paged } from "./paging.js";

/** The pool, as an operator sees and steers it. */
export interface CapacityPort {
  cells(): readonly CellView[];
  view(): PoolView;
  totals(): PoolTotals;
  programs(): readonly ProgramView[];
  configure(settings: PoolSettings): void;
  /** A tenant's terms are these from now on; its tasks' effective capacity may be another (src/tasks/capacity.ts). */
  terms(tenant: string, terms: CapacityTerms): void;
  /** A tenant, or with neither the whole node, takes no more runs; or a cell takes none and is replaced. */
  drain(what: { readonly tenant?: string; readonly cell?: number }): void;
  resume(what: { readonly tenant?: string }): void;
}

export interface CapacityPorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly catalog: Catalog;
  readonly router: Router;
  readonly capacity: CapacityPort;
  readonly settings: NodeCapacity;
}

/** Names in a sentence; the rest are counted. */
const NAMED = 10;

/** Settings, and tenants with their terms. */
interface Having {
  readonly settings: PoolSettings;
  readonly tenants: readonly Pick<Tenant, "name" | "capacity">[];
}

/**
 * Whether the node has what the terms promise. Throws `request/invalid` with the fields of settings that contradict each
 * other, `request/conflict` with the sum of terms that does not add up. With `before`, what is wrong already, as after a
 * move to a smaller machine, does not stand in the way of a change that makes it no worse.
 */
export function plan(settings: PoolSettings, tenants: Having["tenants"], before?: Having): void {
  const faults = settingsFaults(settings);
  if (faults.length > 0) throw invalid(faults);
  const excess = dedicatedBytes(settings, tenants) - roomForCells(settings);
  const known = before === undefined ? 0 : Math.max(0, dedicatedBytes(before.settings, before.tenants) - roomForCells(before.settings));
  if (excess > known) throw conflict(dedicatedSum(settings, tenants));
  for (const { name, capacity } of tenants) {
    const fault = variableFault(settings, name, capacity.variableCeiling);
    if (fault === undefined) continue;
    const had = before?.tenants.find((tenant) => tenant.name === name)?.capacity.variableCeiling ?? 0;
    const isOld = before !== undefined && capacity.variableCeiling <= had && variableFault(before.settings, name, had) !== undefined;
    if (!isOld) throw conflict(fault);
  }
}

function dedicatedBytes({ pools }: PoolSettings, tenants: Having["tenants"]): number {
  return pools.dedicated.cellBytes * tenants.reduce((sum, { capacity }) => sum + capacity.dedicated, 0);
}

/** The sum of dedicated cells in words, against what there is. */
function dedicatedSum(settings: PoolSettings, tenants: Having["tenants"]): string {
  const holders = tenants.map(({ name, capacity }) => ({ name, cells: capacity.dedicated })).filter(({ cells }) => cells > 0);
  const named = holders.slice(0, NAMED).map((holder) => `${holder.name} ${holder.cells}`);
  const others = holders.slice(NAMED);
  const rest = others.reduce((sum, { cells }) => sum + cells, 0);
  const who = [...named, ...(rest > 0 ? [`${others.length} other${others.length === 1 ? "" : "s"} ${rest}`] : [])].join(" + ");
  const [sum, has] = sizeTexts(dedicatedBytes(settings, tenants), roomForCells(settings));
  return `${who} dedicated cells of ${sizeText(settings.pools.dedicated.cellBytes)} come to ${sum}; the node has ${has} for cells.`;
}

function variableFault({ budgetBytes, variableCeiling, pools }: PoolSettings, name: string, ceiling: number): string | undefined {
  if (ceiling > variableCeiling)
    return `${name} may have ${shareText(ceiling)} of the budget in variable cells; all tenants together may have ${shareText(variableCeiling)}.`;
  const { cellBytes } = pools.variable;
  if (ceiling === 0 || ceiling * budgetBytes >= cellBytes) return undefined;
  const [share, cell] = sizeTexts(Math.floor(ceiling * budgetBytes), cellBytes);
  return `${name}'s ${shareText(ceiling)} of the budget of ${sizeText(budgetBytes)} are ${share}; one variable cell has ${cell}.`;
}

export class CapacityDesk {
  readonly #ports: CapacityPorts;
  readonly #drained = new Set<string>();

  constructor(ports: CapacityPorts) {
    this.#ports = ports;
  }

  /** After a start, before programs are added: gives the pool the terms. Returns what does not go together, in words. */
  restore(): string[] {
    const { tenants, capacity, settings } = this.#ports;
    const wrong = settings.contradictions.map(
      ({ field, message }) => `what was set on the running node is passed over: ${field}: ${message}`,
    );
    for (const { name, capacity: terms } of tenants.list()) capacity.terms(name, terms);
    try {
      plan(settings.current, tenants.list());
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      wrong.push(error.message);
    }
    return wrong;
  }

  /** The cells: all for keys of the node; its own for a tenant's. */
  cells(caller: Caller, page: Page): Paged<CellInfo> {
    const own = caller.kind === "key" ? caller.key.tenant : undefined;
    requireScope(caller, own, "read");
    const { capacity } = this.#ports;
    const tasks = new Map(capacity.programs().map(({ program, task }) => [program, task]));
    const cells = capacity
      .cells()
      .filter(({ tenant }) => own === undefined || tenant === own)
      .map((cell) => cellInfo(cell, tasks));
    if (own === undefined) cells.sort((a, b) => a.cell - b.cell);
    // Numbers count the cells of all tenants, and their order is that of their making, before they had a tenant: in both
    // one would see how busy the others are.
    else for (const [i, cell] of cells.sort(byContents).entries()) cell.cell = i + 1;
    return paged(cells, ({ cell }) => String(cell).padStart(16, "0"), page);
  }

  capacity(caller: Caller): CapacityInfo {
    requireScope(caller, undefined, "read");
    const { capacity, settings } = this.#ports;
    const { runLimit, ...now } = capacity.view();
    return {
      settings: settings.current,
      set: settings.set,
      now: { ...now, runLimit: Number.isFinite(runLimit) ? runLimit : undefined },
      totals: capacity.totals(),
      drained: [...this.#drained].sort(),
    };
  }

  setCapacity(caller: Caller, change: CapacityChange): Promise<CapacityInfo> {
    requireScope(caller, undefined, "admin");
    return this.#ports.ledger.turn(() => this.#configure(caller, "capacity.set", this.#ports.settings.change(change)));
  }

  resetCapacity(caller: Caller): Promise<CapacityInfo> {
    requireScope(caller, undefined, "admin");
    return this.#ports.ledger.turn(() => this.#configure(caller, "capacity.reset", this.#ports.settings.reset()));
  }

  async #configure(caller: Caller, action: string, to: ReturnType<NodeCapacity["change"]>): Promise<CapacityInfo> {
    const { tenants, ledger, capacity, settings } = this.#ports;
    const before = { settings: settings.current, tenants: tenants.list() };
    plan(to.settings, before.tenants, before);
    for (const { name, capacity: terms } of before.tenants) this.#refuseBroken(name, [terms, before.settings], [terms, to.settings]);
    const deed: Deed = { tenant: undefined, action, subject: "capacity of the node", before: settings.set, after: to.set };
    const going = { changes: [], apply: () => capacity.configure(to.settings) };
    await ledger.commit(caller, deed, [to, going]);
    return this.capacity(caller);
  }

  /**
   * Whether a tenant may have these terms beside the others'. Throws as `plan` does, and `request/conflict` when live tasks
   * need what would go. Inside the turn in which they are committed.
   */
  checkTerms(tenant: Tenant): void {
    const { tenants, settings } = this.#ports;
    const { name, capacity } = tenant;
    const now = { settings: settings.current, tenants: tenants.list() };
    const after = [...now.tenants.filter((other) => other.name !== name), tenant].sort((a, b) => (a.name < b.name ? -1 : 1));
    plan(now.settings, after, now);
    const before = tenants.get(name)?.capacity ?? USUAL_TERMS;
    this.#refuseBroken(name, [before, now.settings], [capacity, now.settings]);
  }

  /** Terms that are committed. */
  termsSet({ name, capacity }: Tenant): void {
    this.#ports.capacity.terms(name, capacity);
  }

  /** A tenant that is gone: one of the same name later begins anew. */
  forget(tenant: string): void {
    this.#ports.capacity.terms(tenant, USUAL_TERMS);
    if (this.#drained.delete(tenant)) this.#ports.capacity.resume({ tenant });
  }

  /** What a manifest picks that its tenant does not have, by fields of the manifest. */
  faultsOf(tenant: Tenant, manifest: Manifest): ReturnType<typeof capacityFaults> {
    return capacityFaults(manifest, tenant.capacity, this.#ports.settings.current);
  }

  drainCell(caller: Caller, id: string): Promise<void> {
    requireScope(caller, undefined, "admin");
    return this.#ports.ledger.turn(async () => {
      const cell = this.#ports.capacity.cells().find((one) => String(one.cell) === id);
      if (cell === undefined) throw noSuch("cell", id);
      const { pool, state, tenant } = cell;
      const deed: Deed = {
        tenant: undefined,
        action: "cell.drain",
        subject: `cell ${id}`,
        before: { pool, state, tenant },
        after: undefined,
      };
      await this.#do(caller, deed, () => this.#ports.capacity.drain({ cell: cell.cell }));
    });
  }

  /** `tenant` undefined: the whole node. Nothing that runs is ended. */
  drain(caller: Caller, tenant: string | undefined): Promise<void> {
    return this.#gate(caller, tenant, "drain", () => {
      if (tenant !== undefined) this.#drained.add(tenant);
      this.#ports.capacity.drain(tenant === undefined ? {} : { tenant });
    });
  }

  resume(caller: Caller, tenant: string | undefined): Promise<void> {
    return this.#gate(caller, tenant, "resume", () => {
      if (tenant !== undefined) this.#drained.delete(tenant);
      this.#ports.capacity.resume(tenant === undefined ? {} : { tenant });
    });
  }

  #gate(caller: Caller, tenant: string | undefined, what: "drain" | "resume", work: () => void): Promise<void> {
    requireScope(caller, undefined, "admin");
    return this.#ports.ledger.turn(async () => {
      if (tenant !== undefined) this.#ports.tenants.need(tenant);
      const [action, subject] = tenant === undefined ? [`node.${what}`, "the node"] : [`tenant.${what}`, `tenant ${tenant}`];
      await this.#do(caller, { tenant, action, subject, before: undefined, after: undefined }, work);
    });
  }

  /** What changes no stored thing, with its entry in the log. Inside a turn. */
  async #do(caller: Caller, deed: Deed, work: () => void): Promise<void> {
    await this.#ports.ledger.commit(caller, deed, [{ changes: [], apply: work }]);
  }

  /** Throws `request/conflict` when live tasks of the tenant have what they need before, and not after. */
  #refuseBroken(tenant: string, before: Measure, after: Measure): void {
    const broken: string[] = [];
    for (const { name, manifest } of this.#live(tenant)) {
      const had = new Set(capacityFaults(manifest, ...before).map(({ field }) => field));
      const fault = capacityFaults(manifest, ...after).find(({ field }) => !had.has(field));
      if (fault !== undefined) broken.push(`${name} (${fault.field}: ${fault.message})`);
    }
    if (broken.length === 0) return;
    const more = broken.length > NAMED ? `; and ${broken.length - NAMED} more` : "";
    throw conflict(`Live tasks of ${tenant} need what would go: ${broken.slice(0, NAMED).join("; ")}${more}.`);
  }

  /** The manifests that requests of a tenant lead to. */
  #live(tenant: string): { readonly name: string; readonly manifest: Manifest }[] {
    const { catalog, router } = this.#ports;
    return catalog
      .list(tenant)
      .flatMap(({ name }) => (router.live(tenant, name)?.choices ?? []).map(({ task }) => ({ name, manifest: task.version.manifest })));
  }
}

type Numbered = Omit<CellInfo, "cell"> & { cell: number };

function cellInfo({ programs, ...cell }: CellView, tasks: ReadonlyMap<number, string>): Numbered {
  const names = new Set(programs.flatMap((program) => tasks.get(program) ?? []));
  return { ...cell, tasks: [...names].sort() };
}

/** An order that says nothing of when cells were made. */
function byContents(a: Numbered, b: Numbered): number {
  const [left, right] = [a, b].map(({ tasks, state }) => `${tasks.join(" ")} ${state}`) as [string, string];
  return SUB_POOLS.indexOf(a.pool) - SUB_POOLS.indexOf(b.pool) || b.bytes - a.bytes || (left < right ? -1 : left === right ? 0 : 1);
}

type Measure = readonly [terms: CapacityTerms, settings: PoolSettings];

function conflict(detail: string): ProblemError {
  return new ProblemError("request/conflict", detail);
}

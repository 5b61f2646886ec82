/**
 * A node with more tenants than cells, in this process: all is as by default but how small its memory is, and how soon what
 * is idle goes.
 *
 * Each tenant has the guest of both versions of WASI twice: with a clean instance for each request, as by default, and with
 * instances that serve several. All have cells of the same sub-pool, so that they take them from each other.
 */
import { readFileSync } from "node:fs";
import { usualCapacity } from "../../../src/config/capacity.js";
import type { PoolSettings, SubPoolSettings } from "../../../src/pool/types.js";
import { Runtime } from "../../../src/runtime.js";
import { FLAVOURS, guestFile, type Flavour } from "../../support/paths.js";

const MiB = 2 ** 20;
/** An instance begins with less than 1 MiB and gets 4 MiB more at most; it is charged in full, so that no cell refuses growth. */
const LIMIT_MIB = 6;
const CELL_BYTES = 32 * MiB;
const CELL_SLOTS = 5;
/** For programs whose tenant has no cell, and for trials. */
const LOBBY_BYTES = 64 * MiB;
/** Instances beside those in cells: of trials, and on their way out. */
const SPARE_INSTANCES = 8;
/** The least that a reused instance serves, and how many numbers of requests there are from there on. */
const LEAST_REQUESTS = 3;
const REQUEST_NUMBERS = 8;

/** Whether an instance serves one request, or several of its tenant. */
export const REUSES = ["clean", "reused"] as const;
export type Reuse = (typeof REUSES)[number];

/** A task, by the number of its tenant. */
export interface Target {
  readonly tenant: number;
  readonly reuse: Reuse;
  readonly flavour: Flavour;
}

export interface NodePlan {
  readonly tenants: number;
  /** As many as the node's memory has room for. */
  readonly cells: number;
  /** Where all tasks have their cells. Dedicated ones never change hands. */
  readonly pool: "shared" | "variable";
  /** With it, instances are kept ready, and their cells are taken from one tenant for another; without it, idle cells go back by themselves. */
  readonly forecast: boolean;
}

/** What cells and instances went through, ever. */
export interface Handovers {
  /** Cells given to a tenant. */
  readonly assigned: number;
  /** Cells that were taken back from a tenant for another one. */
  readonly reclaimed: number;
  /** Cells that were seen with another tenant than before: they had gone back to the warming pool in between. */
  readonly changed: number;
  readonly instances: number;
}

export class CanaryNode implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #plan: NodePlan;
  /** Which tenant a cell was last seen with. */
  readonly #last = new Map<number, string>();
  #changed = 0;

  private constructor(plan: NodePlan) {
    this.#plan = plan;
    const instances = plan.cells * CELL_SLOTS + SPARE_INSTANCES;
    // Log lines are made as in a node, and thrown away.
    this.#runtime = new Runtime({ instances, capacity: settingsOf(plan, instances), log: "info", logTo: { write: () => {} } });
  }

  static async start(plan: NodePlan): Promise<CanaryNode> {
    const node = new CanaryNode(plan);
    try {
      await node.#runtime.start();
      for (let tenant = 0; tenant < plan.tenants; tenant++) await node.#admit(tenant);
    } catch (error) {
      await node.#runtime.close();
      throw error;
    }
    return node;
  }

  async #admit(tenant: number): Promise<void> {
    const { control, operator } = this.#runtime;
    const targets = REUSES.flatMap((reuse) => FLAVOURS.map((flavour): Target => ({ tenant, reuse, flavour })));
    const capacity = this.#plan.pool === "variable" ? { variableCeiling: 1 } : {};
    await control.createTenant(operator, nameOf(tenant), { hosts: targets.map(hostOf), capacity });
    for (const target of targets) {
      const { reuse, flavour } = target;
      const manifest = {
        name: `${reuse}-${flavour}`,
        component: "behave.wasm",
        routes: [`${hostOf(target)}/*`],
        limits: { memory: `${LIMIT_MIB}MiB` },
        capacity: { pool: this.#plan.pool },
        ...(reuse === "reused" && { reuse: { maxRequests: LEAST_REQUESTS + (tenant % REQUEST_NUMBERS) } }),
      };
      await control.deploy(operator, nameOf(tenant), { manifest, component: readFileSync(guestFile(`behave-${flavour}`)) });
    }
  }

  async ask(target: Target, path: string): Promise<{ readonly status: number; readonly text: string }> {
    const response = await this.#runtime.fetch(new Request(`http://${hostOf(target)}${path}`));
    return { status: response.status, text: await response.text() };
  }

  /** Whose cells are whose now; to be looked at often. */
  look(): void {
    const { control, operator } = this.#runtime;
    for (const { cell, tenant } of control.cells(operator, {}).items) {
      if (tenant === undefined) continue;
      const last = this.#last.get(cell);
      if (last !== undefined && last !== tenant) this.#changed++;
      this.#last.set(cell, tenant);
    }
  }

  async handovers(): Promise<Handovers> {
    const { control, operator } = this.#runtime;
    const { pools } = control.capacity(operator).now;
    const sum = (count: (pool: (typeof pools)[number]) => number): number => pools.reduce((all, pool) => all + count(pool), 0);
    return {
      assigned: sum(({ assigned }) => assigned),
      reclaimed: sum(({ reclaimed }) => reclaimed),
      changed: this.#changed,
      instances: await this.#instances(),
    };
  }

  /** As the node counts them: those made for a run, and those made ahead. */
  async #instances(): Promise<number> {
    const { url } = await this.#runtime.adminFront().listen({ host: "127.0.0.1", port: 0 });
    const text = await (await fetch(new URL("metrics", url))).text();
    const counts = text.matchAll(/^faas_init_duration_seconds_count\S* (\d+)$/gm);
    return [...counts].reduce((all, [, count]) => all + Number(count), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runtime.close();
  }
}

function settingsOf({ cells, pool, forecast }: NodePlan, instances: number): PoolSettings {
  const cell = (warming: number): SubPoolSettings => ({ cellBytes: CELL_BYTES, cellSlots: CELL_SLOTS, warming });
  const warming = { shared: 0, dedicated: 0, variable: 0, [pool]: 1 };
  return {
    ...usualCapacity(instances),
    budgetBytes: LOBBY_BYTES + cells * CELL_BYTES,
    lobbyBytes: LOBBY_BYTES,
    pools: { shared: cell(warming.shared), dedicated: cell(0), variable: cell(warming.variable) },
    overcommit: 1,
    variableCeiling: 1,
    forecast,
    // Cells go back to the warming pool between two bursts.
    instanceIdle: 10,
    cellIdle: 20,
  };
}

function nameOf(tenant: number): string {
  return `tenant-${tenant}`;
}

function hostOf({ tenant, reuse, flavour }: Target): string {
  return `${reuse}-${flavour}.${nameOf(tenant)}.example`;
}

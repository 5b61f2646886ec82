/** A node with tenants of its own: each has a host, `NAME.test`, and what is asked of it tells how it found its place. */
import { readFileSync } from "node:fs";
import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { text as textOf } from "node:stream/consumers";
import { expect } from "vitest";
import type { CapacityInfo, CellInfo } from "../../src/control/control.js";
import type { RunRecord } from "../../src/invoke/run.js";
import type { PoolSettings, SubPool } from "../../src/pool/types.js";
import type { SubPoolView } from "../../src/pool/views.js";
import type { RuntimeOptions } from "../../src/runtime.js";
import type { ManifestInput } from "../../src/tasks/manifest.js";
import type { TenantSettings } from "../../src/tenants/tenant.js";
import { guestPath } from "./guests.js";
import { startRuntime, type StartedRuntime } from "./runtime.js";

const MiB = 2 ** 20;
/** What a cell of `cells` holds. */
const CELL = 64 * MiB;
const LOBBY = 32 * MiB;
/** What an instance of its tasks may grow to, unless a manifest says otherwise. */
const MEMORY = "32MiB";

/** So many cells of 64 MiB and a lobby, with nothing made ahead that was not asked for. */
export function cells(count: number, { slots = 4, warming = 0, ...others }: CellOptions = {}): PoolSettings {
  const cell = { cellBytes: CELL, cellSlots: slots, warming: 0 };
  return {
    budgetBytes: LOBBY + count * CELL,
    lobbyBytes: LOBBY,
    pools: { shared: { ...cell, warming }, dedicated: cell, variable: cell },
    overcommit: 8,
    variableCeiling: 0.5,
    instanceIdle: 30_000,
    cellIdle: 60_000,
    programIdle: 600_000,
    forecast: false,
    ...others,
  };
}

export interface CellOptions extends Partial<PoolSettings> {
  readonly slots?: number;
  /** Of the shared sub-pool. */
  readonly warming?: number;
}

/** An answer, with the record of its run. */
export interface Answer extends Pick<RunRecord, "capacity" | "pool" | "term" | "cell" | "why"> {
  readonly status: number;
  readonly text: string;
  readonly run: string;
  readonly queueMs: number;
  readonly retryAfter: string | undefined;
}

/** A run that goes on until it is let go, as it was when it began. */
export interface Held extends RunRecord {
  /** Lets it come to its end, which it says, and waits until it is over. */
  end(): Promise<Answer>;
}

export interface TenantsNode extends StartedRuntime {
  tenant(name: string, capacity?: TenantSettings["capacity"]): Promise<void>;
  /** A guest as a task of the tenant that has all of its host, unless the manifest says otherwise. */
  task(tenant: string, guest: string, manifest?: Partial<ManifestInput>): Promise<void>;
  ask(tenant: string, path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Begins a run of the tenant's `echo` that goes on; `path` leads to the task whose guest that is. */
  hold(tenant: string, path?: string): Promise<Held>;
  pool(name: SubPool): SubPoolView;
  cells(): readonly CellInfo[];
  totals(): CapacityInfo["totals"];
}

export async function startNode(options: RuntimeOptions): Promise<TenantsNode> {
  const node = await startRuntime([], options);
  const { runtime } = node;
  const { control, operator } = runtime;
  await runtime.start();

  // `fetch` lets nobody say which host is meant.
  const open = (tenant: string, path: string, method: string, headers: Readonly<Record<string, string>> = {}): ClientRequest =>
    request({ port: node.port, path, method, agent: false, headers: { host: `${tenant}.test`, ...headers } });
  const headOf = (asked: ClientRequest): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => void asked.on("response", resolve).on("error", reject));

  const answerOf = async (response: IncomingMessage): Promise<Answer> => {
    const text = await textOf(response);
    const run = idOf(response);
    await node.log.first({ run });
    const { capacity, pool, term, cell, why = [], queueMs = 0 } = runtime.runRecord(run) ?? {};
    const retryAfter = response.headers["retry-after"];
    return { status: response.statusCode as number, text, run, capacity, pool, term, cell, why, queueMs, retryAfter };
  };

  return {
    ...node,
    tenant: async (name, capacity) => void (await control.createTenant(operator, name, { hosts: [`${name}.test`], capacity })),
    task: async (tenant, guest, manifest = {}) => {
      const component = readFileSync(guestPath(guest));
      const usual = { name: guest, component: `${guest}.wasm`, routes: [`${tenant}.test/*`], limits: { memory: MEMORY } };
      await control.deploy(operator, tenant, { manifest: { ...usual, ...manifest }, component });
    },
    ask: async (tenant, path, headers) => {
      const asked = open(tenant, path, "GET", headers);
      asked.end();
      return answerOf(await headOf(asked));
    },
    hold: async (tenant, path = "/") => {
      const asked = open(tenant, path, "POST");
      // It goes on for as long as there may be more to echo.
      asked.flushHeaders();
      const response = await headOf(asked);
      if (response.statusCode !== 200) expect.fail(`no run of ${tenant} goes on: ${await textOf(response)}`);
      const end = (): Promise<Answer> => {
        asked.end();
        return answerOf(response);
      };
      return { ...(runtime.runRecord(idOf(response)) as RunRecord), end };
    },
    pool: (name) => control.capacity(operator).now.pools.find(({ pool }) => pool === name) as SubPoolView,
    cells: () => control.cells(operator, { limit: 1000 }).items,
    totals: () => control.capacity(operator).totals,
  };
}

function idOf({ headers }: IncomingMessage): string {
  return headers["pilotlight-run"] as string;
}

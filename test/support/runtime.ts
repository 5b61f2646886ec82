/** A runtime with its Node front on a free port, as `pilotlight serve` has one; it ends with the test, and leaves nothing behind. */
import { expect } from "vitest";
import { usualCapacity } from "../../src/config/capacity.js";
import type { Deployment } from "../../src/deployment.js";
import type { PoolSettings } from "../../src/pool/types.js";
import { Runtime, type RuntimeOptions } from "../../src/runtime.js";
import { atEnd } from "./cleanup.js";
import { LogCapture } from "./log.js";
import { until } from "./until.js";

export interface StartedRuntime {
  readonly runtime: Runtime;
  readonly port: number;
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  readonly log: LogCapture;
  /** Asks over the network. */
  readonly get: (path: string, init?: RequestInit) => Promise<Response>;
  /** Resolves when no run, no instance and no outbound connection is left. */
  readonly idle: () => Promise<void>;
}

/** Nothing that a run takes may stay. */
const NOTHING = { instances: 0, runs: 0, guestBytes: 0, connections: 0, asks: 0 };

export async function startRuntime(tasks: readonly Deployment[], options: RuntimeOptions = {}): Promise<StartedRuntime> {
  const log = new LogCapture();
  const { instances = 64 } = options;
  const runtime = new Runtime({ log: "trace", logTo: log, capacity: nothingAhead(instances), ...options, instances });
  atEnd(async () => {
    await runtime.close(2000);
    expect(runtime.stats().engine).toMatchObject(NOTHING);
  });
  for (const task of tasks) await runtime.deploy(task);
  const { port } = await runtime.dataFront().listen({ host: "127.0.0.1", port: 0 });
  const origin = `http://127.0.0.1:${port}`;
  return {
    runtime,
    port,
    origin,
    log,
    get: (path, init) => fetch(origin + path, init),
    idle: () => idle(runtime),
  };
}

/** The usual capacity, with nothing made ahead unless a manifest says so: tests count what is there. */
export function nothingAhead(instances: number): PoolSettings {
  return { ...usualCapacity(instances), forecast: false };
}

async function idle(runtime: Runtime): Promise<void> {
  await until("no run and no instance is left", () => {
    const { engine, liveRuns } = runtime.stats();
    return liveRuns === 0 && Object.entries(NOTHING).every(([name, count]) => engine[name as keyof typeof NOTHING] === count);
  });
}

/** The id that an answer carries. */
export function runOf(response: Response): string {
  const id = response.headers.get("pilotlight-run");
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  return id as string;
}

/** The problem that an answer is, without its title. */
export async function problemOf(response: Response): Promise<{ status: number; code: string; detail: string | undefined }> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const document = (await response.json()) as { type: string; status: number; detail?: string; run?: string };
  expect(document.status).toBe(response.status);
  expect(document.run).toBe(runOf(response));
  return { status: response.status, code: document.type.replace("https://pilotlight.dev/problems/", ""), detail: document.detail };
}

/** The composition root: builds every concrete part and joins them. */
import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { DestinationStream, Logger } from "pino";
import { systemClock } from "./base/clock.js";
import { UserError, messageOf } from "./base/errors.js";
import { DEFAULT_INSTANCES } from "./config/resolve.js";
import type { EngineStats, Engine } from "./engine/engine.js";
import { EngineError, startEngine } from "./engine/native.js";
import type { ComponentInfo } from "./engine/program.js";
import { fetchFront, type Fetch } from "./http/fetch-front.js";
import type { Front } from "./http/front.js";
import { nodeFront } from "./http/node-front.js";
import { adminPlane, dataPlane, type HealthPort } from "./http/planes.js";
import { execute } from "./invoke/call.js";
import { Executor, type ScriptAnswer } from "./invoke/executor.js";
import { createInvoke } from "./invoke/pipeline.js";
import type { RunRecord } from "./invoke/run.js";
import { EndedRuns } from "./invoke/runs.js";
import { createLogger, logGuestLine, logRefusal, logRun, type LogLevel } from "./observe/log.js";
import { Metrics } from "./observe/metrics.js";
import { Pool, type PoolCounts } from "./pool/pool.js";
import { MAX_HEADERS, readManifest, type ManifestInput } from "./tasks/manifest.js";
import { NO_GRANTS, poolProgram, programSpec, type OwnGrants } from "./tasks/spec.js";
import { TaskTable } from "./tasks/table.js";
import type { Task } from "./tasks/task.js";

/** TypeScript functions for imports of a component, by interface and function name. */
export type ScriptImports = Readonly<Record<string, Readonly<Record<string, (...args: never[]) => unknown>>>>;

export interface RuntimeOptions {
  /** Folder for compiled components; without it they are compiled anew in each process. */
  readonly data?: string;
  /** Most instances at once; 1000. */
  readonly instances?: number;
  /** Threads that run guests; one a core. */
  readonly threads?: number;
  /** `silent` for a library, `info` for a node. */
  readonly log?: LogLevel;
  /** Where log lines go; stdout. */
  readonly logTo?: DestinationStream;
  /** Satisfies imports that neither WASI nor Pilotlight provides. Values are JSON by the mapping of `docs/values.md`. */
  readonly imports?: ScriptImports;
  /** Memory as it is needed instead of from a pool: for a component of any shape, at the price of slower instances. */
  readonly onDemand?: boolean;
  /** True when `/-/` belongs to guests too, as under `serve FILE`. */
  readonly guestsOwnEverything?: boolean;
}

/** What `deploy` takes: a manifest, and the component's bytes. */
export interface Deployment {
  readonly manifest: Omit<ManifestInput, "component"> & { readonly component?: string };
  readonly component: Uint8Array;
  /** Names the component in messages. */
  readonly source?: string;
  /** Grants of the user's own machine; not for code of others. */
  readonly own?: Partial<OwnGrants>;
}

export interface DeployedTask {
  readonly name: string;
  readonly version: string;
  readonly routes: readonly string[];
  readonly component: ComponentInfo;
}

export interface RuntimeStats {
  readonly engine: EngineStats;
  readonly pool: PoolCounts;
  readonly liveRuns: number;
}

/** How long `close` waits for runs before it ends them. */
const CLOSE_MS = 10_000;
/** How long a cancelled run may take to end; two ticks are usual. */
const CANCELLED_MS = 1000;
const KEEP_RESIDENT_BYTES = 2 * 2 ** 20;
const QUEUE = 10_000;
const ADMIN_CLOSE_MS = 1000;

export class Runtime implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #executor: Executor;
  readonly #pool: Pool;
  readonly #tasks = new TaskTable();
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #imports: ScriptImports;
  readonly #fetch: Fetch;
  readonly #invoke: ReturnType<typeof createInvoke>;
  readonly #reserveOwn: boolean;
  readonly #dataFronts: Front[] = [];
  readonly #adminFronts: Front[] = [];
  #draining = false;
  #closing: Promise<void> | undefined;

  constructor(options: RuntimeOptions) {
    const instances = options.instances ?? DEFAULT_INSTANCES;
    this.#log = createLogger(options.log ?? "silent", options.logTo);
    this.#imports = options.imports ?? {};
    this.#reserveOwn = options.guestsOwnEverything !== true;
    this.#engine = startEngine({
      cache: options.data === undefined ? null : join(options.data, "compiled"),
      instances,
      threads: options.threads ?? 0,
      keepResidentBytes: KEEP_RESIDENT_BYTES,
      onDemand: options.onDemand ?? false,
      backtraces: false,
    });
    this.#pool = new Pool({ capacity: instances, parallelism: availableParallelism(), queue: QUEUE });
    this.#metrics = new Metrics({
      engine: () => this.#engine.stats(),
      pool: () => this.#pool.counts(),
      liveRuns: () => this.#executor.liveCount,
      connections: () => this.#dataFronts.reduce((sum, front) => sum + front.connections(), 0),
    });
    this.#executor = new Executor({
      engine: this.#engine,
      pool: this.#pool,
      clock: systemClock,
      ended: new EndedRuns(),
      script: this.#script,
      observer: {
        settled: (run) => {
          this.#metrics.settled(run);
          logRun(this.#log, run);
        },
        lines: (lines, runOf) => {
          for (const line of lines) logGuestLine(this.#log, line, line.run === undefined ? undefined : runOf(line.run));
        },
        prepared: (nanoseconds) => this.#metrics.prepared(nanoseconds),
        prepareFailed: (outcome) => this.#log.warn({ outcome }, "an instance could not be made ahead of demand"),
      },
    });
    this.#invoke = createInvoke({
      tasks: this.#tasks,
      executor: this.#executor,
      engine: this.#engine,
      clock: systemClock,
      draining: () => this.#draining,
      refused: (incoming, run, problem) => logRefusal(this.#log, incoming, run, problem),
    });
    this.#fetch = fetchFront({ plane: (guest) => this.#dataPlane(guest), invoke: this.#invoke, report: (error) => this.#report(error) });
  }

  /**
   * Compiles, links and puts a task in place; the one of that name before it takes no more runs from then on.
   * Throws a `UserError` that says what is wrong with manifest or component; nothing has changed then.
   */
  async deploy(deployment: Deployment): Promise<DeployedTask> {
    this.#mustBeOpen();
    const source = deployment.source ?? deployment.manifest.component ?? "the component";
    const where = `the manifest of ${deployment.manifest.name}`;
    const manifest = readManifest({ component: "component.wasm", ...deployment.manifest }, where);
    for (const [i, { host }] of manifest.files.entries()) {
      if (!isFolder(host)) throw new UserError(`${where} is not a valid manifest:\n  files[${i}].host: there is no folder ${host}`);
    }
    const info = await this.#load(deployment.component, source);
    const scripts = Object.keys(this.#imports);
    const spec = programSpec(info, manifest, scripts, { ...NO_GRANTS, ...deployment.own });
    const program = await this.#explain(source, this.#engine.link(spec));
    const task: Task = { tenant: "default", name: manifest.name, version: { label: info.digest.slice(0, 12), info, manifest, program } };
    let before: Task | undefined;
    try {
      before = this.#tasks.put(task);
    } catch (error) {
      this.#engine.unlink(program);
      throw error;
    }
    this.#executor.addProgram(poolProgram(program, info, manifest));
    if (before !== undefined) this.#retire(before);
    return described(task);
  }

  /** Takes a task away; runs in progress finish. False when there is none of that name. */
  remove(name: string): boolean {
    const task = this.#tasks.remove(name);
    if (task !== undefined) this.#retire(task);
    return task !== undefined;
  }

  tasks(): DeployedTask[] {
    return this.#tasks.names().map((name) => described(this.#tasks.get(name) as Task));
  }

  /**
   * Calls an exported function of a task: `call("calc", "demo:math/calc#add", [1, 2])`, or `"go"` for a function of
   * the world itself. Arguments are an array, or an object by parameter name; values as in `docs/values.md`.
   * Rejects with a `CallError`.
   */
  async call(task: string, func: string, args: readonly unknown[] | Readonly<Record<string, unknown>> = []): Promise<unknown> {
    const hash = func.lastIndexOf("#");
    const frame = {
      kind: "call" as const,
      interface: hash < 0 ? "" : func.slice(0, hash),
      function: func.slice(hash + 1),
      arguments: toJson(args),
    };
    const { json } = await execute(this.#ports(), this.#task(task), "call", frame);
    return json === undefined ? undefined : (JSON.parse(json) as unknown);
  }

  /** Runs a `wasi:cli/run` task to its end and resolves with its exit status. */
  async run(task: string): Promise<number> {
    const { exit } = await execute(this.#ports(), this.#task(task), "command", { kind: "command" });
    return exit;
  }

  /** Answers a request from the deployed tasks. Mounts in any Hono app or anything that takes a fetch handler. */
  readonly fetch: Fetch = (request) => this.#fetch(request);

  /** A server for the tasks, not yet listening. */
  dataFront(): Front {
    const front = nodeFront({
      plane: (guest) => this.#dataPlane(guest),
      invoke: this.#invoke,
      // What a manifest may allow at most, and room for the request line; the pipeline refuses by the task's own limit.
      headerBytes: MAX_HEADERS + 16 * 1024,
      report: (error) => this.#report(error),
    });
    this.#dataFronts.push(front);
    return front;
  }

  /** A server for health and metrics, not yet listening. */
  adminFront(): Front {
    const plane = adminPlane({ health: this.#health(), metrics: () => this.#metrics.render(), report: (error) => this.#report(error) });
    const front = nodeFront({ plane: () => plane, report: (error) => this.#report(error) });
    this.#adminFronts.push(front);
    return front;
  }

  /** The record of a live run, or of one of the last 10,000 that ended. */
  runRecord(id: string): RunRecord | undefined {
    return this.#executor.record(id);
  }

  stats(): RuntimeStats {
    return { engine: this.#engine.stats(), pool: this.#pool.counts(), liveRuns: this.#executor.liveCount };
  }

  /** Takes no more runs; lets those that run finish for at most `limitMs`, ends the rest, and gives everything back. */
  close(limitMs: number = CLOSE_MS): Promise<void> {
    return (this.#closing ??= this.#close(limitMs));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(limitMs: number): Promise<void> {
    this.#draining = true;
    await Promise.all([...this.#dataFronts.map((front) => front.close(limitMs)), this.#executor.drained(limitMs)]);
    this.#executor.cancelAll();
    // So that they end as cancelled, and not by the end of their engine.
    await this.#executor.drained(CANCELLED_MS);
    // Until here whoever asks is told that the node is not ready.
    await Promise.all(this.#adminFronts.map((front) => front.close(ADMIN_CLOSE_MS)));
    await this.#engine.close();
    this.#executor.stop();
    this.#metrics.stop();
    await new Promise<void>((resolve) => this.#log.flush(() => resolve()));
  }

  #dataPlane(guest: Parameters<typeof dataPlane>[0]["guest"]): ReturnType<typeof dataPlane> {
    const runs = {
      get: (id: string) => this.#executor.record(id),
      cancel: (id: string) => {
        const run = this.#executor.live(id);
        if (run !== undefined) this.#executor.cancel(run);
      },
    };
    return dataPlane({ health: this.#health(), runs, guest, reserveOwn: this.#reserveOwn, report: (error) => this.#report(error) });
  }

  #health(): HealthPort {
    return { reasons: () => (this.#draining ? ["the node is shutting down"] : []) };
  }

  #report(error: unknown): void {
    this.#log.error({ err: error }, "unexpected error");
  }

  async #load(bytes: Uint8Array, source: string): Promise<ComponentInfo> {
    return this.#explain(source, this.#engine.load(bytes));
  }

  /** Errors of the engine name the file they are about. */
  async #explain<T>(source: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof EngineError) throw new UserError(`${source}: ${messageOf(error)}`, { cause: error });
      throw error;
    }
  }

  #retire(task: Task): void {
    this.#executor.removeProgram(task.version.program);
  }

  #ports(): { executor: Executor; clock: typeof systemClock } {
    return { executor: this.#executor, clock: systemClock };
  }

  #mustBeOpen(): void {
    if (this.#draining) throw new UserError("the runtime is closed: it takes no more tasks and runs");
  }

  #task(name: string): Task {
    this.#mustBeOpen();
    const task = this.#tasks.get(name);
    if (task !== undefined) return task;
    const names = this.#tasks.names();
    throw new UserError(
      `there is no task ${JSON.stringify(name)}; ${names.length === 0 ? "none is deployed" : `deployed are ${names.join(", ")}`}`,
    );
  }

  readonly #script: ScriptAnswer = async (iface, func, args) => {
    const provided = this.#imports[iface]?.[func] ?? this.#imports[iface]?.[camelCase(func)];
    if (provided === undefined) throw new Error(`imports has no function ${func} for ${iface}`);
    const result: unknown = await provided(...(JSON.parse(args) as never[]));
    return toJson(result === undefined ? [] : [result]);
  };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function described(task: Task): DeployedTask {
  const { label, info, manifest } = task.version;
  return { name: task.name, version: label, routes: manifest.routes ?? [`/${task.name}/*`], component: info };
}

/** JSON with bigints as decimal strings and bytes as base64, which is how the engine reads them. */
function toJson(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, part: unknown) {
    // The holder has the value as it was; `part` has been through the value's own `toJSON`, which a Buffer has.
    const original = this[key];
    if (original instanceof Uint8Array) return Buffer.from(original.buffer, original.byteOffset, original.byteLength).toString("base64");
    return typeof part === "bigint" ? part.toString() : part;
  });
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

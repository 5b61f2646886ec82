/** Runs of many tenants against the real pool, with an engine that answers at once. */
import { createForecast } from "#dist/forecast/history.js";
import { Pool, type Grant, type PoolCommand, type PoolProgram, type PoolSettings } from "#dist/pool/pool.js";
import { Random } from "../soak/support/random.js";
import { BenchError } from "../support/bench-error.js";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

export interface LoadOptions {
  readonly tenants: number;
  readonly tasks: number;
  readonly outstanding: number;
}

export interface Round {
  /** Milliseconds of each step that granted an instance. */
  readonly grants: Float64Array;
  readonly milliseconds: number;
  readonly steps: number;
}

export class LeaseLoad {
  readonly #pool: Pool;
  readonly #programs: number;
  readonly #outstanding: number;
  readonly #random = new Random(20_261_126);
  readonly #running: Grant[] = [];
  #runs = 0;
  #steps = 0;

  constructor({ tenants, tasks, outstanding }: LoadOptions) {
    const options = { slots: 20_000, parallelism: 2, queue: 1000 };
    this.#pool = new Pool(options, settings(), createForecast());
    this.#programs = tenants * tasks;
    this.#outstanding = outstanding;
    for (let id = 0; id < this.#programs; id++) this.#step({ kind: "add", program: program(id, id % tenants) });
  }

  /** So many demands, each of which is granted, and as many endings in between. */
  round(operations: number): Round {
    const grants = new Float64Array(operations);
    const steps = this.#steps;
    const begin = performance.now();
    for (let i = 0; i < operations; i++) {
      grants[i] = this.#demand();
      while (this.#running.length >= this.#outstanding) this.#settle();
      if (this.#pool.nextWake() <= performance.now()) this.#step({ kind: "tick" });
    }
    return { grants, milliseconds: performance.now() - begin, steps: this.#steps - steps };
  }

  #demand(): number {
    const run = this.#runs++;
    const program = this.#random.below(this.#programs);
    const before = performance.now();
    const commands = this.#pool.step(before, {
      kind: "demand",
      run,
      program,
      deadline: before + 60_000,
      lease: 60_000,
      priority: "interactive",
    });
    const took = performance.now() - before;
    this.#steps++;
    if (!commands.some((command) => command.kind === "grant" && command.run === run))
      throw new BenchError(`run ${run} was granted nothing`);
    this.#obey(commands);
    return took;
  }

  #settle(): void {
    const at = this.#random.below(this.#running.length);
    const { run, slot, generation, last } = this.#running[at] as Grant;
    this.#running[at] = this.#running.at(-1) as Grant;
    this.#running.pop();
    const [startNanoseconds, waitNanoseconds] = [30_000, 5000];
    this.#step({ kind: "settled", run, slot, generation, ending: "sound", memoryBytes: MIB, startNanoseconds, waitNanoseconds });
    if (last) this.#step({ kind: "retired", slot, generation });
  }

  #step(event: Parameters<Pool["step"]>[1]): void {
    this.#steps++;
    this.#obey(this.#pool.step(performance.now(), event));
  }

  #obey(commands: readonly PoolCommand[]): void {
    for (const command of commands) {
      if (command.kind === "grant") this.#running.push(command);
      else if (command.kind === "prepare") this.#step({ ...command, kind: "ready", nanoseconds: 30_000 });
      else if (command.kind === "retire") this.#step({ ...command, kind: "retired" });
    }
  }
}

/** Half of the tasks have clean instances, half use them again. */
function program(id: number, tenant: number): PoolProgram {
  const maxRequests = id % 2 === 0 ? 1 : 1000;
  return {
    program: id,
    tenant: `tenant-${tenant}`,
    task: `tenant-${tenant}/task-${id}`,
    reuse: { maxRequests, maxConcurrent: 1, maxMemory: 32 * MIB, maxIdle: 5000, maxAge: 600_000 },
    concurrency: 200,
    ready: 0,
    pool: "shared",
    whenFull: "wait",
    memoryLimit: 128 * MIB,
    code: "linked",
    bytes: 300_000,
  };
}

/** A large node: 256 cells of 256 MiB. */
function settings(): PoolSettings {
  const cell = { cellBytes: 256 * MIB, cellSlots: 64, warming: 0 };
  return {
    budgetBytes: 66 * GIB,
    lobbyBytes: 2 * GIB,
    pools: { shared: { ...cell, warming: 2 }, dedicated: cell, variable: cell },
    overcommit: 8,
    variableCeiling: 0.5,
    instanceIdle: 30_000,
    cellIdle: 60_000,
    forecast: true,
    programIdle: 600_000,
  };
}

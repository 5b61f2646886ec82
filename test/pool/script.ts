/** Drives a pool by hand: events by name, commands as short text, so that a test reads as what happened. */
import type { Demand, Expected, Forecast } from "../../src/forecast/forecast.js";
import {
  Pool,
  type Ending,
  type Grant,
  type PoolCommand,
  type PoolEvent,
  type PoolOptions,
  type PoolProgram,
  type PoolSettings,
} from "../../src/pool/pool.js";

export const MiB = 2 ** 20;
const CLEAN = { maxRequests: 1, maxConcurrent: 1, maxMemory: 1000 * MiB, maxIdle: 100, maxAge: 1000 };

type Terms = Partial<Omit<PoolProgram, "program" | "reuse">> & Partial<PoolProgram["reuse"]>;

/** A program of tenant `t` with a clean instance for each run, unless `terms` say otherwise. */
export function program(id: number, terms: Terms = {}): PoolProgram {
  const {
    tenant = "t",
    task = `${tenant}/${id}`,
    concurrency = 100,
    ready = 0,
    whenFull = "wait",
    pool = "shared",
    memoryLimit = 8 * MiB,
    code = "linked",
    bytes,
    ...reuse
  } = terms;
  const said = { program: id, tenant, task, concurrency, ready, whenFull, pool, memoryLimit, code, reuse: { ...CLEAN, ...reuse } };
  return bytes === undefined ? said : { ...said, bytes };
}

export type SettingsSaid = Partial<Omit<PoolSettings, "pools">> & {
  readonly pools?: Partial<Record<keyof PoolSettings["pools"], Partial<PoolSettings["pools"]["shared"]>>>;
};

/** Cells of 10 slots and 100 MiB, a budget of ten, nothing made ahead, nothing forecast. */
export function settings(said: SettingsSaid = {}): PoolSettings {
  const pool = { cellBytes: 100 * MiB, cellSlots: 10, warming: 0 };
  return {
    budgetBytes: 1000 * MiB + 64 * MiB,
    lobbyBytes: 64 * MiB,
    overcommit: 1,
    variableCeiling: 1,
    instanceIdle: 1_000,
    cellIdle: 10_000,
    programIdle: 600_000,
    forecast: true,
    ...said,
    pools: {
      shared: { ...pool, ...said.pools?.shared },
      dedicated: { ...pool, ...said.pools?.dedicated },
      variable: { ...pool, ...said.pools?.variable },
    },
  };
}

/** A forecast that says what a test sets: nothing, at first. */
export class FixedForecast implements Forecast {
  readonly peaks = new Map<string, number>();
  readonly expected = new Map<string, Expected>();
  readonly #demands = new Map<string, Demand>();

  of(name: string): Demand {
    let demand = this.#demands.get(name);
    if (demand === undefined) {
      let running = 0;
      let last: number | undefined;
      demand = {
        arrived: (now) => {
          running++;
          last = now;
        },
        ended: () => void running--,
        get running() {
          return running;
        },
        get lastArrival() {
          return last;
        },
        peak: () => this.peaks.get(name) ?? 0,
        rate: () => 0,
        next: () => this.expected.get(name),
      };
      this.#demands.set(name, demand);
    }
    return demand;
  }

  forget(name: string): void {
    this.#demands.delete(name);
  }
}

export class Script {
  readonly pool: Pool;
  readonly forecast = new FixedForecast();
  /** Milliseconds. */
  now = 0;
  /** The engine makes instances and lets them go in the step in which it is told to. For programs with one run at a time on each. */
  instant = false;
  #settings: PoolSettings;
  /** Which instance a run has. */
  readonly #granted = new Map<number, Grant>();

  constructor(options: Partial<PoolOptions> = {}, said: SettingsSaid = {}) {
    this.#settings = settings(said);
    this.pool = new Pool({ slots: 100, parallelism: 1, queue: 100, ...options }, this.#settings, this.forecast);
  }

  add(id: number, terms: Terms = {}): string[] {
    return this.step({ kind: "add", program: program(id, terms) });
  }

  remove(id: number): string[] {
    return this.step({ kind: "remove", program: id });
  }

  try(id: number): string[] {
    return this.step({ kind: "try", program: id });
  }

  demand(run: number, id = 1, deadline = this.now + 10_000, lease = 60_000): string[] {
    return this.step({ kind: "demand", run, program: id, deadline, lease, priority: "interactive" });
  }

  /** It waits to be called, as a sidecar does. */
  stand(run: number, id = 1): string[] {
    return this.step({
      kind: "demand",
      run,
      program: id,
      deadline: this.now + 10_000,
      lease: 60_000,
      priority: "interactive",
      stands: true,
    });
  }

  /** What another run has called and waits for. */
  call(run: number, id = 1, parent = 1): string[] {
    return this.step({
      kind: "demand",
      run,
      program: id,
      deadline: this.now + 10_000,
      lease: 60_000,
      priority: "interactive",
      parent,
    });
  }

  withdraw(run: number): string[] {
    return this.step({ kind: "withdraw", run });
  }

  ready(slot: number, generation: number, milliseconds = 1): string[] {
    return this.step({ kind: "ready", slot, generation, nanoseconds: milliseconds * 1e6 });
  }

  failed(slot: number, generation: number): string[] {
    return this.step({ kind: "failed", slot, generation });
  }

  /** Milliseconds: `start` that making its instance took, `wait` until its guest began, that included. */
  settle(
    run: number,
    {
      ending = "sound",
      memoryBytes = 10,
      start = 0,
      wait = start,
    }: { ending?: Ending; memoryBytes?: number; start?: number; wait?: number } = {},
  ): string[] {
    const { slot, generation } = this.#granted.get(run) ?? { slot: -1, generation: -1 };
    return this.step({
      kind: "settled",
      run,
      slot,
      generation,
      ending,
      memoryBytes,
      startNanoseconds: start * 1e6,
      waitNanoseconds: wait * 1e6,
    });
  }

  leaseRefused(run: number, deadline = 1e9): string[] {
    return this.step({ kind: "lease-refused", run, deadline });
  }

  retired(slot: number, generation: number): string[] {
    return this.step({ kind: "retired", slot, generation });
  }

  raised(id: number, bytes = MiB): string[] {
    return this.step({ kind: "raised", program: id, bytes, milliseconds: 2 });
  }

  raiseFailed(id: number): string[] {
    return this.step({ kind: "raise-failed", program: id });
  }

  /** A tenant, a cell, or the whole node. */
  drain(what: { tenant?: string; cell?: number } = {}): string[] {
    return this.step({ kind: "drain", ...what });
  }

  resume(tenant?: string): string[] {
    return this.step({ kind: "resume", ...(tenant === undefined ? {} : { tenant }) });
  }

  /** Changes what is said, and leaves the rest as it is. */
  configure(said: SettingsSaid): string[] {
    const before = this.#settings.pools;
    const pools = {
      shared: { ...before.shared, ...said.pools?.shared },
      dedicated: { ...before.dedicated, ...said.pools?.dedicated },
      variable: { ...before.variable, ...said.pools?.variable },
    };
    this.#settings = { ...this.#settings, ...said, pools };
    return this.step({ kind: "configure", settings: this.#settings });
  }

  terms(tenant: string, terms: { dedicated?: number; variableCeiling?: number; weight?: number }): string[] {
    return this.step({ kind: "terms", tenant, terms: { dedicated: 0, variableCeiling: 0, weight: 1, ...terms } });
  }

  /** Lets time pass until `now` and ticks, as a driver does that slept until `nextWake()`. */
  tick(now: number): string[] {
    this.now = now;
    return this.step({ kind: "tick" });
  }

  /** Lets time pass until `until`, and ticks whenever the pool wants to be woken, as the driver does. */
  pass(until: number): string[] {
    const commands: string[] = [];
    for (let wakes = 0, at = this.pool.nextWake(); at <= until; at = this.pool.nextWake()) {
      if (++wakes > 100_000) throw new Error(`it wants to be woken at ${at} again and again`);
      commands.push(...this.tick(Math.max(this.now, at)));
    }
    this.now = until;
    return commands;
  }

  /** Runs of the program come and go, ten at once, and each lay in line at the executor for long: the processors are the limit. */
  overload(id: number): void {
    for (let run = 10_000; run < 10_010; run++) this.demand(run, id);
    let run = 10_010;
    for (; this.pool.view().runLimit === Number.POSITIVE_INFINITY; run++) {
      if (run > 10_200) throw new Error("no overload has come about");
      this.now += 5;
      this.settle(run - 10, { wait: 50 });
      this.demand(run, id);
    }
    if (this.pool.counts().waiting === 0) this.demand(run, id);
  }

  /** The grant that the run got last; undefined: none. */
  grantOf(run: number): Grant | undefined {
    return this.#granted.get(run);
  }

  step(event: PoolEvent): string[] {
    const commands = this.pool.step(this.now, event);
    for (const command of commands) if (command.kind === "grant") this.#granted.set(command.run, command);
    const told = commands.map(text);
    if (this.instant) for (const answer of this.#answers(event, commands)) told.push(...this.step(answer));
    return told;
  }

  #answers(event: PoolEvent, commands: readonly PoolCommand[]): PoolEvent[] {
    const answers: PoolEvent[] = [];
    for (const command of commands) {
      if (command.kind === "prepare") answers.push({ ...command, kind: "ready", nanoseconds: 1e6 });
      if (command.kind === "retire") answers.push({ ...command, kind: "retired" });
    }
    // What was used for the last time goes without being told.
    if (event.kind === "settled" && event.ending === "sound" && this.#granted.get(event.run)?.last === true) {
      answers.push({ ...event, kind: "retired" });
    }
    return answers;
  }

  /** `c1 shared active t 1+0`: the cells as busy + idle. */
  cells(): string[] {
    return this.pool
      .cells()
      .map(
        ({ cell, pool, state, tenant, busy, idle, starting }) =>
          `c${cell} ${pool} ${state} ${tenant ?? "-"} ${busy}+${idle}${starting > 0 ? `+${starting}` : ""}`,
      );
  }
}

/** `grant 7 on 0/1 own/ready last`: the run, then the instance as slot/generation. */
function text(command: PoolCommand): string {
  switch (command.kind) {
    case "prepare":
      return `prepare ${command.slot}/${command.generation} of ${command.program} in ${command.cell === 0 ? "lobby" : `c${command.cell}`}`;
    case "grant":
      return `grant ${command.run} on ${command.slot}/${command.generation} in c${command.cell} ${command.rung}${command.last ? " last" : ""}`;
    case "refuse":
      return `refuse ${command.run} ${command.reason}`;
    case "retire":
      return `retire ${command.slot}/${command.generation}`;
    case "expire":
      return `expire ${command.run} on ${command.slot}/${command.generation}`;
    case "cell":
      return `cell c${command.cell} ${Math.round(command.bytes / MiB)}MiB`;
    case "close-cell":
      return `close c${command.cell}`;
    default:
      return `${command.kind} ${command.program}`;
  }
}

/** Drives a pool by hand: events by name, commands as short text, so that a test reads as what happened. */
import { Pool, type PoolCommand, type PoolEvent, type PoolOptions, type PoolProgram } from "../../src/pool/pool.js";

export const CLEAN = { maxRequests: 1, maxConcurrent: 1, maxMemory: 1000, maxIdle: 100, maxAge: 1000 };

type Terms = Partial<Omit<PoolProgram, "program" | "reuse">> & Partial<PoolProgram["reuse"]>;

/** A program with a clean instance for each run, unless `terms` say otherwise. */
export function program(id: number, terms: Terms = {}): PoolProgram {
  const { concurrency = 100, ready = 0, whenFull = "wait", ...reuse } = terms;
  return { program: id, concurrency, ready, whenFull, reuse: { ...CLEAN, ...reuse } };
}

export class Script {
  readonly pool: Pool;
  /** Milliseconds. */
  now = 0;

  constructor(options: Partial<PoolOptions> = {}) {
    this.pool = new Pool({ capacity: 10, parallelism: 1, queue: 100, ...options });
  }

  add(id: number, terms: Terms = {}): string[] {
    return this.#step({ kind: "add", program: program(id, terms) });
  }

  remove(id: number): string[] {
    return this.#step({ kind: "remove", program: id });
  }

  warm(id: number): string[] {
    return this.#step({ kind: "warm", program: id });
  }

  demand(run: number, id = 1, deadline = this.now + 10_000): string[] {
    return this.#step({ kind: "demand", run, program: id, deadline });
  }

  withdraw(run: number): string[] {
    return this.#step({ kind: "withdraw", run });
  }

  ready(slot: number, generation: number): string[] {
    return this.#step({ kind: "ready", slot, generation });
  }

  failed(slot: number, generation: number): string[] {
    return this.#step({ kind: "failed", slot, generation });
  }

  settle(run: number, { sound = true, memoryBytes = 10 } = {}): string[] {
    return this.#step({ kind: "settled", run, sound, memoryBytes });
  }

  leaseRefused(run: number, deadline = 1e9): string[] {
    return this.#step({ kind: "lease-refused", run, deadline });
  }

  retired(slot: number, generation: number): string[] {
    return this.#step({ kind: "retired", slot, generation });
  }

  /** Lets time pass until `now` and ticks, as a driver does that slept until `nextWake()`. */
  tick(now: number): string[] {
    this.now = now;
    return this.#step({ kind: "tick" });
  }

  #step(event: PoolEvent): string[] {
    return this.pool.step(this.now, event).map(text);
  }
}

/** `grant 7 on 0/1 own/ready last`: the run, then the instance as slot/generation. */
function text(command: PoolCommand): string {
  switch (command.kind) {
    case "prepare":
      return `prepare ${command.slot}/${command.generation} of ${command.program}`;
    case "grant":
      return `grant ${command.run} on ${command.slot}/${command.generation} ${command.rung}${command.last ? " last" : ""}`;
    case "refuse":
      return `refuse ${command.run} ${command.reason}`;
    case "retire":
      return `retire ${command.slot}/${command.generation}`;
    case "forget":
      return `forget ${command.program}`;
  }
}

/**
 * Our own pool, the one that the product runs, over a simulated clock and engine.
 *
 * The engine here answers each command as the real one does, after the time that the step takes: `raise` by `raised`,
 * `prepare` by `ready`, a grant by `settled` and `retired`. What exists is counted from these commands, not from what the
 * pool says of itself. What else a node has (foresight, announcements) stands beside it: `beside.ts`.
 */
import type { Pool, PoolCommand, PoolEvent, PoolProgram, PoolSettings } from "../../src/pool/pool.js";
import { Agenda } from "./agenda.js";
import type { MakeBeside, Beside } from "./beside.js";
import type { Steps } from "./costs.js";
import { Ledger, type Outcome } from "./ledger.js";
import type { Policy, Scene } from "./policy.js";
import type { Component, Trace, TraceTask } from "./trace.js";

/** A pool, made as the runtime makes it. */
export type MakePool = (settings: PoolSettings) => Pool;

/** How long a run may wait, and hold its lease: what a manifest means that says nothing. */
const DEADLINE = 10_000;
const LEASE = 60_000;
const MIB = 2 ** 20;
const USUAL_LIMIT = 128 * MIB;
/** What the engine takes to say that an instance is gone. */
const RETIRE_MS = 0.05;
/** Ticks at one moment, after which the pool is taken to be stuck. */
const MOST_TICKS = 10_000;

/** Clean instances, as a manifest has it that says nothing. */
const REUSE = { maxRequests: 1, maxConcurrent: 1, maxMemory: 32 * MIB, maxIdle: 5000, maxAge: 600_000 };

/**
 * A task's program as the runtime describes it, deployed with a manifest that says nothing, unless its runs hold more than that
 * allows. Its compiled form is on disk.
 */
export function deployed(program: number, { tenant, name }: TraceTask, peakBytes: number): PoolProgram {
  return {
    program,
    tenant,
    task: `${tenant}/${name}`,
    reuse: REUSE,
    concurrency: 200,
    ready: 0,
    pool: "shared",
    whenFull: "wait",
    memoryLimit: Math.max(USUAL_LIMIT, peakBytes),
    code: "compiled",
  };
}

export function ours(name: string, makePool: MakePool, settings: PoolSettings, makeBeside?: MakeBeside): Policy {
  return { name, replay: (scene) => new PoolNode(scene, makePool(settings), makeBeside).replay(name) };
}

/** The most that a run of each task holds. */
function peaksOf(trace: Trace): Float64Array {
  const peaks = new Float64Array(trace.tasks.length);
  for (let run = 0; run < trace.length; run++) {
    const task = trace.task[run] as number;
    peaks[task] = Math.max(peaks[task] as number, trace.bytes[run] as number);
  }
  return peaks;
}

interface ProgramState {
  readonly component: Component;
  readonly steps: Steps;
  /** Its bytes are there: it is linked, or being linked. */
  isThere: boolean;
  /** When it is, or was last, linked. */
  linkedAt: number;
  isWeighed: boolean;
  /** Runs of it that have no instance yet. */
  waiting: number;
}

interface Asked {
  readonly at: number;
  /** Its program was linked when it was asked for. */
  readonly isLinked: boolean;
}

interface Instance {
  readonly program: number;
  readonly generation: number;
  bytes: number;
}

class PoolNode {
  readonly #scene: Scene;
  readonly #pool: Pool;
  readonly #ledger: Ledger;
  readonly #agenda = new Agenda<PoolEvent>();
  readonly #programs: ProgramState[];
  readonly #asked = new Map<number, Asked>();
  readonly #instances = new Map<number, Instance>();
  readonly #beside: Beside | undefined;
  #ticks = 0;
  #tickedAt = -1;

  constructor(scene: Scene, pool: Pool, makeBeside?: MakeBeside) {
    this.#scene = scene;
    this.#pool = pool;
    this.#beside = makeBeside?.({ scene, pool, tell: (now, event) => this.#step(now, event) });
    this.#ledger = new Ledger(scene.window);
    this.#programs = scene.trace.tasks.map(({ component }) => ({
      component,
      steps: scene.costs[component],
      isThere: false,
      linkedAt: Number.POSITIVE_INFINITY,
      isWeighed: false,
      waiting: 0,
    }));
  }

  replay(name: string): Outcome {
    const { trace, window } = this.#scene;
    const peaks = peaksOf(trace);
    for (const [program, task] of trace.tasks.entries()) {
      this.#step(0, { kind: "add", program: deployed(program, task, peaks[program] as number) });
    }
    for (let run = 0; run < trace.length; run++) {
      const now = trace.time[run] as number;
      if (now >= window.until) break;
      this.#passTo(now);
      const program = trace.task[run] as number;
      this.#programOf(program).waiting++;
      this.#asked.set(run, { at: now, isLinked: this.#programOf(program).linkedAt <= now });
      this.#step(now, { kind: "demand", run, program, deadline: now + DEADLINE, lease: LEASE, priority: "interactive" });
      this.#beside?.arrived(now, run);
    }
    this.#passTo(window.until);
    return this.#ledger.outcome(name);
  }

  /** All that happens before the moment. */
  #passTo(time: number): void {
    for (;;) {
      const wake = this.#pool.nextWake();
      const next = this.#agenda.next;
      const aside = this.#beside?.nextWake() ?? Number.POSITIVE_INFINITY;
      if (Math.min(wake, next, aside) > time) return;
      if (aside < Math.min(wake, next)) this.#beside?.tick(aside);
      else if (next <= wake) this.#step(next, this.#agenda.pop());
      else this.#tick(wake);
    }
  }

  #tick(wake: number): void {
    const now = Math.max(wake, this.#tickedAt);
    this.#ticks = now === this.#tickedAt ? this.#ticks + 1 : 0;
    if (this.#ticks > MOST_TICKS) throw new Error(`at ${now} ms the pool wants to be woken at ${wake} ms, again and again`);
    this.#tickedAt = now;
    this.#step(now, { kind: "tick" });
  }

  #step(now: number, event: PoolEvent): void {
    if (event.kind === "raised") this.#weigh(now, event.program);
    if (event.kind === "settled") this.#settled(now, event);
    for (const command of this.#pool.step(now, event)) this.#obey(now, command);
  }

  #obey(now: number, command: PoolCommand): void {
    switch (command.kind) {
      case "grant":
        return this.#grant(now, command);
      case "prepare": {
        const { slot, generation, program } = command;
        const { steps } = this.#programOf(program);
        this.#instances.set(slot, { program, generation, bytes: steps.readyBytes });
        this.#ledger.change(now, steps.readyBytes);
        this.#beside?.prepared(now, program, slot);
        const nanoseconds = steps.instantiateMs * 1e6;
        this.#agenda.push(now + steps.instantiateMs, { kind: "ready", slot, generation, nanoseconds });
        return;
      }
      case "retire":
        this.#gone(now, command.slot, command.generation);
        this.#agenda.push(now + RETIRE_MS, { kind: "retired", slot: command.slot, generation: command.generation });
        return;
      case "raise":
        return this.#raise(now, command.program);
      case "lower":
        return this.#lower(now, command.program);
      case "refuse":
        this.#programOf(this.#scene.trace.task[command.run] as number).waiting--;
        this.#ledger.refused((this.#asked.get(command.run) as Asked).at);
        this.#asked.delete(command.run);
        return;
      case "expire":
        throw new Error(`the pool gave up the lease of run ${command.run}, which settles in time`);
      case "cell":
      case "close-cell":
      case "forget":
        // A cell is a limit and holds nothing by itself.
        return;
    }
  }

  #grant(now: number, { run, slot, generation, program, fresh, last }: Extract<PoolCommand, { kind: "grant" }>): void {
    const state = this.#programOf(program);
    const { component, steps, linkedAt } = state;
    state.waiting--;
    const { at, isLinked } = this.#asked.get(run) as Asked;
    this.#asked.delete(run);
    const raise = isLinked ? 0 : Math.min(now, linkedAt) - at;
    const make = fresh ? steps.instantiateMs : 0;
    this.#ledger.started(at, component, { raise, make, other: now - at - raise }, !isLinked);
    this.#beside?.granted(now, { run, program, slot: fresh ? undefined : slot, waited: now - at + make });
    const bytes = Math.max(this.#scene.trace.bytes[run] as number, steps.readyBytes);
    const before = fresh ? 0 : (this.#instances.get(slot)?.bytes ?? 0);
    this.#instances.set(slot, { program, generation, bytes });
    this.#ledger.change(now, bytes - before);
    const ends = now + make + (this.#scene.trace.duration[run] as number);
    const startNanoseconds = make * 1e6;
    this.#agenda.push(ends, {
      kind: "settled",
      run,
      slot,
      generation,
      ending: "sound",
      memoryBytes: bytes,
      startNanoseconds,
      waitNanoseconds: 0,
    });
    if (last) this.#agenda.push(ends + RETIRE_MS, { kind: "retired", slot, generation });
  }

  /** The run is over: its instance goes with it, or holds what a ready one does. */
  #settled(now: number, { slot, generation }: Extract<PoolEvent, { kind: "settled" }>): void {
    const instance = this.#instances.get(slot);
    if (instance?.generation !== generation) return;
    if (REUSE.maxRequests === 1) return this.#gone(now, slot, generation);
    const { readyBytes } = this.#programOf(instance.program).steps;
    this.#ledger.change(now, readyBytes - instance.bytes);
    instance.bytes = readyBytes;
  }

  #gone(now: number, slot: number, generation: number): void {
    const instance = this.#instances.get(slot);
    if (instance?.generation !== generation) return;
    this.#ledger.change(now, -instance.bytes);
    this.#instances.delete(slot);
    this.#beside?.ended(now, slot);
  }

  #raise(now: number, program: number): void {
    const state = this.#programOf(program);
    if (state.isThere) throw new Error(`the pool links program ${program}, which is linked`);
    state.isThere = true;
    state.linkedAt = now + state.steps.raiseMs;
    this.#ledger.change(now, state.steps.programBytes);
    this.#beside?.linking(now, program, state.waiting === 0);
    const { raiseMs, programBytes } = state.steps;
    this.#agenda.push(state.linkedAt, { kind: "raised", program, bytes: programBytes, milliseconds: raiseMs });
  }

  #lower(now: number, program: number): void {
    const state = this.#programOf(program);
    if (!state.isThere) throw new Error(`the pool lets program ${program} go, which is not linked`);
    state.isThere = false;
    state.linkedAt = Number.POSITIVE_INFINITY;
    this.#beside?.lowered(now, program);
    this.#ledger.change(now, -state.steps.programBytes);
  }

  /** After its first link the runtime asks the engine what an unused instance holds. */
  #weigh(now: number, program: number): void {
    const state = this.#programOf(program);
    if (state.isWeighed) return;
    state.isWeighed = true;
    this.#agenda.push(now, { kind: "footprint", program, bytes: state.steps.readyBytes });
  }

  #programOf(program: number): ProgramState {
    return this.#programs[program] as ProgramState;
  }
}

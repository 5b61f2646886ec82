/** An executor and the real pool over a fake engine, fake code and a clock that the test moves. */
import { expect, onTestFinished } from "vitest";
import type { GuestLine } from "../../src/engine/engine.js";
import type { Outcome } from "../../src/engine/outcome.js";
import { Executor, type CodePort, type PoolPort } from "../../src/invoke/executor.js";
import { Run, type RunEvent, type RunListener } from "../../src/invoke/run.js";
import { EndedRuns } from "../../src/invoke/runs.js";
import { Pool } from "../../src/pool/pool.js";
import type { Code, PoolCommand, PoolEvent } from "../../src/pool/types.js";
import { poolProgram } from "../../src/tasks/spec.js";
import type { Task } from "../../src/tasks/task.js";
import { ANONYMOUS, USUAL_TERMS } from "../../src/tenants/tenant.js";
import { FixedForecast, MiB, settings } from "../pool/script.js";
import { fakeInfo } from "../tasks/fake-task.js";
import { FakeEngine } from "./fake-engine.js";

export interface WorkbenchOptions {
  /** Instances at once; 10. */
  readonly capacity?: number;
  /** Another pool than the real one. */
  readonly pool?: PoolPort;
}

/** What is linked behind the numbers: the engine's program of 7 is 107. */
class FakeCode implements CodePort {
  readonly linked = new Map<number, number>();
  /** What was asked for, in order: `lower 7`. */
  readonly asked: string[] = [];
  /** Links a program. */
  raising: (program: number) => Promise<void> = async () => {};

  link(program: number): void {
    this.linked.set(program, 100 + program);
  }

  async raise(program: number): Promise<{ readonly bytes: number }> {
    this.asked.push(`raise ${program}`);
    await this.raising(program);
    this.link(program);
    return { bytes: 1000 };
  }

  lower(program: number): void {
    this.asked.push(`lower ${program}`);
    this.linked.delete(program);
  }

  forget(program: number): void {
    this.asked.push(`forget ${program}`);
    this.linked.delete(program);
  }

  engineProgram(program: number): number | undefined {
    return this.linked.get(program);
  }

  prepares(program: number): void {
    this.asked.push(`prepares ${program}`);
  }
}

/** A pool that does what the test says, and keeps what it was told. */
export class ScriptedPool implements PoolPort {
  readonly told: PoolEvent[] = [];
  readonly lags: [now: number, milliseconds: number][] = [];
  /** What follows from an event. */
  answer: (event: PoolEvent) => readonly PoolCommand[] = () => [];
  wake = Number.POSITIVE_INFINITY;

  step(_now: number, event: PoolEvent): PoolCommand[] {
    this.told.push(event);
    return [...this.answer(event)];
  }

  nextWake(): number {
    return this.wake;
  }

  lag(now: number, milliseconds: number): void {
    this.lags.push([now, milliseconds]);
  }
}

export class Workbench {
  readonly engine = new FakeEngine();
  readonly clock = { time: 0, now: (): number => this.clock.time };
  readonly code = new FakeCode();
  readonly ended = new EndedRuns(100);
  readonly executor: Executor;
  /** What observers were told, in order. */
  readonly seen: string[] = [];
  readonly lines: { line: GuestLine; run: string | undefined }[] = [];
  readonly #pool: Pool;
  #nextId = 0;

  constructor({ capacity = 10, pool }: WorkbenchOptions = {}) {
    const shared = { cellBytes: 200 * MiB, cellSlots: Math.min(10, capacity) };
    const chosen = settings({ overcommit: 16, pools: { shared } });
    this.#pool = new Pool({ slots: capacity, parallelism: 1, queue: 100 }, chosen, new FixedForecast());
    this.executor = new Executor({
      engine: this.engine,
      pool: pool ?? this.#pool,
      code: this.code,
      clock: this.clock,
      processors: 2,
      ended: this.ended,
      called: () => {},
      asked: () => {},
      consulted: () => {},
      callOff: (run) => this.executor.endUnstarted(run, { kind: "cancelled" }),
      mask: (text) => text.replaceAll("hunter2", "***"),
      observer: {
        settled: (run) => void this.seen.push(`settled ${run.id.slice(-2)} ${run.outcome?.kind}`),
        lines: (lines, runOf) => {
          for (const line of lines) this.lines.push({ line, run: line.run === undefined ? undefined : runOf(line.run)?.id });
        },
        prepared: (nanoseconds) => void this.seen.push(`prepared ${nanoseconds}`),
        prepareFailed: (outcome: Outcome) => void this.seen.push(`failed ${outcome.kind}`),
        raiseFailed: (program, error) => void this.seen.push(`raise of ${program} failed: ${(error as Error).message}`),
      },
    });
    onTestFinished(() => this.executor.stop());
  }

  /** The real one; only where no other was given. */
  get pool(): Pool {
    return this.#pool;
  }

  /** Tells the pool of the task's program. */
  deploy(task: Task, code: Code = "linked"): Task {
    const { program, manifest } = task.version;
    if (code === "linked") this.code.link(program);
    const { tenant } = task;
    const info = fakeInfo("0.3");
    this.executor.tell({
      kind: "add",
      program: poolProgram({ program, tenant, manifest, info, terms: USUAL_TERMS, code, bytes: undefined }),
    });
    return task;
  }

  /** A run that has not been submitted. */
  run(task: Task, listener: Partial<RunListener> = {}): Run & { readonly events: RunEvent[]; readonly endings: (Outcome | undefined)[] } {
    const events: RunEvent[] = [];
    const endings: (Outcome | undefined)[] = [];
    const id = (++this.#nextId).toString(16).padStart(32, "0");
    const told: RunListener = {
      event: (event) => {
        events.push(event);
        listener.event?.(event);
      },
      settled: (run) => {
        endings.push(run.outcome);
        listener.settled?.(run);
      },
    };
    const origin = { kind: "http", method: "GET", path: "/", requestId: undefined, traceparent: undefined } as const;
    const run = new Run(id, this.executor.newHandle(), task, origin, () => ({ kind: "command" }), told, this.clock.now(), ANONYMOUS);
    return Object.assign(run, { events, endings });
  }

  submit(task: Task, listener?: Partial<RunListener>): ReturnType<Workbench["run"]> {
    const run = this.run(task, listener);
    this.executor.submit(run);
    return run;
  }

  /** Lets promises go on that wait for nothing but others. */
  async rest(): Promise<void> {
    await new Promise(setImmediate);
    expect(this.engine.unlinked, "the executor leaves unlinking to the code port").toEqual([]);
  }
}

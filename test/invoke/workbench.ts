/** An executor over a fake engine and a clock that the test moves. */
import { expect, onTestFinished } from "vitest";
import type { GuestLine } from "../../src/engine/engine.js";
import type { ComponentInfo } from "../../src/engine/program.js";
import type { Outcome } from "../../src/engine/outcome.js";
import { Executor } from "../../src/invoke/executor.js";
import { Run, type RunEvent, type RunListener } from "../../src/invoke/run.js";
import { EndedRuns } from "../../src/invoke/runs.js";
import { Pool, type PoolOptions } from "../../src/pool/pool.js";
import { poolProgram } from "../../src/tasks/spec.js";
import type { Task } from "../../src/tasks/task.js";
import { ANONYMOUS } from "../../src/tenants/tenant.js";
import { FakeEngine } from "./fake-engine.js";

export class Workbench {
  readonly engine = new FakeEngine();
  readonly clock = { time: 0, now: (): number => this.clock.time };
  readonly pool: Pool;
  readonly ended = new EndedRuns(100);
  readonly executor: Executor;
  /** What observers were told, in order. */
  readonly seen: string[] = [];
  readonly lines: { line: GuestLine; run: string | undefined }[] = [];
  /** Links a task for a run. */
  raise: (task: Task) => Promise<Task> = async () => expect.fail("every task is linked");
  #nextId = 0;

  constructor(options: Partial<PoolOptions> = {}) {
    this.pool = new Pool({ capacity: 10, parallelism: 1, queue: 100, ...options });
    this.executor = new Executor({
      engine: this.engine,
      pool: this.pool,
      clock: this.clock,
      ended: this.ended,
      raise: (task) => this.raise(task),
      mask: (text) => text.replaceAll("hunter2", "***"),
      observer: {
        settled: (run) => void this.seen.push(`settled ${run.id.slice(-2)} ${run.outcome?.kind}`),
        lines: (lines, runOf) => {
          for (const line of lines) this.lines.push({ line, run: line.run === undefined ? undefined : runOf(line.run)?.id });
        },
        prepared: (nanoseconds) => void this.seen.push(`prepared ${nanoseconds}`),
        prepareFailed: (outcome: Outcome) => void this.seen.push(`failed ${outcome.kind}`),
      },
    });
    onTestFinished(() => this.executor.stop());
  }

  deploy(task: Task): Task {
    this.executor.addProgram(poolProgram(task.version.program, task.version.info as ComponentInfo, task.version.manifest));
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
}

/** One execution as the pipeline sees it, from admission until it has settled, whatever started it. */
import type { EngineEvent, Frame, RunHandle } from "../engine/engine.js";
import { NO_USAGE, type Outcome, type Usage } from "../engine/outcome.js";
import type { Rung } from "../pool/pool.js";
import type { Task } from "../tasks/task.js";
import type { Caller } from "../tenants/tenant.js";

export type RunState = "admitted" | "waiting" | "running" | "settled";

/** What a run tells whoever started it. After `settled` nothing comes any more. */
export interface RunListener {
  event(event: RunEvent): void;
  settled(run: Run): void;
}

/** The engine's events that concern one run, without the last. */
export type RunEvent = Extract<EngineEvent, { run: RunHandle }> & { kind: "head" | "chunk" | "end" | "need-input" | "result" };

/** What started it; part of the log line and of the run's record. */
export interface Origin {
  readonly kind: "http" | "call" | "command";
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
}

/** How a run came by its instance: as the pool has it, or after its task was linked for it. */
export type RunRung = Rung | "own/compiled";

export class Run {
  state: RunState = "admitted";
  /** Milliseconds on the pipeline's clock. */
  readonly admittedAt: number;
  grantedAt: number | undefined;
  headAt: number | undefined;
  settledAt: number | undefined;
  rung: RunRung | undefined;
  /** Its task was linked for it. */
  raised = false;
  /** Making the instance, when it was made for this run. */
  startNanoseconds = 0;
  status: number | undefined;
  /** Why the front could not send the guest's answer. */
  badAnswer: string | undefined;
  outcome: Outcome | undefined;
  usage: Usage = NO_USAGE;
  readonly startedAtWall: number;

  constructor(
    /** The public id. */
    readonly id: string,
    readonly handle: RunHandle,
    /** Another of the same version once that is linked. */
    public task: Task,
    readonly origin: Origin,
    readonly frame: () => Frame,
    readonly listener: RunListener,
    now: number,
    readonly caller: Caller,
  ) {
    this.admittedAt = now;
    this.startedAtWall = Date.now();
  }
}

/** A run that goes on or has ended, with whose it is. */
export interface KnownRun {
  readonly record: RunRecord;
  readonly task: Task;
  readonly caller: Caller;
}

/** The record of a run, as `GET /-/runs/<id>` shows it. Durations are milliseconds. */
export interface RunRecord {
  readonly id: string;
  readonly task: string;
  readonly version: string;
  readonly state: RunState;
  readonly ended: boolean;
  readonly startedAt: string;
  readonly outcome: string | undefined;
  readonly status: number | undefined;
  readonly capacity: RunRung | undefined;
  readonly queueMs: number | undefined;
  readonly runMs: number | undefined;
  readonly cpuMs: number | undefined;
  readonly memoryBytes: number | undefined;
}

/** The record of a run that goes on. */
export function liveRecord(run: Run): RunRecord {
  return {
    id: run.id,
    task: run.task.name,
    version: run.task.version.label,
    state: run.state,
    ended: false,
    startedAt: new Date(run.startedAtWall).toISOString(),
    outcome: undefined,
    status: run.status,
    capacity: run.rung,
    queueMs: run.grantedAt === undefined ? undefined : run.grantedAt - run.admittedAt,
    runMs: undefined,
    cpuMs: undefined,
    memoryBytes: undefined,
  };
}

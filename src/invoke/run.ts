/** One execution as the pipeline sees it, from admission until it has settled, whatever started it. */
import type { HeaderList } from "../base/headers.js";
import type { Problem } from "../base/problem.js";
import type { Decision } from "../dispatch/select.js";
import type { EngineEvent, Frame, RunHandle } from "../engine/engine.js";
import { NO_USAGE, type Outcome, type Usage } from "../engine/outcome.js";
import type { Priority, Rung, SubPool, Term } from "../pool/types.js";
import type { Identity } from "../engine/sidecars.js";
import type { Trace } from "../engine/trace.js";
import type { Beside, Move } from "./beside.js";
import type { Verdict } from "../memo/verdict.js";
import type { Later } from "./later.js";
import type { Memo } from "./memo.js";
import type { Recording } from "./recording.js";
import type { Task } from "../tasks/task.js";
import type { Caller } from "../tenants/tenant.js";
import type { Lease } from "./lease.js";

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
  /** `guest`: a run of another task called it. `sidecar`: it stands beside another. */
  readonly kind: "http" | "call" | "command" | "guest" | "sidecar" | "cron" | "store" | "queue";
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
}

/** What a run has from the one that called it, and from the choice that led to it. */
export interface Descent {
  /** The run whose guest asked for it. */
  readonly parent?: Run | undefined;
  /** It ends no later than this, whatever its own limits, in milliseconds on the pipeline's clock. */
  readonly until?: number | undefined;
  /** Why this task, where it was called for what it does. */
  readonly pick?: Decision | undefined;
}

/** A run that a request, an embedder or an operator started. */
const ROOT: Descent = Object.freeze({});

/** What makes a run a sidecar. */
export interface Stands {
  /** How long each call may take. */
  readonly callMs: number;
  /** What its `start` is given. */
  readonly config: readonly (readonly [string, string])[];
}

/** The usual case: nothing nearer was passed over. */
export const NO_REASONS: readonly string[] = Object.freeze([]);

/** A problem with the headers of whoever refused. */
export type Refusal = Problem & { readonly headers?: HeaderList };

/** What is told of a run names so many that it called. */
const MOST_CALLED = 8;

const NO_SIDECARS: readonly never[] = Object.freeze([]);

export class Run {
  state: RunState = "admitted";
  priority: Priority = "interactive";
  /** Milliseconds on the pipeline's clock. Set anew where it has waited for a run of another that came to nothing. */
  admittedAt: number;
  grantedAt: number | undefined;
  headAt: number | undefined;
  settledAt: number | undefined;
  /** While it runs. */
  lease: Lease | undefined;
  /** How it came by its instance, and why by nothing nearer. */
  rung: Rung | undefined;
  why: readonly string[] = NO_REASONS;
  /** Where it runs or ran: the sub-pool and the cell, and the term that led there. */
  pool: SubPool | undefined;
  term: Term | undefined;
  cell: number | undefined;
  /** Making the instance, when it was made for this run. */
  startNanoseconds = 0;
  status: number | undefined;
  /** The guest's export has been entered: the run is not begun a second time. */
  began = false;
  /** What its guest's last call came to that failed. */
  callProblem: Problem | undefined;
  /** What stands beside it, how long each took to decide on it, and whom they found to be calling. */
  beside: Beside | undefined;
  sidecarTimes: readonly (readonly [string, number])[] = NO_SIDECARS;
  identity: Identity | undefined;
  /** It is a sidecar, whose calls may take so long each. */
  stands: Stands | undefined;
  paused = false;
  /** What it and its sidecars have done together; nothing where nothing was started or stopped for it alone. */
  moves: Move[] | undefined;
  /** What the client is told, where a sidecar kept the run from starting. */
  refusal: Refusal | undefined;
  /** What its arguments come to, where it is a call. */
  argumentBytes = 0;
  /** Why the front could not send the guest's answer. */
  badAnswer: string | undefined;
  /** Of an idempotent task: how it came by its answer. */
  memo: Memo | undefined;
  /** What is kept of it, or of the run that led to it. */
  recording: Recording | undefined;
  /** What its results depend on, where that is wanted. */
  trace: Trace | undefined;
  /** The first runs that it called, in order; undefined: none yet. */
  called: Run[] | undefined;
  /** Its coming was foreseen or announced; undefined: nobody has looked yet. */
  expected: boolean | undefined;
  /** Its client takes an answer later. */
  later: Later | undefined;
  outcome: Outcome | undefined;
  usage: Usage = NO_USAGE;
  readonly startedAtWall: number;
  /** Calls between it and the run that began the chain. */
  readonly depth: number;

  constructor(
    /** The public id. */
    readonly id: string,
    readonly handle: RunHandle,
    readonly task: Task,
    readonly origin: Origin,
    readonly frame: (run: Run) => Frame,
    readonly listener: RunListener,
    now: number,
    readonly caller: Caller,
    readonly descent: Descent = ROOT,
  ) {
    this.admittedAt = now;
    this.startedAtWall = Date.now();
    this.depth = descent.parent === undefined ? 0 : descent.parent.depth + 1;
  }

  /** Notes that it calls another, to be told of. */
  calls(called: Run): void {
    this.called ??= [];
    if (this.called.length < MOST_CALLED) this.called.push(called);
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
  /** Its coming was foreseen or announced. */
  readonly expected: boolean;
  /** How it came by its instance. */
  readonly capacity: Rung | undefined;
  readonly pool: SubPool | undefined;
  readonly term: Term | undefined;
  readonly cell: number | undefined;
  /** Why each nearer way was not possible, the nearest first. */
  readonly why: readonly string[];
  /** The run that called it. */
  readonly parent: string | undefined;
  /** Why this task, where it was called for what it does. */
  readonly pick: Decision | undefined;
  /** Of an idempotent task: what records did for it. */
  readonly record: RecordVerdict | undefined;
  /** How many calls of that run it took, once it has ended. */
  readonly calls: number | undefined;
  /** What it and its sidecars did together, in order; undefined where it has none. */
  readonly lifecycle: readonly Move[] | undefined;
  readonly queueMs: number | undefined;
  readonly runMs: number | undefined;
  readonly cpuMs: number | undefined;
  readonly memoryBytes: number | undefined;
}

/** What whoever knows the run may know: not what it was that has changed. */
export interface RecordVerdict {
  readonly how: Verdict["kind"];
  readonly reason: string | undefined;
  /** The run whose answer it was given. */
  readonly recalls: string | undefined;
  /** `kept`, or why its answer was not. */
  readonly recorded: string | undefined;
}

export function verdictOf(memo: Memo | undefined): RecordVerdict | undefined {
  if (memo === undefined) return undefined;
  const { kind, reason, recalls } = memo.verdict;
  return { how: kind, reason, recalls, recorded: memo.recorded };
}

/** Cells are numbered over all tenants: their numbers are the operator's. */
export function withoutCell(record: object): object {
  const { cell: _, ...rest } = record as { readonly cell?: number };
  return rest;
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
    expected: run.expected === true,
    capacity: run.rung,
    pool: run.pool,
    term: run.term,
    cell: run.cell,
    why: run.why,
    parent: run.descent.parent?.id,
    pick: run.descent.pick,
    record: verdictOf(run.memo),
    calls: undefined,
    lifecycle: run.moves,
    queueMs: run.grantedAt === undefined ? undefined : run.grantedAt - run.admittedAt,
    runMs: undefined,
    cpuMs: undefined,
    memoryBytes: undefined,
  };
}

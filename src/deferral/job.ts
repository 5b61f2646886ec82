/**
 * Work that was accepted and is done later: a request that can wait, a tick of a clock, a key that was written, a message.
 *
 * Each is one document with an id, the id of the run that it becomes. What asked for it decides the id, so that the same tick or
 * the same revision never becomes two (`idOf` in src/base/ids.ts). How far it is, only the moves of `MOVES` change.
 */
import type { HeaderList } from "../base/headers.js";
import type { ProblemCode } from "../base/problem.js";
import type { Identity } from "../engine/sidecars.js";
import type { Decision } from "./decide.js";

/** `waiting`: for its time, or for capacity. `interrupted`: it had begun when the node ended, and may not begin twice. */
export type JobState = "waiting" | "running" | "done" | "failed" | "interrupted" | "cancelled";

/** Which state may follow which. Whoever redrives has what failed wait again. */
export const MOVES: Readonly<Record<JobState, readonly JobState[]>> = {
  waiting: ["running", "failed", "cancelled"],
  running: ["done", "failed", "interrupted", "cancelled", "waiting"],
  failed: ["waiting"],
  interrupted: ["waiting"],
  cancelled: ["waiting"],
  done: [],
};

export function isOver(state: JobState): boolean {
  return state !== "waiting" && state !== "running";
}

/** What asked for it. */
export type JobOrigin =
  | { readonly kind: "request" }
  | { readonly kind: "cron"; readonly line: string; /** ISO 8601. */ readonly tick: string }
  | { readonly kind: "store"; readonly store: string; readonly key: string; readonly revision: number }
  | { readonly kind: "queue"; readonly queue: string };

/** What is to be run. A body, or the arguments of a call, lie beside it: `JobInput`. */
export type JobWork =
  | { readonly kind: "http"; readonly method: string; readonly scheme: string; readonly authority: string; readonly target: string }
  | { readonly kind: "call"; readonly interface: string; readonly function: string }
  | { readonly kind: "command" };

export interface JobInput {
  readonly headers?: HeaderList;
  readonly body?: Uint8Array;
  /** A JSON array of arguments. */
  readonly arguments?: string;
  /** The client's address, for sidecars. */
  readonly peer?: string;
  /** Whoever asked wants to be told how it went, as far as they may. */
  readonly explain?: true;
}

/** Who asked, as it is written down: what it may is looked at again at the start. */
export type JobCaller =
  | { readonly kind: "anonymous" }
  | { readonly kind: "key"; readonly id: string }
  | { readonly kind: "operator"; readonly name: string };

/** What went wrong the last time. */
export interface JobFault {
  readonly code: ProblemCode;
  readonly detail: string | undefined;
  /** The same for those who may look into runs: a trap's own words. */
  readonly insides?: string | undefined;
}

export interface Job {
  readonly id: string;
  readonly tenant: string;
  /** A task by its name, or whoever provides the capability. */
  readonly task: string | undefined;
  readonly capability?: string | undefined;
  readonly origin: JobOrigin;
  readonly work: JobWork;
  readonly caller: JobCaller;
  /** Whom guards found to be calling when it was accepted. */
  readonly identity?: Identity | undefined;
  readonly requestId?: string | undefined;
  readonly traceparent?: string | undefined;
  /** Milliseconds since 1970, all of these. */
  readonly acceptedAt: number;
  /** It starts no later than this, if that was said. */
  readonly notAfter?: number | undefined;
  /** Why it starts when it does. */
  readonly decision?: Decision | undefined;
  readonly inputBytes: number;
  readonly state: JobState;
  /** When it is due, while it waits. */
  readonly dueAt: number;
  /** Of a message that a run has sent: how many runs in a row have sent the message that started the next. */
  readonly hops?: number | undefined;
  /** How often it has begun. */
  readonly starts: number;
  readonly startedAt?: number | undefined;
  readonly endedAt?: number | undefined;
  /** The version that ran it last, and the task where that was chosen. */
  readonly version?: string | undefined;
  readonly ranBy?: string | undefined;
  readonly status?: number | undefined;
  readonly fault?: JobFault | undefined;
  /** It has failed as often as it may, and waits for somebody to redrive it. */
  readonly isDead?: boolean | undefined;
  /** What is known of it is let go then. */
  readonly keptUntil?: number | undefined;
  /** What its answer comes to, once there is one. */
  readonly resultBytes?: number | undefined;
}

export interface JobResult {
  /** Of an HTTP answer; undefined: `json` is the result of a call, or there is none. */
  readonly status?: number;
  /** Of an HTTP answer, and what of ours goes with any. */
  readonly headers?: HeaderList;
  readonly body?: Uint8Array;
  readonly json?: string;
}

/** Something new to be done. */
export type NewJob = Pick<
  Job,
  | "id"
  | "tenant"
  | "task"
  | "capability"
  | "origin"
  | "work"
  | "caller"
  | "identity"
  | "requestId"
  | "traceparent"
  | "notAfter"
  | "decision"
  | "hops"
> & {
  readonly input: JobInput;
  /** Left out: at once. */
  readonly dueAt?: number | undefined;
  /** It is written down, and does not run unless somebody redrives it. */
  readonly parked?: JobFault;
};

export function bytesOf({ headers = [], body, arguments: args }: JobInput): number {
  return headers.reduce((sum, text) => sum + text.length, 0) + (body?.byteLength ?? 0) + (args?.length ?? 0);
}

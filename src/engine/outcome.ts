/** How a run ended, as a value. One function, in `invoke/`, maps it to an answer. */
export type Outcome =
  | { readonly kind: "ok"; /** Exit status of a `wasi:cli/run` component, else 0. */ readonly exit: number }
  /**
   * The guest's own error: a `wasi:http` error-code, no answer at all, or one that breaks its own rules; or a call of
   * another task that came to nothing, where its type could not say so.
   */
  | {
      readonly kind: "guest-error";
      readonly code: "error-code" | "no-answer" | "bad-answer" | "call-failed" | "rejected-config";
      readonly message: string;
    }
  | { readonly kind: "trap"; readonly message: string }
  | { readonly kind: "limit"; readonly limit: Limit; readonly used: number; readonly allowed: number }
  | { readonly kind: "cancelled" }
  /** The frame did not fit, or the engine had no room. */
  | {
      readonly kind: "refused";
      readonly code: RefusalCode;
      readonly message: string;
      /** Seconds after which it may work. */
      readonly retryAfter?: number;
    }
  | { readonly kind: "platform"; readonly code: "internal" | "instance-lost" | "lease-expired" | "closing"; readonly message: string };

/** Bytes for memory, bodies, headers and values; milliseconds for cpu and the times; a count for handles. */
export type Limit =
  | "memory"
  /** The cell's bytes, which all instances in it share. */
  | "cell-memory"
  | "cpu"
  | "head-time"
  | "idle-time"
  | "total-time"
  | "request-body"
  | "response-body"
  | "response-headers"
  | "handles"
  | "values";

export type RefusalCode =
  | "node-full"
  | "task-full"
  | "tenant-full"
  | "overloaded"
  | "draining"
  /** A sidecar kept it from starting. */
  | "sidecar"
  /** The request takes a record alone, and there is none. */
  | "only-if-cached"
  | "deferred"
  | "malformed"
  | "not-http"
  | "not-command"
  | "no-function"
  | "invalid-argument";

export type OutcomeKind = Outcome["kind"];

/** What a run took. */
export interface Usage {
  /** CPU time of the instance during the run. */
  readonly cpuNanoseconds: number;
  /** From the guest's first instruction until the end, waiting included. */
  readonly runNanoseconds: number;
  /** Making the instance, when it was made for this run; 0 when it was ready. */
  readonly startNanoseconds: number;
  /** From the command's arrival in the engine until the guest's first instruction. */
  readonly waitNanoseconds: number;
  /** The highest sum of the instance's linear memories and tables so far. */
  readonly memoryBytes: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Lines that the log limit dropped. */
  readonly droppedLines: number;
  /** Calls of other guests that it has taken, one after the other; and what of its time those took. 0: it is no such run. */
  readonly calls: number;
  readonly serviceNanoseconds: number;
}

export const NO_USAGE: Usage = {
  cpuNanoseconds: 0,
  runNanoseconds: 0,
  startNanoseconds: 0,
  waitNanoseconds: 0,
  memoryBytes: 0,
  requestBytes: 0,
  responseBytes: 0,
  droppedLines: 0,
  calls: 0,
  serviceNanoseconds: 0,
};

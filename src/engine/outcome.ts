/** How a run ended, as a value. One function, in `invoke/`, maps it to an answer. */
export type Outcome =
  | { readonly kind: "ok"; /** Exit status of a `wasi:cli/run` component. */ readonly exit: number }
  /** The guest answered with an error of its own (`wasi:http` error-code, an `err` result, an exit status). */
  | { readonly kind: "guest-error"; readonly message: string }
  | { readonly kind: "trap"; readonly message: string }
  | { readonly kind: "limit"; readonly limit: Limit; readonly used: number; readonly allowed: number }
  | { readonly kind: "cancelled" }
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "platform"; readonly message: string };

/** Bytes for memory, body and output; milliseconds for cpu and the times. */
export type Limit = "memory" | "cpu" | "head-time" | "idle-time" | "total-time" | "request-body" | "response-body" | "headers" | "handles" | "values";

export type OutcomeKind = Outcome["kind"];

/** What a run took. */
export interface Usage {
  /** CPU time of the instance during the run. */
  readonly cpuNanoseconds: number;
  /** From the first poll until the end, waiting included. */
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
}

/** Runs that were started by name rather than by a request: one function call, or a command to its end. */
import type { Clock } from "../base/clock.js";
import { newRunId } from "../base/ids.js";
import type { Problem } from "../base/problem.js";
import type { Frame } from "../engine/engine.js";
import type { Outcome } from "../engine/outcome.js";
import type { Task } from "../tasks/task.js";
import type { Caller } from "../tenants/tenant.js";
import { problemOf } from "./blame.js";
import type { Executor } from "./executor.js";
import { Run, type RunListener } from "./run.js";

/** A call that did not come to a result. `problem` is what an HTTP client would be told. */
export class CallError extends Error {
  override readonly name = "CallError";
  constructor(
    readonly run: string,
    readonly outcome: Outcome,
    readonly problem: Problem,
  ) {
    super(problem.detail ?? ("message" in outcome ? outcome.message : outcome.kind));
  }
}

/** Calls by name come from the program that embeds Pilotlight. */
const OPERATOR: Caller = { kind: "operator", name: "process" };

export interface CallPorts {
  readonly executor: Pick<Executor, "newHandle">;
  readonly clock: Clock;
  /** Has the run start, or be answered from a record. */
  start(run: Run): void;
}

/** Runs a frame on the task and resolves with its result (JSON, for calls) and exit status. Rejects with a `CallError`. */
export function execute(
  ports: CallPorts,
  task: Task,
  kind: "call" | "command",
  frame: Frame,
): Promise<{ json: string | undefined; exit: number; run: string }> {
  return new Promise((resolve, reject) => {
    let json: string | undefined;
    const listener: RunListener = {
      event(event) {
        if (event.kind === "result") json = event.json;
      },
      settled(run) {
        const outcome = run.outcome as Outcome;
        if (outcome.kind === "ok") resolve({ json, exit: outcome.exit, run: run.id });
        else reject(new CallError(run.id, outcome, problemOf(outcome, true)));
      },
    };
    const path = frame.kind === "call" ? `${frame.interface}#${frame.function}` : undefined;
    const origin = { kind, method: undefined, path, requestId: undefined, traceparent: undefined };
    ports.start(new Run(newRunId(), ports.executor.newHandle(), task, origin, () => frame, listener, ports.clock.now(), OPERATOR));
  });
}

/** JSON with bigints as decimal strings and bytes as base64, which is how the engine reads them. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, part: unknown) {
    // The holder has the value as it was; `part` has been through the value's own `toJSON`, which a Buffer has.
    const original = this[key];
    if (original instanceof Uint8Array) return Buffer.from(original.buffer, original.byteOffset, original.byteLength).toString("base64");
    return typeof part === "bigint" ? part.toString() : part;
  });
}

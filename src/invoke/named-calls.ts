/**
 * Calls of guests by a name that they know only when they run: `pilotlight:dispatch/dispatch` (`wit/pilotlight`).
 *
 * The engine asks, and is answered with the JSON of the function's result. Arguments and results are JSON already, so
 * nothing is lost by their way through here.
 */
import { messageOf } from "../base/errors.js";
import { ProblemError, type ProblemCode } from "../base/problem.js";
import type { Engine } from "../engine/engine.js";
import { fromChain, tooDeep, textOf } from "./chain.js";
import type { Choosing } from "./choosing.js";
import type { GuestAsk } from "./executor.js";
import type { Run } from "./run.js";
import type { TypedCalls } from "./typed-calls.js";
import { STAYS } from "./waiter.js";

export interface NamedCallPorts {
  readonly engine: Pick<Engine, "send">;
  readonly calls: TypedCalls;
  readonly choosing: Choosing;
}

type Prefer = { readonly tag: "time" | "memory" } | { readonly tag: "weighted"; readonly val: number } | null;
type Result = { readonly tag: "ok"; readonly val: unknown } | { readonly tag: "err"; readonly val: Failure };
interface Failure {
  readonly tag: "no-provider" | "refused" | "invalid-argument" | "failed" | "guest";
  readonly val: string;
}

export class NamedCalls {
  readonly #ports: NamedCallPorts;

  constructor(ports: NamedCallPorts) {
    this.#ports = ports;
  }

  /** Answers one question; the guest waits until then. */
  asked(ask: GuestAsk, caller: Run | undefined): void {
    const answer = (result: Result): void =>
      this.#ports.engine.send({ kind: "answer", ask: ask.ask, ok: JSON.stringify([result]), error: undefined });
    if (caller === undefined) return answer(failed("refused", "Which run calls cannot be told: several share the instance."));
    if (ask.function === "candidates") {
      // What they would take now is another thing each time.
      caller.recording?.fails("candidates");
      return answer(this.#candidates(caller, ...(JSON.parse(ask.arguments) as [string])));
    }
    void this.#call(caller, ...(JSON.parse(ask.arguments) as [string, string, string, Prefer])).then(answer);
  }

  #candidates(caller: Run, capability: string): Result {
    const found = this.#ports.choosing.choose({
      capability,
      function: undefined,
      bytes: undefined,
      prefer: caller.task.version.manifest.prefer,
      ...fromChain(caller),
    });
    if ("code" in found) return failed(failureOf(found.code), textOf(found));
    const val = found.pick.considered.map(({ provider, version, execMs, startMs, queueMs, load }) => ({
      task: provider,
      version,
      execMs,
      startMs: startMs + queueMs,
      load,
    }));
    return { tag: "ok", val };
  }

  async #call(caller: Run, capability: string, func: string, args: string, prefer: Prefer): Promise<Result> {
    const deep = tooDeep(caller, `${capability}#${func}`);
    if (deep !== undefined) {
      caller.recording?.fails("callee failed");
      return failed(failureOf(deep.code), textOf(deep));
    }
    const bytes = Buffer.from(args, "base64");
    try {
      const { callable, json = "null" } = await this.#ports.calls.call({
        target: { kind: "capability", capability },
        interface: capability,
        function: func,
        arguments: () => (bytes.length === 0 ? "[]" : bytes.toString("utf8")),
        bytes: bytes.length,
        caller: caller.caller,
        debug: false,
        prefer: preferenceOf(prefer) ?? caller.task.version.manifest.prefer,
        requestId: undefined,
        traceparent: caller.origin.traceparent,
        waiter: STAYS,
        from: caller,
      });
      if (callable.result?.kind !== "result") return { tag: "ok", val: base64(json) };
      const { tag, val = null } = JSON.parse(json) as { readonly tag: "ok" | "err"; readonly val?: unknown };
      const value = base64(JSON.stringify(val));
      return tag === "ok" ? { tag, val: value } : { tag, val: { tag: "guest", val: value } };
    } catch (error) {
      // Why may be over by the next time.
      caller.recording?.fails("callee failed");
      if (error instanceof ProblemError) return failed(failureOf(error.problem.code), textOf(error.problem));
      return failed("failed", messageOf(error));
    }
  }
}

function preferenceOf(prefer: Prefer): string | undefined {
  if (prefer === null) return undefined;
  return prefer.tag === "weighted" ? `time=${prefer.val}` : prefer.tag;
}

function failureOf(code: ProblemCode): Failure["tag"] {
  if (code === "call/no-provider" || code === "call/no-function") return "no-provider";
  if (code === "request/invalid-argument" || code === "call/not-callable") return "invalid-argument";
  if (code === "call/cycle" || code === "call/too-deep" || code.startsWith("capacity/") || code.startsWith("quota/")) return "refused";
  return "failed";
}

function failed(tag: Failure["tag"], val: string): Result {
  return { tag: "err", val: { tag, val } };
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

/**
 * What guests say of runs to come, and messages that they send: `pilotlight:triggers` (`wit/pilotlight`).
 *
 * It is the task that speaks, for its own tenant: it needs no key, and what it says is limited and believed by its name. A run that
 * says something leaves no record: who is answered by one would have said nothing.
 */
import { messageOf } from "../base/errors.js";
import { ProblemError, type ProblemCode } from "../base/problem.js";
import type { JobCaller } from "../deferral/job.js";
import type { Engine } from "../engine/engine.js";
import type { Said } from "../triggers/said.js";
import { rootOf } from "./chain.js";
import type { GuestAsk } from "./executor.js";
import { jobCaller } from "./later.js";
import type { Run } from "./run.js";

const QUEUE = "pilotlight:triggers/queue@0.1.0";

/** Whether the interface is one of these. */
export function isOfTriggers(name: string): boolean {
  return name === QUEUE || name === "pilotlight:triggers/announce@0.1.0";
}

export interface GuestTriggerPorts {
  readonly engine: Pick<Engine, "send">;
  /** Throws a `ProblemError` where it is not taken. */
  hear(tenant: string, sender: string, said: Said): { readonly key: string };
  /** `root`: the run that began the chain. Rejects with a `ProblemError` where it is not taken. */
  send(
    tenant: string,
    queue: string,
    message: { body: Uint8Array; type: string | undefined; key: string | undefined; caller: JobCaller; root: string },
  ): Promise<{ readonly id: string }>;
}

interface Runs {
  readonly task: string;
  readonly count: number;
  readonly inMs: number;
  readonly windowMs: number;
  readonly confidence: number;
  readonly key: string | null;
}

type Failure = { readonly tag: "invalid" | "not-found" | "too-much" | "failed"; readonly val: string };
type Result = { readonly tag: "ok"; readonly val?: string } | { readonly tag: "err"; readonly val: Failure };

export class GuestTriggers {
  readonly #ports: GuestTriggerPorts;

  constructor(ports: GuestTriggerPorts) {
    this.#ports = ports;
  }

  /** Answers one question; the guest waits until then. */
  asked(ask: GuestAsk, caller: Run | undefined): void {
    const answer = (result: Result): void =>
      this.#ports.engine.send({ kind: "answer", ask: ask.ask, ok: JSON.stringify([result]), error: undefined });
    if (caller === undefined)
      return answer({ tag: "err", val: { tag: "failed", val: "Which run says so cannot be told: several share the instance." } });
    caller.recording?.fails("said what comes");
    this.#take(ask, caller).then(answer, (error: unknown) => answer({ tag: "err", val: failureOf(error) }));
  }

  async #take({ interface: iface, function: func, arguments: json }: GuestAsk, run: Run): Promise<Result> {
    const { tenant, name } = run.task;
    if (iface === QUEUE) {
      const [queue, body, type, key] = JSON.parse(json) as [string, string, string | null, string | null];
      const message = { body: Buffer.from(body, "base64"), type: type ?? undefined, key: key ?? undefined, caller: jobCaller(run.caller) };
      return { tag: "ok", val: (await this.#ports.send(tenant, queue, { ...message, root: rootOf(run).id })).id };
    }
    const sender = `task:${name}`;
    if (func === "signal") {
      const [signal, key] = JSON.parse(json) as [string, string | null];
      this.#ports.hear(tenant, sender, { kind: "signal", signal, key: key ?? undefined });
      return { tag: "ok" };
    }
    const [{ key, ...said }] = JSON.parse(json) as [Runs];
    const heard = this.#ports.hear(tenant, sender, { kind: "runs", ...said, key: key ?? undefined });
    return { tag: "ok", val: heard.key };
  }
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof ProblemError)) return { tag: "failed", val: messageOf(error) };
  const { code, detail = "" } = error.problem;
  return { tag: tagOf(code), val: detail };
}

function tagOf(code: ProblemCode): Failure["tag"] {
  if (code.startsWith("quota/")) return "too-much";
  if (code === "request/no-such-thing") return "not-found";
  return code.startsWith("request/") ? "invalid" : "failed";
}

/**
 * Calls of guests: who takes them, and how that goes.
 *
 * The engine has the arguments and keeps them; it asks here whose instance is to have them. A call that a manifest's
 * `uses` names goes to that task; any other goes by what tasks provide. What is called is a run of its own, with the
 * caller's remaining time at most and the authorisation of the run that began the chain.
 */
import type { Clock } from "../base/clock.js";
import type { Problem } from "../base/problem.js";
import type { Engine, LinkedFrame } from "../engine/engine.js";
import type { Task } from "../tasks/task.js";
import { Attempt, type AttemptPorts, type Candidate } from "./attempt.js";
import { problemOf } from "./blame.js";
import { functionKey, type Choices, type Choosing, type Wanted } from "./choosing.js";
import { chainOf, chainText, endOfCalled, fromChain, textOf, tooDeep } from "./chain.js";
import type { GuestCall } from "./executor.js";
import type { Run } from "./run.js";

export interface GuestCallPorts extends AttemptPorts {
  readonly engine: Pick<Engine, "send">;
  readonly clock: Clock;
  readonly choosing: Choosing;
  /** The version of a task of the tenant that requests get now. */
  live(tenant: string, task: string): Task | undefined;
  /** The export of a task's component by which it serves an imported interface; the import's own name when it is not known. */
  exportFor(task: Task, imported: string): string;
}

export class GuestCalls {
  readonly #ports: GuestCallPorts;

  constructor(ports: GuestCallPorts) {
    this.#ports = ports;
  }

  /** Takes a call up, or has it fail with the problem. */
  called(call: GuestCall, caller: Run | undefined): void {
    if (caller === undefined)
      return this.#refuse(call, undefined, {
        code: "platform/instance-lost",
        detail: "Which run calls cannot be told: several share the instance, or it has ended.",
      });
    const found = this.#resolve(call, caller);
    if ("code" in found) return this.#refuse(call, caller, found);
    const { candidates, pick } = found;
    const frames = candidates.map(({ task }): Candidate => ({
      task,
      frame: (): LinkedFrame => ({
        kind: "linked",
        call: call.call,
        interface: this.#ports.exportFor(task, call.target),
        function: call.function,
      }),
    }));
    new Attempt(this.#ports, {
      candidates: frames,
      origin: {
        kind: "guest",
        method: undefined,
        path: `${call.target}#${call.function}`,
        requestId: undefined,
        traceparent: caller.origin.traceparent,
      },
      caller: caller.caller,
      descent: { parent: caller, until: endOfCalled(caller), pick },
      listener: {
        event: () => {},
        settled: (run) => this.#settled(call, caller, run),
        refused: (problem) => this.#refuse(call, caller, problem),
      },
    }).begin();
  }

  #resolve(
    call: GuestCall,
    caller: Run,
  ): { readonly candidates: readonly { readonly task: Task }[]; readonly pick: Choices["pick"] | undefined } | Problem {
    const deep = tooDeep(caller, `${call.target}#${call.function}`);
    if (deep !== undefined) return deep;
    const named = caller.task.version.manifest.uses[call.target];
    if (named === undefined) return this.#choose(caller, { capability: call.target, function: call.function, bytes: call.bytes });
    const { tenant } = caller.task;
    const task = this.#ports.live(tenant, named.task);
    if (task === undefined)
      return {
        code: "call/no-provider",
        detail: `The manifest names the task ${named.task} for ${call.target}, and there is none of that name.`,
      };
    if (chainOf(caller).has(task.key))
      return {
        code: "call/cycle",
        detail: `${call.target} is to be served by ${named.task}, which waits for this call: ${chainText(caller)}.`,
      };
    return { candidates: [{ task }], pick: undefined };
  }

  #choose(caller: Run, asked: Pick<Wanted, "capability" | "function" | "bytes">): Choices | Problem {
    return this.#ports.choosing.choose({
      ...asked,
      prefer: undefined,
      ...fromChain(caller),
    });
  }

  #settled(call: GuestCall, caller: Run, run: Run): void {
    const { outcome } = run;
    run.argumentBytes = call.bytes;
    this.#ports.choosing.settled(run, functionKey(call.target, call.function));
    if (outcome === undefined || outcome.kind === "ok") return;
    const problem = problemOf(outcome, false);
    const detail = `${run.task.name} (run ${run.id}): ${textOf(problem)}`;
    // The engine has told the caller of one that had begun.
    if (run.began) caller.callProblem = { code: "call/failed", detail };
    else this.#refuse(call, caller, { ...problem, detail });
  }

  #refuse(call: GuestCall, caller: Run | undefined, problem: Problem): void {
    if (caller !== undefined)
      caller.callProblem = problem.code.startsWith("call/") ? problem : { code: "call/failed", detail: textOf(problem) };
    this.#ports.engine.send({ kind: "refuse-call", call: call.call, message: textOf(problem) });
  }
}

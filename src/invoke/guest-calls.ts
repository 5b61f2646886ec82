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
import type { Launcher } from "./launch.js";
import type { Run } from "./run.js";

/**
 * How long a run goes on with whom was chosen for a call, in calls like it. Asking again costs a hundred microseconds, and
 * who is the best choice changes with the load: in that time a node starts some hundred runs.
 */
const CHOICE_HOLDS_MS = 10;

export interface GuestCallPorts extends AttemptPorts {
  readonly engine: Pick<Engine, "send">;
  readonly clock: Clock;
  readonly choosing: Choosing;
  /** Has a sidecar of the caller's take the call, if one serves what it imports. */
  readonly beside: Pick<Launcher, "called">;
  /** The version of a task of the tenant that requests get now. */
  live(tenant: string, task: string): Task | undefined;
  /** The export of a task's component by which it serves an imported interface; the import's own name when it is not known. */
  exportFor(task: Task, imported: string): string;
}

/** How long a call waits for room that others are about to give back. They do so in far less. */
const GIVING_BACK_MS = 20;

/** A call that found no room, and is tried once more. */
interface Waiting {
  readonly call: GuestCall;
  readonly caller: Run;
  readonly timer: NodeJS.Timeout;
}

export class GuestCalls {
  readonly #ports: GuestCallPorts;
  /** Runs that go on, or wait for the next call, by the one that called them: how many. */
  readonly #calledBy = new Map<Run, number>();
  readonly #waiting = new Set<Waiting>();

  constructor(ports: GuestCallPorts) {
    this.#ports = ports;
  }

  /** Takes a call up, or has it fail with the problem. */
  called(call: GuestCall, caller: Run | undefined): void {
    // What a sidecar of the caller's serves is no other task's.
    if (caller !== undefined && this.#ports.beside.called(call, caller)) return;
    this.#call(call, caller, true);
  }

  /** `mayWait`: for room that the caller's own sessions hold. */
  #call(call: GuestCall, caller: Run | undefined, mayWait: boolean): void {
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
        keep: keepOf(task, pick),
      }),
    }));
    this.#calledBy.set(caller, (this.#calledBy.get(caller) ?? 0) + 1);
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
        // The engine gives results to the caller, unless nobody was run for them.
        event: (run, event) => {
          if (event.kind !== "result" || run.memo?.isRecalled !== true) return;
          this.#ports.engine.send({ kind: "answer-call", call: call.call, results: `[${event.json}]` });
        },
        settled: (run) => this.#settled(call, caller, run, mayWait),
        refused: (problem) => this.#over(call, caller, problem, mayWait),
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
      prefer: caller.task.version.manifest.prefer,
      ...fromChain(caller),
    });
  }

  #settled(call: GuestCall, caller: Run, run: Run, mayWait: boolean): void {
    const { outcome } = run;
    run.argumentBytes = call.bytes;
    this.#ports.choosing.settled(run, functionKey(call.target, call.function));
    if (outcome === undefined || outcome.kind === "ok") return this.#ended(caller);
    const problem = problemOf(outcome, false);
    const told = { ...problem, detail: `${run.task.name} (run ${run.id}): ${textOf(problem)}` };
    if (!run.began) return this.#over(call, caller, told, mayWait);
    // The engine has told the caller.
    caller.callProblem = { code: "call/failed", detail: told.detail };
    this.#ended(caller);
  }

  /** Nobody has taken the call up. Where others are about to give back room, it is tried once more. */
  #over(call: GuestCall, caller: Run, problem: Problem, mayWait: boolean): void {
    const isFull = problem.code.startsWith("capacity/") || problem.code.startsWith("quota/");
    this.#ended(caller);
    if (mayWait && isFull && this.#areGivingBack(caller)) {
      const timer = setTimeout(() => this.#again(waiting), GIVING_BACK_MS);
      const waiting = { call, caller, timer };
      this.#waiting.add(waiting);
    } else this.#refuse(call, caller, problem);
  }

  /** Whether room comes back soon: of what waits for the caller's own next call, or of those whose caller is over. */
  #areGivingBack(caller: Run): boolean {
    if (this.#calledBy.has(caller)) {
      this.#ports.engine.send({ kind: "release", run: caller.handle });
      return true;
    }
    for (const { state } of this.#calledBy.keys()) if (state === "settled") return true;
    return false;
  }

  /** One of what the caller has called is over. */
  #ended(caller: Run): void {
    const left = (this.#calledBy.get(caller) ?? 0) - 1;
    if (left > 0) this.#calledBy.set(caller, left);
    else this.#calledBy.delete(caller);
    // It gives back its room only when all have been told that it is over.
    for (const waiting of this.#waiting) queueMicrotask(() => this.#again(waiting));
  }

  #again(waiting: Waiting): void {
    if (!this.#waiting.delete(waiting)) return;
    clearTimeout(waiting.timer);
    this.#call(waiting.call, waiting.caller, false);
  }

  #refuse(call: GuestCall, caller: Run | undefined, problem: Problem): void {
    // Where there was no room, trying again later helps, and the client is told so.
    if (caller !== undefined)
      caller.callProblem = /^(call|capacity|quota)\//.test(problem.code) ? problem : { code: "call/failed", detail: textOf(problem) };
    this.#ports.engine.send({ kind: "refuse-call", call: call.call, message: textOf(problem) });
  }
}

/** One that shares its instances takes calls beside other runs; none of those waits for the other. */
function keepOf(task: Task, pick: Choices["pick"] | undefined): number {
  const { reuse, idempotent } = task.version.manifest;
  // Each call of one that is idempotent is looked up by itself.
  if (reuse.maxConcurrent > 1 || idempotent !== undefined) return 0;
  return pick === undefined ? Number.POSITIVE_INFINITY : CHOICE_HOLDS_MS;
}

/**
 * A call on its way to whoever takes it: candidates in order, each tried once, until the run of one has begun.
 *
 * A run that never entered its guest has done nothing: it was refused its place, its instance could not be made, its code
 * could not be linked. Then the next candidate is asked. A run that has begun is never repeated, however it ends.
 */
import type { Clock } from "../base/clock.js";
import { newRunId } from "../base/ids.js";
import type { Problem } from "../base/problem.js";
import type { Frame } from "../engine/engine.js";
import type { Priority } from "../pool/types.js";
import type { Task } from "../tasks/task.js";
import type { Entered, Refused } from "../tenants/quotas.js";
import type { Caller } from "../tenants/tenant.js";
import { problemOf } from "./blame.js";
import type { Identity } from "../engine/sidecars.js";
import type { Executor } from "./executor.js";
import type { Later } from "./later.js";
import type { Launcher } from "./launch.js";
import type { BesideRequest } from "./beside.js";
import { Run, type Descent, type Origin, type RunEvent, type Stands } from "./run.js";

/** A version that can take the call. */
export interface Candidate {
  readonly task: Task;
  /** Asked when it has its place, and so its code. */
  readonly frame: (run: Run) => Frame;
}

export interface AttemptPorts {
  readonly executor: Pick<Executor, "newHandle" | "submit" | "cancel">;
  /** Has runs that a client's request starts pass their sidecars; left out, they are submitted as they are. */
  readonly launcher?: Pick<Launcher, "launch" | "launchCalled" | "launchLater" | "cancel">;
  readonly clock: Clock;
  /** Takes a run of this size in, or says why not. */
  enter(tenant: string, memoryBytes: number, now: number): Entered | Refused;
}

/** Told how the call went. */
export interface AttemptListener {
  event(run: Run, event: RunEvent): void;
  /** The run that began has settled, or the last that could have. */
  settled(run: Run): void;
  /** Nobody could even be asked. `run` is an id for the answer alone. */
  refused(problem: Problem, run: string): void;
}

export interface AttemptPlan {
  /** At least one. */
  readonly candidates: readonly Candidate[];
  readonly origin: Origin;
  readonly caller: Caller;
  readonly descent?: Descent;
  /** The request as sidecars see it. */
  readonly request?: BesideRequest;
  /** Of the run; a new one for each where none is said. */
  readonly id?: string;
  /** Whom guards have found to be calling, when it was accepted. */
  readonly identity?: Identity;
  /** It was accepted some time ago: guards are asked only where this is true. */
  readonly guarded?: boolean;
  /** Its answer may come later. */
  readonly later?: Later;
  /** It can wait, and leaves capacity to what cannot. */
  readonly priority?: Priority;
  /** Each run of it is a sidecar. */
  readonly stands?: Stands;
  readonly listener: AttemptListener;
}

export class Attempt {
  readonly #ports: AttemptPorts;
  readonly #plan: AttemptPlan;
  #next = 0;
  #run: Run | undefined;
  #cancelled = false;

  constructor(ports: AttemptPorts, plan: AttemptPlan) {
    this.#ports = ports;
    this.#plan = plan;
  }

  begin(): this {
    this.#tryNext(undefined);
    return this;
  }

  /** Ends the run that goes on; nobody else is asked. */
  cancel(): void {
    this.#cancelled = true;
    if (this.#run !== undefined) (this.#ports.launcher ?? this.#ports.executor).cancel(this.#run);
  }

  /** `last`: what came of the candidate before. */
  #tryNext(last: Problem | undefined): void {
    const { executor, clock } = this.#ports;
    const { candidates, origin, caller, descent, listener } = this.#plan;
    let problem = last;
    while (this.#next < candidates.length) {
      const { task, frame } = candidates[this.#next++] as Candidate;
      const { memory } = task.version.manifest.limits;
      const gate = this.#ports.enter(task.tenant, memory, clock.now());
      if (gate.refused !== undefined) {
        problem = gate.refused;
        continue;
      }
      this.#run = new Run(
        this.#plan.id ?? newRunId(),
        executor.newHandle(),
        task,
        origin,
        (run) => frame(run),
        {
          event: (event) => listener.event(this.#run as Run, event),
          settled: (run) => {
            gate.leave(memory);
            this.#over(run);
          },
        },
        clock.now(),
        caller,
        descent,
      );
      const { request, stands, identity, later, guarded, priority = "interactive" } = this.#plan;
      this.#run.priority = priority;
      this.#run.stands = stands;
      this.#run.identity = identity;
      this.#run.later = later;
      if (stands === undefined) descent?.parent?.calls(this.#run);
      const { launcher } = this.#ports;
      if (launcher === undefined) return executor.submit(this.#run);
      if (request === undefined) return launcher.launchCalled(this.#run);
      return guarded === false ? launcher.launchLater(this.#run, request) : launcher.launch(this.#run, request);
    }
    listener.refused(problem ?? { code: "call/no-provider", detail: undefined }, newRunId());
  }

  #over(run: Run): void {
    const { outcome, began } = run;
    const isLast = this.#next >= this.#plan.candidates.length;
    // Whom a sidecar refuses is not sent on to another.
    if (
      began ||
      this.#cancelled ||
      run.refusal !== undefined ||
      isLast ||
      outcome === undefined ||
      outcome.kind === "ok" ||
      outcome.kind === "cancelled"
    )
      return this.#plan.listener.settled(run);
    // Arguments that do not fit one of them may fit another: types are the providers' own.
    this.#tryNext(problemOf(outcome, false));
  }
}

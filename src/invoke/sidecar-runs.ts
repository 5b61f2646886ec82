/**
 * Sidecars as runs: the keeper says which are to stand, here they are started, asked and stopped.
 *
 * A sidecar is a run of its own task that goes on until it is told to stop. One that is a single run's own finds its room as
 * its calls of other tasks do, at once or not at all; a shared one waits for it as any run does.
 */
import type { Clock } from "../base/clock.js";
import { messageOf } from "../base/errors.js";
import type { Engine, EngineEvent } from "../engine/engine.js";
import type { ComponentInfo } from "../engine/program.js";
import type { Consultation, Consulted, Question } from "../engine/sidecars.js";
import { Keeper, type Unit, type Want } from "../sidecars/keeper.js";
import type { SidecarEntry } from "../sidecars/plan.js";
import type { Task } from "../tasks/task.js";
import type { Caller } from "../tenants/tenant.js";
import { Attempt, type AttemptPorts } from "./attempt.js";
import { problemOf } from "./blame.js";
import { textOf } from "./chain.js";
import type { Beside, BesideOne } from "./beside.js";
import type { Run } from "./run.js";

/** One call of a sidecar takes no longer, whatever its own limits. Milliseconds. */
const CALL_MS = 5000;
/** So many cross at once at the most. */
const MOST_QUESTIONS = 64;
/** How often it is looked whether something has been idle for long. */
const TICK_MS = 250;

/** What a unit is made of. */
export interface Standing {
  readonly task: Task;
  readonly config: readonly (readonly [string, string])[];
  /** The run whose own it is. */
  readonly main: Run | undefined;
  /** Once it is known what its component is. */
  exports?: ReadonlySet<string>;
  info?: ComponentInfo;
  attempt?: Attempt;
  run?: Run;
}

export type SidecarUnit = Unit<Standing>;

export interface SidecarRunPorts extends Pick<AttemptPorts, "executor" | "enter" | "clock"> {
  readonly engine: Pick<Engine, "send" | "consult">;
  readonly clock: Clock;
  describe(task: Task): Promise<ComponentInfo>;
  /** Whether runs that begin now would get this version. */
  isCurrent(task: Task): boolean;
}

/** Pilotlight itself has it started. */
const PROCESS: Caller = { kind: "operator", name: "sidecars" };

export class SidecarRuns {
  readonly #ports: SidecarRunPorts;
  readonly keeper: Keeper<Standing>;
  readonly #wants = new WeakMap<SidecarEntry, { readonly task: Task; readonly want: Want<Standing> }>();
  readonly #asked = new Map<number, (answer: Consulted) => void>();
  #nextRequest = 1;
  /** Those of this turn. */
  readonly #questions: Consultation[] = [];
  #flushing: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #whenNone: (() => void)[] = [];

  constructor(ports: SidecarRunPorts) {
    this.#ports = ports;
    this.keeper = new Keeper<Standing>({
      start: (unit) => this.#start(unit),
      stop: (unit) => {
        this.#flush();
        this.#send(unit, (run) => ports.engine.send({ kind: "stop", run: run.handle }));
      },
      kill: (unit) => unit.of.attempt?.cancel(),
      pause: (unit) => this.#tell(unit, "pause"),
      resume: (unit) => this.#tell(unit, "resume"),
      isCurrent: ({ of }) => ports.isCurrent(of.task),
    });
  }

  /** How long a call of it may take. */
  static callMs(task: Task): number {
    return Math.min(CALL_MS, task.version.manifest.limits.timeout);
  }

  /** What a run needs for an entry of its plan: the same for all runs that share it. */
  #want(run: Run, entry: SidecarEntry, task: Task): Want<Standing> {
    const known = this.#wants.get(entry);
    if (known?.task === task && (known.want.scope === "tenant" || known.want.owner === run.task.key)) return known.want;
    const own = task.version.manifest.sidecar;
    const scope = entry.scope ?? own?.scope ?? "request";
    const config = configOf(entry);
    const main = scope === "request" ? run : undefined;
    const want: Want<Standing> = {
      what: whatOf(task, config),
      scope,
      owner: scope === "task" ? run.task.key : run.task.tenant,
      instances: own?.instances ?? 1,
      idle: own?.idle ?? 30_000,
      make: () => ({ task, config, main }),
    };
    if (scope !== "request") this.#wants.set(entry, { task, want });
    return want;
  }

  /** Has a run have one. */
  attach(run: Run, entry: SidecarEntry, task: Task): ReturnType<Keeper<Standing>["attach"]> {
    return this.keeper.attach(this.#ports.clock.now(), run.handle, this.#want(run, entry, task));
  }

  /** Instances of a sidecar that stand, by the key of its task. */
  standing(key: string): number {
    let count = 0;
    for (const { isUp, of } of this.keeper.units()) if (isUp && of.task.key === key) count++;
    return count;
  }

  release(run: Run): void {
    this.keeper.release(this.#ports.clock.now(), run.handle);
  }

  /** Asks them in their order. `told` undefined: nobody waits; only failures come back, by `consulted`. */
  consult(run: Run, beside: Beside, ones: readonly BesideOne[], question: Question, told: ((answer: Consulted) => void) | undefined): void {
    const request = told === undefined ? 0 : this.#nextRequest++;
    let [open, limitMs] = [0, 0];
    const sidecars: number[] = [];
    for (let i = 0; i < ones.length; i++) {
      const { entry, unit } = ones[i] as BesideOne;
      const standing = (unit as SidecarUnit).of;
      if (entry.onFailure === "open") open |= 1 << i;
      limitMs = Math.max(limitMs, SidecarRuns.callMs(standing.task));
      sidecars.push((standing.run as Run).handle);
    }
    const { task } = run;
    const call = { run: run.id, tenant: task.tenant, task: task.name, version: task.version.label };
    if (told !== undefined) beside.asking++;
    const hear = (answer: Consulted): void => {
      beside.asking--;
      if (answer.failed === undefined) for (const { unit } of ones) this.keeper.worked(unit as SidecarUnit);
      // Its run has yet to settle, and nobody is to ask it until then.
      else for (const [i, reason, gone] of answer.failed) if (gone) this.#ended((ones[i] as BesideOne).unit as SidecarUnit, reason);
      told?.(answer);
    };
    if (told !== undefined) this.#asked.set(request, hear);
    this.#ask({ request, run: run.handle, call, sidecars, open, limitMs, question });
  }

  /**
   * Questions of one turn of the event loop cross together: most of what one costs is going there and coming back. One with a body
   * goes alone.
   */
  #ask(consultation: Consultation): void {
    const hasBody = consultation.question.kind === "request";
    if (hasBody || this.#questions.length >= MOST_QUESTIONS) this.#flush();
    this.#questions.push(consultation);
    if (hasBody) this.#flush();
    else this.#flushing ??= setImmediate(() => this.#flush());
  }

  /** What is to come after those questions waits for nothing else. */
  #flush(): void {
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    if (this.#questions.length === 0) return;
    const questions = this.#questions.splice(0);
    for (const [request, answer] of this.#put(questions)) this.consulted({ request, answer });
  }

  #put(questions: readonly Consultation[]): readonly (readonly [number, Consulted])[] {
    try {
      return this.#ports.engine.consult(questions);
    } catch (error) {
      if (questions.length > 1) return questions.flatMap((question) => this.#put([question]));
      // What does not fit through comes to nothing, as if all of them had failed.
      const { request, sidecars, open } = questions[0] as Consultation;
      const failed = sidecars.map((_, i): [number, string, boolean] => [i, messageOf(error), false]);
      const stopped = sidecars.findIndex((_, i) => (open & (1 << i)) === 0);
      return [[request, { times: [], failed, ...(stopped >= 0 && { stopped }) }]];
    }
  }

  consulted({ request, answer }: Pick<Extract<EngineEvent, { kind: "consulted" }>, "request" | "answer">): void {
    const told = this.#asked.get(request);
    this.#asked.delete(request);
    told?.(answer);
  }

  /** Starts one with this configuration, to see whether it does, and stops it. Resolves with what is wrong. */
  try(entry: SidecarEntry, task: Task, limitMs: number): Promise<string | undefined> {
    // As a run that nobody has would need it, and shared with none.
    const main = -this.#nextRequest++;
    const config = configOf(entry);
    const make = (): Standing => ({ task, config, main: undefined });
    const want: Want<Standing> = { what: whatOf(task, config), scope: "task", owner: `try ${main}`, instances: 1, idle: 0, make };
    const unit = this.keeper.attach(this.#ports.clock.now(), main, want);
    if ("unavailable" in unit) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const over = (reason: string | undefined): void => {
        clearTimeout(timer);
        this.keeper.release(this.#ports.clock.now(), main);
        resolve(reason);
      };
      const timer = setTimeout(() => over(undefined), limitMs);
      unit.whenStarted(() => over(unit.reason));
    });
  }

  /** Nothing is started any more. Resolves when nothing stands, or after `limitMs`. */
  async close(limitMs: number): Promise<void> {
    this.keeper.close(this.#ports.clock.now());
    if (this.keeper.size > 0)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, limitMs);
        this.#whenNone.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    clearInterval(this.#timer);
  }

  #start(unit: SidecarUnit): void {
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
    void this.#describeAndBegin(unit);
  }

  async #describeAndBegin(unit: SidecarUnit): Promise<void> {
    const { of } = unit;
    try {
      of.info = await this.#ports.describe(of.task);
    } catch (error) {
      return this.#ended(unit, messageOf(error));
    }
    of.exports = new Set(of.info.exports.map(({ name }) => name));
    this.#begin(unit);
  }

  #begin(unit: SidecarUnit): void {
    const { of } = unit;
    const { task, config, main } = of;
    of.attempt = new Attempt(this.#ports, {
      candidates: [{ task, frame: () => ({ kind: "sidecar", config }) }],
      origin: { kind: "sidecar", method: undefined, path: undefined, requestId: undefined, traceparent: main?.origin.traceparent },
      caller: main?.caller ?? PROCESS,
      ...(main !== undefined && { descent: { parent: main } }),
      stands: { callMs: SidecarRuns.callMs(task), config },
      listener: {
        event: (run, event) => {
          if (event.kind !== "result") return;
          of.run = run;
          this.keeper.standing(this.#ports.clock.now(), unit);
        },
        settled: ({ outcome }) => {
          const isGood = outcome === undefined || outcome.kind === "ok";
          this.#ended(
            unit,
            isGood
              ? undefined
              : "code" in outcome && outcome.code === "rejected-config"
                ? `its start says: ${outcome.message}`
                : textOf(problemOf(outcome, true)),
          );
        },
        refused: (problem) => this.#ended(unit, textOf(problem)),
      },
    }).begin();
  }

  #ended(unit: SidecarUnit, reason: string | undefined): void {
    this.keeper.ended(this.#ports.clock.now(), unit, reason);
    if (this.keeper.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const resolve of this.#whenNone.splice(0)) resolve();
  }

  #send(unit: SidecarUnit, send: (run: Run) => void): void {
    const { run } = unit.of;
    if (run !== undefined) send(run);
  }

  #tell(unit: SidecarUnit, kind: "pause" | "resume"): void {
    this.#send(unit, (run) => {
      const { task } = run;
      const call = { run: run.id, tenant: task.tenant, task: task.name, version: task.version.label };
      const limitMs = SidecarRuns.callMs(task);
      this.#ask({
        request: 0,
        run: run.handle,
        call,
        sidecars: [run.handle],
        open: 1,
        limitMs,
        question: { kind },
      });
    });
  }

  #tick(): void {
    this.keeper.tick(this.#ports.clock.now());
  }
}

function whatOf(task: Task, config: Standing["config"]): string {
  return `${task.key} ${task.version.program} ${JSON.stringify(config)}`;
}

/** Names and values as `start` takes them. */
function configOf({ config }: SidecarEntry): [string, string][] {
  return Object.entries(config).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
}

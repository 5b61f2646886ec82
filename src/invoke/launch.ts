/**
 * From an admitted run to the executor, past its sidecars: guards say whether it starts, and observers are told how it ended.
 *
 * A sidecar's call is a run of its own, with an instance of its own, that the main's run is the parent of: it has room at once,
 * the reserve, or fails. What that means is the manifest's to say: `closed`, and the main does not run; `open`, and it does.
 * Runs that guests start have none: whoever began the chain was let in.
 */
import type { Clock } from "../base/clock.js";
import { headerValue } from "../base/headers.js";
import { messageOf } from "../base/errors.js";
import type { Problem } from "../base/problem.js";
import type { CallFrame } from "../engine/engine.js";
import type { OutcomeKind } from "../engine/outcome.js";
import type { ComponentInfo } from "../engine/program.js";
import { sidecarsOf, type Sidecar } from "../sidecars/plan.js";
import {
  GUARD,
  guardArguments,
  OBSERVER,
  observerArguments,
  RESPOND,
  respondArguments,
  respondedOf,
  verdictOf,
  type AnswerHead,
  type Call,
  type Head,
} from "../sidecars/wire.js";
import type { Task } from "../tasks/task.js";
import { Attempt, type AttemptPorts } from "./attempt.js";
import { problemOf } from "./blame.js";
import { endOfCalled, textOf } from "./chain.js";
import type { Executor } from "./executor.js";
import type { Refusal, Run } from "./run.js";

/** A guard that takes longer has failed. */
const GUARD_MS = 5000;
/** So long an answer waits for one that may change its head. */
const RESPOND_MS = 5000;
/** An observer is told for so long at most. */
const OBSERVER_MS = 5000;

export interface LaunchPorts {
  readonly executor: Pick<Executor, "newHandle" | "submit" | "cancel" | "endUnstarted">;
  readonly enter: AttemptPorts["enter"];
  readonly clock: Clock;
  /** The version of a task of the tenant that requests get now. */
  live(tenant: string, task: string): Task | undefined;
  describe(task: Task): Promise<ComponentInfo>;
  /** Told of sidecars that failed where the main goes on. */
  failed(run: Run, sidecar: string, problem: Problem): void;
}

/** A run whose guards have not all spoken. */
interface Guarded {
  cancelled: boolean;
  attempt: Attempt | undefined;
}

/** What came of a sidecar's call: its JSON, or why there is none. */
type Answer = { readonly json: string; readonly milliseconds: number } | { readonly problem: Problem };

export class Launcher {
  readonly #ports: LaunchPorts;
  readonly #guarded = new Map<Run, Guarded>();

  constructor(ports: LaunchPorts) {
    this.#ports = ports;
  }

  /** Has the run start, when its guards allow; its listener hears of everything. */
  launch(run: Run, head: () => Head): void {
    const { manifest } = run.task.version;
    if (manifest.sidecars.length === 0 || run.descent.parent !== undefined) return this.#ports.executor.submit(run);
    const shown = head();
    run.sidecars = sidecarsOf(manifest, (name) => headerValue(shown.headers, name.toLowerCase()));
    const guarded: Guarded = { cancelled: false, attempt: undefined };
    this.#guarded.set(run, guarded);
    void this.#guard(run, shown, guarded).finally(() => this.#guarded.delete(run));
  }

  /** Ends a run, whether its guards still decide or it goes on. */
  cancel(run: Run): void {
    const guarded = this.#guarded.get(run);
    if (guarded === undefined) return this.#ports.executor.cancel(run);
    guarded.cancelled = true;
    guarded.attempt?.cancel();
  }

  /** What goes out in place of the head of an answer; a problem where a sidecar that has to see it failed. */
  async respond(run: Run, head: AnswerHead): Promise<AnswerHead | Refusal> {
    let current = head;
    for (const sidecar of run.sidecars) {
      const answer = await this.#ask(run, sidecar, RESPOND, "head", respondArguments(callOf(run), current), RESPOND_MS);
      if (answer === undefined) continue;
      if (!("problem" in answer)) {
        current = respondedOf(answer.json, current);
        continue;
      }
      this.#ports.failed(run, sidecar.use, answer.problem);
      if (sidecar.onFailure === "closed") return { code: "sidecar/failed", detail: undefined, retryAfter: 1 };
    }
    return current;
  }

  /** The run has ended, however: those that observe it are told. */
  ended(run: Run): void {
    const { outcome } = run;
    if (run.sidecars.length === 0 || outcome === undefined) return;
    const milliseconds = (run.settledAt ?? run.admittedAt) - run.admittedAt;
    for (const sidecar of run.sidecars) void this.#tell(run, sidecar, outcome.kind, milliseconds);
  }

  async #tell(run: Run, sidecar: Sidecar, ending: OutcomeKind, milliseconds: number): Promise<void> {
    const json = observerArguments(callOf(run), ending, run.status, milliseconds);
    const answer = await this.#ask(run, sidecar, OBSERVER, "ended", json, OBSERVER_MS);
    if (answer !== undefined && "problem" in answer) this.#ports.failed(run, sidecar.use, answer.problem);
  }

  async #guard(run: Run, head: Head, guarded: Guarded): Promise<void> {
    const { executor } = this.#ports;
    for (const sidecar of run.sidecars) {
      if (guarded.cancelled) break;
      const answer = await this.#ask(run, sidecar, GUARD, "check", guardArguments(callOf(run), head), GUARD_MS, guarded);
      if (answer === undefined || guarded.cancelled) continue;
      if ("problem" in answer) {
        if (sidecar.onFailure === "open") {
          this.#ports.failed(run, sidecar.use, answer.problem);
          continue;
        }
        // Which one, and why, is for the log.
        run.refusal = { code: "sidecar/failed", detail: undefined, retryAfter: 1 };
        return executor.endUnstarted(run, {
          kind: "refused",
          code: "sidecar",
          message: `the sidecar ${sidecar.use} failed: ${textOf(answer.problem)}`,
        });
      }
      run.sidecarTimes = [...run.sidecarTimes, [sidecar.use, answer.milliseconds]];
      const verdict = verdictOf(answer.json);
      if (verdict.refusal !== undefined) {
        const { status, headers, reason } = verdict.refusal;
        run.refusal = { code: "sidecar/refused", detail: reason === "" ? undefined : reason, status, headers };
        return executor.endUnstarted(run, {
          kind: "refused",
          code: "sidecar",
          message: `the sidecar ${sidecar.use} refused it: ${reason}`,
        });
      }
      run.identity ??= verdict.identity;
    }
    if (guarded.cancelled) return executor.endUnstarted(run, { kind: "cancelled" });
    this.#guarded.delete(run);
    executor.submit(run);
  }

  /** Calls the sidecar, if it has that; undefined: it has not. */
  async #ask(
    run: Run,
    { use }: Sidecar,
    iface: string,
    func: string,
    json: string,
    limitMs: number,
    guarded?: Guarded,
  ): Promise<Answer | undefined> {
    const { clock } = this.#ports;
    const task = this.#ports.live(run.task.tenant, use);
    if (task === undefined) return { problem: { code: "call/no-provider", detail: `There is no task ${use}.` } };
    let info: ComponentInfo;
    try {
      info = await this.#ports.describe(task);
    } catch (error) {
      return { problem: { code: "platform/internal", detail: messageOf(error) } };
    }
    if (!info.exports.some(({ name }) => name === iface)) return undefined;
    const frame: CallFrame = { kind: "call", interface: iface, function: func, arguments: json };
    const began = clock.now();
    return new Promise((resolve) => {
      let result = "null";
      const attempt = new Attempt(this.#ports, {
        candidates: [{ task, frame: () => frame }],
        origin: {
          kind: "guest",
          method: undefined,
          path: `${iface}#${func}`,
          requestId: undefined,
          traceparent: run.origin.traceparent,
        },
        caller: run.caller,
        descent: { parent: run, until: Math.min(began + limitMs, iface === GUARD ? endOfCalled(run) : Number.POSITIVE_INFINITY) },
        listener: {
          event: (_run, event) => {
            if (event.kind === "result") result = event.json;
          },
          settled: ({ outcome }) => {
            if (outcome?.kind === "ok") resolve({ json: result, milliseconds: clock.now() - began });
            else resolve({ problem: outcome === undefined ? { code: "platform/internal", detail: undefined } : problemOf(outcome, true) });
          },
          refused: (problem) => resolve({ problem }),
        },
      });
      if (guarded !== undefined) guarded.attempt = attempt;
      attempt.begin();
    });
  }
}

function callOf({ id, task }: Run): Call {
  return { run: id, tenant: task.tenant, task: task.name, version: task.version.label };
}

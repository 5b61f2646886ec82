/**
 * Stage defer: a run that may be answered later is handed over before it takes any capacity, and its client is told where its answer
 * will be.
 *
 * It comes here past its guards and its records: whom nobody let in leaves no job, and what a record answers needs none. It is a
 * job once that is durable, and not before is anybody told.
 */
import { PROBLEMS, type Problem } from "../base/problem.js";
import type { Decision } from "../deferral/decide.js";
import { isOver, type Job, type JobCaller, type JobInput, type JobResult, type JobWork, type NewJob } from "../deferral/job.js";
import type { JobLoad } from "../deferral/jobs.js";
import type { Outcome } from "../engine/outcome.js";
import { NO_USAGE } from "../engine/outcome.js";
import type { Frame } from "../engine/engine.js";
import type { Caller } from "../tenants/tenant.js";
import { identityOf } from "./chain.js";
import type { Executor } from "./executor.js";
import type { Run, RunEvent } from "./run.js";
import type { LaterAsked } from "./stages/prefer.js";

/** What a run that may be answered later knows of that. */
export interface Later extends LaterAsked {
  /** Set where whoever provides it is chosen when it starts. */
  readonly capability?: string | undefined;
  /** The client's address. */
  readonly peer: string;
  /** Whoever asked wants to be told how it went. */
  readonly explain?: boolean;
  /** The job that it has become. */
  job?: Job;
}

export interface LaterPorts {
  readonly executor: Pick<Executor, "hold" | "endUnstarted">;
  accept(jobs: readonly NewJob[]): Promise<readonly Job[]>;
  /** Resolves when the job is over, or with undefined after so long. */
  over(id: string, limitMs: number): Promise<Job | undefined>;
  result(id: string): JobResult | undefined;
  /** When it starts, and why then. */
  decide(run: Run, later: Later): Decision;
  load(tenant: string): JobLoad;
  report(error: unknown): void;
}

/** What may wait of one tenant. */
const MOST_WAITING = 100_000;
const MOST_BYTES = 256 * 2 ** 20;
const OK: Outcome = { kind: "ok", exit: 0 };

export class LaterRuns {
  readonly #ports: LaterPorts;

  constructor(ports: LaterPorts) {
    this.#ports = ports;
  }

  /** True: it is a job now, or will be, and whoever asked is told so; false: it runs as any other. */
  takes(run: Run): boolean {
    const { later } = run;
    if (later === undefined) return false;
    const frame = run.frame(run);
    const work = workOf(frame);
    if (work === undefined) return false;
    this.#ports.executor.hold(run);
    const problem = waitingProblem(this.#ports.load(run.task.tenant));
    if (problem === undefined) void this.#accept(run, later, work, inputOf(frame, later));
    else this.#refuse(run, problem);
    return true;
  }

  async #accept(run: Run, later: Later, work: JobWork, input: JobInput): Promise<void> {
    const { tenant, name } = run.task;
    const { requestId, traceparent } = run.origin;
    try {
      // Whoever waits for it is served at once.
      const decision = later.waitMs === undefined ? this.#ports.decide(run, later) : undefined;
      const [job] = await this.#ports.accept([
        {
          id: run.id,
          tenant,
          task: later.capability === undefined ? name : undefined,
          capability: later.capability,
          origin: { kind: "request" },
          work,
          caller: jobCaller(run.caller),
          identity: identityOf(run),
          requestId,
          traceparent,
          notAfter: later.notAfter,
          decision,
          input,
          ...(decision !== undefined && decision.start !== "now" && { dueAt: decision.start.at }),
        },
      ]);
      if (job === undefined) throw new Error(`the run ${run.id} is known already`);
      later.job = job;
      const over = later.waitMs === undefined ? undefined : await this.#ports.over(job.id, later.waitMs);
      if (over !== undefined) later.job = over;
      if (run.state === "settled") return;
      if (over !== undefined && isOver(over.state) && !this.#answer(run, over))
        return this.#refuse(run, { code: over.fault?.code ?? "platform/internal", detail: over.fault?.detail });
      this.#ports.executor.endUnstarted(run, OK);
    } catch (error) {
      this.#ports.report(error);
      if (run.state !== "settled")
        this.#refuse(run, { code: "platform/storage", detail: "The run could not be written down; it was not accepted." });
    }
  }

  /** It was over in time: its answer goes out as if it had not been a job. False: it came to none. */
  #answer(run: Run, job: Job): boolean {
    const result = this.#ports.result(job.id);
    for (const event of result === undefined ? [] : eventsOf(run, result)) run.listener.event(event);
    return result !== undefined || job.state === "done";
  }

  #refuse(run: Run, problem: Problem): void {
    run.refusal = problem;
    const message = problem.detail ?? PROBLEMS[problem.code].title;
    this.#ports.executor.endUnstarted(run, { kind: "refused", code: "deferred", message }, NO_USAGE);
  }
}

/** Why a tenant may have no more that waits; undefined: it may. */
export function waitingProblem({ waiting, bytes }: JobLoad): Problem | undefined {
  if (waiting < MOST_WAITING && bytes < MOST_BYTES) return undefined;
  const detail = `${waiting} runs of the tenant wait to be run later, with ${bytes} bytes; ${MOST_WAITING} runs and ${MOST_BYTES} bytes are the most.`;
  return { code: "quota/deferred", detail, retryAfter: 10 };
}

/** The answer of a job that is over, as a run tells it. */
function eventsOf(run: Run, { status, headers = [], body, json }: JobResult): RunEvent[] {
  const { handle } = run;
  if (status === undefined) return json === undefined ? [] : [{ kind: "result", run: handle, json }];
  return [{ kind: "head", run: handle, status, headers, body, ended: true, trailers: undefined, startNanoseconds: 0 }];
}

function workOf(frame: Frame): JobWork | undefined {
  if (frame.kind === "http") {
    if (frame.more) return undefined;
    const { method, scheme, authority, target } = frame;
    return { kind: "http", method, scheme, authority, target };
  }
  if (frame.kind === "call") return { kind: "call", interface: frame.interface, function: frame.function };
  return frame.kind === "command" ? { kind: "command" } : undefined;
}

function inputOf(frame: Frame, { peer, explain }: Later): JobInput {
  const more = explain === true ? { explain } : {};
  if (frame.kind === "http") {
    const { body } = frame;
    return { headers: frame.headers.filter((_, i) => !isPrefer(frame.headers, i)), peer, ...(body !== undefined && { body }), ...more };
  }
  return frame.kind === "call" ? { arguments: frame.arguments, peer, ...more } : {};
}

/** What it says has been done: a guest that knows the preference itself is not to put it off once more. */
function isPrefer(headers: readonly string[], i: number): boolean {
  return headers[i - (i % 2)]?.toLowerCase() === "prefer";
}

/** Who asked, as it is written down. */
export function jobCaller(caller: Caller): JobCaller {
  if (caller.kind === "key") return { kind: "key", id: caller.key.id };
  return caller.kind === "operator" ? { kind: "operator", name: caller.name } : { kind: "anonymous" };
}

/**
 * Runs jobs: what was accepted to be done later becomes a run under the same id, by what its task and its caller are now.
 *
 * Guards have let in whoever asked; what a trigger starts passes them only where the manifest says so. All other sidecars stand
 * beside it as beside any run.
 */
import type { HeaderList } from "../base/headers.js";
import type { Problem } from "../base/problem.js";
import { faultOf, type Ending } from "../deferral/deferral.js";
import type { Job, JobInput, JobResult } from "../deferral/job.js";
import type { CallFrame, Engine, Frame } from "../engine/engine.js";
import type { ComponentInfo } from "../engine/program.js";
import type { Task } from "../tasks/task.js";
import { obstacle } from "../memo/policy.js";
import { cacheStatus } from "../memo/verdict.js";
import { mayInvoke } from "../tenants/access.js";
import { ANONYMOUS, type Caller } from "../tenants/tenant.js";
import { isServedBy, parseInterfaceName } from "../wit/capability.js";
import { Attempt, type AttemptPorts, type Candidate } from "./attempt.js";
import type { BesideRequest } from "./beside.js";
import { failureOf } from "./blame.js";
import { serverTiming } from "./explain.js";
import { functionKey, type Choosing } from "./choosing.js";
import type { Launcher } from "./launch.js";
import type { Origin, Run, RunEvent } from "./run.js";

export interface JobRunPorts extends AttemptPorts {
  readonly launcher: Pick<Launcher, "launch" | "launchCalled" | "launchLater" | "cancel" | "responds" | "respond">;
  readonly engine: Pick<Engine, "send">;
  readonly choosing: Choosing;
  /** One of the versions that requests get now, by weight. */
  pick(tenant: string, task: string): Task | undefined;
  /** The caller that a key makes of whoever shows it; undefined: it holds no longer. */
  callerOf(key: string): Caller | undefined;
  describe(task: Task): Promise<ComponentInfo>;
  report(error: unknown): void;
  /** Whether they may look into runs of the tenant's tasks. `peer`: where they asked from. */
  mayExplain(caller: Caller, tenant: string, peer: string): boolean;
}

const NO_INFO = { runs: { http: undefined, command: undefined } } as const;
/** The largest answer that is kept. */
const MOST_RESULT = 16 * 2 ** 20;

export class JobRuns {
  readonly #ports: JobRunPorts;
  readonly #going = new Map<string, Attempt>();
  /** Jobs for which it is looked who takes them, and whether they were called off meanwhile. */
  readonly #coming = new Map<string, boolean>();

  constructor(ports: JobRunPorts) {
    this.#ports = ports;
  }

  cancel(id: string): void {
    if (this.#coming.has(id)) this.#coming.set(id, true);
    this.#going.get(id)?.cancel();
  }

  async run(job: Job, input: JobInput): Promise<Ending> {
    const caller = this.#callerOf(job);
    if (caller === undefined) return gone("request/unauthorized", "The key that it was asked for with holds no longer.");
    this.#coming.set(job.id, false);
    try {
      const found = await this.#candidates(job, input, caller);
      if (this.#coming.get(job.id) === true) return { kind: "cancelled", began: false };
      return "kind" in found ? found : await this.#attempt(job, input, caller, found);
    } catch (error) {
      this.#ports.report(error);
      return gone("platform/internal", "It could not be found out who takes it.");
    } finally {
      this.#coming.delete(job.id);
    }
  }

  #callerOf({ caller }: Job): Caller | undefined {
    if (caller.kind === "key") return this.#ports.callerOf(caller.id);
    return caller.kind === "operator" ? caller : ANONYMOUS;
  }

  async #candidates(job: Job, input: JobInput, caller: Caller): Promise<readonly Candidate[] | Ending> {
    const { tenant, task: name, capability, work } = job;
    if (capability !== undefined) {
      const func = work.kind === "call" ? work.function : undefined;
      const authority = { kind: "caller", caller } as const;
      const wanted = {
        capability,
        function: func,
        bytes: job.inputBytes,
        prefer: undefined,
        authority,
        chain: new Set<string>(),
        chainText: () => "",
      };
      const found = this.#ports.choosing.choose(wanted);
      if ("code" in found) return { kind: "refused", began: false, fault: faultOf(found.code, found.detail) };
      return Promise.all(found.candidates.map((each) => this.#candidate(each.task, job, input)));
    }
    const task = this.#ports.pick(tenant, name as string);
    // What its own triggers start needs nobody's leave.
    const isOwn = job.origin.kind !== "request";
    if (task === undefined || !(isOwn || mayInvoke(caller, { tenant, access: task.version.manifest.access })))
      return gone("request/not-found", `There is no task ${JSON.stringify(name)} any more that it could be a run of.`);
    return [await this.#candidate(task, job, input)];
  }

  async #candidate(task: Task, { work, origin }: Job, input: JobInput): Promise<Candidate> {
    if (work.kind !== "call") {
      const isRequest = origin.kind === "request" || work.kind === "command";
      const { runs } = isRequest ? NO_INFO : await this.#ports.describe(task);
      if (runs.http === undefined && runs.command !== undefined)
        return { task, frame: () => ({ kind: "command", arguments: [task.name, ...toldOf(origin, input)] }) };
      return { task, frame: ({ beside }) => frameOf(work, input, beside?.transformed) };
    }
    const info = await this.#ports.describe(task);
    const exported = info.exports.find(({ name: each }) => each === work.interface || isServed(work.interface, each));
    const known = exported?.functions.find(({ name: each }) => each === work.function);
    // What a trigger has to tell may be more than the function wants to know.
    const args = known === undefined ? input.arguments : fitted(input.arguments ?? "[]", known.parameters.length);
    const frame: CallFrame = {
      kind: "call",
      interface: exported?.name ?? work.interface,
      function: work.function,
      arguments: args ?? "[]",
    };
    return { task, frame: () => frame };
  }

  #attempt(job: Job, input: JobInput, caller: Caller, candidates: readonly Candidate[]): Promise<Ending> {
    const { work, origin: by } = job;
    const isGuarded = by.kind !== "request" && candidates[0]?.task.version.manifest.guardInternal === true;
    const origin: Origin = {
      kind: by.kind === "request" ? (work.kind === "http" ? "http" : work.kind) : by.kind,
      method: work.kind === "http" ? work.method : undefined,
      path: work.kind === "http" ? work.target : work.kind === "call" ? `${work.interface}#${work.function}` : undefined,
      requestId: job.requestId,
      traceparent: job.traceparent,
    };
    return new Promise((resolve) => {
      const answer = new Answer(this.#ports, () => attempt.cancel());
      const over = (ending: Ending): void => {
        this.#going.delete(job.id);
        resolve(ending);
      };
      const attempt = new Attempt(this.#ports, {
        candidates,
        origin,
        caller,
        id: job.id,
        ...(job.identity !== undefined && { identity: job.identity }),
        request: asRequest(job, input),
        guarded: isGuarded,
        // What nobody waits for was weighed.
        priority: job.decision === undefined ? "interactive" : "deferrable",
        listener: {
          event: (run, event) => answer.event(run, event),
          settled: (run) => {
            if (work.kind === "call") this.#ports.choosing.settled(run, functionKey(work.interface, work.function));
            answer.whenWhole(() => over(endingOf(run, answer, this.#told(run, job, input))));
          },
          refused: (problem) => over({ kind: "refused", began: false, fault: faultOf(problem.code, problem.detail) }),
        },
      });
      this.#going.set(job.id, attempt);
      attempt.begin();
    });
  }

  /** What of ours goes with its answer. */
  #told(run: Run, { decision }: Job, { explain, peer = "" }: JobInput): HeaderList {
    const { memo, task, caller, trace } = run;
    const may = (explain === true || memo?.verdict.what !== undefined) && this.#ports.mayExplain(caller, task.tenant, peer);
    const headers = explain === true && may ? ["Server-Timing", serverTiming(run, decision)] : [];
    const policy = task.version.manifest.idempotent;
    if (memo === undefined || policy === undefined) return headers;
    return [...headers, "Cache-Status", cacheStatus(memo.verdict, obstacle(trace?.notes ?? 0, policy), may)];
  }
}

/** What a run answers, as it comes. */
class Answer {
  readonly #ports: Pick<JobRunPorts, "launcher" | "engine">;
  readonly #tooLong: () => void;
  #head: { readonly status: number; readonly headers: HeaderList } | undefined;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #json: string | undefined;
  problem: Problem | undefined;
  /** Sidecars look at the head. */
  #isLookedAt = false;
  #whole: (() => void) | undefined;

  constructor(ports: Pick<JobRunPorts, "launcher" | "engine">, tooLong: () => void) {
    this.#ports = ports;
    this.#tooLong = tooLong;
  }

  event(run: Run, event: RunEvent): void {
    if (event.kind === "result") this.#json = event.json;
    else if (event.kind === "head") {
      run.status = event.status;
      this.#startsWith(run, event.status, event.headers);
      if (event.body !== undefined) this.#add(run, event.body);
    } else if (event.kind === "chunk") this.#add(run, event.bytes);
  }

  #startsWith(run: Run, status: number, headers: HeaderList): void {
    this.#head = { status, headers };
    if (!this.#ports.launcher.responds(run)) return;
    this.#isLookedAt = true;
    this.#ports.launcher.respond(run, { status, headers }, (head) => {
      this.#isLookedAt = false;
      if ("code" in head) this.problem = head;
      else this.#head = head;
      this.#whole?.();
    });
  }

  #add(run: Run, bytes: Uint8Array): void {
    this.#bytes += bytes.byteLength;
    if (this.#bytes > MOST_RESULT) {
      this.problem ??= { code: "guest/output", detail: `Answers of ${MOST_RESULT} bytes are kept; this one is longer.` };
      return this.#tooLong();
    }
    this.#pieces.push(bytes);
    // Nobody takes it piece by piece: there is room for all of it.
    if (run.state !== "settled") this.#ports.engine.send({ kind: "credit", run: run.handle, bytes: bytes.byteLength });
  }

  /** Once nobody looks at its head any more. */
  whenWhole(told: () => void): void {
    if (this.#isLookedAt) this.#whole = told;
    else told();
  }

  /** `told`: fields of ours. */
  result(told: HeaderList): JobResult | undefined {
    if (this.#head !== undefined) {
      const { status, headers } = this.#head;
      return { status, headers: [...headers, ...told], body: Buffer.concat(this.#pieces) };
    }
    return this.#json === undefined ? undefined : { json: this.#json, headers: told };
  }
}

function endingOf(run: Run, answer: Answer, told: HeaderList): Ending {
  const { outcome, task, began, status } = run;
  const { manifest } = task.version;
  const said = { began, manifest, version: task.version.label, ranBy: task.name, status };
  if (answer.problem !== undefined) return { ...said, kind: "failed", fault: faultOf(answer.problem.code, answer.problem.detail) };
  if (outcome?.kind === "ok" && outcome.exit === 0) {
    const result = answer.result(told);
    const isGood = status === undefined || status < 500;
    if (isGood) return { ...said, kind: "done", result };
    return { ...said, kind: "failed", result, fault: faultOf("guest/error", `It answered with the status ${status}.`) };
  }
  // What did not even begin may do so later, unless it is what was asked that is wrong.
  const problem = failureOf(run, false) ?? { code: "platform/internal", detail: undefined };
  const insides = failureOf(run, true)?.detail;
  const fault = { ...faultOf(problem.code, problem.detail), ...(insides !== problem.detail && { insides }) };
  if (outcome?.kind === "cancelled") return { ...said, kind: "cancelled", fault };
  if (outcome?.kind === "ok")
    return { ...said, kind: "failed", fault: faultOf("guest/error", `It ended with the status ${outcome.exit}.`) };
  const isPassing =
    !began && (problem.code.startsWith("capacity/") || problem.code.startsWith("quota/") || problem.code === "platform/draining");
  return { ...said, kind: isPassing ? "refused" : "failed", fault, isFinal: !began && !isPassing };
}

function gone(code: Problem["code"], detail: string): Ending {
  return { kind: "failed", began: false, fault: faultOf(code, detail), isFinal: true };
}

function isServed(wanted: string, name: string): boolean {
  const parsed = parseInterfaceName(wanted);
  return parsed !== undefined && isServedBy(parsed, parseInterfaceName(name));
}

/** What has started a command, as its arguments: the event's fields in their order, or the message. What is not known is empty. */
function toldOf({ kind }: Job["origin"], { body = Buffer.alloc(0) }: JobInput): string[] {
  const text = Buffer.from(body).toString("utf8").replaceAll("\0", "");
  if (kind !== "cron" && kind !== "store") return [text];
  const { trigger: _, ...event } = JSON.parse(text) as Record<string, unknown>;
  return Object.values(event).map((value) => (value === null ? "" : String(value as string | number)));
}

/** As many of the arguments as the function takes. */
function fitted(json: string, count: number): string {
  const args = JSON.parse(json) as unknown;
  return Array.isArray(args) && args.length > count ? JSON.stringify(args.slice(0, count)) : json;
}

function frameOf(work: Exclude<Job["work"], { kind: "call" }>, { headers = [], body }: JobInput, transformed: Transformed): Frame {
  if (work.kind === "command") return { kind: "command" };
  const { method, scheme, authority, target } = work;
  if (transformed === undefined) return { kind: "http", method, scheme, authority, target, headers, body, more: false };
  const { head } = transformed;
  const { pathWithQuery, ...said } = head;
  return {
    kind: "http",
    method: said.method,
    scheme,
    authority: said.authority,
    target: pathWithQuery,
    headers: said.headers,
    body: transformed.body ?? body,
    more: false,
  };
}

type Transformed = NonNullable<Run["beside"]>["transformed"];

/** The request, or what stands for one, as sidecars see it. */
function asRequest({ work }: Job, { headers = [], body, arguments: args, peer = "" }: JobInput): BesideRequest {
  const http = work.kind === "http" ? work : { method: "POST", scheme: "http", authority: "localhost", target: "/" };
  const bytes = body ?? Buffer.from(args ?? "");
  return {
    head: () => ({ method: http.method, scheme: http.scheme, authority: http.authority, pathWithQuery: http.target, headers, peer }),
    header: (name) => {
      const at = headers.findIndex((each, i) => i % 2 === 0 && each.toLowerCase() === name);
      return at < 0 ? undefined : headers[at + 1];
    },
    body: (most, must, told) => told(bytes.byteLength <= most ? bytes : must ? "too-long" : "long"),
  };
}

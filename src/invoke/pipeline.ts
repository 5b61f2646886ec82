/**
 * A request's way through the stages that exist: resolve, identify, admit, lease, run, settle.
 *
 * Each stage is a plain function or a small object that can be tested alone; this file is their order. Stages
 * that refuse end the request before any capacity moves.
 */
import type { Clock } from "../base/clock.js";
import { headerValue, type HeaderList } from "../base/headers.js";
import { stripHopByHop, stripTrailers } from "../base/hop-by-hop.js";
import { newRunId } from "../base/ids.js";
import { PROBLEMS, type Problem } from "../base/problem.js";
import type { Engine, Frame, HttpFrame } from "../engine/engine.js";
import type { Task } from "../tasks/task.js";
import type { Refused, TenantGate } from "../tenants/quotas.js";
import type { Caller } from "../tenants/tenant.js";
import { failureOf } from "./blame.js";
import type { Executor } from "./executor.js";
import type { Exchange, Incoming, Invoke, Reply } from "./invocation.js";
import type { RequestHead } from "../engine/sidecars.js";
import type { BesideRequest } from "./beside.js";
import { etagOf, isUnmodified, unmodifiedHeaders } from "../memo/conditional.js";
import { obstacle, seenRequest } from "../memo/policy.js";
import { cacheStatus } from "../memo/verdict.js";
import type { Launcher } from "./launch.js";
import type { Memo } from "./memo.js";
import { Run, type Refusal, type RunEvent, type RunListener } from "./run.js";
import { admit } from "./stages/admit.js";
import { acceptedTiming } from "./explain.js";
import { withOurs, withoutOurs } from "./stages/head.js";
import { acceptedAnswer } from "./accepted.js";
import type { Job } from "../deferral/job.js";
import { laterAsked, type LaterAsked } from "./stages/prefer.js";
import { authorize, identify, type Identify } from "./stages/identify.js";
import { resolve, type TaskLookup } from "./stages/resolve.js";

export interface PipelinePorts {
  readonly tasks: TaskLookup;
  /** Whose keys they are, what tenants may use at once, and who sees the insides of runs. */
  readonly tenants: TenantPort;
  readonly executor: Pick<Executor, "newHandle" | "hold" | "endUnstarted">;
  readonly launcher: Pick<Launcher, "launch" | "cancel" | "responds" | "respond" | "taken" | "unread">;
  readonly engine: Engine;
  readonly clock: Clock;
  /** Numbers from [0, 1), for weighted choices. */
  readonly random: () => number;
  /** True once the node takes no more runs. */
  draining(): boolean;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
  /** Told of requests that were refused before they became a run. */
  refused(incoming: Incoming, run: string, problem: Problem): void;
}

export interface TenantPort {
  readonly identify: Identify;
  /** Takes a run of this size in, or says why not; what is taken in leaves by the gate that it got. */
  enter(tenant: string, memoryBytes: number, now: number): TenantGate | Refused;
  mayDebug(caller: Caller, tenant: string, peer: string): boolean;
}

/** Builds the function that fronts call. */
export function createInvoke(ports: PipelinePorts): Invoke {
  const { tenants } = ports;
  return (incoming, reply) => {
    const task = resolve(incoming, ports.tasks, ports.random);
    const identified = identify(incoming.headers, tenants.identify);
    const problem = authorize(incoming, task, identified) ?? admit(incoming, task as Task, ports.draining());
    if (problem !== undefined) return refuse(ports, incoming, reply, problem);
    const later = laterAsked((name) => headerValue(incoming.headers, name), (task as Task).version.manifest.async, ports.wall);
    if (later !== undefined && "code" in later) return refuse(ports, incoming, reply, later);
    const { tenant, version } = task as Task;
    const gate = tenants.enter(tenant, version.manifest.limits.memory, ports.clock.now());
    if (gate.refused !== undefined) return refuse(ports, incoming, reply, gate.refused);
    return new HttpRun(ports, task as Task, identified.caller, gate, incoming, reply, later).begin();
  };
}

/** Answers with a problem; nothing runs. */
function refuse(ports: PipelinePorts, incoming: Incoming, reply: Reply, problem: Problem): Exchange {
  const run = newRunId();
  ports.refused(incoming, run, problem);
  // After the exchange is in the front's hands: a front may not expect an answer while it still asks.
  queueMicrotask(() => reply.problem(problem, ourHeaders(run, problem)));
  return { run, input() {}, inputEnd() {}, taken() {}, cancel() {}, refuse() {} };
}

/** What goes with a problem: the run id, and when to try again where waiting helps. */
export function ourHeaders(run: string, problem: Problem): HeaderList {
  const headers = ["Pilotlight-Run", run];
  if (problem.retryAfter !== undefined) headers.push("Retry-After", String(problem.retryAfter));
  else if (RETRIABLE.has(problem.code)) headers.push("Retry-After", "1");
  else if (problem.code === "request/unauthorized") headers.push("WWW-Authenticate", "Bearer");
  return headers;
}

const RETRIABLE: ReadonlySet<Problem["code"]> = new Set([
  "capacity/task-full",
  "capacity/node-full",
  "capacity/cell-full",
  "platform/draining",
  "platform/instance-lost",
]);

/** One HTTP request that runs: the front's exchange on one side, the run's events on the other. */
class HttpRun implements Exchange, RunListener, BesideRequest {
  readonly run: string;
  readonly #ports: PipelinePorts;
  readonly #incoming: Incoming;
  readonly #reply: Reply;
  readonly #run: Run;
  readonly #gate: TenantGate;
  #headSent = false;
  /** All of the answer is out; the guest may go on, and may go on reading. */
  #ended = false;
  #settled = false;
  /** What came while sidecars look at the head of the answer, the head first. */
  #held: (() => void)[] | undefined;
  /** A problem went out in place of the answer. */
  #replaced = false;
  #clean: HeaderList | undefined;
  /** The body, while it is read for transforms. */
  #collecting: Collecting | undefined;
  /** It has been read for them: what still comes is nobody's. */
  #collected = false;
  /** The body, once it has been read to its end. */
  #whole: Uint8Array | undefined;

  constructor(
    ports: PipelinePorts,
    task: Task,
    caller: Caller,
    gate: TenantGate,
    incoming: Incoming,
    reply: Reply,
    later: LaterAsked | undefined,
  ) {
    this.#ports = ports;
    this.#gate = gate;
    this.#incoming = incoming;
    this.#reply = reply;
    this.run = newRunId();
    const origin = {
      kind: "http" as const,
      method: incoming.method,
      path: incoming.target,
      requestId: headerValue(incoming.headers, "x-request-id"),
      traceparent: headerValue(incoming.headers, "traceparent"),
    };
    this.#run = new Run(this.run, ports.executor.newHandle(), task, origin, (run) => this.#frame(run), this, ports.clock.now(), caller);
    if (later !== undefined) this.#run.later = { ...later, peer: incoming.peer, explain: this.#asksFor("pilotlight-explain") };
  }

  begin(): this {
    if (this.#run.later !== undefined && this.#incoming.streaming) this.#readFirst();
    else this.#ports.launcher.launch(this.#run, this);
    return this;
  }

  /** What is to be run later is kept whole. */
  #readFirst(): void {
    const run = this.#run;
    const { executor, launcher } = this.#ports;
    const { timeout, requestBody } = run.task.version.manifest.limits;
    const most = Math.min(requestBody, MOST_KEPT);
    executor.hold(run);
    const late = setTimeout(() => {
      executor.endUnstarted(run, { kind: "limit", limit: "head-time", used: timeout, allowed: timeout });
    }, timeout).unref();
    this.body(most, true, (body) => {
      clearTimeout(late);
      if (run.state === "settled") return;
      if (body !== "too-long") return launcher.launch(run, this);
      run.refusal = { code: "request/body-too-large", detail: `The body of a request that is run later may come to ${most} bytes.` };
      executor.endUnstarted(run, { kind: "refused", code: "deferred", message: "the body is too long to be kept" });
    });
  }

  input(bytes: Uint8Array): void {
    if (this.#collecting !== undefined) return this.#collect(this.#collecting, bytes);
    if (this.#collected) return;
    if (!this.#settled) this.#ports.engine.send({ kind: "chunk", run: this.#run.handle, bytes });
  }

  inputEnd(trailers: HeaderList | undefined): void {
    const collecting = this.#collecting;
    this.#collecting = undefined;
    if (collecting !== undefined) return collecting.told(Buffer.concat(collecting.pieces));
    if (this.#collected) return;
    if (!this.#settled) this.#ports.engine.send({ kind: "end", run: this.#run.handle, trailers: stripTrailers(trailers) });
  }

  taken(bytes: number): void {
    const wanted = this.#run.memo === undefined ? bytes : this.#ports.launcher.taken(this.#run, bytes);
    if (wanted > 0 && !this.#settled) this.#ports.engine.send({ kind: "credit", run: this.#run.handle, bytes: wanted });
  }

  cancel(): void {
    this.#ports.launcher.cancel(this.#run);
  }

  refuse(detail: string): void {
    this.#run.badAnswer = detail;
    this.#ended = true;
    this.#ports.launcher.cancel(this.#run);
  }

  event(event: RunEvent): void {
    if (event.kind === "head") this.#note(event);
    if (this.#held !== undefined && event.kind !== "need-input") this.#held.push(() => this.#tell(event));
    else if (event.kind === "head" && this.#ports.launcher.responds(this.#run)) this.#respond(event);
    else this.#tell(event);
  }

  #note({ status, startNanoseconds }: Extract<RunEvent, { kind: "head" }>): void {
    const run = this.#run;
    run.headAt = this.#ports.clock.now();
    run.status = status;
    run.startNanoseconds = startNanoseconds;
  }

  /** The head goes out as sidecars leave it, and what follows after it. */
  #respond(event: Extract<RunEvent, { kind: "head" }>): void {
    const held: (() => void)[] = (this.#held = []);
    this.#ports.launcher.respond(this.#run, event, (head) => {
      this.#held = undefined;
      if ("code" in head) {
        this.#replaced = true;
        this.#ended = true;
        this.#reply.problem(head, ourHeaders(this.run, head));
        this.#ports.launcher.cancel(this.#run);
      } else this.#tell({ ...event, ...head });
      for (const told of held) told();
    });
  }

  #tell(event: RunEvent): void {
    if (this.#replaced && event.kind !== "need-input") return;
    switch (event.kind) {
      case "head": {
        this.#headSent = true;
        this.#ended = event.ended;
        // What came of a job has told that itself.
        const explain = this.#run.later?.job === undefined && this.#asksFor("pilotlight-explain");
        if (this.#run.memo !== undefined) this.#recalledHead(event, this.#run.memo, explain);
        else this.#reply.head(event.status, withOurs(event.headers, this.#run, explain), event.body, event.ended, event.trailers);
        break;
      }
      case "chunk":
        this.#reply.chunk(event.bytes);
        break;
      case "end":
        this.#ended = true;
        this.#reply.end(event.trailers);
        break;
      case "need-input":
        this.#reply.wantInput(event.bytes);
        break;
      case "result":
        break;
    }
  }

  /** The head of an answer that is, or may become, a record. A client that has it already is told so. */
  #recalledHead(event: Extract<RunEvent, { kind: "head" }>, memo: Memo, explain: boolean): void {
    const { method } = this.#incoming;
    const { status, body, ended, trailers, notes = 0 } = event;
    const { headers, etag } = tagged(event, method);
    const ofOurs = withOurs(headers, this.#run, explain);
    // Of what came of a job, that has told.
    const all = this.#run.later?.job === undefined ? [...ofOurs, "Cache-Status", this.#cacheStatus(memo, notes)] : ofOurs;
    const validators = {
      ifNoneMatch: headerValue(this.#incoming.headers, "if-none-match"),
      ifModifiedSince: headerValue(this.#incoming.headers, "if-modified-since"),
    };
    if (!isUnmodified(validators, method, status, etag, headers)) return this.#reply.head(status, all, body, ended, trailers);
    this.#ended = true;
    this.#replaced = true;
    this.#run.status = 304;
    const ours = all.slice(headers.length);
    this.#reply.head(304, [...unmodifiedHeaders(headers), ...ours], undefined, true, undefined);
    // What is left of the answer is for the record alone.
    if (!ended) this.#ports.launcher.unread(this.#run);
  }

  #cacheStatus({ verdict }: Memo, notes: number): string {
    const { caller, task } = this.#run;
    const { idempotent } = task.version.manifest;
    const insides = verdict.what !== undefined && this.#ports.tenants.mayDebug(caller, task.tenant, this.#incoming.peer);
    return cacheStatus(verdict, idempotent && obstacle(notes, idempotent), insides);
  }

  settled(run: Run): void {
    if (this.#held === undefined) this.#over(run);
    else this.#held.push(() => this.#over(run));
  }

  #over(run: Run): void {
    this.#settled = true;
    this.#gate.leave(run.task.version.manifest.limits.memory);
    if (this.#incoming.streaming) this.#reply.wantInput(0);
    if (this.#ended) return;
    this.#ended = true;
    if (run.later?.job !== undefined && run.outcome?.kind === "ok") return this.#accepted(run.later.job);
    if (this.#headSent) {
      this.#reply.reset();
      return;
    }
    const debug = this.#asksFor("pilotlight-debug");
    const problem: Refusal = failureOf(run, debug) ?? { code: "platform/internal", detail: undefined };
    const theirs = problem.headers ?? [];
    const status = run.memo === undefined ? [] : ["Cache-Status", this.#cacheStatus(run.memo, run.trace?.notes ?? 0)];
    const [name, id, ...others] = [...ourHeaders(this.run, problem), ...theirs, ...status] as [string, string, ...string[]];
    if (this.#ports.launcher.responds(run)) this.#respondProblem(problem, others);
    else this.#reply.problem(problem, [name, id, ...others]);
  }

  /** Where its answer will be (RFC 7240, 4.1; RFC 9110, 15.3.3). */
  #accepted(job: Job): void {
    const { headers, body } = acceptedAnswer(job, this.#run.later?.isPreferred === true);
    const timing = this.#asksFor("pilotlight-explain") ? ["Server-Timing", acceptedTiming(this.#run, job.decision)] : [];
    this.#reply.head(202, [...headers, ...timing], body, true, undefined);
  }

  /** `headers`: without the run's id. */
  #respondProblem(problem: Refusal, headers: HeaderList): void {
    const status = problem.status ?? PROBLEMS[problem.code].status;
    this.#ports.launcher.respond(this.#run, { status, headers }, (head) => {
      if ("code" in head) this.#reply.problem(problem, ["Pilotlight-Run", this.run, ...headers]);
      else this.#reply.problem({ ...problem, status: head.status }, ["Pilotlight-Run", this.run, ...head.headers]);
    });
  }

  #asksFor(name: string): boolean {
    if (headerValue(this.#incoming.headers, name) !== "1") return false;
    return this.#ports.tenants.mayDebug(this.#run.caller, this.#run.task.tenant, this.#incoming.peer);
  }

  /** The request as its sidecars see it. */
  head(): RequestHead {
    const { method, scheme, authority, target, peer } = this.#incoming;
    return { method, scheme, authority, pathWithQuery: target, headers: this.#headers(), peer };
  }

  header(name: string): string | undefined {
    if (FOR_DEBUG.has(name) && !this.#asksFor(name)) return undefined;
    return headerValue(this.#incoming.headers, name);
  }

  body(most: number, must: boolean, told: (body: Uint8Array | "long" | "too-long") => void): void {
    const { body = NO_BYTES, streaming, contentLength } = this.#incoming;
    const isLong = streaming && (contentLength === undefined ? !must : contentLength > most);
    if (isLong) return told(must ? "too-long" : "long");
    if (!streaming) return told(body);
    if (this.#whole !== undefined) return told(this.#whole);
    this.#collected = true;
    const collected = (read: Uint8Array | "too-long"): void => {
      if (read !== "too-long") this.#whole = read;
      told(read);
    };
    this.#collecting = { pieces: [body], bytes: body.byteLength, most, told: collected };
    this.#reply.wantInput(most + 1);
  }

  #collect(collecting: Collecting, bytes: Uint8Array): void {
    collecting.pieces.push(bytes);
    collecting.bytes += bytes.byteLength;
    if (collecting.bytes <= collecting.most) return;
    this.#collecting = undefined;
    collecting.told("too-long");
  }

  /** Without what is the transport's and ours. */
  #headers(): HeaderList {
    return (this.#clean ??= withoutOurs(stripHopByHop(this.#incoming.headers)));
  }

  #frame(run: Run): Frame {
    const { method, scheme, authority, target } = this.#incoming;
    const body = this.#whole ?? this.#incoming.body;
    const streaming = this.#incoming.streaming && this.#whole === undefined;
    const transformed = run.beside?.transformed;
    if (transformed === undefined)
      return this.#asSeen({ kind: "http", method, scheme, authority, target, headers: this.#headers(), body, more: streaming });
    const { head } = transformed;
    const whole = transformed.body === undefined ? { body, more: streaming } : { body: transformed.body, more: false };
    const { pathWithQuery, headers } = head;
    return this.#asSeen({ kind: "http", method: head.method, scheme, authority: head.authority, target: pathWithQuery, headers, ...whole });
  }

  /** The request as the guest is to see it. */
  #asSeen(frame: HttpFrame): HttpFrame {
    const { idempotent } = this.#run.task.version.manifest;
    return idempotent === undefined ? frame : seenRequest(frame, idempotent);
  }
}

/** The head with its entity tag, one that is made of the body where the guest gave none. */
function tagged(
  { status, headers, body, ended }: Extract<RunEvent, { kind: "head" }>,
  method: string,
): { readonly headers: HeaderList; readonly etag: string | undefined } {
  const etag = headerValue(headers, "etag");
  if (etag !== undefined || !ended || status !== 200 || method !== "GET") return { headers, etag };
  const own = etagOf(body ?? NO_BYTES);
  return { headers: [...headers, "ETag", own], etag: own };
}

interface Collecting {
  readonly pieces: Uint8Array[];
  bytes: number;
  readonly most: number;
  readonly told: (body: Uint8Array | "too-long") => void;
}

const NO_BYTES = new Uint8Array();
/** The largest body that is kept for later. */
const MOST_KEPT = 16 * 2 ** 20;
/** Fields that work for those who hold `debug`, and are ignored from others. */
const FOR_DEBUG: ReadonlySet<string> = new Set(["pilotlight-debug", "pilotlight-explain"]);

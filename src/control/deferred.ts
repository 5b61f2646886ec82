/** What was accepted to be run later, as people and scripts see and steer it; and messages, which are that too. */
import { ProblemError } from "../base/problem.js";
import { isOver, MOVES, type Job, type JobCaller, type JobState } from "../deferral/job.js";
import type { JobQuery } from "../deferral/jobs.js";
import { mayDebug, require as requireScope } from "../tenants/access.js";
import { noSuch } from "../tenants/refusals.js";
import type { Caller } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { DeferredDetail, DeferredQuery, DeferredView, MessageInput, Page, Paged, QueueInfo } from "./control.js";
import type { Ledger } from "./ledger.js";
import { cursorOf, readPage } from "./paging.js";
import { shownRevision } from "./stores.js";

/** The store of jobs and what works on it. */
export interface DeferralPort {
  readonly jobs: {
    get(id: string): Job | undefined;
    list(query: JobQuery, after: string | undefined, limit: number): Job[];
  };
  cancel(id: string): Promise<Job | undefined>;
  redrive(id: string): Promise<Job | undefined>;
  queues(tenant: string): readonly { readonly name: string; readonly task: string }[];
  send(
    tenant: string,
    queue: string,
    message: { body: Uint8Array; type: string | undefined; key: string | undefined; caller: JobCaller },
  ): Promise<Job>;
}

export interface DeferredPorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly deferred: DeferralPort;
  /** Makes revisions unreadable, as those of stores are. */
  readonly revisionKey: Uint8Array;
}

const ID = /^[0-9a-f]{32}$/;
/** Dead letters that one request redrives. */
const MOST_REDRIVEN = 1000;

export class DeferredDesk {
  readonly #ports: DeferredPorts;

  constructor(ports: DeferredPorts) {
    this.#ports = ports;
  }

  /** The latest first. */
  list(caller: Caller, tenant: string, query: DeferredQuery, page: Page): Paged<DeferredView> {
    this.#allow(caller, tenant, "read");
    const { after, limit } = readPage(page);
    const found = this.#ports.deferred.jobs.list({ tenant, ...query }, after, limit + 1);
    const items = found.slice(0, limit).map((job) => this.#view(caller, job));
    const last = items.at(-1);
    return { items, next: found.length > limit && last !== undefined ? cursorOf(last.id) : undefined };
  }

  get(caller: Caller, tenant: string, id: string): DeferredDetail {
    this.#allow(caller, tenant, "read");
    return this.#detail(caller, this.#need(tenant, id));
  }

  cancel(caller: Caller, tenant: string, id: string): Promise<DeferredDetail> {
    return this.#change(caller, tenant, id, "cancel", (job) => {
      if (isOver(job.state)) throw new ProblemError("request/conflict", `The run ${id} is ${job.state}: there is nothing to call off.`);
      return this.#ports.deferred.cancel(id);
    });
  }

  redrive(caller: Caller, tenant: string, id: string): Promise<DeferredDetail> {
    return this.#change(caller, tenant, id, "redrive", (job) => {
      if (!isOver(job.state) || !MOVES[job.state].includes("waiting"))
        throw new ProblemError(
          "request/conflict",
          `The run ${id} is ${job.state}; only what failed, was interrupted or called off is run again.`,
        );
      return this.#ports.deferred.redrive(id);
    });
  }

  /** All dead letters, of one task or queue where that is said. */
  async redriveAll(caller: Caller, tenant: string, query: Pick<DeferredQuery, "task" | "queue">): Promise<{ readonly redriven: number }> {
    this.#allow(caller, tenant, "deploy");
    const dead = this.#ports.deferred.jobs.list({ tenant, ...query, dead: true }, undefined, MOST_REDRIVEN);
    let redriven = 0;
    for (const { id } of dead) if ((await this.redrive(caller, tenant, id)).state !== "failed") redriven++;
    return { redriven };
  }

  queues(caller: Caller, tenant: string): readonly QueueInfo[] {
    this.#allow(caller, tenant, "read");
    const { deferred } = this.#ports;
    const count = (query: Omit<JobQuery, "tenant">): number =>
      deferred.jobs.list({ tenant, ...query }, undefined, Number.POSITIVE_INFINITY).length;
    return deferred.queues(tenant).map(({ name, task }) => ({
      name,
      task,
      waiting: count({ queue: name, state: "waiting" }),
      running: count({ queue: name, state: "running" }),
      dead: count({ queue: name, dead: true }),
    }));
  }

  async send(caller: Caller, tenant: string, queue: string, { body, type, key }: MessageInput): Promise<DeferredView> {
    this.#allow(caller, tenant, "invoke");
    return this.#view(caller, await this.#ports.deferred.send(tenant, queue, { body, type, key, caller: jobCaller(caller) }));
  }

  #change(
    caller: Caller,
    tenant: string,
    id: string,
    what: "cancel" | "redrive",
    change: (job: Job) => Promise<Job | undefined>,
  ): Promise<DeferredDetail> {
    const { ledger } = this.#ports;
    return ledger.turn(async () => {
      this.#allow(caller, tenant, "deploy");
      const before = this.#need(tenant, id);
      const changed = change(before);
      // Jobs have a file of their own: what is done to them is noted beside it.
      const after = (await changed) ?? this.#need(tenant, id);
      const deed = { tenant, action: `deferred.${what}`, subject: `run ${id}`, before: before.state, after: after.state };
      await ledger.commit(caller, deed, []);
      return this.#detail(caller, after);
    });
  }

  #need(tenant: string, id: string): Job {
    const job = ID.test(id) ? this.#ports.deferred.jobs.get(id) : undefined;
    if (job === undefined || job.tenant !== tenant) throw noSuch("deferred run", id);
    return job;
  }

  #allow(caller: Caller, tenant: string, scope: "read" | "deploy" | "invoke"): void {
    requireScope(caller, tenant, scope);
    this.#ports.tenants.need(tenant);
  }

  #view(caller: Caller, job: Job): DeferredView {
    const { id, capability, state, isDead = false, dueAt, notAfter, acceptedAt, starts, startedAt, endedAt, status, fault } = job;
    return {
      id,
      task: job.ranBy ?? job.task,
      capability,
      version: job.version,
      state,
      dead: isDead,
      origin: this.#originOf(job),
      acceptedAt: time(acceptedAt) as string,
      dueAt: state === "waiting" ? time(dueAt) : undefined,
      notAfter: time(notAfter),
      starts,
      startedAt: time(startedAt),
      endedAt: time(endedAt),
      status,
      fault: fault && { code: fault.code, detail: (mayDebug(caller, job.tenant) ? fault.insides : undefined) ?? fault.detail },
    };
  }

  #detail(by: Caller, job: Job): DeferredDetail {
    const { decision, inputBytes, resultBytes, keptUntil, caller, identity } = job;
    return {
      ...this.#view(by, job),
      decision: decision && {
        why: decision.why,
        startsAt: decision.start === "now" ? undefined : time(decision.start.at),
        latest: time(decision.latest) as string,
        now: weighed(decision.now),
        best: decision.best && weighed(decision.best),
      },
      inputBytes,
      resultBytes,
      keptUntil: time(keptUntil),
      caller: caller.kind === "anonymous" ? "anonymous" : caller.kind === "key" ? `key:${caller.id}` : `operator:${caller.name}`,
      subject: identity?.subject,
    };
  }

  #originOf({ tenant, origin, work }: Job): string {
    switch (origin.kind) {
      case "request":
        if (work.kind === "http") return `request ${work.method} ${work.target}`;
        return work.kind === "call" ? `call ${work.interface}#${work.function}` : "request";
      case "cron":
        return `cron ${origin.line} at ${origin.tick}`;
      case "store":
        return `store ${origin.store}/${origin.key} @ ${shownRevision(this.#ports.revisionKey, tenant, origin.revision)}`;
      case "queue":
        return `queue ${origin.queue}`;
    }
  }
}

export const JOB_STATES = ["waiting", "running", "done", "failed", "interrupted", "cancelled"] as const satisfies readonly JobState[];

function weighed({ at, demand, price, cost }: NonNullable<Job["decision"]>["now"]): NonNullable<DeferredDetail["decision"]>["now"] {
  return { at: time(at) as string, demand, price, cost };
}

function jobCaller(caller: Caller): JobCaller {
  if (caller.kind === "key") return { kind: "key", id: caller.key.id };
  return caller.kind === "operator" ? { kind: "operator", name: caller.name } : { kind: "anonymous" };
}

function time(milliseconds: number | undefined): string | undefined {
  return milliseconds === undefined ? undefined : new Date(milliseconds).toISOString();
}

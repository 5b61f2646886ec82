/**
 * Runs that answer later: what was accepted is kept (`jobs.ts`), waits for its time (`queue.ts`, `decide.ts`), and is started
 * once, or until it has worked where its task says that it may be repeated.
 *
 * That it begins is durable before it does. So a job that is found running at a start had begun: it is `interrupted`, or begins
 * again. What never came to begin, for want of capacity, waits on, and that is no start.
 */
import type { ProblemCode } from "../base/problem.js";
import type { Change } from "../state/store.js";
import type { Manifest } from "../tasks/manifest.js";
import { isOver, type Job, type JobFault, type JobInput, type JobResult, type JobState, type NewJob } from "./job.js";
import { DEAD_MS, type Jobs, type Step } from "./jobs.js";
import { backoff, JobQueue } from "./queue.js";

/** How a start of a job came out. */
export interface Ending {
  /** `refused`: it did not begin, and may work later; `failed`: it began and came to no good answer, or will never begin. */
  readonly kind: "done" | "failed" | "cancelled" | "refused";
  readonly began: boolean;
  readonly result?: JobResult | undefined;
  readonly fault?: JobFault | undefined;
  readonly status?: number | undefined;
  readonly version?: string | undefined;
  readonly ranBy?: string | undefined;
  /** What its task says of repeating, as it is now; undefined: there is no such task. */
  readonly manifest?: Pick<Manifest, "repeat" | "retries" | "keepResults"> | undefined;
  /** Trying again will not help: the task is gone, or the caller may not any more. */
  readonly isFinal?: boolean;
}

export interface DeferralPorts {
  readonly jobs: Jobs;
  /** Milliseconds since 1970; does not go back. */
  readonly wall: () => number;
  readonly random: () => number;
  /** Runs it; resolves with what came of that, and never rejects for what went wrong with the run. */
  run(job: Job, input: JobInput): Promise<Ending>;
  /** Ends the run that goes on for a job. */
  cancel(id: string): void;
  /** What its task says now. */
  manifestOf(job: Job): Pick<Manifest, "repeat" | "retries" | "keepResults"> | undefined;
  /** Node and tenant have less to do than usual: what was put off may start before its time. */
  isQuiet(): boolean;
  /** `pump` is to be called then. Milliseconds since 1970. */
  wakeAt(time: number): void;
  /** Told of steps, for the log. */
  told(job: Job, how: string): void;
  report(error: unknown): void;
}

export interface DeferralLimits {
  /** Runs at once, of all tenants and of one. */
  readonly most: number;
  readonly perTenant: number;
}

/** What cannot begin for want of capacity is tried again after this and up to that. Milliseconds. */
const REFUSED = { delay: 500, longest: 30_000 };
const USUAL: Pick<Manifest, "repeat" | "retries" | "keepResults"> = {
  repeat: false,
  retries: { max: 0, delay: 1000, longest: 300_000 },
  keepResults: 86_400_000,
};
const WRITE_AGAIN_MS = 1000;
/** Both are written at once: whatever took one of them away, the other does not wait for ever. */
const LOST: JobFault = {
  code: "platform/internal",
  detail: "What was asked for is there no more: the folder deferred/ is not as it was left.",
};
/** It began, and the node ended: that is all that is known of it. */
const INTERRUPTED: JobFault = { code: "platform/draining", detail: "The node ended while it ran." };

export class Deferral {
  readonly #ports: DeferralPorts;
  readonly #limits: DeferralLimits;
  readonly #queue = new JobQueue();
  readonly #waiters = new Map<string, Set<(job: Job) => void>>();
  /** How often each was refused in a row. */
  readonly #refusals = new Map<string, number>();
  readonly #running = new Map<string, Promise<void>>();
  /** Jobs that were called off while they run or are about to. */
  readonly #calledOff = new Set<string>();
  /** Nothing begins until then, because what began last could not be written down. */
  #pausedUntil = 0;
  #closed = false;

  constructor(ports: DeferralPorts, limits: DeferralLimits) {
    this.#ports = ports;
    this.#limits = limits;
  }

  get jobs(): Jobs {
    return this.#ports.jobs;
  }

  /** Takes up what was there when the process began. */
  async start(): Promise<void> {
    const { jobs } = this.#ports;
    for (const job of Array.from(jobs.all())) {
      if (job.state === "running") await this.#resume(job);
      const now = jobs.get(job.id);
      if (now?.state === "waiting") this.#enqueue(now);
    }
    this.pump();
  }

  async #resume(job: Job): Promise<void> {
    const { repeat, keepResults } = this.#ports.manifestOf(job) ?? USUAL;
    const now = this.#ports.wall();
    if (repeat) await this.#step(job.id, "waiting", { dueAt: now });
    else
      await this.#step(job.id, "interrupted", {
        endedAt: now,
        keptUntil: now + Math.max(keepResults, DEAD_MS),
        fault: INTERRUPTED,
        isDead: true,
      });
  }

  /** Takes on what is new of these, with whatever else is to be true at the same moment; resolves once that is durable. */
  async accept(wanted: readonly NewJob[], more: readonly Change[] = []): Promise<Job[]> {
    const accepted = await this.#ports.jobs.accept(wanted, this.#ports.wall(), more);
    for (const job of accepted) {
      this.#ports.told(job, job.state === "waiting" ? "accepted" : "parked");
      if (job.state === "waiting") this.#enqueue(job);
    }
    if (accepted.length > 0) this.pump();
    return accepted;
  }

  /** Resolves when the job is over, or with undefined after so long. */
  over(id: string, limitMs: number): Promise<Job | undefined> {
    const job = this.#ports.jobs.get(id);
    if (job === undefined || isOver(job.state)) return Promise.resolve(job);
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters);
      const told = (after: Job | undefined): void => {
        clearTimeout(timer);
        waiters.delete(told);
        if (waiters.size === 0) this.#waiters.delete(id);
        resolve(after);
      };
      const timer = setTimeout(() => told(undefined), limitMs).unref();
      waiters.add(told);
    });
  }

  /** Undefined: it was over already, or is not known. One that runs is over once its run is. */
  async cancel(id: string): Promise<Job | undefined> {
    const job = this.#ports.jobs.get(id);
    if (job === undefined || isOver(job.state)) return undefined;
    if (job.state === "waiting") {
      const now = this.#ports.wall();
      const { keepResults } = this.#ports.manifestOf(job) ?? USUAL;
      // It may be about to run: then it is not called off here, but as a run.
      const cancelled = await this.#step(id, "cancelled", { endedAt: now, keptUntil: now + keepResults }, undefined, "waiting");
      if (cancelled !== undefined) {
        this.#queue.remove(id);
        return cancelled;
      }
    }
    if (this.#ports.jobs.get(id)?.state === "running") {
      // Its run may not be there yet.
      this.#calledOff.add(id);
      this.#ports.cancel(id);
    }
    return this.#ports.jobs.get(id);
  }

  /** Has what failed wait again, at once. Undefined: it has not failed. */
  async redrive(id: string): Promise<Job | undefined> {
    const job = this.#ports.jobs.get(id);
    if (job === undefined || !isOver(job.state) || job.state === "done") return undefined;
    const now = this.#ports.wall();
    const again = {
      dueAt: now,
      starts: 0,
      notAfter: undefined,
      isDead: undefined,
      fault: undefined,
      endedAt: undefined,
      keptUntil: undefined,
    };
    const waiting = await this.#step(id, "waiting", again);
    if (waiting === undefined) return undefined;
    this.#enqueue(waiting);
    this.pump();
    return waiting;
  }

  /** Starts what is due and has room. */
  pump(): void {
    if (this.#closed) return;
    const now = this.#ports.wall();
    if (now < this.#pausedUntil) return this.#ports.wakeAt(this.#pausedUntil);
    const { most, perTenant } = this.#limits;
    const take = { running: this.#running.size, most, perTenantMost: perTenant, quiet: this.#ports.isQuiet() };
    for (const id of this.#queue.take(now, take)) {
      const run = this.#run(id)
        .catch((error: unknown) => {
          this.#ports.report(error);
          // It could not be written down. So may be the next thing: not at once.
          this.#pausedUntil = this.#ports.wall() + WRITE_AGAIN_MS;
        })
        .finally(() => {
          this.#running.delete(id);
          this.#calledOff.delete(id);
          this.#queue.ended(id);
          this.#again(id);
          this.pump();
        });
      this.#running.set(id, run);
    }
    const next = this.#queue.nextWake(now);
    if (next < Number.POSITIVE_INFINITY) this.#ports.wakeAt(next);
  }

  /** Lets go of what is known of jobs whose time is over. */
  async expire(): Promise<void> {
    const { jobs } = this.#ports;
    await jobs.forget(jobs.expired(this.#ports.wall()));
  }

  /** When a tenant goes: nothing of its is known any more. */
  async forget(tenant: string): Promise<void> {
    const ids = this.#ports.jobs.of(tenant).map(({ id }) => id);
    for (const id of ids) {
      this.#queue.remove(id);
      this.#refusals.delete(id);
    }
    await this.#ports.jobs.forgetTenant(tenant);
  }

  /** Starts nothing more. */
  stop(): void {
    this.#closed = true;
  }

  /** Resolves once what goes on has come to its end and is written down. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running.values());
  }

  #enqueue({ id, tenant, dueAt, notAfter, decision, starts }: Job): void {
    const mayStartEarly = decision !== undefined && decision.start !== "now";
    const latest = notAfter ?? decision?.latest;
    const isRetry = this.#refusals.has(id) || starts > 0;
    this.#queue.add({ id, tenant, dueAt, ...(latest !== undefined && { latest }), mayStartEarly: mayStartEarly && !isRetry, isRetry });
  }

  /** A job whose run is over and that waits again goes back in line. */
  #again(id: string): void {
    const job = this.#ports.jobs.get(id);
    if (job?.state === "waiting") this.#enqueue(job);
  }

  async #run(id: string): Promise<void> {
    const { jobs, wall } = this.#ports;
    const before = jobs.get(id);
    if (before?.state !== "waiting") return;
    const input = jobs.input(id);
    const fault = input === undefined ? LOST : tooLate(before, wall());
    if (input === undefined || fault !== undefined) {
      await this.#step(id, "failed", { endedAt: wall(), keptUntil: wall() + DEAD_MS, fault, isDead: true });
      return;
    }
    // Durable before anything begins.
    const job = await this.#step(id, "running", { startedAt: wall(), starts: before.starts + 1, fault: undefined });
    if (job === undefined) return;
    const manifest = this.#ports.manifestOf(job);
    const isOff = this.#calledOff.has(id);
    await this.#written(job, isOff ? { kind: "cancelled", began: false, manifest } : await this.#ports.run(job, input));
  }

  /** However long that takes: else it would run for ever, for all that is known. */
  async #written(job: Job, ending: Ending): Promise<void> {
    for (;;) {
      try {
        await this.#ended(job, ending);
        return;
      } catch (error) {
        this.#ports.report(error);
        if (this.#closed) return;
        await new Promise<void>((resolve) => setTimeout(resolve, WRITE_AGAIN_MS).unref());
      }
    }
  }

  async #ended(job: Job, ending: Ending): Promise<void> {
    const { id } = job;
    const now = this.#ports.wall();
    const manifest = ending.manifest ?? USUAL;
    const { fault, status, version, ranBy, result } = ending;
    const over: Step = { endedAt: now, keptUntil: now + manifest.keepResults, fault, status, version, ranBy };
    const kept: Step = { ...over, resultBytes: result === undefined ? undefined : resultBytes(result) };
    if (ending.kind !== "refused") this.#refusals.delete(id);
    switch (ending.kind) {
      case "done":
        await this.#step(id, "done", kept, result, "running");
        return;
      case "refused": {
        const refusals = (this.#refusals.get(id) ?? 0) + 1;
        this.#refusals.set(id, refusals);
        // It never began, so that was no start.
        await this.#step(
          id,
          "waiting",
          { dueAt: now + backoff(refusals, REFUSED, this.#ports.random), starts: job.starts - 1, fault },
          undefined,
          "running",
        );
        return;
      }
      case "cancelled":
        // The node is ending, or somebody called it off.
        if (this.#closed && !ending.began) await this.#step(id, "waiting", { dueAt: now, starts: job.starts - 1 }, undefined, "running");
        else if (this.#closed && manifest.repeat) await this.#step(id, "waiting", { dueAt: now, fault }, undefined, "running");
        else if (this.#closed) await this.#step(id, "interrupted", { ...over, fault: INTERRUPTED, isDead: true }, undefined, "running");
        else await this.#step(id, "cancelled", over, undefined, "running");
        return;
      case "failed": {
        const { repeat, retries } = manifest;
        const dueAt = now + backoff(job.starts, retries, this.#ports.random);
        const mayAgain =
          repeat && ending.isFinal !== true && job.starts <= retries.max && dueAt <= (job.notAfter ?? Number.POSITIVE_INFINITY);
        if (mayAgain) await this.#step(id, "waiting", { dueAt, fault, status, version, ranBy }, undefined, "running");
        else {
          const isDead = retries.max > 0 || job.origin.kind !== "request";
          const keptUntil = isDead ? now + Math.max(manifest.keepResults, DEAD_MS) : kept.keptUntil;
          await this.#step(id, "failed", { ...kept, isDead, keptUntil }, result, "running");
        }
      }
    }
  }

  /** What is over of a tenant is not kept without end, however long it may be kept. */
  async #trim(tenant: string): Promise<void> {
    const surplus = this.#ports.jobs.surplus(tenant);
    if (surplus.length > 0) await this.#ports.jobs.forget(surplus).catch((error: unknown) => this.#ports.report(error));
  }

  /** What ends a run or has it wait again is said of one that runs. */
  async #step(id: string, to: JobState, step: Step, result?: JobResult, from?: JobState): Promise<Job | undefined> {
    const job = await this.#ports.jobs.step(id, to, step, result, from);
    if (job === undefined) return undefined;
    this.#ports.told(job, to);
    if (isOver(job.state)) await this.#trim(job.tenant);
    if (isOver(job.state)) for (const told of this.#waiters.get(id) ?? []) told(job);
    return job;
  }
}

/**
 * A request says by when it starts or is of no use: what found no room until then does not start. Triggers have a time that is better
 * kept, and start all the same.
 */
function tooLate({ origin, notAfter, fault }: Job, now: number): JobFault | undefined {
  if (origin.kind !== "request" || notAfter === undefined || now <= notAfter) return undefined;
  const why = fault?.detail === undefined ? "there was no room for it until then" : `until then: ${fault.detail}`;
  return { code: fault?.code ?? "capacity/node-full", detail: `It was to start by ${new Date(notAfter).toISOString()}; ${why}.` };
}

function resultBytes({ body, json }: JobResult): number {
  return body?.byteLength ?? json?.length ?? 0;
}

/** A fault in a job's own words. */
export function faultOf(code: ProblemCode, detail?: string): JobFault {
  return { code, detail };
}

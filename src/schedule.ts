/**
 * What a node does without a request in front of it: runs that answer later, what starts them, and what is made ready ahead.
 *
 * Part of the composition root: it joins the policies of src/deferral and src/triggers with the runs of src/invoke, and owns the
 * timers that those do not have.
 */
import type { Logger } from "pino";
import type { Clock } from "./base/clock.js";
import { newRunId } from "./base/ids.js";
import { Deferral, type DeferralLimits } from "./deferral/deferral.js";
import { decide, type DecideInput, type Decision } from "./deferral/decide.js";
import type { Job, NewJob } from "./deferral/job.js";
import type { KeyValue } from "./engine/kv.js";
import type { Message, QueueView } from "./triggers/queues.js";
import { Triggers } from "./triggers/triggers.js";
import { Jobs } from "./deferral/jobs.js";
import { Planned } from "./deferral/planned.js";
import { WeekProfile } from "./forecast/week-profile.js";
import { JobRuns, type JobRunPorts } from "./invoke/jobs.js";
import { LaterRuns, waitingProblem, type Later } from "./invoke/later.js";
import type { Executor } from "./invoke/executor.js";
import type { Run } from "./invoke/run.js";
import type { SubPool } from "./pool/types.js";
import type { DeferredFigures } from "./observe/later-metrics.js";
import { put, table, type StateStore } from "./state/store.js";
import type { Task } from "./tasks/task.js";

export interface ScheduleOptions {
  readonly state: StateStore;
  /** There are tasks from before, which `start` is called after. */
  readonly durable: boolean;
  /** Milliseconds since 1970; does not go back. */
  readonly wall: () => number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly runs: JobRunPorts;
  readonly executor: Pick<Executor, "hold" | "endUnstarted" | "liveCount">;
  readonly priceAt: (pool: SubPool, time: number) => number;
  readonly poolOf: (task: Task) => SubPool;
  /** What a run of the task usually takes, in milliseconds. */
  readonly expectedMs: (task: Task) => number;
  readonly limits?: Partial<DeferralLimits> | undefined;
  /** What requests get now, one version of each task. */
  readonly tasks: () => Iterable<Task>;
  readonly kv: Pick<KeyValue, "get" | "registerCursor" | "changes" | "advance" | "dropCursor" | "revision">;
  /** Whether there is such a tenant. */
  readonly knows: (tenant: string) => boolean;
  readonly report: (error: unknown) => void;
}

/** What was accepted to be run later, for those who look after it. */
export interface DeferredRuns {
  readonly jobs: Jobs;
  /** Resolves when it is over, or with undefined after so long. */
  over(id: string, limitMs: number): Promise<Job | undefined>;
  /** Undefined: it was over already, or is not known. */
  cancel(id: string): Promise<Job | undefined>;
  /** Has what failed wait again. Undefined: it has not failed. */
  redrive(id: string): Promise<Job | undefined>;
  queues(tenant: string): readonly QueueView[];
  /** Throws a `ProblemError` where the message cannot be taken. */
  send(tenant: string, queue: string, message: Message): Promise<Job>;
}

export const LIMITS: DeferralLimits = { most: 32, perTenant: 16 };
/** How far ahead a quieter time is looked for where nobody says how long it may wait. Milliseconds. */
export const HORIZON_MS = 4 * 3_600_000;
/** How often the load of the node is noted. */
export const LOAD_EVERY_MS = 5000;
/** How often it is looked whether a store was written to. */
const STORES_EVERY_MS = 50;
/** A timer takes no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const QUARTER_MS = 15 * 60_000;
/** Of which it is known what comes by the clock. */
const QUARTERS = 200;
const PROFILE = table<unknown>("week-profile");
/** With less going on than this share of what is usual at this time, the node is quiet. */
export const QUIET_SHARE = 0.5;

export class Schedule {
  readonly #options: ScheduleOptions;
  readonly jobs: Jobs;
  readonly deferral: Deferral;
  readonly later: LaterRuns;
  readonly triggers: Triggers;
  readonly #runs: JobRuns;
  readonly #profile = new WeekProfile();
  readonly #planned = new Planned();
  /** Jobs that run now and were put off: what is usual at this time is without them, since what will be put off is planned anew. */
  readonly #later = new Set<string>();
  /** What comes by the clock, by quarter hours since 1970. */
  readonly #clocked = new Map<number, number>();
  #isStopped = false;
  #isReady: boolean;
  #wake: { readonly timer: NodeJS.Timeout; readonly at: number } | undefined;
  #watch: NodeJS.Timeout | undefined;
  /** Of the stores' file, when it was last looked at. */
  #revision = 0;
  readonly #load: NodeJS.Timeout;
  /** What has become of jobs, by what asked for them. */
  readonly #steps = new Map<string, [{ readonly by: string; readonly state: string }, number]>();

  constructor(options: ScheduleOptions) {
    this.#options = options;
    this.#isReady = !options.durable;
    const { state, wall, executor, report } = options;
    this.jobs = new Jobs(state);
    this.#runs = new JobRuns(options.runs);
    this.deferral = new Deferral(
      {
        jobs: this.jobs,
        wall,
        random: Math.random,
        run: (job, input) => this.#runs.run(job, input),
        cancel: (id) => this.#runs.cancel(id),
        manifestOf: ({ tenant, task, ranBy }) => options.runs.pick(tenant, task ?? ranBy ?? "")?.version.manifest,
        isQuiet: () => this.#isQuiet(),
        wakeAt: (time) => this.#wakeAt(time),
        told: (job, how) => this.#told(job, how),
        report,
      },
      { ...LIMITS, ...options.limits },
    );
    this.later = new LaterRuns({
      executor,
      accept: (jobs) => this.deferral.accept(jobs),
      over: (id, limitMs) => this.deferral.over(id, limitMs),
      result: (id) => this.jobs.result(id),
      decide: (run, later) => this.#decide(run, later),
      load: (tenant) => this.jobs.load(tenant),
      report,
    });
    this.triggers = new Triggers({
      wall,
      tasks: options.tasks,
      state,
      accept: (jobs, more) => this.deferral.accept(jobs, more),
      kv: options.kv,
      load: (tenant) => this.jobs.load(tenant),
      refusal: (tenant) => waitingProblem(this.jobs.load(tenant)),
      decide: (task, dueAt, deferMs) => this.#decideTriggered(task, dueAt, deferMs),
      warn: (tenant, task, text) => options.log.warn({ tenant, task }, text),
      report,
      newId: newRunId,
      jobOf: (id) => this.jobs.get(id),
    });
    this.#load = setInterval(() => this.#profile.note(wall(), Math.max(0, executor.liveCount - this.#later.size)), LOAD_EVERY_MS).unref();
    const kept = state.get(PROFILE, "node");
    if (kept !== undefined) this.#profile.restore(kept);
  }

  get deferred(): DeferredRuns {
    return {
      jobs: this.jobs,
      over: (id, limitMs) => this.deferral.over(id, limitMs),
      cancel: (id) => this.deferral.cancel(id),
      redrive: (id) => this.deferral.redrive(id),
      queues: (tenant) => this.triggers.queues(tenant),
      send: (tenant, queue, message) => this.triggers.send(tenant, queue, message),
    };
  }

  /** Takes up what was there when the process began. */
  async start(): Promise<void> {
    // What was accepted while its tenant went, and the node was killed.
    await this.jobs.forget([...this.jobs.all()].filter(({ tenant }) => !this.#options.knows(tenant)).map(({ id }) => id));
    for (const job of this.jobs.all()) if (job.state === "waiting") this.#plan(job);
    await this.deferral.start();
    this.#isReady = true;
    await this.refresh();
    await this.#poke();
  }

  /** The tenant is gone, with all that waits. */
  async forget(tenant: string): Promise<void> {
    for (const { id, tenant: whose } of this.jobs.all()) {
      if (whose !== tenant) continue;
      this.#planned.delete(id);
      this.#later.delete(id);
    }
    await this.deferral.forget(tenant);
  }

  /** For whoever scrapes. */
  figures(): DeferredFigures {
    return { steps: this.#steps.values(), waiting: this.jobs.waiting };
  }

  /** What comes by the clock, the next of each. */
  upcoming(): ReturnType<Triggers["cron"]["upcoming"]> {
    return this.triggers.cron.upcoming();
  }

  /** Tasks have come, changed or gone. */
  async refresh(): Promise<void> {
    // Before all of them are there again, nobody knows what has gone.
    if (!this.#isReady) return;
    await this.triggers.refresh();
    this.#clocked.clear();
    this.#watchStores();
    this.#sleep();
  }

  /** Lets go of what is over its time, and keeps what has been learnt. */
  async keepHouse(): Promise<void> {
    await this.deferral.expire();
    await this.#options.state.commit([put(PROFILE, "node", this.#profile.snapshot())]);
  }

  /** Starts nothing more. */
  stop(): void {
    this.deferral.stop();
    this.#isStopped = true;
    clearTimeout(this.#wake?.timer);
    clearInterval(this.#load);
    clearInterval(this.#watch);
  }

  /** Resolves once what went on is written down. */
  async close(): Promise<void> {
    this.stop();
    await this.triggers.close();
    await this.deferral.close();
  }

  #decide(run: Run, { notAfter }: Later): Decision {
    const insensitive = { request: true, task: run.task.version.manifest.async };
    return this.#weigh(run.task, insensitive, this.#options.wall(), notAfter);
  }

  #weigh(task: Task, insensitive: DecideInput["insensitive"], now: number, notAfter: number | undefined): Decision {
    const { priceAt, poolOf, expectedMs } = this.#options;
    const pool = poolOf(task);
    return decide({
      now,
      insensitive,
      notAfter,
      runMs: expectedMs(task),
      horizonMs: HORIZON_MS,
      demandNow: this.#options.executor.liveCount,
      demand: (from, to) => this.#demand(from, to),
      priceAt: (time) => priceAt(pool, time),
      place: Math.random(),
    });
  }

  /**
   * What is to be expected, in runs at once: what usually goes on then, at least what comes by the clock, and what was put off to then.
   * What comes by the clock each day is part of what is usual. Undefined: not known.
   */
  #demand(from: number, to: number): number | undefined {
    const usual = this.#profile.expected(from, to);
    if (usual === undefined) return undefined;
    return Math.max(usual, this.#scheduled(from)) + this.#planned.demand(from, to);
  }

  /** Runs at once that come by the clock in the quarter hour of that time. It is asked for each run that can wait. */
  #scheduled(time: number): number {
    const quarter = Math.floor(time / QUARTER_MS);
    const known = this.#clocked.get(quarter);
    if (known !== undefined) return known;
    let ms = 0;
    for (const { task, count } of this.triggers.cron.scheduled(quarter * QUARTER_MS, (quarter + 1) * QUARTER_MS))
      ms += count * this.#options.expectedMs(task);
    if (this.#clocked.size >= QUARTERS) this.#clocked.clear();
    this.#clocked.set(quarter, ms / QUARTER_MS);
    return ms / QUARTER_MS;
  }

  /** Less goes on than is usual now, so that what was put off may start. */
  #isQuiet(): boolean {
    const now = this.#options.wall();
    const usual = this.#profile.expected(now, now + 60_000);
    return usual !== undefined && this.#options.executor.liveCount < usual * QUIET_SHARE;
  }

  #wakeAt(time: number): void {
    if (this.#isStopped) return;
    if (this.#wake !== undefined && this.#wake.at <= time) return;
    clearTimeout(this.#wake?.timer);
    const wait = Math.min(Math.max(1, time - this.#options.wall()), LONGEST_TIMER_MS);
    const timer = setTimeout(() => {
      this.#wake = undefined;
      this.deferral.pump();
      void this.#poke();
    }, wait).unref();
    this.#wake = { timer, at: time };
  }

  /** Looks whether anything was written, while something is started by that. */
  #watchStores(): void {
    const isWanted = [...this.#options.tasks()].some(({ version }) => version.manifest.triggers.some((trigger) => "store" in trigger));
    if (!isWanted || this.#isStopped) {
      clearInterval(this.#watch);
      this.#watch = undefined;
      return;
    }
    this.#watch ??= setInterval(() => {
      const revision = this.#options.kv.revision();
      if (revision === this.#revision) return;
      this.#revision = revision;
      void this.#poke();
    }, STORES_EVERY_MS).unref();
  }

  async #poke(): Promise<void> {
    if (this.#isStopped) return;
    await this.triggers.poke();
    this.#sleep();
  }

  #sleep(): void {
    const next = this.triggers.nextWake();
    if (next < Number.POSITIVE_INFINITY) this.#wakeAt(next);
  }

  #decideTriggered(task: Task, dueAt: number, deferMs: number): Pick<NewJob, "decision" | "dueAt" | "notAfter"> {
    const now = this.#options.wall();
    if (deferMs === 0) return { dueAt };
    const decision = this.#weigh(task, { triggerMs: deferMs }, Math.max(now, dueAt), dueAt + deferMs);
    return { decision, notAfter: dueAt + deferMs, dueAt: decision.start === "now" ? dueAt : decision.start.at };
  }

  #plan({ id, tenant, task, dueAt }: Job): void {
    const known = task === undefined ? undefined : this.#options.runs.pick(tenant, task);
    this.#planned.set(id, dueAt, known === undefined ? 0 : this.#options.expectedMs(known));
  }

  #told(job: Job, how: string): void {
    const { id, tenant, task, capability, origin, starts, fault } = job;
    const by = origin.kind;
    if (job.state === "waiting") this.#plan(job);
    else this.#planned.delete(id);
    if (job.state === "running" && job.decision !== undefined && job.decision.start !== "now") this.#later.add(id);
    else this.#later.delete(id);
    const said = how === "accepted" ? { dueAt: new Date(job.dueAt).toISOString(), decision: shortOf(job.decision) } : {};
    this.#options.log.info({ run: id, tenant, task: task ?? job.ranBy, capability, by, starts, fault, ...said }, `deferred: ${how}`);
    const step = `${by} ${how}`;
    const counted = this.#steps.get(step);
    if (counted === undefined) this.#steps.set(step, [{ by, state: how }, 1]);
    else counted[1]++;
  }
}

/** Why it starts when it does, with both figures. */
function shortOf(decision: Decision | undefined): { readonly why: string; readonly now: number; readonly best?: number } | undefined {
  if (decision === undefined) return undefined;
  const { why, now, best } = decision;
  return { why, now: now.cost, ...(best !== undefined && { best: best.cost }) };
}

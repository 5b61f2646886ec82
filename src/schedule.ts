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
import { decide } from "./deferral/decide.js";
import type { Job } from "./deferral/job.js";
import { Jobs } from "./deferral/jobs.js";
import { WeekProfile } from "./forecast/week-profile.js";
import { JobRuns, type JobRunPorts } from "./invoke/jobs.js";
import { LaterRuns, type Later } from "./invoke/later.js";
import type { Executor } from "./invoke/executor.js";
import type { Run } from "./invoke/run.js";
import type { SubPool } from "./pool/types.js";
import { put, table, type StateStore } from "./state/store.js";
import type { Task } from "./tasks/task.js";

export interface ScheduleOptions {
  readonly state: StateStore;
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
  readonly report: (error: unknown) => void;
}

const LIMITS: DeferralLimits = { most: 32, perTenant: 16 };
/** How far ahead a quieter time is looked for where nobody says how long it may wait. Milliseconds. */
const HORIZON_MS = 4 * 3_600_000;
/** How often the load of the node is noted. */
const LOAD_EVERY_MS = 5000;
/** A timer takes no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const PROFILE = table<unknown>("week-profile");
/** With less going on than this share of what is usual at this time, the node is quiet. */
const QUIET_SHARE = 0.5;

export class Schedule {
  readonly #options: ScheduleOptions;
  readonly jobs: Jobs;
  readonly deferral: Deferral;
  readonly later: LaterRuns;
  readonly #runs: JobRuns;
  readonly #profile = new WeekProfile();
  #wake: { readonly timer: NodeJS.Timeout; readonly at: number } | undefined;
  readonly #load: NodeJS.Timeout;

  constructor(options: ScheduleOptions) {
    this.#options = options;
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
    this.#load = setInterval(() => this.#profile.note(wall(), executor.liveCount), LOAD_EVERY_MS).unref();
    const kept = state.get(PROFILE, "node");
    if (kept !== undefined) this.#profile.restore(kept);
  }

  /** Takes up what was there when the process began. */
  async start(): Promise<void> {
    await this.deferral.start();
  }

  /** Lets go of what is over its time, and keeps what has been learnt. */
  async keepHouse(): Promise<void> {
    await this.deferral.expire();
    await this.#options.state.commit([put(PROFILE, "node", this.#profile.snapshot())]);
  }

  /** Starts nothing more. */
  stop(): void {
    this.deferral.stop();
    clearTimeout(this.#wake?.timer);
    clearInterval(this.#load);
  }

  /** Resolves once what went on is written down. */
  async close(): Promise<void> {
    this.stop();
    await this.deferral.close();
  }

  newId(): string {
    return newRunId();
  }

  #decide(run: Run, { notAfter }: Later): ReturnType<typeof decide> {
    const { wall, priceAt, poolOf, expectedMs } = this.#options;
    const pool = poolOf(run.task);
    return decide({
      now: wall(),
      insensitive: { request: true, task: run.task.version.manifest.async },
      notAfter,
      runMs: expectedMs(run.task),
      horizonMs: HORIZON_MS,
      demandNow: this.#options.executor.liveCount,
      demand: (from, to) => this.#profile.expected(from, to),
      priceAt: (time) => priceAt(pool, time),
    });
  }

  /** Less goes on than is usual now, so that what was put off may start. */
  #isQuiet(): boolean {
    const now = this.#options.wall();
    const usual = this.#profile.expected(now, now + 60_000);
    return usual !== undefined && this.#options.executor.liveCount < usual * QUIET_SHARE;
  }

  #wakeAt(time: number): void {
    if (this.#wake !== undefined && this.#wake.at <= time) return;
    clearTimeout(this.#wake?.timer);
    const wait = Math.min(Math.max(1, time - this.#options.wall()), LONGEST_TIMER_MS);
    const timer = setTimeout(() => {
      this.#wake = undefined;
      this.deferral.pump();
    }, wait).unref();
    this.#wake = { timer, at: time };
  }

  #told(job: Job, how: string): void {
    const { id, tenant, task, capability, origin, starts, fault } = job;
    this.#options.log.info({ run: id, tenant, task: task ?? job.ranBy, capability, by: origin.kind, starts, fault }, `deferred: ${how}`);
  }
}

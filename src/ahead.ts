/**
 * What a node makes ready before it is asked for: from what is said, from what has just happened, and by the clock.
 *
 * Part of the composition root: it joins src/triggers/foresight with the pool and with the tasks that requests get now, and owns the
 * timer that foresight does not have.
 */
import type { Clock } from "./base/clock.js";
import { ProblemError, type ProblemCode } from "./base/problem.js";
import type { BesideRequest } from "./invoke/beside.js";
import type { Run } from "./invoke/run.js";
import type { PoolEvent } from "./pool/types.js";
import { put, table, type StateStore } from "./state/store.js";
import { signalsIn } from "./tasks/signals.js";
import type { Task } from "./tasks/task.js";
import { FirstCallTimes, type FirstCalls } from "./triggers/first-calls.js";
import type { Said } from "./triggers/said.js";
import { Foresight, type Cost, type ForesightView, type Heard, type Unheard } from "./triggers/foresight/foresight.js";

export interface AheadOptions {
  readonly state: StateStore;
  readonly clock: Clock;
  readonly wall: () => number;
  /** The version of a task that most requests get now. */
  readonly taskOf: (tenant: string, name: string) => Task | undefined;
  /** What making an instance of a program ready takes; undefined: the pool does not know it. */
  readonly costOf: (program: number) => Cost | undefined;
  /** Bytes of the node's budget that nothing holds. */
  readonly free: () => number;
  readonly tell: (event: PoolEvent) => void;
  /** When something comes that is known beforehand. Milliseconds since 1970. */
  readonly upcoming: () => readonly { readonly task: Task; readonly at: number }[];
  /** Whether there is such a tenant: what was learnt of others is let go. */
  readonly knows: (tenant: string) => boolean;
  readonly report: (error: unknown) => void;
}

/** Of what is free, so much may be held for what is expected of one tenant. */
export const SHARE = 0.25;
const LEARNT = table<unknown>("foresight");
/** What comes by the clock is prepared so long before, with what the steps take on top of that. Milliseconds. */
const CLOCK_AHEAD_MS = 5000;
const CLOCK_AGAIN_MS = 100;
const CLOCK_WINDOW_MS = 2000;
const LONGEST_SLEEP_MS = 60_000;

const CODES: Readonly<Record<Unheard, ProblemCode>> = {
  invalid: "request/invalid",
  "no-task": "request/no-such-thing",
  past: "request/invalid",
  "too-many": "request/invalid",
  "too-long": "request/invalid",
  "too-far": "request/invalid",
  "too-often": "quota/requests",
  full: "quota/pretriggers",
};

export class Ahead {
  readonly #options: AheadOptions;
  readonly foresight: Foresight;
  readonly #firstCalls = new FirstCallTimes();
  #timer: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;
  /** Runs that have come, until nothing else is to be done. */
  #came: Run[] = [];
  #stopped = false;
  /** Ticks that were announced, and when they come. */
  readonly #ticks = new Map<string, number>();

  constructor(options: AheadOptions) {
    this.#options = options;
    const { clock, state, taskOf, costOf, free, knows, report } = options;
    this.foresight = new Foresight({
      expect: (tenant, name, count, until, depth) => {
        const task = taskOf(tenant, name);
        if (task === undefined) return;
        const { program } = task.version;
        options.tell({ kind: "expect", program, count, until, depth });
      },
      cost: (tenant, name) => {
        const task = taskOf(tenant, name);
        return task && costOf(task.version.program);
      },
      room: () => free() * SHARE,
    });
    try {
      this.foresight.restore(clock.now(), state.get(LEARNT, "node"), knows);
    } catch (error) {
      report(error);
    }
  }

  /**
   * A run was asked for, by a client or a guest. It is looked at once nothing else is to be done. `request`: it has just come, and may be
   * a signal.
   */
  arrived(run: Run, request: Pick<BesideRequest, "header"> | undefined): void {
    if (this.#stopped || run.origin.kind === "sidecar") return;
    const { task, origin, later } = run;
    // What is put off comes when it starts.
    if (later === undefined && this.#came.push(run) === 1) setImmediate(() => this.look());
    const { signals } = task.version.manifest;
    if (signals.length === 0 || request === undefined || origin.kind !== "http") return;
    // It does not follow from itself.
    this.look();
    for (const signal of signalsIn(signals, origin.path ?? "/", (name) => request.header(name, task))) this.#signal(task.tenant, signal);
  }

  /** Looks at the runs that have come. */
  look(): void {
    if (this.#came.length === 0) return;
    const now = this.#options.clock.now();
    for (const run of this.#came.splice(0)) {
      const { tenant, name } = run.task;
      // What a record answers takes no instance, but others may follow it.
      const isSign = run.memo?.isRecalled === true;
      run.expected = this.foresight.arrived(now, { tenant, task: name, isSign });
    }
    this.#arm();
  }

  /** Throws a `ProblemError` where it is not taken. `sender`: who is limited and believed by it. */
  hear(tenant: string, sender: string, said: Said): { readonly key: string } {
    const now = this.#options.clock.now();
    const heard =
      said.kind === "signal"
        ? this.foresight.signal(now, tenant, said.signal, said.key)
        : this.foresight.announce(now, {
            tenant,
            task: said.task,
            count: said.count,
            start: now + said.inMs,
            window: said.windowMs,
            confidence: said.confidence,
            key: said.key,
            sender,
          });
    this.#arm();
    return taken(heard);
  }

  #signal(tenant: string, signal: string): void {
    this.foresight.signal(this.#options.clock.now(), tenant, signal);
    this.#arm();
  }

  /** Times are milliseconds since 1970. */
  view(tenant: string): ForesightView {
    const { clock, wall } = this.#options;
    const now = clock.now();
    const since = wall() - now;
    const seen = this.foresight.view(now, tenant);
    return {
      ...seen,
      announcements: seen.announcements.map(({ start, ...each }) => Object.assign(each, { start: start + since })),
      expected: seen.expected.map(({ until, ...each }) => Object.assign(each, { until: until + since })),
    };
  }

  /** A run has settled: how long it took to begin counts where its instance was prepared for it, and where it had to be made. */
  settled({ task, origin, expected, rung, grantedAt, admittedAt, usage }: Run): void {
    const isReady = rung === "own/ready";
    // What lay ready for others than those that were foreseen says nothing of either.
    if (grantedAt === undefined || origin.kind === "sidecar" || (isReady && expected !== true)) return;
    this.#firstCalls.note(task.tenant, task.name, isReady, grantedAt - admittedAt + usage.startNanoseconds / 1e6);
  }

  firstCalls(tenant: string): readonly FirstCalls[] {
    return this.#firstCalls.of(tenant);
  }

  /** Forgets what follows a task or signal, or all of the tenant's. Resolves once that is durable. */
  async reset(tenant: string, cause: string | undefined): Promise<void> {
    this.foresight.reset(tenant, cause);
    await this.keep();
  }

  /** Something else is known of what comes by the clock. */
  refresh(): void {
    this.#tick();
  }

  forget(tenant: string): void {
    this.#firstCalls.forget(tenant);
    this.foresight.forget(tenant);
    // Another one of its name is not to learn what its tasks were called.
    this.keep().catch((error: unknown) => this.#options.report(error));
  }

  async keep(): Promise<void> {
    await this.#options.state.commit([put(LEARNT, "node", this.foresight.snapshot())]);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** What has come due, and what soon comes by the clock. */
  #tick(): void {
    if (this.#stopped) return;
    const { clock, wall, upcoming } = this.#options;
    const now = clock.now();
    this.foresight.tick(now);
    const wallNow = wall();
    let next = Number.POSITIVE_INFINITY;
    for (const { task, at } of upcoming()) {
      const wait = at - wallNow;
      if (wait > CLOCK_AHEAD_MS) next = Math.min(next, now + wait - CLOCK_AHEAD_MS);
      else if (wait > 0) {
        this.#announceTick(now, task, at, now + wait);
        next = Math.min(next, now + wait + 1);
      } else {
        // It has come, and what comes after it is not known yet.
        next = Math.min(next, now + CLOCK_AGAIN_MS);
      }
    }
    this.#arm(next);
  }

  /** Once for each. */
  #announceTick(now: number, { tenant, name, key }: Task, at: number, start: number): void {
    const tick = `${key} ${at}`;
    if (this.#ticks.has(tick)) return;
    for (const [known, time] of this.#ticks) if (time < now) this.#ticks.delete(known);
    this.#ticks.set(tick, start);
    this.foresight.announce(now, { tenant, task: name, count: 1, start, window: CLOCK_WINDOW_MS, key: tick, sender: "cron", isOwn: true });
  }

  #arm(at = Number.POSITIVE_INFINITY): void {
    const now = this.#options.clock.now();
    const next = Math.min(at, this.foresight.nextWake(), now + LONGEST_SLEEP_MS);
    if (this.#stopped || next >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = next;
    this.#timer = setTimeout(
      () => {
        this.#due = Number.POSITIVE_INFINITY;
        try {
          this.#tick();
        } catch (error) {
          this.#options.report(error);
        }
      },
      Math.max(1, next - now),
    ).unref();
  }
}

function taken(heard: Heard): { readonly key: string } {
  if (heard.accepted) return { key: heard.key };
  const { why, reason, retryAfter } = heard;
  const detail = `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`;
  throw new ProblemError(CODES[why], detail, retryAfter === undefined ? {} : { retryAfter: Math.ceil(retryAfter / 1000) });
}

/** Makes a trace with a heavy tail out of a seed; what it looks like is in `workload.ts`. */
import { Random } from "../soak/support/random.js";
import { merged, poller, renewal, timer, type Arrivals } from "./arrivals.js";
import { Agenda } from "./agenda.js";
import { between, burr, logNormal, quantile, uniform } from "./chance.js";
import { componentAt, TraceBuilder, type Component, type Trace } from "./trace.js";
import {
  DURATION,
  DURATION_SPREAD,
  LONE_TIMERS,
  LONGEST_RUN,
  MEMORY,
  MIXED_LIKE_TIMERS,
  MOST_MEMORY,
  MOST_REQUESTS_A_DAY,
  REGULAR_VARIATION,
  REQUESTS_A_DAY,
  ROUND_TIMERS,
  SHORTEST_RUN,
  SWING,
  TASKS_OF_A_TENANT,
  TIMER_PERIODS,
  TIMER_SHARE,
  TRIGGERS,
  VARIATION,
  type Trigger,
} from "./workload.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export interface Workload {
  readonly seed: number;
  readonly tasks: number;
  readonly hours: number;
}

/** A task, and what its requests are drawn from. */
export interface TaskModel {
  readonly tenant: string;
  readonly name: string;
  readonly component: Component;
  readonly trigger: Trigger;
  /** Requests a day on average; timers have the nearest period there is. */
  readonly perDay: number;
  /** Of the gaps between its requests; undefined where they come from timers, whose streams add up. */
  readonly variation: number | undefined;
  /** The mean of the logarithm of its runs' milliseconds. */
  readonly durationMu: number;
  /** What a run holds, in bytes. */
  readonly bytes: number;
}

/** The tasks of a workload. */
export function modelTasks({ seed, tasks }: Workload): TaskModel[] {
  const random = new Random(seed, 1);
  const models: TaskModel[] = [];
  for (let tenant = 1; models.length < tasks; tenant++) {
    const own = Math.min(tasksOfTenant(random), tasks - models.length);
    for (let n = 1; n <= own; n++) models.push(modelTask(random, `tenant-${tenant}`, `task-${n}`));
  }
  return models;
}

function tasksOfTenant(random: Random): number {
  const { lone, exponent, most } = TASKS_OF_A_TENANT;
  return random.chance(lone) ? 1 : Math.min(most, Math.ceil(uniform(random) ** (-1 / exponent)));
}

/** A task as it may be. */
export function modelTask(random: Random, tenant: string, name: string): TaskModel {
  const trigger = triggerAt(uniform(random));
  const seconds = Math.log(1000) + DURATION.mu + DURATION.sigma * Math.log(logNormal(random, 0, 1));
  return {
    tenant,
    name,
    component: componentAt(uniform(random)),
    trigger,
    perDay: Math.min(MOST_REQUESTS_A_DAY, quantile(REQUESTS_A_DAY, uniform(random), "logarithmic")),
    variation: trigger === "timers" ? undefined : quantile(VARIATION, uniform(random), "linear"),
    // The mean of a log-normal is above its middle.
    durationMu: seconds - DURATION_SPREAD ** 2 / 2,
    bytes: Math.min(MOST_MEMORY, burr(random, MEMORY.c, MEMORY.k, MEMORY.scale)),
  };
}

function triggerAt(place: number): Trigger {
  if (place < TRIGGERS.timers) return "timers";
  return place < TRIGGERS.timers + TRIGGERS.mixed ? "mixed" : "others";
}

/** All requests of the workload, in order. */
export function generateTrace(workload: Workload): Trace {
  const models = modelTasks(workload);
  const end = workload.hours * HOUR;
  const sources = models.map((model, n) => {
    const random = new Random(workload.seed, n + 2);
    return { model, random, arrivals: arrivalsOf(random, model) };
  });
  const agenda = new Agenda<number>();
  const ask = (n: number, arrivals: Arrivals): void => {
    const time = arrivals.next();
    if (time < end) agenda.push(time, n);
  };
  for (const [n, { arrivals }] of sources.entries()) ask(n, arrivals);
  const builder = new TraceBuilder();
  while (agenda.length > 0) {
    const time = agenda.next;
    const n = agenda.pop();
    const { model, random, arrivals } = sources[n] as (typeof sources)[number];
    const { duration, bytes } = drawRun(random, model);
    builder.add(time, n, duration, bytes);
    ask(n, arrivals);
  }
  return builder.build(models.map(({ tenant, name, component }) => ({ tenant, name, component })));
}

/** One run of a task. */
export function drawRun(random: Random, { durationMu, bytes }: TaskModel): { readonly duration: number; readonly bytes: number } {
  const duration = logNormal(random, durationMu, DURATION_SPREAD);
  return { duration: Math.min(LONGEST_RUN, Math.max(SHORTEST_RUN, duration)), bytes: Math.round(bytes) };
}

/** When a task's requests come. */
export function arrivalsOf(random: Random, { trigger, perDay, variation }: TaskModel): Arrivals {
  const gap = DAY / perDay;
  switch (trigger) {
    case "timers":
      return timers(random, gap);
    case "mixed": {
      if (random.chance(MIXED_LIKE_TIMERS)) return someTimer(random, gap);
      const share = quantile(TIMER_SHARE, uniform(random), "linear");
      return merged([someTimer(random, gap / share), irregular(random, gap / (1 - share), variation as number)]);
    }
    case "others":
      return irregular(random, gap, variation as number);
  }
}

/** Timers that come to one request in each `gap`: one, or several with different periods. */
function timers(random: Random, gap: number): Arrivals {
  if (random.chance(LONE_TIMERS)) return someTimer(random, gap);
  const count = 2 + random.below(2);
  return merged(Array.from({ length: count }, () => someTimer(random, gap * count * between(random, 0.5, 2))));
}

function someTimer(random: Random, gap: number): Arrivals {
  const period = nearestPeriod(gap);
  const isRound = random.chance(ROUND_TIMERS);
  const place = uniform(random);
  // A round one fires at full minutes that its period divides; one of hours at some full hour.
  return timer(random, period, isRound ? HOUR * Math.floor((place * period) / HOUR) : period * place);
}

/** The period that is nearest in proportion. */
function nearestPeriod(gap: number): number {
  const distance = (period: number): number => Math.abs(Math.log(period / gap));
  return TIMER_PERIODS.reduce((best, period) => (distance(period) < distance(best) ? period : best));
}

function irregular(random: Random, gap: number, variation: number): Arrivals {
  if (variation <= REGULAR_VARIATION) return poller(random, gap, REGULAR_VARIATION);
  return renewal(random, gap, variation, between(random, ...SWING));
}

/**
 * What starts at set times.
 *
 * Each tick is one job, whose id follows from the trigger and the tick: however often a node is ended in the middle, and whatever its
 * clock does, there is one. Up to which tick a trigger has come is written down with the jobs, so that what came about while no
 * node was there is known, and made up for as the manifest says.
 */
import type { Cron } from "croner";
import { idOf } from "../base/ids.js";
import type { NewJob } from "../deferral/job.js";
import { put, remove, table, type Change } from "../state/store.js";
import type { Task } from "../tasks/task.js";
import { cronOf, type CronTrigger } from "../tasks/triggers.js";
import { liveTriggers, startOf, Turns, type LiveTrigger, type TriggerPorts } from "./types.js";

interface Come {
  /** Milliseconds since 1970: all ticks until then are accounted for. */
  readonly until: number;
}

/** A time at which a task starts. Milliseconds since 1970. */
export interface Upcoming {
  readonly task: Task;
  readonly at: number;
}

const TICKS = table<Come>("cron-ticks");
/** A tick that is no later than this is on time. Milliseconds. */
const GRACE_MS = 30_000;
/** What is made up for at most, of one trigger. */
const MOST_MISSED = 1000;
/** So many ticks are looked at; a second's beat has no more than the rest of them on time. */
const MOST_TICKS = MOST_MISSED + 60;
/** What could not be written down is tried again after this. Milliseconds. */
const RETRY_MS = 1000;
/** While so many runs of a tenant wait, times of its lines are passed over. */
const MOST_WAITING = 10_000;
/** A beat that comes more often than this between two times is part of what is usual there. */

interface Beat extends LiveTrigger<CronTrigger> {
  readonly cron: Cron;
  until: number;
  /** Infinity: none comes. */
  next: number;
  /** Not before: the last try has failed. */
  retryAt: number;
  /** Its last times were passed over, because too much of its tenant waits. */
  isFull: boolean;
}

export class CronSource {
  readonly #ports: TriggerPorts;
  readonly #turns = new Turns();
  #beats = new Map<string, Beat>();

  constructor(ports: TriggerPorts) {
    this.#ports = ports;
  }

  /** Tasks have changed. What is new begins now; what is gone is forgotten. */
  refresh(): Promise<void> {
    const now = this.#ports.wall();
    const lives = liveTriggers(this.#ports.tasks(), "cron");
    // Not while ticks are being written down: they are of the triggers as they were.
    return this.#turns.take(() => this.#begin(lives, now));
  }

  async #begin(lives: readonly LiveTrigger<CronTrigger>[], now: number): Promise<void> {
    const { state } = this.#ports;
    const changes: Change[] = [];
    const beats = new Map<string, Beat>();
    for (const live of lives) {
      const until = this.#beats.get(live.key)?.until ?? state.get(TICKS, live.key)?.until;
      if (until === undefined) changes.push(put(TICKS, live.key, { until: now }));
      beats.set(live.key, beatOf(live, until ?? now));
    }
    for (const { key } of state.list(TICKS)) if (!beats.has(key)) changes.push(remove(TICKS, key));
    this.#beats = beats;
    if (changes.length > 0) await state.commit(changes);
  }

  /** When the next tick comes; Infinity: none does. */
  nextWake(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const beat of this.#beats.values()) next = Math.min(next, Math.max(beat.next, beat.retryAt));
    return next;
  }

  /** When each task's next tick comes, for those who make ready for it. */
  upcoming(): Upcoming[] {
    return [...this.#beats.values()].filter(({ next }) => next < Number.POSITIVE_INFINITY).map(({ task, next }) => ({ task, at: next }));
  }

  /**
   * How often each trigger comes from one time to another, for the forecast: reckoned from the first two times, since to go through all
   * of them takes long where they are many.
   */
  *scheduled(from: number, to: number): IterableIterator<{ readonly task: Task; readonly count: number }> {
    for (const { task, cron } of this.#beats.values()) {
      const first = nextAfter(cron, from - 1);
      if (first < to) yield { task, count: Math.max(1, Math.ceil((to - first) / (nextAfter(cron, first) - first))) };
    }
  }

  /** Has a job of each tick that has come. Resolves once they are durable, or it is known that they are to be tried again. */
  tick(): Promise<void> {
    return this.#turns.take(async () => {
      const now = this.#ports.wall();
      const due = [...this.#beats.values()].filter(({ next, retryAt }) => Math.max(next, retryAt) <= now);
      // Side by side: the store takes them to the disk together.
      const ended = await Promise.allSettled(due.map((beat) => this.#come(beat, now)));
      const failed = ended.find(({ status }) => status === "rejected");
      // One of a kind, as a full disk is told by each.
      if (failed !== undefined) this.#ports.report((failed as PromiseRejectedResult).reason);
    });
  }

  async #come(beat: Beat, now: number): Promise<void> {
    try {
      const { ticks, isMore } = ticksOf(beat, now);
      const missed = ticks.filter((tick) => now - tick > GRACE_MS);
      const onTime = ticks.slice(missed.length);
      const madeUp = madeUpFor(beat.trigger, missed, onTime);
      const jobs = [...madeUp.map((tick) => this.#job(beat, tick, now)), ...onTime.map((tick) => this.#job(beat, tick, tick))];
      const until = ticks.at(-1) ?? now;
      const isFull = jobs.length > 0 && this.#ports.load(beat.task.tenant).waiting >= MOST_WAITING;
      if (isFull !== beat.isFull && isFull)
        this.#ports.warn(
          beat.task.tenant,
          beat.task.name,
          `more than ${MOST_WAITING} runs of the tenant wait: times of its cron lines are passed over until fewer do`,
        );
      beat.isFull = isFull;
      await this.#ports.accept(isFull ? [] : jobs, [put(TICKS, beat.key, { until })]);
      if (missed.length > 0) this.#warn(beat, missed.length, isMore, madeUp.length);
      beat.until = until;
      beat.next = nextAfter(beat.cron, until);
    } catch (error) {
      beat.retryAt = now + RETRY_MS;
      throw error;
    }
  }

  #warn({ task, trigger }: Beat, missed: number, isMore: boolean, made: number): void {
    const many = `${isMore ? "more than " : ""}${missed} ${missed === 1 ? "time" : "times"}`;
    const how = `${made} of them ${made === 1 ? "is" : "are"} made up for`;
    this.#ports.warn(task.tenant, task.name, `${many} of ${JSON.stringify(trigger.cron)} went by while no node was there; ${how}`);
  }

  /** `from`: when what may be put off might start at the earliest. */
  #job({ task, trigger, key }: Beat, at: number, from: number): NewJob {
    const tick = new Date(at).toISOString();
    const id = idOf("cron", key, tick);
    // The same each time, so that the same tick has the same place.
    const jitter = trigger.jitter === 0 ? 0 : Number.parseInt(id.slice(0, 8), 16) % trigger.jitter;
    return {
      id,
      tenant: task.tenant,
      task: task.name,
      origin: { kind: "cron", line: trigger.cron, tick },
      caller: { kind: "operator", name: "cron" },
      ...startOf(trigger, { trigger: "cron", tick, cron: trigger.cron }),
      ...this.#ports.decide(task, from + jitter, trigger.defer),
    };
  }
}

/** Those of the times that were missed that become jobs. */
function madeUpFor(trigger: CronTrigger, missed: readonly number[], onTime: readonly number[]): readonly number[] {
  if (trigger.missed === "skip") return [];
  if (trigger.missed === "all") return missed.slice(-MOST_MISSED);
  // What comes on time stands for those before it.
  return onTime.length > 0 ? [] : missed.slice(-1);
}

/** The ticks that have come since the last, in order; of very many, the last ones. */
function ticksOf({ cron, until }: Beat, now: number): { readonly ticks: readonly number[]; readonly isMore: boolean } {
  const ticks: number[] = [];
  for (let at = nextAfter(cron, until); at <= now && ticks.length <= MOST_TICKS; at = nextAfter(cron, at)) ticks.push(at);
  if (ticks.length <= MOST_TICKS) return { ticks, isMore: false };
  const last = cron.previousRuns(MOST_TICKS, new Date(now + 1));
  return { ticks: last.map((date) => date.getTime()).reverse(), isMore: true };
}

function beatOf(live: LiveTrigger<CronTrigger>, until: number): Beat {
  const cron = cronOf(live.trigger.cron, live.trigger.timeZone);
  return { ...live, cron, until, next: nextAfter(cron, until), retryAt: 0, isFull: false };
}

function nextAfter(cron: Cron, after: number): number {
  return cron.nextRun(new Date(after))?.getTime() ?? Number.POSITIVE_INFINITY;
}

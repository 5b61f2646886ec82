/**
 * What starts at set times.
 *
 * Each tick is one job, whose id follows from the trigger and the tick: however often a node is ended in the middle, and whatever its
 * clock does, there is one. Up to which tick a trigger has come is written down with the jobs, so that what came about while no
 * node was there is known, and made up for as the manifest says.
 */
import { idOf } from "../base/ids.js";
import type { NewJob } from "../deferral/job.js";
import { put, remove, table, type Change } from "../state/store.js";
import { cronOf, type CronTrigger } from "../tasks/triggers.js";
import { liveTriggers, startOf, type LiveTrigger, type TriggerPorts } from "./types.js";

interface Come {
  /** Milliseconds since 1970: all ticks until then are accounted for. */
  readonly until: number;
}

const TICKS = table<Come>("cron-ticks");
/** A tick that is no later than this is on time. Milliseconds. */
const GRACE_MS = 30_000;
/** What is made up for at most, of one trigger. */
const MOST_MISSED = 1000;

interface Beat extends LiveTrigger<CronTrigger> {
  until: number;
  /** Infinity: none comes. */
  next: number;
}

export class CronSource {
  readonly #ports: TriggerPorts;
  #beats = new Map<string, Beat>();

  constructor(ports: TriggerPorts) {
    this.#ports = ports;
  }

  /** Tasks have changed. What is new begins now; what is gone is forgotten. */
  async refresh(): Promise<void> {
    const { state, tasks, wall } = this.#ports;
    const now = wall();
    const changes: Change[] = [];
    const beats = new Map<string, Beat>();
    for (const live of liveTriggers(tasks(), "cron")) {
      const until = this.#beats.get(live.key)?.until ?? state.get(TICKS, live.key)?.until;
      if (until === undefined) changes.push(put(TICKS, live.key, { until: now }));
      beats.set(live.key, { ...live, until: until ?? now, next: nextOf(live.trigger, until ?? now) });
    }
    for (const { key } of state.list(TICKS)) if (!beats.has(key)) changes.push(remove(TICKS, key));
    this.#beats = beats;
    if (changes.length > 0) await state.commit(changes);
  }

  /** When the next tick comes; Infinity: none does. */
  nextWake(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const beat of this.#beats.values()) next = Math.min(next, beat.next);
    return next;
  }

  /** When each task's next tick comes, for those who make ready for it. */
  upcoming(): { readonly task: LiveTrigger["task"]; readonly at: number }[] {
    return [...this.#beats.values()].filter(({ next }) => next < Number.POSITIVE_INFINITY).map(({ task, next }) => ({ task, at: next }));
  }

  /** Has a job of each tick that has come. Resolves once they are durable. */
  async tick(): Promise<void> {
    const now = this.#ports.wall();
    for (const beat of this.#beats.values()) if (beat.next <= now) await this.#come(beat, now);
  }

  async #come(beat: Beat, now: number): Promise<void> {
    const { ticks, passed } = ticksOf(beat, now);
    const last = passed ?? ticks.at(-1) ?? now;
    const jobs = this.#chosen(beat, ticks, now).map((tick) => this.#job(beat, tick));
    await this.#ports.accept(jobs, [put(TICKS, beat.key, { until: last })]);
    beat.until = last;
    beat.next = nextOf(beat.trigger, last);
  }

  /** Those of the ticks that become jobs. */
  #chosen({ task, trigger }: Beat, ticks: readonly number[], now: number): readonly number[] {
    const missed = ticks.filter((tick) => now - tick > GRACE_MS);
    const onTime = ticks.slice(missed.length);
    if (missed.length === 0) return onTime;
    const made = trigger.missed === "skip" ? 0 : trigger.missed === "once" ? 1 : Math.min(missed.length, MOST_MISSED);
    const text = `${missed.length} times of ${JSON.stringify(trigger.cron)} went by while no node was there; ${made} of them ${made === 1 ? "is" : "are"} made up for`;
    this.#ports.warn(task.tenant, task.name, text);
    if (trigger.missed === "once") return onTime.length > 0 ? onTime : missed.slice(-1);
    return [...(made === 0 ? [] : missed.slice(-made)), ...onTime];
  }

  #job({ task, trigger, key }: Beat, at: number): NewJob {
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
      ...this.#ports.decide(task, at + jitter, trigger.defer),
    };
  }
}

/** The ticks that have come since the last; `passed`: there were more than anybody makes up for, and these are the last of them. */
function ticksOf({ trigger, until }: Beat, now: number): { readonly ticks: number[]; readonly passed: number | undefined } {
  const cron = cronOf(trigger.cron, trigger.timeZone);
  const ticks: number[] = [];
  for (let at = nextAfter(cron, until); at <= now; at = nextAfter(cron, at)) {
    ticks.push(at);
    // Of a second's beat over weeks, the last ones are told from the end.
    if (ticks.length <= 2 * MOST_MISSED) continue;
    const recent = Math.max(at, now - (2 * MOST_MISSED * (at - until)) / ticks.length);
    const rest: number[] = [];
    for (let later = nextAfter(cron, recent); later <= now; later = nextAfter(cron, later)) rest.push(later);
    return { ticks: rest.slice(-MOST_MISSED - 1), passed: rest.at(-1) ?? at };
  }
  return { ticks, passed: undefined };
}

function nextOf({ cron, timeZone }: CronTrigger, after: number): number {
  return nextAfter(cronOf(cron, timeZone), after);
}

function nextAfter(cron: ReturnType<typeof cronOf>, after: number): number {
  return cron.nextRun(new Date(after))?.getTime() ?? Number.POSITIVE_INFINITY;
}

/** What sources of runs have in common: what they are given, and what they say of what they start. */
import { idOf } from "../base/ids.js";
import type { JobInput, JobWork, NewJob } from "../deferral/job.js";
import type { JobLoad } from "../deferral/jobs.js";
import type { KeyValue } from "../engine/kv.js";
import type { Change, StateStore } from "../state/store.js";
import type { Task } from "../tasks/task.js";
import type { Trigger } from "../tasks/triggers.js";

export interface TriggerPorts {
  /** Milliseconds since 1970; does not go back. */
  readonly wall: () => number;
  /** The versions that requests get now, one of each task. */
  readonly tasks: () => Iterable<Task>;
  /** Where the jobs lie. */
  readonly state: StateStore;
  /** Takes on what is new of these, once each by their ids, with `more` at the same moment. */
  readonly accept: (jobs: readonly NewJob[], more: readonly Change[]) => Promise<unknown>;
  readonly kv: Pick<KeyValue, "get" | "revision" | "registerCursor" | "changes" | "advance" | "dropCursor">;
  /** What of a tenant's waits. */
  readonly load: (tenant: string) => Pick<JobLoad, "waiting">;
  /** When something starts that is due at `dueAt` and may start up to `deferMs` later; and why. */
  readonly decide: (task: Task, dueAt: number, deferMs: number) => Pick<NewJob, "decision" | "dueAt" | "notAfter">;
  /** Told of what was passed over, in words. */
  readonly warn: (tenant: string, task: string, text: string) => void;
  readonly report: (error: unknown) => void;
}

/** A trigger of a task that requests get now. */
export interface LiveTrigger<T extends Trigger = Trigger> {
  readonly task: Task;
  readonly trigger: T;
  /** The same as long as it starts the same by the same. */
  readonly key: string;
}

/** Those of all tasks that are of one kind; what a task says twice is one. */
export function liveTriggers<K extends "cron" | "store" | "queue">(
  tasks: Iterable<Task>,
  kind: K,
): LiveTrigger<Extract<Trigger, Record<K, string>>>[] {
  const found = new Map<string, LiveTrigger<Extract<Trigger, Record<K, string>>>>();
  for (const task of tasks) {
    for (const trigger of task.version.manifest.triggers) {
      if (!(kind in trigger)) continue;
      // How long it may wait, and how it makes up for what it missed, do not make it another.
      const { defer: _, ...said } = trigger;
      const { missed: __, jitter: ___, ...what } = said as Record<string, unknown>;
      // A path may be longer than a key of the store.
      const key = `${task.key}/${idOf(JSON.stringify(what))}`;
      if (!found.has(key)) found.set(key, { task, trigger: trigger as Extract<Trigger, Record<K, string>>, key });
    }
  }
  return [...found.values()];
}

/**
 * What a trigger starts, told what has happened: a `POST` with the event as JSON, or a function with the event's fields in their order,
 * of which it is given as many as it takes. Without `path` and `function` it is the HTTP handler at `/`, or the command that the
 * component is.
 */
export function startOf({ path, function: func }: Trigger, event: Readonly<Record<string, unknown>>): { work: JobWork; input: JobInput } {
  const { trigger: _, ...fields } = event;
  if (func !== undefined) return callOf(func, JSON.stringify(Object.values(fields)));
  return postOf(path ?? "/", Buffer.from(JSON.stringify(event)), "application/json");
}

/** `args`: a JSON array. */
export function callOf(func: string, args: string): { work: JobWork; input: JobInput } {
  const hash = func.indexOf("#");
  const work = { kind: "call", interface: func.slice(0, hash), function: func.slice(hash + 1) } as const;
  return { work, input: { arguments: args } };
}

export function postOf(target: string, body: Uint8Array, type: string): { work: JobWork; input: JobInput } {
  const work = { kind: "http", method: "POST", scheme: "http", authority: "localhost", target } as const;
  return { work, input: { headers: ["Content-Type", type], body } };
}

/** Pieces of work that take turns: each begins when those before it are over, however they ended. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => {});
    return mine;
  }
}

/** Messages to a queue: jobs of the task that says that it takes them. */
import { ProblemError } from "../base/problem.js";
import { idOf } from "../base/ids.js";
import type { Job, JobCaller, NewJob } from "../deferral/job.js";
import { callOf, liveTriggers, postOf, type TriggerPorts } from "./types.js";

export interface Message {
  readonly body: Uint8Array;
  /** Media type; undefined: nobody said. */
  readonly type: string | undefined;
  /** The same message with the same key is taken once. */
  readonly key: string | undefined;
  readonly caller: JobCaller;
  /** The run that began the chain in which a guest sends it; undefined: a client does. */
  readonly root?: string | undefined;
}

export interface QueueView {
  readonly name: string;
  readonly task: string;
}

const MOST_BYTES = 256 * 1024;
const MOST_KEY = 128;
/** Runs in a row of which each has sent the message that started the next. */
const MOST_HOPS = 256;
const ROUND = `It is the last of ${MOST_HOPS} runs of which each was started by a message of the one before; redrive it if it does not go round.`;
const JSON_TYPE = /^application\/(?:[^;\s]+\+)?json\s*(?:;|$)/i;

/** Queues of a tenant, by name. */
export function queuesOf({ tasks }: Pick<TriggerPorts, "tasks">, tenant: string): QueueView[] {
  const views = liveTriggers(tasks(), "queue")
    .filter(({ task }) => task.tenant === tenant)
    .map(({ task, trigger }) => ({ name: trigger.queue, task: task.name }));
  return views.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The job of a message. Throws a `ProblemError`: there is no such queue, or the message is too large. */
export function messageJob(
  ports: Pick<TriggerPorts, "tasks" | "decide" | "wall">,
  tenant: string,
  queue: string,
  { body, type, key, caller, root }: Message,
  newId: () => string,
  jobOf: (id: string) => Pick<Job, "hops"> | undefined,
): NewJob {
  const live = liveTriggers(ports.tasks(), "queue").find(({ task, trigger }) => task.tenant === tenant && trigger.queue === queue);
  if (live === undefined) {
    const names = queuesOf(ports, tenant).map(({ name }) => name);
    const there = names.length === 0 ? "no task takes messages" : `there are ${names.join(", ")}`;
    throw new ProblemError("request/no-such-thing", `There is no queue ${JSON.stringify(queue)}; ${there}.`);
  }
  if (body.byteLength > MOST_BYTES)
    throw new ProblemError("request/body-too-large", `A message may come to ${MOST_BYTES} bytes; this one has ${body.byteLength}.`);
  if (key !== undefined && (key === "" || key.length > MOST_KEY))
    throw new ProblemError("request/invalid", `A message's key has 1 to ${MOST_KEY} characters.`);
  const { task, trigger } = live;
  const hops = root === undefined ? 0 : (jobOf(root)?.hops ?? 0) + 1;
  const start =
    trigger.function === undefined
      ? postOf(trigger.path ?? "/", body, type ?? "application/octet-stream")
      : callOf(trigger.function, `[${valueOf(body, type)}]`);
  return {
    id: key === undefined ? newId() : idOf("queue", tenant, queue, key),
    tenant,
    task: task.name,
    origin: { kind: "queue", queue },
    caller,
    hops,
    ...(hops > MOST_HOPS && { parked: { code: "quota/deferred", detail: ROUND } }),
    ...start,
    ...ports.decide(task, ports.wall(), trigger.defer),
  };
}

/** JSON as it is, so that no digit of a number is lost; other text as a string. Undefined type: whatever it reads as. */
function valueOf(body: Uint8Array, type: string | undefined): string {
  const text = textOf(body);
  if (type !== undefined && !JSON_TYPE.test(type)) return JSON.stringify(text);
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}

function textOf(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch (cause) {
    throw new ProblemError("request/invalid", "The message goes to a function, and is not UTF-8 text; a path takes any bytes.", { cause });
  }
}

/**
 * What could be reached by a policy that knows every request beforehand: two bounds, between which every other one lies.
 *
 * `on demand` links a program only when a request has come, as keep-alive and LRU do, but knows through which gaps to keep
 * it: gaps are taken in the order of the waiting that they save for each byte and second, until the average over the window
 * is the budget. Instances cost it nothing, neither time nor bytes. No policy that links on demand waits less with as
 * many bytes on average (up to the one gap that the budget divides).
 *
 * `fetching ahead` keeps nothing and links each program just before it is needed. It never waits; its bytes are the least
 * with which that can be done.
 */
import { keeping, NEVER, type Plan } from "./keeping.js";
import type { Policy, Scene } from "./policy.js";
import type { Trace } from "./trace.js";

const LET_GO = -1;

export function clairvoyantOnDemand(budgetBytes: number): Policy {
  return keeping("clairvoyant, on demand", NEVER, (scene) => {
    const kept = gapsToKeep(scene, budgetBytes);
    return {
      instances: "foreseen",
      ended: (_task, now, request): Plan => ({ until: kept.has(request) ? NEVER : now, again: NEVER, againUntil: LET_GO }),
    };
  });
}

export function clairvoyantAhead(): Policy {
  return keeping("clairvoyant, fetching ahead", NEVER, ({ trace, costs }) => {
    const { next, first } = successions(trace);
    const plan = (now: number, request: number, task: number): Plan => {
      if (request < 0) return { until: now, again: NEVER, againUntil: LET_GO };
      const time = trace.time[request] as number;
      // Not later than now: the gap may be shorter than linking takes, and then it is kept through.
      const again = Math.max(0, time - costs[(trace.tasks[task] as Trace["tasks"][number]).component].raiseMs);
      return again <= now ? { until: NEVER, again: NEVER, againUntil: LET_GO } : { until: now, again, againUntil: NEVER };
    };
    return {
      instances: "foreseen",
      first: (task) => plan(-NEVER, first[task] as number, task),
      ended: (task, now, request) => plan(now, next[request] as number, task),
    };
  });
}

interface Gap {
  /** The request before it. */
  readonly request: number;
  readonly byteMs: number;
  readonly savedMs: number;
}

/** Requests after which the program is worth keeping until the next one of its task. */
function gapsToKeep({ trace, costs, window }: Scene, budgetBytes: number): Set<number> {
  const inWindow = (from: number, until: number): number => Math.max(0, Math.min(until, window.until) - Math.max(from, window.from));
  const gaps: Gap[] = [];
  let left = budgetBytes * (window.until - window.from);
  const ends = trace.tasks.map(() => -NEVER);
  const lasts = trace.tasks.map(() => -1);
  for (let request = 0; request < trace.length; request++) {
    const task = trace.task[request] as number;
    const time = trace.time[request] as number;
    const { programBytes, readyBytes, raiseMs } = costs[(trace.tasks[task] as Trace["tasks"][number]).component];
    const end = time + (trace.duration[request] as number);
    const before = ends[task] as number;
    // What runs is not to be chosen.
    left -= inWindow(time, end) * Math.max(trace.bytes[request] as number, readyBytes);
    left -= inWindow(Math.max(time, before), end) * programBytes;
    if (time > before && before > -NEVER && time >= window.from && time < window.until) {
      gaps.push({ request: lasts[task] as number, byteMs: inWindow(before, time) * programBytes, savedMs: raiseMs });
    }
    ends[task] = Math.max(before, end);
    lasts[task] = request;
  }
  gaps.sort((a, b) => b.savedMs * a.byteMs - a.savedMs * b.byteMs || a.request - b.request);
  const kept = new Set<number>();
  for (const gap of gaps) {
    if (left <= 0) break;
    left -= gap.byteMs;
    kept.add(gap.request);
  }
  return kept;
}

/** For each request the next one of its task, and for each task its first one; -1 where there is none. */
function successions(trace: Trace): { readonly next: Int32Array; readonly first: Int32Array } {
  const next = new Int32Array(trace.length).fill(-1);
  const first = new Int32Array(trace.tasks.length).fill(-1);
  for (let request = trace.length - 1; request >= 0; request--) {
    const task = trace.task[request] as number;
    next[request] = first[task] as number;
    first[task] = request;
  }
  return { next, first };
}

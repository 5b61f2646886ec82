/** Stage 1: host and path → task, alias → version. */
import { headerValue } from "../../base/headers.js";
import { pick, type Target } from "../../tasks/router.js";
import type { Task } from "../../tasks/task.js";
import type { Incoming } from "../invocation.js";

export interface TaskLookup {
  /** What the route for an authority and a path (without query) leads to. */
  match(authority: string, path: string): Target | undefined;
}

/** The version that this request gets; `random` gives numbers from [0, 1). */
export function resolve(incoming: Incoming, tasks: TaskLookup, random: () => number): Task | undefined {
  const target = tasks.match(incoming.authority, pathOf(incoming.target));
  return target && pick(target, (name) => headerValue(incoming.headers, name), random);
}

/** A target without its query. */
export function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

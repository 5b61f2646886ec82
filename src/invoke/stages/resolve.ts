/** Stage 1: host and path → task. */
import type { Problem } from "../../base/problem.js";
import type { Task } from "../../tasks/task.js";
import type { Incoming } from "../invocation.js";

export interface TaskLookup {
  /** The task whose route matches a path (without query). */
  match(path: string): Task | undefined;
}

export function resolve(incoming: Incoming, tasks: TaskLookup): Task | Problem {
  const { target } = incoming;
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  return tasks.match(path) ?? { code: "request/not-found", detail: `No task has a route for ${path}.` };
}

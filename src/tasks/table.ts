/** The deployed tasks, and which of them answers a path. */
import { UserError } from "../base/errors.js";
import { RouteConflict, RouteTable, type Route } from "./routes.js";
import type { Task } from "./task.js";

export class TaskTable {
  readonly #tasks = new Map<string, Task>();
  readonly #routes = new RouteTable<Task>();

  match(path: string): Task | undefined {
    return this.#routes.match(path);
  }

  get(name: string): Task | undefined {
    return this.#tasks.get(name);
  }

  names(): string[] {
    return [...this.#tasks.keys()].sort();
  }

  /** Puts a task in place of the one of that name, which is returned. Throws a `UserError` when a route is another task's. */
  put(task: Task): Task | undefined {
    const before = this.#tasks.get(task.name);
    const next = new Map(this.#tasks).set(task.name, task);
    this.#rebuild(next);
    return before;
  }

  remove(name: string): Task | undefined {
    const task = this.#tasks.get(name);
    if (task === undefined) return undefined;
    const next = new Map(this.#tasks);
    next.delete(name);
    this.#rebuild(next);
    return task;
  }

  #rebuild(tasks: ReadonlyMap<string, Task>): void {
    try {
      this.#routes.replace([...tasks.values()].flatMap(routesOf));
    } catch (error) {
      if (!(error instanceof RouteConflict)) throw error;
      const [first, second] = [error.first.target as Task, error.second.target as Task];
      throw new UserError(
        `task ${second.name} has the route ${error.second.pattern}, which matches the same paths as ${error.first.pattern} of task ${first.name}; change one of them`,
      );
    }
    this.#tasks.clear();
    for (const [name, task] of tasks) this.#tasks.set(name, task);
  }
}

/** Without routes a task answers on `/<task>/*`. */
function routesOf(task: Task): Route<Task>[] {
  const patterns = task.version.manifest.routes ?? [`/${task.name}/*`];
  return patterns.map((pattern) => ({ pattern, target: task }));
}

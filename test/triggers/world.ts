/** A node as sources of runs see it: tasks, jobs, a log of stores, a clock that the test moves; all but what is durable may be lost. */
import type { Job } from "../../src/deferral/job.js";
import { Jobs } from "../../src/deferral/jobs.js";
import type { KvChange } from "../../src/engine/kv.js";
import { memoryState } from "../../src/state/memory.js";
import type { Task } from "../../src/tasks/task.js";
import { Triggers } from "../../src/triggers/triggers.js";
import { fakeTask } from "../tasks/fake-task.js";

export class World {
  readonly state = memoryState();
  now = Date.UTC(2026, 0, 1);
  tasks: Task[] = [];
  readonly warnings: string[] = [];
  readonly errors: unknown[] = [];
  /** What was written, ever; the log that is kept of it begins behind `forgotten`. */
  readonly written: KvChange[] = [];
  forgotten = 0;
  #cursor: number | undefined;
  readonly #values = new Map<string, { value: Uint8Array; revision: number }>();
  jobs = new Jobs(this.state);
  triggers = this.#make();
  /** What counts as waiting of a tenant, where that is not what does. */
  load: ((tenant: string) => number) | undefined;

  /** All that is not durable is gone. */
  async crash(): Promise<void> {
    this.jobs = new Jobs(this.state);
    this.triggers = this.#make();
    await this.triggers.refresh();
  }

  async deploy(name: string, triggers: readonly object[], tenant = "acme"): Promise<Task> {
    const task = { ...fakeTask(name, { triggers: triggers as never }), tenant, key: `${tenant}/${name}` };
    this.tasks = [...this.tasks.filter(({ key }) => key !== task.key), task];
    await this.triggers.refresh();
    return task;
  }

  write(store: string, key: string, text: string, tenant = "acme"): number {
    const revision = (this.written.at(-1)?.revision ?? 0) + 1;
    this.written.push({ revision, tenant, store, key, op: "put" });
    this.#values.set(`${tenant} ${store} ${key}`, { value: Buffer.from(text), revision });
    return revision;
  }

  all(): Job[] {
    return [...this.jobs.all()];
  }

  #make(): Triggers {
    let ids = 0;
    return new Triggers({
      wall: () => this.now,
      tasks: () => this.tasks,
      state: this.state,
      accept: (jobs, more) => this.jobs.accept(jobs, this.now, more),
      load: (tenant) => ({ waiting: this.load?.(tenant) ?? this.jobs.load(tenant).waiting, bytes: 0 }),
      decide: (_task, dueAt) => ({ dueAt }),
      warn: (_tenant, task, text) => void this.warnings.push(`${task}: ${text}`),
      report: (error) => void this.errors.push(error),
      newId: () => `id${++ids}`,
      refusal: () => undefined,
      jobOf: (id) => this.jobs.get(id),
      kv: {
        revision: () => this.written.at(-1)?.revision ?? 0,
        get: (tenant, store, key) => this.#values.get(`${tenant} ${store} ${key}`) ?? null,
        registerCursor: async () => (this.#cursor ??= this.written.at(-1)?.revision ?? 0),
        changes: (_cursor, limit, after = 0) =>
          this.written.filter(({ revision }) => revision > Math.max(after, this.#cursor ?? 0)).slice(0, limit),
        advance: async (_cursor, revision) => (this.#cursor = Math.max(this.#cursor ?? 0, revision)),
        dropCursor: async () => void (this.#cursor = undefined),
      },
    });
  }
}

/** A node that may end, or whose disk may fail, at each single write; what was durable by then is there when it begins again. */
import { Jobs } from "../../src/deferral/jobs.js";
import type { Job, NewJob } from "../../src/deferral/job.js";
import type { KvChange } from "../../src/engine/kv.js";
import { memoryState } from "../../src/state/memory.js";
import type { Change, StateStore } from "../../src/state/store.js";
import type { Task } from "../../src/tasks/task.js";
import { Triggers } from "../../src/triggers/triggers.js";
import { fakeTask } from "../tasks/fake-task.js";

/** What becomes of a write: it is done; it fails; the node ends before it, or after it and before anybody is told. */
export type Fate = "done" | "fails" | "ends-before" | "ends-after";

const NEVER = new Promise<never>(() => {});

export class Frail {
  now = Date.UTC(2026, 0, 1);
  /** Of the writes to come; those behind the last are done. */
  fates: Fate[] = [];
  readonly warnings: string[] = [];
  readonly errors: string[] = [];
  /** All jobs that were ever written down, those as well of which nothing is known any more. */
  readonly accepted: Job[] = [];
  /** What commits had in them, by table. */
  commits: string[][] = [];
  /** What `decide` was asked. */
  readonly asked: { task: string; dueAt: number; deferMs: number }[] = [];
  decide: (task: Task, dueAt: number, deferMs: number) => Pick<NewJob, "dueAt"> = (_task, dueAt) => ({ dueAt });
  load: (tenant: string) => number = (tenant) => this.jobs.load(tenant).waiting;
  jobs!: Jobs;
  triggers!: Triggers;
  readonly #disk = memoryState();
  readonly #tasks = new Map<string, Task>();
  #ended!: Promise<void>;
  /** The stores' file: the log is there from the first cursor on, up to the slowest. */
  revision = 100;
  cursor: number | undefined;
  log: KvChange[] = [];
  readonly #values = new Map<string, { readonly value: Uint8Array; readonly revision: number }>();

  constructor() {
    this.#begin();
  }

  /** Does it, and begins again where that ended the node. Says whether it did. */
  async run(work: () => Promise<unknown>): Promise<boolean> {
    let isWhole = false;
    const whole = (async () => {
      await work();
      isWhole = true;
    })();
    await Promise.race([whole, this.#ended]);
    if (!isWhole) await this.restart();
    return isWhole;
  }

  async restart(): Promise<void> {
    this.fates = [];
    this.#begin();
    await this.triggers.refresh();
  }

  poke(): Promise<boolean> {
    return this.run(() => this.triggers.poke());
  }

  deploy(name: string, triggers: readonly object[], tenant = "acme"): Promise<boolean> {
    this.set(name, triggers, tenant);
    return this.run(() => this.triggers.refresh());
  }

  /** The tasks are so, and nobody has been told. */
  set(name: string, triggers: readonly object[], tenant = "acme"): void {
    const key = `${tenant}/${name}`;
    this.#tasks.set(key, { ...fakeTask(name, { triggers: triggers as never }), tenant, key });
  }

  remove(name: string, tenant = "acme"): Promise<boolean> {
    this.#tasks.delete(`${tenant}/${name}`);
    return this.run(() => this.triggers.refresh());
  }

  write(store: string, key: string, value: string | Uint8Array = "x", tenant = "acme"): number {
    const revision = ++this.revision;
    if (this.cursor !== undefined) this.log.push({ revision, tenant, store, key, op: "put" });
    this.#values.set(`${tenant} ${store} ${key}`, { value: Buffer.from(value), revision });
    return revision;
  }

  delete(store: string, key: string, tenant = "acme"): void {
    if (this.cursor !== undefined) this.log.push({ revision: ++this.revision, tenant, store, key, op: "delete" });
    this.#values.delete(`${tenant} ${store} ${key}`);
  }

  all(): Job[] {
    return [...this.accepted];
  }

  /** Their time is over: nothing is known of jobs any more, by whose ids they could be told to be there. */
  forget(): Promise<boolean> {
    this.fates = [];
    return this.run(() => this.jobs.forget([...this.jobs.all()].map(({ id }) => id)));
  }

  /** Of all jobs: task and what started it. */
  made(): string[] {
    const text = ({ tenant, task, origin }: Job): string => {
      if (origin.kind === "cron") return `${task} ${origin.tick}`;
      return origin.kind === "store" ? `${tenant}/${task} ${origin.store}/${origin.key}@${origin.revision}` : `${task}`;
    };
    return this.all().map(text);
  }

  event(job: Job): unknown {
    const input = this.jobs.input(job.id);
    return JSON.parse(input?.arguments ?? Buffer.from(input?.body as Uint8Array).toString()) as unknown;
  }

  #begin(): void {
    let end: () => void = () => {};
    let isOver = false;
    this.#ended = new Promise((resolve) => (end = resolve));
    const write = async <T>(work: () => Promise<T> | T): Promise<T> => {
      // What is left of a node that has ended does nothing any more.
      if (isOver) return NEVER;
      const fate = this.fates.shift() ?? "done";
      if (fate === "fails") throw new Error("the disk is full");
      if (fate !== "ends-before") {
        const made = await work();
        if (fate === "done") return made;
      }
      isOver = true;
      end();
      return NEVER;
    };
    const state: StateStore = {
      get: (from, key) => this.#disk.get(from, key),
      list: (from, range) => this.#disk.list(from, range),
      commit: (changes) =>
        write(() => {
          this.commits.push(changes.map(({ table }) => table));
          for (const change of changes) if (change.kind === "put" && change.table === "jobs") this.accepted.push(change.value as Job);
          return this.#disk.commit(changes);
        }),
      close: () => this.#disk.close(),
    };
    const jobs = new Jobs(state);
    this.jobs = jobs;
    let ids = 0;
    this.triggers = new Triggers({
      wall: () => this.now,
      tasks: () => this.#tasks.values(),
      state,
      accept: (wanted: readonly NewJob[], more: readonly Change[]) => jobs.accept(wanted, this.now, more),
      load: (tenant) => ({ waiting: this.load(tenant), bytes: 0 }),
      refusal: () => undefined,
      decide: (task, dueAt, deferMs) => {
        this.asked.push({ task: task.name, dueAt, deferMs });
        return this.decide(task, dueAt, deferMs);
      },
      warn: (_tenant, task, text) => void this.warnings.push(`${task}: ${text}`),
      report: (error) => void this.errors.push((error as Error).message),
      newId: () => `id${++ids}`,
      jobOf: (id) => jobs.get(id),
      kv: {
        revision: () => this.revision,
        get: (tenant, store, key) => this.#values.get(`${tenant} ${store} ${key}`) ?? null,
        registerCursor: () => write(() => (this.cursor ??= this.revision)),
        changes: (_cursor, limit, after = 0) => {
          if (this.cursor === undefined) throw new Error("there is no cursor");
          const from = Math.max(after, this.cursor);
          return this.log.filter(({ revision }) => revision > from).slice(0, limit);
        },
        advance: (_cursor, revision) =>
          write(() => {
            if (this.cursor === undefined) throw new Error("there is no cursor");
            this.cursor = Math.max(this.cursor, Math.min(revision, this.revision));
            this.log = this.log.filter((change) => change.revision > (this.cursor as number));
            return this.cursor;
          }),
        dropCursor: () =>
          write(() => {
            this.cursor = undefined;
            this.log = [];
          }),
      },
    });
  }
}

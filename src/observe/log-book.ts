/**
 * The last lines of each tenant's tasks, for `pilotlight logs`: what guests wrote, and the runs that failed.
 *
 * Bounded per tenant, so that a task that floods its log loses its own tenant's older lines and nobody else's. A run
 * that ended well leaves a line only for those who follow.
 */
import type { GuestLine } from "../engine/engine.js";
import type { Run } from "../invoke/run.js";
import type { Task } from "../tasks/task.js";
import type { LogEntry, LogQuery } from "../control/control.js";
import { causeOf } from "./log.js";

/** Per tenant. */
const MOST_LINES = 1000;
/** Characters per tenant; a line of a guest is never longer than the engine lets it be. */
const MOST_TEXT = 512 * 1024;

type Listener = (entry: LogEntry) => void;

interface Page {
  readonly entries: LogEntry[];
  text: number;
  readonly followers: Set<Listener>;
}

export class LogBook {
  readonly #wall: () => number;
  readonly #pages = new Map<string, Page>();

  constructor(wall: () => number) {
    this.#wall = wall;
  }

  /** A line that a guest of this task wrote, masked already. `run` is undefined when nobody can tell which wrote it. */
  guest(task: Task, run: string | undefined, line: GuestLine): void {
    this.#add(task.tenant, {
      at: new Date(this.#wall()).toISOString(),
      task: task.name,
      version: task.version.label,
      run,
      level: line.level ?? "info",
      origin: line.origin,
      text: line.text,
    });
  }

  /** A run that has settled. */
  settled(run: Run): void {
    const { tenant, name, version } = run.task;
    const outcome = run.outcome;
    if (outcome === undefined) return;
    const page = this.#pages.get(tenant);
    const failed = outcome.kind !== "ok" && outcome.kind !== "cancelled";
    if (!failed && (page === undefined || page.followers.size === 0)) return;
    const { method, path } = run.origin;
    const cause = causeOf(run);
    const took = ((run.settledAt ?? run.admittedAt) - run.admittedAt).toFixed(1);
    const request = method === undefined ? run.origin.kind : `${method} ${path}`;
    const entry: LogEntry = {
      at: new Date(this.#wall()).toISOString(),
      task: name,
      version: version.label,
      run: run.id,
      level: failed ? "warn" : "info",
      origin: "run",
      text: `${request} ${run.status ?? "-"} ${outcome.kind} ${took} ms${cause === undefined ? "" : `: ${cause}`}`,
    };
    if (failed) this.#add(tenant, entry);
    else tell(page as Page, entry);
  }

  /** The last ones that fit the query, oldest first. */
  last(tenant: string, query: LogQuery): LogEntry[] {
    const entries = this.#pages.get(tenant)?.entries ?? [];
    return entries.filter((entry) => fits(entry, query)).slice(-(query.limit ?? 100));
  }

  follow(tenant: string, query: LogQuery, listener: Listener): () => void {
    const page = this.#page(tenant);
    const fitting: Listener = (entry) => {
      if (fits(entry, query)) listener(entry);
    };
    page.followers.add(fitting);
    return () => void page.followers.delete(fitting);
  }

  /** When a tenant goes. */
  forget(tenant: string): void {
    this.#pages.delete(tenant);
  }

  #add(tenant: string, entry: LogEntry): void {
    const page = this.#page(tenant);
    page.entries.push(entry);
    page.text += entry.text.length;
    while (page.entries.length > MOST_LINES || page.text > MOST_TEXT) page.text -= (page.entries.shift() as LogEntry).text.length;
    tell(page, entry);
  }

  #page(tenant: string): Page {
    let page = this.#pages.get(tenant);
    if (page === undefined) this.#pages.set(tenant, (page = { entries: [], text: 0, followers: new Set() }));
    return page;
  }
}

function tell(page: Page, entry: LogEntry): void {
  for (const follower of page.followers) follower(entry);
}

function fits(entry: LogEntry, { task, run }: LogQuery): boolean {
  return (task === undefined || entry.task === task) && (run === undefined || entry.run === run);
}

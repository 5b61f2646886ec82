/**
 * Whether a record still holds: what its run has read is looked at again, what costs least first, until something has changed.
 *
 * What is here (time, programs of called tasks, stores) is looked at at one moment; folders, resolvers and servers are asked.
 */
import type { Clock } from "../base/clock.js";
import type { Engine } from "../engine/engine.js";
import type { KeyValue } from "../engine/kv.js";
import type { OutboundGrant } from "../engine/program.js";
import type { Fetched } from "../engine/trace.js";
import { depName, readDeps } from "../memo/deps.js";
import { folderState } from "../memo/files.js";
import type { Idempotent } from "../memo/policy.js";
import type { RecordTrace } from "../memo/record.js";
import type { Held } from "../memo/store.js";
import type { Task } from "../tasks/task.js";

export interface LookPorts {
  readonly engine: Pick<Engine, "probe"> & { readonly kv: Pick<KeyValue, "check"> };
  readonly clock: Clock;
  /** Milliseconds since 1970; does not go back. */
  wall(): number;
  /** What a task's program is made of, its sidecars included. */
  print(task: Task): string;
  /** Versions of a task, `tenant/name`, that requests get now. */
  live(task: string): readonly Task[];
  /** Where guests of the task may send requests. */
  outbound(task: Task): Pick<OutboundGrant, "origins" | "anyAddress">;
  /** The state of a resource, where the embedder knows it; undefined: it does not resolve any. */
  readonly resolve: ((tenant: string, resource: string) => string | undefined | Promise<string | undefined>) | undefined;
  report(error: unknown): void;
}

/** How much of a state a resolver may answer with. */
const STATE_BYTES = 4096;

/** What has been found of a record. */
export type Found = { readonly holds: true } | { readonly holds: false; readonly reason: string; readonly what: string | undefined };
const HOLDS: Found = { holds: true };

export class Looks {
  readonly #ports: LookPorts;

  constructor(ports: LookPorts) {
    this.#ports = ports;
  }

  /** What can be looked at here: what costs least first, the first difference ends it. */
  near(held: Held, { tenant }: Task, { ttl }: Idempotent): Found {
    const { record } = held;
    const { trace } = record;
    if (this.#ports.wall() >= Math.min(record.at + ttl, record.until)) return changed("expired", undefined);
    for (const [task, print] of trace.tasks) {
      if (this.isLive(task, print)) continue;
      return changed("task changed", task.startsWith(`${tenant}/`) ? `task:${task.slice(tenant.length + 1)} changed` : undefined);
    }
    if (trace.reads.byteLength === 0) return HOLDS;
    let found: number;
    try {
      found = this.#ports.engine.kv.check(trace.reads, held.since);
    } catch (error) {
      this.#ports.report(error);
      return changed("unreachable", undefined);
    }
    if (found >= 0) {
      held.since = found;
      return HOLDS;
    }
    const dep = readDeps(trace.reads)[-1 - found];
    // What another tenant's task has read is that tenant's.
    return changed("kv changed", dep?.tenant === tenant ? `${depName(dep)} changed` : undefined);
  }

  /** What others have to be asked about. */
  async far(held: Held, task: Task): Promise<Found> {
    const began = this.#ports.clock.now();
    const { depends, fetched, files } = held.record.trace;
    const found = await this.#around(task, depends, fetched, files);
    const took = this.#ports.clock.now() - began;
    held.checkMs = held.checkMs === 0 ? took : held.checkMs + (took - held.checkMs) / 4;
    if (found.holds) {
      held.lookedAt = this.#ports.wall();
      held.looks++;
    }
    return found;
  }

  async #around(task: Task, depends: RecordTrace["depends"], fetched: RecordTrace["fetched"], files: RecordTrace["files"]): Promise<Found> {
    const insides = (by: string, what: string): string | undefined => (by.startsWith(`${task.tenant}/`) ? what : undefined);
    for (const [folder, state] of files) {
      if ((await folderState(folder, this.#ports.wall())) !== state) return changed("files changed", `${folder} changed`);
    }
    for (const [by, resource, state] of depends) {
      const now = await this.#resolved(by, resource);
      if (now === undefined) return changed("unreachable", insides(by, `${resource} unreachable`));
      if (now.state !== state) return changed("resource changed", insides(by, `${resource} changed`));
    }
    for (const [by, of] of fetched) {
      const [owner] = this.#ports.live(by);
      if (owner === undefined) return changed("task changed", undefined);
      const headers: [string, string][] = of.headers.filter(([name]) => !CONDITIONS.has(name)).map(([name, value]) => [name, value]);
      if (of.etag !== null && (!of.etag.startsWith("W/") || of.body === null)) headers.push(["if-none-match", of.etag]);
      // A time of change says nothing of changes within its second: the body is compared, where it was read.
      try {
        const { method, url } = of;
        const now = await this.#ports.engine.probe({ ...this.#ports.outbound(owner), method, url, headers });
        if (now.status === 304 || (now.status === of.status && isSameAnswer(of, now))) continue;
        return changed("outbound changed", insides(by, `${url} changed`));
      } catch {
        return changed("unreachable", insides(by, `${of.url} unreachable`));
      }
    }
    return HOLDS;
  }

  async #resolved(by: string, resource: string): Promise<{ readonly state: string | undefined } | undefined> {
    const [owner] = this.#ports.live(by);
    if (owner === undefined) return undefined;
    const url = owner.version.manifest.idempotent?.resolver;
    try {
      if (url === undefined) {
        if (this.#ports.resolve === undefined) return undefined;
        return { state: await this.#ports.resolve(owner.tenant, resource) };
      }
      const asked = `${url}${url.includes("?") ? "&" : "?"}resource=${encodeURIComponent(resource)}`;
      const grant = this.#ports.outbound(owner);
      const { status, text } = await this.#ports.engine.probe({ ...grant, method: "GET", url: asked, headers: [], textBytes: STATE_BYTES });
      if (status === 404) return { state: undefined };
      return status === 200 && text !== null ? { state: text.trim() } : undefined;
    } catch {
      return undefined;
    }
  }

  /** Requests get a version of the task that is made of this. */
  isLive(task: string, print: string): boolean {
    return this.#ports.live(task).some((each) => this.#ports.print(each) === print);
  }

  /** The answer to a GET of the task's, as it is now. Rejects where none comes. */
  async fetch(task: Task, url: string): Promise<Fetched> {
    const { status, etag, lastModified, body } = await this.#ports.engine.probe({
      ...this.#ports.outbound(task),
      method: "GET",
      url,
      headers: [],
    });
    return { method: "GET", url, headers: [], status, etag, lastModified, body };
  }

  /** What is in the folders of a task; undefined: that cannot be said. */
  async filesOf({ version }: Task): Promise<[folder: string, state: string][] | undefined> {
    const now = this.#ports.wall();
    const states: [string, string][] = [];
    for (const { host } of version.manifest.files) {
      const state = await folderState(host, now);
      if (state === undefined) return undefined;
      states.push([host, state]);
    }
    return states;
  }
}

/** Conditions that the guest's own request had: the question is another now. */
const CONDITIONS: ReadonlySet<string> = new Set(["if-none-match", "if-modified-since", "host", "connection"]);

function isSameAnswer(
  before: { readonly etag: string | null; readonly lastModified: string | null; readonly body: string | null },
  now: { readonly etag: string | null; readonly lastModified: string | null; readonly body: string },
): boolean {
  // The guest has seen the tag as well.
  if (before.etag !== now.etag) return false;
  // A weak one says that answers mean the same, which is not that they read the same.
  if (before.etag !== null && !before.etag.startsWith("W/")) return true;
  return before.body !== null && before.body === now.body && before.lastModified === now.lastModified;
}

function changed(reason: string, what: string | undefined): Found {
  return { holds: false, reason, what };
}

/** From a recording to a record: whether it may become one, and what is in it. */
import { hash } from "node:crypto";
import { headerValue } from "../base/headers.js";
import type { KeyValue } from "../engine/kv.js";
import { etagOf, keepsOut } from "../memo/conditional.js";
import { obstacle } from "../memo/policy.js";
import type { MemoRecord, RecordTrace } from "../memo/record.js";
import type { RecordStore } from "../memo/store.js";
import type { Looks, LookPorts } from "./looks.js";
import type { Recording } from "./recording.js";

export interface MakingPorts extends Pick<LookPorts, "print" | "live" | "resolve"> {
  readonly engine: { readonly kv: Pick<KeyValue, "check"> };
  readonly store: RecordStore;
  readonly looks: Looks;
  /** Whether one of the texts has a secret of the tenant in it. */
  hasSecret(tenant: string, texts: readonly (() => string)[]): boolean;
}

/** Longer bodies lie by themselves. */
export const LONG_BODY = 64 * 1024;

export class Making {
  readonly #ports: MakingPorts;

  constructor(ports: MakingPorts) {
    this.#ports = ports;
  }

  /** Why the recording becomes no record, as things are now. */
  obstacleOf(recording: Recording): string | undefined {
    const { root, policy } = recording;
    if (recording.obstacle !== undefined) return recording.obstacle;
    const noted = obstacle(recording.notes, policy);
    if (noted !== undefined) return noted;
    const { head } = recording;
    if (!recording.ended) return "cut off";
    if (head !== undefined) {
      if (head.status >= 500) return `status ${head.status}`;
      const kept = keepsOut(head.headers);
      if (kept !== undefined) return kept;
    }
    if (recording.depends.length > 0 && !this.#canResolve(recording)) return "no resolver";
    if (recording.fetched.some(({ of }) => of.headers.some(([name]) => name === "authorization" || name === "cookie")))
      return "outbound credentials";
    // Of these there is nothing that would tell one answer from another.
    if (recording.fetched.some(({ of }) => of.etag === null && (of.method === "HEAD" || (of.status >= 300 && of.status < 400))))
      return "outbound";
    if (!this.#isSame(recording)) return "changed meanwhile";
    const rest = (): string => JSON.stringify([head?.headers, recording.depends, recording.fetched]);
    const texts = [() => recording.json ?? Buffer.from(recording.body()).toString("utf8"), rest];
    return this.#ports.hasSecret(root.task.tenant, texts) ? "secret" : undefined;
  }

  /** All that the runs read of what is here is as it was when they read it. */
  #isSame({ root, print, reads, tasks }: Recording): boolean {
    // Of a task that is gone there is nobody to ask for a record.
    if (this.#ports.print(root.task) !== print || this.#ports.live(root.task.key).length === 0) return false;
    for (const [key, made] of tasks) if (!this.#ports.looks.isLive(key, made)) return false;
    return reads.length === 0 || this.#ports.engine.kv.check(joined(reads), 0) >= 0;
  }

  #canResolve({ depends }: Recording): boolean {
    if (this.#ports.resolve !== undefined) return true;
    return depends.every(({ task }) => this.#ports.live(task).some(({ version }) => version.manifest.idempotent?.resolver !== undefined));
  }

  /** Why it is not kept. */
  record(recording: Recording): string | undefined {
    const { root, key, at, head, policy } = recording;
    const { tenant, name, version } = root.task;
    const reads = joined(recording.reads);
    const since = reads.byteLength === 0 ? 0 : this.#ports.engine.kv.check(reads, 0);
    if (since < 0) return "changed meanwhile";
    const trace: RecordTrace = {
      reads,
      since,
      tasks: recording.tasks,
      files: recording.files,
      depends: recording.depends.map(({ task, of: [resource, state] }) => [task, resource, state] as const),
      fetched: recording.fetched.map(({ task, of }) => [task, of] as const),
    };
    const body = head === undefined ? undefined : recording.body();
    const tag = head === undefined ? undefined : headerValue(head.headers, "etag");
    const own = tag === undefined && head?.status === 200 && root.origin.method === "GET" ? etagOf(body as Uint8Array) : undefined;
    const isLong = body !== undefined && body.byteLength > LONG_BODY;
    const record: MemoRecord = {
      key,
      tenant,
      task: name,
      version: version.label,
      run: root.id,
      at,
      runMs: (root.settledAt ?? root.admittedAt) - (root.grantedAt ?? root.admittedAt),
      what: root.origin.method === undefined ? (root.origin.path ?? "") : `${root.origin.method} ${root.origin.path}`,
      answer:
        head === undefined || body === undefined
          ? { kind: "call", json: recording.json }
          : {
              kind: "http",
              ...head,
              headers: own === undefined ? head.headers : [...head.headers, "ETag", own],
              etag: tag ?? own,
              body: isLong ? undefined : body,
              bytes: body.byteLength,
              digest: isLong ? hash("sha256", body, "hex") : undefined,
            },
      trace,
      notes: recording.notes,
      until: Math.min(at + policy.ttl, recording.until),
    };
    return this.#ports.store.put(record, isLong ? body : undefined, record.until, recording.began);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
}

/** Records of runs, as people and scripts see them: listed, looked into, and let go of. */
import { ProblemError } from "../base/problem.js";
import { depName, readDeps } from "../memo/deps.js";
import type { MemoRecord } from "../memo/record.js";
import { isReadsText, READS_HELP, readsMatch } from "../memo/select.js";
import type { RecordStore, Selection } from "../memo/store.js";
import { require as requireScope } from "../tenants/access.js";
import { Faults, noSuch } from "../tenants/refusals.js";
import type { Caller } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { Page, Paged, PurgeQuery, RecordDetail, RecordQuery, RecordView } from "./control.js";
import type { Ledger } from "./ledger.js";
import type { Live } from "./live.js";
import { cursorOf, readPage } from "./paging.js";
import { shownRevision } from "./stores.js";

export interface RecordPorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly records: Pick<RecordStore, "list" | "purge" | "kept">;
  /** Makes revisions unreadable, as those of stores are. */
  readonly revisionKey: Uint8Array;
}

type Listed = ReturnType<RecordStore["list"]>[number];

const KEY = /^[0-9a-f]{1,32}$/;
const KEY_LENGTH = 32;
/** Fewer digits would mean some record by accident. */
const TELLING = 8;
const OTHERS = "another tenant's data";

export class RecordDesk {
  readonly #ports: RecordPorts & { readonly live: Pick<Live, "of"> };

  constructor(ports: RecordPorts & { readonly live: Pick<Live, "of"> }) {
    this.#ports = ports;
  }

  /** In the order of their keys. */
  list(caller: Caller, tenant: string, query: RecordQuery, page: Page): Paged<RecordView> {
    this.#allow(caller, tenant, "read");
    const { after, limit } = readPage(page);
    // One more than asked for, to know whether there is a next page.
    const found = this.#ports.records.list(selectionOf(tenant, query, 1), after ?? "", limit + 1);
    const items = found.slice(0, limit).map((each) => this.#view(each));
    const last = items.at(-1);
    return { items, next: found.length > limit && last !== undefined ? cursorOf(last.key) : undefined };
  }

  /** `key`: all of it, or as many of its digits as tell it from the others. */
  get(caller: Caller, tenant: string, key: string): RecordDetail {
    this.#allow(caller, tenant, "read");
    const isKey = KEY.test(key) && key.length >= TELLING;
    const [found, other] = isKey ? this.#ports.records.list({ tenant, key }, "", 2) : [];
    if (found === undefined) throw noSuch("record", key);
    if (other !== undefined) throw new ProblemError("request/no-such-thing", `There are several records whose keys begin with ${key}.`);
    const { answer, trace } = found.record;
    const { revisionKey } = this.#ports;
    return {
      ...this.#view(found),
      headers: answer.kind === "http" ? pairsOf(answer.headers) : [],
      bodyBytes: answer.kind === "http" ? answer.bytes : Buffer.byteLength(answer.json ?? ""),
      reads: readsOf(tenant, trace, (revision) => shownRevision(revisionKey, tenant, revision)),
    };
  }

  /** Whatever is asked next runs. Nothing is lost by it but what running takes. */
  purge(caller: Caller, tenant: string, query: PurgeQuery): Promise<{ readonly purged: number }> {
    return this.#ports.ledger.turn(async () => {
      this.#allow(caller, tenant, "deploy");
      const { ledger, records } = this.#ports;
      checkPurge(query);
      const selection = selectionOf(tenant, query, TELLING);
      // Records have a file of their own, so what is about to be done is noted first: nothing is done without its entry.
      const deed = { tenant, action: "records.purge", subject: subjectOf(query), before: undefined, after: undefined };
      await ledger.commit(caller, deed, []);
      const purged = records.purge(selection);
      // What has been purged does not come back with a crash.
      await records.kept();
      return { purged };
    });
  }

  #allow(caller: Caller, tenant: string, scope: "read" | "deploy"): void {
    requireScope(caller, tenant, scope);
    this.#ports.tenants.need(tenant);
  }

  #view({ record, hits, bytes }: Listed): RecordView {
    const { key, tenant, task, version, what, run, at, runMs, answer, trace } = record;
    const ttl = this.#ports.live.of(tenant, task)?.version.manifest.idempotent?.ttl;
    return {
      key,
      task,
      version,
      what,
      run,
      recordedAt: new Date(at).toISOString(),
      expiresAt: ttl === undefined ? undefined : new Date(at + ttl).toISOString(),
      status: answer.kind === "http" ? answer.status : undefined,
      bytes,
      runMs,
      hits,
      dependencies: readsOf(tenant, trace, (revision) => revision).length,
    };
  }
}

/** Throws `request/invalid`; `least`: digits of a key. */
function selectionOf(tenant: string, { task, key, reads }: RecordQuery, least: number): Selection {
  const faults = new Faults();
  if (key !== undefined && (!KEY.test(key) || key.length < least))
    faults.add("key", `expected ${least} to ${KEY_LENGTH} digits of a key: 0 to 9, a to f`);
  if (reads !== undefined && !isReadsText(reads)) faults.add("reads", `expected ${READS_HELP}`);
  faults.check();
  return { tenant, task, key, ...(reads !== undefined && { of: readsMatch(reads, tenant) }) };
}

function checkPurge({ task, key, reads, all }: PurgeQuery): void {
  const faults = new Faults();
  const isSaid = task !== undefined || key !== undefined || reads !== undefined;
  if (all === true && isSaid) faults.add("all", "expected to be alone: task, key and reads say which, and all says every one");
  if (all !== true && !isSaid) faults.add("all", "expected task, key or reads to say which, or true for all of the tenant's");
  faults.check();
}

function subjectOf({ task, key, reads }: PurgeQuery): string {
  const parts = [task && `of task ${task}`, key && `with key ${key}`, reads && `that read ${reads}`].filter((part) => part !== undefined);
  return parts.length === 0 ? "all records" : `records ${parts.join(" ")}`;
}

/** What was read, a line each; all that is not the tenant's is one. */
function readsOf(tenant: string, trace: MemoRecord["trace"], shown: (revision: number) => number): string[] {
  const own = `${tenant}/`;
  const lines: string[] = [];
  let hasOthers = false;
  const add = (isOwn: boolean, text: () => string): void => void (isOwn ? lines.push(text()) : (hasOthers = true));
  for (const dep of readDeps(trace.reads)) add(dep.tenant === tenant, () => `${depName(dep)} @ ${shown(dep.revision)}`);
  for (const [task] of trace.tasks) add(task.startsWith(own), () => `task:${task.slice(own.length)}`);
  for (const [folder] of trace.files) add(true, () => `files ${folder}`);
  for (const [task, resource, state] of trace.depends) add(task.startsWith(own), () => `resource ${resource} = ${state}`);
  for (const [task, { method, url }] of trace.fetched) add(task.startsWith(own), () => `${method} ${url}`);
  return hasOthers ? [...lines, OTHERS] : lines;
}

function pairsOf(list: readonly string[]): { readonly name: string; readonly value: string }[] {
  const pairs: { name: string; value: string }[] = [];
  for (let i = 0; i < list.length; i += 2) pairs.push({ name: list[i] as string, value: list[i + 1] as string });
  return pairs;
}

/**
 * What starts when a key is written: the stores' log, followed from revision to revision.
 *
 * How far the log has been followed is written down with the jobs that came of it, in one transaction: so each revision has one job,
 * whenever a node ends. A tenant whose jobs pile up is left where it is and comes back to it; the others go on, and the log is kept
 * from the slowest.
 */
import { hash } from "node:crypto";
import { extname } from "node:path";
import { idOf } from "../base/ids.js";
import type { NewJob } from "../deferral/job.js";
import type { KvChange } from "../engine/kv.js";
import { put, remove, table } from "../state/store.js";
import type { StoreTrigger } from "../tasks/triggers.js";
import { liveTriggers, startOf, type LiveTrigger, type TriggerPorts } from "./types.js";

interface Place {
  /** All changes up to this revision have been looked at, but those of tenants that are behind. */
  readonly at: number;
  readonly behind: Readonly<Record<string, number>>;
}

const PLACES = table<Place>("trigger-places");
const LOG = "log";
const CURSOR = "triggers";
const PAGE = 500;
/** A tenant with more than this waiting is left behind, until it has less than that. */
const MOST_WAITING = 10_000;
const FEW_WAITING = 8000;
/** One key that is written more often within a minute is written by what it starts. */
const MOST_OF_A_KEY = 60;
const MINUTE_MS = 60_000;
const MOST_KEYS = 10_000;

const TYPES: Readonly<Record<string, string>> = {
  ".json": "application/json",
  ".txt": "text/plain",
  ".csv": "text/csv",
  ".html": "text/html",
  ".xml": "application/xml",
  ".pdf": "application/pdf",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp",
  ".svg": "image/svg+xml",
  ".mp3": "audio/mpeg",
  ".mp4": "video/mp4",
  ".zip": "application/zip",
  ".gz": "application/gzip",
};

export class StoreSource {
  readonly #ports: TriggerPorts;
  #triggers: readonly LiveTrigger<StoreTrigger>[] = [];
  #place: Place | undefined;
  /** How often a trigger's key was written in the minute that began then. */
  readonly #often = new Map<string, { from: number; count: number }>();
  #polling: Promise<void> | undefined;

  constructor(ports: TriggerPorts) {
    this.#ports = ports;
    this.#place = ports.state.get(PLACES, LOG);
  }

  /** Tasks have changed. The log is followed from the moment on at which the first trigger comes. */
  async refresh(): Promise<void> {
    this.#triggers = liveTriggers(this.#ports.tasks(), "store");
    const { kv, state } = this.#ports;
    if (this.#triggers.length === 0) {
      if (this.#place === undefined) return;
      await state.commit([remove(PLACES, LOG)]);
      this.#place = undefined;
      await kv.dropCursor(CURSOR);
      return;
    }
    // One that is there stays where it is.
    const registered = await kv.registerCursor(CURSOR);
    if (this.#place !== undefined) return;
    this.#place = { at: registered, behind: {} };
    await state.commit([put(PLACES, LOG, this.#place)]);
  }

  /** Has jobs of all that was written since the last time. Resolves once they are durable. */
  poll(): Promise<void> {
    return (this.#polling ??= this.#poll().finally(() => (this.#polling = undefined)));
  }

  async #poll(): Promise<void> {
    for (let isMore = true; isMore && this.#place !== undefined;) isMore = await this.#page(this.#place);
    for (const tenant of Object.keys(this.#place?.behind ?? {})) {
      while (this.#place?.behind[tenant] !== undefined && this.#ports.load(tenant).waiting < FEW_WAITING)
        await this.#catchUp(tenant, this.#place);
    }
  }

  /** False: there is nothing more. */
  async #page({ at, behind }: Place): Promise<boolean> {
    const changes = this.#ports.kv.changes(CURSOR, PAGE, at);
    const last = changes.at(-1);
    if (last === undefined) return false;
    const jobs: NewJob[] = [];
    const after = { ...behind };
    for (const change of changes) {
      const triggers = this.#startedBy(change);
      if (triggers.length === 0 || after[change.tenant] !== undefined) continue;
      if (this.#ports.load(change.tenant).waiting + jobs.length > MOST_WAITING) after[change.tenant] = change.revision - 1;
      else jobs.push(...triggers.map((live) => this.#job(live, change)));
    }
    await this.#goOn(jobs, { at: last.revision, behind: after });
    return changes.length === PAGE;
  }

  /** A page of what a tenant was left behind with. */
  async #catchUp(tenant: string, { at, behind }: Place): Promise<void> {
    const changes = this.#ports.kv.changes(CURSOR, PAGE, behind[tenant]).filter(({ revision }) => revision <= at);
    const last = changes.at(-1)?.revision ?? at;
    const jobs = changes
      .filter((change) => change.tenant === tenant)
      .flatMap((change) => this.#startedBy(change).map((live) => this.#job(live, change)));
    const { [tenant]: _, ...others } = behind;
    const isThere = changes.length < PAGE || last >= at;
    await this.#goOn(jobs, { at, behind: isThere ? others : { ...others, [tenant]: last } });
  }

  async #goOn(jobs: readonly NewJob[], place: Place): Promise<void> {
    await this.#ports.accept(jobs, [put(PLACES, LOG, place)]);
    this.#place = place;
    // What everybody has passed is not needed any more.
    await this.#ports.kv.advance(CURSOR, Math.min(place.at, ...Object.values(place.behind)));
  }

  #startedBy({ op, tenant, store, key }: KvChange): LiveTrigger<StoreTrigger>[] {
    if (op !== "put") return [];
    return this.#triggers.filter(
      ({ task, trigger }) => task.tenant === tenant && trigger.store === store && key.startsWith(trigger.prefix),
    );
  }

  #job({ task, trigger, key: name }: LiveTrigger<StoreTrigger>, { store, key, revision }: KvChange): NewJob {
    const { tenant } = task;
    const now = this.#ports.wall();
    const written = this.#ports.kv.get(tenant, store, key);
    // What was there then is not known any more where it has been written again.
    const isThere = written?.revision === revision;
    const event = {
      trigger: "store",
      name: key,
      size: isThere ? written.value.byteLength : null,
      type: TYPES[extname(key).toLowerCase()] ?? "application/octet-stream",
      digest: isThere ? hash("sha256", written.value, "hex") : null,
      revision,
      store,
    };
    const job: NewJob = {
      id: idOf("store", name, revision),
      tenant,
      task: task.name,
      origin: { kind: "store", store, key, revision },
      caller: { kind: "operator", name: "store" },
      ...startOf(trigger, event),
      ...this.#ports.decide(task, now, trigger.defer),
    };
    return this.#isOften(`${name} ${key}`, now) ? { ...job, parked: { code: "call/cycle", detail: often(store, key) } } : job;
  }

  #isOften(key: string, now: number): boolean {
    const known = this.#often.get(key);
    if (known !== undefined && now - known.from < MINUTE_MS) return ++known.count > MOST_OF_A_KEY;
    this.#often.delete(key);
    this.#often.set(key, { from: now, count: 1 });
    const [oldest] = this.#often.keys();
    if (this.#often.size > MOST_KEYS && oldest !== undefined) this.#often.delete(oldest);
    return false;
  }
}

function often(store: string, key: string): string {
  return `${store}/${key} was written more than ${MOST_OF_A_KEY} times within a minute, as a task does that is started by what it writes; redrive it if that is meant.`;
}

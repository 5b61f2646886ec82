/**
 * What starts when a key is written: the stores' log, followed from revision to revision.
 *
 * How far the log has been followed is written down with the jobs that came of it, in one transaction: so each revision has one job
 * of each trigger, whenever a node ends. From which revision on a trigger counts is written down too, as the log may be behind when it
 * comes. A tenant whose jobs pile up is left where it is and comes back to it; the others go on, and the log is kept from the slowest.
 */
import { hash } from "node:crypto";
import { extname } from "node:path";
import { idOf } from "../base/ids.js";
import type { NewJob } from "../deferral/job.js";
import type { KvChange } from "../engine/kv.js";
import { put, remove, table, type Change } from "../state/store.js";
import type { StoreTrigger } from "../tasks/triggers.js";
import { liveTriggers, startOf, Turns, type LiveTrigger, type TriggerPorts } from "./types.js";

interface Place {
  /** All changes up to this revision have been looked at, but those of tenants that are behind. */
  readonly at: number;
  readonly behind: Readonly<Record<string, number>>;
}

const PLACES = table<Place>("trigger-places");
const LOG = "log";
/** By trigger: what is written after this revision starts it. */
const BEGINS = table<number>("trigger-begins");
const CURSOR = "triggers";
const PAGE = 500;
/** A page ends with the value that makes it longer than this, so that hashing holds up nothing else. */
const MOST_HASHED = 16 * 2 ** 20;
/** What starts nothing is passed in memory alone; the log is cut off behind so many revisions. */
const ADVANCE_EVERY = 1000;
/** A tenant with more than this waiting is left behind, until it has less than that. */
const MOST_WAITING = 10_000;
const FEW_WAITING = 8000;
/** Whether a tenant that is behind has less waiting is looked at so often, and what failed is tried again. Milliseconds. */
const AGAIN_MS = 1000;
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

/** What is known of a value; of one that was written again since, nothing. */
interface Written {
  readonly size: number | null;
  readonly digest: string | null;
}

const SUPERSEDED: Written = { size: null, digest: null };

export class StoreSource {
  readonly #ports: TriggerPorts;
  readonly #turns = new Turns();
  /** By tenant. */
  #triggers = new Map<string, LiveTrigger<StoreTrigger>[]>();
  /** As they are to be; `#settle` writes them down. Undefined: not read yet. */
  #begins: Map<string, number> | undefined;
  #place: Place | undefined;
  /** Undefined: nobody knows, the process has just begun. */
  #hasCursor: boolean | undefined;
  /** How far the log was cut off. */
  #advanced = 0;
  /** How often a trigger's key was written in the minute that began then, and the last of these. */
  readonly #often = new Map<string, { from: number; count: number; last: number }>();
  /** What the tables say may not be what the triggers are. */
  #isSettled = true;
  #isStopped = false;
  #again = Number.POSITIVE_INFINITY;
  /** Not before: the last try has failed. */
  #retryAt = 0;

  constructor(ports: TriggerPorts) {
    this.#ports = ports;
  }

  /**
   * Tasks have changed. What was written until now does not start what is new; what is written once this has resolved does, also if
   * the node ends. The log is followed while there is any trigger.
   */
  refresh(): Promise<void> {
    // At once, and not in its turn: a page that is read before that would pass what is new.
    const lives = liveTriggers(this.#ports.tasks(), "store");
    const revision = this.#ports.kv.revision();
    const known = this.#begins ?? this.#read(revision);
    this.#begins = new Map(lives.map(({ key }) => [key, known.get(key) ?? revision]));
    this.#triggers = new Map();
    for (const live of lives) {
      const own = this.#triggers.get(live.task.tenant);
      if (own === undefined) this.#triggers.set(live.task.tenant, [live]);
      else own.push(live);
    }
    this.#isSettled = false;
    return this.#turns.take(() => this.#settle());
  }

  /** What was there when the process began. Where the stores come from a backup, the log may not be as far as it was. */
  #read(revision: number): Map<string, number> {
    const { state } = this.#ports;
    const place = state.get(PLACES, LOG);
    const capped = (at: number): number => Math.min(at, revision);
    if (place !== undefined) {
      const behind = Object.entries(place.behind).map(([tenant, at]) => [tenant, capped(at)] as const);
      this.#place = { at: capped(place.at), behind: Object.fromEntries(behind) };
    }
    return new Map(state.list(BEGINS).map(({ key, value }) => [key, capped(value)]));
  }

  /** Has cursor and tables as the triggers are now. */
  async #settle(): Promise<void> {
    if (this.#isSettled) return;
    this.#isSettled = true;
    try {
      await this.#write(this.#begins ?? new Map());
    } catch (error) {
      this.#isSettled = false;
      throw error;
    }
  }

  async #write(begins: ReadonlyMap<string, number>): Promise<void> {
    const { kv, state } = this.#ports;
    const rows = new Map(state.list(BEGINS).map(({ key, value }) => [key, value]));
    const changes: Change[] = [];
    for (const [key, from] of begins) if (rows.get(key) !== from) changes.push(put(BEGINS, key, from));
    for (const key of rows.keys()) if (!begins.has(key)) changes.push(remove(BEGINS, key));
    if (begins.size > 0) {
      // One that is there stays where it is.
      const registered = this.#hasCursor === true ? 0 : await kv.registerCursor(CURSOR);
      this.#hasCursor = true;
      if (this.#place === undefined) changes.push(put(PLACES, LOG, (this.#place = { at: registered, behind: {} })));
    } else if (this.#hasCursor !== false) {
      this.#place = undefined;
      changes.push(remove(PLACES, LOG));
    }
    if (changes.length > 0) await state.commit(changes);
    // Only then: what is written down without a cursor would be behind for ever.
    if (begins.size > 0 || this.#hasCursor === false) return;
    await kv.dropCursor(CURSOR);
    this.#hasCursor = false;
  }

  /** Something is to be looked at then, whether anything is written or not; Infinity: no. */
  nextWake(): number {
    return this.#again;
  }

  /** Has jobs of all that was written since the last time. Resolves once they are durable. */
  async poll(): Promise<void> {
    // One page of each at a time, so that neither new triggers nor tenants that are behind wait for the end of a flood.
    while (!this.#isStopped && (await this.#turns.take(() => this.#round())));
  }

  /** After the page that goes on there is none. */
  stop(): void {
    this.#isStopped = true;
  }

  /** True: there is more. */
  async #round(): Promise<boolean> {
    if (this.#ports.wall() < this.#retryAt) return false;
    this.#again = Number.POSITIVE_INFINITY;
    try {
      await this.#settle();
      if (this.#place === undefined) return false;
      let isMore = await this.#page(this.#place);
      for (const tenant of Object.keys(this.#place.behind)) {
        if (this.#ports.load(tenant).waiting >= FEW_WAITING) continue;
        await this.#catchUp(tenant, this.#place);
        isMore = true;
      }
      if (Object.keys(this.#place.behind).length > 0) this.#again = this.#ports.wall() + AGAIN_MS;
      return isMore;
    } catch (error) {
      this.#again = this.#retryAt = this.#ports.wall() + AGAIN_MS;
      throw error;
    }
  }

  /** False: there is nothing more. */
  async #page({ at, behind }: Place): Promise<boolean> {
    const changes = this.#ports.kv.changes(CURSOR, PAGE, at);
    const made = new Made();
    const after = { ...behind };
    let reached = at;
    for (const change of changes) {
      const { tenant, revision } = change;
      const started = after[tenant] === undefined ? this.#startedBy(change) : [];
      if (started.length > 0) {
        if (this.#ports.load(tenant).waiting + made.of(tenant) > MOST_WAITING) after[tenant] = revision - 1;
        else this.#make(made, change, started);
      }
      reached = revision;
      if (made.hashed > MOST_HASHED) break;
    }
    await this.#goOn(made.jobs, { at: reached, behind: after });
    return changes.length === PAGE || reached < (changes.at(-1)?.revision ?? at);
  }

  /** A page of what a tenant was left behind with. */
  async #catchUp(tenant: string, { at, behind }: Place): Promise<void> {
    const changes = this.#ports.kv.changes(CURSOR, PAGE, behind[tenant]);
    const made = new Made();
    let reached = changes.length < PAGE ? at : Math.min(at, (changes.at(-1) as KvChange).revision);
    for (const change of changes) {
      if (change.revision > at) break;
      if (change.tenant === tenant) this.#make(made, change, this.#startedBy(change));
      if (made.hashed <= MOST_HASHED) continue;
      reached = change.revision;
      break;
    }
    const { [tenant]: _, ...others } = behind;
    await this.#goOn(made.jobs, { at, behind: reached >= at ? others : { ...others, [tenant]: reached } });
  }

  async #goOn(jobs: readonly NewJob[], place: Place): Promise<void> {
    // What started nothing would start nothing if it were read once more.
    if (jobs.length > 0) await this.#ports.accept(jobs, [put(PLACES, LOG, place)]);
    this.#place = place;
    // What everybody has passed is not needed any more.
    const slowest = Math.min(place.at, ...Object.values(place.behind));
    if (slowest < this.#advanced + ADVANCE_EVERY) return;
    this.#advanced = slowest;
    await this.#ports.kv.advance(CURSOR, slowest);
  }

  #startedBy({ op, tenant, store, key, revision }: KvChange): LiveTrigger<StoreTrigger>[] {
    if (op !== "put") return [];
    const own = this.#triggers.get(tenant) ?? [];
    return own.filter(
      ({ trigger, key: name }) =>
        trigger.store === store && key.startsWith(trigger.prefix) && revision > (this.#begins?.get(name) ?? Number.POSITIVE_INFINITY),
    );
  }

  #make(made: Made, change: KvChange, started: readonly LiveTrigger<StoreTrigger>[]): void {
    if (started.length === 0) return;
    const { tenant, store, key, revision } = change;
    const found = this.#ports.kv.get(tenant, store, key);
    const isThere = found?.revision === revision;
    if (isThere) made.hashed += found.value.byteLength;
    const written = isThere ? { size: found.value.byteLength, digest: hash("sha256", found.value, "hex") } : SUPERSEDED;
    for (const live of started) made.add(this.#job(live, change, written));
  }

  #job({ task, trigger, key: name }: LiveTrigger<StoreTrigger>, { store, key, revision }: KvChange, { size, digest }: Written): NewJob {
    const { tenant } = task;
    const now = this.#ports.wall();
    const type = TYPES[extname(key).toLowerCase()] ?? "application/octet-stream";
    const job: NewJob = {
      id: idOf("store", name, revision),
      tenant,
      task: task.name,
      origin: { kind: "store", store, key, revision },
      caller: { kind: "operator", name: "store" },
      ...startOf(trigger, { trigger: "store", name: key, size, type, digest, revision, store }),
      ...this.#ports.decide(task, now, trigger.defer),
    };
    return this.#isOften(`${name} ${key}`, revision, now) ? { ...job, parked: { code: "call/cycle", detail: often(store, key) } } : job;
  }

  #isOften(key: string, revision: number, now: number): boolean {
    const known = this.#often.get(key);
    if (known !== undefined && now - known.from < MINUTE_MS) {
      // A page that could not be written down is read once more.
      if (revision > known.last) known.count++;
      known.last = Math.max(known.last, revision);
      return known.count > MOST_OF_A_KEY;
    }
    this.#often.delete(key);
    this.#often.set(key, { from: now, count: 1, last: revision });
    const [oldest] = this.#often.keys();
    if (this.#often.size > MOST_KEYS && oldest !== undefined) this.#often.delete(oldest);
    return false;
  }
}

/** What comes of a page. */
class Made {
  readonly jobs: NewJob[] = [];
  readonly #counts = new Map<string, number>();
  /** Bytes of values that were looked at. */
  hashed = 0;

  of(tenant: string): number {
    return this.#counts.get(tenant) ?? 0;
  }

  add(job: NewJob): void {
    this.jobs.push(job);
    this.#counts.set(job.tenant, this.of(job.tenant) + 1);
  }
}

function often(store: string, key: string): string {
  return `${store}/${key} was written more than ${MOST_OF_A_KEY} times within a minute, as a task does that is started by what it writes; redrive it if that is meant.`;
}

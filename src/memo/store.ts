/**
 * The records of a node: within a budget of bytes, on disk where the node keeps anything, the used ones in memory too.
 *
 * What goes when room is short is what is worth least: run cost × frequency ÷ bytes, aged as GreedyDual-Size-Frequency has it,
 * looked for among a few taken at random. A tenant that has more than its share gives way first; nobody's records make room for
 * those of one who has more. What cannot be kept is not recorded, and nothing else comes of that.
 */
import { put, remove, table, type Change, type StateStore } from "../state/store.js";
import type { Bodies } from "./bodies.js";
import { Floors } from "./floors.js";
import { Frequency } from "./frequency.js";
import { bytesOf, type MemoRecord, type RecordTrace } from "./record.js";

export interface StoreOptions {
  readonly state: StateStore;
  readonly bodies: Bodies;
  /** Bytes of all records; a single one may have a sixteenth of it. */
  readonly budget: number;
  /** Bytes of those that are kept in memory as well. */
  readonly memory: number;
  /** Numbers from [0, 1). */
  readonly random: () => number;
  /** Told of records that could not be kept or read. */
  readonly report: (error: unknown) => void;
}

/** A record in memory, with what is learnt of it. */
export interface Held {
  readonly record: MemoRecord;
  /** A revision of the stores' file at which what it has read there was so. */
  since: number;
  /** When what lies elsewhere was last looked at, in milliseconds since 1970. */
  lookedAt: number;
  /** What looking takes, in milliseconds, decayed; and how often that was done. */
  checkMs: number;
  looks: number;
  /** Used since the last look round for room in memory. */
  touched: boolean;
  /** What of the body that lies by itself has been found to be whole. */
  isWhole: boolean;
}

/** What is known of a record without reading it. */
interface Meta {
  readonly key: string;
  readonly tenant: string;
  readonly task: string;
  readonly bytes: number;
  readonly runMs: number;
  readonly until: number;
  /** Its body lies by itself, under this name. */
  readonly file: string | undefined;
  /** When its run did, by `floors`; 0: in the life of another process. */
  readonly began: number;
  hits: number;
  /** The tenant's when it was last used: what it is worth is on top of that. */
  floor: number;
  /** Its place among the tenant's. */
  place: number;
  /** While it is not on the disk yet. */
  keeping: Promise<void> | undefined;
}

interface Stored {
  readonly tenant: string;
  readonly task: string;
  readonly bytes: number;
  readonly runMs: number;
  readonly until: number;
  readonly file?: string | undefined;
  readonly since: number;
}

interface OfTenant {
  bytes: number;
  /** The priority of what went last: what comes now is worth more than that. */
  floor: number;
  readonly metas: Meta[];
}

const RECORDS = table<MemoRecord>("records");
const INDEX = table<Stored>("record-index");
/** Records that are compared when one has to go. */
const SAMPLE = 16;
const LARGEST_SHARE = 16;

/** What may be purged: all that is said must fit. */
export interface Selection {
  readonly tenant: string;
  readonly task?: string | undefined;
  readonly key?: string | undefined;
  /** Decides by what the record has read. */
  readonly of?: ((trace: RecordTrace) => boolean) | undefined;
}

export interface StoreFigures {
  readonly records: number;
  readonly bytes: number;
  readonly memoryBytes: number;
  /** Since the start. */
  readonly evicted: number;
  readonly rejected: number;
}

export class RecordStore {
  readonly #options: StoreOptions;
  readonly #metas = new Map<string, Meta>();
  readonly #tenants = new Map<string, OfTenant>();
  readonly #held = new Map<string, Held>();
  readonly #asked = new Frequency();
  /** What runs may still leave. */
  readonly floors = new Floors();
  #bytes = 0;
  #memory = 0;
  #nextFile = Date.now();
  #evicted = 0;
  #rejected = 0;
  #keeping = new Set<Promise<void>>();
  #failed = false;

  /** `revision`: of the stores' file now. Records of states that it never came back to are let go. */
  constructor(options: StoreOptions, revision: number) {
    this.#options = options;
    const lost: Change[] = [];
    for (const { key, value } of options.state.list(INDEX)) {
      if (value.since > revision) lost.push(remove(INDEX, key), remove(RECORDS, key));
      else this.#add({ ...value, key, file: value.file, began: 0, hits: 0, floor: 0, place: 0, keeping: undefined });
    }
    if (lost.length === 0) return;
    const removal = options.state
      .commit(lost)
      .catch(options.report)
      .finally(() => this.#keeping.delete(removal));
    this.#keeping.add(removal);
  }

  /** Removes files that no record names. */
  async tidy(): Promise<void> {
    const files = new Set<string>();
    for (const { file } of this.#metas.values()) if (file !== undefined) files.add(file);
    for (const name of await this.#options.bodies.names()) if (!files.has(name)) await this.#options.bodies.remove(name);
  }

  figures(): StoreFigures {
    const [evicted, rejected] = [this.#evicted, this.#rejected];
    return { records: this.#metas.size, bytes: this.#bytes, memoryBytes: this.#memory, evicted, rejected };
  }

  get bodies(): Bodies {
    return this.#options.bodies;
  }

  /** The largest record that is taken. */
  get largest(): number {
    return this.#options.budget / LARGEST_SHARE;
  }

  /** The record of a key, read from the disk if need be. One that is damaged is let go. */
  get(key: string): Held | undefined {
    const held = this.#held.get(key);
    if (held !== undefined) {
      held.touched = true;
      return held;
    }
    const meta = this.#metas.get(key);
    if (meta === undefined) return undefined;
    const record = this.#read(key);
    return record && this.#hold(record);
  }

  /** How often the key was asked for counts when it is decided what stays. */
  asked(key: string): void {
    this.#asked.add(key);
  }

  used(key: string): void {
    const meta = this.#metas.get(key);
    if (meta === undefined) return;
    meta.hits++;
    meta.floor = this.#tenants.get(meta.tenant)?.floor ?? 0;
  }

  /** Resolves once the record is on the disk, or has turned out not to get there; undefined: it is. */
  keeping(key: string): Promise<void> | undefined {
    return this.#metas.get(key)?.keeping;
  }

  has(key: string): boolean {
    return this.#metas.has(key);
  }

  /**
   * Takes a record in place of the one that its key had, or says why not. `body`: where it is to lie by itself; `began`: when its
   * run did, by `floors`.
   */
  put(record: MemoRecord, body: Uint8Array | undefined, until: number, began: number): "room" | "superseded" | undefined {
    const { key, tenant, task, runMs } = record;
    // What began later is there already, or whatever began by then is not wanted.
    if (!this.floors.isAbove(tenant, key, began) || (this.#metas.get(key)?.began ?? 0) > began) return "superseded";
    this.#drop(key, true);
    const bytes = bytesOf(record);
    const file = body === undefined ? undefined : `${key}${(this.#nextFile++).toString(16).padStart(12, "0")}`;
    const meta: Meta = { key, tenant, task, bytes, runMs, until, file, began, hits: 0, floor: 0, place: 0, keeping: undefined };
    if (bytes > this.largest || !this.#makeRoom(meta)) {
      this.#rejected++;
      return "room";
    }
    this.#add(meta);
    this.#hold(record).isWhole = body === undefined;
    const keeping = this.#keep(meta, record, body).finally(() => {
      this.#keeping.delete(keeping);
      meta.keeping = undefined;
      // It had to go before it was there.
      if (meta.file !== undefined && this.#metas.get(key) !== meta) this.#options.bodies.remove(meta.file).catch(this.#options.report);
    });
    meta.keeping = keeping;
    this.#keeping.add(keeping);
    return undefined;
  }

  remove(key: string): void {
    this.#drop(key, true);
  }

  /** How many went. What runs that go on would leave goes with them: whether they read what is selected is not known yet. */
  purge(selection: Selection): number {
    let count = 0;
    this.floors.raiseAll(selection.tenant);
    for (const { key } of this.#selected(selection)) {
      this.#drop(key, true);
      count++;
    }
    return count;
  }

  /** In the order of their keys, from behind `after`. */
  list(
    selection: Selection,
    after: string,
    limit: number,
  ): { readonly record: MemoRecord; readonly hits: number; readonly bytes: number }[] {
    const metas = [...(this.#tenants.get(selection.tenant)?.metas ?? [])].filter(
      ({ key, task }) => key > after && (selection.task ?? task) === task && (selection.key === undefined || key.startsWith(selection.key)),
    );
    metas.sort((a, b) => (a.key < b.key ? -1 : 1));
    const found: { record: MemoRecord; hits: number; bytes: number }[] = [];
    for (const { key, hits, bytes } of metas) {
      if (found.length >= limit) break;
      const record = this.#held.get(key)?.record ?? this.#read(key);
      if (record !== undefined && (selection.of === undefined || selection.of(record.trace))) found.push({ record, hits, bytes });
    }
    return found;
  }

  /** Lets go what is over its time. */
  expire(now: number): void {
    for (const { key, until } of this.#metas.values()) if (until <= now) this.#drop(key, true);
  }

  /** Resolves once what has been taken and let go so far is on the disk. */
  async kept(): Promise<void> {
    await Promise.allSettled(this.#keeping);
  }

  /** Resolves once all that was taken is on the disk. */
  async close(): Promise<void> {
    while (this.#keeping.size > 0) await Promise.allSettled(this.#keeping);
  }

  #selected({ tenant, task, key, of }: Selection): Meta[] {
    // A copy: what turns out to be damaged goes at once.
    return [...(this.#tenants.get(tenant)?.metas ?? [])].filter((meta) => {
      if ((task ?? meta.task) !== meta.task || (key !== undefined && !meta.key.startsWith(key))) return false;
      if (of === undefined) return true;
      const record = this.#held.get(meta.key)?.record ?? this.#read(meta.key);
      return record !== undefined && of(record.trace);
    });
  }

  #read(key: string): MemoRecord | undefined {
    try {
      const record = this.#options.state.get(RECORDS, key);
      if (record !== undefined) return record;
    } catch (error) {
      this.#options.report(error);
    }
    // Half of it, or nothing, is as good as none.
    this.#drop(key, true);
    return undefined;
  }

  async #keep(meta: Meta, record: MemoRecord, body: Uint8Array | undefined): Promise<void> {
    const { key, tenant, task, bytes, runMs, until, file } = meta;
    const { state, bodies } = this.#options;
    try {
      if (file !== undefined && body !== undefined) await bodies.write(file, body);
      if (this.#metas.get(key) !== meta) return;
      const stored: Stored = { tenant, task, bytes, runMs, until, since: record.trace.since, ...(file !== undefined && { file }) };
      await state.commit([put(RECORDS, key, record), put(INDEX, key, stored)]);
      this.#failed = false;
    } catch (error) {
      // Told once, not for each of thousands.
      if (!this.#failed) this.#options.report(error);
      this.#failed = true;
      if (this.#metas.get(key) === meta) this.#drop(key, false);
    }
  }

  /** The name of a body that lies by itself. */
  fileOf(key: string): string | undefined {
    return this.#metas.get(key)?.file;
  }

  #hold(record: MemoRecord): Held {
    const bytes = this.#metas.get(record.key)?.bytes ?? 0;
    const held: Held = { record, since: record.trace.since, lookedAt: record.at, checkMs: 0, looks: 0, touched: true, isWhole: false };
    this.#held.set(record.key, held);
    this.#memory += inMemory(record, bytes);
    for (const [key, other] of this.#held) {
      if (this.#memory <= this.#options.memory) break;
      if (key === record.key) continue;
      // Each gets a second chance, and goes behind the others for it.
      this.#held.delete(key);
      if (other.touched) {
        other.touched = false;
        this.#held.set(key, other);
      } else this.#memory -= inMemory(other.record, this.#metas.get(key)?.bytes ?? 0);
    }
    return held;
  }

  #add(meta: Meta): void {
    let tenant = this.#tenants.get(meta.tenant);
    if (tenant === undefined) this.#tenants.set(meta.tenant, (tenant = { bytes: 0, floor: 0, metas: [] }));
    meta.place = tenant.metas.length;
    tenant.metas.push(meta);
    tenant.bytes += meta.bytes;
    this.#bytes += meta.bytes;
    this.#metas.set(meta.key, meta);
    meta.floor = tenant.floor;
  }

  #drop(key: string, stored: boolean): void {
    const meta = this.#metas.get(key);
    if (meta === undefined) return;
    this.#metas.delete(key);
    const held = this.#held.get(key);
    if (held !== undefined) {
      this.#held.delete(key);
      this.#memory -= inMemory(held.record, meta.bytes);
    }
    const tenant = this.#tenants.get(meta.tenant) as OfTenant;
    const last = tenant.metas.pop() as Meta;
    if (last !== meta) {
      tenant.metas[meta.place] = last;
      last.place = meta.place;
    }
    tenant.bytes -= meta.bytes;
    this.#bytes -= meta.bytes;
    if (tenant.metas.length === 0) this.#tenants.delete(meta.tenant);
    if (meta.file !== undefined && meta.keeping === undefined) this.#options.bodies.remove(meta.file).catch(this.#options.report);
    if (!stored) return;
    const removal = this.#options.state
      .commit([remove(RECORDS, key), remove(INDEX, key)])
      .catch(this.#options.report)
      .finally(() => this.#keeping.delete(removal));
    this.#keeping.add(removal);
  }

  #worth({ key, runMs, bytes, hits, floor }: Meta): number {
    return floor + (Math.max(runMs, 0.01) * (1 + hits + this.#asked.of(key))) / bytes;
  }

  /** Lets go of what is worth less than the new one, until it has room; false: it would have to be worth more. */
  #makeRoom(coming: Meta): boolean {
    const { budget } = this.#options;
    while (this.#bytes + coming.bytes > budget) {
      const tenant = this.#giving(coming);
      if (tenant === undefined) return false;
      const [victim, worth] = this.#least(tenant);
      coming.floor = this.#tenants.get(coming.tenant)?.floor ?? 0;
      if (victim.tenant === coming.tenant && worth > this.#worth(coming)) return false;
      tenant.floor = Math.max(tenant.floor, worth);
      this.#evicted++;
      this.#drop(victim.key, true);
    }
    return true;
  }

  /** Whose records go: one's own, where one has one's share; else those of whoever has the most. */
  #giving({ tenant, bytes }: Meta): OfTenant | undefined {
    const own = this.#tenants.get(tenant);
    const share = this.#options.budget / Math.max(1, this.#tenants.size + (own === undefined ? 1 : 0));
    if (own !== undefined && own.bytes + bytes > share) return own;
    let most: OfTenant | undefined;
    for (const each of this.#tenants.values()) if (most === undefined || each.bytes > most.bytes) most = each;
    return most;
  }

  #least({ metas }: OfTenant): readonly [least: Meta, worth: number] {
    let least = metas[0] as Meta;
    let worth = this.#worth(least);
    for (let i = 0; i < SAMPLE; i++) {
      const meta = metas[Math.floor(this.#options.random() * metas.length)] as Meta;
      const its = this.#worth(meta);
      if (its < worth) [least, worth] = [meta, its];
    }
    return [least, worth];
  }
}

/** A body that lies by itself is not in memory with its record. */
function inMemory({ answer }: MemoRecord, bytes: number): number {
  return answer.kind === "http" && answer.body === undefined ? bytes - answer.bytes : bytes;
}

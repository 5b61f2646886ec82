/**
 * Keys: how they are made, found by their text, and ended.
 *
 * A text is 256 random bits, so a plain sha256 of it is enough at rest: nobody can try them all, and a slow hash
 * would only cost every request. The text itself leaves this file once, with the plan that makes it.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { WallClock } from "../base/clock.js";
import { ProblemError } from "../base/problem.js";
import { put, remove, table, type Change, type Plan, type StateStore } from "../state/store.js";
import { Faults, invalid, noSuch } from "./refusals.js";
import { SCOPES, type Key, type Scope } from "./tenant.js";

/** What of cryptography is used here. */
export interface Primitives {
  /** So many unpredictable bytes. */
  readonly random: (bytes: number) => Uint8Array;
  readonly sha256: (text: string) => Buffer;
  /** Compares in a time that depends on the length alone. */
  readonly equal: (a: Buffer, b: Buffer) => boolean;
}

export const nodePrimitives: Primitives = {
  random: randomBytes,
  sha256: (text) => createHash("sha256").update(text).digest(),
  equal: timingSafeEqual,
};

export interface KeySettings {
  /** Undefined: a key of the node. */
  readonly tenant: string | undefined;
  readonly scopes: readonly Scope[];
  readonly note?: string | undefined;
  /** ISO 8601 with a time zone, in the future; undefined: never. */
  readonly expiresAt?: string | undefined;
}

/** The one time that a key's text is seen. */
export interface Issued {
  readonly key: Key;
  readonly text: string;
}

/** `key` is what the audit log shows; the text comes with `apply` alone. */
export type IssuePlan = Plan<Issued> & { readonly key: Key };

interface StoredKey extends Key {
  /** sha256 of the text, lower-case hex. */
  readonly hash: string;
  /** The id of the key that took its place, when it was rotated. */
  readonly successor?: string;
}

/** In memory a key lies beside its hash, so that what is shown of it never has one. */
interface Entry {
  readonly key: Key;
  readonly hash: Buffer;
  /** Milliseconds since 1970; Infinity: never. */
  readonly expires: number;
  readonly successor: string | undefined;
}

const KEYS = table<StoredKey>("keys");
/** `pl_` and 43 digits of base64url: 32 bytes. */
const TEXT = /^pl_[A-Za-z0-9_-]{43}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;
const MAX_NOTE = 200;
const MAX_GRACE_MS = 30 * 24 * 3_600_000;

/** What every text is held against that no key has: no text that anyone can send hashes to it. */
const NOBODY: Entry = {
  key: { id: "", tenant: undefined, scopes: [], note: undefined, createdAt: "", expiresAt: undefined },
  hash: Buffer.alloc(32),
  expires: -Infinity,
  successor: undefined,
};
const MALFORMED = `pl_${"A".repeat(43)}`;

export class Keys {
  readonly #clock: WallClock;
  readonly #primitives: Primitives;
  readonly #byId = new Map<string, Entry>();
  readonly #byHash = new Map<string, Entry>();

  /** `clock` must not go back: see high-water.ts. */
  constructor(store: StateStore, clock: WallClock, primitives: Primitives = nodePrimitives) {
    this.#clock = clock;
    this.#primitives = primitives;
    for (const { value } of store.list(KEYS)) this.#show(entryOf(value));
  }

  /**
   * Whose text this is, if the key holds at `now`. Every text costs the same hash, lookup and comparison, whether it
   * is known, unknown, expired, revoked or no key's text at all: time tells nothing about which.
   */
  verify(text: string, now: number = this.#clock.time()): Key | undefined {
    const wellFormed = TEXT.test(text);
    const hash = this.#primitives.sha256(wellFormed ? text : MALFORMED);
    const entry = this.#byHash.get(hash.toString("latin1")) ?? NOBODY;
    const same = this.#primitives.equal(hash, entry.hash);
    const holds = now < entry.expires;
    return wellFormed && same && holds ? entry.key : undefined;
  }

  get(id: string): Key | undefined {
    return this.#byId.get(id)?.key;
  }

  /** The key of that id if it is this tenant's (undefined: the node's); throws `request/no-such-thing`. */
  find(tenant: string | undefined, id: string): Key {
    const key = this.get(id);
    if (key === undefined || key.tenant !== tenant) throw noSuch("key", id);
    return key;
  }

  /** The keys of a tenant, or of the node, the oldest first; expired ones too, until they are revoked. */
  list(tenant: string | undefined): Key[] {
    const keys: Key[] = [];
    for (const { key } of this.#byId.values()) if (key.tenant === tenant) keys.push(key);
    return keys.sort((a, b) => compare(a.createdAt, b.createdAt) || compare(a.id, b.id));
  }

  /** Throws `request/invalid` with every wrong field. That the tenant exists is for the caller to know. */
  issue(settings: KeySettings): IssuePlan {
    const now = this.#clock.time();
    const faults = new Faults();
    const scopes = checkScopes(settings.scopes, faults);
    const note = checkNote(settings.note, faults);
    const expiresAt = checkExpiry(settings.expiresAt, now, faults);
    faults.check();
    return this.#making({ tenant: settings.tenant, scopes, note, expiresAt }, now);
  }

  /**
   * A new text under a new id with the same rights and end; the old one holds for `graceMs` more, or not at all when
   * that is 0. Throws `request/no-such-thing`, `request/invalid`, and `request/conflict` for a key that has expired or
   * was rotated before: its end is that of the grace, which no new key should have.
   */
  rotate(id: string, graceMs: number): IssuePlan {
    const old = this.#need(id);
    const now = this.#clock.time();
    if (!Number.isSafeInteger(graceMs) || graceMs < 0 || graceMs > MAX_GRACE_MS) {
      throw invalid([{ field: "graceMs", message: "expected whole milliseconds from 0 to 30 days" }]);
    }
    if (now >= old.expires) throw new ProblemError("request/conflict", `The key ${id} has expired; issue a new one.`);
    if (old.successor !== undefined)
      throw new ProblemError("request/conflict", `The key ${id} was rotated already, to ${old.successor}; rotate that one.`);
    const { tenant, scopes, note, expiresAt } = old.key;
    return this.#making({ tenant, scopes, note, expiresAt }, now, { entry: old, until: now + graceMs });
  }

  /** The key holds no longer. Throws `request/no-such-thing`. */
  revoke(id: string): Plan<Key> {
    const entry = this.#need(id);
    return {
      changes: [remove(KEYS, id)],
      apply: () => {
        this.#hide(entry);
        return entry.key;
      },
    };
  }

  /** All keys of a tenant that goes; how many there were. */
  removeAll(tenant: string): Plan<number> {
    const plans = this.list(tenant).map(({ id }) => this.revoke(id));
    return {
      changes: plans.flatMap(({ changes }) => changes),
      apply: () => {
        for (const plan of plans) plan.apply();
        return plans.length;
      },
    };
  }

  /** A new key, and in the same commit what becomes of the one whose place it takes. */
  #making(rights: Omit<Key, "id" | "createdAt">, now: number, old?: { readonly entry: Entry; readonly until: number }): IssuePlan {
    const { random, sha256 } = this.#primitives;
    const text = `pl_${Buffer.from(random(32)).toString("base64url")}`;
    const key: Key = { id: this.#newId(), createdAt: iso(now), ...rights };
    const entry: Entry = { key, hash: sha256(text), expires: expiryOf(key), successor: undefined };
    const kept = old && old.until > now ? ending(old.entry, old.until, key.id) : undefined;
    const changes = [putting(entry)];
    if (old) changes.push(kept === undefined ? remove(KEYS, old.entry.key.id) : putting(kept));
    return {
      key,
      changes,
      apply: () => {
        if (old) this.#hide(old.entry);
        if (kept) this.#show(kept);
        this.#show(entry);
        return { key, text };
      },
    };
  }

  #newId(): string {
    for (;;) {
      const id = Buffer.from(this.#primitives.random(8)).toString("hex");
      if (!this.#byId.has(id)) return id;
    }
  }

  #need(id: string): Entry {
    const entry = this.#byId.get(id);
    if (entry === undefined) throw noSuch("key", id);
    return entry;
  }

  #show(entry: Entry): void {
    this.#byId.set(entry.key.id, entry);
    this.#byHash.set(entry.hash.toString("latin1"), entry);
  }

  #hide(entry: Entry): void {
    this.#byId.delete(entry.key.id);
    this.#byHash.delete(entry.hash.toString("latin1"));
  }
}

function ending(old: Entry, at: number, successor: string): Entry {
  const expires = Math.min(old.expires, at);
  return { key: { ...old.key, expiresAt: iso(expires) }, hash: old.hash, expires, successor };
}

function putting({ key, hash, successor }: Entry): Change {
  return put(KEYS, key.id, { ...key, hash: hash.toString("hex"), ...(successor !== undefined && { successor }) });
}

function entryOf({ hash, successor, ...key }: StoredKey): Entry {
  return { key, hash: Buffer.from(hash, "hex"), expires: expiryOf(key), successor };
}

function expiryOf(key: Key): number {
  return key.expiresAt === undefined ? Infinity : Date.parse(key.expiresAt);
}

function checkScopes(scopes: readonly Scope[], faults: Faults): Scope[] {
  for (const [i, scope] of scopes.entries()) {
    if (!SCOPES.includes(scope)) faults.add(`scopes[${i}]`, `expected one of ${SCOPES.join(", ")}`);
  }
  if (scopes.length === 0) faults.add("scopes", `expected at least one of ${SCOPES.join(", ")}`);
  return SCOPES.filter((scope) => scopes.includes(scope));
}

function checkNote(note: string | undefined, faults: Faults): string | undefined {
  if (note !== undefined && (note.length > MAX_NOTE || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(note))) {
    faults.add("note", `expected one line of at most ${MAX_NOTE} characters`);
  }
  return note;
}

function checkExpiry(text: string | undefined, now: number, faults: Faults): string | undefined {
  if (text === undefined) return undefined;
  const at = INSTANT.test(text) && isDay(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) faults.add("expiresAt", 'expected a time such as "2030-01-31T12:00:00Z"');
  else if (at <= now) faults.add("expiresAt", `expected a time in the future; on this node it is ${iso(now)}`);
  else return iso(at);
  return undefined;
}

/** Date.parse takes 31 February for 3 March. */
function isDay(text: string): boolean {
  const [year, month, day] = text.slice(0, 10).split("-").map(Number) as [number, number, number];
  return day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}

function iso(at: number): string {
  return new Date(at).toISOString();
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/**
 * The audit log: who did what to which thing, and what was there before and after.
 *
 * An entry is committed together with what it tells of, so there is neither without the other. Entries are only ever
 * added; nothing here changes or removes one, and all are kept.
 */
import { put, table, type Plan, type StateStore } from "../state/store.js";
import type { HighWaterClock } from "./high-water.js";
import { invalid } from "./refusals.js";
import type { AuditEntry } from "./tenant.js";

export type AuditInput = Omit<AuditEntry, "sequence" | "at">;

export interface AuditQuery {
  /** Undefined: everything on the node. */
  readonly tenant?: string | undefined;
  /** Nothing before this time (ISO 8601), so that a tenant does not see what one of the same name did before it. */
  readonly since?: string | undefined;
  /** What the page before gave as `next`. */
  readonly cursor?: string | undefined;
  /** 100 unless told, 1000 at most. */
  readonly limit?: number | undefined;
}

/** By sequence, padded to be in order. */
const AUDIT = table<AuditEntry>("audit");
/**
 * `tenant/number` to sequence, for the entries that are about a tenant. A tenant is shown the numbers, which count its
 * own entries alone: in the sequence it would see how busy the others are.
 */
const BY_TENANT = table<number>("audit-tenants");

/** As many as 2^53 needs. */
const DIGITS = 16;
const CURSOR = /^\d{1,16}$/;

/** The text of a key, wherever it stands. */
const KEY_TEXT = /pl_[A-Za-z0-9_-]{43}/g;
/** All that an entry about a secret may hold of it. Not its revision, which counts the changes of all tenants' secrets. */
const OF_SECRETS = new Set(["name", "updatedAt"]);

export class Audit {
  readonly #store: StateStore;
  readonly #clock: HighWaterClock;
  #sequence: number;
  readonly #numbers = new Map<string, number>();

  constructor(store: StateStore, clock: HighWaterClock) {
    this.#store = store;
    this.#clock = clock;
    this.#sequence = Number(store.list(AUDIT, { reverse: true, limit: 1 })[0]?.key ?? 0);
  }

  /**
   * An entry for the commit of what it tells of. Its number is taken at once, so that no two entries ever share one,
   * also when a commit fails. Brings the clock's high water along.
   */
  append(input: AuditInput): Plan<AuditEntry> & { readonly entry: AuditEntry } {
    const sequence = ++this.#sequence;
    const shown = input.action.startsWith("secret.") ? ofSecret : clean;
    const entry: AuditEntry = {
      sequence,
      at: new Date(this.#clock.time()).toISOString(),
      who: input.who,
      tenant: input.tenant,
      action: input.action,
      subject: withoutKeys(input.subject),
      before: shown(input.before),
      after: shown(input.after),
    };
    const changes = [put(AUDIT, digits(sequence), entry)];
    if (entry.tenant !== undefined) changes.push(put(BY_TENANT, `${entry.tenant}/${digits(this.#nextNumber(entry.tenant))}`, sequence));
    return { changes: [...changes, ...this.#clock.changes()], entry, apply: () => entry };
  }

  #nextNumber(tenant: string): number {
    const prefix = `${tenant}/`;
    const last =
      this.#numbers.get(tenant) ??
      Number(this.#store.list(BY_TENANT, { prefix, reverse: true, limit: 1 })[0]?.key.slice(prefix.length) ?? 0);
    this.#numbers.set(tenant, last + 1);
    return last + 1;
  }

  /** The newest first. Throws `request/invalid` for a cursor that no page gave. */
  list(query: AuditQuery): { readonly items: readonly AuditEntry[]; readonly next: string | undefined } {
    const limit = Math.min(Math.max(query.limit ?? 100, 1), 1000);
    // One more than asked for, to know whether there is a next page.
    const entries = this.#read(query, limit + 1).filter(({ at }) => query.since === undefined || at >= query.since);
    const items = entries.slice(0, limit);
    return { items, next: entries.length > limit ? String((items.at(-1) as AuditEntry).sequence) : undefined };
  }

  #read({ tenant, cursor }: AuditQuery, limit: number): AuditEntry[] {
    if (cursor !== undefined && !CURSOR.test(cursor)) {
      throw invalid([{ field: "cursor", message: "expected what the page before gave as next" }]);
    }
    const prefix = tenant === undefined ? "" : `${tenant}/`;
    const after = cursor === undefined ? {} : { after: prefix + cursor.padStart(DIGITS, "0") };
    const range = { prefix, reverse: true, limit, ...after };
    if (tenant === undefined) return this.#store.list(AUDIT, range).map(({ value }) => value);
    const numbered = (key: string, entry: AuditEntry): AuditEntry => ({ ...entry, sequence: Number(key.slice(prefix.length)) });
    return this.#store.list(BY_TENANT, range).map(({ key, value }) => numbered(key, this.#store.get(AUDIT, digits(value)) as AuditEntry));
  }
}

function digits(number: number): string {
  return String(number).padStart(DIGITS, "0");
}

/** A copy as plain data, without key texts, whatever whoever appends believed it to be. */
function clean(value: unknown): unknown {
  if (value === undefined) return undefined;
  return JSON.parse(withoutKeys(JSON.stringify(value)));
}

function ofSecret(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return clean(Object.fromEntries(Object.entries(value).filter(([name]) => OF_SECRETS.has(name))));
}

/** The text without the keys that stand in it. */
export function withoutKeys(text: string): string {
  return text.replace(KEY_TEXT, "pl_***");
}

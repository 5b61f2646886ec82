/** The stores of a tenant, as people and scripts see them; guests have the same data through `wasi:keyvalue`. */
import { createHmac } from "node:crypto";
import { ProblemError } from "../base/problem.js";
import { KvError, type KeyValue } from "../engine/kv.js";
import { require as requireScope } from "../tenants/access.js";
import { invalid, noSuch } from "../tenants/refusals.js";
import type { Caller } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { EntryView, Page, Paged, StoreView } from "./control.js";
import type { Deed, Ledger } from "./ledger.js";
import { cursorOf, readPage } from "./paging.js";
import { checkRevision } from "./checks.js";

export interface StorePorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly stores: KeyValue;
  /** Makes revisions unreadable; the same after a restart. */
  readonly revisionKey: Uint8Array;
}

const NAME = /^[a-z][a-z0-9-]{0,62}$/;

export class StoreDesk {
  readonly #ports: StorePorts;

  constructor(ports: StorePorts) {
    this.#ports = ports;
  }

  /** The stores with something in them. */
  list(caller: Caller, tenant: string): readonly StoreView[] {
    this.#allow(caller, tenant, "read");
    const stores = this.#ports.stores.stores(tenant).filter(({ keys }) => keys > 0);
    return stores.map(({ name, keys, bytes }) => ({ name, keys, bytes }));
  }

  entries(caller: Caller, tenant: string, store: string, prefix: string, page: Page): Paged<EntryView> {
    this.#allow(caller, tenant, "read");
    checkStore(store);
    const { after, limit } = readPage(page);
    const { keys, more } = this.#ports.stores.list(tenant, store, prefix, after ?? null, limit);
    const last = keys.at(-1);
    const items = keys.map(({ key, revision, bytes }) => ({ key, revision: this.#shown(tenant, revision), bytes }));
    return { items, next: more && last !== undefined ? cursorOf(last.key) : undefined };
  }

  entry(caller: Caller, tenant: string, store: string, key: string): { readonly value: Uint8Array; readonly revision: number } {
    this.#allow(caller, tenant, "read");
    checkStore(store);
    const { value, revision } = this.#need(tenant, store, key);
    return { value, revision: this.#shown(tenant, revision) };
  }

  async put(
    caller: Caller,
    tenant: string,
    store: string,
    key: string,
    value: Uint8Array,
    ifRevision: number | undefined,
  ): Promise<number> {
    this.#allow(caller, tenant, "deploy");
    checkStore(store);
    const before = this.#revision(tenant, store, key);
    checkRevision(this.#shown(tenant, before), ifRevision);
    await this.#note(caller, tenant, "store.put", store, key, before, { bytes: value.byteLength });
    const condition = ifRevision === undefined ? {} : before === 0 ? { ifAbsent: true } : { ifRevision: before };
    const put = (): Promise<number> => this.#ports.stores.put(tenant, store, key, value, condition);
    return this.#shown(tenant, await this.#explained(tenant, store, key, ifRevision, put));
  }

  async delete(caller: Caller, tenant: string, store: string, key: string, ifRevision: number | undefined): Promise<void> {
    this.#allow(caller, tenant, "deploy");
    checkStore(store);
    const { revision } = this.#need(tenant, store, key);
    checkRevision(this.#shown(tenant, revision), ifRevision);
    await this.#note(caller, tenant, "store.delete", store, key, revision, undefined);
    const condition = ifRevision === undefined ? {} : { ifRevision: revision };
    await this.#explained(tenant, store, key, ifRevision, () => this.#ports.stores.delete(tenant, store, key, condition));
  }

  /** The stores have a file of their own, so what is about to be done is noted first: nothing is done without its entry. */
  async #note(caller: Caller, tenant: string, action: string, store: string, key: string, revision: number, after: unknown): Promise<void> {
    const before = revision === 0 ? undefined : { revision: this.#shown(tenant, revision) };
    const deed: Deed = { tenant, action, subject: `key ${key} of store ${store}`, before, after };
    await this.#ports.ledger.turn(() => this.#ports.ledger.commit(caller, deed, []));
  }

  async #explained<T>(tenant: string, store: string, key: string, wanted: number | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      switch (error.code) {
        case "conflict":
          checkRevision(this.#shown(tenant, this.#revision(tenant, store, key)), wanted);
          throw new ProblemError("request/changed-meanwhile", "It was changed meanwhile.");
        case "quota":
          throw new ProblemError("quota/stored-bytes", error.message);
        case "invalid":
          throw new ProblemError("request/invalid", error.message);
        default:
          throw new ProblemError("platform/storage", error.message, { cause: error });
      }
    }
  }

  #shown(tenant: string, revision: number): number {
    return shownRevision(this.#ports.revisionKey, tenant, revision);
  }

  #need(tenant: string, store: string, key: string): { readonly value: Uint8Array; readonly revision: number } {
    const found = this.#ports.stores.get(tenant, store, key);
    if (found === null) throw noSuch("key", key);
    return found;
  }

  #revision(tenant: string, store: string, key: string): number {
    return this.#ports.stores.get(tenant, store, key)?.revision ?? 0;
  }

  #allow(caller: Caller, tenant: string, scope: "read" | "deploy"): void {
    requireScope(caller, tenant, scope);
    this.#ports.tenants.need(tenant);
  }
}

/**
 * A revision as people see it: a number that says no more than whether it is the same one. The stores count all
 * changes on the node, so that in the count itself a tenant would see how busy the others are.
 */
export function shownRevision(key: Uint8Array, tenant: string, revision: number): number {
  if (revision === 0) return 0;
  return 1 + createHmac("sha256", key).update(`${tenant} ${revision}`).digest().readUIntBE(0, 6);
}

function checkStore(name: string): void {
  if (NAME.test(name)) return;
  throw invalid([
    { field: "store", message: "expected a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long" },
  ]);
}

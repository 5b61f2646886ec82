/**
 * Key-value data of tenants, as TypeScript sees it: the same stores that guests open.
 *
 * Reading is synchronous and cheap, a look into mapped memory. A write's promise resolves when the write is with the
 * system, and so outlives this process; with `sync: "always"` when it is on the disk. `native/core/src/kv` is the other
 * half; `docs/keyvalue.md` has the reasons.
 */

/** Where the data is and when it is on the disk. */
export interface KeyValueSettings {
  /** Folder of the file, created when missing, for this process alone. With null the data lives as long as the engine. */
  readonly path: string | null;
  /** An answered write is on the disk itself within milliseconds (`group`) or before it is answered (`always`). */
  readonly sync: "group" | "always";
}

export type KvErrorCode =
  /** The key is not in the state that the write expects. */
  | "conflict"
  /** The tenant would store more bytes than its quota. */
  | "quota"
  /** The disk, or the largest size of the file, is used up. */
  | "full"
  /** A name, key or value that no store can hold. */
  | "invalid"
  /** The file or the disk under it. */
  | "io";

/** What is wrong with a read or write, or with the file itself. */
export class KvError extends Error {
  override readonly name = "KvError";
  readonly code: KvErrorCode;

  constructor(code: KvErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Counts every change in the file, in order; none is used twice. */
export type Revision = number;

export interface KvValue {
  readonly value: Uint8Array;
  /** Of the change that put the value there. */
  readonly revision: Revision;
}

/** A key in a listing; `bytes` is the length of its value. */
export interface KvKey {
  readonly key: string;
  readonly revision: Revision;
  readonly bytes: number;
}

export interface KvListing {
  readonly keys: readonly KvKey[];
  /** There are keys behind the last one. */
  readonly more: boolean;
}

export interface KvStore {
  readonly name: string;
  /** Of the last change in it. */
  readonly revision: Revision;
  readonly keys: number;
  /** Of keys and values. */
  readonly bytes: number;
}

/** `remove` is the removal of the tenant, and names no store and no key. */
export interface KvChange {
  readonly revision: Revision;
  readonly tenant: string;
  readonly store: string;
  readonly key: string;
  readonly op: "put" | "delete" | "remove";
}

/** What a write expects of the key; otherwise it is refused as `conflict`. */
export interface KvCondition {
  /** The key's last change, its deletion included, is this one: what `revisionOf` says. */
  readonly ifRevision?: Revision | undefined;
  /** The key has no value. */
  readonly ifAbsent?: boolean | undefined;
}

/** Every function throws, or rejects with, a `KvError`. Names have 1 to 128 bytes, keys 1 to 480, values up to 8 MiB. */
export interface KeyValue {
  get(tenant: string, store: string, key: string): KvValue | null;
  /** The revision of a key's last change, its deletion included; 0 of one that never was, or more when that is no longer known. */
  revisionOf(tenant: string, store: string, key: string): Revision;
  put(tenant: string, store: string, key: string, value: Uint8Array, condition?: KvCondition): Promise<Revision>;
  /** Deleting what is not there changes nothing and gives the revision that `revisionOf` gives. */
  delete(tenant: string, store: string, key: string, condition?: KvCondition): Promise<Revision>;
  /** Keys under a prefix in the order of their bytes, from behind `after`, at most `limit`. */
  list(tenant: string, store: string, prefix: string, after: string | null, limit: number): KvListing;
  /** The highest revision under a prefix, deletions included; free for the whole store, else a look at each key there. */
  revisionUnder(tenant: string, store: string, prefix: string): Revision;
  /**
   * Whether what runs have read (`Trace.reads`) is still so, all of it as of one moment. `since`: a revision of the file at which it
   * was; 0: none is known. Gives the revision of the file at which it is so; or, below 0, the first that is not: -1 for the first.
   */
  check(reads: Uint8Array, since: Revision): number;
  /** By name. */
  stores(tenant: string): readonly KvStore[];
  /** Bytes of all keys and values. */
  usage(tenant: string): number;
  quota(tenant: string): number | null;
  /** Bytes that the tenant may store; what is there already stays. Kept in the file; null is no quota. */
  setQuota(tenant: string, bytes: number | null): Promise<void>;
  /** Deletes all stores of a tenant, and its quota, as one change. */
  removeTenant(tenant: string): Promise<Revision>;
  /** Of the last change in the file. */
  revision(): Revision;
  /** The log is kept from a cursor on. A new cursor begins at the present revision; gives where it is. */
  registerCursor(cursor: string): Promise<Revision>;
  /** Changes behind the cursor, or behind `after` where that is later, oldest first. */
  changes(cursor: string, limit: number, after?: Revision): readonly KvChange[];
  /** The owner of the cursor is done with everything up to `revision`; cursors never go back. */
  advance(cursor: string, revision: Revision): Promise<Revision>;
  dropCursor(cursor: string): Promise<void>;
}

/** The methods of the addon that this file is made of. Those that give a string give JSON. */
export interface NativeKv {
  kvGet(tenant: string, store: string, key: string): { readonly value: Buffer; readonly revision: number } | null;
  kvCheck(since: number, deps: Uint8Array): number;
  kvRevision(): number;
  kvRevisionOf(tenant: string, store: string, key: string): number;
  kvRevisionUnder(tenant: string, store: string, prefix: string): number;
  kvList(tenant: string, store: string, prefix: string, after: string | undefined, limit: number): string;
  kvStores(tenant: string): string;
  kvUsage(tenant: string): string;
  kvChanges(cursor: string, after: number | undefined, limit: number): string;
  kvWrite(request: number, operation: string, value: Uint8Array | undefined): void;
}

/** Sends a command that is answered by an event: a revision or a `KvError`. */
export type Request = (send: (request: number) => void) => Promise<Revision>;

/** The key-value half of an engine. */
export function keyValue(native: NativeKv, request: Request): KeyValue {
  const write = async (operation: object, value?: Uint8Array): Promise<Revision> =>
    request((id) => guard(() => native.kvWrite(id, JSON.stringify(operation), value)));
  const usage = (tenant: string): { used: number; quota: number | null } =>
    JSON.parse(guard(() => native.kvUsage(tenant))) as { used: number; quota: number | null };
  return {
    get: (tenant, store, key) => guard(() => native.kvGet(tenant, store, key)),
    revisionOf: (tenant, store, key) => guard(() => native.kvRevisionOf(tenant, store, key)),
    put: (tenant, store, key, value, condition) => write({ kind: "put", tenant, store, key, ...condition }, value),
    delete: (tenant, store, key, condition) => write({ kind: "delete", tenant, store, key, ...condition }),
    list: (tenant, store, prefix, after, limit) =>
      JSON.parse(guard(() => native.kvList(tenant, store, prefix, after ?? undefined, limit))) as KvListing,
    revisionUnder: (tenant, store, prefix) => guard(() => native.kvRevisionUnder(tenant, store, prefix)),
    check: (reads, since) => guard(() => native.kvCheck(since, reads)),
    stores: (tenant) => JSON.parse(guard(() => native.kvStores(tenant))) as KvStore[],
    usage: (tenant) => usage(tenant).used,
    quota: (tenant) => usage(tenant).quota,
    setQuota: async (tenant, bytes) => void (await write({ kind: "set-quota", tenant, bytes })),
    removeTenant: (tenant) => write({ kind: "remove-tenant", tenant }),
    revision: () => guard(() => native.kvRevision()),
    registerCursor: (cursor) => write({ kind: "register-cursor", cursor }),
    changes: (cursor, limit, after) => JSON.parse(guard(() => native.kvChanges(cursor, after, limit))) as KvChange[],
    advance: (cursor, revision) => write({ kind: "advance-cursor", cursor, revision }),
    dropCursor: async (cursor) => void (await write({ kind: "drop-cursor", cursor })),
  };
}

/** The addon's errors: the code, a line feed, the message. */
export function kvError(text: string, cause?: unknown): KvError {
  const [, code, message] = /^(conflict|quota|full|invalid|io)\n(.*)$/s.exec(text) ?? [];
  return new KvError((code ?? "invalid") as KvErrorCode, message ?? text, cause === undefined ? undefined : { cause });
}

function guard<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw kvError((error as Error).message, error);
  }
}

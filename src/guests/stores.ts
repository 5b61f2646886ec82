// oxlint-disable-next-line typescript/triple-slash-reference -- ambient modules: there is nothing to import
/// <reference path="../../wit/types/wasi.d.ts" />
/**
 * Key-value stores of the task's tenant, over `wasi:keyvalue` 0.2.0-draft2. Part of `pilotlight/guest`.
 *
 * The host keeps bytes. Here a value is read and written as text, as JSON or as bytes, whichever a method says; nothing
 * in the store tells how it was written.
 */
import { Cas, increment, swap } from "wasi:keyvalue/atomics@0.2.0-draft2";
import { open, type Bucket, type KeyResponse } from "wasi:keyvalue/store@0.2.0-draft2";
import { expectText, hostError, kindOf, type HostError } from "./boundary.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

/** Why a store did not do what it was asked for. */
export class StoreError extends Error {
  override readonly name = "StoreError";

  constructor(
    /** `access-denied`: the task may not use this store. `no-such-store`: the host does not know it. `other`: the message says. */
    readonly code: "access-denied" | "no-such-store" | "other",
    readonly store: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * A store. Keys are 1 to 480 bytes of UTF-8, values up to 8 MiB. A write has been done when its method returns, and
 * everybody who reads after that sees it. Methods throw a `StoreError` when the host refuses, and a `TypeError` for an
 * argument of the wrong type.
 */
export interface Store {
  readonly name: string;

  /** The value as text; undefined when there is none. Bytes that are not UTF-8 become U+FFFD. */
  get(key: string): string | undefined;
  getBytes(key: string): Uint8Array | undefined;
  /** Throws a `StoreError` that names the key when the value is not JSON. Nothing checks that it is a `T`. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the author says what was written there
  getJson<T = unknown>(key: string): T | undefined;

  set(key: string, value: string | Uint8Array): void;
  /** `value` as `JSON.stringify` writes it. */
  setJson(key: string, value: unknown): void;

  /** Nothing happens when there is no such key. */
  delete(key: string): void;
  exists(key: string): boolean;
  /** The keys that begin with `prefix`, in no order that is promised. The host is asked a page at a time, for all of them. */
  keys(prefix?: string): IterableIterator<string>;

  /**
   * Adds `by`, a whole number that may be negative, at once with no other write in between, and returns the sum. The
   * value is decimal text; no value counts as 0. Sums beyond 2⁵³ are right in the store, and not exact as a number here.
   */
  increment(key: string, by?: number): number;

  /**
   * Reads, changes and writes, only if nobody else has written meanwhile; else `change` is called again with what is
   * there now. Returns what was written. `change` returns undefined to leave the value as it is.
   */
  update(key: string, change: (now: string | undefined) => string): string;
  update(key: string, change: (now: string | undefined) => string | undefined): string | undefined;
  updateJson<T>(key: string, change: (now: T | undefined) => T): T;
  updateJson<T>(key: string, change: (now: T | undefined) => T | undefined): T | undefined;
  updateBytes(key: string, change: (now: Uint8Array | undefined) => Uint8Array): Uint8Array;
  updateBytes(key: string, change: (now: Uint8Array | undefined) => Uint8Array | undefined): Uint8Array | undefined;
}

/**
 * The store of that name, which `stores` of the manifest has to name. It is opened when it is first used, so this may
 * stand at the module's top level; a store that was not granted is a `StoreError` then.
 */
export function openStore(name: string): Store {
  expectText("openStore", "name", name);
  return new HostStore(name);
}

/** Handles, one for a store and instance however often it is opened. */
const buckets = new Map<string, Bucket>();

class HostStore implements Store {
  constructor(readonly name: string) {}

  get(key: string): string | undefined {
    return read(text, this.getBytes(key));
  }

  getBytes(key: string): Uint8Array | undefined {
    return this.#ask(() => this.#bucket("get", key).get(key)) ?? undefined;
  }

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- as in Store
  getJson<T>(key: string): T | undefined {
    return read(json<T>(this.name, key), this.getBytes(key));
  }

  set(key: string, value: string | Uint8Array): void {
    const bytes = typeof value === "string" ? encodeUtf8(value) : expectBytes("set", value);
    this.#ask(() => this.#bucket("set", key).set(key, bytes));
  }

  setJson(key: string, value: unknown): void {
    this.set(key, json(this.name, key).write(value));
  }

  delete(key: string): void {
    this.#ask(() => this.#bucket("delete", key).delete(key));
  }

  exists(key: string): boolean {
    return this.#ask(() => this.#bucket("exists", key).exists(key));
  }

  *keys(prefix = ""): IterableIterator<string> {
    let page = this.#page(prefix, null);
    for (;;) {
      for (const key of page.keys) if (key.startsWith(prefix)) yield key;
      if (page.cursor === null) return;
      page = this.#page(prefix, page.cursor);
    }
  }

  increment(key: string, by = 1): number {
    if (!Number.isSafeInteger(by)) throw new TypeError(`increment: expected a whole number up to 2⁵³ to add, found ${String(by)}`);
    return this.#ask(() => increment(this.#bucket("increment", key), key, by));
  }

  update(key: string, change: (now: string | undefined) => string | undefined): string {
    return this.#update("update", key, text, change) as string;
  }

  updateJson<T>(key: string, change: (now: T | undefined) => T | undefined): T {
    return this.#update("updateJson", key, json<T>(this.name, key), change) as T;
  }

  updateBytes(key: string, change: (now: Uint8Array | undefined) => Uint8Array | undefined): Uint8Array {
    return this.#update("updateBytes", key, bytes, change) as Uint8Array;
  }

  #update<T>(call: string, key: string, as: Codec<T>, change: (now: T | undefined) => T | undefined): T | undefined {
    let cas = this.#ask(() => Cas.new(this.#bucket(call, key), key));
    for (;;) {
      const attempt = this.#attempt(cas, as, change);
      if (attempt.again === undefined) return attempt.written;
      cas = attempt.again;
    }
  }

  /** `again` is the handle to try again with, when somebody else was faster. */
  #attempt<T>(cas: Cas, as: Codec<T>, change: (now: T | undefined) => T | undefined): { written?: T; again?: Cas | undefined } {
    let taken = false;
    try {
      const written = change(read(as, this.#ask(() => cas.current()) ?? undefined));
      if (written === undefined) return {};
      const value = as.write(written);
      taken = true;
      return { written, again: this.#ask(() => trySwap(cas, value)) };
    } finally {
      if (!taken) cas[Symbol.dispose]();
    }
  }

  #page(prefix: string, cursor: string | null): KeyResponse {
    return this.#ask(() => this.#bucket("keys", prefix).listKeys(cursor));
  }

  #bucket(call: string, key: string): Bucket {
    expectText(`${this.name}.${call}`, "key", key);
    let bucket = buckets.get(this.name);
    if (bucket === undefined) buckets.set(this.name, (bucket = open(this.name)));
    return bucket;
  }

  /** What the host refuses becomes a `StoreError`. */
  #ask<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw refusal(this.name, error);
    }
  }
}

function refusal(store: string, thrown: unknown): unknown {
  const found = hostError(thrown);
  if (found === undefined) return thrown;
  // A swap has the store's error inside its own.
  const { tag, val } = found.tag === "store-error" ? (found.val as HostError) : found;
  const named = JSON.stringify(store);
  const because = { cause: thrown };
  switch (tag) {
    case "access-denied":
      return new StoreError(
        tag,
        store,
        `the store ${named} is not granted to this function; add it to "stores" in pilotlight.json: "stores": [${named}]`,
        because,
      );
    case "no-such-store":
      return new StoreError(tag, store, `there is no store ${named} here`, because);
    default:
      return new StoreError("other", store, `the store ${named}: ${typeof val === "string" ? val : tag}`, because);
  }
}

/** Undefined when it was written; else the handle to try again with. */
function trySwap(cas: Cas, value: Uint8Array): Cas | undefined {
  try {
    swap(cas, value);
    return undefined;
  } catch (error) {
    const refused = hostError(error);
    if (refused?.tag === "cas-failed") return refused.val as Cas;
    throw error;
  }
}

/** How a value is kept as bytes. */
interface Codec<T> {
  read(bytes: Uint8Array): T;
  write(value: T): Uint8Array;
}

function read<T>(as: Codec<T>, value: Uint8Array | undefined): T | undefined {
  return value === undefined ? undefined : as.read(value);
}

const text: Codec<string> = {
  read: decodeUtf8,
  write(value) {
    if (typeof value !== "string") throw new TypeError(`update: the new value has to be a text, and is ${kindOf(value)}`);
    return encodeUtf8(value);
  },
};

const bytes: Codec<Uint8Array> = { read: (value) => value, write: (value) => expectBytes("updateBytes", value) };

function json<T>(store: string, key: string): Codec<T> {
  return {
    read(value) {
      try {
        return JSON.parse(decodeUtf8(value)) as T;
      } catch (error) {
        throw new StoreError("other", store, `the store ${JSON.stringify(store)}: the value of ${JSON.stringify(key)} is not JSON`, {
          cause: error,
        });
      }
    },
    write(value) {
      const written: string | undefined = JSON.stringify(value);
      if (written === undefined) throw new TypeError(`the value of ${JSON.stringify(key)} has no form in JSON: it is ${kindOf(value)}`);
      return encodeUtf8(written);
    },
  };
}

function expectBytes(call: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`${call}: the value has to be a text or a Uint8Array, and is ${kindOf(value)}`);
}

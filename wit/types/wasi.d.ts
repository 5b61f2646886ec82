/**
 * What a guest in QuickJS can import, as it really is there: streams of bytes come in `Uint8Array` chunks,
 * `none` is null, 64-bit integers are numbers, a `result` returns its value or throws an `Error` with its error in `payload`.
 *
 * Written by hand; types generated from the same WIT say otherwise in places.
 */
declare module "wasi:http/types@0.3.0" {
  export type ErrorCode = { readonly tag: string; readonly val?: unknown };
  export type Method =
    | { readonly tag: "get" | "head" | "post" | "put" | "delete" | "connect" | "options" | "trace" | "patch" }
    | { readonly tag: "other"; readonly val: string };
  export type Scheme = { readonly tag: "HTTP" | "HTTPS" } | { readonly tag: "other"; readonly val: string };
  export type Result<T> = { readonly tag: "ok"; readonly val: T } | { readonly tag: "err"; readonly val: ErrorCode };

  export class Fields implements Disposable {
    constructor();
    static fromList(entries: readonly (readonly [name: string, value: Uint8Array])[]): Fields;
    get(name: string): Uint8Array[];
    has(name: string): boolean;
    append(name: string, value: Uint8Array): void;
    delete(name: string): void;
    copyAll(): [name: string, value: Uint8Array][];
    [Symbol.dispose](): void;
  }

  export class Request implements Disposable {
    private constructor();
    getMethod(): Method;
    getPathWithQuery(): string | null;
    getScheme(): Scheme | null;
    getAuthority(): string | null;
    getHeaders(): Fields;
    /** Takes the request; `consumed` says how reading went. */
    static consumeBody(
      request: Request,
      consumed: wit.Readable<Result<null>>,
    ): [body: wit.ByteStream, trailers: wit.Readable<Result<Fields | null>>];
    [Symbol.dispose](): void;
  }

  export class Response implements Disposable {
    private constructor();
    static new(
      headers: Fields,
      body: AsyncIterable<Uint8Array> | null,
      trailers: wit.Readable<Result<Fields | null>>,
    ): [response: Response, sent: wit.Readable<Result<null>>];
    setStatusCode(status: number): void;
    [Symbol.dispose](): void;
  }
}

declare module "wasi:clocks/monotonic-clock@0.3.0" {
  /** Nanoseconds; a number, so not exact beyond 2⁵³. */
  export function now(): number;
  export function waitFor(nanoseconds: number): Promise<void>;
}

declare module "wasi:random/insecure-seed@0.3.0" {
  /** Two 64-bit integers, as numbers: the low bits of large ones are lost. */
  export function getInsecureSeed(): [number, number];
}

declare module "wasi:cli/stderr@0.2.12" {
  export function getStderr(): wit.OutputStream;
}

declare module "wasi:cli/stdout@0.2.12" {
  export function getStdout(): wit.OutputStream;
}

declare module "wasi:config/store@0.2.0-rc.1" {
  export function get(key: string): string | null;
  export function getAll(): [name: string, value: string][];
}

declare module "wasi:keyvalue/store@0.2.0-draft2" {
  export type Error = { readonly tag: "no-such-store" | "access-denied" } | { readonly tag: "other"; readonly val: string };

  /** A page of keys; `cursor` is null on the last one. */
  export interface KeyResponse {
    readonly keys: readonly string[];
    readonly cursor: string | null;
  }

  export class Bucket implements Disposable {
    private constructor();
    get(key: string): Uint8Array | null;
    set(key: string, value: Uint8Array): void;
    delete(key: string): void;
    exists(key: string): boolean;
    listKeys(cursor: string | null): KeyResponse;
    [Symbol.dispose](): void;
  }

  export function open(identifier: string): Bucket;
}

declare module "wasi:keyvalue/atomics@0.2.0-draft2" {
  import type { Bucket } from "wasi:keyvalue/store@0.2.0-draft2";

  export class Cas implements Disposable {
    private constructor();
    static new(bucket: Bucket, key: string): Cas;
    current(): Uint8Array | null;
    [Symbol.dispose](): void;
  }

  /** The sum, as a number: not exact beyond 2⁵³. */
  export function increment(bucket: Bucket, key: string, delta: number): number;

  /** Takes the handle. Throws `cas-failed` with a new one when the value has changed since. */
  export function swap(cas: Cas, value: Uint8Array): void;
}

declare module "wasi:keyvalue/batch@0.2.0-draft2" {
  import type { Bucket } from "wasi:keyvalue/store@0.2.0-draft2";

  /** In the order of `keys`; null for one that is not there. */
  export function getMany(bucket: Bucket, keys: readonly string[]): ([key: string, value: Uint8Array] | null)[];
  export function setMany(bucket: Bucket, entries: readonly (readonly [key: string, value: Uint8Array])[]): void;
  export function deleteMany(bucket: Bucket, keys: readonly string[]): void;
}

declare module "wasi:logging/logging@0.1.0-draft" {
  export type Level = "trace" | "debug" | "info" | "warn" | "error" | "critical";
  export function log(level: Level, context: string, message: string): void;
}

/** The engine's own global: futures, named by their type in the WIT. */
declare namespace wit {
  interface Readable<T> {
    read(): Promise<T>;
    drop(): void;
  }
  interface Writable<T> {
    write(value: T): Promise<void>;
    drop(): void;
  }
  interface ByteStream extends AsyncIterableIterator<Uint8Array> {
    drop(): void;
  }
  interface OutputStream extends Disposable {
    /** At most 4096 bytes. */
    blockingWriteAndFlush(bytes: Uint8Array): void;
  }
  interface FutureFactory {
    <T>(type: number): { readonly readable: Readable<T>; readonly writable: Writable<T> };
    from<T>(value: T, type: number): { readonly readable: Readable<T> };
    readonly RESULT_OPTION_OTHER_ERROR_CODE: number;
    readonly RESULT_VOID_ERROR_CODE: number;
  }
  const Future: FutureFactory;
}

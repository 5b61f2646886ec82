/**
 * What a run's results depend on, as the engine tells it of runs that are traced. `native/core/src/trace.rs` writes it.
 */

/** What a run did, apart from reads that can be looked at again: bits. */
export const NOTE = {
  wrote: 1,
  clock: 1 << 1,
  random: 1 << 2,
  sockets: 1 << 3,
  request: 1 << 4,
  unread: 1 << 5,
  import: 1 << 6,
  sidecar: 1 << 7,
  torn: 1 << 8,
  many: 1 << 9,
  short: 1 << 10,
  failed: 1 << 11,
} as const;
export type Note = keyof typeof NOTE;

export interface Trace {
  /** Of `NOTE`. */
  readonly notes: number;
  /** What was read of stores, in the form that `kv.check` takes; what several runs have read can be joined. Empty: nothing. */
  readonly reads: Uint8Array;
  /** What the guest says that it depends on: resource and state. */
  readonly depends: Readonly<Record<string, string>>;
  readonly fetched: readonly Fetched[];
}

/** An outbound GET or HEAD that was answered. */
export interface Fetched {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly status: number;
  readonly etag: string | null;
  readonly lastModified: string | null;
  /** Half of the body's SHA-256, in hex; null: it was not read to its end. */
  readonly body: string | null;
}

/** A request that is made again. */
export interface Probe {
  /** As a program's outbound grant has them. */
  readonly origins: readonly string[];
  readonly anyAddress?: boolean;
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  /** The body's text is wanted too, where it is no longer than this. */
  readonly textBytes?: number;
}

export interface Probed {
  readonly status: number;
  readonly etag: string | null;
  readonly lastModified: string | null;
  readonly body: string;
  readonly text: string | null;
}

const NOTHING: Readonly<Record<string, string>> = Object.freeze({});
const NONE: readonly Fetched[] = Object.freeze([]);

export function readTrace(bytes: Uint8Array): Trace {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = buffer.readUInt32LE(4);
  const rest = buffer.subarray(8 + length);
  const { depends, fetched } = rest.byteLength === 0 ? { depends: NOTHING, fetched: NONE } : (JSON.parse(rest.toString()) as Trace);
  return { notes: buffer.readUInt32LE(0), reads: buffer.subarray(8, 8 + length), depends, fetched };
}

/** Tables, keys and values as bytes, the same for every store, so that all give back the same things. */
import { crc32 } from "node:zlib";
import { Packr } from "msgpackr";
import { StateError, type Change } from "./store.js";

const TABLE = /^[a-z][a-z0-9-]*$/;
/** A key of LMDB has at most 1978 bytes where a page has 4096. */
const MAX_KEY_BYTES = 1978;
const LONE_SURROGATE = /\p{Surrogate}/u;
const CHECKSUM_BYTES = 4;

// Plain maps: what is written today is read by any later version without a table of record shapes.
const packr = new Packr({ useRecords: false, copyBuffers: true });

/** `TABLE NUL KEY` in UTF-8: byte order is the order by table, then by key. Throws a `StateError` for what cannot be a key. */
export function keyBytes(table: string, key: string): Buffer {
  if (!TABLE.test(table)) throw new StateError(`"${table}" cannot be the name of a table: lower-case letters, digits and dashes only`);
  if (LONE_SURROGATE.test(key)) throw new StateError(`a key of the table ${table} is not valid Unicode: ${JSON.stringify(key)}`);
  const bytes = Buffer.from(`${table}\0${key}`);
  if (bytes.length > MAX_KEY_BYTES)
    throw new StateError(
      `a key of the table ${table} has ${bytes.length - table.length - 1} bytes; ${MAX_KEY_BYTES - table.length - 1} fit`,
    );
  return bytes;
}

/** The key in what `keyBytes` made. */
export function keyText(bytes: Buffer): string {
  return bytes.toString("utf8", bytes.indexOf(0) + 1);
}

/** The first key, in byte order, after all that begin with these bytes. The last byte is one of UTF-8, so never 0xff. */
export function afterPrefix(prefix: Buffer): Buffer {
  const bytes = Buffer.from(prefix);
  bytes[bytes.length - 1] = (bytes.at(-1) as number) + 1;
  return bytes;
}

export function pack(value: unknown): Buffer {
  return Buffer.from(packr.pack(value));
}

/** A fresh copy of what was packed. */
export function unpack(bytes: Uint8Array): unknown {
  return packr.unpack(bytes);
}

/** A change as it is written; `value` undefined: the key goes. */
export interface Write {
  readonly table: string;
  readonly name: string;
  readonly key: Buffer;
  readonly value: Buffer | undefined;
}

/** Throws a `StateError` for a change that cannot be stored, before any is. */
export function encodeChanges(changes: readonly Change[]): Write[] {
  return changes.map((change) => {
    const { table, key: name } = change;
    const key = keyBytes(table, name);
    return { table, name, key, value: change.kind === "remove" ? undefined : packed(change.table, name, change.value) };
  });
}

function packed(table: string, key: string, value: unknown): Buffer {
  try {
    return pack(value);
  } catch (error) {
    throw new StateError(`the value of ${table}/${key} cannot be stored: ${(error as Error).message}`, { cause: error });
  }
}

/** Bytes with a checksum of key and value in front, which tells apart what was written and what a disk made of it. */
export function seal(key: Buffer, value: Buffer): Buffer {
  const sealed = Buffer.allocUnsafe(CHECKSUM_BYTES + value.length);
  sealed.writeUInt32LE(checksum(key, value), 0);
  value.copy(sealed, CHECKSUM_BYTES);
  return sealed;
}

/** What `seal` put away; undefined when it is not what was sealed under this key. */
export function unseal(key: Buffer, sealed: Buffer): Buffer | undefined {
  if (sealed.length < CHECKSUM_BYTES) return undefined;
  const value = sealed.subarray(CHECKSUM_BYTES);
  return sealed.readUInt32LE(0) === checksum(key, value) ? value : undefined;
}

function checksum(key: Buffer, value: Buffer): number {
  return crc32(value, crc32(key));
}

/** What two answers to the same request do not have in common. */
import type { Incoming } from "./exchange.js";

export interface Difference {
  readonly status?: readonly [first: number, other: number];
  readonly headers?: readonly { readonly name: string; readonly first: string | undefined; readonly other: string | undefined }[];
  readonly body?: BodyDifference;
}

export interface BodyDifference {
  /** Where the first byte is that differs, counted from 0. */
  readonly byte: number;
  /** What stands around it, in the one and in the other; what is no UTF-8 reads `\uFFFD`. */
  readonly first: string;
  readonly other: string;
}

/** Fields that are about this one answer, or about how it is sent: no guest has written them, or they are in no record. */
const PASSING: ReadonlySet<string> = new Set([
  "date",
  "pilotlight-run",
  "cache-status",
  "age",
  "server-timing",
  "connection",
  "keep-alive",
  "transfer-encoding",
  // Of a body that is compared itself.
  "content-length",
]);
/** Bytes that are shown on either side. */
const AROUND = 24;

/** Undefined: they are equal. */
export function difference(first: Incoming, other: Incoming): Difference | undefined {
  const headers = differentHeaders(first, other);
  const body = differentBody(first.body, other.body);
  const found: Difference = {
    ...(first.status !== other.status && { status: [first.status, other.status] as const }),
    ...(headers.length > 0 && { headers }),
    ...(body !== undefined && { body }),
  };
  return Object.keys(found).length === 0 ? undefined : found;
}

function differentHeaders(first: Incoming, other: Incoming): NonNullable<Difference["headers"]> {
  const names = [...new Set([...first.headers.keys(), ...other.headers.keys()])].filter((name) => !PASSING.has(name)).sort();
  return names
    .map((name) => ({ name, first: first.headers.get(name)?.join(", "), other: other.headers.get(name)?.join(", ") }))
    .filter((header) => header.first !== header.other);
}

function differentBody(first: Buffer, other: Buffer): BodyDifference | undefined {
  if (first.equals(other)) return undefined;
  const shorter = Math.min(first.byteLength, other.byteLength);
  let byte = 0;
  while (byte < shorter && first[byte] === other[byte]) byte++;
  return { byte, first: around(first, byte), other: around(other, byte) };
}

function around(body: Buffer, byte: number): string {
  const [from, to] = [Math.max(0, byte - AROUND), Math.min(body.byteLength, byte + AROUND)];
  return `${from > 0 ? "…" : ""}${body.toString("utf8", from, to)}${to < body.byteLength ? "…" : ""}`;
}

/** Records as runs would have left them. */
import { Buffer } from "node:buffer";
import { prefixDep } from "../../src/memo/deps.js";
import type { MemoRecord, RecordTrace } from "../../src/memo/record.js";

const KINDS = { value: 0, exists: 3, list: 5 };

/** That a key was read, or a page of names that begins behind it, as the engine writes it. */
export function readDep(kind: keyof typeof KINDS, tenant: string, store: string, key: string, revision: number): Uint8Array {
  const bytes = Buffer.from(prefixDep(tenant, store, kind === "list" ? `0\0${key}` : key, revision));
  bytes.writeUInt8(KINDS[kind], 6 + tenant.length + store.length);
  return bytes;
}

export function traceOf(trace: Partial<Omit<RecordTrace, "reads">> & { readonly reads?: readonly Uint8Array[] } = {}): RecordTrace {
  const { reads = [], ...rest } = trace;
  return { since: 0, tasks: [], files: [], depends: [], fetched: [], ...rest, reads: Buffer.concat(reads) };
}

export function fetchedOf(url: string): RecordTrace["fetched"][number][1] {
  return { method: "GET", url, headers: [], status: 200, etag: null, lastModified: null, body: null };
}

export function recordOf(key: string, record: Partial<MemoRecord> = {}): MemoRecord {
  return {
    key: key.padEnd(32, "0"),
    tenant: "acme",
    task: "thumbs",
    version: "v1",
    run: "ab".repeat(16),
    at: Date.parse("2030-01-01T12:00:00Z"),
    runMs: 12.5,
    what: "GET /thumbs/7",
    answer: {
      kind: "http",
      status: 200,
      headers: ["Content-Type", "text/plain", "ETag", '"a"'],
      trailers: undefined,
      etag: '"a"',
      body: Buffer.from("hello"),
      bytes: 5,
      digest: undefined,
    },
    trace: traceOf(),
    notes: 0,
    until: Number.POSITIVE_INFINITY,
    ...record,
  };
}

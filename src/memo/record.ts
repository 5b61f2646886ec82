/** What an idempotent run produced, with the state of everything that it read. */
import type { HeaderList } from "../base/headers.js";
import type { Fetched } from "../engine/trace.js";

export interface MemoRecord {
  /** Of the request (key.ts). */
  readonly key: string;
  readonly tenant: string;
  readonly task: string;
  readonly version: string;
  /** The run whose answer it is. */
  readonly run: string;
  /** When the run began, in milliseconds since 1970: the answer is as of then. */
  readonly at: number;
  /** What running took, in milliseconds. */
  readonly runMs: number;
  /** What was asked, for people: `GET /thumbs/7`, `demo:math/calc#add`. */
  readonly what: string;
  readonly answer: HttpAnswer | CallAnswer;
  readonly trace: RecordTrace;
  /** What its runs did that their manifest allowed. */
  readonly notes: number;
  /** It is over then, in milliseconds since 1970, whatever the manifest says by now. */
  readonly until: number;
}

export interface HttpAnswer {
  readonly kind: "http";
  readonly status: number;
  readonly headers: HeaderList;
  readonly trailers: HeaderList | undefined;
  /** The entity tag that it has, the guest's own or one made of the body. */
  readonly etag: string | undefined;
  /** Undefined: it is long, and lies by itself. */
  readonly body: Uint8Array | undefined;
  readonly bytes: number;
  /** SHA-256 of the body in hex, where it lies by itself. */
  readonly digest: string | undefined;
}

export interface CallAnswer {
  readonly kind: "call";
  readonly json: string | undefined;
}

/** The state of everything that the run and those that it called have read. */
export interface RecordTrace {
  /** Of stores (deps.ts), and a revision of their file at which all of it was so. */
  readonly reads: Uint8Array;
  readonly since: number;
  /** Tasks that were called, `tenant/name`, and what their program was made of. */
  readonly tasks: readonly (readonly [task: string, print: string])[];
  /** Folders of the host, and what was in them. */
  readonly files: readonly (readonly [folder: string, state: string])[];
  /** By the task that read it: resources that only others can look at, and the state that they were in. */
  readonly depends: readonly (readonly [task: string, resource: string, state: string])[];
  readonly fetched: readonly (readonly [task: string, of: Fetched])[];
}

/** Whether all of it can be looked at here and now. */
export function isLocal({ depends, fetched, files }: RecordTrace): boolean {
  return depends.length === 0 && fetched.length === 0 && files.length === 0;
}

/** What a record takes, as the store counts: what is long by its length, the rest by a guess that is near enough. */
export function bytesOf({ answer, trace, what }: MemoRecord): number {
  const body = answer.kind === "call" ? (answer.json?.length ?? 0) : answer.bytes + listBytes(answer.headers);
  const depends = trace.depends.reduce((sum, [, resource, state]) => sum + resource.length + state.length, 0);
  const fetched = trace.fetched.reduce((sum, [, { url, headers }]) => sum + url.length + listBytes(headers.flat()) + 200, 0);
  return 512 + what.length + body + trace.reads.byteLength + depends + fetched + (trace.tasks.length + trace.files.length) * 100;
}

function listBytes(list: readonly string[]): number {
  let bytes = 0;
  for (const text of list) bytes += text.length;
  return bytes;
}

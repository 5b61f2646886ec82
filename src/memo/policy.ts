/** What a manifest's `idempotent` means. */
import { NOTE, type Note } from "../engine/trace.js";
import type { HeaderList } from "../base/headers.js";
import type { HttpFrame } from "../engine/engine.js";
import type { Manifest } from "../tasks/manifest.js";

export type Idempotent = NonNullable<Manifest["idempotent"]>;

/** Kinds of acts that a manifest may allow (`allow`), with the notes that they leave. */
const ALLOWED = {
  clock: NOTE.clock,
  random: NOTE.random,
  sockets: NOTE.sockets,
  requests: NOTE.request,
  imports: NOTE.import,
} as const satisfies Record<string, number>;

/** What each note is called where people see it. */
const WORDS: readonly (readonly [note: Note, word: string])[] = [
  ["wrote", "wrote"],
  ["clock", "clock"],
  ["random", "random"],
  ["sockets", "sockets"],
  ["request", "request"],
  ["unread", "outbound"],
  ["import", "import"],
  ["sidecar", "sidecar"],
  ["torn", "changed meanwhile"],
  ["many", "too many reads"],
  ["short", "memory"],
  ["failed", "store"],
];

/** Why a run that did this leaves no record, in a word each; undefined: nothing of it is in the way. */
export function obstacle(notes: number, { allow }: Pick<Idempotent, "allow">): string | undefined {
  if (notes === 0) return undefined;
  let left = notes;
  for (const kind of allow) left &= ~ALLOWED[kind];
  if (left === 0) return undefined;
  return WORDS.filter(([note]) => (left & NOTE[note]) !== 0)
    .map(([, word]) => word)
    .join(", ");
}

/** Fields that say what the body is and whose request it is. What else a guest gets to see, its manifest lists as `vary`. */
const SEEN: readonly string[] = ["host", "content-type", "content-length", "content-encoding", "content-language"];
const CREDENTIALS: readonly string[] = ["authorization", "cookie"];

const seen = new WeakMap<Idempotent, ReadonlySet<string>>();

/**
 * What the guest of an idempotent task sees of a request: that which its records are found by, written as it is there, and nothing
 * else. What it does not see cannot be in an answer that somebody else gets.
 */
export function seenRequest(frame: HttpFrame, idempotent: Idempotent): HttpFrame {
  const headers = seenHeaders(frame.headers, idempotent);
  return { ...frame, authority: frame.authority.toLowerCase(), headers: frame.more ? headers : withLength(headers, frame.body) };
}

/** The length is the body's, whatever the client or a transform has said. */
function withLength(headers: HeaderList, body: Uint8Array | undefined): HeaderList {
  const at = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === "content-length");
  if (at < 0) return headers;
  const length = String(body?.byteLength ?? 0);
  return headers[at + 1] === length ? headers : headers.map((text, i) => (i === at + 1 ? length : text));
}

function seenHeaders(headers: HeaderList, idempotent: Idempotent): HeaderList {
  let names = seen.get(idempotent);
  if (names === undefined) {
    names = new Set([...SEEN, ...(idempotent.shared ? [] : CREDENTIALS), ...idempotent.vary]);
    seen.set(idempotent, names);
  }
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (names.has(name) || names.has(name.toLowerCase())) kept.push(name, headers[i + 1] as string);
  }
  return kept;
}

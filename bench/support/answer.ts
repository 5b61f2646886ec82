/** What an answer under load was: served as it should be, an honest refusal, or wrong. */

export type Answer =
  | { readonly kind: "served"; readonly closes: boolean }
  /** `code` of the problem, such as `capacity/node-full`. */
  | { readonly kind: "refused"; readonly code: string; readonly closes: boolean }
  /** `what` says what came instead. */
  | { readonly kind: "wrong"; readonly what: string };

const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = "\r\n0\r\n\r\n";
const TYPE = /^https:\/\/pilotlight\.dev\/problems\/(capacity\/[a-z-]+)$/;
const MOST_SHOWN = 400;

/**
 * Reads the bytes of one answer; undefined when it is not all there. Small answers only: each call reads from the start.
 * Served: 200 and exactly `expected`. Refused: 429 or 503 with a problem of `capacity/…`, and `Retry-After` of a second
 * or more. Everything else is wrong, also a refusal that leaves out one of these.
 */
export function readAnswer(bytes: Buffer, expected: string): Answer | undefined {
  const text = bytes.toString("latin1");
  const head = text.indexOf(HEAD_END);
  if (head < 0) return undefined;
  const fields = text.slice(0, head);
  const body = bodyOf(fields, text.slice(head + HEAD_END.length));
  if (body === undefined) return undefined;
  const closes = /\r\nconnection: *close/i.test(fields);
  const status = text.slice(9, 12);
  if (status === "200") {
    if (body === expected) return { kind: "served", closes };
    return wrong(`200 with ${JSON.stringify(body.slice(0, MOST_SHOWN))} for ${JSON.stringify(expected)}`);
  }
  if (status !== "429" && status !== "503") return wrong(`it was answered ${JSON.stringify(text.slice(0, MOST_SHOWN))}`);
  const lacks = missing(fields, body);
  if (lacks !== undefined) return wrong(`${status} without ${lacks}: ${JSON.stringify(text.slice(0, MOST_SHOWN))}`);
  return { kind: "refused", code: codeOf(body) as string, closes };
}

/** By its length or to its last chunk; undefined when it is not all there. A chunked one is taken to be of one chunk. */
function bodyOf(fields: string, rest: string): string | undefined {
  const length = /\r\ncontent-length: *(\d+)/i.exec(fields)?.[1];
  if (length !== undefined) return rest.length < Number(length) ? undefined : rest.slice(0, Number(length));
  if (!/\r\ntransfer-encoding: *chunked/i.test(fields)) return "";
  const end = `\r\n${rest}`.indexOf(LAST_CHUNK);
  return end < 0 ? undefined : rest.slice(rest.indexOf("\r\n") + 2, Math.max(0, end - 2));
}

/** What an honest refusal has and this one has not. */
function missing(fields: string, body: string): string | undefined {
  if (!/\r\ncontent-type: *application\/problem\+json/i.test(fields)) return "a problem";
  if (codeOf(body) === undefined) return "a code of capacity";
  const seconds = /\r\nretry-after: *(\d+)\r\n/i.exec(`${fields}\r\n`)?.[1];
  return seconds === undefined || Number(seconds) < 1 ? "a Retry-After of a second or more" : undefined;
}

function codeOf(body: string): string | undefined {
  try {
    const { type } = JSON.parse(body) as { readonly type?: unknown };
    return typeof type === "string" ? TYPE.exec(type)?.[1] : undefined;
  } catch {
    return undefined;
  }
}

function wrong(what: string): Answer {
  return { kind: "wrong", what };
}

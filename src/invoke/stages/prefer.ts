/** What a request prefers of when it is answered: `Prefer` (RFC 7240) and `Pilotlight-Not-After`. */
import type { Problem } from "../../base/problem.js";

/** A request that may be answered later. */
export interface LaterAsked {
  /** It is answered now if that takes no longer; undefined: it does not wait for that. Milliseconds. */
  readonly waitMs: number | undefined;
  /** It starts no later than this, in milliseconds since 1970. */
  readonly notAfter: number | undefined;
  /** `Prefer` said so, and not the task alone. */
  readonly isPreferred: boolean;
}

const NOT_AFTER = "pilotlight-not-after";
/** Longer than a client holds a connection. */
const LONGEST_WAIT_MS = 60_000;

/** What was asked for; undefined: an answer, at once. A problem where what was asked for cannot be. */
export function laterAsked(
  header: (name: string) => string | undefined,
  isAsync: boolean,
  wall: () => number,
): LaterAsked | Problem | undefined {
  const prefer = header("prefer");
  if (prefer === undefined && !isAsync) return undefined;
  const preferences = prefer === undefined ? new Map<string, string>() : preferencesIn(prefer);
  const isPreferred = preferences.has("respond-async");
  if (!isPreferred && !isAsync) return undefined;
  const wait = preferences.get("wait");
  if (wait !== undefined && !/^\d+$/.test(wait))
    return { code: "request/malformed", detail: `Prefer says wait=${wait}; expected whole seconds, such as wait=5.` };
  const text = header(NOT_AFTER);
  const notAfter = text === undefined ? undefined : Date.parse(text);
  if (text !== undefined && Number.isNaN(notAfter))
    return {
      code: "request/malformed",
      detail: `Pilotlight-Not-After says ${JSON.stringify(text)}; expected a time such as 2026-01-31T18:00:00Z.`,
    };
  const now = wall();
  if (notAfter !== undefined && notAfter < now)
    return {
      code: "request/invalid",
      detail: `Pilotlight-Not-After is ${new Date(notAfter).toISOString()}, and here it is ${new Date(now).toISOString()}: nothing can start by then.`,
    };
  return { waitMs: wait === undefined ? undefined : Math.min(Number(wait) * 1000, LONGEST_WAIT_MS), notAfter, isPreferred };
}

/** Names in lower case, the first of each; parameters of a preference are nobody's here (RFC 7240, 2). */
function preferencesIn(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of text.split(",")) {
    const [preference = ""] = part.split(";");
    const equals = preference.indexOf("=");
    const name = (equals < 0 ? preference : preference.slice(0, equals)).trim().toLowerCase();
    const value =
      equals < 0
        ? ""
        : preference
            .slice(equals + 1)
            .trim()
            .replace(/^"(.*)"$/, "$1");
    if (name !== "" && !found.has(name)) found.set(name, value);
  }
  return found;
}

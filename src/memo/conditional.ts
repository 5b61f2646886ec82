/** Requests that carry a condition, and what they say about records (RFC 9110 section 13, RFC 9111 section 5.2.1). */
import { hash } from "node:crypto";
import { headerValue, type HeaderList } from "../base/headers.js";

/** What `Cache-Control` of a request asks for. */
export interface Directives {
  /** Run, whatever is recorded. */
  readonly noCache: boolean;
  /** Keep nothing of it. */
  readonly noStore: boolean;
  /** Do not run. */
  readonly onlyIfCached: boolean;
}

const NONE: Directives = Object.freeze({ noCache: false, noStore: false, onlyIfCached: false });

export function directivesOf(cacheControl: string | undefined): Directives {
  if (cacheControl === undefined) return NONE;
  const names = new Set(cacheControl.split(",").map((part) => (part.split("=")[0] as string).trim().toLowerCase()));
  return { noCache: names.has("no-cache"), noStore: names.has("no-store"), onlyIfCached: names.has("only-if-cached") };
}

/** Whether an answer says itself that nobody is to keep it, and why. */
export function keepsOut(headers: HeaderList): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (name === "set-cookie") return "set-cookie";
    if (name === "cache-control" && directivesOf(headers[i + 1]).noStore) return "no-store";
  }
  return undefined;
}

/** A strong entity tag of a body. */
export function etagOf(body: Uint8Array): string {
  return `"${hash("sha256", body, "base64url").slice(0, 22)}"`;
}

export interface Validators {
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
}

/** Whether the client has this answer already: then it gets `304`. Only a GET or HEAD whose answer is `200` is asked about. */
export function isUnmodified(
  { ifNoneMatch, ifModifiedSince }: Validators,
  method: string,
  status: number,
  etag: string | undefined,
  headers: HeaderList,
): boolean {
  if (status !== 200 || (method !== "GET" && method !== "HEAD")) return false;
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch.trim() === "*") return true;
    return etag !== undefined && tagsIn(ifNoneMatch).includes(opaque(etag));
  }
  if (ifModifiedSince === undefined) return false;
  const modified = Date.parse(headerValue(headers, "last-modified") ?? "");
  return modified <= Date.parse(ifModifiedSince);
}

/** Compared weakly, as RFC 9110 has it for `If-None-Match`. */
function opaque(tag: string): string {
  return tag.trim().replace(/^W\//, "");
}

function tagsIn(list: string): string[] {
  return (list.match(/(?:W\/)?"[^"]*"/g) ?? []).map(opaque);
}

/** Fields that a `304` repeats (RFC 9110, 15.4.5). */
const REPEATED: ReadonlySet<string> = new Set(["cache-control", "content-location", "date", "etag", "expires", "vary", "last-modified"]);

export function unmodifiedHeaders(headers: HeaderList): HeaderList {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2)
    if (REPEATED.has((headers[i] as string).toLowerCase())) kept.push(headers[i] as string, headers[i + 1] as string);
  return kept;
}

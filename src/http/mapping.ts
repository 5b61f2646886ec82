/**
 * What both fronts agree on: how a request target becomes a path, and what a guest's answer may look like.
 *
 * Nothing here touches a socket or a web `Response`; a front turns the results into whatever its platform wants.
 */
import { headerValue, type HeaderList } from "../base/headers.js";
import { isHopByHop, stripHopByHop, stripTrailers } from "../base/hop-by-hop.js";

/** A request target taken apart. */
export interface Target {
  /** Path and query; begins with a slash. */
  readonly target: string;
  /** From an absolute form, which overrules `Host` (RFC 9112, 3.2.2). */
  readonly authority: string | undefined;
}

/**
 * Reads the origin form (`/a?b`), the absolute form (`http://host/a?b`) and the asterisk form (`*`, which
 * becomes `/`: no path of ours stands for the whole server). Undefined when it is none of them, or holds a
 * fragment or a user name, which a request target never does.
 */
export function parseTarget(raw: string): Target | undefined {
  if (raw.includes("#")) return undefined;
  if (raw.charCodeAt(0) === SLASH) return { target: raw, authority: undefined };
  if (raw === "*") return { target: "/", authority: undefined };
  const absolute = /^https?:\/\/([^/?]+)(.*)$/is.exec(raw);
  if (absolute === null) return undefined;
  const [, authority, rest] = absolute as unknown as [string, string, string];
  if (!isAuthority(authority)) return undefined;
  return { target: rest.charCodeAt(0) === SLASH ? rest : `/${rest}`, authority };
}

/** The path of a target, without its query. Nothing is decoded. */
export function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

/** True for what may stand in a `Host` field: host and port, no user name, no blanks, nothing of a path. */
export function isAuthority(value: string): boolean {
  return AUTHORITY.test(value);
}

/** A guest's answer, ready to be framed. */
export interface AnswerHead {
  /** Hop-by-hop fields are out, and what the status does not allow. */
  readonly headers: HeaderList;
  /** The length that the guest declared. */
  readonly contentLength: number | undefined;
  /** The value of the guest's `Trailer` field. */
  readonly announced: string | undefined;
  /** True when this status, or HEAD, has no body whatever the guest writes. */
  readonly bodiless: boolean;
}

/** An answer that cannot be sent as HTTP. */
export class BadAnswer {
  /** @param detail what is wrong with it, for the problem */
  constructor(readonly detail: string) {}
}

/** Checks a guest's head and takes out what must not cross. */
export function readAnswer(status: number, headers: HeaderList, head: boolean): AnswerHead | BadAnswer {
  if (!Number.isInteger(status) || status < 200 || status > 999) {
    return new BadAnswer(`The function answered with status ${status}; a final status is 200 or more.`);
  }
  let length: string | undefined;
  let announced: string | undefined;
  let dirty = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length === 14 && name.toLowerCase() === "content-length") {
      const value = headers[i + 1] as string;
      if (!/^\d{1,15}$/.test(value) || (length !== undefined && length !== value)) {
        return new BadAnswer(`The function answered with a Content-Length that is not one number: ${JSON.stringify(value)}.`);
      }
      dirty ||= length !== undefined;
      length = value;
    } else if (isHopByHop(name)) {
      dirty = true;
      if (name.length === 7 && name.toLowerCase() === "trailer") announced = headers[i + 1];
    }
  }
  const lengthAllowed = status !== 204 && status !== 205;
  if (dirty) headers = stripHopByHop(headers);
  if (length !== undefined && (dirty || !lengthAllowed)) headers = withLength(headers, lengthAllowed ? length : undefined);
  return {
    headers,
    contentLength: length === undefined || !lengthAllowed ? undefined : Number(length),
    announced,
    bodiless: head || !lengthAllowed || status === 304,
  };
}

/** Trailers that may be sent, as pairs; undefined when there are none. */
export function readTrailers(trailers: HeaderList | undefined): HeaderList | undefined {
  return stripTrailers(trailers);
}

/** How long a run may go on writing a body that nobody will get (HEAD, 204, 304) before it is cancelled. */
export const DROPPED_MS = 1000;

/** What is kept of a guest's head when a problem takes its place: the run id. */
export function runOf(headers: HeaderList): HeaderList {
  const run = headerValue(headers, "pilotlight-run");
  return run === undefined ? [] : ["Pilotlight-Run", run];
}

/** The problem's detail for a body that does not have the declared length. */
export function lengthMismatch(declared: number, written: number): string {
  return `The function declared a Content-Length of ${declared} and wrote ${written} bytes.`;
}

/** How many bytes may still come under a declared length; counts nothing when none was declared. */
export class LengthGuard {
  #left: number;

  constructor(declared: number | undefined) {
    this.#left = declared ?? Number.POSITIVE_INFINITY;
  }

  /** False when these are more than declared. */
  add(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }

  /** True when the body may end here. */
  get complete(): boolean {
    return this.#left === 0 || this.#left === Number.POSITIVE_INFINITY;
  }
}

const SLASH = 47;
/** reg-name, IPv4 or a bracketed IPv6 address, then an optional port. */
const AUTHORITY = /^(?:[\w.~%!$&'()*+,;=-]+|\[[0-9a-f:.%\w]+\])(?::\d*)?$/i;

/** The list with `length` as its one Content-Length, or without any. */
export function withLength(headers: HeaderList, length: string | undefined): HeaderList {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length !== 14 || name.toLowerCase() !== "content-length") kept.push(name, headers[i + 1] as string);
  }
  if (length !== undefined) kept.push("Content-Length", length);
  return kept;
}

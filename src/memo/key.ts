/**
 * What two requests have in common that get the same answer: the key of a record.
 *
 * Everything that the guest sees of its input is in it, and everything that its program is made of; what is not in it the guest
 * does not see (policy.ts). Parts are written with their lengths, so that no two inputs read the same.
 */
import { hash } from "node:crypto";
import type { CallFrame, HttpFrame } from "../engine/engine.js";
import type { Identity } from "../engine/sidecars.js";

export interface KeyParts {
  /** `tenant/name`. */
  readonly task: string;
  /** What the program is made of, sidecars that serve its imports included. */
  readonly print: string;
  /** Whom guards found to be calling, where the answer may depend on that. */
  readonly identity: Identity | undefined;
  /** The tenant by whose rights the run calls others: what those rights reach is in its answer. */
  readonly authority: string;
  /** Sidecars that it has because its request asks for them. */
  readonly beside: string;
}

/** 32 hex digits. The frame's body is whole. */
export function recordKey({ task, print, identity, authority, beside }: KeyParts, frame: HttpFrame | CallFrame): string {
  const input = frame.kind === "http" ? httpInput(frame) : callInput(frame);
  const who = identity === undefined ? "" : JSON.stringify([identity.subject, identity.claims]);
  return digestOf(part(task) + part(print) + part(who) + part(authority) + part(beside) + input);
}

/** What was asked is asked again, and to look that up costs less than to hash it. */
const digests = new Map<string, string>();
const MOST_DIGESTS = 5000;
const LONGEST = 1024;

function digestOf(text: string): string {
  const known = digests.get(text);
  if (known !== undefined) return known;
  const digest = hash("sha256", text, "hex").slice(0, 32);
  if (text.length > LONGEST) return digest;
  if (digests.size >= MOST_DIGESTS) digests.clear();
  digests.set(text, digest);
  return digest;
}

function part(text: string): string {
  return `${text.length}:${text}`;
}

function httpInput({ method, scheme, authority, target, headers, body }: HttpFrame): string {
  let input = `http ${part(method)}${part(scheme)}${part(authority.toLowerCase())}${part(sortedQuery(target))}`;
  if (headers.length > 0) input += headerInput(headers);
  if (body !== undefined && body.byteLength > 0) input += `body ${hash("sha256", body, "hex")}`;
  return input;
}

/** Fields in the order of their names, those of one name in their own. Their length is the body's. */
function headerInput(headers: readonly string[]): string {
  const fields: [name: string, value: string][] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (name !== "content-length") fields.push([name, headers[i + 1] as string]);
  }
  if (fields.length > 1) fields.sort(byName);
  let input = "";
  for (const [name, value] of fields) input += part(name) + part(value);
  return input;
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The target with the parameters of its query in the order of their names, those of one name in their own. */
export function sortedQuery(target: string): string {
  const at = target.indexOf("?");
  if (at < 0 || !target.includes("&", at)) return target;
  const parameters = target.slice(at + 1).split("&");
  const named = parameters.map((text): [string, string] => {
    const equals = text.indexOf("=");
    return [equals < 0 ? text : text.slice(0, equals), text];
  });
  // Names that are written in two ways may be one name, whose parameters keep their order.
  if (named.some(([name]) => /[%+]/.test(name))) return target;
  named.sort(byName);
  return `${target.slice(0, at)}?${named.map(([, text]) => text).join("&")}`;
}

function callInput({ interface: iface, function: func, arguments: args }: CallFrame): string {
  return `call ${part(iface)}${part(func)}${part(canonicalJson(args))}`;
}

/** Numbers that JavaScript may not hold exactly: such text stays as it is. */
const LONG_NUMBER = /\d{16}|\d[eE]|-0/;

/** JSON with the fields of objects in order and without blanks; the text itself where that would change what it says. */
export function canonicalJson(text: string): string {
  if (LONG_NUMBER.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), (_key, value: unknown) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(byName as (a: [string, unknown], b: [string, unknown]) => number))
        : value,
    );
  } catch {
    return text;
  }
}

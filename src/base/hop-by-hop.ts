/**
 * Fields that belong to one connection and never cross Pilotlight in either direction (RFC 9110, 7.6.1).
 *
 * Pure functions over header lists. The pipeline calls `stripHopByHop` on requests before anything of ours
 * or a guest sees them; `readAnswer` in `mapping.ts` calls it on a guest's answer. Most requests hold none of
 * these fields, so the list is given back as it is whenever there is nothing to remove.
 */
import type { HeaderList } from "./headers.js";

/** True for a field of the connection, whatever `Connection` says. Lengths first: most names stop there. */
export function isHopByHop(name: string): boolean {
  switch (name.length) {
    case 2:
      return name.toLowerCase() === "te";
    case 7: {
      const lower = name.toLowerCase();
      return lower === "trailer" || lower === "upgrade";
    }
    case 10: {
      const lower = name.toLowerCase();
      return lower === "connection" || lower === "keep-alive";
    }
    case 14:
      return name.toLowerCase() === "http2-settings";
    case 16:
      return name.toLowerCase() === "proxy-connection";
    case 17:
      return name.toLowerCase() === "transfer-encoding";
    case 18:
      return name.toLowerCase() === "proxy-authenticate";
    case 19:
      return name.toLowerCase() === "proxy-authorization";
    case 25:
      return name.toLowerCase() === "proxy-authentication-info";
    default:
      return false;
  }
}

/** The list without hop-by-hop fields and those that `Connection` names; the same list when it has none. */
export function stripHopByHop(headers: HeaderList): HeaderList {
  for (let i = 0; i < headers.length; i += 2) {
    if (isHopByHop(headers[i] as string)) return withoutHopByHop(headers);
  }
  return headers;
}

/**
 * Trailers that may be passed on: neither hop-by-hop fields nor those that frame or route a message, which
 * have been acted on before the trailers came (RFC 9110, 6.5.1). Undefined when nothing is left.
 */
export function stripTrailers(trailers: HeaderList | undefined): HeaderList | undefined {
  if (trailers === undefined || trailers.length === 0) return undefined;
  const kept: string[] = [];
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i] as string;
    if (!isHopByHop(name) && !KEPT.has(name.toLowerCase())) kept.push(name, trailers[i + 1] as string);
  }
  return kept.length === 0 ? undefined : kept;
}

/** True when a comma-separated field value holds `token` (given in lower case). */
export function hasToken(value: string, token: string): boolean {
  return value.split(",").some((part) => part.trim().toLowerCase() === token);
}

/** Fields we have acted on ourselves: `Connection` cannot name them away. */
const KEPT = new Set(["host", "content-length"]);

function withoutHopByHop(headers: HeaderList): HeaderList {
  const named = namedByConnection(headers);
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (isHopByHop(name) || named?.has(name.toLowerCase())) continue;
    kept.push(name, headers[i + 1] as string);
  }
  return kept;
}

function namedByConnection(headers: HeaderList): Set<string> | undefined {
  let named: Set<string> | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length !== 10 || name.toLowerCase() !== "connection") continue;
    const value = (headers[i + 1] as string).toLowerCase();
    if (value === "keep-alive" || value === "close") continue;
    named ??= new Set();
    for (const part of value.split(",")) {
      const token = part.trim();
      if (!KEPT.has(token)) named.add(token);
    }
  }
  return named;
}

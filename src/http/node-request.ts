/**
 * A request of Node's HTTP server as an `Incoming`, or the problem that refuses it.
 *
 * Everything comes from the wire (`url`, `rawHeaders`): Hono's and node-server's view of a request is
 * normalised, and a guest sees what was sent. What Node's parser lets through and the standard does not is
 * refused here.
 */
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import type { HeaderList } from "../base/headers.js";
import type { Problem } from "../base/problem.js";
import { INLINE_BYTES } from "../engine/engine.js";
import type { Incoming } from "../invoke/invocation.js";
import { hasToken } from "../base/hop-by-hop.js";
import { isAuthority, parseTarget } from "./mapping.js";

/** The `body` of a small request is filled in before the request is given on. */
export class NodeIncoming implements Incoming {
  body: Uint8Array | undefined = undefined;

  constructor(
    readonly method: string,
    readonly scheme: "http" | "https",
    readonly authority: string,
    readonly target: string,
    readonly headers: HeaderList,
    readonly peer: string,
    readonly contentLength: number | undefined,
    readonly streaming: boolean,
  ) {}
}

/** Reads a request's head. */
export function readRequest(message: IncomingMessage): NodeIncoming | Problem {
  const headers = message.headers;
  const raw = message.rawHeaders;
  let target = message.url as string;
  let authority = headers.host ?? "";
  if (target.charCodeAt(0) !== 47 || target.includes("#")) {
    const parsed = parseTarget(target);
    if (parsed === undefined) return malformed(`The request target ${JSON.stringify(target)} is neither a path nor an absolute http URL.`);
    target = parsed.target;
    authority = parsed.authority ?? authority;
  }
  const refused = checkHost(message, raw);
  if (refused !== undefined) return refused;
  const coding = headers["transfer-encoding"];
  if (coding !== undefined && coding.toLowerCase() !== "chunked") {
    return malformed(`Transfer-Encoding ${JSON.stringify(coding)} is not supported; chunked is.`);
  }
  if (headers.upgrade !== undefined && asksForUpgrade(message)) {
    return { code: "request/upgrade", detail: `An upgrade to ${JSON.stringify(headers.upgrade)} is not supported.` };
  }
  const length = headers["content-length"];
  const contentLength = length === undefined ? undefined : Number(length);
  return new NodeIncoming(
    message.method as string,
    (message.socket as TLSSocket).encrypted ? "https" : "http",
    authority,
    target,
    raw,
    message.socket.remoteAddress ?? "",
    contentLength,
    coding !== undefined || (contentLength !== undefined && contentLength > INLINE_BYTES),
  );
}

/** The last `Host` that was found good: nearly all requests of a server say the same. */
let lastHost = "";

/** HTTP/1.1 has exactly one `Host`; 1.0 may have none (RFC 9112, 3.2). */
function checkHost(message: IncomingMessage, raw: HeaderList): Problem | undefined {
  let host: string | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (name.length !== 4 || name.toLowerCase() !== "host") continue;
    if (host !== undefined) return malformed("The request has more than one Host field; one is needed.");
    host = raw[i + 1] as string;
  }
  if (host === undefined) {
    return message.httpVersionMinor === 0 ? undefined : malformed("The request has no Host field; HTTP/1.1 needs one.");
  }
  if (host === lastHost && host !== "") return undefined;
  if (!isAuthority(host)) return malformed(`The Host field ${JSON.stringify(host)} is not a host name with an optional port.`);
  lastHost = host;
  return undefined;
}

/**
 * `Upgrade` counts only with `Connection: upgrade` and in HTTP/1.1. An offer of h2c is ignored, as a server may
 * (RFC 9110, 7.8): Java's client makes it with every request, and expects an ordinary answer.
 */
function asksForUpgrade(message: IncomingMessage): boolean {
  if (message.httpVersionMinor === 0 || !hasToken(message.headers.connection ?? "", "upgrade")) return false;
  return !(message.headers.upgrade as string).split(",").every((protocol) => protocol.trim().toLowerCase() === "h2c");
}

function malformed(detail: string): Problem {
  return { code: "request/malformed", detail };
}

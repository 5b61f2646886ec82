/**
 * A request that is read whole, and an answer that is written whole: over Node's own objects where its server is the front.
 *
 * A web `Request` with its signal and its stream, and a `Response`, cost several times what a small call does.
 */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { IncomingMessage } from "node:http";
import type { Context } from "hono";
import type { HeaderList } from "../base/headers.js";
import { stripHopByHop } from "../base/hop-by-hop.js";
import { withoutOurs } from "../invoke/stages/head.js";
import type { RequestHead } from "../engine/sidecars.js";
import { ProblemError } from "../base/problem.js";
import type { Waiter } from "../invoke/waiter.js";
import type { PlaneEnv } from "./planes.js";
import { pairs } from "./problem-reply.js";

export interface WholeAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

/** How long a body may take. */
const BODY_MS = 30_000;

/** A field by its name in lower case. */
export function headerOf(c: Context<PlaneEnv>, name: string): string | undefined {
  const incoming = c.env?.incoming;
  if (incoming === undefined) return c.req.header(name);
  const value = incoming.headers[name];
  return typeof value === "string" ? value : value?.join(", ");
}

/** Reads the body, at most so many bytes in half a minute. Rejects with the problem of one that is longer, late or cut short. */
export async function bodyOf(c: Context<PlaneEnv>, most: number, limitMs = BODY_MS): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  const take = (piece: Uint8Array): void => {
    bytes += piece.byteLength;
    if (bytes > most) throw new ProblemError("request/body-too-large", `The body may come to ${most} bytes.`);
    pieces.push(piece);
  };
  const { incoming } = c.env ?? {};
  if (incoming === undefined) for await (const piece of c.req.raw.body ?? []) take(piece);
  else await readFrom(incoming, take, limitMs, () => bytes);
  return Buffer.concat(pieces);
}

/** Gives on what comes, until all of it is there or `take` throws. */
function readFrom(incoming: IncomingMessage, take: (piece: Uint8Array) => void, limitMs: number, read: () => number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      fail(new ProblemError("request/timeout", `Of the body, ${read()} bytes came in ${limitMs} ms.`));
    }, limitMs);
    const onData = (piece: Uint8Array): void => {
      try {
        take(piece);
      } catch (error) {
        fail(error as Error);
      }
    };
    const fail = (error: Error): void => {
      clearTimeout(timer);
      incoming.off("data", onData);
      incoming.pause();
      reject(error);
    };
    incoming.on("data", onData);
    // Nobody is left to hear of it.
    const cut = (): void => fail(new ProblemError("request/malformed", "The body ended early."));
    incoming.on("end", () => {
      clearTimeout(timer);
      incoming.off("close", cut);
      resolve();
    });
    incoming.on("error", cut);
    incoming.on("close", cut);
  });
}

/** The request without its body, and without what of it is ours. */
export function headOf(c: Context<PlaneEnv>): RequestHead {
  const incoming = c.env?.incoming;
  const url = new URL(c.req.url);
  const fields = incoming?.rawHeaders ?? [...c.req.raw.headers].flat();
  return {
    method: c.req.method,
    scheme: url.protocol.slice(0, -1),
    authority: url.host,
    pathWithQuery: incoming?.url ?? `${url.pathname}${url.search}`,
    headers: withoutOurs(stripHopByHop(fields)),
    peer: incoming?.socket.remoteAddress ?? "",
  };
}

/** Whoever waits for the answer. */
export function waiterOf(c: Context<PlaneEnv>): Waiter {
  const outgoing = c.env?.outgoing;
  if (outgoing === undefined) {
    const { signal } = c.req.raw;
    return {
      hasLeft: () => signal.aborted,
      whenLeft: (told) => {
        signal.addEventListener("abort", told);
        return () => signal.removeEventListener("abort", told);
      },
    };
  }
  const hasLeft = (): boolean => outgoing.destroyed && !outgoing.writableFinished;
  return {
    hasLeft,
    whenLeft: (told) => {
      const closed = (): void => {
        if (hasLeft()) told();
      };
      outgoing.on("close", closed);
      return () => outgoing.off("close", closed);
    },
  };
}

/** Sends it. */
export function answer(c: Context<PlaneEnv>, { status, headers, body }: WholeAnswer): Response {
  const outgoing = c.env?.outgoing;
  if (outgoing === undefined) return new Response(body, { status, headers: pairs(headers) });
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.byteLength;
  if (!outgoing.destroyed) outgoing.writeHead(status, [...headers, "Content-Length", String(length)]).end(body);
  return RESPONSE_ALREADY_SENT;
}

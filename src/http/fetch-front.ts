/**
 * The portable front: a `fetch(request)` that mounts in any Hono app, or in anything that takes a fetch handler.
 *
 * It shares the mapping with the Node front and gives the same answers, within what the web's `Request` and
 * `Response` can say. They cannot say: trailers in either direction (dropped); the case and order of header
 * names; `Host` and other fields that the platform removed; the peer's address (empty, so never "loopback");
 * a target with dot segments or other things that `URL` normalises; whether the client waits for
 * `100 Continue`; a status above 599. A client that goes away is seen through `request.signal` and through the
 * cancelled body, if whoever serves us passes that on. An answer that breaks off is a stream error.
 */
import type { HeaderList } from "../base/headers.js";
import { INLINE_BYTES } from "../engine/engine.js";
import type { Incoming, Invoke } from "../invoke/invocation.js";
import { FetchInput } from "./fetch-input.js";
import { FetchReply } from "./fetch-reply.js";
import type { GuestHandler, Plane } from "./planes.js";
import { problemResponse } from "./problem-reply.js";

export interface FetchFrontOptions {
  /** Makes the app around the handler that leads to guests. */
  readonly plane: (guest: GuestHandler) => Plane;
  readonly invoke: Invoke;
  /** Told of errors that should not have happened. */
  readonly report?: (error: unknown) => void;
}

/** Answers a request; rejects only when `request.signal` aborts, or the request's body fails, before the answer has begun. */
export type Fetch = (request: Request) => Promise<Response>;

export function fetchFront({ plane: makePlane, invoke, report = () => {} }: FetchFrontOptions): Fetch {
  const toGuest = (request: Request): Promise<Response> => answer(request, invoke, report);
  const plane = makePlane((c) => toGuest(c.req.raw));
  return async (request) => {
    // Hono would run a HEAD as GET; ours may be, a guest's may not.
    if (request.method === "HEAD" && !plane.owns(new URL(request.url).pathname)) return toGuest(request);
    return plane.app.fetch(request);
  };
}

async function answer(request: Request, invoke: Invoke, report: (error: unknown) => void): Promise<Response> {
  request.signal.throwIfAborted();
  const declared = request.headers.get("content-length");
  const contentLength = declared === null || !/^\d+$/.test(declared) ? undefined : Number(declared);
  const small = request.body !== null && contentLength !== undefined && contentLength <= INLINE_BYTES;
  const body = small ? new Uint8Array(await request.arrayBuffer()) : undefined;
  if (body !== undefined && body.byteLength !== contentLength) {
    return problemResponse(
      { code: "request/malformed", detail: `The request says Content-Length ${contentLength} and has ${body.byteLength} bytes.` },
      [],
    );
  }
  const input = request.body !== null && !small ? new FetchInput(request.body) : undefined;
  const reply = new FetchReply(request, input);
  try {
    reply.connect(invoke(incomingOf(request, contentLength, body, input !== undefined), reply));
  } catch (error) {
    report(error);
    reply.problem({ code: "platform/internal", detail: undefined }, []);
  }
  return reply.response;
}

function incomingOf(request: Request, contentLength: number | undefined, body: Uint8Array | undefined, streaming: boolean): Incoming {
  const url = request.url;
  const { protocol, host } = new URL(url);
  const path = url.indexOf("/", url.indexOf("//") + 2);
  const fragment = url.indexOf("#");
  return {
    method: request.method,
    scheme: protocol === "https:" ? "https" : "http",
    authority: request.headers.get("host") ?? host,
    target: url.slice(path, fragment < 0 ? undefined : fragment),
    headers: [...request.headers].flat() satisfies HeaderList,
    peer: "",
    body: body === undefined || body.byteLength === 0 ? undefined : body,
    streaming,
    contentLength,
  };
}

/**
 * The guests that the front's conformance suite is written against, as scripts for `fakeInvoke`.
 *
 * Each has a name, so that the same suite can be run on an engine that has components of these names.
 */
import type { Script } from "./http-fake-invoke.js";

const text = ["content-type", "text/plain"];
const bytes = (value: string): Uint8Array => Buffer.from(value);

export const GUESTS = {
  /** Says hello in one go. */
  hello: (run) => run.answer(200, text, "hello"),
  /** Tells what it was asked, as JSON. */
  mirror: (run) => {
    const { method, scheme, authority, target, headers, peer, body, streaming, contentLength } = run.incoming;
    const seen = {
      method,
      scheme,
      authority,
      target,
      headers,
      peer,
      body: body && Buffer.from(body).toString("latin1"),
      streaming,
      contentLength,
    };
    run.answer(200, ["content-type", "application/json"], JSON.stringify(seen));
  },
  /** Sends the body back as it comes. */
  echo: async (run) => {
    if (!run.incoming.streaming) return run.answer(200, text, run.incoming.body);
    run.begin();
    for (let piece = await run.read(); piece !== undefined; piece = await run.read()) await run.write(piece);
    run.reply.end(run.requestTrailers);
  },
  /** Asks for 10 bytes, then for 5, and answers with the number that came each time. */
  sipper: async (run) => {
    run.want(10);
    await run.until(() => run.received === 10);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const first = run.received;
    run.want(5);
    await run.until(() => run.received >= 15);
    await new Promise((resolve) => setTimeout(resolve, 30));
    run.answer(200, text, `${first} ${run.received}`);
    run.want(0);
  },
  /** Never looks at the body. */
  ignorer: (run) => run.answer(200, text, "ignored"),
  /** Repeated fields, odd bytes, and fields that must not cross. */
  headers: (run) =>
    run.answer(
      200,
      [
        "Set-Cookie",
        "a=1",
        "Set-Cookie",
        "b=2",
        "X-Latin",
        "caf\u00e9",
        "Connection",
        "close, X-Named",
        "X-Named",
        "no",
        "Keep-Alive",
        "timeout=99",
        "Transfer-Encoding",
        "gzip",
        "Upgrade",
        "h2c",
        "Proxy-Authenticate",
        "Basic",
        "TE",
        "trailers",
        "X-Kept",
        "yes",
      ],
      "body",
    ),
  /** Writes whatever the method. */
  writer: async (run) => {
    run.begin(200, ["content-length", "5"]);
    await run.write(bytes("he"));
    await run.write(bytes("llo"));
    run.reply.end(undefined);
  },
  /** Writes for ever. */
  endless: async (run) => {
    run.begin();
    for (;;) await run.write(new Uint8Array(64 * 1024));
  },
  /** Writes 200 MB. */
  bulk: async (run) => {
    run.begin();
    for (let i = 0; i < 3200; i += 1) await run.write(new Uint8Array(62_500));
    run.reply.end(undefined);
  },
  /** Reads everything and says how much it was. */
  sink: async (run) => {
    while (run.incoming.streaming && (await run.read(64 * 1024)) !== undefined);
    run.answer(200, text, String(run.incoming.body?.byteLength ?? run.received));
  },
  /** Answers with the status of the path, and a body. */
  status: (run) => run.answer(Number(run.incoming.target.slice(1)), text, "body"),
  /** Declares more than it writes, in one go. */
  shortWhole: (run) => run.answer(200, ["Content-Length", "10"], "short"),
  /** Declares two lengths. */
  twoLengths: (run) => run.answer(200, ["Content-Length", "5", "content-length", "6"], "short"),
  /** Declares more than it writes, in pieces. */
  shortStream: async (run) => {
    run.begin(200, ["Content-Length", "10"], bytes("short"));
    await run.until(() => run.taken_ === 5);
    run.reply.end(undefined);
  },
  /** Declares less than it writes, in pieces. */
  longStream: async (run) => {
    run.begin(200, ["Content-Length", "6"], bytes("short"));
    await run.until(() => run.taken_ === 5);
    await run.write(bytes("er"));
    run.reply.end(undefined);
  },
  /** A field value that HTTP does not allow. */
  badField: (run) => run.answer(200, ["X-Bad", "a\u0001b"], "body"),
  /** Fails before the head. */
  failing: (run) =>
    run.reply.problem({ code: "capacity/node-full", detail: "Nothing is free." }, ["Pilotlight-Run", run.run, "Retry-After", "3"]),
  /** Breaks off after a piece. */
  breaking: async (run) => {
    run.begin(200, [], bytes("half"));
    await run.until(() => run.taken_ === 4);
    run.reply.reset();
  },
  /** Fails after a piece. */
  failingLate: async (run) => {
    run.begin(200, [], bytes("half"));
    await run.until(() => run.taken_ === 4);
    run.reply.problem({ code: "guest/trap", detail: undefined }, []);
  },
  /** Breaks off before the head. */
  breakingEarly: (run) => run.reply.reset(),
  /** Never answers. */
  silent: () => {},
  /** Three events, each when the one before was read (`x-go` requests say so). */
  events: (run) => run.begin(200, ["content-type", "text/event-stream"]),
  /** A bug of ours. */
  bug: () => {
    throw new Error("secret detail");
  },
  /** Trailers known with the head. */
  trailersAtOnce: (run) => run.answer(200, text, "body", ["X-Sum", "1", "X-Two", "2", "Content-Length", "9"]),
  /** Trailers known at the end, announced, after a declared length. */
  trailersLate: async (run) => {
    run.begin(200, ["Content-Length", "4", "Trailer", "X-Sum"]);
    await run.write(bytes("body"));
    run.reply.end(["X-Sum", "1"]);
  },
} as const satisfies Record<string, Script>;

export type GuestName = keyof typeof GUESTS;

/**
 * One request on its way through the pipeline, free of any transport.
 *
 * A front (Node's HTTP server, the portable `fetch`, a test) makes an `Incoming` and a `Reply`, hands both
 * to `Invoke`, and drives the returned `Exchange`. All of it is callbacks rather than promises and streams:
 * this is the hot path, and a front turns it into whatever its platform wants.
 */
import type { HeaderList } from "../base/headers.js";
import type { Problem } from "../base/problem.js";

/** What a front knows about a request. */
export interface Incoming {
  readonly method: string;
  readonly scheme: "http" | "https";
  /** The `Host` header or authority, possibly empty. */
  readonly authority: string;
  /** Path and query exactly as on the wire; `*` and absolute forms are the front's to turn into a path. */
  readonly target: string;
  /** As on the wire, hop-by-hop fields included; the pipeline removes what must not cross. */
  readonly headers: HeaderList;
  /** The peer's address, for logs and for "is this loopback". */
  readonly peer: string;
  /** The whole body when the front has it (at most `INLINE_BYTES`); undefined and `streaming` false: there is none. */
  readonly body: Uint8Array | undefined;
  /** True when the body comes in pieces, through `Exchange.input` and `Exchange.inputEnd`. */
  readonly streaming: boolean;
  /** The declared length, where there is one. */
  readonly contentLength: number | undefined;
}

/** Where the answer goes. Calls come in the order `head` `chunk`* `end`, or `problem`, or any prefix and then `reset`. */
export interface Reply {
  /**
   * The answer begins. `body` is its beginning, `ended` says that this is all of it (then neither `chunk`
   * nor `end` follow). `headers` have ours in them; the front takes out hop-by-hop fields, which it frames itself.
   */
  head(status: number, headers: HeaderList, body: Uint8Array | undefined, ended: boolean, trailers: HeaderList | undefined): void;
  chunk(bytes: Uint8Array): void;
  end(trailers: HeaderList | undefined): void;
  /** There will be no answer from the guest; the front renders the problem. `headers` are ours (run id, Retry-After, …). */
  problem(problem: Problem, headers: HeaderList): void;
  /** The head is out and the rest will not come: destroy the connection, never end it cleanly. */
  reset(): void;
  /** The guest wants `bytes` more of the request body; the first call says that it is wanted at all (100-continue). 0: no more will be. */
  wantInput(bytes: number): void;
}

/** The front's side of a run that goes on. Every method may be called at any time; late ones do nothing. */
export interface Exchange {
  /** The public run id, in `Pilotlight-Run`. */
  readonly run: string;
  input(bytes: Uint8Array): void;
  inputEnd(trailers: HeaderList | undefined): void;
  /** The client has taken `bytes` of the answer. */
  taken(bytes: number): void;
  /** The client is gone, or the front gives up. */
  cancel(): void;
  /** The guest's answer cannot be sent as HTTP: the client has a problem instead, and the run ends as the guest's error. */
  refuse(detail: string): void;
}

export type Invoke = (incoming: Incoming, reply: Reply) => Exchange;

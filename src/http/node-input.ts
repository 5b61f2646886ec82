/**
 * A request body on its way from Node's HTTP server to a run: whole when it is small, else in pieces that the
 * run has asked for.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { HeaderList } from "../base/headers.js";
import { readTrailers } from "./mapping.js";

/** Reads a body of `length` bytes and gives it on; `late` is called instead when it has not come in `limitMs`. */
export function collect(
  message: IncomingMessage,
  length: number,
  limitMs: number,
  done: (body: Uint8Array) => void,
  late: (received: number) => void,
): void {
  let first: Uint8Array | undefined;
  let rest: Uint8Array[] | undefined;
  let received = 0;
  const timer = setTimeout(() => {
    message.off("data", onData);
    message.off("end", onEnd);
    late(received);
  }, limitMs);
  const onData = (bytes: Uint8Array): void => {
    received += bytes.byteLength;
    if (first === undefined) first = bytes;
    else (rest ??= [first]).push(bytes);
  };
  const onEnd = (): void => {
    clearTimeout(timer);
    done(rest === undefined ? (first ?? new Uint8Array()) : Buffer.concat(rest, length));
  };
  message.on("data", onData);
  message.on("end", onEnd);
  message.on("close", () => clearTimeout(timer));
}

/** How much of a body that nobody wants is read, and for how long, so that a small rest does not cost the connection. */
const DISCARDED_BYTES = 1024 * 1024;
const DISCARDED_MS = 5000;
const FAREWELL_MS = 1000;

/** Where the pieces go. */
export interface InputSink {
  input(bytes: Uint8Array): void;
  inputEnd(trailers: HeaderList | undefined): void;
  cancel(): void;
}

/**
 * Reads no more than was wanted, so a run that does not read holds the client back through the socket. Nothing
 * is read, and no `100 Continue` sent, before the first `want`.
 */
export class NodeInput {
  readonly #message: IncomingMessage;
  readonly #outgoing: ServerResponse;
  #expects: boolean;
  #sink: InputSink | undefined;
  #credit = 0;
  #stage: "unread" | "reading" | "over" = "unread";
  #pumping = false;

  /** @param expects the client waits for `100 Continue` */
  constructor(message: IncomingMessage, outgoing: ServerResponse, expects: boolean) {
    this.#message = message;
    this.#outgoing = outgoing;
    this.#expects = expects;
  }

  /** Pieces flow from here on; a run may want some before it is known to the front. */
  connect(sink: InputSink): void {
    this.#sink = sink;
    if (this.#credit > 0) this.#read();
  }

  /** `bytes` more are wanted; 0 says that no more will be, so that the rest can be thrown away. */
  want(bytes: number): void {
    if (this.#stage === "over") return;
    if (bytes <= 0) return this.#discard();
    this.#credit += bytes;
    if (this.#expects && !this.#outgoing.headersSent) {
      this.#expects = false;
      this.#outgoing.writeContinue();
    }
    if (this.#sink !== undefined) this.#read();
  }

  #read(): void {
    if (this.#stage === "unread") {
      this.#stage = "reading";
      this.#message.on("readable", this.#pump);
      this.#message.on("end", this.#end);
      // Of the socket: once the answer is out, Node no longer tells the message that its connection broke.
      this.#message.socket.on("close", this.#close);
    }
    this.#pump();
  }

  readonly #pump = (): void => {
    if (this.#pumping || this.#stage !== "reading") return;
    this.#pumping = true;
    const message = this.#message;
    while (this.#credit > 0 && message.readableLength > 0) {
      const bytes = message.read(Math.min(message.readableLength, this.#credit)) as Uint8Array | null;
      if (bytes === null) break;
      this.#credit -= bytes.byteLength;
      this.#sink?.input(bytes);
    }
    this.#pumping = false;
    // Asks the socket for more, and lets a body that is over say so.
    if (message.readableLength === 0 && this.#stage === "reading") message.read(0);
  };

  readonly #end = (): void => {
    this.#over();
    this.#sink?.inputEnd(readTrailers(this.#message.rawTrailers));
  };

  readonly #close = (): void => {
    this.#over();
    if (!this.#message.complete) this.#sink?.cancel();
  };

  #over(): void {
    this.#stage = "over";
    this.#message.off("readable", this.#pump);
    this.#message.off("end", this.#end);
    this.#message.socket.off("close", this.#close);
  }

  #discard(): void {
    this.#over();
    // An unread body of a client that waits for 100 Continue will not come: there is nothing to throw away.
    if (this.#expects || this.#message.complete) return;
    let left = DISCARDED_BYTES;
    const timer = setTimeout(() => this.#hangUp(), DISCARDED_MS).unref();
    this.#message.once("close", () => clearTimeout(timer));
    this.#message.on("data", (bytes: Uint8Array) => {
      left -= bytes.byteLength;
      if (left < 0) this.#hangUp();
    });
    this.#message.resume();
  }

  /** The client goes on with a body that nobody wants: it may still take its answer, and then the connection ends. */
  #hangUp(): void {
    const { socket } = this.#message;
    this.#message.pause();
    const end = (): void => {
      socket.end();
      setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
    };
    if (this.#outgoing.writableFinished) end();
    else this.#outgoing.once("finish", end);
  }
}

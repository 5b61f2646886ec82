/**
 * An answer on its way to a socket of Node's HTTP server, and the credit that comes back from it.
 *
 * One object per request, callbacks only. Hop-by-hop fields of the guest are taken out here (`readAnswer`); the
 * framing is Node's. Once the head is out, anything wrong destroys the connection.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { HeaderList } from "../base/headers.js";
import type { Problem } from "../base/problem.js";
import type { Exchange, Reply } from "../invoke/invocation.js";
import { hasToken } from "../base/hop-by-hop.js";
import {
  BadAnswer,
  DROPPED_MS,
  LengthGuard,
  lengthMismatch,
  readAnswer,
  readTrailers,
  runOf,
  withLength,
  type AnswerHead,
} from "./mapping.js";
import type { NodeInput } from "./node-input.js";
import { pairs, problemAnswer } from "./problem-reply.js";

/** Bodies up to this size leave in one write with their head; larger ones are not worth the copy. */
const JOINED_BYTES = 16 * 1024;

export class NodeReply implements Reply {
  readonly #message: IncomingMessage;
  readonly #outgoing: ServerResponse;
  readonly #input: NodeInput | undefined;
  #exchange: Exchange | undefined;
  /** Why the answer was refused, where it came before the exchange. */
  #refused: string | undefined;
  #stage: "waiting" | "streaming" | "dropping" | "over" = "waiting";
  #length: LengthGuard | undefined;
  #dropping: NodeJS.Timeout | undefined;

  /** @param input the body, when it comes in pieces */
  constructor(message: IncomingMessage, outgoing: ServerResponse, input: NodeInput | undefined) {
    this.#message = message;
    this.#outgoing = outgoing;
    this.#input = input;
    outgoing.on("close", () => this.#closed());
  }

  /** The run has begun; it may have answered already. */
  connect(exchange: Exchange): void {
    this.#exchange = exchange;
    if (this.#refused !== undefined) exchange.refuse(this.#refused);
    if (this.#outgoing.destroyed && !this.#outgoing.writableFinished) exchange.cancel();
    this.#input?.connect(exchange);
  }

  head(status: number, headers: HeaderList, body: Uint8Array | undefined, ended: boolean, trailers: HeaderList | undefined): void {
    if (!this.#open()) return;
    const answer = readAnswer(status, headers, this.#message.method === "HEAD");
    if (answer instanceof BadAnswer) return this.#refuse(answer.detail, headers);
    const length = body?.byteLength ?? 0;
    const declared = answer.contentLength;
    if (declared !== undefined && !answer.bodiless && (ended ? length !== declared : length > declared)) {
      return this.#refuse(lengthMismatch(declared, length), headers);
    }
    try {
      if (answer.bodiless) this.#bodiless(status, answer, length, ended);
      else if (ended && !this.#wantsTrailers(answer, trailers)) this.#whole(status, answer, body, length);
      else this.#begin(status, answer, body, length, ended, trailers);
    } catch (error) {
      this.#refuse(`The function's answer cannot be sent: ${(error as Error).message}.`, headers);
    }
  }

  chunk(bytes: Uint8Array): void {
    const count = bytes.byteLength;
    if (count === 0) return;
    if (this.#stage === "dropping") {
      setImmediate(() => this.#exchange?.taken(count));
    } else if (this.#stage === "streaming") {
      if (!(this.#length as LengthGuard).add(count)) return this.reset();
      this.#write(bytes, count);
    }
  }

  end(trailers: HeaderList | undefined): void {
    clearTimeout(this.#dropping);
    if (this.#stage === "streaming") this.#finish(trailers);
    else if (this.#stage === "dropping") this.#stage = "over";
  }

  problem(problem: Problem, headers: HeaderList): void {
    if (this.#stage === "streaming") return this.reset();
    if (!this.#open()) return;
    this.#stage = "over";
    sendProblem(this.#outgoing, problem, headers);
  }

  reset(): void {
    clearTimeout(this.#dropping);
    if (this.#stage !== "waiting" && this.#stage !== "streaming") return;
    this.#stage = "over";
    this.#exchange?.cancel();
    // What was written in this turn, the head perhaps, is still corked: it goes out first, and then the connection breaks.
    setImmediate(() => destroy(this.#outgoing));
  }

  wantInput(bytes: number): void {
    this.#input?.want(bytes);
  }

  /** True until an answer has begun; a malformed request may have been answered without us. */
  #open(): boolean {
    return this.#stage === "waiting" && !this.#outgoing.headersSent && !this.#outgoing.destroyed;
  }

  /** The whole answer is here: one write, with its length. */
  #whole(status: number, answer: AnswerHead, body: Uint8Array | undefined, length: number): void {
    const fields = answer.contentLength === undefined ? [...answer.headers, "Content-Length", String(length)] : answer.headers;
    this.#outgoing.writeHead(status, fields as string[]);
    this.#stage = "over";
    if (body === undefined || length === 0) this.#outgoing.end();
    // Node joins a string with the head and writes both at once; latin1 keeps every byte as it is.
    else if (length <= JOINED_BYTES) this.#outgoing.end(asBuffer(body).toString("latin1"), "latin1");
    else this.#outgoing.end(body);
  }

  /** Head only. What the guest goes on to write is thrown away, for a while. */
  #bodiless(status: number, answer: AnswerHead, length: number, ended: boolean): void {
    let fields = answer.headers;
    if (ended && length > 0 && answer.contentLength === undefined && this.#message.method === "HEAD" && status !== 304) {
      fields = [...fields, "Content-Length", String(length)];
    } else if (status === 205) fields = [...fields, "Content-Length", "0"];
    this.#outgoing.writeHead(status, fields as string[]);
    this.#outgoing.end();
    this.#stage = ended ? "over" : "dropping";
    if (ended) return;
    this.#dropping = setTimeout(() => this.#dropNoMore(), DROPPED_MS).unref();
    if (length > 0) setImmediate(() => this.#exchange?.taken(length));
  }

  /** The head and what there is of the body. */
  #begin(
    status: number,
    answer: AnswerHead,
    body: Uint8Array | undefined,
    length: number,
    ended: boolean,
    trailers: HeaderList | undefined,
  ): void {
    const outgoing = this.#outgoing;
    let fields = answer.headers;
    if (this.#wantsTrailers(answer, trailers)) {
      const names = readTrailers(trailers)?.filter((_, i) => i % 2 === 0);
      fields = [...withLength(fields, undefined), "Trailer", names?.join(", ") ?? (answer.announced as string)];
    }
    outgoing.writeHead(status, fields as string[]);
    this.#stage = "streaming";
    this.#length = new LengthGuard(answer.contentLength);
    this.#length.add(length);
    if (body !== undefined && length > 0) this.#write(body, length);
    else if (!ended) outgoing.flushHeaders();
    if (ended) this.#finish(trailers);
  }

  /**
   * Trailers need chunks, and chunks exclude a declared length: the length gives way when the client has said
   * `TE: trailers` and trailers are there or announced. Without a length an answer is chunked anyway, and a
   * recipient that does not care for its trailers may drop them (RFC 9110, 6.5.1), so they are always sent.
   */
  #wantsTrailers(answer: AnswerHead, trailers: HeaderList | undefined): boolean {
    if (trailers === undefined && answer.announced === undefined) return false;
    if (!this.#outgoing.useChunkedEncodingByDefault) return false;
    if (readTrailers(trailers) === undefined && answer.announced === undefined) return false;
    return answer.contentLength === undefined || hasToken(String(this.#message.headers.te ?? ""), "trailers");
  }

  #write(bytes: Uint8Array, count: number): void {
    this.#outgoing.write(bytes, (error) => {
      if (error === null || error === undefined) this.#exchange?.taken(count);
    });
  }

  #finish(trailers: HeaderList | undefined): void {
    if (!(this.#length as LengthGuard).complete) return this.reset();
    const sent = this.#outgoing.chunkedEncoding ? readTrailers(trailers) : undefined;
    try {
      if (sent !== undefined) this.#outgoing.addTrailers(pairs(sent));
    } catch {
      return this.reset();
    }
    this.#stage = "over";
    this.#outgoing.end();
  }

  /** An answer that is not HTTP: nothing of it was sent, so the client gets a problem and the run ends. */
  #refuse(detail: string, headers: HeaderList): void {
    this.problem({ code: "guest/error", detail }, runOf(headers));
    if (this.#exchange === undefined) this.#refused = detail;
    else this.#exchange.refuse(detail);
  }

  #dropNoMore(): void {
    this.#stage = "over";
    this.#exchange?.cancel();
  }

  #closed(): void {
    if (this.#stage === "dropping" && this.#outgoing.writableFinished) return;
    if (this.#stage === "over" && this.#outgoing.writableFinished) return;
    clearTimeout(this.#dropping);
    this.#stage = "over";
    this.#exchange?.cancel();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Writes a problem as the whole answer. */
export function sendProblem(outgoing: ServerResponse, problem: Problem, headers: HeaderList): void {
  const answer = problemAnswer(problem, headers);
  // Left over when an answer of the guest's failed half-way through `writeHead`.
  outgoing.statusMessage = "";
  outgoing.writeHead(answer.status, answer.headers);
  outgoing.end(answer.body);
}

/**
 * Ends an answer so that the client sees that it is not whole. Where the end of the connection is the end of the
 * body (HTTP/1.0), only a TCP reset says so.
 */
function destroy(outgoing: ServerResponse): void {
  const socket = outgoing.socket;
  const delimited = outgoing.chunkedEncoding || outgoing.useChunkedEncodingByDefault;
  if (socket === null || delimited) outgoing.destroy();
  else socket.resetAndDestroy();
}

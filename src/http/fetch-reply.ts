/**
 * An answer on its way to a web `Response`, and the credit that comes back from whoever reads its body.
 */
import type { UnderlyingSource } from "node:stream/web";
import type { HeaderList } from "../base/headers.js";
import type { Problem } from "../base/problem.js";
import type { Exchange, Reply } from "../invoke/invocation.js";
import type { FetchInput } from "./fetch-input.js";
import { BadAnswer, DROPPED_MS, LengthGuard, lengthMismatch, readAnswer, runOf } from "./mapping.js";
import { pairs, problemResponse } from "./problem-reply.js";

export class FetchReply implements Reply {
  /** Settles when the answer begins. */
  readonly response: Promise<Response>;
  readonly #request: Request;
  readonly #input: FetchInput | undefined;
  #resolve!: (response: Response) => void;
  #reject!: (error: unknown) => void;
  #exchange: Exchange | undefined;
  /** Why the answer was refused, where it came before the exchange. */
  #refused: string | undefined;
  #stage: "waiting" | "streaming" | "dropping" | "over" = "waiting";
  #length: LengthGuard | undefined;
  #dropping: NodeJS.Timeout | undefined;
  #body: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** Written and not read yet. */
  #queue: Uint8Array[] = [];
  /** Whoever reads the body waits for the next piece. */
  #hungry = false;

  /** @param input the request's body, when it comes in pieces */
  constructor(request: Request, input: FetchInput | undefined) {
    this.#request = request;
    this.#input = input;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    request.signal.addEventListener("abort", this.#aborted, { once: true });
  }

  /** The run has begun; it may have answered already. */
  connect(exchange: Exchange): void {
    this.#exchange = exchange;
    if (this.#refused !== undefined) exchange.refuse(this.#refused);
    this.#input?.connect(exchange, (error) => this.#giveUp(error));
  }

  head(status: number, headers: HeaderList, body: Uint8Array | undefined, ended: boolean): void {
    if (this.#stage !== "waiting") return;
    const answer = readAnswer(status, headers, this.#request.method === "HEAD");
    if (answer instanceof BadAnswer) return this.#refuse(answer.detail, headers);
    const length = body?.byteLength ?? 0;
    const declared = answer.contentLength;
    if (declared !== undefined && !answer.bodiless && (ended ? length !== declared : length > declared)) {
      return this.#refuse(lengthMismatch(declared, length), headers);
    }
    const whole = answer.bodiless || ended;
    try {
      refuseControls(answer.headers);
      const content = answer.bodiless ? null : ended ? ((body ?? new Uint8Array()) as Uint8Array<ArrayBuffer>) : this.#stream();
      this.#resolve(new Response(content, { status, headers: pairs(answer.headers) }));
    } catch (error) {
      return this.#refuse(`The function's answer cannot be sent: ${(error as Error).message}.`, headers);
    }
    if (whole && ended) return this.#done();
    if (answer.bodiless) {
      this.#stage = "dropping";
      this.#dropping = setTimeout(() => this.#dropNoMore(), DROPPED_MS).unref();
      if (length > 0) this.#dropped(length);
      return;
    }
    this.#stage = "streaming";
    this.#length = new LengthGuard(declared);
    if (body !== undefined && length > 0) this.chunk(body);
  }

  chunk(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    if (this.#stage === "dropping") return this.#dropped(bytes.byteLength);
    if (this.#stage !== "streaming") return;
    if (!(this.#length as LengthGuard).add(bytes.byteLength)) return this.reset();
    this.#queue.push(bytes);
    if (this.#hungry) this.#serve();
  }

  end(): void {
    if (this.#stage === "dropping") return this.#done();
    if (this.#stage !== "streaming") return;
    if (!(this.#length as LengthGuard).complete) return this.reset();
    this.#done();
    if (this.#queue.length === 0) this.#body?.close();
  }

  problem(problem: Problem, headers: HeaderList): void {
    if (this.#stage === "streaming") return this.reset();
    if (this.#stage !== "waiting") return;
    this.#resolve(problemResponse(problem, headers, this.#request.method === "HEAD"));
    this.#done();
  }

  reset(): void {
    this.#giveUp(new Error("The answer broke off: its run ended before the body did."));
  }

  wantInput(bytes: number): void {
    this.#input?.want(bytes);
  }

  #stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    // With room for nothing, `pull` means that a reader waits: back-pressure reaches the run byte by byte.
    const source: UnderlyingSource<Uint8Array> = {
      start: (controller) => void (this.#body = controller),
      pull: () => this.#serve(),
      cancel: (reason) => this.#giveUp(reason),
    };
    return new ReadableStream(source, { highWaterMark: 0 }) as ReadableStream<Uint8Array<ArrayBuffer>>;
  }

  /** Gives the next piece to the waiting reader. */
  #serve(): void {
    const bytes = this.#queue.shift();
    this.#hungry = bytes === undefined;
    if (bytes === undefined) return;
    this.#body?.enqueue(bytes);
    this.#taken(bytes.byteLength);
    if (this.#stage === "over" && this.#queue.length === 0) this.#body?.close();
  }

  /** Later, so that a run that answers a credit with a piece at once does not call us while we call it. */
  #taken(count: number): void {
    queueMicrotask(() => this.#exchange?.taken(count));
  }

  /** In a later turn, so that a run that writes without end leaves time for others, and for its own end. */
  #dropped(count: number): void {
    setImmediate(() => this.#exchange?.taken(count));
  }

  #dropNoMore(): void {
    this.#done();
    this.#exchange?.cancel();
  }

  /** The answer is complete as far as the run goes; its reader may still be at it. */
  #done(): void {
    this.#stage = "over";
    clearTimeout(this.#dropping);
    if (this.#queue.length === 0) this.#request.signal.removeEventListener("abort", this.#aborted);
  }

  readonly #aborted = (): void => this.#giveUp(this.#request.signal.reason);

  /** Somebody left: the run, the client, or the source of the request's body. */
  #giveUp(error: unknown): void {
    const streaming = this.#stage === "streaming" || this.#queue.length > 0;
    if (this.#stage === "over" && !streaming) return;
    this.#queue = [];
    this.#done();
    this.#reject(error);
    if (streaming) this.#body?.error(error);
    this.#input?.stop();
    this.#exchange?.cancel();
  }

  /** An answer that is not HTTP: the client gets a problem and the run ends. */
  #refuse(detail: string, headers: HeaderList): void {
    this.problem({ code: "guest/error", detail }, runOf(headers));
    if (this.#exchange === undefined) this.#refused = detail;
    else this.#exchange.refuse(detail);
  }
}

/** `Headers` takes control characters that no HTTP/1.1 server would send. */
function refuseControls(headers: HeaderList): void {
  for (let i = 1; i < headers.length; i += 2) {
    // oxlint-disable-next-line no-control-regex
    if (/[^\t\x20-\x7e\x80-\xff]/.test(headers[i] as string))
      throw new TypeError(`Invalid character in header content ["${headers[i - 1]}"]`);
  }
}

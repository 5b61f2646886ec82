/**
 * An `Invoke` that a test scripts: each run is handed to a function, which answers as a guest would.
 *
 * The scripts speak in promises, for the sake of the tests; the front is driven through the same callbacks as by
 * the real pipeline. Every run is kept, so that a test can look at what became of it.
 */
import { CREDIT_BYTES } from "../../src/engine/engine.js";
import type { HeaderList } from "../../src/base/headers.js";
import type { Exchange, Incoming, Invoke, Reply } from "../../src/invoke/invocation.js";

/** Answers one run. */
export type Script = (run: FakeRun) => void | Promise<void>;

export class FakeRun implements Exchange {
  readonly run: string;
  readonly incoming: Incoming;
  readonly reply: Reply;
  /** Resolves when the front gives the run up. */
  readonly cancelled: Promise<void>;
  isCancelled = false;
  /** Bytes of the answer written, and taken by the client. */
  written = 0;
  taken_ = 0;
  /** Bytes of the request body asked for, and received. */
  wanted = 0;
  received = 0;
  /** The largest piece of the request body. */
  largest = 0;
  requestTrailers: HeaderList | undefined;
  inputEnded = false;
  #pieces: Uint8Array[] = [];
  #wake: (() => void)[] = [];
  #cancel!: () => void;

  constructor(run: string, incoming: Incoming, reply: Reply) {
    this.run = run;
    this.incoming = incoming;
    this.reply = reply;
    this.cancelled = new Promise((resolve) => (this.#cancel = resolve));
  }

  input(bytes: Uint8Array): void {
    this.received += bytes.byteLength;
    this.largest = Math.max(this.largest, bytes.byteLength);
    this.#pieces.push(bytes);
    this.#changed();
  }

  inputEnd(trailers: HeaderList | undefined): void {
    this.inputEnded = true;
    this.requestTrailers = trailers;
    this.#changed();
  }

  taken(bytes: number): void {
    this.taken_ += bytes;
    this.#changed();
  }

  refuse(): void {
    this.cancel();
  }

  cancel(): void {
    if (this.isCancelled) return;
    this.isCancelled = true;
    this.#cancel();
    this.#changed();
  }

  /** Asks for up to `bytes` of the request body and waits for a piece; undefined at its end. */
  async read(bytes = CREDIT_BYTES): Promise<Uint8Array | undefined> {
    if (this.#pieces.length === 0 && !this.inputEnded && this.wanted <= this.received) this.want(bytes);
    await this.until(() => this.#pieces.length > 0 || this.inputEnded);
    return this.#pieces.shift();
  }

  want(bytes: number): void {
    this.wanted += bytes;
    this.reply.wantInput(bytes);
  }

  /** Writes a piece of the answer as soon as credit allows. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.until(() => this.written - this.taken_ + bytes.byteLength <= CREDIT_BYTES);
    this.written += bytes.byteLength;
    this.reply.chunk(bytes);
  }

  /** The beginning of an answer that streams. */
  begin(status = 200, headers: HeaderList = [], body?: Uint8Array): void {
    this.written += body?.byteLength ?? 0;
    this.reply.head(status, ["Pilotlight-Run", this.run, ...headers], body, false, undefined);
  }

  /** A whole answer. */
  answer(status: number, headers: HeaderList, body?: string | Uint8Array, trailers?: HeaderList): void {
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    this.reply.head(status, ["Pilotlight-Run", this.run, ...headers], bytes, true, trailers);
  }

  /** Waits until something is so; rejects when the run is cancelled first. */
  async until(condition: () => boolean): Promise<void> {
    for (;;) {
      if (this.isCancelled) throw new Cancelled();
      if (condition()) return;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

/** Thrown out of a script whose run is cancelled while it waits. */
class Cancelled extends Error {}

export interface FakeInvoke {
  readonly invoke: Invoke;
  readonly runs: FakeRun[];
  /** The `n`th run, as soon as there is one. */
  run(n?: number): Promise<FakeRun>;
}

/** Makes an `Invoke` whose every run is answered by `script`. */
export function fakeInvoke(script: Script): FakeInvoke {
  const runs: FakeRun[] = [];
  const waiting = new Map<number, ((run: FakeRun) => void)[]>();
  return {
    runs,
    run: (n = 0) => {
      const run = runs[n];
      if (run !== undefined) return Promise.resolve(run);
      return new Promise((resolve) => waiting.set(n, [...(waiting.get(n) ?? []), resolve]));
    },
    invoke(incoming, reply) {
      const run = new FakeRun(`run-${runs.length}`, incoming, reply);
      runs.push(run);
      for (const resolve of waiting.get(runs.length - 1) ?? []) resolve(run);
      const done = script(run);
      done?.catch((error: unknown) => {
        if (!(error instanceof Cancelled)) throw error;
      });
      return run;
    },
  };
}

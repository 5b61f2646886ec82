/**
 * The body of a web `Request` on its way to a run, in pieces that the run has asked for.
 */
import type { Exchange } from "../invoke/invocation.js";

export class FetchInput {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #exchange: Exchange | undefined;
  #failed: ((error: unknown) => void) | undefined;
  #credit = 0;
  /** Read and not asked for yet. */
  #carry: Uint8Array | undefined;
  #stage: "idle" | "reading" | "over" = "idle";

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  /** Pieces flow from here on; `failed` is told when the body's source fails. */
  connect(exchange: Exchange, failed: (error: unknown) => void): void {
    this.#exchange = exchange;
    this.#failed = failed;
    this.#start();
  }

  /** `bytes` more are wanted; 0 says that no more will be. */
  want(bytes: number): void {
    if (bytes <= 0) return this.stop();
    this.#credit += bytes;
    this.#start();
  }

  /** The rest is not wanted; its source is told so. */
  stop(): void {
    if (this.#stage === "over") return;
    this.#stage = "over";
    this.#carry = undefined;
    this.#reader.cancel().catch(() => {});
  }

  #start(): void {
    if (this.#stage !== "idle" || this.#credit <= 0 || this.#exchange === undefined) return;
    this.#stage = "reading";
    this.#pump(this.#exchange).catch((error: unknown) => {
      if (this.#over()) return;
      this.#stage = "over";
      this.#failed?.(error);
    });
  }

  async #pump(exchange: Exchange): Promise<void> {
    while (this.#credit > 0) {
      const bytes = this.#carry ?? (await this.#reader.read()).value;
      if (this.#over()) return;
      if (bytes === undefined) {
        this.#stage = "over";
        return exchange.inputEnd(undefined);
      }
      const wanted = bytes.byteLength <= this.#credit ? bytes : bytes.subarray(0, this.#credit);
      this.#carry = wanted === bytes ? undefined : bytes.subarray(wanted.byteLength);
      this.#credit -= wanted.byteLength;
      if (wanted.byteLength > 0) exchange.input(wanted);
    }
    if (!this.#over()) this.#stage = "idle";
  }

  /** A method, because the stage changes while `#pump` waits. */
  #over(): boolean {
    return this.#stage === "over";
  }
}

/**
 * How headers and events cross the native boundary: through memory that both sides know.
 *
 * `native/src/drain.rs` has the table of what each event is made of. Numbers stand in a `Float64Array`; text and
 * small bodies in a `Uint8Array`, one after the other; bodies too large for it in an array of Buffers.
 */
import type { HeaderList } from "../base/headers.js";
import type { EngineEvent, GuestLine } from "./engine.js";
import type { Outcome, Usage } from "./outcome.js";
import type { Consulted } from "./sidecars.js";
import { readTrace } from "./trace.js";

/** A header list as one latin1 string: names and values joined with LF, which neither can hold. */
export function joinHeaders(headers: HeaderList): string {
  return headers.join("\n");
}

/** The reverse of `joinHeaders`. */
export function splitHeaders(block: string): HeaderList {
  return block === "" ? [] : block.split("\n");
}

/** What becomes of answers to `load`, `link`, `footprint`, `probe`, writes and `close`, which are not events of the port. */
export interface Replies {
  loaded(request: number, json: string | undefined, error: string | undefined): void;
  linked(request: number, program: number | undefined, error: string | undefined): void;
  closed(): void;
  written(request: number, revision: number | undefined, error: string | undefined): void;
  measured(request: number, bytes: number | undefined, error: string | undefined): void;
  probed(request: number, json: string | undefined, error: string | undefined): void;
}

const ORIGINS = ["stdout", "stderr", "wasi:logging"] as const;
const OK: Outcome = { kind: "ok", exit: 0 };
const NO_HEADERS: HeaderList = [];

/** Reads what `drain` has written. */
export class EventReader {
  readonly #numbers: Float64Array;
  readonly #bytes: Buffer;
  #large: readonly Buffer[] = [];
  #n = 0;
  #b = 0;
  #l = 0;

  constructor(numbers: Float64Array, bytes: Buffer) {
    this.#numbers = numbers;
    this.#bytes = bytes;
  }

  /** Appends everything to `events`, in order; true when there is more to drain. */
  read(large: readonly Buffer[] | undefined, events: EngineEvent[], replies: Replies): boolean {
    this.#n = this.#b = this.#l = 0;
    this.#large = large ?? [];
    for (;;) {
      const tag = this.#number();
      switch (tag) {
        case 0:
          events.push({ kind: "ready", slot: this.#number(), generation: this.#number(), nanoseconds: this.#number() });
          break;
        case 1:
          events.push({ kind: "failed", slot: this.#number(), generation: this.#number(), outcome: this.#outcome() });
          break;
        case 2:
          events.push({ kind: "lease-refused", slot: this.#number(), generation: this.#number(), run: this.#number() });
          break;
        case 3:
          events.push({
            kind: "head",
            run: this.#number(),
            status: this.#number(),
            headers: this.#headers() ?? NO_HEADERS,
            body: this.#body(),
            ended: this.#number() === 1,
            trailers: this.#headers(),
            startNanoseconds: this.#number(),
            notes: this.#number(),
          });
          break;
        case 4:
          events.push({ kind: "chunk", run: this.#number(), bytes: this.#body() as Uint8Array });
          break;
        case 5:
          events.push({ kind: "end", run: this.#number(), trailers: this.#headers() });
          break;
        case 6:
          events.push({ kind: "need-input", run: this.#number(), bytes: this.#number() });
          break;
        case 7:
          events.push({ kind: "result", run: this.#number(), json: this.#text() });
          break;
        case 8:
          events.push({
            kind: "ask",
            run: this.#number(),
            ask: this.#number(),
            interface: this.#text(),
            function: this.#text(),
            arguments: this.#text(),
          });
          break;
        case 9:
          this.#log(events);
          break;
        case 10:
          this.#settled(events);
          break;
        case 11:
          events.push({ kind: "retired", slot: this.#number(), generation: this.#number() });
          break;
        case 12:
          replies.loaded(this.#number(), this.#optionalText(), this.#optionalText());
          break;
        case 13:
          replies.linked(this.#number(), this.#optionalNumber(), this.#optionalText());
          break;
        case 14:
          replies.closed();
          break;
        case 15:
          replies.written(this.#number(), this.#optionalNumber(), this.#optionalText());
          break;
        case 16:
          replies.measured(this.#number(), this.#optionalNumber(), this.#optionalText());
          break;
        case 17:
          events.push({
            kind: "call",
            run: this.#number(),
            call: this.#number(),
            bytes: this.#number(),
            target: this.#text(),
            function: this.#text(),
          });
          break;
        case 18:
          events.push({ kind: "consulted", request: this.#number(), run: this.#number(), answer: JSON.parse(this.#text()) as Consulted });
          break;
        case 19:
          replies.probed(this.#number(), this.#optionalText(), this.#optionalText());
          break;
        case -1:
          return false;
        case -2:
          return true;
        default:
          throw new Error(`unknown event ${tag} at ${this.#n - 1}: the addon and this build of Pilotlight do not belong together`);
      }
    }
  }

  #number(): number {
    return this.#numbers[this.#n++] as number;
  }

  #optionalNumber(): number | undefined {
    const value = this.#number();
    return value === -1 ? undefined : value;
  }

  /** Copied out of the shared memory, which the next drain fills anew. */
  #body(): Uint8Array | undefined {
    const length = this.#number();
    if (length >= 0) return Buffer.from(this.#bytes.subarray(this.#b, (this.#b += length)));
    return length === -2 ? this.#large[this.#l++] : undefined;
  }

  #string(encoding: "latin1" | "utf8"): string | undefined {
    const length = this.#number();
    if (length === 0) return "";
    if (length > 0) return this.#bytes.toString(encoding, this.#b, (this.#b += length));
    return length === -2 ? this.#large[this.#l++]?.toString(encoding) : undefined;
  }

  #headers(): HeaderList | undefined {
    const block = this.#string("latin1");
    return block === undefined ? undefined : splitHeaders(block);
  }

  #optionalText(): string | undefined {
    return this.#string("utf8");
  }

  #text(): string {
    return this.#string("utf8") ?? "";
  }

  #log(events: EngineEvent[]): void {
    const line: GuestLine = {
      slot: this.#number(),
      run: this.#optionalNumber(),
      on: this.#optionalNumber(),
      origin: ORIGINS[this.#number()] ?? "stdout",
      level: this.#optionalText() as GuestLine["level"],
      context: this.#optionalText(),
      text: this.#text(),
    };
    const previous = events.at(-1);
    if (previous?.kind === "log-batch") (previous.lines as GuestLine[]).push(line);
    else events.push({ kind: "log-batch", lines: [line] });
  }

  #settled(events: EngineEvent[]): void {
    const run = this.#number();
    const began = this.#number() !== 0;
    const event = { kind: "settled", run, began, outcome: this.#outcome(), usage: this.#usage() } as const;
    const trace = this.#body();
    events.push(trace === undefined ? event : { ...event, trace: readTrace(trace) });
  }

  #outcome(): Outcome {
    if (this.#number() === 0) return OK;
    const [kind, detail, message] = [this.#text(), this.#text(), this.#text()];
    switch (kind as Outcome["kind"]) {
      case "ok":
        return { kind: "ok", exit: Number(message) };
      case "trap":
        return { kind: "trap", message };
      case "cancelled":
        return { kind: "cancelled" };
      case "limit": {
        const [used, allowed] = message.split("/");
        return { kind: "limit", limit: detail as (Outcome & { kind: "limit" })["limit"], used: Number(used), allowed: Number(allowed) };
      }
      default:
        return { kind, code: detail, message } as Outcome;
    }
  }

  #usage(): Usage {
    return {
      cpuNanoseconds: this.#number(),
      runNanoseconds: this.#number(),
      startNanoseconds: this.#number(),
      waitNanoseconds: this.#number(),
      memoryBytes: this.#number(),
      requestBytes: this.#number(),
      responseBytes: this.#number(),
      droppedLines: this.#number(),
      calls: this.#number(),
      serviceNanoseconds: this.#number(),
    };
  }
}

/** Bodies up to this size travel in the shared memory; larger ones as an argument. */
const SMALL_BODY = 16 * 1024;

/** Writes the strings and the body of an HTTP frame for `run_http`. */
export class FrameWriter {
  readonly #numbers: Float64Array;
  readonly #bytes: Buffer;

  constructor(numbers: Float64Array, bytes: Buffer) {
    this.#numbers = numbers;
    this.#bytes = bytes;
  }

  /**
   * Puts the parts one after the other, their lengths from `at` on. The body is returned when it has to go as an
   * argument. False when the parts do not fit at all; requests are limited far below that.
   */
  write(
    at: number,
    parts: readonly [string, string, string, string, string],
    body: Uint8Array | undefined,
  ): { readonly large: Uint8Array | undefined } | undefined {
    let end = 0;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i] as string;
      if (end + part.length > this.#bytes.length - SMALL_BODY) return undefined;
      end += this.#bytes.write(part, end, part.length, "latin1");
      this.#numbers[at + i] = part.length;
    }
    const place = at + parts.length;
    if (body === undefined) this.#numbers[place] = -1;
    else if (body.length > SMALL_BODY) {
      this.#numbers[place] = -2;
      return { large: body };
    } else {
      this.#bytes.set(body, end);
      this.#numbers[place] = body.length;
    }
    return NOT_LARGE;
  }
}

const NOT_LARGE = { large: undefined } as const;

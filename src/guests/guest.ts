// oxlint-disable-next-line typescript/triple-slash-reference -- ambient modules: there is nothing to import
/// <reference path="../../wit/types/wasi.d.ts" />
/**
 * `pilotlight/guest`: what a function written in TypeScript imports. It runs inside the component, on QuickJS.
 *
 * `serve` turns a handler into the export that `wasi:http/handler@0.3.0` asks for. It keeps the engine's sharp
 * edges away: an `Error` that leaves a QuickJS export traps and takes the instance along, so here it becomes
 * a 500 before the head and a broken-off answer after it, and its stack goes to the task's stderr.
 */
import { waitFor } from "wasi:clocks/monotonic-clock@0.3.0";
import { getStderr } from "wasi:cli/stderr@0.2.12";
import { getStdout } from "wasi:cli/stdout@0.2.12";
import { getInsecureSeed } from "wasi:random/insecure-seed@0.3.0";
import { Fields, Request as WasiRequest, Response as WasiResponse, type ErrorCode, type Result } from "wasi:http/types@0.3.0";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

// A component imports from the host what its bundle imports: these two cost nothing where they are not used.
export { config } from "./config.js";
export { StoreError, openStore, type Store } from "./stores.js";
export { TriggerError, announce, send, signal, type ExpectedRuns } from "./triggers.js";

/** A request, with its body still to be read; it can be read once. */
export interface GuestRequest {
  /** In upper case. */
  readonly method: string;
  /** Path and query exactly as the client sent them. */
  readonly target: string;
  /** `target` before the `?`. */
  readonly path: string;
  /** `target` after the `?`; empty without one. */
  readonly query: string;
  readonly scheme: string | undefined;
  readonly authority: string | undefined;
  /** Names in lower case, duplicates kept; values with a character for each byte. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The first header of that name. */
  header(name: string): string | undefined;
  /** The body as it comes in. Throws `BodyError` when the client breaks off. */
  body(): AsyncIterable<Uint8Array>;
  bytes(): Promise<Uint8Array>;
  text(): Promise<string>;
  json(): Promise<unknown>;
}

export type GuestBody = string | Uint8Array | AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

/** An answer. `status` is 200 unless given; a header with several values goes out several times. */
export interface GuestResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: GuestBody;
}

/** A text is an answer too: 200, `text/plain`. */
export type GuestHandler = (request: GuestRequest) => GuestResponse | string | Promise<GuestResponse | string>;

/** The export of a component: `export const handler = serve(…)`. */
export interface HttpExport {
  handle(request: WasiRequest): Promise<WasiResponse>;
}

/** The request body ended before it was whole. */
export class BodyError extends Error {
  override readonly name = "BodyError";
}

/**
 * The component is a snapshot of the engine after the source's top level has run, the state of `Math.random`
 * included: without a seed of its own, every clean instance would draw the same numbers.
 */
let seeded = false;

function seedRandom(): void {
  seeded = true;
  const [high, low] = getInsecureSeed();
  // sfc32 (Chris Doty-Humphrey, PractRand), after the rounds it needs to mix a seed.
  let [a, b, c, d] = [high / 2 ** 32, high / 2 ** 11, low / 2 ** 32, low / 2 ** 11].map((part) => part >>> 0) as [
    number,
    number,
    number,
    number,
  ];
  const next = (): number => {
    const sum = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round++) next();
  Math.random = () => (next() + next() / 2 ** 32) / 2 ** 32;
}

export function serve(handler: GuestHandler): HttpExport {
  return {
    async handle(wasiRequest) {
      if (!seeded) seedRandom();
      const incoming = new IncomingRequest(wasiRequest);
      try {
        return respond(await handler(incoming));
      } catch (error) {
        printError(error);
        return respond({ status: 500, headers: { "content-type": "text/plain" }, body: "Internal Server Error\n" });
      } finally {
        incoming.release();
      }
    },
  };
}

export function sleep(milliseconds: number): Promise<void> {
  return waitFor(Math.max(0, Math.round(milliseconds * 1e6)));
}

/** An answer with a JSON body. */
export function json(value: unknown, status = 200): GuestResponse {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(value) + "\n" };
}

class IncomingRequest implements GuestRequest {
  readonly method: string;
  readonly target: string;
  readonly path: string;
  readonly query: string;
  readonly scheme: string | undefined;
  readonly authority: string | undefined;
  readonly headers: readonly (readonly [string, string])[];
  /** Undefined once the body has been taken; then the request belongs to the host. */
  #request: WasiRequest | undefined;

  constructor(request: WasiRequest) {
    const method = request.getMethod();
    const scheme = request.getScheme();
    this.#request = request;
    this.method = method.tag === "other" ? method.val : method.tag.toUpperCase();
    this.target = request.getPathWithQuery() ?? "/";
    const mark = this.target.indexOf("?");
    this.path = mark < 0 ? this.target : this.target.slice(0, mark);
    this.query = mark < 0 ? "" : this.target.slice(mark + 1);
    this.scheme = scheme?.tag === "other" ? scheme.val : scheme?.tag.toLowerCase();
    this.authority = request.getAuthority() ?? undefined;
    const fields = request.getHeaders();
    this.headers = fields.copyAll().map(([name, value]) => [name.toLowerCase(), fromBytes(value)] as const);
    fields[Symbol.dispose]();
  }

  header(name: string): string | undefined {
    const wanted = name.toLowerCase();
    return this.headers.find(([candidate]) => candidate === wanted)?.[1];
  }

  async *body(): AsyncGenerator<Uint8Array> {
    if (!this.#request) throw new BodyError("the request body has been read already, or the answer is out");
    const consumed = wit.Future.from<Result<null>>({ tag: "ok", val: null }, wit.Future.RESULT_VOID_ERROR_CODE);
    const [chunks, trailers] = WasiRequest.consumeBody(this.#request, consumed.readable);
    this.#request = undefined;
    yield* chunks;
    const end = await trailers.read();
    if (end.tag === "err") throw new BodyError(`the request body broke off: ${end.val.tag}`);
  }

  async bytes(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this.body()) {
      chunks.push(chunk);
      length += chunk.length;
    }
    const whole = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }

  async text(): Promise<string> {
    return decodeUtf8(await this.bytes());
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  release(): void {
    this.#request?.[Symbol.dispose]();
    this.#request = undefined;
  }
}

function respond(answer: GuestResponse | string): WasiResponse {
  const response: GuestResponse =
    typeof answer === "string" ? { headers: { "content-type": "text/plain; charset=utf-8" }, body: answer } : answer;
  const body = typeof response.body === "string" ? encodeUtf8(response.body) : response.body;
  const headers: [string, Uint8Array][] = [];
  for (const [name, values] of Object.entries(response.headers ?? {})) {
    for (const value of typeof values === "string" ? [values] : values) headers.push([name, toBytes(value)]);
  }
  if (body instanceof Uint8Array && !headers.some(([name]) => name.toLowerCase() === "content-length")) {
    headers.push(["content-length", toBytes(String(body.length))]);
  }
  const end = wit.Future<Result<Fields | null>>(wit.Future.RESULT_OPTION_OTHER_ERROR_CODE);
  const stream = body === undefined ? null : send(body, end.writable);
  if (stream === null) void end.writable.write({ tag: "ok", val: null });
  const [wasiResponse] = WasiResponse.new(Fields.fromList(headers), stream, end.readable);
  wasiResponse.setStatusCode(response.status ?? 200);
  return wasiResponse;
}

/** The body's bytes; how it ended goes to the host beside it, as the result of the trailers. */
async function* send(body: Exclude<GuestBody, string>, end: wit.Writable<Result<Fields | null>>): AsyncGenerator<Uint8Array> {
  let broken: ErrorCode | undefined;
  try {
    for await (const piece of body instanceof Uint8Array ? [body] : body) {
      const bytes = typeof piece === "string" ? encodeUtf8(piece) : piece;
      if (bytes.length > 0) yield bytes;
    }
  } catch (error) {
    printError(error);
    broken = { tag: "internal-error", val: null };
  } finally {
    void end.write(broken ? { tag: "err", val: broken } : { tag: "ok", val: null });
  }
}

/** A character a byte, as header values are. */
function fromBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function toBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function print(stream: wit.OutputStream, values: readonly unknown[]): void {
  const bytes = encodeUtf8(values.map(inspect).join(" ") + "\n");
  for (let at = 0; at < bytes.length; at += 4096) stream.blockingWriteAndFlush(bytes.subarray(at, at + 4096));
  stream[Symbol.dispose]();
}

function inspect(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}\n${value.stack ?? ""}`.trimEnd();
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

function printLine(...values: readonly unknown[]): void {
  print(getStdout(), values);
}

function printError(...values: readonly unknown[]): void {
  print(getStderr(), values);
}

Object.assign(globalThis, { console: { log: printLine, info: printLine, debug: printLine, warn: printError, error: printError } });

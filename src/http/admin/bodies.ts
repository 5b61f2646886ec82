/**
 * Request bodies: read to a limit, in a time, and never quoted in what is said about them, because they may hold secrets.
 */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { ProblemError } from "../../base/problem.js";
import type { PlaneEnv } from "../planes.js";
import { invalid, invalidBy } from "./answers.js";

const KiB = 1024;
const MiB = 1024 * KiB;
export const JSON_BYTES = MiB;
/** A value of a store; what the stores themselves take. */
export const ENTRY_BYTES = 8 * MiB;
/** The longest silence of a body that is being sent. */
const SILENCE_MS = 30_000;

/** How the body of a route is described, and read. */
export interface Body<T> {
  readonly content: Readonly<Record<string, { readonly schema: z.ZodType }>>;
  readonly required: boolean;
  read(c: Context<PlaneEnv>): Promise<T>;
}

/** A JSON document. Throws `request/unsupported-media-type`, `request/body-too-large`, `request/invalid`. */
export function jsonBody<S extends z.ZodType>(schema: S): Body<z.output<S>> {
  return {
    content: { "application/json": { schema } },
    required: true,
    async read(c) {
      expectType(c, "application/json");
      return check(schema, parse(await readBody(c, JSON_BYTES, "A JSON document")));
    },
  };
}

/** The same, where no body is the same as `{}`. */
export function optionalJsonBody<S extends z.ZodType>(schema: S): Body<z.output<S>> {
  const required = jsonBody(schema);
  return {
    ...required,
    required: false,
    async read(c) {
      if (c.req.header("content-type") !== undefined) return required.read(c);
      const bytes = await readBody(c, JSON_BYTES, "A JSON document");
      if (bytes.byteLength > 0) expectType(c, "application/json");
      return check(schema, {});
    },
  };
}

/** Bytes as they are, whatever their type is said to be. */
export function bytesBody(limit: number, what: string): Body<Uint8Array> {
  return {
    content: { "application/octet-stream": { schema: z.string().openapi({ format: "binary" }) } },
    required: true,
    read: (c) => readBody(c, limit, what),
  };
}

/** Throws unless the body's type is this one; returns the whole field, parameters included. */
export function expectType(c: Context<PlaneEnv>, type: string): string {
  const said = c.req.header("content-type");
  if (said?.split(";")[0]?.trim().toLowerCase() === type) return said;
  const found = said === undefined ? "The request has no Content-Type" : `The request's Content-Type is ${said.slice(0, 100)}`;
  throw new ProblemError("request/unsupported-media-type", `${found}; this takes ${type}.`);
}

/** The whole body. `what` begins the sentence that says the limit. Its memory grows with what comes, not with what is announced. */
export async function readBody(c: Context<PlaneEnv>, limit: number, what: string): Promise<Uint8Array> {
  if (c.req.header("content-encoding") !== undefined)
    throw new ProblemError("request/unsupported-media-type", "Content-Encoding is not supported here; send the body as it is.");
  const announced = Number(c.req.header("content-length") ?? 0);
  if (announced > limit) throw tooLarge(what, limit, `this one says that it has ${announced}`);
  const { body } = c.req.raw;
  if (body === null) return new Uint8Array();
  const reader = body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  const left = leaving(c);
  const chunks: Uint8Array[] = [];
  let received = 0;
  try {
    for (;;) {
      const { done, value } = await nextPiece(reader, left.promise, received);
      if (done) return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, received);
      received += value.byteLength;
      if (received > limit) throw tooLarge(what, limit, "this one has more");
      chunks.push(value);
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    throw error;
  } finally {
    left.stop();
  }
}

/**
 * Rejects when the connection is over. Of Node's answer, where there is one: once the front has told a client that its
 * request broke off, Node says no more to whoever reads the body.
 */
function leaving(c: Context<PlaneEnv>): { readonly promise: Promise<never>; stop(): void } {
  const { outgoing } = c.env;
  let stop = (): void => {};
  const promise = new Promise<never>((_, reject) => {
    const over = (): void => reject(new Error("the connection is over"));
    stop = () => outgoing?.off("close", over);
    if (outgoing?.destroyed === true) over();
    else outgoing?.once("close", over);
  });
  promise.catch(() => {});
  return { promise, stop };
}

function tooLarge(what: string, limit: number, found: string): ProblemError {
  return new ProblemError("request/body-too-large", `${what} may have ${limit} bytes here; ${found}.`);
}

type Piece = Awaited<ReturnType<ReadableStreamDefaultReader<Uint8Array>["read"]>>;

/** What comes next, or a problem: the sender went away, or says nothing for too long. */
async function nextPiece(reader: ReadableStreamDefaultReader<Uint8Array>, left: Promise<never>, received: number): Promise<Piece> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    const detail = `The body went silent for ${SILENCE_MS} ms after ${received} bytes.`;
    timer = setTimeout(() => reject(new ProblemError("request/timeout", detail)), SILENCE_MS).unref();
  });
  try {
    return await Promise.race([reader.read(), left, silence]);
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    throw new ProblemError("request/malformed", `The body broke off after ${received} bytes; nothing of it was kept.`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** JSON from bytes. V8's own words quote the text, so only the place is taken from them. */
export function parse(bytes: Uint8Array, field = "body"): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalid([{ field, message: "is not UTF-8" }]);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const position = /at position (\d+)/.exec((error as Error).message)?.[1];
    throw invalid([{ field, message: `is not valid JSON${position === undefined ? "" : `, from character ${position} on`}` }]);
  }
}

function check<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (!result.success) throw invalidBy(result.error, "body");
  return result.data;
}

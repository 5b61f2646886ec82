/** One function of the embedder's, as a component calls it: JSON in, JSON out, errors by the rules of jco. */
import { messageOf } from "../base/errors.js";
import type { FunctionInfo } from "../engine/program.js";
import { lift } from "./lift.js";
import { lower, shown } from "./lower.js";
import { parseType, UnusableType, type WitType } from "../wit/wit-type.js";

/** What a function takes and gives, by its WIT. */
export interface Signature {
  readonly parameters: readonly WitType[];
  readonly result: WitType | undefined;
}

type Result = WitType & { readonly kind: "result" };

/** Throws `UnusableType` when TypeScript cannot take or give one of the types; the message says which. */
export function signatureOf({ parameters, result }: FunctionInfo): Signature {
  const read = (what: string, text: string): WitType => {
    try {
      return parseType(text);
    } catch (error) {
      throw error instanceof UnusableType ? new UnusableType(`${what} is ${error.message}`) : error;
    }
  };
  return {
    parameters: parameters.map(({ name, type }) => read(`parameter ${name}`, type)),
    result: result === undefined ? undefined : read("its result", result),
  };
}

/**
 * Calls `work` with the JSON array of arguments and resolves with the JSON array of results. Rejects, with a message
 * for the one who wrote the function, when it throws what is no error of its WIT type, or gives what does not fit.
 */
export async function callScript(work: (...args: unknown[]) => unknown, { parameters, result }: Signature, args: string): Promise<string> {
  const values = JSON.parse(args) as unknown[];
  const given = parameters.map((type, index) => lift(type, values[index]));
  if (result === undefined) {
    await settled(() => work(...given));
    return "[]";
  }
  if (result.kind !== "result") return JSON.stringify([lower(result, await settled(() => work(...given)), "result")]);
  return JSON.stringify([await outcomeOf(() => work(...given), result)]);
}

/** What was thrown where there is no `result` ends the caller, with words. */
async function settled(work: () => unknown): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof Error ? error : new Error(`it threw ${shown(error)}`, { cause: error });
  }
}

/**
 * What is returned is `ok`, what is thrown `err`: the `payload` of what was thrown, or itself if it is no `Error`. An
 * `Error` without a payload is a mistake in the function and ends the caller.
 */
async function outcomeOf(work: () => unknown, type: Result): Promise<unknown> {
  let value: unknown;
  try {
    value = await work();
  } catch (error) {
    return failed(payloadOf(error, type), type);
  }
  if (type.ok === undefined && !isErr(value)) return { tag: "ok" };
  if (isTagged(value) && !looksTagged(type.ok)) return value.tag === "ok" ? succeeded(value.val, type) : failed(value.val, type);
  return succeeded(value, type);
}

function succeeded(value: unknown, { ok }: Result): unknown {
  return ok === undefined ? { tag: "ok" } : { tag: "ok", val: lower(ok, value, "result") };
}

function failed(payload: unknown, { err }: Result): unknown {
  return err === undefined ? { tag: "err" } : { tag: "err", val: lower(err, payload, "error") };
}

function payloadOf(error: unknown, { err }: Result): unknown {
  if (typeof error === "object" && error !== null && "payload" in error) return error.payload;
  if (!(error instanceof Error)) return error;
  const hint = err === undefined ? "" : " (an Error without a payload; throw a ComponentError to give the caller an error)";
  throw new Error(messageOf(error) + hint, { cause: error });
}

/** As jco has it, `{ tag: "ok" | "err", val }` may be returned too, where the value cannot be one itself. */
function isTagged(value: unknown): value is { readonly tag: "ok" | "err"; readonly val?: unknown } {
  return typeof value === "object" && value !== null && "tag" in value && (value.tag === "ok" || value.tag === "err");
}

function isErr(value: unknown): boolean {
  return isTagged(value) && value.tag === "err";
}

function looksTagged(type: WitType | undefined): boolean {
  if (type?.kind === "option") return looksTagged(type.of);
  return type?.kind === "result" || type?.kind === "variant" || type?.kind === "record";
}

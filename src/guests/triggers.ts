// oxlint-disable-next-line typescript/triple-slash-reference -- ambient modules: there is nothing to import
/// <reference path="../../wit/types/pilotlight.d.ts" />
/** What will come, and what is left to be done later, over `pilotlight:triggers`. Part of `pilotlight/guest`. */
import { announce as announceRuns, signal as sendSignal } from "pilotlight:triggers/announce@0.1.0";
import { send as sendMessage } from "pilotlight:triggers/queue@0.1.0";
import { asking, expectText, type HostError } from "./boundary.js";
import { encodeUtf8 } from "./utf8.js";

/** Why nothing came of an announcement, a signal or a message. */
export class TriggerError extends Error {
  override readonly name = "TriggerError";

  constructor(
    /** `invalid`: the message says what would be right. `not-found`: no such task or queue. `too-much`: later it may go. */
    readonly code: "invalid" | "not-found" | "too-much" | "failed",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface ExpectedRuns {
  /** A task of the own tenant. */
  readonly task: string;
  /** 1 unless given; 0 takes back what was announced under the key. */
  readonly count?: number;
  /** Milliseconds from now until the first is expected (0), and from then until all have come (10,000). */
  readonly inMs?: number;
  readonly windowMs?: number;
  /** Above 0 and up to 1, which is usual. */
  readonly confidence?: number;
  /** The same again under the same key is the same announcement. */
  readonly key?: string;
}

/** Has instances ready for runs that will come. Gives the key under which that can be taken back. Throws a `TriggerError`. */
export function announce({ task, count = 1, inMs = 0, windowMs = 10_000, confidence = 1, key }: ExpectedRuns): string {
  expectText("announce", "task", task);
  if (key !== undefined) expectText("announce", "key", key);
  const numbers = { count: whole("count", count), inMs: whole("inMs", inMs), windowMs: whole("windowMs", windowMs) };
  if (typeof confidence !== "number") throw new TypeError("announce: the confidence has to be a number");
  return asking(() => announceRuns({ task, ...numbers, confidence, key: key ?? null }), refusal);
}

/** Something has happened that runs may follow; which, is learnt. The same key again is the same. Throws a `TriggerError`. */
export function signal(name: string, key?: string): void {
  expectText("signal", "name", name);
  if (key !== undefined) expectText("signal", "key", key);
  asking(() => sendSignal(name, key ?? null), refusal);
}

/**
 * Sends a message to a queue of the tenant: it is durable once this returns, and becomes a run, whose id this gives. A text or bytes go
 * as they are; anything else as JSON. Throws a `TriggerError`.
 */
export function send(queue: string, message: unknown, options: { readonly contentType?: string; readonly key?: string } = {}): string {
  expectText("send", "queue", queue);
  const { contentType, key } = options;
  if (contentType !== undefined) expectText("send", "contentType", contentType);
  if (key !== undefined) expectText("send", "key", key);
  const [bytes, type] = encoded(message);
  return asking(() => sendMessage(queue, bytes, contentType ?? type, key ?? null), refusal);
}

function encoded(message: unknown): [Uint8Array, string] {
  if (message instanceof Uint8Array) return [message, "application/octet-stream"];
  if (typeof message === "string") return [encodeUtf8(message), "text/plain"];
  const json = JSON.stringify(message) as string | undefined;
  if (json === undefined) throw new TypeError("send: the message has to be a text, bytes, or what JSON can say");
  return [encodeUtf8(json), "application/json"];
}

/** What the host takes; a value of another kind would end the instance. */
function whole(what: string, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
  throw new TypeError(`announce: ${what} has to be a whole number from 0 to ${2 ** 31 - 1}`);
}

function refusal({ tag, val }: HostError, because: ErrorOptions): TriggerError {
  return new TriggerError(tag as TriggerError["code"], String(val), because);
}

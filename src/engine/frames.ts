/** The flat form in which headers and events cross the native boundary; see `native/src/drain.rs`. */
import type { HeaderList } from "../base/headers.js";
import type { EngineEvent, GuestLine } from "./engine.js";
import type { Outcome, Usage } from "./outcome.js";

/** A header list as one latin1 string: names and values joined with LF, which neither can hold. */
export function joinHeaders(headers: HeaderList): string {
  return headers.join("\n");
}

/** The reverse of `joinHeaders`. */
export function splitHeaders(block: string): HeaderList {
  return block === "" ? [] : block.split("\n");
}

/** What becomes of answers to `load`, `link` and `close`, which are not events of the port. */
export interface Replies {
  loaded(request: number, json: string | undefined, error: string | undefined): void;
  linked(request: number, program: number | undefined, error: string | undefined): void;
  closed(): void;
}

/** Reads everything in a drained array, in order. The array ends with the tag -1. */
export function decodeEvents(flat: readonly unknown[], events: EngineEvent[], replies: Replies): void {
  let at = 0;
  const number = (): number => flat[at++] as number;
  const text = (): string => flat[at++] as string;
  const optionalText = (): string | undefined => flat[at++] as string | undefined;
  const optionalHeaders = (): HeaderList | undefined => {
    const block = optionalText();
    return block === undefined ? undefined : splitHeaders(block);
  };
  for (;;) {
    const tag = number();
    switch (tag) {
      case 0:
        events.push({ kind: "ready", slot: number(), generation: number(), nanoseconds: number() });
        break;
      case 1:
        events.push({ kind: "failed", slot: number(), generation: number(), outcome: outcome(text(), text(), text()) });
        break;
      case 2:
        events.push({ kind: "lease-refused", slot: number(), generation: number(), run: number() });
        break;
      case 3:
        events.push({
          kind: "head",
          run: number(),
          status: number(),
          headers: splitHeaders(text()),
          body: flat[at++] as Uint8Array | undefined,
          ended: flat[at++] as boolean,
          trailers: optionalHeaders(),
          startNanoseconds: number(),
        });
        break;
      case 4:
        events.push({ kind: "chunk", run: number(), bytes: flat[at++] as Uint8Array });
        break;
      case 5:
        events.push({ kind: "end", run: number(), trailers: optionalHeaders() });
        break;
      case 6:
        events.push({ kind: "need-input", run: number(), bytes: number() });
        break;
      case 7:
        events.push({ kind: "result", run: number(), json: text() });
        break;
      case 8:
        events.push({ kind: "ask", run: number(), ask: number(), interface: text(), function: text(), arguments: text() });
        break;
      case 9: {
        const line = guestLine(number(), flat[at++] as number | undefined, text(), optionalText(), optionalText(), text());
        const previous = events.at(-1);
        if (previous?.kind === "log-batch") (previous.lines as GuestLine[]).push(line);
        else events.push({ kind: "log-batch", lines: [line] });
        break;
      }
      case 10:
        events.push({
          kind: "settled",
          run: number(),
          outcome: outcome(text(), text(), text()),
          usage: usage(number(), number(), number(), number(), number(), number(), number(), number()),
        });
        break;
      case 11:
        events.push({ kind: "retired", slot: number(), generation: number() });
        break;
      case 12:
        replies.loaded(number(), optionalText(), optionalText());
        break;
      case 13:
        replies.linked(number(), flat[at++] as number | undefined, optionalText());
        break;
      case 14:
        replies.closed();
        break;
      case -1:
        return;
      default:
        throw new Error(`unknown event ${String(tag)} at ${at - 1}: the addon and this build of Pilotlight do not belong together`);
    }
  }
}

function guestLine(
  slot: number,
  run: number | undefined,
  origin: string,
  level: string | undefined,
  context: string | undefined,
  text: string,
): GuestLine {
  return { slot, run, origin: origin as GuestLine["origin"], level: level as GuestLine["level"], context, text };
}

const OK: Outcome = { kind: "ok", exit: 0 };

function outcome(kind: string, detail: string, message: string): Outcome {
  switch (kind as Outcome["kind"]) {
    case "ok":
      return message === "" ? OK : { kind: "ok", exit: Number(message) };
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

function usage(
  cpuNanoseconds: number,
  runNanoseconds: number,
  startNanoseconds: number,
  waitNanoseconds: number,
  memoryBytes: number,
  requestBytes: number,
  responseBytes: number,
  droppedLines: number,
): Usage {
  return {
    cpuNanoseconds,
    runNanoseconds,
    startNanoseconds,
    waitNanoseconds,
    memoryBytes,
    requestBytes,
    responseBytes,
    droppedLines,
  };
}

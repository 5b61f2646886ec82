/** A task's log lines, one JSON document a line; with `follow=1` until the client goes away or its key holds no longer. */
import { newRunId } from "../../base/ids.js";
import type { Control, LogEntry, LogQuery } from "../../control/control.js";
import { shown } from "./answers.js";
import type { Routes } from "./endpoint.js";
import * as schemas from "./schemas.js";

/** What waits for a client that reads slowly; lines beyond are left out and counted. */
const WAITING_BYTES = 1024 * 1024;
/** How often a follower's key is looked at. */
const KEY_MS = 5000;

export function addLogs({ add }: Routes, control: Control): void {
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}/logs",
      tag: "Logs",
      summary: "The last log lines, oldest first, and with follow=1 those that come",
      query: schemas.logQuery,
      success: [{ status: 200, description: "A LogEntry a line", type: "application/x-ndjson", schema: schemas.logEntry }],
    },
    ({ c, caller, params, query: { follow, ...query }, holds }) => {
      const headers = { "Content-Type": "application/x-ndjson", "Pilotlight-Run": newRunId() };
      const past = control.logs(caller, params.tenant, query).map(line).join("");
      // HEAD has no body: nobody would ever end the following.
      if (follow !== "1" || c.req.method === "HEAD") return new Response(past, { headers });
      const subscribe = (listener: (entry: LogEntry) => void): (() => void) => control.followLogs(caller, params.tenant, query, listener);
      return new Response(following(past, query, subscribe, holds, c.req.raw.signal), { headers });
    },
  );
}

const encoder = new TextEncoder();

function line(entry: LogEntry): string {
  return `${JSON.stringify(shown(schemas.logEntry, entry))}\n`;
}

/** `past`, then each line that `subscribe` brings. Nothing can come in between: both are of the same turn. */
function following(
  past: string,
  query: LogQuery,
  subscribe: (listener: (entry: LogEntry) => void) => () => void,
  holds: () => boolean,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  let leftOut = 0;
  let unsubscribe = (): void => {};
  let timer: NodeJS.Timeout | undefined;
  let over = false;

  /** True the first time. */
  function stop(): boolean {
    if (over) return false;
    over = true;
    clearInterval(timer);
    unsubscribe();
    return true;
  }

  function tellLeftOut(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (leftOut === 0 || over) return;
    const text = `${leftOut} lines were left out here: they are not read as fast as they come`;
    const at = new Date().toISOString();
    leftOut = 0;
    controller.enqueue(
      encoder.encode(line({ at, task: query.task ?? "", version: undefined, run: undefined, level: "warn", origin: "pilotlight", text })),
    );
  }

  function take(controller: ReadableStreamDefaultController<Uint8Array>, entry: LogEntry): void {
    if ((controller.desiredSize ?? 0) <= 0) {
      leftOut += 1;
      return;
    }
    tellLeftOut(controller);
    controller.enqueue(encoder.encode(line(entry)));
  }

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        if (past !== "") controller.enqueue(encoder.encode(past));
        unsubscribe = subscribe((entry) => {
          if (over) return;
          try {
            take(controller, entry);
          } catch (error) {
            // Whoever wrote the line has no part in this.
            if (stop()) controller.error(error);
          }
        });
        const end = (): void => {
          if (stop()) controller.close();
        };
        timer = setInterval(() => {
          if (!holds()) end();
        }, KEY_MS).unref();
        if (signal.aborted) end();
        else signal.addEventListener("abort", end, { once: true });
      },
      pull: tellLeftOut,
      cancel: () => void stop(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: WAITING_BYTES }),
  );
}

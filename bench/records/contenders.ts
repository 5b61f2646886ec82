/** Who takes part in `bench/records` over HTTP: a node with a task whose runs are recorded, and bare Hono with the same bytes. */
import { join } from "node:path";
import { BenchError } from "../support/bench-error.js";
import { ROOT } from "../support/paths.js";
import { startServer, type RunningServer } from "../support/server.js";
import { answerTo, target } from "./node.mjs";

/** Keys that a request has read. */
export const DEPENDENCIES = 8;

export type ServedId = "hits" | "hono" | "hello_p2" | "hello_p3";

export interface Served {
  readonly id: ServedId;
  readonly what: string;
  readonly how: string;
  readonly server: RunningServer;
  readonly url: string;
  /** Throws where it does not answer as it is meant to. */
  readonly expect: () => Promise<void>;
}

/** Everybody, and what they run on. */
export async function startServed(prefix: readonly string[]): Promise<readonly Served[]> {
  // With the flag of the executable's own first line, so that it runs as `pilotlight` does.
  const node = await startScript("bench/records/node.mjs", prefix, ["--max-semi-space-size=64"], []);
  const hono = await startScript("bench/http/hono-server.mjs", prefix, [], [answerTo(DEPENDENCIES)]);
  const path = target(DEPENDENCIES);
  const served = (server: RunningServer, id: ServedId, what: string, how: string, at: string, body: string, status?: string): Served => {
    const url = new URL(at, server.url).href;
    return { id, what, how, server, url, expect: () => expectAnswer(url, body, status) };
  };
  const hello = "Hello, WASI!\n";
  const logged = "log lines (level info, the default) to /dev/null";
  return [
    served(node, "hits", `hit, ${DEPENDENCIES} dependencies`, `one request over and over; ${logged}`, path, answerTo(DEPENDENCIES), "hit"),
    served(
      hono,
      "hono",
      "bare Hono, the same bytes",
      "@hono/node-server, the same Node, no component",
      path.slice(path.indexOf("?")),
      answerTo(DEPENDENCIES),
    ),
    served(node, "hello_p2", "running hello, WASI 0.2", `clean instances; ${logged}`, "hello-p2", hello),
    served(node, "hello_p3", "running hello, WASI 0.3", `clean instances; ${logged}`, "hello-p3", hello),
  ];
}

function startScript(file: string, prefix: readonly string[], flags: readonly string[], args: readonly string[]): Promise<RunningServer> {
  const command = [...prefix, process.execPath, ...flags, join(ROOT, file), ...args] as unknown as [string, ...string[]];
  return startServer({ name: file, command, dropOutput: true });
}

/** Asks until it is answered as it is to be; `status`: what it is to say of records. */
async function expectAnswer(url: string, body: string, status: string | undefined): Promise<void> {
  for (let tries = 0; ; tries++) {
    const answer = await fetch(url);
    const text = await answer.text();
    const cache = answer.headers.get("cache-status");
    if (answer.status === 200 && text === body && (status === undefined || cache?.startsWith(`pilotlight; ${status}`) === true)) return;
    // The first one runs, and its record is there soon after.
    if (tries < 20 && text === body) continue;
    throw new BenchError(`${url} should answer ${JSON.stringify(body)}, not ${answer.status} ${JSON.stringify(text)} (${cache})`);
  }
}

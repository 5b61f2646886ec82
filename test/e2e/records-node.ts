/** What tests of records share: a node with the guest that reads things, and ways to ask it. */
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { expect } from "vitest";
import type { Deployment } from "../../src/deployment.js";
import { guestTask } from "../support/guests.js";
import { startRuntime, type StartedRuntime } from "../support/runtime.js";
import { until } from "../support/until.js";
import type { RuntimeOptions } from "../../src/runtime-options.js";

export type Fields = Partial<Deployment["manifest"]>;

export function reader(fields: Fields = {}): Deployment {
  return guestTask("reader", { name: "reader", stores: ["default", "other"], idempotent: {}, ...fields });
}

export interface Asked {
  readonly status: number;
  readonly text: string;
  /** `Cache-Status`. */
  readonly cache: string | undefined;
  /** The kind of it: `hit`, `collapsed`, `miss`, `stale`, `request`, `bypass`. */
  readonly how: string | undefined;
  readonly run: string;
  readonly headers: Headers;
}

export interface RecordsNode extends StartedRuntime {
  ask(path: string, init?: RequestInit): Promise<Asked>;
  put(key: string, value: string, store?: string): Promise<void>;
  remove(key: string, store?: string): Promise<void>;
  /** How many runs of guests have said that they ran, `what` being in what they said: those of requests, unless told. */
  ran(what?: string): number;
}

export async function recordsNode(tasks: readonly Deployment[] = [reader()], options: RuntimeOptions = {}): Promise<RecordsNode> {
  const node = await startRuntime(tasks, options);
  const { control, operator } = node.runtime;
  return {
    ...node,
    ask: async (path, init) => asked(await node.get(path, init)),
    put: async (key, value, store = "default") => {
      await control.putEntry(operator, "default", store, key, Buffer.from(value), undefined);
    },
    remove: (key, store = "default") => control.deleteEntry(operator, "default", store, key, undefined),
    ran: (what = "/") =>
      node.log.lines.filter(({ text }) => typeof text === "string" && text.startsWith("ran ") && text.includes(what)).length,
  };
}

export async function asked(response: Response): Promise<Asked> {
  const cache = response.headers.get("cache-status") ?? undefined;
  return {
    status: response.status,
    text: (await response.text()).trimEnd(),
    cache,
    how: howOf(cache),
    run: response.headers.get("pilotlight-run") ?? "",
    headers: response.headers,
  };
}

/** Asks with these headers and none that a client adds. */
export async function plainly(node: Pick<RecordsNode, "origin">, path: string, headers: Readonly<Record<string, string>>): Promise<Asked> {
  const [message] = (await once(get(node.origin + path, { headers }), "response")) as [IncomingMessage];
  const body = message.statusCode === 304 ? null : await buffer(message);
  message.resume();
  const init = { status: message.statusCode ?? 0, headers: message.headers as Record<string, string> };
  return asked(new Response(body as ConstructorParameters<typeof Response>[0], init));
}

function howOf(cache: string | undefined): string | undefined {
  if (cache === undefined) return undefined;
  if (cache.startsWith("pilotlight; hit")) return "hit";
  if (cache.includes("; collapsed")) return "collapsed";
  return /fwd=(\w+)/.exec(cache)?.[1];
}

/** Asks until an answer comes from a record: the run before has to have settled, which its answer does not wait for. */
export async function hit(node: RecordsNode, path: string, init?: RequestInit): Promise<Asked> {
  let last: Asked | undefined;
  await until(`${path} is answered from a record`, async () => (last = await node.ask(path, init)).how === "hit");
  return last as Asked;
}

/** Asks twice; neither is answered from a record. */
export async function runsTwice(node: RecordsNode, path: string, init?: RequestInit): Promise<Asked> {
  const before = node.ran();
  await node.ask(path, init);
  const second = await node.ask(path, init);
  expect(second.how).not.toBe("hit");
  await until("both have said that they ran", () => node.ran() === before + 2);
  return second;
}

/**
 * The two fronts over a named guest of `http-guests.ts`, as the conformance suite and the wire tests start them.
 */
import type { CallsPort } from "../../src/http/calls.js";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fetchFront } from "../../src/http/fetch-front.js";
import { nodeFront, type NodeFrontOptions } from "../../src/http/node-front.js";
import { dataPlane, type GuestHandler, type Plane } from "../../src/http/planes.js";
import type { Front, Listening } from "../../src/http/front.js";
import type { Started, StartOptions } from "../http/front-suite.js";
import { fakeInvoke, type FakeRun, type Script } from "./http-fake-invoke.js";
import { GUESTS, type GuestName } from "./http-guests.js";

/** A data plane with one run, `live`, that ends when it is cancelled. */
function planeOf({ reserveOwn = true, reasons = [] }: StartOptions, report: (error: unknown) => void): (guest: GuestHandler) => Plane {
  let ended = false;
  const runs = {
    get: (id: string) => (id === "live" ? { run: id, ended } : undefined),
    result: () => undefined,
    cancel: async () => void (ended = true),
  };
  const calls: CallsPort = { describe: async () => [], call: () => Promise.reject(new Error("nothing is called here")) };
  const pretriggers = { hear: () => ({ key: "" }) };
  return (guest) => dataPlane({ guest, runs, calls, pretriggers, health: { reasons: () => reasons }, reserveOwn, report });
}

export function startFetchFront(guest: GuestName, options: StartOptions = {}): Started {
  const fake = fakeInvoke(GUESTS[guest]);
  const reported: unknown[] = [];
  const report = (error: unknown): void => void reported.push(error);
  const fetch = fetchFront({ plane: planeOf(options, report), invoke: fake.invoke, report });
  return {
    fetch: (path, init) => fetch(new Request(`http://host.test${path}`, init)),
    upload: async (path, count, size) => {
      const pull = (c: ReadableStreamDefaultController): void => (count-- > 0 ? c.enqueue(new Uint8Array(size)) : c.close());
      const body = new ReadableStream({ pull }, { highWaterMark: 0 });
      return (await fetch(new Request(`http://host.test${path}`, { method: "POST", body, duplex: "half" }))).text();
    },
    run: (index) => fake.run(index),
    reported,
    stop: async () => {},
  };
}

export interface StartedNodeFront extends Started {
  readonly front: Front;
  readonly at: Listening;
  readonly runs: FakeRun[];
}

export async function startNodeFront(
  guest: GuestName | Script,
  options: StartOptions & Partial<NodeFrontOptions> = {},
): Promise<StartedNodeFront> {
  const fake = fakeInvoke(typeof guest === "string" ? GUESTS[guest] : guest);
  const reported: unknown[] = [];
  const report = (error: unknown): void => void reported.push(error);
  const front = nodeFront({ plane: planeOf(options, report), invoke: fake.invoke, report, ...options });
  const at = await front.listen({ host: "127.0.0.1", port: 0 });
  return {
    front,
    at,
    runs: fake.runs,
    fetch: (path, init) => fetch(`http://127.0.0.1:${at.port}${path}`, init),
    // Not `fetch`, which takes in as much as it is given.
    upload: async (path, count, size) => {
      const call = request({ host: "127.0.0.1", port: at.port, path, method: "POST" });
      Readable.from(pieces(count, size)).pipe(call);
      const [answer] = (await once(call, "response")) as [IncomingMessage];
      return text(answer);
    },
    run: (index) => fake.run(index),
    reported,
    stop: () => front.close(0),
  };
}

function* pieces(count: number, size: number): Generator<Uint8Array> {
  while (count-- > 0) yield new Uint8Array(size);
}

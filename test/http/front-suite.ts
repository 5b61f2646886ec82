/**
 * What every front does, written once and run on each. A subject starts a front over one of the named guests;
 * a case that a front cannot pass is skipped with the reason that the subject gives.
 */
import { createHash, randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, it } from "vitest";
import { CREDIT_BYTES } from "../../src/engine/engine.js";
import type { FakeRun } from "../support/http-fake-invoke.js";
import type { GuestName } from "../support/http-guests.js";

export interface StartOptions {
  /** False: `/-/` is the guest's too. */
  readonly reserveOwn?: boolean;
  /** Reasons not to be ready. */
  readonly reasons?: readonly string[];
}

export interface Started {
  fetch(path: string, init?: RequestInit & { duplex?: "half" }): Promise<Response>;
  /** Sends `count` pieces of `size` bytes, holding no more than the front takes, and gives the answer's text. */
  upload(path: string, count: number, size: number): Promise<string>;
  /** The `n`th run of the guest. */
  run(n?: number): Promise<FakeRun>;
  /** Errors reported as bugs of ours. */
  readonly reported: unknown[];
  stop(): Promise<void>;
}

/** What a case needs beyond the common ground. */
type Need = "raw target" | "request framing";

export interface Subject {
  readonly name: string;
  readonly cannot: Partial<Record<Need, string>>;
  /** Bytes that the transport between front and client may hold beyond the credit. */
  readonly transportBytes: number;
  start(guest: GuestName, options?: StartOptions): Promise<Started>;
}

export function frontSuite(subject: Subject): void {
  const started: Started[] = [];
  const start = async (guest: GuestName, options?: StartOptions): Promise<Started> => {
    const front = await subject.start(guest, options);
    started.push(front);
    return front;
  };
  afterEach(async () => {
    for (const front of started.splice(0)) await front.stop();
  });
  const needs = (need: Need, title: string, body: () => Promise<void>): void => {
    const reason = subject.cannot[need];
    if (reason === undefined) it(title, body);
    else it.skip(`${title} (${reason})`, body);
  };

  describe(`${subject.name}: requests`, () => {
    it("reach the guest with method, target and headers as they were sent", async () => {
      const front = await start("mirror");
      const seen = (await (await front.fetch("/a%20b/c?x=%2F&y", { headers: { "X-One": "1", "X-Latin": "caf\u00e9" } })).json()) as Mirrored;
      expect(seen).toMatchObject({ method: "GET", scheme: "http", target: "/a%20b/c?x=%2F&y", streaming: false });
      expect(seen.body).toBeUndefined();
      expect(seen.authority).toMatch(/^[\w.]+(:\d+)?$/);
      const names = seen.headers.map((name) => name.toLowerCase());
      expect(seen.headers[names.indexOf("x-one") + 1]).toBe("1");
      expect(seen.headers[names.indexOf("x-latin") + 1]).toBe("caf\u00e9");
    });

    needs("raw target", "keep dot segments and odd characters in their target", async () => {
      const front = await start("mirror");
      const seen = (await (await front.fetch("/a/../b/%2e/{x}?[q]")).json()) as Mirrored;
      expect(seen.target).toBe("/a/../b/%2e/{x}?[q]");
    });

    it("with a small body of known length carry it whole", async () => {
      const front = await start("mirror");
      const seen = (await (await front.fetch("/", { method: "POST", body: "small", headers: { "content-length": "5" } })).json()) as Mirrored;
      expect(seen).toMatchObject({ method: "POST", body: "small", streaming: false, contentLength: 5 });
    });

    it("with a body of length 0 carry none", async () => {
      const front = await start("mirror");
      const seen = (await (await front.fetch("/", { method: "POST", headers: { "content-length": "0" } })).json()) as Mirrored;
      expect(seen).toMatchObject({ streaming: false });
      expect(seen.body).toBeUndefined();
    });

    it("stream a body both ways unchanged", async () => {
      const front = await start("echo");
      const sent = randomBytes(8 * 1024 * 1024 + 17);
      const response = await front.fetch("/", { method: "POST", body: sent });
      const back = Buffer.from(await response.arrayBuffer());
      expect(digest(back)).toBe(digest(sent));
    });

    it("stream a body of unknown length", async () => {
      const front = await start("echo");
      const response = await front.fetch("/", { method: "POST", body: streamOf(["one ", "two ", "three"]), duplex: "half" });
      expect(await response.text()).toBe("one two three");
      expect((await front.run()).incoming).toMatchObject({ streaming: true, contentLength: undefined });
    });

    it("are read no further than the run has asked for", async () => {
      const front = await start("sipper");
      const response = await front.fetch("/", { method: "POST", body: streamOf(["0123456", "789abcdefghijklmnop"]), duplex: "half" });
      expect(await response.text()).toBe("10 15");
    });

    it("whose body the guest ignores are answered all the same", async () => {
      const front = await start("ignorer");
      for (let i = 0; i < 2; i += 1) {
        const response = await front.fetch("/", { method: "POST", body: randomBytes(1024 * 1024) });
        expect(await response.text()).toBe("ignored");
      }
    });

    it("of 200 MB pass through with bounded memory", async () => {
      const front = await start("sink");
      const memory = watchMemory();
      expect(await front.upload("/", 3200, 62_500)).toBe("200000000");
      expect(memory.peakMiB()).toBeLessThan(64);
      expect((await front.run()).largest).toBeLessThanOrEqual(64 * 1024);
    }, 30_000);
  });

  describe(`${subject.name}: answers`, () => {
    it("arrive with status, headers and body as the guest gave them", async () => {
      const front = await start("hello");
      const response = await front.fetch("/");
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("text/plain");
      expect(response.headers.get("pilotlight-run")).toBe("run-0");
      expect(await response.text()).toBe("hello");
    });

    it("keep repeated fields and latin1 bytes and lose hop-by-hop fields", async () => {
      const front = await start("headers");
      const { headers } = await front.fetch("/");
      expect(headers.getSetCookie()).toEqual(["a=1", "b=2"]);
      expect(headers.get("x-latin")).toBe("caf\u00e9");
      expect(headers.get("x-kept")).toBe("yes");
      for (const name of ["x-named", "upgrade", "proxy-authenticate", "te", "transfer-encoding"]) expect(headers.get(name)).toBeNull();
      expect(headers.get("keep-alive")).not.toBe("timeout=99");
      expect(headers.get("connection") ?? "").not.toContain("X-Named");
    });

    it("to HEAD have the guest's head and no body", async () => {
      const front = await start("writer");
      const response = await front.fetch("/", { method: "HEAD" });
      expect(response.headers.get("content-length")).toBe("5");
      expect(await response.text()).toBe("");
      const run = await front.run();
      expect(run.incoming.method).toBe("HEAD");
      await run.until(() => run.taken_ === 5);
      expect(run.isCancelled).toBe(false);
    });

    it("to HEAD of an endless body end the run", async () => {
      const front = await start("endless");
      expect(await (await front.fetch("/", { method: "HEAD" })).text()).toBe("");
      await (await front.run()).cancelled;
    });

    it.each([204, 205, 304])("with status %d have no body", async (status) => {
      const front = await start("status");
      const response = await front.fetch(`/${status}`);
      expect(response.status).toBe(status);
      expect(await response.text()).toBe("");
      expect(await (await front.fetch(`/200`)).text()).toBe("body");
    });

    it("arrive event by event", async () => {
      const front = await start("events");
      const response = await front.fetch("/");
      const run = await front.run();
      const reader = response.body!.getReader();
      for (const event of ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]) {
        run.reply.chunk(Buffer.from(event));
        const { value } = await reader.read();
        expect(Buffer.from(value!).toString()).toBe(event);
      }
      run.reply.end(undefined);
      expect((await reader.read()).done).toBe(true);
    });

    it("wait for a client that does not read", async () => {
      const front = await start("endless");
      const response = await front.fetch("/");
      const run = await front.run();
      await quiet(() => run.written);
      expect(run.written - run.taken_).toBeLessThanOrEqual(CREDIT_BYTES);
      expect(run.taken_).toBeLessThan(subject.transportBytes);
      const before = run.written;
      const reader = response.body!.getReader();
      for (let read = 0; read < before; ) read += (await reader.read()).value!.byteLength;
      expect(run.written).toBeGreaterThan(before);
      await reader.cancel();
      await run.cancelled;
    });

    it("of 200 MB pass through with bounded memory", async () => {
      const front = await start("bulk");
      const memory = watchMemory();
      let bytes = 0;
      for await (const chunk of (await front.fetch("/")).body!) bytes += chunk.byteLength;
      expect(bytes).toBe(200_000_000);
      expect(memory.peakMiB()).toBeLessThan(64);
    }, 30_000);
  });

  describe(`${subject.name}: failures`, () => {
    it("before the head are a problem with its headers", async () => {
      const front = await start("failing");
      const response = await front.fetch("/");
      expect(response.status).toBe(503);
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      expect(response.headers.get("retry-after")).toBe("3");
      expect(await response.json()).toEqual({
        type: "https://pilotlight.dev/problems/capacity/node-full", title: "The node has no capacity left", status: 503, detail: "Nothing is free.", run: "run-0",
      });
    });

    it("answered to HEAD have no body", async () => {
      const front = await start("failing");
      const response = await front.fetch("/", { method: "HEAD" });
      expect(response.status).toBe(503);
      expect(await response.text()).toBe("");
    });

    it.each(["breaking", "failingLate"] as const)("after the head break the connection (%s)", async (guest) => {
      const front = await start(guest);
      const response = await front.fetch("/");
      expect(response.status).toBe(200);
      await expect(response.text()).rejects.toThrow();
    });

    it("without any answer break the connection", async () => {
      const front = await start("breakingEarly");
      await expect(front.fetch("/")).rejects.toThrow();
    });

    it.each([
      ["shortWhole", "The function declared a Content-Length of 10 and wrote 5 bytes."],
      ["twoLengths", 'The function answered with a Content-Length that is not one number: "6".'],
    ] as const)("of a length that cannot be right are a problem while nothing is sent (%s)", async (guest, detail) => {
      const front = await start(guest);
      const response = await front.fetch("/");
      expect(response.status).toBe(500);
      expect(await response.json()).toMatchObject({ type: "https://pilotlight.dev/problems/guest/error", detail, run: "run-0" });
      await (await front.run()).cancelled;
    });

    it.each(["shortStream", "longStream"] as const)("of a declared length break a streaming answer (%s)", async (guest) => {
      const front = await start(guest);
      await expect((await front.fetch("/")).text()).rejects.toThrow();
      await (await front.run()).cancelled;
    });

    it.each(["101", "103"])("of a status that is no final one are named (%s)", async (status) => {
      const front = await start("status");
      const response = await front.fetch(`/${status}`);
      expect(response.status).toBe(500);
      expect(((await response.json()) as { detail: string }).detail).toBe(`The function answered with status ${status}; a final status is 200 or more.`);
    });

    it("of a header field that HTTP does not allow are named", async () => {
      const front = await start("badField");
      const response = await front.fetch("/");
      expect(response.status).toBe(500);
      expect(await response.json()).toMatchObject({ detail: `The function's answer cannot be sent: Invalid character in header content ["X-Bad"].`, run: "run-0" });
    });

    it("of ours are reported and say nothing of their inside", async () => {
      const front = await start("bug");
      const response = await front.fetch("/");
      expect(response.status).toBe(500);
      expect(await response.text()).toBe('{"type":"https://pilotlight.dev/problems/platform/internal","title":"Pilotlight failed","status":500}');
      expect(front.reported).toMatchObject([{ message: "secret detail" }]);
    });
  });

  describe(`${subject.name}: a client that leaves`, () => {
    it("before the answer cancels the run", async () => {
      const front = await start("silent");
      const leave = new AbortController();
      const response = front.fetch("/", { signal: leave.signal });
      const run = await front.run();
      leave.abort();
      await expect(response).rejects.toThrow();
      await run.cancelled;
    });

    it("during the answer cancels the run", async () => {
      const front = await start("endless");
      const response = await front.fetch("/");
      await response.body!.cancel();
      await (await front.run()).cancelled;
    });

    it("during the upload cancels the run", async () => {
      const front = await start("sink");
      const leave = new AbortController();
      const body = new ReadableStream<Uint8Array>({
        pull: async (c) => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          if (!leave.signal.aborted) c.enqueue(new Uint8Array(1000));
        },
      });
      const response = front.fetch("/", { method: "POST", body, duplex: "half", signal: leave.signal });
      const run = await front.run();
      await run.until(() => run.received > 0);
      leave.abort();
      await expect(response).rejects.toThrow();
      await run.cancelled;
    });
  });

  describe(`${subject.name}: paths of ours`, () => {
    it("tell that the node lives and whether it is ready", async () => {
      const front = await start("hello");
      expect(await (await front.fetch("/-/livez")).text()).toBe("live\n");
      expect(await (await front.fetch("/-/readyz")).json()).toEqual({ ready: true });
      const head = await front.fetch("/-/livez", { method: "HEAD" });
      expect([head.status, await head.text()]).toEqual([200, ""]);
    });

    it("keep the reasons of an unready node to its operator", async () => {
      const front = await start("hello", { reasons: ["draining"] });
      const response = await front.fetch("/-/readyz");
      expect([response.status, await response.json()]).toEqual([503, { ready: false }]);
    });

    it("show runs, cancel those that go on, and leave ended ones alone", async () => {
      const front = await start("hello");
      expect(await (await front.fetch("/-/runs/live")).json()).toEqual({ run: "live", ended: false });
      const cancelled = await front.fetch("/-/runs/live", { method: "DELETE" });
      expect([cancelled.status, await cancelled.json()]).toEqual([202, { run: "live", ended: true }]);
      expect((await front.fetch("/-/runs/live", { method: "DELETE" })).status).toBe(200);
    });

    it.each([
      ["GET", "/-/runs/nope", 404, "request/run-not-found", 'No run "nope" is known here; ended runs are kept for a while only.'],
      ["DELETE", "/-/runs/nope", 404, "request/run-not-found", 'No run "nope" is known here; ended runs are kept for a while only.'],
      ["GET", "/-/runs/live/result", 404, "request/run-not-found", "This version keeps no results of runs; the answer went to whoever made the request."],
      ["GET", "/-/else", 404, "request/not-found", "Nothing of Pilotlight answers at /-/else."],
      ["POST", "/-/livez", 405, "request/method-not-allowed", "POST is not supported here; GET, HEAD is."],
      ["PUT", "/-/runs/live", 405, "request/method-not-allowed", "PUT is not supported here; GET, HEAD, DELETE is."],
    ])("refuse %s %s with %d %s", async (method, path, status, code, detail) => {
      const front = await start("hello");
      const response = await front.fetch(path, { method });
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject({ type: `https://pilotlight.dev/problems/${code}`, status, detail });
      expect(response.headers.get("allow")).toBe(status === 405 ? detail.replace(/.*here; | is\.$/g, "") : null);
    });

    it("are told apart by the path on the wire", async () => {
      const front = await start("hello");
      for (const path of ["/%2D/livez", "/-", "/x/-/livez", "//-/livez"]) expect(await (await front.fetch(path)).text()).toBe("hello");
    });

    it("are the guest's when none are reserved", async () => {
      const front = await start("hello", { reserveOwn: false });
      expect(await (await front.fetch("/-/livez")).text()).toBe("hello");
    });
  });
}

/** What the guest `mirror` answers. */
interface Mirrored {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly body?: string;
  readonly streaming: boolean;
}

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function streamOf(parts: readonly string[]): ReadableStream<Uint8Array> {
  const left = [...parts];
  return new ReadableStream({ pull: (c) => (left.length > 0 ? c.enqueue(Buffer.from(left.shift()!)) : c.close()) });
}

/** Resolves when `value` has not changed for a while. */
async function quiet(value: () => number): Promise<void> {
  for (let last = -1; last !== value(); ) {
    last = value();
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

/** Watches how far live buffers and heap grow beyond where they are now; garbage does not count. */
function watchMemory(): { peakMiB(): number } {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const start = used();
  let peak = start;
  const timer = setInterval(() => (peak = Math.max(peak, used())), 20);
  return {
    peakMiB() {
      clearInterval(timer);
      return (peak - start) / 1024 / 1024;
    },
  };
}

/**
 * What a request to a real component comes to, written once: for both versions of WASI, on every way in.
 *
 * `test/http/front-suite.ts` holds fronts against scripted guests; here the guests are components, and engine, pool
 * and pipeline are the real ones.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Deployment } from "../../src/deployment.js";
import type { Runtime } from "../../src/runtime.js";
import { guestPath, type Wasi } from "../support/guests.js";
import type { LogCapture } from "../support/log.js";
import { problemOf, runOf } from "../support/runtime.js";
import { until } from "../support/until.js";

type Ask = RequestInit & { readonly duplex?: "half" };

export interface Subject {
  readonly name: string;
  start(tasks: readonly Deployment[]): Promise<Node>;
}

export interface Node {
  readonly runtime: Runtime;
  readonly log: LogCapture;
  get(path: string, init?: Ask): Promise<Response>;
  /** Posts a body without end, no faster than it is taken. */
  pour(path: string): Promise<Pouring>;
  /** Resolves when nothing is left of any run. */
  idle(): Promise<void>;
}

/** An endless request, and its answer. */
export interface Pouring {
  readonly run: string;
  /** Bytes sent so far. */
  written(): number;
  /** Takes so many bytes of the answer. */
  read(bytes: number): Promise<void>;
  leave(): void;
}

const MiB = 2 ** 20;

/** Small, so that each is reached in moments. */
const LIMITS = {
  memory: "16MiB",
  cpu: "300ms",
  timeout: "1500ms",
  idle: "700ms",
  requestBody: "1MiB",
  responseBody: "1MiB",
  headers: "16KiB",
  handles: 1000,
  logs: "2KiB",
} as const;

export function engineSuite(subject: Subject, wasi: Wasi): void {
  let node: Node;
  const get = (path: string, init?: Ask): Promise<Response> => node.get(path, init);
  const task = (guest: string, manifest: Partial<Deployment["manifest"]>): Deployment => ({
    manifest: { name: guest, routes: [`/${guest}/*`], ...manifest },
    component: readFileSync(guestPath(`${guest}-${wasi}`)),
  });

  beforeAll(async () => {
    node = await subject.start([
      task("hello", { routes: ["/hello"] }),
      task("echo", { routes: ["/echo", "/info/*"], limits: { requestBody: "64MiB" } }),
      // Its paths are what it does, so it has the root.
      task("behave", { routes: ["/*"], limits: LIMITS }),
    ]);
  });

  describe(`${subject.name}, WASI ${wasi}: requests`, () => {
    it("are answered by the component, and the answer names its run", async () => {
      const response = await get("/hello");
      expect([response.status, await response.text()]).toEqual([200, "Hello, WASI!\n"]);
      const line = await node.log.run(runOf(response));
      expect(line).toMatchObject({ task: "hello", outcome: "ok", status: 200, path: "/hello" });
    });

    it("each run on an instance of their own, under an id of their own", async () => {
      const responses = await Promise.all(Array.from({ length: 20 }, () => get("/hello")));
      expect(new Set(responses.map(runOf)).size).toBe(20);
      await Promise.all(responses.map((response) => response.text()));
      await node.idle();
    });

    it("reach the component with method, path, query and headers as they were sent", async () => {
      const headers = [
        ["x-one", "1"],
        ["x-latin", "caf\u00e9"],
        ["x-two", "a"],
        ["authorization", "Bearer someone-else's"],
      ] as [string, string][];
      const seen = (await (await get("/info/a%20b?c=%2F&d", { method: "PUT", headers, body: "" })).json()) as Seen;
      expect(seen).toMatchObject({ method: "PUT", scheme: "http", target: "/info/a%20b?c=%2F&d" });
      for (const field of headers) expect(seen.headers).toContainEqual(field);
    });

    it.each(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])(
      "with the method %s arrive with it",
      async (method) => {
        const response = await get("/info", { method });
        expect(response.status).toBe(200);
        if (method === "HEAD") expect(await response.text()).toBe("");
        else expect(await response.json()).toMatchObject({ method });
      },
    );

    it("do not tell the component what is between client and Pilotlight", async () => {
      const seen = (await (
        await get("/info", {
          headers: { "Pilotlight-Key": "pl_secret", "Pilotlight-Explain": "1", "Pilotlight-Debug": "1", "x-kept": "1" },
        })
      ).json()) as Seen;
      const names = seen.headers.map(([name]) => name.toLowerCase());
      expect(names).toContain("x-kept");
      expect(names.filter((name) => name.startsWith("pilotlight-") || name === "connection" || name === "keep-alive")).toEqual([]);
    });

    it.each([0, 1, 65_536, 65_537, 20 * MiB])("of %d bytes come back byte for byte", async (size) => {
      const sent = randomBytes(size);
      const response = await get("/echo", { method: "POST", body: sent, headers: { "content-type": "x/y" } });
      expect(response.headers.get("content-type")).toBe("x/y");
      const back = Buffer.from(await response.arrayBuffer());
      expect([back.length, digest(back)]).toEqual([size, digest(sent)]);
    });

    it("of unknown length are echoed while they are still being written", async () => {
      const writer = new TransformStream<Uint8Array, Uint8Array>();
      const out = writer.writable.getWriter();
      const answer = get("/echo", { method: "POST", body: writer.readable, duplex: "half" });
      void out.write(Buffer.from("first,"));
      const reader = (await answer).body!.getReader();
      expect(text(await reader.read())).toBe("first,");
      void out.write(Buffer.from("second"));
      expect(text(await reader.read())).toBe("second");
      void out.close();
      expect((await reader.read()).done).toBe(true);
    });

    it("whose body the component does not read to its end are answered all the same", async () => {
      const response = await get("/read?bytes=1000", { method: "POST", body: randomBytes(MiB / 2) });
      expect([response.status, await response.text()]).toEqual([200, "1000\n"]);
      expect(await (await get("/", { method: "POST", body: randomBytes(MiB / 2) })).text()).toBe("ok\n");
    });
  });

  describe(`${subject.name}, WASI ${wasi}: answers`, () => {
    it.each([201, 204, 304, 404, 418, 503])("have the status %d that the component gives", async (code) => {
      const response = await get(`/status?code=${code}`);
      expect([response.status, await response.text()]).toEqual([code, [204, 304].includes(code) ? "" : String(code)]);
      runOf(response);
    });

    it("arrive event by event, as they are written", async () => {
      const response = await get("/slow?pieces=3&ms=150");
      expect(response.headers.get("content-type")).toBe("text/event-stream");
      const reader = response.body!.getReader();
      const times: number[] = [];
      for (const piece of ["data: 0\n\n", "data: 1\n\n", "data: 2\n\n"]) {
        expect(text(await reader.read())).toBe(piece);
        times.push(performance.now());
        if (times.length === 1) expect(node.runtime.runRecord(runOf(response))).toMatchObject({ ended: false, state: "running" });
      }
      expect((await reader.read()).done).toBe(true);
      // Had they been held back, all would have come at once.
      expect((times[2] as number) - (times[0] as number)).toBeGreaterThan(150);
    });

    it("to HEAD have the head of the component's answer and no body", async () => {
      const response = await get("/big?bytes=300000", { method: "HEAD" });
      expect([response.status, response.headers.get("content-type"), await response.text()]).toEqual([200, "text/plain", ""]);
      await node.idle();
    });

    it("have no hop-by-hop field of the component's", async () => {
      const response = await get("/hop");
      expect(response.status).toBe(200);
      // `Trailer` only announces, and the front announces for itself what it may send.
      expect([...response.headers].filter(([name, value]) => value.includes("x-hop") && name !== "trailer")).toEqual([]);
      expect(await response.text()).toMatch(/^connection refused\n/);
    });

    it("wait for a client that does not read, and hold its own writing back", async () => {
      const pouring = await node.pour("/echo");
      await quiet(() => pouring.written());
      const before = pouring.written();
      // What socket buffers and credit hold; the body is endless.
      expect(before).toBeLessThan(32 * MiB);
      expect(node.runtime.runRecord(pouring.run)).toMatchObject({ ended: false });
      await pouring.read(before);
      await until("more is taken", () => pouring.written() > before);
      pouring.leave();
      expect(await node.log.run(pouring.run)).toMatchObject({ outcome: "cancelled" });
      await node.idle();
    });
  });

  describe(`${subject.name}, WASI ${wasi}: a component that misbehaves`, () => {
    /** What the client is told, what the operator reads, and whether the component's own inside stays there. */
    const faults = [
      ["/trap", 500, "guest/trap", undefined, { outcome: "trap" }],
      ["/stack", 500, "guest/trap", undefined, { outcome: "trap" }],
      ["/loop", 500, "guest/cpu", /^limits\.cpu allows 300 ms; this run came to \d+ ms\.$/, { outcome: "limit" }],
      ["/memory", 500, "guest/memory", /^limits\.memory allows 16777216 bytes; this run came to \d+ bytes\.$/, { outcome: "limit" }],
      ["/handles", 500, "guest/handles", /^limits\.handles allows 1000; this run came to 1001\.$/, { outcome: "limit" }],
      ["/hang", 504, "guest/timeout", /^limits\.timeout allows 1\d\d\d ms; this run came to \d+ ms\.$/, { outcome: "limit" }],
      ["/none", 500, "guest/no-answer", /./, { outcome: "guest-error" }],
      ["/drop", 500, "guest/no-answer", /./, { outcome: "guest-error" }],
      ["/error", 500, "guest/error", undefined, { outcome: "guest-error" }],
    ] as const;

    it.each(faults)("%s is answered with %d %s, and disturbs nobody", async (path, status, code, detail, logged) => {
      const meanwhile = [get("/hello"), get("/sleep?ms=100"), get("/hello")];
      const response = await get(path);
      const problem = await problemOf(response.clone());
      expect(problem).toMatchObject({ status, code });
      if (detail === undefined) expect(problem.detail).toBeUndefined();
      else expect(problem.detail).toMatch(detail);
      expect(await response.text()).not.toMatch(/wasm|unreachable|told to fail|stack|0x/i);
      expect(await node.log.run(runOf(response))).toMatchObject(logged);
      const others = await Promise.all(meanwhile);
      expect(await Promise.all(others.map((other) => other.text()))).toEqual(["Hello, WASI!\n", "ok\n", "Hello, WASI!\n"]);
      expect(await (await get("/")).text()).toBe("ok\n");
      await node.idle();
    });

    it("a component that gives two answers has the first one sent, or is said to have trapped", async () => {
      const response = await get("/twice");
      if (response.status === 200) await response.text().catch(() => {});
      else expect(await problemOf(response)).toMatchObject({ status: 500, code: "guest/trap" });
      expect(await node.log.run(runOf(response))).toMatchObject({ outcome: "trap" });
      await node.idle();
    });

    it.each([
      ["/after-head-trap?ms=50", "trap"],
      ["/after-head-hang", "limit"],
    ])("%s breaks the answer off, and never ends it cleanly", async (path, outcome) => {
      const response = await get(path);
      expect(response.status).toBe(200);
      await expect(drained(response)).rejects.toThrow();
      expect(await node.log.run(runOf(response))).toMatchObject({ outcome, status: 200 });
      expect(await (await get("/")).text()).toBe("ok\n");
      await node.idle();
    });

    // Without a pause in between, the failure may come before the head has left: then there is still room for a problem.
    it.each([
      ["/after-head-trap", "trap", "guest/trap"],
      ["/after-head-error", "guest-error", "guest/error"],
    ])("%s is a problem or a broken answer, and never a whole one", async (path, outcome, code) => {
      const response = await get(path);
      if (response.status === 200) await expect(drained(response)).rejects.toThrow();
      else expect(await problemOf(response)).toMatchObject({ status: 500, code });
      expect(await node.log.run(runOf(response))).toMatchObject({ outcome });
      await node.idle();
    });

    it("a trap after a whole answer is in the log, whether or not the answer had left", async () => {
      const response = await get("/after-end-trap");
      if (response.status === 200) expect(await response.text()).toBe("ok\n");
      else expect(await problemOf(response)).toMatchObject({ status: 500, code: "guest/trap" });
      expect(await node.log.run(runOf(response))).toMatchObject({ outcome: "trap" });
    });

    it("work that goes on after the answer keeps its run alive, and its output belongs to it", async () => {
      const response = await get("/after-end?ms=100");
      expect(await response.text()).toBe("ok\n");
      expect(node.runtime.runRecord(runOf(response))).toMatchObject({ ended: false });
      expect(await node.log.run(runOf(response))).toMatchObject({ outcome: "ok" });
      expect(node.log.guest(runOf(response))).toEqual(["after the end"]);
    });

    it("a flood of log lines costs the lines beyond the limit, and nobody else's", async () => {
      const flood = get("/flood?bytes=1000000");
      const quiet = await get("/log");
      const loud = await flood;
      expect([loud.status, await loud.text(), await quiet.text()]).toEqual([200, "ok\n", "ok\n"]);
      const line = await node.log.run(runOf(loud));
      const kept = node.log.guest(runOf(loud));
      expect(kept.length).toBeGreaterThan(5);
      expect(kept.join("").length).toBeLessThanOrEqual(2048);
      expect(line["droppedLines"]).toBe(10_000 - kept.length);
      await node.log.run(runOf(quiet));
      expect(node.log.guest(runOf(quiet)).sort()).toEqual(["a line on stderr", "a line on stdout"]);
    });

    it.each([
      ["declares more than it writes", `/big?bytes=1000&length=2000`],
      ["declares less than it writes", `/big?bytes=200000&length=1000`],
    ])("an answer that %s is never taken for whole", async (_title, path) => {
      const response = await get(path);
      if (response.status === 200) await expect(response.arrayBuffer()).rejects.toThrow();
      else expect((await problemOf(response)).code).toBe("guest/error");
      await node.idle();
    });

    it("an answer beyond the limit breaks off at it", async () => {
      const response = await get(`/big?bytes=${3 * MiB}`);
      let read = 0;
      await expect(drained(response, (bytes) => (read += bytes))).rejects.toThrow();
      expect(read).toBeLessThanOrEqual(MiB);
      expect(await node.log.run(runOf(response))).toMatchObject({ outcome: "limit", cause: expect.stringContaining("response-body") });
      await node.idle();
    });

    it("headers beyond the limit are the component's fault", async () => {
      const response = await get("/headers?bytes=100000");
      if (response.status !== 200) expect(response.status).toBe(500);
      else expect(Number(await response.text())).toBeLessThanOrEqual(16 * 1024);
      await node.idle();
    });

    it("the trap's own words are for callers who may debug, and for no others", async () => {
      const response = await get("/trap", { headers: { "Pilotlight-Debug": "1" } });
      const { detail } = await problemOf(response);
      if (subject.name.includes("fetch")) expect(detail).toBeUndefined();
      else expect(detail).toMatch(/unreachable/);
    });
  });

  describe(`${subject.name}, WASI ${wasi}: requests that are too large`, () => {
    it("by a declared body are refused with 413 before anything runs", async () => {
      // What stood beside an earlier request may still be on its way out.
      const ran = (): number => node.log.all({ msg: "run" }).filter((line) => line["task"] !== "debug").length;
      const before = ran();
      const response = await get("/read", { method: "POST", body: randomBytes(2 * MiB), headers: { "content-length": String(2 * MiB) } });
      expect(await problemOf(response)).toEqual({
        status: 413,
        code: "request/body-too-large",
        detail: `limits.requestBody allows ${MiB} bytes; the request has ${2 * MiB}.`,
      });
      expect(ran()).toBe(before);
    });

    it("by a streamed body are refused with 413 when the limit is passed", async () => {
      let pulled = 0;
      const body = endlessBody((bytes) => (pulled += bytes));
      const response = await get("/read", { method: "POST", body, duplex: "half" });
      expect(await problemOf(response)).toMatchObject({ status: 413, code: "request/body-too-large" });
      expect(await node.log.run(runOf(response))).toMatchObject({ outcome: "limit" });
      expect(pulled).toBeLessThan(16 * MiB);
      await node.idle();
    });

    it("by their headers are refused with 431", async () => {
      const response = await get("/", { headers: { "x-big": "v".repeat(20_000) } });
      const problem = await problemOf(response);
      expect(problem).toMatchObject({ status: 431, code: "request/headers-too-large" });
      expect(problem.detail).toMatch(/^limits\.headers allows 16384 bytes; the request has \d+\.$/);
    });
  });

  describe(`${subject.name}, WASI ${wasi}: a client that leaves`, () => {
    it("before the answer has its run cancelled", async () => {
      const leave = new AbortController();
      const response = get("/hang?mine", { signal: leave.signal });
      response.catch(() => {});
      await until("the run is on its way", () => node.runtime.stats().engine.runs > 0);
      leave.abort();
      await expect(response).rejects.toThrow();
      const line = await node.log.first({ msg: "run", path: "/hang?mine" });
      expect(line["outcome"]).toBe("cancelled");
      expect(node.runtime.runRecord(String(line["run"]))).toMatchObject({ ended: true, outcome: "cancelled" });
      await node.idle();
    });

    it("in the middle of the answer has its run cancelled", async () => {
      const leave = new AbortController();
      const response = await get("/slow?pieces=1000&ms=20", { signal: leave.signal });
      await response.body!.getReader().read();
      leave.abort();
      expect(await node.log.run(runOf(response))).toMatchObject({ outcome: "cancelled" });
      await node.idle();
    });

    it("in the middle of its request has its run cancelled", async () => {
      const leave = new AbortController();
      const body = new ReadableStream<Uint8Array>({ start: (c) => c.enqueue(new Uint8Array(1000)) });
      const response = get("/read?mine", { method: "POST", body, duplex: "half", signal: leave.signal });
      response.catch(() => {});
      await until("the run is on its way", () => node.runtime.stats().engine.runs > 0);
      leave.abort();
      await expect(response).rejects.toThrow();
      expect(await node.log.first({ msg: "run", path: "/read?mine" })).toMatchObject({ outcome: "cancelled" });
      await node.idle();
    });
  });
}

interface Seen {
  readonly method: string;
  readonly target: string;
  readonly headers: [string, string][];
}

/** A body without end, each piece in a turn of its own so that a greedy client starves nobody. */
export function endlessBody(given: (bytes: number) => void): ReadableStream<Uint8Array> {
  const pull = async (c: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    given(65_536);
    c.enqueue(new Uint8Array(65_536));
  };
  return new ReadableStream({ pull }, { highWaterMark: 0 });
}

/** Reads a body to its end; rejects when it breaks off. */
async function drained(response: Response, taken: (bytes: number) => void = () => {}): Promise<void> {
  for await (const piece of response.body!) taken(piece.byteLength);
}

/** Resolves when `value` has not changed for a while. */
async function quiet(value: () => number): Promise<void> {
  for (let last = -1; last !== value();) {
    last = value();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const text = ({ value }: { readonly value?: Uint8Array | undefined }): string => Buffer.from(value ?? []).toString();

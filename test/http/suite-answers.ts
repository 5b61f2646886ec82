/** How a guest's answers reach a client, and what becomes of a run whose client leaves, on every front. */
import { describe, expect, it } from "vitest";
import { CREDIT_BYTES } from "../../src/engine/engine.js";
import { watchMemory } from "../support/http-memory.js";
import type { Suite } from "./front-suite.js";

export function answerCases(suite: Suite): void {
  describe(`${suite.name}: answers`, () => {
    it("arrive with status, headers and body as the guest gave them", async () => {
      const front = await suite.start("hello");
      const response = await front.fetch("/");
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("text/plain");
      expect(response.headers.get("pilotlight-run")).toBe("run-0");
      expect(await response.text()).toBe("hello");
    });

    it("keep repeated fields and latin1 bytes and lose hop-by-hop fields", async () => {
      const front = await suite.start("headers");
      const { headers } = await front.fetch("/");
      expect(headers.getSetCookie()).toEqual(["a=1", "b=2"]);
      expect(headers.get("x-latin")).toBe("caf\u00e9");
      expect(headers.get("x-kept")).toBe("yes");
      for (const name of ["x-named", "upgrade", "proxy-authenticate", "te", "transfer-encoding"]) expect(headers.get(name)).toBeNull();
      expect(headers.get("keep-alive")).not.toBe("timeout=99");
      expect(headers.get("connection") ?? "").not.toContain("X-Named");
    });

    it("to HEAD have the guest's head and no body", async () => {
      const front = await suite.start("writer");
      const response = await front.fetch("/", { method: "HEAD" });
      expect(response.headers.get("content-length")).toBe("5");
      expect(await response.text()).toBe("");
      const run = await front.run();
      expect(run.incoming.method).toBe("HEAD");
      await run.until(() => run.taken_ === 5);
      expect(run.isCancelled).toBe(false);
    });

    it("to HEAD of an endless body end the run", async () => {
      const front = await suite.start("endless");
      expect(await (await front.fetch("/", { method: "HEAD" })).text()).toBe("");
      await (
        await front.run()
      ).cancelled;
    });

    it.each([204, 205, 304])("with status %d have no body", async (status) => {
      const front = await suite.start("status");
      const response = await front.fetch(`/${status}`);
      expect(response.status).toBe(status);
      expect(await response.text()).toBe("");
      expect(await (await front.fetch(`/200`)).text()).toBe("body");
    });

    it("arrive event by event", async () => {
      const front = await suite.start("events");
      const response = await front.fetch("/");
      const run = await front.run();
      const reader = response.body!.getReader();
      for (const event of ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]) {
        run.reply.chunk(Buffer.from(event));
        const { value } = await reader.read();
        expect(Buffer.from(value).toString()).toBe(event);
      }
      run.reply.end(undefined);
      expect((await reader.read()).done).toBe(true);
    });

    it("wait for a client that does not read", async () => {
      const front = await suite.start("endless");
      const response = await front.fetch("/");
      const run = await front.run();
      await quiet(() => run.written);
      expect(run.written - run.taken_).toBeLessThanOrEqual(CREDIT_BYTES);
      expect(run.taken_).toBeLessThan(suite.transportBytes);
      const before = run.written;
      const reader = response.body!.getReader();
      for (let read = 0; read < before;) read += (await reader.read()).value!.byteLength;
      expect(run.written).toBeGreaterThan(before);
      await reader.cancel();
      await run.cancelled;
    });

    it("of 200 MB pass through with bounded memory", async () => {
      const front = await suite.start("bulk");
      const memory = watchMemory();
      let bytes = 0;
      for await (const chunk of (await front.fetch("/")).body!) bytes += chunk.byteLength;
      expect(bytes).toBe(200_000_000);
      expect(memory.peakMiB()).toBeLessThan(64);
    }, 30_000);
  });

  describe(`${suite.name}: a client that leaves`, () => {
    it("before the answer cancels the run", async () => {
      const front = await suite.start("silent");
      const leave = new AbortController();
      const response = front.fetch("/", { signal: leave.signal });
      const run = await front.run();
      leave.abort();
      await expect(response).rejects.toThrow();
      await run.cancelled;
    });

    it("during the answer cancels the run", async () => {
      const front = await suite.start("endless");
      const response = await front.fetch("/");
      await response.body!.cancel();
      await (
        await front.run()
      ).cancelled;
    });

    it("during the upload cancels the run", async () => {
      const front = await suite.start("sink");
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
}

/** Resolves when `value` has not changed for a while. */
async function quiet(value: () => number): Promise<void> {
  for (let last = -1; last !== value();) {
    last = value();
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

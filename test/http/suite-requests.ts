/** How requests reach a guest, on every front. */
import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { watchMemory } from "../support/http-memory.js";
import type { Suite } from "./front-suite.js";

export function requestCases(suite: Suite): void {
  describe(`${suite.name}: requests`, () => {
    it("reach the guest with method, target and headers as they were sent", async () => {
      const front = await suite.start("mirror");
      const seen = (await (
        await front.fetch("/a%20b/c?x=%2F&y", { headers: { "X-One": "1", "X-Latin": "caf\u00e9" } })
      ).json()) as Mirrored;
      expect(seen).toMatchObject({ method: "GET", scheme: "http", target: "/a%20b/c?x=%2F&y", streaming: false });
      expect(seen.body).toBeUndefined();
      expect(seen.authority).toMatch(/^[\w.]+(:\d+)?$/);
      const names = seen.headers.map((name) => name.toLowerCase());
      expect(seen.headers[names.indexOf("x-one") + 1]).toBe("1");
      expect(seen.headers[names.indexOf("x-latin") + 1]).toBe("caf\u00e9");
    });

    suite.needs("raw target", "keep dot segments and odd characters in their target", async () => {
      const front = await suite.start("mirror");
      const seen = (await (await front.fetch("/a/../b/%2e/{x}?[q]")).json()) as Mirrored;
      expect(seen.target).toBe("/a/../b/%2e/{x}?[q]");
    });

    it("with a small body of known length carry it whole", async () => {
      const front = await suite.start("mirror");
      const seen = (await (
        await front.fetch("/", { method: "POST", body: "small", headers: { "content-length": "5" } })
      ).json()) as Mirrored;
      expect(seen).toMatchObject({ method: "POST", body: "small", streaming: false, contentLength: 5 });
    });

    it("with a body of length 0 carry none", async () => {
      const front = await suite.start("mirror");
      const seen = (await (await front.fetch("/", { method: "POST", headers: { "content-length": "0" } })).json()) as Mirrored;
      expect(seen).toMatchObject({ streaming: false });
      expect(seen.body).toBeUndefined();
    });

    it("stream a body both ways unchanged", async () => {
      const front = await suite.start("echo");
      const sent = randomBytes(8 * 1024 * 1024 + 17);
      const response = await front.fetch("/", { method: "POST", body: sent });
      const back = Buffer.from(await response.arrayBuffer());
      expect(digest(back)).toBe(digest(sent));
    });

    it("stream a body of unknown length", async () => {
      const front = await suite.start("echo");
      const response = await front.fetch("/", { method: "POST", body: streamOf(["one ", "two ", "three"]), duplex: "half" });
      expect(await response.text()).toBe("one two three");
      expect((await front.run()).incoming).toMatchObject({ streaming: true, contentLength: undefined });
    });

    it("are read no further than the run has asked for", async () => {
      const front = await suite.start("sipper");
      const response = await front.fetch("/", { method: "POST", body: streamOf(["0123456", "789abcdefghijklmnop"]), duplex: "half" });
      expect(await response.text()).toBe("10 15");
    });

    it("whose body the guest ignores are answered all the same", async () => {
      const front = await suite.start("ignorer");
      for (let i = 0; i < 2; i += 1) {
        const response = await front.fetch("/", { method: "POST", body: randomBytes(1024 * 1024) });
        expect(await response.text()).toBe("ignored");
      }
    });

    it("of 200 MB pass through with bounded memory", async () => {
      const front = await suite.start("sink");
      const memory = watchMemory();
      expect(await front.upload("/", 3200, 62_500)).toBe("200000000");
      expect(memory.peakMiB()).toBeLessThan(64);
      expect((await front.run()).largest).toBeLessThanOrEqual(64 * 1024);
    }, 30_000);
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

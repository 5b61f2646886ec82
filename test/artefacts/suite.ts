/** What every component store promises. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ComponentStore } from "../../src/artefacts/components.js";

const bytesOf = (text: string): Buffer => Buffer.from(text);
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export function componentSuite(open: () => ComponentStore): void {
  describe("components", () => {
    it("are found by the sha256 of their bytes, which is what putting them gives", async () => {
      const store = open();
      const bytes = bytesOf("a component");
      const digest = await store.put(bytes);
      expect(digest).toBe(sha256(bytes));
      expect(await store.get(digest)).toEqual(bytes);
      expect(await store.has(digest)).toBe(true);
      expect(await store.list()).toEqual([digest]);
    });

    it("that nobody put are not there", async () => {
      const store = open();
      for (const digest of [sha256(bytesOf("never")), "", "../../etc/passwd", "ABC"]) {
        expect(await store.get(digest)).toBeUndefined();
        expect(await store.has(digest)).toBe(false);
        await store.remove(digest);
      }
      expect(await store.list()).toEqual([]);
    });

    it("are kept once, however often and at once they are put", async () => {
      const store = open();
      const bytes = Buffer.alloc(300_000, 7);
      const digests = await Promise.all(Array.from({ length: 20 }, (_, i) => store.put(i % 2 === 0 ? bytes : bytesOf("other"))));
      expect(new Set(digests)).toEqual(new Set([sha256(bytes), sha256(bytesOf("other"))]));
      expect(await store.list()).toEqual([...new Set(digests)].sort());
      expect(bytes.equals((await store.get(sha256(bytes))) as Uint8Array)).toBe(true);
    });

    it("are what they were when they were put, whatever the caller does to its bytes then and later", async () => {
      const store = open();
      const bytes = Buffer.alloc(1000, 1);
      const putting = store.put(bytes);
      bytes.fill(2);
      const digest = await putting;
      expect(digest).toBe(sha256(Buffer.alloc(1000, 1)));
      (await store.get(digest))?.fill(3);
      expect(await store.get(digest)).toEqual(Buffer.alloc(1000, 1));
    });

    it("may be empty", async () => {
      const store = open();
      expect(await store.get(await store.put(new Uint8Array()))).toHaveLength(0);
    });
  });

  describe("collecting", () => {
    it("removes what is not to be kept, and gives it", async () => {
      const store = open();
      const [a, b, c] = (await Promise.all(["a", "b", "c"].map((text) => store.put(bytesOf(text))))) as [string, string, string];
      expect(await store.collect(new Set([b, sha256(bytesOf("not there"))]))).toEqual([a, c].sort());
      expect(await store.list()).toEqual([b]);
      expect(await store.collect(new Set())).toEqual([b]);
      await store.put(bytesOf("a"));
      expect(await store.get(a)).toEqual(bytesOf("a"));
    });

    it("leaves alone what is put at the same time, also where the same bytes were there before", async () => {
      const store = open();
      for (let round = 0; round < 30; round++) {
        const texts = Array.from({ length: 8 }, (_, i) => bytesOf(`of round ${round % 3}, ${i}`));
        const early = texts.slice(0, 4).map((bytes) => store.put(bytes));
        const collecting = store.collect(new Set());
        const late = texts.slice(4).map((bytes) => store.put(bytes));
        const digests = await Promise.all([...early, ...late]);
        await collecting;
        for (const [i, digest] of digests.entries()) expect(await store.get(digest)).toEqual(texts[i]);
        if (round % 2 === 0) await store.collect(new Set());
      }
    });
  });

  describe("in any history", () => {
    it("a store holds what a set would", async () => {
      const step = fc.record({ what: fc.constantFrom("put", "put", "put", "remove", "collect"), n: fc.nat(8), keep: fc.array(fc.nat(8)) });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
          const store = open();
          const model = new Set<string>();
          const digest = (n: number): string => sha256(bytesOf(`component ${n}`));
          for (const { what, n, keep } of steps) {
            if (what === "put") model.add(await store.put(bytesOf(`component ${n}`)));
            else if (what === "remove") {
              await store.remove(digest(n));
              model.delete(digest(n));
            } else {
              const kept = new Set(keep.map(digest));
              const unused = [...model].filter((each) => !kept.has(each)).sort();
              expect(await store.collect(kept)).toEqual(unused);
              for (const each of unused) model.delete(each);
            }
            expect(await store.list()).toEqual([...model].sort());
          }
        }),
        { numRuns: 40 },
      );
    });
  });
}

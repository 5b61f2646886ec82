/** What every state store promises; each is a test file that hands in how to open one. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { put, remove, StateError, table, type Change, type Range, type StateStore } from "../../src/state/store.js";

interface Thing {
  readonly n: number;
  readonly list?: readonly string[];
}

const THINGS = table<Thing>("things");
const OTHERS = table<unknown>("others");
/** A name that follows another's in byte order, and one that begins with it. */
const TABLES = [THINGS, OTHERS, table<unknown>("thing"), table<unknown>("things-2")];

export function stateSuite(open: () => StateStore): void {
  describe("entries", () => {
    it("are there after their commit, replaced by a later one, and gone once removed", async () => {
      const store = open();
      expect(store.get(THINGS, "a")).toBeUndefined();
      await store.commit([put(THINGS, "a", { n: 1 }), put(THINGS, "b", { n: 2 })]);
      await store.commit([put(THINGS, "a", { n: 3, list: ["x"] }), remove(THINGS, "b"), remove(THINGS, "never")]);
      expect(store.get(THINGS, "a")).toEqual({ n: 3, list: ["x"] });
      expect(store.list(THINGS)).toEqual([{ key: "a", value: { n: 3, list: ["x"] } }]);
    });

    it("of one table are not seen in another", async () => {
      const store = open();
      await store.commit(TABLES.map((each, i) => put(each, "k", { n: i })));
      expect(TABLES.map((each) => store.list(each as typeof THINGS))).toEqual(TABLES.map((_, i) => [{ key: "k", value: { n: i } }]));
    });

    it("come back as copies, so that nobody changes what is stored", async () => {
      const store = open();
      const value = { n: 1, list: ["x"] };
      const bytes = new Uint8Array([1, 2, 3]);
      await store.commit([put(THINGS, "a", value), put(OTHERS, "bytes", bytes)]);
      value.list.push("y");
      bytes[0] = 9;
      store.get(table<{ readonly list: string[] }>(THINGS.name), "a")?.list.push("z");
      (store.get(OTHERS, "bytes") as Uint8Array)[1] = 9;
      for (const { value: listed } of store.list(table<{ n: number }>(THINGS.name))) listed.n = 5;
      expect(store.get(THINGS, "a")).toEqual({ n: 1, list: ["x"] });
      expect([...(store.get(OTHERS, "bytes") as Uint8Array)]).toEqual([1, 2, 3]);
    });

    it("keep what plain data can hold", async () => {
      const store = open();
      const value = {
        text: "é😀",
        no: null,
        yes: true,
        big: 2 ** 53 - 1,
        half: 0.5,
        minus: -1,
        deep: [{ a: [] }],
        empty: "",
        wide: 2n ** 60n,
      };
      await store.commit([put(OTHERS, "all", value), put(OTHERS, "", "an empty key"), put(OTHERS, "large", "x".repeat(300_000))]);
      expect(store.get(OTHERS, "all")).toEqual(value);
      expect(store.get(OTHERS, "")).toBe("an empty key");
      expect(store.get(OTHERS, "large")).toHaveLength(300_000);
    });

    it("are those of the last of two commits that were asked for at once", async () => {
      const store = open();
      await Promise.all([1, 2, 3].map((n) => store.commit([put(THINGS, "a", { n }), put(THINGS, `of ${n}`, { n })])));
      expect(store.get(THINGS, "a")).toEqual({ n: 3 });
      expect(store.list(THINGS, { prefix: "of " })).toHaveLength(3);
    });
  });

  describe("a commit that cannot be", () => {
    const bad: readonly (readonly [string, Change, RegExp])[] = [
      ["a key that is too long", put(THINGS, "k".repeat(3000), { n: 1 }), /a key of the table things has 3000 bytes; 1971 fit/],
      ["a key that is no text", put(THINGS, "\ud800", { n: 1 }), /is not valid Unicode/],
      ["a table's name that is none", put(table("Things\0"), "a", 1), /cannot be the name of a table/],
    ];
    it.each(bad)("is refused with the reason, and changes nothing: %s", async (_, change, reason) => {
      const store = open();
      const failure = store.commit([put(THINGS, "first", { n: 1 }), change]);
      await expect(failure).rejects.toThrow(StateError);
      await expect(failure).rejects.toThrow(reason);
      expect(store.list(THINGS)).toEqual([]);
      await store.commit([put(THINGS, "later", { n: 2 })]);
      expect(store.get(THINGS, "later")).toEqual({ n: 2 });
    });
  });

  describe("a closed store", () => {
    it("has written what was asked for before, and answers nothing more", async () => {
      const store = open();
      const pending = store.commit([put(THINGS, "a", { n: 1 })]);
      await store.close();
      await store.close();
      await expect(pending).resolves.toBeUndefined();
      expect(() => store.get(THINGS, "a")).toThrow(StateError);
      expect(() => store.list(THINGS)).toThrow(StateError);
      await expect(store.commit([])).rejects.toThrow(StateError);
    });
  });

  describe("in any history", () => {
    it("a store holds what a map would, in the byte order of its keys", { timeout: 60_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(commits, { maxLength: 12 }), fc.array(ranges, { minLength: 4, maxLength: 8 }), async (history, asked) => {
          const store = open();
          const model = new Map<string, Map<string, unknown>>();
          for (const changes of history) {
            await store.commit(changes);
            changes.forEach((change) => applyTo(model, change));
          }
          for (const each of TABLES) {
            const entries = model.get(each.name) ?? new Map<string, unknown>();
            for (const [key, value] of entries) expect(store.get(each, key)).toEqual(value);
            for (const range of [{}, ...asked]) expect(store.list(each, range)).toEqual(inRange(entries, range));
          }
          await store.close();
        }),
        { numRuns: 60 },
      );
    });
  });
}

/** Keys that are near each other, in one order as bytes and in another as UTF-16. */
const keys = fc.oneof(
  fc.string({ unit: fc.constantFrom("a", "b", "/", "é", "\uffff", "😀", "\0"), maxLength: 3 }),
  fc.nat(40).map((n) => `key/${String(n)}`),
);
const values = fc.oneof(
  fc.integer(),
  fc.string(),
  fc.record({ n: fc.nat(), list: fc.array(fc.string(), { maxLength: 3 }) }),
  fc.string({ minLength: 5000, maxLength: 9000 }),
);
const tables = fc.constantFrom(...TABLES);
const changes: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(tables, keys, values).map(([to, key, value]) => put(to, key, value)) },
  { weight: 1, arbitrary: fc.tuple(tables, keys).map(([from, key]) => remove(from, key)) },
);
const commits = fc.array(changes, { maxLength: 12 });
const ranges: fc.Arbitrary<Range> = fc.record({ prefix: keys, after: keys, limit: fc.nat(6), reverse: fc.boolean() }, { requiredKeys: [] });

function applyTo(model: Map<string, Map<string, unknown>>, change: Change): void {
  let entries = model.get(change.table);
  if (entries === undefined) model.set(change.table, (entries = new Map()));
  if (change.kind === "put") entries.set(change.key, change.value);
  else entries.delete(change.key);
}

function inRange(entries: ReadonlyMap<string, unknown>, { prefix = "", after, limit = Infinity, reverse = false }: Range): object[] {
  const sorted = [...entries].sort(([a], [b]) => compare(a, b) * (reverse ? -1 : 1));
  const asked = sorted.filter(([key]) => key.startsWith(prefix) && (after === undefined || compare(key, after) * (reverse ? -1 : 1) > 0));
  return asked.slice(0, limit).map(([key, value]) => ({ key, value }));
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** State files that a disk, or somebody, changed: refused with what to do, or as good as they were, and never a crash. */
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open } from "lmdb";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pack, seal } from "../../src/state/codec.js";
import { openState } from "../../src/state/lmdb.js";
import { checkLmdbFile } from "../../src/state/lmdb-check.js";
import { put, remove, StateError, table, type Change, type StateStore } from "../../src/state/store.js";
import { tempDir } from "../support/files.js";

const THINGS = table<{ readonly n: number; readonly text: string }>("things");
const REMEDY = /restore a backup of the data folder, or remove this file to begin with an empty node$/;

/** A file with branches, entries of all sizes and free pages. */
async function written(): Promise<{ readonly bytes: Buffer; readonly entries: object[] }> {
  const folder = tempDir();
  const store = openState(folder);
  for (let round = 0; round < 30; round++) {
    const changes: Change[] = [];
    for (let i = 0; i < 20; i++) {
      const key = `key ${(round * 7 + i * 13) % 200}`;
      const text = "x".repeat((round * i * 37) % (i === 0 ? 20_000 : 300));
      changes.push(i % 4 === 3 ? remove(THINGS, key) : put(THINGS, key, { n: round, text }));
    }
    await store.commit(changes);
  }
  const entries = store.list(THINGS);
  await store.close();
  return { bytes: readFileSync(join(folder, "state.mdb")), entries };
}

function folderWith(bytes: Uint8Array): string {
  return tempDir({ "state.mdb": bytes });
}

/** The store, or the message of the refusal. */
function tried(folder: string): StateStore | string {
  try {
    return openState(folder);
  } catch (error) {
    expect(error).toBeInstanceOf(StateError);
    return (error as Error).message;
  }
}

describe("a whole file", () => {
  it("is never taken for a damaged one, whatever was written to it, and while it is open too", { timeout: 60_000 }, async () => {
    const step = fc.record({ key: fc.nat(300), size: fc.oneof(fc.nat(300), fc.nat(20_000)), isPut: fc.boolean() });
    const history = fc.array(fc.array(step, { minLength: 1, maxLength: 30 }), { minLength: 10, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(history, async (commits) => {
        const folder = tempDir();
        let store = openState(folder);
        for (const [n, steps] of commits.entries()) {
          await store.commit(
            steps.map(({ key, size, isPut }) =>
              isPut ? put(THINGS, `key ${key}`, { n, text: "z".repeat(size) }) : remove(THINGS, `key ${key}`),
            ),
          );
          expect(() => checkLmdbFile(join(folder, "state.mdb"), () => {})).not.toThrow();
          if (n % 10 !== 9) continue;
          await store.close();
          store = openState(folder);
        }
        await store.close();
      }),
      { numRuns: 15 },
    );
  });
});

describe("a changed file", () => {
  it("is refused, or holds all that it held and goes on working, whatever byte was changed", { timeout: 120_000 }, async () => {
    const { bytes, entries } = await written();
    let refused = 0;
    const change = fc.record({ at: fc.nat(bytes.length - 1), bits: fc.integer({ min: 1, max: 255 }) });
    // Much of what everything hangs on is in the first bytes of the two meta pages.
    const inMeta = fc.record({
      at: fc.nat(2 * 168 - 1).map((n) => (n < 168 ? n : 4096 + n - 168)),
      bits: fc.integer({ min: 1, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.oneof(change, inMeta), async ({ at, bits }) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] as number) ^ bits;
        const folder = folderWith(changed);
        const store = tried(folder);
        if (typeof store === "string") {
          refused++;
          expect(store).toMatch(/^the state .*state\.mdb (is damaged|cannot be opened)/);
          expect(readFileSync(join(folder, "state.mdb")).equals(changed)).toBe(true);
          return;
        }
        expect(store.list(THINGS)).toEqual(entries);
        for (let n = 0; n < 5; n++)
          await store.commit([put(THINGS, `key ${n * 17}`, { n, text: "y".repeat(n * 3000) }), remove(THINGS, `key ${n}`)]);
        const after = store.list(THINGS);
        await store.close();
        const again = openState(folder);
        expect(again.list(THINGS)).toEqual(after);
        await again.close();
      }),
      { numRuns: 150 },
    );
    expect(refused).toBeGreaterThan(20);
  });

  it("is refused when it was cut short, wherever", async () => {
    const { bytes, entries } = await written();
    for (const share of [0.001, 0.01, 0.1, 0.5, 0.9]) {
      const folder = folderWith(bytes);
      truncateSync(join(folder, "state.mdb"), Math.floor(bytes.length * share));
      expect(tried(folder)).toMatch(REMEDY);
    }
    const whole = tried(folderWith(bytes)) as StateStore;
    expect(whole.list(THINGS)).toEqual(entries);
    await whole.close();
  });

  it.each([
    ["empty", ""],
    ["another kind of file", "SQLite format 3\0".repeat(1000)],
  ])("is refused when it is %s", (_, content) => {
    expect(tried(folderWith(Buffer.from(content)))).toMatch(REMEDY);
  });

  it("can be put aside, and the folder is free for the next try", async () => {
    const folder = folderWith(Buffer.alloc(20_000));
    expect(tried(folder)).toMatch(REMEDY);
    copyFileSync(join(folder, "state.mdb"), join(folder, "state.mdb.bad"));
    truncateSync(join(folder, "state.mdb"));
    expect(tried(folder)).toMatch(REMEDY);
    const { bytes, entries } = await written();
    writeFileSync(join(folder, "state.mdb"), bytes);
    const store = tried(folder) as StateStore;
    expect(store.list(THINGS)).toEqual(entries);
    await store.close();
  });
});

describe("a file of another format", () => {
  it.each([
    ["a newer one", { format: 2 }, /has the format 2, and this version of Pilotlight knows 1; start the version that wrote it/],
    ["an unknown one", { format: "x" }, /has the format x, and this version of Pilotlight knows 1/],
    ["none", undefined, /is damaged: it does not say of which format it is/],
  ])("is refused: %s", async (_, said, reason) => {
    const folder = join(tempDir(), "data");
    mkdirSync(folder);
    const database = open<Buffer, Buffer>({
      path: join(folder, "state.mdb"),
      encoding: "binary",
      keyEncoding: "binary",
      overlappingSync: false,
      noSubdir: true,
    });
    const key = Buffer.from(said === undefined ? "things\0a" : "\0format");
    database.transactionSync(() => void database.put(key, seal(key, pack(said ?? 1))));
    await database.close();
    expect(tried(folder)).toMatch(reason);
  });
});

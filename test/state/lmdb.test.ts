/** The store of a node: the suite, and what concerns its folder and its file. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openState } from "../../src/state/lmdb.js";
import { put, table, type StateStore } from "../../src/state/store.js";
import { atEnd } from "../support/cleanup.js";
import { tempDir } from "../support/files.js";
import { stateSuite } from "./suite.js";

const THINGS = table<{ readonly n: number }>("things");

stateSuite(() => opened(join(tempDir(), "data")));

function opened(folder: string): StateStore {
  const store = openState(folder);
  atEnd(() => store.close());
  return store;
}

describe("state in a folder", () => {
  it("is there again after closing, and leaves no other files", async () => {
    const folder = join(tempDir(), "a", "b");
    for (let n = 0; n < 3; n++) {
      const store = opened(folder);
      expect(store.list(THINGS)).toHaveLength(n);
      await store.commit([put(THINGS, `k${n}`, { n })]);
      await store.close();
    }
    expect(readdirSync(folder).sort()).toEqual(["state.mdb", "state.mdb-lock"]);
    if (process.platform !== "win32") expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it("writes many commits that wait together in few syncs, each with an answer of its own", async () => {
    const store = opened(tempDir());
    await Promise.all(Array.from({ length: 500 }, (_, n) => store.commit([put(THINGS, `k${n}`, { n })])));
    expect(store.list(THINGS)).toHaveLength(500);
  });

  it("goes with a draft that a killed start left behind", async () => {
    const folder = tempDir({ "state.mdb.new": "half", "state.mdb.new-lock": "half" });
    await opened(folder).commit([put(THINGS, "a", { n: 1 })]);
    expect(readdirSync(folder).sort()).toEqual(["node.lock", "state.mdb", "state.mdb-lock"]);
  });
});

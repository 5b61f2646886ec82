/** Components in a folder: the suite, and what a disk and a killed process can do to them. */
import { chmodSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folderComponents } from "../../src/artefacts/folder.js";
import { StateError } from "../../src/state/store.js";
import { tempDir } from "../support/files.js";
import { componentSuite } from "./suite.js";

componentSuite(() => folderComponents(join(tempDir(), "data", "components")));

const BYTES = Buffer.from("what a component was");

describe("components in a folder", () => {
  it("are there for the next process, one file each", async () => {
    const folder = tempDir();
    const digest = await folderComponents(folder).put(BYTES);
    expect(readdirSync(folder)).toEqual([`${digest}.wasm`]);
    expect(await folderComponents(folder).get(digest)).toEqual(BYTES);
  });

  it.each<[string, (path: string) => void]>([
    ["changed", (path) => writeFileSync(path, readFileSync(path).fill(0x20, 5, 6))],
    ["cut short", (path) => truncateSync(path, 3)],
    ["emptied", (path) => truncateSync(path)],
  ])("are refused when they were %s, until the same bytes are put again", async (_, damage) => {
    const folder = tempDir();
    const store = folderComponents(folder);
    const digest = await store.put(BYTES);
    damage(join(folder, `${digest}.wasm`));
    await expect(store.get(digest)).rejects.toThrow(StateError);
    await expect(store.get(digest)).rejects.toThrow(new RegExp(`${digest}\\.wasm is damaged: .* deploy the same component again`));
    expect(await store.put(BYTES)).toBe(digest);
    expect(await store.get(digest)).toEqual(BYTES);
  });

  it("lose what a killed process left half-written, and nothing that is not theirs", async () => {
    const folder = tempDir({ ".put-0123456789abcdef": "half", "notes.txt": "mine", [`${"a".repeat(63)}.wasm`]: "no digest" });
    const store = folderComponents(folder);
    const digest = await store.put(BYTES);
    await store.collect(new Set([digest]));
    expect(readdirSync(folder).sort()).toEqual([`${digest}.wasm`, `${"a".repeat(63)}.wasm`, "notes.txt"].sort());
  });

  it("say so when they cannot be written, and leave nothing behind", async () => {
    const folder = tempDir();
    const store = folderComponents(folder);
    const digest = await store.put(BYTES);
    // A folder where the file should be is in the way of root too, whom permissions do not stop.
    await store.remove(digest);
    const blocked = tempDir({ [`${digest}.wasm/in-the-way`]: "" });
    const failure = folderComponents(blocked).put(BYTES);
    await expect(failure).rejects.toThrow(StateError);
    await expect(failure).rejects.toThrow(digest);
    expect(readdirSync(blocked)).toEqual([`${digest}.wasm`]);
  });

  it("cannot begin in a place that is no folder", () => {
    const folder = tempDir({ file: "" });
    expect(() => folderComponents(join(folder, "file", "components"))).toThrow(/cannot be made: .*; give another data folder with --data/);
    expect(existsSync(join(folder, "file"))).toBe(true);
    chmodSync(folder, 0o700);
  });
});

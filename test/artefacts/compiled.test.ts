/** Compiled forms go with the components they were made from, and when there are too many. */
import { readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CompiledCache } from "../../src/artefacts/compiled.js";
import { tempDir } from "../support/files.js";

const [USED, UNUSED, THIRD] = ["a", "b", "c"].map((letter) => letter.repeat(64)) as [string, string, string];
const NOW = "0123456789abcdef";
const BEFORE = "fedcba9876543210";

/** A folder of forms that hold so many bytes with their seals, the first written longest ago. */
function folderOf(...forms: [digest: string, bytes: number, compatibility?: string][]): string {
  const folder = tempDir();
  forms.forEach(([digest, bytes, compatibility = NOW], at) => write(folder, digest, bytes, at + 1, compatibility));
  return folder;
}

function write(folder: string, digest: string, bytes: number, at: number, compatibility: string = NOW): void {
  const path = join(folder, `${digest}-${compatibility}`);
  writeFileSync(`${path}.cwasm`, Buffer.alloc(bytes - 10));
  writeFileSync(`${path}.seal`, Buffer.alloc(10));
  for (const file of [`${path}.cwasm`, `${path}.seal`]) utimesSync(file, at, at);
}

describe("collecting compiled forms", () => {
  it("removes those of components that nobody uses, for every engine, and nothing else", async () => {
    const stays = [`${USED}-${NOW}.cwasm`, `${USED}-${NOW}.seal`, `${USED}-${BEFORE}.cwasm`, "notes.txt", `${UNUSED}.wasm`];
    const goes = [`${UNUSED}-${NOW}.cwasm`, `${UNUSED}-${NOW}.seal`, `${UNUSED}-${BEFORE}.seal`];
    const folder = tempDir(Object.fromEntries([...stays, ...goes].map((name) => [name, "x"])));
    const cache = new CompiledCache(folder);
    expect([cache.has(USED), cache.has(UNUSED)]).toEqual([true, true]);
    expect((await cache.collect(new Set([USED]))).sort()).toEqual(goes.sort());
    expect(readdirSync(folder).sort()).toEqual(stays.sort());
    expect([cache.has(USED), cache.has(UNUSED)]).toEqual([true, false]);
  });

  it("removes drafts once nobody can be writing them any more", async () => {
    const folder = tempDir({ ".tmpAbC123": "new", ".tmpXyZ789": "old", ".tmp": "no draft" });
    utimesSync(join(folder, ".tmpXyZ789"), new Date(0), new Date(0));
    expect(await new CompiledCache(folder).collect(new Set())).toEqual([".tmpXyZ789"]);
    expect(readdirSync(folder).sort()).toEqual([".tmp", ".tmpAbC123"]);
  });
});

describe("a budget for compiled forms", () => {
  it("takes the least recently used first, with its seal, and no more than has to go", async () => {
    const folder = folderOf([USED, 100], [UNUSED, 100], [THIRD, 100]);
    const cache = new CompiledCache(folder);
    expect(await cache.bytes()).toBe(300);
    expect(await cache.enforce(300, new Set())).toEqual([]);
    expect(await cache.enforce(150, new Set())).toEqual([USED, UNUSED]);
    expect(readdirSync(folder).sort()).toEqual([`${THIRD}-${NOW}.cwasm`, `${THIRD}-${NOW}.seal`]);
    expect([await cache.bytes(), cache.has(USED), cache.has(THIRD)]).toEqual([100, false, true]);
  });

  it("leaves what is to be kept, over the budget if it must be", async () => {
    const cache = new CompiledCache(folderOf([USED, 100], [UNUSED, 100]));
    expect(await cache.enforce(0, new Set([USED]))).toEqual([UNUSED]);
    expect([await cache.bytes(), cache.has(USED)]).toEqual([100, true]);
  });

  it("counts a form as used when the engine has loaded its component", async () => {
    const folder = folderOf([USED, 100], [UNUSED, 100]);
    const cache = new CompiledCache(folder);
    expect(await cache.used(USED)).toBe(false);
    expect(statSync(join(folder, `${USED}-${NOW}.cwasm`)).mtimeMs).toBeGreaterThan(Date.now() - 60_000);
    expect(await cache.enforce(100, new Set())).toEqual([UNUSED]);
  });

  it("lets the forms of an older engine go before the one that is used", async () => {
    const folder = folderOf([USED, 100, BEFORE], [USED, 100, NOW]);
    const cache = new CompiledCache(folder);
    await cache.used(USED);
    // A form of it is left, so it is not told of.
    expect(await cache.enforce(100, new Set())).toEqual([]);
    expect([readdirSync(folder).sort(), cache.has(USED)]).toEqual([[`${USED}-${NOW}.cwasm`, `${USED}-${NOW}.seal`], true]);
  });
});

describe("what is known of compiled forms", () => {
  it("follows what the engine writes", async () => {
    const folder = tempDir();
    const cache = new CompiledCache(folder);
    expect(cache.has(USED)).toBe(false);
    write(folder, USED, 100, 1);
    expect([await cache.used(USED), cache.has(USED), await cache.used(USED)]).toEqual([true, true, false]);
  });

  it("is nothing without a folder, or before it is there", async () => {
    const gone = join(tempDir(), "none");
    for (const cache of [new CompiledCache(null), new CompiledCache(gone)]) {
      expect([cache.has(USED), await cache.used(USED), await cache.bytes()]).toEqual([false, false, 0]);
      expect([await cache.collect(new Set()), await cache.enforce(0, new Set())]).toEqual([[], []]);
    }
    expect([new CompiledCache(null).keeps, new CompiledCache(gone).keeps]).toEqual([false, true]);
  });

  it("does not mind a form that somebody else has removed", async () => {
    const folder = folderOf([USED, 100]);
    const cache = new CompiledCache(folder);
    expect(cache.has(USED)).toBe(true);
    for (const name of readdirSync(folder)) rmSync(join(folder, name));
    expect(await cache.used(USED)).toBe(false);
  });
});

/** Compiled forms go with the components they were made from. */
import { readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { collectCompiled } from "../../src/artefacts/compiled.js";
import { tempDir } from "../support/files.js";

const USED = "a".repeat(64);
const UNUSED = "b".repeat(64);

it("compiled forms of components that nobody uses are removed, for every engine, and nothing else", async () => {
  const stays = [
    `${USED}-0123456789abcdef.cwasm`,
    `${USED}-0123456789abcdef.seal`,
    `${USED}-fedcba9876543210.cwasm`,
    "notes.txt",
    `${UNUSED}.wasm`,
  ];
  const goes = [`${UNUSED}-0123456789abcdef.cwasm`, `${UNUSED}-0123456789abcdef.seal`, `${UNUSED}-fedcba9876543210.seal`];
  const folder = tempDir(Object.fromEntries([...stays, ...goes].map((name) => [name, "x"])));
  expect((await collectCompiled(folder, new Set([USED]))).sort()).toEqual(goes.sort());
  expect(readdirSync(folder).sort()).toEqual(stays.sort());
});

it("drafts go once nobody can be writing them any more", async () => {
  const folder = tempDir({ ".tmpAbC123": "new", ".tmpXyZ789": "old", ".tmp": "no draft" });
  utimesSync(join(folder, ".tmpXyZ789"), new Date(0), new Date(0));
  expect(await collectCompiled(folder, new Set())).toEqual([".tmpXyZ789"]);
  expect(readdirSync(folder).sort()).toEqual([".tmp", ".tmpAbC123"]);
});

it("a folder that is not there yet has nothing to collect", async () => {
  expect(await collectCompiled(join(tempDir(), "none"), new Set())).toEqual([]);
});

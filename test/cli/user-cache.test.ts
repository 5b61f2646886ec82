import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { userCache } from "../../src/cli/user-cache.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pilotlight-cache-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

it("compiled components of single files are kept in the user's cache folder, for the user alone", () => {
  const cache = userCache({ XDG_CACHE_HOME: folder });
  expect(cache).toBe(join(folder, "pilotlight"));
  expect(statSync(cache as string).mode & 0o777).toBe(0o700);
});

it("PILOTLIGHT_CACHE names another folder, or none", () => {
  expect(userCache({ PILOTLIGHT_CACHE: join(folder, "mine"), XDG_CACHE_HOME: folder })).toBe(join(folder, "mine"));
  expect(userCache({ PILOTLIGHT_CACHE: "", XDG_CACHE_HOME: folder })).toBeUndefined();
});

it("a folder that cannot be made is done without", () => {
  writeFileSync(join(folder, "file"), "");
  expect(userCache({ XDG_CACHE_HOME: join(folder, "file") })).toBeUndefined();
});

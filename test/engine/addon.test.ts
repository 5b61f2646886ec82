import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { addonCandidates, platformName } from "../../src/engine/addon.js";

it.each([
  ["linux", "x64", false, "linux-x64-gnu"],
  ["linux", "arm64", true, "linux-arm64-musl"],
  ["darwin", "arm64", false, "darwin-arm64"],
  ["win32", "x64", false, "win32-x64-msvc"],
])("the platform %s %s (musl: %s) is called %s", (platform, arch, musl, name) => expect(platformName(platform, arch, musl)).toBe(name));

it("a build in the checkout is tried before the platform's package", () => {
  const [local, packaged] = addonCandidates("linux-x64-gnu");
  expect(local).toMatch(/\/native\/pilotlight\.linux-x64-gnu\.node$/);
  expect(packaged).toBe("pilotlight-linux-x64-gnu");
});

it("the addon of this platform is where it is looked for", () => {
  expect(existsSync(addonCandidates()[0] as string)).toBe(true);
});

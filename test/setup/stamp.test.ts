import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { lockDifference } from "../../scripts/lib/dependencies.mjs";
import { digestOf, listFiles, staleness, writeStamp } from "../../scripts/lib/stamp.mjs";

function folder(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), "pilotlight-stamp-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

test("files are listed in one order, without folders that are not sources, and what is not there is passed over", () => {
  const root = folder({ "b/z.rs": "", "b/a.rs": "", "b/notes.md": "", "b/target/x.rs": "", "a.toml": "" });
  const keep = (path: string) => !path.endsWith(".md");
  expect(listFiles(root, ["b", "a.toml", "gone"], { keep })).toEqual(["a.toml", "b/a.rs", "b/z.rs"]);
});

test("a digest changes with a content, a name and a fact, and with nothing else", () => {
  const digest = (files: Record<string, string>, facts: string[] = []) => {
    const root = folder(files);
    return digestOf(root, listFiles(root, Object.keys(files)), facts);
  };
  const one = digest({ a: "1", b: "2" });
  expect(digest({ b: "2", a: "1" })).toBe(one);
  expect(digest({ a: "12", b: "" })).not.toBe(one);
  expect(digest({ a: "1", c: "2" })).not.toBe(one);
  expect(digest({ a: "1", b: "2" }, ["linux"])).not.toBe(one);
});

test("what was built is stale when it is missing, its sources changed, or it is not what was recorded", () => {
  const root = folder({});
  const output = join(root, "addon.node");
  const stamp = `${output}.stamp`;
  expect(staleness(output, stamp, "one")).toBe("missing");
  writeFileSync(output, "binary");
  expect(staleness(output, stamp, "one")).toBe("not from here");
  writeStamp(output, stamp, "one");
  expect(staleness(output, stamp, "one")).toBeUndefined();
  expect(staleness(output, stamp, "two")).toBe("sources changed");
  writeFileSync(output, "bin");
  expect(staleness(output, stamp, "one")).toBe("not from here");
  writeFileSync(stamp, '{"inputs":"on');
  expect(staleness(output, stamp, "one")).toBe("not from here");
});

test("dependencies are told by what npm says it installed", () => {
  const wanted = { packages: { "": {}, "node_modules/a": { version: "1.0.0" }, "node_modules/b": { version: "1.0.0", optional: true } } };
  const installed = (packages: Record<string, { version: string }>) => ({ packages });
  expect(lockDifference(wanted, installed({ "node_modules/a": { version: "1.0.0" } }))).toBeUndefined();
  expect(lockDifference(wanted, installed({}))).toBe("a is not installed");
  expect(lockDifference(wanted, installed({ "node_modules/a": { version: "0.9.0" } }))).toBe("a is 0.9.0, the lock file says 1.0.0");
  const both = { "node_modules/a": { version: "1.0.0" }, "node_modules/b": { version: "2.0.0" } };
  expect(lockDifference(wanted, installed(both))).toBe("b is 2.0.0, the lock file says 1.0.0");
});

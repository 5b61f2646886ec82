import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const GUESTS = join(ROOT, "guests");

interface Digest {
  readonly sha256: string;
  readonly bytes: number;
  readonly command: string;
}

const names = readdirSync(GUESTS).filter((name) => existsSync(join(GUESTS, name, "build.json")));
const readDigests = (folder: string): Record<string, Digest> =>
  JSON.parse(readFileSync(join(folder, "digests.json"), "utf8")) as Record<string, Digest>;
const digests = readDigests(GUESTS);

function digestOf(file: string): { sha256: string; bytes: number } {
  const bytes = readFileSync(file);
  return { sha256: createHash("sha256").update(bytes).digest("hex"), bytes: bytes.length };
}

/** Everything under `test` and `bench` that may name a guest, this file left out. */
function tests(): string {
  const folders = ["test", "bench"].map((folder) => join(ROOT, folder)).filter(existsSync);
  const files = folders.flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }));
  const sources = files.filter(
    (file) => file.isFile() && /\.m?[jt]s$/.test(file.name) && file.name !== "digests.test.ts" && !file.parentPath.includes("/.rivals"),
  );
  return sources.map((file) => readFileSync(join(file.parentPath, file.name), "utf8")).join("\n");
}

/** `name` in quotes or a path, or with its version left to a template: `echo-${version}`. */
function isNamed(name: string, source: string): boolean {
  const open = `${name.replace(/-p[23]$/, "")}-\${`;
  return new RegExp(`["'\`/]${name}["'\`/.]`).test(source) || (/-p[23]$/.test(name) && source.includes(open));
}

describe("the guests", () => {
  const everyTest = tests();
  const table = readFileSync(join(GUESTS, "README.md"), "utf8");

  it("are all in digests.json, and nothing else is", () => {
    expect(Object.keys(digests).sort()).toEqual([...names].sort());
  });

  describe.each(names)("%s", (name) => {
    it("is the component that its digest says", () => {
      expect(digests[name]).toMatchObject(digestOf(join(GUESTS, name, `${name}.wasm`)));
    });

    it("is in the table of the README", () => {
      expect(table).toContain(`| \`${name}\` |`);
    });

    it("is named by a test or benchmark", () => {
      expect(isNamed(name, everyTest), `nothing under test/ or bench/ names ${name}`).toBe(true);
    });
  });

  it("that benchmarks run are at most 50 kB", () => {
    for (const name of ["hello-p2", "hello-p3"]) expect(digests[name]?.bytes).toBeLessThanOrEqual(50_000);
  });
});

describe.each(["c-hello", "rust-hello"])("the example %s", (name) => {
  it("is the component that its digest says", () => {
    const folder = join(ROOT, "examples", name);
    expect(readDigests(folder)[name]).toMatchObject(digestOf(join(folder, `${name}.wasm`)));
  });
});

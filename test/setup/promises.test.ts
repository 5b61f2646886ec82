import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { missingFiles, publishedManifest } from "../../scripts/lib/packages.mjs";
import { digestProblems, lockProblems, nativeProblems, onlyProblems, pinProblems, sizeProblems } from "../../scripts/lib/pins.mjs";

describe("npm run check holds that", () => {
  test("every dependency is one exact version", () => {
    const manifest = {
      dependencies: { a: "1.2.3", b: "^1.2.3" },
      devDependencies: { c: "1.0.0-rc.1", d: "latest" },
      overrides: { e: "1.0.0" },
    };
    expect(pinProblems(manifest)).toEqual([
      'package.json: dependencies.b is "^1.2.3"; give one exact version',
      'package.json: devDependencies.d is "latest"; give one exact version',
    ]);
  });

  test("the lock file is of this package.json and names no registry", () => {
    const manifest = { version: "0.1.0", dependencies: { a: "1.0.0" } };
    const lock = (root: object, a: object) => ({ packages: { "": root, "node_modules/a": a } });
    expect(lockProblems(manifest, lock(manifest, { version: "1.0.0" }))).toEqual([]);
    expect(lockProblems(manifest, lock({ version: "0.1.0" }, {}))).toEqual([
      "package-lock.json: dependencies differs from package.json; run npm install",
    ]);
    expect(lockProblems(manifest, lock(manifest, { resolved: "https://registry.example/a.tgz" }))[0]).toContain("names a registry");
    expect(lockProblems(manifest, lock(manifest, { optionalDependencies: { "a-darwin-x64": "1.0.0" } }))).toEqual([
      "package-lock.json: 1 packages of other platforms have no entry, a-darwin-x64 first; npm run fix adds them",
    ]);
  });

  test("the wasmtime crates are of one version, nothing comes from git, and the addon has the package's version", () => {
    const crate = (name: string, version: string, source = "registry+https://example") =>
      `[[package]]\nname = "${name}"\nversion = "${version}"\nsource = "${source}"\n`;
    const good = crate("wasmtime", "48.0.8") + crate("wasmtime-wasi", "48.0.8");
    expect(nativeProblems('version = "0.1.0"', good, "0.1.0")).toEqual([]);
    expect(nativeProblems('version = "0.1.0"', good + crate("wasmtime-wasi-http", "48.0.7"), "0.1.0")).toHaveLength(1);
    expect(nativeProblems('version = "0.1.0"', good + crate("x", "1.0.0", "git+https://example"), "0.1.0")).toHaveLength(1);
    expect(nativeProblems('version = "0.2.0"', good, "0.1.0")).toHaveLength(1);
  });

  test("every component has its digest, and every digest its component", () => {
    const bytes = Buffer.from("component");
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const lists = { "guests/digests.json": { hello: { sha256 } }, "examples/c-hello/digests.json": { "c-hello": { sha256 } } };
    const files = ["guests/hello/hello.wasm", "examples/c-hello/c-hello.wasm"];
    expect(digestProblems(lists, files, () => bytes)).toEqual([]);
    expect(digestProblems(lists, files, () => Buffer.from("other"))).toHaveLength(2);
    expect(digestProblems(lists, ["guests/hello/hello.wasm"], () => bytes)).toHaveLength(1);
    expect(digestProblems(lists, [...files, "guests/new/new.wasm"], () => bytes)).toHaveLength(1);
  });

  test("no file is big but a listed component", () => {
    const lists = { "guests/digests.json": { hello: { sha256: "" } } };
    const sizes = [
      { file: "guests/hello/hello.wasm", bytes: 2_000_000 },
      { file: "trace.json", bytes: 600_000 },
      { file: "small.json", bytes: 500_000 },
    ];
    expect(sizeProblems(sizes, lists)).toEqual(["trace.json: 586 KiB; only components listed in a digests.json may exceed 512 KiB"]);
  });

  test("no test is singled out", () => {
    const word = "only"; // in parts, or this very file would be found
    expect(onlyProblems("a.test.ts", `test("a", f);\ntest.${word}("b", f);\ndescribe.concurrent.${word}("c", f);\nonly();`)).toEqual([
      "a.test.ts:2: .only left in",
      "a.test.ts:3: .only left in",
    ]);
  });
});

describe("a release", () => {
  test("asks for the addon of every platform at its own version, and carries nothing of the checkout", () => {
    const manifest = {
      name: "pilotlight",
      version: "0.1.0",
      scripts: {},
      devDependencies: {},
      dependencies: { hono: "4.0.0" },
      overrides: { shim: "0.26.0" },
      napi: { targets: ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-musl", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"] },
    };
    expect(publishedManifest(manifest)).toEqual({
      name: "pilotlight",
      version: "0.1.0",
      dependencies: { hono: "4.0.0", shim: "0.26.0" },
      optionalDependencies: {
        "pilotlight-linux-x64-gnu": "0.1.0",
        "pilotlight-linux-arm64-musl": "0.1.0",
        "pilotlight-darwin-arm64": "0.1.0",
        "pilotlight-win32-x64-msvc": "0.1.0",
      },
    });
  });

  test("is refused when a file it must hold is not in it", () => {
    expect(missingFiles(["package.json", "wit/a.wit"], ["package.json", "wit/", "LICENSE"])).toEqual(["LICENSE"]);
  });
});

import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { buildGuest } from "../../src/guests/build.js";

const HELLO = fileURLToPath(new URL("../../examples/hello/", import.meta.url));
const folders: string[] = [];

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function folder(files: Readonly<Record<string, string | object>>): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "pilotlight-test-"));
  folders.push(made);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(made, name, ".."), { recursive: true });
    await writeFile(join(made, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return made;
}

const manifest = (build: unknown): object => ({ name: "x", component: "x.wasm", build });
const TYPESCRIPT = { source: "index.ts", world: "http", engine: "quickjs" };

/** The message of a refused build, with the folder's name taken out. */
async function refusal(files: Readonly<Record<string, string | object>>): Promise<string> {
  const made = await folder(files);
  const error = await buildGuest(made).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  expect((error as Error).name).toBe("BuildError");
  return (error as Error).message.replaceAll(made, "DIR");
}

describe("buildGuest", () => {
  it("makes a component of the hello example", { timeout: 60_000 }, async () => {
    const made = await folder({});
    await cp(HELLO, made, { recursive: true, filter: (file) => !file.endsWith(".wasm") });
    const built = await buildGuest(made);
    expect(built.component).toBe(join(made, "hello.wasm"));
    expect(built.bytes).toBe((await stat(built.component)).size);
    // a component, not a core module
    expect([...(await readFile(built.component)).subarray(0, 8)]).toEqual([0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00]);
  });

  it("runs the command of a manifest in its folder", async () => {
    const made = await folder({ "pilotlight.json": manifest({ command: "cp from.bin x.wasm" }), "from.bin": "12345" });
    expect(await buildGuest(made)).toMatchObject({ component: join(made, "x.wasm"), bytes: 5 });
  });

  it("keeps the old component when a build fails", async () => {
    const made = await folder({ "pilotlight.json": manifest(TYPESCRIPT), "index.ts": "export const handler = ", "x.wasm": "old" });
    await expect(buildGuest(made)).rejects.toThrow("index.ts");
    expect(await readFile(join(made, "x.wasm"), "utf8")).toBe("old");
  });

  it("says which module nothing provides", async () => {
    expect(
      await refusal({
        "pilotlight.json": manifest(TYPESCRIPT),
        "index.ts": 'import { x } from "no-such-package"; export const handler = x;',
      }),
    ).toContain("no-such-package");
    expect(
      await refusal({
        "pilotlight.json": manifest(TYPESCRIPT),
        "index.ts": 'import { readFileSync } from "node:fs"; export const handler = readFileSync;',
      }),
    ).toContain("node:fs");
  });

  it("says when the world's export is missing", async () => {
    expect(await refusal({ "pilotlight.json": manifest(TYPESCRIPT), "index.ts": "export const other = 1;" })).toBe(
      "DIR/index.ts: there is no export named handler; a function that answers HTTP has `export const handler = serve(…)`",
    );
  });

  it("says what an error at the top of the module was", { timeout: 60_000 }, async () => {
    expect(
      await refusal({
        "pilotlight.json": manifest(TYPESCRIPT),
        "index.ts": 'if (Date.now() > 0) throw new Error("broken at the top"); export const handler = 1;',
      }),
    ).toContain("broken at the top");
  });

  it.each([
    ["no manifest", {}, "DIR/pilotlight.json: there is no such file; a function's folder has a pilotlight.json"],
    ["a manifest that is no JSON", { "pilotlight.json": "{" }, /^DIR\/pilotlight\.json: not valid JSON: /],
    ["a manifest that is no object", { "pilotlight.json": "[]" }, "DIR/pilotlight.json: expected an object, found []"],
    [
      "no component",
      { "pilotlight.json": { build: TYPESCRIPT } },
      'DIR/pilotlight.json: component is missing; it has to be the path of the component to write, like "hello.wasm"',
    ],
    [
      "no build",
      { "pilotlight.json": { component: "x.wasm" } },
      'DIR/pilotlight.json: there is no "build"; it says how, for example { "source": "index.ts", "world": "http", "engine": "quickjs" } or { "command": "make" }',
    ],
    [
      "a field that is not one",
      { "pilotlight.json": manifest({ sauce: "x" }) },
      "DIR/pilotlight.json: build.sauce is not a field; there are source, world, engine, command",
    ],
    ["both kinds", { "pilotlight.json": manifest({ command: "make", source: "index.ts" }) }, /either a command or a source/],
    [
      "a source that is not there",
      { "pilotlight.json": manifest(TYPESCRIPT) },
      "DIR/pilotlight.json: build.source names index.ts, which is not in DIR",
    ],
    [
      "a source of another language",
      { "pilotlight.json": manifest({ source: "index.py" }) },
      "DIR/pilotlight.json: build.source is index.py; it has to end in .ts, .mts, .js, .mjs",
    ],
    [
      "another engine",
      { "pilotlight.json": manifest({ ...TYPESCRIPT, engine: "v8" }) },
      'DIR/pilotlight.json: build.engine "v8" is not supported by this version; it has to be "quickjs"',
    ],
    [
      "another world",
      { "pilotlight.json": manifest({ ...TYPESCRIPT, world: "cli" }) },
      'DIR/pilotlight.json: build.world "cli" is not supported by this version; there is "http"',
    ],
    [
      "a command that fails",
      { "pilotlight.json": manifest({ command: "echo oops >&2; exit 3" }) },
      "DIR/pilotlight.json: build.command `echo oops >&2; exit 3` ended with 3:\noops",
    ],
    [
      "a command that writes nothing",
      { "pilotlight.json": manifest({ command: "true" }) },
      "DIR/pilotlight.json: build.command `true` worked but did not write DIR/x.wasm",
    ],
  ])("refuses %s by name", async (_, files, message) => {
    expect(await refusal(files as Record<string, string | object>)).toMatch(message);
  });
});

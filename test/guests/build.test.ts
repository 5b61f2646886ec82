import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { buildGuest } from "../../src/guests/build.js";
import { startRuntime } from "../support/runtime.js";

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

  it("makes a component of a world of one's own, with what it exports and imports", { timeout: 60_000 }, async () => {
    const made = await folder({
      "pilotlight.json": manifest({ source: "src/index.ts", wit: "wit", world: "mine" }),
      "wit/mine.wit": `package demo:mine@1.0.0;
        interface greet { hello: func(name: string) -> string; }
        interface names { longest: func() -> u32; }
        world mine { import names; export greet; }`,
      "src/index.ts": `import { longest } from "demo:mine/names@1.0.0";
        export const greet = { hello(name: string): string { return "Hello, " + name.slice(0, longest()); } };`,
    });
    const { component } = await buildGuest(made);
    const node = await startRuntime([{ manifest: { name: "mine" }, component: await readFile(component) }], {
      imports: { "demo:mine/names@1.0.0": { longest: () => 3 } },
    });
    expect(await node.runtime.call("mine", "demo:mine/greet@1.0.0#hello", ["Adalbert"])).toBe("Hello, Ada");
    await node.idle();
  });

  it.each([
    [
      "export",
      "export const other = 1;",
      "DIR/index.ts: there is no export named greet; the world mine needs `export const greet = { … }` with the functions of demo:mine/greet@1.0.0",
    ],
    [
      "import",
      'import { x } from "demo:mine/else@1.0.0"; export const greet = { hello: x };',
      "DIR/index.ts: the world mine of mine.wit does not import demo:mine/else@1.0.0",
    ],
  ])("says which %s does not go with a world of one's own", { timeout: 60_000 }, async (_what, source, message) => {
    expect(
      await refusal({
        "pilotlight.json": manifest({ source: "index.ts", wit: "mine.wit", world: "mine" }),
        "mine.wit": "package demo:mine@1.0.0; interface greet { hello: func(name: string) -> string; } world mine { export greet; }",
        "index.ts": source,
      }),
    ).toBe(message);
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
      "DIR/pilotlight.json: build.sauce is not a field; there are source, world, wit, engine, command",
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
      'DIR/pilotlight.json: build.world "cli" is none of ours; there is "http", and one of your own takes "wit", the file that it is in',
    ],
    [
      "a WIT file that is not there",
      { "pilotlight.json": manifest({ source: "index.ts", wit: "mine.wit", world: "mine" }), "index.ts": "" },
      "DIR/pilotlight.json: build.wit names mine.wit, which is not in DIR",
    ],
    [
      "a WIT file without a world to take of it",
      { "pilotlight.json": manifest({ source: "index.ts", wit: "mine.wit" }) },
      "DIR/pilotlight.json: build.world is missing; it has to be the name of a world in mine.wit",
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

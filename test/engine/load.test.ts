import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { EngineError } from "../../src/engine/native.js";
import { TestEngine, guestBytes, openEngine, useEngine } from "../support/engine.js";

const engine = useEngine();
const { port } = engine;

describe("a component", () => {
  it("is described: what it is, what it exports, and with which types", async () => {
    const info = await engine.load("calc");
    const calc = info.exports.find(({ name }) => name === "demo:math/calc");
    expect(info).toMatchObject({ imports: [], runs: {}, cached: false });
    expect(info.digest).toBe(createHash("sha256").update(guestBytes("calc")).digest("hex"));
    const signature = (name: string): string => {
      const found = calc?.functions.find((f) => f.name === name);
      return `(${found?.parameters.map((p) => `${p.name}: ${p.type}`).join(", ")}) -> ${found?.result}`;
    };
    expect(signature("add")).toBe("(a: u32, b: u32) -> u32");
    expect(signature("touch")).toBe("() -> undefined");
    expect(signature("parse")).toBe(
      "(text: string) -> result<record { key: string, value: s64, tags: list<string>, note: option<string> }, string>",
    );
    expect(signature("area")).toBe("(shape: variant { circle(f64), rectangle(tuple<f64, f64>), nothing }) -> option<f64>");
    expect(signature("check")).toBe("(n: s32) -> result<_, enum { metre, foot, light-year }>");
    expect(signature("toggle")).toBe("(style: flags { bold, italic, under-line }) -> flags { bold, italic, under-line }");
  });

  it.each([
    ["hello-p2", { http: "0.2" }],
    ["hello-p3", { http: "0.3" }],
    ["command-p2", { command: "0.2" }],
    ["command-p3", { command: "0.3" }],
    ["wrong-world", {}],
  ])("%s can be run as %j", async (name, runs) => expect((await engine.load(name)).runs).toEqual(runs));

  it("tells of imported functions that are async and of resources", async () => {
    const { imports } = await engine.load("echo-p3");
    const types = imports.find(({ name }) => name.startsWith("wasi:http/types@0.3"));
    expect(types?.resources).toEqual(expect.arrayContaining(["fields", "request", "response"]));
    const { imports: unmet } = await engine.load("unmet");
    expect(unmet.find(({ name }) => name === "demo:storage/blobs@1.2.0")?.resources).toEqual(["blob"]);
  });
});

describe("bytes that are no component are refused with what they are:", () => {
  const refusal = async (bytes: Uint8Array): Promise<string> => {
    const error = await port.load(bytes).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(EngineError);
    return (error as Error).message;
  };

  it("a core module", async () =>
    expect(await refusal(guestBytes("core-module"))).toMatchInlineSnapshot(
      `"this is a core WebAssembly module, not a component. Add its WIT with \`wasm-tools component embed WIT IN.wasm -o EMBEDDED.wasm\`, then convert it with \`wasm-tools component new EMBEDDED.wasm -o OUT.wasm\` or \`jco new EMBEDDED.wasm -o OUT.wasm\`"`,
    ));

  it("nothing", async () =>
    expect(await refusal(Buffer.alloc(0))).toMatchInlineSnapshot(`"the file is empty; a WebAssembly component is wanted"`));
  it("a text", async () =>
    expect(await refusal(Buffer.from("# Read me\n"))).toMatchInlineSnapshot(
      `"this is not WebAssembly: it begins with the bytes 23 20 52 65 61 64 20 6d, a component with 00 61 73 6d 0d 00 01 00"`,
    ));
  it("a page", async () =>
    expect(await refusal(Buffer.from("<!doctype html><title>404</title>"))).toMatchInlineSnapshot(
      `"this is not a WebAssembly component but an HTML page, perhaps the answer to a download that failed"`,
    ));
  it("a zip", async () =>
    expect(await refusal(Buffer.from("PK\u0003\u0004xxxx"))).toMatchInlineSnapshot(
      `"this is not a WebAssembly component but a zip archive; unpack it"`,
    ));
  it("compiled code", async () =>
    expect(await refusal(Buffer.from("\u007fELF\u0002\u0001\u0001\u0000", "latin1"))).toMatchInlineSnapshot(
      `"this is not a WebAssembly component but an ELF file: a precompiled component (.cwasm) or a native program. Compiled code is never accepted; give the .wasm it was made from"`,
    ));
  it("the beginning of a header", async () =>
    expect(await refusal(Buffer.from("\0as"))).toMatchInlineSnapshot(
      `"the file ends after 3 bytes, inside the magic number of WebAssembly; it is cut short"`,
    ));
  it("a header alone, of WebAssembly cut short", async () =>
    expect(await refusal(Buffer.from("\0asm\u000d"))).toMatchInlineSnapshot(
      `"the file ends after 5 bytes, inside the header of WebAssembly; it is cut short"`,
    ));

  it("a component cut short", async () => {
    expect(await refusal(guestBytes("hello-p2").subarray(0, 3000))).toMatchInlineSnapshot(
      `"the component cannot be compiled: failed to parse WebAssembly module: wasm component contains an invalid module section: section range 2012..6818 is out of bounds (bound = 3000)"`,
    );
  });

  it("a component with a byte that is wrong", async () => {
    const bytes = Buffer.from(guestBytes("hello-p2"));
    bytes[8] = 0x7e;
    expect(await refusal(bytes)).toMatch(/^the component cannot be compiled: /);
  });
});

describe("linking", () => {
  it("is refused with every import that nothing satisfies", async () => {
    await expect(engine.link("unmet")).rejects.toThrow(
      new EngineError(
        "nothing provides these imports: demo:storage/blobs@1.2.0 (resource blob, [method]blob.size, open, put); demo:mail/outbox (send, pending)",
      ),
    );
  });

  it("can be checked beforehand, with the same list", async () => {
    const { digest } = await engine.load("unmet");
    expect(port.check(digest, [])).toEqual({
      missing: [
        { interface: "demo:storage/blobs@1.2.0", items: ["resource blob", "[method]blob.size", "open", "put"] },
        { interface: "demo:mail/outbox", items: ["send", "pending"] },
      ],
    });
    expect(port.check(digest, ["demo:mail/outbox"]).missing.map((each) => each.interface)).toEqual(["demo:storage/blobs@1.2.0"]);
    expect(port.check((await engine.load("hello-p3")).digest, [])).toEqual({ missing: [] });
  });

  it("takes imports that scripts answer", async () => {
    await expect(engine.link("ask")).rejects.toThrow("nothing provides these imports: demo:db/query (get)");
    await expect(engine.link("ask", { scripts: ["demo:db/query"] })).resolves.toBeGreaterThan(0);
  });

  it("needs a component that was loaded", async () => {
    const digest = "0".repeat(64);
    await engine.load("hello-p2");
    expect(() => port.check(digest, [])).toThrow(new EngineError(`component ${digest} is not loaded`));
    const spec = { digest, limits: {} } as never;
    await expect(port.link(spec)).rejects.toThrow(/missing field/);
    const other = openEngine();
    const program = other.link("hello-p2");
    await expect(program).resolves.toBe(1);
  });

  it("refuses an outbound origin that is none", async () => {
    const outbound = { origins: ["api.example.com"], anyAddress: false, connectMs: 1, firstByteMs: 1, betweenBytesMs: 1, connections: 1 };
    await expect(engine.link("hello-p2", { outbound })).rejects.toThrow(/api\.example\.com/);
  });

  it("counts its programs until they are unlinked", async () => {
    const other = openEngine();
    const first = await other.link("hello-p2");
    const second = await other.link("hello-p2");
    expect(second).not.toBe(first);
    expect(other.port.stats().programs).toBe(2);
    other.port.unlink(first);
    other.port.unlink(first);
    // The component is still there, for the other program.
    expect((await other.run(second, "/").answer()).status).toBe(200);
    other.port.unlink(second);
    expect(other.port.stats().programs).toBe(0);
    const outcome = await other.run(second, "/").outcome();
    expect(outcome).toEqual({ kind: "platform", code: "internal", message: `program ${second} is not linked` });
  });
});

describe("the cache of compiled components", () => {
  function cacheFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), "pilotlight-cache-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    return folder;
  }

  /** Loads hello in a process's worth of engine: whether it came from the cache, and that it works. */
  async function loads(cache: string): Promise<boolean> {
    const fresh = new TestEngine({ cache });
    const { cached } = await fresh.load("hello-p2");
    expect((await fresh.ask("hello-p2", "/")).body).toBe("Hello, WASI!\n");
    await fresh.close();
    return cached;
  }

  const fileOf = (folder: string, end: string): string => join(folder, readdirSync(folder).find((name) => name.endsWith(end)) as string);

  it("is made when missing, and used by the next engine", async () => {
    const folder = join(cacheFolder(), "a", "b");
    expect(await loads(folder)).toBe(false);
    expect(await loads(folder)).toBe(true);
    const digest = createHash("sha256").update(guestBytes("hello-p2")).digest("hex");
    for (const file of readdirSync(folder)) expect(file).toMatch(new RegExp(`^${digest}-[0-9a-f]{16}\\.(cwasm|seal)$`));
  });

  it.each([
    ["a file cut short", (folder: string) => truncateSync(fileOf(folder, ".cwasm"), 1000)],
    ["an empty file", (folder: string) => truncateSync(fileOf(folder, ".cwasm"), 0)],
    [
      "a changed byte",
      (folder: string) => {
        const bytes = readFileSync(fileOf(folder, ".cwasm"));
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
        writeFileSync(fileOf(folder, ".cwasm"), bytes);
      },
    ],
    ["a missing seal", (folder: string) => rmSync(fileOf(folder, ".seal"))],
    ["a broken seal", (folder: string) => writeFileSync(fileOf(folder, ".seal"), "{")],
    ["a missing file", (folder: string) => rmSync(fileOf(folder, ".cwasm"))],
  ])("refuses %s and compiles again", async (_what, spoil) => {
    const folder = cacheFolder();
    await loads(folder);
    spoil(folder);
    expect(await loads(folder)).toBe(false);
    expect(await loads(folder)).toBe(true);
  });

  it("does not look at what another engine compiled", async () => {
    const folder = cacheFolder();
    await loads(folder);
    for (const name of readdirSync(folder)) {
      copyFileSync(join(folder, name), join(folder, name.replace(/-[0-9a-f]{16}\./, "-0000000000000000.")));
      rmSync(join(folder, name));
    }
    expect(await loads(folder)).toBe(false);
    expect(readdirSync(folder)).toHaveLength(4);
  });

  it("in a folder that cannot be written is refused by name", () => {
    const file = join(cacheFolder(), "file");
    writeFileSync(file, "");
    expect(() => new TestEngine({ cache: join(file, "compiled") })).toThrow(
      new EngineError(
        `the cache folder ${join(file, "compiled")} cannot be written: Not a directory (os error 20); give a folder that can be with --data`,
      ),
    );
  });
});

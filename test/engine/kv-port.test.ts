/** Key-value data through the engine's port, and the file that it is kept in. */
import { spawn } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import type { KeyValue, KvErrorCode } from "../../src/engine/kv.js";
import { startEngine, type EngineSettings } from "../../src/engine/native.js";
import { atEnd } from "../support/cleanup.js";
import { openEngine } from "../support/engine.js";
import { ROOT, tempDir } from "../support/files.js";

const text = (value: Uint8Array | undefined): string | undefined => (value === undefined ? undefined : Buffer.from(value).toString());
const bytes = (value: string): Uint8Array => Buffer.from(value);

function inMemory(): KeyValue {
  return openEngine().port.kv;
}

const SETTINGS: EngineSettings = { cache: null, instances: 4, threads: 1, keepResidentBytes: 0, onDemand: true, backtraces: false };

function openAt(path: string, sync: "group" | "always" = "group"): { readonly kv: KeyValue; close(): Promise<void> } {
  const engine = startEngine({ ...SETTINGS, keyValue: { path, sync } });
  atEnd(() => engine.close());
  return engine;
}

async function code(work: () => unknown): Promise<KvErrorCode | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    expect(error).toMatchObject({ name: "KvError" });
    return (error as { code: KvErrorCode }).code;
  }
}

describe("the port", () => {
  it("gives values with the revision of their change", async () => {
    const kv = inMemory();
    const first = await kv.put("t", "s", "k", bytes("1"));
    const second = await kv.put("t", "s", "k", bytes("2"));
    expect(second).toBe(first + 1);
    expect(kv.get("t", "s", "k")).toEqual({ value: Buffer.from("2"), revision: second });
    expect([kv.get("t", "s", "none"), kv.get("u", "s", "k"), kv.get("t", "r", "k")]).toEqual([null, null, null]);
    const gone = await kv.delete("t", "s", "k");
    expect([kv.get("t", "s", "k"), kv.revisionOf("t", "s", "k"), kv.revision()]).toEqual([null, gone, gone]);
  });

  it("keeps bytes as they are, empty ones and many", async () => {
    const kv = inMemory();
    const large = Buffer.alloc(8 * 2 ** 20, 0xff);
    await kv.put("t", "s", "none", new Uint8Array());
    await kv.put("t", "s", "many", large);
    expect(kv.get("t", "s", "none")?.value).toHaveLength(0);
    expect(large.equals(kv.get("t", "s", "many")?.value as Uint8Array)).toBe(true);
    expect(await code(() => kv.put("t", "s", "more", Buffer.alloc(8 * 2 ** 20 + 1)))).toBe("invalid");
  });

  it("writes on conditions, and lets one of many win", async () => {
    const kv = inMemory();
    const made = await kv.put("t", "s", "k", bytes("0"), { ifAbsent: true });
    expect(await code(() => kv.put("t", "s", "k", bytes("1"), { ifAbsent: true }))).toBe("conflict");
    expect(await code(() => kv.delete("t", "s", "k", { ifRevision: made + 1 }))).toBe("conflict");
    const racers = Array.from({ length: 20 }, (_, i) => kv.put("t", "s", "k", bytes(String(i)), { ifRevision: made }));
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === "fulfilled");
    expect(won).toHaveLength(1);
    expect(await code(() => kv.put("t", "s", "new", bytes(""), { ifRevision: 0 }))).toBeUndefined();
  });

  it("lists keys in order, under a prefix and in pages", async () => {
    const kv = inMemory();
    for (const key of ["b/2", "a", "b/1", "c", "b/3"]) await kv.put("t", "s", key, bytes("vv"));
    const page = kv.list("t", "s", "b/", null, 2);
    expect(page).toMatchObject({ keys: [{ key: "b/1", bytes: 2 }, { key: "b/2" }], more: true });
    expect(kv.list("t", "s", "b/", "b/2", 2)).toMatchObject({ keys: [{ key: "b/3" }], more: false });
    expect(kv.list("t", "none", "", null, 10)).toEqual({ keys: [], more: false });
    expect(kv.stores("t")).toEqual([{ name: "s", keys: 5, bytes: 21, revision: kv.revision() }]);
  });

  it("counts a tenant's bytes and refuses what is over its quota", async () => {
    const kv = inMemory();
    await kv.put("t", "s", "key", bytes("12345"));
    expect([kv.usage("t"), kv.quota("t"), kv.usage("nobody")]).toEqual([8, null, 0]);
    await kv.setQuota("t", 10);
    expect(await code(() => kv.put("t", "s", "key", bytes("12345678")))).toBe("quota");
    expect([text(kv.get("t", "s", "key")?.value), kv.usage("t"), kv.quota("t")]).toEqual(["12345", 8, 10]);
    await kv.setQuota("t", null);
    await kv.put("t", "s", "key", bytes("12345678"));
    expect(kv.usage("t")).toBe(11);
  });

  it("forgets a tenant, but not that there was one", async () => {
    const kv = inMemory();
    await kv.put("t", "s", "k", bytes("1"));
    await kv.put("u", "s", "k", bytes("2"));
    const removed = await kv.removeTenant("t");
    expect([kv.get("t", "s", "k"), kv.stores("t"), kv.usage("t")]).toEqual([null, [], 0]);
    expect([kv.revisionOf("t", "s", "k"), kv.revisionUnder("t", "s", "")]).toEqual([removed, removed]);
    expect(text(kv.get("u", "s", "k")?.value)).toBe("2");
  });

  it("tells changes to those with a cursor, until they are past them", async () => {
    const kv = inMemory();
    await kv.put("t", "s", "before", bytes(""));
    const start = await kv.registerCursor("memo");
    const put = await kv.put("t", "s", "k", bytes(""));
    const deleted = await kv.delete("t", "s", "k");
    expect(kv.changes("memo", 10)).toEqual([
      { revision: put, tenant: "t", store: "s", key: "k", op: "put" },
      { revision: deleted, tenant: "t", store: "s", key: "k", op: "delete" },
    ]);
    expect(kv.changes("memo", 1)).toHaveLength(1);
    expect(kv.changes("memo", 10, put)).toHaveLength(1);
    expect(await kv.advance("memo", put)).toBe(put);
    expect([await kv.advance("memo", start), await kv.registerCursor("memo")]).toEqual([put, put]);
    expect(kv.changes("memo", 10)).toHaveLength(1);
    await kv.dropCursor("memo");
    expect(await code(() => kv.changes("memo", 10))).toBe("invalid");
  });

  it("says the highest revision under a prefix, deletions included", async () => {
    const kv = inMemory();
    const a = await kv.put("t", "s", "a/1", bytes(""));
    const b = await kv.put("t", "s", "b/1", bytes(""));
    expect(["a/", "b/", "", "c/"].map((prefix) => kv.revisionUnder("t", "s", prefix))).toEqual([a, b, b, 0]);
    const gone = await kv.delete("t", "s", "a/1");
    expect(kv.revisionUnder("t", "s", "a/")).toBe(gone);
  });

  it.each([
    ["a tenant without a name", "", "s", "k"],
    ["a store with a NUL", "t", "s\0", "k"],
    ["a store of 129 bytes", "t", "s".repeat(129), "k"],
    ["no key", "t", "s", ""],
    ["a key of 481 bytes", "t", "s", `${"ä".repeat(240)}k`],
  ])("refuses %s", async (_, tenant, store, key) => {
    const kv = inMemory();
    expect(await code(() => kv.put(tenant, store, key, bytes("")))).toBe("invalid");
    expect(await code(() => kv.get(tenant, store, key))).toBe("invalid");
    expect(kv.revision()).toBe(0);
  });

  it("is closed with its engine", async () => {
    const engine = startEngine(SETTINGS);
    await engine.kv.put("t", "s", "k", bytes(""));
    const last = engine.kv.put("t", "s", "k", bytes("last"));
    await engine.close();
    await expect(last).resolves.toBe(2);
    expect(await code(() => engine.kv.get("t", "s", "k"))).toBe("io");
    expect(await code(() => engine.kv.put("t", "s", "k", bytes("")))).toBe("io");
  });
});

describe("the file", () => {
  it.each(["group", "always"] as const)("has everything when it is opened again (sync: %s)", async (sync) => {
    const path = join(tempDir(), "kv");
    const first = openAt(path, sync);
    await first.kv.setQuota("t", 1000);
    await first.kv.put("t", "s", "k", bytes("v"));
    await first.kv.put("t", "s", "gone", bytes("v"));
    const gone = await first.kv.delete("t", "s", "gone");
    await first.close();
    const { kv } = openAt(path, sync);
    expect([text(kv.get("t", "s", "k")?.value), kv.revisionOf("t", "s", "gone"), kv.usage("t"), kv.quota("t")]).toEqual([
      "v",
      gone,
      2,
      1000,
    ]);
    expect(await kv.put("t", "s", "k", bytes("w"))).toBeGreaterThan(gone);
  });

  it("has everything that was answered when the process was killed", async () => {
    const path = join(tempDir(), "kv");
    const { answered, error } = await writeUntilKilled(path, 200);
    expect(error).toMatch(/is in use by process \d+; stop it/);
    expect(answered).toBeGreaterThanOrEqual(200);
    const { kv } = openAt(path);
    for (let i = 0; i <= answered; i++) expect(text(kv.get("t", "s", String(i))?.value)).toBe(`value ${i}`);
    expect(kv.stores("t")[0]?.keys).toBeGreaterThanOrEqual(answered);
  });

  it("is named, and left as it is, when it is not ours or not whole", async () => {
    const folder = tempDir({ "text/data.mdb": "not a database ".repeat(1000), file: "" });
    const refused = (name: string): string => {
      const before = readFileSync(join(folder, name, "data.mdb"));
      let message = "";
      expect(() => openAt(join(folder, name))).toThrow(expect.objectContaining({ name: "EngineError" }));
      try {
        openAt(join(folder, name));
      } catch (error) {
        ({ message } = error as Error);
      }
      expect(message).toContain(join(folder, name, "data.mdb"));
      expect(readFileSync(join(folder, name, "data.mdb")).equals(before)).toBe(true);
      return message;
    };
    expect(refused("text")).toMatch(/was not written by Pilotlight; move it away/);
    const cut = openAt(join(folder, "cut"));
    for (let i = 0; i < 50; i++) await cut.kv.put("t", "s", String(i), Buffer.alloc(10_000));
    await cut.close();
    truncateSync(join(folder, "cut/data.mdb"), 100_000);
    expect(refused("cut")).toMatch(/cut short: 100000 bytes of \d+.* restore it from a backup/);
    expect(() => openAt(join(folder, "file"))).toThrow(/the folder .*file for key-value data cannot be made/);
  });

  it("is refused when a newer Pilotlight has written it", async () => {
    const folder = tempDir();
    const path = join(folder, "kv");
    const engine = openAt(path);
    await engine.kv.put("t", "s", "k", bytes("v"));
    await engine.close();
    // The number is a record of four bytes behind its name.
    const data = readFileSync(join(path, "data.mdb"));
    for (let at = data.indexOf("format"); at >= 0; at = data.indexOf("format", at + 1)) data.writeUInt32BE(99, at + 6);
    writeFileSync(join(path, "data.mdb"), data);
    expect(() => openAt(path)).toThrow(/has the format 99, and this version of Pilotlight reads 1/);
  });
});

/** Writes in a process of its own until that is killed; the last write it was answered, and why this one could not open the file. */
async function writeUntilKilled(path: string, least: number): Promise<{ answered: number; error: string }> {
  const native = pathToFileURL(join(ROOT, "src/engine/native.ts")).href;
  const script = `
    const { startEngine } = await import(${JSON.stringify(native)});
    const { kv } = startEngine(${JSON.stringify({ ...SETTINGS, keyValue: { path, sync: "group" } })});
    for (let i = 0; ; i++) {
      await kv.put("t", "s", String(i), Buffer.from("value " + i));
      process.stdout.write("answered " + i + "\\n");
    }`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  atEnd(() => child.kill("SIGKILL"));
  let answered = -1;
  let error = "";
  for await (const line of createInterface({ input: child.stdout })) {
    answered = Number(line.slice("answered ".length));
    if (answered !== least) continue;
    try {
      openAt(path);
    } catch (refused) {
      error = (refused as Error).message;
    }
    child.kill("SIGKILL");
  }
  return { answered, error };
}

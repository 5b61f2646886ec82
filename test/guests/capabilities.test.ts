/** What a function in TypeScript reaches of its node: configuration, secrets and stores; and that others do not pay for it. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { buildGuest } from "../../src/guests/build.js";
import { tempDir } from "../support/files.js";
import { runOf, startRuntime } from "../support/runtime.js";

const PROBE = `
import { StoreError, config, json, openStore, serve } from "pilotlight/guest";

const store = openStore("default");

const own = {
  config: (name) => config.get(name),
  all: () => config.all(),
  keys: (prefix) => [...store.keys(prefix)],
  roundTrip: (key, bytes) => (store.set(key, Uint8Array.from(bytes)), [...store.getBytes(key)]),
  large: (length) => (store.set("large", new Uint8Array(length)), store.getBytes("large").length),
  // Somebody else writes between the read and the write, twice.
  contended: (key) => {
    let calls = 0;
    const written = store.update(key, (now = "") => {
      if (calls++ < 2) store.set(key, now + "!");
      return now + "mine";
    });
    return [written, calls];
  },
  left: (key) => store.update(key, () => undefined),
  failing: (key) => store.update(key, () => { throw new RangeError("of the function's own"); }),
  wrongUpdate: (key) => store.update(key, () => 5),
  bytesUpdate: (key) => [...store.updateBytes(key, (now) => Uint8Array.from([...(now ?? []), 255]))],
  jsonUpdates: (key, times) => { let last; for (let i = 0; i < times; i++) last = store.updateJson(key, (now) => ({ n: (now?.n ?? 0) + 1 })); return last; },
  // More than the handles an instance may have.
  opened: (times) => { for (let i = 0; i < times; i++) openStore("default").exists("k"); return times; },
  attempts: (times) => { for (let i = 0; i < times; i++) try { own.failing("k"); } catch {} return times; },
  elsewhere: (name) => openStore(name).get("k"),
  isStoreError: (name) => { try { openStore(name).get("k"); return "opened"; } catch (error) { return error instanceof StoreError && [error.store, error.code]; } },
  bigint: () => store.increment("k", 3n),
};

export const handler = serve(async (request) => {
  const [what, ...args] = await request.json();
  try {
    return json({ value: (own[what] ? own[what](...args) : store[what](...args)) ?? null });
  } catch (error) {
    return json({ error: error.name + ": " + error.message });
  }
});
`;

const HELLO = 'import { serve } from "pilotlight/guest"; export const handler = serve(() => "hello");';

async function build(source: string): Promise<Buffer> {
  const folder = tempDir({ "index.ts": source, "pilotlight.json": { name: "x", component: "x.wasm", build: { source: "index.ts" } } });
  return readFileSync((await buildGuest(folder)).component);
}

/** The message of a build that is refused. */
async function refusal(source: string): Promise<string> {
  const folder = tempDir({ "index.ts": source, "pilotlight.json": { name: "x", component: "x.wasm", build: { source: "index.ts" } } });
  return buildGuest(folder).then(
    () => "built",
    (error: Error) => `${error.name}: ${error.message.replaceAll(`${folder}/`, "")}`,
  );
}

let component: Buffer;
/** Compiled forms, so that each runtime after the first finds them. */
let data: string;
beforeAll(async () => {
  component = await build(PROBE);
  data = tempDir();
});

type Ask = (...asked: readonly unknown[]) => Promise<unknown>;

/** Deploys the probe, and asks it for one thing at a time; what it throws comes as `{ error }`. */
async function probe(manifest: object = {}): Promise<Ask> {
  const { runtime, get } = await startRuntime([], { data });
  const { control, operator } = runtime;
  await control.putSecret(operator, "default", "API_TOKEN", "s3cret ü");
  const document = { name: "probe", component: "x.wasm", stores: ["default"], limits: { memory: "64MiB" }, ...manifest };
  await control.deploy(operator, "default", { manifest: document, component });
  return async (...asked) => {
    const answer = (await (await get("/probe", { method: "POST", body: JSON.stringify(asked) })).json()) as { value: unknown };
    return "value" in answer ? answer.value : answer;
  };
}

describe("config", { timeout: 60_000 }, () => {
  it("has what the manifest says, and the secrets that it names", async () => {
    const ask = await probe({ config: { greeting: "hé", empty: "" }, secrets: ["API_TOKEN"] });
    expect(await ask("config", "greeting")).toBe("hé");
    expect(await ask("config", "empty")).toBe("");
    expect(await ask("config", "API_TOKEN")).toBe("s3cret ü");
    expect(await ask("config", "none")).toBeNull();
    expect(await ask("all")).toEqual({ greeting: "hé", empty: "", API_TOKEN: "s3cret ü" });
  });

  it("has no secret that the manifest does not name", async () => {
    const ask = await probe();
    expect(await ask("config", "API_TOKEN")).toBeNull();
    expect(await ask("all")).toEqual({});
  });

  it("refuses a name that is no text, and the instance lives on", async () => {
    const ask = await probe({ reuse: { maxRequests: 100 } });
    expect(await ask("config", 5)).toEqual({ error: "TypeError: config.get: the name has to be a text, and is number" });
    expect(await ask("config", null)).toEqual({ error: "TypeError: config.get: the name has to be a text, and is null" });
    expect(await ask("config", "none")).toBeNull();
  });
});

describe("a store", { timeout: 60_000 }, () => {
  it("keeps text, JSON and bytes until they are deleted", async () => {
    const ask = await probe();
    expect(await ask("get", "k")).toBeNull();
    expect(await ask("exists", "k")).toBe(false);
    await ask("set", "k", "grüße 🎈");
    expect(await ask("get", "k")).toBe("grüße 🎈");
    expect(await ask("exists", "k")).toBe(true);
    await ask("set", "k", "");
    expect(await ask("get", "k")).toBe("");
    await ask("setJson", "j", { a: [1, "ü", null] });
    expect(await ask("getJson", "j")).toEqual({ a: [1, "ü", null] });
    expect(await ask("get", "j")).toBe('{"a":[1,"ü",null]}');
    expect(await ask("roundTrip", "b", [0, 255, 128])).toEqual([0, 255, 128]);
    expect(await ask("large", 1_000_000)).toBe(1_000_000);
    await ask("delete", "k");
    await ask("delete", "k");
    expect(await ask("get", "k")).toBeNull();
  });

  it("lists its keys over all pages, or those under a prefix", async () => {
    const ask = await probe();
    const keys = Array.from({ length: 300 }, (_, i) => `${i % 2 === 0 ? "even" : "odd"}/${String(i).padStart(3, "0")}${"x".repeat(400)}`);
    for (const key of keys) await ask("set", key, "");
    expect(((await ask("keys")) as string[]).sort()).toEqual(keys.sort());
    expect(((await ask("keys", "odd/")) as string[]).length).toBe(150);
    expect(await ask("keys", "none/")).toEqual([]);
  });

  it("counts, up and down", async () => {
    const ask = await probe();
    expect(await ask("increment", "n")).toBe(1);
    expect(await ask("increment", "n", 41)).toBe(42);
    expect(await ask("increment", "n", -50)).toBe(-8);
    expect(await ask("get", "n")).toBe("-8");
    expect(await Promise.all(Array.from({ length: 20 }, () => ask("increment", "m")))).toContain(20);
    expect(await ask("increment", "n", 1.5)).toEqual({
      error: "TypeError: increment: expected a whole number up to 2⁵³ to add, found 1.5",
    });
    expect(await ask("bigint")).toEqual({ error: "TypeError: increment: expected a whole number up to 2⁵³ to add, found 3" });
    await ask("set", "n", "many");
    expect(await ask("increment", "n")).toEqual({
      error: expect.stringMatching(/^StoreError: the store "default": the value under the key "n" is not a whole number/) as string,
    });
  });

  it("updates what nobody else has changed meanwhile, and begins again when somebody has", async () => {
    const ask = await probe();
    expect(await ask("contended", "c")).toEqual(["!!mine", 3]);
    expect(await ask("get", "c")).toBe("!!mine");
    expect(await ask("left", "c")).toBeNull();
    expect(await ask("get", "c")).toBe("!!mine");
    expect(await ask("left", "new")).toBeNull();
    expect(await ask("exists", "new")).toBe(false);
    expect(await ask("failing", "c")).toEqual({ error: "RangeError: of the function's own" });
    expect(await ask("wrongUpdate", "c")).toEqual({ error: "TypeError: update: the new value has to be a text, and is number" });
    expect(await ask("get", "c")).toBe("!!mine");
    expect(await ask("bytesUpdate", "b")).toEqual([255]);
    expect(await ask("bytesUpdate", "b")).toEqual([255, 255]);
    await Promise.all(Array.from({ length: 8 }, () => ask("jsonUpdates", "j", 25)));
    expect(await ask("getJson", "j")).toEqual({ n: 200 });
  });

  it("takes no more handles the more it is used", async () => {
    const ask = await probe({ reuse: { maxRequests: 1000 } });
    expect(await ask("opened", 3000)).toBe(3000);
    expect(await ask("attempts", 3000)).toBe(3000);
    expect(await ask("jsonUpdates", "j", 3000)).toEqual({ n: 3000 });
  });

  it("that the manifest does not name is refused with what to do, whether there is such a store or not", async () => {
    const ask = await probe();
    const words = (name: string): unknown => ({
      error: `StoreError: the store "${name}" is not granted to this function; add it to "stores" in pilotlight.json: "stores": ["${name}"]`,
    });
    expect(await ask("elsewhere", "other")).toEqual(words("other"));
    expect(await ask("elsewhere", "no such name")).toEqual(words("no such name"));
    expect(await ask("isStoreError", "other")).toEqual(["other", "access-denied"]);
  });

  it("refuses by name what cannot be kept, and the instance lives on", async () => {
    const ask = await probe({ reuse: { maxRequests: 100 } });
    expect(await ask("set", "k", 5)).toEqual({ error: "TypeError: set: the value has to be a text or a Uint8Array, and is number" });
    expect(await ask("set", "k", [1])).toEqual({ error: "TypeError: set: the value has to be a text or a Uint8Array, and is an array" });
    expect(await ask("set", 5, "x")).toEqual({ error: "TypeError: default.set: the key has to be a text, and is number" });
    expect(await ask("get", "\ud800")).toEqual({ error: "TypeError: default.get: the key has half of a surrogate pair in it" });
    expect(await ask("setJson", "k")).toEqual({ error: 'TypeError: the value of "k" has no form in JSON: it is undefined' });
    expect(await ask("get", "")).toEqual({ error: 'StoreError: the store "default": a key has 1 to 480 bytes, not 0' });
    expect(await ask("set", "x".repeat(481), "")).toEqual({ error: 'StoreError: the store "default": a key has 1 to 480 bytes, not 481' });
    expect(await ask("large", 9_000_000)).toEqual({
      error: 'StoreError: the store "default": a value has at most 8388608 bytes, not 9000000',
    });
    await ask("set", "k", "{");
    expect(await ask("getJson", "k")).toEqual({ error: 'StoreError: the store "default": the value of "k" is not JSON' });
    expect(await ask("get", "k")).toBe("{");
  });
});

describe("what a component imports", () => {
  /** The interfaces beyond WASI 0.2 and 0.3, by what the engine reads in the component. */
  async function drafts(...components: readonly Buffer[]): Promise<(string[] | undefined)[]> {
    const { runtime } = await startRuntime(
      components.map((bytes, i) => ({ manifest: { name: `task-${i}`, routes: [`/task-${i}`] }, component: bytes })),
      { data },
    );
    return runtime.tasks().map(({ component: info }) =>
      info?.imports
        .map(({ name }) => name)
        .filter((name) => /draft|rc/.test(name))
        .sort(),
    );
  }

  it(
    "is nothing of config and stores for one that uses neither, which is no larger for what others use",
    { timeout: 120_000 },
    async () => {
      const hello = await build(HELLO);
      const unused = await build(`import { config, openStore } from "pilotlight/guest";\n${HELLO}`);
      expect(await drafts(hello, unused)).toEqual([[], []]);
      // A snapshot of an engine is not the same twice to the byte; the stores alone take 50 KB.
      expect(Math.abs(unused.byteLength - hello.byteLength)).toBeLessThan(1000);
      expect(component.byteLength - hello.byteLength).toBeGreaterThan(20_000);
    },
  );

  it("is each of them for one that uses it", { timeout: 120_000 }, async () => {
    const config = 'import { config, serve } from "pilotlight/guest"; export const handler = serve(() => config.get("a") ?? "");';
    expect(await drafts(await build(config), component)).toEqual([
      ["wasi:config/store@0.2.0-rc.1"],
      ["wasi:config/store@0.2.0-rc.1", "wasi:keyvalue/atomics@0.2.0-draft2", "wasi:keyvalue/store@0.2.0-draft2"],
    ]);
  });

  it("may be an interface by its own name", { timeout: 120_000 }, async () => {
    const source = `import { log } from "wasi:logging/logging@0.1.0-draft"; import { serve } from "pilotlight/guest";
      export const handler = serve(() => (log("warn", "here", "a line of its own"), "logged"));`;
    const b = await startRuntime([{ manifest: { name: "logger" }, component: await build(source) }], { data });
    const answer = await b.get("/logger");
    expect(await answer.text()).toBe("logged");
    expect(await b.log.first({ msg: "guest", run: runOf(answer) })).toMatchObject({ text: "a line of its own" });
  });

  it("is refused by name when there is no such interface", { timeout: 60_000 }, async () => {
    expect(await refusal('import { f } from "wasi:nowhere/at-all@1.0.0"; export const handler = f;')).toBe(
      "BuildError: index.ts: the world http does not have wasi:nowhere/at-all@1.0.0; beside its own interfaces a function can import " +
        "wasi:config/store@0.2.0-rc.1, wasi:keyvalue/store@0.2.0-draft2, wasi:keyvalue/atomics@0.2.0-draft2, " +
        "wasi:keyvalue/batch@0.2.0-draft2, wasi:logging/logging@0.1.0-draft, " +
        "pilotlight:triggers/announce@0.1.0, pilotlight:triggers/queue@0.1.0",
    );
  });

  it("cannot be asked at the module's top level, and the build says so", { timeout: 60_000 }, async () => {
    const top = (line: string): string =>
      `import { config, openStore, serve } from "pilotlight/guest"; const x = ${line}; export const handler = serve(() => x ?? "");`;
    const words =
      "the module's top level calls the host (NAME); it runs once, while the component is built, where there is no host: call it inside the handler";
    expect(await refusal(top('config.get("a")'))).toBe(`BuildError: index.ts: ${words.replace("NAME", "get")}`);
    expect(await refusal(top('openStore("default").get("a")'))).toBe(`BuildError: index.ts: ${words.replace("NAME", "open")}`);
  });
});

/** Script imports with the real engine: a guest that hands on whatever it is given, and functions of the embedder's behind it. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  CallError,
  ComponentError,
  createRuntime,
  type Provided,
  type Runtime,
  type RuntimeOptions,
  type ScriptImports,
  type UserError,
} from "../../src/index.js";
import { mirror, type MirrorOptions } from "../imports/mirror/mirror.js";
import type * as Query from "../imports/mirror/types/interfaces/acme-db-query.js";
import { atEnd } from "../support/cleanup.js";
import { guestTask } from "../support/guests.js";
import { nothingAhead } from "../support/runtime.js";
import { until } from "../support/until.js";

/** As an embedder has it: each function of the interface, by jco's types. */
const QUERY: Provided<typeof Query> = {
  find: (key) => (key === "ada" ? { id: 2n ** 63n, fullName: "Ada", tags: ["a", "b"] } : undefined),
  rename: (_row, rights) => rights,
  nested: (x) => x,
  lists: (bytes, _words, wide) => [bytes, wide, new Int16Array()],
  scalars: (...all) => all,
  draw: (shape) => shape,
  check: () => {},
  outcome: (x) => x,
  getUrlX2: () => "url",
  toString: () => "own",
  touch: () => {},
  later: (key) => key,
};

const INTERFACE = "acme:db/query@1.2.0";

async function start(imports: ScriptImports, options: RuntimeOptions = {}): Promise<Runtime> {
  const runtime = await createRuntime({ instances: 16, imports, capacity: nothingAhead(16), ...options });
  atEnd(async () => {
    await runtime.close(1000);
    expect(runtime.stats().engine).toMatchObject({ asks: 0, runs: 0, instances: 0 });
  });
  return runtime;
}

/** The mirror deployed before these functions, which stand in for those of `QUERY`; calls by function name. */
async function deployed(
  functions: Readonly<Record<string, (...args: never[]) => unknown>> = {},
  manifest: { readonly limits?: { readonly timeout: string } } = {},
): Promise<{ readonly call: (func: string, ...args: unknown[]) => Promise<unknown>; readonly runtime: Runtime }> {
  const runtime = await start({ "acme:db/query": { ...QUERY, ...functions } });
  await runtime.deploy({ manifest: { name: "mirror", routes: [], ...manifest }, component: await guest(), source: "mirror.wasm" });
  return { call: (func, ...args) => runtime.call("mirror", `${INTERFACE}#${func}`, args), runtime };
}

const guests = new Map<string, Promise<Uint8Array>>();
function guest(options: MirrorOptions = {}): Promise<Uint8Array> {
  const key = JSON.stringify({ ...options, edit: String(options.edit) });
  const made = guests.get(key) ?? mirror(options);
  guests.set(key, made);
  return made;
}
beforeAll(() => guest());

/** A function that keeps what it was given, and gives the next of `answers`. */
function heard(...answers: unknown[]): { readonly fn: (...args: unknown[]) => unknown; readonly args: unknown[][] } {
  const args: unknown[][] = [];
  return { args, fn: (...given) => (args.push(given), answers[args.length - 1]) };
}

async function trap(call: Promise<unknown>): Promise<string> {
  const error = (await call.catch((reason: unknown) => reason)) as CallError;
  expect(error).toBeInstanceOf(CallError);
  expect(error.outcome.kind).toBe("trap");
  return error.message;
}

describe("values are what jco's types say, in both directions", () => {
  it("records, flags, enums and options", async () => {
    const find = heard({ id: 5n, fullName: "Ada", note: undefined, tags: [], extra: 1 });
    const rename = heard({ mayWrite: true });
    const { call } = await deployed({ find: find.fn, rename: rename.fn });
    expect(await call("find", "ada", "by-full-name")).toEqual({ tag: "ok", val: { id: 5, fullName: "Ada", note: null, tags: [] } });
    expect(find.args).toStrictEqual([["ada", "by-full-name"]]);
    expect(await call("rename", { id: "18446744073709551615", fullName: "B", note: "n", tags: ["x"] }, ["grant"])).toEqual(["may-write"]);
    expect(rename.args).toStrictEqual([
      [
        { id: 2n ** 64n - 1n, fullName: "B", note: "n", tags: ["x"] },
        { mayRead: false, mayWrite: false, grant: true },
      ],
    ]);
    expect(await call("find", "ada", "by-id")).toEqual({ tag: "ok", val: null });
  });

  it("options of options", async () => {
    const nested = heard({ tag: "some", val: undefined }, { tag: "some", val: 7 }, undefined);
    const { call } = await deployed({ nested: nested.fn });
    expect(await call("nested", null)).toEqual({ tag: "some", val: null });
    expect(await call("nested", { tag: "some", val: null })).toEqual({ tag: "some", val: 7 });
    expect(await call("nested", { tag: "some", val: 3 })).toBeNull();
    expect(nested.args).toStrictEqual([[{ tag: "none" }], [{ tag: "some", val: undefined }], [{ tag: "some", val: 3 }]]);
  });

  it("lists of numbers", async () => {
    const lists = heard([Uint8Array.of(9, 8), [2n ** 64n - 1n], Int16Array.of(-1)]);
    const { call } = await deployed({ lists: lists.fn });
    expect(await call("lists", new Uint8Array([1, 2, 3]), [4], ["18446744073709551615", 6], [0.5])).toEqual([
      "CQg=",
      ["18446744073709551615"],
      [-1],
    ]);
    expect(lists.args).toStrictEqual([
      [Uint8Array.of(1, 2, 3), Uint32Array.of(4), BigUint64Array.of(2n ** 64n - 1n, 6n), Float32Array.of(0.5)],
    ]);
  });

  it("scalars and variants", async () => {
    const scalars = heard([2n ** 63n, -1n, 0, Number.NaN, "𝄞", false, -128]);
    const draw = heard({ tag: "nothing" }, { tag: "circle", val: Number.POSITIVE_INFINITY });
    const { call } = await deployed({ scalars: scalars.fn, draw: draw.fn });
    expect(await call("scalars", 1, -1, 4_294_967_295, "-Infinity", "ü", true, 127)).toEqual([
      "9223372036854775808",
      -1,
      0,
      "NaN",
      "𝄞",
      false,
      -128,
    ]);
    expect(scalars.args).toStrictEqual([[1n, -1n, 4_294_967_295, Number.NEGATIVE_INFINITY, "ü", true, 127]]);
    expect(await call("draw", { tag: "square", val: 2 })).toEqual({ tag: "nothing" });
    expect(await call("draw", { tag: "nothing" })).toEqual({ tag: "circle", val: "Infinity" });
    expect(draw.args).toStrictEqual([[{ tag: "square", val: 2 }], [{ tag: "nothing" }]]);
  });

  it("a result as an argument, and one inside a result, is { tag, val }", async () => {
    const outcome = heard({ tag: "err", val: "inner" }, { tag: "ok", val: 1 });
    const check = heard(undefined);
    const { call } = await deployed({ outcome: outcome.fn, check: check.fn });
    expect(await call("outcome", { tag: "ok", val: 3 })).toEqual({ tag: "ok", val: { tag: "err", val: "inner" } });
    expect(await call("outcome", { tag: "err", val: "x" })).toEqual({ tag: "ok", val: { tag: "ok", val: 1 } });
    expect(await call("check", { tag: "err" })).toEqual({ tag: "ok" });
    expect(outcome.args).toStrictEqual([[{ tag: "ok", val: 3 }], [{ tag: "err", val: "x" }]]);
    expect(check.args).toStrictEqual([[{ tag: "err", val: undefined }]]);
  });

  it("a function that returns nothing may return anything", async () => {
    const { call } = await deployed({ touch: () => 5 });
    expect(await call("touch")).toBeNull();
  });
});

describe("functions", () => {
  it("are found by jco's name or WIT's, and are methods of their object", async () => {
    class Store {
      readonly url = "kept";
      getUrlX2(): string {
        return this.url;
      }
      touch(): void {}
    }
    const methods = new Store() as unknown as ScriptImports[string];
    const { getUrlX2: _left, ...rest } = QUERY;
    const runtime = await start({
      "acme:db/query": Object.assign(methods, { ...rest, "to-string": () => "by WIT's name", toString: undefined }),
    });
    await runtime.deploy({ manifest: { name: "mirror", routes: [] }, component: await guest() });
    expect(await runtime.call("mirror", `${INTERFACE}#get-URL-x2`)).toBe("kept");
    expect(await runtime.call("mirror", `${INTERFACE}#to-string`)).toBe("by WIT's name");
  });

  it("may be async, whether their WIT is or not", async () => {
    const slow = async <T>(value: T): Promise<T> => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return value;
    };
    const { call } = await deployed({ find: () => slow(undefined), later: (key: string) => slow(`${key}!`), touch: () => slow(undefined) });
    expect(await call("find", "x", "by-id")).toEqual({ tag: "ok", val: null });
    expect(await call("later", "x")).toEqual({ tag: "ok", val: "x!" });
    expect(await call("touch")).toBeNull();
  });

  it("are asked by many runs at once, and each gets its own answer, in whatever order they come", async () => {
    const waiting: (() => void)[] = [];
    const { call } = await deployed({
      later: (key: string) => new Promise((resolve) => waiting.push(() => resolve(`for ${key}`))),
    });
    const calls = Array.from({ length: 10 }, (_, index) => call("later", String(index)));
    await until("all have asked", () => waiting.length === 10);
    for (const answer of waiting.reverse()) answer();
    expect(await Promise.all(calls)).toEqual(calls.map((_, index) => ({ tag: "ok", val: `for ${index}` })));
  });

  it("answer while an instance is being made, when nobody can say which run asks", async () => {
    let asked = 0;
    const runtime = await start({ "acme:db/query": { ...QUERY, touch: () => void asked++ } });
    await runtime.deploy({ manifest: { name: "mirror", routes: [] }, component: await guest({ onStart: "touch" }) });
    expect(asked).toBe(1);
    expect(await runtime.call("mirror", `${INTERFACE}#to-string`)).toBe("own");
  });
});

describe("what is thrown", () => {
  it.each([
    ["a ComponentError", new ComponentError({ tag: "missing", val: "ada" }), { tag: "missing", val: "ada" }],
    ["an Error with a payload", Object.assign(new Error("x"), { payload: { tag: "busy", val: 3 } }), { tag: "busy", val: 3 }],
    ["what is no Error", { tag: "closed" }, { tag: "closed" }],
  ])("%s is the result's error, thrown or rejected", async (_title, thrown, expected) => {
    const { call } = await deployed({
      find: () => {
        throw thrown; // oxlint-disable-line typescript/only-throw-error -- what is no Error is a case
      },
      later: () => Promise.reject(thrown),
    });
    expect(await call("find", "x", "by-id")).toEqual({ tag: "err", val: expected });
    expect(await call("later", "x")).toEqual({ tag: "err", val: expected });
  });

  it("an error may be returned as { tag, val } where it cannot be mistaken, as in jco", async () => {
    const { call } = await deployed({
      later: heard({ tag: "ok", val: "v" }, { tag: "err", val: { tag: "closed" } }).fn,
      check: () => ({ tag: "err" }),
    });
    expect(await call("later", "x")).toEqual({ tag: "ok", val: "v" });
    expect(await call("later", "x")).toEqual({ tag: "err", val: { tag: "closed" } });
    expect(await call("check", { tag: "ok", val: 1 })).toEqual({ tag: "err" });
  });

  it("a plain Error ends the caller with its message, and only the caller", async () => {
    const { call } = await deployed({
      getUrlX2: () => {
        throw new Error("the database is down");
      },
      later: () => Promise.reject(new TypeError("x is undefined")),
      check: () => {
        throw new Error("no reason");
      },
      touch: () => {
        throw "text"; // eslint-disable-line typescript/only-throw-error
      },
    });
    expect(await trap(call("get-URL-x2"))).toBe(`${INTERFACE}#get-URL-x2: the database is down`);
    expect(await trap(call("later", "x"))).toBe(
      `${INTERFACE}#later: x is undefined (an Error without a payload; throw a ComponentError to give the caller an error)`,
    );
    expect(await trap(call("check", { tag: "err" }))).toBe(`${INTERFACE}#check: no reason`);
    expect(await trap(call("touch"))).toBe(`${INTERFACE}#touch: it threw "text"`);
    expect(await call("to-string")).toBe("own");
  });
});

describe("a value that does not fit", () => {
  it.each([
    ["find", ["x", "by-id"], () => ({ id: 1, fullName: "A", tags: ["a", 2] }), "result.tags[1]: expected a string, found 2"],
    [
      "find",
      ["x", "by-id"],
      () => Promise.reject(new ComponentError({ tag: "lost" })),
      'error.tag: expected "missing", "busy" or "closed", found "lost"',
    ],
    ["to-string", [], () => undefined, "result: expected a string, found undefined"],
    [
      "scalars",
      [1, 1, 1, 1, "a", true, 1],
      () => [1n, 1n, -1, 0, "a", true, 1],
      "result[2]: expected a whole number from 0 to 4294967295 (u32), found -1",
    ],
  ])("of %s ends the caller and names interface, function and place", async (func, args, work, message) => {
    const { call } = await deployed({ [func === "to-string" ? "toString" : func]: work });
    expect(await trap(call(func, ...args))).toBe(`${INTERFACE}#${func}: ${message}`);
  });
});

describe("a function that never answers", () => {
  it("is ended by the run's timeout, and a late answer does no harm", async () => {
    const late: ((value: string) => void)[] = [];
    const { call, runtime } = await deployed(
      { later: (key: string) => (key === "never" ? new Promise<string>((resolve) => late.push(resolve)) : "now") },
      { limits: { timeout: "100ms" } },
    );
    const error = (await call("later", "never").catch((reason: unknown) => reason)) as CallError;
    expect(error.outcome).toMatchObject({ kind: "limit", limit: "head-time", allowed: 100 });
    await until("nothing of the run is left", () => runtime.stats().engine.asks === 0 && runtime.stats().engine.instances === 0);
    late[0]?.("late");
    expect(await call("later", "x")).toEqual({ tag: "ok", val: "now" });
  });

  it("keeps nobody when the runtime closes, and may answer after that too", async () => {
    let answer = (_value: string): void => {};
    const asked = new Promise<void>((resolve) => {
      answer = () => resolve();
    });
    let late: ((value: string) => void) | undefined;
    const { call, runtime } = await deployed({
      later: () => {
        answer("");
        return new Promise<string>((resolve) => {
          late = resolve;
        });
      },
    });
    const error = call("later", "x").catch((reason: unknown) => reason);
    await asked;
    await runtime.close(10);
    expect(((await error) as CallError).outcome.kind).toBe("cancelled");
    late?.("late");
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe("versions", () => {
  const says = (text: string): ScriptImports[string] => ({ ...QUERY, toString: () => text });

  it.each([
    ["1.2.0", ["acme:db/query"], "acme:db/query"],
    ["", ["acme:db/query"], "acme:db/query"],
    ["2.0.0", ["acme:db/query", "acme:db/query@1.2.0"], "acme:db/query"],
    ["1.2.0", ["acme:db/query", "acme:db/query@1.2.0"], "acme:db/query@1.2.0"],
    ["1.2.0", ["acme:db/query", "acme:db/query@1.3.0"], "acme:db/query@1.3.0"],
  ])("%s is satisfied, among %j, by %s", async (version, keys, expected) => {
    const runtime = await start(Object.fromEntries(keys.map((key) => [key, says(key)])));
    await runtime.deploy({ manifest: { name: "mirror", routes: [] }, component: await guest({ version }) });
    const at = version === "" ? "" : `@${version}`;
    expect(await runtime.call("mirror", `acme:db/query${at}#to-string`)).toBe(expected);
  });

  it("two that import one interface with different types are each served by their own", async () => {
    const find = heard(undefined, undefined);
    const { call, runtime } = await deployed({ scalars: find.fn, draw: heard({ tag: "square", val: 1 }, { tag: "box", val: 1 }).fn });
    const other = await guest({ edit: (wit) => wit.replace("square(f64)", "box(f64)") });
    await runtime.deploy({ manifest: { name: "other", routes: [] }, component: other });
    expect(await call("draw", { tag: "nothing" })).toEqual({ tag: "square", val: 1 });
    expect(await runtime.call("other", `${INTERFACE}#draw`, [{ tag: "box", val: 2 }])).toEqual({ tag: "box", val: 1 });
  });
});

it("while an instance is being made, types that differ between tasks are refused rather than mixed up", async () => {
  const { runtime } = await deployed();
  const other = await guest({
    onStart: "get-URL-x2",
    edit: (wit) => wit.replace("get-URL-x2: func() -> string", "get-URL-x2: func() -> list<u8>"),
  });
  await expect(runtime.deploy({ manifest: { name: "other", routes: [] }, component: other, source: "other.wasm" })).rejects.toThrow(
    "other.wasm: no instance of it can be made: acme:db/query@1.2.0#get-URL-x2: tasks import it with different types, " +
      "and which of them asks cannot be told; give the interface a new version",
  );
});

describe("a deploy is refused, with all that is left,", () => {
  async function refused(imports: ScriptImports, component: Uint8Array | "ask" | "unmet"): Promise<string> {
    const runtime = await start(imports);
    const deployment =
      typeof component === "string" ? guestTask(component) : { manifest: { name: "mirror" }, component, source: "mirror.wasm" };
    const error = (await runtime.deploy(deployment).catch((reason: unknown) => reason)) as UserError;
    expect(error.name).toBe("UserError");
    expect(runtime.tasks()).toEqual([]);
    return error.message;
  }

  it("when functions are missing", async () => {
    const { find: _find, toString: _toString, ...rest } = QUERY;
    expect(await refused({ "acme:db/query": { ...rest, draw: 5 as never } }, await guest())).toBe(
      "mirror.wasm: nothing provides these imports: acme:db/query@1.2.0 (find, draw, to-string); " +
        'imports["acme:db/query"] has rename, nested, lists, scalars, check, outcome, getUrlX2, touch, later',
    );
  });

  it("when only another version is there", async () => {
    expect(await refused({ "acme:db/query@2.0.0": QUERY }, await guest())).toMatch(
      /^mirror\.wasm: nothing provides these imports: acme:db\/query@1\.2\.0 \(find, .*\); imports\["acme:db\/query@2\.0\.0"\] is another version$/,
    );
  });

  it("when one of two interfaces is", async () => {
    expect(await refused({ "demo:mail/outbox": { send: () => 1n } }, "unmet")).toBe(
      "unmet.wasm: nothing provides these imports: demo:storage/blobs@1.2.0 (resource blob, [method]blob.size, open, put); demo:mail/outbox (pending); " +
        'imports["demo:mail/outbox"] has send',
    );
  });

  it("when what is imported cannot be provided from TypeScript", async () => {
    const blobs = { open: () => undefined, put: () => {} };
    expect(await refused({ "demo:storage/blobs": blobs, "demo:mail/outbox": { send: () => 1n, pending: () => 0 } }, "unmet")).toBe(
      "unmet.wasm: nothing provides these imports: demo:storage/blobs@1.2.0 " +
        "(resource blob, which TypeScript cannot provide, open: its result is the resource blob, which lives inside one instance); " +
        'imports["demo:storage/blobs"] has open, put',
    );
  });
});

it.each<[unknown, string]>([
  [{ query: {} }, 'imports: "query" is not the name of an interface; write "namespace:package/interface", with or without "@1.2.0"'],
  [{ "acme:db/query": () => 1 }, 'imports["acme:db/query"] must be an object of functions, by the name that each has in the interface'],
])("imports that can satisfy nothing are refused at once (%o)", async (imports, message) => {
  await expect(createRuntime({ imports: imports as ScriptImports })).rejects.toThrow(message);
});

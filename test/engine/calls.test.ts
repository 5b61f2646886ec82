import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Outcome } from "../../src/engine/outcome.js";
import { call, useEngine, type Terms, type TestRun } from "../support/engine.js";

const engine = useEngine();
const CALC = "demo:math/calc";

async function start(func: string, args: unknown): Promise<TestRun> {
  return engine.run(await engine.program("calc"), call(CALC, func, args));
}

describe("a call of a function", () => {
  it.each<[string, unknown, unknown]>([
    ["add", [1, 2], 3],
    ["add", { a: 1, b: 2 }, 3],
    ["stats", [[1, 2, 3]], { count: 3, mean: 2, min: 1, max: 3 }],
    ["stats", [[]], { count: 0, mean: 0, min: 0, max: 0 }],
    ["parse", ["a=-5;x,y!n"], { tag: "ok", val: { key: "a", value: -5, tags: ["x", "y"], note: "n" } }],
    ["parse", ["a=1"], { tag: "ok", val: { key: "a", value: 1, tags: [], note: null } }],
    ["parse", ["a"], { tag: "err", val: "no = in the text" }],
    ["area", [{ tag: "circle", val: 1 }], Math.PI],
    ["area", [{ tag: "rectangle", val: [2, 3.5] }], 7],
    ["area", [{ tag: "nothing" }], null],
    [
      "describe",
      [
        { tag: "rectangle", val: [1, 2] },
        { unit: "light-year", style: ["bold", "under-line"], precision: 3 },
      ],
      "rectangle in light-year bold under-line to 3",
    ],
    ["describe", [{ tag: "nothing" }, { unit: "foot", style: [], precision: null }], "nothing in foot"],
    ["toggle", [["italic"]], ["bold", "under-line"]],
    ["next", ["metre"], "foot"],
    ["next", ["light-year"], null],
    ["divide", [7, 2], { tag: "ok", val: [3, 1] }],
    ["divide", ["18446744073709551615", "1"], { tag: "ok", val: ["18446744073709551615", 0] }],
    ["divide", [1, 0], { tag: "err", val: "division by zero" }],
    ["reverse", ["AQID"], "AwIB"],
    ["reverse", [""], ""],
    [
      "widths",
      [255, -128, 65_535, -32_768, 4_294_967_295, -2_147_483_648, "18446744073709551615", "-9223372036854775808"],
      [255, -128, 65_535, -32_768, 4_294_967_295, -2_147_483_648, "18446744073709551615", "-9223372036854775808"],
    ],
    ["odds", ["\u00e9", true, 1.5, 2.25], ["\u00e9", true, 1.5, 2.25, { tag: "ok", val: 233 }]],
    ["odds", ["\ud83d\udd25", false, 0, -1e300], ["\ud83d\udd25", false, 0, -1e300, { tag: "err", val: "told no" }]],
    ["touch", [], null],
    ["check", [1], { tag: "ok" }],
    ["check", [-1], { tag: "err", val: "foot" }],
  ])("%s(%j) is %j", async (func, args, result) => {
    const run = await start(func, args);
    expect(await run.outcome()).toEqual({ kind: "ok", exit: 0 });
    expect(run.kinds()).toEqual(["result", "settled"]);
    expect(JSON.parse((await run.first("result")).json)).toEqual(result);
  });

  it.each<[string, unknown, string]>([
    ["add", [1], "missing argument b; the parameters are a, b"],
    ["add", [1, 2, 3], "found 3 arguments, expected 2: a, b"],
    ["add", { a: 1, c: 2 }, "unknown argument c; the parameters are a, b"],
    ["add", [1, "x"], '$[1]: expected a whole number (u32), found "x"'],
    ["add", [-1, 2], "$[0]: -1 is out of range for u32, which goes from 0 to 4294967295"],
    ["add", [1.5, 2], "$[0]: expected a whole number (u32), found 1.5"],
    ["add", "nope", "not JSON: expected ident at line 1, column 2"],
    ["area", [{ tag: "blob" }], '$[0].tag: unknown case "blob"; there are circle, rectangle, nothing'],
    ["toggle", [["wavy"]], '$[0][0]: unknown flag "wavy"; there are bold, italic, under-line'],
    ["next", ["mile"], '$[0]: unknown case "mile"; there are metre, foot, light-year'],
    ["reverse", ["%%"], `$[0]: expected bytes in base64, found "%%": '%' at 0 is none of A-Z, a-z, 0-9, + and /`],
    ["describe", [{ tag: "nothing" }, { unit: "foot" }], "$[1]: missing style; the fields are unit, style, precision"],
  ])("%s(%j) is refused: %s", async (func, args, message) => {
    expect(await (await start(func, args)).outcome()).toEqual({ kind: "refused", code: "invalid-argument", message });
  });

  it("that traps ends as a trap", async () => {
    expect(await (await start("crash", [])).outcome()).toEqual({
      kind: "trap",
      message: "wasm trap: wasm `unreachable` instruction executed",
    });
  });
});

describe("a call of an import that TypeScript answers", () => {
  const ask = async (deadlines = {}): Promise<TestRun> =>
    engine.run(await engine.program("ask", { scripts: ["demo:db/query"] }), call("demo:app/run", "go", ["k"]), { deadlines });

  /** Answers the one question of a new run, and says how the run ended. */
  const answered = async (ok: string | undefined, error?: string): Promise<Outcome> => {
    const run = await ask();
    engine.send({ kind: "answer", ask: (await run.first("ask")).ask, ok, error });
    return run.outcome();
  };

  it("names the run, the function and its arguments, and goes on with the answer", async () => {
    const run = await ask();
    const asked = await run.first("ask");
    expect(asked).toMatchObject({ run: run.handle, interface: "demo:db/query", function: "get", arguments: '["k"]' });
    expect(engine.port.stats().asks).toBe(1);
    engine.send({ kind: "answer", ask: asked.ask, ok: '["v"]', error: undefined });
    expect(await run.outcome()).toEqual({ kind: "ok", exit: 0 });
    expect(JSON.parse((await run.first("result")).json)).toBe("k is v");
    expect(engine.port.stats().asks).toBe(0);
  });

  it("that fails traps the caller with the reason", async () =>
    expect(await answered(undefined, "db down")).toEqual({ kind: "trap", message: "demo:db/query#get: db down" }));

  it.each([
    ["[1]", "demo:db/query#get: $[0]: expected a string, found 1"],
    ["[]", "demo:db/query#get: $: expected a length of 1, found 0"],
    ["nope", "demo:db/query#get: not JSON: expected ident at line 1, column 2"],
    [undefined, "demo:db/query#get: no answer"],
  ])("that is answered with %j traps the caller with what is wrong", async (ok, message) =>
    expect(await answered(ok)).toEqual({ kind: "trap", message }),
  );

  it("that is never answered ends with the run's time, and a late answer does nothing", async () => {
    const run = await ask({ head: 40 });
    const { ask: id } = await run.first("ask");
    expect(await run.outcome()).toMatchObject({ kind: "limit", limit: "head-time", allowed: 40 });
    expect(engine.port.stats().asks).toBe(0);
    engine.send({ kind: "answer", ask: id, ok: '["late"]', error: undefined });
    expect(run.kinds()).toEqual(["ask", "settled"]);
  });

  it("that is cancelled while it waits ends at once", async () => {
    const run = await ask();
    await run.first("ask");
    run.cancel();
    expect(await run.outcome()).toEqual({ kind: "cancelled" });
    await engine.gone(run.on);
    expect(engine.port.stats().asks).toBe(0);
  });

  it("is answered once: the first answer counts", async () => {
    const run = await ask();
    const { ask: id } = await run.first("ask");
    engine.send({ kind: "answer", ask: id, ok: "[null]", error: undefined });
    engine.send({ kind: "answer", ask: id, ok: '["second"]', error: undefined });
    await run.ended;
    expect(JSON.parse((await run.first("result")).json)).toBe("k is unknown");
  });
});

describe.each(["p2", "p3"])("a %s command", (version) => {
  const run = async (args: readonly string[], terms: Terms = {}): Promise<TestRun> =>
    engine.run(await engine.program(`command-${version}`, { ...terms, arguments: ["command", ...args] }), { kind: "command" });

  it.each([
    [[], 0],
    [["exit", "0"], 0],
    [["exit", "7"], 7],
    [["exit", "255"], 255],
    [["fail"], 1],
  ])("%j ends with status %d", async (args, exit) => {
    const started = await run(args);
    expect(await started.outcome()).toEqual({ kind: "ok", exit });
    expect(started.kinds()).toEqual(["settled"]);
  });

  it("that traps ends as a trap", async () => expect(await (await run(["trap"])).outcome()).toMatchObject({ kind: "trap" }));

  it("has its arguments, environment, configuration and folders, and nothing else", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pilotlight-grant-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "file.txt"), "in the folder\n");
    const terms = {
      environment: [["A", "1"]],
      config: [["k", "v"]],
      directories: [{ host: folder, guest: "/d", readOnly: true }],
    } as const;
    const given = await run(["env", "config", "k", "read", "/d/file.txt", "read", "/etc/passwd"], terms);
    expect(await given.outcome()).toEqual({ kind: "ok", exit: 1 });
    expect(given.lines.map(({ text }) => text)).toEqual(["A=1", "v", "in the folder", "no such file: /etc/passwd"]);
    const none = await run(["env", "config", "k"]);
    expect(await none.outcome()).toEqual({ kind: "ok", exit: 1 });
    expect(none.lines.map(({ text }) => text)).toEqual(["no such config variable: k"]);
  });

  it("cannot leave its folder", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pilotlight-grant-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const directories = [{ host: folder, guest: "/d", readOnly: true }];
    expect(await (await run(["read", "/d/../../etc/passwd"], { directories })).outcome()).toEqual({ kind: "ok", exit: 1 });
  });

  it("says on stdout and stderr what it was told", async () => {
    const started = await run(["say", "hi", "warn", "ho"]);
    await started.ended;
    expect(started.lines.map(({ origin, text }) => [origin, text])).toEqual([
      ["stdout", "hi"],
      ["stderr", "ho"],
    ]);
  });
});

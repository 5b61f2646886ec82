import { describe, expect, it } from "vitest";
import type { GuestLine } from "../../src/engine/engine.js";
import { useEngine } from "../support/engine.js";

const engine = useEngine();

/** What every line is charged besides its text. */
const OVERHEAD = 32;
const cost = (lines: readonly GuestLine[]): number =>
  lines.reduce((sum, { text, context }) => sum + text.length + (context?.length ?? 0) + OVERHEAD, 0);

describe.each(["p2", "p3"])("what a %s guest writes", (version) => {
  it("comes line by line, with where it was written and whose it is, before the run settles", async () => {
    const run = engine.run(await engine.program(`logger-${version}`), "/?level=warn");
    await run.ended;
    expect(run.lines).toHaveLength(3);
    expect(run.lines).toEqual([
      { slot: run.on.slot, run: run.handle, origin: "stdout", level: undefined, context: undefined, text: "a line on stdout" },
      { slot: run.on.slot, run: run.handle, origin: "stderr", level: undefined, context: undefined, text: "a line on stderr" },
      {
        slot: run.on.slot,
        run: run.handle,
        origin: "wasi:logging",
        level: "warn",
        context: expect.any(String) as unknown,
        text: "a line through wasi:logging",
      },
    ]);
    const at = (kind: string): number =>
      engine.events.findIndex((event) => event.kind === kind && (kind === "log-batch" || ("run" in event && event.run === run.handle)));
    expect(at("log-batch")).toBeLessThan(at("settled"));
  });

  it.each(["trace", "debug", "info", "warn", "error", "critical"])("through wasi:logging keeps its level: %s", async (level) => {
    const run = engine.run(await engine.program(`logger-${version}`), `/?level=${level}`);
    await run.ended;
    expect(run.lines.find(({ origin }) => origin === "wasi:logging")?.level).toBe(level);
  });

  it("is cut where the limit is, and every line beyond it is counted", async () => {
    const limit = 5000;
    const run = engine.run(await engine.link(`behave-${version}`, { limits: { logBytes: limit } }), "/flood?bytes=100000");
    const { usage, outcome } = await run.answer();
    expect(outcome).toEqual({ kind: "ok", exit: 0 });
    expect(cost(run.lines)).toBeLessThanOrEqual(limit);
    expect(cost(run.lines)).toBeGreaterThan(limit - 99 - OVERHEAD - 1);
    // 100,000 bytes in lines of 100.
    expect(run.lines.length + usage.droppedLines).toBe(1000);
    expect(new Set(run.lines.map(({ text }) => text))).toEqual(new Set([".".repeat(99)]));
  });

  it("has a new budget in each run of an instance", async () => {
    const program = await engine.link(`behave-${version}`, { limits: { logBytes: 500 } });
    const on = engine.slot();
    for (const last of [false, true]) {
      const run = engine.run(program, "/flood?bytes=2000", { on, last });
      const { usage } = await run.answer();
      expect([run.lines.length, usage.droppedLines]).toEqual([3, 17]);
    }
  });

  it("may be nothing at all, when nothing is allowed", async () => {
    const run = engine.run(await engine.program(`logger-${version}`, { limits: { logBytes: 0 } }), "/");
    const { usage } = await run.answer();
    expect([run.lines, usage.droppedLines]).toEqual([[], 3]);
  });

  it("is there of a run that was cut off, too", async () => {
    const run = engine.run(await engine.program(`behave-${version}`), "/after-end?ms=5", { deadlines: { total: 5000 } });
    await run.ended;
    expect(run.lines.map(({ text }) => text)).toEqual(["after the end"]);
  });
});

describe.each(["p2", "p3"])("a line of a %s command", (version) => {
  const says = async (text: string): Promise<readonly GuestLine[]> => {
    const run = engine.run(await engine.program(`command-${version}`, { arguments: ["command", "say", text] }), { kind: "command" });
    await run.ended;
    return run.lines;
  };

  it("is cut at 16 KiB", async () => {
    const [line] = await says("x".repeat(20_000));
    expect(line?.text).toBe("x".repeat(16 * 1024));
  });

  it("loses the carriage return at its end, and nothing else", async () => {
    expect((await says('\u001b[31mred\u001b[0m\t{"a":1}\r')).map(({ text }) => text)).toEqual(['\u001b[31mred\u001b[0m\t{"a":1}']);
  });

  it("ends where the guest says so, inside one write too", async () => {
    expect((await says("one\n\nthree")).map(({ text }) => text)).toEqual(["one", "", "three"]);
  });

  it("is text of any script", async () =>
    expect((await says("h\u00e9llo \u4e16\u754c \ud83d\udd25"))[0]?.text).toBe("h\u00e9llo \u4e16\u754c \ud83d\udd25"));
});

describe("a line on an instance that several runs share", () => {
  it("is nobody's", async () => {
    const program = await engine.program("logger-p3", { maxConcurrent: 2 });
    const run = engine.run(program, "/");
    await run.ended;
    await engine.gone(run.on);
    const lines = engine.events
      .flatMap((event) => (event.kind === "log-batch" ? event.lines : []))
      .filter(({ slot }) => slot === run.on.slot);
    expect(lines.map(({ run: of }) => of)).toEqual([undefined, undefined, undefined]);
  });
});

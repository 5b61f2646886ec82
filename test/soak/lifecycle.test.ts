/** The soak of lifecycles in short, and that its judge finds what is wrong where something is. */
import { describe, expect, it } from "vitest";
import { judgeMoves, judgeNotes, type Note } from "../../bench/soak/lifecycle/judge.js";
import { runLifecycle } from "../../bench/soak/lifecycle/soak.js";
import type { Move } from "../../src/invoke/beside.js";

it("400 runs, 64 at once, start, pause, resume and stop in order with their sidecars", { timeout: 120_000 }, async () => {
  const { found, counts } = await runLifecycle({ steps: 400, seed: 20261126, atOnce: 64 });
  expect(found).toEqual([]);
  expect(counts.runs).toBe(400);
  for (const [what, count] of Object.entries(counts)) if (what !== "overloaded") expect(count, what).toBeGreaterThan(0);
});

describe("the judge", () => {
  let clock = 0;
  const move = (of: string, what: Move["move"], ms: number | undefined = 0.1): Move => ({
    of,
    move: what,
    at: new Date(Date.UTC(2026, 10, 26) + ++clock).toISOString().replace("Z", "000Z"),
    ms,
    failed: undefined,
  });
  const judged = (...lifecycle: Move[]): string | undefined => {
    try {
      judgeMoves({ lifecycle, sidecars: ["first", "second"], callMs: 250, stopMs: 5000 });
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  };
  const whole = (): Move[] => [
    move("first", "start"),
    move("second", "start"),
    move("main", "start", 0),
    move("main", "pause", 0),
    move("second", "pause"),
    move("first", "pause"),
    move("first", "resume"),
    move("second", "resume"),
    move("main", "resume", 0),
    move("main", "stop", 0),
    move("second", "stop"),
    move("first", "stop"),
  ];

  it("passes what is in order", () => {
    expect(judged(...whole())).toBeUndefined();
  });

  it.each([
    ["a stop before the main's", (all: Move[]) => [...all.slice(0, 9), all[10], all[9], all[11]], /second stopped before the main/],
    ["stops in the order of starts", (all: Move[]) => [...all.slice(0, 10), all[11], all[10]], /stopped out of order/],
    ["starts in the wrong order", (all: Move[]) => [all[1], all[0], ...all.slice(2)], /started out of order/],
    ["a sidecar that pauses first", (all: Move[]) => [...all.slice(0, 3), all[4], all[3], ...all.slice(5)], /paused before the main/],
    ["a main that resumes first", (all: Move[]) => [...all.slice(0, 6), all[8], all[6], all[7], ...all.slice(9)], /resumed after the main/],
    ["a start that is not over", (all: Move[]) => [{ ...(all[0] as Move), ms: 50 }, ...all.slice(1)], /the main began before first stood/],
    [
      "a move without an end",
      (all: Move[]) => [...all.slice(0, 11), { ...(all[11] as Move), ms: undefined }],
      /never came to the end of its stop/,
    ],
    ["a stop without a limit", (all: Move[]) => [...all.slice(0, 11), { ...(all[11] as Move), ms: 60_000 }], /took 60000 ms to stop/],
  ] as const)("finds %s", (_what, change, message) => {
    expect(judged(...(change(whole()) as Move[]))).toMatch(message);
  });

  const notes = (...funcs: string[]): Note[] => funcs.map((text) => ({ func: text.split(" ")[0] as string, instance: "a", about: text }));

  it.each([
    [["check", "stop"], undefined, /called before it was started/],
    [["start", "stop", "ended"], undefined, /called after its stop/],
    [["start", "ended", "lines x", "stop"], undefined, /given a line after the end/],
    [["start", "check", "lines x", "ended", "stop"], "the last", /never given the last line/],
  ] as const)("finds what is wrong with %j", (funcs, last, message) => {
    expect(() => judgeNotes(notes(...funcs), last)).toThrow(message);
  });

  it("passes notes that are in order", () => {
    expect(() => judgeNotes(notes("start", "check", "lines the last", "ended", "stop"), "the last")).not.toThrow();
  });
});

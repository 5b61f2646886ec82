import { describe, expect, it } from "vitest";
import { ProblemError } from "../../src/base/problem.js";
import { parseSaid } from "../../src/control/said.js";

const NOW = Date.parse("2026-11-27T12:00:00Z");

describe("what is said of runs", () => {
  it("means at once and within ten seconds where it says no more", () => {
    const rest = { confidence: undefined, key: undefined };
    expect(parseSaid({ task: "b", count: 50 }, NOW)).toEqual({ kind: "runs", task: "b", count: 50, inMs: 0, windowMs: 10_000, ...rest });
  });

  it("is told in durations as people write them", () => {
    const said = { task: "b", count: 1, in: "1.5s", window: "5m", confidence: 0.9, key: "sale" };
    const rest = { confidence: 0.9, key: "sale" };
    expect(parseSaid(said, NOW)).toEqual({ kind: "runs", task: "b", count: 1, inMs: 1500, windowMs: 300_000, ...rest });
  });

  it.each([
    ["2026-11-27T12:00:02Z", 2000],
    ["2026-11-27T13:00:02.5+01:00", 2500],
    // Whether it is too late is for whoever knows the window's end to say.
    ["2026-11-27T11:59:00Z", -60_000],
  ])("begins at %s", (start, inMs) => {
    expect(parseSaid({ task: "b", count: 1, start }, NOW)).toMatchObject({ inMs });
  });

  it("takes back what was said under the key, with a count of 0", () => {
    expect(parseSaid({ task: "b", count: 0, key: "sale" }, NOW)).toMatchObject({ count: 0, key: "sale" });
  });
});

it("a signal has a name and perhaps a key, and no time", () => {
  expect(parseSaid({ signal: "opened" }, NOW)).toEqual({ kind: "signal", signal: "opened", key: undefined });
  expect(parseSaid({ signal: "opened", key: "7" }, NOW)).toEqual({ kind: "signal", signal: "opened", key: "7" });
  expect(refused({ signal: "opened", in: "2s", window: "1s" })).toBe("in: unknown field; window: unknown field.");
});

describe("what is not taken is named, with what would be right", () => {
  const help = 'expected { "task": NAME, "count": N } or { "signal": NAME }.';
  const run = { task: "b", count: 1 };
  it.each([
    ["null", null, help],
    ["a list", [], help],
    ["text", "opened", help],
    ["neither", { count: 1 }, help],
    ["both", { ...run, signal: "opened" }, help],
    ["half a run", { task: "b", count: 0.5 }, "count: expected a whole number of runs."],
    ["fewer than none", { task: "b", count: -1 }, "count: expected 0 or more runs."],
    ["text for a number", { task: "b", count: "3" }, "count: expected a whole number of runs."],
    ["a number for text", { task: 7, count: 1 }, "task: Invalid input: expected string, received number."],
    ["no unit", { ...run, in: "2" }, 'in: expected a duration such as "250ms", "10s", "15m" or "1h".'],
    ["less than no time", { ...run, window: "-2s" }, 'window: expected a duration such as "250ms", "10s", "15m" or "1h".'],
    ["no time", { ...run, start: "tomorrow" }, "start: expected a time such as 2026-01-31T18:00:00Z."],
    ["a time of nowhere", { ...run, start: "2026-11-27T12:00:00" }, "start: expected a time such as 2026-01-31T18:00:00Z."],
    ["two beginnings", { ...run, in: "2s", start: "2026-11-27T12:00:02Z" }, "in, start: both say when it begins; leave one of them out."],
    ["no confidence", { ...run, confidence: 0 }, "confidence: expected more than 0."],
    ["too much of it", { ...run, confidence: 1.5 }, "confidence: expected at most 1."],
    ["a long key", { ...run, key: "k".repeat(257) }, "key: a key has at most 256 characters."],
    ["several", { ...run, window: "2", kye: "a" }, /^window: .*; kye: unknown field\.$/],
  ])("%s", (_what, body, detail) => {
    expect(refused(body)).toEqual(typeof detail === "string" ? detail : expect.stringMatching(detail));
  });
});

function refused(body: unknown): string | undefined {
  try {
    parseSaid(body, NOW);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    expect(error.problem.code).toBe("request/invalid");
    return error.problem.detail;
  }
  return undefined;
}

import { describe, expect, it } from "vitest";
import { FirstCallTimes } from "../../src/triggers/first-calls.js";

describe("how long runs took to begin", () => {
  it("is known of each task, with preparation and without", () => {
    const times = new FirstCallTimes();
    for (let ms = 1; ms <= 100; ms++) times.note("t", "b", false, ms);
    times.note("t", "b", true, 0.5);
    times.note("t", "a", false, 7);
    times.note("u", "a", true, 1);
    expect(times.of("t")).toEqual([
      { task: "a", prepared: undefined, unprepared: { count: 1, p50: 7, p99: 7 } },
      { task: "b", prepared: { count: 1, p50: 0.5, p99: 0.5 }, unprepared: { count: 100, p50: 51, p99: 100 } },
    ]);
    times.forget("t");
    expect([times.of("t"), times.of("u").length]).toEqual([[], 1]);
  });

  it("is that of the last 128 runs, of 4096 tasks", () => {
    const times = new FirstCallTimes();
    for (let i = 0; i < 1000; i++) times.note("t", "a", true, i < 872 ? 1e6 : 2);
    expect(times.of("t")[0]?.prepared).toEqual({ count: 1000, p50: 2, p99: 2 });
    for (let i = 0; i < 4096; i++) times.note("u", `${i}`, true, 1);
    expect([times.of("t"), times.of("u").length]).toEqual([[], 4096]);
  });
});

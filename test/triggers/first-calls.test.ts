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

  it("is that of the last 128 runs", () => {
    const times = new FirstCallTimes();
    for (let i = 0; i < 1000; i++) times.note("t", "a", true, i < 872 ? 1e6 : 2);
    expect(times.of("t")[0]?.prepared).toEqual({ count: 1000, p50: 2, p99: 2 });
  });

  it("is kept of 256 tasks of a tenant and of 4096 in all; what was not seen for longest goes", () => {
    const times = new FirstCallTimes();
    const known = (tenant: string): number => times.of(tenant).length;
    times.note("other", "a", true, 1);
    for (let i = 0; i < 5000; i++) {
      times.note("many", `${i}`, true, 1);
      times.note("many", "kept", true, 1);
    }
    expect([known("many"), known("other")]).toEqual([256, 1]);
    expect(times.of("many").find(({ task }) => task === "kept")?.prepared?.count).toBe(5000);
    for (let i = 0; i < 3839; i++) times.note(`t${i}`, "a", true, 1);
    expect([known("other"), known("many")]).toEqual([1, 256]);
    times.note("late", "a", true, 1);
    expect([known("other"), known("many"), known("late")]).toEqual([0, 256, 1]);
    times.forget("many");
    for (let i = 0; i < 256; i++) times.note(`u${i}`, "a", true, 1);
    expect([known("t0"), known("late")]).toEqual([1, 1]);
    times.note("last", "a", true, 1);
    expect(known("t0")).toBe(0);
  });
});

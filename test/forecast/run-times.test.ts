import { describe, expect, it } from "vitest";
import { RunTimes } from "../../src/forecast/run-times.js";

describe("what runs usually take", () => {
  it("is nothing of a task that has not run, and near what the last hundred took", () => {
    const times = new RunTimes();
    expect(times.of("a")).toBe(0);
    times.note("a", 1000);
    expect(times.of("a")).toBe(1000);
    for (let i = 0; i < 200; i++) times.note("a", 10);
    expect(times.of("a")).toBeLessThan(40);
    expect(times.of("a")).toBeGreaterThan(10);
  });

  it("is known of 4096 tasks, not of any number", () => {
    const times = new RunTimes();
    for (let i = 0; i < 4097; i++) times.note(`t${i}`, 5);
    expect(times.of("t0")).toBe(0);
    expect(times.of("t1")).toBe(5);
    expect(times.of("t4096")).toBe(5);
  });
});

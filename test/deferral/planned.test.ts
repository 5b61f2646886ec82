import { describe, expect, it } from "vitest";
import { Planned } from "../../src/deferral/planned.js";

const QUARTER = 15 * 60_000;

describe("what is put off", () => {
  it("is demand of the quarter hour that it is put off to, until it starts or goes", () => {
    const planned = new Planned();
    for (let i = 0; i < 30; i++) planned.set(`${i}`, 10 * QUARTER + i, 60_000);
    expect(planned.demand(10 * QUARTER, 11 * QUARTER)).toBe(2);
    expect(planned.demand(9 * QUARTER, 11 * QUARTER)).toBe(1);
    expect(planned.demand(10 * QUARTER + QUARTER / 2, 11 * QUARTER)).toBe(2);
    expect(planned.demand(11 * QUARTER, 12 * QUARTER)).toBe(0);
    // Said again, it is somewhere else, and not twice.
    for (let i = 0; i < 15; i++) planned.set(`${i}`, 11 * QUARTER, 60_000);
    expect([planned.demand(10 * QUARTER, 11 * QUARTER), planned.demand(11 * QUARTER, 12 * QUARTER)]).toEqual([1, 1]);
    for (let i = 0; i < 30; i++) planned.delete(`${i}`);
    planned.delete("never there");
    expect(planned.demand(0, 100 * QUARTER)).toBe(0);
  });

  it("of which nobody knows how long it takes counts all the same", () => {
    const planned = new Planned();
    planned.set("a", 0, 0);
    expect(planned.demand(0, QUARTER)).toBeGreaterThan(0);
    expect(planned.demand(5, 5)).toBe(0);
  });
});

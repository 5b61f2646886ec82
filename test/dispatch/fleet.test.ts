/** The fleet of `bench/dispatch` in short: unlike providers with slow spells, in simulated time. */
import { expect, it } from "vitest";
import { simulate } from "../../bench/dispatch/fleet.js";

it("the choice holds the tail of a fleet with slow spells below that of two random choices, and near one that knows all", () => {
  for (const seed of [1, 2, 3]) {
    const of = (rule: Parameters<typeof simulate>[0]): number => simulate(rule, { seed, calls: 30_000 }).p999;
    const ours = of("ours");
    expect(of("two choices") / ours).toBeGreaterThan(1.25);
    expect(of("random") / ours).toBeGreaterThan(10);
    expect(ours / of("oracle")).toBeLessThan(4);
  }
});

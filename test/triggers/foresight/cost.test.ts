/** What a run costs that is told; printed, since machines differ. */
import { describe, expect, it } from "vitest";
import { Scene } from "./scene.js";

/** The quickest of several rounds, in nanoseconds for each. */
function measure(rounds: number, times: number, work: (i: number) => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const begin = performance.now();
    for (let i = 0; i < times; i++) work(i);
    best = Math.min(best, ((performance.now() - begin) * 1e6) / times);
  }
  return best;
}

describe("telling of a run", () => {
  it("takes a microsecond or so", () => {
    const results: Record<string, number> = {};
    for (const [name, tasks, gap] of [
      ["of one task", 1, 1],
      ["of 5 tasks at random", 5, 7],
      ["of 20 tasks at random", 20, 7],
      ["of 200 tasks at random", 200, 7],
    ] as const) {
      const { foresight } = new Scene();
      const names = Array.from({ length: tasks }, (_, i) => ({ tenant: "t", task: `task ${i}` }));
      let [now, at] = [0, 1];
      results[name] = measure(5, 5000, () => {
        at = (Math.imul(at, 1103515245) + 12345) >>> 0;
        foresight.arrived((now += gap), names[(at >>> 8) % tasks] as (typeof names)[number]);
      });
    }
    const scene = new Scene().train(20);
    const [cause, follower] = [
      { tenant: "t", task: "A" },
      { tenant: "t", task: "B" },
    ];
    let now = scene.now;
    results["that is foreseen and comes, both and their tellings"] = measure(5, 1000, () => {
      scene.foresight.arrived((now += 5000), cause);
      scene.foresight.arrived((now += 500), follower);
    });
    expect(scene.foresight.totals().hits).toBeGreaterThan(1000);
    for (const [name, ns] of Object.entries(results)) console.log(`${Math.round(ns)} ns: a run ${name}`);
    expect(results["of 5 tasks at random"]).toBeLessThan(5000);
  });
});

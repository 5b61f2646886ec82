/**
 * Whom calls by capability go to in a fleet of unlike providers with slow spells, against other rules, in simulated time;
 * and what one decision costs.
 *
 * The choice and its estimates are the code of a node (`src/dispatch`); what they see is what a node sees: runs that go on
 * and wait, and times in service once they are over. `--calls N` in each run (200,000), `--seeds N` (5), `--json FILE`.
 */
import { Costs } from "../src/dispatch/costs.js";
import { choose, type Contender } from "../src/dispatch/select.js";
import { simulate, RULES, type RuleName } from "./dispatch/fleet.js";
import { readFlags } from "./support/arguments.js";
import { main } from "./support/bench-error.js";
import { describeMachine } from "./support/machine.js";
import { publish, type Row } from "./support/report.js";
import { median, ratio } from "./support/statistics.js";

await main(async () => {
  const { numbers, json } = readFlags({ calls: 200_000, seeds: 5 });
  const machine = describeMachine();
  const results = new Map<RuleName, ReturnType<typeof simulate>[]>();
  for (let seed = 1; seed <= numbers.seeds; seed++)
    for (const rule of RULES) {
      const of = results.get(rule) ?? [];
      results.set(rule, of);
      of.push(simulate(rule, { seed, calls: numbers.calls }));
      process.stderr.write(`dispatch: seed ${seed}, ${rule}: p99.9 ${of.at(-1)?.p999.toFixed(1)} ms\n`);
    }
  const figure = (rule: RuleName, name: "p50" | "p99" | "p999"): number => median((results.get(rule) ?? []).map((each) => each[name]));
  const rows = RULES.map((rule): Row => ({
    rule,
    "p50 ms": figure(rule, "p50"),
    "p99 ms": figure(rule, "p99"),
    "p99.9 ms": figure(rule, "p999"),
  }));
  const p2c = (results.get("two choices") ?? []).map((each, i) => ratio(each.p999, (results.get("ours") ?? [])[i]?.p999 ?? Number.NaN));
  publish(
    {
      question: `12 providers of 3 speeds with slow spells at 85 % load, simulated; ${numbers.calls} calls, medians of ${numbers.seeds} seeds`,
      machine,
      rows,
      ratios: { p2c_p999_over_ours: median(p2c) },
      figures: { decision_us_1000: decisionMicroseconds(1000) },
    },
    json,
  );
});

/** Microseconds for one decision among so many candidates, estimates included. */
function decisionMicroseconds(candidates: number): number {
  const costs = new Costs();
  const all = Array.from({ length: candidates }, (_, i) => i);
  for (const i of all) costs.observe(i, "f", { bytes: 100, serviceMs: 1 + (i % 7), memoryMibMs: 1 }, 0);
  const contend = (i: number): Contender => ({
    provider: `task-${i}`,
    version: "v1",
    estimate: costs.estimate(i, "f", 100, 1),
    outlook: { rung: "own/ready", startMs: 0, queueMs: 0, running: i % 3, waiting: 0, concurrency: 10, pressure: 1 },
  });
  const rounds = Array.from({ length: 7 }, () => {
    const begin = performance.now();
    for (let i = 0; i < 20_000; i++) choose(all, contend, 1, Math.random);
    return ((performance.now() - begin) / 20_000) * 1000;
  });
  return median(rounds);
}

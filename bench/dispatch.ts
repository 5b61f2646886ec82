/**
 * Whom calls by capability go to: on this node, with three real providers that share it, against always one of them and
 * against an oracle; in a fleet of unlike providers with slow spells, against other rules, in simulated time; and what one
 * decision costs.
 *
 * In the fleet the choice and its estimates are the code of a node (`src/dispatch`); what they see is what a node sees: runs
 * that go on and wait, and times in service once they are over. `--node-calls N` by each rule on the node (100,000; 0: only
 * the fleet), `--calls N` in each simulated run (200,000), `--seeds N` (5), `--json FILE`.
 */
import { Costs } from "#dist/dispatch/costs.js";
import { choose, type Contender } from "#dist/dispatch/select.js";
import { bestFixed, onNode, type NodeRule } from "./dispatch/real.js";
import { simulate, RULES, type FleetResult, type RuleName } from "./dispatch/fleet.js";
import { readFlags } from "./support/arguments.js";
import { main } from "./support/bench-error.js";
import { describeMachine } from "./support/machine.js";
import { publish, type Row } from "./support/report.js";
import { median, ratio } from "./support/statistics.js";

await main(async () => {
  const { numbers, json } = readFlags({ "node-calls": 100_000, calls: 200_000, seeds: 5 });
  const machine = describeMachine();
  const progress = (line: string): void => void process.stderr.write(`dispatch: ${line}\n`);
  const nodeCalls = numbers["node-calls"];
  const real = nodeCalls === 0 ? [] : await onNode(nodeCalls, progress);
  const fleet = inFleet(numbers, progress);
  const figure = (rule: RuleName, name: keyof FleetResult): number => median(fleet[rule].map((each) => each[name]));
  const rows = [
    ...real.map(({ rule, calls, mean, p99 }): Row => ({ where: `this node, ${calls} calls`, rule, "mean ms": mean, "p99 ms": p99 })),
    ...RULES.map((rule): Row => ({
      where: "the fleet, simulated",
      rule,
      "p50 ms": figure(rule, "p50"),
      "p99 ms": figure(rule, "p99"),
      "p99.9 ms": figure(rule, "p999"),
    })),
  ];
  const p2c = fleet["two choices"].map((each, i) => ratio(each.p999, fleet.ours[i]?.p999 ?? Number.NaN));
  const mean = (wanted: NodeRule): number => real.find(({ rule }) => rule === wanted)?.mean ?? Number.NaN;
  const onThisNode = real.length > 0;
  publish(
    {
      question:
        `calls by capability: three unlike providers on this node, 2 calls at once; and 12 providers of 3 speeds with slow spells at 85 % load, ` +
        `${numbers.calls} calls, medians of ${numbers.seeds} seeds`,
      machine,
      rows,
      ratios: {
        ...(onThisNode && { best_fixed_over_ours: ratio(bestFixed(real).mean, mean("ours")) }),
        p2c_p999_over_ours: median(p2c),
      },
      figures: {
        ...(onThisNode && { ours_over_oracle: ratio(mean("ours"), mean("oracle")) }),
        decision_us_1000: decisionMicroseconds(1000),
      },
    },
    json,
  );
});

function inFleet(
  { calls, seeds }: { readonly calls: number; readonly seeds: number },
  progress: (line: string) => void,
): Record<RuleName, FleetResult[]> {
  const results = Object.fromEntries(RULES.map((rule) => [rule, [] as FleetResult[]])) as Record<RuleName, FleetResult[]>;
  for (let seed = 1; seed <= seeds; seed++) {
    for (const rule of RULES) {
      const result = simulate(rule, { seed, calls });
      results[rule].push(result);
      progress(`seed ${seed}, ${rule}: p99.9 ${result.p999.toFixed(1)} ms`);
    }
  }
  return results;
}

/** Microseconds for one decision among so many candidates, estimates included. */
function decisionMicroseconds(candidates: number): number {
  const costs = new Costs();
  const all = Array.from({ length: candidates }, (_, i) => i);
  for (const i of all) costs.observe(i, "f", { bytes: 100, serviceMs: 1 + (i % 7), memoryMibMs: 1 }, 0);
  const contend = (i: number): Contender => ({
    provider: `task-${i}`,
    version: "v1",
    estimate: costs.estimate(i, "f", 100, 1),
    outlook: { rung: "own/ready", startMs: 0, refillMs: 0, queueMs: 0, running: i % 3, waiting: 0, concurrency: 10, pressure: 1 },
  });
  const rounds = Array.from({ length: 7 }, () => {
    const begin = performance.now();
    for (let i = 0; i < 20_000; i++) choose(all, contend, 1, Math.random);
    return ((performance.now() - begin) / 20_000) * 1000;
  });
  return median(rounds);
}

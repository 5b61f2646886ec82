/**
 * How long a run waits for the pool's word: the time of the step that grants it an instance, with everything in between.
 *
 * The real pool in process, with 100 tenants of 10 tasks each, half of which use their instances again. A percentile is the
 * median over the rounds of each round's percentile. `--operations N` demands a round, `--rounds N`, `--tenants N`,
 * `--tasks N` of each, `--outstanding N` runs at once, `--json FILE`.
 */
import { LeaseLoad } from "./leases/load.js";
import { readFlags } from "./support/arguments.js";
import { main } from "./support/bench-error.js";
import { describeMachine } from "./support/machine.js";
import { publish } from "./support/report.js";
import { median, percentile } from "./support/statistics.js";

const DEFAULTS = { operations: 20_000, rounds: 5, tenants: 100, tasks: 10, outstanding: 400 };

await main(() => {
  const { numbers: plan, json } = readFlags(DEFAULTS);
  const { operations, rounds, tenants, tasks, outstanding } = plan;
  const machine = describeMachine();
  const load = new LeaseLoad(plan);
  // The engine compiles hot code, and every task has been asked for.
  load.round(operations);
  const all = Array.from({ length: rounds }, () => load.round(operations));
  const of = (percent: number): number => 1000 * median(all.map(({ grants }) => percentile(grants, percent)));
  const step = 1e6 * median(all.map(({ milliseconds, steps }) => milliseconds / steps));
  const how = `${tenants} tenants of ${tasks} tasks, ${outstanding} runs at once; ${rounds} rounds of ${operations}`;
  const rows = [
    { what: "grant, p50", value: of(50), unit: "µs", how },
    { what: "grant, p99", value: of(99), unit: "µs", how },
    { what: "grant, p99.9", value: of(99.9), unit: "µs", how },
    { what: "a step", value: step, unit: "ns", how: "demands, endings and ticks, all of a round over its steps" },
  ];
  const figures = { grant_p50_us: of(50), grant_p99_us: of(99), step_ns: step };
  publish({ question: "what a lease costs in the pool, in process", machine, rows, ratios: {}, figures }, json);
  return Promise.resolve();
});

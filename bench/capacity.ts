/**
 * Cold starts, seconds spent on them and memory, of our pool and of what others do, over a trace with a heavy tail.
 *
 * The steps of a start are measured on this machine's addon first; then every policy replays the same requests with them
 * over a simulated clock (docs/simulator.md). `--seed N`, `--tasks N`, `--hours N` that count, after as many that do not,
 * `--trace FILE.csv` instead of a generated trace, `--idle N` minutes as our node's `programIdle` (0: as it comes),
 * `--json FILE`.
 */
import { usualCapacity } from "#dist/config/capacity.js";
import { createForecast } from "#dist/forecast/history.js";
import { Pool } from "#dist/pool/pool.js";
import { clairvoyantAhead, clairvoyantOnDemand } from "./sim/clairvoyant.js";
import { measureCosts, type Costs } from "./sim/costs.js";
import { readTrace } from "./sim/csv.js";
import { atEqualMemory } from "./sim/equal.js";
import { generateTrace } from "./sim/generate.js";
import { hybridHistogram } from "./sim/hybrid.js";
import type { Outcome } from "./sim/ledger.js";
import { ours } from "./sim/ours.js";
import type { Policy, Scene } from "./sim/policy.js";
import { keepAlive, leastRecentlyUsed } from "./sim/rivals.js";
import { COMPONENTS, type Trace } from "./sim/trace.js";
import { readFlags } from "./support/arguments.js";
import { main } from "./support/bench-error.js";
import { describeMachine } from "./support/machine.js";
import { publish, type Row } from "./support/report.js";
import { ratio } from "./support/statistics.js";

const MIB = 2 ** 20;
const DEFAULTS = { seed: 1, tasks: 500, hours: 12, idle: 0 };
/** Halvings of the range of budgets, for a rule and for our pool, which takes longer. */
const STEPS = { rule: 5, ours: 4 };
/** As many instances as an engine has, and more processors than the trace needs. */
const POOL = { slots: 20_000, parallelism: 64, queue: 10_000 };
/** A budget that is no limit to our node: its cells are reserved, not held. */
const AMPLE = 64 * 2 ** 30;

await main(async () => {
  const { numbers, files, json } = readFlags(DEFAULTS, process.argv.slice(2), ["trace"]);
  const machine = describeMachine();
  const trace = files["trace"] === undefined ? generated(numbers) : readTrace(files["trace"]);
  const costs = await measureCosts(note);
  const scene = { trace, costs, window: windowOf(trace) };
  const { fixed, lru, own, all } = compare(scene, numbers.idle);
  publish(
    {
      question: `what starts cost: ${trace.length} requests for ${trace.tasks.length} tasks, of which the second half of the time counts`,
      machine,
      rows: all.map(outcomeRow),
      ratios: ratiosOf(fixed, lru, own),
      figures: {
        memory_vs_fixed10: own.averageBytes / fixed.averageBytes,
        peak_memory_vs_fixed10: own.peakBytes / fixed.peakBytes,
        ours_refused: own.refused,
        ...causes(own),
        ...stepFigures(costs),
      },
    },
    json,
  );
});

function generated({ seed, tasks, hours }: typeof DEFAULTS): Trace {
  note(`a trace of ${2 * hours} hours, seed ${seed}`);
  return generateTrace({ seed, tasks, hours: 2 * hours });
}

/** The first half fills the node and the histories. */
function windowOf({ time, length }: Trace): Scene["window"] {
  const end = Math.ceil((time[length - 1] as number) + 1);
  return { from: Math.floor(end / 2), until: end };
}

interface Compared {
  readonly fixed: Outcome;
  readonly lru: Outcome;
  readonly own: Outcome;
  readonly all: readonly Outcome[];
}

/** Everybody, the limited ones with as many bytes on average as the keep-alive of ten minutes has without a limit. */
function compare(scene: Scene, idleMinutes: number): Compared {
  const free = (policy: Policy): Outcome => {
    note(policy.name);
    return policy.replay(scene);
  };
  const fixed = free(keepAlive(10));
  const range = [fixed.averageBytes / 2, 2 * fixed.peakBytes] as const;
  const equal = (policyFor: (budgetBytes: number) => Policy): Outcome => {
    note(`${policyFor(0).name}, with as much memory`);
    return atEqualMemory(scene, fixed.averageBytes, policyFor, range, STEPS.rule).outcome;
  };
  const lru = equal(leastRecentlyUsed);
  note("ours, with as much memory");
  const own = atEqualMemory(scene, fixed.averageBytes, (budget) => ourNode(budget, idleMinutes), [range[0], AMPLE], STEPS.ours).outcome;
  const all = [
    free(keepAlive(1)),
    fixed,
    free(keepAlive(10, undefined, "emptied")),
    free(keepAlive(60)),
    equal((budget) => keepAlive(60, budget)),
    free(hybridHistogram()),
    equal((budget) => hybridHistogram(budget)),
    lru,
    own,
    free(clairvoyantOnDemand(fixed.averageBytes)),
    free(clairvoyantAhead()),
  ];
  return { fixed, lru, own, all };
}

/** The product's pool, with what a node's configuration means that says how much memory there is, and maybe `programIdle`. */
function ourNode(budgetBytes: number, idleMinutes: number): Policy {
  const usual = usualCapacity(POOL.slots, 2 * budgetBytes);
  const settings = idleMinutes === 0 ? usual : { ...usual, programIdle: idleMinutes * 60_000 };
  return ours("ours", (given) => new Pool(POOL, given, createForecast()), settings);
}

/** None where our runs never waited: on a trace that is too easy nothing is to be compared. */
function ratiosOf(fixed: Outcome, lru: Outcome, own: Outcome): Record<string, number> {
  if (own.coldSeconds === 0) return {};
  return {
    fixed10_cold_seconds_over_ours: ratio(fixed.coldSeconds, own.coldSeconds),
    lru_cold_seconds_over_ours: ratio(lru.coldSeconds, own.coldSeconds),
  };
}

function outcomeRow({ policy, runs, coldStarts, coldSeconds, p99StartMs, averageBytes, peakBytes }: Outcome): Row {
  return {
    policy,
    runs,
    "cold starts": coldStarts,
    "cold seconds": coldSeconds,
    "p99 start, ms": p99StartMs,
    "average MiB": averageBytes / MIB,
    "peak MiB": peakBytes / MIB,
  };
}

/** Where the cold seconds come from: linking, making instances, and waiting for anything else. */
function causes({ byComponent }: Outcome): Record<string, number> {
  const entries = COMPONENTS.flatMap((component) => {
    const { raiseMs, makeMs, otherMs } = byComponent[component];
    return Object.entries({ link: raiseMs, make: makeMs, other: otherMs }).map(([cause, ms]) => [
      `cold_s_${component}_${cause}`,
      ms / 1000,
    ]);
  });
  return Object.fromEntries(entries) as Record<string, number>;
}

function stepFigures(costs: Costs): Record<string, number> {
  const entries = COMPONENTS.flatMap((component) => {
    const { raiseMs, instantiateMs, compileMs, programBytes, readyBytes } = costs[component];
    return Object.entries({
      link_ms: raiseMs,
      make_us: instantiateMs * 1000,
      compile_ms: compileMs,
      program_kib: programBytes / 1024,
      ready_kib: readyBytes / 1024,
    }).map(([what, value]) => [`${component}_${what}`, value]);
  });
  return Object.fromEntries(entries) as Record<string, number>;
}

function note(text: string): void {
  process.stderr.write(`capacity: ${text}\n`);
}

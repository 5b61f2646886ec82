/**
 * Whether a node's foresight is worth it: what is prepared for runs that are foreseen, and what becomes of that.
 *
 * Chains of tasks are mixed into the trace with a heavy tail and replayed through the product's pool with the product's foresight
 * beside it, and without (docs/simulator.md); the steps of a start are measured on this machine's addon first. `--seed N`,
 * `--tasks N` beside chains, `--chains N`, `--hours N` that count, after as many that do not, `--idle MINUTES` as the node's
 * `programIdle`, `--json FILE`.
 */
import { usualCapacity } from "#dist/config/capacity.js";
import { createForecast } from "#dist/forecast/history.js";
import { Pool } from "#dist/pool/pool.js";
import { Foresight } from "#dist/triggers/foresight/foresight.js";
import { withForesight, without, type Foreseen, type Replayed, type Setting } from "./foresight/replay.js";
import { generateChains, IN_ORDER, USUAL_GAP } from "./sim/chains.js";
import { measureCosts, type Costs } from "./sim/costs.js";
import { generateTrace } from "./sim/generate.js";
import { mixed } from "./sim/mixed.js";
import { readFlags } from "./support/arguments.js";
import { main } from "./support/bench-error.js";
import { describeMachine } from "./support/machine.js";
import { publish, type Row } from "./support/report.js";
import { ratio } from "./support/statistics.js";

const MIB = 2 ** 20;
const HOUR = 3_600_000;
const DEFAULTS = { seed: 1, tasks: 500, chains: 100, hours: 6, idle: 2 };
const POOL = { slots: 20_000, parallelism: 64, queue: 10_000 };
/** A budget that is no limit: `programIdle` is what has programs go. */
const AMPLE = 32 * 2 ** 30;

await main(async () => {
  const { numbers, json } = readFlags(DEFAULTS);
  const machine = describeMachine();
  const setting = settingOf(numbers, await measureCosts(note));
  note("without foresight");
  const plain = without(setting);
  note("with foresight");
  const foreseen = withForesight(setting, { makeForesight: (ports) => new Foresight(ports), said: [] });
  publish(
    {
      question: `what foresight is worth: ${setting.mix.trace.length} requests, seed ${numbers.seed}`,
      machine,
      rows: [row("without", plain), row("with", foreseen)],
      ratios: ratiosOf(plain, foreseen),
      figures: {},
    },
    json,
  );
});

function settingOf({ seed, tasks, chains, hours, idle }: typeof DEFAULTS, costs: Costs): Setting {
  const workload = { seed, chains, hours: 2 * hours, gap: USUAL_GAP, disorder: IN_ORDER };
  const mix = mixed(generateTrace({ seed, tasks, hours: 2 * hours }), generateChains(workload));
  return {
    mix,
    scene: { trace: mix.trace, costs, window: { from: hours * HOUR, until: 2 * hours * HOUR } },
    makePool: (settings) => new Pool(POOL, settings, createForecast()),
    settings: { ...usualCapacity(POOL.slots, 2 * AMPLE), programIdle: idle * 60_000 },
  };
}

function ratiosOf(plain: Replayed, foreseen: Foreseen): Record<string, number> {
  const { prepared, used, waited, wasted } = foreseen.usage;
  return {
    pretrigger_hit_ratio: ratio(used, prepared),
    pretrigger_waste_ratio: ratio(wasted, waited),
    chain4_hidden: ratio(plain.chain4 - foreseen.chain4, plain.chain4),
    bystanders_p99_with_over_without: ratio(foreseen.bystandersP99, plain.bystandersP99),
  };
}

function row(what: string, { outcome, followers, chain4, bystandersP99 }: Replayed): Row {
  return {
    foresight: what,
    runs: outcome.runs,
    "cold s": outcome.coldSeconds,
    "followers, s": followers / 1000,
    "chains of 4, s": chain4 / 1000,
    "others p99, ms": bystandersP99,
    "average MiB": outcome.averageBytes / MIB,
  };
}

function note(text: string): void {
  process.stderr.write(`foresight: ${text}\n`);
}

/**
 * Whether a node's foresight is worth it: what is prepared for runs that are foreseen, announced or put off, and what that costs.
 *
 * Chains of tasks are mixed into the trace with a heavy tail and replayed through the product's pool with the product's foresight
 * beside it, and without (docs/simulator.md); the steps of a start are measured on this machine's addon first. Deferral is tried on
 * days in the same simulator, announcements on a real node. `--seed N`, `--tasks N` beside chains, `--chains N`, `--hours N` that
 * count, after as many that do not, `--idle MINUTES` as the node's `programIdle`, `--days N` and `--load N` of deferral, `--calls N` and
 * `--rounds N` of announcements, `--only 1` for the chains alone, `--json FILE`.
 */
import { join } from "node:path";
import { measureAnnounced, type AnnouncedRound } from "./foresight/announced.js";
import { casesOf, compare, type Compared } from "./foresight/cases.js";
import { compareDays, type ComparedDays } from "./foresight/days.js";
import { measureCosts } from "./sim/costs.js";
import { readFlags } from "./support/arguments.js";
import { BenchError, main } from "./support/bench-error.js";
import { describeMachine } from "./support/machine.js";
import { ROOT } from "./support/paths.js";
import { publish, type Row } from "./support/report.js";
import { median, ratio } from "./support/statistics.js";

const DEFAULTS = { seed: 1, tasks: 500, chains: 100, hours: 4, idle: 2, days: 4, load: 60, calls: 50, rounds: 5, only: 0 };
const HELLOS = { c: "examples/c-hello/c-hello.wasm", javascript: "examples/hello/hello.wasm" };

const rows: Row[] = [];
const ratios: Record<string, number> = {};
const figures: Record<string, number> = {};

await main(async () => {
  const { numbers: plan, json } = readFlags(DEFAULTS);
  const machine = describeMachine();
  const costs = await measureCosts(note);
  let worst = 0;
  for (const [n, each] of casesOf(plan).entries()) {
    if (n > 0 && plan.only === 1) break;
    note(each.name);
    const compared = compare(plan, costs, each);
    rows.push(chainRow(compared));
    if (n === 0) addChains(compared);
    worst = Math.max(worst, ratio(compared.foreseen.bystandersP99, compared.plain.bystandersP99));
  }
  figures["bystanders_p99_worst_case"] = worst;
  if (plan.only !== 1) {
    note("days, without deferral and with it");
    addDays(await compareDays(plan));
    for (const [name, file] of Object.entries(HELLOS)) {
      note(`first calls, announced and not, hello in ${name}`);
      await addAnnounced(name, join(ROOT, file), plan);
    }
  }
  publish({ question: `what foresight is worth, seed ${plan.seed}`, machine, rows, ratios, figures }, json);
  if ((figures["not_after_broken"] ?? 0) > 0) throw new BenchError(`${figures["not_after_broken"]} runs started after their bound`);
});

function addChains({ plain, foreseen }: Compared): void {
  const { prepared, used, waited, wasted, ran, linked, linkedUsed } = foreseen.usage;
  ratios["pretrigger_hit_ratio"] = ratio(used, prepared);
  ratios["pretrigger_waste_ratio"] = wasted / (waited + ran);
  ratios["chain4_hidden"] = ratio(plain.chain4 - foreseen.chain4, plain.chain4);
  ratios["bystanders_p99_with_over_without"] = ratio(foreseen.bystandersP99, plain.bystandersP99);
  figures["waste_of_waiting"] = wasted / waited;
  figures["linked_ahead"] = linked;
  figures["linked_ahead_used"] = linkedUsed / Math.max(1, linked);
  figures["chain4_runs"] = plain.chain4Runs;
}

/** Shares in per cent; `others` are the runs that have nothing to do with chains. */
function chainRow({ name, plain, foreseen }: Compared): Row {
  const { prepared, used, waited, wasted, ran } = foreseen.usage;
  return {
    case: name,
    runs: plain.outcome.runs,
    prepared,
    "hit %": (100 * used) / Math.max(1, prepared),
    "waste %": (100 * wasted) / Math.max(1e-9, waited + ran),
    "hidden, 4 deep %": 100 * (1 - foreseen.chain4 / plain.chain4),
    "hidden, all %": 100 * (1 - foreseen.followers / plain.followers),
    "others p99, ms": plain.bystandersP99,
    "with foresight": foreseen.bystandersP99,
    refused: foreseen.outcome.refused - plain.outcome.refused,
    MiB: plain.outcome.averageBytes / 2 ** 20,
    "MiB with": foreseen.outcome.averageBytes / 2 ** 20,
  };
}

function addDays({ plain, deferred }: ComparedDays): void {
  const { usage, accepted, putOff, broken, waitedMs } = deferred;
  ratios["peak_without_over_with"] = ratio(plain.peak, usage.peak);
  figures["not_after_broken"] = broken;
  figures["peak_without"] = plain.peak;
  figures["peak_with"] = usage.peak;
  figures["p999_without_over_with"] = ratio(plain.enough(0.001), usage.enough(0.001));
  figures["mean_in_use"] = plain.mean;
  figures["deferrable_jobs"] = accepted;
  figures["put_off_share"] = putOff / accepted;
  figures["put_off_hours"] = waitedMs / 3_600_000;
}

async function addAnnounced(name: string, file: string, { calls, rounds }: typeof DEFAULTS): Promise<void> {
  const { unannounced, announced } = await measureAnnounced({ file, calls, rounds });
  const of = (all: readonly AnnouncedRound[], what: keyof AnnouncedRound): number => median(all.map((round) => round[what]));
  const value = ratio(of(unannounced, "p99"), of(announced, "p99"));
  // The product's users write TypeScript; the smallest there is stands beside it.
  if (name === "javascript") ratios["unannounced_p99_over_announced"] = value;
  else figures[`${name}_unannounced_p99_over_announced`] = value;
  figures[`${name}_unannounced_p99_ms`] = of(unannounced, "p99");
  figures[`${name}_announced_p99_ms`] = of(announced, "p99");
  figures[`${name}_p50_over_announced`] = ratio(of(unannounced, "p50"), of(announced, "p50"));
  figures[`${name}_announced_ready`] = of(announced, "ready");
}

function note(text: string): void {
  process.stderr.write(`foresight: ${text}\n`);
}

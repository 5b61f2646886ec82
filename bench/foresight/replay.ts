/** One trace with chains through our node, without foresight and with it: what that hides, wastes, and does to others. */
import { percentile } from "../support/statistics.js";
import { Watching } from "../sim/beside.js";
import { Foreseeing, type ForeseeingOptions } from "../sim/foreseeing.js";
import type { Outcome } from "../sim/ledger.js";
import type { MixedTrace } from "../sim/mixed.js";
import { ours, type MakePool } from "../sim/ours.js";
import type { Scene } from "../sim/policy.js";
import type { Usage } from "../sim/prepared.js";
import type { PoolSettings } from "../../src/pool/types.js";

export interface Setting {
  readonly mix: MixedTrace;
  readonly scene: Scene;
  readonly makePool: MakePool;
  readonly settings: PoolSettings;
}

export interface Replayed {
  readonly outcome: Outcome;
  /** Milliseconds that runs of followers waited, all together, and those of chains with four links; and those runs. */
  readonly followers: number;
  readonly chain4: number;
  readonly chain4Runs: number;
  /** Of all runs that have nothing to do with chains, in milliseconds. */
  readonly bystandersP99: number;
}

export interface Foreseen extends Replayed {
  readonly usage: Usage;
  readonly totals: ReturnType<Foreseeing["foresight"]["totals"]>;
}

export function without(setting: Setting): Replayed {
  let watching: Watching | undefined;
  const outcome = ours("without foresight", setting.makePool, setting.settings, (node) => (watching = new Watching(node))).replay(
    setting.scene,
  );
  return summary(setting, outcome, (watching as Watching).waits);
}

export function withForesight(setting: Setting, how: Omit<ForeseeingOptions, "signals">): Foreseen {
  let beside: Foreseeing | undefined;
  const { signals } = setting.mix;
  const policy = ours("with foresight", setting.makePool, setting.settings, (node) => (beside = new Foreseeing(node, { ...how, signals })));
  const outcome = policy.replay(setting.scene);
  const { waits, foresight, usage } = beside as unknown as Foreseeing;
  return { ...summary(setting, outcome, waits), usage, totals: foresight.totals() };
}

function summary({ mix: { places }, scene: { trace, window } }: Setting, outcome: Outcome, waits: Float64Array): Replayed {
  const bystanders: number[] = [];
  let [followers, chain4, chain4Runs] = [0, 0, 0];
  for (let run = 0; run < trace.length; run++) {
    const time = trace.time[run] as number;
    const wait = waits[run] as number;
    if (time < window.from || time >= window.until || Number.isNaN(wait)) continue;
    const place = places[run];
    if (place === undefined) bystanders.push(wait);
    else if ((place.link ?? 0) > 0) {
      followers += wait;
      if (place.depth < 4) continue;
      chain4 += wait;
      chain4Runs++;
    }
  }
  return { outcome, followers, chain4, chain4Runs, bystandersP99: percentile(bystanders, 99) };
}

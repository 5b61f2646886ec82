/** The traces that foresight is tried on: as it may be, and with what goes wrong. */
import { resolveCapacity } from "#dist/config/capacity.js";
import { createForecast } from "#dist/forecast/history.js";
import { Pool } from "#dist/pool/pool.js";
import { Foresight } from "#dist/triggers/foresight/foresight.js";
import { generateChains, IN_ORDER, USUAL_GAP, type Disorder } from "../sim/chains.js";
import type { Costs } from "../sim/costs.js";
import { generateTrace } from "../sim/generate.js";
import { mixed } from "../sim/mixed.js";
import { hostileSaid, hostileTasks } from "./hostile.js";
import { withForesight, without, type Foreseen, type Replayed, type Setting } from "./replay.js";

const HOUR = 3_600_000;
const GIB = 2 ** 30;
const POOL = { slots: 20_000, parallelism: 64, queue: 10_000 };

export interface Plan {
  readonly seed: number;
  readonly tasks: number;
  readonly chains: number;
  /** Hours that count, after as many that do not. */
  readonly hours: number;
  /** The node's `programIdle`, in minutes. */
  readonly idle: number;
}

interface Case {
  readonly name: string;
  readonly disorder?: Partial<Disorder>;
  readonly gap?: readonly [number, number];
  /** Tenants that announce what never comes. */
  readonly hostile?: number;
  /** What the node has for cells: a budget, and the size of a cell. */
  readonly memory?: string;
  readonly cell?: string;
}

export interface Compared {
  readonly name: string;
  readonly plain: Replayed;
  readonly foreseen: Foreseen;
}

/** The first one is what the ratios are about. */
export function casesOf({ hours }: Plan): readonly Case[] {
  return [
    { name: "chains" },
    { name: "noise: after 3 in 10 another task, too", disorder: { extra: 0.3 } },
    { name: "noise: 1 in 10 followers stays out", disorder: { missing: 0.1 } },
    { name: "noise: 3 in 10 followers stay out", disorder: { missing: 0.3 } },
    { name: "drift: pairs change half-way", disorder: { driftAt: 1.5 * hours * HOUR } },
    { name: "rare chains: every 1 to 6 hours", gap: [HOUR, 6 * HOUR] },
    { name: "one tenant announces what never comes", hostile: 1 },
    { name: "eight tenants do", hostile: 8 },
    { name: "fewer cells than tenants", memory: "32GiB", cell: "512MiB" },
  ];
}

/** Without foresight and with it, on the same requests. */
export function compare(plan: Plan, costs: Costs, { name, ...what }: Case): Compared {
  const setting = settingOf(plan, costs, what);
  const { from, until } = setting.scene.window;
  const said = what.hostile === undefined ? [] : hostileSaid(what.hostile, from, until);
  return { name, plain: without(setting), foreseen: withForesight(setting, { makeForesight: (ports) => new Foresight(ports), said }) };
}

function settingOf({ seed, tasks, chains, hours, idle }: Plan, costs: Costs, what: Omit<Case, "name">): Setting {
  const { disorder, gap = USUAL_GAP, hostile = 0, memory = "64GiB", cell = "128MiB" } = what;
  const chained = generateChains({ seed, chains, hours: 2 * hours, gap, disorder: { ...IN_ORDER, ...disorder } });
  const mix = mixed(generateTrace({ seed, tasks, hours: 2 * hours }), chained, hostileTasks(hostile));
  const said = { node: { memory, programIdle: `${idle}m` }, pools: { shared: { cell } } };
  return {
    mix,
    scene: { trace: mix.trace, costs, window: { from: hours * HOUR, until: 2 * hours * HOUR } },
    makePool: (settings) => new Pool(POOL, settings, createForecast()),
    settings: resolveCapacity(said, POOL.slots, 128 * GIB, []),
  };
}

/**
 * Chains of tasks for a trace: something happens (a task runs, or a signal is given), and others' runs follow it.
 *
 * Nobody has published what follows what in a node's requests, so all numbers here are assumptions, and the bench changes the
 * ones that matter. A chain is a row of links; each link's runs follow each run of the one before with a likelihood, in a
 * number, after a delay. Chains belong in pairs to tenants of their own.
 */
import { Random } from "../soak/support/random.js";
import { between, exponential, logNormal, uniform } from "./chance.js";
import { renewal } from "./arrivals.js";
import { drawRun, modelTask, type TaskModel } from "./generate.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** What goes wrong with what was learnt. Shares are 0 to 1. */
export interface Disorder {
  /** Occurrences after which some other task of the tenant is asked for as well, within ten seconds. */
  readonly extra: number;
  /** Of the runs that would follow, those that stay out; what would follow them does, too. */
  readonly missing: number;
  /** From then on, what began one chain of a tenant begins the other, and the other way round. Milliseconds. */
  readonly driftAt: number;
}

export const IN_ORDER: Disorder = { extra: 0, missing: 0, driftAt: Number.POSITIVE_INFINITY };

export interface ChainWorkload {
  readonly seed: number;
  readonly chains: number;
  readonly hours: number;
  /** Milliseconds between two beginnings of a chain, on average: drawn from the one to the other, evenly in their logarithms. */
  readonly gap: readonly [number, number];
  readonly disorder: Disorder;
}

export const USUAL_GAP = [MINUTE, 30 * MINUTE] as const;

/** One step of a chain. */
export interface Link {
  readonly task: number;
  readonly likelihood: number;
  readonly count: number;
  /** The middle, in milliseconds, and the sigma of its logarithm. */
  readonly delay: number;
  readonly spread: number;
}

export interface Chain {
  readonly tenant: string;
  readonly gap: number;
  readonly variation: number;
  /** What it begins with: a task, by its number, or a signal, by its name. */
  readonly root: number | string;
  readonly links: readonly Link[];
}

/** Where in a chain a request belongs. */
export interface Place {
  /** The links of its chain. */
  readonly depth: number;
  /** 0: the chain began with it; undefined: it only came at the same time. */
  readonly link: number | undefined;
}

export interface ChainRequest {
  readonly time: number;
  readonly task: number;
  readonly duration: number;
  readonly bytes: number;
  readonly place: Place;
}

export interface Signal {
  readonly time: number;
  readonly tenant: string;
  readonly signal: string;
}

export interface Chains {
  readonly tasks: readonly TaskModel[];
  readonly chains: readonly Chain[];
  /** Both in the order of their times. */
  readonly requests: readonly ChainRequest[];
  readonly signals: readonly Signal[];
}

/** Shares of chains with one to four links. */
const DEPTHS = [0.3, 0.25, 0.2, 0.25];
const BY_SIGNAL = 0.3;
/** Steps of one work nearly always follow each other; what a user does usually; and some things only now and then. */
const LIKELIHOODS = [
  { share: 0.75, from: 0.97, to: 1 },
  { share: 0.15, from: 0.8, to: 0.97 },
  { share: 0.1, from: 0.1, to: 0.45 },
] as const;
/** One link of a chain in four is a fan of so many runs. */
const FANS = 0.25;
const FAN = [2, 6] as const;
/** How far apart the runs of a fan come, on average; and the share of fans that have one run more or less than usual. */
const FAN_GAP = 20;
const UNEVEN = 0.1;
const DELAY = [50, 5 * SECOND] as const;
const SPREAD = [0.02, 0.3] as const;
/** Tasks of a tenant that are in no chain, and come in where there is disorder. */
const OTHERS = 2;
const NEAR = 10 * SECOND;

/** All requests and signals of the chains. */
export function generateChains(workload: ChainWorkload): Chains {
  const random = new Random(workload.seed, 1_000_001);
  const tasks: TaskModel[] = [];
  const chains: Chain[] = [];
  const others: number[][] = [];
  for (let n = 0; n < workload.chains; n++) {
    const tenant = `chained-${Math.floor(n / 2) + 1}`;
    const newTask = (): number => tasks.push(modelTask(random, tenant, `task-${tasks.length + 1}`)) - 1;
    chains.push(modelChain(random, workload, tenant, newTask));
    others.push(Array.from({ length: OTHERS }, newTask));
  }
  const requests: ChainRequest[] = [];
  const signals: Signal[] = [];
  for (const [n, chain] of chains.entries()) {
    const source = new Random(workload.seed, 1_000_002 + n);
    const other = chains[n ^ 1] ?? chain;
    play(source, workload, tasks, { chain, other, others: others[n] as number[] }, requests, signals);
  }
  requests.sort((a, b) => a.time - b.time);
  signals.sort((a, b) => a.time - b.time);
  return { tasks, chains, requests, signals };
}

function modelChain(random: Random, { gap }: ChainWorkload, tenant: string, newTask: () => number): Chain {
  const depth = pickShare(random, DEPTHS) + 1;
  const root = random.chance(BY_SIGNAL) ? `signal-${random.below(1e9)}` : newTask();
  // At most one link is a fan, so that the runs of a chain do not multiply.
  const fan = random.chance(FANS) ? random.below(depth) : -1;
  const links = Array.from({ length: depth }, (_, n): Link => {
    const { from, to } = LIKELIHOODS[
      pickShare(
        random,
        LIKELIHOODS.map(({ share }) => share),
      )
    ] as (typeof LIKELIHOODS)[number];
    return {
      task: newTask(),
      likelihood: between(random, from, to),
      count: n === fan ? Math.round(between(random, ...FAN)) : 1,
      delay: logUniform(random, DELAY),
      spread: between(random, ...SPREAD),
    };
  });
  return { tenant, gap: logUniform(random, gap), variation: between(random, 0.5, 2), root, links };
}

interface Played {
  readonly chain: Chain;
  /** What it begins once there was a drift. */
  readonly other: Chain;
  readonly others: readonly number[];
}

/** Everything that a chain brings. */
function play(
  random: Random,
  { hours, disorder }: ChainWorkload,
  tasks: readonly TaskModel[],
  { chain, other, others }: Played,
  requests: ChainRequest[],
  signals: Signal[],
): void {
  const end = hours * HOUR;
  const add = (time: number, task: number, place: Place): void => {
    if (time < end) requests.push({ time, task, place, ...drawRun(random, tasks[task] as TaskModel) });
  };
  const follow = (links: readonly Link[], at: number, n: number): void => {
    const link = links[n];
    if (link === undefined || !random.chance(link.likelihood) || random.chance(disorder.missing)) return;
    const uneven = link.count > 1 && random.chance(UNEVEN) ? (random.chance(0.5) ? 1 : -1) : 0;
    let time = at + logNormal(random, Math.log(link.delay), link.spread);
    for (let i = 0; i < link.count + uneven; i++) {
      add(time, link.task, { depth: links.length, link: n + 1 });
      follow(links, time, n + 1);
      time += FAN_GAP * exponential(random);
    }
  };
  const begins = renewal(random, chain.gap, chain.variation, 0);
  for (let time = begins.next(); time < end; time = begins.next()) {
    const { links } = time < disorder.driftAt ? chain : other;
    if (typeof chain.root === "string") signals.push({ time, tenant: chain.tenant, signal: chain.root });
    else add(time, chain.root, { depth: links.length, link: 0 });
    follow(links, time, 0);
    if (random.chance(disorder.extra)) add(time + NEAR * uniform(random), random.pick(others), { depth: links.length, link: undefined });
  }
}

function pickShare(random: Random, shares: readonly number[]): number {
  let place = uniform(random);
  const found = shares.findIndex((share) => (place -= share) < 0);
  return found === -1 ? shares.length - 1 : found;
}

function logUniform(random: Random, [low, high]: readonly [number, number]): number {
  return low * (high / low) ** uniform(random);
}

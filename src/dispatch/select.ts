/**
 * Who gets a call: one pure function over candidates and a random source, the same in tests and on a node.
 *
 * Of at most four candidates, drawn where there are more, those are avoided whose runs at once are in the tail (hot);
 * among the rest the cheapest is taken: what it takes to start there now, and the time in service, both drawn out by
 * what else wants the processors. This is the hot-cold lexicographic rule of Prequal (Wydrowski et al., NSDI 2024), with
 * costs in place of its latency. A sum of costs alone never settles: nothing makes the cheapest look busier.
 */
import type { Estimate } from "./costs.js";

/** What starting a run of a program takes now. Milliseconds. */
export interface Outlook {
  /** How it would come by its instance: `own/ready`. */
  readonly rung: string;
  readonly startMs: number;
  /** Its share of making another instance ready when it takes one: what others wait for while the processors are busy. */
  readonly refillMs: number;
  readonly queueMs: number;
  readonly running: number;
  readonly waiting: number;
  /** Runs at once that are allowed. */
  readonly concurrency: number;
  /** How much longer a run and its start take now than alone, since others use the processors; at least 1. */
  readonly pressure: number;
}

/** What counts: the weight of time, from 0 (memory alone) to 1. */
export type Preference = number;

export interface Contender {
  readonly provider: string;
  readonly version: string;
  readonly estimate: Estimate;
  readonly outlook: Outlook;
}

export interface Considered {
  readonly provider: string;
  readonly version: string;
  readonly execMs: number;
  readonly memoryMibMs: number;
  readonly startMs: number;
  readonly queueMs: number;
  /** Runs that go on or wait, for each that may go on. */
  readonly load: number;
  readonly hot: boolean;
  /** In the unit of what is preferred, relative to the best: 1 is the cheapest. */
  readonly score: number;
}

/** What was chosen and from what, the best first. */
export interface Decision {
  readonly considered: readonly Considered[];
  /** It was not the best by what is known, but to learn of it. */
  readonly explored: boolean;
  /** In a few words. */
  readonly why: string;
}

export interface Chosen<C> {
  /** In the order to try, the chosen one first. */
  readonly order: readonly C[];
  readonly decision: Decision;
}

export interface Selection {
  /** Candidates that are looked at. */
  readonly samples: number;
  /** The share of decisions that go to another than the best, to learn of it. */
  readonly explore: number;
  /** The same where of another next to nothing is known: what is assumed of it may be far off, and one look settles that. */
  readonly exploreUnknown: number;
}

const USUAL_SELECTION: Selection = { samples: 4, explore: 0.01, exploreUnknown: 0.1 };

/** An estimate that rests on less is next to none: of one run, ten seconds ago. */
const UNKNOWN = 0.5;

/** Loads above this quantile of those looked at are hot. */
const TAIL = 0.75;
/** So many runs are never a crowd. */
const FEW = 2;

/** `contend` is asked of those alone that are looked at. `all` is not empty; `random` gives [0, 1). */
export function choose<C>(
  all: readonly C[],
  contend: (candidate: C) => Contender,
  preference: Preference,
  random: () => number,
  { samples, explore, exploreUnknown }: Selection = USUAL_SELECTION,
): Chosen<C> {
  const looked = sample(all, samples, random).map((candidate) => ({ candidate, of: contend(candidate) }));
  // With fewer, the most crowded is the tail itself.
  const tail =
    looked.length < samples
      ? Number.POSITIVE_INFINITY
      : quantile(
          looked.map(({ of }) => busy(of)),
          TAIL,
        );
  const costs = costsOf(
    looked.map(({ of }) => of),
    preference,
  );
  const ranked = looked
    .map(({ candidate, of }, i) => ({ candidate, of, cost: costs[i] as number, hot: busy(of) > FEW && busy(of) > tail }))
    .sort((a, b) => Number(a.hot) - Number(b.hot) || a.cost - b.cost);
  const [best] = ranked;
  const other = ranked.length > 1 ? leastKnown(ranked.slice(1)) : undefined;
  const rate = other !== undefined && other.of.estimate.observed < UNKNOWN ? exploreUnknown : explore;
  const explored = random() < rate ? other : undefined;
  const order = explored === undefined ? ranked : [explored, ...ranked.filter((each) => each !== explored)];
  const first = order[0] as (typeof order)[number];
  return {
    order: order.map(({ candidate }) => candidate),
    decision: {
      considered: order.map(({ of, cost, hot }) => consideredOf(of, cost / Math.max((best as typeof first).cost, Number.MIN_VALUE), hot)),
      explored: explored !== undefined,
      why: whyOf(all.length, ranked.length, explored !== undefined, order[1] !== undefined && order[1].hot && !first.hot),
    },
  };
}

function whyOf(all: number, looked: number, explored: boolean, coldOnly: boolean): string {
  if (all === 1) return "the only one";
  if (explored) return "a look at one that is little known";
  const among = looked < all ? `${looked} drawn of ${all}` : `${all}`;
  return coldOnly ? `cheapest of ${among}, others are crowded` : `cheapest of ${among}`;
}

/** The one whose estimate rests on the least. */
function leastKnown<R extends { readonly of: Contender }>(ranked: readonly R[]): R {
  return ranked.reduce((a, b) => (b.of.estimate.observed < a.of.estimate.observed ? b : a));
}

function busy({ outlook }: Contender): number {
  return outlook.running + outlook.waiting;
}

/** By time: milliseconds until it is done. By memory: what it holds until then. Between, both relative to the least. */
function costsOf(contenders: readonly Contender[], preference: Preference): number[] {
  const times = contenders.map(({ estimate, outlook }) => outlook.queueMs + (startOf(outlook) + estimate.serviceMs) * outlook.pressure);
  const memories = contenders.map(({ estimate, outlook }) => estimate.memoryMibMs * outlook.pressure);
  const [leastTime, leastMemory] = [least(times), least(memories)];
  return contenders.map(
    (_, i) => (preference * (times[i] as number)) / leastTime + ((1 - preference) * (memories[i] as number)) / leastMemory,
  );
}

function startOf({ startMs, refillMs }: Outlook): number {
  return startMs + refillMs;
}

function least(values: readonly number[]): number {
  let lowest = Number.POSITIVE_INFINITY;
  for (const value of values) if (value < lowest) lowest = value;
  return Math.max(lowest, 1e-9);
}

function consideredOf({ provider, version, estimate, outlook }: Contender, score: number, hot: boolean): Considered {
  return {
    provider,
    version,
    execMs: estimate.serviceMs,
    memoryMibMs: estimate.memoryMibMs,
    startMs: startOf(outlook),
    queueMs: outlook.queueMs,
    load: (outlook.running + outlook.waiting) / outlook.concurrency,
    hot,
    score,
  };
}

/** So many different ones, each as likely as any other; all where there are no more. */
function sample<C>(all: readonly C[], count: number, random: () => number): readonly C[] {
  if (all.length <= count) return all;
  const places: number[] = [];
  // Floyd's: no array of all is made.
  for (let last = all.length - count; last < all.length; last++) {
    const place = Math.floor(random() * (last + 1));
    places.push(places.includes(place) ? last : place);
  }
  return places.map((place) => all[place] as C);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

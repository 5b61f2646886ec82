/** How it looks to people: what follows what and how well that is known, what is announced, what is expected now. */
import type { Announcements } from "./announcements.js";
import type { Depth } from "./expectations.js";
import type { History } from "./history.js";
import type { Pair, Sign, Trust } from "./pairs.js";

/** `learning`: seen too seldom, too unlikely, or no more than chance; `off`: it kept missing and is tried again later. */
export type PairState = "learning" | "on" | "off";

/** Times in milliseconds. */
export interface PairView {
  readonly cause: string;
  readonly kind: "task" | "signal";
  readonly task: string;
  /** The share of occurrences that were followed in time, of so many. */
  readonly likelihood: number;
  readonly occurrences: number;
  /** How likely a run is in the same time without any sign. */
  readonly chance: number;
  /** Runs that follow, and after how long the first of them comes, give or take. */
  readonly number: number;
  readonly delay: number;
  readonly deviation: number;
  readonly state: PairState;
  /** How long it stays off. */
  readonly offFor: number;
  readonly predictions: number;
  /** Runs; predictions that nothing came of; MiB × seconds that were held for nothing. */
  readonly hits: number;
  readonly late: number;
  readonly wasted: number;
  readonly waste: number;
}

export interface AnnouncementView {
  readonly key: string;
  readonly sender: string;
  readonly task: string;
  readonly count: number;
  /** Runs that have come. */
  readonly arrived: number;
  readonly start: number;
  readonly window: number;
  readonly confidence: number;
  /** What is believed of that, after what came of the sender's others. */
  readonly believed: number;
  readonly state: "planned" | "active" | "over" | "spent" | "gone";
}

export interface ExpectedView {
  readonly task: string;
  readonly count: number;
  readonly until: number;
  readonly depth: Depth;
}

export interface ForesightView {
  readonly tenant: string;
  /** The likeliest first. */
  readonly pairs: readonly PairView[];
  readonly announcements: readonly AnnouncementView[];
  readonly expected: readonly ExpectedView[];
}

const MiB = 2 ** 20;

export function viewOf(now: number, history: History, announcements: Announcements, trust: Trust): ForesightView {
  const pairs = history.signs.flatMap((sign) =>
    sign.pairs.filter(({ follower }) => !follower.isGone).map((pair) => pairView(now, sign, pair, trust)),
  );
  return {
    tenant: history.tenant,
    pairs: pairs.sort((a, b) => b.likelihood - a.likelihood || b.occurrences - a.occurrences),
    announcements: [...announcements.all()].map(({ key, said, expectation }) => ({
      key,
      sender: said.sender,
      task: said.task,
      count: said.count,
      arrived: expectation.hits + expectation.late,
      start: said.start,
      window: said.window,
      confidence: said.confidence ?? 1,
      believed: expectation.likelihood,
      state: expectation.state,
    })),
    expected: history.signs
      .filter(({ told }) => told.count > 0)
      .map(({ name, told: { count, until, depth } }) => ({ task: name, count, until, depth })),
  };
}

function pairView(now: number, sign: Sign, pair: Pair, trust: Trust): PairView {
  const isOff = pair.offUntil > now;
  return {
    cause: sign.name,
    kind: sign.isSignal ? "signal" : "task",
    task: pair.follower.name,
    likelihood: pair.likelihood,
    occurrences: pair.trials,
    chance: pair.follower.rate.within(now, Math.min(pair.within, trust.window)),
    number: pair.number,
    delay: pair.delay,
    deviation: pair.deviation,
    state: isOff ? "off" : sign.trusts(now, pair, trust) ? "on" : "learning",
    offFor: Math.max(0, pair.offUntil - now),
    predictions: pair.predictions,
    hits: pair.hits,
    late: pair.late,
    wasted: pair.wasted,
    waste: pair.waste / MiB,
  };
}

/** What was learnt as plain JSON. Times are kept as milliseconds from then on: the clock is another after a restart. */
import type { History, HistoryBounds } from "./history.js";
import type { Pair, Sign } from "./pairs.js";

export interface Snapshot {
  readonly version: 1;
  readonly tenants: readonly TenantSnapshot[];
}

export interface TenantSnapshot {
  readonly tenant: string;
  /** Tasks and signals; pairs name tasks. */
  readonly signs: readonly SignSnapshot[];
}

interface SignSnapshot {
  readonly name: string;
  readonly signal?: true;
  readonly rate: readonly number[];
  readonly pairs: readonly PairSnapshot[];
}

/** What of a pair is a plain number. */
const NUMBERS = [
  "likelihood",
  "trials",
  "firsts",
  "runs",
  "before",
  "delay",
  "deviation",
  "reach",
  "hold",
  "outcomes",
  "judged",
  "pauses",
  "predictions",
  "hits",
  "late",
  "wasted",
  "waste",
] as const satisfies readonly (keyof Pair)[];

type PairSnapshot = Readonly<Record<(typeof NUMBERS)[number], number>> & {
  readonly follower: string;
  readonly offFor: number;
};

export function snapshotOf(now: number, { tenant, signs }: History): TenantSnapshot {
  return { tenant, signs: signs.map((sign) => signSnapshot(now, sign)) };
}

function signSnapshot(now: number, { name, isSignal, rate, pairs }: Sign): SignSnapshot {
  return {
    name,
    ...(isSignal ? { signal: true } : {}),
    rate: rate.kept(),
    pairs: pairs.filter(({ follower }) => !follower.isGone).map((pair) => pairSnapshot(now, pair)),
  };
}

function pairSnapshot(now: number, pair: Pair): PairSnapshot {
  const numbers = Object.fromEntries(NUMBERS.map((name) => [name, pair[name]])) as Record<(typeof NUMBERS)[number], number>;
  return { follower: pair.follower.name, offFor: Math.max(0, pair.offUntil - now), ...numbers };
}

export function restoreTenant(now: number, { signs }: TenantSnapshot, history: History, bounds: HistoryBounds): void {
  if (!Array.isArray(signs)) return;
  for (const kept of (signs as readonly SignSnapshot[]).slice(0, bounds.causes)) {
    const sign = signOf(history, kept);
    if (sign === undefined) continue;
    sign.seenAt = now;
    if (isNumbers(kept.rate)) sign.rate.restore(kept.rate);
    for (const pair of Array.isArray(kept.pairs) ? kept.pairs.slice(0, bounds.followers) : [])
      restorePair(now, pair, sign, history, bounds);
  }
}

function signOf(history: History, { name, signal }: Partial<SignSnapshot>): Sign | undefined {
  if (typeof name !== "string") return undefined;
  return signal === true ? history.signal(name) : history.task(name);
}

function restorePair(now: number, kept: PairSnapshot, sign: Sign, history: History, bounds: HistoryBounds): void {
  const values = NUMBERS.map((name) => kept[name]);
  if (typeof kept.follower !== "string" || !isNumbers([...values, kept.offFor]) || kept.likelihood > 1) return;
  const follower = history.task(kept.follower);
  const pair = follower === undefined || follower === sign ? undefined : sign.pairWith(follower, bounds);
  if (pair === undefined) return;
  for (const [i, name] of NUMBERS.entries()) (pair as { -readonly [K in keyof Pair]: Pair[K] })[name] = values[i] as number;
  pair.offUntil = kept.offFor > 0 ? now + kept.offFor : 0;
}

function isNumbers(values: unknown): values is readonly number[] {
  return Array.isArray(values) && values.every((value) => typeof value === "number" && Number.isFinite(value) && value >= 0);
}

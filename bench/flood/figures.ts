/** What pairs of halves say: with the flood, and without it. */
import { median, percentile, ratio } from "../support/statistics.js";
import type { Streamed } from "../support/streams.js";

/** A tenant's requests in one half. */
export interface Half {
  readonly dedicated: Streamed;
  readonly onDemand: Streamed;
}

export interface Pair {
  readonly alone: Half;
  readonly flooded: Half;
}

/** Of one tenant in one pair: milliseconds, and how many times as long it took with the flood. */
export interface Compared {
  readonly alone: number;
  readonly flooded: number;
  readonly times: number;
}

/** The 99th percentiles of a tenant's requests. */
export function compared({ alone, flooded }: Pair, tenant: keyof Half): Compared {
  const [without, with_] = [alone[tenant], flooded[tenant]].map(({ served }) => percentile(served, 99)) as [number, number];
  return { alone: without, flooded: with_, times: ratio(with_, without) };
}

/** The median over all pairs of how many times as long it took. */
export function overAlone(pairs: readonly Pair[], tenant: keyof Half): number {
  return median(pairs.map((pair) => compared(pair, tenant).times));
}

/** Requests of a tenant that were not served: a flood of somebody else's is no reason for that where cells are dedicated. */
export function unserved(pairs: readonly Pair[], tenant: keyof Half): number {
  return pairs
    .flatMap(({ alone, flooded }) => [alone[tenant], flooded[tenant]])
    .reduce((sum, { requests, served }) => sum + requests - served.length, 0);
}

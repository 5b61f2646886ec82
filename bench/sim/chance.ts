/** Numbers drawn from distributions, over the repeatable chance of the soaks. */
import type { Random } from "../soak/support/random.js";

/** Above 0 and below 1. */
export function uniform(random: Random): number {
  return (random.below(2 ** 32) + 0.5) / 2 ** 32;
}

export function between(random: Random, low: number, high: number): number {
  return low + (high - low) * uniform(random);
}

/** With mean 1. */
export function exponential(random: Random): number {
  return -Math.log(uniform(random));
}

/** With mean 0 and deviation 1 (Box and Muller). */
export function normal(random: Random): number {
  return Math.sqrt(2 * exponential(random)) * Math.cos(2 * Math.PI * uniform(random));
}

/** `mu` and `sigma` are those of the logarithm. */
export function logNormal(random: Random, mu: number, sigma: number): number {
  return Math.exp(mu + sigma * normal(random));
}

/** Burr's distribution, type XII: the share of values above x is (1 + (x / scale)^c)^-k. */
export function burr(random: Random, c: number, k: number, scale: number): number {
  return scale * (uniform(random) ** (-1 / k) - 1) ** (1 / c);
}

/** With mean 1 and this coefficient of variation, at most 1 (Marsaglia and Tsang). */
export function gammaGap(random: Random, variation: number): number {
  const shape = 1 / variation ** 2;
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(random);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(uniform(random)) < (x * x) / 2 + d - d * v + d * Math.log(v)) return (d * v) / shape;
  }
}

/** A curve through points, read at a place between 0 and 1: each point says which share lies below its value. */
export type Quantiles = readonly (readonly [value: number, below: number])[];

/** The value at a place; between two points on a line, of values or of their logarithms. */
export function quantile(points: Quantiles, place: number, scale: "linear" | "logarithmic"): number {
  const last = points.length - 1;
  let at = 1;
  while (at < last && (points[at] as readonly [number, number])[1] < place) at++;
  const [lowValue, low] = points[at - 1] as readonly [number, number];
  const [highValue, high] = points[at] as readonly [number, number];
  const share = Math.min(1, Math.max(0, (place - low) / (high - low)));
  if (scale === "linear") return lowValue + share * (highValue - lowValue);
  return lowValue * (highValue / lowValue) ** share;
}

/** The little arithmetic that every bench needs. Nothing here rounds; that is for whoever prints. */

/** The value in the middle; the mean of the two in the middle of an even number. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? at(sorted, middle) : (at(sorted, middle - 1) + at(sorted, middle)) / 2;
}

/** The smallest value that at least `percent` per cent of all values do not exceed (nearest rank). */
export function percentile(values: readonly number[] | Float64Array, percent: number): number {
  if (!(percent > 0 && percent <= 100)) throw new RangeError(`a percentile is above 0 and at most 100, not ${percent}`);
  const sorted = ascending(values);
  // Rounding errors of 99.9 / 100 must not push the rank up by one.
  return at(sorted, Math.ceil((percent / 100) * sorted.length - 1e-9) - 1);
}

/** How many times `ours` is `theirs`. */
export function ratio(ours: number, theirs: number): number {
  if (!(theirs > 0)) throw new RangeError(`nothing can be compared with ${theirs}`);
  return ours / theirs;
}

/** The range of the values as a share of their median: how far to trust it. */
export function spread(values: readonly number[]): number {
  const sorted = ascending(values);
  return (at(sorted, sorted.length - 1) - at(sorted, 0)) / median(values);
}

/** `items` begun at the place of the round, so that nobody is always first. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const by = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(by), ...items.slice(0, by)];
}

function ascending(values: Iterable<number> & { readonly length: number }): Float64Array {
  if (values.length === 0) throw new RangeError("there is nothing to take the middle of");
  return Float64Array.from(values).sort();
}

function at(sorted: Float64Array, index: number): number {
  return sorted[Math.max(0, index)] as number;
}

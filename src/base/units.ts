/** Sizes and durations as people write them: `64MiB`, `1.5GB`, `250ms`, `15m`. */

const SIZES: Record<string, number> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

const DURATIONS: Record<string, number> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 };

/** Bytes of a size, or undefined when it is not one. */
export function parseSize(text: string): number | undefined {
  return parse(text, SIZES);
}

/** Milliseconds of a duration, or undefined when it is not one. */
export function parseDuration(text: string): number | undefined {
  return parse(text, DURATIONS);
}

export const SIZE_HELP = 'a size such as "64MiB", "1.5GB" or "512B"';
export const DURATION_HELP = 'a duration such as "250ms", "10s", "15m" or "1h"';

function parse(text: string, units: Record<string, number>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const factor = match === null ? undefined : units[match[2] as string];
  if (factor === undefined) return undefined;
  const value = Math.round(Number((match as RegExpExecArray)[1]) * factor);
  return Number.isSafeInteger(value) ? value : undefined;
}

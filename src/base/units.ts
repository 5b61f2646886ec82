/** Sizes, durations and shares as people write them, and back: `64MiB`, `1.5GB`, `250ms`, `15m`, `25%`. */

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

/** A share of 1, such as 0.25 of `25%`, or undefined when it is none from 0% to 100%. */
export function parseShare(text: string): number | undefined {
  const match = /^(\d{1,3}(?:\.\d+)?)\s*%$/.exec(text.trim());
  const share = Number(match?.[1]) / 100;
  return share <= 1 ? share : undefined;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Bytes as people read them, and as `parseSize` reads them: `1.8MiB`. */
export function sizeText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 2 ** (10 * power);
  return `${Number.isInteger(value) ? value : value.toFixed(1)}${UNITS[power]}`;
}

/** Two different sizes in words that differ, too: in bytes where they would read the same. */
export function sizeTexts(one: number, other: number): [string, string] {
  const texts: [string, string] = [sizeText(one), sizeText(other)];
  return texts[0] === texts[1] && one !== other ? [`${one}B`, `${other}B`] : texts;
}

/** Milliseconds in the largest unit that gives a whole number: `90s`, `10m`. */
export function durationText(milliseconds: number): string {
  const [unit, length] = Object.entries(DURATIONS).findLast(([, length]) => milliseconds % length === 0 && milliseconds >= length) ?? [
    "ms",
    1,
  ];
  return `${milliseconds / length}${unit}`;
}

/** A share of 1 as people read it: `25%`. */
export function shareText(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}

export const SIZE_HELP = 'a size such as "64MiB", "1.5GB" or "512B"';
export const DURATION_HELP = 'a duration such as "250ms", "10s", "15m" or "1h"';
export const SHARE_HELP = 'a share such as "25%", from "0%" to "100%"';

function parse(text: string, units: Record<string, number>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const factor = match === null ? undefined : units[match[2] as string];
  if (factor === undefined) return undefined;
  const value = Math.round(Number((match as RegExpExecArray)[1]) * factor);
  return Number.isSafeInteger(value) ? value : undefined;
}

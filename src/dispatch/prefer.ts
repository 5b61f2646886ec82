/** What a caller says counts when a provider is chosen (`Pilotlight-Prefer`). */
import type { Preference } from "./select.js";

export const PREFER_HELP = "time, memory, or time=WEIGHT with a weight from 0 to 1";

/** The weight of time; undefined for a text that says none. */
export function parsePreference(text: string): Preference | undefined {
  if (text === "time") return 1;
  if (text === "memory") return 0;
  const weight = /^time=(\d+(?:\.\d+)?)$/.exec(text)?.[1];
  return weight === undefined || Number(weight) > 1 ? undefined : Number(weight);
}

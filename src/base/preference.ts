/** What somebody says counts when a provider is chosen: a call (`Pilotlight-Prefer`), a manifest, a tenant's settings. */

export const PREFER_HELP = "time, memory, or time=WEIGHT with a weight from 0 to 1";

/** The weight of time; undefined for a text that says none. */
export function parsePreference(text: string): number | undefined {
  if (text === "time") return 1;
  if (text === "memory") return 0;
  const weight = /^time=(\d+(?:\.\d+)?)$/.exec(text)?.[1];
  return weight === undefined || Number(weight) > 1 ? undefined : Number(weight);
}

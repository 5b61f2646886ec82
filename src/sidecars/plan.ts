/** Which sidecars a run has: those that its manifest names, that its request asks for, and that its operator requires. */
import type { Manifest } from "../tasks/manifest.js";

export type SidecarEntry = Manifest["sidecars"][number];

/** What a request that asks for it by `Pilotlight-Debug: 1` has, besides what its manifest says. */
const DEBUG = "debug";
const DEBUG_ENTRY: SidecarEntry = { use: DEBUG, when: "always", onFailure: "open", config: {} };

const NONE: readonly SidecarEntry[] = Object.freeze([]);

export interface PlanInput {
  readonly manifest: Pick<Manifest, "sidecars">;
  /** Those that the tenant's operator requires; they go first. */
  readonly required: readonly SidecarEntry[];
  /** A field of the request by its name in lower case; what only holders of `debug` may ask for, for those alone. */
  readonly header: (name: string) => string | undefined;
}

/**
 * In the order in which they are asked. Most tasks have none, and most of those that have have them always. One that is
 * started when it is first called is among them: whether it is made ready beforehand is for history to say.
 */
export function planOf({ manifest, required, header }: PlanInput): readonly SidecarEntry[] {
  const { sidecars } = manifest;
  const isDebugged = header("pilotlight-debug") === "1";
  if (sidecars.length === 0 && required.length === 0 && !isDebugged) return NONE;
  const planned = required.filter(({ use }) => !sidecars.some((other) => other.use === use));
  // What is required holds whenever it is named.
  for (const entry of sidecars)
    if (required.some(({ use }) => use === entry.use)) planned.push({ ...entry, when: "always" });
    else if (typeof entry.when === "string" || header(entry.when.header.toLowerCase()) !== undefined) planned.push(entry);
  if (isDebugged && !planned.some(({ use }) => use === DEBUG)) planned.push(DEBUG_ENTRY);
  return planned;
}

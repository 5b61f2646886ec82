/** Which sidecars a run has: those that its manifest names and that its request asks for, in their declared order. */
import type { Manifest } from "../tasks/manifest.js";

export type Sidecar = Manifest["sidecars"][number];

const NONE: readonly Sidecar[] = Object.freeze([]);

/** `header` finds a field of the request by its name. Most tasks have no sidecars, and most of those that have have them always. */
export function sidecarsOf(manifest: Manifest, header: (name: string) => string | undefined): readonly Sidecar[] {
  const { sidecars } = manifest;
  if (sidecars.length === 0) return NONE;
  return sidecars.filter(({ when }) => when === "always" || header(when.header) !== undefined);
}

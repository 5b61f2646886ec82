/** Where things are in the checkout. */
import { join } from "node:path";
import { ROOT } from "../../scripts/lib/root.mjs";

export { ROOT };

/** The two versions of WASI that guests are written for. */
export const FLAVOURS = ["p2", "p3"] as const;
export type Flavour = (typeof FLAVOURS)[number];

/** A committed guest, by the name of its folder. */
export function guestFile(name: string): string {
  return join(ROOT, "guests", name, `${name}.wasm`);
}

/** The product as a user starts it. */
export const PILOTLIGHT = join(ROOT, "dist/cli/bin.js");
/** Where `npm run bench:rivals` installs what npm does not bring. */
export const RIVALS = join(ROOT, "bench/.rivals");

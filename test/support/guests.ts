/** The committed guests, as bytes, as files and as deployments. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Deployment } from "../../src/deployment.js";
import { ROOT } from "./files.js";

/** The versions of WASI that most guests come in. */
export const WASI = ["p2", "p3"] as const;
export type Wasi = (typeof WASI)[number];

export function guestPath(name: string): string {
  return join(ROOT, "guests", name, `${name}.wasm`);
}

/** A guest as a task. Without `routes` it answers everywhere. */
export function guestTask(guest: string, manifest: Partial<Deployment["manifest"]> = {}): Deployment {
  return { manifest: { name: guest, routes: ["/*"], ...manifest }, component: readFileSync(guestPath(guest)), source: `${guest}.wasm` };
}

/** Prints what a soak found. */
import type { Found } from "./steps.js";

export function reportFound(found: readonly Found[]): void {
  for (const { step, what, message } of found) process.stdout.write(`step ${step}, ${what}: ${message}\n`);
}

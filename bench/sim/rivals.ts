/** What others do, as rules: link and keep until memory is full, and keep for a fixed time. */
import { keeping, NEVER } from "./keeping.js";
import type { Policy } from "./policy.js";

const FOREVER = { until: NEVER, again: NEVER, againUntil: NEVER };

/**
 * Programs are linked when first used and stay until memory is full; then the one used least recently goes. An instance
 * is made for each request. What Spin and `wasmtime serve` with its components amount to.
 */
export function leastRecentlyUsed(budgetBytes: number): Policy {
  return keeping("linked until full, then LRU", budgetBytes, () => ({ instances: "made", ended: () => FOREVER }));
}

/**
 * Program and instance stay so long after a run, and serve the next one; as many instances as were needed at once.
 * `emptied` instances give back what their runs took.
 */
export function keepAlive(minutes: number, budgetBytes = NEVER, instances: "kept" | "emptied" = "kept"): Policy {
  const name = `keep-alive ${minutes} min${instances === "emptied" ? ", emptied" : ""}${budgetBytes === NEVER ? "" : ", bounded"}`;
  return keeping(name, budgetBytes, () => ({
    instances,
    ended: (_task, now) => ({ until: now + minutes * 60_000, again: NEVER, againUntil: NEVER }),
  }));
}

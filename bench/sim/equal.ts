/** Policies with as much memory as each other: each gets the largest budget with which it holds no more on average. */
import type { Outcome } from "./ledger.js";
import type { Policy, Scene } from "./policy.js";

export interface Fitted {
  readonly outcome: Outcome;
  /** The budget that it was given. */
  readonly budgetBytes: number;
}

/**
 * Replays with several budgets and takes the best that stays within `averageBytes`. A hard limit cuts peaks, so a policy
 * whose average is to be as high as that of one without a limit needs a limit above it. `from` and `to` are budgets that are
 * surely not too large, and large enough to be no limit; so many `steps` halve what is between, in proportion.
 */
export function atEqualMemory(
  scene: Scene,
  averageBytes: number,
  policyFor: (budgetBytes: number) => Policy,
  [from, to]: readonly [number, number],
  steps: number,
): Fitted {
  const unlimited = policyFor(to).replay(scene);
  if (unlimited.averageBytes <= averageBytes) return { outcome: unlimited, budgetBytes: to };
  let best: Fitted | undefined;
  let [low, high] = [from, to];
  for (let step = 0; step < steps; step++) {
    const budgetBytes = Math.sqrt(low * high);
    const outcome = policyFor(budgetBytes).replay(scene);
    if (outcome.averageBytes <= averageBytes) {
      best = { outcome, budgetBytes };
      low = budgetBytes;
    } else high = budgetBytes;
  }
  return best ?? { outcome: policyFor(from).replay(scene), budgetBytes: from };
}

/**
 * What stands against each other: each gets the same trace, the same costs and the same window.
 *
 * A simulated machine has as many processors as it needs, so that steps take what they cost and no more, and all tasks
 * are deployed: their compiled forms are on disk, and stay there.
 */
import type { Costs } from "./costs.js";
import type { Outcome, Window } from "./ledger.js";
import type { Trace } from "./trace.js";

export interface Scene {
  readonly trace: Trace;
  readonly costs: Costs;
  readonly window: Window;
}

export interface Policy {
  readonly name: string;
  replay(scene: Scene): Outcome;
}

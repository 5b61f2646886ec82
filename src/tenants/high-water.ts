/**
 * The time of day, which never goes back: the latest that was ever seen, also before the last restart.
 *
 * Keys expire by it. Setting the machine's clock back then does not bring an expired key to life again. How much a
 * restart can forget is the time since `changes()` were last committed: they ride along with every audit entry, and
 * whoever runs a node commits them now and then besides. A machine whose clock was ahead once pays for it: time stands
 * still here until the clock has caught up.
 */
import type { WallClock } from "../base/clock.js";
import { put, table, type Change, type StateStore } from "../state/store.js";

const CLOCK = table<number>("clock");
const HIGH_WATER = "high-water";

export class HighWaterClock implements WallClock {
  readonly #wall: () => number;
  #highest: number;

  constructor(store: StateStore, wall: () => number) {
    this.#wall = wall;
    this.#highest = Math.max(store.get(CLOCK, HIGH_WATER) ?? 0, wall());
  }

  time(): number {
    const now = this.#wall();
    if (now > this.#highest) this.#highest = now;
    return this.#highest;
  }

  /** What makes a restart remember the time that it is now. For any commit. */
  changes(): readonly Change[] {
    return [put(CLOCK, HIGH_WATER, this.time())];
  }
}

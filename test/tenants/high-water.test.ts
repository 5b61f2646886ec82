import { describe, expect, it } from "vitest";
import { HighWaterClock } from "../../src/tenants/high-water.js";
import { HOUR, NOON, newState } from "./state.js";

describe("the time that never goes back", () => {
  it("follows the machine's clock forward, and stands still while that is behind", () => {
    const state = newState();
    const clock = new HighWaterClock(state.store, state.time);
    const seen = [0, 5, -HOUR, 3, 6].map((shift) => {
      state.wall = NOON + shift;
      return clock.time() - NOON;
    });
    expect(seen).toEqual([0, 5, 5, 5, 6]);
  });

  it("remembers over a restart what was committed", async () => {
    const state = newState();
    await state.store.commit(new HighWaterClock(state.store, state.time).changes());
    state.wall = NOON - HOUR;
    expect(new HighWaterClock(state.store, state.time).time()).toBe(NOON);
  });
});

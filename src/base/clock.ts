/** Time as policy sees it, so that tests and the simulator can drive it. Milliseconds, monotonic. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => performance.now() };

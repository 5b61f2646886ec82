/** Time as policy sees it, so that tests and the simulator can drive it. Milliseconds, monotonic. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => performance.now() };

/** The time of day, for what people read and what must outlive the process. Milliseconds since 1970. */
export interface WallClock {
  time(): number;
}

export const systemWallClock: WallClock = { time: () => Date.now() };

/** Whoever waits for what comes of a call, and may leave before. */
export interface Waiter {
  hasLeft(): boolean;
  /** Tells once it has left; what is returned calls that off. */
  whenLeft(told: () => void): () => void;
}

/** One that stays. */
export const STAYS: Waiter = { hasLeft: () => false, whenLeft: () => () => {} };

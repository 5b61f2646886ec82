/** Turns at something costly, so many at once for each owner; the rest wait in the order they came. */
import { ProblemError } from "../../base/problem.js";

export interface Turns {
  /** Resolves when it is this one's turn, with what ends it. Throws `capacity/node-full` when too many wait already. */
  readonly enter: (owner: string) => Promise<() => void>;
}

/** `what` is what there are turns at, in the plural. */
export function turns(atOnce: number, waiting: number, what: string): Turns {
  const owners = new Map<string, { running: number; readonly queue: (() => void)[] }>();
  return {
    async enter(owner) {
      const own = owners.get(owner) ?? { running: 0, queue: [] };
      owners.set(owner, own);
      if (own.running < atOnce) own.running += 1;
      else if (own.queue.length < waiting) await new Promise<void>((resolve) => own.queue.push(resolve));
      else {
        const detail = `${atOnce} ${what} of yours are under way and ${waiting} wait; try again when some are through.`;
        throw new ProblemError("capacity/node-full", detail, { retryAfter: 2 });
      }
      return () => {
        // Who waits takes over the place as it is.
        const next = own.queue.shift();
        if (next !== undefined) return next();
        own.running -= 1;
        if (own.running === 0) owners.delete(owner);
      };
    },
  };
}

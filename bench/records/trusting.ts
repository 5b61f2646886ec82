/** A cache that trusts time: what it was told of a method and a URL it tells again until that is too old, and asks nobody. */
import type { HeaderList } from "#dist/base/headers.js";
import type { Incoming, Reply } from "#dist/invoke/invocation.js";

export interface Kept {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
  /** Until when it is told, by the cache's clock. */
  readonly until: number;
}

export class TrustingCache {
  readonly #now: () => number;
  readonly #kept = new Map<string, Kept>();

  /** `now`: milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  keep(incoming: Pick<Incoming, "method" | "scheme" | "authority" | "target">, kept: Kept): void {
    this.#kept.set(keyOf(incoming), kept);
  }

  /** Answers, or says that it cannot; as the pipeline does, after it has been asked. */
  answer(incoming: Pick<Incoming, "method" | "scheme" | "authority" | "target">, reply: Pick<Reply, "head">): boolean {
    const kept = this.#kept.get(keyOf(incoming));
    if (kept === undefined || kept.until <= this.#now()) return false;
    queueMicrotask(() => reply.head(kept.status, kept.headers, kept.body, true, undefined));
    return true;
  }
}

function keyOf({ method, scheme, authority, target }: Pick<Incoming, "method" | "scheme" | "authority" | "target">): string {
  return `${method} ${scheme}://${authority}${target}`;
}

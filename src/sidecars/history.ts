/** Which sidecars that are started when they are first called were used of late: those are made ready beforehand. */

/** Runs that are remembered. */
const RUNS = 20;
const MASK = 2 ** RUNS - 1;

interface Seen {
  /** A bit for each run, the last one lowest. */
  bits: number;
  runs: number;
}

export class UseHistory {
  readonly #seen = new Map<string, Seen>();

  /** `name`: a version with the name of its sidecar. */
  note(name: string, wasUsed: boolean): void {
    let seen = this.#seen.get(name);
    if (seen === undefined) this.#seen.set(name, (seen = { bits: 0, runs: 0 }));
    seen.bits = ((seen.bits << 1) | (wasUsed ? 1 : 0)) & MASK;
    seen.runs = Math.min(RUNS, seen.runs + 1);
  }

  /** It was used in at least half of the last runs. */
  isExpected(name: string): boolean {
    const seen = this.#seen.get(name);
    return seen !== undefined && 2 * ones(seen.bits) >= seen.runs;
  }

  /** A version that is gone. */
  forget(prefix: string): void {
    for (const name of this.#seen.keys()) if (name.startsWith(prefix)) this.#seen.delete(name);
  }
}

function ones(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count++;
  return count;
}

/** How often what fails is tried again: less and less, and not at all for a while. */

/** So often it may fail in a row before it is given a pause. */
const FREE = 2;
const FIRST_MS = 100;
const LONGEST_MS = 10_000;
/** Forgotten after so many calls in a row that it has answered: what fails on one request in two is no better for the other. */
const GOOD = 20;
/** Forgotten after so long without a failure. */
const FORGOTTEN_MS = 60_000;
/** Of this many things at once something is remembered. */
const MOST = 10_000;

export class Breaker {
  #failures = 0;
  #good = 0;
  #last = 0;
  /** It is open until then; after it one try is let through. */
  #until = 0;

  /** Milliseconds until it may be tried. */
  wait(now: number): number {
    return Math.max(0, this.#until - now);
  }

  /** Where it has a pause behind it, nobody else tries until it is known what came of this. */
  tried(now: number): void {
    if (this.#failures > FREE) this.#until = now + this.#pause();
  }

  failed(now: number): void {
    if (now - this.#last > FORGOTTEN_MS) this.#failures = 0;
    this.#last = now;
    this.#good = 0;
    this.#failures++;
    this.#until = this.#failures > FREE ? now + this.#pause() : 0;
  }

  /** True when that was enough to forget what was before. */
  succeeded(): boolean {
    return ++this.#good >= GOOD;
  }

  #pause(): number {
    return Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(20, this.#failures - FREE - 1));
  }
}

/** By name. What works needs none. */
export class Breakers {
  readonly #all = new Map<string, Breaker>();

  of(name: string): Breaker {
    let breaker = this.#all.get(name);
    if (breaker === undefined) {
      if (this.#all.size >= MOST) this.#all.delete(this.#all.keys().next().value as string);
      this.#all.set(name, (breaker = new Breaker()));
    }
    return breaker;
  }

  wait(name: string, now: number): number {
    return this.#all.get(name)?.wait(now) ?? 0;
  }

  tried(name: string, now: number): void {
    this.#all.get(name)?.tried(now);
  }

  succeeded(name: string): void {
    if (this.#all.get(name)?.succeeded() === true) this.#all.delete(name);
  }
}

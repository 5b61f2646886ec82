/**
 * What came of what was prepared for foreseen runs, seen from outside: the instances and links that the pool commanded.
 *
 * An instance counts as prepared for foreseen runs when the pool has it made while fewer of those lie there than foresight has
 * told of. It is used when a run takes it that foresight had expected. All else is a miss: a run takes it that came by itself,
 * it ends, or foresight takes its word back because the window is over. What the pool keeps after that it keeps for its own
 * forecast. Those count for which one of these things happens in the window of the scene.
 */
import type { Granted } from "./beside.js";
import type { Scene } from "./policy.js";

export interface Usage {
  /** Instances: prepared for foreseen runs; used by such runs; taken by others. The rest was not used. */
  readonly prepared: number;
  readonly used: number;
  readonly taken: number;
  /** Instance-seconds that they waited, from being made; of those, what went to misses. */
  readonly waited: number;
  readonly wasted: number;
  /** Instance-seconds of the runs that used them. */
  readonly ran: number;
  /** Programs that were linked ahead for foreseen runs, and those of them that a run came for before they were let go. */
  readonly linked: number;
  readonly linkedUsed: number;
}

interface Waiting {
  readonly program: number;
  readonly since: number;
  /** When foresight took its word back. */
  releasedAt: number;
}

interface Taken {
  readonly instance: Waiting;
  readonly run: number;
  readonly at: number;
}

/** One that ends so soon after foresight took its word back was kept for that, and for nothing else. Milliseconds. */
const SOON = 1000;

export class Prepared {
  readonly #scene: Scene;
  readonly #usage = { prepared: 0, used: 0, taken: 0, waited: 0, wasted: 0, ran: 0, linked: 0, linkedUsed: 0 };
  /** By slot, the oldest first: that wait, and that were released but are still there. */
  readonly #waiting = new Map<number, Waiting>();
  readonly #taken = new Map<number, Taken>();
  /** By program: those that wait and are not released. */
  readonly #counts: Int32Array;
  /** Programs that were linked ahead and that nobody has come for. */
  readonly #links = new Set<number>();
  /** By run. */
  readonly #expected: Uint8Array;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#counts = new Int32Array(scene.trace.tasks.length);
    this.#expected = new Uint8Array(scene.trace.length);
  }

  get usage(): Usage {
    return this.#usage;
  }

  /** Foresight had expected the run. */
  expected(run: number): void {
    this.#expected[run] = 1;
  }

  /** Foresight tells that so many instances are expected of the program from now on: more than those are held for nothing. */
  told(now: number, program: number, count: number): void {
    if (this.#countOf(program) <= count) return;
    for (const instance of this.#waiting.values()) {
      if (instance.program !== program || instance.releasedAt <= now) continue;
      instance.releasedAt = now;
      this.#change(program, -1);
      this.#missed(now, now - instance.since);
      if (this.#countOf(program) <= count) return;
    }
  }

  /** One is being made. `told`: so many are expected of the program now. */
  made(now: number, program: number, slot: number, told: number): void {
    if (this.#countOf(program) >= told) return;
    this.#change(program, 1);
    this.#waiting.set(slot, { program, since: now, releasedAt: Number.POSITIVE_INFINITY });
  }

  granted(now: number, { run, program, slot }: Granted): void {
    if (this.#links.delete(program) && this.#isIn(now)) {
      this.#usage.linked++;
      this.#usage.linkedUsed++;
    }
    const instance = slot === undefined ? undefined : this.#waiting.get(slot);
    if (slot === undefined || instance === undefined) return;
    this.#waiting.delete(slot);
    if (instance.releasedAt <= now) return;
    this.#change(program, -1);
    // Whether the run was expected is known a moment later.
    this.#taken.set(slot, { instance, run, at: now });
  }

  ended(now: number, slot: number): void {
    const taken = this.#taken.get(slot);
    if (taken !== undefined) {
      this.#taken.delete(slot);
      return this.#ran(now, taken);
    }
    const instance = this.#waiting.get(slot);
    if (instance === undefined) return;
    this.#waiting.delete(slot);
    if (instance.releasedAt > now) {
      this.#change(instance.program, -1);
      this.#missed(now, now - instance.since);
    } else if (now - instance.releasedAt < SOON) this.#waste(now, now - instance.releasedAt);
  }

  #ran(now: number, { instance, run, at }: Taken): void {
    if (this.#expected[run] !== 1) {
      if (this.#isIn(at)) this.#usage.taken++;
      return this.#missed(at, at - instance.since);
    }
    if (!this.#isIn(at)) return;
    this.#usage.prepared++;
    this.#usage.used++;
    this.#usage.waited += (at - instance.since) / 1000;
    this.#usage.ran += (now - at) / 1000;
  }

  #missed(now: number, waited: number): void {
    if (this.#isIn(now)) this.#usage.prepared++;
    this.#waste(now, waited);
  }

  #waste(now: number, waited: number): void {
    if (!this.#isIn(now)) return;
    this.#usage.waited += waited / 1000;
    this.#usage.wasted += waited / 1000;
  }

  /** `isAhead`: for a run that is foreseen, and none that waits. */
  linking(program: number, isAhead: boolean): void {
    if (isAhead) this.#links.add(program);
  }

  lowered(now: number, program: number): void {
    if (this.#links.delete(program) && this.#isIn(now)) this.#usage.linked++;
  }

  #countOf(program: number): number {
    return this.#counts[program] as number;
  }

  #change(program: number, by: number): void {
    this.#counts[program] = this.#countOf(program) + by;
  }

  #isIn(now: number): boolean {
    const { from, until } = this.#scene.window;
    return now >= from && now < until;
  }
}

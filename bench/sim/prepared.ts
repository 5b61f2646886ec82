/**
 * What came of what was prepared for foreseen runs, seen from outside: the instances and links that the pool commanded.
 *
 * An instance counts as prepared for foreseen runs when the pool has it made while fewer of those lie there than foresight has
 * told of. It is used when a run takes it that foresight had expected; a run that came by itself and took it first makes it a
 * miss, and so does the end of the instance. Those count that end in the window.
 */
import type { Granted } from "./beside.js";
import type { Scene } from "./policy.js";

export interface Usage {
  /** Instances: prepared for foreseen runs, used by such a run, taken by another. The rest ended unused. */
  readonly prepared: number;
  readonly used: number;
  readonly taken: number;
  /** Instance-seconds that they waited, used or not; of those, what no foreseen run used; and what the runs took that did. */
  readonly waited: number;
  readonly wasted: number;
  readonly ran: number;
  /** Programs that were linked ahead for foreseen runs, and those of them that a run came for before they were let go. */
  readonly linked: number;
  readonly linkedUsed: number;
}

interface Instance {
  readonly program: number;
  readonly since: number;
  run: number | undefined;
  takenAt: number;
}

export class Prepared {
  readonly #scene: Scene;
  readonly #usage = { prepared: 0, used: 0, taken: 0, waited: 0, wasted: 0, ran: 0, linked: 0, linkedUsed: 0 };
  /** By slot. */
  readonly #instances = new Map<number, Instance>();
  /** By program: those that wait. */
  readonly #waiting: Int32Array;
  /** Programs that were linked ahead and that nobody has come for. */
  readonly #links = new Set<number>();
  /** By run. */
  readonly #expected: Uint8Array;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#waiting = new Int32Array(scene.trace.tasks.length);
    this.#expected = new Uint8Array(scene.trace.length);
  }

  get usage(): Usage {
    return this.#usage;
  }

  /** Foresight had expected the run. */
  expected(run: number): void {
    this.#expected[run] = 1;
  }

  /** One is being made. `told`: so many are told to be expected of the program now. */
  made(now: number, program: number, slot: number, told: number): void {
    if ((this.#waiting[program] as number) >= told) return;
    this.#waits(program, 1);
    this.#instances.set(slot, { program, since: now, run: undefined, takenAt: now });
  }

  granted(now: number, { run, program, slot }: Granted): void {
    if (this.#links.delete(program) && this.#counts(now)) {
      this.#usage.linked++;
      this.#usage.linkedUsed++;
    }
    const instance = slot === undefined ? undefined : this.#instances.get(slot);
    if (instance === undefined || instance.run !== undefined) return;
    this.#waits(program, -1);
    instance.run = run;
    instance.takenAt = now;
  }

  ended(now: number, slot: number): void {
    const instance = this.#instances.get(slot);
    if (instance === undefined) return;
    this.#instances.delete(slot);
    const { program, since, run, takenAt } = instance;
    if (run === undefined) this.#waits(program, -1);
    if (!this.#counts(now)) return;
    const usage = this.#usage;
    const waited = ((run === undefined ? now : takenAt) - since) / 1000;
    usage.prepared++;
    usage.waited += waited;
    if (run !== undefined && this.#expected[run] === 1) {
      usage.used++;
      usage.ran += (now - takenAt) / 1000;
    } else {
      usage.wasted += waited;
      if (run !== undefined) usage.taken++;
    }
  }

  /** `isAhead`: for a run that is foreseen, and none that waits. */
  linking(program: number, isAhead: boolean): void {
    if (isAhead) this.#links.add(program);
  }

  lowered(now: number, program: number): void {
    if (this.#links.delete(program) && this.#counts(now)) this.#usage.linked++;
  }

  #waits(program: number, more: number): void {
    this.#waiting[program] = (this.#waiting[program] as number) + more;
  }

  #counts(now: number): boolean {
    const { from, until } = this.#scene.window;
    return now >= from && now < until;
  }
}

/** What runs of a task usually take: a mean in which the last hundred or so count. */

/** Tasks that are known; the one that was seen longest ago goes first. */
const MOST = 4096;
/** How much of a difference the next run tells. */
const WEIGHT = 0.02;

export class RunTimes {
  readonly #means = new Map<string, number>();

  /** A run of the task has taken so many milliseconds. */
  note(task: string, ms: number): void {
    const before = this.#means.get(task);
    if (before === undefined) {
      if (this.#means.size >= MOST) this.#means.delete(this.#means.keys().next().value as string);
      this.#means.set(task, ms);
    } else this.#means.set(task, before + (ms - before) * WEIGHT);
  }

  /** 0: none was seen. */
  of(task: string): number {
    return this.#means.get(task) ?? 0;
  }
}

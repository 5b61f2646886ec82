/** The registry of live runs and of the last ones that ended. */
import { recordOf, type Run, type RunRecord } from "./run.js";

/** Ended runs that are remembered. */
export const ENDED_RUNS = 10_000;

export class RunRegistry {
  readonly #live = new Map<string, Run>();
  /** In the order in which they ended: the first is the oldest. */
  readonly #ended = new Map<string, Run>();

  begin(run: Run): void {
    this.#live.set(run.id, run);
  }

  end(run: Run): void {
    this.#live.delete(run.id);
    this.#ended.set(run.id, run);
    if (this.#ended.size > ENDED_RUNS) this.#ended.delete(this.#ended.keys().next().value as string);
  }

  live(id: string): Run | undefined {
    return this.#live.get(id);
  }

  get(id: string): RunRecord | undefined {
    const run = this.#live.get(id) ?? this.#ended.get(id);
    return run === undefined ? undefined : recordOf(run);
  }

  get liveCount(): number {
    return this.#live.size;
  }

  all(): Iterable<Run> {
    return this.#live.values();
  }
}

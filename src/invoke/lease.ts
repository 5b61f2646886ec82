/**
 * The right to one run on one instance until a deadline, as the executor holds it while the run goes on.
 *
 * Its end gives it back: exactly once, under its own token, whichever way the run went. A lease that the pool or the engine
 * has ended by itself is dropped instead, and gives back nothing.
 */
import { NO_USAGE, type Outcome, type Usage } from "../engine/outcome.js";
import type { Ending, Grant, PoolEvent } from "../pool/types.js";

export class Lease implements Disposable {
  readonly run: number;
  readonly slot: number;
  /** The fencing token. */
  readonly generation: number;
  readonly cell: number;
  /** Milliseconds on the executor's clock. */
  readonly deadline: number;
  #giveBack: ((event: PoolEvent) => void) | undefined;
  #ending: Ending = "cut";
  #usage: Usage = NO_USAGE;

  /** `giveBack` takes the event for the pool. */
  constructor({ run, slot, generation, cell }: Grant, deadline: number, giveBack: (event: PoolEvent) => void) {
    this.run = run;
    this.slot = slot;
    this.generation = generation;
    this.cell = cell;
    this.deadline = deadline;
    this.#giveBack = giveBack;
  }

  /** What the pool is to be told of the run; without that, that nothing can be said for its instance. */
  over(outcome: Outcome, usage: Usage): void {
    this.#ending = endingOf(outcome);
    this.#usage = usage;
  }

  /** It is over already for whoever gave it: nothing is given back. */
  drop(): void {
    this.#giveBack = undefined;
  }

  [Symbol.dispose](): void {
    const giveBack = this.#giveBack;
    this.#giveBack = undefined;
    giveBack?.({
      kind: "settled",
      run: this.run,
      slot: this.slot,
      generation: this.generation,
      ending: this.#ending,
      memoryBytes: this.#usage.memoryBytes,
      startNanoseconds: this.#usage.startNanoseconds,
      waitNanoseconds: this.#usage.waitNanoseconds,
    });
  }
}

/** Only an instance whose run ended well, or by the guest's own word, is used again; who is to blame for the others differs. */
function endingOf(outcome: Outcome): Ending {
  switch (outcome.kind) {
    case "ok":
      return "sound";
    case "guest-error":
      return outcome.code === "error-code" ? "sound" : "unsound";
    case "trap":
      return "unsound";
    case "limit":
      return outcome.limit === "cell-memory" ? "exhausted" : outcome.limit === "request-body" ? "cut" : "unsound";
    case "cancelled":
    case "refused":
    case "platform":
      return "cut";
  }
}

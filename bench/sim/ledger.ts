/**
 * What a policy costs, written down from outside: bytes that exist at each moment, and how long each run's start took.
 *
 * Only the window counts: bytes are integrated over it exactly, and runs count that were asked for in it. What is before
 * fills the node and the histories, so that nobody is judged by the day on which it knew nothing.
 */
import { percentile } from "../support/statistics.js";
import { COMPONENTS, type Component } from "./trace.js";

/** From and until, in milliseconds of the trace. */
export interface Window {
  readonly from: number;
  readonly until: number;
}

/** Runs of tasks of one kind, and what their starts took. */
export interface Starts {
  readonly runs: number;
  /** Runs that found their program not linked. */
  readonly cold: number;
  /** Milliseconds of waiting for programs to be linked. */
  readonly raiseMs: number;
  /** Runs whose instance was made for them, and the milliseconds of that. */
  readonly made: number;
  readonly makeMs: number;
  /** Milliseconds of waiting for anything else: room, or an instance that was being made already. */
  readonly otherMs: number;
}

export interface Outcome {
  readonly policy: string;
  readonly runs: number;
  readonly refused: number;
  readonly coldStarts: number;
  /** All waiting of all runs beyond what a ready instance takes, in seconds. */
  readonly coldSeconds: number;
  readonly p99StartMs: number;
  /** Programs, ready and running instances. */
  readonly averageBytes: number;
  readonly peakBytes: number;
  readonly byComponent: Readonly<Record<Component, Starts>>;
}

/** The waiting of one run, in milliseconds. */
export interface Waited {
  readonly raise: number;
  readonly make: number;
  readonly other: number;
}

const NOTHING: Waited = { raise: 0, make: 0, other: 0 };

export class Ledger {
  readonly #window: Window;
  readonly #starts: Record<Component, { -readonly [K in keyof Starts]: Starts[K] }>;
  readonly #waits: number[] = [];
  #bytes = 0;
  #since = 0;
  #integral = 0;
  #peak = 0;
  #refused = 0;

  constructor(window: Window) {
    if (!(window.until > window.from)) throw new RangeError(`a window ends after it begins, not at ${window.until} after ${window.from}`);
    this.#window = window;
    const none = (): Starts => ({ runs: 0, cold: 0, raiseMs: 0, made: 0, makeMs: 0, otherMs: 0 });
    this.#starts = { c: none(), rust: none(), javascript: none() };
  }

  /** What exists now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** From `now` on there are so many bytes more, or less. Times ascend. */
  change(now: number, bytes: number): void {
    this.#pass(now);
    this.#bytes += bytes;
    // What comes and goes within one moment was not there.
  }

  /** A run of a task of this kind, asked for at `asked`, has got its instance. */
  started(asked: number, component: Component, waited: Waited = NOTHING, isCold = waited.raise > 0): void {
    if (!this.#counts(asked)) return;
    const starts = this.#starts[component];
    starts.runs++;
    if (isCold) starts.cold++;
    starts.raiseMs += waited.raise;
    if (waited.make > 0) starts.made++;
    starts.makeMs += waited.make;
    starts.otherMs += waited.other;
    this.#waits.push(waited.raise + waited.make + waited.other);
  }

  refused(asked: number): void {
    if (this.#counts(asked)) this.#refused++;
  }

  outcome(policy: string): Outcome {
    this.#pass(Math.max(this.#since, this.#window.until));
    const all = COMPONENTS.map((component) => this.#starts[component]);
    const sum = (of: (starts: Starts) => number): number => all.reduce((total, starts) => total + of(starts), 0);
    return {
      policy,
      runs: sum(({ runs }) => runs),
      refused: this.#refused,
      coldStarts: sum(({ cold }) => cold),
      coldSeconds: sum(({ raiseMs, makeMs, otherMs }) => raiseMs + makeMs + otherMs) / 1000,
      p99StartMs: this.#waits.length === 0 ? 0 : percentile(Float64Array.from(this.#waits), 99),
      averageBytes: this.#integral / (this.#window.until - this.#window.from),
      peakBytes: this.#peak,
      byComponent: this.#starts,
    };
  }

  #counts(asked: number): boolean {
    return asked >= this.#window.from && asked < this.#window.until;
  }

  /** Writes down what there was until `now`. */
  #pass(now: number): void {
    if (now < this.#since) throw new RangeError(`the ledger is at ${this.#since} ms already, not at ${now}`);
    const spent = Math.min(now, this.#window.until) - Math.max(this.#since, this.#window.from);
    if (spent > 0) {
      this.#integral += spent * this.#bytes;
      this.#peak = Math.max(this.#peak, this.#bytes);
    }
    this.#since = now;
  }
}

/**
 * A node's processors in simulation: runs arrive at random, wait for their place under the limit, lie in line at the
 * executor, and compute in turns of 10 ms on a few workers, first come first served. Times are milliseconds.
 */
import type { Overload } from "../../src/pool/overload.js";

/** What a run does: computes, then sleeps (or waits for a network). */
export interface Work {
  readonly compute: number;
  readonly sleep: number;
}

export type Random = () => number;

export interface Trial {
  readonly seed: number;
  readonly overload: Overload;
  /** Arrivals a second, and what each does, at that time. */
  readonly rate: (now: number) => number;
  readonly work: (now: number, random: Random) => Work;
  readonly until: number;
  readonly workers?: number;
  /** From a command until the executor has it, and from the end of a run until it is known. */
  readonly latency?: number;
  /** Called every 50 ms. */
  readonly watch?: (now: number, running: number) => void;
}

export interface Run extends Work {
  readonly arrived: number;
  started: number;
  wait: number | undefined;
  left: number;
  ended: number | undefined;
  refused: number | undefined;
}

const TURN = 10;
const LOOK = 50;

export class Processors {
  readonly runs: Run[] = [];
  readonly #trial: Trial;
  readonly #random: Random;
  readonly #latency: number;
  readonly #workers: number;
  readonly #events = new Events();
  readonly #line: Run[] = [];
  /** At the executor. */
  readonly #ready: Run[] = [];
  #idle: number;
  #running = 0;
  #computed = 0;

  constructor(trial: Trial) {
    this.#trial = trial;
    this.#random = generator(trial.seed);
    this.#latency = trial.latency ?? 0.1;
    this.#workers = trial.workers ?? 2;
    this.#idle = this.#workers;
  }

  /** Plays the trial until the last run has ended. */
  play(): readonly Run[] {
    this.#in(0, () => this.#arrive());
    this.#in(LOOK, () => this.#look(0));
    while (this.#events.step());
    return this.runs;
  }

  get #now(): number {
    return this.#events.now;
  }

  #in(delay: number, what: () => void): void {
    this.#events.at(this.#now + delay, what);
  }

  #arrive(): void {
    const { rate, work, until, overload } = this.#trial;
    const { compute, sleep } = work(this.#now, this.#random);
    const run: Run = {
      arrived: this.#now,
      compute,
      sleep,
      started: 0,
      wait: undefined,
      left: compute,
      ended: undefined,
      refused: undefined,
    };
    this.runs.push(run);
    this.#serve();
    const patience = overload.patience(this.#now, this.#line.length);
    if (this.#line.length === 0 && overload.admits(this.#running)) this.#start(run);
    else if (patience === 0) run.refused = this.#now;
    else this.#wait(run, patience);
    const gap = (-Math.log(1 - this.#random()) / rate(this.#now)) * 1000;
    if (this.#now + gap < until) this.#in(gap, () => this.#arrive());
  }

  #wait(run: Run, patience: number): void {
    this.#line.push(run);
    if (patience === Number.POSITIVE_INFINITY) return;
    this.#in(patience, () => {
      const at = this.#line.indexOf(run);
      if (at < 0) return;
      this.#line.splice(at, 1);
      run.refused = this.#now;
    });
  }

  #serve(): void {
    while (this.#line.length > 0 && this.#trial.overload.admits(this.#running)) this.#start(this.#line.shift() as Run);
  }

  #start(run: Run): void {
    run.started = this.#now;
    this.#trial.overload.started(this.#now, ++this.#running);
    this.#in(this.#latency, () => {
      this.#ready.push(run);
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#idle > 0 && this.#ready.length > 0) this.#turn(this.#ready.shift() as Run);
  }

  #turn(run: Run): void {
    const turn = Math.min(TURN, run.left);
    this.#idle--;
    run.wait ??= this.#now - run.started;
    run.left -= turn;
    this.#in(turn, () => {
      this.#idle++;
      this.#computed += turn;
      if (run.left > 0) this.#ready.push(run);
      else this.#in(run.sleep + this.#latency, () => this.#end(run));
      this.#dispatch();
    });
  }

  #end(run: Run): void {
    run.ended = this.#now;
    this.#trial.overload.ended(this.#now, --this.#running);
    this.#trial.overload.sample(this.#now, (run.wait as number) * 1e6, run.started);
    this.#serve();
  }

  /** What a driver's timer does: tells how busy the processors were. */
  #look(computedBefore: number): void {
    this.#trial.overload.busy(this.#now, (this.#computed - computedBefore) / this.#workers / LOOK);
    this.#trial.watch?.(this.#now, this.#running);
    const computed = this.#computed;
    if (this.#now < this.#trial.until) this.#in(LOOK, () => this.#look(computed));
  }
}

/** What is to happen, by time. */
class Events {
  now = 0;
  readonly #heap: { readonly at: number; readonly order: number; readonly what: () => void }[] = [];
  #order = 0;

  at(at: number, what: () => void): void {
    const heap = this.#heap;
    const event = { at, order: this.#order++, what };
    let hole = heap.push(event) - 1;
    while (hole > 0) {
      const above = (hole - 1) >> 1;
      if (heap[above]!.at <= at) break;
      heap[hole] = heap[above]!;
      hole = above;
    }
    heap[hole] = event;
  }

  /** Lets the next thing happen; false: there is none. */
  step(): boolean {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined) return false;
    const last = heap.pop()!;
    if (heap.length > 0) this.#sink(last);
    this.now = first.at;
    first.what();
    return true;
  }

  #sink(event: { readonly at: number; readonly order: number; readonly what: () => void }): void {
    const heap = this.#heap;
    let hole = 0;
    for (let child = 1; child < heap.length; child = 2 * hole + 1) {
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child]!)) child++;
      if (!isBefore(heap[child]!, event)) break;
      heap[hole] = heap[child]!;
      hole = child;
    }
    heap[hole] = event;
  }
}

function isBefore(a: { readonly at: number; readonly order: number }, b: { readonly at: number; readonly order: number }): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** What became of the runs that arrived in a span of time. */
export class Report {
  readonly arrived: number;
  readonly served: readonly Run[];
  readonly refused: readonly Run[];
  readonly #span: number;

  constructor(runs: readonly Run[], from: number, until: number) {
    const within = runs.filter((run) => run.arrived >= from && run.arrived < until);
    this.arrived = within.length;
    this.served = within.filter((run) => run.ended !== undefined);
    this.refused = within.filter((run) => run.refused !== undefined);
    this.#span = until - from;
  }

  /** The time that so many of 100 took at most, from their arrival. */
  percentile(percent: number): number {
    const times = this.served.map((run) => (run.ended as number) - run.arrived).sort((a, b) => a - b);
    return times[Math.min(times.length - 1, Math.floor((times.length * percent) / 100))] as number;
  }

  /** The longest from arrival until refusal; 0: none was refused. */
  get slowestRefusal(): number {
    return this.refused.reduce((most, run) => Math.max(most, (run.refused as number) - run.arrived), 0);
  }

  /** What was computed for the served, as a share of what so many workers can. */
  used(workers = 2): number {
    return this.served.reduce((sum, run) => sum + run.compute, 0) / this.#span / workers;
  }
}

/** mulberry32: the same history every time. */
export function generator(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

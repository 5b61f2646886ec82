/**
 * Whether the processors are the limit, and how many runs may go on at once while they are.
 *
 * The direct sign is how long a run lay in line at the engine's executor before its guest's first instruction: that grows
 * with the runs that want a processor, and stays tiny however many sleep or wait for a network. As in CoDel (Nichols and
 * Jacobson, 2012) a line stands only when nearly every run of an interval waited longer than the target; a burst drains
 * and leaves some short waits. What is too much is then refused at the door and early, as SEDA (Welsh and Culler, 2003)
 * and DAGOR (Zhou et al., SoCC 2018) do. The limit moves as in TCP and in Netflix's concurrency-limits: down by a share
 * of the line that stands; up in steps that double while it binds and no line stands; and away once it does not bind.
 *
 * The constants come from the queueing simulation in `test/pool/overload.test.ts` (two workers with 10 ms turns, service
 * of 5 ms and heavy-tailed, 0.3 to 5 times what the workers can do). From 1.4 times on, p99 of what is served is 1.3 to
 * 1.5 times what it is unloaded, and 90 % of the processors or more are used. At half the load nobody is refused; under a
 * heavy tail about 1 in 70 is at 0.7 of it, and 1 in 9 at 0.9, while long guests hold the processors.
 * - A wait is late from 1 ms on. With 2, p99 is up to 1.6 times, and under a heavy tail 3 % more are used.
 * - 9 of 10 waits late: with the minimum alone one lucky run hides a line; with 7 of 10, twice as many are refused at 0.7.
 * - 6 runs for each processor before there is a limit: fewer are long guests that take turns, whatever new ones wait. With
 *   4, a heavy tail is refused now and then at half the load.
 * - Half of the line an interval, and at once what is above the 6: all of it leaves processors idle under a heavy tail; a
 *   fifth, without the leap, is not down a second after the load came (p99 4 times at twice the load, 22 at 5 times).
 * - At first all of the line that is above the 6, and its length by how much of their time those that ended have waited:
 *   what waits longest has not ended yet. By how many start while one waits, and with half, p99 is up to 185 ms in the
 *   second half second after 5 times the load came, and 70 with this.
 * - Up only when 3 of 10 waits or fewer are late: between that and 9 of 10 the limit is right. Without the band it swings
 *   and p99 is 3 times.
 * - A run may wait for its place two fifths as long as one takes under the limit: in overload the line is always full, so
 *   this is in every latency. As long as one takes makes 1.4 times 1.8, for 3 % more use.
 * - A sudden load is known by 8 runs for each processor and 8 late waits in a row over 50 ms. By intervals alone as many more are let
 *   in, and that half second is in the p99 of a minute: on a real node 26.7 ms of 8.6 unloaded, and 21.5 of 9.2 with it.
 *
 * Runs that sleep count under the limit as those that compute do, for nobody knows beforehand which is which. When half
 * of the runs sleep for seconds and the other half is too much for the processors, both are refused alike, and about
 * two thirds of the processors are used.
 *
 * The event loop is another limit: when it is late all through an interval, fewer runs are let in, but never fewer than it
 * finishes in the time that it may be late, since each of its turns starts only what the limit has room for.
 *
 * No clock and no timer: whoever calls says what time it is, in milliseconds that do not go back. The limit may have
 * moved after any call that tells the time, so runs that wait should be looked at then.
 */

export interface OverloadOptions {
  /** Threads that execute guests. The limit never goes below it. */
  readonly parallelism: number;
  /** How long runs may lie in line at the executor, in milliseconds. */
  readonly targetMs?: number;
  /** How often the limit is looked at, in milliseconds. */
  readonly intervalMs?: number;
  /** The longest that a run waits for its place under the limit, in milliseconds. */
  readonly maxWaitMs?: number;
  /** Runs for each processor by which a sudden load is known before an interval is over. */
  readonly crowd?: number;
}

/** Of an interval's waits, the share that is late when a line stands, and the most that leave room for more runs. */
const LINE_STANDS = 0.9;
const FEW_LATE = 0.3;
/** Runs for each processor before there is a limit. */
const CROWD = 6;
/**
 * So many for each processor, and so many late waits in a row over this part of an interval, tell of a line before it is over.
 * What compiles or starts beside the runs takes the processors for less.
 */
const CLEAR_CROWD = 8;
const CLEAR_STREAK = 8;
const CLEAR_AFTER = 0.5;
/** The share of the standing line that one step takes off the limit. */
const CUT = 0.5;
/** How long a run may wait for its place, in times of what one takes under the limit. */
const PATIENCE = 0.4;
/** The limit is lifted when it has not bound for so long, in milliseconds. */
const LIFT_MS = 300;
/** A run that started earlier tells of the past: it counts only when there is nothing newer. Milliseconds. */
const STALE_MS = 1000;
/** How long a guest computes before it gives way to the next, in milliseconds. */
const TURN_MS = 10;
/** How late the event loop may be, in targets. */
const LOOP_TARGETS = 10;
/** The share of the processors below which runs of which none has ended are taken to be asleep. */
const ASLEEP = 0.5;
/** How much the newest wait counts among those of its interval, and an interval in the completion rate. */
const LEARN_WAIT = 0.125;
const LEARN_RATE = 0.3;

const LEAST_RETRY_MS = 1000;
const MOST_RETRY_MS = 30_000;

/** Times in line at the executor, in milliseconds. */
class Waits {
  count = 0;
  late = 0;
  least = Number.POSITIVE_INFINITY;
  /** Their mean, the newest most. */
  recent = 0;
  /** What they come to, and how long the runs went on in all. */
  waited = 0;
  lasted = 0;

  /** Late ones since the last that was not, and the time of the first of them. */
  streak = 0;
  streakSince = 0;

  add(now: number, wait: number, late: boolean, lasted: number): void {
    if (late && this.streak === 0) this.streakSince = now;
    this.streak = late ? this.streak + 1 : 0;
    this.waited += wait;
    this.lasted += lasted;
    this.recent += (wait - this.recent) * (this.count === 0 ? 1 : LEARN_WAIT);
    this.count++;
    if (late) this.late++;
    if (wait < this.least) this.least = wait;
  }

  /** Only the late ones in a row count: what was before them tells of another load. */
  forgetBefore(): void {
    this.count = this.late = this.streak;
  }

  get lateShare(): number {
    return this.count === 0 ? 0 : this.late / this.count;
  }
}

/** What is known of the interval that goes on. */
class Interval {
  started = 0;
  ended = 0;
  readonly fresh = new Waits();
  readonly stale = new Waits();
  /** The least lateness of two in a row, in milliseconds; undefined: none was told. */
  lag: number | undefined;
  busy: number | undefined;

  /** `peak`: most runs at once. */
  constructor(
    readonly begin: number,
    public peak: number,
  ) {}

  get waits(): Waits {
    return this.fresh.count > 0 ? this.fresh : this.stale;
  }
}

export class Overload {
  readonly #parallelism: number;
  readonly #target: number;
  readonly #intervalMs: number;
  readonly #maxWait: number;
  readonly #clearCrowd: number;

  #limit = Number.POSITIVE_INFINITY;
  /** A raised limit is reached little by little, so that no crowd comes in at once: from here, and until then. */
  #from = Number.POSITIVE_INFINITY;
  #inForce = Number.NEGATIVE_INFINITY;
  /** What the next step up adds. */
  #step = 1;
  /** Whether the limit kept runs from starting in the last interval, and the end of the last one in which it did. */
  #bound = false;
  #boundUntil = Number.NEGATIVE_INFINITY;
  /** What a run waits though there is no line of runs, in milliseconds. */
  #base = 0;

  #now = Number.NEGATIVE_INFINITY;
  #running = 0;
  /** Completions a second. */
  #rate = 0;
  #lastLag = 0;
  #interval: Interval | undefined;

  constructor(options: OverloadOptions) {
    this.#parallelism = Math.max(1, options.parallelism);
    this.#target = options.targetMs ?? 1;
    this.#intervalMs = options.intervalMs ?? 100;
    this.#maxWait = options.maxWaitMs ?? 15;
    this.#clearCrowd = options.crowd ?? CLEAR_CROWD;
  }

  /** Runs that may go on at once; Infinity: the processors are not the limit. */
  get limit(): number {
    return Math.floor(this.#limit);
  }

  /** There is a limit, and it keeps runs from starting, or did in the interval before. That nobody comes any more, only the time tells. */
  isOverloaded(now: number): boolean {
    this.#at(now);
    return this.#isBinding;
  }

  get #isBinding(): boolean {
    if (this.#limit === Number.POSITIVE_INFINITY) return false;
    return this.#bound || !this.admits(this.#running);
  }

  /** There is a limit. */
  get isLimited(): boolean {
    return this.#limit !== Number.POSITIVE_INFINITY;
  }

  /** Runs that end in a second, learnt. */
  get completionRate(): number {
    return this.#rate;
  }

  /** Whether one more may start beside so many. */
  admits(running: number): boolean {
    return running + 1 <= this.#limitNow();
  }

  /** A run has started; so many go on now, itself included. */
  started(now: number, running: number): void {
    const interval = this.#at(now);
    this.#running = running;
    interval.started++;
    if (running > interval.peak) interval.peak = running;
    if (this.#limit !== Number.POSITIVE_INFINITY || !this.#isClear(now, interval)) return;
    interval.fresh.forgetBefore();
    this.#close(now, interval, now - interval.begin);
  }

  /** A run has ended; so many go on now. */
  ended(now: number, running: number): void {
    this.#at(now).ended++;
    this.#running = running;
  }

  /**
   * A run that has ended lay in line for so long at the executor, making its instance not included. `startedAt` is when
   * it was sent there: a run that began before the limit was last changed says nothing about this one.
   */
  sample(now: number, waitNanoseconds: number, startedAt: number): void {
    const interval = this.#at(now);
    if (startedAt < this.#inForce) return;
    const wait = waitNanoseconds / 1e6;
    const waits = now - startedAt > STALE_MS ? interval.stale : interval.fresh;
    waits.add(now, wait, wait > this.#base + this.#target, now - startedAt);
  }

  /** The event loop's timer was so many milliseconds late. To be told a few times in an interval. */
  lag(now: number, milliseconds: number): void {
    const interval = this.#at(now);
    interval.lag = Math.min(interval.lag ?? milliseconds, milliseconds, this.#lastLag);
    this.#lastLag = milliseconds;
  }

  /**
   * The share of `parallelism` processors that this process has used since the last time, 0 to 1. To be told a few times
   * in an interval. It is asked only when no run that began under the limit has ended yet: do they sleep or compute?
   * Where it is never told, a limit over runs that sleep long rises only as they end.
   */
  busy(now: number, share: number): void {
    const interval = this.#at(now);
    interval.busy = Math.max(interval.busy ?? 0, share);
  }

  /**
   * How long a run that arrives now, behind so many, may wait for its place before it is refused, in milliseconds.
   * Infinity when there is no overload; 0: refuse it at once, since it would wait longer than it may.
   */
  patience(now: number, queued: number): number {
    if (!this.isOverloaded(now)) return Number.POSITIVE_INFINITY;
    const patience = Math.min(this.#maxWait, PATIENCE * this.#timeFor(this.#limit));
    return queued > 0 && this.#timeFor(queued) > patience ? 0 : patience;
  }

  /** When a run that is refused now should be tried again, in milliseconds: in overload, when what is too much has drained. */
  retryAfterMs(queued: number): number {
    if (!this.#isBinding) return LEAST_RETRY_MS;
    const excess = queued + 1 + Math.max(0, this.#running - this.#limit);
    return Math.ceil(Math.min(MOST_RETRY_MS, Math.max(LEAST_RETRY_MS, this.#timeFor(excess))));
  }

  /** Milliseconds until so many have ended. */
  #timeFor(runs: number): number {
    return (runs * 1000) / this.#rate;
  }

  #limitNow(): number {
    const left = this.#inForce - this.#now;
    // At first there is no time yet to compare.
    return left > 0 ? this.#limit - ((this.#limit - this.#from) * left) / this.#rampMs : this.#limit;
  }

  get #rampMs(): number {
    return this.#intervalMs / 2;
  }

  /** The interval that goes on at this time. One that is over is judged first. */
  #at(now: number): Interval {
    if (now > this.#now) this.#now = now;
    const interval = (this.#interval ??= new Interval(now, this.#running));
    const elapsed = now - interval.begin;
    return elapsed < this.#intervalMs ? interval : this.#close(now, interval, elapsed);
  }

  #close(now: number, interval: Interval, elapsed: number): Interval {
    this.#learn(interval, elapsed);
    this.#judge(now, interval, elapsed);
    return (this.#interval = new Interval(now, this.#running));
  }

  /** A load that comes all at once is seen before its interval is over: who is let in until then waits in any case. */
  #isClear(now: number, { fresh }: Interval): boolean {
    if (this.#running < this.#clearCrowd * this.#parallelism || fresh.streak < CLEAR_STREAK) return false;
    return now - fresh.streakSince >= this.#intervalMs * CLEAR_AFTER;
  }

  #learn(interval: Interval, elapsed: number): void {
    const rate = (interval.ended * 1000) / elapsed;
    this.#rate = this.#rate === 0 ? rate : this.#rate + LEARN_RATE * (rate - this.#rate);
    this.#base = Math.min(this.#base, interval.fresh.least);
  }

  #judge(now: number, interval: Interval, elapsed: number): void {
    this.#bound = interval.peak + 1 > this.#limit;
    if (this.#bound) this.#boundUntil = interval.begin + this.#intervalMs;
    const line = this.#lineAtExecutor(interval, elapsed);
    if (line > 0 && this.#limit <= this.#parallelism) this.#blameOthers(interval.waits);
    else if (line > 0) this.#lower(now, line);
    else if (this.#loopIsLate(interval)) this.#lower(now, this.#tooManyForLoop());
    else if (!this.#hasRoom(interval)) this.#step = 1;
    else if (this.#bound) this.#raise(now);
    const unused = now - this.#boundUntil >= LIFT_MS;
    if (unused && (this.#hasRoom(interval) || this.#running <= this.#parallelism)) this.#lift();
  }

  /**
   * Runs that stand in line at the executor; 0: no line stands. By Little's law, as many as start in the time that one
   * waits. Long guests that come back into line are not among them, but whoever waited was behind at least one guest for
   * each turn on each processor.
   */
  #lineAtExecutor(interval: Interval, elapsed: number): number {
    const waits = interval.waits;
    if (waits.count === 0 || waits.lateShare < LINE_STANDS) return 0;
    const wait = waits.recent - this.#base;
    // At first nothing of what waits now has told of it yet: as much of what runs waits as those that ended did.
    const isFirst = this.#limit === Number.POSITIVE_INFINITY && waits.lasted > 0;
    const standing = isFirst ? (this.#running * waits.waited) / waits.lasted : 0;
    return Math.max(
      Math.min(standing, this.#running - CROWD * this.#parallelism),
      (interval.started / elapsed) * wait,
      (wait / TURN_MS) * this.#parallelism,
    );
  }

  #loopIsLate(interval: Interval): boolean {
    return interval.lag !== undefined && interval.lag > this.#target * LOOP_TARGETS && this.#tooManyForLoop() > 0;
  }

  /** Runs more than the event loop finishes in the time that it may be late. */
  #tooManyForLoop(): number {
    const finished = (this.#rate * this.#target * LOOP_TARGETS) / 1000;
    return Math.max(0, this.#running - Math.max(this.#parallelism, finished));
  }

  /** Whether more runs would find a processor. */
  #hasRoom(interval: Interval): boolean {
    const waits = interval.waits;
    if (waits.count === 0) return interval.busy !== undefined && interval.busy < ASLEEP;
    return waits.lateShare <= FEW_LATE;
  }

  /** Fewer runs than processors, and yet all wait: what they wait for is not each other, and refusing does not help. */
  #blameOthers(waits: Waits): void {
    this.#base = waits.recent;
    this.#lift();
  }

  /** A limit that did not bind is left alone: the line does not come from what it lets in. */
  #lower(now: number, line: number): void {
    const crowd = CROWD * this.#parallelism;
    const isFirst = this.#limit === Number.POSITIVE_INFINITY;
    if (isFirst ? this.#running < crowd : !this.#bound) return;
    const less = Math.max(1, CUT * line, line - crowd, isFirst ? Math.min(line, this.#running - crowd) : 0);
    this.#limit = Math.max(this.#parallelism, Math.min(this.#limit, this.#running) - less);
    this.#inForce = now;
    this.#boundUntil = now;
    this.#step = 1;
  }

  #raise(now: number): void {
    this.#from = Math.max(this.#limit, this.#running);
    this.#limit = this.#from + this.#step;
    this.#inForce = now + this.#rampMs;
    this.#step *= 2;
  }

  #lift(): void {
    this.#limit = Number.POSITIVE_INFINITY;
    this.#inForce = Number.NEGATIVE_INFINITY;
    this.#step = 1;
  }
}

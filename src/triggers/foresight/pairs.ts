/**
 * What follows what: signs, and for each the tasks whose runs come after it within the window.
 *
 * A sign is a task that runs or a signal. It has a few open occurrences, and a run of another task is counted for one of
 * them: for that which has waited about as long as is usual, else for one that was followed already. So one occurrence that
 * is followed five times and five that are followed once each are told apart, also when they overlap. A first follower
 * decides an occurrence at once; one that stayed out is decided when its time is over.
 *
 * That a busy task "follows" everything says nothing. What was seen within the usual delay must be next to impossible for runs
 * that come as they do at any moment (`base-rate.ts`): by Chernoff's bound, k of n by a chance p happens less often than
 * e^(−n·D), where D is the divergence of k/n from p.
 */
import { BaseRate } from "./base-rate.js";
import type { Expectation } from "./expectations.js";

/** Occurrences of a sign that are open at once; one more closes the oldest. */
const OPEN_AT_ONCE = 8;
/** The least weight of one more occurrence in the likelihood: about the last twenty count. */
const GAIN = 0.1;
const LOOKS = 2 / GAIN - 1;
/** The weight of one more followed occurrence in number, delay and deviation. */
const PACE = 0.2;
/** What may be chance is seen less often than e to minus this; for each occurrence a little less, since each is one more look. */
const SURE = 6.5;
const LUCK = 0.125;
const LEAST_CHANCE = 0.01;
/** What clocks and queues add to a delay, in milliseconds. */
const SLACK = 5;
/** What a follower's hold on its place among a sign's followers is at most. */
const HOLD = 16;

/** What makes a pair worth acting on. */
export interface Trust {
  readonly threshold: number;
  /** Occurrences that were seen, at least. */
  readonly least: number;
  readonly window: number;
  /** Followers that one sign has at most. */
  readonly followers: number;
}

export class Sign {
  readonly tenant: string;
  readonly name: string;
  readonly isSignal: boolean;
  /** Of a task's runs; a signal follows nothing. */
  readonly rate = new BaseRate();
  readonly pairs: Pair[] = [];
  /** Expectations of its runs, the oldest first, and what was last told of them. */
  readonly live: Expectation[] = [];
  readonly told = { count: 0, until: 0, depth: "ready" as "ready" | "program" };
  /** When each open occurrence was; NaN: none is there. */
  readonly #times: number[] = Array.from({ length: OPEN_AT_ONCE }, () => Number.NaN);
  #newest = OPEN_AT_ONCE - 1;
  seenAt = Number.NEGATIVE_INFINITY;
  /** It is among those that are looked at when a run comes. */
  isOpen = false;
  /** It was given up: its name may have come again as another. */
  isGone = false;

  constructor(tenant: string, name: string, isSignal: boolean) {
    this.tenant = tenant;
    this.name = name;
    this.isSignal = isSignal;
  }

  /** It occurs. */
  occur(now: number): void {
    this.#newest = (this.#newest + 1) % OPEN_AT_ONCE;
    this.#close(this.#newest);
    this.#times[this.#newest] = now;
    this.seenAt = now;
  }

  /** Occurrences that are older than the window are over. */
  closeOld(now: number, window: number): void {
    for (let slot = 0; slot < OPEN_AT_ONCE; slot++) if (now - (this.#times[slot] as number) > window) this.#close(slot);
  }

  closeAll(): void {
    for (let slot = 0; slot < OPEN_AT_ONCE; slot++) this.#close(slot);
  }

  #close(slot: number): void {
    if (Number.isNaN(this.#times[slot])) return;
    this.#times[slot] = Number.NaN;
    for (const pair of this.pairs) pair.closed(slot);
  }

  /** A run of the other came. */
  followedBy(now: number, follower: Sign, trust: Trust): void {
    const pair = this.pairWith(follower, trust);
    if (pair !== undefined) pair.followed(now, this.#times, trust.window);
  }

  find(follower: Sign): Pair | undefined {
    for (const pair of this.pairs) if (pair.follower === follower) return pair;
    return undefined;
  }

  /** Made at the first time, where there is a place: those that hold theirs lose a little of their hold each time. */
  pairWith(follower: Sign, { followers }: Trust): Pair | undefined {
    const known = this.find(follower);
    if (known !== undefined) return known;
    if (this.pairs.length < followers) return this.#put(this.pairs.length, follower);
    const weakest = this.#weakest();
    const pair = this.pairs[weakest] as Pair;
    return pair.follower.isGone || --pair.hold <= 0 ? this.#put(weakest, follower) : undefined;
  }

  #put(at: number, follower: Sign): Pair {
    const pair = new Pair(follower);
    // Occurrences before it was known are none of its.
    pair.ignore(this.#times);
    this.pairs[at] = pair;
    return pair;
  }

  #weakest(): number {
    let found = 0;
    for (let i = 0; i < this.pairs.length; i++) {
      const pair = this.pairs[i] as Pair;
      if (pair.follower.isGone) return i;
      if (pair.hold < (this.pairs[found] as Pair).hold) found = i;
    }
    return found;
  }

  /** Whether the follower comes after it, and not just often. */
  trusts(now: number, pair: Pair, { threshold, least }: Trust): boolean {
    if (pair.trials < least || pair.likelihood < threshold) return false;
    pair.decide(now, this.#times);
    return pair.likelihood >= threshold && pair.beats(pair.follower.rate.within(now, pair.within));
  }
}

/** That runs of a task follow a sign. Times in milliseconds. */
export class Pair {
  readonly follower: Sign;
  /** The share of occurrences that were followed in time, of so many. */
  likelihood = 0;
  trials = 0;
  /** Followed occurrences and the runs that followed them, decayed alike. */
  firsts = 0;
  runs = 0;
  /** Runs for each of them as that was before the last. */
  before = 0;
  /** From an occurrence to its first follower, the mean deviation of that, and how late followers still come. */
  delay = 0;
  deviation = 0;
  reach = 0;
  /** What keeps its place among the sign's followers. */
  hold = 1;
  /** Bits of the last outcomes of predictions, how many there are, and when it is tried again after it kept missing. */
  outcomes = 0;
  judged = 0;
  pauses = 0;
  offUntil = 0;
  /** Ever; bytes × seconds. */
  predictions = 0;
  hits = 0;
  late = 0;
  wasted = 0;
  waste = 0;
  /** The last prediction, while more can be added to it. */
  latest: Expectation | undefined;
  /** Runs that followed each open occurrence; bits of those that count in the likelihood already. */
  readonly #counts: number[] = Array.from({ length: OPEN_AT_ONCE }, () => 0);
  #decided = 0;

  constructor(follower: Sign) {
    this.follower = follower;
  }

  /** Runs that follow an occurrence that is followed; those of the last one may not all have come yet. */
  get number(): number {
    return this.firsts === 0 ? 0 : Math.max(this.before, this.runs / this.firsts);
  }

  /** A first follower after more than this is not in time. */
  get within(): number {
    return 1.25 * this.delay + 3 * this.deviation + SLACK;
  }

  ignore(times: readonly number[]): void {
    for (let slot = 0; slot < times.length; slot++) this.#decided |= 1 << slot;
    // But for the last, which it may be the follower of.
    let newest = -1;
    for (let slot = 0; slot < times.length; slot++) {
      const time = times[slot] as number;
      if (!Number.isNaN(time) && (newest === -1 || time >= (times[newest] as number))) newest = slot;
      if (Number.isNaN(time)) this.#decided &= ~(1 << slot);
    }
    if (newest !== -1) this.#decided &= ~(1 << newest);
  }

  /** A run of the follower came, while these occurrences are open. */
  followed(now: number, times: readonly number[], window: number): void {
    const slot = this.#slotFor(now, times, window);
    if (slot === -1) return;
    const delay = now - (times[slot] as number);
    const count = (this.#counts[slot] as number) + 1;
    this.#counts[slot] = count;
    if (delay > this.reach) this.reach = delay;
    if (count > 1) return void this.runs++;
    const bit = 1 << slot;
    if ((this.#decided & bit) === 0) {
      this.#decided |= bit;
      this.#note(this.firsts === 0 || delay <= this.within ? 1 : 0);
    }
    this.#first(delay);
  }

  /** Of those that nobody followed, the one that has waited about as long as usual; else, of the others, the one with fewest. */
  #slotFor(now: number, times: readonly number[], window: number): number {
    const within = this.firsts === 0 ? window : this.within;
    let [usual, off, fewest, stale] = [-1, Number.POSITIVE_INFINITY, -1, -1];
    for (let slot = 0; slot < times.length; slot++) {
      const age = now - (times[slot] as number);
      if (!(age <= window)) continue;
      const count = this.#counts[slot] as number;
      if (count > 0) {
        if (fewest === -1 || count <= (this.#counts[fewest] as number)) fewest = slot;
      } else if (age > within) {
        if (stale === -1 || (times[slot] as number) > (times[stale] as number)) stale = slot;
      } else if (Math.abs(age - this.delay) < off) {
        usual = slot;
        off = Math.abs(age - this.delay);
      }
    }
    return usual !== -1 ? usual : fewest !== -1 ? fewest : stale;
  }

  #first(delay: number): void {
    if (this.firsts === 0) {
      this.delay = delay;
      this.deviation = delay / 2;
    } else {
      this.deviation += PACE * (Math.abs(delay - this.delay) - this.deviation);
      this.delay += PACE * (delay - this.delay);
      this.reach = Math.max(delay, this.reach - PACE * Math.max(0, this.reach - this.delay));
    }
    if (this.firsts > 0) this.before = this.runs / this.firsts;
    this.firsts = this.firsts * (1 - PACE) + 1;
    this.runs = this.runs * (1 - PACE) + 1;
    if (this.hold < HOLD) this.hold++;
  }

  /** Occurrences whose follower is overdue count as not followed. */
  decide(now: number, times: readonly number[]): void {
    for (let slot = 0; slot < times.length; slot++) if (now - (times[slot] as number) > this.within) this.#missed(slot);
  }

  closed(slot: number): void {
    this.#missed(slot);
    this.#counts[slot] = 0;
    this.#decided &= ~(1 << slot);
  }

  #missed(slot: number): void {
    const bit = 1 << slot;
    if ((this.#decided & bit) !== 0) return;
    this.#decided |= bit;
    this.#note(0);
  }

  #note(followed: 0 | 1): void {
    this.trials++;
    this.likelihood += (followed - this.likelihood) * Math.max(GAIN, 1 / this.trials);
  }

  /** Whether the likelihood is more than chance, where a run comes by itself with this one. */
  beats(chance: number): boolean {
    const p = Math.max(LEAST_CHANCE, chance);
    const share = this.likelihood;
    if (share <= p || p >= 1) return false;
    const divergence = share * Math.log(share / p) + (share < 1 ? (1 - share) * Math.log((1 - share) / (1 - p)) : 0);
    return Math.min(this.trials, LOOKS) * (divergence - LUCK) >= SURE;
  }
}

/** What is known of one tenant: its signs, which of them occurred lately, and whose runs followed. Bounded, whatever comes. */
import { Sign, type Trust } from "./pairs.js";

/** Signs that a run may be the follower of at once; one more closes the one that has not occurred for longest. */
const OPEN_SIGNS = 64;
/** Signs that are looked at to find one that can be given up. */
const LOOKED_AT = 8;
/** A sign that something follows counts as seen so much later, in milliseconds. */
const USEFUL = 3_600_000;
/** Keys of signals that are remembered, so that one that is sent again counts once. */
const KEYS = 256;

export interface HistoryBounds extends Trust {
  /** Tasks and signals of a tenant. */
  readonly causes: number;
}

export class History {
  readonly tenant: string;
  readonly tasks = new Map<string, Sign>();
  readonly signals = new Map<string, Sign>();
  readonly #bounds: HistoryBounds;
  readonly #all: Sign[] = [];
  /** Those with open occurrences. */
  readonly #open: Sign[] = [];
  readonly #keys = new Set<string>();
  /** Where the next one to be given up is looked for. */
  #hand = 0;
  seenAt = Number.NEGATIVE_INFINITY;

  constructor(tenant: string, bounds: HistoryBounds) {
    this.tenant = tenant;
    this.#bounds = bounds;
  }

  get signs(): readonly Sign[] {
    return this.#all;
  }

  /** The task; undefined: it is not known, and nothing makes way for it. */
  task(name: string): Sign | undefined {
    return this.tasks.get(name) ?? this.#admit(name, false, this.tasks);
  }

  signal(name: string): Sign | undefined {
    return this.signals.get(name) ?? this.#admit(name, true, this.signals);
  }

  #admit(name: string, isSignal: boolean, among: Map<string, Sign>): Sign | undefined {
    if (this.#all.length >= this.#bounds.causes && !this.#makeWay()) return undefined;
    const sign = new Sign(this.tenant, name, isSignal);
    among.set(name, sign);
    this.#all.push(sign);
    return sign;
  }

  /** Gives up the sign of the next few that was seen longest ago; none with runs that are expected. */
  #makeWay(): boolean {
    let victim = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < LOOKED_AT; i++) {
      this.#hand = (this.#hand + 1) % this.#all.length;
      const sign = this.#all[this.#hand] as Sign;
      const worth = sign.seenAt + (sign.pairs.some(({ likelihood }) => likelihood >= this.#bounds.threshold) ? USEFUL : 0);
      if (sign.live.length === 0 && (victim === -1 || worth < least)) [victim, least] = [this.#hand, worth];
    }
    if (victim !== -1) this.forget(this.#all[victim] as Sign);
    return victim !== -1;
  }

  forget(sign: Sign): void {
    sign.isGone = true;
    (sign.isSignal ? this.signals : this.tasks).delete(sign.name);
    take(this.#all, sign);
    if (sign.isOpen) take(this.#open, sign);
  }

  /** A key of a signal, for the first time lately. */
  isNew(key: string): boolean {
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    if (this.#keys.size > KEYS) for (const oldest of this.#keys) return this.#keys.delete(oldest);
    return true;
  }

  /** A run of the task came: it may follow each of the signs that have just occurred. */
  noteFollower(now: number, task: Sign): void {
    const open = this.#open;
    const { window } = this.#bounds;
    for (let i = open.length - 1; i >= 0; i--) {
      const sign = open[i] as Sign;
      if (now - sign.seenAt > window) this.#shut(i);
      else if (sign !== task) sign.followedBy(now, task, this.#bounds);
    }
    task.rate.arrived(now);
  }

  noteSign(now: number, sign: Sign): void {
    this.seenAt = now;
    sign.closeOld(now, this.#bounds.window);
    sign.occur(now);
    if (sign.isOpen) return;
    if (this.#open.length >= OPEN_SIGNS) this.#shut(this.#longestAgo());
    sign.isOpen = true;
    this.#open.push(sign);
  }

  #shut(at: number): void {
    const sign = this.#open[at] as Sign;
    sign.isOpen = false;
    sign.closeAll();
    take(this.#open, sign);
  }

  #longestAgo(): number {
    let found = 0;
    for (let i = 1; i < this.#open.length; i++) if ((this.#open[i] as Sign).seenAt < (this.#open[found] as Sign).seenAt) found = i;
    return found;
  }
}

/** The order does not matter: the last one takes its place. */
function take(list: Sign[], sign: Sign): void {
  const at = list.indexOf(sign);
  const last = list.pop() as Sign;
  if (at !== -1 && last !== sign) list[at] = last;
}

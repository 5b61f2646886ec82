/**
 * What is said in advance: which announcements are taken, from whom, and what is believed of them.
 *
 * Announcements add up. One with the key of another of the same sender replaces it, and runs that have come for that one
 * count for this: so sending one again changes nothing.
 */
import type { Expectation } from "./expectations.js";
import { believed, trustAfter } from "./feedback.js";

export interface AnnouncementLimits {
  /** Runs of one announcement. */
  readonly count: number;
  /** Milliseconds: of its window, and from now until its start. */
  readonly window: number;
  readonly ahead: number;
  /** Of a tenant, that are not over. */
  readonly pending: number;
  /** What a sender may send at once, and a second. */
  readonly burst: number;
  readonly perSecond: number;
}

export interface Announcement {
  readonly tenant: string;
  readonly task: string;
  /** Runs that will come; 0 takes back what was announced with the same key. */
  readonly count: number;
  /** When the first one comes, and within how many milliseconds all of them do. */
  readonly start: number;
  readonly window: number;
  /** 0 to 1; 1 where it is left out. */
  readonly confidence?: number | undefined;
  readonly key?: string | undefined;
  /** Who is limited and believed by it: a key or a guest's task. */
  readonly sender: string;
  /** The node says so itself, as often as it likes. */
  readonly isOwn?: boolean | undefined;
}

/** Why something is not taken. */
export type Unheard = "invalid" | "no-task" | "past" | "too-many" | "too-long" | "too-far" | "too-often" | "full";

export type Heard =
  | { readonly accepted: true; readonly key: string }
  | { readonly accepted: false; readonly why: Unheard; readonly reason: string; readonly retryAfter?: number };

/** One that was taken. */
export interface Announced {
  readonly key: string;
  readonly said: Announcement;
  readonly expectation: Expectation;
}

interface Sender {
  tokens: number;
  at: number;
  trust: number;
}

/** Senders of a tenant that are remembered. */
const SENDERS = 256;
const LONGEST_KEY = 256;

/** Those of one tenant. */
export class Announcements {
  readonly #limits: AnnouncementLimits;
  readonly #byKey = new Map<string, Announced>();
  readonly #senders = new Map<string, Sender>();
  #keys = 0;

  constructor(limits: AnnouncementLimits) {
    this.#limits = limits;
  }

  all(): Iterable<Announced> {
    return this.#byKey.values();
  }

  get(id: string): Announced | undefined {
    return this.#byKey.get(id);
  }

  /** Names it among the tenant's: a key belongs to its sender. */
  idOf({ sender, key }: Announcement): { readonly id: string; readonly key: string } {
    // One that nobody named has a name that nobody else can give.
    const named = key ?? `#${++this.#keys}`;
    return { id: JSON.stringify(key === undefined ? [sender, named, "unnamed"] : [sender, named]), key: named };
  }

  put(id: string, announced: Announced): void {
    this.#byKey.set(id, announced);
  }

  delete(id: string): void {
    this.#byKey.delete(id);
  }

  /** Why it is not taken; undefined: it is. */
  refusal(now: number, said: Announcement, replaces: boolean): Exclude<Heard, { accepted: true }> | undefined {
    const { count, start, window, confidence = 1, key = "", sender, isOwn = false } = said;
    const limits = this.#limits;
    const pending = this.#byKey.size;
    const wait = isOwn ? 0 : this.#take(now, sender);
    if (wait > 0) return { ...no("too-often", `${limits.perSecond} announcements a second are taken from one sender`), retryAfter: wait };
    if (!Number.isSafeInteger(count) || count < 0) return no("invalid", `count is ${count}; it must be a whole number of runs`);
    if (!(window > 0)) return no("invalid", `window is ${window}; it must be a time above 0`);
    if (!Number.isFinite(start)) return no("invalid", `start is ${start}; it must be a time`);
    if (!(confidence > 0 && confidence <= 1)) return no("invalid", `confidence is ${confidence}; it must be above 0 and at most 1`);
    if (key.length > LONGEST_KEY) return no("invalid", `the key has ${key.length} characters; it may have ${LONGEST_KEY}`);
    if (count > limits.count) return no("too-many", `${count} runs are announced; ${limits.count} may be prepared for at once`);
    if (window > limits.window) return no("too-long", `the window is ${seconds(window)}; it may be ${seconds(limits.window)}`);
    if (start - now > limits.ahead) return no("too-far", `the start is ${seconds(start - now)} ahead; it may be ${seconds(limits.ahead)}`);
    if (start + window <= now) return no("past", `the window was over ${seconds(now - start - window)} ago`);
    if (pending >= limits.pending && !replaces) return no("full", `${pending} announcements of the tenant are pending; no more are taken`);
    return undefined;
  }

  /** Milliseconds until the sender may send one; 0: it has just been allowed to. */
  #take(now: number, name: string): number {
    const { burst, perSecond } = this.#limits;
    const sender = this.#sender(now, name);
    sender.tokens = Math.min(burst, sender.tokens + ((now - sender.at) / 1000) * perSecond);
    sender.at = now;
    if (sender.tokens < 1) return Math.ceil(((1 - sender.tokens) * 1000) / perSecond);
    sender.tokens--;
    return 0;
  }

  /** The one that was heard of longest ago makes way. */
  #sender(now: number, name: string): Sender {
    const known = this.#senders.get(name);
    const sender = known ?? { tokens: this.#limits.burst, at: now, trust: 1 };
    this.#senders.delete(name);
    if (this.#senders.size >= SENDERS) for (const oldest of this.#senders.keys()) if (this.#senders.delete(oldest)) break;
    this.#senders.set(name, sender);
    return sender;
  }

  /** How likely it is that what the sender announces comes. */
  likelihoodOf({ sender, confidence = 1 }: Announcement): number {
    return believed(confidence, this.#senders.get(sender)?.trust ?? 1);
  }

  /** What was announced has come so far, and no more will. */
  judge(id: string): void {
    const announced = this.#byKey.get(id);
    const sender = announced === undefined ? undefined : this.#senders.get(announced.said.sender);
    if (announced === undefined || sender === undefined) return;
    const { asked, wanted } = announced.expectation;
    sender.trust = trustAfter(sender.trust, asked === 0 ? 1 : (asked - wanted) / asked);
  }
}

function no(why: Unheard, reason: string): Exclude<Heard, { accepted: true }> {
  return { accepted: false, why, reason };
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

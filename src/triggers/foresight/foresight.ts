/**
 * Which runs are to be expected next, from what has just happened, and from what is said in advance.
 *
 * A run or a signal tells which tasks' runs follow it, once that was seen often enough (`pairs.ts`); an announcement says so
 * itself (`announcements.ts`). What is expected is summed for each task and told to whoever prepares it (`expectations.ts`);
 * how that ends goes back to who foresaw it (`feedback.ts`). This file joins them.
 *
 * Nothing here runs or holds anything: a wrong prediction costs memory for a while, and changes no answer. No clock, no
 * timer: whoever has it says what time it is, and calls `tick` when `nextWake` has come. A time before one that was said
 * counts as that.
 */
import { Announcements, type Announced, type Announcement, type Heard } from "./announcements.js";
import { Expectations, type Expectation, type ExpectationPorts } from "./expectations.js";
import { judge, noCounters, type Counters } from "./feedback.js";
import { History } from "./history.js";
import type { Pair, Sign } from "./pairs.js";
import { restoreTenant, snapshotOf, type Snapshot } from "./snapshot.js";
import { viewOf, type ForesightView } from "./view.js";

export type { Announcement, Heard, Unheard } from "./announcements.js";
export type { Cost, Depth } from "./expectations.js";
export type { Snapshot } from "./snapshot.js";
export type * from "./view.js";

export interface ForesightOptions {
  /** How long after a sign a run is still one that follows it. Milliseconds. */
  readonly window: number;
  /** The likelihood from which on something is prepared, and the occurrences that it must rest on. */
  readonly threshold: number;
  readonly least: number;
  /** How far predictions are followed: 1 prepares only what follows the sign itself. */
  readonly depth: number;
  /** Tasks and signals of a tenant that are known, and followers of each. */
  readonly causes: number;
  readonly followers: number;
  /** Tenants that are known. */
  readonly tenants: number;
  /** Instances that lie ready for expected runs, of a tenant and of the node. */
  readonly tenantInstances: number;
  readonly nodeInstances: number;
  /** Expectations of a tenant at once; of those, announcements. */
  readonly live: number;
  readonly pending: number;
  /** A saved millisecond of a run is worth it to hold so many MiB × seconds. */
  readonly worth: number;
  /** A run so long after its window is late, and not missing. Milliseconds. */
  readonly grace: number;
  /** How long the window of an announcement, and how far ahead its start may be. Milliseconds. */
  readonly announcedWindow: number;
  readonly announcedAhead: number;
  /** Announcements that a sender may send at once, and a second. */
  readonly senderBurst: number;
  readonly senderRate: number;
}

/**
 * `threshold` and `worth` are set by `npm run bench -- foresight`, so that nine in ten prepared instances are used: below seven
 * tenths, and for windows that are long for what a start takes, waste grows and hardly any waiting is saved.
 */
const DEFAULT_OPTIONS: ForesightOptions = {
  window: 30_000,
  threshold: 0.7,
  least: 5,
  depth: 4,
  causes: 256,
  followers: 16,
  tenants: 1024,
  tenantInstances: 64,
  nodeInstances: 512,
  live: 512,
  pending: 256,
  worth: 5,
  grace: 5_000,
  announcedWindow: 10 * 60_000,
  announcedAhead: 24 * 3_600_000,
  senderBurst: 20,
  senderRate: 2,
};

/** A run was asked for, by a client or a guest. */
export interface Arrival {
  readonly tenant: string;
  readonly task: string;
  /** `announced`: it says itself that it belongs to an announcement, and is counted for one first. */
  readonly by?: "announced" | undefined;
  /** It takes no instance: others may follow it, and it is no follower. */
  readonly isSign?: boolean | undefined;
}

/** Names of signals may have so many bytes. */
const LONGEST_SIGNAL = 128;
/** Predictions of a pair within so many milliseconds are one. */
const TOGETHER = 50;
/** How much later than the last follower ever the last one may come. */
const LATE = 300;

interface Tenant {
  readonly history: History;
  readonly announcements: Announcements;
}

/** Where a prediction has come to: of a sign that so many runs of it are likely to come, from then until then. */
interface Step {
  readonly sign: Sign;
  readonly number: number;
  readonly likelihood: number;
  readonly from: number;
  readonly until: number;
  readonly depth: number;
}

export class Foresight {
  readonly options: ForesightOptions;
  readonly #ports: ExpectationPorts;
  readonly #tenants = new Map<string, Tenant>();
  readonly #expectations: Expectations;
  readonly #counters = noCounters();
  #roots = 0;
  #now = Number.NEGATIVE_INFINITY;

  constructor(ports: ExpectationPorts, options: Partial<ForesightOptions> = {}) {
    this.#ports = ports;
    this.options = { ...DEFAULT_OPTIONS, ...options };
    this.#expectations = new Expectations(ports, this.options, {
      came: (expectation, isHit) => this.#came(expectation, isHit),
      released: ({ pair }, unused, waste) => {
        this.#counters.wasted += unused;
        this.#counters.waste += waste;
        if (pair !== undefined) pair.waste += waste;
      },
      ended: (now, expectation, outcome) => {
        const { task, pair, announcement } = expectation;
        if (announcement !== undefined) this.#tenants.get(task.tenant)?.announcements.judge(announcement);
        if (pair === undefined) return;
        if (outcome === "wasted") pair.wasted++;
        // One that came too soon was foreseen all the same.
        if (judge(pair, outcome === "hit" || outcome === "early", now)) this.#counters.switchedOff++;
      },
      passed: () => void this.#counters.passed++,
      forgotten: ({ task, pair, announcement }) => {
        if (announcement !== undefined) this.#tenants.get(task.tenant)?.announcements.delete(announcement);
        if (pair?.latest?.state === "gone") pair.latest = undefined;
      },
    });
  }

  #came({ pair }: Expectation, isHit: boolean): void {
    if (isHit) this.#counters.hits++;
    else this.#counters.late++;
    if (pair === undefined) return;
    if (isHit) pair.hits++;
    else pair.late++;
  }

  /** A run came. It follows signs, and is a sign itself. True: it was expected. */
  arrived(time: number, { tenant, task, by, isSign }: Arrival): boolean {
    const now = this.#time(time);
    const { history } = this.#tenant(tenant);
    const sign = history.task(task);
    if (sign === undefined) return false;
    if (isSign !== true) history.noteFollower(now, sign);
    const expected = isSign !== true && sign.live.length > 0 ? this.#expectations.arrived(now, sign, by === "announced") : undefined;
    history.noteSign(now, sign);
    if (sign.pairs.length > 0) this.#foresee(now, sign, expected?.root);
    return expected !== undefined;
  }

  /** Something happened that tasks' runs may follow. One with a key that was heard lately is the same again. */
  signal(time: number, tenant: string, signal: string, key?: string): Heard {
    const now = this.#time(time);
    const { history } = this.#tenant(tenant);
    const bytes = Buffer.byteLength(signal);
    if (bytes === 0 || bytes > LONGEST_SIGNAL)
      return this.#counted(unheard("invalid", `a signal's name has 1 to ${LONGEST_SIGNAL} bytes, and this one ${bytes}`));
    const sign = history.signal(signal);
    if (sign === undefined) return this.#counted(unheard("full", "the tenant has as many tasks and signals as are followed"));
    // Of another signal it is another key.
    if (key !== undefined && !history.isNew(JSON.stringify([signal, key]))) return { accepted: true, key };
    this.#counters.announcements++;
    history.noteSign(now, sign);
    if (sign.pairs.length > 0) this.#foresee(now, sign);
    return { accepted: true, key: key ?? "" };
  }

  /** Someone says that runs will come. Whether they may is looked at before. */
  announce(time: number, said: Announcement): Heard {
    const now = this.#time(time);
    const { announcements } = this.#tenant(said.tenant);
    const { id, key } = announcements.idOf(said);
    const before = said.key === undefined ? undefined : announcements.get(id);
    const refusal = announcements.refusal(now, said, before !== undefined);
    if (refusal === undefined && said.count > 0) return this.#counted(this.#expectAnnounced(now, said, id, key, before));
    if (refusal === undefined && before !== undefined) this.#expectations.cancel(before.expectation);
    return this.#counted(refusal ?? { accepted: true, key });
  }

  #counted(heard: Heard): Heard {
    if (heard.accepted) this.#counters.announcements++;
    else this.#counters.refused++;
    return heard;
  }

  #expectAnnounced(now: number, said: Announcement, id: string, key: string, before: Announced | undefined): Heard {
    if (this.#ports.cost(said.tenant, said.task) === undefined) return unheard("no-task", "there is no such task");
    const { history, announcements } = this.#tenant(said.tenant);
    const task = history.task(said.task);
    if (task === undefined) return unheard("full", "the tenant has as many tasks and signals as are followed");
    const { hits, late } = before !== undefined && before.expectation.task === task ? before.expectation : { hits: 0, late: 0 };
    if (before !== undefined) this.#expectations.cancel(before.expectation);
    const root = before?.expectation.root ?? ++this.#roots;
    const likelihood = announcements.likelihoodOf(said);
    const [from, until] = [Math.max(now, said.start), said.start + said.window];
    const wanted = Math.max(0, said.count - hits - late);
    const what = { task, root, pair: undefined, announcement: id, likelihood, from, until, asked: said.count, wanted };
    const expectation = this.#expectations.add(now, what, { hits, late });
    if (expectation === undefined) return unheard("full", "as much is expected of the tenant as can be");
    announcements.put(id, { key, said, expectation });
    if (likelihood >= this.options.threshold) {
      this.#follow(now, root, task, { sign: task, number: said.count, likelihood, from, until, depth: 0 });
    }
    return { accepted: true, key };
  }

  /** The sign occurred. `root`: the prediction that it was part of. */
  #foresee(now: number, sign: Sign, root?: number): void {
    const { least, threshold } = this.options;
    for (const { trials, likelihood } of sign.pairs) {
      if (trials < least || likelihood < threshold) continue;
      const step = { sign, number: 1, likelihood: 1, from: now, until: now, depth: 0 };
      return this.#follow(now, root ?? ++this.#roots, sign, step);
    }
  }

  /** What follows it, and what follows that, the nearest first; each task once. */
  #follow(now: number, root: number, origin: Sign, first: Step): void {
    const { depth: deepest, threshold } = this.options;
    const seen = new Set<Sign>([origin]);
    const steps = [first];
    for (let i = 0; i < steps.length; i++) {
      const { sign, number, likelihood, from, until, depth } = steps[i] as Step;
      for (const pair of sign.pairs) {
        const { follower } = pair;
        const next = likelihood * pair.likelihood;
        if (next < threshold || seen.has(follower) || follower.isGone || pair.offUntil > now) continue;
        if (!sign.trusts(now, pair, this.options)) continue;
        const step: Step = {
          sign: follower,
          number: number * pair.number,
          likelihood: next,
          from: from + Math.max(0, pair.delay - 2 * pair.deviation),
          until: until + pair.reach + 3 * pair.deviation,
          depth: depth + 1,
        };
        const judged = depth === 0 ? pair : this.#judged(now, origin, step);
        if (judged === undefined) continue;
        seen.add(follower);
        this.#expect(now, root, judged, step);
        if (step.depth < deepest) steps.push(step);
      }
    }
  }

  /**
   * Of what is foreseen over others: the pair that it is judged by, from where it began to what it came to. Undefined: that is
   * switched off, or is known not to follow.
   */
  #judged(now: number, origin: Sign, { sign, until }: Step): Pair | undefined {
    const pair = origin.pairWith(sign, this.options);
    if (pair === undefined || pair.offUntil > now) return undefined;
    const isKnown = pair.trials >= this.options.least && until - now <= this.options.window;
    return isKnown && !origin.trusts(now, pair, this.options) ? undefined : pair;
  }

  #expect(now: number, root: number, pair: Pair, { sign: task, number, likelihood, from, until: last }: Step): void {
    const until = last + LATE;
    // What was foreseen from further away is nearer now; it is not expected twice.
    for (const live of task.live) if (live.root === root && isOpen(live)) return this.#expectations.extend(now, live, 0, from, until);
    const count = Math.min(this.options.tenantInstances, Math.max(1, Math.round(number)));
    // Several signs of the same runs make no more of them: as many are expected as the one tells that tells most.
    for (const live of task.live) {
      if (live.pair === undefined || live.pair === pair || !isOpen(live) || live.from > until || live.until < from) continue;
      return this.#expectations.extend(now, live, Math.max(0, count - live.wanted), from, until);
    }
    const { latest } = pair;
    if (latest !== undefined && isOpen(latest) && now - latest.created <= TOGETHER) {
      return this.#expectations.extend(now, latest, count, from, until);
    }
    const what = { task, root, pair, announcement: undefined, likelihood, from, until, asked: count, wanted: count };
    const expectation = this.#expectations.add(now, what);
    if (expectation === undefined) return;
    pair.latest = expectation;
    pair.predictions++;
    this.#counters.predictions++;
  }

  /** When `tick` has something to do; Infinity: never. */
  nextWake(): number {
    return this.#expectations.nextWake;
  }

  tick(time: number): void {
    this.#time(time);
  }

  /** Never goes back. What has come due by then is done first. */
  #time(time: number): number {
    if (time > this.#now && time < Number.POSITIVE_INFINITY) this.#now = time;
    else if (this.#now === Number.NEGATIVE_INFINITY) this.#now = 0;
    if (this.#now >= this.#expectations.nextWake) this.#expectations.tick(this.#now);
    return this.#now;
  }

  #tenant(name: string): Tenant {
    let tenant = this.#tenants.get(name);
    if (tenant === undefined) {
      if (this.#tenants.size >= this.options.tenants) this.#makeWay();
      tenant = { history: new History(name, this.options), announcements: this.#announcements() };
      this.#tenants.set(name, tenant);
    }
    return tenant;
  }

  #announcements(): Announcements {
    const { tenantInstances, announcedWindow, announcedAhead, pending, senderBurst, senderRate } = this.options;
    return new Announcements({
      count: tenantInstances,
      window: announcedWindow,
      ahead: announcedAhead,
      pending,
      burst: senderBurst,
      perSecond: senderRate,
    });
  }

  /** The tenant goes of which nothing was seen for longest and nothing is expected. */
  #makeWay(): void {
    let victim: History | undefined;
    for (const { history } of this.#tenants.values()) {
      if (this.#expectations.liveOf(history.tenant) > 0) continue;
      if (victim === undefined || history.seenAt < victim.seenAt) victim = history;
    }
    if (victim !== undefined) this.#tenants.delete(victim.tenant);
  }

  /** What is known of a tenant, and what is expected. */
  view(time: number, tenant: string): ForesightView {
    const now = this.#time(time);
    const known = this.#tenants.get(tenant);
    return known === undefined
      ? { tenant, pairs: [], announcements: [], expected: [] }
      : viewOf(now, known.history, known.announcements, this.options);
  }

  /** Of all tenants, ever; and what is held now. */
  totals(): Counters & { readonly instances: number; readonly bytes: number; readonly live: number } {
    return { ...this.#counters, ...this.#expectations.held };
  }

  /**
   * Forgets what follows a task or signal of this name, or all signs of the tenant, and takes back what was foreseen because of
   * that. Announcements stay.
   */
  reset(tenant: string, cause?: string): void {
    const history = this.#tenants.get(tenant)?.history;
    if (history === undefined) return;
    const signs = history.signs.filter(({ name }) => cause === undefined || name === cause);
    const pairs = new Set(signs.flatMap((sign) => sign.pairs));
    for (const expectation of this.#expectations.all()) {
      if (expectation.pair !== undefined && pairs.has(expectation.pair)) this.#expectations.cancel(expectation);
    }
    for (const sign of signs) {
      sign.pairs.length = 0;
      sign.closeAll();
    }
  }

  /** The tenant is gone, with all that it announced. */
  forget(tenant: string): void {
    for (const expectation of this.#expectations.all()) if (expectation.task.tenant === tenant) this.#expectations.cancel(expectation);
    this.#tenants.delete(tenant);
  }

  /** What was learnt, as plain JSON, so that a node that starts again knows it. */
  snapshot(): Snapshot {
    return { version: 1, tenants: [...this.#tenants.values()].map(({ history }) => snapshotOf(this.#now, history)) };
  }

  /** Goes on from that; what does not look like it is passed over. Before anything else is told. */
  restore(time: number, data: unknown, knows: (tenant: string) => boolean = () => true): void {
    const now = this.#time(time);
    const { version, tenants } = (data ?? {}) as Partial<Snapshot>;
    if (version !== 1 || !Array.isArray(tenants)) return;
    for (const kept of tenants.slice(-this.options.tenants)) {
      if (typeof kept?.tenant === "string" && knows(kept.tenant)) restoreTenant(now, kept, this.#tenant(kept.tenant).history, this.options);
    }
  }
}

function isOpen({ state }: Expectation): boolean {
  return state === "planned" || state === "active";
}

function unheard(why: Extract<Heard, { accepted: false }>["why"], reason: string): Heard {
  return { accepted: false, why, reason };
}

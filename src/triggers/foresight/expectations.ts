/**
 * Runs that are expected, learnt or announced, from the time at which something is to be made ready for them on.
 *
 * Each expectation is planned, then active (something is held for it), then over; a run that comes a little after that was
 * late. What active ones hold is summed for each task, and the sum is told as an absolute number when it has changed. Caps
 * are looked at when an expectation becomes active: what it does not get then, it does not get.
 */
import type { Outcome } from "./feedback.js";
import type { Pair, Sign } from "./pairs.js";

/** What is prepared is ready this much earlier than would do, beside twice of what the steps take. Milliseconds. */
const LEAD = 100;
/** What would be begun so soon is begun at once: it costs little, and clocks and costs are not that exact. */
const SOON = 1_000;
/** A plan that is further ahead is looked at again so long before: what its steps take may be another by then. */
const LOOK_AHEAD = 5_000;
/** Of something that is announced with less, only the expected part is made ready, where that is worth it. */
const LIKELY = 0.5;
/** With less, nothing is done at all. */
const UNLIKELY = 0.02;
const MiB = 2 ** 20;

export type Depth = "ready" | "program";

/** What making one instance of a task ready takes now, and what it holds. */
export interface Cost {
  readonly linkMs: number;
  readonly startMs: number;
  readonly bytes: number;
}

export interface ExpectationPorts {
  /**
   * So many runs of the task are expected until then: an absolute statement, instead of the one before; 0 takes it back. `program`:
   * it is only to be linked.
   */
  expect(tenant: string, task: string, count: number, until: number, depth: Depth): void;
  /** Undefined: there is no such task, and nothing is prepared for it. */
  cost(tenant: string, task: string): Cost | undefined;
  /** Bytes that all that is expected of the tenant may hold. */
  room(tenant: string): number;
}

export interface Limits {
  /** Instances that lie ready for expected runs, of a tenant and of the node. */
  readonly tenantInstances: number;
  readonly nodeInstances: number;
  /** Expectations of a tenant. */
  readonly live: number;
  /** A saved millisecond of a run is worth it to hold so many MiB × seconds. */
  readonly worth: number;
  /** After its window, a run still counts as late and not as missing. Milliseconds. */
  readonly grace: number;
}

/** `spent`: all its runs have come; an announcement is remembered until its window is over. */
type State = "planned" | "active" | "over" | "spent" | "gone";

export interface Expectation {
  readonly task: Sign;
  /** What all that was foreseen from one occurrence has in common. */
  readonly root: number;
  /** What is judged by it: a pair, or an announcement by its key. */
  readonly pair: Pair | undefined;
  readonly announcement: string | undefined;
  readonly likelihood: number;
  readonly created: number;
  /** When the first run is expected, and when the last one has come. */
  from: number;
  until: number;
  /** Runs that were and still are to come, and those that came: when it was prepared, and before or after. */
  asked: number;
  wanted: number;
  hits: number;
  late: number;
  state: State;
  /** Instances that are held for it, of so many bytes, from then on, ready at a time. */
  held: number;
  depth: Depth;
  bytes: number;
  since: number;
  readyAt: number;
  /** When it has to be looked at. */
  at: number;
}

export type NewExpectation = Pick<
  Expectation,
  "task" | "root" | "pair" | "announcement" | "likelihood" | "from" | "until" | "asked" | "wanted"
>;

interface Share {
  instances: number;
  bytes: number;
  live: number;
}

export interface Endings {
  /** A run came for it. `isHit`: it found what was prepared. */
  came(expectation: Expectation, isHit: boolean): void;
  /** `unused`: instances that nobody used; bytes × seconds that were held for nothing. */
  released(expectation: Expectation, unused: number, waste: number): void;
  ended(now: number, expectation: Expectation, outcome: Outcome): void;
  /** It is not prepared: not worth it, or no room. */
  passed(expectation: Expectation): void;
  /** Nothing is known of it any more. */
  forgotten(expectation: Expectation): void;
}

export class Expectations {
  readonly #ports: ExpectationPorts;
  readonly #limits: Limits;
  readonly #endings: Endings;
  readonly #all = new Set<Expectation>();
  readonly #shares = new Map<string, Share>();
  #instances = 0;
  #bytes = 0;
  /** Nothing is to be looked at before. */
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(ports: ExpectationPorts, limits: Limits, endings: Endings) {
    this.#ports = ports;
    this.#limits = limits;
    this.#endings = endings;
  }

  get nextWake(): number {
    return this.#wakeAt;
  }

  /** Held now, on the node. */
  get held(): { readonly instances: number; readonly bytes: number; readonly live: number } {
    return { instances: this.#instances, bytes: this.#bytes, live: this.#all.size };
  }

  all(): Iterable<Expectation> {
    return this.#all;
  }

  liveOf(tenant: string): number {
    return this.#shares.get(tenant)?.live ?? 0;
  }

  /**
   * Undefined: the tenant has as many as it may have, or there is no such task. `hits`, `late`: runs that have come for it already,
   * under the announcement that this one replaces.
   */
  add(now: number, what: NewExpectation, { hits, late }: { hits: number; late: number } = { hits: 0, late: 0 }): Expectation | undefined {
    const share = this.#shareOf(what.task.tenant);
    if (share.live >= this.#limits.live) return undefined;
    const expectation: Expectation = {
      ...what,
      created: now,
      hits,
      late,
      state: "planned",
      held: 0,
      depth: "program",
      bytes: 0,
      since: now,
      readyAt: Number.POSITIVE_INFINITY,
      at: now,
    };
    share.live++;
    this.#all.add(expectation);
    what.task.live.push(expectation);
    if (what.wanted > 0) this.#plan(now, expectation);
    else this.#spend(expectation);
    return expectation.state === "gone" ? undefined : expectation;
  }

  /** More of the same: so many runs more, until then at least. */
  extend(now: number, expectation: Expectation, more: number, from: number, until: number): void {
    expectation.asked += more;
    expectation.wanted += more;
    expectation.until = Math.max(expectation.until, until);
    if (expectation.state === "planned") {
      expectation.from = Math.min(expectation.from, from);
      return this.#plan(now, expectation);
    }
    if (expectation.depth === "ready") this.#hold(expectation, more);
    this.#lookAt(expectation, expectation.until);
    this.#tell(expectation.task);
  }

  /** A run of the task came: it is one of the oldest expectation that has some left. Gives that. */
  arrived(now: number, task: Sign, isAnnounced: boolean): Expectation | undefined {
    const found = pick(task.live, isAnnounced);
    if (found === undefined) return undefined;
    const isHit = found.state === "active" && now >= found.readyAt;
    if (isHit) found.hits++;
    else found.late++;
    found.wanted--;
    this.#endings.came(found, isHit);
    if (found.held > 0) this.#letGo(found, 1);
    if (found.state === "over") this.#end(now, found, "late");
    else if (found.wanted === 0) this.#end(now, found, found.hits > 0 ? "hit" : "early");
    this.#tell(task);
    return found;
  }

  /** It is taken back, as if it had never been. */
  cancel(expectation: Expectation): void {
    this.#release(expectation);
    this.#forget(expectation);
    this.#tell(expectation.task);
  }

  /** What has come due. */
  tick(now: number): void {
    if (now < this.#wakeAt) return;
    this.#wakeAt = Number.POSITIVE_INFINITY;
    for (const expectation of this.#all) {
      if (expectation.at <= now) this.#look(now, expectation);
      if (expectation.state !== "gone") this.#wakeAt = Math.min(this.#wakeAt, expectation.at);
    }
  }

  #look(now: number, expectation: Expectation): void {
    switch (expectation.state) {
      case "planned":
        if (expectation.until > now) return this.#plan(now, expectation);
        return this.#isOver(now, expectation);
      case "active":
        if (expectation.until > now) return this.#lookAt(expectation, expectation.until);
        this.#isOver(now, expectation);
        return this.#tell(expectation.task);
      case "over":
        return this.#end(now, expectation, "wasted");
      case "spent":
        return this.#forget(expectation);
      case "gone":
    }
  }

  #lookAt(expectation: Expectation, at: number): void {
    expectation.at = at;
    this.#wakeAt = Math.min(this.#wakeAt, at);
  }

  /** Begins to prepare, when it is time. */
  #plan(now: number, expectation: Expectation): void {
    const { task, from } = expectation;
    const cost = this.#ports.cost(task.tenant, task.name);
    if (cost === undefined) return this.#pass(expectation);
    const lead = LEAD + 2 * (cost.linkMs + cost.startMs);
    const begins = from - lead;
    if (begins - now <= SOON) return this.#begin(now, expectation, cost);
    this.#lookAt(expectation, begins - now > LOOK_AHEAD ? Math.max(now + SOON, from - Math.max(lead, LOOK_AHEAD)) : begins);
  }

  #begin(now: number, expectation: Expectation, cost: Cost): void {
    const depth = this.#depthOf(expectation, cost, expectation.until - now);
    if (depth === undefined) return this.#pass(expectation);
    expectation.bytes = cost.bytes;
    expectation.since = now;
    expectation.readyAt = now + cost.linkMs + (depth === "ready" ? cost.startMs : 0);
    expectation.state = "active";
    const isLikely = expectation.announcement === undefined || expectation.likelihood >= LIKELY;
    if (depth === "ready") this.#hold(expectation, Math.ceil(expectation.wanted * (isLikely ? 1 : expectation.likelihood)));
    expectation.depth = expectation.held > 0 ? "ready" : "program";
    this.#lookAt(expectation, expectation.until);
    this.#tell(expectation.task);
  }

  /**
   * Instances, where the time that a start is likely to save is worth the memory that one holds until then; linked code, where
   * that is true of linking. What is announced with confidence is not reckoned: whoever announces it wants it.
   */
  #depthOf({ likelihood, announcement }: Expectation, { linkMs, startMs, bytes }: Cost, ms: number): Depth | undefined {
    if (likelihood < UNLIKELY) return undefined;
    if (announcement !== undefined && likelihood >= LIKELY) return "ready";
    const price = ((bytes / MiB) * (ms / 1000)) / this.#limits.worth;
    if (likelihood * startMs >= price) return "ready";
    return likelihood * linkMs >= price || announcement !== undefined ? "program" : undefined;
  }

  /** As many instances more as caps allow. */
  #hold(expectation: Expectation, count: number): void {
    const { tenant } = expectation.task;
    const { tenantInstances, nodeInstances } = this.#limits;
    const share = this.#shareOf(tenant);
    const bytes = Math.max(1, expectation.bytes);
    const room = Math.floor((this.#ports.room(tenant) - share.bytes) / bytes);
    const most = Math.min(count, tenantInstances - share.instances, nodeInstances - this.#instances, room);
    if (most > 0) this.#count(expectation, most);
  }

  #count(expectation: Expectation, more: number): void {
    const share = this.#shareOf(expectation.task.tenant);
    expectation.held += more;
    share.instances += more;
    share.bytes += more * expectation.bytes;
    this.#instances += more;
    this.#bytes += more * expectation.bytes;
  }

  #letGo(expectation: Expectation, count: number): void {
    if (count > 0) this.#count(expectation, -count);
  }

  /** Its window is over: what nobody used goes. */
  #isOver(now: number, expectation: Expectation): void {
    const { state, held, bytes, since } = expectation;
    if (state === "active") {
      const isUnused = expectation.depth === "program" && expectation.hits + expectation.late === 0;
      const waste = ((isUnused ? bytes : held * bytes) * (now - since)) / 1000;
      this.#endings.released(expectation, held, waste);
    }
    this.#release(expectation);
    expectation.state = "over";
    if (expectation.hits + expectation.late > 0) return this.#end(now, expectation, expectation.hits > 0 ? "hit" : "early");
    this.#lookAt(expectation, expectation.until + this.#limits.grace);
    // The driver was away for so long.
    if (expectation.at <= now) this.#end(now, expectation, "wasted");
  }

  #end(now: number, expectation: Expectation, outcome: Outcome): void {
    this.#release(expectation);
    this.#endings.ended(now, expectation, outcome);
    if (expectation.announcement === undefined || expectation.until <= now) return this.#forget(expectation);
    this.#spend(expectation);
  }

  #spend(expectation: Expectation): void {
    expectation.state = "spent";
    this.#lookAt(expectation, expectation.until);
  }

  #pass(expectation: Expectation): void {
    this.#endings.passed(expectation);
    this.#forget(expectation);
  }

  #release(expectation: Expectation): void {
    this.#letGo(expectation, expectation.held);
  }

  #forget(expectation: Expectation): void {
    if (expectation.state === "gone") return;
    expectation.state = "gone";
    const { task } = expectation;
    const at = task.live.indexOf(expectation);
    if (at !== -1) task.live.splice(at, 1);
    this.#all.delete(expectation);
    const share = this.#shareOf(task.tenant);
    if (--share.live === 0) this.#shares.delete(task.tenant);
    this.#endings.forgotten(expectation);
  }

  #shareOf(tenant: string): Share {
    let share = this.#shares.get(tenant);
    if (share === undefined) this.#shares.set(tenant, (share = { instances: 0, bytes: 0, live: 0 }));
    return share;
  }

  #tell({ tenant, name, live, told }: Sign): void {
    let [ready, linked, until] = [0, 0, 0];
    for (const { state, depth, held, wanted, until: end } of live) {
      if (state !== "active" || wanted === 0) continue;
      if (depth === "ready") ready += held;
      else linked += wanted;
      if (held > 0 || depth === "program") until = Math.max(until, end);
    }
    const depth = ready > 0 ? "ready" : "program";
    const count = ready > 0 ? ready : linked;
    if (count === 0 && told.count === 0) return;
    if (told.count === count && told.until === until && told.depth === depth) return;
    told.count = count;
    told.until = until;
    told.depth = depth;
    this.#ports.expect(tenant, name, count, until, depth);
  }
}

/** The oldest that a run can be one of; one that was announced is of an announcement first. */
function pick(live: readonly Expectation[], isAnnounced: boolean): Expectation | undefined {
  let found: Expectation | undefined;
  for (const expectation of live) {
    if (expectation.wanted > 0 && (found === undefined || rank(expectation, isAnnounced) < rank(found, isAnnounced))) found = expectation;
  }
  return found !== undefined && rank(found, isAnnounced) < NONE ? found : undefined;
}

const NONE = 4;

/** Active ones first, then learnt ones that are planned, then those that were over a moment ago. */
function rank({ state, announcement }: Expectation, isAnnounced: boolean): number {
  switch (state) {
    case "active":
      return isAnnounced && announcement === undefined ? 1 : 0;
    case "planned":
      // What is announced for a time is not meant by what runs before.
      return announcement === undefined ? 2 : NONE;
    case "over":
      return 3;
    default:
      return NONE;
  }
}

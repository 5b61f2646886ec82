/**
 * Runs that wait for capacity, and whose turn it is.
 *
 * Tenants take turns by deficit round robin (Shreedhar and Varghese, 1995) in its finest form: the quantum is as small as
 * can be, and a tenant is served as soon as the rounds have paid for what it had before, not before what it wants now
 * (surplus round robin; start-time fair queueing, Goyal, Vin and Cheng, 1996, gives the same order). So whose turn it is
 * does not depend on what waits, and the first that can be served is served. Two tenants of the same weight that could
 * both be served all the time have had the same cost to within that of one run; one of weight 2 has had twice as much. A
 * tenant that cannot be served is passed over and stays ahead, but is owed nothing for the time.
 *
 * Within a tenant, interactive runs go before deferrable ones and otherwise who came first goes first; but a lane (a
 * program) whose first run cannot be served holds up only itself.
 */
import { Agenda } from "./agenda.js";
import type { Priority } from "./types.js";

/** A run that waits. Times are milliseconds of the caller's clock. */
export interface Waiter {
  readonly run: number;
  readonly tenant: string;
  /** A lane is of one tenant. */
  readonly lane: number;
  /** When it has waited long enough; Infinity: never. */
  readonly deadline: number;
  readonly priority: Priority;
  /** What serving it takes from the others, in any unit; more than 0. */
  readonly cost: number;
  readonly since: number;
}

/** A waiter's place in the line of its lane. */
interface Place<W> {
  readonly waiter: W;
  readonly lane: Lane<W>;
  /** Its number among all that ever came. */
  readonly arrival: number;
  before: Place<W> | undefined;
  after: Place<W> | undefined;
}

/** First in, first out, and anyone may leave from the middle. */
class Line<W> {
  first: Place<W> | undefined;
  #last: Place<W> | undefined;

  append(place: Place<W>): void {
    place.before = this.#last;
    if (this.#last === undefined) this.first = place;
    else this.#last.after = place;
    this.#last = place;
  }

  remove({ before, after }: Place<W>): void {
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
  }
}

class Lane<W> {
  readonly interactive = new Line<W>();
  readonly deferrable = new Line<W>();
  size = 0;

  constructor(
    readonly number: number,
    readonly tenant: Tenant<W>,
  ) {}

  get head(): Place<W> | undefined {
    return this.interactive.first ?? this.deferrable.first;
  }
}

class Tenant<W> {
  /** Those with waiters, in the order of their heads. */
  readonly lanes: Lane<W>[] = [];
  size = 0;
  /** It came to this place in the order of turns as so-manyeth: who comes first goes first when two have the same turn. */
  entered = 0;

  /** `turn`: what each unit of weight must have been served before it is this one's turn. */
  constructor(
    readonly name: string,
    public turn: number,
  ) {}
}

/** Tenants that owe turns and have no waiters, before it is worth looking for those that owe no more. */
const ABSENT = 100;

export class FairQueue<W extends Waiter = Waiter> {
  readonly #perTenant: number;
  readonly #places = new Map<number, Place<W>>();
  readonly #lanes = new Map<number, Lane<W>>();
  readonly #tenants = new Map<string, Tenant<W>>();
  /** Tenants with waiters, in the order of their turns. */
  readonly #turns: Tenant<W>[] = [];
  readonly #deadlines = new Agenda<Place<W>>();
  /** Those that are not 1. */
  readonly #weights = new Map<string, number>();
  /** What each unit of weight has been served so far. */
  #served = 0;
  #arrivals = 0;
  #entries = 0;
  #forgetAt = ABSENT;

  /** `perTenant`: most waiters that a tenant may have. */
  constructor(options: { readonly perTenant: number }) {
    this.#perTenant = options.perTenant;
  }

  get size(): number {
    return this.#places.size;
  }

  sizeOf(tenant: string): number {
    return this.#tenants.get(tenant)?.size ?? 0;
  }

  sizeOfLane(lane: number): number {
    return this.#lanes.get(lane)?.size ?? 0;
  }

  get(run: number): W | undefined {
    return this.#places.get(run)?.waiter;
  }

  /** Who is first in a lane. */
  laneHead(lane: number): W | undefined {
    return this.#lanes.get(lane)?.head?.waiter;
  }

  /** A tenant's share beside others; 1 when never set. Counts from the next run that is served. */
  setWeight(tenant: string, weight: number): void {
    if (!(weight > 0 && weight < Number.POSITIVE_INFINITY)) {
      throw new RangeError(`the weight of ${tenant} is more than 0 and finite, not ${weight}`);
    }
    if (weight === 1) this.#weights.delete(tenant);
    else this.#weights.set(tenant, weight);
  }

  /** Puts a run in line; false: its tenant's line is full. */
  push(waiter: W): boolean {
    this.#check(waiter);
    if (this.sizeOf(waiter.tenant) >= this.#perTenant) return false;
    const tenant = this.#tenants.get(waiter.tenant) ?? this.#enter(waiter.tenant);
    if (tenant.size === 0) this.#takeTurn(tenant, Math.max(tenant.turn, this.#served));
    const lane = this.#lanes.get(waiter.lane) ?? this.#open(waiter.lane, tenant);
    const place: Place<W> = { waiter, lane, arrival: this.#arrivals++, before: undefined, after: undefined };
    const head = lane.head;
    lineOf(place).append(place);
    if (lane.head !== head) reorder(lane);
    lane.size++;
    tenant.size++;
    this.#places.set(waiter.run, place);
    this.#deadlines.set(place, waiter.deadline);
    return true;
  }

  /** Takes a run out of line; undefined: it does not wait. */
  remove(run: number): W | undefined {
    const place = this.#places.get(run);
    if (place === undefined) return undefined;
    this.#leave(place);
    return place.waiter;
  }

  /**
   * Takes out whose turn it is among those that can be served. Asks once for each lane, in order and with its head, and
   * serves the first that can; the question must not change the queue.
   */
  take(can: (lane: number, head: W) => boolean): W | undefined {
    for (const tenant of this.#turns) {
      for (const { number, head } of tenant.lanes) {
        if (head === undefined || !can(number, head.waiter)) continue;
        this.#charge(tenant, head.waiter.cost);
        this.#leave(head);
        return head.waiter;
      }
    }
    return undefined;
  }

  /** Takes out those whose deadline has come, the earliest first. */
  expire(now: number): W[] {
    const expired: W[] = [];
    for (let place = this.#deadlines.take(now); place !== undefined; place = this.#deadlines.take(now)) {
      this.#leave(place);
      expired.push(place.waiter);
    }
    return expired;
  }

  /** The earliest deadline; Infinity: there is none. */
  nextDeadline(): number {
    return this.#deadlines.next();
  }

  /** Since when the one waits who has waited longest of the heads of lanes. Looks at every lane. */
  oldestSince(): number | undefined {
    let oldest: number | undefined;
    for (const { interactive, deferrable } of this.#lanes.values()) {
      for (const line of [interactive, deferrable]) {
        const since = line.first?.waiter.since;
        if (since !== undefined && (oldest === undefined || since < oldest)) oldest = since;
      }
    }
    return oldest;
  }

  #check({ run, tenant, lane, cost }: W): void {
    if (this.#places.has(run)) throw new Error(`run ${run} waits already`);
    if (!(cost > 0 && cost < Number.POSITIVE_INFINITY)) {
      throw new RangeError(`the cost of run ${run} is more than 0 and finite, not ${cost}`);
    }
    const owner = this.#lanes.get(lane)?.tenant.name;
    if (owner !== undefined && owner !== tenant) throw new Error(`lane ${lane} is one of ${owner}, not of ${tenant}`);
  }

  #enter(name: string): Tenant<W> {
    const tenant = new Tenant<W>(name, this.#served);
    this.#tenants.set(name, tenant);
    return tenant;
  }

  #open(number: number, tenant: Tenant<W>): Lane<W> {
    const lane = new Lane<W>(number, tenant);
    this.#lanes.set(number, lane);
    return lane;
  }

  #takeTurn(tenant: Tenant<W>, turn: number): void {
    tenant.turn = turn;
    tenant.entered = this.#entries++;
    insert(this.#turns, tenant, comesBefore);
  }

  #charge(tenant: Tenant<W>, cost: number): void {
    this.#served = Math.max(this.#served, tenant.turn);
    drop(this.#turns, tenant);
    this.#takeTurn(tenant, this.#served + cost / (this.#weights.get(tenant.name) ?? 1));
  }

  #leave(place: Place<W>): void {
    const { lane } = place;
    const { tenant } = lane;
    const wasHead = lane.head === place;
    lineOf(place).remove(place);
    if (wasHead) reorder(lane);
    this.#places.delete(place.waiter.run);
    this.#deadlines.delete(place);
    tenant.size--;
    if (--lane.size === 0) this.#lanes.delete(lane.number);
    if (tenant.size === 0) this.#depart(tenant);
  }

  /** A tenant whose turn is not yet is kept in mind: else one that asks for one run at a time would always be new and first. */
  #depart(tenant: Tenant<W>): void {
    drop(this.#turns, tenant);
    if (this.size === 0) {
      this.#tenants.clear();
      this.#served = 0;
    } else if (tenant.turn <= this.#served) this.#tenants.delete(tenant.name);
    else if (this.#tenants.size - this.#turns.length > this.#forgetAt) this.#forget();
  }

  #forget(): void {
    for (const [name, { size, turn }] of this.#tenants) if (size === 0 && turn <= this.#served) this.#tenants.delete(name);
    this.#forgetAt = Math.max(ABSENT, 2 * (this.#tenants.size - this.#turns.length));
  }
}

function lineOf<W extends Waiter>({ waiter, lane }: Place<W>): Line<W> {
  return lane[waiter.priority];
}

/** Puts a lane where its head belongs among its tenant's. */
function reorder<W extends Waiter>(lane: Lane<W>): void {
  const { lanes } = lane.tenant;
  drop(lanes, lane);
  if (lane.head !== undefined) insert(lanes, lane, goesBefore);
}

function comesBefore(a: Tenant<unknown>, b: Tenant<unknown>): boolean {
  return a.turn < b.turn || (a.turn === b.turn && a.entered < b.entered);
}

function goesBefore<W extends Waiter>(a: Lane<W>, b: Lane<W>): boolean {
  const [one, other] = [a.head as Place<W>, b.head as Place<W>];
  if (one.waiter.priority !== other.waiter.priority) return one.waiter.priority === "interactive";
  return one.arrival < other.arrival;
}

/** Inserts into a sorted list, behind its equals. */
function insert<T>(sorted: T[], item: T, before: (a: T, b: T) => boolean): void {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (before(item, sorted[middle] as T)) high = middle;
    else low = middle + 1;
  }
  sorted.splice(low, 0, item);
}

/** Most often it is the first. */
function drop<T>(list: T[], item: T): void {
  const at = list.indexOf(item);
  if (at === 0) list.shift();
  else if (at > 0) list.splice(at, 1);
}

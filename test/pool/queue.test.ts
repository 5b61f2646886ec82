/** The line of runs that wait: who is next, shares of tenants, and random histories. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FairQueue, type Waiter } from "../../src/pool/queue.js";

let lastRun = 0;

/** A waiter of tenant `a`, lane 1, that never gives up, unless said otherwise. */
function waiter(terms: Partial<Waiter> = {}): Waiter {
  return {
    run: ++lastRun,
    tenant: "a",
    lane: 1,
    deadline: Number.POSITIVE_INFINITY,
    priority: "interactive",
    cost: 1,
    since: 0,
    ...terms,
  };
}

function queueOf(...waiters: readonly Waiter[]): FairQueue {
  const queue = new FairQueue({ perTenant: 1000 });
  for (const each of waiters) queue.push(each);
  return queue;
}

const any = (): boolean => true;

/** Everyone in the order in which they are served. */
function order(queue: FairQueue, can: (lane: number) => boolean = any): number[] {
  const runs: number[] = [];
  for (let next = queue.take(can); next !== undefined; next = queue.take(can)) runs.push(next.run);
  return runs;
}

describe("within a tenant", () => {
  it("who comes first goes first, whatever the lane", () => {
    const [one, two, three] = [waiter({ lane: 1 }), waiter({ lane: 2 }), waiter({ lane: 1 })];
    expect(order(queueOf(one, two, three))).toEqual([one.run, two.run, three.run]);
  });

  it("interactive runs go before deferrable ones, also of other lanes", () => {
    const [later, deferrable] = [waiter({ lane: 1, priority: "deferrable" }), waiter({ lane: 2, priority: "deferrable" })];
    const [one, two] = [waiter({ lane: 1 }), waiter({ lane: 2 })];
    expect(order(queueOf(later, deferrable, one, two))).toEqual([one.run, two.run, later.run, deferrable.run]);
  });

  it("a lane that cannot be served holds up only itself", () => {
    const [blocked, behind, other] = [waiter({ lane: 1 }), waiter({ lane: 1 }), waiter({ lane: 2, priority: "deferrable" })];
    const queue = queueOf(blocked, behind, other);
    expect(queue.take((lane) => lane !== 1)).toBe(other);
    expect(queue.take((lane) => lane !== 1)).toBeUndefined();
    expect(order(queue)).toEqual([blocked.run, behind.run]);
  });

  it("each lane is asked once, with its head, and the first that can is served", () => {
    const [one, two, three] = [waiter({ lane: 1 }), waiter({ lane: 2 }), waiter({ lane: 3 })];
    const queue = queueOf(one, waiter({ lane: 1 }), two, three);
    const asked: (readonly [number, number])[] = [];
    const ask = (lane: number, head: Waiter): boolean => {
      asked.push([lane, head.run]);
      return lane === 2;
    };
    expect(queue.take(ask)).toBe(two);
    expect(asked).toEqual([
      [1, one.run],
      [2, two.run],
    ]);
  });

  it("no more than so many wait", () => {
    const queue = new FairQueue({ perTenant: 2 });
    expect([queue.push(waiter()), queue.push(waiter({ lane: 2 })), queue.push(waiter({ lane: 3 }))]).toEqual([true, true, false]);
    expect(queue.push(waiter({ tenant: "b", lane: 4 }))).toBe(true);
    expect([queue.size, queue.sizeOf("a"), queue.sizeOf("b"), queue.sizeOfLane(2), queue.sizeOfLane(3)]).toEqual([3, 2, 1, 1, 0]);
    queue.take(any);
    expect(queue.push(waiter({ lane: 3 }))).toBe(true);
  });

  it("nobody waits where nobody may", () => {
    expect(new FairQueue({ perTenant: 0 }).push(waiter())).toBe(false);
  });
});

describe("a run in line", () => {
  it("is found, is the head of its lane when it is first, and leaves from anywhere", () => {
    const [one, two, three] = [waiter(), waiter(), waiter()];
    const queue = queueOf(one, two, three);
    expect([queue.get(two.run), queue.laneHead(1), queue.laneHead(2)]).toEqual([two, one, undefined]);
    expect(queue.remove(two.run)).toBe(two);
    expect(queue.remove(two.run)).toBeUndefined();
    expect(queue.remove(one.run)).toBe(one);
    expect([queue.get(one.run), queue.laneHead(1)]).toEqual([undefined, three]);
    expect(order(queue)).toEqual([three.run]);
  });

  it("that waits already is not taken in again", () => {
    const one = waiter({ run: 7_000_000 });
    expect(() => queueOf(one, one)).toThrow("run 7000000 waits already");
  });

  it("costs something", () => {
    const because = "the cost of run 7000001 is more than 0 and finite, not";
    for (const cost of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => queueOf(waiter({ run: 7_000_001, cost }))).toThrow(`${because} ${cost}`);
    }
  });

  it("is in a lane of its own tenant", () => {
    expect(() => queueOf(waiter({ lane: 3 }), waiter({ tenant: "b", lane: 3 }))).toThrow("lane 3 is one of a, not of b");
  });

  it("goes at its deadline, the earliest first, and the next deadline is known", () => {
    const [late, soon, never] = [waiter({ deadline: 30 }), waiter({ deadline: 10 }), waiter()];
    const [gone, then] = [waiter({ deadline: 5 }), waiter({ deadline: 20, lane: 2 })];
    const queue = queueOf(late, soon, never, gone, then);
    expect(queue.nextDeadline()).toBe(5);
    queue.remove(gone.run);
    expect([queue.nextDeadline(), queue.expire(9)]).toEqual([10, []]);
    expect(queue.expire(20)).toEqual([soon, then]);
    expect(queue.nextDeadline()).toBe(30);
    expect(queue.expire(1e9)).toEqual([late]);
    expect([queue.nextDeadline(), order(queue)]).toEqual([Number.POSITIVE_INFINITY, [never.run]]);
  });

  it("tells since when the longest has waited", () => {
    const [old, young] = [waiter({ since: 3, priority: "deferrable" }), waiter({ since: 8, tenant: "b", lane: 2 })];
    const queue = queueOf(young, old);
    expect(queue.oldestSince()).toBe(3);
    queue.remove(old.run);
    expect(queue.oldestSince()).toBe(8);
    queue.remove(young.run);
    expect(queue.oldestSince()).toBeUndefined();
  });
});

/** Tenants that always have runs waiting, each in a lane of its own; says what each has been served. */
class Crowd {
  readonly queue = new FairQueue({ perTenant: 10 });
  readonly served: number[] = [];
  readonly #costOf: (tenant: number) => number;

  constructor(tenants: number, costOf: (tenant: number) => number = () => 1) {
    this.#costOf = costOf;
    for (let tenant = 0; tenant < tenants; tenant++) {
      this.served.push(0);
      this.#join(tenant);
      this.#join(tenant);
    }
  }

  /** Serves one; says whom. */
  serve(can: (tenant: number) => boolean = any): number {
    const next = this.queue.take(can) as Waiter;
    this.served[next.lane] = (this.served[next.lane] as number) + next.cost;
    this.#join(next.lane);
    return next.lane;
  }

  #join(tenant: number): void {
    this.queue.push(waiter({ tenant: `tenant ${tenant}`, lane: tenant, cost: this.#costOf(tenant) }));
  }
}

describe("among tenants", () => {
  it("turns are taken one by one when all cost the same", () => {
    const crowd = new Crowd(3);
    expect(Array.from({ length: 6 }, () => crowd.serve())).toEqual([0, 1, 2, 0, 1, 2]);
  });

  it("one with twice the weight gets twice as much, spread evenly", () => {
    const crowd = new Crowd(2);
    crowd.queue.setWeight("tenant 0", 2);
    expect(Array.from({ length: 9 }, () => crowd.serve()).join("")).toMatch(/^(?:001|010|100){3}$/);
    crowd.queue.setWeight("tenant 0", 1);
    const turns = Array.from({ length: 100 }, () => crowd.serve());
    expect(turns.filter((tenant) => tenant === 0).length).toBeCloseTo(50, -0.5);
  });

  it("a weight is a number more than 0", () => {
    for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => queueOf().setWeight("a", weight)).toThrow(`the weight of a is more than 0 and finite, not ${weight}`);
    }
  });

  it("dear runs come seldom and cheap ones often, for the same cost in sum", () => {
    const crowd = new Crowd(2, (tenant) => (tenant === 0 ? 64 : 1));
    for (let i = 0; i < 65 * 20; i++) crowd.serve();
    expect(Math.abs((crowd.served[0] as number) - (crowd.served[1] as number))).toBeLessThanOrEqual(64);
  });

  it("a crowd of one tenant does not hold up another's first run", () => {
    const queue = queueOf(...Array.from({ length: 500 }, () => waiter()));
    for (let i = 0; i < 10; i++) queue.take(any);
    const other = waiter({ tenant: "b", lane: 2 });
    queue.push(other);
    expect([queue.take(any), queue.take(any)]).toContain(other);
  });

  it("one that asks for a single run at a time does not go before one that has many waiting", () => {
    const queue = queueOf(...Array.from({ length: 50 }, () => waiter()), waiter({ tenant: "b", lane: 2 }));
    const served = { a: 0, b: 0 };
    for (let i = 0; i < 40; i++) {
      const next = queue.take(any) as Waiter;
      served[next.tenant as "a" | "b"]++;
      if (next.tenant === "b") queue.push(waiter({ tenant: "b", lane: 2 }));
    }
    expect(served).toEqual({ a: 20, b: 20 });
  });

  it("newcomers, however many, do not hold up who waits already", () => {
    const old = waiter({ tenant: "old", lane: 0 });
    const queue = queueOf(waiter({ tenant: "first", lane: 1 }), old);
    const served: number[] = [];
    for (let i = 2; served.length < 5; i++) {
      for (const next of [i, i + 1000]) queue.push(waiter({ tenant: `new ${next}`, lane: next }));
      served.push((queue.take(any) as Waiter).run);
    }
    expect(served).toContain(old.run);
  });

  it("one that could not be served is next when it can, and gets no more than its share for having waited", () => {
    const crowd = new Crowd(3);
    for (let i = 0; i < 1000; i++) crowd.serve((tenant) => tenant !== 2);
    const after = Array.from({ length: 30 }, () => crowd.serve());
    expect(after[0]).toBe(2);
    expect(after.filter((tenant) => tenant === 2).length).toBe(10);
  });

  it("one that could not be served while thousands came and went is next when it can", () => {
    const queue = queueOf(waiter({ tenant: "stays", lane: 0 }), waiter({ tenant: "stays", lane: 0 }));
    for (let i = 1; i <= 5000; i++) {
      queue.push(waiter({ tenant: `guest ${i}`, lane: i }));
      queue.take((lane) => lane !== 0);
    }
    queue.push(waiter({ tenant: "guest 1", lane: 1 }));
    expect((queue.take(any) as Waiter).tenant).toBe("stays");
    expect([order(queue).length, queue.size]).toEqual([2, 0]);
  });

  it("one that had its turn and comes back is behind those that had none", () => {
    const queue = queueOf(waiter({ tenant: "b", lane: 2 }), waiter(), waiter());
    expect(queue.take((lane) => lane === 2)?.tenant).toBe("b");
    queue.push(waiter({ tenant: "b", lane: 2 }));
    expect([queue.take(any)?.tenant, queue.take(any)?.tenant, queue.take(any)?.tenant]).toEqual(["a", "b", "a"]);
  });

  it("in any history, two of one weight that can always be served stay within the cost of one run", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 5 }),
        fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 20, size: "max" }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 300, size: "max" }),
        (tenants, costs, blocked) => {
          let i = 0;
          const crowd = new Crowd(tenants, () => costs[i++ % costs.length] as number);
          for (const isBlocked of blocked) {
            // The last one can be served now and then.
            crowd.serve((tenant) => tenant < tenants - 1 || !isBlocked);
            const steady = crowd.served.slice(0, -1);
            expect(Math.max(...steady) - Math.min(...steady)).toBeLessThanOrEqual(Math.max(...costs));
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it("in any history, shares go by weight", () => {
    const weight = fc.integer({ min: 1, max: 40 }).map((n) => n / 10);
    const costs = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20, size: "max" });
    fc.assert(
      fc.property(fc.array(weight, { minLength: 2, maxLength: 5 }), costs, (weights, costs) => {
        let i = 0;
        const crowd = new Crowd(weights.length, () => costs[i++ % costs.length] as number);
        for (const [tenant, weight] of weights.entries()) crowd.queue.setWeight(`tenant ${tenant}`, weight);
        for (let step = 0; step < 300; step++) {
          crowd.serve();
          const shares = crowd.served.map((cost, tenant) => cost / (weights[tenant] as number));
          expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(Math.max(...costs) / Math.min(...weights) + 1e-6);
        }
      }),
      { numRuns: 100 },
    );
  });
});

type Step =
  | { readonly kind: "push"; readonly lane: number; readonly deferrable: boolean; readonly patience: number; readonly cost: number }
  | { readonly kind: "take"; readonly lanes: readonly number[] }
  | { readonly kind: "remove"; readonly which: number }
  | { readonly kind: "pass"; readonly ms: number };

const LANES = 7;
const PER_TENANT = 6;
const tenantOf = (lane: number): string => ["a", "a", "a", "b", "b", "c", "d"][lane] as string;

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("push" as const),
      lane: fc.nat(LANES - 1),
      deferrable: fc.boolean(),
      patience: fc.constantFrom(1, 5, 20, Number.POSITIVE_INFINITY),
      cost: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("take" as const), lanes: fc.subarray([0, 1, 2, 3, 4, 5, 6]) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), which: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 8 }) }) },
);

/** The same line as a plain list; judges every answer. */
class Model {
  readonly queue = new FairQueue({ perTenant: PER_TENANT });
  #line: Waiter[] = [];
  #now = 0;

  play(step: Step): void {
    if (step.kind === "push") this.#push(step);
    if (step.kind === "take") this.#take(new Set(step.lanes));
    if (step.kind === "remove") this.#remove(step.which);
    if (step.kind === "pass") this.#pass(step.ms);
    this.#compare();
  }

  #push({ lane, deferrable, patience, cost }: Extract<Step, { kind: "push" }>): void {
    const [tenant, priority] = [tenantOf(lane), deferrable ? ("deferrable" as const) : ("interactive" as const)];
    const each = waiter({ lane, tenant, priority, cost, deadline: this.#now + patience, since: this.#now });
    const fits = this.#line.filter((other) => other.tenant === tenant).length < PER_TENANT;
    expect(this.queue.push(each)).toBe(fits);
    if (fits) this.#line.push(each);
  }

  #take(lanes: ReadonlySet<number>): void {
    const asked = new Set<number>();
    const taken = this.queue.take((lane, head) => {
      expect(asked.has(lane)).toBe(false);
      asked.add(lane);
      expect(head).toBe(this.#head(lane));
      return lanes.has(lane);
    });
    const possible = this.#line.filter((each) => lanes.has(each.lane));
    if (taken === undefined) return expect(possible).toEqual([]);
    expect(taken).toBe(first(possible.filter((each) => each.tenant === taken.tenant)));
    this.#line = this.#line.filter((each) => each !== taken);
  }

  #remove(which: number): void {
    const each = this.#line[which % Math.max(1, this.#line.length)];
    if (each === undefined) return;
    expect(this.queue.remove(each.run)).toBe(each);
    this.#line = this.#line.filter((other) => other !== each);
  }

  #pass(ms: number): void {
    this.#now += ms;
    const expired = this.queue.expire(this.#now);
    const due = this.#line.filter((each) => each.deadline <= this.#now);
    expect(new Set(expired)).toEqual(new Set(due));
    expect(expired.map((each) => each.deadline)).toEqual(due.map((each) => each.deadline).sort((a, b) => a - b));
    this.#line = this.#line.filter((each) => each.deadline > this.#now);
  }

  #head(lane: number): Waiter | undefined {
    return first(this.#line.filter((each) => each.lane === lane));
  }

  #compare(): void {
    const { queue } = this;
    expect(queue.size).toBe(this.#line.length);
    for (const each of this.#line) expect(queue.get(each.run)).toBe(each);
    for (const tenant of ["a", "b", "c", "d"]) {
      expect(queue.sizeOf(tenant)).toBe(this.#line.filter((each) => each.tenant === tenant).length);
    }
    for (let lane = 0; lane < LANES; lane++) {
      expect(queue.laneHead(lane)).toBe(this.#head(lane));
      expect(queue.sizeOfLane(lane)).toBe(this.#line.filter((each) => each.lane === lane).length);
    }
    expect(queue.nextDeadline()).toBe(Math.min(Number.POSITIVE_INFINITY, ...this.#line.map((each) => each.deadline)));
    expect(queue.oldestSince()).toBe(this.#line.length === 0 ? undefined : Math.min(...this.#line.map((each) => each.since)));
  }
}

/** Who goes first of those that are in the order of their coming. */
function first(line: readonly Waiter[]): Waiter | undefined {
  return line.find((each) => each.priority === "interactive") ?? line[0];
}

describe("in any history", () => {
  it("nobody is lost or served twice, each lane keeps its order, and no bound is passed", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150, size: "max" }), (steps) => {
        const model = new Model();
        for (const each of steps) model.play(each);
      }),
      { numRuns: 200 },
    );
  });
});

describe("with 10,000 runs in line", () => {
  it("a step costs about what it costs with 100", () => {
    const [few, many] = [linePacer(100), linePacer(10_000)];
    // The quickest of several rounds each, in turn, so that what else the machine does cancels out.
    let [hundred, thousands] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let round = 0; round < 15; round++) {
      hundred = Math.min(hundred, few());
      thousands = Math.min(thousands, many());
    }
    expect(thousands / hundred).toBeLessThan(12);
  });
});

/** Times 2,000 steps (one comes, one is served; one comes, one leaves) on a line of so many, of 10 tenants with 3 lanes each. */
function linePacer(size: number): () => number {
  const queue = new FairQueue({ perTenant: 100_000 });
  let count = 0;
  const join = (): number => {
    const lane = ++count % 30;
    const each = waiter({ lane, tenant: `tenant ${lane % 10}`, deadline: 1e6 + ((count * 7919) % 10_007) });
    queue.push(each);
    return each.run;
  };
  for (let i = 0; i < size; i++) join();
  return () => {
    const begin = performance.now();
    for (let i = 0; i < 2000; i++) {
      join();
      queue.take(any);
      queue.remove(join());
      queue.nextDeadline();
    }
    return performance.now() - begin;
  };
}

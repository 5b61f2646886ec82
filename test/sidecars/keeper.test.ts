/** Which sidecars stand, and how long: the policy alone, over a clock and ports that the test has. */
import { describe, expect, it } from "vitest";
import { Random } from "../../bench/soak/support/random.js";
import { Keeper, type Unit, type Want } from "../../src/sidecars/keeper.js";

class Bench {
  now = 0;
  readonly done: string[] = [];
  readonly current = new Set<string>();
  readonly starting: Unit[] = [];
  readonly stopping: Unit[] = [];
  readonly keeper = new Keeper({
    start: (unit) => {
      this.done.push(`start ${unit.id}`);
      this.starting.push(unit);
    },
    stop: (unit) => {
      this.done.push(`stop ${unit.id}`);
      this.stopping.push(unit);
    },
    kill: (unit) => void this.done.push(`kill ${unit.id}`),
    pause: (unit) => void this.done.push(`pause ${unit.id}`),
    resume: (unit) => void this.done.push(`resume ${unit.id}`),
    isCurrent: ({ want }) => !this.current.has(want.what),
  });

  want(parts: Partial<Want> = {}): Want {
    return { what: "auth v1", scope: "task", owner: "t/main", instances: 1, idle: 1000, make: () => undefined, ...parts };
  }

  attach(main: number, parts: Partial<Want> = {}): Unit {
    const unit = this.keeper.attach(this.now, main, this.want(parts));
    if ("unavailable" in unit) throw new Error(unit.unavailable);
    return unit;
  }

  up(main: number, parts: Partial<Want> = {}): Unit {
    const unit = this.attach(main, parts);
    this.keeper.standing(this.now, unit);
    return unit;
  }

  later(ms: number): this {
    this.now += ms;
    this.keeper.tick(this.now);
    return this;
  }
}

describe("a shared unit", () => {
  it("is one for all runs of its owner, and goes an idle time after the last", () => {
    const bench = new Bench();
    const unit = bench.up(1);
    expect(bench.attach(2)).toBe(unit);
    bench.keeper.release(bench.now, 1);
    bench.later(5000);
    expect(unit.state).toBe("standing");
    bench.keeper.release(bench.now, 2);
    bench.later(999);
    expect(unit.state).toBe("standing");
    expect(bench.keeper.nextWake()).toBe(bench.now + 1);
    bench.later(1);
    expect(unit.state).toBe("stopping");
    bench.keeper.ended(bench.now, unit, undefined);
    expect([unit.state, bench.keeper.size]).toEqual(["gone", 0]);
  });

  it("is another for another owner, another version and another configuration", () => {
    const bench = new Bench();
    const units = [bench.up(1), bench.up(1, { owner: "t/other" }), bench.up(1, { what: "auth v2" })];
    expect(new Set(units).size).toBe(3);
  });

  it("is more than one only where it may be, and while those there are busy", () => {
    const bench = new Bench();
    const first = bench.up(1, { instances: 2 });
    expect(bench.attach(2, { instances: 2 })).toBe(first);
    bench.keeper.standing(bench.now, bench.starting[1] as Unit);
    const second = bench.attach(3, { instances: 2 });
    expect(second).not.toBe(first);
    for (let main = 4; main < 10; main++) bench.attach(main, { instances: 2 });
    expect(bench.starting).toHaveLength(2);
    expect(Math.abs(first.mains.size - second.mains.size)).toBeLessThanOrEqual(1);
  });

  it("of a version that is not the one any more goes with its last run, or at once", () => {
    const bench = new Bench();
    const unit = bench.up(1);
    bench.current.add("auth v1");
    bench.later(1);
    expect(unit.state).toBe("standing");
    bench.keeper.release(bench.now, 1);
    expect(unit.state).toBe("stopping");
  });

  it("is replaced when it has stood for long, without a run that waits for the new one", () => {
    const bench = new Bench();
    const old = bench.up(1);
    bench.later(600_000);
    expect(bench.attach(2)).toBe(old);
    const fresh = bench.starting[1] as Unit;
    bench.keeper.standing(bench.now, fresh);
    expect(bench.attach(3)).toBe(fresh);
    bench.keeper.release(bench.now, 1);
    bench.keeper.release(bench.now, 2);
    expect(old.state).toBe("stopping");
  });

  it("pauses when all of its runs do, and goes on with the first", () => {
    const bench = new Bench();
    const unit = bench.up(1);
    bench.attach(2);
    expect(bench.keeper.pause(1)).toEqual([]);
    expect(bench.keeper.pause(2)).toEqual([unit]);
    expect(unit.state).toBe("paused");
    expect(bench.keeper.resume(1)).toEqual([unit]);
    expect(unit.state).toBe("standing");
  });
});

describe("a run's own unit", () => {
  it("stops when the run lets it go, the last one first", () => {
    const bench = new Bench();
    bench.up(1, { scope: "request" });
    bench.up(1, { scope: "request", what: "log v1" });
    bench.keeper.release(bench.now, 1);
    expect(bench.done.slice(2)).toEqual(["stop 2", "stop 1"]);
  });

  it("that has not started by then stops once it has", () => {
    const bench = new Bench();
    const unit = bench.attach(1, { scope: "request" });
    bench.keeper.release(bench.now, 1);
    expect(unit.state).toBe("starting");
    bench.keeper.standing(bench.now, unit);
    expect(unit.state).toBe("stopping");
  });

  it("that does not stop in its time is ended, once", () => {
    const bench = new Bench();
    bench.up(1, { scope: "request" });
    bench.keeper.release(bench.now, 1);
    bench.later(4999);
    expect(bench.done).not.toContain("kill 1");
    bench.later(1).later(1000);
    expect(bench.done.filter((what) => what === "kill 1")).toHaveLength(1);
  });

  it("tells who waits that it has started, or why it has not", () => {
    const bench = new Bench();
    const told: string[] = [];
    const unit = bench.attach(1, { scope: "request" });
    unit.whenStarted(() => told.push(`${unit.state} ${unit.reason}`));
    bench.keeper.ended(bench.now, unit, "it traps");
    expect(told).toEqual(["gone it traps"]);
  });
});

describe("what fails", () => {
  it("is tried again at once, then after a pause that grows, and is as before once it has worked for a while", () => {
    const bench = new Bench();
    const fail = (): void => bench.keeper.ended(bench.now, bench.attach(1), "it traps");
    const pause = (): number => {
      const unit = bench.keeper.attach(bench.now, 1, bench.want());
      return "unavailable" in unit ? Number(/in (\d+) ms/.exec(unit.unavailable)?.[1]) : 0;
    };
    for (let i = 0; i < 3; i++) fail();
    expect(pause()).toBe(100);
    bench.later(100);
    fail();
    expect(pause()).toBe(200);
    for (let i = 0; i < 20; i++) {
      bench.later(10_000);
      fail();
    }
    expect(pause()).toBe(10_000);
    bench.later(10_000);
    const unit = bench.up(1);
    for (let i = 0; i < 20; i++) bench.keeper.worked(unit);
    bench.keeper.ended(bench.now, unit, "it traps");
    expect(pause()).toBe(0);
  });

  it("in a call of one run alone keeps nobody else from starting one", () => {
    const bench = new Bench();
    for (let main = 0; main < 20; main++) bench.keeper.ended(bench.now, bench.up(main, { scope: "request" }), "it traps");
    expect(bench.attach(99, { scope: "request" }).state).toBe("starting");
  });

  it("is forgotten after a minute without", () => {
    const bench = new Bench();
    for (let i = 0; i < 3; i++) bench.keeper.ended(bench.now, bench.attach(1), "it traps");
    bench.later(61_000);
    bench.keeper.ended(bench.now, bench.attach(1), "it traps");
    expect(bench.attach(1).state).toBe("starting");
  });
});

it("once it is closed starts nothing, and what has no run stops", () => {
  const bench = new Bench();
  const [idle, busy] = [bench.up(1), bench.up(2, { owner: "t/other" })];
  bench.keeper.release(bench.now, 1);
  bench.keeper.close(bench.now);
  expect([idle.state, busy.state]).toEqual(["stopping", "standing"]);
  expect(bench.keeper.attach(bench.now, 3, bench.want())).toEqual({ unavailable: "the node is shutting down" });
  bench.keeper.release(bench.now, 2);
  expect(busy.state).toBe("stopping");
});

/** Whatever happens in whatever order, these hold. */
it("never gives a run another owner's unit or one that goes, never forgets one, in 20,000 random steps", () => {
  const bench = new Bench();
  const random = new Random(20261126);
  const mains = new Map<number, { unit: Unit; want: Want }[]>();
  const units = new Set<Unit>();
  let next = 1;
  for (let step = 0; step < 20_000; step++) {
    const live = [...mains.keys()];
    const waiting = [...units].filter(({ state }) => state === "starting");
    const leaving = [...units].filter(({ state }) => state === "stopping");
    switch (random.below(8)) {
      case 0:
      case 1: {
        const main = live.length > 0 && random.chance(0.3) ? random.pick(live) : next++;
        const want = bench.want({
          scope: random.pick(["request", "task", "tenant"] as const),
          owner: `t/${random.below(3)}`,
          what: `auth v${random.below(3)}`,
          instances: 1 + random.below(2),
        });
        const unit = bench.keeper.attach(bench.now, main, want);
        if ("unavailable" in unit) break;
        expect(["stopping", "gone"]).not.toContain(unit.state);
        expect(unit.outdated).toBe(false);
        expect([unit.want.owner, unit.want.what, unit.want.scope]).toEqual([want.owner, want.what, want.scope]);
        if (want.scope === "request") expect([...unit.mains]).toEqual([main]);
        units.add(unit);
        for (const started of bench.starting.splice(0)) units.add(started);
        mains.set(main, [...(mains.get(main) ?? []), { unit, want }]);
        break;
      }
      case 2:
        if (live.length > 0) {
          const main = random.pick(live);
          mains.delete(main);
          bench.keeper.release(bench.now, main);
        }
        break;
      case 3:
        if (waiting.length > 0) bench.keeper.standing(bench.now, random.pick(waiting));
        break;
      case 4:
        if (leaving.length > 0) bench.keeper.ended(bench.now, random.pick(leaving), undefined);
        break;
      case 5:
        if (random.chance(0.2) && units.size > 0) bench.keeper.ended(bench.now, random.pick([...units]), "it traps");
        break;
      case 6:
        if (live.length > 0) {
          const main = random.pick(live);
          if (random.chance(0.5)) bench.keeper.pause(main);
          else bench.keeper.resume(main);
        }
        break;
      default:
        bench.later(random.below(2000));
    }
    for (const unit of units) if (unit.state === "gone") units.delete(unit);
    expect(bench.keeper.size).toBe(units.size);
    for (const { mains: own, state, want } of units) {
      // Nobody's own stays without its run, and a shared one that has runs goes for none of them.
      if (want.scope === "request" && own.size === 0) expect(["starting", "stopping"]).toContain(state);
      if (state === "stopping") expect(own.size).toBe(0);
      if (state === "paused") expect(own.size).toBeGreaterThan(0);
    }
  }
  for (const main of mains.keys()) bench.keeper.release(bench.now, main);
  bench.keeper.close(bench.now);
  for (const unit of units) {
    bench.keeper.standing(bench.now, unit);
    expect(unit.state).toBe("stopping");
    bench.keeper.ended(bench.now, unit, undefined);
  }
  expect([bench.keeper.size, bench.keeper.nextWake()]).toEqual([0, Number.POSITIVE_INFINITY]);
});

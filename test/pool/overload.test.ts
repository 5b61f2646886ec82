/** When the processors are the limit, in steps by hand, in a simulation of two workers, and in a pool. */
import { describe, expect, it } from "vitest";
import { Overload, type OverloadOptions } from "../../src/pool/overload.js";
import { generator, Processors, Report, type Random, type Trial, type Work } from "./processors.js";
import { Script } from "./script.js";

/**
 * An overload detector by hand: time passes in steps of 5 ms, in each of which one run ends and another starts. A sudden
 * load is not known before its interval is over.
 */
class Hand {
  readonly overload: Overload;
  now = 0;

  constructor(options: Partial<OverloadOptions> = {}) {
    this.overload = new Overload({ parallelism: 2, crowd: Number.POSITIVE_INFINITY, ...options });
  }

  /** So many go on, all the time; each waited so many milliseconds. */
  pass(ms: number, running: number, wait: number): this {
    for (const end = this.now + ms; this.now < end; this.now += 5) {
      this.overload.ended(this.now, running - 1);
      this.overload.sample(this.now, wait * 1e6, this.now - wait);
      this.overload.started(this.now, running);
    }
    return this;
  }

  /** As many go on as the limit lets. */
  passAtLimit(ms: number, wait: number): this {
    for (const end = this.now + ms; this.now < end;) this.pass(5, Math.min(1000, this.overload.limit), wait);
    return this;
  }

  /** More runs than two processors can take, until there is a limit. */
  static overloaded(options: Partial<OverloadOptions> = {}): Hand {
    return new Hand(options).pass(205, 40, 50);
  }
}

describe("at first", () => {
  it("any number may run and wait", () => {
    const { overload } = new Hand();
    expect([overload.limit, overload.isOverloaded(0), overload.admits(1e6)]).toEqual([Number.POSITIVE_INFINITY, false, true]);
    expect([overload.patience(0, 1e6), overload.completionRate, overload.retryAfterMs(1e6)]).toEqual([Number.POSITIVE_INFINITY, 0, 1000]);
  });
});

describe("a limit", () => {
  it("is set when nearly all runs of an interval waited too long", () => {
    const { overload, now } = Hand.overloaded();
    expect(overload.isOverloaded(now)).toBe(true);
    expect(overload.limit).toBeLessThan(40);
    expect([overload.admits(overload.limit - 1), overload.admits(overload.limit)]).toEqual([true, false]);
  });

  it("is set before an interval is over when a crowd has come and eight in a row waited", () => {
    const hand = new Hand({ crowd: 8 }).pass(20, 4, 0.1).pass(50, 16, 50);
    expect(hand.overload.limit).toBe(Number.POSITIVE_INFINITY);
    expect(hand.pass(5, 16, 50).overload.limit).toBeLessThan(16);
    const [few, mixed] = [new Hand({ crowd: 8 }).pass(95, 15, 50), new Hand({ crowd: 8 })];
    for (let i = 0; i < 2; i++) mixed.pass(45, 16, 50).pass(5, 16, 0.1);
    expect([few.overload.limit, mixed.overload.limit]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  });

  it("is not set when a fifth of them did not wait", () => {
    const hand = new Hand();
    for (let i = 0; i < 100; i++) hand.pass(20, 40, 50).pass(5, 40, 0.1);
    expect(hand.overload.limit).toBe(Number.POSITIVE_INFINITY);
  });

  it("is set though many others end that began when there was no line, and by such alone when there are no newer", () => {
    const [hand, alone] = [new Hand(), new Hand()];
    for (let i = 0; i < 41; i++) {
      for (let other = 0; other < 5; other++) hand.overload.sample(hand.now, 1e4, hand.now - 5000);
      hand.pass(5, 40, 50);
      alone.overload.started(i * 5, 40);
      alone.overload.sample(i * 5, 50e6, i * 5 - 5000);
    }
    expect(hand.overload.limit).toBeLessThan(40);
    expect(alone.overload.limit).toBeLessThan(40);
  });

  it("is not set while few long guests take turns", () => {
    expect(new Hand().pass(2000, 11, 50).overload.limit).toBe(Number.POSITIVE_INFINITY);
  });

  it("goes down by what long guests in line can be told from, though few of them start", () => {
    const { overload } = new Hand();
    for (let now = 0; now <= 100; now += 50) {
      overload.started(now, 100);
      overload.sample(now, 400e6, now);
    }
    // 400 ms are 40 turns on each of two processors.
    expect(overload.limit).toBeLessThanOrEqual(60);
  });

  it("goes down while all wait, but never below the processors", () => {
    const hand = new Hand({ parallelism: 3 }).pass(205, 60, 30);
    const limits = [hand.overload.limit];
    // Waits that end with the last run too many.
    for (let i = 0; i < 30; i++) {
      hand.passAtLimit(100, hand.overload.limit > 3 ? 30 : 0.1);
      limits.push(hand.overload.limit);
    }
    expect(limits[1]).toBeLessThan(limits[0] as number);
    expect(Math.min(...limits)).toBe(3);
  });

  it("stays where some wait and some do not", () => {
    const hand = Hand.overloaded();
    const { limit } = hand.overload;
    for (let i = 0; i < 40; i++) hand.passAtLimit(10, 10).passAtLimit(10, 0.1);
    expect(hand.overload.limit).toBe(limit);
  });

  it("goes up in steps that double while it binds and few wait, little by little within each", () => {
    const hand = Hand.overloaded();
    const limits = [hand.overload.limit];
    for (let i = 0; i < 4; i++) {
      hand.passAtLimit(100, 0.1);
      limits.push(hand.overload.limit);
    }
    const steps = limits.slice(1).map((limit, i) => limit - (limits[i] as number));
    expect(steps).toEqual([1, 2, 4, 8]);
    expect(hand.overload.admits(hand.overload.limit - 1)).toBe(false);
    expect(hand.pass(50, 2, 0.1).overload.admits(hand.overload.limit - 1)).toBe(true);
  });

  it("is lifted when it has not bound for 300 ms and nobody waits", () => {
    const hand = Hand.overloaded();
    expect(hand.pass(250, 3, 0.1).overload.limit).not.toBe(Number.POSITIVE_INFINITY);
    expect(hand.overload.isOverloaded(hand.now)).toBe(false);
    expect(hand.pass(200, 3, 0.1).overload.limit).toBe(Number.POSITIVE_INFINITY);
  });

  it("binds no more once nobody has come for an interval, though nothing is told", () => {
    const { overload, now } = Hand.overloaded();
    overload.ended(now, 0);
    expect(overload.isOverloaded(now)).toBe(true);
    expect(overload.isOverloaded(now + 100)).toBe(true); // it did bind in the interval that ends here
    expect(overload.isOverloaded(now + 200)).toBe(false);
  });

  it("is lifted when nothing has happened for long", () => {
    const hand = Hand.overloaded();
    hand.overload.ended(hand.now, 0);
    hand.overload.lag(hand.now + 60_000, 0);
    expect(hand.overload.limit).toBe(Number.POSITIVE_INFINITY);
  });

  it("stays although it does not bind, while all wait", () => {
    const hand = Hand.overloaded().pass(100, 4, 0.1);
    expect(hand.pass(2000, 4, 20).overload.limit).not.toBe(Number.POSITIVE_INFINITY);
  });

  it("does not move for waits that began before it was set", () => {
    const hand = Hand.overloaded();
    const { overload, now } = hand;
    const { limit } = overload;
    for (let i = 1; i < 40; i++) {
      overload.started(now + i * 10, limit);
      overload.sample(now + i * 10, 50e6, now - 100);
    }
    expect(overload.limit).toBe(limit);
  });

  it("rises over runs that sleep, of which none has ended, and not over such that compute", () => {
    const rise = (busy: number | undefined): number => {
      const hand = Hand.overloaded();
      const before = hand.overload.limit;
      for (let i = 0; i < 10; i++) {
        hand.now += 50;
        hand.overload.started(hand.now, hand.overload.limit);
        if (busy !== undefined) hand.overload.busy(hand.now, busy);
      }
      return hand.overload.limit - before;
    };
    expect(rise(0.1)).toBeGreaterThan(5);
    expect([rise(1), rise(undefined)]).toEqual([0, 0]);
  });

  it("takes its numbers from the options", () => {
    expect(new Hand({ targetMs: 60 }).pass(1000, 40, 50).overload.limit).toBe(Number.POSITIVE_INFINITY);
    expect(new Hand({ intervalMs: 400 }).pass(395, 40, 50).overload.limit).toBe(Number.POSITIVE_INFINITY);
    expect(new Hand({ intervalMs: 20 }).pass(30, 40, 50).overload.limit).toBeLessThan(40);
    const hand = Hand.overloaded({ maxWaitMs: 4 });
    expect(hand.overload.patience(hand.now, 0)).toBe(4);
  });
});

describe("who arrives in overload", () => {
  it("may wait two fifths as long as a run takes under the limit, 15 ms at most", () => {
    const hand = Hand.overloaded();
    expect(hand.overload.completionRate).toBeCloseTo(200, -1);
    expect(hand.overload.patience(hand.now, 0)).toBeCloseTo((0.4 * hand.overload.limit * 1000) / hand.overload.completionRate);
    const slow = new Hand().pass(205, 200, 500);
    expect(slow.overload.patience(slow.now, 0)).toBe(15);
    const quick = new Hand();
    for (; quick.now < 215; quick.now += 0.1) {
      quick.overload.ended(quick.now, 49);
      quick.overload.sample(quick.now, 3e6, quick.now - 3);
      quick.overload.started(quick.now, 50);
    }
    const { overload } = quick;
    const takes = (overload.limit * 1000) / overload.completionRate;
    expect(overload.patience(quick.now, 0) / takes).toBeCloseTo(0.4);
    expect(overload.patience(quick.now, 0)).toBeLessThan(15);
  });

  it("is refused at once when those before it take longer than that", () => {
    const hand = Hand.overloaded();
    expect([1, 2, 3, 4, 100].map((queued) => hand.overload.patience(hand.now, queued) > 0)).toEqual([true, true, false, false, false]);
  });

  it("hears that it may try again when what is too much has drained, in 1 to 30 seconds", () => {
    const hand = Hand.overloaded();
    expect(hand.overload.retryAfterMs(0)).toBe(1000);
    expect(hand.overload.retryAfterMs(1000)).toBeGreaterThan(4500);
    expect(hand.overload.retryAfterMs(1000)).toBeLessThan(6500);
    expect(hand.overload.retryAfterMs(1e6)).toBe(30_000);
  });
});

describe("the event loop", () => {
  it("that is late all the time is a limit, down to what it has been seen to finish in that time", () => {
    const hand = new Hand();
    for (let i = 0; i < 400; i++) hand.pass(5, Math.min(100, hand.overload.limit), 0.1).overload.lag(hand.now, 40);
    // 200 a second are 2 in the 10 ms that it may be late: no fewer than the processors.
    expect(hand.overload.limit).toBeLessThan(10);
  });

  it("that is late now and then, or always a little, is none", () => {
    const [now, always] = [new Hand(), new Hand()];
    for (let i = 0; i < 40; i++) {
      now.pass(100, 100, 0.1).overload.lag(now.now, i % 2 === 0 ? 500 : 1);
      always.pass(100, 100, 0.1).overload.lag(always.now, 9);
    }
    expect([now.overload.limit, always.overload.limit]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  });
});

describe("time", () => {
  it("that goes back does no harm", () => {
    const hand = Hand.overloaded();
    const { limit } = hand.overload;
    hand.overload.started(hand.now - 10_000, limit);
    hand.overload.ended(hand.now - 10_000, limit - 1);
    expect([hand.overload.limit, hand.overload.patience(hand.now - 10_000, 0)]).toEqual([limit, hand.overload.patience(hand.now, 0)]);
  });

  it("is told cheaply: a start and an end take less than a microsecond", () => {
    const { overload } = new Hand();
    let quickest = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 20; round++) {
      const begin = performance.now();
      for (let i = 0; i < 10_000; i++) {
        overload.started(round * 100 + i / 100, 2);
        overload.ended(round * 100 + i / 100, 1);
      }
      quickest = Math.min(quickest, performance.now() - begin);
    }
    expect(quickest / 10_000).toBeLessThan(0.001);
  });
});

type Service = (random: Random) => number;

/** 5 ms each. */
const even: Service = () => 5;
/** 5 ms in the mean; a bounded Pareto law from 1.725 ms to 1 s with exponent 1.5: one in 800 takes more than 150 ms. */
const heavyTailed: Service = (random) => 1.725 * (1 - random() * (1 - (1.725 / 1000) ** 1.5)) ** (-1 / 1.5);
/** Two workers, 5 ms each: what they can do in a second. */
const CAPACITY = 400;
const WARM_UP = 1000;
const SEEDS = [1, 2, 3];

function trial(terms: Partial<Trial>): readonly ReturnType<Processors["play"]>[number][] {
  return new Processors({
    seed: 1,
    overload: new Overload({ parallelism: terms.workers ?? 2 }),
    rate: () => CAPACITY,
    work: () => ({ compute: 5, sleep: 0 }),
    until: 20_000,
    ...terms,
  }).play();
}

function load(service: Service, times: number, seed: number, until = 20_000): Report {
  const work = (_now: number, random: Random): Work => ({ compute: service(random), sleep: 0 });
  return new Report(trial({ seed, until, work, rate: () => CAPACITY * times }), WARM_UP, until);
}

describe.each([
  ["5 ms each", even],
  ["heavy-tailed", heavyTailed],
] as const)("two workers, service %s", (_name, service) => {
  it.each([1.4, 2, 5])("at %f times what they can do, what is served stays quick, most is used, the rest is refused soon", (times) => {
    for (const seed of SEEDS) {
      const unloaded = load(service, 0.3, seed);
      const report = load(service, times, seed + 100);
      expect(report.percentile(99) / unloaded.percentile(99)).toBeLessThanOrEqual(3);
      expect(report.used()).toBeGreaterThanOrEqual(0.85);
      expect(report.slowestRefusal).toBeLessThanOrEqual(50);
      expect(report.served.length + report.refused.length).toBe(report.arrived);
    }
  });

  it("at all that they can do, three quarters of it and more is served, as quickly", () => {
    for (const seed of SEEDS) {
      const report = load(service, 1, seed);
      expect(report.used()).toBeGreaterThanOrEqual(0.78);
      expect(report.percentile(99) / load(service, 0.3, seed).percentile(99)).toBeLessThanOrEqual(3);
    }
  });

  it("at half of it, nobody is refused", () => {
    const reports = [1, 2, 3, 4, 5, 6].map((seed) => load(service, 0.5, seed));
    const sum = (of: (report: Report) => number): number => reports.reduce((total, report) => total + of(report), 0);
    expect(sum((report) => report.refused.length) / sum((report) => report.arrived)).toBeLessThan(0.001);
  });

  it("when the load falls, the limit is gone within 2 seconds", () => {
    for (const seed of SEEDS) {
      const overload = new Overload({ parallelism: 2 });
      const limits = new Map<number, number>();
      trial({
        seed,
        overload,
        until: 9000,
        rate: (now) => CAPACITY * (now < 5000 ? 2 : 0.3),
        work: (_now, random) => ({ compute: service(random), sleep: 0 }),
        watch: (now) => limits.set(now, overload.limit),
      });
      expect(limits.get(4950)).toBeLessThan(10);
      for (const [now, limit] of limits) if (now >= 7000) expect(limit).toBe(Number.POSITIVE_INFINITY);
    }
  });
});

describe("five times what the processors can do, from one moment to the next", () => {
  it("is met with the first limit: who arrives half a second later does not wait for the crowd that came before", () => {
    for (const seed of SEEDS) {
      const runs = trial({ seed, until: 4000, rate: (now) => CAPACITY * (now < 2000 ? 0.3 : 5) });
      expect(new Report(runs, 2500, 3000).percentile(99)).toBeLessThan(90);
      expect(new Report(runs, 2000, 4000).slowestRefusal).toBeLessThanOrEqual(50);
    }
  });
});

describe("runs that sleep", () => {
  it("are never limited, thousands at once", () => {
    let most = 0;
    const runs = trial({
      until: 15_000,
      rate: () => 1000,
      work: () => ({ compute: 0.5, sleep: 5000 }),
      watch: (_now, running) => (most = Math.max(most, running)),
    });
    expect(most).toBeGreaterThan(4500);
    expect(new Report(runs, 0, 15_000).refused).toEqual([]);
  });

  it("get their places within 2 seconds after others have overloaded the processors", () => {
    for (const seed of SEEDS) {
      const runs = trial({
        seed,
        rate: (now) => (now < 5000 ? 2 * CAPACITY : 200),
        work: (now) => (now < 5000 ? { compute: 5, sleep: 0 } : { compute: 0.2, sleep: 5000 }),
      });
      expect(new Report(runs, 7000, 20_000).refused).toEqual([]);
    }
  });

  it("beside too many that compute, leave most of the processors in use", () => {
    for (const seed of SEEDS) {
      const work = (_now: number, random: Random): Work =>
        random() < 0.5 ? { compute: 0.2, sleep: -2000 * Math.log(1 - random()) } : { compute: 5, sleep: 0 };
      const runs = trial({ seed, until: 30_000, work, rate: () => 2 * 1.4 * CAPACITY });
      expect(new Report(runs, 8000, 30_000).used()).toBeGreaterThan(0.55);
      const computing = new Report(
        runs.filter((run) => run.sleep === 0),
        8000,
        30_000,
      );
      expect(computing.percentile(99)).toBeLessThan(60);
    }
  });
});

describe("runs that compute for 300 ms", () => {
  it("do not pile up, though each tells what it waited only when it is done", () => {
    for (const seed of SEEDS) {
      let most = 0;
      const watch = (now: number, running: number): void => void (most = now > 5000 ? Math.max(most, running) : 0);
      const runs = trial({ seed, watch, until: 100_000, work: () => ({ compute: 300, sleep: 0 }), rate: () => 2 * (2000 / 300) });
      expect(most).toBeLessThan(80);
      expect(new Report(runs, 5000, 100_000).used()).toBeGreaterThan(0.85);
    }
  });
});

describe("eight workers", () => {
  it("are held as two are", () => {
    const at = (times: number): Report => {
      const runs = trial({ workers: 8, until: 10_000, rate: () => 4 * CAPACITY * times });
      return new Report(runs, WARM_UP, 10_000);
    };
    const report = at(2);
    expect(report.percentile(99) / at(0.3).percentile(99)).toBeLessThanOrEqual(4);
    expect(report.used(8)).toBeGreaterThan(0.95);
    expect(at(0.5).refused).toEqual([]);
  });
});

describe("waits that fewer runs do not make shorter", () => {
  it("are no reason to refuse for long", () => {
    // Whatever it is that takes 6 ms, be it another process on the machine.
    const report = new Report(trial({ latency: 6, rate: () => 4000, work: () => ({ compute: 0.2, sleep: 0 }) }), 3000, 20_000);
    expect(report.refused.length / report.arrived).toBeLessThan(0.001);
  });

  it("are forgotten when they are over", () => {
    const hand = Hand.overloaded();
    for (let i = 0; i < 20; i++) hand.passAtLimit(100, 30);
    expect(hand.overload.limit).toBe(Number.POSITIVE_INFINITY);
    expect(hand.pass(200, 40, 25).overload.limit).toBe(Number.POSITIVE_INFINITY);
    hand.pass(200, 3, 0.1).pass(200, 40, 25);
    expect(hand.overload.limit).toBeLessThan(40);
  });
});

/**
 * One thread that starts, ends and refuses runs in turns, in front of workers that are quick: the event loop is the
 * limit. Microseconds for each, as a start script or a proxy may need them.
 */
function loopBound(times: number, overload: Overload): { served: number; arrived: number; latency: number } {
  const [start, end, refuse] = [0.05, 0.04, 0.02];
  const random = generator(7);
  const [from, until] = [2000, 8000];
  let [now, next, timer] = [0, 0, 20];
  let going: { readonly arrived: number; readonly started: number; readonly ends: number }[] = [];
  const latencies: number[] = [];
  let arrived = 0;
  while (now < until) {
    const begin = now;
    if (now >= timer) {
      overload.lag(now, now - timer);
      timer = now + 20;
    }
    for (; next <= begin; next -= Math.log(1 - random()) * ((start + end) / times)) {
      if (next >= from) arrived++;
      const isIn = overload.admits(going.length);
      now += isIn ? start : refuse;
      if (!isIn) continue;
      going.push({ arrived: next, started: now, ends: now + 0.1 });
      overload.started(now, going.length);
    }
    const ended = going.filter(({ ends }) => ends <= begin);
    going = going.filter(({ ends }) => ends > begin);
    for (const [i, run] of ended.entries()) {
      now += end;
      overload.ended(now, going.length + ended.length - i - 1);
      overload.sample(now, 1e4, run.started);
      if (run.arrived >= from) latencies.push(now - run.arrived);
    }
    if (now === begin) now += 0.02;
  }
  latencies.sort((a, b) => a - b);
  const served = (latencies.length / (until - from)) * (start + end);
  return { served, arrived: (arrived / (until - from)) * (start + end), latency: latencies[Math.floor(latencies.length * 0.99)] as number };
}

describe("an event loop that has more to do than it can", () => {
  it("serves most of what it could, and without the limit nobody in time", () => {
    const held = loopBound(1.4, new Overload({ parallelism: 2 }));
    const free = loopBound(1.4, new Overload({ parallelism: 2, targetMs: 1e9 }));
    expect(held.served).toBeGreaterThan(0.75);
    expect(held.latency).toBeLessThan(150);
    expect(free.latency).toBeGreaterThan(1000);
  });

  it("is left alone at half of what it can do", () => {
    const overload = new Overload({ parallelism: 2 });
    const { served, arrived } = loopBound(0.5, overload);
    expect(served / arrived).toBeGreaterThan(0.99);
    expect(overload.limit).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("a pool in overload", () => {
  /** Ten runs of program 1 go on, which are more than may, and `waiting` more of them wait. */
  function overloaded(slots: number): Script {
    const script = new Script({ queue: 1000, slots });
    script.instant = true;
    script.add(1, { concurrency: 1000 });
    script.overload(1);
    return script;
  }

  const refusals = (commands: readonly string[]): string[] => commands.filter((command) => command.startsWith("refuse "));

  it("refuses soon what arrives behind waiting runs of its own program, however long that would wait for room", () => {
    const script = overloaded(100);
    expect(script.pool.counts().waiting).toBeGreaterThan(0);
    const runs = [1, 2, 3, 4, 5];
    const told = runs.flatMap((run) => script.demand(run, 1, script.now + 10_000));
    told.push(...script.pass(script.now + 15));
    for (const run of runs) expect(refusals(told)).toContain(`refuse ${run} overloaded`);
    expect(script.pool.counts().waiting).toBe(0);
  });

  it("lets what waits for room in a reserve wait behind others, for the processors are not what it waits for", () => {
    const script = overloaded(100);
    script.add(2, { tenant: "b", pool: "dedicated" });
    script.step({ kind: "terms", tenant: "b", terms: { dedicated: 1, variableCeiling: 0, weight: 1 } });
    const told = Array.from({ length: 14 }, (_, run) => script.demand(run, 2)).flat();
    told.push(...script.pass(script.now + 100));
    expect(refusals(told).filter((command) => Number(command.split(" ")[1]) < 14)).toEqual([]);
    expect(script.pool.counts().waiting).toBe(4);
  });
});

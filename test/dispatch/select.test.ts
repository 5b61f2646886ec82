/** Who gets a call: constructed cases, and histories in which providers change. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Costs } from "../../src/dispatch/costs.js";
import { choose, type Contender, type Outlook, type Selection } from "../../src/dispatch/select.js";
import { parsePreference } from "../../src/base/preference.js";
import { Random } from "../../bench/soak/support/random.js";

const READY: Outlook = { rung: "own/ready", startMs: 0, refillMs: 0, queueMs: 0, running: 0, waiting: 0, concurrency: 10, pressure: 1 };
const NEVER: Selection = { samples: 4, explore: 0, exploreUnknown: 0 };

interface Made extends Partial<Outlook> {
  readonly ms?: number;
  readonly memory?: number;
}

function contender(provider: string, { ms = 1, memory = 1, ...outlook }: Made): Contender {
  return { provider, version: "v1", estimate: { serviceMs: ms, memoryMibMs: memory, observed: 5 }, outlook: { ...READY, ...outlook } };
}

/** The names in the order in which they would be asked. */
function order(made: Readonly<Record<string, Made>>, preference = 1): string[] {
  const all = Object.entries(made).map(([name, of]) => contender(name, of));
  return choose(
    all,
    (each) => each,
    preference,
    () => 0.5,
    NEVER,
  ).order.map(({ provider }) => provider);
}

describe("a choice", () => {
  it("goes to the faster one where both are as warm", () => {
    expect(order({ slow: { ms: 3 }, fast: { ms: 2 } })).toEqual(["fast", "slow"]);
  });

  it("goes to a slow one that is ready before a fast one that is not, and the other way round once that is warm", () => {
    const slow = { ms: 10 };
    expect(order({ slow, fast: { ms: 1, startMs: 50 } })).toEqual(["slow", "fast"]);
    expect(order({ slow, fast: { ms: 1 } })).toEqual(["fast", "slow"]);
  });

  it("goes by what the caller weighs", () => {
    const made = { quick: { ms: 1, memory: 100 }, lean: { ms: 10, memory: 5 } };
    expect([1, 0.9, 0].map((weight) => order(made, weight)[0])).toEqual(["quick", "quick", "lean"]);
    expect(order(made, 0.5)[0]).toBe("lean");
  });

  it("counts what a run takes longer because of others, and the line before it", () => {
    expect(order({ a: { ms: 2, pressure: 4 }, b: { ms: 3 } })[0]).toBe("b");
    expect(order({ a: { ms: 2, queueMs: 5 }, b: { ms: 3 } })[0]).toBe("b");
  });

  it("avoids the most crowded of four, however cheap", () => {
    const made = { crowded: { ms: 1, running: 9 }, a: { ms: 5 }, b: { ms: 6, running: 1 }, c: { ms: 7, running: 2 } };
    expect(order(made)).toEqual(["a", "b", "c", "crowded"]);
  });

  it("says what it was made from", () => {
    const { decision } = choose(
      ["a", "b"],
      (name) => contender(name, { ms: name === "a" ? 4 : 2 }),
      1,
      () => 0.5,
      NEVER,
    );
    expect(decision).toMatchObject({
      explored: false,
      why: "cheapest of 2",
      considered: [
        { provider: "b", execMs: 2, score: 1, hot: false },
        { provider: "a", execMs: 4, score: 2, hot: false },
      ],
    });
    expect(
      choose(
        ["a"],
        (name) => contender(name, {}),
        1,
        () => 0.5,
      ).decision.why,
    ).toBe("the only one");
  });

  it("has each candidate once at most, and none that it was not given, whatever they are", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ ms: fc.double({ min: 0, max: 1e4, noNaN: true }), running: fc.nat(20), startMs: fc.nat(100) }), {
          minLength: 1,
          maxLength: 30,
        }),
        fc.nat(1e6),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (made, seed, weight) => {
          const random = new Random(seed, 0);
          const all = made.map((of, i) => contender(String(i), of));
          const { order: given, decision } = choose(
            all,
            (each) => each,
            weight,
            () => random.below(2 ** 32) / 2 ** 32,
          );
          expect(new Set(given).size).toBe(given.length);
          expect(given.length).toBe(Math.min(4, all.length));
          expect(given.every((each) => all.includes(each))).toBe(true);
          expect(decision.considered.map(({ provider }) => provider)).toEqual(given.map(({ provider }) => provider));
        },
      ),
    );
  });

  it("looks at four of a thousand, and at each of them as often as at any other", () => {
    const seen = new Map<number, number>();
    const random = new Random(7, 0);
    const all = Array.from({ length: 1000 }, (_, i) => i);
    for (let i = 0; i < 25_000; i++)
      choose(
        all,
        (n) => (seen.set(n, (seen.get(n) ?? 0) + 1), contender(String(n), {})),
        1,
        () => random.below(2 ** 32) / 2 ** 32,
      );
    expect(seen.size).toBe(1000);
    expect([Math.min(...seen.values()), Math.max(...seen.values())]).toEqual([
      expect.toSatisfy((n: number) => n > 55),
      expect.toSatisfy((n: number) => n < 155),
    ]);
  });
});

describe("a provider that becomes ten times slower", () => {
  it("loses at least 95 of the next 100 calls, and has them again when it recovers", () => {
    const costs = new Costs();
    const random = new Random(20261126, 0);
    const names = ["a", "b", "c"];
    const usual = [2, 3, 4];
    let factor = 1;
    let now = 0;
    const call = (): string => {
      const chosen = choose(
        names,
        (name) => ({ ...contender(name, {}), estimate: costs.estimate(names.indexOf(name), "f", 10, now) }),
        1,
        () => random.below(2 ** 32) / 2 ** 32,
      ).order[0] as string;
      const at = names.indexOf(chosen);
      const serviceMs = (usual[at] as number) * (at === 0 ? factor : 1) * (0.8 + random.below(400) / 1000);
      now += serviceMs;
      costs.observe(at, "f", { bytes: 10, serviceMs, memoryMibMs: serviceMs }, now);
      return chosen;
    };
    const share = (calls: number): number => Array.from({ length: calls }, call).filter((name) => name === "a").length / calls;
    share(500);
    expect(share(200)).toBeGreaterThan(0.95);
    factor = 10;
    share(10);
    expect(share(100)).toBeLessThanOrEqual(0.05);
    factor = 1;
    share(3000);
    expect(share(200)).toBeGreaterThan(0.9);
  });
});

describe("an estimate", () => {
  const seen = (bytes: number, serviceMs: number) => ({ bytes, serviceMs, memoryMibMs: serviceMs });

  it("is the prior until something was seen, and drifts back to what is usual when nothing is any more", () => {
    const costs = new Costs();
    expect(costs.estimate(1, "f", 0, 0)).toMatchObject({ serviceMs: 1, observed: 0 });
    for (let i = 0; i < 20; i++) {
      costs.observe(1, "f", seen(1, 100), i);
      costs.observe(2, "f", seen(1, 10), i);
    }
    expect(costs.estimate(1, "f", 1, 20).serviceMs).toBeGreaterThan(95);
    for (let i = 0; i < 200; i++) costs.observe(2, "f", seen(1, 10), 100_000 + i);
    expect(costs.estimate(1, "f", 1, 100_200).serviceMs).toBeLessThan(20);
    expect(costs.estimate(3, "f", 1, 100_200).serviceMs).toBeLessThan(15);
  });

  it("takes one run that something held up for little, and many for what they are", () => {
    const costs = new Costs();
    for (let i = 0; i < 20; i++) costs.observe(1, "f", seen(1, 1), i);
    costs.observe(1, "f", seen(1, 1000), 20);
    expect(costs.estimate(1, "f", 1, 20).serviceMs).toBeLessThan(1.3);
    for (let i = 21; i < 60; i++) costs.observe(1, "f", seen(1, 1000), i);
    expect(costs.estimate(1, "f", 1, 60).serviceMs).toBeGreaterThan(900);
  });

  it("goes by the size of the input where that predicts better, and not where it does not", () => {
    const costs = new Costs();
    for (let i = 0; i < 60; i++) costs.observe(1, "f", seen(i % 2 === 0 ? 10 : 10_000, i % 2 === 0 ? 1 : 50), i);
    expect(costs.estimate(1, "f", 10, 60).serviceMs).toBeLessThan(5);
    expect(costs.estimate(1, "f", 10_000, 60).serviceMs).toBeGreaterThan(40);
  });
});

it.each([
  ["time", 1],
  ["memory", 0],
  ["time=0.7", 0.7],
  ["time=1.5", undefined],
  ["speed", undefined],
  ["time=", undefined],
])("a preference of %s is %s", (text, weight) => {
  expect(parsePreference(text)).toBe(weight);
});

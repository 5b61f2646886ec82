/** When work that can wait starts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide, type DecideInput, type Decision } from "../../src/deferral/decide.js";

const HOUR = 3_600_000;
const NOON = 12 * HOUR;

function decided(fields: Partial<DecideInput> = {}): Decision {
  return decide({
    now: NOON,
    insensitive: { request: true },
    runMs: 100,
    horizonMs: 4 * HOUR,
    demandNow: 10,
    demand: (from) => (from < NOON + 2 * HOUR ? 10 : 2),
    priceAt: () => 1,
    ...fields,
  });
}

describe("work that can wait", () => {
  it("is put off where demand is high now and low later, to the first time that is best", () => {
    expect(decided()).toEqual({
      start: { at: NOON + 2 * HOUR },
      why: "demand and price are 80 % lower then",
      now: { at: NOON, demand: 10, price: 1, cost: 10 },
      best: { at: NOON + 2 * HOUR, demand: 2, price: 1, cost: 2 },
      latest: NOON + 4 * HOUR,
    });
  });

  it.each<[string, Partial<DecideInput>]>([
    ["it cannot wait", { insensitive: {} }],
    ["no later time is a fifth better", { demand: (from) => (from < NOON + HOUR ? 10 : 9) }],
    ["nothing else goes on", { demandNow: 0, demand: () => 0 }],
    ["it is to start soon in any case", { notAfter: NOON + 10 * 60_000 }],
    ["it is to start soon in any case", { notAfter: NOON - HOUR }],
    ["it may not wait long enough", { insensitive: { triggerMs: 60_000 } }],
    ["nothing is forecast, and no later price is a fifth lower", { demand: () => undefined }],
  ])("starts at once because %s", (why, fields) => {
    const decision = decided(fields);
    expect([decision.start, decision.why]).toEqual(["now", why]);
    expect(decision.latest).toBeGreaterThanOrEqual(NOON);
  });

  it("is put off by price alone where nothing is forecast", () => {
    const priceAt = (time: number): number => (time >= NOON + HOUR ? 0.5 : 1);
    expect(decided({ demand: () => undefined, priceAt })).toMatchObject({
      start: { at: NOON + HOUR },
      why: "the price is 50 % lower then",
    });
  });

  it("starts by the latest time that was said, and by its trigger's", () => {
    expect(decided({ notAfter: NOON + HOUR }).start).toBe("now");
    expect(decided({ notAfter: NOON + 3 * HOUR }).latest).toBe(NOON + 3 * HOUR - 100 - 2000);
    expect(decided({ insensitive: { triggerMs: 3 * HOUR } }).latest).toBe(NOON + 3 * HOUR);
    // All of the time that is given counts, up to a day.
    expect(decided({ notAfter: NOON + 9 * HOUR }).latest).toBe(NOON + 9 * HOUR - 100 - 2000);
    expect(decided({ notAfter: NOON + 99 * HOUR }).latest).toBe(NOON + 24 * HOUR);
    expect(decided({ insensitive: { triggerMs: 99 * HOUR } }).latest).toBe(NOON + 24 * HOUR);
  });

  it("is never put off to a time that is not better, too late, or past", () => {
    const figures = fc.array(fc.option(fc.float({ min: 0, max: 100, noNaN: true }), { nil: undefined }), { minLength: 20, maxLength: 20 });
    const prices = fc.array(fc.float({ min: 0, max: 10, noNaN: true }), { minLength: 20, maxLength: 20 });
    fc.assert(
      fc.property(figures, prices, fc.nat(5 * HOUR), fc.nat(100), (demands, costs, notAfter, demandNow) => {
        const slot = (at: number): number => Math.min(19, Math.max(0, Math.floor((at - NOON) / (15 * 60_000))));
        const decision = decided({
          demandNow,
          notAfter: NOON + notAfter,
          demand: (from) => demands[slot(from)],
          priceAt: (time) => costs[slot(time)] as number,
        });
        if (decision.start === "now") return;
        expect(decision.start.at).toBeGreaterThan(NOON);
        expect(decision.start.at).toBeLessThanOrEqual(decision.latest);
        expect(decision.latest).toBeLessThanOrEqual(NOON + notAfter);
        expect(decision.best?.cost).toBeLessThanOrEqual(decision.now.cost * 0.8);
      }),
    );
  });
});

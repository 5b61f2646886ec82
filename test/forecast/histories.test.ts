/** Random histories: what holds whatever happens. */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Demand } from "../../src/forecast/forecast.js";
import { createForecast } from "../../src/forecast/history.js";

const DAY = 86_400_000;

/** From a microsecond to years, backwards too. */
const lapse = fc.oneof(
  fc.constantFrom(0, 1, 999, 1000, 60_000, 300_000, DAY, 15 * DAY, 1e15),
  fc.double({ min: 0, max: 5000, noNaN: true }),
  fc.double({ min: 0, max: 3 * DAY, noNaN: true }),
  fc.double({ min: -DAY, max: 0, noNaN: true }),
);
const step = fc.record({ kind: fc.constantFrom("arrived", "arrived", "ended", "look"), lapse });
/** Steps one by one, and with one of them many times over, so that beats and profiles come up. */
const history = fc
  .array(fc.record({ step, times: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.nat(80) }) }), {
    maxLength: 40,
  })
  .map((parts) => parts.flatMap(({ step, times }) => Array.from({ length: times }, () => step)));
const options = { profileAfter: 10 };

function check(demand: Demand, now: number, running: number): void {
  expect(demand.running).toBe(running);
  for (const horizon of [0, 60_000, DAY, Infinity]) {
    const peak = demand.peak(now, horizon);
    expect(peak).toBeGreaterThanOrEqual(running);
    expect(peak).toBeLessThan(Infinity);
  }
  const rate = demand.rate(now);
  expect(rate).toBeGreaterThanOrEqual(0);
  expect(rate).toBeLessThan(Infinity);
  const expected = demand.next(now);
  if (expected === undefined) return;
  expect(expected.until).toBeGreaterThanOrEqual(Math.max(now, expected.from));
  expect(expected.until).toBeLessThan(Infinity);
  expect(expected.likelihood).toBeGreaterThanOrEqual(0.5);
  expect(expected.likelihood).toBeLessThanOrEqual(1);
}

it("numbers stay numbers, running is exact, and the peak is never below it", () => {
  fc.assert(
    fc.property(history, (steps) => {
      const demand = createForecast(options).of("any");
      let now = 0;
      let latest = 0;
      let running = 0;
      for (const { kind, lapse } of steps) {
        now += lapse;
        if (kind === "arrived") {
          demand.arrived(now);
          running++;
        } else if (kind === "ended") {
          demand.ended(now);
          running = Math.max(0, running - 1);
        }
        latest = demand.lastArrival ?? latest;
        check(demand, Math.max(now, latest), running);
      }
    }),
    { numRuns: 400 },
  );
});

it("asking changes nothing: who was asked at every step answers as who was never asked", () => {
  fc.assert(
    fc.property(history, (steps) => {
      const asked = createForecast(options).of("asked");
      const told = createForecast(options).of("told");
      let now = 0;
      for (const { kind, lapse } of steps) {
        now += lapse;
        if (kind !== "look") for (const demand of [asked, told]) demand[kind](now);
        asked.next(now + 2 * DAY);
        asked.peak(now + 3 * DAY, DAY);
        asked.rate(now + DAY);
        asked.next(now);
      }
      expect(asked.next(now)).toEqual(told.next(now));
      expect(asked.peak(now, 3_600_000)).toBe(told.peak(now, 3_600_000));
      expect(asked.rate(now)).toBe(told.rate(now));
    }),
    { numRuns: 400 },
  );
});

it("a month after the last run nothing is expected", () => {
  fc.assert(
    fc.property(history, (steps) => {
      const demand = createForecast(options).of("any");
      let now = 0;
      let latest = 0;
      for (const { kind, lapse } of steps) {
        latest = Math.max(latest, (now += lapse));
        if (kind !== "look") demand[kind](now);
      }
      while (demand.running > 0) demand.ended(latest);
      const later = latest + 30 * DAY;
      // A pattern of gaps longer than a month is one still.
      fc.pre(demand.next(later) === undefined);
      expect(demand.peak(later, 60_000)).toBeLessThan(0.5);
      expect(demand.rate(later)).toBeLessThan(1e-6);
    }),
    { numRuns: 400 },
  );
});

import { describe, expect, it } from "vitest";
import type { Demand } from "../../src/forecast/forecast.js";
import { createForecast } from "../../src/forecast/history.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Some midnight, as milliseconds since 1970. */
const MIDNIGHT = 20_000 * DAY;
const wall = (now: number): number => MIDNIGHT + now;
const demand = (options = {}): Demand => createForecast({ wall, ...options }).of("shop");

/** Ten minutes from `start`: twenty at once, of a minute each. */
function rush(shop: Demand, start: number): void {
  for (let minute = 0; minute < 10; minute++) {
    for (let i = 0; i < 20; i++) shop.arrived(start + minute * MINUTE + 10 * i);
    for (let i = 0; i < 20; i++) shop.ended(start + minute * MINUTE + 50_000 + 10 * i);
  }
}

/** A rush from nine on each of these days. */
function days(shop: Demand, ...numbers: number[]): void {
  for (const day of numbers) rush(shop, day * DAY + 9 * HOUR);
}

describe("the time of day", () => {
  it("is learnt over three days, and lifts the peak before the fourth day's rush", () => {
    const shop = demand();
    days(shop, 0, 1, 2);
    const fourth = 3 * DAY + 9 * HOUR;
    expect(shop.peak(fourth - 2 * HOUR, 10 * MINUTE)).toBeLessThan(0.5);
    expect(shop.peak(fourth - 2 * MINUTE, 5 * MINUTE)).toBeCloseTo(20, 4);
    expect(shop.peak(fourth - 2 * MINUTE, MINUTE)).toBeLessThan(0.5);
    expect(shop.peak(fourth + 9 * MINUTE, MINUTE)).toBeCloseTo(20, 4);
    expect(shop.peak(fourth + 11 * MINUTE, MINUTE)).toBeLessThan(0.5);
  });

  it("is not believed after two days", () => {
    const shop = demand();
    days(shop, 0, 1);
    expect(shop.peak(2 * DAY + 9 * HOUR - 2 * MINUTE, 5 * MINUTE)).toBeLessThan(0.5);
  });

  it("is not looked at for a name with few runs", () => {
    const shop = demand({ profileAfter: 1000 });
    days(shop, 0, 1, 2);
    expect(shop.peak(3 * DAY + 9 * HOUR - 2 * MINUTE, 5 * MINUTE)).toBeLessThan(0.5);
  });

  it("does not count what happened on one day of three", () => {
    const shop = demand();
    days(shop, 0, 1);
    for (let minute = 0; minute < 5; minute++) {
      shop.arrived(2 * DAY + 15 * HOUR + minute * MINUTE);
      shop.ended(2 * DAY + 15 * HOUR + minute * MINUTE);
    }
    days(shop, 3);
    expect(shop.peak(5 * DAY + 15 * HOUR, MINUTE)).toBeLessThan(0.5);
  });

  it("keeps more than half over a free weekend, and nothing over two weeks", () => {
    const shop = demand();
    days(shop, 0, 1, 2, 3, 4);
    expect(shop.peak(7 * DAY + 9 * HOUR, MINUTE)).toBeGreaterThan(8);
    expect(shop.peak(7 * DAY + 9 * HOUR, MINUTE)).toBeLessThan(15);
    expect(shop.peak(25 * DAY + 9 * HOUR, MINUTE)).toBeLessThan(0.5);
    days(shop, 30);
    expect(shop.peak(31 * DAY + 9 * HOUR, MINUTE)).toBeLessThan(0.5);
    days(shop, 31, 32);
    expect(shop.peak(33 * DAY + 9 * HOUR - MINUTE, 2 * MINUTE)).toBeCloseTo(20, 4);
  });

  it("counts what goes on through a slot without an event in it", () => {
    const shop = demand();
    rush(shop, 15 * HOUR);
    for (const day of [1, 2, 3]) {
      for (let i = 0; i < 7; i++) shop.arrived(day * DAY + 12 * HOUR);
      for (let i = 0; i < 7; i++) shop.ended(day * DAY + 14 * HOUR);
    }
    expect(shop.peak(4 * DAY + 13 * HOUR + MINUTE, MINUTE)).toBeCloseTo(7, 4);
    expect(shop.peak(4 * DAY + 11 * HOUR, MINUTE)).toBeLessThan(0.5);
  });

  it("that was asked for before something happened is reckoned anew after it", () => {
    const shop = demand();
    rush(shop, 15 * HOUR);
    for (let i = 0; i < 7; i++) shop.arrived(DAY);
    const noon = 4 * DAY + 12 * HOUR;
    expect(shop.peak(noon, 0)).toBe(7);
    for (let i = 0; i < 7; i++) shop.ended(noon + 1000);
    expect(shop.peak(noon + 4.9 * MINUTE, 0)).toBeGreaterThan(5);

    days(shop, 5, 6, 7);
    for (let i = 0; i < 20; i++) shop.arrived(8 * DAY + 9 * HOUR);
    const ahead = shop.peak(9 * DAY + 9 * HOUR, 0);
    for (let i = 0; i < 40; i++) shop.arrived(8 * DAY + 9 * HOUR + 1000);
    for (let i = 0; i < 60; i++) shop.ended(8 * DAY + 9 * HOUR + 2000);
    expect(shop.peak(9 * DAY + 9 * HOUR, 0)).toBeGreaterThan(ahead + 5);
  });

  it("looks a day ahead at most, and over midnight", () => {
    const shop = demand();
    for (const day of [0, 1, 2]) rush(shop, day * DAY + 5 * MINUTE);
    expect(shop.peak(3 * DAY - 5 * MINUTE, 11 * MINUTE)).toBeCloseTo(20, 4);
    expect(shop.peak(3 * DAY - 5 * MINUTE, 9 * MINUTE)).toBeLessThan(0.5);
    expect(shop.peak(2 * DAY + 12 * HOUR, Infinity)).toBeCloseTo(20, 4);
  });

  it("starts over when the wall clock is set back by more than an hour, and waits when it is less", () => {
    let set = 0;
    const shop = demand({ wall: (now: number) => MIDNIGHT + 100 * DAY + now + set });
    days(shop, 0, 1, 2);
    set = -30 * MINUTE;
    days(shop, 3);
    expect(shop.peak(4 * DAY + 9 * HOUR, MINUTE)).toBeGreaterThan(4);
    set = -50 * DAY;
    days(shop, 4);
    expect(shop.peak(5 * DAY + 9 * HOUR, MINUTE)).toBeLessThan(0.5);
    days(shop, 5, 6);
    expect(shop.peak(7 * DAY + 9 * HOUR, MINUTE)).toBeCloseTo(20, 4);
  });

  it.each([Number.NaN, Infinity, -Infinity, -1e15])("that is no time (%s) lifts nothing", (odd) => {
    let broken = true;
    const shop = demand({ wall: (now: number) => (broken ? odd : wall(now)) });
    days(shop, 0, 1, 2, 3);
    expect(shop.peak(4 * DAY, DAY)).toBeLessThan(0.5);
    broken = false;
    days(shop, 4, 5, 6);
    expect(shop.peak(7 * DAY + 9 * HOUR, MINUTE)).toBeCloseTo(20, 4);
  });
});

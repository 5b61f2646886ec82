import { describe, expect, it } from "vitest";
import type { FieldError } from "../../src/base/problem.js";
import { USUAL_PRICES, priceAt, resolvePrices, type Prices } from "../../src/config/prices.js";
import { readConfig } from "../../src/config/schema.js";

function resolved(prices: object): { prices: Prices; faults: string[] } {
  const faults: FieldError[] = [];
  const found = resolvePrices(readConfig(JSON.stringify({ prices }), "file").prices, faults);
  return { prices: found, faults: faults.map(({ field, message }) => `${field}: ${message}`) };
}

/** Milliseconds since 1970 of a local time of day. */
const at = (text: string): number => new Date(`2030-03-05T${text}:30`).getTime();

describe("a price", () => {
  it("is 1 where nothing is said", () => {
    expect(resolved({})).toEqual({ prices: USUAL_PRICES, faults: [] });
    for (const pool of ["shared", "dedicated", "variable"] as const) expect(priceAt(USUAL_PRICES, pool, at("12:00"))).toBe(1);
  });

  it("is a sub-pool's own, at all times", () => {
    const { prices } = resolved({ shared: 0, variable: 0.25 });
    expect((["shared", "dedicated", "variable"] as const).map((pool) => priceAt(prices, pool, at("03:00")))).toEqual([0, 1, 0.25]);
  });

  it.each([
    ["00:00", 0.5],
    ["05:59", 0.5],
    ["06:00", 1.5],
    ["07:59", 1.5],
    ["08:00", 2],
    ["17:59", 2],
    ["18:00", 1.5],
    ["21:59", 1.5],
    ["22:00", 0.5],
    ["23:59", 0.5],
  ])("at %s local time is %d, windows past midnight too", (time, price) => {
    const { prices, faults } = resolved({
      shared: [{ from: "08:00", to: "18:00", price: 2 }, { price: 1.5 }, { from: "22:00", to: "06:00", price: 0.5 }],
    });
    expect(faults).toEqual([]);
    expect(priceAt(prices, "shared", at(time))).toBe(price);
  });

  it("outside of the windows is 1 where nothing else is said", () => {
    const { prices } = resolved({ variable: [{ from: "08:00", to: "18:00", price: 3 }] });
    expect([at("12:00"), at("20:00")].map((time) => priceAt(prices, "variable", time))).toEqual([3, 1]);
  });
});

describe("windows that contradict each other are refused by their place", () => {
  it.each<[object[], string[]]>([
    [[{ from: "08:00", price: 1 }], ['prices.shared[0]: a window has "from" and "to"; leave both out for the rest of the day']],
    [[{ to: "08:00", price: 1 }], ['prices.shared[0]: a window has "from" and "to"; leave both out for the rest of the day']],
    [
      [{ from: "08:00", to: "08:00", price: 1 }],
      ["prices.shared[0]: from 08:00 to 08:00 is no time at all; leave both out for the whole day"],
    ],
    [[{ price: 1 }, { price: 2 }], ["prices.shared[1]: prices.shared[0] says already what holds outside of the windows"]],
    [
      [
        { from: "22:00", to: "06:00", price: 1 },
        { from: "05:59", to: "09:00", price: 2 },
      ],
      ["prices.shared[1]: overlaps with prices.shared[0]; a minute has one price"],
    ],
    [
      [
        { from: "10:00", to: "11:00", price: 1 },
        { from: "09:00", to: "12:00", price: 2 },
      ],
      ["prices.shared[1]: overlaps with prices.shared[0]; a minute has one price"],
    ],
  ])("%j", (shared, lines) => expect(resolved({ shared }).faults).toEqual(lines));

  it("and those that touch do not overlap", () => {
    const shared = [
      { from: "06:00", to: "12:00", price: 1 },
      { from: "12:00", to: "06:00", price: 2 },
    ];
    expect(resolved({ shared }).faults).toEqual([]);
  });
});

import { describe, expect, it } from "vitest";
import { median, percentile, ratio, rotated, spread } from "../../bench/support/statistics.js";

describe("the median", () => {
  it("is the value in the middle, whatever the order", () => expect(median([9, 1, 5])).toBe(5));
  it("is the mean of the two in the middle of an even number", () => expect(median([4, 1, 3, 2])).toBe(2.5));
  it("orders by value, not as text", () => expect(median([10, 9, 100])).toBe(10));
  it("of nothing is an error", () => expect(() => median([])).toThrow("there is nothing to take the middle of"));
  it("leaves what it is given alone", () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe("a percentile", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  it.each([
    [50, 50],
    [99, 99],
    [100, 100],
    [1, 1],
    [0.5, 1],
  ])("%d of 1 to 100 is %d", (percent, value) => {
    expect(percentile(hundred, percent)).toBe(value);
  });
  it("is always a value that was measured", () => expect(percentile([1, 2], 50)).toBe(1));
  it("of one value is that value", () => expect(percentile([7], 99)).toBe(7));
  it("of typed arrays is the same", () => expect(percentile(Float64Array.from(hundred), 99)).toBe(99));
  it("does not lose a rank to rounding", () =>
    expect(
      percentile(
        Array.from({ length: 1000 }, (_, i) => i + 1),
        99.9,
      ),
    ).toBe(999));
  it.each([0, -1, 101, Number.NaN])("%d is none", (percent) => expect(() => percentile([1], percent)).toThrow(RangeError));
});

describe("a ratio", () => {
  it("is ours over theirs", () => expect(ratio(3, 2)).toBe(1.5));
  it.each([0, -1, Number.NaN])("with %d is an error", (theirs) => expect(() => ratio(1, theirs)).toThrow(RangeError));
});

it("the spread is the range as a share of the median", () => expect(spread([90, 100, 120])).toBeCloseTo(0.3));

it("each round begins with another contender, and all have their turn", () => {
  const rounds = [0, 1, 2, 3].map((round) => rotated(["a", "b", "c"], round).join(""));
  expect(rounds).toEqual(["abc", "bca", "cab", "abc"]);
  expect(rotated([], 3)).toEqual([]);
});

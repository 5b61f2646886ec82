import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseDuration, parseSize } from "../../src/base/units.js";

describe("a size", () => {
  it.each([
    ["512B", 512],
    ["1kB", 1000],
    ["1KB", 1000],
    ["1KiB", 1024],
    ["64MiB", 67_108_864],
    ["1.5GB", 1_500_000_000],
    ["2 GiB", 2_147_483_648],
    [" 1TiB ", 1_099_511_627_776],
    ["0B", 0],
  ])("%j is %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(["", "512", "MiB", "64 mib", "64mb", "-1MiB", "1,5GB", "1e3", "10s", "0x10", "1.MiB", ".5MiB", "64MiB/s", "NaN", "Infinity"])(
    "%j is none",
    (text) => expect(parseSize(text)).toBeUndefined(),
  );

  it("is none when it is more than a number can count", () => {
    expect(parseSize("8191TiB")).toBe(8191 * 2 ** 40);
    expect(parseSize("9000TiB")).toBeUndefined();
    expect(parseSize(`${"9".repeat(400)}B`)).toBeUndefined();
  });

  it("is a whole number of bytes", () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(999), fc.constantFrom("B", "kB", "MB", "KiB", "MiB", "GiB"), (whole, part, unit) => {
        expect(Number.isSafeInteger(parseSize(`${whole}.${part}${unit}`))).toBe(true);
      }),
    );
  });
});

describe("a duration", () => {
  it.each([
    ["250ms", 250],
    ["10s", 10_000],
    ["1.5s", 1500],
    ["15m", 900_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
    ["0s", 0],
  ])("%j is %d milliseconds", (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(["", "10", "s", "10 sec", "10S", "1w", "-1s", "64MiB", "1m30s"])("%j is none", (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );
});

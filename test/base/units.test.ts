import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { durationText, parseDuration, parseShare, parseSize, shareText, sizeText, sizeTexts } from "../../src/base/units.js";

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

describe("a share", () => {
  it.each([
    ["0%", 0],
    ["25%", 0.25],
    ["12.5 %", 0.125],
    ["100%", 1],
  ])("%j is %d", (text, share) => expect(parseShare(text)).toBe(share));

  it.each(["", "25", "%", "0.25", "101%", "100.1%", "-5%", "1e1%", "25%%"])("%j is none", (text) =>
    expect(parseShare(text)).toBeUndefined(),
  );
});

describe("what is told to people", () => {
  it("reads back as what it was", () => {
    for (const bytes of [1, 512, 1024, 64 * 2 ** 20, 3 * 2 ** 30]) expect(parseSize(sizeText(bytes))).toBe(bytes);
    for (const ms of [1, 250, 1000, 90_000, 600_000, 3_600_000, 86_400_000]) expect(parseDuration(durationText(ms))).toBe(ms);
    for (const share of [0, 0.25, 0.125, 1]) expect(parseShare(shareText(share))).toBe(share);
  });

  it("is in the largest unit that says it", () => {
    expect([0, 250, 1500, 90_000, 600_000].map((ms) => durationText(ms))).toEqual(["0ms", "250ms", "1500ms", "90s", "10m"]);
    expect([0, 1023, 1.75 * 2 ** 20, 11.25 * 2 ** 30].map((bytes) => sizeText(bytes))).toEqual(["0B", "1023B", "1.8MiB", "11.3GiB"]);
    expect([0.3, 1 / 3].map((share) => shareText(share))).toEqual(["30%", "33.33%"]);
  });

  it("tells two sizes apart that are", () => {
    expect(sizeTexts(2 ** 30, 2 ** 31)).toEqual(["1GiB", "2GiB"]);
    expect(sizeTexts(2 ** 30 + 1, 2 ** 30)).toEqual(["1.0GiB", "1GiB"]);
    expect(sizeTexts(1_200_000, 1_200_001)).toEqual(["1200000B", "1200001B"]);
  });
});

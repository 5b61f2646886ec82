import { describe, expect, it } from "vitest";
import { createForecast } from "../../src/forecast/history.js";
import { run, runAll, ticks } from "./callers.js";

const demand = (): ReturnType<ReturnType<typeof createForecast>["of"]> => createForecast().of("resize");
const MINUTE = 60_000;

describe("names", () => {
  it("have one demand each, until they are forgotten", () => {
    const forecast = createForecast();
    const resize = forecast.of("resize");
    resize.arrived(5);
    expect(forecast.of("resize")).toBe(resize);
    expect(forecast.of("upload").running).toBe(0);
    forecast.forget("resize");
    expect(forecast.of("resize").running).toBe(0);
    forecast.forget("never heard of");
  });

  it("that nobody called have no demand", () => {
    const none = demand();
    expect([none.running, none.lastArrival, none.peak(1000, MINUTE), none.rate(1000), none.next(1000)]).toEqual([
      0,
      undefined,
      0,
      0,
      undefined,
    ]);
  });

  it("were last called when the last run arrived, not when it ended", () => {
    const resize = demand();
    resize.arrived(0);
    expect(resize.lastArrival).toBe(0);
    resize.arrived(7);
    resize.ended(90);
    expect(resize.lastArrival).toBe(7);
  });
});

describe("the decayed peak", () => {
  it("is the most runs at once, and halves within its half-life", () => {
    const resize = createForecast({ peakHalfLife: 10_000 }).of("resize");
    for (let i = 0; i < 8; i++) resize.arrived(i);
    for (let i = 0; i < 8; i++) resize.ended(7);
    expect(resize.peak(7, 0)).toBe(8);
    expect(resize.peak(10_007, 0)).toBeCloseTo(4, 9);
    expect(resize.peak(30_007, 0)).toBeCloseTo(1, 9);
  });

  it("never goes below what runs now", () => {
    const resize = demand();
    for (let i = 0; i < 8; i++) resize.arrived(0);
    for (let i = 0; i < 5; i++) resize.ended(0);
    expect(resize.peak(0, 0)).toBe(8);
    expect(resize.peak(60 * MINUTE, 0)).toBe(3);
  });

  it("counts from the end of what ran for long, not from its start", () => {
    const resize = demand();
    for (let i = 0; i < 4; i++) resize.arrived(0);
    for (let i = 0; i < 4; i++) resize.ended(60 * MINUTE);
    expect(resize.peak(61 * MINUTE, 0)).toBeCloseTo(2, 9);
  });

  it("of a single run says none a minute later", () => {
    const resize = demand();
    run(resize, 0);
    expect(resize.peak(59_000, MINUTE)).toBeGreaterThan(0.5);
    expect(resize.peak(61_000, MINUTE)).toBeLessThan(0.5);
  });

  it("is kept by the larger of an old peak's rest and a new one", () => {
    const resize = demand();
    for (let i = 0; i < 16; i++) resize.arrived(0);
    for (let i = 0; i < 16; i++) resize.ended(0);
    run(resize, MINUTE);
    expect(resize.peak(2 * MINUTE, 0)).toBeCloseTo(4, 9);
  });
});

describe("the rate", () => {
  it("of an even stream is its calls a second, and falls once it stops", () => {
    const resize = demand();
    runAll(resize, ticks(20_000, 25));
    expect(resize.rate(500_000)).toBeCloseTo(40, 0);
    expect(resize.rate(530_000)).toBeCloseTo(20, 0);
    expect(resize.rate(1_100_000)).toBeLessThan(0.001);
  });
});

describe("times", () => {
  it("that go back count as the last event's", () => {
    const resize = demand();
    resize.arrived(10_000);
    resize.arrived(4000);
    resize.ended(2000);
    expect([resize.running, resize.lastArrival]).toEqual([1, 10_000]);
    expect(resize.peak(0, 0)).toBe(2);
    expect(resize.rate(0)).toBe(resize.rate(10_000));
  });

  it.each([Number.NaN, Infinity, -Infinity])("that are no times (%s) count as the last event's", (odd) => {
    const resize = demand();
    resize.arrived(10_000);
    resize.arrived(odd);
    resize.ended(odd);
    expect([resize.running, resize.lastArrival]).toEqual([1, 10_000]);
    expect(resize.peak(odd, odd)).toBe(2);
    expect(resize.rate(odd)).toBe(resize.rate(10_000));
    run(resize, 10_001);
    expect(resize.lastArrival).toBe(10_001);
  });

  it("that leap ahead leave numbers", () => {
    const resize = demand();
    runAll(resize, ticks(200, MINUTE));
    for (const leap of [1e9, 1e12, 1e18, 1e300, Number.MAX_VALUE]) {
      run(resize, leap);
      expect(resize.peak(leap, 1e300)).toBeGreaterThanOrEqual(1);
      expect(resize.peak(leap, 1e300)).toBeLessThan(2);
      expect(resize.rate(leap)).toBeCloseTo(Math.LN2 / 30, 3);
      expect(resize.next(leap)?.until ?? 0).toBeLessThan(Infinity);
    }
  });
});

it("an end without a beginning changes nothing", () => {
  const resize = demand();
  resize.ended(5);
  expect([resize.running, resize.peak(5, 0)]).toEqual([0, 0]);
  run(resize, 6);
  resize.ended(7);
  resize.arrived(8);
  expect(resize.running).toBe(1);
});

describe("options", () => {
  it.each([
    ["peakHalfLife", 0],
    ["rateHalfLife", -1],
    ["burstGap", Number.NaN],
    ["profileAfter", Infinity],
    ["spread", 0],
  ])("refuse %s = %s", (name, value) => {
    expect(() => createForecast({ [name]: value })).toThrow(
      new RangeError(`forecast option ${name} must be a number above 0, and is ${value}`),
    );
  });
});

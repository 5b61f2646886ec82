/** What the gaps between bursts tell. */
import { describe, expect, it } from "vitest";
import { Random } from "../../bench/soak/support/random.js";
import { createForecast } from "../../src/forecast/history.js";
import { drawOf, run, runAll, ticks } from "./callers.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const demand = (): ReturnType<ReturnType<typeof createForecast>["of"]> => createForecast().of("report");

describe("a strictly periodic caller", () => {
  it("is found with its fourth gap, and believed with its fifth", () => {
    const report = demand();
    runAll(report, ticks(4, 5 * MINUTE));
    expect(report.next(20 * MINUTE)).toBeUndefined();
    run(report, 25 * MINUTE);
    expect(report.next(25 * MINUTE)).toEqual({
      from: 30 * MINUTE - 1000,
      until: 30 * MINUTE + 1000,
      likelihood: expect.closeTo(0.9, 9) as number,
    });
    run(report, 30 * MINUTE);
    expect(report.next(30 * MINUTE)?.likelihood).toBeGreaterThan(0.9);
  });

  it.each([
    [2000, 0],
    [10_000, 500],
    [MINUTE, 3000],
    [5 * MINUTE, 2000],
    [HOUR, 3 * MINUTE],
    [24 * HOUR, 10 * MINUTE],
  ])("every %s ms, up to %s ms late, is found after six gaps", (period, jitter) => {
    const draw = drawOf(new Random(20_261_126));
    const report = demand();
    const times = ticks(60, period, () => draw() * jitter);
    let hits = 0;
    for (const [i, at] of times.entries()) {
      const expected = i === 0 ? undefined : report.next(times[i - 1] as number);
      if (i > 6) {
        expect(expected?.likelihood).toBeGreaterThan(i === 7 ? 0.85 : 0.6);
        expect(expected!.until - expected!.from).toBeLessThan(0.45 * period);
        hits += Number(at >= expected!.from && at <= expected!.until);
      }
      run(report, at);
    }
    expect(hits).toBeGreaterThanOrEqual(50);
    expect(report.next(times.at(-1)!)?.likelihood).toBeGreaterThan(0.9);
  });

  it("has a ready one just before its call, and none between", () => {
    const report = demand();
    runAll(report, ticks(10, 10 * MINUTE));
    expect(report.peak(105 * MINUTE, MINUTE)).toBeLessThan(0.5);
    expect(report.peak(109 * MINUTE, MINUTE)).toBe(1);
    expect(report.peak(110 * MINUTE, 0)).toBe(1);
  });

  it("that comes with several calls at once has as many ready, once that is usual", () => {
    const report = demand();
    for (const at of ticks(12, 10 * MINUTE)) {
      for (let i = 0; i < 6; i++) report.arrived(at + 100 * i);
      for (let i = 0; i < 6; i++) report.ended(at + 900);
    }
    expect(report.peak(125 * MINUTE, MINUTE)).toBeLessThan(0.5);
    expect(Math.ceil(report.peak(129 * MINUTE, MINUTE))).toBe(6);
    runAll(report, ticks(32, 10 * MINUTE).slice(12));
    expect(Math.round(report.peak(329 * MINUTE, MINUTE))).toBe(1);
  });

  it("survives a missed tick: the next one is foreseen, a little less likely", () => {
    const report = demand();
    runAll(report, ticks(10, 5 * MINUTE));
    const sure = report.next(50 * MINUTE)!;
    const second = report.next(56 * MINUTE)!;
    expect(second).toMatchObject({ from: 60 * MINUTE - 1000, until: 60 * MINUTE + 1000 });
    expect(second.likelihood).toBeLessThan(sure.likelihood);
    expect(second.likelihood).toBeGreaterThan(0.7);
    run(report, 60 * MINUTE);
    const after = report.next(60 * MINUTE)!;
    expect(after).toMatchObject({ from: 65 * MINUTE - 1000, until: 65 * MINUTE + 1000 });
    expect(after.likelihood).toBeGreaterThan(second.likelihood);
  });

  it("is foreseen twice more when it stays away, and not a third time, until it calls again", () => {
    const report = demand();
    runAll(report, ticks(20, 5 * MINUTE));
    const foreseen = [101, 106, 111, 116].map((minute) => report.next(minute * MINUTE)?.from);
    expect(foreseen).toEqual([105 * MINUTE - 1000, 110 * MINUTE - 1000, 115 * MINUTE - 1000, undefined]);
    expect(report.next(1002 * MINUTE)).toBeUndefined();
    run(report, 1002 * MINUTE);
    const again = report.next(1002 * MINUTE)!;
    expect(again.from).toBeGreaterThan(1006 * MINUTE);
    expect(again.from).toBeLessThan(1007 * MINUTE);
    expect(again.until).toBeGreaterThan(1007 * MINUTE);
    expect(again.until).toBeLessThan(1008 * MINUTE);
  });

  it("starts a new beat with its first call after a long silence", () => {
    const report = demand();
    runAll(report, ticks(20, 24 * HOUR));
    const back = 120 * 24 * HOUR + 6 * HOUR;
    run(report, back);
    expect(report.next(back)).toMatchObject({ from: back + 24 * HOUR - 1000, until: back + 24 * HOUR + 1000 });
  });

  it("is foreseen for the time that is asked for, also after a later one", () => {
    const report = demand();
    runAll(report, ticks(20, 5 * MINUTE));
    const foreseen = [111, 101, 2000, 106, 104].map((minute) => report.next(minute * MINUTE)?.from);
    expect(foreseen).toEqual([115 * MINUTE - 1000, 105 * MINUTE - 1000, undefined, 110 * MINUTE - 1000, 105 * MINUTE - 1000]);
  });

  it("is still foreseen at its tick after a call in between", () => {
    const report = demand();
    runAll(report, ticks(10, 5 * MINUTE));
    run(report, 52 * MINUTE);
    expect(report.next(52 * MINUTE)).toMatchObject({ from: 55 * MINUTE - 1000, until: 55 * MINUTE + 1000 });
    runAll(report, [55 * MINUTE, 60 * MINUTE]);
    expect(report.next(60 * MINUTE)).toMatchObject({ from: 65 * MINUTE - 1000, until: 65 * MINUTE + 1000 });
  });

  it("is found over a call in between", () => {
    const report = demand();
    runAll(
      report,
      [5, 10, 15, 18.5, 20, 25, 30].map((minute) => minute * MINUTE),
    );
    expect(report.next(30 * MINUTE)).toMatchObject({ from: 35 * MINUTE - 1000, until: 35 * MINUTE + 1000 });
  });

  it("whose period changes a little is followed to the new one", () => {
    const report = demand();
    runAll(report, ticks(8, 11 * MINUTE));
    const times = ticks(40, 10 * MINUTE).map((at) => 88 * MINUTE + at);
    runAll(report, times);
    const expected = report.next(times.at(-1)!)!;
    expect((expected.from + expected.until) / 2 - times.at(-1)!).toBeCloseTo(10 * MINUTE, -3);
    expect(expected.until - expected.from).toBeLessThan(10_000);
    expect(expected.likelihood).toBeGreaterThan(0.95);
  });

  it("that begins unevenly and goes on evenly has a narrow window in the end", () => {
    const report = demand();
    runAll(
      report,
      ticks(12, 10 * MINUTE, (tick) => (tick % 3) * 20_000),
    );
    const early = report.next(120 * MINUTE)!;
    expect(early.until - early.from).toBeGreaterThan(MINUTE);
    runAll(report, ticks(40, 10 * MINUTE).slice(12));
    const late = report.next(400 * MINUTE)!;
    expect(late.until - late.from).toBeLessThan(5000);
    expect(late.until).toBeGreaterThan(410 * MINUTE);
  });

  it("that shifts its phase is followed within three calls", () => {
    const report = demand();
    runAll(report, ticks(12, 5 * MINUTE));
    runAll(
      report,
      [62, 67, 72].map((minute) => minute * MINUTE),
    );
    expect(report.next(72 * MINUTE)).toMatchObject({ from: 77 * MINUTE - 1000 });
  });

  it.each([
    ["longer", 10],
    ["shorter", 2.5],
    ["quite another", 7],
  ])("that takes up a %s period is followed within seven calls", (_, minutes) => {
    const report = demand();
    runAll(report, ticks(20, 5 * MINUTE));
    const times = ticks(7, minutes * MINUTE).map((at) => 100 * MINUTE + at);
    runAll(report, times);
    const last = times.at(-1)!;
    const expected = report.next(last)!;
    expect((expected.from + expected.until) / 2 - last).toBeCloseTo(minutes * MINUTE, -4);
    expect(expected.likelihood).toBeGreaterThan(0.6);
  });

  it("whose calls turn irregular is no longer foreseen", () => {
    const draw = drawOf(new Random(3));
    const report = demand();
    runAll(report, ticks(20, 5 * MINUTE));
    let at = 100 * MINUTE;
    let foreseen = 0;
    for (let i = 0; i < 60; i++) {
      run(report, (at += 1000 - Math.log(1 - draw()) * 20 * MINUTE));
      if (i >= 12 && report.next(at) !== undefined) foreseen++;
    }
    expect(foreseen).toBeLessThanOrEqual(1);
  });
});

describe("bursts", () => {
  it("are one start, however many calls they have", () => {
    const report = demand();
    for (const at of ticks(8, 5 * MINUTE)) for (let i = 0; i < 40; i++) run(report, at + 300 * i);
    expect(report.next(41 * MINUTE)).toMatchObject({ from: 45 * MINUTE - 1000, until: 45 * MINUTE + 1000 });
  });

  it("that never pause show no pattern", () => {
    const report = demand();
    runAll(report, ticks(5000, 400));
    expect(report.next(2_000_000)).toBeUndefined();
    expect(report.peak(2_000_000, MINUTE)).toBeGreaterThan(0.5);
  });
});

describe("gaps that are alike without a beat", () => {
  /** Gaps of six and of twelve minutes and between, in an order without a rule. */
  const MINUTES = [6, 11, 8, 12, 7, 10, 6, 12, 9, 6, 11, 7, 12, 8, 10, 6, 12, 9, 11, 7];

  it("give a window from the shortest to the longest, once it has proved right", () => {
    const report = demand();
    let at = 0;
    run(report, at);
    for (const minutes of MINUTES) run(report, (at += minutes * MINUTE));
    const expected = report.next(at)!;
    expect(expected.from - at).toBeGreaterThan(4.5 * MINUTE);
    expect(expected.from - at).toBeLessThanOrEqual(6 * MINUTE);
    expect(expected.until - at).toBeGreaterThanOrEqual(12 * MINUTE);
    expect(expected.until - at).toBeLessThan(15 * MINUTE);
    expect(expected.likelihood).toBeGreaterThan(0.9);
    expect(report.next(expected.until + 1)).toBeUndefined();
    expect(report.peak(at + 4 * MINUTE, MINUTE)).toBeLessThan(0.5);
    expect(report.peak(at + 9 * MINUTE, MINUTE)).toBe(1);
  });

  it("give none where the long ones are more than `spread` times the short ones", () => {
    const report = createForecast({ spread: 1.9 }).of("report");
    let at = 0;
    run(report, at);
    for (const minutes of [...MINUTES, ...MINUTES]) run(report, (at += minutes * MINUTE));
    expect(report.next(at)).toBeUndefined();
  });

  it("are believed less after some that fell outside", () => {
    const report = demand();
    let at = 0;
    run(report, at);
    for (const minutes of MINUTES) run(report, (at += minutes * MINUTE));
    expect(report.next(at)!.likelihood).toBeGreaterThan(0.9);
    for (const minutes of [15, 15, 15]) run(report, (at += minutes * MINUTE));
    expect(report.next(at)!.likelihood).toBeLessThan(0.75);
  });

  it("give none where the histogram does not reach one in four of them", () => {
    const report = demand();
    let at = 0;
    run(report, at);
    for (const minutes of [...MINUTES, ...MINUTES]) run(report, (at += minutes * 1.6 * HOUR));
    expect(report.next(at)).toBeUndefined();
  });

  it("give none where they are longer than the histogram reaches", () => {
    const report = demand();
    let at = 0;
    run(report, at);
    for (const hours of [...MINUTES, ...MINUTES]) run(report, (at += hours * 4 * HOUR));
    expect(report.next(at)).toBeUndefined();
  });

  it("are forgotten for new ones", () => {
    const report = demand();
    let at = 0;
    run(report, at);
    for (let i = 0; i < 10; i++) for (const minutes of MINUTES) run(report, (at += minutes * MINUTE));
    for (let i = 0; i < 20; i++) for (const minutes of MINUTES) run(report, (at += minutes * 10 * MINUTE));
    expect(report.next(at)!.from - at).toBeGreaterThan(40 * MINUTE);
  });
});

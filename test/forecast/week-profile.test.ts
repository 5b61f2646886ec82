/** How much usually goes on at this time of the week. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { WeekProfile } from "../../src/forecast/week-profile.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Four weeks: much at noon on working days, little else. */
function weeks(count: number): WeekProfile {
  const profile = new WeekProfile();
  for (let at = 0; at < count * 7 * DAY; at += 5 * 60_000) {
    const [day, hour] = [Math.floor(at / DAY) % 7, Math.floor(at / HOUR) % 24];
    profile.note(at, day < 5 && hour === 12 ? 50 : 2);
  }
  return profile;
}

it("knows weekdays apart once it has seen them twice, and a time of day before that", () => {
  const noon = 4 * 7 * DAY + 12 * HOUR;
  expect(weeks(4).expected(noon, noon + HOUR)).toBeCloseTo(50);
  expect(weeks(4).expected(noon + 5 * DAY, noon + 5 * DAY + HOUR)).toBeCloseTo(2);
  expect(weeks(4).expected(noon + HOUR, noon + 2 * HOUR)).toBeCloseTo(2);
  const early = new WeekProfile();
  for (let at = 0; at < DAY; at += 5 * 60_000) early.note(at, 7);
  expect(early.expected(3 * DAY, 3 * DAY + HOUR)).toBeCloseTo(7);
  expect(new WeekProfile().expected(0, HOUR)).toBeUndefined();
});

it("counts work that is known to come beside what is usual", () => {
  const at = 4 * 7 * DAY;
  expect(
    weeks(4).expected(at, at + HOUR, [
      { at: at + 60_000, loadMs: HOUR * 3 },
      { at: at + 2 * HOUR, loadMs: HOUR },
    ]),
  ).toBeCloseTo(5);
});

it("is the same after it was written down and read, and takes nothing else for that", () => {
  const profile = weeks(2);
  const again = new WeekProfile();
  again.restore(JSON.parse(JSON.stringify(profile.snapshot())));
  expect(again.snapshot()).toEqual(profile.snapshot());
  for (const wrong of [undefined, null, 1, { version: 2 }, { version: 1, means: [1], counts: [] }]) again.restore(wrong);
  expect(again.snapshot()).toEqual(profile.snapshot());
});

it("follows what has changed, and gives numbers whatever the clock does", () => {
  const profile = weeks(2);
  for (let week = 2; week < 8; week++) for (let at = week * 7 * DAY; at < week * 7 * DAY + HOUR; at += 60_000) profile.note(at, 30);
  profile.note(60 * 7 * DAY, 0);
  expect(profile.expected(8 * 7 * DAY, 8 * 7 * DAY + HOUR)).toBeGreaterThan(28);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.double(), fc.double()), { maxLength: 50 }), (notes) => {
      const wild = new WeekProfile();
      for (const [at, load] of notes) {
        wild.note(at, load);
        const found = wild.expected(at, at + load);
        expect(found === undefined || (Number.isFinite(found) && found >= 0)).toBe(true);
      }
    }),
  );
});

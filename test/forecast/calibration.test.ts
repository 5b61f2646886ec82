/** Whether a likelihood means what it says: callers of nine kinds, each prediction compared with what came. */
import { describe, expect, it } from "vitest";
import { Random } from "../../bench/soak/support/random.js";
import type { Expected } from "../../src/forecast/forecast.js";
import { createForecast, type ForecastOptions } from "../../src/forecast/history.js";
import { drawOf, KINDS, run, type Kind } from "./callers.js";

const CALLERS = 60;
const CALLS = 200;
const BURST = 1000;

interface Told extends Expected {
  readonly cameTrue: boolean;
  /** Width of the window over the time from the last start to its middle. */
  readonly looseness: number;
}

/** Every window foreseen between two starts, and those that came after it passed. */
function told(kind: Kind, options: ForecastOptions = {}): { starts: number; predictions: Told[] } {
  const predictions: Told[] = [];
  let starts = 0;
  for (let caller = 0; caller < CALLERS; caller++) {
    const demand = createForecast(options).of("any");
    const call = kind(drawOf(new Random(20_261_126, caller)));
    let last = call();
    run(demand, last);
    for (let i = 1; i < CALLS; i++) {
      const at = Math.max(last + 1, call());
      if (at - last >= BURST) {
        starts++;
        for (let now = last; now < at;) {
          const expected = demand.next(now);
          if (expected === undefined) break;
          const { from, until } = expected;
          predictions.push({
            ...expected,
            cameTrue: at >= from && at <= until,
            looseness: (until - from) / ((from + until) / 2 - last),
          });
          now = until + 0.001;
        }
      }
      run(demand, at);
      last = at;
    }
  }
  return { starts, predictions };
}

const sure = (predictions: readonly Told[]): Told[] => predictions.filter(({ likelihood }) => likelihood >= 0.8);
const trueShare = (predictions: readonly Told[]): number =>
  predictions.filter(({ cameTrue }) => cameTrue).length / Math.max(1, predictions.length);

describe("predictions of which the likelihood is 0.8 or more", () => {
  it("come true in at least 70 % over callers of all kinds, and on average as often as they say", () => {
    const all = Object.values(KINDS).flatMap((kind) => sure(told(kind).predictions));
    const share = trueShare(all);
    console.log(`forecast calibration: ${all.length} predictions with likelihood ≥ 0.8, ${(100 * share).toFixed(1)} % came true`);
    expect(all.length).toBeGreaterThan(20_000);
    expect(share).toBeGreaterThanOrEqual(0.85);
    const said = all.reduce((sum, { likelihood }) => sum + likelihood, 0) / all.length;
    expect(Math.abs(said - share)).toBeLessThan(0.05);
  });

  it.each(Object.keys(KINDS).filter((name) => name !== "poisson" && !name.endsWith("wide")))(
    "come true in at least 70 % for %s",
    (name) => {
      const { starts, predictions } = told(KINDS[name as keyof typeof KINDS]);
      const found = sure(predictions);
      expect(found.length).toBeGreaterThan(0.3 * starts);
      expect(trueShare(found)).toBeGreaterThanOrEqual(0.7);
    },
  );

  it.each(["poisson", "log-normal gaps, wide"] as const)("are next to never made for %s", (name) => {
    const { starts, predictions } = told(KINDS[name]);
    expect(starts).toBeGreaterThan(8000);
    expect(predictions.length).toBeLessThan(0.005 * starts);
  });

  it("come true in at least 70 % for Poisson callers, too, where a wide window may be told", () => {
    const { starts, predictions } = told(KINDS.poisson, { spread: 100 });
    const found = sure(predictions);
    expect(found.length).toBeGreaterThan(0.3 * starts);
    expect(trueShare(found)).toBeGreaterThanOrEqual(0.7);
    expect(found.filter(({ looseness }) => looseness < 1).length).toBeLessThan(0.005 * starts);
  });
});

it("log-normal callers, who sometimes seem to keep a beat, are not believed to for long", () => {
  const { predictions } = told(KINDS["log-normal gaps, narrow"]);
  expect(trueShare(predictions.filter(({ likelihood }) => likelihood < 0.8))).toBeGreaterThanOrEqual(0.7);
});

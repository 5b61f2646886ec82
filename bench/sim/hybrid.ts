/**
 * The hybrid histogram policy of Shahrad et al., "Serverless in the Wild", USENIX ATC 2020, section 4, with its constants.
 *
 * A task's idle times are counted by the minute, over four hours. Where they are representative (the counts' coefficient of
 * variation is above 2), the program is let go after a run, fetched at the 5th percentile of them, rounded down and 10 %
 * earlier, and kept until the 99th, rounded up and 10 % later; a head below a minute means that it is not let go. Where
 * more than half of them do not fit into the four hours, a time series foretells the next, and the program is there from 15 %
 * before to 15 % after it. Otherwise it stays for four hours. Theirs is the best ARIMA model, fitted anew; here it is one of
 * them, AR(1), so this part is weaker than theirs where idle times swing with a longer memory.
 */
import { keeping, NEVER, type Plan } from "./keeping.js";
import type { Policy } from "./policy.js";

const MINUTE = 60_000;
const BINS = 240;
const HEAD = 0.05;
const TAIL = 0.99;
const MARGIN = 0.1;
const REPRESENTATIVE = 2;
const OUT_OF_RANGE = 0.5;
const SERIES_MARGIN = 0.15;
/** Idle times that the series looks back on. */
const SERIES = 100;

export function hybridHistogram(budgetBytes = NEVER): Policy {
  const name = `hybrid histogram${budgetBytes === NEVER ? "" : ", bounded"}`;
  return keeping(name, budgetBytes, ({ trace }) => {
    const idleTimes = trace.tasks.map(() => new IdleTimes());
    return {
      instances: "kept",
      arrived: (task, _now, idle) => {
        if (idle !== undefined) (idleTimes[task] as IdleTimes).add(idle);
      },
      ended: (task, now) => (idleTimes[task] as IdleTimes).plan(now),
    };
  });
}

/** The idle times of one task. */
export class IdleTimes {
  readonly #bins = new Uint32Array(BINS);
  readonly #series: number[] = [];
  #within = 0;
  #beyond = 0;
  /** Of the counts. */
  #squares = 0;

  add(idle: number): void {
    this.#series.push(idle);
    if (this.#series.length > SERIES) this.#series.shift();
    const bin = Math.floor(idle / MINUTE);
    if (bin >= BINS) {
      this.#beyond++;
      return;
    }
    const count = (this.#bins[bin] as number)++;
    this.#squares += 2 * count + 1;
    this.#within++;
  }

  plan(now: number): Plan {
    const total = this.#within + this.#beyond;
    if (total > 0 && this.#beyond / total > OUT_OF_RANGE) return around(now, foretold(this.#series));
    if (this.#variation() <= REPRESENTATIVE) return { until: now + BINS * MINUTE, again: NEVER, againUntil: NEVER };
    const fetch = this.#percentileBin(HEAD) * MINUTE * (1 - MARGIN);
    const until = now + (this.#percentileBin(TAIL) + 1) * MINUTE * (1 + MARGIN);
    return fetch === 0 ? { until, again: NEVER, againUntil: NEVER } : { until: now, again: now + fetch, againUntil: until };
  }

  /** The coefficient of variation of the bins' counts; 0 while there are none. */
  #variation(): number {
    if (this.#within === 0) return 0;
    const mean = this.#within / BINS;
    return Math.sqrt(Math.max(0, this.#squares / BINS - mean ** 2)) / mean;
  }

  #percentileBin(share: number): number {
    let below = 0;
    for (let bin = 0; bin < BINS; bin++) {
      below += this.#bins[bin] as number;
      if (below >= share * this.#within) return bin;
    }
    return BINS - 1;
  }
}

function around(now: number, idle: number): Plan {
  return { until: now, again: now + idle * (1 - SERIES_MARGIN), againUntil: now + idle * (1 + SERIES_MARGIN) };
}

/** The next of a series, by the line that fits best from each value to the one after it. */
export function foretold(series: readonly number[]): number {
  const last = series.at(-1) as number;
  const mean = series.reduce((sum, value) => sum + value, 0) / series.length;
  let [covariance, variance] = [0, 0];
  for (let n = 1; n < series.length; n++) {
    const before = (series[n - 1] as number) - mean;
    covariance += before * ((series[n] as number) - mean);
    variance += before ** 2;
  }
  const slope = variance === 0 ? 0 : Math.max(-1, Math.min(1, covariance / variance));
  return Math.max(0, mean + slope * (last - mean));
}

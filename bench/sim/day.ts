/**
 * Requests in the shape of a day, of which some can wait. All of it is assumed: an afternoon with a peak that is nearly twice the
 * mean, an even rest of the day, runs of a minute on average, and bounds from two hours to twelve.
 */
import { Random } from "../soak/support/random.js";
import { between, logNormal } from "./chance.js";
import { renewal } from "./arrivals.js";

export interface DayRequest {
  readonly id: string;
  readonly time: number;
  readonly tenant: string;
  readonly duration: number;
  /** It can wait, and is to have started by then. */
  readonly notAfter: number | undefined;
}

export interface DayWorkload {
  readonly seed: number;
  readonly days: number;
  /** Runs at once, on average over a day. */
  readonly load: number;
  /** Of the load, what can wait. */
  readonly deferrable: number;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOON = 14 * HOUR;
/** Of the mean, what comes and goes once a day and twice. */
const ONCE = 0.5;
const TWICE = 0.3;
const MOST = 1 + ONCE + TWICE;
const DURATION_MS = 60_000;
const SPREAD = 0.5;
const BOUND = [2 * HOUR, 12 * HOUR] as const;
const TENANTS = 8;

export function generateDays({ seed, days, load, deferrable }: DayWorkload): DayRequest[] {
  const random = new Random(seed, 2_000_001);
  const requests: DayRequest[] = [];
  const end = days * 24 * HOUR;
  const arrivals = renewal(random, DURATION_MS / load / MOST, 1, 0);
  for (let time = arrivals.next(); time < end; time = arrivals.next()) {
    // Of the most that may come, those are left out that are too many for the time of day.
    if (!random.chance(shareAt(time) / MOST)) continue;
    requests.push({
      id: `job-${requests.length}`,
      time,
      tenant: `tenant-${random.below(TENANTS)}`,
      // The mean of a log-normal is above its middle.
      duration: DURATION_MS * logNormal(random, -(SPREAD ** 2) / 2, SPREAD),
      notAfter: random.chance(deferrable) ? time + between(random, ...BOUND) : undefined,
    });
  }
  return requests;
}

function shareAt(time: number): number {
  const turn = (2 * Math.PI * (time - NOON)) / DAY;
  return 1 + ONCE * Math.cos(turn) + TWICE * Math.cos(2 * turn);
}

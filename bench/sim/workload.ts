/**
 * What the generated traces look like, and where each number comes from.
 *
 * [ATC] is Shahrad et al., "Serverless in the Wild", USENIX ATC 2020. [AZ] are the figures of the same data in
 * github.com/Azure/AzurePublicDataset, analysis/AzureFunctionsDataset2019-Trace_Analysis.md, read off to about a
 * hundredth. A task here is what they call an application: what is loaded, kept and let go as one. [OWN] is an assumption.
 */
import type { Quantiles } from "./chance.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const MIB = 2 ** 20;

/**
 * Requests a day: [ATC] 5.1 and figure 5a. 45 % come at most once an hour on average, 81 % at most once a minute. Those
 * above the last point go on to 10⁸ there; here they stop, because [OWN] busier ones would be spread over nodes, and one
 * that is never idle starts cold under no policy.
 */
export const REQUESTS_A_DAY: Quantiles = [
  [1 / 14, 0],
  [0.5, 0.14],
  [1, 0.19],
  [2, 0.27],
  [10, 0.385],
  [24, 0.45],
  [48, 0.49],
  [96, 0.545],
  [288, 0.65],
  [1440, 0.81],
  [10_000, 0.925],
];
export const MOST_REQUESTS_A_DAY = 10_000;

/**
 * What starts a task's runs: [ATC] figure 3b, [AZ] figure 3. Timers alone 13.4 % of applications, timers and something else
 * 15.8 %, no timers 70.8 %.
 */
export const TRIGGERS = { timers: 0.134, mixed: 0.158, others: 0.708 } as const;
export type Trigger = keyof typeof TRIGGERS;

/** The periods that timers have: the steps of [AZ] figure 5a, and [OWN] those between. */
export const TIMER_PERIODS = [
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  6 * HOUR,
  12 * HOUR,
  24 * HOUR,
] as const;

/** [OWN] Timers that are set to round times, as cron's are; the others began whenever they were deployed. */
export const ROUND_TIMERS = 0.7;

/**
 * [AZ] figure 6. Of tasks with timers alone about a half are one timer (a coefficient of variation of nearly 0), the others
 * two or three. Of the mixed ones 17 % look like a timer, because what else they have is hardly used.
 */
export const LONE_TIMERS = 0.5;
export const MIXED_LIKE_TIMERS = 0.17;
/** Of a mixed task's requests, the share that its timer makes: [OWN], drawn so that all with timers vary as in [AZ] figure 6. */
export const TIMER_SHARE: Quantiles = [
  [0, 0],
  [0.02, 0.35],
  [0.9, 1],
];

/**
 * The coefficient of variation of the gaps between requests of tasks without timers: [AZ] figure 6. 11 % are nearly
 * regular ([ATC] 5.2 names sensors that report); the end of the tail is [OWN].
 */
export const NEARLY_REGULAR = 0.11;
/** Of a nearly regular one; [OWN], "close to 0" there. */
export const REGULAR_VARIATION = 0.02;
export const VARIATION: Quantiles = [
  [REGULAR_VARIATION, 0],
  [REGULAR_VARIATION, NEARLY_REGULAR],
  [0.5, 0.22],
  [1, 0.34],
  [1.5, 0.46],
  [2, 0.55],
  [3, 0.69],
  [4, 0.76],
  [6, 0.84],
  [8, 0.885],
  [10, 0.92],
  [20, 1],
];

/** How much more than the mean comes in the busiest hour, without timers: all together 17 %, as in [AZ] figure 4. [OWN]: from none to twice that. */
export const SWING = [0, 0.34] as const;

/** Seconds that a task's runs take on average: [ATC] figure 7, a log-normal fit. */
export const DURATION = { mu: -0.38, sigma: 2.36 } as const;
/** [OWN] A task's runs differ by so much, as a log-normal's sigma; [ATC] has three times the average as a usual maximum. */
export const DURATION_SPREAD = 0.5;
/** No run takes longer: what a manifest's `timeout` is when it says nothing. And none is shorter. */
export const LONGEST_RUN = 30 * SECOND;
export const SHORTEST_RUN = 1;

/**
 * What a task's runs hold: [ATC] figure 8, a Burr fit in MiB of processes that bring their language's runtime. [OWN] A
 * component has no process and hardly a runtime: a sixty-fourth of that, so the median is 2.2 MiB.
 */
export const MEMORY = { c: 11.652, k: 0.221, scale: (107.083 * MIB) / 64 } as const;
export const MOST_MEMORY = 64 * MIB;

/** How many tasks a tenant has: [OWN] as many as an application has functions, [ATC] figure 1: 54 % one, 95 % at most ten. */
export const TASKS_OF_A_TENANT: { readonly lone: number; readonly exponent: number; readonly most: number } = {
  lone: 0.54,
  exponent: Math.log10(0.46 / 0.05),
  most: 50,
};

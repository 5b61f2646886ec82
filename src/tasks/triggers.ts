/** What starts a task without a request: its manifest's `triggers`. */
import { Cron } from "croner";
import { z } from "zod";
import { DURATION_HELP, parseDuration } from "../base/units.js";

const duration = z.string().transform((text, ctx) => {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  ctx.addIssue({ code: "custom", message: `expected ${DURATION_HELP}` });
  return z.NEVER;
});

const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, "expected a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long");

/** How far ahead a line has to fire once: a leap day comes within eight years. */
const YEARS_AHEAD = 8;

/** What of the task is started; neither: its HTTP handler at `/`, or the command that it is. */
const called = {
  path: z
    .string()
    .regex(/^\/[^\s#]*$/, 'expected a path that begins with "/"')
    .optional(),
  function: z
    .string()
    .regex(/^[^\s#]*#[^\s#]+$/, 'expected an interface and a function of the component: "demo:jobs/tick@1.0.0#run"')
    .optional(),
  /** It may start so much later than it is due, where that is a quieter or cheaper time. */
  defer: duration.default(0),
};

const cron = z.strictObject({
  cron: z.string(),
  timeZone: z.string().default("UTC"),
  /** What becomes of times at which the node was not there: nothing, one run for all of them, or one each. */
  missed: z.enum(["skip", "once", "all"], { error: 'expected "skip", "once" or "all"' }).default("skip"),
  /** Each run starts up to so much later, so that not all that is due at full hours starts at once. */
  jitter: duration.default(0),
  ...called,
});

const store = z.strictObject({ store: name, prefix: z.string().max(480).default(""), ...called });
const queue = z.strictObject({ queue: name, ...called });

/** In the order of the union. */
const KINDS = ["cron", "store", "queue"] as const;
const HELP =
  'expected { "cron": LINE }, { "store": NAME, "prefix": TEXT } or { "queue": NAME }; with "path" or "function" where what starts is not plain';

/** What is wrong with a trigger whose kind can be told. */
function wrongInKind({ input, errors }: z.core.$ZodRawIssue): string | undefined {
  if (typeof input !== "object" || input === null) return undefined;
  const kind = KINDS.findIndex((each) => each in input);
  const [first] = (errors as readonly (readonly z.core.$ZodIssue[])[])[kind] ?? [];
  return first && `${first.path.join(".")}: ${first.message}`.replace(/^: /, "");
}

const trigger = z.union([cron, store, queue], { error: (issue) => wrongInKind(issue) ?? HELP });

export type Trigger = z.output<typeof trigger>;
export type CronTrigger = z.output<typeof cron>;
export type StoreTrigger = z.output<typeof store>;

const MOST_TRIGGERS = 32;

export const triggers = z
  .array(trigger)
  .max(MOST_TRIGGERS, `at most ${MOST_TRIGGERS} triggers`)
  .superRefine((all, ctx) => {
    for (const [i, each] of all.entries()) {
      if (each.path !== undefined && each.function !== undefined)
        ctx.addIssue({ code: "custom", path: [i, "function"], message: "a trigger starts a path or a function; take out one of them" });
      if (!("cron" in each)) continue;
      const wrong = wrongWith(each);
      if (wrong !== undefined) ctx.addIssue({ code: "custom", path: [i, wrong[0]], message: wrong[1] });
    }
  });

/** Why nothing would ever come of it. */
function wrongWith({
  cron: line,
  timeZone,
}: Pick<CronTrigger, "cron" | "timeZone">): readonly [field: string, message: string] | undefined {
  try {
    Intl.DateTimeFormat("en", { timeZone });
  } catch {
    return ["timeZone", `there is no time zone ${JSON.stringify(timeZone)}; expected a name such as "UTC" or "Europe/Berlin"`];
  }
  try {
    const now = new Date();
    const next = cronOf(line, timeZone).nextRun(now);
    const last = now.getFullYear() + YEARS_AHEAD;
    if (next === null || next.getFullYear() > last) return ["cron", `${JSON.stringify(line)} never comes: no day is like that`];
  } catch (error) {
    return ["cron", `${JSON.stringify(line)} is no cron line (${(error as Error).message}); expected five fields, such as "*/5 * * * *"`];
  }
  return undefined;
}

/** Throws what croner says is wrong with it. Seconds are for tests and for the impatient: a line of six fields has them. */
export function cronOf(line: string, timeZone: string): Cron {
  return new Cron(line, { timezone: timeZone, paused: true, mode: "auto" });
}

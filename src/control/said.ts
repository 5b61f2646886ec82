/** What somebody says that will happen, as JSON: the body of `POST /-/pretriggers` and of its like on the admin plane. */
import { z } from "zod";
import { ProblemError } from "../base/problem.js";
import { DURATION_HELP, parseDuration } from "../base/units.js";
import type { Said } from "../triggers/said.js";

const duration = z.string().refine((text) => parseDuration(text) !== undefined, `expected ${DURATION_HELP}`);
const key = z.string().max(256, "a key has at most 256 characters").optional();

const signal = z.strictObject({ signal: z.string(), key });
const runs = z.strictObject({
  task: z.string(),
  /** 0 takes back what was said under the key. */
  count: z.int("expected a whole number of runs").nonnegative("expected 0 or more runs"),
  in: duration.optional(),
  start: z.iso.datetime({ offset: true, error: "expected a time such as 2026-01-31T18:00:00Z" }).optional(),
  window: duration.default("10s"),
  confidence: z.number().positive("expected more than 0").max(1, "expected at most 1").optional(),
  key,
});

const HELP = 'expected { "task": NAME, "count": N } or { "signal": NAME }';

/** `now`: milliseconds since 1970. Throws `request/invalid`. */
export function parseSaid(body: unknown, now: number): Said {
  if (typeof body !== "object" || body === null || "signal" in body === "task" in body)
    throw new ProblemError("request/invalid", `${HELP}.`);
  if ("signal" in body) {
    const said = checked(signal, body);
    return { kind: "signal", signal: said.signal, key: said.key };
  }
  const { in: wait, start, window, ...said } = checked(runs, body);
  if (wait !== undefined && start !== undefined)
    throw new ProblemError("request/invalid", "in, start: both say when it begins; leave one of them out.");
  const inMs = start === undefined ? parseDuration(wait ?? "0ms") : Date.parse(start) - now;
  return {
    kind: "runs",
    task: said.task,
    count: said.count,
    inMs: inMs as number,
    windowMs: parseDuration(window) as number,
    confidence: said.confidence,
    key: said.key,
  };
}

function checked<S extends z.ZodType>(schema: S, body: object): z.output<S> {
  const { success, data, error } = schema.safeParse(body);
  if (success) return data;
  const told = error.issues.map((issue) => {
    if (issue.code === "unrecognized_keys") return issue.keys.map((each) => `${each}: unknown field`).join("; ");
    return `${issue.path.join(".")}: ${issue.message}`;
  });
  throw new ProblemError("request/invalid", `${told.join("; ")}.`);
}

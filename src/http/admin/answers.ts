/** What the admin API answers with: documents that their schema has stripped, and problems. */
import type { z } from "@hono/zod-openapi";
import { newRunId } from "../../base/ids.js";
import { problemDocument, PROBLEMS, ProblemError, type FieldError, type Problem } from "../../base/problem.js";

/** On everything that the admin plane answers. A page of ours can neither be framed nor be taken for another type. */
export const COMMON_HEADERS: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
};

interface More {
  readonly status?: number;
  /** Becomes the ETag. */
  readonly revision?: number;
  readonly location?: string;
}

/** The document that `schema` makes of `value`. What does not fit is our mistake: throws, and names the field, not the value. */
export function document(schema: z.ZodType, value: unknown, more: More = {}): Response {
  return new Response(`${JSON.stringify(shown(schema, value))}\n`, {
    status: more.status ?? 200,
    headers: { "Content-Type": "application/json", ...extra(more) },
  });
}

/** The value as its schema shows it: without what the schema does not list. */
export function shown(schema: z.ZodType, value: unknown): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const where = result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
  throw new Error(`an answer of the admin API does not fit its schema: ${where}`);
}

/** 204. */
export function done(more: More = {}): Response {
  return new Response(null, { status: 204, headers: extra(more) });
}

function extra({ revision, location }: More): Record<string, string> {
  return {
    ...(revision === undefined ? {} : { ETag: `"${revision}"` }),
    ...(location === undefined ? {} : { Location: location }),
    "Pilotlight-Run": newRunId(),
  };
}

/** A problem as the answer; `errors` name each field by its path. */
export function refusal(problem: Problem, headers: Readonly<Record<string, string>> = {}): Response {
  const run = newRunId();
  const { status } = PROBLEMS[problem.code];
  return new Response(problemDocument(problem, run), {
    status,
    headers: {
      "Pilotlight-Run": run,
      "Content-Type": "application/problem+json",
      ...(status === 401 ? { "WWW-Authenticate": "Bearer" } : {}),
      ...(problem.retryAfter === undefined ? {} : { "Retry-After": String(Math.ceil(problem.retryAfter)) }),
      ...headers,
    },
  });
}

/** `request/invalid` with what is wrong with each field. */
export function invalid(errors: readonly FieldError[]): ProblemError {
  const detail = errors.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return new ProblemError("request/invalid", detail, { errors });
}

/** The same for what a schema found. `within` is what the document is called when the fault is with the whole of it. */
export function invalidBy(error: z.ZodError, within: string): ProblemError {
  return invalid(
    error.issues.flatMap((issue) => {
      const path = issue.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
      const field = path.replace(/^\./, "");
      if (issue.code !== "unrecognized_keys") return [{ field: field === "" ? within : field, message: issue.message }];
      return issue.keys.map((key) => ({ field: field === "" ? key : `${field}.${key}`, message: "unknown field" }));
    }),
  );
}

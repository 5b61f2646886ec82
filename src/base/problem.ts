/**
 * Every error of ours, in one table, parted by whose fault it is; rendered as RFC 9457 problem details.
 *
 * `type` is `https://pilotlight.dev/problems/` + the code: an identifier, not a page to fetch. The table is
 * what `docs/problems.md` lists, and a test holds the two together.
 */
export const PROBLEMS = {
  // the caller's
  "request/malformed": { status: 400, title: "The request is not valid HTTP" },
  "request/not-found": { status: 404, title: "No task answers here" },
  "request/run-not-found": { status: 404, title: "No such run" },
  "request/method-not-allowed": { status: 405, title: "This method is not supported here" },
  "request/body-too-large": { status: 413, title: "The request body is larger than allowed" },
  "request/headers-too-large": { status: 431, title: "The request headers are larger than allowed" },
  "request/expectation": { status: 417, title: "This expectation is not supported" },
  "request/upgrade": { status: 501, title: "Protocol upgrades are not supported" },
  "request/timeout": { status: 408, title: "The request did not arrive in time" },
  "request/invalid-argument": { status: 400, title: "The arguments do not fit the function" },
  "request/unauthorized": { status: 401, title: "This needs a valid key" },
  "request/forbidden": { status: 403, title: "The key may not do this" },
  "request/no-such-thing": { status: 404, title: "There is no such thing" },
  "request/conflict": { status: 409, title: "This contradicts what is there" },
  "request/changed-meanwhile": { status: 412, title: "It has changed since it was read" },
  "request/unsupported-media-type": { status: 415, title: "This media type is not supported here" },
  "request/invalid": { status: 422, title: "What was sent is not valid" },
  "request/only-if-cached": { status: 504, title: "There is no recorded answer" },
  "request/run-not-over": { status: 409, title: "The run is not over yet" },
  "request/cancelled": { status: 499, title: "The run was cancelled" },
  // the function's
  "guest/error": { status: 500, title: "The function answered with an error" },
  "guest/trap": { status: 500, title: "The function trapped" },
  "guest/no-answer": { status: 500, title: "The function ended without an answer" },
  "guest/memory": { status: 500, title: "The function used more memory than allowed" },
  "guest/cpu": { status: 500, title: "The function used more CPU time than allowed" },
  "guest/output": { status: 500, title: "The function's answer is larger than allowed" },
  "guest/handles": { status: 500, title: "The function held more host resources than allowed" },
  "guest/values": { status: 500, title: "The values of a call are larger than allowed" },
  "guest/timeout": { status: 504, title: "The function did not answer in time" },
  // a call's
  "call/error": { status: 422, title: "The function answered with an error value" },
  "call/no-function": { status: 404, title: "There is no such function" },
  "call/not-callable": { status: 400, title: "This function cannot be called from outside" },
  "call/no-provider": { status: 404, title: "No task provides this" },
  "call/cycle": { status: 508, title: "The call leads back to a task that waits for it" },
  "call/too-deep": { status: 508, title: "Tasks call each other too deeply" },
  "call/failed": { status: 502, title: "A task that the function called failed" },
  // the tenant's
  "quota/requests": { status: 429, title: "The tenant makes more requests than it may" },
  "quota/concurrency": { status: 429, title: "The tenant has as many runs at once as it may" },
  "quota/memory": { status: 429, title: "The tenant's runs hold as much memory as they may" },
  "quota/tasks": { status: 429, title: "The tenant has as many tasks as it may" },
  "quota/stored-bytes": { status: 429, title: "The tenant stores as much as it may" },
  "quota/deferred": { status: 429, title: "As many of the tenant's runs wait to be run later as may" },
  "quota/pretriggers": { status: 429, title: "As much is announced for the tenant as may be" },
  // the node's
  "capacity/task-full": { status: 429, title: "The task runs as often at once as it may" },
  "capacity/tenant-full": { status: 429, title: "The tenant's share of the node is in use" },
  "capacity/node-full": { status: 503, title: "The node has no capacity left" },
  "capacity/overloaded": { status: 503, title: "The node has more to do than it can" },
  "capacity/cell-full": { status: 503, title: "The tenant's instances have used up their memory" },
  "platform/draining": { status: 503, title: "The node is shutting down" },
  "platform/instance-lost": { status: 503, title: "The instance was lost to another run" },
  "platform/lease-expired": { status: 504, title: "The run did not end in time, and the node gave it up" },
  "sidecar/refused": { status: 403, title: "The function's guard refused the request" },
  "sidecar/failed": { status: 503, title: "What guards the function failed" },
  "platform/storage": { status: 507, title: "The node cannot store this" },
  "platform/internal": { status: 500, title: "Pilotlight failed" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One occurrence of a problem. */
export interface Problem {
  readonly code: ProblemCode;
  /** What is wrong, where, and what would be right; undefined when the title says it all. */
  readonly detail: string | undefined;
  /** What is wrong with which field, where the problem is about a document. `field` is a path such as `limits.memory`. */
  readonly errors?: readonly FieldError[];
  /** The function's own error value, in the JSON of `docs/values.md`. */
  readonly error?: unknown;
  /** Seconds after which it may work, for `Retry-After`. */
  readonly retryAfter?: number;
  /** Where it is not the code's own: a sidecar's. */
  readonly status?: number;
}

export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** A problem on its way to whoever asked. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly problem: Problem;

  constructor(code: ProblemCode, detail: string | undefined, more: Omit<Problem, "code" | "detail"> & { cause?: unknown } = {}) {
    const { cause, ...rest } = more;
    super(detail ?? PROBLEMS[code].title, { cause });
    this.problem = { code, detail, ...rest };
  }
}

/** The RFC 9457 document for a problem. `run` is left out when there is none. */
export function problemDocument(problem: Problem, run: string | undefined): string {
  const { title } = PROBLEMS[problem.code];
  const { status = PROBLEMS[problem.code].status } = problem;
  const type = `https://pilotlight.dev/problems/${problem.code}`;
  const errors = problem.errors?.map(({ field, message }) => ({ path: field, detail: message }));
  return JSON.stringify({ type, title, status, detail: problem.detail, error: problem.error, errors, run });
}

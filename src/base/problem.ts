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
  // the node's
  "capacity/task-full": { status: 429, title: "The task runs as often at once as it may" },
  "capacity/node-full": { status: 503, title: "The node has no capacity left" },
  "platform/draining": { status: 503, title: "The node is shutting down" },
  "platform/instance-lost": { status: 503, title: "The instance was lost to another run" },
  "platform/internal": { status: 500, title: "Pilotlight failed" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One occurrence of a problem. */
export interface Problem {
  readonly code: ProblemCode;
  /** What is wrong, where, and what would be right; undefined when the title says it all. */
  readonly detail: string | undefined;
}

/** The RFC 9457 document for a problem. `run` is left out when there is none. */
export function problemDocument(problem: Problem, run: string | undefined): string {
  const { status, title } = PROBLEMS[problem.code];
  return JSON.stringify({ type: `https://pilotlight.dev/problems/${problem.code}`, title, status, detail: problem.detail, run });
}

/** How an outcome reads to a client: the one place that maps outcomes to problems. */
import type { Problem } from "../base/problem.js";
import type { Limit, Outcome } from "../engine/outcome.js";
import type { Refusal, Run } from "./run.js";

/**
 * The problem for a run that ended without an answer. `debug` callers also get the trap's own message; others
 * learn which kind of ending it was and nothing of the guest's insides.
 */
export function problemOf(outcome: Outcome, debug: boolean): Problem {
  switch (outcome.kind) {
    case "ok":
      return { code: "guest/no-answer", detail: undefined };
    case "guest-error":
      if (outcome.code === "no-answer") return { code: "guest/no-answer", detail: "The handler returned without answering." };
      return { code: outcome.code === "call-failed" ? "call/failed" : "guest/error", detail: debug ? outcome.message : undefined };
    case "trap":
      return { code: "guest/trap", detail: debug ? outcome.message : undefined };
    case "limit":
      return { code: LIMIT_CODES[outcome.limit], detail: limitDetail(outcome) };
    case "cancelled":
      return { code: "request/cancelled", detail: undefined };
    case "refused":
      return refused(outcome);
    case "platform":
      return platform(outcome, debug);
  }
}

/** What a run that failed says to whoever called: of a call that it made, where that was the cause. */
export function failureOf(run: Run, debug: boolean): Refusal | undefined {
  const { outcome, callProblem, refusal } = run;
  if (outcome === undefined) return undefined;
  if (outcome.kind === "refused" && refusal !== undefined) return refusal;
  if (outcome.kind === "guest-error" && outcome.code === "call-failed" && callProblem !== undefined) return callProblem;
  return problemOf(outcome, debug);
}

const LIMIT_CODES = {
  memory: "guest/memory",
  "cell-memory": "capacity/cell-full",
  cpu: "guest/cpu",
  "head-time": "guest/timeout",
  "idle-time": "guest/timeout",
  "total-time": "guest/timeout",
  "request-body": "request/body-too-large",
  "response-body": "guest/output",
  "response-headers": "guest/output",
  handles: "guest/handles",
  values: "guest/values",
} as const satisfies Record<Limit, Problem["code"]>;

const LIMIT_FIELDS = {
  memory: "limits.memory",
  cpu: "limits.cpu",
  "head-time": "limits.timeout",
  "idle-time": "limits.idle",
  "total-time": "limits.duration",
  "request-body": "limits.requestBody",
  "response-body": "limits.responseBody",
  "response-headers": "limits.headers",
  handles: "limits.handles",
  values: "limits.values",
} as const satisfies Record<Exclude<Limit, "cell-memory">, string>;

const MILLISECONDS: ReadonlySet<Limit> = new Set(["cpu", "head-time", "idle-time", "total-time"]);

/** Names the limit, what was used and what was allowed. */
function limitDetail({ limit, used, allowed }: Extract<Outcome, { kind: "limit" }>): string {
  if (limit === "cell-memory") {
    return `The cell of the tenant allows ${allowed} bytes; with what this run asked for it would hold ${used} bytes.`;
  }
  const unit = MILLISECONDS.has(limit) ? " ms" : limit === "handles" ? "" : " bytes";
  return `${LIMIT_FIELDS[limit]} allows ${allowed}${unit}; this run came to ${used}${unit}.`;
}

function refused(outcome: Extract<Outcome, { kind: "refused" }>): Problem {
  switch (outcome.code) {
    case "task-full":
    case "tenant-full":
    case "node-full":
    case "overloaded":
      return later(`capacity/${outcome.code}`, undefined, outcome.retryAfter);
    case "draining":
      return later("platform/draining", sentence(outcome.message), outcome.retryAfter);
    case "sidecar":
      return { code: "sidecar/failed", detail: undefined, retryAfter: 1 };
    case "deferred":
      return { code: "platform/storage", detail: sentence(outcome.message) };
    case "only-if-cached":
      return { code: "request/only-if-cached", detail: undefined };
    case "malformed":
      return { code: "request/malformed", detail: sentence(outcome.message) };
    case "invalid-argument":
    case "no-function":
      return { code: "request/invalid-argument", detail: sentence(outcome.message) };
    case "not-http":
    case "not-command":
      return { code: "request/not-found", detail: sentence(outcome.message) };
  }
}

function later(code: Problem["code"], detail: string | undefined, retryAfter: number | undefined): Problem {
  return retryAfter === undefined ? { code, detail } : { code, detail, retryAfter };
}

function platform(outcome: Extract<Outcome, { kind: "platform" }>, debug: boolean): Problem {
  switch (outcome.code) {
    case "instance-lost":
      return { code: "platform/instance-lost", detail: "Another run on the same instance ended it; the request may be sent again." };
    case "lease-expired":
      return { code: "platform/lease-expired", detail: sentence(outcome.message) };
    case "closing":
      return { code: "platform/draining", detail: undefined };
    case "internal":
      return { code: "platform/internal", detail: debug ? outcome.message : undefined };
  }
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase();
  return `${first}${text.slice(1)}.`;
}

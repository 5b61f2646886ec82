import { describe, expect, it } from "vitest";
import { PROBLEMS } from "../../src/base/problem.js";
import type { Outcome } from "../../src/engine/outcome.js";
import { problemOf } from "../../src/invoke/blame.js";

type Row = [outcome: Outcome, status: number, code: string, detail: string | undefined];

/** Every ending that there is without an answer. `undefined`: the title says it all. */
const TABLE: Row[] = [
  [{ kind: "ok", exit: 0 }, 500, "guest/no-answer", undefined],
  [{ kind: "guest-error", code: "no-answer", message: "inside" }, 500, "guest/no-answer", "The handler returned without answering."],
  [{ kind: "guest-error", code: "error-code", message: "inside" }, 500, "guest/error", undefined],
  [{ kind: "guest-error", code: "bad-answer", message: "inside" }, 500, "guest/error", undefined],
  [{ kind: "trap", message: "inside" }, 500, "guest/trap", undefined],
  [
    { kind: "limit", limit: "memory", used: 11, allowed: 10 },
    500,
    "guest/memory",
    "limits.memory allows 10 bytes; this run came to 11 bytes.",
  ],
  [
    { kind: "limit", limit: "cell-memory", used: 11, allowed: 10 },
    503,
    "capacity/cell-full",
    "The cell of the tenant allows 10 bytes; with what this run asked for it would hold 11 bytes.",
  ],
  [{ kind: "limit", limit: "cpu", used: 11, allowed: 10 }, 500, "guest/cpu", "limits.cpu allows 10 ms; this run came to 11 ms."],
  [
    { kind: "limit", limit: "head-time", used: 11, allowed: 10 },
    504,
    "guest/timeout",
    "limits.timeout allows 10 ms; this run came to 11 ms.",
  ],
  [{ kind: "limit", limit: "idle-time", used: 11, allowed: 10 }, 504, "guest/timeout", "limits.idle allows 10 ms; this run came to 11 ms."],
  [
    { kind: "limit", limit: "total-time", used: 11, allowed: 10 },
    504,
    "guest/timeout",
    "limits.duration allows 10 ms; this run came to 11 ms.",
  ],
  [
    { kind: "limit", limit: "request-body", used: 11, allowed: 10 },
    413,
    "request/body-too-large",
    "limits.requestBody allows 10 bytes; this run came to 11 bytes.",
  ],
  [
    { kind: "limit", limit: "response-body", used: 11, allowed: 10 },
    500,
    "guest/output",
    "limits.responseBody allows 10 bytes; this run came to 11 bytes.",
  ],
  [
    { kind: "limit", limit: "response-headers", used: 11, allowed: 10 },
    500,
    "guest/output",
    "limits.headers allows 10 bytes; this run came to 11 bytes.",
  ],
  [{ kind: "limit", limit: "handles", used: 11, allowed: 10 }, 500, "guest/handles", "limits.handles allows 10; this run came to 11."],
  [
    { kind: "limit", limit: "values", used: 11, allowed: 10 },
    500,
    "guest/values",
    "limits.values allows 10 bytes; this run came to 11 bytes.",
  ],
  [{ kind: "cancelled" }, 499, "request/cancelled", undefined],
  [{ kind: "refused", code: "task-full", message: "x" }, 429, "capacity/task-full", undefined],
  [{ kind: "refused", code: "tenant-full", message: "x" }, 429, "capacity/tenant-full", undefined],
  [{ kind: "refused", code: "node-full", message: "x" }, 503, "capacity/node-full", undefined],
  [{ kind: "refused", code: "overloaded", message: "x" }, 503, "capacity/overloaded", undefined],
  [{ kind: "refused", code: "draining", message: "this tenant takes no runs" }, 503, "platform/draining", "This tenant takes no runs."],
  [
    { kind: "refused", code: "malformed", message: 'the header "x" is not valid' },
    400,
    "request/malformed",
    'The header "x" is not valid.',
  ],
  [{ kind: "refused", code: "invalid-argument", message: "missing argument b" }, 400, "request/invalid-argument", "Missing argument b."],
  [{ kind: "refused", code: "no-function", message: "there is no function x" }, 400, "request/invalid-argument", "There is no function x."],
  [
    { kind: "refused", code: "not-http", message: "the component has no HTTP handler" },
    404,
    "request/not-found",
    "The component has no HTTP handler.",
  ],
  [
    { kind: "refused", code: "not-command", message: "the component does not export wasi:cli/run" },
    404,
    "request/not-found",
    "The component does not export wasi:cli/run.",
  ],
  [
    { kind: "platform", code: "instance-lost", message: "inside" },
    503,
    "platform/instance-lost",
    "Another run on the same instance ended it; the request may be sent again.",
  ],
  [
    { kind: "platform", code: "lease-expired", message: "the run outlived its lease" },
    504,
    "platform/lease-expired",
    "The run outlived its lease.",
  ],
  [{ kind: "platform", code: "closing", message: "inside" }, 503, "platform/draining", undefined],
  [{ kind: "platform", code: "internal", message: "inside" }, 500, "platform/internal", undefined],
];

const nameOf = (outcome: Outcome): string =>
  ["limit" in outcome ? outcome.limit : "", "code" in outcome ? outcome.code : ""].reduce(
    (name, part) => (part === "" ? name : `${name}/${part}`),
    outcome.kind as string,
  );

describe("an outcome without an answer", () => {
  it.each(TABLE.map((row) => [nameOf(row[0]), ...row] as const))(
    "%s reads as its problem to a client",
    (_name, outcome, status, code, detail) => {
      const problem = problemOf(outcome, false);
      expect([PROBLEMS[problem.code].status, problem.code, problem.detail]).toEqual([status, code, detail]);
    },
  );

  it("tells nothing of the guest's insides or of ours to those who may not debug", () => {
    for (const [outcome] of TABLE) expect(JSON.stringify(problemOf(outcome, false))).not.toContain("inside");
  });

  it("tells those who may debug what the trap, the error or the failure said", () => {
    const told = TABLE.filter(([outcome]) => problemOf(outcome, true).detail === "inside").map(([outcome]) => nameOf(outcome));
    expect(told).toEqual(["guest-error/error-code", "guest-error/bad-answer", "trap", "platform/internal"]);
  });

  it.each(["task-full", "tenant-full", "node-full", "overloaded", "draining"] as const)(
    "that is refused as %s says when to come back",
    (code) => {
      expect(problemOf({ kind: "refused", code, message: "x", retryAfter: 7 }, false).retryAfter).toBe(7);
      expect(problemOf({ kind: "refused", code, message: "x" }, false)).not.toHaveProperty("retryAfter");
    },
  );

  it("blames the caller with 4xx, and the function or the node with 5xx", () => {
    for (const [outcome, status, code] of TABLE) {
      const whose = code.split("/")[0];
      if (whose === "guest" || whose === "platform") expect(status, nameOf(outcome)).toBeGreaterThanOrEqual(500);
      if (whose === "request") expect(status, nameOf(outcome)).toBeLessThan(500);
    }
  });
});

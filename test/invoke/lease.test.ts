import { describe, expect, it } from "vitest";
import { NO_USAGE, type Outcome } from "../../src/engine/outcome.js";
import { Lease } from "../../src/invoke/lease.js";
import type { Ending, Grant, PoolEvent } from "../../src/pool/types.js";

const GRANT: Grant = {
  kind: "grant",
  run: 5,
  slot: 3,
  generation: 7,
  program: 1,
  cell: 2,
  fresh: true,
  last: true,
  rung: "own/linked",
  why: [],
  pool: "shared",
  term: "direct",
};

function leased(): { readonly lease: Lease; readonly told: PoolEvent[] } {
  const told: PoolEvent[] = [];
  return { lease: new Lease(GRANT, 1000, (event) => void told.push(event)), told };
}

describe("a lease", () => {
  it("is given back once, under its token, with what was learnt from the run", () => {
    const { lease, told } = leased();
    const usage = { ...NO_USAGE, memoryBytes: 9, startNanoseconds: 10, waitNanoseconds: 11 };
    lease.over({ kind: "ok", exit: 0 }, usage);
    expect(told).toEqual([]);
    lease[Symbol.dispose]();
    lease[Symbol.dispose]();
    expect(told).toEqual([
      {
        kind: "settled",
        run: 5,
        slot: 3,
        generation: 7,
        ending: "sound",
        memoryBytes: 9,
        startNanoseconds: 10,
        waitNanoseconds: 11,
      },
    ]);
  });

  it("of a run that nothing is known of says nothing for its instance", () => {
    const { lease, told } = leased();
    lease[Symbol.dispose]();
    expect(told).toMatchObject([{ ending: "cut", memoryBytes: 0 }]);
  });

  it("that others have ended gives nothing back", () => {
    const { lease, told } = leased();
    lease.drop();
    lease[Symbol.dispose]();
    expect(told).toEqual([]);
  });

  it.each<[Outcome, Ending]>([
    [{ kind: "ok", exit: 1 }, "sound"],
    [{ kind: "guest-error", code: "error-code", message: "" }, "sound"],
    [{ kind: "guest-error", code: "no-answer", message: "" }, "unsound"],
    [{ kind: "guest-error", code: "bad-answer", message: "" }, "unsound"],
    [{ kind: "trap", message: "" }, "unsound"],
    [{ kind: "limit", limit: "memory", used: 2, allowed: 1 }, "unsound"],
    [{ kind: "limit", limit: "head-time", used: 2, allowed: 1 }, "unsound"],
    [{ kind: "limit", limit: "cell-memory", used: 2, allowed: 1 }, "exhausted"],
    [{ kind: "limit", limit: "request-body", used: 2, allowed: 1 }, "cut"],
    [{ kind: "cancelled" }, "cut"],
    [{ kind: "refused", code: "malformed", message: "" }, "cut"],
    [{ kind: "platform", code: "instance-lost", message: "" }, "cut"],
  ])("whose run ended with %j ends %s: who is to blame decides about the version's health", (outcome, ending) => {
    const { lease, told } = leased();
    lease.over(outcome, NO_USAGE);
    lease[Symbol.dispose]();
    expect(told).toMatchObject([{ ending }]);
  });
});

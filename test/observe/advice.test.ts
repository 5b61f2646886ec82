import { describe, expect, it } from "vitest";
import { advise, adviseCells, type Advised, type Used } from "../../src/observe/advice.js";
import type { UsageOfRun } from "../../src/observe/tally.js";
import { readManifest } from "../../src/tasks/manifest.js";
import { USUAL_TERMS, type CapacityTerms } from "../../src/tenants/tenant.js";
import { MiB, runOf, tallyOf } from "./used.js";

const DEDICATED: CapacityTerms = { ...USUAL_TERMS, dedicated: 4 };
const CELL = { cellBytes: 256 * MiB, cellSlots: 8 };

function manifest(over: object = {}): Advised {
  return readManifest({ name: "hello", component: "hello.wasm", ...over }, "a manifest");
}

/** A row for each `count` runs of a kind. */
function used(...kinds: readonly (readonly [count: number, over: Partial<UsageOfRun>])[]): Used[] {
  return kinds.map(([count, over]) => {
    const run = runOf(over);
    return { pool: run.pool, term: run.term, tally: tallyOf(...Array.from({ length: count }, () => run)) };
  });
}

/** `lower "128MiB" → "16MiB": why`. */
function said(field: string, rows: readonly Used[], over: object = {}, terms: CapacityTerms = USUAL_TERMS): string {
  const one = advise(manifest(over), terms, rows).find((advice) => advice.field === field);
  return `${one?.change} ${one?.set} → ${one?.suggested}: ${one?.why}`;
}

describe("advice on a task", () => {
  it("sets every field against what was used, and says where", () => {
    const advice = advise(manifest(), USUAL_TERMS, used([200, { memoryBytes: 9 * MiB }], [5, { memoryBytes: 12 * MiB }]));
    expect(advice.map(({ task, field, change, set }) => [task, field, change, set])).toEqual([
      ["hello", "limits.memory", "lower", "128MiB"],
      ["hello", "limits.timeout", "keep", "30s"],
      ["hello", "limits.concurrency", "keep", 200],
      ["hello", "capacity.pool", "keep", "shared"],
      ["hello", "capacity.ready", "keep", 0],
    ]);
  });

  it.each([
    [
      "far below the limit",
      used([200, { memoryBytes: 9 * MiB }], [5, { memoryBytes: 12 * MiB }]),
      "128MiB",
      "lower 128MiB → 16MiB: 95 % of 205 runs took at most 9.5MiB, and none more than 12MiB",
    ],
    [
      "a little below the limit",
      used([200, { memoryBytes: 12 * MiB }]),
      "20MiB",
      "keep 20MiB → undefined: 95 % of 200 runs took at most 12MiB, and none more than 12MiB",
    ],
    [
      "close to the limit",
      used([200, { memoryBytes: 19 * MiB }]),
      "20MiB",
      "raise 20MiB → 24MiB: 95 % of 200 runs took at most 19MiB, and none more than 19MiB",
    ],
    [
      "over the limit",
      used([200, { memoryBytes: 9 * MiB }], [3, { memoryBytes: 64 * MiB, limit: "memory" }]),
      "64MiB",
      "raise 64MiB → 96MiB: 3 of 203 runs ended at the limit",
    ],
    [
      "next to nothing",
      used([200, { memoryBytes: 70_000 }]),
      "128MiB",
      "lower 128MiB → 1MiB: 95 % of 200 runs took at most 68.4KiB, and none more than 68.4KiB",
    ],
    ["unknown", used([200, { memoryBytes: 0 }]), "128MiB", "keep 128MiB → undefined: no run's memory is known"],
  ])("suggests by memory that is %s", (_title, rows, memory, says) => {
    expect(said("limits.memory", rows, { limits: { memory } })).toBe(says);
  });

  it.each([
    ["a limit that is reached", used([300, {}], [7, { limit: "head-time" }]), "raise 30s → 1m: 7 of 307 runs had no answer by then"],
    ["one that is not", used([300, { headMs: 1234.5 }]), "keep 30s → undefined: the slowest answer began after 1235ms"],
    ["runs that answer nobody", used([300, { headMs: 0 }]), "keep 30s → undefined: no run began an answer"],
  ])("suggests a timeout by %s", (_title, rows, says) => {
    expect(said("limits.timeout", rows)).toBe(says);
  });

  it("suggests more runs at once where some were refused for it, though few ran", () => {
    const full = used([50, { concurrent: 10 }], [60, { term: "none", refused: "task-full", concurrent: 10 }]);
    expect(said("limits.concurrency", full, { limits: { concurrency: 10 } })).toBe(
      "raise 10 → 15: 60 of 110 were refused because so many were there",
    );
    expect(said("limits.concurrency", used([300, { concurrent: 7 }]))).toBe(
      "keep 200 → undefined: 7 at once were the most; none was refused for it",
    );
  });

  it.each([
    ["more than are ever used", 10, 1, used([300, { concurrent: 2 }]), "lower 10 → 2: 2 at once were the most, which takes 2 instances"],
    [
      "more than are ever used, several runs in each",
      10,
      4,
      used([300, { concurrent: 7 }]),
      "lower 10 → 2: 7 at once were the most, which takes 2 instances",
    ],
    [
      "none where code is often far",
      0,
      1,
      used([100, { concurrent: 1 }], [20, { rung: "own/compiled" }], [5, { rung: "warming/stored" }]),
      "raise 0 → 1: 25 of 125 runs found the code not linked; 1 at once were the most, which takes one instance",
    ],
    [
      "as many as are used",
      2,
      1,
      used([300, { concurrent: 2 }]),
      "keep 2 → undefined: 2 at once were the most, which takes 2 instances; 0 of 300 runs found the code not linked",
    ],
  ])("suggests by ready instances that are %s", (_title, ready, maxConcurrent, rows, says) => {
    expect(said("capacity.ready", rows, { capacity: { ready }, reuse: { maxConcurrent, maxRequests: 100 } })).toBe(says);
  });

  it.each([
    [
      "shared",
      DEDICATED,
      used([90, {}], [20, { term: "wait", waitMs: 300 }]),
      "other shared → dedicated: 20 of 110 waited (300ms at most), 0 went to the shared sub-pool, 0 were refused for want of room: 18.18%",
    ],
    [
      "shared",
      USUAL_TERMS,
      used([90, {}], [20, { term: "wait", waitMs: 300 }]),
      "keep shared → undefined: 20 of 110 waited (300ms at most), 0 went to the shared sub-pool, 0 were refused for want of room: 18.18%",
    ],
    [
      "variable",
      { ...USUAL_TERMS, variableCeiling: 0.5 },
      used([90, { pool: "variable" }], [10, { pool: "variable", term: "none", refused: "tenant-full" }]),
      "other variable → shared: 0 of 100 waited (0ms at most), 0 went to the shared sub-pool, 10 were refused for want of room: 10%",
    ],
    [
      "dedicated",
      DEDICATED,
      used([50, { pool: "dedicated" }], [50, { term: "spill" }]),
      "keep dedicated → undefined: 0 of 100 waited (0ms at most), 50 went to the shared sub-pool, 0 were refused for want of room: 50%",
    ],
  ])("suggests another sub-pool than %s where there is one and room was wanting", (pool, terms, rows, says) => {
    expect(said("capacity.pool", rows, { capacity: { pool } }, terms)).toBe(says);
  });

  it("suggests nothing below a hundred runs, and says so of each field", () => {
    const advice = advise(manifest(), USUAL_TERMS, used([99, { memoryBytes: MiB, limit: "memory" }]));
    expect(advice).toHaveLength(5);
    for (const { change, suggested, why } of advice)
      expect([change, suggested, why]).toEqual([
        "unknown",
        undefined,
        "not enough runs to tell: 99, and from 100 on something can be said",
      ]);
    expect(advise(manifest(), USUAL_TERMS, [])[0]?.why).toBe("not enough runs to tell: 0, and from 100 on something can be said");
  });
});

describe("advice on dedicated cells", () => {
  const cells = (rows: readonly Used[], over: object = {}, terms = DEDICATED) =>
    adviseCells(terms, CELL, [{ manifest: manifest(over), rows }]);

  it("is given to those alone that have some", () => {
    expect(cells(used([300, {}]), {}, USUAL_TERMS)).toBeUndefined();
  });

  it.each([
    [
      "wait",
      used([80, { pool: "dedicated" }], [20, { pool: "dedicated", term: "wait", waitMs: 50 }]),
      "20 of 100 waited (50ms at most), 0 went to the shared sub-pool, 0 were refused for want of room: 20%",
    ],
    [
      "spill",
      used([80, { pool: "dedicated" }], [20, { term: "spill" }]),
      "0 of 100 waited (0ms at most), 20 went to the shared sub-pool, 0 were refused for want of room: 20%",
    ],
    [
      "are refused",
      used([80, { pool: "dedicated" }], [20, { pool: "dedicated", term: "none", refused: "tenant-full" }]),
      "0 of 100 waited (0ms at most), 0 went to the shared sub-pool, 20 were refused for want of room: 20%",
    ],
  ])("is for more where many %s", (_title, rows, why) => {
    expect(cells(rows)).toEqual({ task: undefined, field: "dedicated", change: "raise", set: 4, suggested: 5, why });
  });

  it("is for as many more as went elsewhere", () => {
    expect(cells(used([20, { pool: "dedicated" }], [80, { term: "spill" }]))?.suggested).toBe(20);
  });

  it("is for fewer where they are hardly used: by bytes, and by slots", () => {
    // Three at once at 128 MiB take two cells of 256 MiB.
    expect(cells(used([300, { pool: "dedicated", concurrent: 3 }]))).toMatchObject({
      change: "lower",
      set: 4,
      suggested: 2,
      why: "2 would hold every task at its most runs at once; 0 of 300 waited (0ms at most), 0 went to the shared sub-pool, 0 were refused for want of room: 0%",
    });
    expect(cells(used([300, { pool: "dedicated", concurrent: 17, chargedBytes: MiB }]))).toMatchObject({ change: "lower", suggested: 3 });
    expect(cells(used([300, { pool: "dedicated", concurrent: 1, chargedBytes: MiB }]))).toMatchObject({ change: "lower", suggested: 1 });
  });

  it("is to keep them where all are needed, or where one had to wait", () => {
    expect(cells(used([300, { pool: "dedicated", concurrent: 8 }]))).toMatchObject({ change: "keep", suggested: undefined });
    expect(cells(used([300, { pool: "dedicated", concurrent: 1 }], [1, { pool: "dedicated", term: "wait" }]))).toMatchObject({
      change: "keep",
    });
  });

  it("leaves out tasks that are elsewhere, and adds up those that are there", () => {
    const rows = used([200, { pool: "dedicated", concurrent: 2 }]);
    const elsewhere = { manifest: manifest({ name: "other", capacity: { pool: "shared" } }), rows: used([300, { term: "wait" }]) };
    const both = [{ manifest: manifest(), rows }, { manifest: manifest({ name: "second" }), rows }, elsewhere];
    expect(adviseCells(DEDICATED, CELL, both)).toMatchObject({ change: "lower", suggested: 2 });
  });

  it("says when there are not enough runs", () => {
    expect(cells([])).toMatchObject({ change: "unknown", why: "not enough runs to tell: 0, and from 100 on something can be said" });
  });
});

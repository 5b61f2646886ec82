/** What a manifest picks of its tenant's terms, and what it picks that is not there. */
import { describe, expect, it } from "vitest";
import { usualCapacity } from "../../src/config/capacity.js";
import type { PoolSettings } from "../../src/pool/types.js";
import { capacityFaults, effectiveCapacity } from "../../src/tasks/capacity.js";
import { readManifest, type Manifest } from "../../src/tasks/manifest.js";
import { USUAL_TERMS, type CapacityTerms } from "../../src/tenants/tenant.js";

const GiB = 2 ** 30;
const manifest = (fields: object = {}): Manifest => readManifest({ name: "a", component: "a.wasm", ...fields }, "m");
const terms = (change: Partial<CapacityTerms> = {}): CapacityTerms => ({ ...USUAL_TERMS, ...change });

describe("where a task runs", () => {
  it.each<[string, object, Partial<CapacityTerms>, string]>([
    ["in the shared cells, and waits", {}, {}, "shared wait"],
    ["in its tenant's own cells, if there are any", {}, { dedicated: 1 }, "dedicated wait"],
    ["where it says", { pool: "shared" }, { dedicated: 1 }, "shared wait"],
    ["in variable cells only where it says so", {}, { variableCeiling: 0.5 }, "shared wait"],
    ["in variable cells", { pool: "variable" }, { variableCeiling: 0.5 }, "variable wait"],
    ["and what its tenant's first term says", {}, { dedicated: 1, whenFull: ["spill", "wait"] }, "dedicated spill"],
    ["and what it says itself", { whenFull: "reject" }, { dedicated: 1, whenFull: ["spill", "reject"] }, "dedicated reject"],
    ["shared already, so it does not spill", {}, { whenFull: ["spill", "reject"] }, "shared reject"],
    ["shared already, and waits where spilling is the only term", {}, { whenFull: ["spill"] }, "shared wait"],
  ])("%s: %j of %j", (_title, said, change, effective) => {
    const { pool, whenFull } = effectiveCapacity(manifest({ capacity: said }).capacity, terms(change));
    expect(`${pool} ${whenFull}`).toBe(effective);
  });
});

describe("what a manifest picks that is not there", () => {
  /** 8 GiB, of which 1 for the lobby; cells of 256 MiB, 512 MiB where dedicated. */
  const usual = usualCapacity(1000, 16 * GiB);
  const cell = { ...usual.pools.shared, cellBytes: GiB / 4 };
  const settings: PoolSettings = {
    ...usual,
    variableCeiling: 0.5,
    pools: { shared: cell, dedicated: { ...cell, cellBytes: GiB / 2 }, variable: cell },
  };
  const faults = (fields: object, change: Partial<CapacityTerms> = {}): string[] =>
    capacityFaults(manifest(fields), terms(change), settings).map(({ field, message }) => `${field}: ${message}`);

  it("is nothing, for most", () => {
    expect(faults({})).toEqual([]);
    expect(faults({ capacity: { pool: "dedicated", whenFull: "spill" } }, { dedicated: 1 })).toEqual([]);
    expect(faults({ capacity: { pool: "variable", whenFull: "spill" } }, { variableCeiling: 0.1 })).toEqual([]);
    // A tenant's term that makes no sense here is no pick of the manifest's.
    expect(faults({}, { whenFull: ["spill"] })).toEqual([]);
  });

  it.each<[object, Partial<CapacityTerms>, string[]]>([
    [{ pool: "dedicated" }, {}, ["capacity.pool: this tenant has no dedicated capacity; its operator grants it"]],
    [{ pool: "variable" }, { dedicated: 4 }, ["capacity.pool: this tenant has no variable capacity; its operator grants it"]],
    [
      { whenFull: "spill" },
      {},
      ['capacity.whenFull: "spill" goes over to the shared sub-pool, and the task is there already; expected "wait" or "reject"'],
    ],
    [
      { whenFull: "reject" },
      { whenFull: ["wait", "spill"] },
      [`capacity.whenFull: "reject" is not among this tenant's terms, which are wait, spill; its operator sets them`],
    ],
    [
      { pool: "variable", whenFull: "wait" },
      { whenFull: ["reject"] },
      [
        "capacity.pool: this tenant has no variable capacity; its operator grants it",
        `capacity.whenFull: "wait" is not among this tenant's terms, which are reject; its operator sets them`,
      ],
    ],
  ])("capacity %j of %j", (capacity, change, lines) => expect(faults({ capacity }, change)).toEqual(lines));

  it.each<[string, object, Partial<CapacityTerms>, string, string]>([
    ["2GiB", {}, { dedicated: 4 }, "2.1GiB", "2.1GiB do not fit: this tenant's 4 dedicated cells hold 2GiB together"],
    ["512MiB", {}, { dedicated: 1 }, "513MiB", "513MiB do not fit: this tenant's one dedicated cell holds 512MiB"],
    ["7GiB", {}, {}, "7.5GiB", "7.5GiB do not fit: the node's 28 shared cells hold 7GiB together"],
    [
      "768MiB",
      { pool: "variable" },
      { variableCeiling: 0.1 },
      "1GiB",
      "1GiB do not fit: this tenant's 3 variable cells hold 768MiB together",
    ],
    ["4GiB", { pool: "variable" }, { variableCeiling: 0.9 }, "5GiB", "5GiB do not fit: this tenant's 16 variable cells hold 4GiB together"],
  ])("memory: all cells of its sub-pool may hold %s", (fits, capacity, change, larger, message) => {
    expect(faults({ capacity, limits: { memory: fits } }, change)).toEqual([]);
    expect(faults({ capacity, limits: { memory: larger } }, change)).toEqual([`limits.memory: ${message}`]);
  });
});

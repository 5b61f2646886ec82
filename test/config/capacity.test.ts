/** What a node's configuration means for its cells, and what does not add up. */
import { describe, expect, it } from "vitest";
import type { FieldError } from "../../src/base/problem.js";
import { resolveCapacity, settingsFaults, usualCapacity } from "../../src/config/capacity.js";
import { readConfig } from "../../src/config/schema.js";
import type { PoolSettings } from "../../src/pool/types.js";
import { readManifest } from "../../src/tasks/manifest.js";

const MiB = 2 ** 20;
const GiB = 2 ** 30;

interface File {
  readonly node?: object;
  readonly pools?: object;
}

function resolved(file: File, instances = 1000, memory = 16 * GiB): { settings: PoolSettings; faults: string[] } {
  const faults: FieldError[] = [];
  const settings = resolveCapacity(readConfig(JSON.stringify(file), "file"), instances, memory, faults);
  return { settings, faults: faults.map(({ field, message }) => `${field}: ${message}`) };
}

describe("what is not said", () => {
  it("follows from what the process may use: half of it, in 64 cells, an eighth for the lobby", () => {
    expect(usualCapacity(1000, 16 * GiB)).toEqual(resolved({}).settings);
    const { budgetBytes, lobbyBytes, pools } = usualCapacity(1000, 32 * GiB);
    expect([budgetBytes, lobbyBytes, pools.shared]).toEqual([16 * GiB, 2 * GiB, { cellBytes: 256 * MiB, cellSlots: 15, warming: 2 }]);
  });

  it("has cells neither too small nor too large to be of use", () => {
    const cell = (memory: number): number => usualCapacity(1000, memory).pools.shared.cellBytes;
    expect([GiB, 16 * GiB, 24 * GiB, 512 * GiB].map((memory) => cell(memory) / MiB)).toEqual([128, 128, 192, 512]);
    // Whole MiB, as people read them.
    expect(cell(25 * GiB) / MiB).toBe(200);
    expect(cell(25 * GiB + 100) / MiB).toBe(200);
  });

  it("has cells that take a task whose manifest says nothing of its memory", () => {
    const { limits } = readManifest({ name: "a", component: "a.wasm" }, "the manifest");
    expect(usualCapacity(1000, GiB).pools.shared.cellBytes).toBeGreaterThanOrEqual(limits.memory);
  });

  it.each([MiB * 4, 100 * MiB, 200 * MiB, GiB, 100 * GiB])("adds up on a machine of %d bytes, with one instance or many", (memory) => {
    for (const instances of [1, 16, 20_000]) {
      const settings = usualCapacity(instances, memory);
      expect(settingsFaults(settings)).toEqual([]);
      const { cellBytes, cellSlots } = settings.pools.shared;
      expect(cellSlots).toBeGreaterThanOrEqual(1);
      const cells = Math.floor(settings.budgetBytes / cellBytes);
      expect(cells * cellSlots).toBeLessThanOrEqual(Math.max(instances, cells));
    }
  });

  it("keeps no more warming cells than there are", () => {
    expect(usualCapacity(100, 200 * MiB).pools.shared).toMatchObject({ cellBytes: 87.5 * MiB, warming: 1 });
    expect(resolved({ pools: { shared: { cell: "6GiB" } } }).settings.pools.shared.warming).toBe(1);
  });
});

it("what is said holds, each for itself", () => {
  const { settings, faults } = resolved({
    node: { memory: "4GiB", lobby: "256MiB", overcommit: 2, instanceIdle: "5s", cellIdle: "10s", programIdle: "1m" },
    pools: { shared: { cell: "32MiB", warming: 7 }, dedicated: { slots: 3 }, variable: { ceiling: "10%", warming: 1 } },
  });
  expect(faults).toEqual([]);
  expect(settings).toEqual({
    budgetBytes: 4 * GiB,
    lobbyBytes: 256 * MiB,
    pools: {
      shared: { cellBytes: 32 * MiB, cellSlots: 7, warming: 7 },
      dedicated: { cellBytes: 128 * MiB, cellSlots: 3, warming: 0 },
      variable: { cellBytes: 128 * MiB, cellSlots: 31, warming: 1 },
    },
    overcommit: 2,
    variableCeiling: 0.1,
    instanceIdle: 5000,
    cellIdle: 10_000,
    programIdle: 60_000,
    forecast: true,
  });
});

describe("what does not add up is told with its sum", () => {
  it.each<[File, string[]]>([
    [{ node: { memory: "1GiB", lobby: "1GiB" } }, ["node.lobby: a lobby of 1GiB leaves no cells of a budget of 1GiB"]],
    [
      { node: { memory: "1MiB" } },
      ["shared", "dedicated", "variable"].map(
        (pool) => `pools.${pool}.cell: a cell of 1MiB does not fit; the node has 896KiB for cells (1MiB less 128KiB for the lobby)`,
      ),
    ],
    [
      { node: { memory: "1GiB" }, pools: { dedicated: { cell: "2GiB" } } },
      ["pools.dedicated.cell: a cell of 2GiB does not fit; the node has 896MiB for cells (1GiB less 128MiB for the lobby)"],
    ],
    [
      { node: { memory: "1GiB" }, pools: { shared: { warming: 10 } } },
      ["pools.shared.warming: 10 warming cells of 128MiB come to 1.3GiB; the node has 896MiB for cells (1GiB less 128MiB for the lobby)"],
    ],
    [
      { node: { memory: "1GiB" }, pools: { shared: { warming: 5 }, variable: { warming: 3 } } },
      [
        "pools.variable.warming: 3 warming cells of 128MiB come to 1GiB with those of other sub-pools; the node has 896MiB for cells (1GiB less 128MiB for the lobby)",
      ],
    ],
    [
      { node: { memory: "1GiB" }, pools: { variable: { warming: 1, ceiling: "10%" } } },
      ["pools.variable.warming: 1 warming cell of 128MiB come to 128MiB; all variable cells together may have 102.4MiB"],
    ],
    [
      { node: { instanceIdle: "60s", cellIdle: "60s" } },
      ["node.instanceIdle: 1m is not less than the cellIdle of 1m; an instance goes before its cell does"],
    ],
    [{ pools: { shared: { cell: "1KiB" } } }, ["pools.shared.cell: expected at least 1MiB"]],
    [
      { pools: { shared: { slots: 20_001, warming: 10_001 } } },
      ["pools.shared.slots: expected a whole number from 1 to 20000", "pools.shared.warming: expected a whole number from 0 to 10000"],
    ],
    [{ node: { overcommit: 2000 } }, ["node.overcommit: expected a number from 1 to 1000"]],
  ])("%j", (file, lines) => expect(resolved(file).faults).toEqual(lines));

  it("also what only a running node can be told", () => {
    const { settings } = resolved({});
    const wrong: PoolSettings = {
      ...settings,
      budgetBytes: 0.5,
      lobbyBytes: -1,
      overcommit: Number.NaN,
      variableCeiling: 1.5,
      programIdle: 0,
      cellIdle: Infinity,
      pools: { ...settings.pools, dedicated: { ...settings.pools.dedicated, warming: 1 } },
    };
    expect(settingsFaults(wrong).map(({ field, message }) => `${field}: ${message}`)).toEqual([
      "budgetBytes: expected a whole number of bytes above zero",
      "lobbyBytes: expected a whole number of bytes above zero",
      "pools.dedicated.warming: expected 0: dedicated cells always have a tenant",
      "overcommit: expected a number from 1 to 1000",
      "variableCeiling: expected a share from 0 to 1 (0% to 100%)",
      "cellIdle: expected a time above zero",
      "programIdle: expected a time above zero",
    ]);
  });
});

it("idle times follow each other where one of them is said", () => {
  const idle = (node: object): number[] => {
    const faults: FieldError[] = [];
    const { instanceIdle, cellIdle } = resolveCapacity({ node, pools: {} }, 1000, 16 * GiB, faults);
    expect(faults).toEqual([]);
    return [instanceIdle, cellIdle];
  };
  expect(idle({})).toEqual([300_000, 360_000]);
  expect(idle({ cellIdle: "1m" })).toEqual([50_000, 60_000]);
  expect(idle({ instanceIdle: "10m" })).toEqual([600_000, 720_000]);
});

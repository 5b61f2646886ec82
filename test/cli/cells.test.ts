/** `cells`, and what `tenants` says of capacity: what the node is asked, and what is made of the answer. */
import { describe, expect, it } from "vitest";
import { usualCapacity } from "../../src/config/capacity.js";
import type { CapacityInfo, CellInfo } from "../../src/control/control.js";
import { cli, fakeNode, page } from "./run.js";

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const CELL: CellInfo = {
  cell: 7,
  pool: "dedicated",
  state: "active",
  tenant: "acme",
  bytes: 128 * MiB,
  chargedBytes: 48 * MiB,
  slots: 15,
  busy: 1,
  idle: 2,
  starting: 0,
  tasks: ["acme/a", "acme/b"],
  idleMs: undefined,
  sick: undefined,
};
const EVER = { assigned: 5, reclaimed: 1, replaced: 0, misses: 2 };
const POOL = {
  pool: "shared",
  cellBytes: 128 * MiB,
  cellSlots: 15,
  cells: 3,
  warming: 1,
  target: 2,
  active: 2,
  draining: 0,
  ...EVER,
} as const;
const CAPACITY: CapacityInfo = {
  settings: usualCapacity(1000, 16 * GiB),
  set: {},
  now: {
    budgetBytes: 8 * GiB,
    cellBytes: 384 * MiB,
    lobbyBytes: GiB,
    lobbyChargedBytes: MiB,
    reservedRuns: 0,
    waiting: 0,
    leases: 3,
    runLimit: undefined,
    draining: false,
    pools: [POOL],
  },
  totals: { rungs: {}, passed: {}, refused: {}, expired: 0, evictedInstances: 0, evictedPrograms: 0, foreseen: 0 },
  drained: [],
};

const sent = (body: Buffer | undefined): unknown => JSON.parse((body as Buffer).toString());

describe("cells", () => {
  it("lists them, with what each holds and how long nothing has run in it", async () => {
    const warming = {
      ...CELL,
      cell: 8,
      pool: "shared",
      state: "warming",
      tenant: undefined,
      chargedBytes: 0,
      busy: 0,
      idle: 0,
      idleMs: 250,
      tasks: [],
    };
    const sick = { ...CELL, cell: 9, state: "draining", idle: 0, starting: 1, idleMs: 61_400, sick: "out of memory" };
    const node = await fakeNode({ "GET /v1/cells": page(CELL, warming, sick) });
    expect((await cli(["cells"], node)).stdout).toMatchInlineSnapshot(`
      "CELL  POOL       STATE                     TENANT  HELD          BUSY  IDLE  SLOTS  QUIET FOR  TASKS
      7     dedicated  active                    acme    48MiB/128MiB  1     2     15     -          acme/a acme/b
      8     shared     warming                   -       0B/128MiB     0     0     15     250ms
      9     dedicated  draining (out of memory)  acme    48MiB/128MiB  1     0+1   15     61s        acme/a acme/b
      "
    `);
    expect(JSON.parse((await cli(["cells", "--json"], node)).stdout)).toHaveLength(3);
  });

  it("says when there are none", async () => {
    const node = await fakeNode({ "GET /v1/cells": page() });
    expect(await cli(["cells"], node)).toEqual({ exit: 0, stdout: "", stderr: "there are no cells yet\n" });
  });

  it("pools shows the budget, the sub-pools and what was set", async () => {
    const node = await fakeNode({ "GET /v1/capacity": { json: CAPACITY } });
    expect((await cli(["cells", "pools"], node)).stdout).toMatchInlineSnapshot(`
      "memory            384MiB in cells, 1MiB of 1GiB in the lobby, of 8GiB
      runs              3 go on, 0 wait
      variable ceiling  50%
      overcommit        8
      idle              instances 5m, cells 6m, programs 1d
      set here          nothing

      POOL    CELL    SLOTS  CELLS  WARMING  ACTIVE  DRAINING  ASSIGNED  RECLAIMED  REPLACED  MISSES
      shared  128MiB  15     3      1 of 2   2       0         5         1          0         2
      "
    `);
    const busy = {
      ...CAPACITY,
      set: { overcommit: 4, pools: { shared: { warming: 2 } } },
      drained: ["acme", "globex"],
      now: { ...CAPACITY.now, draining: true, runLimit: 12 },
    };
    const other = await fakeNode({ "GET /v1/capacity": { json: busy } });
    const { stdout } = await cli(["cells", "pools"], other);
    expect(stdout).toContain("3 go on, 0 wait, 12 at once are the limit\n");
    expect(stdout).toContain("set here          overcommit, pools.shared.warming\n");
    expect(stdout).toContain("draining          the node takes no runs\n");
    expect(stdout).toContain("drained           acme, globex take no runs\n");
    expect(JSON.parse((await cli(["cells", "pools", "--json"], other)).stdout)).toMatchObject({ drained: ["acme", "globex"] });
  });

  it("set sends what was said, in bytes and milliseconds", async () => {
    const node = await fakeNode({ "PATCH /v1/capacity": { json: CAPACITY } });
    const flags = ["--memory", "8GiB", "--lobby", "512MiB", "--overcommit", "2.5", "--variable-ceiling", "30%", "--instance-idle", "10s"];
    const perPool = ["--cell", "shared=128MiB", "--cell", "dedicated=1GiB", "--slots", "shared=20", "--warming", "shared=4"];
    const idle = ["--cell-idle", "90s", "--program-idle", "5m"];
    expect(await cli(["cells", "set", ...flags, ...perPool, ...idle], node)).toMatchObject({ exit: 0 });
    expect(sent(node.asked.at(-1)?.body)).toEqual({
      budgetBytes: 8 * GiB,
      lobbyBytes: 512 * MiB,
      overcommit: 2.5,
      variableCeiling: 0.3,
      instanceIdle: 10_000,
      cellIdle: 90_000,
      programIdle: 300_000,
      pools: { shared: { cellBytes: 128 * MiB, cellSlots: 20, warming: 4 }, dedicated: { cellBytes: GiB } },
    });
    await cli(["cells", "set", "--warming", "variable=0"], node);
    expect(sent(node.asked.at(-1)?.body)).toEqual({ pools: { variable: { warming: 0 } } });
  });

  it("set --reset takes everything back, and shows what holds then", async () => {
    const node = await fakeNode({ "DELETE /v1/capacity": { status: 204 }, "GET /v1/capacity": { json: CAPACITY } });
    expect((await cli(["cells", "set", "--reset"], node)).stdout).toContain("set here          nothing\n");
    expect(node.requests()).toEqual(["DELETE /v1/capacity", "GET /v1/capacity"]);
  });

  it.each([
    [["set"], "nothing to set"],
    [["set", "--reset", "--memory", "1GiB"], "--reset takes everything back and goes with nothing else"],
    [["set", "--memory", "8"], 'expected a size such as "64MiB"'],
    [["set", "--variable-ceiling", "130%"], 'expected a share such as "25%"'],
    [["set", "--cell-idle", "soon"], 'expected a duration such as "250ms"'],
    [["set", "--overcommit", "-1"], "expected a number such as 2 or 0.5"],
    [["set", "--cell", "spare=1GiB"], 'expected a sub-pool before "=": shared, dedicated, variable'],
    [["set", "--cell", "1GiB"], 'expected a sub-pool before "=": shared, dedicated, variable'],
    [["set", "--warming", "shared=many"], "expected a whole number"],
    [["drain"], "say which cell, or --node for the whole node"],
    [["drain", "7", "--node"], "say which cell, or --node for the whole node"],
  ])("%j is wrong usage", async (args, says) => {
    const node = await fakeNode({});
    expect(await cli(["cells", ...args], node)).toMatchObject({ exit: 2, stderr: expect.stringContaining(says) });
    expect(node.asked).toEqual([]);
  });

  it("drain and resume are about one cell, or the node", async () => {
    const done = { status: 204 } as const;
    const node = await fakeNode({ "POST /v1/cells/7/drain": done, "POST /v1/drain": done, "POST /v1/resume": done });
    expect(await cli(["cells", "drain", "7"], node)).toEqual({ exit: 0, stdout: "", stderr: "draining cell 7\n" });
    expect((await cli(["cells", "drain", "--node"], node)).stderr).toBe("the node takes no more runs; pilotlight cells resume ends that\n");
    expect((await cli(["cells", "resume"], node)).stderr).toBe("the node takes runs again\n");
    expect(node.requests()).toEqual(["POST /v1/cells/7/drain", "POST /v1/drain", "POST /v1/resume"]);
  });

  it("prints the sum that does not add up", async () => {
    const detail = "acme 4 + globex 60 dedicated cells of 180MiB come to 11.3GiB; the node has 10GiB for cells.";
    const node = await fakeNode({ "PATCH /v1/capacity": { problem: { code: "request/conflict", detail } } });
    expect(await cli(["cells", "set", "--memory", "11GiB"], node)).toEqual({
      exit: 1,
      stdout: "",
      stderr: `pilotlight: This contradicts what is there: ${detail}\n`,
    });
  });
});

describe("tenants", () => {
  const capacity = { dedicated: 4, variableCeiling: 0.25, whenFull: ["wait", "reject"], weight: 2 };
  const used = { tasks: 1, storedBytes: 2048, concurrency: 0, memory: 0 };
  const tenant = { name: "acme", hosts: [], folders: [], quotas: {}, capacity, createdAt: "2026-11-25T12:00:00.000Z", revision: 1, used };

  it("set grants terms of capacity, and show tells them", async () => {
    const node = await fakeNode({ "PATCH /v1/tenants/acme": { json: tenant }, "GET /v1/tenants/acme": { json: tenant } });
    const flags = ["--dedicated", "4", "--variable-ceiling", "25%", "--when-full", "wait", "--when-full", "reject", "--weight", "2"];
    expect(await cli(["tenants", "set", "acme", ...flags], node)).toMatchObject({ exit: 0, stderr: "changed the tenant acme\n" });
    expect(sent(node.asked.at(-1)?.body)).toEqual({ capacity });
    await cli(["tenants", "set", "acme", "--dedicated", "0", "--variable-ceiling", "0%"], node);
    expect(sent(node.asked.at(-1)?.body)).toEqual({ capacity: { dedicated: 0, variableCeiling: 0 } });
    const { stdout } = await cli(["tenants", "show", "acme"], node);
    expect(stdout).toContain(
      "dedicated cells    4\nvariable cells     up to 25% of the node\nwhen full          wait, reject\nweight             2\n",
    );
  });

  it.each([
    [["--when-full", "retry"], "expected one of wait, spill, reject"],
    [["--dedicated", "-1"], "expected a whole number"],
    [["--variable-ceiling", "0.25"], "expected a share such as"],
    [["--weight", "much"], "expected a number such as 2 or 0.5"],
  ])("set %j is wrong usage", async (flags, says) => {
    const node = await fakeNode({});
    expect(await cli(["tenants", "set", "acme", ...flags], node)).toMatchObject({ exit: 2, stderr: expect.stringContaining(says) });
    expect(node.asked).toEqual([]);
  });

  it("drain and resume are about one of them", async () => {
    const node = await fakeNode({ "POST /v1/tenants/acme/drain": { status: 204 }, "POST /v1/tenants/acme/resume": { status: 204 } });
    expect((await cli(["tenants", "drain", "acme"], node)).stderr).toBe(
      "acme takes no more runs; pilotlight tenants resume acme ends that\n",
    );
    expect((await cli(["tenants", "resume", "acme"], node)).stderr).toBe("acme takes runs again\n");
    expect(node.requests()).toEqual(["POST /v1/tenants/acme/drain", "POST /v1/tenants/acme/resume"]);
  });
});

/** The ladder: whose cell a run gets and how far its code is there, nearest first, and why each nearer place was passed over. */
import { describe, expect, it } from "vitest";
import type { Code } from "../../src/pool/pool.js";
import { MiB, Script } from "./script.js";

const REUSED = { maxRequests: 100 };

/** A node with so many shared cells, all of them unassigned at first. */
function cells(count: number, cellSlots = 10): Script {
  const script = new Script({}, { budgetBytes: (64 + 100 * count) * MiB, pools: { shared: { warming: count, cellSlots } } });
  script.tick(0);
  return script;
}

/** Unassigned and assigned cells of the shared sub-pool. */
function shared(script: Script): { warming: number; active: number } {
  const [{ warming, active } = { warming: -1, active: -1 }] = script.pool.view().pools;
  return { warming, active };
}

describe("the ladder", () => {
  it("is climbed in the documented order", () => {
    const script = cells(2, 3);
    script.add(1, { tenant: "a", ...REUSED });
    script.add(2, { tenant: "a", ...REUSED });
    script.add(3, { tenant: "b", ...REUSED });
    script.add(4, { tenant: "c", ...REUSED });
    expect(shared(script)).toEqual({ warming: 2, active: 0 });

    // A tenant's first run takes an unassigned cell, and its code moves there.
    expect(script.demand(1, 1)).toEqual(["cell c2 100MiB", "grant 1 on 0/1 in c2 warming/linked"]);
    expect(shared(script)).toEqual({ warming: 1, active: 1 });
    script.settle(1);
    expect(script.demand(2, 1)).toEqual(["grant 2 on 0/1 in c2 own/ready"]);
    // Two at once, and another task of the tenant: in the same cell.
    expect(script.demand(3, 1)).toEqual(["grant 3 on 1/1 in c2 own/linked"]);
    expect(script.demand(4, 2)).toEqual(["grant 4 on 2/1 in c2 own/linked"]);
    expect(shared(script)).toEqual({ warming: 1, active: 1 });
    // Another tenant: in another.
    expect(script.demand(5, 3)).toEqual(["cell c1 100MiB", "grant 5 on 3/1 in c1 warming/linked"]);
    expect(script.cells()).toEqual(["c1 shared active b 1+0", "c2 shared active a 3+0"]);

    // All cells are taken, one is full and the other has room: nobody borrows that.
    expect([...script.demand(6, 2), ...script.demand(7, 4)]).toEqual([]);
    // Room among what lies idle in its own cell comes first,
    expect(script.settle(3)).toEqual(["retire 1/1", "grant 6 on 4/1 in c2 own/linked"]);
    // then another tenant's cell, once nothing runs in it and nothing of it is left.
    expect(script.settle(5)).toEqual(["retire 3/1"]);
    expect(script.retired(3, 1)).toEqual(["close c1", "cell c3 100MiB", "cell c3 100MiB", "grant 7 on 3/2 in c3 reclaimed/linked"]);
    expect(script.cells()).toEqual(["c2 shared active a 3+0", "c3 shared active c 1+0"]);
    for (const run of [2, 4, 6, 7]) script.settle(run);
    expect(script.pool.view()).toMatchObject({ leases: 0, waiting: 0 });
  });

  const steps: [Code, string[]][] = [
    ["linked", []],
    ["compiled", ["raise 9"]],
    ["stored", ["raise 9"]],
  ];
  it.each(steps)("has a step of its own for %s code in an own, a warming and a reclaimed cell", (code, raises) => {
    const program = { ...REUSED, task: "b/9", tenant: "b", code };
    const granted = (script: Script, commands: string[]): string | undefined => {
      expect(commands.filter((command) => command.startsWith("raise"))).toEqual(raises);
      if (code !== "linked") script.raised(9);
      return script.grantOf(1)?.rung;
    };
    const warming = cells(1);
    warming.add(9, program);
    expect(granted(warming, warming.demand(1, 9))).toBe(`warming/${code}`);

    const own = cells(1);
    own.add(8, { tenant: "b", ...REUSED });
    own.demand(0, 8);
    own.add(9, program);
    expect(granted(own, own.demand(1, 9))).toBe(`own/${code}`);

    const reclaimed = cells(1);
    reclaimed.add(8, { tenant: "a", ...REUSED });
    reclaimed.demand(0, 8);
    reclaimed.settle(0);
    reclaimed.add(9, program);
    expect(reclaimed.demand(1, 9)).toEqual(["retire 0/1"]);
    expect(granted(reclaimed, reclaimed.retired(0, 1))).toBe(`reclaimed/${code}`);
  });

  it("passes over an instance without room to run, for room in another cell of the tenant", () => {
    const script = new Script({}, { pools: { shared: { cellBytes: 20 * MiB } } });
    script.add(1, { ...REUSED, memoryLimit: 10 * MiB });
    script.add(2, { memoryLimit: 16 * MiB });
    script.demand(1, 1);
    script.settle(1, { memoryBytes: 3 * MiB });
    // The other task fills what is left of the cell beside the idle instance; its second run makes a second cell.
    script.demand(2, 2);
    script.demand(3, 2);
    script.settle(3);
    expect(script.cells()).toEqual(["c1 shared active t 1+1", "c2 shared active t 0+0"]);
    expect(script.demand(4, 1)).toEqual(["grant 4 on 3/1 in c2 own/linked"]);
    expect(script.grantOf(4)?.why).toEqual(["own/ready: idle ones are in cells without room to run"]);
  });

  it("passes over an instance without room to run, for a cell that the tenant has not yet", () => {
    const script = new Script({}, { pools: { shared: { cellBytes: 20 * MiB } } });
    script.add(1, { ...REUSED, memoryLimit: 10 * MiB });
    script.add(2, { memoryLimit: 16 * MiB });
    script.demand(1, 1);
    script.settle(1, { memoryBytes: 3 * MiB });
    script.demand(2, 2);
    expect(script.demand(3, 1)).toEqual(["cell c2 20MiB", "grant 3 on 2/1 in c2 warming/linked"]);
    expect(script.grantOf(3)?.why).toEqual([
      "own/ready: idle ones are in cells without room to run",
      "own: no cell of the tenant has room",
      "warming: none was unassigned, one was made",
    ]);
  });

  it("counts the rungs that runs took and those that they passed over", () => {
    const script = cells(1);
    script.add(1, REUSED);
    script.demand(1);
    script.settle(1);
    script.demand(2);
    script.demand(3);
    expect(script.pool.totals()).toMatchObject({
      rungs: { "warming/linked": 1, "own/ready": 1, "own/linked": 1 },
      passed: { "own/ready: none is idle": 2, "own: the tenant has no cell": 1 },
    });
  });

  it.each(["compiled", "stored"] as const)("raises %s code once for a hundred first calls at once", (code) => {
    const script = new Script({}, { budgetBytes: 1064 * MiB });
    script.add(1, { code });
    const first = Array.from({ length: 100 }, (_, run) => script.demand(run)).flat();
    expect(first).toEqual(["cell c1 100MiB", "cell c1 100MiB", "raise 1"]);
    const after = script.raised(1);
    expect(after.filter((command) => command.startsWith("grant"))).toHaveLength(100);
    expect(script.pool.totals().rungs).toEqual({ [`warming/${code}`]: 10, [`own/${code}`]: 90 });
  });

  it("has a place for each program that is linked: in a cell of its tenant, else in the lobby", () => {
    const script = cells(1);
    script.add(1, { bytes: 2 * MiB });
    expect(script.pool.view().lobbyChargedBytes).toBe(2 * MiB);
    script.demand(1);
    expect(script.pool.view().lobbyChargedBytes).toBe(0);
    expect(script.pool.cells()[0]).toMatchObject({ programs: [1], chargedBytes: 10 * MiB });
  });
});

describe("a cell is taken back", () => {
  it("when it lies idle, once the instances in it are gone", () => {
    const script = cells(1);
    script.add(1, { tenant: "a", ...REUSED });
    script.add(2, { tenant: "b" });
    script.demand(1, 1);
    script.settle(1);
    expect(script.demand(2, 2)).toEqual(["retire 0/1"]);
    expect(script.cells()).toEqual(["c1 shared draining a 0+0"]);
    expect(script.retired(0, 1)).toEqual(["close c1", "cell c2 100MiB", "cell c2 100MiB", "grant 2 on 0/2 in c2 reclaimed/linked last"]);
    expect(script.pool.view().pools[0]).toMatchObject({ assigned: 2, reclaimed: 1 });
  });

  it("only after what lies idle in the tenant's own cells", () => {
    const script = cells(2, 1);
    script.add(1, { tenant: "a", ...REUSED });
    script.add(2, { tenant: "b", ...REUSED });
    script.add(3, { tenant: "b", ...REUSED });
    script.demand(1, 1);
    script.demand(2, 2);
    script.settle(1);
    script.settle(2);
    expect(script.demand(3, 3)).toEqual(["retire 1/1", "grant 3 on 2/1 in c1 own/linked"]);
    expect(script.cells()).toEqual(["c1 shared active b 1+0", "c2 shared active a 0+1"]);
  });

  it("the one idle longest first, of those that hold the same", () => {
    const script = cells(3, 1);
    for (const [id, tenant] of ["a", "b", "c", "d"].entries()) script.add(id, { tenant });
    for (const id of [0, 1, 2]) script.demand(id, id);
    for (const run of [1, 0, 2]) {
      script.now += 10;
      script.settle(run);
      script.retired(run, 1);
    }
    script.demand(3, 3);
    expect(script.cells().filter((cell) => / [a-d] /.test(cell))).toEqual([
      "c1 shared active c 0+0",
      "c3 shared active a 0+0",
      "c4 shared active d 1+0",
    ]);
  });

  it("a variable one before a shared one", () => {
    const script = new Script({}, { budgetBytes: 264 * MiB });
    script.terms("v", { variableCeiling: 1 });
    script.add(1, { tenant: "v", pool: "variable" });
    script.add(2, { tenant: "a" });
    script.add(3, { tenant: "b" });
    script.demand(1, 2);
    script.settle(1);
    script.retired(0, 1);
    script.now = 50;
    script.demand(2, 1);
    script.settle(2);
    script.retired(0, 2);
    // The shared one has been idle for longer.
    script.demand(3, 3);
    expect(script.cells()).toEqual(["c1 shared active a 0+0", "c3 shared active b 1+0"]);
  });

  it("and not before its runs have finished, nor taken anew for another meanwhile", () => {
    const script = cells(1);
    script.add(1, { tenant: "a", ...REUSED });
    script.add(2, { tenant: "b" });
    script.demand(1, 1);
    script.demand(2, 2);
    expect(script.pass(100)).toEqual([]);
    expect(script.cells()).toEqual(["c1 shared draining a 1+0"]);
    expect(script.demand(3, 1)).toEqual([]);
    expect(script.settle(1)).toEqual(["retire 0/1"]);
    script.retired(0, 1);
    expect(script.cells()).toEqual(["c2 shared active b 1+0"]);
  });
});

describe("a cell that was taken back for a run that gave up", () => {
  it("is unassigned like any other, for the tenant's next run too", () => {
    const script = new Script({}, { budgetBytes: 164 * MiB, pools: { shared: { warming: 1 } } });
    script.tick(0);
    script.add(1, { tenant: "a" });
    script.add(2, { tenant: "b" });
    script.demand(1, 1);
    script.demand(2, 2, 200);
    expect(script.pass(300)).toEqual(["refuse 2 node-full"]);
    script.settle(1);
    script.retired(0, 1);
    script.pass(1000);
    script.demand(3, 2);
    expect(script.grantOf(3)).toMatchObject({
      rung: "warming/linked",
      why: ["own/ready: none is idle", "own: the tenant has no cell"],
    });
  });
});

describe("a cell", () => {
  it("goes back when it has been empty for a while, after its instances", () => {
    const script = cells(1);
    script.add(1, REUSED);
    script.demand(1);
    script.settle(1);
    expect(script.pass(100)).toEqual(["retire 0/1"]);
    script.now = 150;
    script.retired(0, 1);
    script.pass(10_149);
    expect(shared(script)).toEqual({ warming: 0, active: 1 });
    script.pass(10_150);
    expect(shared(script)).toEqual({ warming: 1, active: 0 });
  });

  it("is there no more when it goes back and enough are unassigned", () => {
    const script = new Script({}, { pools: { shared: { warming: 1 } } });
    script.tick(0);
    script.add(1);
    script.demand(1);
    script.pass(100);
    script.settle(1);
    script.retired(0, 1);
    expect(script.pass(10_100)).toContain("close c1");
    expect(shared(script)).toEqual({ warming: 1, active: 0 });
  });

  it("of several joined ones holds a task that is larger than one", () => {
    const script = cells(3);
    script.add(1, { memoryLimit: 250 * MiB });
    const commands = script.demand(1);
    expect(commands).toEqual([
      "close c3",
      "close c2",
      "close c1",
      "cell c4 300MiB",
      "cell c4 300MiB",
      "grant 1 on 0/1 in c4 warming/linked last",
    ]);
  });
});

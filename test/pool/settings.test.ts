/** What changes under a running node: its budget, its cells' sizes, its clock. Nothing that runs is ended by that. */
import { describe, expect, it } from "vitest";
import { MiB, Script } from "./script.js";

const REUSED = { maxRequests: 1000, maxIdle: 1e9, maxAge: 1e9 };

/** Bytes of a node with so many cells of the usual size. */
function budget(cells: number): number {
  return (64 + 100 * cells) * MiB;
}

function named(commands: string[], kind: string): string[] {
  return commands.filter((command) => command.startsWith(`${kind} `));
}

/** `dedicated d idle`: those that take runs. */
function taking(script: Script): string[] {
  return script.pool
    .cells()
    .filter(({ state }) => state !== "draining")
    .map(({ pool, tenant, busy }) => `${pool} ${tenant ?? "-"}${tenant === undefined ? "" : busy > 0 ? " busy" : " idle"}`)
    .toSorted();
}

describe("a lowered budget", () => {
  /** One cell of each kind; the busy ones have a run each. */
  function full(): Script {
    const script = new Script({}, { budgetBytes: budget(7), pools: { shared: { warming: 1 }, variable: { warming: 1 } } });
    script.instant = true;
    script.tick(0);
    script.terms("d", { dedicated: 1 });
    for (const [id, tenant] of ["v", "w", "a", "b"].entries()) {
      script.terms(tenant, { variableCeiling: 1 });
      script.add(id, { ...REUSED, tenant, pool: id < 2 ? "variable" : "shared" });
      script.demand(id, id, 1e6, 1e6);
    }
    script.settle(0);
    script.settle(2);
    script.pass(900);
    return script;
  }

  it("takes unassigned cells, then idle ones, then busy ones; variable before shared, and no reserve", () => {
    const script = full();
    const all = ["dedicated d idle", "shared -", "shared a idle", "shared b busy", "variable -", "variable v idle", "variable w busy"];
    expect(taking(script)).toEqual(all);
    const order = ["variable -", "shared -", "variable v idle", "shared a idle", "variable w busy", "shared b busy"];
    for (const [i, next] of order.entries()) {
      script.configure({ budgetBytes: budget(6 - i) });
      all.splice(all.indexOf(next), 1);
      expect(taking(script)).toEqual(all);
    }
    expect(script.configure({ budgetBytes: budget(0) })).toEqual([]);
    expect(taking(script)).toEqual(["dedicated d idle"]);
  });

  it("ends no run, and is kept as soon as these have finished", () => {
    const script = full();
    const told = script.configure({ budgetBytes: budget(1) });
    expect(script.pool.view()).toMatchObject({ leases: 2, cellBytes: 300 * MiB });
    expect(named(told, "expire")).toEqual([]);
    expect(script.pass(3000)).toEqual([]);
    script.settle(1);
    script.settle(3);
    expect(script.pool.view()).toMatchObject({ leases: 0, cellBytes: 100 * MiB });
  });

  it("makes runs wait that would have had a place, until it is raised again", () => {
    const script = new Script({}, { budgetBytes: budget(2), pools: { shared: { cellSlots: 1 } } });
    script.add(1);
    script.demand(1);
    script.configure({ budgetBytes: budget(1) });
    expect(script.demand(2)).toEqual([]);
    expect(script.configure({ budgetBytes: budget(2) })).toEqual(["cell c2 100MiB", "grant 2 on 1/1 in c2 warming/linked last"]);
  });

  it("takes a larger cell's worth, whatever that is joined from", () => {
    const script = new Script({}, { budgetBytes: budget(4) });
    script.add(1, { tenant: "a", memoryLimit: 300 * MiB });
    script.add(2, { tenant: "b" });
    script.demand(1, 1);
    script.demand(2, 2);
    script.settle(2);
    script.retired(1, 1);
    expect(script.configure({ budgetBytes: budget(3) })).toEqual(["close c2"]);
    expect(taking(script)).toEqual(["shared a busy"]);
  });

  it("of the lobby lets programs go, and those in use once they are not", () => {
    const script = new Script({}, { pools: { shared: { cellBytes: 8 * MiB } } });
    for (const id of [1, 2, 3]) script.add(id, { bytes: 10 * MiB, tenant: `t${id}` });
    script.demand(1, 1);
    expect(script.pool.view().lobbyChargedBytes).toBe(30 * MiB);
    expect(named(script.configure({ lobbyBytes: MiB }), "lower")).toEqual(["lower 2", "lower 3"]);
    expect(script.pool.view().lobbyChargedBytes).toBe(10 * MiB);
    script.settle(1);
    expect(named(script.retired(0, 1), "lower")).toEqual(["lower 1"]);
  });

  it("of variable capacity alone takes what is over it, idle first", () => {
    const script = full();
    script.configure({ variableCeiling: 100 / 764 });
    expect(taking(script).filter((cell) => cell.startsWith("variable"))).toEqual(["variable -", "variable w busy"]);
    script.configure({ variableCeiling: 0 });
    expect(taking(script).filter((cell) => cell.startsWith("variable"))).toEqual(["variable -"]);
    expect(script.pool.view().leases).toBe(2);
  });

  it("below what was promised keeps the promises, and nothing more is made", () => {
    const script = new Script({}, { budgetBytes: budget(3) });
    script.terms("d", { dedicated: 2 });
    script.add(1, { tenant: "a" });
    script.configure({ budgetBytes: budget(1) });
    expect(taking(script)).toEqual(["dedicated d idle", "dedicated d idle"]);
    expect(script.demand(1)).toEqual([]);
  });
});

describe("a promise that does not fit", () => {
  it("is kept as far as there is room, and the rest when there is more", () => {
    const script = new Script({}, { budgetBytes: budget(2) });
    script.terms("d", { dedicated: 5 });
    expect(taking(script)).toHaveLength(2);
    script.configure({ budgetBytes: budget(4) });
    expect(taking(script)).toHaveLength(4);
    script.configure({ budgetBytes: budget(9) });
    expect(taking(script)).toHaveLength(5);
  });
});

describe("changed sizes of cells", () => {
  it("are those of unassigned ones at once, and of shared ones when they are made anew", () => {
    const script = new Script({}, { pools: { shared: { warming: 1 } } });
    script.instant = true;
    script.tick(0);
    script.add(1);
    script.demand(1);
    script.pass(200);
    const changed = script.configure({ pools: { shared: { cellBytes: 50 * MiB, cellSlots: 5 } } });
    expect(changed).toEqual(["close c2", "cell c3 50MiB"]);
    expect(script.pool.cells().map(({ bytes, slots, state }) => [bytes / MiB, slots, state])).toEqual([
      [100, 10, "active"],
      [50, 5, "warming"],
    ]);
    script.settle(1);
    expect(named(script.pass(20_000), "close")).toEqual(["close c1"]);
    expect(taking(script)).toEqual(["shared -"]);
  });

  it("make a reserve larger at once where there is room", () => {
    const script = new Script();
    script.terms("d", { dedicated: 2 });
    script.add(1, { tenant: "d", pool: "dedicated" });
    script.demand(1);
    expect(script.configure({ pools: { dedicated: { cellBytes: 200 * MiB, cellSlots: 20 } } })).toEqual([
      "cell c1 200MiB",
      "cell c2 200MiB",
    ]);
    expect(script.pool.cells().map(({ slots }) => slots)).toEqual([20, 20]);
  });

  it("make a reserve larger out of what others have, when their runs have finished", () => {
    const script = new Script({}, { budgetBytes: budget(2) });
    script.instant = true;
    script.terms("d", { dedicated: 1 });
    script.add(1, { tenant: "a" });
    script.demand(1);
    expect(script.configure({ pools: { dedicated: { cellBytes: 200 * MiB } } })).toEqual([]);
    // What it has it keeps meanwhile.
    expect(taking(script)).toEqual(["dedicated d idle"]);
    expect(script.settle(1)).toContain("cell c1 200MiB");
  });

  it("make a reserve smaller as what is in it goes: idle instances now, runs when they have finished", () => {
    const script = new Script();
    script.instant = true;
    script.terms("d", { dedicated: 1 });
    script.add(1, { ...REUSED, tenant: "d", pool: "dedicated", memoryLimit: 20 * MiB, bytes: MiB });
    for (const run of [1, 2, 3, 4]) script.demand(run);
    script.settle(3, { memoryBytes: 20 * MiB });
    script.settle(4, { memoryBytes: 20 * MiB });
    const size = (): [number, number] => {
      const [{ bytes, chargedBytes } = { bytes: 0, chargedBytes: 0 }] = script.pool.cells();
      return [bytes / MiB, chargedBytes / MiB];
    };
    expect(size()).toEqual([100, 81]);
    expect(named(script.configure({ pools: { dedicated: { cellBytes: 30 * MiB } } }), "retire")).toEqual(["retire 2/1", "retire 3/1"]);
    expect(size()).toEqual([41, 41]);
    // The instance of the run that ends would be too much beside the other.
    script.settle(1, { memoryBytes: 20 * MiB });
    expect(size()).toEqual([30, 21]);
    expect(script.pool.view().leases).toBe(1);
  });

  it("make a reserve smaller although runs wait for it", () => {
    const script = new Script({}, { pools: { dedicated: { cellSlots: 2 } } });
    script.instant = true;
    script.terms("d", { dedicated: 1 });
    script.add(1, { tenant: "d", pool: "dedicated" });
    for (const run of [1, 2, 3]) script.demand(run);
    script.configure({ pools: { dedicated: { cellSlots: 1 } } });
    expect(named(script.settle(1), "grant")).toEqual([]);
    expect(named(script.settle(2), "grant")).toHaveLength(1);
  });

  it("below what a task may take make its next run take several, joined", () => {
    const script = new Script();
    script.instant = true;
    script.add(1, { memoryLimit: 80 * MiB });
    script.demand(1);
    script.configure({ pools: { shared: { cellBytes: 50 * MiB } } });
    expect(named(script.demand(2), "grant")).toEqual(["grant 2 on 1/1 in c2 warming/linked last"]);
    expect(script.pool.cells().map(({ bytes }) => bytes / MiB)).toEqual([100, 100]);
  });
});

describe("a clock that goes back", () => {
  it("makes nobody wait longer or shorter for a place", () => {
    const script = new Script({}, { budgetBytes: budget(1), pools: { shared: { cellSlots: 1 } } });
    script.add(1);
    script.now = 1000;
    script.demand(1, 1, 0, 1e6);
    script.demand(2, 1, 1500);
    script.tick(400);
    script.demand(3, 1, 500);
    expect(script.pass(499)).toEqual([]);
    expect(script.pass(501)).toEqual(["refuse 3 node-full"]);
    expect(script.pass(899)).toEqual([]);
    expect(script.pass(901)).toEqual(["refuse 2 node-full"]);
  });

  it("ends a lease when its time has passed, no sooner and no later", () => {
    const script = new Script();
    script.add(1);
    script.now = 100_000;
    script.demand(1, 1, 0, 5000);
    script.tick(101_000);
    script.tick(50_000);
    expect(named(script.pass(55_900), "expire")).toEqual([]);
    expect(named(script.pass(57_100), "expire")).toHaveLength(1);
  });

  it("lets idle instances and cells go at the time that they would have gone", () => {
    const script = new Script();
    script.instant = true;
    script.add(1, { ...REUSED, maxIdle: 500 });
    script.now = 10_000;
    script.demand(1);
    script.settle(1);
    script.tick(0);
    expect(script.pass(499)).toEqual([]);
    expect(script.pass(501)).toEqual(["retire 0/1"]);
    expect(script.pass(10_499)).toEqual([]);
    expect(named(script.pass(10_502), "close")).toEqual(["close c1"]);
  });

  it("again and again does no harm", () => {
    const script = new Script({}, { programIdle: 1e12 });
    script.instant = true;
    script.add(1, REUSED);
    script.demand(1000);
    script.settle(1000);
    for (let i = 0; i < 100; i++) {
      script.tick(i % 2 === 0 ? 1e5 : 0);
      script.demand(i, 1, script.now + 100, 1000);
      script.settle(i);
    }
    expect(script.pool.totals()).toMatchObject({ expired: 0, refused: {} });
    expect(script.pool.view()).toMatchObject({ leases: 0, waiting: 0 });
  });
});

describe("a clock that jumps far ahead", () => {
  it("ends no lease by that; it lasts as long as it had left", () => {
    const script = new Script();
    script.add(1);
    script.demand(1, 1, 0, 5000);
    script.pass(1000);
    expect(named(script.tick(1e9), "expire")).toEqual([]);
    expect(named(script.pass(1e9 + 5_000), "expire")).toEqual([]);
    expect(named(script.pass(1e9 + 8_000), "expire")).toEqual(["expire 1 on 0/1"]);
  });

  it("refuses the runs whose time to wait is over", () => {
    const script = new Script({}, { budgetBytes: budget(1), pools: { shared: { cellSlots: 1 } } });
    script.add(1);
    script.demand(1, 1, 0, 1e6);
    script.demand(2, 1, 30_000);
    expect(script.tick(1e9)).toEqual(["refuse 2 node-full"]);
    expect(script.pool.view().leases).toBe(1);
  });

  it("ends no lease of a process that stood still several times, and all of them when it runs on", () => {
    const script = new Script();
    script.add(1);
    script.demand(1, 1, 0, 3000);
    for (let i = 1; i <= 5; i++) expect(named(script.tick(script.now + 60_000), "expire")).toEqual([]);
    expect(named(script.pass(script.now + 6_000), "expire")).toHaveLength(1);
  });

  it("lets go what has been idle for long", () => {
    const script = new Script({}, { pools: { shared: { warming: 1 } } });
    script.instant = true;
    script.tick(0);
    script.add(1, { ...REUSED, maxIdle: 500 });
    script.demand(1);
    script.settle(1);
    script.tick(1e9);
    script.pass(1e9 + 20_000);
    expect(taking(script)).toEqual(["shared -"]);
  });
});

describe("settings that are told again and have not changed", () => {
  it("do nothing", () => {
    const script = new Script({}, { pools: { shared: { warming: 2 } } });
    script.instant = true;
    script.terms("d", { dedicated: 1 });
    script.add(1, REUSED);
    script.demand(1);
    script.demand(2);
    script.settle(2);
    script.pass(500);
    expect([script.configure({}), script.terms("d", { dedicated: 1 }), script.configure({})]).toEqual([[], [], []]);
  });
});

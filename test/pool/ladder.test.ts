import { describe, expect, it } from "vitest";
import type { Grant } from "../../src/pool/pool.js";
import { MiB, Script } from "./script.js";

const REUSED = { maxRequests: 100 };

describe("the ladder", () => {
  it("is climbed in the documented order: warming cell, own and ready, own and linked, another cell, then the line", () => {
    // Two unassigned cells, and no room for a third.
    const script = new Script({}, { budgetBytes: 264 * MiB, pools: { shared: { warming: 2, cellSlots: 2 } } });
    script.tick(0);
    expect(script.cells()).toEqual(["c1 shared warming - 0+0", "c2 shared warming - 0+0"]);
    script.add(1, { tenant: "a", ...REUSED });
    script.add(2, { tenant: "a", ...REUSED });
    script.add(3, { tenant: "b", ...REUSED });
    expect(script.demand(1, 1)).toEqual(["cell c2 100MiB", "grant 1 on 0/1 in c2 warming/linked"]);
    expect(script.cells()).toEqual(["c1 shared warming - 0+0", "c2 shared active a 1+0"]);
    script.settle(1);
    expect(script.demand(2, 1)).toEqual(["grant 2 on 0/1 in c2 own/ready"]);
    expect(script.demand(3, 1)).toEqual(["grant 3 on 1/1 in c2 own/linked"]);
    script.settle(3);
    // Another task of the tenant: the same cell, where an idle instance makes way once its slots are used up.
    expect(script.demand(4, 2)).toEqual(["grant 4 on 2/1 in c1 warming/linked"]);
  });

  it("gives another tenant another cell", () => {
    const script = new Script({}, { pools: { shared: { warming: 2 } } });
    script.tick(0);
    script.add(1, { tenant: "a" });
    script.add(2, { tenant: "b" });
    script.demand(1, 1);
    expect(script.demand(2, 2)).toContain("grant 2 on 1/1 in c1 warming/linked last");
    expect(script.cells().slice(0, 2)).toEqual(["c1 shared active b 1+0", "c2 shared active a 1+0"]);
  });

  it("passes code without room over for room without code, and says so", () => {
    const script = new Script({}, { pools: { shared: { cellSlots: 10, cellBytes: 20 * MiB, warming: 0 } } });
    script.add(1, { ...REUSED, memoryLimit: 10 * MiB });
    script.add(2, { memoryLimit: 16 * MiB });
    script.demand(1, 1);
    script.settle(1, { memoryBytes: 3 * MiB });
    // The other task fills what is left of the cell, beside the idle instance.
    expect(script.demand(2, 2)[0]).toMatch(/^grant 2 on 1\/1 in c1/);
    const [grant] = script.pool.step(0, { kind: "demand", run: 3, program: 1, deadline: 1e4, lease: 1e4, priority: "interactive" }).filter(({ kind }) => kind === "grant") as Grant[];
    expect(grant).toMatchObject({ rung: "warming/linked", fresh: true });
    expect(grant?.why).toEqual([
      "own/ready: idle ones are in cells without room to run",
      "own: no cell of the tenant has room",
      "warming: none was unassigned, one was made",
    ]);
  });

  it("links once for a hundred first calls at once", () => {
    const script = new Script({}, { budgetBytes: 10_064 * MiB });
    script.add(1, { code: "stored", concurrency: 1000 });
    const commands = Array.from({ length: 100 }, (_, run) => script.demand(run + 1)).flat();
    expect(commands.filter((command) => command.startsWith("raise"))).toEqual(["raise 1"]);
    const after = script.raised(1);
    expect(after.filter((command) => command.startsWith("grant"))).toHaveLength(100);
    expect(after.find((command) => command.startsWith("grant"))).toMatch(/warming\/stored|own\/stored/);
    expect(script.pool.totals().rungs).toEqual({ "warming/stored": expect.any(Number), "own/stored": expect.any(Number) });
  });

  it("takes an idle cell back for another tenant, once it is empty", () => {
    const script = new Script({}, { budgetBytes: 164 * MiB });
    script.add(1, { tenant: "a", ...REUSED });
    script.add(2, { tenant: "b" });
    script.demand(1, 1);
    script.settle(1);
    expect(script.demand(2, 2)).toEqual(["retire 0/1", "cell c1 100MiB"]);
    expect(script.cells()).toEqual(["c1 shared draining a 0+0"]);
    expect(script.retired(0, 1)).toEqual(["close c1", "cell c2 100MiB", "grant 2 on 0/2 in c2 reclaimed/linked last"]);
  });
});

describe("a cell", () => {
  it("goes back when it has been empty for a while, after its instances", () => {
    const script = new Script({}, { pools: { shared: { warming: 1 } } });
    script.tick(0);
    script.add(1, REUSED);
    script.demand(1);
    script.settle(1);
    script.tick(1000);
    expect(script.tick(1000)).toEqual([]);
    script.retired(0, 1);
    expect(script.pool.cells().filter(({ state }) => state === "active")).toHaveLength(1);
    script.tick(11_100);
    expect(script.pool.cells().filter(({ state }) => state === "active")).toHaveLength(0);
  });

  it("of several joined ones holds a task that is larger than one", () => {
    const script = new Script({}, { pools: { shared: { warming: 3 } } });
    script.tick(0);
    script.add(1, { memoryLimit: 250 * MiB });
    expect(script.demand(1)).toContain("cell c4 300MiB");
  });
});

/** What tenants were promised: reserves and what happens when one is used up, variable capacity and its ceilings. */
import { describe, expect, it } from "vitest";
import type { PoolOptions } from "../../src/pool/pool.js";
import { MiB, Script } from "./script.js";

const REUSED = { maxRequests: 100 };
const MINE = { tenant: "d", pool: "dedicated" } as const;
const ELASTIC = { tenant: "v", pool: "variable" } as const;

/** A node with room for so many cells of one slot each. */
function node(cells: number, said: ConstructorParameters<typeof Script>[1] = {}, options: Partial<PoolOptions> = {}): Script {
  const one = { cellSlots: 1 };
  return new Script(options, { budgetBytes: (64 + 100 * cells) * MiB, pools: { shared: one, dedicated: one, variable: one }, ...said });
}

/** A reserve of one cell for tenant `d`, with a run on it and one more that was asked for. */
function exhausted(whenFull: "wait" | "spill" | "reject", cells = 3): { script: Script; second: string[] } {
  const script = node(cells);
  script.terms("d", { dedicated: 1 });
  script.add(1, { ...MINE, ...REUSED, whenFull });
  script.demand(1);
  return { script, second: script.demand(2, 1, 500) };
}

/** Asks for a run that can wait. */
function later(script: Script, run: number, id = 1): string[] {
  const said = { deadline: script.now + 10_000, lease: 60_000, priority: "deferrable" } as const;
  return script.step({ kind: "demand", run, program: id, ...said });
}

describe("a run that can wait", () => {
  it("takes variable capacity where its tenant may have some, and leaves its own to what cannot wait", () => {
    const script = node(3);
    script.terms("a", { variableCeiling: 0.5 });
    script.add(1, { tenant: "a" });
    expect(later(script, 1).at(-1)).toBe("grant 1 on 0/1 in c1 warming/linked last");
    expect(script.grantOf(1)).toMatchObject({ pool: "variable", term: "deferred" });
    expect(script.grantOf(1)?.why[0]).toBe("own: it can wait, and leaves its sub-pool to what cannot");
    script.demand(2);
    expect(script.grantOf(2)).toMatchObject({ pool: "shared", term: "direct" });
    // Its ceiling is reached: it takes what there is.
    later(script, 3);
    expect(script.grantOf(3)).toMatchObject({ pool: "shared", term: "direct" });
    script.settle(1);
    later(script, 4);
    expect(script.grantOf(4)).toMatchObject({ pool: "variable", term: "deferred", rung: "own/linked" });
  });

  it("has its place where its program has it, without variable capacity", () => {
    const script = node(3);
    script.add(1, { tenant: "a" });
    later(script, 1);
    expect(script.grantOf(1)).toMatchObject({ pool: "shared", term: "direct" });
  });

  it("empties nobody's cell for that", () => {
    const script = node(2);
    script.terms("a", { variableCeiling: 0.6 });
    script.add(1, { tenant: "a" });
    script.add(2, { tenant: "b", ...REUSED });
    script.demand(1, 2);
    script.settle(1);
    script.demand(2, 1);
    later(script, 3);
    expect(script.grantOf(3)).not.toMatchObject({ pool: "variable" });
  });
});

describe("a reserve", () => {
  it("is there, with the code of its tenant's tasks, before the first run", () => {
    const script = node(3);
    expect(script.terms("d", { dedicated: 2 })).toEqual(["cell c1 100MiB", "cell c2 100MiB"]);
    expect(script.add(1, { ...MINE, code: "compiled" })).toEqual(["cell c1 100MiB", "raise 1"]);
    script.raised(1);
    expect(script.pool.cells()[0]).toMatchObject({ pool: "dedicated", state: "active", tenant: "d", programs: [1] });
    expect(script.demand(1)).toEqual(["grant 1 on 0/1 in c1 own/linked last"]);
    expect(script.grantOf(1)).toMatchObject({ pool: "dedicated", term: "direct" });
  });

  it("is there too when the tasks are known before the terms, as after a start", () => {
    const script = node(3);
    script.add(1, { ...MINE, code: "stored" });
    expect(script.terms("d", { dedicated: 1 })).toEqual(["cell c1 100MiB", "cell c1 100MiB", "raise 1"]);
  });

  it("has the instances that its tasks want ready", () => {
    const script = node(3);
    script.terms("d", { dedicated: 1 });
    expect(script.add(1, { ...MINE, ready: 1 })).toContain("prepare 0/1 of 1 in c1");
  });

  it("that is used up makes a run wait, until the deadline or until a run of the tenant ends", () => {
    const { script, second } = exhausted("wait");
    expect(second).toEqual([]);
    expect(script.settle(1)).toEqual(["grant 2 on 0/1 in c1 own/ready"]);
    expect(script.grantOf(2)).toMatchObject({ pool: "dedicated", term: "wait", why: ["waited: the tenant's sub-pool had no room"] });
    expect(script.demand(3, 1, 500)).toEqual([]);
    expect(script.pass(500)).toEqual(["refuse 3 tenant-full"]);
  });

  it("that is used up sends a run to the shared cells, where the terms say so", () => {
    const { script, second } = exhausted("spill");
    expect(second).toEqual(["cell c2 100MiB", "grant 2 on 1/1 in c2 warming/linked"]);
    expect(script.grantOf(2)).toMatchObject({
      pool: "shared",
      term: "spill",
      why: [
        "own: the reserve is in use",
        "own/ready: none is idle",
        "own: the tenant has no cell",
        "warming: none was unassigned, one was made",
      ],
    });
    // What comes next is nearest in the reserve, once that is free again.
    script.settle(2);
    script.settle(1);
    expect(script.demand(3)).toEqual(["grant 3 on 0/1 in c1 own/ready"]);
  });

  it("that is used up, and the shared cells too, makes a run wait for either", () => {
    const { script } = exhausted("spill", 2);
    expect(script.demand(3, 1, 500)).toEqual([]);
    expect(script.settle(2)).toEqual(["grant 3 on 1/1 in c2 own/ready"]);
    expect(script.demand(4, 1, 500)).toEqual([]);
    expect(script.settle(1)).toEqual(["grant 4 on 0/1 in c1 own/ready"]);
    expect(script.demand(5, 1, 500)).toEqual([]);
    expect(script.pass(500)).toEqual(["refuse 5 node-full"]);
  });

  it("that is used up refuses a run at once, where the terms say so", () => {
    const { script, second } = exhausted("reject");
    expect(second).toEqual(["refuse 2 tenant-full"]);
    script.settle(1);
    expect(script.demand(3)).toEqual(["grant 3 on 0/1 in c1 own/ready"]);
  });

  it("is never lent, however long it is idle and whoever waits", () => {
    const script = node(2);
    script.terms("d", { dedicated: 1 });
    script.terms("v", { variableCeiling: 1 });
    script.add(1, { ...MINE, ...REUSED });
    script.add(2, { tenant: "a" });
    script.add(3, ELASTIC);
    script.add(4, { tenant: "d" });
    script.demand(1, 1);
    script.settle(1);
    expect(script.demand(2, 2, 100_000)).toContain("grant 2 on 1/1 in c2 warming/linked last");
    // Neither other tenants nor shared runs of its own.
    for (const id of [2, 3, 4]) expect(script.demand(10 + id, id, 50_000)).toEqual([]);
    expect(
      script
        .pass(50_000)
        .filter((command) => command.startsWith("refuse"))
        .toSorted(),
    ).toEqual(["refuse 12 node-full", "refuse 13 tenant-full", "refuse 14 node-full"]);
    expect(script.cells()[0]).toBe("c1 dedicated active d 0+0");
  });

  it("never makes its tenant wait while there is room in it, however many others wait", () => {
    const script = node(3);
    script.terms("d", { dedicated: 2 });
    script.add(1, MINE);
    script.add(2, { tenant: "a", concurrency: 1000 });
    for (let run = 100; run < 150; run++) script.demand(run, 2);
    expect(script.pool.counts()).toMatchObject({ busy: 1, waiting: 49 });
    expect(script.demand(1, 1)).toEqual(["grant 1 on 1/1 in c1 own/linked last"]);
    expect(script.demand(2, 1)).toEqual(["grant 2 on 2/1 in c2 own/linked last"]);
  });

  it("never makes its tenant wait while there is room in it, while the processors are the limit for others", () => {
    const script = new Script({ queue: 1000 });
    script.terms("d", { dedicated: 1 });
    script.add(1, MINE);
    script.add(2, { tenant: "a", concurrency: 1000 });
    script.overload(2);
    script.add(3, { tenant: "b" });
    expect(script.demand(3, 3)).not.toContainEqual(expect.stringMatching(/^grant/));
    expect(script.demand(1, 1)).toEqual([expect.stringMatching(/^grant 1 .* in c1 own\/linked last/)]);
  });

  it("never makes its tenant wait for a trial of another program", () => {
    const script = node(2, {}, { slots: 2 });
    script.terms("d", { dedicated: 1 });
    script.add(1, MINE);
    script.add(2, { tenant: "a" });
    script.demand(1, 2);
    script.try(2);
    expect(script.demand(2, 1)).toEqual([expect.stringMatching(/^grant 2 .* in c1 own\/linked last/)]);
  });

  it("holds a task that is larger than one of its cells in several joined ones", () => {
    const script = node(3);
    script.terms("d", { dedicated: 3 });
    script.add(1, { ...MINE, memoryLimit: 150 * MiB });
    expect(script.demand(1).at(-1)).toMatch(/^grant 1 on 0\/1 in c4 own\/linked last/);
    expect(script.pool.cells().map(({ bytes, state }) => [bytes / MiB, state])).toEqual([
      [100, "active"],
      [200, "active"],
    ]);
  });
});

describe("variable capacity", () => {
  /** The node's variable cells come to one, which tenant `v` has; there is room for many shared ones. */
  function taken(): Script {
    const script = node(10, { variableCeiling: 0.1 });
    script.terms("v", { variableCeiling: 1 });
    script.terms("w", { variableCeiling: 1 });
    script.add(1, { ...ELASTIC, ...REUSED });
    script.add(2, { ...ELASTIC, tenant: "w" });
    script.demand(1);
    return script;
  }

  it("is waited for while shared cells are free, and had when it comes free", () => {
    const script = taken();
    expect(script.demand(2, 2)).toEqual([]);
    expect(script.settle(1)).toEqual(["retire 0/1"]);
    expect(script.retired(0, 1)).toContain("grant 2 on 0/2 in c2 reclaimed/linked last");
    expect(script.grantOf(2)).toMatchObject({ pool: "variable", term: "wait" });
  });

  it("is waited for by a second run of the tenant that has all of it", () => {
    const script = taken();
    expect(script.demand(2, 1, 500)).toEqual([]);
    expect(script.demand(3, 1, 400)).toEqual([]);
    expect(script.pass(400)).toEqual(["refuse 3 tenant-full"]);
    expect(script.settle(1)).toEqual(["grant 2 on 0/1 in c1 own/ready"]);
  });

  it("is refused at once when there is none, where the terms say so", () => {
    const script = taken();
    script.add(3, { ...ELASTIC, whenFull: "reject" });
    expect(script.demand(3, 3)).toEqual(["refuse 3 tenant-full"]);
  });

  it("never goes over to shared cells, though a manifest says spill", () => {
    const script = taken();
    script.add(3, { ...ELASTIC, tenant: "w", whenFull: "spill" });
    script.demand(3, 3, 50);
    expect(script.pass(50).filter((command) => !command.startsWith("cell"))).toEqual(["refuse 3 node-full"]);
  });

  it("comes to the tenant's ceiling at most", () => {
    const script = node(10);
    script.terms("v", { variableCeiling: 0.2 });
    script.add(1, ELASTIC);
    expect([1, 2, 3].map((run) => script.demand(run).length > 0)).toEqual([true, true, false]);
    expect(script.terms("v", { variableCeiling: 0.3 })).toContain("grant 3 on 2/1 in c3 warming/linked last");
  });

  it("comes to the node's ceiling at most, all tenants together", () => {
    const script = node(10, { variableCeiling: 0.2 });
    for (const [id, tenant] of ["v", "w", "x"].entries()) {
      script.terms(tenant, { variableCeiling: 1 });
      script.add(id, { tenant, pool: "variable" });
    }
    expect([0, 1, 2].map((id) => script.demand(id, id).length > 0)).toEqual([true, true, false]);
    expect(script.configure({ variableCeiling: 0.3 })).toContain("grant 2 on 2/1 in c3 warming/linked last");
  });

  it("is none for a tenant without a ceiling: its runs wait, and are refused", () => {
    const script = node(10);
    script.add(1, ELASTIC);
    expect(script.demand(1, 1, 100)).toEqual([]);
    expect(script.pass(100)).toEqual(["refuse 1 tenant-full"]);
  });

  it("is made of nothing that was promised", () => {
    const script = node(2);
    script.terms("v", { variableCeiling: 1 });
    script.add(1, ELASTIC);
    script.add(2, { tenant: "a" });
    script.demand(1, 2);
    script.demand(2, 1);
    // All is in use; what is promised now comes first when it is free.
    script.terms("d", { dedicated: 1 });
    expect(script.demand(3, 1)).toEqual([]);
    script.settle(2);
    script.retired(1, 1);
    expect(script.cells()).toEqual(["c1 shared active a 1+0", "c3 dedicated active d 0+0"]);
  });

  it("is taken back for shared runs: an idle cell at once, a busy one when its runs have finished", () => {
    const script = node(2);
    script.terms("v", { variableCeiling: 1 });
    script.add(1, ELASTIC);
    script.add(2, { tenant: "a" });
    script.demand(1, 1);
    script.demand(2, 1);
    script.settle(1);
    script.retired(0, 1);
    expect(script.demand(3, 2).at(-1)).toBe("grant 3 on 0/2 in c3 reclaimed/linked last");
    expect(script.demand(4, 2)).toEqual([]);
    expect(script.cells()).toEqual(["c2 variable draining v 1+0", "c3 shared active a 1+0"]);
    script.settle(2);
    expect(script.retired(1, 1).at(-1)).toMatch(/^grant 4 .* in c4 reclaimed\/linked last/);
  });

  it("is not taken back from shared tenants for variable runs", () => {
    const script = node(1);
    script.terms("v", { variableCeiling: 1 });
    script.add(1, ELASTIC);
    script.add(2, { tenant: "a" });
    script.demand(1, 2);
    script.settle(1);
    script.retired(0, 1);
    expect(script.demand(2, 1, 5000)).toEqual([]);
    expect(script.pass(5000)).toEqual(["refuse 2 tenant-full"]);
    expect(script.cells()).toEqual(["c1 shared active a 0+0"]);
  });
});

describe("terms that change", () => {
  it("give a reserve up cell by cell: what is empty now, the rest when its runs have finished", () => {
    const script = node(3);
    script.terms("d", { dedicated: 3 });
    script.add(1, MINE);
    script.demand(1);
    script.demand(2);
    expect(script.terms("d", { dedicated: 1 })).toContain("close c3");
    expect(script.cells()).toEqual(["c1 dedicated draining d 1+0", "c2 dedicated active d 1+0"]);
    script.settle(1);
    expect(script.retired(0, 1)).toEqual(["close c1"]);
    script.settle(2);
    expect(script.terms("d", {})).not.toContain("close c2");
    expect(script.retired(1, 1)).toEqual(["close c2"]);
    expect(script.cells()).toEqual([]);
  });

  it("make a reserve larger out of what others have: unassigned cells, idle ones, and the rest when runs have finished", () => {
    const script = node(4, { pools: { shared: { cellSlots: 1, warming: 1 } } });
    script.add(1, { tenant: "a", ...REUSED });
    script.add(2, { tenant: "b", ...REUSED });
    script.add(3, { tenant: "c", ...REUSED });
    for (const id of [1, 2, 3]) script.demand(id, id);
    script.settle(1);
    script.pass(1000);
    expect(script.cells().map((cell) => cell.split(" ").slice(1, 4).join(" "))).toEqual([
      "shared active a",
      "shared active b",
      "shared active c",
      "shared warming -",
    ]);
    script.retired(0, 1);
    script.terms("d", { dedicated: 3 });
    const dedicated = (): number => script.cells().filter((cell) => / dedicated active d/.test(cell)).length;
    expect(dedicated()).toBe(2);
    script.settle(2);
    script.settle(3);
    script.retired(1, 1);
    script.retired(2, 1);
    expect(dedicated()).toBe(3);
    expect(script.pool.view()).toMatchObject({ cellBytes: 400 * MiB });
  });

  it("end no run: a tenant that loses its reserve finishes what it has", () => {
    const script = node(2);
    script.terms("d", { dedicated: 1 });
    script.add(1, MINE);
    script.demand(1);
    expect(script.terms("d", {})).toEqual([]);
    expect(script.pass(3000)).toEqual([]);
    expect(script.pool.view().leases).toBe(1);
  });

  it("take back variable cells over a lowered ceiling, idle ones first", () => {
    const script = node(4);
    script.terms("v", { variableCeiling: 1 });
    script.add(1, { ...ELASTIC, ...REUSED });
    for (const run of [1, 2, 3]) script.demand(run);
    script.settle(2);
    expect(script.terms("v", { variableCeiling: 0.25 })).toContain("retire 1/1");
    expect(script.cells().toSorted()).toEqual(["c1 variable draining v 1+0", "c2 variable draining v 0+0", "c3 variable active v 1+0"]);
    expect(script.pool.view().leases).toBe(2);
  });

  it("send runs that wait for the reserve to the shared cells, when the task's terms come to be spill", () => {
    const { script } = exhausted("wait");
    expect(script.step({ kind: "amend", program: 1, pool: "dedicated", whenFull: "spill" })).toContain(
      "grant 2 on 1/1 in c2 warming/linked",
    );
    expect(script.grantOf(2)?.term).toBe("spill");
  });

  it("refuse runs that wait, when the task's terms come to be reject", () => {
    const { script } = exhausted("wait");
    expect(script.step({ kind: "amend", program: 1, pool: "dedicated", whenFull: "reject" })).toEqual(["refuse 2 tenant-full"]);
  });

  it("let go what lies idle where the task's runs take place no more", () => {
    const { script } = exhausted("wait");
    script.withdraw(2);
    script.settle(1);
    expect(script.step({ kind: "amend", program: 1, pool: "shared", whenFull: "wait" })).toEqual(["retire 0/1"]);
    expect(script.demand(3)).toContain("grant 3 on 1/1 in c2 warming/linked");
  });

  it("let go an instance in the old sub-pool when its run ends", () => {
    const { script } = exhausted("wait");
    script.withdraw(2);
    expect(script.step({ kind: "amend", program: 1, pool: "shared", whenFull: "wait" })).toEqual([]);
    expect(script.settle(1)).toEqual(["retire 0/1"]);
  });

  it("say nothing about a task that is not there", () => {
    expect(node(1).step({ kind: "amend", program: 9, pool: "shared", whenFull: "wait" })).toEqual([]);
  });
});

/** Who gets how much of a full node, and what a drain stops. */
import { describe, expect, it } from "vitest";
import { MiB, Script } from "./script.js";

const REUSED = { maxRequests: 1000, maxIdle: 1e9, maxAge: 1e9 };

function named(commands: string[], kind: string): string[] {
  return commands.filter((command) => command.startsWith(`${kind} `));
}

/** Shared cells of one slot each, a program with that id for each tenant, and an engine that answers at once. */
function node(cells: number, tenants: readonly string[], pools = {}): Script {
  const script = new Script({ queue: 1000 }, { budgetBytes: (64 + 100 * cells) * MiB, pools: { shared: { cellSlots: 1 }, ...pools } });
  script.instant = true;
  for (const [id, tenant] of tenants.entries()) script.add(id, { tenant, concurrency: 1000 });
  return script;
}

/** Cells that take runs, by tenant. */
function holdings(script: Script): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { tenant, state } of script.pool.cells())
    if (tenant !== undefined && state === "active") counts[tenant] = (counts[tenant] ?? 0) + 1;
  return counts;
}

/** Programs that always have more runs waiting than there is room for, each of which takes 10 ms. */
class Crowd {
  /** Runs of each program that got a place. */
  readonly served = new Map<number, number>();
  readonly #script: Script;
  readonly #programs = new Map<number, number>();
  readonly #ends = new Map<number, number>();
  #next = 1;

  constructor(script: Script) {
    this.#script = script;
  }

  /** So many runs of it wait from now on. */
  join(program: number, runs = 10): this {
    this.served.set(program, 0);
    for (let i = 0; i < runs; i++) this.#ask(program);
    return this;
  }

  pass(until: number): this {
    while (this.#script.now < until) {
      this.#note(this.#script.pass(this.#script.now + 1));
      for (const [run, end] of this.#ends) if (end <= this.#script.now && this.#ends.delete(run)) this.#note(this.#script.settle(run));
    }
    return this;
  }

  /** The most that one was served over the least, from now until then. */
  spread(until: number): number {
    for (const program of this.served.keys()) this.served.set(program, 0);
    const served = [...this.pass(until).served.values()];
    return Math.max(...served) / Math.min(...served);
  }

  #ask(program: number): void {
    const run = this.#next++;
    this.#programs.set(run, program);
    this.#note(this.#script.demand(run, program, 1e9, 1e9));
  }

  /** Another one waits for each that got a place. */
  #note(commands: string[]): void {
    for (const command of named(commands, "grant")) {
      const run = Number(command.split(" ")[1]);
      const program = this.#programs.get(run) as number;
      this.#ends.set(run, this.#script.now + 10);
      this.served.set(program, (this.served.get(program) ?? 0) + 1);
      this.#ask(program);
    }
  }
}

describe("a tenant that has all cells", () => {
  it("gives one up for another tenant, once the run in it has finished, and the others stay", () => {
    const script = node(3, ["flood", "other"]);
    for (let run = 0; run < 20; run++) script.demand(run, 0);
    expect(holdings(script)).toEqual({ flood: 3 });
    expect(named(script.demand(100, 1), "grant")).toEqual([]);
    expect(holdings(script)).toEqual({ flood: 2 });
    expect(named(script.settle(0), "grant")).toEqual(["grant 100 on 0/2 in c4 reclaimed/linked last"]);
    expect(holdings(script)).toEqual({ flood: 2, other: 1 });
  });

  it("gives up the one with the least to do", () => {
    const script = node(3, ["flood", "other"], { shared: { cellSlots: 3 } });
    for (let run = 0; run < 9; run++) script.demand(run, 0);
    script.settle(4);
    script.demand(100, 1);
    expect(script.cells()).toEqual(["c1 shared active flood 3+0", "c2 shared draining flood 2+0", "c3 shared active flood 3+0"]);
  });

  it("gives up one for another tenant's first run, and no second while that one is being emptied", () => {
    const script = node(4, ["flood", "other"]);
    for (let run = 0; run < 20; run++) script.demand(run, 0);
    for (let run = 100; run < 110; run++) script.demand(run, 1);
    expect(holdings(script)).toEqual({ flood: 3 });
    expect(script.pass(1000)).toEqual([]);
    expect(holdings(script)).toEqual({ flood: 3 });
  });

  it("gives up as many as make both equal, no more", () => {
    const script = node(4, ["flood", "other"]);
    const crowd = new Crowd(script).join(0).pass(50).join(1);
    crowd.pass(500);
    expect(holdings(script)).toEqual({ flood: 2, other: 2 });
    expect(crowd.spread(2000)).toBeLessThan(1.1);
  });

  it("has them back when the other does not use its own", () => {
    const script = node(3, ["flood", "other"]);
    script.demand(100, 1);
    script.settle(100);
    for (let run = 0; run < 20; run++) script.demand(run, 0);
    expect(holdings(script)).toEqual({ flood: 3 });
  });
});

describe("tenants that all want more than there is", () => {
  it("have as many cells each, whoever came first", () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
    ]) {
      const script = node(6, ["a", "b", "c"]);
      const crowd = new Crowd(script);
      for (const id of order) crowd.join(id).pass(script.now + 30);
      crowd.pass(500);
      expect(holdings(script)).toEqual({ a: 2, b: 2, c: 2 });
      expect(crowd.spread(2000)).toBeLessThan(1.1);
    }
  });

  it.each([
    ["the one of weight 2", [0, 1]],
    ["the other", [1, 0]],
  ])("have cells by their weight, when %s has them all at first", (_, order) => {
    const script = node(6, ["double", "single"]);
    script.terms("double", { weight: 2 });
    const crowd = new Crowd(script);
    for (const id of order) crowd.join(id).pass(script.now + 50);
    crowd.pass(500);
    expect(holdings(script)).toEqual({ double: 4, single: 2 });
    expect(crowd.spread(2000)).toBeCloseTo(2, 1);
  });

  it("take turns where there are more of them than cells, and all have about as much", () => {
    const script = node(2, ["a", "b", "c", "d", "e"]);
    const crowd = new Crowd(script);
    for (const id of [0, 1, 2, 3, 4]) crowd.join(id);
    expect(crowd.spread(10_000)).toBeLessThan(1.3);
    // Changing hands costs little of what two cells can do.
    expect([...crowd.served.values()].reduce((sum, one) => sum + one, 0)).toBeGreaterThan(1800);
  });

  it("do not take turns faster than every tenth of a second", () => {
    const script = node(1, ["a", "b"]);
    script.demand(1, 0);
    script.demand(2, 1);
    expect(holdings(script)).toEqual({ a: 1 });
    expect(script.pass(99)).toEqual([]);
    expect(holdings(script)).toEqual({ a: 1 });
    script.pass(100);
    expect(holdings(script)).toEqual({});
    expect(named(script.settle(1), "grant")).toEqual(["grant 2 on 0/2 in c2 reclaimed/linked last"]);
  });

  it("of variable capacity have as much each", () => {
    const script = node(4, [], { variable: { cellSlots: 1 } });
    for (const [id, tenant] of ["v", "w"].entries()) {
      script.terms(tenant, { variableCeiling: 1 });
      script.add(id, { tenant, pool: "variable", concurrency: 1000 });
    }
    new Crowd(script).join(0).pass(50).join(1).pass(500);
    expect(holdings(script)).toEqual({ v: 2, w: 2 });
  });

  it("all get their turn, also the one whose task is as large as several of their cells", () => {
    const script = node(3, ["a", "b", "c"]);
    script.add(9, { tenant: "large", memoryLimit: 300 * MiB });
    const crowd = new Crowd(script).join(0).join(1).join(2).pass(50).join(9, 2);
    crowd.pass(2000);
    expect(crowd.served.get(9)).toBeGreaterThan(2);
  });

  it("do not lose their cells after each run while a larger one waits that can have its cells only one by one", () => {
    const script = node(3, ["a", "b", "c"]);
    script.add(9, { tenant: "large", memoryLimit: 300 * MiB });
    new Crowd(script).join(0).join(1).join(2).pass(50).join(9, 2).pass(2000);
    // Three at first, then at most three for each turn of a tenth of a second.
    expect(script.pool.view().pools[0]?.assigned).toBeLessThan(100);
  });

  it("keep what they have when a task waits that is larger than all shared cells together", () => {
    const script = node(3, ["a", "b"]);
    script.terms("d", { dedicated: 1 });
    script.add(9, { tenant: "large", memoryLimit: 300 * MiB });
    script.demand(1, 0);
    script.demand(2, 1);
    script.settle(1);
    expect(script.demand(3, 9, 1000)).toEqual([]);
    expect(script.pass(1000)).toEqual(["refuse 3 node-full"]);
    expect(holdings(script)).toEqual({ d: 1, a: 1, b: 1 });
  });

  it("are not stuck when two of them need more cells than are left beside each other", () => {
    const script = node(3, ["a", "b", "c"]);
    for (const [id, tenant] of [
      [8, "large"],
      [9, "larger"],
    ] as const) {
      script.add(id, { tenant, memoryLimit: 200 * MiB });
    }
    const crowd = new Crowd(script).join(0).join(1).join(2).pass(50).join(8, 2).join(9, 2).pass(3000);
    expect(Math.min(...crowd.served.values())).toBeGreaterThan(2);
  });
});

describe("a drained tenant", () => {
  function drained(): { script: Script; told: string[] } {
    const script = node(1, ["a", "b"], { shared: { cellSlots: 3 } });
    script.add(2, { ...REUSED, tenant: "a", ready: 1 });
    script.demand(1, 0);
    script.demand(2, 0);
    script.demand(3, 0);
    return { script, told: script.drain({ tenant: "a" }) };
  }

  it("has its waiting runs refused and its idle instances let go; its runs finish", () => {
    const script = node(1, ["a"], { shared: { cellSlots: 2 } });
    script.add(1, { ...REUSED, tenant: "a", concurrency: 1 });
    script.demand(1, 0);
    script.demand(2, 1);
    script.demand(3, 0);
    expect(script.drain({ tenant: "a" })).toEqual(["refuse 3 draining"]);
    expect(script.settle(2)).toEqual(["retire 1/1"]);
    script.settle(1);
    expect(script.pool.counts()).toEqual({ idle: 0, busy: 0, starting: 0, ending: 0, waiting: 0 });
  });

  it("takes no more runs until it is resumed, and keeps nothing ready", () => {
    const { script } = drained();
    expect(script.demand(4, 0)).toEqual(["refuse 4 draining"]);
    for (const run of [1, 2, 3]) script.settle(run);
    expect(script.pass(1000)).toContain("close c1");
    expect(script.resume("a").filter((command) => command.startsWith("prepare"))).toEqual([expect.stringMatching(/ of 2 in c2$/)]);
    expect(named(script.demand(5, 0), "grant")).toHaveLength(1);
  });

  it("does not hold up others, who get its cells as they come free", () => {
    const { script } = drained();
    expect(named(script.demand(4, 1), "grant")).toEqual([]);
    for (const run of [1, 2, 3]) script.settle(run);
    expect(script.grantOf(4)?.rung).toBe("reclaimed/linked");
  });

  it("keeps its reserve", () => {
    const script = node(2, [], {});
    script.terms("d", { dedicated: 1 });
    script.add(1, { tenant: "d", pool: "dedicated" });
    script.drain({ tenant: "d" });
    script.pass(100_000);
    expect(script.cells()).toEqual(["c1 dedicated active d 0+0"]);
  });

  it("has what was being made ahead let go when it is there", () => {
    const script = new Script();
    script.add(1, { ready: 1 });
    expect(script.drain({ tenant: "t" })).toEqual([]);
    expect(script.ready(0, 1)).toEqual(["retire 0/1"]);
  });

  it("may be one that has nothing yet", () => {
    const script = node(1, []);
    script.drain({ tenant: "new" });
    script.add(1, { tenant: "new", ready: 1 });
    expect(script.demand(1)).toEqual(["refuse 1 draining"]);
    expect(named(script.resume("new"), "prepare")).toHaveLength(1);
  });
});

describe("a drained node", () => {
  it("refuses what waits and what comes, of all tenants, and lets what runs finish", () => {
    const script = node(2, ["a", "b"]);
    for (const [run, id] of [
      [1, 0],
      [2, 1],
      [3, 0],
      [4, 1],
    ] as const) {
      script.demand(run, id);
    }
    expect(named(script.drain(), "refuse")).toEqual(["refuse 3 draining", "refuse 4 draining"]);
    expect(script.pool.view()).toMatchObject({ draining: true, leases: 2 });
    expect(script.demand(5, 1)).toEqual(["refuse 5 draining"]);
    script.settle(1);
    script.settle(2);
    expect(script.pool.view()).toMatchObject({ leases: 0, waiting: 0 });
  });

  it("takes runs again when it is resumed, but not of a tenant that is drained by itself", () => {
    const script = node(2, ["a", "b"]);
    script.drain({ tenant: "a" });
    script.drain();
    script.resume();
    expect(script.demand(1, 0)).toEqual(["refuse 1 draining"]);
    expect(named(script.demand(2, 1), "grant")).toHaveLength(1);
  });

  it("makes no instance ahead", () => {
    const script = new Script();
    script.drain();
    expect(script.add(1, { ready: 2 })).toEqual([]);
    expect(named(script.pass(10_000), "prepare")).toEqual([]);
    expect(named(script.resume(), "prepare")).toHaveLength(2);
  });

  it("raises nothing ahead", () => {
    const script = new Script();
    script.drain();
    expect(script.add(1, { code: "compiled", ready: 2 })).toEqual([]);
    expect(script.resume()).toEqual(["raise 1"]);
  });
});

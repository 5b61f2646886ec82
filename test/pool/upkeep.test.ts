/** What is done ahead of demand and after it: unassigned cells, ready instances, foreseen runs, and what goes when room is short. */
import { describe, expect, it } from "vitest";
import { MiB, Script } from "./script.js";

const REUSED = { maxRequests: 1000, maxIdle: 1e9, maxAge: 1e9 };

function warming(script: Script): number {
  return script.pool.view().pools[0]?.warming ?? -1;
}

function named(commands: string[], kind: string): string[] {
  return commands.filter((command) => command.startsWith(`${kind} `));
}

describe("unassigned cells", () => {
  /** Three of them, and tenants enough to take some. */
  function three(): Script {
    const script = new Script({ slots: 10_000 }, { budgetBytes: 20_000 * MiB, pools: { shared: { warming: 3 } } });
    for (let id = 1; id <= 100; id++) script.add(id, { tenant: `t${id}` });
    return script;
  }

  /** Milliseconds until there are three again. */
  function untilThree(script: Script): number {
    const begin = script.now;
    while (warming(script) < 3) script.pass(script.now + 1);
    return script.now - begin;
  }

  it("are all there from the first step on", () => {
    expect(warming(three())).toBe(3);
  });

  it("are made anew, one after the other, when they are taken", () => {
    const script = three();
    script.pass(1000);
    // The first at once, the others after about a tenth of a second each.
    for (const id of [1, 2, 3]) script.demand(id, id);
    expect(warming(script)).toBe(1);
    script.pass(1100);
    expect(warming(script)).toBe(2);
    script.pass(1200);
    expect(warming(script)).toBe(3);
  });

  it("are made anew faster, the more of them are taken", () => {
    const [calm, busy] = [three(), three()];
    for (let id = 1; id <= 60; id++) {
      busy.pass(busy.now + 50);
      busy.demand(id, id);
    }
    untilThree(busy);
    for (const id of [91, 92, 93]) {
      calm.demand(id, id);
      busy.demand(id, id);
    }
    expect(untilThree(calm)).toBeGreaterThan(2 * untilThree(busy));
  });

  it("are as many as a changed target says, at once", () => {
    const script = three();
    script.tick(0);
    expect(named(script.configure({ pools: { shared: { warming: 5 } } }), "cell")).toEqual(["cell c4 100MiB", "cell c5 100MiB"]);
    expect(named(script.configure({ pools: { shared: { warming: 1 } } }), "close")).toHaveLength(4);
    expect(warming(script)).toBe(1);
  });

  it("are no more than there is memory and slots for", () => {
    const small = new Script({}, { budgetBytes: 264 * MiB, pools: { shared: { warming: 5 } } });
    small.pass(5000);
    expect(warming(small)).toBe(2);
    const few = new Script({ slots: 30 }, { pools: { shared: { warming: 5 } } });
    few.pass(5000);
    expect(warming(few)).toBe(3);
  });

  it("of the variable sub-pool make way for a shared run, and not the other way round", () => {
    const said = (pools: object): ConstructorParameters<typeof Script>[1] => ({ budgetBytes: 164 * MiB, pools });
    const variable = new Script({}, said({ variable: { warming: 1 } }));
    variable.tick(0);
    variable.add(1);
    expect(variable.demand(1)).toContain("close c1");
    const shared = new Script({}, said({ shared: { warming: 1 } }));
    shared.tick(0);
    shared.terms("v", { variableCeiling: 1 });
    shared.add(1, { tenant: "v", pool: "variable" });
    expect(shared.demand(1)).toEqual([]);
  });

  it("do not come and go in turn while nothing happens", () => {
    const script = three();
    script.pass(1000);
    expect(script.pass(60_000)).toEqual([]);
  });
});

describe("ready instances", () => {
  /** A run of the program whose instance took this many milliseconds to make. */
  function seen(script: Script, id: number, milliseconds: number): void {
    script.demand(900 + id, id);
    script.settle(900 + id, { start: milliseconds });
  }

  it("are as many as the peak that is forecast, for each task by itself", () => {
    const script = new Script();
    script.add(1);
    script.add(2);
    script.forecast.peaks.set("t/1", 2.4);
    seen(script, 1, 10);
    seen(script, 2, 10);
    expect(named(script.pass(1000), "prepare")).toEqual(["prepare 2/1 of 1 in c1", "prepare 3/1 of 1 in c1", "prepare 4/1 of 1 in c1"]);
    expect(script.pool.programs().map(({ readyTarget }) => readyTarget)).toEqual([3, 0]);
  });

  it("are one at most where making one costs next to nothing", () => {
    const script = new Script();
    script.add(1);
    script.forecast.peaks.set("t/1", 5);
    seen(script, 1, 0.05);
    expect(named(script.pass(1000), "prepare")).toHaveLength(1);
  });

  it("are no more than may run at once", () => {
    const script = new Script();
    script.add(1, { concurrency: 2 });
    script.forecast.peaks.set("t/1", 5);
    seen(script, 1, 10);
    expect(named(script.pass(1000), "prepare")).toHaveLength(2);
  });

  it("are none beyond the manifest's while runs go on whose instances will be used again", () => {
    const script = new Script();
    script.add(1, REUSED);
    script.forecast.peaks.set("t/1", 2);
    script.demand(1);
    script.demand(2);
    expect(script.pass(1000)).toEqual([]);
  });

  it("that are many stay for a busy version, and go for a quiet one, though they were used at the same time", () => {
    const script = new Script();
    script.add(1, REUSED);
    script.add(2, REUSED);
    script.forecast.peaks.set("t/1", 2);
    for (const run of [1, 2]) script.demand(run, 1);
    for (const run of [3, 4]) script.demand(run, 2);
    for (const run of [1, 2, 3, 4]) script.settle(run, { start: 10 });
    expect(script.pass(999)).toEqual([]);
    expect(script.pass(5000)).toEqual(["retire 2/1", "retire 3/1"]);
    expect(script.cells()).toEqual(["c1 shared active t 0+2"]);
  });

  it("that are wanted no more go before their cell does", () => {
    const script = new Script();
    script.add(1, REUSED);
    script.demand(1);
    script.settle(1);
    expect(script.pass(1000)).toEqual(["retire 0/1"]);
    script.retired(0, 1);
    expect(script.pass(10_999)).toEqual([]);
    expect(script.pass(11_000)).toContain("close c1");
  });

  it("take no cell for a forecast peak alone", () => {
    const script = new Script();
    script.add(1);
    script.forecast.peaks.set("t/1", 3);
    expect(script.add(1)).toEqual([]);
    expect(script.pass(60_000)).toEqual([]);
  });

  it("take a cell where a manifest wants them, though nobody has asked yet", () => {
    const script = new Script();
    expect(script.add(1, { code: "compiled", ready: 2 })).toEqual(["raise 1"]);
    expect(named(script.raised(1), "prepare")).toEqual(["prepare 0/1 of 1 in c1", "prepare 1/1 of 1 in c1"]);
  });

  it("take no cell back from another tenant, nor one that a run waits for", () => {
    const script = new Script({}, { budgetBytes: 164 * MiB });
    script.add(1, { tenant: "a", ...REUSED });
    script.demand(1, 1);
    script.settle(1);
    expect(script.add(2, { tenant: "b", ready: 1 })).toEqual([]);
    expect(script.pass(900)).toEqual([]);
    expect(script.cells()).toEqual(["c1 shared active a 0+1"]);
  });

  it("are charged what is known of them, and a running one its limit over the over-commit, or what it has been seen to take", () => {
    const script = new Script({}, { overcommit: 4 });
    script.add(1, { memoryLimit: 40 * MiB, ...REUSED });
    script.step({ kind: "footprint", program: 1, bytes: MiB });
    const runBytes = (): number => (script.pool.programs()[0]?.runBytes ?? 0) / MiB;
    expect([runBytes(), script.pool.programs()[0]?.readyBytes]).toEqual([10, MiB]);
    script.demand(1);
    script.settle(1, { memoryBytes: 30 * MiB });
    expect(runBytes()).toBe(30);
    expect(script.pool.cells()[0]?.chargedBytes).toBe(30.25 * MiB);
  });
});

describe("a run that is foreseen", () => {
  /** Between 10 and 11 seconds from the start on. */
  function foreseen(likelihood: number, forecast = true): Script {
    const script = new Script({}, { forecast });
    script.forecast.expected.set("t/1", { from: 10_000, until: 11_000, likelihood });
    script.add(1, { code: "compiled", ...REUSED });
    return script;
  }

  it("finds its code linked and an instance ready in a cell", () => {
    const script = foreseen(0.8);
    expect(script.pass(9_890)).toEqual([]);
    expect(script.pass(9_900)).toEqual(["raise 1"]);
    expect(script.raised(1).at(-1)).toBe("prepare 0/1 of 1 in c1");
    script.ready(0, 1);
    script.pass(10_000);
    expect(script.demand(1)[0]).toBe("grant 1 on 0/1 in c1 own/ready");
    expect(script.pool.totals()).toMatchObject({ foreseen: 1, rungs: { "own/ready": 1 } });
  });

  it("is prepared for as much earlier as its steps take", () => {
    const script = new Script();
    script.forecast.expected.set("t/1", { from: 10_000, until: 11_000, likelihood: 1 });
    script.add(1, { code: "stored" });
    expect(script.pass(8_890)).toEqual([]);
    expect(script.pass(8_900)).toEqual(["raise 1"]);
  });

  it("is waited for until a second after its time, and then no more", () => {
    const script = foreseen(0.8);
    script.pass(9_900);
    script.raised(1);
    script.ready(0, 1);
    script.forecast.expected.delete("t/1");
    expect(script.pass(11_999)).toEqual([]);
    expect(script.pass(13_100)).toEqual(["retire 0/1"]);
  });

  it("is not prepared for when that has proved wrong more often than right", () => {
    expect(foreseen(0.4).pass(20_000)).toEqual([]);
  });

  it("is not prepared for when nothing is to be forecast", () => {
    const script = foreseen(1, false);
    script.forecast.peaks.set("t/1", 5);
    expect(script.pass(20_000)).toEqual([]);
    // What manifests say holds all the same.
    expect(script.add(2, { ready: 1 }).at(-1)).toBe("prepare 0/1 of 2 in c1");
  });

  it("is not prepared for in a cell that others wait for", () => {
    const script = new Script({}, { budgetBytes: 164 * MiB, pools: { shared: { cellSlots: 1 } } });
    script.forecast.expected.set("a/1", { from: 10_000, until: 11_000, likelihood: 1 });
    script.add(1, { tenant: "a" });
    script.add(2, { tenant: "b" });
    script.demand(1, 2, 1e6);
    script.demand(2, 2, 1e6);
    expect(named(script.pass(12_000), "prepare")).toEqual([]);
    script.settle(1);
    expect(script.cells()).toEqual(["c1 shared active b 1+0"]);
  });
});

describe("a linked program", () => {
  it("goes back to its compiled form when nobody has asked for it for long", () => {
    const script = new Script({}, { programIdle: 5000 });
    script.add(1);
    script.pass(3000);
    script.demand(1);
    script.settle(1);
    script.retired(0, 1);
    expect(named(script.pass(7_999), "lower")).toEqual([]);
    expect(named(script.pass(8_000), "lower")).toEqual(["lower 1"]);
    expect(script.demand(2)).toContain("raise 1");
  });

  it("stays while instances of it are wanted ready, it has a reserve, it runs, or its next run is foreseen", () => {
    const script = new Script({}, { programIdle: 5000 });
    script.terms("d", { dedicated: 1 });
    script.add(1, { ready: 1 });
    script.ready(0, 1);
    script.add(2, { tenant: "d", pool: "dedicated" });
    script.add(3);
    script.demand(3, 3, 1000, 1e6);
    script.forecast.expected.set("t/4", { from: 5_000, until: 6_000, likelihood: 1 });
    script.add(4);
    expect(named(script.pass(6_900), "prepare")).toEqual(["prepare 2/1 of 4 in c2"]);
    script.failed(2, 1);
    expect(named(script.pass(60_000), "lower")).toEqual(["lower 4"]);
  });

  it("that was never used goes back after ten minutes, however long used ones stay", () => {
    const script = new Script({}, { programIdle: 86_400_000 });
    script.instant = true;
    for (const id of [1, 2]) script.add(id);
    script.demand(1, 1);
    script.settle(1);
    expect(named(script.pass(599_999), "lower")).toEqual([]);
    expect(named(script.pass(600_000), "lower")).toEqual(["lower 2"]);
    expect(named(script.pass(86_000_000), "lower")).toEqual([]);
  });

  it("that nobody has asked for is not linked ahead", () => {
    const script = new Script();
    expect([...script.add(1, { code: "compiled" }), ...script.add(2, { code: "stored" }), ...script.pass(1e6)]).toEqual([]);
    expect(script.pool.view()).toMatchObject({ cellBytes: 0, lobbyChargedBytes: 0 });
  });

  it("that came without a place for it is let go at once", () => {
    const script = new Script({}, { lobbyBytes: MiB });
    expect(script.add(1, { bytes: 2 * MiB })).toEqual(["lower 1"]);
    expect(script.pool.programs()[0]?.code).toBe("compiled");
  });

  it("whose compiled form is gone is raised from the stored one", () => {
    const script = new Script();
    script.add(1, { code: "compiled" });
    script.step({ kind: "code", program: 1, code: "stored" });
    script.demand(1);
    script.raised(1);
    expect(script.grantOf(1)?.rung).toBe("warming/stored");
  });

  it("that turns out larger than was thought, and has no place so, is let go, and its runs wait for one", () => {
    const script = new Script({}, { lobbyBytes: MiB, budgetBytes: 101 * MiB });
    script.add(1, { code: "compiled", memoryLimit: 90 * MiB });
    expect(script.demand(1, 1, 500)).toContain("raise 1");
    expect(named(script.raised(1, 200 * MiB), "lower")).toEqual(["lower 1"]);
    expect(named(script.pass(500), "refuse")).toEqual(["refuse 1 node-full"]);
  });
});

/** So many runs of the program, one after the other; then an empty cell goes back where that takes no time. */
function use(script: Script, id: number, times: number): void {
  for (let i = 0; i < times; i++) {
    const run = 10_000 * id + i;
    script.demand(run, id);
    const { slot, generation } = script.grantOf(run) ?? { slot: -1, generation: -1 };
    script.settle(run);
    script.retired(slot, generation);
    script.pass(script.now);
  }
}

describe("in a full lobby", () => {
  /** Room for three programs of 1 MiB, and for a cell in which a run has room but no code. */
  function lobby(): Script {
    const pools = { shared: { cellBytes: 8 * MiB } };
    return new Script({}, { lobbyBytes: 3 * MiB, budgetBytes: 11 * MiB, programIdle: 1e9, cellIdle: 0, pools });
  }

  /** One more program that is linked: what was let go for it. */
  function oneMore(script: Script, id: number, bytes = MiB): string[] {
    return named(script.add(id, { bytes }), "lower");
  }

  it("the largest program goes first, where all else is the same", () => {
    const script = lobby();
    oneMore(script, 1, 0.9 * MiB);
    oneMore(script, 2, 1.1 * MiB);
    oneMore(script, 3);
    expect(oneMore(script, 4)).toEqual(["lower 2"]);
    expect(script.pool.totals().evictedPrograms).toBe(1);
  });

  it("the one goes first that is asked for least", () => {
    const script = lobby();
    for (const id of [1, 2, 3]) oneMore(script, id);
    use(script, 1, 3);
    use(script, 2, 2);
    use(script, 3, 5);
    expect(oneMore(script, 4)).toEqual(["lower 2"]);
  });

  it("the one goes first that is raised again most cheaply", () => {
    const script = lobby();
    for (const [id, milliseconds] of [
      [1, 50],
      [2, 5],
      [3, 100],
    ] as const) {
      script.add(id, { code: "compiled" });
      script.demand(id, id);
      script.step({ kind: "raised", program: id, bytes: MiB, milliseconds });
      script.settle(id);
      script.retired(0, id);
      script.pass(0);
    }
    expect(oneMore(script, 4)).toEqual(["lower 2"]);
  });

  it("nobody lives on old fame", () => {
    const script = lobby();
    oneMore(script, 1);
    use(script, 1, 20);
    let id = 2;
    while (!oneMore(script, id).includes("lower 1")) id++;
    expect(id).toBeGreaterThan(10);
    expect(id).toBeLessThan(100);
  });

  it("the one goes first whose next run is foreseen and far away", () => {
    const script = lobby();
    script.forecast.expected.set("t/1", { from: 60_000, until: 61_000, likelihood: 1 });
    for (const id of [1, 2, 3]) oneMore(script, id);
    use(script, 1, 10);
    expect(oneMore(script, 4)).toEqual(["lower 1"]);
  });

  it("the one goes last whose next run is foreseen and near", () => {
    const script = new Script({}, { lobbyBytes: 3 * MiB, budgetBytes: 3 * MiB });
    script.forecast.expected.set("t/3", { from: 50, until: 60, likelihood: 1 });
    oneMore(script, 1, 0.9 * MiB);
    oneMore(script, 2, 1.0 * MiB);
    oneMore(script, 3, 1.1 * MiB);
    expect(oneMore(script, 4)).toEqual(["lower 2"]);
    expect(oneMore(script, 5, 1.9 * MiB)).toEqual(["lower 1", "lower 4"]);
  });

  it("what is foreseen counts for nothing where nothing is to be forecast", () => {
    const script = lobby();
    script.configure({ forecast: false });
    script.forecast.expected.set("t/1", { from: 60_000, until: 61_000, likelihood: 1 });
    for (const id of [1, 2, 3]) oneMore(script, id);
    use(script, 1, 10);
    expect(oneMore(script, 4)).toEqual(["lower 2"]);
  });

  it("what runs stays, and without anything that may go there is no place for one more", () => {
    const script = lobby();
    script.configure({ budgetBytes: 27 * MiB });
    for (const id of [1, 2, 3]) {
      oneMore(script, id);
      script.demand(id, id);
    }
    expect(oneMore(script, 4)).toEqual(["lower 4"]);
    expect(script.demand(4, 4, 500)).toEqual([]);
    script.settle(1);
    expect(script.retired(0, 1)).toContain("raise 4");
  });
});

describe("in a full cell of the tenant", () => {
  it("the idle instance goes first that is made again most cheaply", () => {
    const script = new Script({}, { budgetBytes: 164 * MiB, pools: { shared: { cellSlots: 3 } } });
    for (const id of [1, 2, 3, 4]) script.add(id, REUSED);
    for (const id of [1, 2, 3]) script.demand(id, id);
    script.settle(1, { start: 50 });
    script.settle(2, { start: 1 });
    script.settle(3, { start: 100 });
    for (const id of [1, 2, 3]) script.demand(10 + id, id);
    for (const id of [1, 2, 3]) script.settle(10 + id);
    expect(script.demand(4, 4)).toEqual(["retire 1/1", "grant 4 on 3/1 in c1 own/linked"]);
    expect(script.pool.totals().evictedInstances).toBe(1);
  });

  it("an idle instance goes before a program, and only as many as are needed", () => {
    const script = new Script({}, { budgetBytes: 22 * MiB, lobbyBytes: 2 * MiB, pools: { shared: { cellBytes: 20 * MiB } } });
    for (const id of [1, 2]) script.add(id, { ...REUSED, bytes: MiB, memoryLimit: 8 * MiB });
    script.demand(1, 1);
    script.demand(2, 2);
    script.settle(1, { memoryBytes: 4 * MiB });
    script.settle(2, { memoryBytes: 4 * MiB });
    script.add(3, { memoryLimit: 12 * MiB, bytes: MiB });
    expect(named(script.demand(3, 3), "lower")).toEqual([]);
    expect(script.pool.counts()).toMatchObject({ idle: 1, busy: 1, ending: 1 });
  });

  it("a program goes to the lobby while that has room, and after that the one worth least is let go", () => {
    const script = new Script({}, { budgetBytes: 22 * MiB, lobbyBytes: 2 * MiB, pools: { shared: { cellBytes: 20 * MiB } } });
    for (const id of [1, 2, 3]) {
      script.add(id, { bytes: 2 * MiB, memoryLimit: 4 * MiB });
      use(script, id, id);
    }
    expect(script.pool.cells()[0]).toMatchObject({ programs: [1, 2, 3], chargedBytes: 6 * MiB });
    script.add(4, { memoryLimit: 17 * MiB, bytes: MiB });
    expect(named(script.demand(4, 4), "lower")).toEqual(["lower 1"]);
  });
});

/** What is made ready because someone said that runs are to be expected, and what becomes of it. */
import { describe, expect, it } from "vitest";
import { MiB, Script } from "./script.js";

const REUSED = { maxRequests: 1000, maxIdle: 1e9, maxAge: 1e9 };

/** Instances are made at once, unless `said` is about them. */
function scripted(...said: ConstructorParameters<typeof Script>): Script {
  const script = new Script(...said);
  script.instant = true;
  return script;
}

function expected(script: Script, count: number, until: number, id = 1, depth: "ready" | "program" = "ready"): string[] {
  return script.step({ kind: "expect", program: id, count, until, depth });
}

function idle(script: Script, id = 1): number {
  return script.pool.programs().find(({ program }) => program === id)?.idle ?? -1;
}

function made(commands: string[]): number {
  return commands.filter((command) => command.startsWith("prepare ")).length;
}

describe("runs that are expected", () => {
  it("find as many ready instances, also of a program that is cheap to start", () => {
    const script = scripted();
    script.add(1);
    expected(script, 7, 5000);
    expect(idle(script)).toBe(7);
  });

  it("find them where the forecast would have some, too, and the tenant has no cell for those", () => {
    const script = scripted();
    script.forecast.peaks.set("t/1", 1);
    script.add(1);
    expect(idle(script)).toBe(0);
    expected(script, 1, 5000);
    expect(idle(script)).toBe(1);
  });

  it("find no more than may run at once", () => {
    const script = scripted();
    script.add(1, { concurrency: 3 });
    expected(script, 7, 5000);
    expect(idle(script)).toBe(3);
  });

  it("have made only what is not there yet", () => {
    const script = scripted();
    script.add(1, { ready: 2 });
    expect(idle(script)).toBe(2);
    expect(made(expected(script, 5, 5000))).toBe(3);
    expect(made(expected(script, 5, 5000))).toBe(0);
    expect(made(expected(script, 6, 5000))).toBe(1);
  });

  it("count what is being made as there, and have four made at once", () => {
    const script = new Script();
    script.add(1);
    expect(made(expected(script, 6, 5000))).toBe(4);
    expect(made(expected(script, 6, 5000))).toBe(0);
    expect(made(script.ready(0, 1))).toBe(1);
    expect(made(script.ready(1, 1))).toBe(1);
    expect(made(script.ready(2, 1))).toBe(0);
  });

  it("have a program linked that is not, and then instances made of it", () => {
    const script = scripted();
    script.add(1, { code: "compiled" });
    expect(expected(script, 2, 5000)).toEqual(["raise 1"]);
    expect(made(script.raised(1))).toBe(2);
  });

  it("have it linked alone where that is said, and held so", () => {
    const script = scripted({}, { programIdle: 1000 });
    script.add(1, { code: "compiled" });
    expect(expected(script, 2, 9000, 1, "program")).toEqual(["raise 1"]);
    expect(made(script.raised(1))).toBe(0);
    expect(script.pass(8999)).toEqual([]);
    expect(script.pass(20_000)).toEqual(["lower 1"]);
  });

  it("take cells that are free, as many as all of them run in beside one another", () => {
    const script = scripted({}, { budgetBytes: 1064 * MiB });
    script.add(1, { memoryLimit: 40 * MiB });
    expected(script, 5, 5000);
    // Two of 40 MiB run in a cell of 100 MiB.
    expect(script.cells().map((cell) => cell.slice(-3))).toEqual(["0+2", "0+2", "0+1"]);
    for (let run = 1; run <= 5; run++) expect(script.demand(run).at(-1)).toContain("own/ready");
  });

  it("are not made up for before whoever expects them has counted those that came", () => {
    const script = scripted();
    script.add(1);
    expected(script, 3, 5000);
    expect(made(script.demand(1))).toBe(0);
    expect(made(expected(script, 2, 5000))).toBe(0);
    script.pass(1000);
    expect(idle(script)).toBe(2);
    // Nobody counts this one.
    expect(made(script.demand(2))).toBe(0);
    expect(made(script.pass(2000))).toBe(1);
  });

  it("may be counted before they come: what lies ready for them waits", () => {
    const script = scripted();
    script.add(1);
    expected(script, 1, 5000);
    expect(expected(script, 0, 0)).toEqual([]);
    expect(script.demand(1)).toEqual(["grant 1 on 0/1 in c1 own/ready last"]);
  });

  it("are nothing where nothing is to be forecast", () => {
    const script = scripted({}, { forecast: false });
    script.add(1);
    expected(script, 3, 5000);
    expect(idle(script)).toBe(0);
  });

  it("of a program that is gone are nobody's", () => {
    const script = scripted();
    script.add(1);
    script.remove(1);
    expect(expected(script, 3, 5000)).toEqual([]);
    expect(expected(script, 3, 5000, 7)).toEqual([]);
  });
});

describe("when the time is over", () => {
  it("what was not used goes at once, and not after the idle time", () => {
    const script = scripted({}, { instanceIdle: 60_000 });
    script.add(1, { ready: 1 });
    expected(script, 4, 5000);
    script.pass(4999);
    expect(idle(script)).toBe(4);
    script.pass(5001);
    expect(idle(script)).toBe(1);
  });

  it("what was used stays for its idle time, as ever", () => {
    const script = scripted({}, { instanceIdle: 60_000 });
    script.instant = false;
    script.add(1, REUSED);
    expected(script, 2, 5000);
    script.ready(0, 1);
    script.ready(1, 1);
    script.demand(1);
    script.settle(1);
    script.pass(5001);
    expect(idle(script)).toBe(1);
  });

  it("what demand wants stays", () => {
    const script = scripted();
    script.add(1);
    expected(script, 4, 5000);
    script.demand(1);
    script.settle(1, { start: 10 });
    script.forecast.peaks.set("t/1", 2);
    script.pass(6000);
    expect(idle(script)).toBe(2);
  });

  it("what is still being made goes when it is there", () => {
    const script = new Script();
    script.add(1);
    expected(script, 1, 100);
    script.pass(200);
    script.ready(0, 1);
    expect(script.pass(300)).toEqual(["retire 0/1"]);
  });

  it("nothing is left to be looked at", () => {
    const script = scripted({}, { cellIdle: 100 });
    script.add(1, { code: "compiled" });
    expected(script, 4, 5000);
    script.raised(1);
    script.pass(1e9);
    expect(script.pool.nextWake()).toBe(Number.POSITIVE_INFINITY);
    expect(script.pool.cells()).toEqual([]);
  });

  it("is also the case when it is taken back, or fewer are expected", () => {
    const script = scripted({}, { instanceIdle: 60_000 });
    script.add(1);
    expected(script, 4, 50_000);
    expected(script, 3, 50_000);
    script.pass(100);
    expect(idle(script)).toBe(3);
    expected(script, 0, 50_000);
    script.pass(200);
    expect(idle(script)).toBe(0);
  });

  it("is what counts on a clock that went back, too", () => {
    const script = scripted();
    script.add(1);
    script.tick(10_000);
    script.now = 1000;
    expected(script, 2, 3000);
    expect(idle(script)).toBe(2);
    script.pass(2900);
    expect(idle(script)).toBe(2);
    script.pass(3100);
    expect(idle(script)).toBe(0);
  });
});

describe("others' capacity", () => {
  it("is not touched: no reserve, and no cell that another tenant has", () => {
    const script = scripted({}, { budgetBytes: 364 * MiB });
    script.terms("d", { dedicated: 1 });
    script.add(2, { tenant: "o", ready: 1 });
    script.add(1, { memoryLimit: 45 * MiB });
    const before = script.cells();
    const commands = expected(script, 20, 5000);
    expect(commands.filter((command) => command.startsWith("close"))).toEqual([]);
    expect(script.cells().slice(0, 2)).toEqual(before);
    // One cell was free, and two runs have room in it.
    expect(script.cells().slice(2)).toEqual(["c3 shared active t 0+2"]);
  });

  it("is not touched by a tenant with a reserve either: it has that", () => {
    const script = scripted({}, { pools: { shared: { warming: 2 } } });
    script.terms("d", { dedicated: 1 });
    script.add(1, { tenant: "d", pool: "dedicated" });
    expected(script, 20, 5000);
    expect(script.cells()).toEqual(["c1 shared warming - 0+0", "c2 shared warming - 0+0", "c3 dedicated active d 0+10"]);
  });

  it("is not taken ahead while runs wait for room", () => {
    const script = scripted({}, { budgetBytes: 164 * MiB, pools: { shared: { cellBytes: 100 * MiB, cellSlots: 1 } } });
    script.add(1);
    script.add(2, { tenant: "o", whenFull: "wait" });
    script.demand(1, 2, 100_000);
    script.demand(2, 2, 100_000);
    expected(script, 1, 5000);
    script.pass(2000);
    expect(idle(script)).toBe(0);
  });

  it("is not used while the processors are the limit", () => {
    const script = scripted();
    script.add(1);
    script.add(2);
    script.overload(2);
    expect(made(expected(script, 3, script.now + 5000))).toBe(0);
  });
});

describe("when room is short", () => {
  it("what lies ready for expected runs goes before what is worth less", () => {
    const script = scripted({}, { budgetBytes: 164 * MiB, pools: { shared: { cellSlots: 3 } } });
    script.add(1);
    script.add(2, { ready: 2 });
    script.add(3);
    script.demand(9);
    script.settle(9, { start: 100 });
    script.pass(1000);
    expected(script, 1, 9000);
    expect([idle(script, 1), idle(script, 2)]).toEqual([1, 2]);
    script.demand(1, 3);
    expect([idle(script, 1), idle(script, 2)]).toEqual([0, 2]);
  });

  it("a cell with nothing but that is the first that goes to another tenant", () => {
    const script = scripted({}, { budgetBytes: 264 * MiB });
    script.add(1);
    script.add(2, { tenant: "o", ready: 1 });
    script.demand(9);
    script.settle(9, { start: 100 });
    expected(script, 5, 9000);
    script.add(3, { tenant: "x" });
    script.demand(1, 3);
    expect([idle(script, 1), idle(script, 2)]).toEqual([0, 1]);
  });
});

/** What ends badly: leases that nobody gives back, versions and cells that fail again and again, code that cannot be linked. */
import { describe, expect, it } from "vitest";
import { MiB, Script } from "./script.js";

const REUSED = { maxRequests: 1000, maxIdle: 1e9, maxAge: 1e9 };

/** So many runs of program 1 that end badly, one after the other. */
function fail(script: Script, times: number, ending: "unsound" | "cut" | "exhausted" = "unsound"): string[] {
  const commands: string[] = [];
  for (let i = 0; i < times; i++) {
    const run = 1_000_000 + script.pool.totals().expired + (script.pool.granted(1) ?? 0);
    script.demand(run, 1);
    commands.push(...script.settle(run, { ending }));
  }
  return commands;
}

function named(commands: string[], kind: string): string[] {
  return commands.filter((command) => command.startsWith(`${kind} `));
}

/** What the pool knows of program 1. */
function health(script: Script): { failures: number; pausedMs: number } {
  const [{ failures, pausedMs } = { failures: -1, pausedMs: -1 }] = script.pool.programs();
  return { failures, pausedMs };
}

describe("a version that always ends badly", () => {
  /** It keeps one instance ready. */
  function ready(): Script {
    const script = new Script();
    script.instant = true;
    script.add(1, { ...REUSED, ready: 1 });
    return script;
  }

  it("has an instance ready until the fifth bad ending in a row, and from then on none for a while", () => {
    const script = ready();
    fail(script, 4);
    expect(script.pool.counts()).toMatchObject({ idle: 1, starting: 0 });
    fail(script, 1);
    expect(script.pool.counts()).toMatchObject({ idle: 0, starting: 0 });
    expect(health(script)).toEqual({ failures: 5, pausedMs: 100 });
    expect(script.pass(99)).toEqual([]);
    expect(named(script.pass(100), "prepare")).toHaveLength(1);
  });

  it("loses the idle instances, which may be why it fails", () => {
    const script = new Script();
    script.add(1, REUSED);
    for (let run = 1; run <= 6; run++) script.demand(run);
    script.settle(6);
    for (let run = 1; run <= 4; run++) script.settle(run, { ending: "unsound" });
    expect(script.settle(5, { ending: "unsound" })).toEqual(["retire 4/1", "retire 5/1"]);
  });

  it("is served all the while", () => {
    const script = ready();
    fail(script, 20);
    expect(named(script.demand(1), "grant")).toHaveLength(1);
    expect(script.pool.totals().refused).toEqual({});
  });

  it("is left alone for twice as long after each further one, up to a minute", () => {
    const script = ready();
    fail(script, 5);
    const pauses = Array.from({ length: 12 }, () => {
      fail(script, 1);
      return health(script).pausedMs;
    });
    expect(pauses).toEqual([200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000, 60_000]);
    expect(named(script.pass(59_999), "prepare")).toEqual([]);
    expect(named(script.pass(60_000), "prepare")).toHaveLength(1);
  });

  it("begins anew after a run that ended well", () => {
    const script = ready();
    fail(script, 8);
    script.demand(1);
    script.settle(1);
    expect(health(script).failures).toBe(0);
    fail(script, 4);
    expect(health(script).failures).toBe(4);
  });

  it("is not to blame for runs that were cut short: they count for nothing, neither good nor bad", () => {
    const script = ready();
    fail(script, 4);
    fail(script, 20, "cut");
    expect(health(script)).toEqual({ failures: 4, pausedMs: 0 });
    fail(script, 1);
    expect(health(script)).toEqual({ failures: 5, pausedMs: 100 });
  });

  it("is one too whose instances cannot be made", () => {
    const script = new Script();
    script.add(1, { ready: 5 });
    for (let slot = 0; slot < 4; slot++) script.failed(slot, 1);
    expect(health(script)).toEqual({ failures: 4, pausedMs: 0 });
  });
});

describe("code that cannot be linked", () => {
  /** The one refusal among the commands of a step. */
  function refusal(script: Script, step: () => void): { reason: string; retryAfter: number } | undefined {
    let found: { reason: string; retryAfter: number } | undefined;
    const inner = script.pool.step.bind(script.pool);
    script.pool.step = (now, event) => {
      const commands = inner(now, event);
      for (const command of commands) if (command.kind === "refuse") found = { reason: command.reason, retryAfter: command.retryAfter };
      return commands;
    };
    step();
    script.pool.step = inner;
    return found;
  }

  it("refuses the runs that wait for it, and says when to come back", () => {
    const script = new Script();
    script.add(1, { code: "compiled" });
    script.demand(1);
    script.demand(2);
    expect(named(script.raiseFailed(1), "refuse")).toEqual(["refuse 1 no-code", "refuse 2 no-code"]);
    script.now = 40;
    expect(refusal(script, () => script.demand(3))).toEqual({ reason: "no-code", retryAfter: 60 });
    expect(script.pool.counts().waiting).toBe(0);
  });

  it("is tried again at the first run after a pause, which grows with each failure up to a minute", () => {
    const script = new Script();
    script.add(1, { code: "compiled" });
    const pauses: (number | undefined)[] = [];
    for (let run = 0; run < 12; run++) {
      expect(script.demand(run)).toContain("raise 1");
      const pause = refusal(script, () => script.raiseFailed(1))?.retryAfter;
      pauses.push(pause);
      expect(script.pass(script.now + (pause ?? 0) - 1).filter((command) => command.startsWith("raise"))).toEqual([]);
      expect(script.demand(100 + run)).toEqual([`refuse ${100 + run} no-code`]);
      script.now += 1;
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
  });

  it("is tried again by itself where it should be there ahead of runs", () => {
    const script = new Script();
    expect(script.add(1, { code: "compiled", ready: 1 })).toEqual(["raise 1"]);
    script.raiseFailed(1);
    expect(script.pass(99)).toEqual([]);
    expect(script.pass(100)).toEqual(["raise 1"]);
    script.raiseFailed(1);
    expect(script.pass(299)).toEqual([]);
    expect(script.pass(300)).toEqual(["raise 1"]);
    expect(named(script.raised(1), "prepare")).toHaveLength(1);
  });

  it("begins anew once it has been linked", () => {
    const script = new Script({}, { programIdle: 1000 });
    script.add(1, { code: "compiled" });
    script.demand(1);
    script.raiseFailed(1);
    script.now = 100;
    script.demand(2);
    script.raised(1);
    script.settle(2);
    script.retired(0, 1);
    expect(script.pass(2000)).toContain("lower 1");
    script.demand(3);
    expect(refusal(script, () => script.raiseFailed(1))?.retryAfter).toBe(100);
  });

  it("frees the cell that was held for its runs", () => {
    const script = new Script({}, { budgetBytes: 164 * MiB });
    script.add(1, { tenant: "a", code: "compiled" });
    script.add(2, { tenant: "b" });
    script.demand(1, 1);
    // A cell in which a run will take place is not taken back.
    expect(script.demand(2, 2)).toEqual([]);
    expect(named(script.raiseFailed(1), "grant")).toEqual(["grant 2 on 0/1 in c2 reclaimed/linked last"]);
  });

  it("changes nothing when nobody had asked for that", () => {
    const script = new Script();
    script.add(1, { code: "compiled" });
    expect([script.raiseFailed(1), script.raiseFailed(9), script.raised(1), script.raised(9)]).toEqual([[], [], [], []]);
    expect(script.pool.programs()[0]?.code).toBe("compiled");
  });
});

describe("a lease", () => {
  it("that the engine is silent about ends two seconds after its deadline, and the instance with it", () => {
    const script = new Script();
    script.add(1, REUSED);
    script.demand(1, 1, 1000, 5000);
    expect(script.pass(6_999)).toEqual([]);
    expect(script.pass(8_000)).toEqual(["expire 1 on 0/1", "retire 0/1"]);
    expect(script.pool.totals().expired).toBe(1);
    expect(script.pool.view().leases).toBe(0);
    expect(script.forecast.of("t/1").running).toBe(0);
  });

  it("that has expired is not ended again by what comes late", () => {
    const script = new Script();
    script.add(1, REUSED);
    script.demand(1, 1, 1000, 1000);
    script.pass(5_000);
    const before = [script.pool.counts(), script.pool.view(), script.pool.programs()];
    expect([script.settle(1), script.leaseRefused(1), script.withdraw(1)]).toEqual([[], [], []]);
    expect([script.pool.counts(), script.pool.view(), script.pool.programs()]).toEqual(before);
    expect(script.forecast.of("t/1").running).toBe(0);
  });

  it("is not ended by a completion under the token that the run had before", () => {
    const script = new Script();
    script.add(1, REUSED);
    script.demand(1);
    const old = script.grantOf(1);
    script.leaseRefused(1);
    expect(script.grantOf(1)?.slot).not.toBe(old?.slot);
    const late = { run: 1, slot: old?.slot ?? -1, generation: old?.generation ?? -1, ending: "unsound", memoryBytes: 5 * MiB } as const;
    expect(script.step({ kind: "settled", ...late, startNanoseconds: 1, waitNanoseconds: 1 })).toEqual([]);
    expect(script.pool.view().leases).toBe(1);
    expect(health(script).failures).toBe(0);
  });

  it("that ends in time has no later consequence", () => {
    const script = new Script();
    script.add(1, REUSED);
    script.demand(1, 1, 1000, 1000);
    script.pass(2_900);
    script.settle(1);
    script.pass(60_000);
    expect(script.pool.totals().expired).toBe(0);
  });

  it("that expires on a shared instance leaves the other run to finish, and the instance takes no more", () => {
    const script = new Script();
    script.add(1, { ...REUSED, maxConcurrent: 2 });
    script.demand(1, 1, 1000, 1000);
    script.demand(2, 1, 1000, 60_000);
    expect(script.pass(4_000)).toEqual(["expire 1 on 0/1"]);
    expect(named(script.demand(3), "grant")).toEqual(["grant 3 on 1/1 in c2 warming/linked"]);
    expect(script.settle(2)).toEqual(["retire 0/1"]);
  });

  it("that expires counts against its version", () => {
    const script = new Script();
    script.add(1, REUSED);
    for (let run = 0; run < 5; run++) script.demand(run, 1, 1000, 1000);
    script.pass(4_000);
    expect(health(script).failures).toBe(5);
  });
});

describe("a sick cell", () => {
  /** Cells drained for being sick, as their pool counts them. */
  function replaced(script: Script, pool = 0): number {
    return script.pool.view().pools[pool]?.replaced ?? -1;
  }

  it("is drained when a run in it hangs, and replaced once the instance is gone; other runs in it finish", () => {
    const script = new Script();
    script.add(1, REUSED);
    script.demand(1, 1, 1000, 1000);
    script.demand(2, 1, 1000, 60_000);
    script.pass(4_000);
    expect(script.pool.cells()[0]).toMatchObject({ state: "draining", sick: "a run in it outlived its lease", busy: 1 });
    expect(named(script.demand(3), "grant")).toEqual(["grant 3 on 2/1 in c2 warming/linked"]);
    expect(script.retired(0, 1)).toEqual([]);
    expect(script.settle(2)).toEqual(["retire 1/1"]);
    expect(replaced(script)).toBe(0);
    expect(script.retired(1, 1)).toEqual(["close c1"]);
    expect(replaced(script)).toBe(1);
  });

  it("of a reserve is replaced by a new one", () => {
    const script = new Script();
    script.terms("d", { dedicated: 1 });
    script.add(1, { ...REUSED, tenant: "d", pool: "dedicated" });
    script.demand(1, 1, 1000, 1000);
    expect(script.pass(4_000)).toContain("retire 0/1");
    expect(script.cells()).toEqual(["c1 dedicated draining d 0+0"]);
    expect(script.demand(2)).toEqual([]);
    expect(script.retired(0, 1)).toEqual(["close c1", "cell c2 100MiB", "grant 2 on 0/2 in c2 own/linked"]);
    expect(replaced(script, 1)).toBe(1);
  });

  it("is one whose bytes did not suffice for eight runs in a row", () => {
    const script = new Script();
    script.add(1, { ...REUSED });
    fail(script, 7, "exhausted");
    expect(script.cells()).toEqual(["c1 shared active t 0+0"]);
    fail(script, 1, "exhausted");
    expect(script.pool.cells()[0]).toMatchObject({ state: "draining", sick: "its bytes did not suffice for 8 runs in a row" });
  });

  it("lets go what lies idle in it when its bytes did not suffice for a run", () => {
    const script = new Script();
    script.add(1, REUSED);
    script.demand(1);
    script.demand(2);
    script.settle(2);
    expect(script.settle(1, { ending: "exhausted" })).toEqual(["retire 0/1", "retire 1/1"]);
  });

  it("is none when a run in between found enough", () => {
    const script = new Script();
    script.add(1, { ...REUSED });
    fail(script, 7, "exhausted");
    script.demand(1);
    script.settle(1);
    fail(script, 7, "exhausted");
    expect(script.cells()).toEqual(["c1 shared active t 0+0"]);
  });

  it("is what an operator says, and its programs find another place", () => {
    const script = new Script();
    script.add(1, REUSED);
    script.demand(1);
    script.settle(1);
    expect(script.drain({ cell: 1 })).toEqual(["retire 0/1"]);
    expect(script.pool.cells()[0]).toMatchObject({ sick: "an operator drains it", programs: [] });
    expect(script.drain({ cell: 1 })).toEqual([]);
    expect(script.retired(0, 1)).toEqual(["close c1"]);
    expect(replaced(script)).toBe(1);
    expect(script.pool.programs()[0]?.code).toBe("linked");
  });

  it("that is unassigned goes at once, and another is made", () => {
    const script = new Script({}, { pools: { shared: { warming: 1 } } });
    script.pass(1000);
    expect(script.drain({ cell: 1 })).toEqual(["close c1", "cell c2 100MiB"]);
    expect(replaced(script)).toBe(1);
  });

  it("that is empty goes at once, though its tenant has had no time to use it", () => {
    const script = new Script();
    script.terms("d", { dedicated: 1 });
    expect(script.drain({ cell: 1 })).toEqual(["close c1", "cell c2 100MiB"]);
  });

  it("does not go back to the unassigned ones", () => {
    const script = new Script({}, { budgetBytes: 164 * MiB, pools: { shared: { warming: 1 } } });
    script.tick(0);
    script.add(1);
    script.demand(1);
    script.drain({ cell: 1 });
    script.settle(1);
    expect(script.retired(0, 1)).toEqual(["close c1"]);
    expect(script.pass(100)).toEqual(["cell c2 100MiB"]);
  });

  it("is none that the pool does not know", () => {
    expect(new Script().drain({ cell: 7 })).toEqual([]);
  });
});

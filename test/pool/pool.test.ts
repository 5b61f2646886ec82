/** Runs and instances in one cell: what is used again, who waits, and what is refused. */
import { describe, expect, it } from "vitest";
import type { PoolEvent, PoolOptions } from "../../src/pool/pool.js";
import { MiB, Script } from "./script.js";

const NOTHING = { idle: 0, busy: 0, starting: 0, ending: 0, waiting: 0 };

/** A node with a single shared cell for so many instances; its commands without what they say of cells. */
class OneCell extends Script {
  constructor(room = 10, options: Partial<PoolOptions> = {}) {
    super(options, { budgetBytes: 164 * MiB, pools: { shared: { cellSlots: room, warming: 1 } } });
    this.tick(0);
  }

  override step(event: PoolEvent): string[] {
    const commands = super.step(event).filter((command) => !/^(cell|close) /.test(command));
    return commands.map((command) => command.replace(/ in (c1|lobby)/, "").replace("warming/", "own/"));
  }
}

describe("a clean instance for each run", () => {
  it("is made on the way, told that its run is the last, and needs no retire command", () => {
    const s = new OneCell();
    s.add(1);
    expect(s.demand(1)).toEqual(["grant 1 on 0/1 own/linked last"]);
    expect(s.demand(2)).toEqual(["grant 2 on 1/1 own/linked last"]);
    expect(s.settle(1)).toEqual([]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, busy: 1, ending: 1 });
    expect(s.retired(0, 1)).toEqual([]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, busy: 1 });
  });

  it("never reuses a slot under the same generation", () => {
    const s = new OneCell();
    s.add(1);
    s.demand(1);
    s.settle(1);
    s.retired(0, 1);
    expect(s.demand(2)).toEqual(["grant 2 on 0/2 own/linked last"]);
    s.settle(2);
    s.retired(0, 2);
    expect(s.demand(3)).toEqual(["grant 3 on 0/3 own/linked last"]);
  });

  it("leaves the slot alone until the engine says that the instance is gone", () => {
    const s = new OneCell();
    s.add(1);
    s.demand(1);
    s.settle(1);
    expect(s.demand(2)).toEqual(["grant 2 on 1/1 own/linked last"]);
  });

  it("gives capacity back when the run settles, not when the store is gone", () => {
    const s = new OneCell(1);
    s.add(1);
    s.demand(1);
    s.demand(2);
    expect(s.settle(1)).toEqual(["grant 2 on 1/1 own/linked last"]);
  });

  it("is retired by command after an unsound run, though that run was the last", () => {
    const s = new OneCell();
    s.add(1);
    s.demand(1);
    expect(s.settle(1, { ending: "unsound" })).toEqual(["retire 0/1"]);
  });
});

describe("reuse", () => {
  it("takes the most recently used instance first", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    s.demand(2);
    s.settle(1);
    s.settle(2);
    expect(s.demand(3)).toEqual(["grant 3 on 1/1 own/ready"]);
  });

  it("ends after maxRequests runs, the last of which says so", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 3 });
    expect(s.demand(1)).toEqual(["grant 1 on 0/1 own/linked"]);
    s.settle(1);
    expect(s.demand(2)).toEqual(["grant 2 on 0/1 own/ready"]);
    s.settle(2);
    expect(s.demand(3)).toEqual(["grant 3 on 0/1 own/ready last"]);
    expect(s.settle(3)).toEqual([]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, ending: 1 });
  });

  it("ends when the instance has come to hold more than maxMemory", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 100, maxMemory: 500 });
    s.demand(1);
    expect(s.settle(1, { memoryBytes: 500 })).toEqual([]);
    s.demand(2);
    expect(s.settle(2, { memoryBytes: 501 })).toEqual(["retire 0/1"]);
  });

  it("ends after maxIdle without a run", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 100, maxIdle: 50 });
    s.demand(1);
    s.now = 20;
    s.settle(1);
    expect(s.pass(69)).toEqual([]);
    expect(s.pass(70)).toEqual(["retire 0/1"]);
    s.retired(0, 1);
    expect(s.pool.counts()).toEqual(NOTHING);
  });

  it("ends at maxAge, whether the instance is idle or has just run", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 100, maxIdle: 1000, maxAge: 60 });
    s.demand(1);
    s.demand(2);
    s.settle(1);
    expect(s.pass(59)).toEqual([]);
    expect(s.pass(60)).toEqual(["retire 0/1"]);
    expect(s.settle(2)).toEqual(["retire 1/1"]);
  });

  it("ends after a run that failed, and after one that was cut short", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    expect(s.settle(1, { ending: "unsound" })).toEqual(["retire 0/1"]);
    expect(s.demand(2)).toEqual(["grant 2 on 1/1 own/linked"]);
    expect(s.settle(2, { ending: "cut" })).toEqual(["retire 1/1"]);
  });

  it("ignores a run that settles twice", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    s.settle(1);
    expect(s.settle(1)).toEqual([]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, idle: 1 });
  });

  it("goes by what is said when a program is added again, since before linking not all of it was known", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 100, concurrency: 1 });
    s.demand(1);
    s.demand(2);
    expect(s.add(1, { maxRequests: 2, concurrency: 2 })).toEqual(["grant 2 on 1/1 own/linked"]);
    s.settle(2);
    expect(s.demand(3)).toEqual(["grant 3 on 1/1 own/ready last"]);
  });
});

describe("a shared instance", () => {
  const shared = { maxRequests: 100, maxConcurrent: 2 };

  it("is made at first, then shared up to maxConcurrent once the program has as many as the parallelism", () => {
    const s = new OneCell(10, { parallelism: 2 });
    s.add(1, shared);
    expect([1, 2, 3, 4, 5].flatMap((run) => s.demand(run))).toEqual([
      "grant 1 on 0/1 own/linked",
      "grant 2 on 1/1 own/linked",
      "grant 3 on 0/1 own/ready",
      "grant 4 on 1/1 own/ready",
      "grant 5 on 2/1 own/linked",
    ]);
  });

  it("is shared below the parallelism too when there is no room for another", () => {
    const s = new OneCell(1, { parallelism: 8 });
    s.add(1, shared);
    s.demand(1);
    expect(s.demand(2)).toEqual(["grant 2 on 0/1 own/ready"]);
  });

  it("takes the run on its least busy instance", () => {
    const s = new OneCell(10, { parallelism: 2 });
    s.add(1, { ...shared, maxConcurrent: 3 });
    for (const run of [1, 2, 3, 4]) s.demand(run);
    s.settle(2);
    s.settle(4);
    expect(s.pool.counts()).toEqual({ ...NOTHING, busy: 1, idle: 1 });
    s.demand(5);
    expect(s.demand(6)).toEqual(["grant 6 on 1/1 own/ready"]);
  });

  it("takes no more runs after an unsound one, and is retired when the others are done", () => {
    const s = new OneCell();
    s.add(1, shared);
    s.demand(1);
    s.demand(2);
    expect(s.settle(1, { ending: "unsound" })).toEqual([]);
    expect(s.demand(3)).toEqual(["grant 3 on 1/1 own/linked"]);
    expect(s.settle(2)).toEqual(["retire 0/1"]);
  });

  it("is closed by its last run while earlier ones go on", () => {
    const s = new OneCell();
    s.add(1, { ...shared, maxRequests: 2 });
    s.demand(1);
    expect(s.demand(2)).toEqual(["grant 2 on 0/1 own/ready last"]);
    expect(s.settle(2)).toEqual([]);
    expect(s.demand(3)).toEqual(["grant 3 on 1/1 own/linked"]);
    // The engine retires it by itself: it was told that no more will come.
    expect(s.settle(1)).toEqual([]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, busy: 1, ending: 1 });
  });

  it("is retired by command when a run failed on it, though its last run was told so", () => {
    const s = new OneCell();
    s.add(1, { ...shared, maxRequests: 2 });
    s.demand(1);
    s.demand(2);
    s.settle(1, { ending: "unsound" });
    expect(s.settle(2)).toEqual(["retire 0/1"]);
  });
});

describe("instances that a manifest wants ready", () => {
  it("are made four at once at most", () => {
    const s = new OneCell();
    expect(s.add(1, { ready: 6 })).toEqual(["prepare 0/1 of 1", "prepare 1/1 of 1", "prepare 2/1 of 1", "prepare 3/1 of 1"]);
    expect(s.ready(0, 1)).toEqual(["prepare 4/1 of 1"]);
    expect(s.ready(1, 1)).toEqual(["prepare 5/1 of 1"]);
    expect(s.ready(2, 1)).toEqual([]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, idle: 3, starting: 3 });
  });

  it("are made again as soon as one is taken", () => {
    const s = new OneCell();
    s.add(1, { ready: 1 });
    s.ready(0, 1);
    expect(s.demand(1)).toEqual(["grant 1 on 0/1 own/ready last", "prepare 1/1 of 1"]);
  });

  it("do not make a run wait for one that starts", () => {
    const s = new OneCell();
    s.add(1, { ready: 1 });
    expect(s.demand(1)).toEqual(["grant 1 on 1/1 own/linked last"]);
  });

  it("stop at what there is room for, and are looked at again every second", () => {
    const s = new OneCell(2);
    s.add(1);
    s.demand(1);
    expect(s.add(2, { ready: 2 })).toEqual(["prepare 1/1 of 2"]);
    s.ready(1, 1);
    s.settle(1);
    expect(s.pass(1000)).toEqual(["prepare 2/1 of 2"]);
  });

  it("give way to runs that wait for room", () => {
    const s = new OneCell(1);
    s.add(1, { ready: 1 });
    s.ready(0, 1);
    s.demand(1);
    s.demand(2);
    expect(s.settle(1)).toEqual(["grant 2 on 1/1 own/linked last"]);
    expect(s.settle(2)).toEqual(["prepare 2/1 of 1"]);
  });

  it("are made although another task's runs wait for its own limit", () => {
    const s = new OneCell();
    s.add(1, { concurrency: 1 });
    s.demand(1);
    s.demand(2);
    expect(s.add(2, { ready: 1 })).toEqual(["prepare 1/1 of 2"]);
  });

  it("stay unused past maxIdle and maxAge, which are about used ones", () => {
    const s = new OneCell();
    s.add(1, { ready: 1, maxRequests: 100, maxIdle: 50, maxAge: 60 });
    s.ready(0, 1);
    expect(s.pass(1_000_000)).toEqual([]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, idle: 1 });
  });

  it("take the place of a used instance whose idle time is over", () => {
    const s = new OneCell();
    s.add(1, { ready: 1, maxRequests: 100, maxIdle: 50 });
    s.ready(0, 1);
    s.demand(1);
    s.ready(1, 1);
    s.settle(1);
    expect(s.pool.counts()).toEqual({ ...NOTHING, idle: 2 });
    expect(s.pass(50)).toEqual(["retire 0/1"]);
    expect(s.demand(2)).toEqual(["grant 2 on 1/1 own/ready", "prepare 2/1 of 1"]);
  });

  it("are not tried again after a failure, by events of others or by time", () => {
    const s = new OneCell();
    s.add(1, { ready: 2 });
    s.add(2, { maxRequests: 100 });
    expect(s.failed(0, 1)).toEqual([]);
    expect(s.failed(1, 1)).toEqual([]);
    s.demand(1, 2);
    s.settle(1);
    expect(s.pass(99)).toEqual([]);
    expect(s.pass(5000)).toEqual(["retire 1/2"]);
    expect(s.retired(1, 2)).toEqual([]);
    expect(s.pool.counts()).toEqual(NOTHING);
  });

  it("are tried again when someone asks for the program", () => {
    const s = new OneCell();
    s.add(1, { ready: 1 });
    s.failed(0, 1);
    expect([...s.demand(1), ...s.pass(25)]).toEqual(["grant 1 on 0/2 own/linked last", "prepare 1/1 of 1"]);
    expect(s.failed(1, 1)).toEqual([]);
  });

  it("are made anew when one ends while it is idle", () => {
    const s = new OneCell();
    s.add(1, { ready: 1 });
    s.ready(0, 1);
    expect(s.retired(0, 1)).toEqual(["prepare 0/2 of 1"]);
  });

  it("ignore news of a generation that is over", () => {
    const s = new OneCell();
    s.add(1, { ready: 1 });
    s.ready(0, 1);
    s.demand(1);
    s.settle(1);
    s.retired(0, 1);
    const before = s.pool.counts();
    for (const late of [s.ready(0, 1), s.failed(0, 1), s.retired(0, 1), s.retired(7, 1)]) expect(late).toEqual([]);
    expect(s.pool.counts()).toEqual(before);
  });
});

describe("a run without an instance", () => {
  it("waits in line and is granted when there is room", () => {
    const s = new OneCell(1);
    s.add(1);
    s.demand(1);
    expect(s.demand(2)).toEqual([]);
    expect(s.demand(3)).toEqual([]);
    expect(s.settle(1)).toEqual(["grant 2 on 1/1 own/linked last"]);
    expect(s.settle(2)).toEqual(["grant 3 on 2/1 own/linked last"]);
  });

  it("is refused at its deadline: node-full for want of room, task-full at the task's own limit", () => {
    const s = new OneCell(2);
    s.add(1, { concurrency: 1 });
    s.add(2);
    s.demand(1, 1);
    s.demand(2, 2);
    s.demand(3, 1, 40);
    s.demand(4, 2, 30);
    expect(s.pass(29)).toEqual([]);
    expect(s.pass(30)).toEqual(["refuse 4 node-full"]);
    expect(s.pass(39)).toEqual([]);
    expect(s.pass(40)).toEqual(["refuse 3 task-full"]);
  });

  it("what stands and waits to be called does not count as a run of the task", () => {
    const s = new OneCell(4);
    s.add(1, { concurrency: 1 });
    for (const run of [1, 2]) expect(s.stand(run)[0]).toMatch(`grant ${run}`);
    expect(s.demand(3)[0]).toMatch("grant 3");
    expect(s.demand(4)).toEqual([]);
    expect(s.settle(1)).toEqual([]);
    expect(s.settle(3)[0]).toMatch("grant 4");
  });

  it("is refused at its deadline though one ahead of it in line may wait longer", () => {
    const s = new OneCell(1);
    s.add(1);
    s.demand(1);
    s.demand(2, 1, 500);
    s.demand(3, 1, 20);
    expect(s.pass(20)).toEqual(["refuse 3 node-full"]);
    expect(s.settle(1)).toEqual(["grant 2 on 1/1 own/linked last"]);
  });

  it("is refused at once where the task says reject", () => {
    const s = new OneCell(1);
    s.add(1, { whenFull: "reject" });
    s.demand(1);
    expect(s.demand(2)).toEqual(["refuse 2 node-full"]);
    const t = new OneCell();
    t.add(1, { whenFull: "reject", concurrency: 1 });
    t.demand(1);
    expect(t.demand(2)).toEqual(["refuse 2 task-full"]);
  });

  it("is refused at once when its tenant's line is as long as it may be", () => {
    const s = new OneCell(1, { queue: 1 });
    s.add(1);
    s.demand(1);
    s.demand(2);
    expect(s.demand(3)).toEqual(["refuse 3 node-full"]);
  });

  it("is refused when its program is not there", () => {
    expect(new OneCell().demand(1, 9)).toEqual(["refuse 1 node-full"]);
  });

  it("leaves the line when it is withdrawn", () => {
    const s = new OneCell(1);
    s.add(1);
    s.demand(1);
    s.demand(2);
    s.demand(3);
    expect(s.withdraw(2)).toEqual([]);
    expect(s.withdraw(2)).toEqual([]);
    expect(s.settle(1)).toEqual(["grant 3 on 1/1 own/linked last"]);
  });

  it("takes an instance that becomes ready", () => {
    const s = new OneCell(1);
    s.add(1, { ready: 1 });
    s.demand(1);
    expect(s.ready(0, 1)).toEqual(["grant 1 on 0/1 own/ready last"]);
  });

  it("takes the room of an instance that could not be made", () => {
    const s = new OneCell(1);
    s.add(1, { ready: 1 });
    s.add(2);
    s.demand(1, 2);
    expect(s.failed(0, 1)).toEqual(["grant 1 on 0/2 own/linked last"]);
  });

  it("is served in the order of arrival, whatever its program", () => {
    const s = new OneCell(1);
    s.add(1);
    s.add(2);
    s.demand(1, 1);
    s.demand(2, 2);
    s.demand(3, 1);
    s.demand(4, 2);
    expect(s.settle(1)).toEqual(["grant 2 on 1/1 own/linked last"]);
    expect(s.settle(2)).toEqual(["grant 3 on 2/1 own/linked last"]);
    expect(s.settle(3)).toEqual(["grant 4 on 3/1 own/linked last"]);
  });

  it("does not hold up another task when it waits for its own task's limit", () => {
    const s = new OneCell(2);
    s.add(1, { concurrency: 1 });
    s.add(2);
    s.demand(1, 1);
    s.demand(2, 1);
    s.demand(3, 2);
    s.demand(4, 2);
    expect(s.settle(3)).toEqual(["grant 4 on 2/1 own/linked last"]);
  });

  it("goes before one that can be deferred, though that came first", () => {
    const s = new OneCell(1);
    s.add(1);
    s.demand(1);
    s.step({ kind: "demand", run: 2, program: 1, deadline: 1000, lease: 1000, priority: "deferrable" });
    s.demand(3);
    expect(s.settle(1)).toEqual(["grant 3 on 1/1 own/linked last"]);
    expect(s.settle(3)).toEqual(["grant 2 on 2/1 own/linked last"]);
  });

  it("says what it waited for", () => {
    const s = new OneCell(1);
    s.add(1);
    s.demand(1);
    s.demand(2);
    s.settle(1);
    expect(s.grantOf(2)).toMatchObject({ term: "wait", why: ["waited: the node had no room", "own/ready: none is idle"] });
  });
});

describe("a run that another run waits for", () => {
  const child = (run: number, program = 1) =>
    ({ kind: "demand", run, program, deadline: 10_000, lease: 1000, priority: "interactive", parent: 0 }) as const;

  it("takes free room at once, and is refused at once where there is none: it never waits in line", () => {
    const s = new OneCell(2);
    s.add(1);
    s.demand(1);
    expect(s.step(child(2))).toEqual([expect.stringMatching(/^grant 2 /)]);
    expect(s.step(child(3))).toEqual([expect.stringMatching(/^refuse 3 /)]);
    s.demand(4);
    expect(s.pool.counts().waiting).toBe(1);
    expect(s.step(child(5))).toEqual([expect.stringMatching(/^refuse 5 /)]);
  });

  it("goes before those in line of its own program, and is no more of them at once than may be", () => {
    const script = new Script();
    script.instant = true;
    script.add(1, { concurrency: 2 });
    script.demand(1);
    script.demand(2);
    script.demand(3);
    expect(script.step(child(4))).toEqual(["refuse 4 task-full"]);
    script.add(2);
    expect(script.step(child(5, 2))).toEqual([expect.stringMatching(/^grant 5 /)]);
  });

  it("runs though the node drains or its processors have too much to do", () => {
    const script = new Script({ queue: 1000 });
    script.instant = true;
    script.add(1, { tenant: "a", concurrency: 1000 });
    script.overload(1);
    expect(script.step(child(1))).toContainEqual(expect.stringMatching(/^grant 1 /));
    script.step({ kind: "drain" });
    expect(script.step(child(2))).toContainEqual(expect.stringMatching(/^grant 2 /));
  });

  it("waits for its code alone", () => {
    const script = new Script();
    script.add(1, { code: "compiled" });
    expect(script.step(child(1)).filter((command) => /^(raise|grant|refuse)/.test(command))).toEqual(["raise 1"]);
    expect(script.raised(1)).toContainEqual(expect.stringMatching(/^grant 1 /));
  });
});

describe("while the processors are the limit", () => {
  /** Ten runs of program 1 go on, which are more than may. */
  function overloaded(): Script {
    const script = new Script({ queue: 1000 });
    script.instant = true;
    script.add(1, { tenant: "a", concurrency: 1000 });
    script.overload(1);
    return script;
  }

  it("a run that has room waits a moment for its turn, and is refused as overloaded", () => {
    const script = overloaded();
    script.add(2, { tenant: "b" });
    const told = [...script.demand(1, 2), ...script.pass(script.now + 15)];
    expect(told.filter((command) => / 1 /.test(command))).toEqual(["refuse 1 overloaded"]);
  });

  it("a run is refused at once where the task says reject", () => {
    const script = overloaded();
    script.add(2, { tenant: "b", whenFull: "reject" });
    expect(script.demand(1, 2)).toEqual(["refuse 1 overloaded"]);
  });

  it("a program that has less than its share of the limit is served beside one that has all of it", () => {
    const script = overloaded();
    script.add(2, { tenant: "b" });
    for (let run = 10_000; script.pool.view().leases > 5; run++) script.settle(run);
    expect(script.demand(1, 1).filter((command) => command.startsWith("grant 1 "))).toEqual([]);
    expect(script.demand(2, 2).filter((command) => command.startsWith("grant 2 "))).toHaveLength(1);
  });

  it("no instance is made ahead", () => {
    const script = overloaded();
    expect(script.add(2, { tenant: "b", ready: 1 })).toEqual([]);
    expect(script.pool.counts().starting).toBe(0);
  });

  it("an instance that is wanted ready is made when it is over, though nobody comes any more", () => {
    const script = overloaded();
    script.add(2, { tenant: "b", ready: 1 });
    // The limit binds for a while.
    for (let run = 20_000; run < 20_100; run++) {
      script.now += 5;
      script.demand(run, 1);
      if (script.grantOf(run) !== undefined) script.settle(run, { wait: 50 });
    }
    for (let run = 10_000; script.pool.view().leases > 0; run++) script.settle(run);
    expect(script.pass(script.now + 3000).filter((command) => / of 2/.test(command))).toEqual([expect.stringMatching(/^prepare /)]);
  });

  it("a run that finds its turn says what it waited for", () => {
    const script = overloaded();
    const runs = Array.from({ length: 300 }, (_, i) => 10_000 + i);
    // The one that brought the limit about waits behind those that go on.
    expect(script.pool.counts().waiting).toBe(1);
    for (const run of runs) script.settle(run);
    expect(runs.map((run) => script.grantOf(run)?.why[0])).toContain("waited: the processors were busy");
  });
});

describe("an instance that lies idle", () => {
  it("makes way for a run of another program when the cell is full; the one idle longest goes, and comes back later", () => {
    const s = new OneCell(2);
    s.add(1, { ready: 2 });
    s.now = 5;
    s.ready(0, 1);
    s.now = 6;
    s.ready(1, 1);
    s.add(2);
    expect(s.demand(1, 2)).toEqual(["retire 0/1", "grant 1 on 2/1 own/linked last"]);
    s.retired(0, 1);
    s.settle(1);
    expect(s.pass(1100)).toEqual(["prepare 0/2 of 1"]);
  });

  it("makes way for one that waited while it was busy", () => {
    const s = new OneCell(1);
    s.add(1, { maxRequests: 100 });
    s.add(2);
    s.demand(1, 1);
    s.demand(2, 2);
    expect(s.settle(1)).toEqual(["retire 0/1", "grant 2 on 1/1 own/linked last"]);
  });

  it("stays when the run can share an instance of its own program", () => {
    const s = new OneCell(2);
    s.add(1, { ready: 1 });
    s.ready(0, 1);
    s.add(2, { maxRequests: 100, maxConcurrent: 2 });
    s.demand(1, 2);
    expect(s.demand(2, 2)).toEqual(["grant 2 on 1/1 own/ready"]);
  });
});

describe("a lease that the engine refuses", () => {
  it("is over, and the instance with it; the run asks again", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    s.settle(1);
    s.demand(2);
    expect(s.leaseRefused(2)).toEqual(["retire 0/1", "grant 2 on 1/1 own/linked"]);
    s.retired(0, 1);
    expect(s.pool.counts()).toEqual({ ...NOTHING, busy: 1 });
  });

  it("is over in the other order of events too", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    s.settle(1);
    s.demand(2);
    expect(s.retired(0, 1)).toEqual([]);
    expect(s.leaseRefused(2)).toEqual(["grant 2 on 0/2 own/linked"]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, busy: 1 });
  });

  it("does not keep the run from its program, when that was removed meanwhile", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    s.remove(1);
    // The instance is gone before the refusal comes; the program is not forgotten, because a run still holds its lease.
    expect(s.retired(0, 1)).toEqual([]);
    expect(s.leaseRefused(1)).toEqual(["grant 1 on 0/2 own/linked"]);
    expect(s.demand(2)).toEqual(["refuse 2 node-full"]);
    expect(s.settle(1)).toEqual(["retire 0/2", "forget 1"]);
  });

  it("is no news of a run that the pool does not know", () => {
    expect(new OneCell().leaseRefused(7)).toEqual([]);
  });
});

describe("a removed program", () => {
  it("takes no more runs, ends its idle instances, and is forgotten when nothing of it is left", () => {
    const s = new OneCell();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    s.demand(2);
    s.settle(2);
    expect(s.remove(1)).toEqual(["retire 1/1"]);
    expect(s.demand(3)).toEqual(["refuse 3 node-full"]);
    expect(s.settle(1)).toEqual(["retire 0/1", "forget 1"]);
    s.retired(0, 1);
    s.retired(1, 1);
    expect(s.pool.counts()).toEqual(NOTHING);
  });

  it("still serves the runs that wait for it", () => {
    const s = new OneCell(1);
    s.add(1);
    s.demand(1);
    s.demand(2);
    expect(s.remove(1)).toEqual([]);
    expect(s.settle(1)).toEqual(["grant 2 on 1/1 own/linked last"]);
    expect(s.settle(2)).toEqual(["forget 1"]);
  });

  it("is forgotten when its last waiting run gives up, or is refused", () => {
    const full = (): OneCell => {
      const s = new OneCell(1);
      s.add(1);
      s.add(2);
      s.demand(1, 2);
      s.demand(2, 1, 30);
      expect(s.remove(1)).toEqual([]);
      return s;
    };
    expect(full().withdraw(2)).toEqual(["forget 1"]);
    expect(full().pass(30)).toEqual(["refuse 2 node-full", "forget 1"]);
  });

  it("is forgotten at once when nothing of it is there, and removing it again does nothing", () => {
    const s = new OneCell();
    s.add(1);
    expect(s.remove(1)).toEqual(["forget 1"]);
    expect(s.remove(1)).toEqual([]);
  });

  it("ends the instances that were starting, and makes no others", () => {
    const s = new OneCell();
    s.add(1, { ready: 2 });
    expect(s.remove(1)).toEqual([]);
    expect(s.ready(0, 1)).toEqual(["retire 0/1"]);
    expect(s.failed(1, 1)).toEqual(["forget 1"]);
  });

  it("whose code is being linked is forgotten when that is done", () => {
    const s = new OneCell();
    s.add(1, { code: "compiled" });
    expect(s.demand(1, 1, 50)).toEqual(["raise 1"]);
    s.remove(1);
    s.withdraw(1);
    expect(s.pool.programs()).toHaveLength(1);
    expect(s.raised(1)).toEqual(["forget 1"]);
  });
});

describe("a trial", () => {
  it("is one instance beside all cells, and is let go as soon as it is there", () => {
    const s = new Script();
    s.add(1);
    expect(s.try(1)).toEqual(["prepare 0/1 of 1 in lobby"]);
    expect(s.ready(0, 1)).toEqual(["retire 0/1"]);
    expect(s.cells()).toEqual([]);
  });

  it("that fails is no reason to keep nothing ready", () => {
    const s = new OneCell();
    s.add(1, { ready: 1 });
    s.try(1);
    s.failed(1, 1);
    s.ready(0, 1);
    expect(s.demand(1)).toEqual(["grant 1 on 0/1 own/ready last", "prepare 1/2 of 1"]);
  });

  it("is none of a program that is gone, unknown, or not linked", () => {
    const s = new OneCell();
    s.add(1);
    s.remove(1);
    s.add(2, { code: "compiled" });
    expect([s.try(1), s.try(9), s.try(2)]).toEqual([[], [], []]);
  });

  it("waits for nobody: where all instances are in use there is none", () => {
    const s = new Script({ slots: 1 }, { pools: { shared: { cellSlots: 1 } } });
    s.add(1);
    s.demand(1);
    expect(s.try(1)).toEqual([]);
  });
});

import { describe, expect, it } from "vitest";
import { Script } from "./script.js";

const NOTHING = { idle: 0, busy: 0, starting: 0, ending: 0, waiting: 0 };

describe("a clean instance for each run", () => {
  it("is made on the way, told that its run is the last, and needs no retire command", () => {
    const s = new Script();
    s.add(1);
    expect(s.demand(1)).toEqual(["grant 1 on 0/1 own/linked last"]);
    expect(s.demand(2)).toEqual(["grant 2 on 1/1 own/linked last"]);
    expect(s.settle(1)).toEqual([]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, busy: 1, ending: 1 });
    expect(s.retired(0, 1)).toEqual([]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, busy: 1 });
  });

  it("never reuses a slot under the same generation", () => {
    const s = new Script();
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
    const s = new Script();
    s.add(1);
    s.demand(1);
    s.settle(1);
    expect(s.demand(2)).toEqual(["grant 2 on 1/1 own/linked last"]);
  });

  it("gives capacity back when the run settles, not when the store is gone", () => {
    const s = new Script({ capacity: 1 });
    s.add(1);
    s.demand(1);
    s.demand(2);
    expect(s.settle(1)).toEqual(["grant 2 on 1/1 own/linked last"]);
  });

  it("is retired by command after an unsound run, though that run was the last", () => {
    const s = new Script();
    s.add(1);
    s.demand(1);
    expect(s.settle(1, { sound: false })).toEqual(["retire 0/1"]);
  });
});

describe("reuse", () => {
  it("takes the most recently used instance first", () => {
    const s = new Script();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    s.demand(2);
    s.settle(1);
    s.settle(2);
    expect(s.demand(3)).toEqual(["grant 3 on 1/1 own/ready"]);
  });

  it("ends after maxRequests runs, the last of which says so", () => {
    const s = new Script();
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
    const s = new Script();
    s.add(1, { maxRequests: 100, maxMemory: 500 });
    s.demand(1);
    expect(s.settle(1, { memoryBytes: 500 })).toEqual([]);
    s.demand(2);
    expect(s.settle(2, { memoryBytes: 501 })).toEqual(["retire 0/1"]);
  });

  it("ends after maxIdle without a run", () => {
    const s = new Script();
    s.add(1, { maxRequests: 100, maxIdle: 50 });
    s.demand(1);
    s.now = 20;
    s.settle(1);
    expect(s.pool.nextWake()).toBe(70);
    expect(s.tick(69)).toEqual([]);
    expect(s.tick(70)).toEqual(["retire 0/1"]);
    expect(s.pool.nextWake()).toBe(Number.POSITIVE_INFINITY);
  });

  it("ends at maxAge, whether the instance is idle or has just run", () => {
    const s = new Script();
    s.add(1, { maxRequests: 100, maxIdle: 1000, maxAge: 60 });
    s.demand(1);
    s.demand(2);
    s.settle(1);
    expect(s.pool.nextWake()).toBe(60);
    expect(s.tick(60)).toEqual(["retire 0/1"]);
    expect(s.settle(2)).toEqual(["retire 1/1"]);
  });

  it("ends after an unsound run", () => {
    const s = new Script();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    expect(s.settle(1, { sound: false })).toEqual(["retire 0/1"]);
    expect(s.demand(2)).toEqual(["grant 2 on 1/1 own/linked"]);
  });

  it("ignores a run that settles twice", () => {
    const s = new Script();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    s.settle(1);
    expect(s.settle(1)).toEqual([]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, idle: 1 });
  });
});

describe("a shared instance", () => {
  const shared = { maxRequests: 100, maxConcurrent: 2 };

  it("is made at first, then shared up to maxConcurrent once the program has as many as the parallelism", () => {
    const s = new Script({ parallelism: 2 });
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
    const s = new Script({ parallelism: 8, capacity: 1 });
    s.add(1, shared);
    s.demand(1);
    expect(s.demand(2)).toEqual(["grant 2 on 0/1 own/ready"]);
  });

  it("takes the run on its least busy instance", () => {
    const s = new Script({ parallelism: 2 });
    s.add(1, { ...shared, maxConcurrent: 3 });
    for (const run of [1, 2, 3, 4]) s.demand(run);
    s.settle(2);
    s.settle(4);
    expect(s.pool.counts()).toEqual({ ...NOTHING, busy: 1, idle: 1 });
    s.demand(5);
    expect(s.demand(6)).toEqual(["grant 6 on 1/1 own/ready"]);
  });

  it("takes no more runs after an unsound one, and is retired when the others are done", () => {
    const s = new Script();
    s.add(1, shared);
    s.demand(1);
    s.demand(2);
    expect(s.settle(1, { sound: false })).toEqual([]);
    expect(s.demand(3)).toEqual(["grant 3 on 1/1 own/linked"]);
    expect(s.settle(2)).toEqual(["retire 0/1"]);
  });

  it("is closed by its last run while earlier ones go on", () => {
    const s = new Script();
    s.add(1, { ...shared, maxRequests: 2 });
    s.demand(1);
    expect(s.demand(2)).toEqual(["grant 2 on 0/1 own/ready last"]);
    expect(s.settle(2)).toEqual([]);
    expect(s.demand(3)).toEqual(["grant 3 on 1/1 own/linked"]);
    expect(s.settle(1)).toEqual(["retire 0/1"]);
  });
});

describe("ready targets", () => {
  it("are filled at most four at once", () => {
    const s = new Script();
    expect(s.add(1, { ready: 6 })).toEqual(["prepare 0/1 of 1", "prepare 1/1 of 1", "prepare 2/1 of 1", "prepare 3/1 of 1"]);
    expect(s.ready(0, 1)).toEqual(["prepare 4/1 of 1"]);
    expect(s.ready(1, 1)).toEqual(["prepare 5/1 of 1"]);
    expect(s.ready(2, 1)).toEqual([]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, idle: 3, starting: 3 });
  });

  it("are refilled as soon as a ready instance is taken", () => {
    const s = new Script();
    s.add(1, { ready: 1 });
    s.ready(0, 1);
    expect(s.demand(1)).toEqual(["grant 1 on 0/1 own/ready last", "prepare 1/1 of 1"]);
  });

  it("do not make a run wait for an instance that starts", () => {
    const s = new Script();
    s.add(1, { ready: 1 });
    expect(s.demand(1)).toEqual(["grant 1 on 1/1 own/linked last"]);
  });

  it("stop at the node's capacity and go on when there is room", () => {
    const s = new Script({ capacity: 2 });
    s.add(1);
    s.demand(1);
    expect(s.add(2, { ready: 2 })).toEqual(["prepare 1/1 of 2"]);
    expect(s.settle(1)).toEqual(["prepare 2/1 of 2"]);
  });

  it("give way to runs that wait for room", () => {
    const s = new Script({ capacity: 1 });
    s.add(1, { ready: 1 });
    s.ready(0, 1);
    s.demand(1);
    s.demand(2);
    expect(s.settle(1)).toEqual(["grant 2 on 1/1 own/linked last"]);
    expect(s.settle(2)).toEqual(["prepare 2/1 of 1"]);
  });

  it("are filled although another task's runs wait for its own limit", () => {
    const s = new Script();
    s.add(1, { concurrency: 1 });
    s.demand(1);
    s.demand(2);
    expect(s.add(2, { ready: 1 })).toEqual(["prepare 1/1 of 2"]);
  });

  it("keep an unused instance past maxIdle and maxAge, which are about used ones", () => {
    const s = new Script();
    s.add(1, { ready: 1, maxRequests: 100, maxIdle: 50, maxAge: 60 });
    s.ready(0, 1);
    expect(s.pool.nextWake()).toBe(Number.POSITIVE_INFINITY);
    expect(s.tick(1_000_000)).toEqual([]);
  });

  it("replace a used instance whose idle time is over", () => {
    const s = new Script();
    s.add(1, { ready: 1, maxRequests: 100, maxIdle: 50 });
    s.ready(0, 1);
    s.demand(1);
    s.ready(1, 1);
    s.settle(1);
    expect(s.pool.counts()).toEqual({ ...NOTHING, idle: 2 });
    expect(s.tick(50)).toEqual(["retire 0/1"]);
    expect(s.demand(2)).toEqual(["grant 2 on 1/1 own/ready", "prepare 2/1 of 1"]);
  });

  it("are not tried again after a failure, by events of others or by time", () => {
    const s = new Script();
    s.add(1, { ready: 2 });
    s.add(2, { maxRequests: 100 });
    expect(s.failed(0, 1)).toEqual([]);
    expect(s.failed(1, 1)).toEqual([]);
    s.demand(1, 2);
    s.settle(1);
    expect(s.tick(50)).toEqual([]);
    expect(s.tick(100)).toEqual(["retire 1/2"]);
    expect(s.retired(1, 2)).toEqual([]);
    expect(s.pool.counts()).toEqual(NOTHING);
  });

  it("are tried again when someone asks for the program", () => {
    const s = new Script();
    s.add(1, { ready: 1 });
    s.failed(0, 1);
    expect(s.demand(1)).toEqual(["grant 1 on 0/2 own/linked last", "prepare 1/1 of 1"]);
    expect(s.failed(1, 1)).toEqual([]);
  });

  it("forget an instance that ends while it is idle, and make another", () => {
    const s = new Script();
    s.add(1, { ready: 1 });
    s.ready(0, 1);
    expect(s.retired(0, 1)).toEqual(["prepare 0/2 of 1"]);
  });

  it("ignore news of a generation that is over", () => {
    const s = new Script();
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
    const s = new Script({ capacity: 1 });
    s.add(1);
    s.demand(1);
    expect(s.demand(2)).toEqual([]);
    expect(s.demand(3)).toEqual([]);
    expect(s.settle(1)).toEqual(["grant 2 on 1/1 own/linked last"]);
    expect(s.settle(2)).toEqual(["grant 3 on 2/1 own/linked last"]);
  });

  it("is refused at its deadline: node-full for want of room, task-full at the task's own limit", () => {
    const s = new Script({ capacity: 2 });
    s.add(1, { concurrency: 1 });
    s.add(2);
    s.demand(1, 1);
    s.demand(2, 2);
    s.demand(3, 1, 40);
    s.demand(4, 2, 30);
    expect(s.pool.nextWake()).toBe(30);
    expect(s.tick(30)).toEqual(["refuse 4 node-full"]);
    expect(s.pool.nextWake()).toBe(40);
    expect(s.tick(40)).toEqual(["refuse 3 task-full"]);
    expect(s.pool.nextWake()).toBe(Number.POSITIVE_INFINITY);
  });

  it("is refused at its deadline though one ahead of it in line may wait longer", () => {
    const s = new Script({ capacity: 1 });
    s.add(1);
    s.demand(1);
    s.demand(2, 1, 500);
    s.demand(3, 1, 20);
    expect(s.tick(20)).toEqual(["refuse 3 node-full"]);
    expect(s.settle(1)).toEqual(["grant 2 on 1/1 own/linked last"]);
  });

  it("is refused at once where the task says reject", () => {
    const s = new Script({ capacity: 1 });
    s.add(1, { whenFull: "reject" });
    s.demand(1);
    expect(s.demand(2)).toEqual(["refuse 2 node-full"]);
    const t = new Script();
    t.add(1, { whenFull: "reject", concurrency: 1 });
    t.demand(1);
    expect(t.demand(2)).toEqual(["refuse 2 task-full"]);
  });

  it("is refused at once when the line is as long as it may be", () => {
    const s = new Script({ capacity: 1, queue: 1 });
    s.add(1);
    s.demand(1);
    s.demand(2);
    expect(s.demand(3)).toEqual(["refuse 3 node-full"]);
  });

  it("is refused when its program is not there", () => {
    expect(new Script().demand(1, 9)).toEqual(["refuse 1 node-full"]);
  });

  it("leaves the line when it is withdrawn", () => {
    const s = new Script({ capacity: 1 });
    s.add(1);
    s.demand(1);
    s.demand(2);
    s.demand(3);
    expect(s.withdraw(2)).toEqual([]);
    expect(s.withdraw(2)).toEqual([]);
    expect(s.settle(1)).toEqual(["grant 3 on 1/1 own/linked last"]);
  });

  it("takes an instance that becomes ready", () => {
    const s = new Script({ capacity: 1 });
    s.add(1, { ready: 1 });
    s.demand(1);
    expect(s.ready(0, 1)).toEqual(["grant 1 on 0/1 own/ready last"]);
  });

  it("takes the room of an instance that could not be made", () => {
    const s = new Script({ capacity: 1 });
    s.add(1, { ready: 1 });
    s.add(2);
    s.demand(1, 2);
    expect(s.failed(0, 1)).toEqual(["grant 1 on 0/2 own/linked last"]);
  });

  it("is served in the order of arrival, whatever its program", () => {
    const s = new Script({ capacity: 1 });
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
    const s = new Script({ capacity: 2 });
    s.add(1, { concurrency: 1 });
    s.add(2);
    s.demand(1, 1);
    s.demand(2, 1);
    s.demand(3, 2);
    s.demand(4, 2);
    expect(s.settle(3)).toEqual(["grant 4 on 2/1 own/linked last"]);
  });
});

describe("an instance that lies idle", () => {
  it("makes way for a run of another program when the node is full; the one idle longest goes", () => {
    const s = new Script({ capacity: 2 });
    s.add(1, { ready: 2 });
    s.now = 5;
    s.ready(0, 1);
    s.now = 6;
    s.ready(1, 1);
    s.add(2);
    expect(s.demand(1, 2)).toEqual(["retire 0/1", "grant 1 on 2/1 own/linked last"]);
    expect(s.settle(1)).toEqual(["prepare 3/1 of 1"]);
  });

  it("makes way for one that waited while it was busy", () => {
    const s = new Script({ capacity: 1 });
    s.add(1, { maxRequests: 100 });
    s.add(2);
    s.demand(1, 1);
    s.demand(2, 2);
    expect(s.settle(1)).toEqual(["retire 0/1", "grant 2 on 1/1 own/linked last"]);
  });

  it("stays when the run can share an instance of its own program", () => {
    const s = new Script({ capacity: 2 });
    s.add(1, { ready: 1 });
    s.ready(0, 1);
    s.add(2, { maxRequests: 100, maxConcurrent: 2 });
    s.demand(1, 2);
    expect(s.demand(2, 2)).toEqual(["grant 2 on 1/1 own/ready"]);
  });
});

describe("a lease that the engine refuses", () => {
  it("is over, and the instance with it; the run asks again", () => {
    const s = new Script();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    s.settle(1);
    s.demand(2);
    expect(s.leaseRefused(2)).toEqual(["retire 0/1", "grant 2 on 1/1 own/linked"]);
    s.retired(0, 1);
    expect(s.pool.counts()).toEqual({ ...NOTHING, busy: 1 });
  });

  it("is over in the other order of events too", () => {
    const s = new Script();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    s.settle(1);
    s.demand(2);
    expect(s.retired(0, 1)).toEqual([]);
    expect(s.leaseRefused(2)).toEqual(["grant 2 on 0/2 own/linked"]);
    expect(s.pool.counts()).toEqual({ ...NOTHING, busy: 1 });
  });

  it("does not keep the run from its program, when that was removed meanwhile", () => {
    const s = new Script();
    s.add(1, { maxRequests: 100 });
    s.demand(1);
    s.remove(1);
    // The instance is gone before the refusal comes; the program is not forgotten, because a run still holds its lease.
    expect(s.retired(0, 1)).toEqual([]);
    expect(s.leaseRefused(1)).toEqual(["grant 1 on 0/2 own/linked"]);
    expect(s.demand(2)).toEqual(["refuse 2 node-full"]);
    expect(s.settle(1)).toEqual(["retire 0/2", "forget 1"]);
  });
});

describe("a removed program", () => {
  it("takes no more runs, ends its idle instances, and is forgotten when nothing of it is left", () => {
    const s = new Script();
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
    const s = new Script({ capacity: 1 });
    s.add(1);
    s.demand(1);
    s.demand(2);
    expect(s.remove(1)).toEqual([]);
    expect(s.settle(1)).toEqual(["grant 2 on 1/1 own/linked last"]);
    expect(s.settle(2)).toEqual(["forget 1"]);
  });

  it("is forgotten when its last waiting run gives up, or is refused", () => {
    const full = (): Script => {
      const s = new Script({ capacity: 1 });
      s.add(1);
      s.add(2);
      s.demand(1, 2);
      s.demand(2, 1, 30);
      expect(s.remove(1)).toEqual([]);
      return s;
    };
    expect(full().withdraw(2)).toEqual(["forget 1"]);
    expect(full().tick(30)).toEqual(["refuse 2 node-full", "forget 1"]);
  });

  it("is forgotten at once when nothing of it is there, and removing it again does nothing", () => {
    const s = new Script();
    s.add(1);
    expect(s.remove(1)).toEqual(["forget 1"]);
    expect(s.remove(1)).toEqual([]);
  });

  it("ends the instances that were starting, and makes no others", () => {
    const s = new Script();
    s.add(1, { ready: 2 });
    expect(s.remove(1)).toEqual([]);
    expect(s.ready(0, 1)).toEqual(["retire 0/1"]);
    expect(s.failed(1, 1)).toEqual(["forget 1"]);
  });
});

describe("an instance made ahead of the first run", () => {
  it("is made where there is room, and goes when nobody uses it for a while", () => {
    const s = new Script();
    s.add(1, { maxIdle: 100, maxAge: 10_000 });
    expect(s.warm(1)).toEqual(["prepare 0/1 of 1"]);
    s.ready(0, 1);
    expect(s.pool.nextWake()).toBe(100);
    expect(s.tick(99)).toEqual([]);
    expect(s.tick(100)).toEqual(["retire 0/1"]);
  });

  it("takes the room of one that lies idle, but of nothing that runs or waits", () => {
    const s = new Script({ capacity: 1 });
    s.add(1, { maxRequests: 10 });
    s.add(2, {});
    s.demand(1);
    expect(s.warm(2)).toEqual([]);
    s.settle(1);
    expect(s.warm(2)).toEqual(["retire 0/1", "prepare 1/1 of 2"]);
  });

  it("is none for a program that is gone", () => {
    const s = new Script();
    s.add(1, {});
    s.remove(1);
    expect([s.warm(1), s.warm(9)]).toEqual([[], []]);
  });
});

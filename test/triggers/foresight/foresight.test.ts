/** What is expected after runs and signals, once that was seen often enough; and what is not. */
import { describe, expect, it } from "vitest";
import { Random } from "../../../bench/soak/support/random.js";
import { MiB, Scene } from "./scene.js";

describe("a task that runs after another", () => {
  it("is expected after that, from the sixth time on", () => {
    const scene = new Scene().train(4).run("A");
    expect(scene.expected("B")).toBe(0);
    scene.after(500).run("B").after(60_000).run("A");
    expect(scene.told.get("t/B")).toMatchObject({ count: 1, depth: "ready" });
  });

  it("is not expected where that was never seen", () => {
    const scene = new Scene().train(10);
    scene.run("C").run("A", 1, "other");
    expect(scene.told.size).toBe(0);
  });

  it("is not expected below the threshold", () => {
    const scene = new Scene();
    for (let i = 0; i < 30; i++) {
      scene.run("A").after(500);
      if (i % 3 === 0) scene.run("B");
      scene.after(60_000);
    }
    scene.run("A");
    expect(scene.pair("A", "B")?.likelihood).toBeLessThan(0.5);
    expect(scene.statements).toBe(0);
  });

  it("follows each signal with its own key, also where two have the same, and one that was not taken can be sent again", () => {
    const scene = new Scene({ causes: 2 });
    scene.signal("opened", "t", "album");
    scene.signal("closed", "t", "album");
    expect(scene.foresight.totals().announcements).toBe(2);
    scene.signal("opened", "t", "album");
    expect(scene.foresight.totals().announcements).toBe(2);
    const full = new Scene({ causes: 1 });
    full.announce({ task: "A" });
    for (let i = 0; i < 2; i++) expect(full.signal("s", "t", "k")).toMatchObject({ accepted: false, why: "full" });
  });

  it("of a tenant that is not there any more is not known again", () => {
    const before = new Scene().train(6).train(6, { tenant: "u" });
    const after = new Scene();
    after.foresight.restore(after.now, JSON.parse(JSON.stringify(before.foresight.snapshot())), (tenant) => tenant === "u");
    expect([after.pair("A", "B"), after.pair("A", "B", "u")?.likelihood]).toEqual([undefined, 1]);
  });

  it("that takes no instance is a sign, and follows nothing", () => {
    const scene = new Scene();
    for (let i = 0; i < 8; i++) {
      scene.run("A").after(300);
      scene.foresight.arrived(scene.now, { tenant: "t", task: "B", isSign: true });
      scene.after(300).run("C").after(60_000);
    }
    expect(scene.pair("A", "B")).toBeUndefined();
    expect(scene.pair("B", "C")).toMatchObject({ likelihood: 1 });
  });

  it("is expected about as many times as it ran", () => {
    expect(new Scene().train(6, { count: 5 }).run("A").expected("B")).toBe(5);
  });

  it("is expected that often for each of several that come together", () => {
    const scene = new Scene().train(6, { count: 5 });
    scene.run("A", 3);
    expect(scene.expected("B")).toBe(15);
  });

  it("is not expected more often because several signs tell of it", () => {
    const scene = new Scene();
    for (let i = 0; i < 10; i++) {
      // Now the one comes first, and now the other.
      const [first, second] = i % 2 === 0 ? ["A", "C"] : ["C", "A"];
      scene.run(first).after(60).run(second).after(500).run("B", 2).after(60_000);
    }
    scene.run("A").after(60).run("C");
    expect(scene.pair("A", "B")).toMatchObject({ state: "on" });
    expect(scene.pair("C", "B")).toMatchObject({ state: "on" });
    expect(scene.expected("B")).toBe(2);
    scene.after(500).run("B", 2).after(60_000);
    expect(scene.foresight.totals()).toMatchObject({ wasted: 0, instances: 0 });
  });

  it("is counted for the right one where occurrences overlap", () => {
    const scene = new Scene();
    for (let i = 0; i < 20; i++) {
      scene.run("A").after(300).run("A").after(200).run("B", 5).after(300).run("B", 5).after(60_000);
    }
    expect(scene.pair("A", "B")).toMatchObject({ likelihood: 1 });
    expect(scene.pair("A", "B")?.number).toBeCloseTo(5, 0);
  });

  it("is no longer expected that often when it comes less often, and not at all when it stays out", () => {
    const scene = new Scene().train(10, { count: 5 }).train(10, { count: 2 }).run("A");
    expect(scene.expected("B")).toBe(2);
    scene.after(500).run("B", 2).after(60_000);
    for (let i = 0; i < 8; i++) scene.run("A").after(60_000);
    expect(scene.run("A").expected("B")).toBe(0);
  });

  it("is learnt anew when it comes at another time", () => {
    const scene = new Scene().train(10, { delay: 500 }).train(25, { delay: 5000 });
    expect(scene.pair("A", "B")).toMatchObject({ state: "on" });
    expect(scene.pair("A", "B")?.delay).toBeGreaterThan(4900);
  });

  it("is told to be ready when it is due, and not long before", () => {
    const scene = new Scene().train(12, { delay: 10_000 });
    const begin = scene.now;
    scene.run("A");
    expect(scene.expected("B")).toBe(0);
    scene.pass(begin + 8000);
    expect(scene.expected("B")).toBe(0);
    scene.pass(begin + 9900);
    expect(scene.expected("B")).toBe(1);
  });

  it("is expected earlier where it takes long to get ready", () => {
    const scene = new Scene().train(12, { delay: 10_000 });
    scene.costs.set("B", { linkMs: 3000, startMs: 1, bytes: MiB });
    const begin = scene.now;
    scene.run("A").pass(begin + 4000);
    expect(scene.expected("B")).toBe(1);
  });

  it("is expected once fewer when it has run, and not at all when its window is over", () => {
    const scene = new Scene().train(5, { count: 5 }).run("A").after(500).run("B", 2);
    expect(scene.expected("B")).toBe(3);
    scene.after(10_000);
    expect(scene.expected("B")).toBe(0);
    expect(scene.foresight.totals()).toMatchObject({ hits: 2, wasted: 3, instances: 0, bytes: 0 });
  });

  it("is not one that just runs often", () => {
    const scene = new Scene();
    for (let i = 0; i < 100; i++) {
      scene.run("A");
      for (let second = 0; second < 20; second++) scene.after(1000).run("busy");
    }
    expect(scene.pair("A", "busy")).toMatchObject({ state: "learning" });
    expect(scene.statements).toBe(0);
  });

  it("is one that runs at other times, too, as long as it comes sooner than by itself", () => {
    const scene = new Scene();
    for (let i = 0; i < 30; i++) {
      scene.run("A").after(50).run("B");
      for (let k = 0; k < 3; k++) scene.after(7000).run("B");
      scene.after(7000);
    }
    expect(scene.pair("A", "B")).toMatchObject({ state: "on" });
  });

  it("is no other run of itself", () => {
    const scene = new Scene();
    for (let i = 0; i < 20; i++) scene.run("A").after(100).run("A").after(60_000);
    expect(scene.foresight.view(scene.now, "t").pairs).toEqual([]);
  });

  it("is not one of many that run at random", () => {
    const scene = new Scene();
    const random = new Random(7);
    for (let i = 0; i < 30_000; i++) {
      scene.after(-Math.log(1 - random.below(1e9) / 1e9) * 500);
      scene.run(`task ${random.below(20)}`);
    }
    // 380 pairs, each looked at a thousand times: a few look like it for a moment.
    expect(scene.foresight.totals().predictions).toBeLessThan(15);
  });
});

describe("signals", () => {
  it("that came five times let what followed be expected at the sixth", () => {
    const scene = new Scene().train(5, { cause: "app-opened", signal: true, count: 3 });
    expect(scene.signal("app-opened").accepted).toBe(true);
    expect(scene.expected("B")).toBe(3);
  });

  it("that come in quick succession are learnt, too", () => {
    const scene = new Scene().train(5, { cause: "app-opened", signal: true, count: 3, delay: 10, pause: 100 });
    scene.signal("app-opened");
    expect(scene.expected("B")).toBe(3);
  });

  it("have names of their own: a task that is called the same is another sign", () => {
    const scene = new Scene().train(6, { cause: "A", signal: true }).run("A");
    expect(scene.expected("B")).toBe(0);
  });

  it("that are sent again with their key count once", () => {
    const scene = new Scene().train(6, { cause: "s", signal: true });
    for (let i = 0; i < 3; i++) expect(scene.signal("s", "t", "k")).toEqual({ accepted: true, key: "k" });
    expect(scene.expected("B")).toBe(1);
  });

  it("have names of at most 128 bytes", () => {
    const scene = new Scene();
    expect(scene.signal("ä".repeat(64)).accepted).toBe(true);
    expect(scene.signal("ä".repeat(65))).toMatchObject({ accepted: false, why: "invalid" });
    expect(scene.signal("")).toMatchObject({ accepted: false });
  });
});

describe("chains", () => {
  function chain(scene: Scene, names: string, delay = 1000): Scene {
    for (let i = 0; i < 6; i++) {
      for (const name of names) scene.run(name).after(delay);
      scene.after(120_000);
    }
    return scene;
  }

  it("are expected as far as they go, within the depth", () => {
    const scene = chain(new Scene({ depth: 4 }), "ABCDE", 20_000).run("A");
    const total = scene.now;
    const seen: string[] = [];
    for (const name of "BCDE") {
      scene.pass(total + 20_000 * ("ABCDE".indexOf(name) - 0.001));
      if (scene.expected(name) > 0) seen.push(name);
    }
    expect(seen.join("")).toBe("BCDE");
  });

  it("end at the depth that is set", () => {
    const scene = chain(new Scene({ depth: 1 }), "ABC", 20_000).run("A");
    expect(scene.after(40_000).expected("C")).toBe(0);
  });

  it("have each task expected once, whichever way it is foreseen", () => {
    const scene = chain(new Scene(), "ABC", 1000).run("A").after(990);
    expect(scene.expected("B")).toBe(1);
    scene.after(10).run("B").after(990);
    expect(scene.expected("C")).toBe(1);
    scene.after(10).run("C").after(60_000);
    expect(scene.foresight.totals().wasted).toBe(0);
  });

  it("that come back to where they began end there", () => {
    const scene = chain(new Scene(), "ABAB", 1000);
    expect(() => scene.run("A").run("B").after(60_000)).not.toThrow();
  });
});

describe("how much is prepared", () => {
  it("is linked code alone where an instance is large and quickly made", () => {
    const scene = new Scene().train(6);
    scene.costs.set("B", { linkMs: 200, startMs: 0.01, bytes: 500 * MiB });
    scene.run("A");
    expect(scene.told.get("t/B")).toMatchObject({ depth: "program" });
  });

  it("is nothing where nothing is worth it, or the task is gone", () => {
    const scene = new Scene().train(6);
    scene.costs.set("B", { linkMs: 0.01, startMs: 0.01, bytes: 5000 * MiB });
    scene.run("A");
    scene.costs.set("B", undefined);
    scene.run("A");
    expect(scene.told.size).toBe(0);
    expect(scene.foresight.totals().passed).toBe(2);
  });

  it("is at most what a tenant and the node may have", () => {
    const scene = new Scene({ tenantInstances: 6, nodeInstances: 8 });
    for (const tenant of ["t", "u"]) scene.train(6, { count: 5, tenant });
    scene.run("A", 2).run("A", 2, "u");
    expect([scene.expected("B"), scene.expected("B", "u")]).toEqual([6, 2]);
  });

  it("is at most the memory that the tenant has for it", () => {
    const scene = new Scene().train(6, { count: 5 });
    scene.room = 3.5 * MiB;
    expect(scene.run("A").expected("B")).toBe(3);
  });

  it("is nobody else's", () => {
    const scene = new Scene().train(6, { count: 5 }).run("A").run("B", 10, "u");
    expect([...scene.told.keys()]).toEqual(["t/B"]);
    expect(scene.expected("B")).toBe(5);
  });
});

describe("what is learnt", () => {
  it("outlives a restart", () => {
    const before = new Scene().train(6, { count: 5 });
    const after = new Scene();
    after.foresight.restore(0, JSON.parse(JSON.stringify(before.foresight.snapshot())));
    expect(after.run("A").expected("B")).toBe(5);
  });

  it.each([
    undefined,
    null,
    7,
    {},
    { version: 2 },
    { version: 1, tenants: [null, 3, { tenant: "t", signs: [{ name: "A", rate: ["x"], pairs: [{}] }] }] },
  ])("is nothing after %j", (data) => {
    const scene = new Scene();
    scene.foresight.restore(0, data);
    expect(scene.run("A").told.size).toBe(0);
  });

  it("can be forgotten for one sign, or for all", () => {
    const scene = new Scene().train(6).train(6, { cause: "C" });
    scene.run("A");
    scene.foresight.reset("t", "A");
    expect([scene.expected("B"), scene.pair("A", "B")]).toEqual([0, undefined]);
    expect(scene.run("C").expected("B")).toBe(1);
    scene.foresight.reset("t");
    expect(scene.foresight.view(scene.now, "t")).toMatchObject({ pairs: [], expected: [] });
  });

  it("is bounded, whatever names come", () => {
    const scene = new Scene({ causes: 32, followers: 4, tenants: 3 });
    for (let i = 0; i < 5000; i++) {
      scene.run(`task ${i % 700}`, 1, `tenant ${i % 11}`);
      scene.foresight.signal(scene.now, `tenant ${i % 11}`, `signal ${i}`);
      scene.after(10);
    }
    const { tenants } = scene.foresight.snapshot();
    expect(tenants).toHaveLength(3);
    for (const { signs } of tenants) {
      expect(signs.length).toBeLessThanOrEqual(32);
      for (const { pairs } of signs) expect(pairs.length).toBeLessThanOrEqual(4);
    }
  });

  it("is seen by people", () => {
    const scene = new Scene().train(6, { count: 5 });
    scene.run("A").after(500).run("B", 5).after(60_000);
    expect(scene.pair("A", "B")).toMatchObject({
      kind: "task",
      likelihood: 1,
      occurrences: 7,
      delay: 500,
      state: "on",
      predictions: 2,
      hits: 10,
      late: 0,
      wasted: 0,
    });
  });
});

describe("a clock that goes back", () => {
  it("stands still instead, and nothing breaks", () => {
    const scene = new Scene().train(6, { count: 5 });
    scene.run("A");
    const { now } = scene;
    scene.now = now - 100_000;
    scene.run("B").run("A");
    expect(scene.expected("B")).toBe(9);
    scene.now = now;
    scene.pass(now + 60_000);
    expect(scene.expected("B")).toBe(0);
    scene.foresight.tick(Number.NaN);
    scene.foresight.tick(Number.POSITIVE_INFINITY);
    expect(scene.foresight.nextWake()).toBe(Number.POSITIVE_INFINITY);
  });
});

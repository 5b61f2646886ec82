/** What is announced: what is taken, what it adds up to, and what becomes of who announces what does not come. */
import { describe, expect, it } from "vitest";
import { MiB, Scene } from "./scene.js";

describe("an announcement", () => {
  it("has as many runs expected as it says, of a task that never ran", () => {
    const scene = new Scene();
    expect(scene.announce({ count: 7 }).accepted).toBe(true);
    expect(scene.told.get("t/B")).toEqual({ count: 7, until: 10_000, depth: "ready" });
  });

  it("is prepared for when its start is near, by what it takes then", () => {
    const scene = new Scene();
    scene.announce({ start: 60_000 });
    scene.pass(40_000);
    expect(scene.expected("B")).toBe(0);
    // Its program was let go meanwhile.
    scene.costs.set("B", { linkMs: 1500, startMs: 1, bytes: MiB });
    scene.pass(55_000);
    expect(scene.expected("B")).toBe(0);
    scene.pass(57_000);
    expect(scene.expected("B")).toBe(1);
  });

  it("adds up with others, and with what is learnt", () => {
    const scene = new Scene().train(6, { count: 5 });
    scene.announce({ count: 2 });
    scene.announce({ count: 3, sender: "other" });
    scene.run("A");
    expect(scene.expected("B")).toBe(10);
  });

  it("replaces the one with the same key, and not that of another sender", () => {
    const scene = new Scene();
    scene.announce({ count: 4, key: "k" });
    scene.announce({ count: 6, key: "k" });
    expect(scene.expected("B")).toBe(6);
    scene.announce({ count: 1, key: "k", sender: "other" });
    expect(scene.expected("B")).toBe(7);
  });

  it("changes nothing when it is sent again, whatever has come of it", () => {
    const scene = new Scene();
    const send = (): void => void scene.announce({ count: 4, key: "k", start: 0 });
    send();
    scene.run("B", 3).after(100);
    send();
    expect(scene.expected("B")).toBe(1);
    scene.run("B").after(100);
    send();
    expect(scene.expected("B")).toBe(0);
    expect(scene.foresight.view(scene.now, "t").announcements).toMatchObject([{ count: 4, arrived: 4 }]);
  });

  it("is taken back by a count of 0", () => {
    const scene = new Scene();
    scene.announce({ count: 4, key: "k" });
    expect(scene.announce({ count: 0, key: "k" })).toEqual({ accepted: true, key: "k" });
    expect(scene.expected("B")).toBe(0);
    expect(scene.foresight.view(scene.now, "t").announcements).toEqual([]);
    expect(scene.foresight.totals()).toMatchObject({ wasted: 0, live: 0 });
  });

  it("is prepared for as its runs come, and released after its window", () => {
    const scene = new Scene();
    scene.announce({ count: 4 });
    scene.after(100).run("B").after(100).run("B");
    expect(scene.expected("B")).toBe(2);
    scene.pass(20_000);
    expect(scene.expected("B")).toBe(0);
    expect(scene.foresight.totals()).toMatchObject({ hits: 2, wasted: 2, waste: 20 * MiB });
  });

  it("for later has nothing to do with runs that come now", () => {
    const scene = new Scene();
    scene.announce({ start: 60_000, count: 2 });
    scene.run("B", 5).pass(60_000);
    expect(scene.expected("B")).toBe(2);
  });

  it("that nobody named is replaced by no name that somebody gives", () => {
    const scene = new Scene();
    const heard = scene.announce({ count: 2 });
    expect(heard).toMatchObject({ accepted: true });
    scene.announce({ count: 3, key: (heard as { key: string }).key });
    expect(scene.expected("B")).toBe(5);
  });

  it("of the node itself is not one too many", () => {
    const scene = new Scene();
    for (let i = 0; i < 60; i++) expect(scene.announce({ key: `${i}`, sender: "cron", isOwn: true })).toMatchObject({ accepted: true });
    expect(scene.foresight.totals()).toMatchObject({ announcements: 60, refused: 0 });
  });

  it("has what follows its task expected, too", () => {
    const scene = new Scene().train(6, { cause: "B", task: "C" });
    scene.announce({ task: "B", start: scene.now + 5000, window: 1000, key: "k" });
    scene.announce({ task: "B", start: scene.now + 5000, window: 1000, key: "k" });
    scene.after(5600);
    expect([scene.expected("B"), scene.expected("C")]).toEqual([1, 1]);
  });

  it.each([
    ["past", { start: -2000, window: 1000 }],
    ["too-many", { count: 65 }],
    ["too-long", { window: 600_001 }],
    ["too-far", { start: 86_400_001 }],
    ["invalid", { count: 1.5 }],
    ["invalid", { count: -1 }],
    ["invalid", { window: 0 }],
    ["invalid", { window: Number.NaN }],
    ["invalid", { start: Number.NaN }],
    ["invalid", { confidence: 0 }],
    ["invalid", { confidence: 1.1 }],
    ["invalid", { key: "k".repeat(257) }],
  ])("is refused as %s: %j", (why, said) => {
    const scene = new Scene();
    expect(scene.announce(said)).toMatchObject({ accepted: false, why });
    expect(scene.foresight.totals()).toMatchObject({ refused: 1, live: 0 });
  });

  it("is refused in words", () => {
    const scene = new Scene();
    const reasons = [{ count: 65 }, { window: 601_000 }, { start: -2500, window: 1000 }].map((said) => scene.announce(said));
    expect(reasons.map((heard) => (heard.accepted ? "" : heard.reason))).toEqual([
      "65 runs are announced; 64 may be prepared for at once",
      "the window is 601 s; it may be 600 s",
      "the window was over 1.5 s ago",
    ]);
  });

  it("of a task that does not exist is refused, and leaves nothing", () => {
    const scene = new Scene();
    scene.costs.set("X", undefined);
    expect(scene.announce({ task: "X" })).toMatchObject({ accepted: false, why: "no-task" });
    expect(scene.foresight.snapshot().tenants).toEqual([{ tenant: "t", signs: [] }]);
  });

  it("is refused where its sender sends too many, for as long as it says", () => {
    const scene = new Scene({ senderBurst: 3, senderRate: 2 });
    for (let i = 0; i < 3; i++) expect(scene.announce().accepted).toBe(true);
    expect(scene.announce()).toMatchObject({ accepted: false, why: "too-often", retryAfter: 500 });
    expect(scene.announce({ sender: "other" }).accepted).toBe(true);
    expect(scene.after(500).announce().accepted).toBe(true);
  });

  it("is refused where too many are pending, unless it replaces one", () => {
    const scene = new Scene({ pending: 2 });
    scene.announce({ key: "k" });
    scene.announce();
    expect(scene.announce()).toMatchObject({ accepted: false, why: "full" });
    expect(scene.announce({ key: "k", count: 3 }).accepted).toBe(true);
  });

  it("with little confidence has the expected part ready, where that is worth it", () => {
    const scene = new Scene();
    scene.announce({ count: 10, confidence: 0.2 });
    expect(scene.told.get("t/B")).toMatchObject({ count: 2, depth: "ready" });
    scene.costs.set("C", { linkMs: 5, startMs: 0.01, bytes: 900 * MiB });
    scene.announce({ task: "C", count: 10, confidence: 0.2 });
    expect(scene.told.get("t/C")).toMatchObject({ depth: "program" });
  });

  it("of a sender whose announcements are mostly wasted is believed less, and more again when runs come", () => {
    const scene = new Scene();
    for (let i = 0; i < 10; i++) {
      scene.announce({ count: 10, window: 1000 });
      scene.after(20_000);
    }
    scene.announce({ count: 10, key: "k" });
    expect(scene.expected("B")).toBeLessThan(5);
    expect(scene.foresight.view(scene.now, "t").announcements[0]).toMatchObject({ confidence: 1, state: "active" });
    scene.run("B", 10);
    for (let i = 0; i < 4; i++) {
      scene.after(20_000).announce({ count: 10, window: 1000 });
      scene.run("B", 10);
    }
    scene.after(20_000).announce({ count: 10 });
    expect(scene.expected("B")).toBe(10);
    expect(scene.announce({ task: "C", count: 10, sender: "other" }).accepted).toBe(true);
    expect(scene.expected("C")).toBe(10);
  });

  it("is what a run counts for first that says it was announced", () => {
    const scene = new Scene().train(6, { count: 2 });
    scene.run("A");
    scene.announce({ count: 3 });
    scene.foresight.arrived(scene.now, { tenant: "t", task: "B", by: "announced" });
    expect(scene.foresight.view(scene.now, "t").announcements).toMatchObject([{ arrived: 1 }]);
  });

  it("goes with its tenant, and with that alone", () => {
    const scene = new Scene();
    scene.announce({ count: 3 });
    scene.announce({ count: 3, tenant: "u" });
    scene.foresight.forget("t");
    expect([scene.expected("B"), scene.expected("B", "u")]).toEqual([0, 3]);
  });
});

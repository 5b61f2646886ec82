/** Times: one job for each, whatever ends or fails meanwhile. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Frail, type Fate } from "./frail.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Lets time go by in steps, and looks each time. */
async function pass(node: Frail, ms: number, step: number): Promise<void> {
  for (const end = node.now + ms; node.now < end;) {
    node.now += step;
    await node.poke();
  }
}

async function ticksOver(from: number, line: string, timeZone: string): Promise<string[]> {
  const node = new Frail();
  node.now = from;
  await node.deploy("a", [{ cron: line, timeZone }]);
  await pass(node, 3 * DAY, 10_000 * 60);
  return node.made().map((text) => text.slice(2, -8));
}

describe("times of day", () => {
  it("that there is not on the day on which clocks go ahead come at the first that there is", async () => {
    expect(await ticksOver(Date.UTC(2026, 2, 28), "30 2 * * *", "Europe/Berlin")).toEqual([
      "2026-03-28T01:30",
      "2026-03-29T01:00",
      "2026-03-30T00:30",
    ]);
  });

  it("that there are twice on the day on which clocks go back come once", async () => {
    expect(await ticksOver(Date.UTC(2026, 9, 24), "30 2 * * *", "Europe/Berlin")).toEqual([
      "2026-10-24T00:30",
      "2026-10-25T00:30",
      "2026-10-26T01:30",
    ]);
  });

  it("at which something goes round come each hour that passes, on both days", async () => {
    for (const from of [Date.UTC(2026, 2, 28), Date.UTC(2026, 9, 24)]) {
      const hours = Array.from({ length: 72 }, (_, n) => new Date(from + (n + 1) * HOUR).toISOString().slice(0, 16));
      expect(await ticksOver(from, "0 * * * *", "Europe/Berlin")).toEqual(hours);
    }
  });
});

describe("ticks", () => {
  it("are one job each, and none is lost, whichever write fails or is the last", async () => {
    const fate = fc.constantFrom<Fate>("done", "fails", "ends-before", "ends-after");
    const act = fc.oneof(
      fc.record({ go: fc.integer({ min: -90, max: 200 }) }),
      fc.record({ fates: fc.array(fate, { maxLength: 3 }) }),
      fc.constantFrom("restart" as const, "refresh" as const, "forget" as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 40, size: "max" }), async (acts) => {
        const node = new Frail();
        await node.deploy("a", [{ cron: "* * * * *", missed: "all" }]);
        const began = node.now;
        let latest = began;
        for (const each of acts) {
          if (each === "restart") await node.restart();
          else if (each === "forget") await node.forget();
          else if (each === "refresh") await node.run(() => Promise.all([node.triggers.refresh(), node.triggers.poke()]));
          else if ("fates" in each) node.fates = [...each.fates];
          else {
            node.now += each.go * 1000;
            latest = Math.max(latest, node.now);
            await node.poke();
          }
        }
        node.fates = [];
        node.now = latest + 1000;
        await node.poke();
        const expected: string[] = [];
        for (let at = began + MINUTE; at <= node.now; at += MINUTE) expected.push(`a ${new Date(at).toISOString()}`);
        expect(node.made().sort()).toEqual(expected);
        expect(new Set(node.errors)).toEqual(new Set(node.errors.length === 0 ? [] : ["the disk is full"]));
      }),
      { numRuns: 200 },
    );
  });

  it("that are not made up for are passed, and those on time are not", async () => {
    const act = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constant("restart" as const));
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 40, size: "max" }), async (acts) => {
        const node = new Frail();
        await node.deploy("a", [{ cron: "* * * * *" }]);
        const expected: string[] = [];
        for (const each of acts) {
          if (each === "restart") await node.restart();
          else {
            const before = node.now;
            node.now += each * 1000;
            const last = Math.floor(node.now / MINUTE) * MINUTE;
            if (last > before && node.now - last <= 30_000) expected.push(`a ${new Date(last).toISOString()}`);
            await node.poke();
          }
        }
        expect(node.made()).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });

  it("of a line that comes thick and then not at all are made up for from the last, a thousand of them", async () => {
    const node = new Frail();
    node.now = Date.UTC(2026, 0, 31);
    for (const missed of ["all", "once"]) await node.deploy(missed, [{ cron: "* * * 1 * *", missed }]);
    node.now = Date.UTC(2026, 2, 20);
    await node.poke();
    const made = node.made();
    const last = Date.UTC(2026, 2, 1, 23, 59, 59);
    expect(made.filter((text) => text.startsWith("once"))).toEqual([`once ${new Date(last).toISOString()}`]);
    const ticks = made.filter((text) => text.startsWith("all"));
    expect([ticks.length, ticks[0], ticks.at(-1)]).toEqual([
      1000,
      `all ${new Date(last - 999_000).toISOString()}`,
      `all ${new Date(last).toISOString()}`,
    ]);
    expect(node.warnings).toEqual([
      'all: more than 1060 times of "* * * 1 * *" went by while no node was there; 1000 of them are made up for',
      'once: more than 1060 times of "* * * 1 * *" went by while no node was there; 1 of them is made up for',
    ]);
  });

  it("that cannot be written down are tried again after a second, and told of once", async () => {
    const node = new Frail();
    for (const name of ["a", "b", "c"]) await node.deploy(name, [{ cron: "* * * * *" }]);
    node.now += MINUTE;
    node.fates = ["fails", "fails", "fails"];
    await node.poke();
    expect([node.made(), node.errors]).toEqual([[], ["the disk is full"]]);
    expect(node.triggers.nextWake()).toBe(node.now + 1000);
    await node.poke();
    expect(node.made()).toEqual([]);
    node.now += 1000;
    await node.poke();
    expect(node.made().length).toBe(3);
    expect(node.triggers.nextWake()).toBe(node.now - 1000 + MINUTE);
  });

  it("of one task with which something is wrong hold up neither those of others nor written keys", async () => {
    const node = new Frail();
    await node.deploy("a", [{ cron: "* * * * *" }]);
    await node.deploy("b", [{ cron: "* * * * *" }, { store: "s" }]);
    node.decide = (task, dueAt) => {
      if (task.name === "a") throw new Error("no such price");
      return { dueAt };
    };
    node.write("s", "k");
    node.now += MINUTE;
    await node.poke();
    expect(node.made().sort()).toEqual(["acme/b s/k@101", "b 2026-01-01T00:01:00.000Z"]);
    expect(node.errors).toEqual(["no such price"]);
  });

  it("of a trigger that is taken out and put in again begin anew, also while one is being written down", async () => {
    const node = new Frail();
    const line = { cron: "*/10 * * * *", missed: "all" };
    await node.deploy("a", [line]);
    node.now += 10 * MINUTE;
    node.set("a", []);
    await node.run(() => Promise.all([node.triggers.poke(), node.triggers.refresh()]));
    node.now += 3 * HOUR;
    await node.restart();
    await node.deploy("a", [line]);
    await pass(node, 10 * MINUTE, MINUTE);
    expect(node.made()).toEqual(["a 2026-01-01T00:10:00.000Z", "a 2026-01-01T03:20:00.000Z"]);
    expect(node.warnings).toEqual([]);
  });

  it("go on where they were when a trigger is to make up for what it missed in another way", async () => {
    const node = new Frail();
    await node.deploy("a", [{ cron: "*/10 * * * *" }]);
    node.now += HOUR;
    await node.deploy("a", [{ cron: "*/10 * * * *", missed: "all", jitter: "1m", defer: "1h" }]);
    await node.poke();
    expect(node.made().length).toBe(6);
    // What is made up for may be put off from now on, and not from when it was due; the last is on time.
    const at = (job: { readonly dueAt: number }): number => job.dueAt - node.now;
    expect(node.asked.every((asked) => at(asked) >= 0 && at(asked) < MINUTE && asked.deferMs === HOUR)).toBe(true);
  });

  it("have one job where a task says the same twice, and may have long paths", async () => {
    const node = new Frail();
    const path = `/${"x".repeat(3000)}`;
    await node.deploy("a", [
      { cron: "* * * * *", path },
      { cron: "* * * * *", path },
      { cron: "* * * * *", path: "/other" },
    ]);
    node.now += MINUTE;
    await node.poke();
    expect(node.errors).toEqual([]);
    expect(node.all().map(({ work }) => work.kind === "http" && work.target)).toEqual([path, "/other"]);
  });

  it("are told to the forecast before they come", async () => {
    const node = new Frail();
    await node.deploy("a", [{ cron: "0 * * * *" }]);
    await node.deploy("b", [{ cron: "* * * * * *" }]);
    const { cron } = node.triggers;
    const at = (hours: number): number => Date.UTC(2026, 0, 1, hours);
    expect(cron.upcoming().map(({ task, at: next }) => [task.name, next - node.now])).toEqual([
      ["a", HOUR],
      ["b", 1000],
    ]);
    const known = [...cron.scheduled(at(1), at(4))];
    expect(known.map(({ task, count }) => [task.name, count])).toEqual([
      ["a", 3],
      ["b", 3 * 3600],
    ]);
    expect([...cron.scheduled(at(1) + 1, at(1) + 2)]).toEqual([]);
  });

  it("start a path, a function that is told the tick first, or what the task is", async () => {
    const node = new Frail();
    await node.deploy("a", [
      { cron: "* * * * *", function: "demo:jobs/tick@1.0.0#run" },
      { cron: "* * * * *", path: "/p?q" },
    ]);
    node.now += MINUTE;
    await node.poke();
    const [call, post] = node.all();
    expect(call?.work).toEqual({ kind: "call", interface: "demo:jobs/tick@1.0.0", function: "run" });
    expect(node.event(call as never)).toEqual(["2026-01-01T00:01:00.000Z", "* * * * *"]);
    expect(post?.work).toEqual({ kind: "http", method: "POST", scheme: "http", authority: "localhost", target: "/p?q" });
    expect(node.event(post as never)).toEqual({ trigger: "cron", tick: "2026-01-01T00:01:00.000Z", cron: "* * * * *" });
  });
});

/** What starts by itself: one job for each tick and each revision, whatever happens. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { World } from "./world.js";

const MINUTE = 60_000;

function ticks(world: World): string[] {
  return world.all().map(({ origin }) => (origin.kind === "cron" ? origin.tick : "-"));
}

describe("times", () => {
  it("come as their line says, in their zone, over the days on which clocks are moved", async () => {
    const world = new World();
    world.now = Date.UTC(2026, 2, 28, 12);
    await world.deploy("a", [{ cron: "30 2 * * *", timeZone: "Europe/Berlin" }]);
    for (let n = 0; n < 6 * 72; n++) {
      world.now += 10 * MINUTE;
      await world.triggers.poke();
    }
    // On the 29th there is no 02:30 in Berlin.
    const found = ticks(world);
    expect(found.filter((tick) => tick.startsWith("2026-03-30"))).toEqual(["2026-03-30T00:30:00.000Z"]);
    expect(new Set(found).size).toBe(found.length);
  });

  it("that went by while no node was there are made up for as the manifest says", async () => {
    const world = new World();
    for (const missed of ["skip", "once", "all"]) await world.deploy(missed, [{ cron: "*/10 * * * *", missed }]);
    world.now += 60 * MINUTE + 5 * MINUTE;
    await world.crash();
    await world.triggers.poke();
    const of = (task: string): number => world.all().filter((job) => job.task === task).length;
    expect([of("skip"), of("once"), of("all")]).toEqual([0, 1, 6]);
    expect(world.warnings).toEqual([
      'skip: 6 times of "*/10 * * * *" went by while no node was there; 0 of them are made up for',
      'once: 6 times of "*/10 * * * *" went by while no node was there; 1 of them is made up for',
      'all: 6 times of "*/10 * * * *" went by while no node was there; 6 of them are made up for',
    ]);
  });

  it("of a beat of seconds over a year are not counted one by one for ever", async () => {
    const world = new World();
    await world.deploy("a", [{ cron: "* * * * * *", missed: "all" }]);
    world.now += 365 * 24 * 60 * MINUTE;
    await world.triggers.poke();
    expect(world.all().length).toBeLessThanOrEqual(1100);
    const count = world.all().length;
    world.now += 1000;
    await world.triggers.poke();
    expect(world.all().length).toBe(count + 1);
  });

  it("have jobs that start a little later each, the same for the same tick", async () => {
    const world = new World();
    await world.deploy("a", [{ cron: "* * * * *", jitter: "20s" }]);
    for (let n = 0; n < 20; n++) {
      world.now += MINUTE;
      await world.triggers.poke();
    }
    const late = world.all().map((job) => job.dueAt - Date.parse(job.origin.kind === "cron" ? job.origin.tick : ""));
    expect(Math.max(...late)).toBeLessThan(20_000);
    expect(new Set(late).size).toBeGreaterThan(10);
  });

  it("are one job each, whatever the clock does, however often the node ends", async () => {
    const act = fc.oneof(fc.record({ go: fc.integer({ min: -30, max: 90 }) }), fc.constant("crash" as const));
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
        const world = new World();
        await world.deploy("a", [{ cron: "* * * * *", missed: "all" }]);
        const began = world.now;
        let latest = began;
        for (const each of acts) {
          if (each === "crash") await world.crash();
          else world.now += each.go * 1000;
          latest = Math.max(latest, world.now);
          await world.triggers.poke();
        }
        const expected: string[] = [];
        for (let at = began + MINUTE; at <= latest; at += MINUTE) expected.push(new Date(at).toISOString());
        expect(ticks(world).sort()).toEqual(expected);
        expect(world.errors).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });
});

describe("written keys", () => {
  it("are one job for each revision and trigger, however often the node ends, and whoever is left behind", async () => {
    const act = fc.oneof(
      fc.record({ write: fc.constantFrom("in/a", "in/b", "out/c"), tenant: fc.constantFrom("acme", "globex") }),
      fc.constantFrom("poke" as const, "crash" as const, "busy" as const, "free" as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 80 }), async (acts) => {
        const world = new World();
        await world.deploy("a", [{ store: "s", prefix: "in/" }]);
        await world.deploy("a", [{ store: "s" }], "globex");
        let isBusy = false;
        world.load = (tenant) => (isBusy && tenant === "acme" ? 20_000 : 0);
        let wanted = 0;
        for (const each of acts) {
          if (each === "crash") await world.crash();
          else if (each === "poke") await world.triggers.poke();
          else if (each === "busy") isBusy = true;
          else if (each === "free") isBusy = false;
          else {
            // So that nothing counts as going round.
            world.now += MINUTE;
            world.write("s", each.write, "x", each.tenant);
            if (each.tenant === "globex" || each.write.startsWith("in/")) wanted++;
          }
        }
        isBusy = false;
        await world.triggers.poke();
        expect(world.all().length).toBe(wanted);
        expect(world.errors).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it("of a tenant with much waiting stay where they are, and those of others go on", async () => {
    const world = new World();
    await world.deploy("a", [{ store: "s" }]);
    await world.deploy("a", [{ store: "s" }], "globex");
    world.load = (tenant) => (tenant === "acme" ? 20_000 : 0);
    for (const tenant of ["acme", "globex", "acme", "globex"]) world.write("s", "k", "x", tenant);
    await world.triggers.poke();
    expect(world.all().map(({ tenant }) => tenant)).toEqual(["globex", "globex"]);
    world.load = undefined;
    await world.triggers.poke();
    expect(
      world
        .all()
        .map(({ tenant }) => tenant)
        .sort(),
    ).toEqual(["acme", "acme", "globex", "globex"]);
  });

  it("from before their trigger start nothing, nor those after it is gone", async () => {
    const world = new World();
    world.write("s", "early", "x");
    await world.deploy("a", [{ store: "s" }]);
    await world.deploy("a", []);
    world.write("s", "late", "x");
    await world.triggers.poke();
    await world.deploy("a", [{ store: "s" }]);
    world.write("s", "now", "x");
    await world.triggers.poke();
    expect(world.all().map(({ origin }) => origin.kind === "store" && origin.key)).toEqual(["now"]);
  });

  it("that were written again meanwhile are told without what is not known of them any more", async () => {
    const world = new World();
    await world.deploy("a", [{ store: "s" }]);
    world.write("s", "k.json", "1");
    world.write("s", "k.json", "22");
    await world.triggers.poke();
    const events = world.all().map(({ id }) => JSON.parse(Buffer.from(world.jobs.input(id)?.body as Uint8Array).toString()) as object);
    expect(events).toMatchObject([
      { size: null, digest: null, type: "application/json" },
      { size: 2, digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
  });
});

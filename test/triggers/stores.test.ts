/** Written keys: one job for each revision and trigger, whatever ends or fails meanwhile. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Frail, type Fate } from "./frail.js";

const MINUTE = 60_000;
/** By path: what a trigger with it wants to hear of. */
const PREFIXES: Readonly<Record<string, string>> = { "/all": "", "/in": "in/" };

/** Which jobs there are to be, by tenant, path and revision. */
class Oracle {
  readonly #live = new Map<string, readonly string[]>();
  /** All that there may be; of triggers that are there, all that there is to be. */
  readonly #allowed = new Set<string>();

  deploy(tenant: string, paths: readonly string[], made: ReadonlySet<string>): void {
    const gone = (this.#live.get(tenant) ?? []).filter((path) => !paths.includes(path));
    // What was not looked at when a trigger went starts nothing, also when it is there again.
    for (const each of this.#allowed)
      if (!made.has(each) && gone.some((path) => each.startsWith(`${tenant} ${path} `))) this.#allowed.delete(each);
    this.#live.set(tenant, paths);
  }

  write(tenant: string, key: string, revision: number): void {
    for (const path of this.#live.get(tenant) ?? [])
      if (key.startsWith(PREFIXES[path] as string)) this.#allowed.add(`${tenant} ${path} ${revision}`);
  }

  get jobs(): string[] {
    return [...this.#allowed].sort();
  }

  get isAny(): boolean {
    return [...this.#live.values()].some((paths) => paths.length > 0);
  }
}

function made(node: Frail): string[] {
  const text = ({ tenant, work, origin }: ReturnType<Frail["all"]>[number]): string =>
    `${tenant} ${work.kind === "http" ? work.target : ""} ${origin.kind === "store" ? origin.revision : ""}`;
  return node.all().map(text).sort();
}

/** The keys of all jobs, in the order in which they were made. */
function keys(node: Frail): string[] {
  return node.all().map(({ origin }) => (origin.kind === "store" ? origin.key : ""));
}

describe("a written key", () => {
  it("is one job for each revision and trigger, and none is lost, whichever write fails or is the last", async () => {
    const fate = fc.constantFrom<Fate>("done", "fails", "ends-before", "ends-after");
    const tenant = fc.constantFrom("acme", "globex");
    const paths = fc.constantFrom([], ["/all"], ["/in"], ["/all", "/in"]);
    const act = fc.oneof(
      { weight: 6, arbitrary: fc.record({ write: fc.constantFrom("in/a", "in/b", "c"), tenant }) },
      { weight: 3, arbitrary: fc.record({ paths, tenant, isPoked: fc.boolean() }) },
      { weight: 3, arbitrary: fc.record({ fates: fc.array(fate, { maxLength: 4 }) }) },
      { weight: 6, arbitrary: fc.constantFrom("poke" as const, "restart" as const, "busy" as const, "free" as const, "forget" as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 60, size: "max" }), async (acts) => {
        const node = new Frail();
        const oracle = new Oracle();
        let isBusy = false;
        node.load = (of) => (isBusy && of === "acme" ? 20_000 : 0);
        const settle = async (): Promise<void> => {
          node.fates = [];
          node.now += MINUTE;
          await node.poke();
        };
        for (const each of acts) {
          // So that nothing is tried again too soon, or counts as going round.
          node.now += MINUTE;
          if (each === "restart") await node.restart();
          else if (each === "poke") await node.poke();
          else if (each === "forget") await node.forget();
          else if (each === "busy" || each === "free") isBusy = each === "busy";
          else if ("fates" in each) node.fates = [...each.fates];
          else if ("write" in each) oracle.write(each.tenant, each.write, node.write("s", each.write, "x", each.tenant));
          else {
            const triggers = each.paths.map((path) => ({ store: "s", prefix: PREFIXES[path], path }));
            node.set("a", triggers, each.tenant);
            const poke = (): Promise<void> => (each.isPoked ? node.triggers.poke() : Promise.resolve());
            await node.run(() => Promise.all([poke(), node.triggers.refresh(), poke()]));
            await settle();
            oracle.deploy(each.tenant, each.paths, new Set(made(node)));
          }
        }
        isBusy = false;
        await node.restart();
        await settle();
        expect(made(node)).toEqual(oracle.jobs);
        expect(node.errors.filter((error) => error !== "the disk is full")).toEqual([]);
        expect(node.cursor !== undefined).toBe(oracle.isAny);
      }),
      { numRuns: 400 },
    );
  });

  it("that is written while its trigger comes is not passed over by what is looked at already", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "other" }]);
    node.write("other", "k");
    node.set("b", [{ store: "s" }]);
    const { triggers } = node;
    await node.run(async () => {
      const poking = triggers.poke();
      const told = triggers.refresh();
      const again = triggers.poke();
      node.write("s", "new");
      await Promise.all([poking, told, again]);
      await triggers.poke();
    });
    expect(keys(node)).toEqual(["k", "new"]);
  });

  it("from before its trigger starts nothing, also where the log is behind", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "s" }]);
    node.load = () => 20_000;
    node.write("s", "old");
    await node.poke();
    await node.deploy("b", [{ store: "s" }]);
    node.write("s", "new");
    await node.restart();
    node.load = () => 0;
    node.now += 1000;
    await node.poke();
    expect(node.made().sort()).toEqual(["acme/a s/new@102", "acme/a s/old@101", "acme/b s/new@102"]);
  });

  it("starts nothing that was forgotten when the node ended while it let go of the log", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "s" }]);
    node.write("s", "old");
    node.fates = ["done", "ends-before"];
    await node.remove("a");
    node.write("s", "between");
    expect(node.cursor).toBeUndefined();
    await node.restart();
    await node.deploy("a", [{ store: "s" }]);
    node.write("s", "new");
    await node.poke();
    expect(keys(node)).toEqual(["new"]);
  });

  it("is looked at again after a second where its tenant has much waiting, though nothing else is written", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "s" }]);
    expect(node.triggers.nextWake()).toBe(Infinity);
    node.load = () => 20_000;
    node.write("s", "k");
    await node.poke();
    expect([keys(node), node.triggers.nextWake()]).toEqual([[], node.now + 1000]);
    node.load = () => 0;
    node.now += 1000;
    await node.poke();
    expect([keys(node), node.triggers.nextWake()]).toEqual([["k"], Infinity]);
  });

  it("of a tenant with much waiting holds up nobody else, and the log is kept for it", async () => {
    const node = new Frail();
    for (const tenant of ["acme", "globex"]) await node.deploy("a", [{ store: "s" }], tenant);
    node.load = (tenant) => (tenant === "acme" ? 20_000 : 0);
    node.write("s", "mine", "x", "acme");
    for (let n = 0; n < 3000; n++) node.write("s", `k${n}`, "x", "globex");
    await node.poke();
    expect([node.all().length, node.log[0]?.key]).toEqual([3000, "mine"]);
    await node.restart();
    await node.poke();
    node.load = () => 0;
    await node.poke();
    expect([node.all().length, new Set(node.made()).size, keys(node).at(-1)]).toEqual([3001, 3001, "mine"]);
  });

  it("of one tenant counts for that alone when it is reckoned how much waits", async () => {
    const node = new Frail();
    for (const tenant of ["acme", "globex"]) await node.deploy("a", [{ store: "s" }], tenant);
    node.load = (tenant) => (tenant === "acme" ? 9900 : 0);
    for (let n = 0; n < 300; n++) node.write("s", `k${n}`, "x", "globex");
    node.write("s", "mine", "x", "acme");
    await node.poke();
    expect(keys(node).at(-1)).toBe("mine");
  });

  it("that starts nothing costs no commit, and the log is cut off behind it", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "s" }]);
    node.commits = [];
    for (let n = 0; n < 5000; n++) node.write("elsewhere", `k${n}`);
    node.delete("s", "k");
    await node.poke();
    expect([node.commits, node.made()]).toEqual([[], []]);
    expect(node.log.length).toBeLessThan(1100);
    node.write("s", "k");
    await node.restart();
    await node.poke();
    expect(keys(node)).toEqual(["k"]);
  });

  it("is one of few in a transaction where values are long, so that hashing them holds up nothing else", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "s" }]);
    node.commits = [];
    for (let n = 0; n < 10; n++) node.write("s", `k${n}`, Buffer.alloc(4 * 2 ** 20));
    await node.poke();
    expect(node.commits.map((tables) => tables.filter((table) => table === "jobs").length)).toEqual([5, 5]);
  });

  it("in stores that come from a backup, and are not as far as they were, starts its task all the same", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "s" }]);
    node.write("s", "k1");
    await node.poke();
    [node.revision, node.log, node.cursor] = [50, [], 40];
    await node.restart();
    node.write("s", "k2");
    await node.poke();
    expect(keys(node)).toEqual(["k1", "k2"]);
  });

  it("that cannot be told of yet, as the disk is full, is told of after a second", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "s" }]);
    node.write("s", "k");
    node.fates = ["fails"];
    await node.poke();
    await node.poke();
    expect([keys(node), node.errors, node.triggers.nextWake()]).toEqual([[], ["the disk is full"], node.now + 1000]);
    node.now += 1000;
    await node.poke();
    expect([keys(node), node.triggers.nextWake()]).toEqual([["k"], Infinity]);
  });

  it("has a trigger that could not be written down when it came, once it can", async () => {
    const node = new Frail();
    node.fates = ["done", "fails"];
    await node.deploy("a", [{ store: "s" }]);
    expect(node.errors).toEqual(["the disk is full"]);
    node.write("s", "k");
    await node.poke();
    await node.restart();
    node.write("s", "l");
    await node.poke();
    expect(keys(node)).toEqual(["k", "l"]);
  });

  it("may have a trigger with a long path, which is nobody else's trouble", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "s", path: `/${"x".repeat(3000)}` }, { store: "s" }]);
    node.write("s", "k");
    await node.poke();
    expect([keys(node), node.errors]).toEqual([["k", "k"], []]);
  });

  it("is counted once towards going round, however often it is tried", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "s" }]);
    for (let n = 0; n < 60; n++) node.write("s", "k");
    for (let n = 0; n < 5; n++) {
      node.fates = ["fails"];
      await node.poke();
      node.now += 1000;
    }
    await node.poke();
    expect(node.all().map(({ state }) => state)).toEqual(Array.from({ length: 60 }, () => "waiting"));
  });

  it("is told with its size, type and digest, which are not known once it is written again", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "s", function: "demo:jobs/on@1.0.0#put" }]);
    node.write("s", "a/k.JSON", "1");
    node.write("s", "a/k.JSON", "22");
    node.write("s", "plain", "");
    await node.poke();
    const digest = (char: string): unknown => expect.stringMatching(new RegExp(`^${char}[0-9a-f]{63}$`));
    expect(node.all().map((job) => node.event(job))).toEqual([
      ["a/k.JSON", null, "application/json", null, 101, "s"],
      ["a/k.JSON", 2, "application/json", digest("7"), 102, "s"],
      ["plain", 0, "application/octet-stream", digest("e"), 103, "s"],
    ]);
  });

  it("is looked at no more once the sources are closed, and what goes on is written down", async () => {
    const node = new Frail();
    await node.deploy("a", [{ store: "s" }]);
    for (let n = 0; n < 1200; n++) node.write("s", `k${n}`);
    const poking = node.triggers.poke();
    await node.triggers.close();
    await poking;
    expect(node.all().length).toBe(500);
    await node.triggers.poke();
    expect(node.all().length).toBe(500);
    await node.restart();
    await node.poke();
    expect(new Set(node.made()).size).toBe(1200);
  });
});

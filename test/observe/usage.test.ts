import { describe, expect, it } from "vitest";
import type { Run } from "../../src/invoke/run.js";
import { Tally } from "../../src/observe/tally.js";
import { usageOf, type SettledRun, type UsageRow, type UsageSources } from "../../src/observe/usage.js";
import { openState } from "../../src/state/lmdb.js";
import { memoryState } from "../../src/state/memory.js";
import { StateError, type StateStore } from "../../src/state/store.js";
import { tempDir } from "../support/files.js";
import { HOUR, MiB, NOON, newBook, runOf, tallyOf, type Bench } from "./used.js";

const keys = (store: StateStore, table = "usage"): string[] => store.list({ name: table }).map(({ key }) => key);
const add = (bench: Bench, count: number, over: Parameters<typeof runOf>[0] = {}): void => {
  for (let i = 0; i < count; i++) bench.book.settled(runOf(over));
};

describe("a usage row", () => {
  it("sums exactly what its runs were", async () => {
    const bench = newBook();
    add(bench, 3);
    bench.book.settled(
      runOf({
        runMs: 2000,
        cpuMs: 500,
        waitMs: 40,
        headMs: 900,
        memoryBytes: 300 * MiB,
        chargedBytes: 512 * MiB,
        rung: "warming/stored",
        concurrent: 4,
      }),
    );
    const rows = await bench.rows("acme");
    expect(rows).toHaveLength(1);
    const row = rows[0] as UsageRow;
    expect(row).toMatchObject({ hour: "2030-01-01T12", tenant: "acme", task: "hello", pool: "shared", term: "direct", price: 1 });
    const { runs, runMs, cpuMs, gibSeconds, waitMs, maxWaitMs, maxRunMs, maxHeadMs, ready, stored, peak, requestBytes, responseBytes } =
      row.tally;
    expect({
      runs,
      runMs,
      cpuMs,
      gibSeconds,
      waitMs,
      maxWaitMs,
      maxRunMs,
      maxHeadMs,
      ready,
      stored,
      peak,
      requestBytes,
      responseBytes,
    }).toEqual({
      runs: 4,
      runMs: 2750,
      cpuMs: 875,
      gibSeconds: 3 / 32 + 1,
      waitMs: 40,
      maxWaitMs: 40,
      maxRunMs: 2000,
      maxHeadMs: 900,
      ready: 3,
      stored: 1,
      peak: 4,
      requestBytes: 40,
      responseBytes: 4000,
    });
  });

  it("is another one for each hour, task, sub-pool, term and price", async () => {
    let price = 1;
    const bench = newBook({ priceAt: (pool) => (pool === "variable" ? price : 1) });
    const all = [{}, { task: "other" }, { pool: "dedicated" }, { term: "spill" }, { pool: "variable" }] as const;
    for (const over of all) add(bench, 1, over);
    price = 0.5;
    bench.wall += 60_000;
    add(bench, 2, { pool: "variable" });
    bench.wall += HOUR;
    add(bench, 1);
    const rows = (await bench.rows("acme")).map(({ hour, task, pool, term, price: of, tally }) =>
      [hour.slice(11), task, pool, term, of, tally.runs].join(" "),
    );
    expect(rows.sort()).toEqual([
      "12 hello dedicated direct 1 1",
      "12 hello shared direct 1 1",
      "12 hello shared spill 1 1",
      "12 hello variable direct 0.5 2",
      "12 hello variable direct 1 1",
      "12 other shared direct 1 1",
      "13 hello shared direct 1 1",
    ]);
  });

  it("counts what was refused by reason, and what was given up, as no runs", () => {
    const refused = ["task-full", "tenant-full", "node-full", "overloaded", "draining", "malformed"].map((reason) =>
      runOf({ term: "none", refused: reason, waitMs: 5 }),
    );
    const tally = tallyOf(...refused, runOf({ term: "none", waitMs: 30 }));
    expect(tally).toMatchObject({ runs: 0, runMs: 0, gibSeconds: 0, refused: 6, abandoned: 1, waitMs: 60, maxWaitMs: 30 });
    const { taskFull, tenantFull, nodeFull, overloaded, draining, otherwise } = tally;
    expect([taskFull, tenantFull, nodeFull, overloaded, draining, otherwise]).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it("tells runs by how far their code was, and those that ended at a limit", () => {
    const rungs = ["own/ready", "warming/linked", "own/compiled", "reclaimed/stored", "own/compiled"];
    const tally = tallyOf(
      ...rungs.map((rung) => runOf({ rung })),
      runOf({ limit: "memory", rung: undefined }),
      runOf({ limit: "head-time", rung: undefined }),
    );
    expect(tally).toMatchObject({ ready: 1, linked: 1, compiled: 2, stored: 1, overMemory: 1, overTime: 1 });
  });

  it("tells the 95th percentile of memory to a fifth, and never more than the most", () => {
    const sizes = Array.from({ length: 100 }, (_, i) => (i < 95 ? 9 * MiB : 100 * MiB));
    const { memoryP95, maxMemory } = tallyOf(...sizes.map((memoryBytes) => runOf({ memoryBytes })));
    expect(memoryP95).toBeGreaterThanOrEqual(9 * MiB);
    expect(memoryP95).toBeLessThan(9 * MiB * 1.2);
    expect(maxMemory).toBe(100 * MiB);
    expect(tallyOf(runOf({ memoryBytes: 5000 })).memoryP95).toBe(5000);
    expect(tallyOf(runOf({ memoryBytes: 2 ** 34 })).memoryP95).toBe(Math.round(2 ** 32.25));
    expect(tallyOf(runOf({ memoryBytes: 0 })).memoryP95).toBe(0);
  });

  it("is the same whether its runs are added to one tally, or to several that are merged and stored", () => {
    const runs = Array.from({ length: 50 }, (_, i) =>
      runOf({ runMs: i * 125, waitMs: i % 7, memoryBytes: i * MiB, ...(i % 5 === 0 ? { refused: "task-full" } : {}) }),
    );
    const parts = [tallyOf(...runs.slice(0, 20)), tallyOf(...runs.slice(20))];
    const merged = new Tally();
    for (const part of parts) merged.merge(Tally.of(part.store()));
    expect(merged.store()).toEqual(tallyOf(...runs).store());
    expect(merged.memoryP95).toBe(tallyOf(...runs).memoryP95);
  });
});

describe("the usage book", () => {
  it("goes on after a restart where it was saved, within the hour and over it", async () => {
    const data = tempDir();
    const first = openState(data);
    const bench = newBook({}, first);
    add(bench, 2);
    await bench.book.save();
    add(bench, 1);
    await bench.book.save();
    await first.close();
    const second = openState(data);
    const later = newBook({}, second);
    expect((await later.rows("acme")).map(({ tally }) => tally.runs)).toEqual([3]);
    add(later, 4);
    await later.book.save();
    expect((await later.rows("acme")).map(({ tally }) => [tally.runs, tally.gibSeconds])).toEqual([[7, 7 / 32]]);
    later.wall += HOUR;
    add(later, 1);
    await later.book.save();
    expect((await later.rows("acme", later.again())).map(({ hour, tally }) => `${hour.slice(11)} ${tally.runs}`)).toEqual(["12 7", "13 1"]);
    await second.close();
  });

  it("loses what came after the last save, and no more, when the process ends", async () => {
    const bench = newBook();
    add(bench, 2);
    await bench.book.save();
    add(bench, 3);
    expect((await bench.rows("acme", bench.again())).map(({ tally }) => tally.runs)).toEqual([2]);
  });

  it("commits nothing where nothing ran", async () => {
    const commits: number[] = [];
    const inner = memoryState();
    const commit: StateStore["commit"] = (changes) => {
      commits.push(changes.length);
      return inner.commit(changes);
    };
    const bench = newBook({}, { ...inner, commit });
    await bench.book.save();
    expect(commits).toEqual([]);
    add(bench, 5);
    await bench.book.save();
    await bench.book.save();
    // The row, and how many its hour has.
    expect(commits).toEqual([2]);
    add(bench, 1);
    await bench.book.save();
    expect(commits).toEqual([2, 1]);
  });

  it("says so when the state cannot be written, and makes up for it with the next save", async () => {
    const inner = memoryState();
    let broken = true;
    const commit: StateStore["commit"] = async (changes) => {
      if (broken) throw new StateError("the disk is full");
      await inner.commit(changes);
    };
    const bench = newBook({}, { ...inner, commit });
    add(bench, 2);
    await expect(bench.book.save()).rejects.toThrow(new StateError("the disk is full"));
    bench.wall += HOUR;
    add(bench, 1);
    await expect(bench.book.save()).rejects.toThrow("the disk is full");
    broken = false;
    await bench.book.save();
    expect((await bench.rows("acme", bench.again())).map(({ tally }) => tally.runs)).toEqual([2, 1]);
  });

  it("keeps what ends while a save is being written", async () => {
    const bench = newBook();
    add(bench, 2);
    const saving = bench.book.save();
    await Promise.resolve();
    add(bench, 3);
    await saving;
    await bench.book.save();
    expect((await bench.rows("acme", bench.again())).map(({ tally }) => tally.runs)).toEqual([5]);
  });

  it("keeps 31 days, also of a tenant that nobody calls any more", async () => {
    const bench = newBook();
    add(bench, 1);
    await bench.book.save();
    bench.wall += 31 * 24 * HOUR;
    add(bench, 1, { tenant: "globex" });
    await bench.book.save();
    expect(await bench.rows("acme")).toHaveLength(1);
    bench.wall += HOUR;
    await bench.book.save();
    expect(await bench.rows("acme")).toEqual([]);
    expect([keys(bench.store), keys(bench.store, "usage-hours")]).toEqual([
      ["globex/2030-02-01T12/hello/shared/direct/1"],
      ["globex/2030-02-01T12"],
    ]);
  });

  it("lets go a tenant's own oldest hours when it has too many rows, and nobody else's", async () => {
    const bench = newBook({ keptRows: 6 });
    add(bench, 1, { tenant: "globex" });
    for (let hour = 0; hour < 4; hour++) {
      for (const task of ["a", "b", "c"]) add(bench, 1, { task });
      await bench.book.save();
      bench.wall += HOUR;
    }
    expect((await bench.rows("acme")).map(({ hour }) => hour.slice(11))).toEqual(["14", "14", "14", "15", "15", "15"]);
    expect(await bench.rows("globex")).toHaveLength(1);
    expect(keys(bench.store, "usage-hours")).toEqual(["acme/2030-01-01T14", "acme/2030-01-01T15", "globex/2030-01-01T12"]);
  });

  it("holds so many rows of a tenant in memory, the newest, and loses nothing that was saved", async () => {
    const bench = newBook({ openRows: 3 });
    for (const task of ["lost", "t0", "t1", "t2"]) add(bench, 1, { task });
    expect((await bench.rows("acme")).map(({ task }) => task).sort()).toEqual(["t0", "t1", "t2"]);
    await bench.book.save();
    for (const task of ["t3", "t0"]) add(bench, 1, { task });
    await bench.book.save();
    const counts = (await bench.rows("acme")).map(({ task, tally }) => `${task} ${tally.runs}`);
    expect(counts.sort()).toEqual(["t0 2", "t1 1", "t2 1", "t3 1"]);
  });

  it("reads the hours that overlap a time, and no other", async () => {
    const bench = newBook();
    for (let hour = 12; hour < 16; hour++) {
      add(bench, 1);
      await bench.book.save();
      bench.wall += HOUR;
    }
    const hours = async (from: number, to: number): Promise<string[]> =>
      (await bench.rows("acme", bench.book, from, to)).map(({ hour }) => hour.slice(11));
    expect(await hours(NOON + HOUR, NOON + 3 * HOUR)).toEqual(["13", "14"]);
    expect(await hours(NOON + 1.5 * HOUR, NOON + 2 * HOUR + 1)).toEqual(["13", "14"]);
    expect(await hours(NOON, NOON)).toEqual([]);
  });

  it("reads more rows than it takes from the state in one go", async () => {
    const bench = newBook();
    for (let i = 0; i < 2500; i++) add(bench, 1, { task: `t${i}` });
    await bench.book.save();
    bench.wall += HOUR;
    await bench.book.save();
    expect(new Set((await bench.rows("acme")).map(({ task }) => task)).size).toBe(2500);
  });

  it("shows whoever has a tenant's name next nothing of the one before, and clears it away", async () => {
    const bench = newBook();
    add(bench, 5);
    add(bench, 1, { tenant: "acme-b" });
    add(bench, 1, { tenant: "globex" });
    await bench.book.save();
    bench.tenants.delete("acme");
    bench.book.forget("acme");
    // Ends after its tenant has gone.
    add(bench, 1);
    expect(await bench.rows("acme")).toEqual([]);
    bench.tenants.add("acme");
    add(bench, 1);
    expect((await bench.rows("acme")).map(({ tally }) => tally.runs)).toEqual([1]);
    await bench.book.save();
    expect((await bench.rows("acme", bench.again())).map(({ tally }) => tally.runs)).toEqual([1]);
    expect(await bench.rows("globex")).toHaveLength(1);
  });

  it("clears away what a crash left of a tenant that has gone", async () => {
    const bench = newBook();
    add(bench, 5);
    await bench.book.save();
    bench.tenants.delete("acme");
    const book = bench.again();
    bench.tenants.add("acme");
    expect(await bench.rows("acme", book)).toEqual([]);
    await book.save();
    expect([keys(bench.store), keys(bench.store, "usage-hours")]).toEqual([[], []]);
  });
});

describe("a run's usage", () => {
  const sources: UsageSources = { overcommit: () => 2, poolOf: () => "dedicated", concurrent: () => 3 };
  const task = { tenant: "acme", name: "hello", version: { manifest: { limits: { memory: 128 * MiB } } } } as unknown as Run["task"];
  const usage = {
    cpuNanoseconds: 4e6,
    runNanoseconds: 250e6,
    startNanoseconds: 0,
    waitNanoseconds: 0,
    memoryBytes: 8 * MiB,
    requestBytes: 1,
    responseBytes: 2,
    droppedLines: 0,
    calls: 0,
    serviceNanoseconds: 0,
  };
  const base: SettledRun = {
    task,
    rung: "own/ready",
    admittedAt: 100,
    grantedAt: 130,
    headAt: 200,
    settledAt: 400,
    outcome: { kind: "ok", exit: 0 },
    usage,
    pool: "shared",
    term: "spill",
  };

  it("is its lease's sub-pool and term, and its memory limit by the node's over-commit", () => {
    expect(usageOf(base, sources)).toEqual(
      runOf({ term: "spill", waitMs: 30, cpuMs: 4, headMs: 100, chargedBytes: 64 * MiB, requestBytes: 1, responseBytes: 2, concurrent: 3 }),
    );
  });

  it("is charged what it held when that was more", () => {
    expect(usageOf({ ...base, usage: { ...usage, memoryBytes: 100 * MiB } }, sources).chargedBytes).toBe(100 * MiB);
  });

  it("is of the sub-pool that it asked for, and of no term, when it got no place", () => {
    const refused = usageOf(
      {
        ...base,
        grantedAt: undefined,
        pool: undefined,
        term: undefined,
        rung: undefined,
        outcome: { kind: "refused", code: "task-full", message: "" },
      },
      sources,
    );
    expect(refused).toMatchObject({ pool: "dedicated", term: "none", refused: "task-full", waitMs: 300 });
    expect(usageOf({ ...base, outcome: { kind: "limit", limit: "memory", used: 1, allowed: 1 } }, sources).limit).toBe("memory");
  });
});

/** The store of records: what stays, what goes, and what is there again. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { folderBodies, memoryBodies } from "../../src/memo/bodies.js";
import { Frequency } from "../../src/memo/frequency.js";
import type { MemoRecord } from "../../src/memo/record.js";
import { RecordStore, type StoreOptions } from "../../src/memo/store.js";
import { openState } from "../../src/state/lmdb.js";
import { memoryState } from "../../src/state/memory.js";
import type { StateStore } from "../../src/state/store.js";
import { tempDir } from "../support/files.js";

const FAR = 1e15;

function keyOf(n: number): string {
  // As good as random, as keys are.
  return [1, 2, 3, 4].map((i) => ((n * 2_654_435_761 * i + i) >>> 0).toString(16).padStart(8, "0")).join("");
}

interface Parts {
  readonly tenant?: string;
  readonly bytes?: number;
  readonly runMs?: number;
  readonly since?: number;
}

function record(n: number, { tenant = "acme", bytes = 1000, runMs = 1, since = 0 }: Parts = {}): MemoRecord {
  const answer = { kind: "call", json: "x".repeat(bytes) } as const;
  const trace = { reads: Buffer.alloc(0), since, tasks: [], files: [], depends: [], fetched: [] };
  return { key: keyOf(n), tenant, task: "a", version: "v1", run: "r", at: 0, runMs, what: "", answer, trace, notes: 0, until: FAR };
}

function long(n: number, body: Uint8Array): MemoRecord {
  const head = { status: 200, headers: [], trailers: undefined, etag: undefined };
  return { ...record(n), answer: { kind: "http", ...head, body: undefined, bytes: body.byteLength, digest: "d" } };
}

function store(options: Partial<StoreOptions> = {}, revision = 0): { readonly store: RecordStore; readonly errors: unknown[] } {
  const errors: unknown[] = [];
  let seed = 1;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  const usual = {
    state: memoryState(),
    bodies: memoryBodies(),
    budget: 1e7,
    memory: 1e7,
    random,
    report: (error: unknown) => void errors.push(error),
  };
  return { store: new RecordStore({ ...usual, ...options }, revision), errors };
}

describe("a record", () => {
  it("is there at once, and known to be on the disk once it is", async () => {
    const { store: records } = store();
    expect(records.get(keyOf(1))).toBeUndefined();
    expect(records.put(record(1), undefined, FAR, records.floors.next())).toBeUndefined();
    expect(records.get(keyOf(1))?.record).toEqual(record(1));
    expect(records.keeping(keyOf(1))).toBeInstanceOf(Promise);
    await records.keeping(keyOf(1));
    expect(records.keeping(keyOf(1))).toBeUndefined();
    expect(records.figures()).toMatchObject({ records: 1, evicted: 0, rejected: 0 });
  });

  it("takes the place of the one that its key had, and goes by key, task, tenant and time", () => {
    const { store: records } = store();
    for (const n of [1, 2, 3]) records.put(record(n), undefined, n * 10, records.floors.next());
    records.put(record(4, { tenant: "globex" }), undefined, FAR, records.floors.next());
    records.put(record(1, { runMs: 7 }), undefined, 10, records.floors.next());
    expect(records.get(keyOf(1))?.record.runMs).toBe(7);
    records.expire(10);
    expect(records.has(keyOf(1))).toBe(false);
    expect(records.purge({ tenant: "acme", key: keyOf(2).slice(0, 8) })).toBe(1);
    expect(records.purge({ tenant: "acme", task: "b" })).toBe(0);
    expect(records.purge({ tenant: "acme", task: "a" })).toBe(1);
    expect(records.figures().records).toBe(1);
    expect(records.list({ tenant: "globex" }, "", 10).map((each) => each.record.key)).toEqual([keyOf(4)]);
    records.purge({ tenant: "globex" });
    expect(records.figures()).toMatchObject({ records: 0, bytes: 0, memoryBytes: 0 });
  });

  it("outlives the process, with its body", async () => {
    const folder = tempDir();
    const bodies = folderBodies(join(folder, "bodies"));
    const first = openState(folder);
    const { store: before } = store({ state: first, bodies });
    const body = Buffer.alloc(100_000, "b");
    before.put(record(1, { since: 5 }), undefined, FAR, before.floors.next());
    before.put(record(2, { since: 9 }), undefined, FAR, before.floors.next());
    before.put(long(3, body), body, FAR, before.floors.next());
    before.put(long(4, body), body, FAR, before.floors.next());
    before.remove(keyOf(4));
    await before.close();
    await first.close();
    // A draft of a process that was killed.
    writeFileSync(join(folder, "bodies", keyOf(3).slice(0, 2), "ab.new"), "half");
    const second = openState(folder);
    onTestFinished(() => second.close());
    // The stores came back at 7 only: what was so at 9 never was.
    const { store: after } = store({ state: second, bodies }, 7);
    await after.tidy();
    await after.kept();
    expect(after.get(keyOf(1))?.record).toEqual(record(1, { since: 5 }));
    expect(after.get(keyOf(2))).toBeUndefined();
    const file = after.fileOf(keyOf(3)) as string;
    expect(await bodies.names()).toEqual([file]);
    expect(Buffer.concat(await (await bodies.read(file)).toArray()).equals(body)).toBe(true);
    expect(await bodies.digest("none")).toBeUndefined();
  });

  it("that is damaged is let go, and told of", async () => {
    const folder = tempDir();
    const first = openState(folder);
    const { store: before } = store({ state: first });
    before.put(record(1), undefined, FAR, before.floors.next());
    await before.close();
    const broken: StateStore = {
      ...first,
      get: () => {
        throw new Error("not what was written");
      },
    };
    const { store: after, errors } = store({ state: broken });
    onTestFinished(() => first.close());
    expect(after.has(keyOf(1))).toBe(true);
    expect(after.get(keyOf(1))).toBeUndefined();
    expect(after.has(keyOf(1))).toBe(false);
    expect(errors).toEqual([new Error("not what was written")]);
    await after.kept();
    expect(first.list({ name: "records" })).toEqual([]);
  });

  it("that cannot be written is none, which is told once", async () => {
    const full: StateStore = { ...memoryState(), commit: () => Promise.reject(new Error("the disk is full")) };
    const { store: records, errors } = store({ state: full });
    for (const n of [1, 2, 3]) records.put(record(n), undefined, FAR, records.floors.next());
    await records.kept();
    expect(records.figures()).toMatchObject({ records: 0, bytes: 0 });
    expect(errors).toEqual([new Error("the disk is full")]);
  });

  it("has its body by itself gone with it, whenever that is", async () => {
    const folder = join(tempDir(), "bodies");
    const bodies = folderBodies(folder);
    const { store: records } = store({ bodies });
    const body = Buffer.alloc(100_000);
    records.put(long(1, body), body, FAR, records.floors.next());
    records.remove(keyOf(1));
    records.put(long(2, body), body, FAR, records.floors.next());
    await records.close();
    records.remove(keyOf(2));
    await records.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await bodies.names()).toEqual([]);
    expect(readdirSync(folder).length).toBeGreaterThan(0);
    expect(() => readFileSync(join(folder, keyOf(1)))).toThrow();
  });
});

describe("when room is short", () => {
  it("never more is kept than the budget, and a record is at most a sixteenth of it", () => {
    const { store: records } = store({ budget: 100_000, memory: 20_000 });
    expect(records.put(record(0, { bytes: 7000 }), undefined, FAR, records.floors.next())).toBe("room");
    for (let n = 1; n < 500; n++) {
      records.put(record(n, { bytes: (n * 37) % 5000, runMs: (n * 13) % 50 }), undefined, FAR, records.floors.next());
      expect(records.figures().bytes).toBeLessThanOrEqual(100_000);
      expect(records.figures().memoryBytes).toBeLessThanOrEqual(26_000);
    }
    expect(records.figures().records).toBeGreaterThan(10);
  });

  it("what is dear, asked for or small stays before what is cheap, forgotten or large", () => {
    const { store: records } = store({ budget: 100_000 });
    for (let n = 0; n < 20; n++) records.put(record(n, { runMs: 100 }), undefined, FAR, records.floors.next());
    for (let n = 20; n < 40; n++) {
      records.put(record(n, { runMs: 1 }), undefined, FAR, records.floors.next());
      for (let i = 0; i < 200; i++) records.used(keyOf(n));
    }
    for (let n = 40; n < 400; n++) records.put(record(n, { runMs: 1, bytes: 3000 }), undefined, FAR, records.floors.next());
    const stay = (from: number, to: number): number =>
      Array.from({ length: to - from }, (_, i) => i + from).filter((n) => records.has(keyOf(n))).length;
    expect(stay(0, 20)).toBe(20);
    expect(stay(20, 40)).toBe(20);
    expect(records.figures().evicted + records.figures().rejected).toBeGreaterThan(300);
  });

  it("what was worth much once goes in the end", () => {
    const { store: records } = store({ budget: 50_000 });
    records.put(record(0, { runMs: 1000 }), undefined, FAR, records.floors.next());
    for (let n = 1; n < 20_000 && records.has(keyOf(0)); n++) {
      records.asked(keyOf(n));
      records.asked(keyOf(n));
      records.put(record(n, { runMs: 50 }), undefined, FAR, records.floors.next());
    }
    expect(records.has(keyOf(0))).toBe(false);
  });

  it("a tenant makes room among its own once it has its share, and takes nobody else's", () => {
    const { store: records } = store({ budget: 100_000 });
    for (let n = 0; n < 10; n++) records.put(record(n, { tenant: "globex", runMs: 1 }), undefined, FAR, records.floors.next());
    for (let n = 100; n < 1000; n++) records.put(record(n, { runMs: 1000 }), undefined, FAR, records.floors.next());
    for (let n = 0; n < 10; n++) expect(records.has(keyOf(n))).toBe(true);
    // And whoever comes later gets its share of what another has too much of.
    for (let n = 2000; n < 2030; n++) records.put(record(n, { tenant: "initech", runMs: 0.01 }), undefined, FAR, records.floors.next());
    expect(records.list({ tenant: "initech" }, "", 100).length).toBeGreaterThan(15);
  });

  it("memory holds what is used, and the rest is read from the disk", () => {
    const { store: records } = store({ memory: 20_000 });
    for (let n = 0; n < 200; n++) {
      records.put(record(n), undefined, FAR, records.floors.next());
      expect(records.get(keyOf(0))?.record.key).toBe(keyOf(0));
    }
    expect(records.figures().memoryBytes).toBeLessThanOrEqual(20_000);
    for (let n = 0; n < 200; n++) expect(records.get(keyOf(n))?.record).toEqual(record(n));
  });
});

describe("a record whose run began", () => {
  it("before that of the one that is there does not take its place", () => {
    const { store: records } = store();
    const [older, newer] = [records.floors.next(), records.floors.next()];
    expect(records.put(record(1, { runMs: 2 }), undefined, FAR, newer)).toBeUndefined();
    expect(records.put(record(1, { runMs: 1 }), undefined, FAR, older)).toBe("superseded");
    expect(records.get(keyOf(1))?.record.runMs).toBe(2);
  });

  it("before records were purged, or its own was forced, is not taken; that of another tenant or key is", () => {
    const { store: records } = store();
    const began = records.floors.next();
    records.purge({ tenant: "acme", task: "b" });
    expect(records.put(record(1), undefined, FAR, began)).toBe("superseded");
    expect(records.put(record(1, { tenant: "globex" }), undefined, FAR, began)).toBeUndefined();
    const later = records.floors.next();
    records.floors.raise("acme", keyOf(2));
    expect(records.put(record(2), undefined, FAR, later)).toBe("superseded");
    expect(records.put(record(3), undefined, FAR, later)).toBeUndefined();
    // Of more keys than are kept apart it goes for all of the tenant's.
    for (let n = 0; n < 10_001; n++) records.floors.raise("acme", `key ${n}`);
    expect(records.put(record(4), undefined, FAR, later)).toBe("superseded");
    expect(records.put(record(4), undefined, FAR, records.floors.next())).toBeUndefined();
  });
});

it("frequencies are about right, never too low between two halvings, and forget", () => {
  const counts = new Frequency(1024);
  for (let n = 0; n < 100; n++) for (let i = 0; i <= n; i++) counts.add(keyOf(n));
  for (let n = 0; n < 100; n++) {
    expect(counts.of(keyOf(n))).toBeGreaterThanOrEqual(n + 1);
    expect(counts.of(keyOf(n))).toBeLessThanOrEqual(n + 40);
  }
  const before = counts.of(keyOf(99));
  for (let n = 1000; n < 11_000; n++) counts.add(keyOf(n));
  expect(counts.of(keyOf(99))).toBeLessThan(before);
});

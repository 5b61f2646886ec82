/** Usage over HTTP: from runs in a book, through the control plane's desk, to what a key is shown. */
import { describe, expect, it } from "vitest";
import type { PoolSettings } from "../../../src/pool/types.js";
import type { Control } from "../../../src/control/control.js";
import { UsageDesk } from "../../../src/control/usage.js";
import { readManifest } from "../../../src/tasks/manifest.js";
import type { Task } from "../../../src/tasks/task.js";
import type { Caller, Scope } from "../../../src/tenants/tenant.js";
import { Tenants } from "../../../src/tenants/tenants.js";
import { HOUR, MiB, NOON, newBook, runOf, type Bench } from "../../observe/used.js";
import { expectProblem, startAdmin, type Client } from "./client.js";
import { FakeControl } from "./fake-control.js";

const OPERATOR: Caller = { kind: "operator", name: "test" };

interface Subject {
  readonly bench: Bench;
  readonly admin: Client;
  /** Asks with a key of this tenant. */
  readonly as: (tenant: string, scope?: Scope) => Promise<Client["ask"]>;
}

/** A node with the tenants acme and globex; each has a task `hello`. */
async function start(): Promise<Subject> {
  const bench = newBook({ priceAt: (pool) => (pool === "dedicated" ? 4 : 1) });
  const tenants = new Tenants(bench.store, () => NOON - 40 * 24 * HOUR);
  const control = new FakeControl();
  const admin = await startAdmin(control, {}, control.rootKey);
  for (const name of ["acme", "globex"]) {
    const plan = tenants.create(name, name === "acme" ? { capacity: { dedicated: 3 } } : {});
    await bench.store.commit(plan.changes);
    plan.apply();
    await control.createTenant(OPERATOR, name, {});
  }
  const manifest = readManifest({ name: "hello", component: "hello.wasm" }, "a manifest");
  const task = (tenant: string): Task => ({
    tenant,
    name: "hello",
    key: `${tenant}/hello`,
    version: { label: "v1", manifest } as Task["version"],
  });
  const cell = { cellBytes: 256 * MiB, cellSlots: 8, warming: 0 };
  const settings = { current: { pools: { shared: cell, dedicated: cell, variable: cell } } as PoolSettings };
  const desk = new UsageDesk({ tenants, usage: bench.book, settings, live: { all: (tenant) => [task(tenant)] } });
  Object.assign(control, { usage: desk.list.bind(desk), advice: desk.advice.bind(desk) } satisfies Partial<Control>);
  const as = async (tenant: string, scope: Scope = "read"): Promise<Client["ask"]> => {
    const { text: key } = await control.issueKey(OPERATOR, tenant, { scopes: [scope] });
    return (line, ask = {}) => admin.ask(line, { key, ...ask });
  };
  return { bench, admin, as };
}

const hours = (bench: Bench, count: number, over: Parameters<typeof runOf>[0] = {}): void => {
  for (let i = 0; i < count; i++) {
    bench.book.settled(runOf(over));
    bench.wall += HOUR;
  }
};
const brief = (answer: { json: { items: { from: string; tenant: string; task?: string; runs: number }[] } }): string[] =>
  answer.json.items.map(({ from, tenant, task, runs }) => `${from.slice(8, 13)} ${tenant} ${task ?? "*"} ${runs}`);

describe("usage", () => {
  it("is a row with every figure, in seconds and bytes, and its cost", async () => {
    const { bench, admin } = await start();
    for (let i = 0; i < 4; i++) bench.book.settled(runOf({ pool: "dedicated", waitMs: 10 * i, concurrent: i + 1 }));
    bench.book.settled(runOf({ pool: "dedicated", term: "none", refused: "task-full" }));
    const { json } = await admin.ask("GET usage");
    expect(json).toEqual({
      items: [
        {
          from: "2030-01-01T12:00:00.000Z",
          to: "2030-01-01T13:00:00.000Z",
          tenant: "acme",
          task: "hello",
          pool: "dedicated",
          term: "direct",
          price: 4,
          runs: 4,
          refused: 0,
          abandoned: 0,
          recalled: 0,
          refusals: {},
          runSeconds: 1,
          cpuSeconds: 0.5,
          gibSeconds: 1 / 8,
          cost: 1 / 2,
          waitSeconds: 0.06,
          maxWaitSeconds: 0.03,
          maxRunSeconds: 0.25,
          maxHeadSeconds: 0.2,
          rungs: { ready: 4, linked: 0, compiled: 0, stored: 0 },
          memory: { p95Bytes: 8 * MiB, maxBytes: 8 * MiB },
          peakConcurrency: 4,
          requestBytes: 40,
          responseBytes: 4000,
        },
        expect.objectContaining({ term: "none", runs: 0, refused: 1, refusals: { "task-full": 1 }, cost: 0 }),
      ],
      next: null,
    });
  });

  it("sums by hour, day, task or tenant, of one task or all, from a time until another", async () => {
    const { bench, admin } = await start();
    hours(bench, 26);
    bench.book.settled(runOf({ task: "other" }));
    bench.book.settled(runOf({ tenant: "globex" }));
    await bench.book.save();
    const ask = async (query: string): Promise<string[]> => brief(await admin.ask(`GET usage?${query}`));
    // The clock stands at 14:00 of the next day; a day before that is usual.
    expect(await ask("by=task")).toEqual(["01T14 acme hello 24", "01T14 acme other 1", "01T14 globex hello 1"]);
    expect(await ask("by=tenant&from=2030-01-01")).toEqual(["01T00 acme * 27", "01T00 globex * 1"]);
    expect(await ask("by=day&from=2030-01-01&task=hello")).toEqual(["01T00 acme hello 12", "02T00 acme hello 14", "02T00 globex hello 1"]);
    expect(await ask("from=2030-01-01T13:30:00Z&to=2030-01-01T15:00:00Z")).toEqual(["01T13 acme hello 1", "01T14 acme hello 1"]);
    expect((await admin.ask("GET usage?by=day&from=2030-01-01T13:00:00Z&to=2030-01-02T02:00:00Z")).json.items).toMatchObject([
      { from: "2030-01-01T13:00:00.000Z", to: "2030-01-02T00:00:00.000Z", runs: 11 },
      { from: "2030-01-02T00:00:00.000Z", to: "2030-01-02T02:00:00.000Z", runs: 2 },
    ]);
  });

  it.each(["hour", "day", "task", "tenant"])("by %s comes in pages that hold everything once, also while the hour turns", async (by) => {
    const { bench, admin } = await start();
    for (const task of ["a", "b"]) for (const tenant of ["acme", "globex"]) hours(bench, 3, { task, tenant });
    await bench.book.save();
    const path = `GET usage?from=2030-01-01&by=${by}`;
    const rowsOf = ({ json }: { json: { items: Record<string, unknown>[] } }): unknown[] =>
      json.items.map((row) => ({ ...row, to: undefined }));
    const whole = rowsOf(await admin.ask(path));
    const paged: unknown[] = [];
    let cursor = "";
    for (let i = 0; i < 20; i++) {
      const answer = await admin.ask(`${path}&limit=1${cursor}`);
      paged.push(...rowsOf(answer));
      if (answer.json.next === null) break;
      cursor = `&cursor=${answer.json.next}`;
      if (i === 1) bench.wall += HOUR;
    }
    expect(paged).toEqual(whole);
    expect(paged.length).toBeGreaterThan(1);
  });

  it("of other tenants is never shown to a tenant's key, whatever it asks for", async () => {
    const { bench, as } = await start();
    hours(bench, 2);
    hours(bench, 2, { tenant: "globex" });
    await bench.book.save();
    hours(bench, 1, { tenant: "globex" });
    const acme = await as("acme");
    for (const query of ["", "?by=task", "?by=tenant", "?task=hello", "?from=2020-01-01", "?by=day&from=2020-01-01&limit=1000"]) {
      const [all, own] = await Promise.all(["GET usage", "GET tenants/acme/usage"].map((line) => acme(line + query)));
      expect(all?.json.items.map(({ tenant }: { tenant: string }) => tenant)).toContain("acme");
      expect(all?.text).not.toContain("globex");
      expect(own?.json).toEqual(all?.json);
    }
    for (const what of ["usage", "advice"]) {
      const [theirs, nobodys] = await Promise.all(["globex", "nobody"].map((name) => acme(`GET tenants/${name}/${what}`)));
      expectProblem(theirs as never, 404, "request/no-such-thing", "There is no tenant globex.");
      expectProblem(nobodys as never, 404, "request/no-such-thing", "There is no tenant nobody.");
    }
  });

  it("takes a key with read", async () => {
    const { admin, as } = await start();
    const invoke = await as("acme", "invoke");
    for (const line of ["GET usage", "GET tenants/acme/usage", "GET tenants/acme/advice"]) {
      expectProblem(await invoke(line), 403, "request/forbidden", "This takes a key with the scope read.");
      expect((await admin.ask(line, { key: undefined })).status).toBe(401);
    }
  });

  it.each([
    ["from=yesterday", "from", "expected a time such as 2026-11-25T12:00:00Z, or a day such as 2026-11-25"],
    ["to=2030-13-01", "to", "expected a time such as 2026-11-25T12:00:00Z, or a day such as 2026-11-25"],
    ["from=2030-01-02&to=2030-01-01", "from", "is after to, which is 2030-01-01T00:00:00.000Z"],
    ["by=minute", "by", "expected one of hour, day, task, tenant"],
    ["tenant=acme", "tenant", "unknown field"],
    ["cursor=%C3%A9", "cursor", "expected what the page before gave as next"],
  ])("refuses ?%s", async (query, path, detail) => {
    const { admin } = await start();
    expectProblem(await admin.ask(`GET usage?${query}`), 422, "request/invalid", `${path}: ${detail}`, [{ path, detail }]);
  });
});

describe("advice", () => {
  it("is on each of a tenant's tasks, then on its cells", async () => {
    const { bench, as } = await start();
    for (let i = 0; i < 150; i++) bench.book.settled(runOf({ pool: "dedicated" }));
    const acme = await as("acme");
    const { json } = await acme("GET tenants/acme/advice");
    expect(json.items.map(({ task, field, change }: Record<string, string>) => [task, field, change])).toEqual([
      ["hello", "limits.memory", "lower"],
      ["hello", "limits.timeout", "keep"],
      ["hello", "limits.concurrency", "keep"],
      ["hello", "capacity.pool", "keep"],
      ["hello", "capacity.ready", "keep"],
      [undefined, "dedicated", "lower"],
    ]);
    expect(json.items[0]).toEqual({
      task: "hello",
      field: "limits.memory",
      change: "lower",
      set: "128MiB",
      suggested: "12MiB",
      why: "95 % of 150 runs took at most 8MiB, and none more than 8MiB",
    });
    expect((await acme("GET tenants/acme/advice?task=other")).json.items.map(({ field }: { field: string }) => field)).toEqual([
      "dedicated",
    ]);
    expect((await acme("GET tenants/acme/advice?from=2020-01-01&to=2020-01-02")).json.items[0]).toMatchObject({ change: "unknown" });
  });
});

/** The operator's side of capacity: what adds up, what is refused with its sum, and what the pool is told. */
import { describe, expect, it } from "vitest";
import { usualCapacity } from "../../src/config/capacity.js";
import { CapacityDesk, plan, type CapacityPort } from "../../src/control/capacity.js";
import { Ledger } from "../../src/control/ledger.js";
import { NodeCapacity } from "../../src/control/node-capacity.js";
import { TaskDesk, type TaskPorts } from "../../src/control/tasks.js";
import { TenantDesk, type TenantPorts } from "../../src/control/tenants.js";
import type { PoolSettings } from "../../src/pool/types.js";
import type { CellView, PoolView, ProgramView } from "../../src/pool/views.js";
import { Catalog } from "../../src/tasks/catalog.js";
import { Router } from "../../src/tasks/router.js";
import { callerOf } from "../../src/tenants/access.js";
import { Audit } from "../../src/tenants/audit.js";
import { HighWaterClock } from "../../src/tenants/high-water.js";
import { Keys } from "../../src/tenants/keys.js";
import { TenantGates } from "../../src/tenants/quotas.js";
import { Secrets } from "../../src/tenants/secrets.js";
import { USUAL_TERMS, type Caller, type CapacityTerms, type Scope, type TenantSettings } from "../../src/tenants/tenant.js";
import { Tenants } from "../../src/tenants/tenants.js";
import { fakeTask } from "../tasks/fake-task.js";
import { problemOf, saidBy, newState, type State } from "../tenants/state.js";

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const OPERATOR: Caller = { kind: "operator", name: "test" };
/** 8 GiB, of which 1 for the lobby: room for 56 cells of 128 MiB, 15 slots each. */
const SETTINGS = usualCapacity(1000, 16 * GiB);

function key(tenant: string | undefined, ...scopes: Scope[]): Caller {
  return callerOf({ id: "k", tenant, scopes, note: undefined, createdAt: "", expiresAt: undefined });
}

function cellView(cell: number, tenant: string | undefined, more: Partial<CellView> = {}): CellView {
  const empty = { chargedBytes: 0, slots: 15, busy: 0, idle: 0, starting: 0, programs: [], idleMs: 5, sick: undefined };
  return { cell, tenant, pool: "shared", state: tenant === undefined ? "warming" : "active", bytes: 128 * MiB, ...empty, ...more };
}

/** A pool that does nothing and remembers what it was told. */
class FakePool implements CapacityPort {
  readonly told: string[] = [];
  settings: PoolSettings | undefined;
  list: CellView[] = [cellView(9, "globex", { programs: [3] }), cellView(4, "acme", { programs: [2, 1, 7] }), cellView(11, undefined)];
  cells = (): CellView[] => this.list;
  programs = (): ProgramView[] => ["acme/a", "acme/b", "globex/c"].map((task, i) => ({ program: i + 1, task }) as ProgramView);
  view = (): PoolView => ({
    budgetBytes: 8 * GiB,
    cellBytes: GiB,
    lobbyBytes: GiB,
    lobbyChargedBytes: 0,
    reservedRuns: 0,
    waiting: 0,
    leases: 0,
    runLimit: Infinity,
    draining: false,
    pools: [],
  });
  totals = (): ReturnType<CapacityPort["totals"]> => ({
    rungs: {},
    passed: {},
    refused: {},
    expired: 0,
    evictedInstances: 0,
    evictedPrograms: 0,
    foreseen: 0,
  });
  configure(settings: PoolSettings): void {
    this.settings = settings;
    this.told.push("configure");
  }
  terms(tenant: string, { dedicated, whenFull }: CapacityTerms): void {
    this.told.push(`terms ${tenant} ${dedicated} ${whenFull.join(",")}`);
  }
  drain(what: object): void {
    this.told.push(`drain ${JSON.stringify(what)}`);
  }
  resume(what: object): void {
    this.told.push(`resume ${JSON.stringify(what)}`);
  }
}

interface Bench {
  readonly state: State;
  readonly pool: FakePool;
  readonly desk: CapacityDesk;
  readonly tenants: TenantDesk;
  readonly tasks: TaskDesk;
  readonly known: Tenants;
  readonly audit: () => { action: string; tenant: string | undefined; subject: string; before: unknown; after: unknown }[];
  /** A version that requests lead to; it is stored as well. */
  live(tenant: string, name: string, fields: object): Promise<void>;
}

async function bench(tenants: Readonly<Record<string, TenantSettings>> = {}, settings = SETTINGS, state = newState()): Promise<Bench> {
  const clock = new HighWaterClock(state.store, state.time);
  const audit = new Audit(state.store, clock);
  const ledger = new Ledger(state.store, audit);
  const known = new Tenants(state.store, state.time);
  const catalog = new Catalog(state.store, state.time);
  const router = new Router();
  const pool = new FakePool();
  const node = new NodeCapacity(state.store, settings);
  const desk = new CapacityDesk({ ledger, tenants: known, catalog, router, capacity: pool, settings: node });
  const noStores = { stores: () => [], usage: () => 0, quota: () => null, removeTenant: async () => {} };
  const tenantDesk = new TenantDesk({
    ledger,
    catalog,
    router,
    tenants: known,
    keys: new Keys(state.store, clock),
    secrets: Secrets.inMemory(state.store, state.time),
    gates: new TenantGates(() => ({})),
    stores: noStores as unknown as TenantPorts["stores"],
    capacityDesk: desk,
    gone: () => {},
  });
  const tasks = new TaskDesk({
    ledger,
    catalog,
    tenants: known,
    secrets: Secrets.inMemory(state.store, state.time),
    capacityDesk: desk,
    live: { link: async () => new Map() },
  } as unknown as TaskPorts);
  for (const [name, each] of Object.entries(tenants)) await tenantDesk.create(OPERATOR, name, each);
  pool.told.length = 0;
  return {
    state,
    pool,
    desk,
    known,
    tenants: tenantDesk,
    tasks,
    audit: () => [...audit.list({}).items],
    async live(tenant, name, fields) {
      const manifest = { name, component: "a.wasm", ...fields };
      const version = { digest: "d".repeat(64), componentBytes: 1, manifest, createdAt: "", createdBy: "test" };
      const to = { name: "live", to: { targets: { new: 1 } } };
      const { lastVersion } = await state.run(catalog.edit(tenant, name, { addVersion: version, setAlias: to }));
      const fake = fakeTask(name, fields);
      const task = { ...fake, tenant, key: `${tenant}/${name}`, version: { ...fake.version, label: `v${lastVersion}` } };
      router.plan(tenant, [{ tenant, name, choices: [{ task, weight: 1 }], sticky: undefined }])();
    },
  };
}

/** `CODE: detail` of the problem that a promise ends in. */
async function refusal(work: () => Promise<unknown>): Promise<string> {
  const problem = await work().then(
    () => undefined,
    (error: unknown) => error,
  );
  return saidBy(() => {
    if (problem !== undefined) throw problem; // oxlint-disable-line typescript/only-throw-error -- as it came
  });
}

const terms = (name: string, change: Partial<CapacityTerms>): { name: string; capacity: CapacityTerms } => ({
  name,
  capacity: { ...USUAL_TERMS, ...change },
});

describe("terms that the node has", () => {
  it("may take all room that there is for cells, and share ceilings", () => {
    plan(SETTINGS, [terms("acme", { dedicated: 50, variableCeiling: 0.5 }), terms("globex", { dedicated: 6, variableCeiling: 0.5 })]);
    plan(SETTINGS, []);
  });

  it.each<[string, CapacityTerms[] | { name: string; capacity: CapacityTerms }[], string]>([
    [
      "more dedicated cells than fit",
      [terms("acme", { dedicated: 4 }), terms("idle", {}), terms("globex", { dedicated: 60 })],
      "request/conflict: acme 4 + globex 60 dedicated cells of 128MiB come to 8GiB; the node has 7GiB for cells.",
    ],
    [
      "one cell too many",
      [terms("acme", { dedicated: 57 })],
      "request/conflict: acme 57 dedicated cells of 128MiB come to 7.1GiB; the node has 7GiB for cells.",
    ],
    [
      "many tenants, of whom ten are named",
      Array.from({ length: 12 }, (_, i) => terms(`t${i}`, { dedicated: 5 })),
      `request/conflict: ${Array.from({ length: 10 }, (_, i) => `t${i} 5`).join(" + ")} + 2 others 10 dedicated cells of 128MiB come to 7.5GiB; the node has 7GiB for cells.`,
    ],
    [
      "a ceiling above that of all",
      [terms("acme", { variableCeiling: 0.6 })],
      "request/conflict: acme may have 60% of the budget in variable cells; all tenants together may have 50%.",
    ],
    [
      "a ceiling below one cell",
      [terms("acme", { variableCeiling: 0.01 })],
      "request/conflict: acme's 1% of the budget of 8GiB are 81.9MiB; one variable cell has 128MiB.",
    ],
  ])("are not %s", (_title, tenants, says) => {
    expect(saidBy(() => plan(SETTINGS, tenants as { name: string; capacity: CapacityTerms }[]))).toBe(says);
  });

  it("are none of settings that contradict each other", () => {
    expect(problemOf(() => plan({ ...SETTINGS, instanceIdle: 360_000 }, []))).toMatchObject({
      code: "request/invalid",
      errors: [{ field: "instanceIdle" }],
    });
  });

  it("need not fit when they did not before, if a change makes it no worse", () => {
    const tenants = (cells: number, ceiling: number) => [
      terms("acme", { dedicated: 60, variableCeiling: ceiling }),
      terms("globex", { dedicated: cells }),
    ];
    const before = { settings: SETTINGS, tenants: tenants(60, 0.9) };
    for (const [cells, ceiling] of [
      [60, 0.9],
      [20, 0.8],
      [0, 0.9],
    ] as const)
      plan(SETTINGS, tenants(cells, ceiling), before);
    expect(saidBy(() => plan(SETTINGS, tenants(61, 0.9), before))).toMatch(/acme 60 \+ globex 61/);
    expect(saidBy(() => plan(SETTINGS, tenants(0, 0.95), before))).toMatch(/acme may have 95%/);
    expect(saidBy(() => plan(SETTINGS, [...tenants(0, 0.9), terms("other", { variableCeiling: 0.7 })], before))).toMatch(
      /other may have 70%/,
    );
  });
});

describe("a tenant's terms", () => {
  it("are told to the pool once they are stored, and shown", async () => {
    const { tenants, pool, audit } = await bench({ acme: {} });
    const shown = await tenants.update(OPERATOR, "acme", { capacity: { dedicated: 4, whenFull: ["reject"] } }, undefined);
    expect(shown.capacity).toEqual({ dedicated: 4, variableCeiling: 0, whenFull: ["reject"], weight: 1 });
    expect(pool.told).toEqual(["terms acme 4 reject"]);
    expect(audit()[0]).toMatchObject({ action: "tenant.update", before: { capacity: USUAL_TERMS }, after: { capacity: { dedicated: 4 } } });
    await tenants.create(OPERATOR, "globex", { capacity: { dedicated: 2 } });
    expect(pool.told.at(-1)).toBe("terms globex 2 wait,spill,reject");
    // What is not about capacity is none of the pool's business.
    await tenants.update(OPERATOR, "acme", { quotas: { tasks: 3 } }, undefined);
    expect(pool.told).toHaveLength(2);
  });

  it("that do not fit beside the others' change nothing", async () => {
    const { tenants, pool, known } = await bench({ acme: { capacity: { dedicated: 50 } }, globex: {} });
    const says = "request/conflict: acme 50 + globex 7 dedicated cells of 128MiB come to 7.1GiB; the node has 7GiB for cells.";
    expect(await refusal(() => tenants.update(OPERATOR, "globex", { capacity: { dedicated: 7 } }, undefined))).toBe(says);
    expect(await refusal(() => tenants.create(OPERATOR, "other", { capacity: { dedicated: 7 } }))).toBe(says.replace("globex", "other"));
    expect([known.get("globex")?.capacity.dedicated, known.get("other"), pool.told]).toEqual([0, undefined, []]);
    // Its own cells do not count twice.
    await tenants.update(OPERATOR, "acme", { capacity: { dedicated: 56 } }, undefined);
  });

  it("that live tasks pick cannot be taken away; the tasks are named", async () => {
    const b = await bench({ acme: { capacity: { dedicated: 4, variableCeiling: 0.2 } } });
    await b.live("acme", "big", { limits: { memory: "384MiB" } });
    await b.live("acme", "own", { capacity: { pool: "dedicated", whenFull: "spill" } });
    await b.live("acme", "loose", { capacity: { pool: "variable" } });
    const set = (capacity: Partial<CapacityTerms>): Promise<string> =>
      refusal(() => b.tenants.update(OPERATOR, "acme", { capacity }, undefined));
    expect(await set({ dedicated: 0 })).toBe(
      "request/conflict: Live tasks of acme need what would go: own (capacity.pool: this tenant has no dedicated capacity; its operator grants it).",
    );
    expect(await set({ variableCeiling: 0 })).toMatch(/need what would go: loose \(capacity\.pool: this tenant has no variable capacity/);
    expect(await set({ whenFull: ["wait"] })).toMatch(
      /need what would go: own \(capacity\.whenFull: "spill" is not among this tenant's terms/,
    );
    expect(await set({ dedicated: 2 })).toBe(
      "request/conflict: Live tasks of acme need what would go: big (limits.memory: 384MiB do not fit: this tenant's 2 dedicated cells hold 256MiB together).",
    );
    expect(b.pool.told).toEqual([]);
    await b.tenants.update(OPERATOR, "acme", { capacity: { dedicated: 3, whenFull: ["spill", "reject"] } }, undefined);
    expect(b.pool.told).toEqual(["terms acme 3 spill,reject"]);
  });

  it("names ten tasks of many", async () => {
    const b = await bench({ acme: { capacity: { dedicated: 1 } } });
    for (let i = 10; i < 22; i++) await b.live("acme", `t${i}`, { capacity: { pool: "dedicated" } });
    const says = await refusal(() => b.tenants.update(OPERATOR, "acme", { capacity: { dedicated: 0 } }, undefined));
    expect(says.match(/t\d+ \(/g)).toHaveLength(10);
    expect(says).toMatch(/; and 2 more\.$/);
  });

  it("go with it, and it is not drained any more when one of its name is made anew", async () => {
    const { tenants, desk, pool } = await bench({ acme: { capacity: { dedicated: 4 } } });
    await desk.drain(OPERATOR, "acme");
    await tenants.delete(OPERATOR, "acme", undefined);
    expect(pool.told).toEqual(['drain {"tenant":"acme"}', "terms acme 0 wait,spill,reject", 'resume {"tenant":"acme"}']);
    await tenants.create(OPERATOR, "acme", {});
    expect(desk.capacity(OPERATOR).drained).toEqual([]);
  });
});

describe("a deploy", () => {
  const input = (fields: object): { manifest: object; component: Uint8Array } => ({
    manifest: { name: "a", component: "a.wasm", ...fields },
    component: new Uint8Array(1),
  });

  it("that picks what its tenant does not have is refused by its fields", async () => {
    const { tasks } = await bench({ acme: { capacity: { whenFull: ["wait"] } } });
    const wrong = input({ capacity: { pool: "dedicated", whenFull: "reject" }, secrets: ["MISSING"] });
    await expect(tasks.deploy(OPERATOR, "acme", wrong)).rejects.toMatchObject({
      problem: {
        code: "request/invalid",
        errors: [
          { field: "manifest.capacity.pool", message: "this tenant has no dedicated capacity; its operator grants it" },
          {
            field: "manifest.capacity.whenFull",
            message: `"reject" is not among this tenant's terms, which are wait; its operator sets them`,
          },
          { field: "manifest.secrets[0]" },
        ],
      },
    });
    expect(await refusal(() => tasks.deploy(OPERATOR, "acme", input({ limits: { memory: "8GiB" } })))).toBe(
      "request/invalid: manifest.limits.memory: 8GiB do not fit: the node's 56 shared cells hold 7GiB together",
    );
  });

  it("cannot be gone back to once its terms are gone", async () => {
    const b = await bench({ acme: { capacity: { dedicated: 1 } } });
    await b.live("acme", "a", { capacity: { pool: "dedicated" } });
    await b.live("acme", "a", {});
    await b.tenants.update(OPERATOR, "acme", { capacity: { dedicated: 0 } }, undefined);
    const says =
      "request/conflict: v1 picks what there is not: capacity.pool: this tenant has no dedicated capacity; its operator grants it.";
    expect(await refusal(() => b.tasks.rollback(OPERATOR, "acme", "a", "live", undefined))).toBe(says);
    expect(await refusal(() => b.tasks.setAlias(OPERATOR, "acme", "a", "live", { targets: { v1: 1, v2: 1 } }, undefined))).toBe(says);
    await b.tasks.setAlias(OPERATOR, "acme", "a", "old", { targets: { v1: 1 } }, undefined);
  });
});

describe("the node's settings", () => {
  it("are changed in part, stored, told to the pool, and there after a restart", async () => {
    const { desk, pool, state, audit } = await bench();
    const info = await desk.setCapacity(OPERATOR, { overcommit: 4, pools: { shared: { warming: 5 } } });
    expect(info).toMatchObject({
      settings: { overcommit: 4, cellIdle: 360_000 },
      set: { overcommit: 4, pools: { shared: { warming: 5 } } },
    });
    expect([pool.told, pool.settings]).toEqual([["configure"], info.settings]);
    expect(audit()[0]).toMatchObject({
      action: "capacity.set",
      tenant: undefined,
      subject: "capacity of the node",
      before: {},
      after: { overcommit: 4, pools: { shared: { warming: 5 } } },
    });
    const again = await bench({}, SETTINGS, state);
    expect(again.desk.capacity(OPERATOR).settings).toEqual(info.settings);
    expect((await again.desk.resetCapacity(OPERATOR)).settings).toEqual(SETTINGS);
    expect(again.pool.settings).toEqual(SETTINGS);
    expect(again.audit()[0]).toMatchObject({ action: "capacity.reset", before: { overcommit: 4 }, after: {} });
  });

  it("that do not add up are refused, and nothing changes", async () => {
    const b = await bench({ acme: { capacity: { dedicated: 20, variableCeiling: 0.4 } } });
    const set = (change: Parameters<CapacityDesk["setCapacity"]>[1]): Promise<string> =>
      refusal(() => b.desk.setCapacity(OPERATOR, change));
    expect(await set({ budgetBytes: GiB })).toBe("request/invalid: lobbyBytes: a lobby of 1GiB leaves no cells of a budget of 1GiB");
    expect(await set({ budgetBytes: 2 * GiB })).toBe(
      "request/conflict: acme 20 dedicated cells of 128MiB come to 2.5GiB; the node has 1GiB for cells.",
    );
    expect(await set({ pools: { dedicated: { cellBytes: GiB } } })).toBe(
      "request/conflict: acme 20 dedicated cells of 1GiB come to 20GiB; the node has 7GiB for cells.",
    );
    expect(await set({ variableCeiling: 0.3 })).toBe(
      "request/conflict: acme may have 40% of the budget in variable cells; all tenants together may have 30%.",
    );
    expect(await set({ pools: { shared: { warming: 60 } } })).toMatch(
      /^request\/invalid: pools\.shared\.warming: 60 warming cells of 128MiB come to 7\.5GiB/,
    );
    expect(b.pool.told).toEqual([]);
    expect(b.desk.capacity(OPERATOR)).toMatchObject({ settings: SETTINGS, set: {} });
  });

  it("cannot take the room of a live task", async () => {
    const b = await bench({ acme: { capacity: { dedicated: 4 } } });
    await b.live("acme", "big", { limits: { memory: "512MiB" } });
    expect(await refusal(() => b.desk.setCapacity(OPERATOR, { pools: { dedicated: { cellBytes: 64 * MiB } } }))).toBe(
      "request/conflict: Live tasks of acme need what would go: big (limits.memory: 512MiB do not fit: this tenant's 4 dedicated cells hold 256MiB together).",
    );
  });

  it("that a smaller machine has made wrong are told at the start, and can be mended one by one", async () => {
    const { state } = await bench({ acme: { capacity: { dedicated: 30 } }, globex: { capacity: { dedicated: 20 } } });
    const small = await bench({}, usualCapacity(1000, 4 * GiB), state);
    expect(small.desk.restore()).toEqual(["acme 30 + globex 20 dedicated cells of 128MiB come to 6.3GiB; the node has 1.8GiB for cells."]);
    expect(small.pool.told).toEqual([
      "terms acme 30 wait,spill,reject",
      "terms default 0 wait,spill,reject",
      "terms globex 20 wait,spill,reject",
    ]);
    await small.desk.setCapacity(OPERATOR, { cellIdle: 900_000 });
    await small.tenants.update(OPERATOR, "acme", { capacity: { dedicated: 10 } }, undefined);
    await small.tenants.update(OPERATOR, "globex", { capacity: { dedicated: 4 } }, undefined);
    expect(small.desk.restore()).toEqual([]);
  });

  it("that were set and contradict a new configuration are told at the start", async () => {
    const { desk, state } = await bench();
    await desk.setCapacity(OPERATOR, { lobbyBytes: 4 * GiB });
    const small = await bench({}, usualCapacity(1000, 4 * GiB), state);
    expect(small.desk.restore()).toEqual([
      "what was set on the running node is passed over: lobbyBytes: a lobby of 4GiB leaves no cells of a budget of 2GiB",
    ]);
  });
});

describe("what is seen", () => {
  it("by a key of the node is every cell, with its tasks", async () => {
    const { desk } = await bench({ acme: {}, globex: {} });
    const { items, next } = desk.cells(key(undefined, "read"), { limit: 2 });
    expect(items.map(({ cell, tenant, tasks }) => [cell, tenant, tasks])).toEqual([
      [4, "acme", ["acme/a", "acme/b"]],
      [9, "globex", ["globex/c"]],
    ]);
    expect(items[0]).not.toHaveProperty("programs");
    expect(desk.cells(OPERATOR, { cursor: next }).items.map(({ cell }) => cell)).toEqual([11]);
  });

  it("by a tenant's key is its own cells alone, by numbers that count no others", async () => {
    const { desk, pool } = await bench({ acme: {}, globex: {} });
    expect(desk.cells(key("globex", "read"), {}).items).toMatchObject([{ cell: 1, tenant: "globex", tasks: ["globex/c"] }]);
    const before = JSON.stringify(desk.cells(key("globex", "read"), {}));
    pool.list = [cellView(3, "acme"), cellView(77, "globex", { programs: [3] }), cellView(12, "acme")];
    expect(JSON.stringify(desk.cells(key("globex", "read"), {}))).toBe(before);
    expect(saidBy(() => desk.cells(key("globex", "invoke"), {}))).toBe("request/forbidden: This takes a key with the scope read.");
    expect(saidBy(() => desk.capacity(key("globex", "admin")))).toBe(
      "request/forbidden: This takes a key of the node; the key is a tenant's.",
    );
    expect(saidBy(() => desk.cells({ kind: "anonymous" }, {}))).toMatch(/^request\/unauthorized/);
  });

  it("by a tenant's key is in an order that does not tell which cell was made first", async () => {
    const { desk, pool } = await bench({ globex: {} });
    const dedicated = { pool: "dedicated" } as const;
    const listed = (first: number, second: number, third: number): string => {
      pool.list = [cellView(first, "globex", { programs: [3] }), cellView(second, "globex", dedicated), cellView(third, "globex")];
      return JSON.stringify(desk.cells(key("globex", "read"), {}));
    };
    const before = listed(3, 4, 5);
    expect(JSON.parse(before)).toMatchObject({
      items: [
        { cell: 1, tasks: [] },
        { cell: 2, tasks: ["globex/c"] },
        { cell: 3, ...dedicated },
      ],
    });
    expect([listed(5, 4, 3), listed(4, 3, 9), listed(12, 1, 7)]).toEqual([before, before, before]);
    const { next } = desk.cells(key("globex", "read"), { limit: 2 });
    expect(desk.cells(key("globex", "read"), { cursor: next }).items).toMatchObject([{ cell: 3, ...dedicated }]);
  });

  it("is no limit of runs where there is none", async () => {
    const { desk, pool } = await bench();
    expect(desk.capacity(key(undefined, "read")).now.runLimit).toBeUndefined();
    const view = pool.view();
    pool.view = () => ({ ...view, runLimit: 7 });
    expect(desk.capacity(OPERATOR).now.runLimit).toBe(7);
  });
});

describe("draining", () => {
  it("of a cell, a tenant and the node is told to the pool and noted", async () => {
    const { desk, pool, audit } = await bench({ acme: {} });
    await desk.drainCell(OPERATOR, "4");
    await desk.drain(OPERATOR, "acme");
    await desk.drain(OPERATOR, undefined);
    expect(desk.capacity(OPERATOR).drained).toEqual(["acme"]);
    await desk.resume(OPERATOR, "acme");
    await desk.resume(OPERATOR, undefined);
    expect(desk.capacity(OPERATOR).drained).toEqual([]);
    expect(pool.told).toEqual(['drain {"cell":4}', 'drain {"tenant":"acme"}', "drain {}", 'resume {"tenant":"acme"}', "resume {}"]);
    expect(
      audit()
        .slice(0, 5)
        .map(({ action, tenant, subject }) => `${action} ${tenant} ${subject}`),
    ).toEqual([
      "node.resume undefined the node",
      "tenant.resume acme tenant acme",
      "node.drain undefined the node",
      "tenant.drain acme tenant acme",
      "cell.drain undefined cell 4",
    ]);
  });

  it("of what is not there is refused", async () => {
    const { desk, pool } = await bench();
    for (const id of ["5", "04", "-1", "x", ""])
      expect(await refusal(() => desk.drainCell(OPERATOR, id))).toBe(`request/no-such-thing: There is no cell ${id}.`);
    expect(await refusal(() => desk.drain(OPERATOR, "acme"))).toBe("request/no-such-thing: There is no tenant acme.");
    expect(await refusal(() => desk.resume(OPERATOR, "acme"))).toBe("request/no-such-thing: There is no tenant acme.");
    expect(pool.told).toEqual([]);
  });

  it("and every change of settings is for the node's admin keys", async () => {
    const { desk, pool } = await bench({ acme: {} });
    const wishes = (caller: Caller): (() => unknown)[] => [
      () => desk.setCapacity(caller, { overcommit: 2 }),
      () => desk.resetCapacity(caller),
      () => desk.drainCell(caller, "4"),
      () => desk.drain(caller, undefined),
      () => desk.drain(caller, "acme"),
      () => desk.resume(caller, undefined),
      () => desk.resume(caller, "acme"),
    ];
    for (const wish of wishes(key("acme", "admin")))
      expect(saidBy(wish)).toBe("request/forbidden: This takes a key of the node; the key is a tenant's.");
    for (const wish of wishes(key(undefined, "deploy")))
      expect(saidBy(wish)).toBe("request/forbidden: This takes a key with the scope admin.");
    expect(pool.told).toEqual([]);
  });
});

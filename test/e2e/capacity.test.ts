/** Capacity as operators and tenants meet it: a whole node, with runs that really go on. */
import { describe, expect, it } from "vitest";
import { tempDir } from "../support/files.js";
import { cells, startNode, type TenantsNode } from "../support/tenants.js";
import { until } from "../support/until.js";

/** Of a GiB-second. */
const PRICES = {
  shared: { windows: [], otherwise: 1 },
  dedicated: { windows: [], otherwise: 0.8 },
  variable: { windows: [], otherwise: 0.5 },
};

const REUSED = { reuse: { maxRequests: 1000 } };

/** No cell holds programs of another tenant than its own. */
function expectApart(node: TenantsNode): void {
  for (const { tenant, tasks } of node.cells()) for (const task of tasks) expect(task.split("/")[0]).toBe(tenant);
}

describe("the ladder", () => {
  it("goes from a warming cell to the tenant's own, and from there to other tenants' idle ones", async () => {
    const node = await startNode({ capacity: cells(2, { warming: 2 }) });
    for (const tenant of ["acme", "globex", "initech"]) {
      await node.tenant(tenant);
      await node.task(tenant, "echo-p2", REUSED);
    }
    await node.task("acme", "hello-p2", { routes: ["acme.test/hello"] });
    expect(node.pool("shared")).toMatchObject({ cells: 2, warming: 2, active: 0, assigned: 0 });

    const first = await node.ask("acme", "/");
    expect(first).toMatchObject({ status: 200, capacity: "warming/linked", pool: "shared", term: "direct" });
    expect(first.why).toEqual(["own/ready: none is idle", "own: the tenant has no cell"]);
    expect(node.pool("shared")).toMatchObject({ cells: 2, warming: 1, active: 1, assigned: 1 });

    const { cell } = first;
    expect(await node.ask("acme", "/")).toMatchObject({ status: 200, capacity: "own/ready", cell, why: [] });
    const both = [await node.hold("acme"), await node.hold("acme")];
    expect(both.map((run) => [run.capacity, run.cell])).toEqual([
      ["own/ready", cell],
      ["own/linked", cell],
    ]);
    for (const run of both) await run.end();
    expect(await node.ask("acme", "/hello")).toMatchObject({ text: "Hello, WASI!\n", capacity: "own/linked", cell });
    expect(node.pool("shared")).toMatchObject({ cells: 2, warming: 1, active: 1, assigned: 1 });

    const other = await node.ask("globex", "/");
    expect(other).toMatchObject({ status: 200, capacity: "warming/linked" });
    expect(other.cell).not.toBe(cell);
    expect(node.pool("shared")).toMatchObject({ cells: 2, warming: 0, active: 2, assigned: 2 });
    expectApart(node);

    const third = await node.ask("initech", "/");
    expect(third).toMatchObject({ status: 200, capacity: "reclaimed/linked" });
    expect([cell, other.cell]).not.toContain(third.cell);
    expect(node.pool("shared")).toMatchObject({ cells: 2, warming: 0, active: 2, reclaimed: 1 });
    expectApart(node);
  });

  it("ends in waiting: with all cells busy nobody borrows, nobody is ended, and nobody is stuck", async () => {
    const node = await startNode({ capacity: cells(2, { warming: 2, slots: 1 }) });
    for (const tenant of ["acme", "globex", "initech"]) {
      await node.tenant(tenant);
      await node.task(tenant, "echo-p2");
    }
    const going = [await node.hold("acme"), await node.hold("globex")];
    // The ones that have a cell want more, and so does one that has none.
    const more = ["initech", "acme", "globex", "initech"].map((tenant) => node.ask(tenant, "/"));
    await until("they wait", () => node.runtime.stats().pool.waiting === 4);
    expect(node.pool("shared")).toMatchObject({ cells: 2, warming: 0 });
    expectApart(node);
    for (const run of going) expect((await run.end()).status).toBe(200);
    const late = await Promise.all(more);
    for (const run of late) expect(run).toMatchObject({ status: 200, term: "wait" });
    expectApart(node);
  });

  it("passes over code without room for room without code, and says why in the log and in the record", async () => {
    const node = await startNode({ capacity: cells(2, { warming: 2, overcommit: 1 }) });
    await node.tenant("acme");
    const large = { ...REUSED, limits: { memory: "40MiB" } };
    await node.task("acme", "hello-p2", { ...large, routes: ["acme.test/hello"] });
    await node.task("acme", "echo-p2", large);
    const before = await node.ask("acme", "/hello");
    const held = await node.hold("acme");
    expect(held.cell).toBe(before.cell);

    const run = await node.ask("acme", "/hello");
    expect(run).toMatchObject({ status: 200, capacity: "warming/linked" });
    expect(run.cell).not.toBe(before.cell);
    const why = ["own/ready: idle ones are in cells without room to run", "own: no cell of the tenant has room"];
    expect(run.why).toEqual(why);
    expect(await node.log.run(run.run)).toMatchObject({ capacity: "warming/linked", pool: "shared", why });
    const record = (await (await node.get(`/-/runs/${run.run}`)).json()) as object;
    expect(record).toMatchObject({ capacity: "warming/linked", why });
    // Cells are numbered over all tenants, so their numbers are not for clients.
    expect(record).not.toHaveProperty("cell");
    expect(node.runtime.runRecord(run.run)).toMatchObject({ cell: run.cell });
    await held.end();
  });
});

describe("who may not", () => {
  it("moves no counter of any pool: without a key, with one that nobody has, and with one of another tenant", async () => {
    const node = await startNode({ capacity: cells(4, { warming: 2 }) });
    const { control, operator } = node.runtime;
    for (const tenant of ["acme", "globex"]) await node.tenant(tenant);
    await node.task("acme", "behave-p2", { access: "key", capacity: { ready: 1 } });
    const { text: right } = await control.issueKey(operator, "acme", { scopes: ["invoke"] });
    const { text: foreign } = await control.issueKey(operator, "globex", { scopes: ["admin"] });
    await until("one is ready, and all else at rest", () => {
      const { pool, engine } = node.runtime.stats();
      return pool.idle === 1 && pool.ending === 0 && engine.instances === 1 && node.pool("shared").warming === 2;
    });

    const seen = (): unknown => {
      const { now, totals } = control.capacity(operator);
      const of = node
        .cells()
        .map(({ cell, state, chargedBytes, busy, idle, starting }) => [cell, state, chargedBytes, busy, idle, starting]);
      return [now, totals, of, node.runtime.stats()];
    };
    const before = seen();
    const statuses: number[] = [];
    for (const headers of [{}, { "pilotlight-key": "pl_none" }, { "pilotlight-key": foreign }]) {
      for (let i = 0; i < 5; i++) statuses.push((await node.ask("acme", "/", headers)).status);
    }
    expect(statuses).toEqual([404, 404, 404, 404, 404, 401, 401, 401, 401, 401, 404, 404, 404, 404, 404]);
    expect(seen()).toEqual(before);
    expect((await control.usage(operator, "acme", {}, {})).items).toEqual([]);

    expect(await node.ask("acme", "/", { "pilotlight-key": right })).toMatchObject({ status: 200, capacity: "own/ready" });
    expect(seen()).not.toEqual(before);
  });
});

describe("a stored version", () => {
  it("is mapped once and linked once for a hundred first calls at once after a restart", async () => {
    const data = tempDir();
    const options = { data, durable: true, capacity: cells(4, { slots: 16, warming: 1 }) };
    const first = await startNode(options);
    await first.tenant("acme");
    await first.task("acme", "hello-p2");
    await first.runtime.close();

    const node = await startNode(options);
    expect(node.runtime.stats()).toMatchObject({ code: { load: 0, link: 0 }, engine: { programs: 0 } });
    const runs = await Promise.all(Array.from({ length: 100 }, () => node.ask("acme", "/")));
    expect(new Set(runs.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set(["200 Hello, WASI!\n"]));
    expect(node.runtime.stats()).toMatchObject({ code: { load: 1, link: 1 }, engine: { programs: 1 } });
    expect(runs.map(({ capacity }) => capacity)).toContain("warming/compiled");
  });
});

describe("a tenant's dedicated cells", () => {
  it("are there and hold its programs before its first request, and so they are after a restart", async () => {
    const data = tempDir();
    const options = { data, durable: true, capacity: cells(4, { warming: 1 }) };
    const first = await startNode(options);
    await first.tenant("acme", { dedicated: 2 });
    const own = (node: TenantsNode) => node.cells().filter(({ pool }) => pool === "dedicated");
    expect(own(first)).toMatchObject([
      { tenant: "acme", state: "active" },
      { tenant: "acme", state: "active" },
    ]);
    await first.task("acme", "echo-p2");
    await first.task("acme", "hello-p2", { routes: ["acme.test/hello"], capacity: { ready: 1 } });
    const tasks = (node: TenantsNode): string[] => own(node).flatMap((cell) => cell.tasks);
    expect(tasks(first)).toEqual(["acme/echo-p2", "acme/hello-p2"]);
    await first.runtime.close();

    const second = await startNode(options);
    await until("its programs are there", () => tasks(second).length === 2 && second.runtime.stats().code.link === 2);
    await until("one is ready", () => second.runtime.stats().pool.idle === 1);
    expect(own(second)).toMatchObject([{ tenant: "acme" }, { tenant: "acme" }]);
    expect(await second.ask("acme", "/")).toMatchObject({ status: 200, capacity: "own/linked", pool: "dedicated", term: "direct" });
    expect(await second.ask("acme", "/hello")).toMatchObject({ status: 200, capacity: "own/ready", pool: "dedicated", term: "direct" });
    expect(second.pool("shared")).toMatchObject({ warming: 1, active: 0, assigned: 0 });
  });

  it("are waited for, spilled over from, or refused when they are full, as the task says", async () => {
    const node = await startNode({ capacity: cells(4, { slots: 2, warming: 1 }), prices: PRICES });
    await node.tenant("acme", { dedicated: 1 });
    await node.task("acme", "echo-p2", { name: "waits", routes: ["acme.test/*"], capacity: { whenFull: "wait" } });
    await node.task("acme", "hello-p2", { name: "spills", routes: ["acme.test/spill"], capacity: { whenFull: "spill" } });
    await node.task("acme", "hello-p2", { name: "rejects", routes: ["acme.test/reject"], capacity: { whenFull: "reject" } });
    const held = [await node.hold("acme"), await node.hold("acme")];
    for (const run of held) expect(run).toMatchObject({ pool: "dedicated", term: "direct" });

    const waiting = node.ask("acme", "/");
    expect(await node.ask("acme", "/spill")).toMatchObject({ status: 200, pool: "shared", term: "spill", capacity: "warming/linked" });
    const [spilled] = node.log.all({ msg: "run", task: "spills" });
    expect(spilled).toMatchObject({ pool: "shared", term: "spill", why: expect.arrayContaining(["own: the reserve is in use"]) });
    const refused = await node.ask("acme", "/reject");
    expect(refused).toMatchObject({ status: 429, retryAfter: "1", text: expect.stringContaining("capacity/tenant-full") });
    await until("one waits", () => node.runtime.stats().pool.waiting === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await held[0]?.end();
    const waited = await waiting;
    expect(waited).toMatchObject({ status: 200, pool: "dedicated", term: "wait" });
    expect(waited.queueMs).toBeGreaterThan(100);
    await held[1]?.end();

    const { control, operator } = node.runtime;
    const { items } = await control.usage(operator, "acme", {}, {});
    const rows = items.map(({ task, pool, term, price, runs, refused }) => [task, pool, term, price, runs, refused]);
    expect(rows).toEqual([
      ["rejects", "dedicated", "none", 0.8, 0, 1],
      ["spills", "shared", "spill", 1, 1, 0],
      ["waits", "dedicated", "direct", 0.8, 2, 0],
      ["waits", "dedicated", "wait", 0.8, 1, 0],
    ]);
    expect(items[0]?.refusals).toEqual({ "tenant-full": 1 });
    expect(items[3]?.waitSeconds).toBeCloseTo(waited.queueMs / 1000, 6);
    for (const { cost, gibSeconds, price } of items) expect(cost).toBeCloseTo(gibSeconds * price, 12);
  });

  it("are never lent: an idle one stays its tenant's while others wait, and serves it at once", async () => {
    const node = await startNode({ capacity: cells(2, { slots: 1 }) });
    await node.tenant("acme", { dedicated: 1 });
    await node.task("acme", "echo-p2");
    for (const tenant of ["globex", "initech"]) {
      await node.tenant(tenant);
      await node.task(tenant, "echo-p2", { capacity: { whenFull: tenant === "initech" ? "reject" : "wait" } });
    }
    const held = await node.hold("globex");
    expect(await node.ask("initech", "/")).toMatchObject({ status: 503, text: expect.stringContaining("capacity/node-full") });
    const waiting = Array.from({ length: 5 }, () => node.ask("globex", "/"));
    await until("others wait", () => node.runtime.stats().pool.waiting === 5);
    for (let i = 0; i < 5; i++) {
      const run = await node.ask("acme", "/");
      expect(run).toMatchObject({ status: 200, pool: "dedicated", term: "direct", capacity: "own/linked" });
    }
    expect(node.runtime.stats().pool.waiting).toBe(5);
    expectApart(node);
    await held.end();
    for (const run of await Promise.all(waiting)) expect(run).toMatchObject({ status: 200, pool: "shared", cell: held.cell });
  });
});

describe("variable capacity", () => {
  it("is waited for while shared cells are free, and serves the next tenant when one frees", async () => {
    const node = await startNode({ capacity: cells(4, { slots: 1, warming: 2, variableCeiling: 0.25 }), prices: PRICES });
    for (const tenant of ["acme", "globex"]) {
      await node.tenant(tenant, { variableCeiling: 0.25 });
      await node.task(tenant, "echo-p2", { capacity: { pool: "variable" } });
    }
    const held = await node.hold("acme");
    expect(held).toMatchObject({ pool: "variable", capacity: "warming/linked" });
    const next = node.ask("globex", "/");
    await until("it waits", () => node.runtime.stats().pool.waiting === 1);
    // Longer than tenants hold a cell before another gets its turn.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(node.runtime.stats()).toMatchObject({ pool: { waiting: 1 }, engine: { runs: 1 } });
    expect(node.pool("shared")).toMatchObject({ warming: 2, active: 0, assigned: 0 });
    await held.end();
    const served = await next;
    expect(served).toMatchObject({ status: 200, pool: "variable", term: "wait" });
    expect(served.cell).not.toBe(held.cell);
    expectApart(node);

    const { control, operator } = node.runtime;
    const { items } = await control.usage(operator, "globex", {}, {});
    expect(items).toMatchObject([{ pool: "variable", term: "wait", price: 0.5, runs: 1 }]);
    expect(items[0]?.waitSeconds).toBeGreaterThan(0.3);
  });
});

describe("cells", () => {
  it("that an operator drains finish their runs, are replaced, and are counted", async () => {
    const node = await startNode({ capacity: cells(3, { warming: 1 }) });
    const { control, operator } = node.runtime;
    await node.tenant("acme", { dedicated: 1 });
    await node.task("acme", "echo-p2", REUSED);
    const run = await node.hold("acme");
    const cell = run.cell as number;
    await control.drainCell(operator, String(cell));
    expect(node.cells().find((one) => one.cell === cell)).toMatchObject({ state: "draining", busy: 1, sick: "an operator drains it" });
    expect(await run.end()).toMatchObject({ status: 200, cell });
    const other = await until("another is there", () => node.cells().find(({ tenant, state }) => tenant === "acme" && state === "active"));
    expect(other.cell).not.toBe(cell);
    expect(node.pool("dedicated")).toMatchObject({ cells: 1, active: 1, draining: 0, replaced: 1 });
    expect(await node.ask("acme", "/")).toMatchObject({ status: 200, cell: other.cell, pool: "dedicated" });

    const unassigned = node.cells().find(({ state }) => state === "warming");
    await control.drainCell(operator, String(unassigned?.cell));
    await until("it is made up for", () => node.pool("shared").warming === 1);
    expect(node.pool("shared")).toMatchObject({ cells: 1, replaced: 1 });
    expect(node.cells().map((one) => one.cell)).not.toContain(unassigned?.cell);
  });

  it("whose bytes are used up refuse growth to the tenant that used them, and to nobody else", async () => {
    const node = await startNode({ capacity: cells(4, { warming: 1 }) });
    for (const tenant of ["acme", "globex"]) {
      await node.tenant(tenant);
      const limits = { memory: "48MiB" };
      await node.task(tenant, "behave-p2", { limits });
      const reuse = { maxRequests: 2, maxMemory: "64MiB" };
      await node.task(tenant, "behave-p2", { name: "holder", routes: [`${tenant}.test/grow-ok`], reuse, limits });
    }
    await node.task("globex", "echo-p2", { routes: ["globex.test/echo"] });
    const neighbour = await node.hold("globex", "/echo");
    // What it grew to stays with its instance, which lies idle in the cell.
    const holder = await node.ask("acme", "/grow-ok");
    const full = await node.ask("acme", "/memory");
    expect(full).toMatchObject({ status: 503, retryAfter: "1", cell: holder.cell });
    expect(full.text).toMatch(
      /capacity\/cell-full.*The cell of the tenant allows \d+ bytes; with what this run asked for it would hold \d+ bytes/,
    );
    expect(await node.log.run(full.run)).toMatchObject({ outcome: "limit", cause: expect.stringMatching(/^cell-memory: \d+ of \d+$/) });
    // A cell whose bytes do not suffice again and again is replaced; then what is in the way is the guest's own limit.
    await until("there is room", async () => (await node.ask("acme", "/memory")).text.includes("problems/guest/memory"));
    expect(await node.ask("globex", "/grow-ok")).toMatchObject({ status: 200 });
    expect(await neighbour.end()).toMatchObject({ status: 200 });
  });
});

describe("a running node", () => {
  it("goes over to other budgets and targets with runs going on, and ends none of them", async () => {
    const node = await startNode({ capacity: cells(6, { slots: 2, warming: 1 }) });
    const { control, operator } = node.runtime;
    for (const tenant of ["acme", "globex", "initech"]) {
      await node.tenant(tenant);
      await node.task(tenant, "echo-p2");
    }
    const going = [await node.hold("acme"), await node.hold("globex"), await node.hold("initech")];
    const more = await control.setCapacity(operator, { pools: { shared: { warming: 3 } } });
    expect(more.now.pools[0]).toMatchObject({ pool: "shared", warming: 3, active: 3, target: 3 });

    const { budgetBytes, pools } = cells(1, { slots: 2 });
    const less = await control.setCapacity(operator, { budgetBytes, pools: { shared: { warming: 0, cellSlots: pools.shared.cellSlots } } });
    expect(less.now.pools[0]).toMatchObject({ warming: 0 });
    expect(less.now.cellBytes).toBeGreaterThan(budgetBytes);
    expect(node.runtime.stats().engine.runs).toBe(3);
    for (const run of going) expect((await run.end()).status).toBe(200);
    await until("the budget is kept", () => control.capacity(operator).now.cellBytes <= budgetBytes - less.now.lobbyBytes);
    for (const tenant of ["acme", "globex", "initech"]) expect(await node.ask(tenant, "/")).toMatchObject({ status: 200 });

    const back = await control.resetCapacity(operator);
    expect([back.settings, back.set, back.now.pools[0]?.warming]).toEqual([cells(6, { slots: 2, warming: 1 }), {}, 1]);
  });

  it("drains a tenant and itself, lets runs finish, and takes runs again", async () => {
    const node = await startNode({ capacity: cells(4, { warming: 1 }) });
    const { control, operator } = node.runtime;
    for (const tenant of ["acme", "globex"]) {
      await node.tenant(tenant);
      await node.task(tenant, "echo-p2", REUSED);
    }
    const run = await node.hold("acme");
    await control.drain(operator, "acme");
    const refused = await node.ask("acme", "/");
    expect(refused).toMatchObject({ status: 503, retryAfter: "1", text: expect.stringContaining("platform/draining") });
    expect(await node.ask("globex", "/")).toMatchObject({ status: 200 });
    expect(await run.end()).toMatchObject({ status: 200 });
    await until("its cell goes back", () => node.cells().every(({ tenant }) => tenant !== "acme"));
    await control.resume(operator, "acme");
    expect(await node.ask("acme", "/")).toMatchObject({ status: 200, capacity: "warming/linked" });

    await control.drain(operator, undefined);
    for (const tenant of ["acme", "globex"]) expect((await node.ask(tenant, "/")).status).toBe(503);
    await until("nothing is left", () => node.runtime.stats().engine.instances === 0);
    const { url } = await node.runtime.adminFront().listen({ host: "127.0.0.1", port: 0 });
    const reasons = ["the node is drained; pilotlight cells resume has it take runs again"];
    expect(await (await fetch(`${url}readyz`)).json()).toEqual({ ready: false, reasons });
    expect((await node.get("/-/readyz")).status).toBe(503);
    await control.resume(operator, undefined);
    expect((await node.get("/-/readyz")).status).toBe(200);
    for (const tenant of ["acme", "globex"]) expect((await node.ask(tenant, "/")).status).toBe(200);
    const { items } = await control.usage(operator, undefined, { by: "tenant" }, {});
    expect(items.filter(({ term }) => term === "none").map(({ tenant, refused: count, refusals }) => [tenant, count, refusals])).toEqual([
      ["acme", 2, { draining: 2 }],
      ["globex", 1, { draining: 1 }],
    ]);
  });
});

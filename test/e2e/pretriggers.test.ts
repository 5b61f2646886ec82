/** What is made ready before it is asked for, from outside: told, learnt from what ran and from signals, and in nobody's way. */
import { describe, expect, it } from "vitest";
import type { KeyInput } from "../../src/control/control.js";
import { usualCapacity } from "../../src/config/capacity.js";
import { guestTask } from "../support/guests.js";
import { problemOf, startRuntime } from "../support/runtime.js";
import { tempDir } from "../support/files.js";
import { cells, startNode, type TenantsNode } from "../support/tenants.js";
import { until } from "../support/until.js";

type Terms = Parameters<TenantsNode["tenant"]>[1];

/** Each of the tenants has the tasks `a` and `b`. */
async function nodeWith(tenants: readonly string[], terms?: Terms): Promise<TenantsNode> {
  const node = await startNode({ capacity: cells(4, { slots: 16, forecast: true }), instances: 64 });
  for (const tenant of tenants) {
    await node.tenant(tenant, terms);
    await node.task(tenant, "hello-p2", { name: "a", routes: [`${tenant}.test/a`] });
    await node.task(tenant, "echo-p2", { name: "b", routes: [`${tenant}.test/b`] });
  }
  return node;
}

function say(node: TenantsNode, tenant: string, body: unknown): Promise<Response> {
  return node.get(`/-/pretriggers?tenant=${tenant}`, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
}

/** `said` is taken. */
async function tell(node: TenantsNode, tenant: string, said: unknown): Promise<void> {
  const response = await say(node, tenant, said);
  expect([response.status, await response.json()]).toEqual([202, { key: expect.any(String) as string }]);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Instances that wait for runs of the tenant. */
function ready(node: TenantsNode, tenant = "acme"): number {
  return node
    .cells()
    .filter((cell) => cell.tenant === tenant)
    .reduce((sum, cell) => sum + cell.idle, 0);
}

/** So many runs are expected of the task now. */
function expected(node: TenantsNode, task: string, tenant = "acme"): number {
  return node.runtime.ahead.view(tenant).expected.find((each) => each.task === task)?.count ?? 0;
}

/** Instances that were made ahead of runs, ever. */
async function made(node: TenantsNode): Promise<number> {
  return Number(/^faas_init_duration_seconds_count\{rung="prepared"\} (\d+)$/m.exec(await metrics(node))?.[1] ?? 0);
}

async function metrics({ runtime }: TenantsNode): Promise<string> {
  const { port } = await runtime.adminFront().listen({ host: "127.0.0.1", port: 0 });
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

async function times(count: number, work: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await work();
}

describe("runs that are announced", () => {
  it("find as many instances ready; only the shortfall is made, and what is left over goes, and is counted", async () => {
    const node = await nodeWith(["acme", "globex"]);
    // Deploying tries them.
    const before = await made(node);
    await tell(node, "acme", { task: "b", count: 3, window: "20s", key: "three" });
    await until("three are ready", () => ready(node) >= 3);
    expect((await made(node)) - before).toBe(3);
    // The same again is the same; another adds up.
    await tell(node, "acme", { task: "b", count: 3, window: "20s", key: "three" });
    await tell(node, "acme", { task: "b", count: 5, window: "2s", key: "five" });
    await until("eight are ready", () => ready(node) >= 8);
    expect((await made(node)) - before).toBe(8);
    expect(ready(node, "globex")).toBe(0);
    const answers = await Promise.all(Array.from({ length: 8 }, () => node.ask("acme", "/b")));
    expect(answers.map(({ status, capacity }) => `${status} ${capacity}`)).toEqual(Array.from({ length: 8 }, () => "200 own/ready"));
    for (const { run } of answers) {
      expect(await node.log.first({ msg: "run", run })).toMatchObject({ expected: true });
      expect(node.runtime.runRecord(run)?.expected).toBe(true);
    }
    // Nobody comes for the next ones.
    await tell(node, "acme", { task: "a", count: 4, window: "300ms" });
    await until("they are ready", () => expected(node, "a") === 4);
    await until("they are let go", () => expected(node, "a") === 0);
    await until("they are counted", async () => /^pilotlight_pretriggers_wasted_total [4-9]/m.test(await metrics(node)));
    expect(await metrics(node)).toMatch(/^pilotlight_pretriggers_runs_total\{found="hits"\} 8$/m);
  });

  it("are more than may be held: as many are ready as may be, and the rest is made when it comes", async () => {
    const node = await nodeWith(["acme"]);
    await node.task("acme", "hello-p2", { name: "few", routes: ["acme.test/few"], limits: { concurrency: 3, memory: "32MiB" } });
    await tell(node, "acme", { task: "few", count: 20, window: "20s" });
    await until("three are ready", () => ready(node) === 3);
    await sleep(50);
    expect(ready(node)).toBe(3);
  });

  it("can be taken back", async () => {
    const node = await nodeWith(["acme"]);
    await tell(node, "acme", { task: "b", count: 4, in: "0ms", window: "20s", key: "k" });
    await until("they are ready", () => ready(node) >= 4);
    await tell(node, "acme", { task: "b", count: 0, key: "k" });
    expect(expected(node, "b")).toBe(0);
    await until("they are let go", () => ready(node) <= 1);
  });

  it("of a tenant with a reserve lie in that, and in nobody else's", async () => {
    const node = await nodeWith(["acme"], { dedicated: 1 });
    await node.tenant("globex");
    await node.task("globex", "hello-p2", { name: "a", routes: ["globex.test/a"] });
    await tell(node, "acme", { task: "b", count: 5, window: "20s" });
    await tell(node, "globex", { task: "a", count: 3, window: "20s" });
    await until("all are ready", () => ready(node) >= 5 && ready(node, "globex") >= 3);
    for (const { tenant, pool, tasks, idle } of node.cells()) {
      if (idle > 0) expect([tenant, pool]).toEqual(tenant === "acme" ? ["acme", "dedicated"] : ["globex", "shared"]);
      for (const task of tasks) expect(task.split("/")[0]).toBe(tenant);
    }
  });
});

describe("runs that follow others", () => {
  it("are prepared once that was seen, about as many as came; neither for the untrained nor for another tenant", async () => {
    const node = await nodeWith(["acme", "globex"]);
    const round = async (tenant: string, count: number): Promise<void> => {
      await node.ask(tenant, "/a");
      await sleep(20);
      await Promise.all(Array.from({ length: count }, () => node.ask(tenant, "/b")));
      await sleep(150);
    };
    await node.ask("globex", "/a");
    expect(expected(node, "b", "globex")).toBe(0);
    await times(14, () => round("acme", 5));
    await node.ask("acme", "/a");
    await until("b is expected", () => expected(node, "b") > 0);
    expect(expected(node, "b")).toBeGreaterThanOrEqual(4);
    expect(expected(node, "b")).toBeLessThanOrEqual(6);
    await until("as many are ready", () => ready(node) >= 4);
    const { capacity, run } = await node.ask("acme", "/b");
    expect([capacity, node.runtime.runRecord(run)?.expected]).toEqual(["own/ready", true]);
    await node.ask("globex", "/a");
    expect([expected(node, "b", "globex"), node.runtime.ahead.view("globex").pairs.length]).toEqual([0, 0]);
  });

  it("are those that guests call, too", async () => {
    const uses = { "demo:math/calc": { task: "calc" } };
    const node = await startRuntime([guestTask("calc", { routes: [] }), guestTask("relay", { uses, routes: [] })], {
      capacity: usualCapacity(64),
    });
    const call = { method: "POST", headers: { "content-type": "application/json" }, body: "[1,2]" };
    for (let i = 0; i < 8; i++) {
      expect(await (await node.get("/-/tasks/relay/demo:app/relay/add", call)).json()).toBe(3);
      await sleep(120);
    }
    const pair = node.runtime.ahead.view("default").pairs.find(({ cause, task }) => cause === "relay" && task === "calc");
    expect(pair).toMatchObject({ likelihood: 1, occurrences: 8, state: "on" });
  });

  it("are those that come by the clock, too: they are announced just before", async () => {
    const triggers = [{ cron: "*/4 * * * * *" }];
    const node = await startRuntime([guestTask("hello-p2", { name: "clock", triggers })], { capacity: usualCapacity(64) });
    const told = await until("the next tick is announced", () => node.runtime.ahead.view("default").announcements[0]);
    expect(told).toMatchObject({ sender: "cron", task: "clock", count: 1 });
    expect(Math.abs(Math.round(told.start / 4000) * 4000 - told.start)).toBeLessThan(50);
    const run = await node.log.first({ msg: "run", task: "clock" });
    expect(run).toMatchObject({ expected: true, capacity: "own/ready" });
  });

  it("that were foreseen and do not come change no answer", async () => {
    const node = await nodeWith(["acme"]);
    await times(8, async () => {
      await tell(node, "acme", { signal: "open" });
      await sleep(10);
      await Promise.all([node.ask("acme", "/b"), node.ask("acme", "/b")]);
      await sleep(150);
    });
    await until("b is expected", async () => {
      await tell(node, "acme", { signal: "open" });
      return expected(node, "b") > 0;
    });
    for (const [path, told] of [
      ["/a", "Hello, WASI!\n"],
      ["/a", "Hello, WASI!\n"],
    ] as const)
      expect(await node.ask("acme", path)).toMatchObject({ status: 200, text: told });
  });
});

describe("signals", () => {
  it("that runs have followed have as many prepared as came, and others nothing", async () => {
    const node = await nodeWith(["acme"]);
    await times(8, async () => {
      await tell(node, "acme", { signal: "app-opened" });
      await sleep(20);
      await Promise.all(Array.from({ length: 3 }, () => node.ask("acme", "/b")));
      await sleep(150);
    });
    await tell(node, "acme", { signal: "something-else" });
    expect(expected(node, "b")).toBe(0);
    await tell(node, "acme", { signal: "app-opened", key: "1" });
    expect(expected(node, "b")).toBe(3);
    // The same one again.
    await tell(node, "acme", { signal: "app-opened", key: "1" });
    expect(expected(node, "b")).toBe(3);
    await until("they are ready", () => ready(node) >= 3);
    const pair = node.runtime.ahead.view("acme").pairs.find(({ cause }) => cause === "app-opened");
    expect(pair).toMatchObject({ kind: "signal", task: "b", state: "on" });
  });
});

describe("requests that a manifest takes for signals", () => {
  it("are signals by their path or a header, and not by another", async () => {
    const node = await nodeWith(["acme"]);
    const signals = [
      { signal: "upload", path: "/in/:name" },
      { signal: "opened", header: "X-Opened" },
    ];
    await node.task("acme", "hello-p2", { name: "in", routes: ["acme.test/in/*"], signals });
    const round = async (path: string, headers: Record<string, string>): Promise<void> => {
      await node.ask("acme", path, headers);
      await sleep(20);
      await node.ask("acme", "/b");
      await sleep(120);
    };
    await times(8, () => round("/in/x?y=/in/", {}));
    await times(3, () => round("/in/x/y", { "x-opened": "" }));
    await node.ask("acme", "/in/x/y");
    const { pairs } = node.runtime.ahead.view("acme");
    const seen = Object.fromEntries(
      pairs.filter(({ kind, task }) => kind === "signal" && task === "b").map((p) => [p.cause, p.occurrences]),
    );
    expect(Object.keys(seen).sort()).toEqual(["opened", "upload"]);
    // Where runs are slow, one may count for the occurrence before.
    expect([(seen["upload"] ?? 0) > 5, (seen["upload"] ?? 9) < 9, (seen["opened"] ?? 9) < 4]).toEqual([true, true, true]);
    // The request that is the signal does not follow it, though the next one does.
    expect(pairs.filter(({ kind, task, delay }) => kind === "signal" && task === "in" && delay < 50)).toEqual([]);
  });
});

describe("what is said and cannot be taken", () => {
  it.each([
    ["no JSON", "{", 400, "request/malformed", 'The body is not JSON; expected { "task": …, "count": … } or { "signal": … }.'],
    ["neither", {}, 422, "request/invalid", 'expected { "task": NAME, "count": N } or { "signal": NAME }.'],
    ["both", { signal: "s", task: "a" }, 422, "request/invalid", 'expected { "task": NAME, "count": N } or { "signal": NAME }.'],
    ["no count", { task: "a" }, 422, "request/invalid", /^count: /],
    ["an unknown field", { task: "a", count: 1, windows: "2s" }, 422, "request/invalid", "windows: unknown field."],
    ["no duration", { task: "a", count: 1, window: "2 years" }, 422, "request/invalid", /^window: expected a duration/],
    ["no time", { task: "a", count: 1, start: "soon" }, 422, "request/invalid", /^start: expected a time such as 2026/],
    ["a million", { task: "a", count: 1_000_000 }, 422, "request/invalid", /1000000.*64/],
    ["the past", { task: "a", count: 1, start: "2020-01-01T00:00:00Z" }, 422, "request/invalid", /past|over/],
    ["two beginnings", { task: "a", count: 1, in: "2s", start: "2030-01-01T00:00:00Z" }, 422, "request/invalid", /^in, start: /],
    ["next year", { task: "a", count: 1, in: "8000h" }, 422, "request/invalid", /^The start is .* ahead; it may be 86400 s/],
    ["a whole day", { task: "a", count: 1, window: "24h" }, 422, "request/invalid", "The window is 86400 s; it may be 600 s."],
    ["nobody's task", { task: "zzz", count: 1 }, 404, "request/no-such-thing", "There is no such task."],
    ["a nameless signal", { signal: "" }, 422, "request/invalid", /1 to 128 bytes/],
    ["a long key", { signal: "s", key: "k".repeat(300) }, 422, "request/invalid", /^key: /],
  ])("is refused: %s", async (_what, body, status, code, detail) => {
    const node = await startRuntime([]);
    await node.runtime.start();
    const response = await node.get("/-/pretriggers", { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
    const problem = await problemOf(response);
    expect(problem).toMatchObject({ status, code });
    if (typeof detail === "string") expect(problem.detail).toBe(detail);
    else expect(problem.detail).toMatch(detail);
  });

  it("is refused to who has no key that may invoke, where there are keys", async () => {
    const node = await startRuntime([], { data: tempDir(), durable: true });
    await node.runtime.start();
    const { control, operator } = node.runtime;
    for (const name of ["acme", "globex"]) await control.createTenant(operator, name, {});
    const key = async (tenant: string, scopes: KeyInput["scopes"]): Promise<string> =>
      (await control.issueKey(operator, tenant, { scopes })).text;
    const send = (body: unknown, headers: Record<string, string>, query = ""): Promise<Response> =>
      node.get(`/-/pretriggers${query}`, { method: "POST", body: JSON.stringify(body), headers });
    const said = { signal: "s" };
    expect(await problemOf(await send(said, {}))).toMatchObject({ status: 401, code: "request/unauthorized" });
    const reads = await key("acme", ["read"]);
    expect(await problemOf(await send(said, { "pilotlight-key": reads }))).toMatchObject({ status: 403, code: "request/forbidden" });
    const invokes = await key("acme", ["invoke"]);
    const headers = { authorization: `Bearer ${invokes}` };
    expect((await send(said, headers)).status).toBe(202);
    // A tenant's key speaks for its own tenant alone.
    expect(await problemOf(await send(said, headers, "?tenant=globex"))).toMatchObject({ status: 404, code: "request/no-such-thing" });
    expect(node.runtime.ahead.view("globex").pairs).toEqual([]);
  });

  it("is refused where a sender says too much, and says when to come again", async () => {
    const node = await nodeWith(["acme"]);
    const statuses: number[] = [];
    let last: Response | undefined;
    for (let i = 0; i < 30 && last?.status !== 429; i++) {
      last = await say(node, "acme", { task: "a", count: 1, in: "1h", key: `k${i}` });
      statuses.push(last.status);
    }
    expect(statuses.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 202));
    expect(Number(last?.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await problemOf(last as Response)).toMatchObject({ status: 429, code: "quota/requests" });
  });

  it("is refused by another method, and too long", async () => {
    const node = await startRuntime([]);
    const response = await node.get("/-/pretriggers");
    expect([response.headers.get("allow"), (await problemOf(response)).code]).toEqual(["POST", "request/method-not-allowed"]);
    const long = await node.get("/-/pretriggers", { method: "POST", body: "x".repeat(20_000) });
    expect(await problemOf(long)).toMatchObject({ status: 413, detail: "The body may come to 16384 bytes." });
  });
});

import { describe, expect, it } from "vitest";
import type { UsageView } from "../../src/control/control.js";
import { cli, fakeNode, page } from "./run.js";

function row(over: Partial<UsageView> = {}): UsageView {
  return {
    from: "2030-01-01T12:00:00.000Z",
    to: "2030-01-01T13:00:00.000Z",
    tenant: "acme",
    task: "hello",
    pool: "shared",
    term: "direct",
    price: 2,
    runs: 1000,
    refused: 0,
    abandoned: 0,
    recalled: 0,
    refusals: {},
    runSeconds: 20,
    cpuSeconds: 10,
    gibSeconds: 2.5,
    cost: 5,
    waitSeconds: 1.5,
    maxWaitSeconds: 0.25,
    maxRunSeconds: 1,
    maxHeadSeconds: 1,
    rungs: { ready: 1000, linked: 0, compiled: 0, stored: 0 },
    memory: { p95Bytes: 9, maxBytes: 12 },
    peakConcurrency: 2,
    requestBytes: 1,
    responseBytes: 2,
    ...over,
  };
}

const ROWS = [
  row(),
  row({ term: "spill", runs: 500, gibSeconds: 1.25, cost: 2.5, waitSeconds: 0, maxWaitSeconds: 0 }),
  row({ pool: "dedicated", term: "none", runs: 0, refused: 500, gibSeconds: 0, cost: 0, waitSeconds: 50, maxWaitSeconds: 10 }),
  row({ task: "other", runs: 1, gibSeconds: 0.00012345, cost: 0.0002469, waitSeconds: 0.0000123, maxWaitSeconds: 0.0000123 }),
  row({ tenant: "globex", gibSeconds: 1234.5, cost: 2469 }),
];

const queryOf = (path: string | undefined): Record<string, string> => Object.fromEntries(new URL(path ?? "", "http://node").searchParams);

describe("usage", () => {
  it("is a line for each task, sub-pool and term, with the sums of tasks and tenants", async () => {
    const node = await fakeNode({ "GET /v1/usage": page(...ROWS) });
    const before = Date.now();
    const ran = await cli(["usage"], node);
    expect(ran).toMatchObject({ exit: 0, stderr: "" });
    expect(ran.stdout).toBe(
      [
        "TENANT  TASK   POOL       TERM    RUNS  REFUSED  WAIT(avg,max)      GIB-S     COST",
        "acme    hello  shared     direct  1000  0        1.5ms,250ms        2.5       5",
        "acme    hello  shared     spill   500   0        0ms,0ms            1.25      2.5",
        "acme    hello  dedicated  -       0     500      100ms,10000ms      0         0",
        "acme    hello  *          *       1500  500      25.8ms,10000ms     3.75      7.5",
        "acme    other  shared     direct  1     0        0.0123ms,0.0123ms  0.000123  0.000247",
        "acme    *      *          *       1501  500      25.7ms,10000ms     3.75      7.5",
        "globex  hello  shared     direct  1000  0        1.5ms,250ms        1235      2469",
        "",
      ].join("\n"),
    );
    const { from, ...query } = queryOf(node.asked.at(-1)?.path);
    expect(query).toEqual({ by: "task", limit: "1000" });
    expect(Math.abs(Date.parse(from as string) - (before - 86_400_000))).toBeLessThan(10_000);
  });

  it("asks for one task, of one tenant, since a time, by hour or day", async () => {
    const node = await fakeNode({ "GET /v1/tenants/acme/usage": page(row(), row({ from: "2030-01-01T13:00:00.000Z" })) });
    const before = Date.now();
    const hourly = await cli(["usage", "hello", "--tenant", "acme", "--since", "7d", "--by", "hour"], node);
    expect(hourly.stdout.split("\n").map((line) => line.slice(0, 40).trimEnd())).toEqual([
      "FROM               TENANT  TASK   POOL",
      "2030-01-01T12:00Z  acme    hello  shared",
      "2030-01-01T13:00Z  acme    hello  shared",
      "*                  acme    hello  *",
      "",
    ]);
    const { from, ...query } = queryOf(node.asked.at(-1)?.path);
    expect(query).toEqual({ task: "hello", by: "hour", limit: "1000" });
    expect(Math.abs(Date.parse(from as string) - (before - 7 * 86_400_000))).toBeLessThan(10_000);
    const daily = await cli(["usage", "--tenant", "acme", "--by", "day"], node);
    expect(daily.stdout).toMatch(/^FROM {8}TENANT.*\n2030-01-01 {2}acme/);
  });

  it("is what the node answered as JSON, and says so when nothing ran", async () => {
    const node = await fakeNode({ "GET /v1/usage": page(...ROWS), "GET /v1/tenants/acme/usage": page() });
    expect(JSON.parse((await cli(["usage", "--json"], node)).stdout)).toEqual(ROWS);
    expect(await cli(["usage", "--tenant", "acme", "--since", "90m"], node)).toEqual({
      exit: 0,
      stdout: "",
      stderr: "nothing ran in the last 90m\n",
    });
  });

  it.each([
    [["--since", "soon"], 'expected a duration such as "250ms", "10s", "15m" or "1h"'],
    [["--by", "minute"], "Allowed choices are task, hour, day"],
    [["--advise", "--by", "day"], "--advise and --by exclude each other"],
  ])("%j is wrong usage", async (flags, says) => {
    const node = await fakeNode({});
    expect(await cli(["usage", ...flags], node)).toMatchObject({ exit: 2, stdout: "", stderr: expect.stringContaining(says) });
    expect(node.asked).toEqual([]);
  });

  it("says what the node refuses", async () => {
    const node = await fakeNode({
      "GET /v1/usage": { problem: { code: "request/forbidden", detail: "This takes a key with the scope read." } },
    });
    expect(await cli(["usage"], node)).toMatchObject({ exit: 1, stderr: expect.stringContaining("This takes a key with the scope read.") });
  });
});

describe("usage --advise", () => {
  const ADVICE = [
    { task: "hello", field: "limits.memory", change: "lower", set: "128MiB", suggested: "16MiB", why: "none took more than 12MiB" },
    { task: "hello", field: "capacity.ready", change: "keep", set: 0, why: "fits" },
    { task: "other", field: "limits.memory", change: "unknown", set: "64MiB", why: "not enough runs" },
    { field: "dedicated", change: "raise", set: 4, suggested: 5, why: "20 of 100 waited" },
  ];

  it("sets what is set against what was used, of the key's tenant", async () => {
    const node = await fakeNode({ "GET /v1/tenants/acme/advice": { json: { items: ADVICE } } }, "acme");
    const ran = await cli(["usage", "--advise", "--since", "7d"], node);
    expect(ran.stdout).toBe(
      [
        "TASK    FIELD           SET     SUGGESTED  BECAUSE",
        "hello   limits.memory   128MiB  16MiB      none took more than 12MiB",
        "hello   capacity.ready  0       -          fits",
        "other   limits.memory   64MiB   ?          not enough runs",
        "(acme)  dedicated       4       5          20 of 100 waited",
        "",
      ].join("\n"),
    );
    expect(Object.keys(queryOf(node.asked.at(-1)?.path))).toEqual(["from"]);
    expect(node.requests()).toEqual(["GET /v1/tenants/acme/advice"]);
    expect(JSON.parse((await cli(["usage", "--advise", "--json"], node)).stdout)).toEqual(ADVICE);
  });

  it("asks about one task, and says when there is none of the name", async () => {
    const node = await fakeNode({ "GET /v1/tenants/default/advice": { json: { items: [] } } });
    expect(await cli(["usage", "hello", "--advise"], node)).toEqual({ exit: 0, stdout: "", stderr: "default has no task hello\n" });
    expect(queryOf(node.asked.at(-1)?.path)).toMatchObject({ task: "hello" });
    expect(await cli(["usage", "--advise"], node)).toMatchObject({ stderr: "default has no tasks\n" });
  });
});

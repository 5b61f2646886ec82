/** `records`: what the node is asked, what is made of the answer, and what a check finds. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../support/files.js";
import { cli, fakeNode, page, start, KEY, type Answer, type FakeNode } from "./run.js";

const RECORD = {
  key: "3f2a9c01b7de".padEnd(32, "0"),
  task: "thumbs",
  version: "v2",
  what: "GET /thumbs/7",
  run: "ab".repeat(16),
  recordedAt: "2030-01-01T12:00:00.000Z",
  expiresAt: "2030-01-01T13:00:00.000Z",
  status: 200,
  bytes: 2048,
  runMs: 12.5,
  hits: 3,
  dependencies: 2,
};
const DETAIL = {
  ...RECORD,
  headers: [{ name: "ETag", value: '"a"' }],
  bodyBytes: 1024,
  reads: ["kv:default/a @ 123456", "task:png"],
};
const CALL = { ...RECORD, key: "77".repeat(16), what: "demo:math/calc#add", status: undefined, runMs: 0.25, expiresAt: undefined };
const PLACE = "/v1/tenants/acme/records";

describe("records", () => {
  it("lists them, of a task and by what they have read", async () => {
    const node = await fakeNode({ [`GET ${PLACE}`]: page(RECORD, CALL) }, "acme");
    expect((await cli(["records"], node)).stdout).toMatchInlineSnapshot(`
      "KEY           TASK    VERSION  ASKED               STATUS  SIZE  RUN TOOK  HITS  READS  RECORDED
      3f2a9c01b7de  thumbs  v2       GET /thumbs/7       200     2KiB  12.5 ms   3     2      2030-01-01T12:00:00.000Z
      777777777777  thumbs  v2       demo:math/calc#add  -       2KiB  0.250 ms  3     2      2030-01-01T12:00:00.000Z
      "
    `);
    await cli(["records", "thumbs", "--reads", "kv:default/a*"], node);
    await cli(["records", "list", "show", "--limit", "2"], node);
    expect(node.asked.slice(-3).map(({ path }) => path)).toEqual([
      `${PLACE}?task=thumbs&reads=kv%3Adefault%2Fa*&limit=1000`,
      "/v1/whoami",
      `${PLACE}?task=show&limit=2`,
    ]);
    expect(JSON.parse((await cli(["records", "--json"], node)).stdout)).toHaveLength(2);
    expect((await cli(["records", "--limit", "2"], node)).stderr).toBe("these are 2; there may be more (--limit)\n");
  });

  it("says when there are none", async () => {
    const node = await fakeNode({ [`GET ${PLACE}`]: page() }, "acme");
    expect(await cli(["records"], node)).toEqual({ exit: 0, stdout: "", stderr: "there are no such records\n" });
  });

  it("shows one with its headers and what it has read", async () => {
    const node = await fakeNode({ [`GET ${PLACE}/3f2a9c01b7de`]: { json: DETAIL } }, "acme");
    expect((await cli(["records", "show", "3f2a9c01b7de"], node)).stdout).toMatchInlineSnapshot(`
      "key       3f2a9c01b7de00000000000000000000
      task      thumbs v2
      asked     GET /thumbs/7
      run       abababababababababababababababab, took 12.5 ms
      recorded  2030-01-01T12:00:00.000Z
      expires   2030-01-01T13:00:00.000Z
      hits      3
      size      2KiB, 1KiB of that the body
      status    200
      header    ETag: "a"
      has read  kv:default/a @ 123456
      has read  task:png
      "
    `);
    expect(JSON.parse((await cli(["records", "show", "3f2a9c01b7de", "--json"], node)).stdout)).toEqual(DETAIL);
    expect((await cli(["records", "show", "ffffffff"], node)).exit).toBe(1);
  });

  it("purge asks for what was said, and says how many went", async () => {
    const node = await fakeNode({ [`DELETE ${PLACE}`]: { json: { purged: 2 } } }, "acme");
    expect(await cli(["records", "purge", "thumbs"], node)).toEqual({ exit: 0, stdout: "", stderr: "purged 2 records\n" });
    expect((await cli(["records", "purge", "--all", "--json"], node)).stdout).toBe('{\n  "purged": 2\n}\n');
    await cli(["records", "purge", "--record", "3f2a9c01", "--reads", "task:png"], node);
    expect(node.asked.filter(({ method }) => method === "DELETE").map(({ path }) => path)).toEqual([
      `${PLACE}?task=thumbs`,
      `${PLACE}?all=true`,
      `${PLACE}?key=3f2a9c01&reads=task%3Apng`,
    ]);
  });

  it.each([
    [["purge"], "say which: a TASK, --record, --reads, or --all"],
    [["purge", "thumbs", "--all"], "--all goes with nothing else"],
    [["check"], "missing required argument 'TASK'"],
    [["check", "t", "--runs", "1"], "expected a whole number from 2 to 1000"],
    [["check", "t", "--runs", "1001"], "expected a whole number from 2 to 1000"],
    [["check", "t", "--path", "thumbs"], "expected a path as it goes over the wire"],
    [["check", "t", "--path", "/a b"], "expected a path as it goes over the wire"],
    [["check", "t", "--method", "P OST"], "expected a method such as POST"],
    [["check", "t", "--header", "accept"], "expected NAME: VALUE"],
    [["check", "t", "--header", "a: b\r\nc: d"], "expected NAME: VALUE"],
    [["check", "t", "--header", "Cache-Control: max-age=1"], "every request of a check has to run"],
    [["check", "t", "--args", "[]"], "--args goes with --function"],
    [["check", "t", "--function", "a:b/c#d", "--path", "/x"], "--function is a request of its own"],
    [["check", "t", "--function", "a:b/c#d", "--args", "{"], "--args is no JSON"],
  ])("%j is wrong usage", async (args, says) => {
    const node = await fakeNode({});
    expect(await cli(["records", ...args], node)).toMatchObject({ exit: 2, stderr: expect.stringContaining(says) });
    expect(node.requests()).toEqual([]);
  });
});

/** A node whose data plane is itself; its task thumbs answers at /thumbs, the n-th time as `answer` says. */
async function checked(answer: (count: number) => Answer, more: Readonly<Record<string, Answer>> = {}): Promise<FakeNode> {
  let count = 0;
  const next: Answer = (response, asked) => {
    const one = answer(++count);
    if (typeof one === "function") return one(response, asked);
    if (!("body" in one)) throw new Error("a body by hand, or a function");
    response.writeHead(one.status, { "pilotlight-run": `run${count}`, date: `day ${count}`, ...one.headers });
    response.end(one.body);
  };
  const urls = ["http://acme.test:99/thumbs"];
  return await fakeNode(
    {
      "GET /v1/whoami": (response, { headers }) => {
        const key = { id: "k1", tenant: "acme", scopes: ["admin"], createdAt: "2026-11-25T12:00:00.000Z" };
        response.end(JSON.stringify({ key, version: "0.1.0", dataUrl: `http://${headers.host}/` }));
      },
      "GET /v1/tenants/acme/tasks/thumbs": { json: { name: "thumbs", urls } },
      "GET /thumbs": next,
      "POST /other": next,
      "POST /-/tasks/thumbs/demo%3Amath/calc%401.0.0/add": next,
      ...more,
    },
    "acme",
  );
}

const FORCED = { "cache-status": "pilotlight; fwd=request" };

describe("records check", () => {
  it("asks the task's first URL, each time for a run, and says that all answers were equal", async () => {
    const node = await checked((count) => ({ status: 200, headers: { ...FORCED, age: String(count) }, body: "hello" }));
    expect(await cli(["records", "check", "thumbs"], node)).toEqual({
      exit: 0,
      stdout: "all 3 answers were equal: status 200, 5B of body\n",
      stderr: "",
    });
    const runs = node.asked.filter(({ path }) => path === "/thumbs");
    expect(runs.map(({ headers }) => [headers.host, headers["cache-control"], headers["pilotlight-key"]])).toEqual(
      Array.from({ length: 3 }, () => ["acme.test:99", "no-cache", KEY]),
    );
  });

  it("sends what it is told to", async () => {
    const cwd = tempDir();
    writeFileSync(join(cwd, "query"), "what");
    const node = await checked(() => ({ status: 200, headers: FORCED, body: "" }), {
      "GET /-/runs/run1": { json: { id: "run1", task: "thumbs" } },
    });
    const request = ["--path", "/other/..//x?a=1", "--method", "put", "--header", "Accept: a", "--header", "accept: b"];
    await cli(["records", "check", "thumbs", ...request], node);
    expect(node.asked.at(-1)).toMatchObject({ method: "PUT", path: "/other/..//x?a=1", headers: { accept: "a, b" } });
    const { exit } = await cli(["records", "check", "thumbs", "--path", "/other", "--data", "@query", "--runs", "2"], { ...node, cwd });
    expect([exit, node.asked.at(-1)]).toMatchObject([0, { method: "POST", path: "/other", body: Buffer.from("what") }]);
    expect((await cli(["records", "check", "thumbs", "--path", "/other", "--data", "@none"], { ...node, cwd })).stderr).toContain(
      "none cannot be read",
    );
    const call = ["--function", "demo:math/calc@1.0.0#add", "--args", "[1,2]"];
    expect((await cli(["records", "check", "thumbs", ...call], node)).exit).toBe(0);
    expect(node.asked.at(-1)).toMatchObject({
      method: "POST",
      path: "/-/tasks/thumbs/demo%3Amath/calc%401.0.0/add?tenant=acme",
      body: Buffer.from("[1,2]"),
      headers: { "content-type": "application/json", "cache-control": "no-cache" },
    });
  });

  it("names what differs: status, headers, and where the body does", async () => {
    const before = "x".repeat(30);
    const node = await checked((count) =>
      count < 3
        ? { status: 200, headers: { ...FORCED, etag: '"a"' }, body: `${before}at 12:00, and so on and so forth for long` }
        : { status: 203, headers: { ...FORCED, "x-new": "n" }, body: `${before}at 12:01` },
    );
    expect(await cli(["records", "check", "thumbs", "--runs", "4"], node)).toEqual({
      exit: 1,
      stdout: [
        "answer 3 (run run3) differs from the first (run run1):",
        "  status: 200, then 203",
        '  header etag: "a", then none',
        "  header x-new: none, then n",
        `  body from byte 37 on: ${JSON.stringify(`…${"x".repeat(17)}at 12:00, and so on and so fort…`)}, then ${JSON.stringify(`…${"x".repeat(17)}at 12:01`)}`,
        "",
      ].join("\n"),
      stderr: "pilotlight: thumbs is not idempotent: 2 of 4 answers differ from the first\n",
    });
    const again = await checked((count) => ({ status: 200, headers: FORCED, body: String(count) }));
    const { exit, stdout } = await cli(["records", "check", "thumbs", "--json", "--runs", "2"], again);
    expect([exit, JSON.parse(stdout)]).toEqual([
      1,
      {
        task: "thumbs",
        runs: 2,
        equal: false,
        first: { run: "run1", status: 200, bytes: 1 },
        differences: [{ answer: 2, run: "run2", body: { byte: 0, first: "1", other: "2" } }],
        unrecorded: [],
      },
    ]);
  });

  it.each([
    [undefined, ["the manifest does not mark the task as idempotent"]],
    ["pilotlight; fwd=request", []],
    ["other; hit, pilotlight; fwd=request", []],
    [
      'other; detail="a, b", pilotlight; fwd=request; detail="clock, wrote"',
      ['they read the time of day (clock); "idempotent": { "allow": ["clock"] } takes that as it is', "they write to a store (wrote)"],
    ],
    ['pilotlight; fwd=bypass; detail="body"', ["the request's body is longer than what records are looked up by (body)"]],
    ['pilotlight; fwd=request; detail="something new"', ["something new"]],
  ])("says of Cache-Status %j why such runs leave no record", async (status, why) => {
    const headers = status === undefined ? {} : { "cache-status": status };
    const node = await checked(() => ({ status: 200, headers, body: "" }));
    const { exit, stdout } = await cli(["records", "check", "thumbs"], node);
    expect([exit, stdout.split("\n").slice(1, -1)]).toEqual([0, why.map((each) => `such runs leave no record: ${each}`)]);
  });

  it("says so where the answers themselves are not to be kept", async () => {
    const headers = { ...FORCED, "set-cookie": "a=1", "cache-control": "private, no-store" };
    const node = await checked(() => ({ status: 503, headers, body: "" }));
    expect((await cli(["records", "check", "thumbs"], node)).stdout).toBe(
      [
        "all 3 answers were equal: status 503, 0B of body",
        "such runs leave no record: they fail (status 503)",
        "such runs leave no record: they set a cookie (set-cookie)",
        "such runs leave no record: their answers say so (Cache-Control: no-store)",
        "",
      ].join("\n"),
    );
  });

  it("takes a problem of the node for no answer, and another task's path for none of this one", async () => {
    const refused = await checked(() => (response) => {
      response.writeHead(404, { "content-type": "application/problem+json" });
      response.end(
        JSON.stringify({ type: "https://pilotlight.dev/problems/request/not-found", title: "No task answers here", status: 404 }),
      );
    });
    expect(await cli(["records", "check", "thumbs"], refused)).toEqual({
      exit: 1,
      stdout: "",
      stderr: "pilotlight: No task answers here\n",
    });
    const other = await checked(() => ({ status: 200, body: "" }), { "GET /-/runs/run1": { json: { id: "run1", task: "else" } } });
    expect(await cli(["records", "check", "thumbs", "--path", "/thumbs"], other)).toEqual({
      exit: 2,
      stdout: "",
      stderr: "pilotlight: /thumbs is answered by else, not by thumbs; give a path of thumbs\n",
    });
    const unrouted = await checked(() => ({ status: 200, body: "" }), {
      "GET /v1/tenants/acme/tasks/thumbs": { json: { name: "thumbs", urls: [] } },
    });
    expect(await cli(["records", "check", "thumbs"], unrouted)).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining("no route leads to thumbs"),
    });
  });

  it("ends when it is told to", async () => {
    const node = await checked(() => () => {});
    const running = start(["records", "check", "thumbs"], node);
    while (!node.requests().includes("GET /thumbs")) await new Promise((resolve) => setTimeout(resolve, 5));
    running.interrupt();
    expect((await running.ended).exit).toBe(130);
  });
});

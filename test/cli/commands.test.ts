/** What each command asks the node for, and what it makes of the answer. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { clientCommands } from "../../src/cli/client-commands.js";
import { nodesFile } from "../../src/cli/nodes-file.js";
import { processTerminal } from "../../src/cli/terminal.js";
import { USUAL_TERMS } from "../../src/tenants/tenant.js";
import { tempDir } from "../support/files.js";
import { until } from "../support/until.js";
import { KEY, cli, fakeNode, page, start, type Answer } from "./run.js";

const AT = "2026-11-25T12:00:00.000Z";
const ALIAS = {
  name: "live",
  targets: { v7: 90, v8: 10 },
  sticky: "x-user",
  updatedAt: AT,
  revision: 4,
  previous: { targets: { v7: 100 } },
};
const TASK = {
  name: "hello",
  tenant: "acme",
  aliases: [ALIAS],
  versions: 2,
  routes: ["/~acme/hello/*"],
  urls: ["http://127.0.0.1:8700/~acme/hello/"],
  access: "public",
  createdAt: AT,
  revision: 9,
};
const VERSION = {
  version: "v8",
  digest: "ab".repeat(32),
  componentBytes: 11_260,
  manifest: { name: "hello" },
  createdAt: AT,
  createdBy: "key:k1",
  aliases: ["live"],
};
const DEPLOYED = {
  tenant: "acme",
  task: "hello",
  version: "v8",
  created: true,
  digest: "ab".repeat(32),
  alias: "live",
  urls: TASK.urls,
  access: "public",
};

const TENANT = {
  name: "acme",
  hosts: ["a.example"],
  folders: [],
  quotas: { memory: 2 ** 31 },
  capacity: USUAL_TERMS,
  createdAt: AT,
  revision: 1,
};
const TENANT_VIEW = { ...TENANT, used: { tasks: 1, storedBytes: 2048, concurrency: 0, memory: 0 } };

function json(body: Buffer | undefined): unknown {
  return JSON.parse((body as Buffer).toString("utf8"));
}

describe("the tenant", () => {
  it.each([
    ["the key's own", "acme", [], "acme"],
    ["default for a key of the node", undefined, [], "default"],
    ["what --tenant says", "acme", ["--tenant", "globex"], "globex"],
  ])("is %s", async (_title, own, flags, asked) => {
    const node = await fakeNode({ [`GET /v1/tenants/${asked}/tasks`]: page() }, own);
    expect(await cli(["tasks", ...flags], node)).toMatchObject({ exit: 0, stdout: "" });
    expect(node.requests()).toEqual([`GET /v1/tenants/${asked}/tasks`]);
    expect(node.asked.every(({ headers }) => headers.authorization === `Bearer ${KEY}`)).toBe(true);
  });
});

describe("tasks", () => {
  it("lists what is deployed, page after page", async () => {
    const node = await fakeNode(
      {
        "GET /v1/tenants/acme/tasks": (response, { path }) => {
          const isFirst = !path.includes("cursor=next");
          response.end(
            JSON.stringify({
              items: [isFirst ? TASK : { ...TASK, name: "other", aliases: [], access: "key" }],
              next: isFirst ? "next" : null,
            }),
          );
        },
      },
      "acme",
    );
    expect((await cli(["tasks"], node)).stdout).toBe(
      [
        "TASK   LIVE                      VERSIONS  ACCESS  ROUTES",
        "hello  v7=90 v8=10 sticky x-user  2         public  /~acme/hello/*",
        "other  -                         2         key     /~acme/hello/*",
        "",
      ]
        .join("\n")
        .replace("LIVE                      ", "LIVE                       ")
        .replace("-                         ", "-                          "),
    );
    expect(JSON.parse((await cli(["tasks", "--json"], node)).stdout)).toMatchObject([{ name: "hello" }, { name: "other" }]);
  });

  it("shows one with its versions", async () => {
    const node = await fakeNode(
      { "GET /v1/tenants/acme/tasks/hello": { json: TASK }, "GET /v1/tenants/acme/tasks/hello/versions": page(VERSION) },
      "acme",
    );
    const { stdout } = await cli(["tasks", "hello"], node);
    expect(stdout).toContain("url     http://127.0.0.1:8700/~acme/hello/\n");
    expect(stdout).toContain("live    v7=90 v8=10 sticky x-user\n");
    expect(stdout).toMatch(/v8 {7}live {5}11\.0KiB {2}abababababab {2}2026/);
    expect(JSON.parse((await cli(["tasks", "hello", "--json"], node)).stdout)).toEqual({ ...TASK, versions: [VERSION] });
  });

  it("deletes a task only when it is meant, and a version at once", async () => {
    const gone: Answer = { status: 204 };
    const node = await fakeNode(
      { "DELETE /v1/tenants/acme/tasks/hello": gone, "DELETE /v1/tenants/acme/tasks/hello/versions/v7": gone },
      "acme",
    );
    expect(await cli(["tasks", "delete", "hello"], node)).toMatchObject({ exit: 2, stderr: expect.stringContaining("add --yes") });
    expect(await cli(["tasks", "delete", "hello"], { ...node, typed: "n\r" })).toMatchObject({ exit: 1 });
    expect(node.requests()).toEqual([]);
    expect(await cli(["tasks", "delete", "hello"], { ...node, typed: "y\r" })).toMatchObject({ exit: 0 });
    expect(await cli(["tasks", "delete", "hello", "--yes"], node)).toMatchObject({ exit: 0, stderr: "deleted hello\n" });
    expect(await cli(["tasks", "delete", "hello", "--version", "v7"], node)).toMatchObject({ exit: 0 });
    expect(node.requests().at(-1)).toBe("DELETE /v1/tenants/acme/tasks/hello/versions/v7");
  });
});

describe("deploy", () => {
  const place = "POST /v1/tenants/acme/tasks/hello/versions";
  const files = { "pilotlight.json": { name: "hello", component: "out/hello.wasm", access: "public" }, "out/hello.wasm": "bytes" };

  async function partsOf(body: Buffer, type: string | undefined): Promise<Record<string, string>> {
    const form = await new Response(body as Uint8Array<ArrayBuffer>, { headers: { "content-type": type as string } }).formData();
    const texts = [...form].map(async ([name, value]) => [name, typeof value === "string" ? value : await value.text()]);
    return Object.fromEntries((await Promise.all(texts)) as [string, string][]) as Record<string, string>;
  }

  it("uploads manifest and component of a folder, and says where it answers and for whom", async () => {
    const node = await fakeNode({ [place]: { json: DEPLOYED, status: 201 } }, "acme");
    const ran = await cli(["deploy", "fn"], { ...node, cwd: tempDir(prefixed("fn", files)) });
    expect(ran).toEqual({
      exit: 0,
      stdout: "hello v8 is live\n  http://127.0.0.1:8700/~acme/hello/\n  public: everyone can call it\n",
      stderr: "",
    });
    const { body, headers } = node.asked.at(-1) as (typeof node.asked)[number];
    const { manifest, ...rest } = await partsOf(body, headers["content-type"]);
    expect(JSON.parse(manifest as string)).toEqual(files["pilotlight.json"]);
    expect(rest).toEqual({ component: "bytes" });
  });

  it.each([
    [["--alias", "beta"], "beta", { ...DEPLOYED, alias: "beta" }, "hello v8 is beta\n"],
    [["--no-alias"], "", { ...DEPLOYED, alias: undefined, created: false }, "hello v8 (as it was already), no alias moved\n"],
  ])("with %j moves that alias alone", async (flags, alias, deployed, says) => {
    const node = await fakeNode({ [place]: { json: deployed } }, "acme");
    expect(await cli(["deploy", ...flags], { ...node, cwd: tempDir(files) })).toMatchObject({ exit: 0, stdout: says });
    const { body, headers } = node.asked.at(-1) as (typeof node.asked)[number];
    expect((await partsOf(body, headers["content-type"]))["alias"]).toBe(alias);
  });

  it("of a component alone takes its name and routes from flags", async () => {
    const node = await fakeNode({ [place]: { json: { ...DEPLOYED, access: "key", urls: ["/~acme/h/"] } } }, "acme");
    const cwd = tempDir({ "x.wasm": "bytes" });
    const ran = await cli(["deploy", "x.wasm", "--name", "hello", "--route", "/h/*", "--route", "/h2"], { ...node, cwd });
    expect(ran.stdout).toBe(
      "hello v8 is live\n  http://127.0.0.1:8700/~acme/h/\n  not public: it takes a key of this tenant with the scope invoke\n",
    );
    const { body, headers } = node.asked.find(({ method }) => method === "POST") as (typeof node.asked)[number];
    const { manifest } = await partsOf(body, headers["content-type"]);
    expect(JSON.parse(manifest as string)).toEqual({ name: "hello", component: "x.wasm", routes: ["/h/*", "/h2"] });
    expect(await cli(["deploy", "x.wasm"], { ...node, cwd })).toMatchObject({ exit: 2, stderr: expect.stringContaining("--name") });
  });

  it.each([
    ["without manifest", {}, /pilotlight\.json cannot be read: there is no such file; .* pilotlight new NAME makes one\n$/],
    [
      "that is not built",
      { "pilotlight.json": { name: "hello", component: "x.wasm", build: { source: "index.ts" } } },
      /x\.wasm cannot be read: there is no such file; build it first: pilotlight build \S+, or add --build\n$/,
    ],
    ["without a name", { "pilotlight.json": { component: "x.wasm" } }, /pilotlight\.json: name is missing/],
  ])("of a folder %s says what would be right", async (_title, content, says) => {
    const node = await fakeNode({}, "acme");
    const ran = await cli(["deploy"], { ...node, cwd: tempDir(content) });
    expect(ran).toMatchObject({ exit: 1, stderr: expect.stringMatching(says) });
    expect(node.asked).toEqual([]);
  });

  it("prints what is wrong with the manifest field by field", async () => {
    const errors = [{ field: "limits.memory", message: "expected a size" }];
    const node = await fakeNode(
      { [place]: { problem: { code: "request/invalid", detail: "limits.memory: expected a size", errors } } },
      "acme",
    );
    expect(await cli(["deploy"], { ...node, cwd: tempDir(files) })).toEqual({
      exit: 1,
      stdout: "",
      stderr: "pilotlight: What was sent is not valid:\n  limits.memory: expected a size\n",
    });
  });
});

function prefixed(folder: string, files: Readonly<Record<string, string | object>>): Record<string, string | object> {
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content]));
}

describe("alias", () => {
  const place = "/v1/tenants/acme/tasks/hello/aliases/live";

  it("sets weights, sticky by a header if asked", async () => {
    const node = await fakeNode({ [`PUT ${place}`]: { json: ALIAS } }, "acme");
    const ran = await cli(["alias", "hello", "live", "v7=90", "v8=10", "--sticky", "x-user", "--if-revision", "3"], node);
    expect(ran).toEqual({ exit: 0, stdout: "hello live → v7=90 v8=10 sticky x-user\n", stderr: "" });
    const put = node.asked.at(-1);
    expect(json(put?.body)).toEqual({ targets: { v7: 90, v8: 10 }, sticky: "x-user" });
    expect(put?.headers["if-match"]).toBe('"3"');
  });

  it("needs no weight for one version", async () => {
    const node = await fakeNode({ [`PUT ${place}`]: { json: ALIAS } }, "acme");
    await cli(["alias", "hello", "live", "v7"], node);
    expect(json(node.asked.at(-1)?.body)).toEqual({ targets: { v7: 100 } });
  });

  it("shows one, or all with what was before", async () => {
    const node = await fakeNode({ [`GET ${place}`]: { json: ALIAS }, "GET /v1/tenants/acme/tasks/hello": { json: TASK } }, "acme");
    expect((await cli(["alias", "hello", "live"], node)).stdout).toBe("hello live → v7=90 v8=10 sticky x-user\n");
    expect((await cli(["alias", "hello"], node)).stdout).toMatch(/live {3}v7=90 v8=10 sticky x-user {2}v7 {6}2026/);
  });

  it.each([
    [["v7=0"], "is not a target"],
    [["v7", "v8"], "is not a target"],
    [["v7=1", "v7=2"], "v7 is there twice"],
    [["--sticky", "x"], "--sticky goes with targets"],
  ])("%j is wrong usage", async (rest, says) => {
    const node = await fakeNode({}, "acme");
    expect(await cli(["alias", "hello", "live", ...rest], node)).toMatchObject({ exit: 2, stderr: expect.stringContaining(says) });
    expect(node.asked).toEqual([]);
  });

  it("rollback goes back by one change, or to a version", async () => {
    const node = await fakeNode({ [`POST ${place}/rollback`]: { json: { ...ALIAS, targets: { v6: 100 }, sticky: undefined } } }, "acme");
    expect(await cli(["rollback", "hello"], node)).toMatchObject({ exit: 0, stdout: "hello live → v6\n" });
    await cli(["rollback", "hello", "--to", "v6"], node);
    expect(node.asked.filter(({ method }) => method === "POST").map(({ body }) => json(body))).toEqual([{}, { to: "v6" }]);
  });
});

describe("tenants", () => {
  it("are made and changed with hosts and quotas in people's units", async () => {
    const node = await fakeNode({
      "POST /v1/tenants": { json: TENANT_VIEW, status: 201 },
      "PATCH /v1/tenants/acme": { json: TENANT_VIEW },
    });
    await cli(["tenants", "create", "acme", "--host", "a.example", "--memory", "2GiB", "--tasks", "5"], node);
    expect(json(node.asked.at(-1)?.body)).toEqual({ name: "acme", hosts: ["a.example"], quotas: { memory: 2 ** 31, tasks: 5 } });
    await cli(["tenants", "set", "acme", "--no-host", "--memory", "none", "--requests-per-second", "10"], node);
    expect(json(node.asked.at(-1)?.body)).toEqual({ hosts: [], quotas: { memory: null, requestsPerSecond: 10 } });
    expect(await cli(["tenants", "set", "acme"], node)).toMatchObject({ exit: 2, stderr: expect.stringContaining("nothing to set") });
    expect(await cli(["tenants", "set", "acme", "--memory", "lots"], node)).toMatchObject({ exit: 2 });
  });

  it("are shown with what they use", async () => {
    const node = await fakeNode({ "GET /v1/tenants/acme": { json: TENANT_VIEW }, "GET /v1/tenants": page(TENANT_VIEW) });
    expect((await cli(["tenants", "show", "acme"], node)).stdout).toContain("memory             0B of 2GiB\n");
    expect((await cli(["tenants", "list"], node)).stdout).toBe("TENANT  TASKS  STORED  HOSTS\nacme    1      2KiB    a.example\n");
  });
});

describe("keys", () => {
  const key = { id: "k2", tenant: "acme", scopes: ["deploy", "invoke"], createdAt: AT };

  it("are printed once, alone on stdout", async () => {
    const node = await fakeNode({ "POST /v1/tenants/acme/keys": { json: { key, text: "pl_new" }, status: 201 } });
    const ran = await cli(["keys", "create", "--tenant", "acme", "--scope", "deploy", "--scope", "invoke", "--note", "ci"], node);
    expect(ran).toEqual({ exit: 0, stdout: "pl_new\n", stderr: "key k2 of acme: deploy, invoke. It is shown this once:\n" });
    expect(json(node.asked.at(-1)?.body)).toEqual({ scopes: ["deploy", "invoke"], note: "ci" });
    expect(await cli(["keys", "create"], node)).toMatchObject({ exit: 2, stderr: expect.stringContaining("--scope") });
    expect(await cli(["keys", "create", "--scope", "root"], node)).toMatchObject({ exit: 2 });
  });

  it("expire after a time or on a day", async () => {
    const node = await fakeNode({ "POST /v1/tenants/default/keys": { json: { key, text: "pl_new" } } });
    await cli(["keys", "create", "--scope", "read", "--expires", "2030-01-31"], node);
    expect(json(node.asked.at(-1)?.body)).toMatchObject({ expiresAt: "2030-01-31T00:00:00.000Z" });
    await cli(["keys", "create", "--scope", "read", "--expires", "1h"], node);
    const { expiresAt } = json(node.asked.at(-1)?.body) as { expiresAt: string };
    expect(Math.abs(Date.parse(expiresAt) - Date.now() - 3_600_000)).toBeLessThan(60_000);
    expect(await cli(["keys", "create", "--scope", "read", "--expires", "soon"], node)).toMatchObject({ exit: 2 });
  });

  it("of the node are asked for by --node", async () => {
    const node = await fakeNode({
      "GET /v1/keys": page({ ...key, tenant: undefined, note: "first" }),
      "DELETE /v1/keys/k2": { status: 204 },
      "POST /v1/keys/k2/rotate": { json: { key, text: "pl_rotated" } },
    });
    expect((await cli(["keys", "list", "--node"], node)).stdout).toMatch(/^KEY .*\nk2 {3}deploy invoke {2}\S+ {2}never {4}first\n$/);
    expect(await cli(["keys", "revoke", "k2", "--node"], node)).toMatchObject({ exit: 0 });
    expect(await cli(["keys", "rotate", "k2", "--node", "--grace", "1h"], node)).toMatchObject({ exit: 0, stdout: "pl_rotated\n" });
    expect(json(node.asked.at(-1)?.body)).toEqual({ graceSeconds: 3600 });
    expect(await cli(["keys", "list", "--node", "--tenant", "acme"], node)).toMatchObject({ exit: 2 });
  });
});

describe("secrets", () => {
  const node = (): ReturnType<typeof fakeNode> =>
    fakeNode({ "PUT /v1/tenants/acme/secrets/TOKEN": { json: { name: "TOKEN", updatedAt: AT, usedBy: [] } } }, "acme");

  it.each([
    ["piped in, without its line end", { input: "s3cret\n" }],
    ["typed without being shown", { typed: "s3cret\r" }],
  ])("are set to what is %s", async (_title, given) => {
    const there = await node();
    const ran = await cli(["secrets", "set", "TOKEN"], { ...there, ...given });
    expect(ran).toMatchObject({ exit: 0, stdout: "" });
    expect(ran.stderr).toContain("set the secret TOKEN of acme\n");
    expect(ran.stderr).not.toContain("s3cret");
    expect(json(there.asked.at(-1)?.body)).toEqual({ value: "s3cret" });
  });

  it("come from the command line only when asked, and are not set to nothing", async () => {
    const there = await node();
    expect(await cli(["secrets", "set", "TOKEN", "--value", "v"], there)).toMatchObject({ exit: 0 });
    expect(await cli(["secrets", "set", "TOKEN", "v"], there)).toMatchObject({ exit: 2 });
    expect(await cli(["secrets", "set", "TOKEN"], there)).toMatchObject({ exit: 2, stderr: expect.stringContaining("no value was given") });
    expect(there.requests()).toHaveLength(1);
  });

  it("are forgotten on Ctrl-C at the prompt", async () => {
    const there = await node();
    expect(await cli(["secrets", "set", "TOKEN"], { ...there, typed: "s3c\u0003" })).toMatchObject({ exit: 130 });
    expect(there.requests()).toEqual([]);
  });
});

describe("stores", () => {
  const entry = "/v1/tenants/acme/stores/default/entries/users%2Fada%20l";

  it("give a value byte for byte, and with its revision as JSON", async () => {
    const value = Uint8Array.from([0, 255, 10]);
    const node = await fakeNode({ [`GET ${entry}`]: { status: 200, headers: { etag: '"12"' }, body: value } }, "acme");
    expect((await cli(["stores", "get", "default", "users/ada l"], node)).stdout).toBe("\u0000\u00ff\n");
    expect(JSON.parse((await cli(["stores", "get", "default", "users/ada l", "--json"], node)).stdout)).toEqual({
      key: "users/ada l",
      revision: 12,
      base64: "AP8K",
    });
  });

  it.each([
    ["an argument", ["hallo"], {}],
    ["a file", ["--file", "v"], { cwd: { v: "hallo" } }],
    ["what is piped in", [], { input: "hallo" }],
  ])("take %s", async (_title, args, { cwd, input }: { cwd?: Record<string, string>; input?: string }) => {
    const node = await fakeNode({ [`PUT ${entry}`]: { status: 204, headers: { etag: '"13"' } } }, "acme");
    const options = { env: node.env, cwd: tempDir(cwd ?? {}), ...(input === undefined ? {} : { input }) };
    const ran = await cli(["stores", "put", "default", "users/ada l", ...args, "--new"], options);
    expect(ran).toEqual({ exit: 0, stdout: "", stderr: "put 5B as users/ada l into default\n" });
    expect(node.asked.at(-1)).toMatchObject({ body: Buffer.from("hallo"), headers: { "if-none-match": "*" } });
  });

  it("list themselves, their keys by prefix, and lose one", async () => {
    const node = await fakeNode(
      {
        "GET /v1/tenants/acme/stores": page({ name: "default", keys: 2, bytes: 10 }),
        "GET /v1/tenants/acme/stores/default/entries": page({ key: "users/ada", revision: 12, bytes: 3 }),
        [`DELETE ${entry}`]: { status: 204 },
      },
      "acme",
    );
    expect((await cli(["stores", "list"], node)).stdout).toBe("STORE    KEYS  SIZE\ndefault  2     10B\n");
    expect((await cli(["stores", "list", "default", "--prefix", "users/"], node)).stdout).toBe(
      "KEY        REVISION  SIZE\nusers/ada  12        3B\n",
    );
    expect(node.asked.at(-1)?.path).toContain("prefix=users%2F");
    await cli(["stores", "delete", "default", "users/ada l", "--if-revision", "12"], node);
    expect(node.asked.at(-1)?.headers["if-match"]).toBe('"12"');
  });

  it.each(["", ".", ".."])("say that %j cannot be asked about, rather than asking about something else", async (key) => {
    const node = await fakeNode({}, "acme");
    expect(await cli(["stores", "get", "default", key], node)).toMatchObject({ exit: 2 });
    expect(node.requests()).toEqual([]);
  });
});

describe("audit and logs", () => {
  const line = { at: AT, task: "hello", version: "v8", run: "r1", level: "info", origin: "stdout", text: "one\u001B[2Jtwo\n" };

  it("audit shows so many, the node's own with --node", async () => {
    const done = { sequence: 5, at: AT, who: "key:k1", tenant: "acme", action: "task.deploy", subject: "task hello" };
    const node = await fakeNode({ "GET /v1/audit": { json: { items: [done], next: "more" } } });
    const ran = await cli(["audit", "--node", "--limit", "1"], node);
    expect(ran.stdout).toMatch(/^AT .*\n2026-11-25T12:00:00\.000Z {2}key:k1 {2}acme {4}task\.deploy {2}task hello\n$/);
    expect(node.asked.map(({ path }) => path)).toEqual(["/v1/audit?limit=1"]);
  });

  it("logs prints lines without what steers a terminal, and as they are with --json", async () => {
    const node = await fakeNode({ "GET /v1/tenants/acme/logs": { status: 200, body: `${JSON.stringify(line)}\n` } }, "acme");
    expect((await cli(["logs", "hello", "--run", "r1", "--limit", "5"], node)).stdout).toBe(`${AT} hello@v8 stdout one\\x1b[2Jtwo\n`);
    expect(node.asked.at(-1)?.path).toBe("/v1/tenants/acme/logs?task=hello&run=r1&limit=5");
    expect(JSON.parse((await cli(["logs", "--json"], node)).stdout)).toEqual(line);
  });

  it("logs -f goes on until Ctrl-C, and ends with 130", async () => {
    const node = await fakeNode({ "GET /v1/tenants/acme/logs": (response) => void response.write(`${JSON.stringify(line)}\n`) }, "acme");
    const running = start(["logs", "-f"], node);
    await until("a line is shown", () => running.said.stdout.includes("two"));
    running.interrupt();
    expect(await running.ended).toMatchObject({ exit: 130, stderr: "" });
    expect(node.asked.at(-1)?.path).toContain("follow=1");
  });

  it("logs -f says when the node hangs up", async () => {
    const node = await fakeNode({ "GET /v1/tenants/acme/logs": (response) => void response.destroy() }, "acme");
    expect(await cli(["logs", "-f"], node)).toMatchObject({ exit: 1, stderr: expect.stringContaining("broke off") });
    const ending = await fakeNode({ "GET /v1/tenants/acme/logs": { status: 200, body: "" } }, "acme");
    expect(await cli(["logs", "-f"], ending)).toMatchObject({ exit: 1, stderr: expect.stringContaining("ended the log") });
  });
});

describe("login and whoami", () => {
  it("login asks for the key, checks it, and remembers the node", async () => {
    const node = await fakeNode({}, "acme");
    const env = { XDG_CONFIG_HOME: tempDir() };
    const ran = await cli(["login", node.url.replace("http://", "")], { env, input: `${KEY}\n` });
    expect(ran.exit).toBe(0);
    expect(ran.stdout).toContain("tenant      acme\n");
    expect(ran.stdout + ran.stderr).not.toContain(KEY);
    expect(statSync(nodesFile(env)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(nodesFile(env), "utf8"))).toEqual({ nodes: [{ url: node.url, key: KEY }] });
    expect(JSON.parse((await cli(["whoami", "--json"], { env })).stdout)).toMatchObject({
      url: node.url,
      source: nodesFile(env),
      version: "0.1.0",
    });
  });

  it("login with a key that is refused remembers nothing", async () => {
    const node = await fakeNode({ "GET /v1/whoami": { problem: { code: "request/unauthorized", detail: undefined } } });
    const env = { XDG_CONFIG_HOME: tempDir() };
    const ran = await cli(["login", node.url, "--key", "pl_wrong"], { env });
    expect(ran).toEqual({ exit: 1, stdout: "", stderr: "pilotlight: This needs a valid key\n" });
    expect(existsSync(nodesFile(env))).toBe(false);
  });
});

describe("a node", () => {
  it("that refuses is quoted, title and detail", async () => {
    const node = await fakeNode(
      { "DELETE /v1/tenants/acme/secrets/T": { problem: { code: "request/conflict", detail: "hello uses it." } } },
      "acme",
    );
    const ran = await cli(["secrets", "delete", "T"], node);
    expect(ran).toMatchObject({ exit: 1, stderr: "pilotlight: This contradicts what is there: hello uses it.\n" });
  });

  it("that does not answer is named, with how to start one", async () => {
    const node = await fakeNode({});
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/`;
    const ran = await cli(["tasks"], { env: { ...node.env, PILOTLIGHT_URL: url } });
    expect(ran.exit).toBe(1);
    expect(ran.stderr).toMatch(
      /^pilotlight: no node answers at http:\/\/127\.0\.0\.1:\d+\/ \(ECONNREFUSED\); start one with pilotlight serve/,
    );
  });

  it("that is none is not taken for one", async () => {
    const node = await fakeNode({ "GET /v1/whoami": { status: 302, headers: { location: "http://example.invalid/" } } });
    expect(await cli(["whoami"], node)).toMatchObject({ exit: 1, stderr: "pilotlight: it answered 302\n" });
  });

  it("that takes its time is left on Ctrl-C, with 130", async () => {
    const node = await fakeNode({ "GET /v1/whoami": () => {} });
    const running = start(["tasks"], node);
    await until("it is asked", () => node.asked.length > 0);
    running.interrupt();
    expect(await running.ended).toEqual({ exit: 130, stdout: "", stderr: "" });
  });
});

/** A port that was free a moment ago. */
async function freePort(): Promise<string> {
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return String((address as { port: number }).port);
}

it("every command's help has examples, and a group without a command shows its own", async () => {
  const leaves = clientCommands(processTerminal()).flatMap((command) => {
    const inner = command.commands.map((one) => [command.name(), one.name()]);
    const isGroup = inner.length > 0 && !["tasks", "cells", "records"].includes(command.name());
    return isGroup ? inner : [[command.name()]].concat(inner);
  });
  expect(leaves.length).toBeGreaterThan(25);
  for (const path of leaves) {
    const { exit, stdout } = await cli([...path, "--help"]);
    expect({ path, exit, stdout }).toEqual({ path, exit: 0, stdout: expect.stringMatching(/\nExamples?:\n {2}\$ /) });
  }
  expect(await cli(["keys"])).toMatchObject({ exit: 2, stderr: expect.stringContaining("create") });
});

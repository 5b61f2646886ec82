/** Deploys, versions and aliases through the control port, on the real engine and over real sockets. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ProblemError } from "../../src/base/problem.js";
import type { Control, Deployed } from "../../src/control/control.js";
import type { Caller, TenantSettings } from "../../src/tenants/tenant.js";
import { guestPath } from "../support/guests.js";
import { problemOf, startRuntime, type StartedRuntime } from "../support/runtime.js";

const HELLO = readFileSync(guestPath("hello-p2"));
const HELLO3 = readFileSync(guestPath("hello-p3"));
const LOGGER = readFileSync(guestPath("logger-p2"));

interface Bench extends StartedRuntime {
  readonly control: Control;
  readonly operator: Caller;
  deploy(tenant: string, manifest: object, component?: Uint8Array, alias?: string | null): Promise<Deployed>;
}

async function bench(tenants: Readonly<Record<string, TenantSettings>> = { acme: {} }): Promise<Bench> {
  const started = await startRuntime([]);
  const { control, operator } = started.runtime;
  for (const [name, settings] of Object.entries(tenants)) await control.createTenant(operator, name, settings);
  return {
    ...started,
    control,
    operator,
    deploy: (tenant, manifest, component = HELLO, alias = "live") =>
      control.deploy(operator, tenant, { manifest: { component: "a.wasm", ...manifest }, component, alias }),
  };
}

/** `CODE: detail` of the problem that something ends in. */
async function refusal(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    expect(error).toBeInstanceOf(ProblemError);
    return `${(error as ProblemError).problem.code}: ${(error as Error).message}`;
  }
  return "accepted";
}

describe("a deploy", () => {
  it("makes a version, moves the alias, and says where the task is and who may call it", async () => {
    const b = await bench();
    expect(await b.deploy("acme", { name: "hello" })).toEqual({
      tenant: "acme",
      task: "hello",
      version: "v1",
      created: true,
      digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      alias: "live",
      urls: [`${b.origin}/~acme/hello`],
      access: "public",
    });
    expect((await b.get("/~acme/hello")).status).toBe(200);
    expect(b.control.version(b.operator, "acme", "hello", "v1")).toMatchObject({
      version: "v1",
      componentBytes: HELLO.byteLength,
      manifest: { name: "hello", component: "a.wasm" },
      createdBy: "operator:process",
      aliases: ["live"],
    });
  });

  it("of the same bytes and manifest is the same version, and does nothing; the order of fields does not matter", async () => {
    const b = await bench();
    await b.deploy("acme", { name: "hello", env: { A: "1", B: "2" } });
    const audit = b.control.audit(b.operator, "acme", {}).items.length;
    expect(await b.deploy("acme", { env: { B: "2", A: "1" }, name: "hello" })).toMatchObject({ version: "v1", created: false });
    expect(b.control.audit(b.operator, "acme", {}).items.length).toBe(audit);
    expect(await b.deploy("acme", { name: "hello", env: { A: "1", B: "3" } })).toMatchObject({ version: "v2", created: true });
    // An older one again: the version that there is, and the alias goes to it.
    expect(await b.deploy("acme", { name: "hello", env: { A: "1", B: "2" } })).toMatchObject({ version: "v1", created: false });
    expect(b.control.task(b.operator, "acme", "hello").aliases[0]).toMatchObject({ targets: { v1: 1 }, previous: { targets: { v2: 1 } } });
    await expect.poll(() => b.runtime.stats().engine.programs).toBe(1);
  });

  it("without an alias is made ready and leads nowhere", async () => {
    const b = await bench();
    expect(await b.deploy("acme", { name: "hello" }, HELLO, null)).toMatchObject({ version: "v1", alias: undefined });
    expect((await b.get("/~acme/hello")).status).toBe(404);
    await b.control.setAlias(b.operator, "acme", "hello", "live", { targets: { v1: 1 } }, undefined);
    expect((await b.get("/~acme/hello")).status).toBe(200);
  });

  it("is refused whole when the manifest is wrong, with every field", async () => {
    const b = await bench();
    const manifest = { name: "Hello", routes: ["x"], secret: [], idempotent: { ttl: "never" } };
    await expect(b.deploy("acme", manifest)).rejects.toMatchObject({
      problem: {
        code: "request/invalid",
        errors: [
          { field: "manifest.name", message: expect.stringContaining("expected a name of lower-case letters") as string },
          { field: "manifest.routes[0]", message: expect.stringContaining('expected a path that begins with "/"') as string },
          { field: "manifest.idempotent.ttl", message: expect.stringContaining("expected a duration") as string },
          { field: "manifest.secret", message: "unknown field" },
        ],
      },
    });
    expect(b.control.tasks(b.operator, "acme", {}).items).toEqual([]);
  });

  it("is refused when the bytes are no component, when imports are missing, and when no instance can be made", async () => {
    const b = await bench();
    expect(await refusal(b.deploy("acme", { name: "a" }, Buffer.from("not wasm")))).toMatch(/^request\/invalid: the component: /);
    expect(await refusal(b.deploy("acme", { name: "a" }, readFileSync(guestPath("unmet"))))).toMatch(
      /^request\/invalid: the component: nothing provides these imports: demo:/,
    );
    const small = { name: "a", limits: { memory: "64KiB" } };
    expect(await refusal(b.deploy("acme", small))).toMatch(
      /^request\/invalid: the component: no instance of it can be made: the limit memory is 65536/,
    );
    expect(b.control.tasks(b.operator, "acme", {}).items).toEqual([]);
    await expect.poll(() => b.runtime.stats().engine.programs).toBe(0);
  });

  it("is refused when another task of the tenant has the route, and the alias stays where it was", async () => {
    const b = await bench({ acme: {}, globex: {} });
    await b.deploy("acme", { name: "one", routes: ["/x/*"] });
    expect(await refusal(b.deploy("acme", { name: "two", routes: ["/x/*"] }))).toBe(
      "request/conflict: The task two has the route /x/*, which matches the same paths as /x/* of the task one; change one of them.",
    );
    expect(await refusal(b.deploy("globex", { name: "two", routes: ["/x/*"] }))).toBe("accepted");
    expect(b.control.tasks(b.operator, "acme", {}).items.map(({ name }) => name)).toEqual(["one"]);
    await expect.poll(() => b.runtime.stats().engine.programs).toBe(2);
  });

  it("takes hosts, folders and secrets that the tenant has, and refuses others in one set of words, held by another or not", async () => {
    const b = await bench({ acme: { hosts: ["acme.example"] }, globex: { hosts: ["globex.example"] } });
    const refused = async (manifest: object): Promise<unknown> =>
      b.deploy("acme", { name: "a", ...manifest }).then(
        () => "accepted",
        (error: ProblemError) => error.problem.errors,
      );
    const words = (host: string): string => `the host ${host} is not granted to this tenant; its operator grants hosts`;
    expect(await refused({ routes: ["acme.example/*", "globex.example/*", "nobody.example/*"] })).toEqual([
      { field: "manifest.routes[1]", message: words("globex.example") },
      { field: "manifest.routes[2]", message: words("nobody.example") },
    ]);
    expect(await refused({ secrets: ["TOKEN"] })).toEqual([
      { field: "manifest.secrets[0]", message: "there is no secret TOKEN; set it first: pilotlight secrets set TOKEN" },
    ]);
    const { text } = await b.control.issueKey(b.operator, "acme", { scopes: ["deploy"] });
    const caller = b.control.identify(text) as Caller;
    const folder = { name: "a", component: "a.wasm", files: [{ host: "/etc", guest: "/etc" }] };
    await expect(b.control.deploy(caller, "acme", { manifest: folder, component: HELLO })).rejects.toMatchObject({
      problem: {
        errors: [
          { field: "manifest.files[0].host", message: "the folder /etc is not granted to this tenant; its operator grants folders" },
        ],
      },
    });
    await b.control.updateTenant(b.operator, "acme", { folders: ["/etc"] }, undefined);
    expect(await refusal(b.control.deploy(caller, "acme", { manifest: folder, component: HELLO }))).toBe("accepted");
    expect(await refused({ routes: ["acme.example/*"] })).toBe("accepted");
    expect((await b.get("/", { headers: { host: "acme.example" } })).status).toBe(404); // fetch does not send it
  });

  it("two at once of one task are two versions, and the alias is at one of them", async () => {
    const b = await bench();
    const both = await Promise.all([b.deploy("acme", { name: "a" }, HELLO), b.deploy("acme", { name: "a" }, HELLO3)]);
    expect(both.map(({ version }) => version).sort()).toEqual(["v1", "v2"]);
    const again = await Promise.all(Array.from({ length: 8 }, () => b.deploy("acme", { name: "b" })));
    expect(new Set(again.map(({ version }) => version))).toEqual(new Set(["v1"]));
    expect(again.filter(({ created }) => created)).toHaveLength(1);
    await expect.poll(() => b.runtime.stats().engine.programs).toBe(2);
  });

  it("keeps within the tenant's quotas of tasks and bytes", async () => {
    const b = await bench({ acme: { quotas: { tasks: 1, storedBytes: HELLO.byteLength + HELLO3.byteLength - 1 } } });
    await b.deploy("acme", { name: "a" });
    expect(await refusal(b.deploy("acme", { name: "b" }))).toBe(
      "quota/tasks: The quota tasks allows 1 tasks; 1 are used, and this takes 1 more.",
    );
    expect(await refusal(b.deploy("acme", { name: "a" }, HELLO3))).toMatch(/^quota\/stored-bytes: The quota storedBytes allows /);
    // The same component again takes no more room.
    expect(await refusal(b.deploy("acme", { name: "a", env: { A: "1" } }))).toBe("accepted");
  });
});

describe("an alias", () => {
  it("goes back to where it was, and forward again", async () => {
    const b = await bench();
    await b.deploy("acme", { name: "a", env: { N: "1" } });
    expect(await refusal(b.control.rollback(b.operator, "acme", "a", "live", undefined))).toBe(
      "request/conflict: The alias live has been nowhere else before; name a version to go to.",
    );
    await b.deploy("acme", { name: "a", env: { N: "2" } });
    expect(await b.control.rollback(b.operator, "acme", "a", "live", undefined)).toMatchObject({
      targets: { v1: 1 },
      previous: { targets: { v2: 1 } },
    });
    expect(await b.control.rollback(b.operator, "acme", "a", "live", undefined)).toMatchObject({ targets: { v2: 1 } });
    expect(await b.control.rollback(b.operator, "acme", "a", "live", "v1")).toMatchObject({ targets: { v1: 1 } });
    expect(await refusal(b.control.rollback(b.operator, "acme", "a", "live", "v9"))).toBe("request/no-such-thing: There is no version v9.");
    await expect.poll(() => b.runtime.stats().engine.programs).toBe(1);
  });

  it("shares requests by weight, and keeps those with one value of the sticky header together", async () => {
    const b = await bench();
    await b.deploy("acme", { name: "a", env: { N: "1" } });
    await b.deploy("acme", { name: "a", env: { N: "2" } });
    await b.control.setAlias(b.operator, "acme", "a", "live", { targets: { v1: 1, v2: 1 }, sticky: "X-User" }, undefined);
    const versionOf = async (user?: string): Promise<string | undefined> => {
      const answer = await b.get("/~acme/a", user === undefined ? {} : { headers: { "x-user": user } });
      await answer.arrayBuffer();
      return b.runtime.runRecord(answer.headers.get("pilotlight-run") as string)?.version;
    };
    const seen = new Set<string | undefined>();
    for (let i = 0; i < 60; i++) seen.add(await versionOf());
    expect(seen).toEqual(new Set(["v1", "v2"]));
    for (const user of ["ann", "bob", "cid"])
      expect(new Set([await versionOf(user), await versionOf(user), await versionOf(user)]).size).toBe(1);
  });

  it("takes whole weights above zero of versions that there are", async () => {
    const b = await bench();
    await b.deploy("acme", { name: "a" });
    const set = (targets: Record<string, number>, sticky?: string, alias = "live"): Promise<string> =>
      refusal(b.control.setAlias(b.operator, "acme", "a", alias, { targets, sticky }, undefined));
    expect(await set({})).toBe('request/invalid: targets: expected at least one version with its weight, such as { "v7": 90, "v8": 10 }');
    expect(await set({ v1: 0 })).toBe(
      "request/invalid: targets.v1: expected a whole number from 1 to 1000000; leave a version out that should get nothing",
    );
    expect(await set({ one: 1 })).toBe('request/invalid: targets.one: expected a version such as "v7"');
    expect(await set({ v2: 1 })).toBe("request/no-such-thing: There is no version v2.");
    expect(await set({ v1: 1 }, "x y")).toBe('request/invalid: sticky: expected the name of a header, such as "x-user"');
    expect(await set({ v1: 1 }, undefined, "v3")).toMatch(/^request\/invalid: alias: expected a name such as "live"/);
  });

  it("is changed by whoever knows what it is now, and by nobody else who says so", async () => {
    const b = await bench();
    await b.deploy("acme", { name: "a", env: { N: "1" } });
    await b.deploy("acme", { name: "a", env: { N: "2" } });
    const { revision } = b.control.task(b.operator, "acme", "a").aliases[0] as { revision: number };
    const move = (label: string, ifRevision: number): Promise<string> =>
      refusal(b.control.setAlias(b.operator, "acme", "a", "live", { targets: { [label]: 1 } }, ifRevision));
    expect(await Promise.all([move("v1", revision), move("v1", revision - 1)])).toEqual([
      "accepted",
      expect.stringMatching(/^request\/changed-meanwhile: It has the revision \d+ by now, and not \d+\.$/),
    ]);
    expect(await move("v2", revision)).toMatch(/^request\/changed-meanwhile/);
  });

  it("holds its version: that one cannot be deleted, others can, with their components", async () => {
    const b = await bench();
    await b.deploy("acme", { name: "a" }, HELLO);
    await b.deploy("acme", { name: "a" }, HELLO3);
    const drop = (label: string): Promise<string> => refusal(b.control.deleteVersion(b.operator, "acme", "a", label));
    expect(await drop("v2")).toBe("request/conflict: The alias live leads to v2; move it to another version first.");
    expect(await drop("v1")).toBe("accepted");
    expect(await drop("v1")).toBe("request/no-such-thing: There is no version v1.");
    expect(await refusal(b.control.rollback(b.operator, "acme", "a", "live", undefined))).toBe(
      "request/conflict: The alias live led to v1 before, which is deleted; name a version to go to.",
    );
    expect(await refusal(b.control.deleteAlias(b.operator, "acme", "a", "live"))).toMatch(/^request\/conflict: The alias live stays/);
  });
});

describe("what a tenant's own things are to others", () => {
  it("a key of another tenant gets the same answer for what is there and what is not", async () => {
    const b = await bench({ acme: {}, globex: {} });
    await b.deploy("acme", { name: "a" });
    const { text } = await b.control.issueKey(b.operator, "globex", { scopes: ["admin"] });
    const globex = b.control.identify(text) as Caller;
    const asked: ((tenant: string) => unknown)[] = [
      (tenant) => b.control.task(globex, tenant, "a"),
      (tenant) => b.control.tasks(globex, tenant, {}),
      (tenant) => b.control.versions(globex, tenant, "a", {}),
      (tenant) => b.control.deploy(globex, tenant, { manifest: {}, component: HELLO }),
      (tenant) => b.control.deleteTask(globex, tenant, "a", undefined),
      (tenant) => b.control.secrets(globex, tenant, {}),
      (tenant) => b.control.putSecret(globex, tenant, "A", "value"),
      (tenant) => b.control.entries(globex, tenant, "default", "", {}),
      (tenant) => b.control.putEntry(globex, tenant, "default", "k", HELLO, undefined),
      (tenant) => b.control.keys(globex, tenant, {}),
      (tenant) => b.control.issueKey(globex, tenant, { scopes: ["admin"] }),
      (tenant) => b.control.audit(globex, tenant, {}),
      (tenant) => b.control.logs(globex, tenant, {}),
      (tenant) => b.control.tenant(globex, tenant),
    ];
    for (const ask of asked) {
      const [there, nowhere] = [await refusal(async () => ask("acme")), await refusal(async () => ask("nobody"))];
      expect(there, String(ask)).toBe("request/no-such-thing: There is no tenant acme.");
      expect(nowhere).toBe("request/no-such-thing: There is no tenant nobody.");
    }
    expect(b.control.tenants(globex, {}).items.map(({ name }) => name)).toEqual(["globex"]);
  });

  it("a task that takes a key, a foreign task and a path without one are one answer on the data plane", async () => {
    const b = await bench({ acme: {}, globex: {} });
    await b.deploy("acme", { name: "closed", access: "key" });
    await b.deploy("acme", { name: "shared", access: { tenants: ["globex"] } });
    const keyOf = async (tenant: string, scopes: ["invoke"] | ["read"]): Promise<string> =>
      (await b.control.issueKey(b.operator, tenant, { scopes })).text;
    const [own, reader, other] = [await keyOf("acme", ["invoke"]), await keyOf("acme", ["read"]), await keyOf("globex", ["invoke"])];
    const ask = async (path: string, key?: string): Promise<string> => {
      const answer = await b.get(path, key === undefined ? {} : { headers: { "pilotlight-key": key } });
      if (answer.status === 200) return "200";
      const { status, code, detail } = await problemOf(answer);
      return `${status} ${code} ${detail?.replace(path, "PATH")}`;
    };
    const nothing = await ask("/~acme/nothing");
    expect(nothing).toMatch(/^404 request\/not-found /);
    for (const [path, key] of [
      ["/~acme/closed", undefined],
      ["/~acme/closed", reader],
      ["/~acme/closed", other],
      ["/~acme/shared", undefined],
      ["/~nobody/closed", undefined],
      ["/~nobody/closed", own],
      ["/~acme/nothing", own],
    ] as const) {
      expect(await ask(path, key), `${path} ${key}`).toBe(nothing);
    }
    expect([await ask("/~acme/closed", own), await ask("/~acme/shared", own), await ask("/~acme/shared", other)]).toEqual([
      "200",
      "200",
      "200",
    ]);
    const wrong = await ask("/~acme/closed", `pl_${"x".repeat(43)}`);
    expect(wrong).toMatch(/^401 request\/unauthorized /);
    expect(await ask("/~acme/nothing", `pl_${"x".repeat(43)}`)).toBe(wrong);
  });
});

describe("a secret", () => {
  it("reaches the guest as config, changes without a deploy, and stays while it is used", async () => {
    const b = await bench();
    const put = (value: string): Promise<unknown> => b.control.putSecret(b.operator, "acme", "TOKEN", value);
    await put("first-value");
    await b.deploy("acme", { name: "a", secrets: ["TOKEN"] });
    expect(b.control.secrets(b.operator, "acme", {}).items).toMatchObject([{ name: "TOKEN", usedBy: ["a"] }]);
    const before = b.runtime.stats().engine.programs;
    await put("second-value");
    expect((await b.get("/~acme/a")).status).toBe(200);
    await expect.poll(() => b.runtime.stats().engine.programs).toBe(before);
    expect(await refusal(b.control.deleteSecret(b.operator, "acme", "TOKEN"))).toBe(
      "request/conflict: The secret TOKEN is used by a; deploy versions without it, or delete these, first.",
    );
    const audit = JSON.stringify(b.control.audit(b.operator, undefined, { limit: 1000 }));
    expect(audit).toContain("secret.put");
    expect(audit).not.toMatch(/first-value|second-value/);
  });
});

describe("what guests write", () => {
  it("is kept for the tenant, to read and to follow, without its secrets; failed runs are there too", async () => {
    const b = await bench({ acme: { hosts: ["acme.example"] }, globex: {} });
    await b.control.putSecret(b.operator, "acme", "TOKEN", "on stdout");
    await b.deploy("acme", { name: "a" }, LOGGER);
    await b.deploy("globex", { name: "a" }, LOGGER);
    await b.deploy("acme", { name: "bad", routes: ["acme.example/*"] }, readFileSync(guestPath("behave-p2")));
    const followed: string[] = [];
    const stop = b.control.followLogs(b.operator, "acme", { task: "a" }, ({ origin, text }) => void followed.push(`${origin} ${text}`));
    const run = (await b.get("/~acme/a")).headers.get("pilotlight-run");
    await b.get("/~globex/a");
    await b.runtime.fetch(new Request("http://acme.example/trap"));
    const lines = (tenant: string): string[] =>
      b.control
        .logs(b.operator, tenant, {})
        .map(({ task, origin, level, text }) => `${task} ${origin} ${level} ${text.replace(/ [\d.]+ ms/, "")}`);
    await expect
      .poll(() => lines("acme"))
      .toEqual([
        "a stdout info a line ***",
        "a stderr info a line on stderr",
        "a wasi:logging info a line through wasi:logging",
        expect.stringMatching(/^bad run warn GET \/trap - trap: /) as string,
      ]);
    await expect.poll(() => lines("globex")).toHaveLength(3);
    expect(lines("globex")[0]).toBe("a stdout info a line on stdout");
    expect(b.control.logs(b.operator, "acme", { run: run as string })).toHaveLength(3);
    expect(followed.at(-1)).toMatch(/^run GET \/~acme\/a 200 ok /);
    expect(followed).toHaveLength(4);
    stop();
    await expect.poll(() => b.log.guest(run)).toEqual(["a line ***", "a line on stderr", "a line through wasi:logging"]);
  });

  it("is for keys with debug on the tenant", async () => {
    const b = await bench({ acme: {} });
    const keyOf = async (scope: "read" | "debug" | "deploy"): Promise<Caller> =>
      b.control.identify((await b.control.issueKey(b.operator, "acme", { scopes: [scope] })).text) as Caller;
    const reader = await keyOf("read");
    expect(await refusal(() => b.control.logs(reader, "acme", {}))).toBe("request/forbidden: This takes a key with the scope debug.");
    expect(b.control.logs(await keyOf("debug"), "acme", {})).toEqual([]);
    expect(b.control.logs(await keyOf("deploy"), "acme", {})).toEqual([]);
  });
});

describe("a tenant that is deleted", () => {
  it("takes everything with it, and one of its name later has none of it", async () => {
    const b = await bench();
    const { text } = await b.control.issueKey(b.operator, "acme", { scopes: ["admin"] });
    await b.control.putSecret(b.operator, "acme", "TOKEN", "some-value");
    await b.control.putEntry(b.operator, "acme", "default", "k", Buffer.from("v"), undefined);
    await b.deploy("acme", { name: "a" }, LOGGER);
    await b.control.deleteTenant(b.operator, "acme", undefined);
    expect([b.control.identify(text), (await b.get("/~acme/a")).status, b.runtime.stats().engine.programs]).toEqual([undefined, 404, 0]);
    await b.control.createTenant(b.operator, "acme", {});
    expect(b.control.tasks(b.operator, "acme", {}).items).toEqual([]);
    expect(b.control.secrets(b.operator, "acme", {}).items).toEqual([]);
    expect(b.control.stores(b.operator, "acme")).toEqual([]);
    expect(b.control.keys(b.operator, "acme", {}).items).toEqual([]);
    expect(await refusal(b.control.deleteTenant(b.operator, "default", undefined))).toMatch(/^request\/conflict: The tenant default stays/);
  });
});

describe("quotas of requests", () => {
  it("answer 429 with Retry-After, give back what ended, and leave other tenants alone", async () => {
    const b = await bench({ acme: { quotas: { requestsPerSecond: 2 } }, globex: {} });
    await b.deploy("acme", { name: "a" });
    await b.deploy("globex", { name: "a" });
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await b.get("/~acme/a"));
    expect(answers.slice(0, 2).map(({ status }) => status)).toEqual([200, 200]);
    const last = answers.at(-1) as Response;
    expect([last.status, last.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(await problemOf(last)).toMatchObject({ code: "quota/requests" });
    expect((await b.get("/~globex/a")).status).toBe(200);
    await b.idle();
    expect(b.control.tenant(b.operator, "acme").used).toMatchObject({ concurrency: 0, memory: 0, tasks: 1 });
  });
});

describe("a task that nobody calls", () => {
  it("gives its program back after a while, and its next run brings it back; one that is kept ready stays", async () => {
    const b = await bench();
    await b.deploy("acme", { name: "quiet" });
    await b.deploy("acme", { name: "kept", capacity: { ready: 1 } });
    expect(b.runtime.stats().engine.programs).toBe(2);
    await b.control.setCapacity(b.operator, { instanceIdle: 10, cellIdle: 20, programIdle: 100 });
    await expect.poll(() => b.runtime.stats().engine.programs, { timeout: 10_000 }).toBe(1);
    expect((await b.get("/~acme/quiet")).status).toBe(200);
    expect((await b.log.first({ msg: "run", task: "quiet" })).capacity).toMatch(/\/stored$/);
    expect(b.runtime.stats().engine.programs).toBe(2);
    await b.control.deleteTask(b.operator, "acme", "kept", undefined);
  });
});

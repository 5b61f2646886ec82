/** A durable runtime, closed and opened again: what was answered is there, and nothing needs a hand. */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Runtime, type RuntimeOptions } from "../../src/runtime.js";
import type { Caller } from "../../src/tenants/tenant.js";
import { atEnd } from "../support/cleanup.js";
import { tempDir } from "../support/files.js";
import { guestPath, guestTask } from "../support/guests.js";
import { LogCapture } from "../support/log.js";

const HELLO = readFileSync(guestPath("hello-p2"));
const HELLO3 = readFileSync(guestPath("hello-p3"));

async function open(data: string, options: RuntimeOptions = {}): Promise<Runtime> {
  const runtime = new Runtime({ data, durable: true, instances: 16, ...options });
  atEnd(() => runtime.close(1000));
  await runtime.start();
  return runtime;
}

const ask = async (runtime: Runtime, path: string, headers: Record<string, string> = {}): Promise<number> =>
  (await runtime.fetch(new Request(`http://node.example${path}`, { headers }))).status;

describe("a restart", () => {
  it("finds tenants, tasks, aliases, keys, secrets, the audit log and the time of day", async () => {
    const data = tempDir();
    const first = await open(data);
    const { control, operator } = first;
    await control.createTenant(operator, "acme", { hosts: ["acme.example"], quotas: { tasks: 9 } });
    await control.putSecret(operator, "acme", "TOKEN", "the-value");
    const { text } = await control.issueKey(operator, "acme", { scopes: ["invoke"] });
    const deploy = (component: Uint8Array, access = "key") =>
      control.deploy(operator, "acme", {
        manifest: { name: "a", component: "a.wasm", access, secrets: ["TOKEN"], routes: ["/a", "acme.example/host"] },
        component,
      });
    await deploy(HELLO);
    await deploy(HELLO3);
    await control.setAlias(operator, "acme", "a", "live", { targets: { v1: 1, v2: 3 }, sticky: "x-user" }, undefined);
    const seen = (runtime: Runtime): unknown => [
      runtime.control.task(operator, "acme", "a"),
      runtime.control.versions(operator, "acme", "a", {}),
      runtime.control.tenant(operator, "acme"),
      runtime.control.secrets(operator, "acme", {}),
      runtime.control.keys(operator, "acme", {}),
      runtime.control.audit(operator, undefined, {}),
    ];
    const before = seen(first);
    await first.close();
    const second = await open(data, { wall: () => 0 });
    expect(seen(second)).toEqual(before);
    expect(second.stats().engine.programs).toBe(0);
    const key = { "pilotlight-key": text };
    expect([
      await ask(second, "/~acme/a"),
      await ask(second, "/~acme/a", key),
      await ask(second, "/host", { host: "acme.example", ...key }),
    ]).toEqual([404, 200, 200]);
    expect(second.stats().engine.programs).toBeGreaterThan(0);
    expect(second.control.identify(text)).toMatchObject({ kind: "key" });
  });

  it("does not bring back a key that had expired, though the clock was set back meanwhile", async () => {
    const data = tempDir();
    let now = Date.parse("2030-01-01T00:00:00Z");
    const first = await open(data, { wall: () => now });
    const { text } = await first.control.issueKey(first.operator, undefined, { scopes: ["read"], expiresAt: "2030-01-01T01:00:00Z" });
    now += 2 * 3_600_000;
    expect(first.control.identify(text)).toBeUndefined();
    await first.close();
    now -= 10 * 3_600_000;
    const second = await open(data, { wall: () => now });
    expect(second.control.identify(text)).toBeUndefined();
  });

  it("links a task at its first run, once for many, and says so", async () => {
    const data = tempDir();
    const first = await open(data);
    await first.deploy(guestTask("hello-p2"));
    await first.close();
    const log = new LogCapture();
    const second = await open(data, { log: "info", logTo: log });
    expect(second.tasks()).toMatchObject([{ name: "hello-p2", version: "v1", component: undefined }]);
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(second, "/x")));
    expect(new Set(answers)).toEqual(new Set([200]));
    expect(second.stats().engine.programs).toBe(1);
    const rungs = (): unknown[] => log.all({ msg: "run", task: "hello-p2" }).map(({ capacity }) => capacity);
    const raised = expect.stringMatching(/\/compiled$/) as string;
    await expect.poll(rungs).toEqual(Array.from({ length: 10 }, () => raised));
    expect(await ask(second, "/x")).toBe(200);
    expect(second.tasks()[0]?.component?.runs.http).toBe("0.2");
  });

  it("compiles a task anew whose compiled form is gone, at its first run", async () => {
    const data = tempDir();
    const first = await open(data);
    await first.deploy(guestTask("hello-p2"));
    await first.close();
    rmSync(join(data, "compiled"), { recursive: true });
    const log = new LogCapture();
    const second = await open(data, { log: "info", logTo: log });
    expect(await ask(second, "/x")).toBe(200);
    expect((await log.first({ msg: "run" })).capacity).toMatch(/\/stored$/);
    expect(readdirSync(join(data, "compiled"))).toHaveLength(2);
  });

  it("links the tasks of a tenant with cells of its own before they are asked for", async () => {
    const data = tempDir();
    const first = await open(data);
    await first.control.createTenant(first.operator, "acme", { capacity: { dedicated: 1 } });
    await first.control.deploy(first.operator, "acme", { manifest: { name: "a", component: "a.wasm" }, component: HELLO });
    await first.deploy(guestTask("hello-p2", { name: "b" }));
    await first.close();
    const log = new LogCapture();
    const second = await open(data, { log: "info", logTo: log });
    await expect.poll(() => second.stats().engine.programs).toBe(1);
    // The engine has linked it; the pool hears of that in a later turn of the event loop.
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await ask(second, "/~acme/a")).toBe(200);
    expect(await log.first({ msg: "run", task: "a" })).toMatchObject({ capacity: "own/linked" });
  });

  it("gives a secret that is changed while its task is being linked to every run that comes later", async () => {
    const data = tempDir();
    const first = await open(data);
    const { control, operator } = first;
    await control.putSecret(operator, "default", "TOKEN", "old-value");
    await first.deploy(guestTask("hello-p2", { name: "a", secrets: ["TOKEN"] }));
    await first.close();
    const second = await open(data);
    const programs = second.stats().engine.programs;
    const [status] = await Promise.all([ask(second, "/x"), second.control.putSecret(second.operator, "default", "TOKEN", "new-value")]);
    expect([programs, status, await ask(second, "/x")]).toEqual([0, 200, 200]);
    // The program with the old value has gone.
    await expect.poll(() => second.stats().engine.programs).toBe(1);
  });

  it("has instances ready of a task that wants some, before a request comes", async () => {
    const data = tempDir();
    const first = await open(data);
    await first.deploy(guestTask("hello-p2", { capacity: { ready: 2 } }));
    await first.close();
    const second = await open(data);
    await expect.poll(() => second.stats().pool.idle).toBe(2);
  });

  it("gives a task that is deployed or rolled back before its first run what was asked for", async () => {
    const data = tempDir();
    const first = await open(data);
    await first.deploy(guestTask("hello-p2", { name: "a", env: { N: "1" } }));
    await first.deploy(guestTask("hello-p2", { name: "a", env: { N: "2" } }));
    await first.control.putSecret(first.operator, "default", "TOKEN", "old-value");
    await first.deploy(guestTask("hello-p2", { name: "b", routes: ["/b"], secrets: ["TOKEN"] }));
    await first.close();
    const second = await open(data);
    const { control, operator } = second;
    await Promise.all([ask(second, "/b"), control.putSecret(operator, "default", "TOKEN", "new-value")]);
    expect(await ask(second, "/b")).toBe(200);
    const [rolled, status] = await Promise.all([control.rollback(operator, "default", "a", "live", undefined), ask(second, "/x")]);
    expect([rolled.targets, status, await ask(second, "/x")]).toEqual([{ v1: 1 }, 200, 200]);
    // A program goes when the last of its instances has.
    await expect.poll(() => second.stats().engine.programs).toBe(2);
    await expect(control.deleteVersion(operator, "default", "a", "v2")).resolves.toBeUndefined();
    await control.deleteTask(operator, "default", "a", undefined);
    expect(await ask(second, "/x")).toBe(404);
    await expect.poll(() => second.stats().engine.programs).toBe(1);
  });

  it("says which component is damaged, to the log and not to the client, and serves the others; a deploy mends it", async () => {
    const data = tempDir();
    const first = await open(data);
    const { component } = await first.deploy(guestTask("hello-p2", { name: "broken", routes: ["/broken"] }));
    await first.deploy(guestTask("hello-p3", { name: "whole", routes: ["/whole"] }));
    await first.close();
    const file = join(data, "components", `${component.digest}.wasm`);
    writeFileSync(file, readFileSync(file).fill(7, 100, 200));
    const log = new LogCapture();
    const second = await open(data, { log: "info", logTo: log });
    expect([await ask(second, "/whole"), await ask(second, "/broken")]).toEqual([200, 500]);
    expect((await log.first({ msg: "run", outcome: "platform" })).cause).toMatch(new RegExp(component.digest));
    expect((await log.first({ level: 50, tenant: "default" })).msg).toMatch(
      new RegExp(`^broken v1 cannot be linked: .*${component.digest}`),
    );
    await second.deploy(guestTask("hello-p2", { name: "broken", routes: ["/broken"], env: { A: "1" } }));
    expect(await ask(second, "/broken")).toBe(200);
  });

  it("clears away components and compiled forms that nothing needs any more", async () => {
    const data = tempDir();
    const first = await open(data);
    await first.deploy(guestTask("hello-p2", { name: "a" }));
    await first.deploy(guestTask("hello-p3", { name: "b", routes: ["/b"] }));
    const names = (folder: string): string[] =>
      readdirSync(join(data, folder))
        .map((name) => name.slice(0, 64))
        .sort();
    const before = names("compiled");
    writeFileSync(join(data, "components", `${"0".repeat(64)}.wasm`), "left by a killed deploy");
    await first.remove("a");
    await first.close();
    const second = await open(data);
    expect(names("components")).toHaveLength(1);
    expect(new Set(names("compiled"))).toEqual(new Set(names("components")));
    expect(new Set(before).size).toBe(2);
    expect(await ask(second, "/b")).toBe(200);
  });
});

describe("the tasks of a configuration", () => {
  it("are deployed again only when they have changed: a rollback over the network outlives a restart", async () => {
    const data = tempDir();
    const [one, two] = [guestTask("hello-p2", { name: "a", env: { N: "1" } }), guestTask("hello-p2", { name: "a", env: { N: "2" } })];
    const targets = (runtime: Runtime): unknown => runtime.control.task(runtime.operator, "default", "a").aliases[0]?.targets;
    const first = await open(data);
    await first.configure(one);
    await first.configure(two);
    await first.control.rollback(first.operator, "default", "a", "live", undefined);
    await first.close();
    const second = await open(data);
    await second.configure(two);
    expect(targets(second)).toEqual({ v1: 1 });
    await second.configure(guestTask("hello-p2", { name: "a", env: { N: "3" } }));
    expect(targets(second)).toEqual({ v3: 1 });
    await second.remove("a");
    await second.configure(guestTask("hello-p2", { name: "a", env: { N: "3" } }));
    expect(targets(second)).toEqual({ v1: 1 });
  });
});

describe("the first admin key", () => {
  it("is written once, for its owner's eyes, and holds; a start that was killed before the file makes another", async () => {
    const data = tempDir();
    const first = await open(data);
    const made = await first.adminKey(data);
    expect(made.path).toBe(join(data, "admin.key"));
    expect(statSync(join(data, "admin.key")).mode & 0o777).toBe(0o600);
    expect(first.control.identify(made.text as string)).toMatchObject({ kind: "key", key: { tenant: undefined, scopes: ["admin"] } });
    expect(await first.adminKey(data)).toEqual({ text: made.text, path: undefined });
    await first.close();
    const second = await open(data);
    expect(await second.adminKey(data)).toEqual({ text: made.text, path: undefined });
    const caller = second.control.identify(made.text as string) as Caller;
    await second.control.issueKey(caller, undefined, { scopes: ["read"] });
    writeFileSync(join(data, "admin.key"), "pl_something-else\n");
    expect(await second.adminKey(data)).toEqual({ text: undefined, path: undefined });
  });
});

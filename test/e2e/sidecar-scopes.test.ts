/** Sidecars that are shared: how many there are and whose, what a run gets of them, and that nobody reaches another tenant's. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { ManifestInput } from "../../src/tasks/manifest.js";
import { uploadForm } from "../http/admin/client.js";
import { tempDir } from "../support/files.js";
import { guestPath } from "../support/guests.js";
import { problemOf, runOf, startRuntime, type StartedRuntime } from "../support/runtime.js";
import { until } from "../support/until.js";

type Sidecars = NonNullable<ManifestInput["sidecars"]>;

const task = (name: string, guest: string, sidecars: Sidecars = [], more: Partial<ManifestInput> = {}) => ({
  manifest: { name, sidecars, ...more },
  component: readFileSync(guestPath(guest)),
});

const bystander = (more: Partial<ManifestInput> = {}) =>
  task("bystander", "bystander", [], { routes: [], limits: { memory: "16MiB", timeout: "1s", cpu: "300ms" }, ...more });

/** What bystanders have noted: function, instance, how many calls it has had, and what it was about. */
interface Noted {
  readonly func: string;
  readonly instance: string;
  readonly about: string;
  readonly task: string | undefined;
}

function noted(node: StartedRuntime, func?: string): Noted[] {
  return node.log.lines
    .filter((line) => line["context"] === "bystander")
    .map((line) => {
      const [name = "", instance = "", , ...about] = String(line["text"]).split(" ");
      return { func: name, instance, about: about.join(" "), task: line["task"] as string | undefined };
    })
    .filter((each) => func === undefined || each.func === func);
}

const instances = (all: readonly Noted[]): number => new Set(all.map(({ instance }) => instance)).size;
const LOG = { config: { log: true } };

describe("the scope of a sidecar", () => {
  it("request: one for each run, from its guard to its end, and none is left", async () => {
    const node = await startRuntime([bystander(), task("hello", "hello-p3", [{ use: "bystander", ...LOG }])]);
    const before = noted(node).length;
    await Promise.all(Array.from({ length: 6 }, async () => (await node.get("/hello")).text()));
    await until("all have stopped", () => noted(node, "stop").length >= 7);
    const own = noted(node).slice(before);
    expect(instances(own)).toBe(6);
    for (const { instance } of noted(node, "check"))
      expect(own.filter((each) => each.instance === instance).map(({ func }) => func)).toEqual([
        "start",
        "check",
        "request",
        "head",
        "ended",
        "stop",
      ]);
    await node.idle();
  });

  it("task: one for all runs of the task, one after the other and at once, and another for another task", async () => {
    const sidecar = { use: "bystander", scope: "task" as const, ...LOG };
    const node = await startRuntime([
      bystander({ sidecar: { idle: "300ms" } }),
      task("one", "hello-p3", [sidecar]),
      task("two", "hello-p3", [sidecar]),
    ]);
    for (let i = 0; i < 3; i++) await (await node.get("/one")).text();
    await Promise.all(Array.from({ length: 8 }, async () => (await node.get("/one")).text()));
    await (await node.get("/two")).text();
    const checks = noted(node, "check");
    expect([checks.length, instances(checks)]).toEqual([12, 2]);
    expect(instances(checks.filter((each) => each.task === "one"))).toBe(1);
    // It goes an idle time after the last run.
    await until(
      "both have stopped",
      () => noted(node, "stop").filter(({ instance }) => checks.some((each) => each.instance === instance)).length === 2,
    );
    await node.idle();
    await (await node.get("/one")).text();
    expect(instances(noted(node, "check"))).toBe(3);
  });

  it("tenant: one for all tasks of the tenant that use it alike, and another configuration is another one", async () => {
    const sidecar = { use: "bystander", scope: "tenant" as const, ...LOG };
    const node = await startRuntime([
      bystander(),
      task("one", "hello-p3", [sidecar]),
      task("two", "hello-p3", [sidecar]),
      task("three", "hello-p3", [{ ...sidecar, config: { log: true, note: "x" } }]),
    ]);
    await Promise.all(["one", "two", "three", "one", "two"].map(async (name) => (await node.get(`/${name}`)).text()));
    const checks = noted(node, "check");
    expect([checks.length, instances(checks)]).toEqual([5, 2]);
    expect(instances(checks.filter(({ task: of }) => of !== "three"))).toBe(1);
  });

  it("of which there may be several: no more than that, however many ask at once", async () => {
    const node = await startRuntime([
      bystander({ sidecar: { scope: "task", instances: 3, idle: "1h" } }),
      task("slow", "behave-p3", [{ use: "bystander", ...LOG }], { routes: ["/*"] }),
    ]);
    for (let round = 0; round < 4; round++)
      await Promise.all(Array.from({ length: 12 }, async () => (await node.get("/sleep?ms=20")).text()));
    expect(instances(noted(node, "check"))).toBeGreaterThan(1);
    expect(instances(noted(node, "check"))).toBeLessThanOrEqual(3);
  });

  it("is none where no manifest, no request and no operator asks for one", async () => {
    const node = await startRuntime([bystander(), task("hello", "hello-p3")]);
    await (await node.get("/hello")).text();
    await node.idle();
    expect(noted(node)).toEqual([]);
    expect(node.log.lines.filter(({ msg, task: of }) => msg === "run" && of !== "hello")).toEqual([]);
  });
});

describe("what a task imports", () => {
  const CALC = "demo:math/calc";
  const add = async (node: StartedRuntime, name = "relay", func = "add", args = "[20, 22]"): Promise<unknown> => {
    const answer = await node.get(`/-/tasks/${name}/demo:app/relay/${func}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: args,
    });
    return answer.status === 200 ? answer.json() : problemOf(answer);
  };
  const ran = (node: StartedRuntime, name: string): number =>
    node.log.lines.filter(({ msg, task: of }) => msg === "run" && of === name).length;
  const sidecar = { routes: [], access: "key" as const, sidecar: { idle: "200ms" as const } };

  it("is served by its sidecar, which is none of the calling kind: it takes all calls of the run, as one run", async () => {
    const node = await startRuntime([task("calc", "calc", [], sidecar), task("relay", "relay", [{ use: "calc" }])]);
    expect(await add(node)).toBe(42);
    expect(await add(node, "relay", "many", "[500]")).toBe(500);
    const runs = node.log.lines.filter(({ msg, task: of }) => msg === "run" && of === "calc");
    // One at the deploy, which starts it to see whether it does, and one for each run.
    await until("all are told of", () => ran(node, "calc") === 3);
    runs.splice(0, runs.length, ...node.log.lines.filter(({ msg, task: of }) => msg === "run" && of === "calc"));
    expect(runs.map((line) => line["calls"] as number | undefined).slice(1)).toEqual([3, 502]);
  });

  it("finds a sidecar that exports it, where nothing else does: started when it is first called, and ready beforehand the next time", async () => {
    const node = await startRuntime([task("calc", "calc", [], sidecar)]);
    await node.runtime.deploy(task("relay", "relay"));
    expect(
      node.runtime
        .tasks()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["calc", "relay"]);
    const lifecycle = async (): Promise<{ of: string; move: string }[]> => {
      const answer = await node.get("/-/tasks/relay/demo:app/relay/add", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "[1, 2]",
      });
      expect(await answer.json()).toBe(3);
      await node.idle();
      const record = (await (await node.get(`/-/runs/${runOf(answer)}`)).json()) as { lifecycle: { of: string; move: string }[] };
      return record.lifecycle.map(({ of, move }) => ({ of, move }));
    };
    expect(await lifecycle()).toEqual([
      { of: "main", move: "start" },
      { of: "calc", move: "start" },
      { of: "main", move: "stop" },
      { of: "calc", move: "stop" },
    ]);
    expect(await lifecycle()).toEqual([
      { of: "calc", move: "start" },
      { of: "main", move: "start" },
      { of: "main", move: "stop" },
      { of: "calc", move: "stop" },
    ]);
  });

  it("is not made ready for those that do not use it, and is found by several only to be refused", async () => {
    const node = await startRuntime([task("calc", "calc", [], sidecar), task("relay", "relay", [{ use: "calc", when: "used" }])]);
    const before = ran(node, "calc");
    for (let i = 0; i < 3; i++) expect(await add(node, "relay", "many", "[0]")).toBe(0);
    await node.idle();
    expect(ran(node, "calc")).toBe(before);
    await node.runtime.deploy(task("calc2", "calc", [], sidecar));
    await expect(node.runtime.deploy(task("other", "relay"))).rejects.toThrow(
      `sidecars: the import ${CALC} is served by calc and by calc2; name the one to use`,
    );
    await expect(node.runtime.deploy(task("other", "relay", [{ use: "calc" }, { use: "calc2" }]))).rejects.toThrow(
      `sidecars.1.use: calc and calc2 both serve the import ${CALC}; keep one of them`,
    );
  });
});

describe("a deploy", () => {
  it.each([
    [
      [{ use: "bystander", config: { start: "refuse" } }],
      /config: bystander does not start with this configuration: its start says: it was told to refuse/,
    ],
    [[{ use: "bystander", config: { start: "trap" } }], /config: bystander does not start with this configuration: .*unreachable/],
    [[{ use: "bystander", config: { start: "hang" } }], /config: bystander does not start with this configuration: .*1000 ms/],
    [
      [{ use: "bystander", when: "used" as const }],
      /"used" is for a sidecar that serves an import; bystander exports none of no interface/,
    ],
    [[{ use: "nobody" }], /there is no task nobody/],
  ])("with %j is refused", async (sidecars, message) => {
    const node = await startRuntime([bystander()]);
    await expect(node.runtime.deploy(task("hello", "hello-p3", sidecars))).rejects.toThrow(message);
    await node.idle();
  });

  it("that closes a circle of sidecars is refused, with the way round", async () => {
    const node = await startRuntime([bystander(), task("middle", "bystander", [{ use: "bystander" }], { routes: [] })]);
    await expect(
      node.runtime.deploy({ ...bystander(), manifest: { ...bystander().manifest, sidecars: [{ use: "middle" }] } }),
    ).rejects.toThrow("sidecars stand in a circle: bystander → middle → bystander");
  });
});

describe("an operator", () => {
  it("requires a sidecar of all of a tenant's tasks, whatever their manifests say", async () => {
    const node = await startRuntime([bystander(), task("hello", "hello-p3")]);
    await node.runtime.control.updateTenant(
      { kind: "operator", name: "test" },
      "default",
      { sidecars: [{ use: "bystander", ...LOG }] },
      undefined,
    );
    await (await node.get("/hello")).text();
    expect(noted(node, "check").map(({ task: of }) => of)).toEqual(["hello"]);
    await expect(
      node.runtime.control.updateTenant(
        { kind: "operator", name: "test" },
        "default",
        { sidecars: [{ use: "x", scope: "node" }] },
        undefined,
      ),
    ).rejects.toMatchObject({
      problem: { errors: [{ field: "sidecars[0].scope", message: expect.stringContaining('expected "request"') as unknown }] },
    });
    await node.runtime.control.updateTenant({ kind: "operator", name: "test" }, "default", { sidecars: [] }, undefined);
    await (await node.get("/hello")).text();
    expect(noted(node, "check")).toHaveLength(1);
  });
});

describe("two tenants", () => {
  it("each have their own of what is named alike, and neither reaches the other's by any name", async () => {
    const node = await startRuntime([bystander()]);
    const { control } = node.runtime;
    const operator = { kind: "operator", name: "test" } as const;
    for (const tenant of ["acme", "globex"]) await control.createTenant(operator, tenant, {});
    const deploy = (tenant: string, { manifest, component }: ReturnType<typeof task>) =>
      control.deploy(operator, tenant, { manifest: { component: "a.wasm", ...manifest }, component });
    const shared = { use: "bystander", scope: "tenant" as const, ...LOG };
    // The default tenant's is none of theirs.
    await expect(deploy("acme", task("a", "hello-p3", [shared]))).rejects.toMatchObject({
      problem: { detail: expect.stringContaining("there is no task bystander") as unknown },
    });
    for (const tenant of ["acme", "globex"]) {
      await deploy(tenant, bystander());
      await deploy(tenant, task("a", "hello-p3", [shared]));
    }
    for (const tenant of ["acme", "globex", "acme", "globex"]) await (await node.get(`/~${tenant}/a`)).text();
    const checks = node.log.lines.filter((line) => line["context"] === "bystander" && String(line["text"]).startsWith("check"));
    const byTenant = (tenant: string): Set<unknown> =>
      new Set(checks.filter((line) => line["tenant"] === tenant).map((line) => String(line["text"]).split(" ")[1]));
    expect([byTenant("acme").size, byTenant("globex").size]).toEqual([1, 1]);
    expect([...byTenant("acme")]).not.toEqual([...byTenant("globex")]);
    // What only globex has serves no import of acme's.
    await deploy("globex", task("calc", "calc", [], { routes: [], sidecar: {} }));
    await expect(deploy("acme", task("relay", "relay"))).rejects.toMatchObject({
      problem: { detail: expect.stringContaining("nothing provides these imports") as unknown },
    });
  });

  it("each attempt of one to reach the other's is refused, and logged with who made it", async () => {
    const node = await startRuntime([], { data: tempDir(), durable: true });
    const { control } = node.runtime;
    const operator = { kind: "operator", name: "test" } as const;
    for (const tenant of ["acme", "globex"]) await control.createTenant(operator, tenant, { hosts: [`${tenant}.test`] });
    const shared = { use: "bystander", scope: "tenant" as const, ...LOG };
    for (const { manifest, component } of [bystander({ access: "key" }), task("a", "behave-p3", [shared], { routes: ["globex.test/*"] })])
      await control.deploy(operator, "globex", { manifest: { component: "a.wasm", ...manifest }, component });
    const slow = await node.runtime.fetch(new Request("http://globex.test/slow?pieces=40&ms=50"));
    const scopes = ["read", "deploy", "invoke", "debug", "admin"] as const;
    const { text, key } = await control.issueKey(operator, "acme", { scopes });
    const { url } = await node.runtime.adminFront().listen({ host: "127.0.0.1", port: 0 });
    const headers = { authorization: `Bearer ${text}` };
    const ask = async (method: string, path: string, body?: FormData | string): Promise<number> => {
      const json = typeof body === "string" ? { "content-type": "application/json" } : {};
      const answer = await fetch(`${url}v1/tenants/${path}`, {
        method,
        headers: { ...headers, ...json },
        ...(body === undefined ? {} : { body }),
      });
      await answer.text();
      return answer.status;
    };
    const deploy = (tenant: string, { manifest, component }: ReturnType<typeof task>): Promise<number> =>
      ask("POST", `${tenant}/tasks/${manifest.name}/versions`, uploadForm({ component: "a.wasm", ...manifest }, component));

    // Its manifests name it, in every spelling of the wish.
    for (const use of ["bystander", "globex/bystander", "../globex/bystander", "~globex", "~globex/bystander", "%67lobex/bystander"])
      expect([use, await deploy("acme", task("b", "hello-p3", [{ use }]))]).toEqual([use, 422]);
    // It replaces it, stops it, and holds the run that has it.
    expect(await deploy("globex", bystander())).toBe(404);
    expect(await ask("DELETE", "globex/tasks/bystander")).toBe(404);
    expect(await ask("POST", `globex/runs/${runOf(slow)}/pause`)).toBe(404);
    expect(await ask("POST", `acme/runs/${runOf(slow)}/pause`)).toBe(404);
    expect(await ask("PATCH", "acme", JSON.stringify({ sidecars: ["globex/bystander"] }))).toBe(403);
    expect((await slow.text()).match(/data:/g)).toHaveLength(40);

    const lines = node.log.lines.filter(({ msg }) => msg === "change");
    expect(lines).toHaveLength(11);
    for (const line of lines)
      expect(line).toMatchObject({ who: `key:${key.id}`, outcome: "refused", method: expect.stringMatching(/^[A-Z]+$/) });
    expect(lines.slice(0, 2)).toEqual([
      expect.objectContaining({
        path: "/v1/tenants/acme/tasks/b/versions",
        cause: "request/invalid",
        detail: expect.stringContaining("no task bystander"),
      }),
      expect.objectContaining({ detail: expect.stringContaining("use") }),
    ]);
    // Nor does its key call it.
    const json = { ...headers, "content-type": "application/json" };
    for (const tenant of ["acme", "globex"]) {
      const path = `/-/tasks/bystander/pilotlight:sidecar/guard@0.1.0/check?tenant=${tenant}`;
      const call = await node.get(path, { method: "POST", headers: json, body: "[]" });
      expect(await problemOf(call)).toMatchObject({ code: "request/not-found" });
    }
    const calls = node.log.lines.filter(({ msg }) => msg === "refused");
    expect(calls.map(({ who, method, cause }) => [who, method, cause])).toEqual(
      Array.from({ length: 2 }, () => [`key:${key.id}`, "POST", "request/not-found"]),
    );
    expect(String(calls[1]?.["path"])).toContain("tenant=globex");
    const nobody = await node.get("/-/tasks/bystander/pilotlight:sidecar/guard@0.1.0/check", {
      method: "POST",
      body: "[]",
      headers: { "content-type": "application/json" },
    });
    expect(nobody.status).toBe(401);
    expect(node.log.lines.findLast(({ msg }) => msg === "refused")).toMatchObject({ who: "anonymous", cause: "request/unauthorized" });
  });
});

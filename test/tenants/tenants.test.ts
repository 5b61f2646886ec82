import { describe, expect, it } from "vitest";
import { readManifest } from "../../src/tasks/manifest.js";
import { isName } from "../../src/tenants/settings.js";
import { Tenants } from "../../src/tenants/tenants.js";
import { put, table } from "../../src/state/store.js";
import { USUAL_TERMS, type Tenant, type TenantSettings } from "../../src/tenants/tenant.js";
import { newState, problemOf, saidBy, type State } from "./state.js";

function tenantsOf(state: State = newState()): Tenants {
  return new Tenants(state.store, state.time);
}

/** Tenants with these settings, as after their commits. */
async function withTenants(settings: Readonly<Record<string, TenantSettings>>): Promise<{ state: State; tenants: Tenants }> {
  const state = newState();
  const tenants = tenantsOf(state);
  await state.run(tenants.ensured());
  for (const [name, each] of Object.entries(settings)) await state.run(tenants.create(name, each));
  return { state, tenants };
}

describe("the default tenant", () => {
  it("is there from the start, and stored once", async () => {
    const state = newState();
    const tenants = tenantsOf(state);
    expect(tenants.list().map(({ name }) => name)).toEqual(["default"]);
    expect(tenants.ensured().changes).toHaveLength(1);
    const tenant = await state.run(tenants.ensured());
    expect(tenants.ensured().changes).toEqual([]);
    expect(tenantsOf(state).ensured().changes).toEqual([]);
    expect(tenantsOf(state).get("default")).toEqual(tenant);
  });

  it("stays", () => {
    expect(saidBy(() => tenantsOf().remove("default"))).toBe(
      "request/conflict: The tenant default stays: the shared host's paths are its own.",
    );
  });
});

describe("a tenant", () => {
  it("is created with what was said of it, and is there after a restart", async () => {
    const { state, tenants } = await withTenants({
      acme: { hosts: ["Acme.Example.com"], folders: ["/srv/acme/../acme"], quotas: { requestsPerSecond: 0.5, tasks: 3, memory: null } },
    });
    const acme = {
      name: "acme",
      hosts: ["acme.example.com"],
      folders: ["/srv/acme"],
      quotas: { requestsPerSecond: 0.5, tasks: 3 },
      capacity: { dedicated: 0, variableCeiling: 0, whenFull: ["wait", "spill", "reject"], weight: 1 },
      createdAt: "2030-01-01T12:00:00.000Z",
      revision: 1,
    };
    expect(tenants.get("acme")).toEqual(acme);
    expect(tenantsOf(state).need("acme")).toEqual(acme);
    expect(tenants.list().map(({ name }) => name)).toEqual(["acme", "default"]);
  });

  it("prefers what is said, until that is taken away; anything else is refused", async () => {
    const { state, tenants } = await withTenants({ acme: { prefer: "time=0.7" } });
    await state.run(tenants.update("acme", { quotas: { tasks: 3 } }));
    expect(tenants.need("acme").prefer).toBe("time=0.7");
    expect(saidBy(() => tenants.update("acme", { prefer: "speed" }))).toContain(
      '"speed" is no preference; expected time, memory, or time=WEIGHT with a weight from 0 to 1',
    );
    await state.run(tenants.update("acme", { prefer: null }));
    expect(tenants.need("acme")).not.toHaveProperty("prefer");
    expect(tenantsOf(state).need("acme")).not.toHaveProperty("prefer");
  });

  it("keeps what an update does not name, and has a new revision", async () => {
    const { state, tenants } = await withTenants({ acme: { hosts: ["a.example"], quotas: { tasks: 3, concurrency: 5 } } });
    const updated = await state.run(tenants.update("acme", { quotas: { tasks: null, memory: 1024 } }));
    expect(updated).toMatchObject({ hosts: ["a.example"], quotas: { concurrency: 5, memory: 1024 }, revision: 2 });
    expect(updated.quotas).not.toHaveProperty("tasks");
    expect(tenants.get("acme")).toBe(updated);
    expect(tenantsOf(state).get("acme")).toEqual(updated);
  });

  it("is as it was until the plan is applied", async () => {
    const { tenants } = await withTenants({ acme: { hosts: ["a.example"] } });
    const before = tenants.get("acme");
    tenants.update("acme", { hosts: ["b.example"] });
    tenants.remove("acme");
    tenants.create("beta", { hosts: ["c.example"] });
    expect([tenants.get("acme"), tenants.ofHost("a.example"), tenants.get("beta"), tenants.ofHost("c.example")]).toEqual([
      before,
      before,
      undefined,
      undefined,
    ]);
  });

  it("is gone when it is removed, with its hosts", async () => {
    const { state, tenants } = await withTenants({ acme: { hosts: ["a.example"] } });
    await state.run(tenants.remove("acme"));
    for (const each of [tenants, tenantsOf(state)]) expect([each.get("acme"), each.ofHost("a.example")]).toEqual([undefined, undefined]);
    expect(saidBy(() => tenants.need("acme"))).toBe("request/no-such-thing: There is no tenant acme.");
    expect(saidBy(() => tenants.update("acme", {}))).toBe("request/no-such-thing: There is no tenant acme.");
    expect(saidBy(() => tenants.remove("acme"))).toBe("request/no-such-thing: There is no tenant acme.");
    await state.run(tenants.create("beta", { hosts: ["a.example"] }));
    expect(tenants.ofHost("a.example")?.name).toBe("beta");
  });

  it("cannot have a name that another has", async () => {
    const { tenants } = await withTenants({ acme: {} });
    expect(saidBy(() => tenants.create("acme", {}))).toBe("request/conflict: There is a tenant acme already.");
    expect(saidBy(() => tenants.create("default", {}))).toBe("request/conflict: There is a tenant default already.");
  });
});

describe("a tenant's name", () => {
  const right = ["a", "acme", "a-b-", "a".repeat(63), "a1", "constructor"];
  const wrong = ["", "A", "1a", "-a", "a_b", "a.b", "a/b", "..", "a b", "é", "a\n", "a\0", "~a", "%61", "__proto__", "a".repeat(64)];

  const help = "expected a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long";
  const asTask = (name: string): unknown => readManifest({ name, component: "x.wasm" }, "m");

  it.each(right)("may be %j, as a task's may", (name) => {
    expect(tenantsOf().create(name, {}).changes).toHaveLength(1);
    expect(isName(name)).toBe(true);
    expect(() => asTask(name)).not.toThrow();
  });

  it.each(wrong)("cannot be %j, as a task's cannot, in the same words", (name) => {
    expect(problemOf(() => tenantsOf().create(name, {})).errors).toEqual([{ field: "name", message: help }]);
    expect(isName(name)).toBe(false);
    expect(() => asTask(name)).toThrow(`m is not a valid manifest:\n  name: ${help}`);
  });
});

describe("hosts", () => {
  it("lead to their tenant in any case, with a port, with a final dot", async () => {
    const { tenants } = await withTenants({ acme: { hosts: ["acme.example.com", "[::1]"] }, beta: { hosts: ["beta.example.com."] } });
    const hosts = [
      "acme.example.com",
      "ACME.example.COM:8700",
      "acme.example.com.",
      "acme.example.com.:80",
      "[::1]",
      "[::1]:8700",
      "[0:0::1]:1",
    ];
    expect(hosts.map((host) => tenants.ofHost(host)?.name)).toEqual(hosts.map(() => "acme"));
    expect(tenants.ofHost("beta.example.com")?.name).toBe("beta");
    const others = ["example.com", "x.acme.example.com", "acme.example.com..", "", ":80", "[::2]", "[::1", "::1", "acme.example.com@evil"];
    expect(others.map((host) => tenants.ofHost(host))).toEqual(others.map(() => undefined));
  });

  it("have one tenant at most, in whatever spelling; the operator is told which", async () => {
    const { tenants } = await withTenants({ acme: { hosts: ["acme.example.com", "[::1]"] }, beta: {} });
    for (const host of ["acme.example.com", "ACME.example.com", "acme.example.com."]) {
      const message = "request/conflict: The host acme.example.com belongs to the tenant acme.";
      expect(saidBy(() => tenants.create("gamma", { hosts: [host] }))).toBe(message);
      expect(saidBy(() => tenants.update("beta", { hosts: ["free.example", host] }))).toBe(message);
    }
    expect(saidBy(() => tenants.update("beta", { hosts: ["[0:0:0:0:0:0:0:1]"] }))).toBe(
      "request/conflict: The host [::1] belongs to the tenant acme.",
    );
    expect(tenants.get("beta")?.hosts).toEqual([]);
  });

  it("that a tenant gives up are free, and those that it keeps are no conflict", async () => {
    const { state, tenants } = await withTenants({ acme: { hosts: ["a.example", "b.example"] }, beta: {} });
    await state.run(tenants.update("acme", { hosts: ["b.example", "c.example"] }));
    await state.run(tenants.update("beta", { hosts: ["a.example"] }));
    expect(["a.example", "b.example", "c.example"].map((host) => tenants.ofHost(host)?.name)).toEqual(["beta", "acme", "acme"]);
  });

  it("show what a tenant is now, not what it was when it got them", async () => {
    const { state, tenants } = await withTenants({ acme: { hosts: ["a.example"] } });
    await state.run(tenants.update("acme", { quotas: { tasks: 1 } }));
    expect(tenants.ofHost("a.example")).toBe(tenants.get("acme"));
  });

  it("are refused with what would be right, each by its place", async () => {
    const names = ["", "*.example.com", "https://a.example", "a.example:80", "a.example/x", "a b", "münchen.example", "a..b", "-a.example"];
    const wrong = names.concat("[::1", "[1.2.3.4]", "[fe80::1%eth0]", `${"a".repeat(64)}.example`, `${"a.".repeat(127)}example`);
    const help = 'expected a host such as "acme.example.com", without scheme, port, path or wildcard; names outside ASCII in punycode';
    expect(problemOf(() => tenantsOf().create("acme", { hosts: wrong })).errors).toEqual(
      wrong.map((_, i) => ({ field: `hosts[${i}]`, message: help })),
    );
    expect(saidBy(() => tenantsOf().create("acme", { hosts: ["a.example", "A.example."] }))).toBe(
      "request/invalid: hosts[1]: a.example is there twice",
    );
  });
});

describe("terms of capacity", () => {
  it("are kept where a change does not name them, and are there after a restart", async () => {
    const { state, tenants } = await withTenants({ acme: { capacity: { dedicated: 4, whenFull: ["reject", "wait"] } } });
    expect(tenants.get("acme")?.capacity).toEqual({ dedicated: 4, variableCeiling: 0, whenFull: ["reject", "wait"], weight: 1 });
    await state.run(tenants.update("acme", { capacity: { variableCeiling: 0.25, dedicated: undefined } }));
    const terms = { dedicated: 4, variableCeiling: 0.25, whenFull: ["reject", "wait"], weight: 1 };
    expect(tenants.get("acme")?.capacity).toEqual(terms);
    await state.run(tenants.update("acme", { quotas: { tasks: 1 } }));
    expect(tenantsOf(state).need("acme").capacity).toEqual(terms);
  });

  it("of a tenant that was stored before there were any are the usual ones", async () => {
    const { state, tenants } = await withTenants({ acme: { quotas: { tasks: 3 } } });
    const { capacity: _, ...old } = tenants.need("acme");
    await state.store.commit([put(table<Omit<Tenant, "capacity">>("tenants"), "acme", old)]);
    expect(tenantsOf(state).need("acme")).toEqual({ ...old, capacity: USUAL_TERMS });
    await state.run(tenantsOf(state).update("acme", { capacity: { weight: 2 } }));
    expect(tenantsOf(state).need("acme").capacity).toEqual({ ...USUAL_TERMS, weight: 2 });
  });

  it("say what each may be", () => {
    const wrong = { dedicated: 1.5, variableCeiling: 25, whenFull: [], weight: 0, spare: 1 };
    expect(problemOf(() => tenantsOf().create("acme", { capacity: wrong })).errors).toEqual([
      { field: "capacity.dedicated", message: "expected a whole number of cells from 0 to 10000" },
      { field: "capacity.variableCeiling", message: "expected a share from 0 to 1 (0% to 100%)" },
      { field: "capacity.whenFull", message: "expected at least one of wait, spill, reject, each at most once" },
      { field: "capacity.weight", message: "expected a number from 0.01 to 1000; 1 is usual" },
      { field: "capacity.spare", message: "unknown field; there are dedicated, variableCeiling, whenFull, weight" },
    ]);
  });

  it.each([
    ["dedicated", [-1, 10_001, Number.NaN, "4"]],
    ["variableCeiling", [-0.1, 1.01, Number.NaN, "25%"]],
    ["whenFull", [["wait", "wait"], ["retry"], "wait", [1]]],
    ["weight", [-1, 0.001, 1001, Infinity, Number.NaN, "1"]],
  ])("%s refuses %j", (name, values) => {
    for (const value of values)
      expect(problemOf(() => tenantsOf().create("acme", { capacity: { [name]: value } })).errors).toMatchObject([
        { field: `capacity.${name}` },
      ]);
  });
});

describe("what else is wrong with settings", () => {
  it("is told all at once", () => {
    const settings = { hosts: ["*"], folders: ["srv", "/a\0b"], quotas: { tasks: 0, memory: 1.5, requestsPerSecond: -1, cpu: 3 } };
    expect(
      problemOf(() => tenantsOf().create("Acme", settings as TenantSettings)).errors?.map(({ field, message }) => `${field}: ${message}`),
    ).toEqual([
      "name: expected a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long",
      'hosts[0]: expected a host such as "acme.example.com", without scheme, port, path or wildcard; names outside ASCII in punycode',
      'folders[0]: expected an absolute path, such as "/srv/acme"',
      'folders[1]: expected an absolute path, such as "/srv/acme"',
      "quotas.tasks: expected a number above zero, or null for no limit",
      "quotas.memory: expected a whole number, or null for no limit",
      "quotas.requestsPerSecond: expected a number above zero, or null for no limit",
      "quotas.cpu: unknown field; there are requestsPerSecond, concurrency, memory, storedBytes, tasks",
    ]);
  });

  it.each([Number.NaN, Infinity, "10" as unknown as number, 2 ** 60])("is the figure %s", (concurrency) => {
    expect(problemOf(() => tenantsOf().create("acme", { quotas: { concurrency } })).code).toBe("request/invalid");
  });
});

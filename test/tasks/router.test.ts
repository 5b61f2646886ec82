import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pick, Router, type LiveTask, type Target } from "../../src/tasks/router.js";
import type { ManifestInput } from "../../src/tasks/manifest.js";
import { hostOf } from "../../src/tenants/settings.js";
import type { Task } from "../../src/tasks/task.js";
import { fakeTask } from "./fake-task.js";

/** A task that is live at one version. */
function live(tenant: string, name: string, routes?: string[]): LiveTask {
  return { tenant, name, choices: [{ task: task(tenant, name, routes), weight: 1 }], sticky: undefined };
}

function task(tenant: string, name: string, routes?: string[], label = "v1"): Task {
  const fields: Partial<ManifestInput> = routes === undefined ? {} : { routes };
  const made = fakeTask(name, fields);
  return { ...made, tenant, key: `${tenant}/${name}`, version: { ...made.version, label } };
}

function routerOf(lives: readonly LiveTask[], hosts: Readonly<Record<string, readonly string[]>> = {}): Router {
  const router = new Router();
  for (const [tenant, names] of Object.entries(hosts)) router.planHosts(tenant, names)();
  for (const one of lives) router.plan(one.tenant, [one])();
  return router;
}

/** `tenant/task`, or undefined. */
const at = (router: Router, authority: string, path: string): string | undefined => router.match(authority, path)?.choices[0]?.task.key;

describe("the shared host", () => {
  const router = routerOf([
    live("default", "a", ["/*"]),
    live("acme", "b", ["/b/*", "/x"]),
    live("acme", "plain"),
    live("globex", "c", ["/*"]),
  ]);

  it("has the default tenant's paths as they are, and the others' below their names", () => {
    expect(at(router, "127.0.0.1:8700", "/b/1")).toBe("default/a");
    expect(at(router, "any.example", "/~acme/b/1")).toBe("acme/b");
    expect(at(router, "any.example", "/~acme/b")).toBe("acme/b");
    expect(at(router, "any.example", "/~acme/plain/deep")).toBe("acme/plain");
    expect(at(router, "any.example", "/~globex")).toBe("globex/c");
    expect(at(router, "any.example", "/~globex/")).toBe("globex/c");
  });

  it("has nothing for a tenant that has no such route, and nothing of the default tenant's there", () => {
    for (const path of ["/~acme", "/~acme/nothing", "/~nobody/b", "/~default/b", "/~", "/~/x", "/~ACME/b"]) {
      expect(at(router, "any.example", path), path).toBeUndefined();
    }
  });
});

describe("a host that is a tenant's", () => {
  const hosts = { acme: ["acme.example.com", "[::1]"], globex: ["globex.example.com"] };
  const router = routerOf(
    [live("default", "all", ["/*"]), live("acme", "a", ["/a/*", "acme.example.com/only"]), live("acme", "b", ["acme.example.com/a/*"])],
    hosts,
  );

  it("leads to that tenant alone, whatever its case, port or final dot", () => {
    for (const authority of ["acme.example.com", "ACME.example.com:8700", "acme.example.com."]) {
      expect(at(router, authority, "/only"), authority).toBe("acme/a");
      expect(at(router, authority, "/elsewhere"), authority).toBeUndefined();
      expect(at(router, authority, "/~acme/a/1"), authority).toBeUndefined();
    }
    expect(at(router, "[::1]:80", "/a/1")).toBe("acme/a");
    expect(at(router, "globex.example.com", "/a/1")).toBeUndefined();
  });

  it("prefers a route with the host to the same path without", () => {
    expect(at(router, "acme.example.com", "/a/1")).toBe("acme/b");
    expect(at(router, "other.example", "/~acme/a/1")).toBe("acme/a");
    expect(at(router, "other.example", "/~acme/only")).toBeUndefined();
  });

  it("is the shared host's again when it is taken away", () => {
    const changed = routerOf([live("default", "all", ["/*"]), live("acme", "a", ["/*"])], hosts);
    expect(at(changed, "acme.example.com", "/x")).toBe("acme/a");
    changed.planHosts("acme", [])();
    expect(at(changed, "acme.example.com", "/x")).toBe("default/all");
  });
});

describe("shared hosts that are named", () => {
  it("have the shared paths, and a host of nobody has nothing, as a tenant's has nothing of others", () => {
    const router = new Router(["edge.example", "[0:0::1]"]);
    router.planHosts("globex", ["globex.example"])();
    router.plan("acme", [live("acme", "a", ["/*"])])();
    router.plan("default", [live("default", "d", ["/*"])])();
    expect([at(router, "edge.example:80", "/~acme/x"), at(router, "[::1]", "/x")]).toEqual(["acme/a", "default/d"]);
    for (const host of ["globex.example", "nobody.example", ""]) {
      expect([at(router, host, "/~acme/x"), at(router, host, "/x")], host).toEqual([undefined, undefined]);
    }
  });
});

describe("a change of routes", () => {
  it("happens at once when its function is called, and not before", () => {
    const router = routerOf([live("acme", "a", ["/old"])]);
    const swap = router.plan("acme", [live("acme", "a", ["/new"]), live("acme", "b")], []);
    expect([at(router, "h", "/~acme/old"), at(router, "h", "/~acme/new")]).toEqual(["acme/a", undefined]);
    swap();
    expect([at(router, "h", "/~acme/old"), at(router, "h", "/~acme/new"), at(router, "h", "/~acme/b")]).toEqual([
      undefined,
      "acme/a",
      "acme/b",
    ]);
    router.plan("acme", [], ["a", "b"])();
    expect([at(router, "h", "/~acme/new"), router.live("acme", "a")]).toEqual([undefined, undefined]);
  });

  it("is refused when two tasks of a tenant have one route, and changes nothing then; another tenant's does not matter", () => {
    const router = routerOf([live("acme", "a", ["/users/:id"]), live("globex", "g", ["/users/:id"])]);
    expect(() => router.plan("acme", [live("acme", "b", ["/users/:name"])])).toThrow(
      "The task b has the route /users/:name, which matches the same paths as /users/:id of the task a; change one of them.",
    );
    expect(at(router, "h", "/~acme/users/1")).toBe("acme/a");
    expect(at(router, "h", "/~globex/users/1")).toBe("globex/g");
  });
});

describe("a choice among versions", () => {
  const [v1, v2] = [task("acme", "a", ["/a", "/both"], "v1"), task("acme", "a", ["/both", "/b"], "v2")];
  const weighted = (sticky?: string): LiveTask => ({
    tenant: "acme",
    name: "a",
    choices: [
      { task: v1, weight: 90 },
      { task: v2, weight: 10 },
    ],
    sticky,
  });
  const target = (path: string, sticky?: string): Target => routerOf([weighted(sticky)]).match("h", `/~acme${path}`) as Target;
  const none = (): undefined => undefined;

  it("follows the weights", () => {
    expect([0, 0.5, 0.899, 0.9, 0.999].map((random) => pick(target("/both"), none, () => random).version.label)).toEqual([
      "v1",
      "v1",
      "v1",
      "v2",
      "v2",
    ]);
  });

  it("is between those that have the route", () => {
    expect(pick(target("/a"), none, () => 0.99)).toBe(v1);
    expect(pick(target("/b"), none, () => 0)).toBe(v2);
  });

  it("is the same for the same value of the sticky header, and follows the weights over many values", () => {
    const sticky = target("/both", "x-user");
    const versionOf = (user: string): string =>
      pick(
        sticky,
        (name) => (name === "x-user" ? user : undefined),
        () => expect.fail("by chance"),
      ).version.label;
    fc.assert(fc.property(fc.string(), (user) => versionOf(user) === versionOf(user)));
    const second = Array.from({ length: 20_000 }, (_, i) => versionOf(`user-${i}`)).filter((label) => label === "v2").length;
    expect(second).toBeGreaterThan(1700);
    expect(second).toBeLessThan(2300);
    expect(pick(sticky, none, () => 0.95)).toBe(v2);
  });
});

it.each([
  ["a.example", "a.example"],
  ["A.Example:80", "a.example"],
  ["a.example.", "a.example"],
  ["[::1]:80", "[::1]"],
  ["[::1]", "[::1]"],
  ["", ""],
])("the host of %j is %j", (authority, host) => expect(hostOf(authority)).toBe(host));

it("no history of changes lets a tenant's path or host lead to another tenant", () => {
  const tenants = ["default", "acme", "globex"];
  const hosts = ["a.example", "b.example", "c.example"];
  const patterns = ["/*", "/x", "/x/*", "/~acme/x", "a.example/*", "b.example/x/y/*", "/x/:y/z"];
  const step = fc.record({
    tenant: fc.constantFrom(...tenants),
    name: fc.constantFrom("a", "b"),
    routes: fc.uniqueArray(fc.constantFrom(...patterns.filter((pattern) => !pattern.startsWith("/~"))), { maxLength: 3 }),
    gone: fc.boolean(),
    hosts: fc.option(fc.uniqueArray(fc.constantFrom(...hosts)), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const router = new Router();
      const owner = new Map<string, string>();
      for (const { tenant, name, routes, gone, hosts: wanted } of steps) {
        if (wanted !== undefined && wanted.every((host) => (owner.get(host) ?? tenant) === tenant)) {
          tryTo(() => {
            router.planHosts(tenant, wanted)();
            // Hosts on which two of its tasks have one route are not its own yet.
            for (const [host, whose] of owner) if (whose === tenant) owner.delete(host);
            for (const host of wanted) owner.set(host, tenant);
          });
        }
        tryTo(() => router.plan(tenant, gone ? [] : [live(tenant, name, routes)], gone ? [name] : [])());
        for (const host of [...hosts, "shared.example"]) {
          for (const path of ["/x", "/x/y/z", "/", "/~acme/x/y", "/~globex", "/~default/x"]) {
            const named = /^\/~([^/]*)/.exec(path)?.[1];
            const expected = owner.get(host) ?? named ?? "default";
            const found = router.match(host, path)?.choices[0]?.task.tenant;
            expect([undefined, expected]).toContain(found);
          }
        }
      }
    }),
  );
});

/** Two tasks with one route are refused, which is another matter. */
function tryTo(work: () => void): void {
  try {
    work();
  } catch (error) {
    expect(String(error)).toContain("matches the same paths as");
  }
}

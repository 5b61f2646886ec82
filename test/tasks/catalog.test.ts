import { describe, expect, it } from "vitest";
import { memoryState } from "../../src/state/memory.js";
import type { Plan, StateStore } from "../../src/state/store.js";
import { Catalog, NEW_VERSION, sameTargets, type StoredTask } from "../../src/tasks/catalog.js";

const version = (digest: string, bytes = 10) => ({
  digest,
  componentBytes: bytes,
  manifest: { name: "a", component: "a.wasm" },
  createdAt: "2026-01-01T00:00:00.000Z",
  createdBy: "key:1",
});

async function commit<R>(store: StateStore, plan: Plan<R>): Promise<R> {
  await store.commit(plan.changes);
  return plan.apply();
}

const plain = (task: StoredTask | undefined): unknown => task && { ...task, versions: [...task.versions], aliases: [...task.aliases] };

describe("the catalog of tasks", () => {
  it("is the same when it is read again, in the same order", async () => {
    const store = memoryState();
    const catalog = new Catalog(store, () => 5);
    for (let i = 0; i < 12; i++)
      await commit(
        store,
        catalog.edit("acme", "a", { addVersion: version(`d${i}`), setAlias: { name: "live", to: { targets: { [NEW_VERSION]: 1 } } } }),
      );
    await commit(store, catalog.edit("acme", "a", { removeVersion: "v3" }));
    await commit(store, catalog.edit("acme", "a", { setAlias: { name: "old", to: { targets: { v1: 1, v2: 9 }, sticky: "x-user" } } }));
    await commit(store, catalog.edit("acme", "a-b", { addVersion: version("d0") }));
    const again = new Catalog(store, () => 6);
    expect(plain(again.get("acme", "a"))).toEqual(plain(catalog.get("acme", "a")));
    expect([...(again.get("acme", "a")?.versions.keys() ?? [])].join()).toBe("v1,v2,v4,v5,v6,v7,v8,v9,v10,v11,v12");
    expect(again.list("acme").map(({ name }) => name)).toEqual(["a", "a-b"]);
    expect(again.list("globex")).toEqual([]);
  });

  it("shows a change when it is applied and not before", () => {
    const catalog = new Catalog(memoryState(), () => 5);
    const plan = catalog.edit("acme", "a", { addVersion: version("d") });
    expect([catalog.get("acme", "a"), catalog.count("acme")]).toEqual([undefined, 0]);
    plan.apply();
    expect(catalog.count("acme")).toBe(1);
  });

  it("remembers where an alias led before, and gives no revision and no version number twice", async () => {
    const store = memoryState();
    const catalog = new Catalog(store, () => 5);
    const move = (label: string) =>
      commit(store, catalog.edit("acme", "a", { setAlias: { name: "live", to: { targets: { [label]: 1 } } } }));
    await commit(store, catalog.edit("acme", "a", { addVersion: version("d1") }));
    await commit(store, catalog.edit("acme", "a", { addVersion: version("d2") }));
    await move("v1");
    const moved = await move("v2");
    expect(moved.aliases.get("live")).toMatchObject({ targets: { v2: 1 }, previous: { targets: { v1: 1 } } });
    await commit(store, catalog.edit("acme", "a", { removeVersion: "v2" }));
    expect((await commit(store, catalog.edit("acme", "a", { addVersion: version("d3") }))).lastVersion).toBe(3);
    const last = catalog.get("acme", "a") as StoredTask;
    await commit(store, catalog.remove(last));
    expect(catalog.get("acme", "a")).toBeUndefined();
    const born = await commit(store, new Catalog(store, () => 6).edit("acme", "a", { addVersion: version("d") }));
    expect([born.lastVersion, born.revision > last.revision]).toEqual([1, true]);
  });

  it("leaves nothing in the store of a task that is removed", async () => {
    const store = memoryState();
    const catalog = new Catalog(store, () => 5);
    await commit(
      store,
      catalog.edit("acme", "a", { addVersion: version("d"), setAlias: { name: "live", to: { targets: { [NEW_VERSION]: 1 } } } }),
    );
    await commit(store, catalog.edit("acme", "a-b", { addVersion: version("e") }));
    await commit(store, catalog.remove(catalog.get("acme", "a") as StoredTask));
    for (const name of ["tasks", "versions", "aliases"]) {
      expect(
        store.list({ name }).filter(({ key }) => key === "acme/a" || key.startsWith("acme/a/")),
        name,
      ).toEqual([]);
    }
    expect([...catalog.digests()]).toEqual(["e"]);
  });

  it("counts a component that several versions share once", async () => {
    const store = memoryState();
    const catalog = new Catalog(store, () => 5);
    await commit(store, catalog.edit("acme", "a", { addVersion: version("d", 100) }));
    await commit(store, catalog.edit("acme", "b", { addVersion: version("d", 100) }));
    await commit(store, catalog.edit("acme", "b", { addVersion: version("e", 7) }));
    await commit(store, catalog.edit("globex", "b", { addVersion: version("d", 100) }));
    expect([catalog.componentBytes("acme"), catalog.componentBytes("globex"), catalog.componentBytes("none")]).toEqual([107, 100, 0]);
  });
});

it("two targets are the same when weights and header are", () => {
  expect(sameTargets({ targets: { v1: 1, v2: 2 } }, { targets: { v2: 2, v1: 1 } })).toBe(true);
  expect(sameTargets({ targets: { v1: 1 } }, { targets: { v1: 2 } })).toBe(false);
  expect(sameTargets({ targets: { v1: 1 } }, { targets: { v1: 1, v2: 1 } })).toBe(false);
  expect(sameTargets({ targets: { v1: 1 }, sticky: "a" }, { targets: { v1: 1 } })).toBe(false);
});

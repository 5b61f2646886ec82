/** The kill soak in short, and that it would find what it looks for. */
import { cpSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { controlParts, NodeSubject, storeParts } from "../../bench/soak/kill/node.js";
import { Known, Tally } from "../../bench/soak/kill/node/part.js";
import { TaskPart } from "../../bench/soak/kill/node/tasks.js";
import { TenantPart } from "../../bench/soak/kill/node/tenants.js";
import { runKill, type Subject } from "../../bench/soak/kill/soak.js";
import { StateSubject } from "../../bench/soak/kill/state.js";
import { ALIASES, componentsIn, VERSIONS } from "../../bench/soak/kill/state-work.js";
import { Random } from "../../bench/soak/support/random.js";
import { Violation } from "../../bench/soak/support/steps.js";
import { openState } from "../../src/state/lmdb.js";
import { remove, table, type Change } from "../../src/state/store.js";
import { tempDir } from "../support/files.js";

const state = (folder: string, seed: number): Subject => new StateSubject(folder, seed);

it("finds every answered change of the state after kill -9, and no half one", { timeout: 120_000 }, async () => {
  const { found, rounds, answered } = await runKill({ steps: 6, seed: 20261125, subjects: { state } });
  expect(found).toEqual([]);
  expect(rounds).toBe(6);
  expect(answered).toBeGreaterThan(20);
});

it.each<[string, RegExp, (folder: string, task: string, version: string) => Promise<void>]>([
  ["an alias that is lost", /alias and versions should be/, (folder, task) => apply(folder, remove(ALIASES, task))],
  ["a version that is lost", /alias and versions should be/, (folder, _, version) => apply(folder, remove(VERSIONS, version))],
  [
    "a component that is lost",
    /the component .* is not there/,
    async (folder) => {
      for (const name of readdirSync(componentsIn(folder))) rmSync(join(componentsIn(folder), name));
    },
  ],
])("would find %s", { timeout: 60_000 }, async (_, reason, lose) => {
  const folder = tempDir();
  const subject = state(folder, 1);
  await subject.begin(new Random(1));
  await sleep(300);
  await subject.kill();
  const version = await someVersion(folder);
  await lose(folder, version.slice(0, version.indexOf("/")), version);
  const checking = subject.check();
  await expect(checking).rejects.toThrow(Violation);
  await expect(checking).rejects.toThrow(reason);
});

async function apply(folder: string, change: Change): Promise<void> {
  const store = openState(folder);
  await store.commit([change]);
  await store.close();
}

async function someVersion(folder: string): Promise<string> {
  const store = openState(folder);
  const [first] = store.list(VERSIONS, { limit: 1 });
  await store.close();
  return (first as { readonly key: string }).key;
}

describe("a node", () => {
  it.each([
    ["tasks, tenants, keys and secrets", controlParts],
    ["stores", storeParts],
  ])("has every answered change of its %s after kill -9, and no half one", { timeout: 120_000 }, async (_, parts) => {
    const node = (folder: string): Subject => new NodeSubject(folder, parts);
    const { found, rounds, answered } = await runKill({ steps: 3, seed: 20261125, subjects: { node } });
    expect(found).toEqual([]);
    expect(rounds).toBe(3);
    expect(answered).toBeGreaterThan(10);
  });

  /** A node's folder as it was left, and a subject that knows what must be in it. */
  const left = { data: "", copy: "", subject: new NodeSubject("", () => []) };

  beforeAll(async () => {
    const folder = tempDir();
    left.data = join(folder, "data");
    left.copy = join(folder, "copy");
    left.subject = new NodeSubject(folder, (tally) => [new TaskPart("acme", "alpha", tally), new TenantPart("globex", tally, false)]);
    await workUntilThere(left.subject, left.data);
    await left.subject.check();
    cpSync(left.data, left.copy, { recursive: true });
  }, 60_000);

  beforeEach(() => {
    rmSync(left.data, { recursive: true, force: true });
    cpSync(left.copy, left.data, { recursive: true });
  });

  it.each<[string, RegExp, (data: string) => Promise<void> | void]>([
    ["everything that is lost", /the task alpha of acme should be .*; it is null/, (data) => rmSync(data, { recursive: true })],
    ["an alias that is lost", /the task alpha of acme should be/, (data) => removeAll(data, "aliases")],
    ["versions that are lost", /the task alpha of acme should be|was not without words/, (data) => removeAll(data, "versions")],
    ["a tenant that is lost", /the tenant globex should be .*; it is null/, (data) => apply(data, remove(table("tenants"), "globex"))],
    ["secrets that are lost", /the tenant globex should be/, (data) => removeAll(data, "secrets")],
    [
      "a component that is lost",
      /was not without words|components are|should be answered 200/,
      (data) => eachComponent(data, (path) => rmSync(path)),
    ],
    [
      "half a component",
      /was not without words|has other bytes|should be answered 200/,
      (data) => eachComponent(data, (path) => truncateSync(path, statSync(path).size / 2)),
    ],
  ])("would be caught at %s", { timeout: 60_000 }, async (_, reason, lose) => {
    await lose(left.data);
    const checking = left.subject.check();
    await expect(checking).rejects.toThrow(Violation);
    await expect(checking).rejects.toThrow(reason);
  });

  it("may have a change that was not answered, or not, and nothing between", async () => {
    const cut = async (): Promise<Known<number[]>> => {
      const known = new Known<number[]>("the list", new Tally(), [1]);
      await known.change([1, 2], async () => {});
      await known.change([1, 2, 3, 4], () => Promise.reject(new Error("no answer"))).catch(() => {});
      return known;
    };
    for (const found of [
      [1, 2],
      [1, 2, 3, 4],
    ]) {
      const known = await cut();
      known.settle(found);
      expect(known.value).toEqual(found);
      // Once it has been seen there is no doubt any more.
      expect(() => known.settle([1, 2, 3])).toThrow(Violation);
    }
    for (const found of [[1], [1, 2, 3], null]) {
      const known = await cut();
      expect(() => known.settle(found)).toThrow("the list should be [1,2], or, by a change that was not answered, [1,2,3,4]; it is ");
    }
  });
});

/** Rounds until there is some of everything. */
async function workUntilThere(subject: Subject, data: string): Promise<void> {
  for (let round = 1; ; round++) {
    await subject.begin(new Random(round));
    for (const deadline = Date.now() + 10_000; subject.answers < 20 && Date.now() < deadline;) await sleep(5);
    await subject.kill();
    const aliases = await keysOf(data, "aliases");
    const secrets = await keysOf(data, "secrets");
    if (aliases.length > 0 && secrets.length > 0) return;
    await subject.check();
  }
}

async function keysOf(data: string, name: string): Promise<string[]> {
  const store = openState(data);
  const keys = store.list(table<unknown>(name)).map(({ key }) => key);
  await store.close();
  return keys;
}

async function removeAll(data: string, name: string): Promise<void> {
  for (const key of await keysOf(data, name)) await apply(data, remove(table(name), key));
}

function eachComponent(data: string, work: (path: string) => void): void {
  for (const name of readdirSync(componentsIn(data))) work(join(componentsIn(data), name));
}

/** The kill soak in short, and that it would find what it looks for. */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { runKill, type Subject } from "../../bench/soak/kill/soak.js";
import { StateSubject } from "../../bench/soak/kill/state.js";
import { ALIASES, componentsIn, VERSIONS } from "../../bench/soak/kill/state-work.js";
import { Random } from "../../bench/soak/support/random.js";
import { Violation } from "../../bench/soak/support/steps.js";
import { openState } from "../../src/state/lmdb.js";
import { remove, type Change } from "../../src/state/store.js";
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

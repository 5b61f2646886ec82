/** The soaks of runs that answer later, in short, and that they find what is wrong where something is. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { DeferredSubject, type SubjectOptions } from "../../bench/soak/deferred/subject.js";
import { runKill } from "../../bench/soak/kill/soak.js";
import { Random } from "../../bench/soak/support/random.js";
import { Violation } from "../../bench/soak/support/steps.js";
import { openState } from "../../src/state/lmdb.js";
import { put, remove, table, type Change } from "../../src/state/store.js";
import { tempDir } from "../support/files.js";

const WRITES: SubjectOptions = { kinds: ["write"], ticks: false };

it.each<[string, SubjectOptions]>([
  ["requests, messages, writes and ticks", {}],
  ["writes under a prefix that starts a task", WRITES],
])("%s are one run record each over kill -9", { timeout: 120_000 }, async (_, options) => {
  const subjects = { node: (folder: string) => new DeferredSubject(folder, options) };
  const { found, rounds, answered } = await runKill({ steps: 2, seed: 20261127, subjects });
  expect(found).toEqual([]);
  expect([rounds, answered > 10]).toEqual([2, true]);
});

interface Kept {
  readonly id: string;
  readonly origin: { readonly kind: string };
}

describe("the soak", () => {
  it.each<[string, RegExp, (jobs: readonly Kept[]) => Change[]]>([
    [
      "what is lost",
      /was accepted as .*, and there is no such run|has 0 run records/,
      (all) => all.map(({ id }) => remove(table("jobs"), id)),
    ],
    [
      "what is there twice",
      /was written once.*, and has 2 run records/,
      (all) =>
        all
          .filter(({ origin }) => origin.kind === "store")
          .map((job) => put(table<Kept>("jobs"), twin(job.id), { ...job, id: twin(job.id) })),
    ],
  ])("would find %s", { timeout: 60_000 }, async (_, reason, tamper) => {
    const folder = join(tempDir(), "data");
    const subject = new DeferredSubject(folder);
    await subject.begin(new Random(4));
    for (const deadline = Date.now() + 20_000; subject.answers < 25 && Date.now() < deadline;) await sleep(5);
    await subject.kill();
    const state = openState(join(folder, "deferred"));
    await state.commit(tamper(state.list(table<Kept>("jobs")).map(({ value }) => value)));
    await state.close();
    const checking = subject.check();
    await expect(checking).rejects.toThrow(Violation);
    await expect(checking).rejects.toThrow(reason);
  });
});

function twin(id: string): string {
  return `${id.slice(0, -1)}${id.endsWith("0") ? "1" : "0"}`;
}

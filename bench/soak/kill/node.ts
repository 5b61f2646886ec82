/**
 * A whole node under the kill soak: `pilotlight serve` over a data folder, changed through its admin API and by guests.
 *
 * After each kill the node is started again and asked for everything that was answered before; then it is told to end,
 * and what no API shows is looked at in its folder.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../../src/artefacts/components.js";
import { openState } from "../../../src/state/lmdb.js";
import { table, type StateStore } from "../../../src/state/store.js";
import { adminClient, everyItem, type Admin } from "../support/admin.js";
import { Random } from "../support/random.js";
import { ServedNode, type NodeAddress } from "../support/served-node.js";
import { Violation } from "../support/steps.js";
import { Tally, type Part, type Reached } from "./node/part.js";
import { GuestStorePart, StorePart } from "./node/stores.js";
import { TaskPart } from "./node/tasks.js";
import { TenantPart } from "./node/tenants.js";
import type { Checked, Subject } from "./soak.js";

/** What is changed at once, each by a writer of its own. */
type MakeParts = (tally: Tally) => readonly Part[];

export const everyPart: MakeParts = (tally) => [...controlParts(tally), ...storeParts(tally)];

export const controlParts: MakeParts = (tally) => [
  ...["alpha", "beta"].map((name) => new TaskPart("default", name, tally)),
  ...["alpha", "gamma"].map((name) => new TaskPart("acme", name, tally)),
  ...["globex", "initech"].map((name) => new TenantPart(name, tally, false)),
];

export const storeParts: MakeParts = (tally) => [
  ...["one", "two"].map((store) => new StorePart(store, tally)),
  new GuestStorePart(tally),
  new TenantPart("hooli", tally),
];

/** What a data folder may hold. Of a start that was killed nothing else may be left once another has been through. */
const FILES = /^(?:admin\.key|components|compiled|deferred|node\.json|node\.lock|records|secrets\.key|state\.mdb|state\.mdb-lock|stores)$/;
const COMPILED = /^([0-9a-f]{64})-[0-9a-f]{16}\.(?:cwasm|seal)$/;
/** A compiled form that was being written; it goes with its age, since others may write at the same time. */
const COMPILED_DRAFT = /^\.tmp[A-Za-z0-9]{6}$/;

export class NodeSubject implements Subject {
  readonly startMs = 1500;
  readonly mostAnswers = 80;
  readonly #folder: string;
  readonly #tally = new Tally();
  readonly #parts: readonly Part[];
  #node: ServedNode | undefined;
  #writers: Promise<unknown> = Promise.resolve();
  #over = false;
  #wrong: Error | undefined;
  /** Sequence numbers that were in the audit log. */
  #audited: readonly number[] = [];

  constructor(folder: string, makeParts: MakeParts = everyPart) {
    this.#folder = join(folder, "data");
    this.#parts = makeParts(this.#tally);
  }

  get answers(): number {
    return this.#tally.answered;
  }

  async begin(random: Random): Promise<void> {
    Object.assign(this.#tally, { answered: 0, cutOff: 0 });
    this.#over = false;
    this.#wrong = undefined;
    const node = new ServedNode(this.#folder);
    this.#node = node;
    const seeds = this.#parts.map(() => random.below(1_000_000_000));
    const address = await node.listening;
    if (address === undefined) return;
    const reached = reach(address);
    this.#writers = Promise.all(this.#parts.map((part, i) => this.#write(part, reached, new Random(seeds[i] as number))));
  }

  async kill(): Promise<void> {
    this.#over = true;
    const node = this.#node as ServedNode;
    const ended = await node.end("SIGKILL");
    await this.#writers;
    this.#writers = Promise.resolve();
    if (ended !== "SIGKILL") throw new Violation(`the node ended by itself with ${ended}; ${node.said}`);
    if (this.#wrong !== undefined) throw this.#wrong;
    if (node.complaints !== "") throw new Violation(`the node complained before it was killed: ${node.complaints}`);
  }

  async check(): Promise<Checked> {
    await using node = new ServedNode(this.#folder);
    const address = await node.listening;
    if (address === undefined) throw new Violation(`the node does not start; ${node.said}`);
    const reached = reach(address);
    const ready = await fetch(`${address.data}/-/readyz`);
    if (ready.status !== 200) throw new Violation(`the node listens and is not ready: ${ready.status} ${await ready.text()}`);
    for (const part of this.#parts) await part.check(reached);
    await this.#checkAudit(reached.admin);
    this.#checkFiles(await digestsOf(reached.admin));
    const ended = await node.end("SIGTERM");
    if (ended !== 0) throw new Violation(`the node was told to drain, and ended with ${ended}; ${node.said}`);
    if (node.complaints !== "") throw new Violation(`the start after the kill was not without words: ${node.complaints}`);
    await this.#checkFolder();
    return { answered: this.#tally.answered, cutOff: this.#tally.cutOff };
  }

  async #write(part: Part, node: Reached, random: Random): Promise<void> {
    try {
      await part.prepare?.(node);
      while (!this.#over) await part.change(node, random);
    } catch (error) {
      // Without an answer because the node was killed.
      if (this.#over && !(error instanceof Violation)) return;
      this.#wrong ??= error as Error;
    }
  }

  /** What was in the audit log stays there, and a tenant that was never deleted sees all that is about it. */
  async #checkAudit(admin: Admin): Promise<void> {
    interface Entry {
      readonly sequence: number;
      readonly tenant?: string;
    }
    const all = await everyItem<Entry>(admin, "/audit");
    const sequences = new Set(all.map(({ sequence }) => sequence));
    const lost = this.#audited.filter((sequence) => !sequences.has(sequence));
    if (lost.length > 0) throw new Violation(`the audit log had the entries ${lost.join(", ")}, and has them no more`);
    this.#audited = [...sequences];
    const own = await everyItem<Entry>(admin, "/tenants/default/audit");
    const about = all.filter(({ tenant }) => tenant === "default").length;
    if (own.length !== about)
      throw new Violation(`${about} entries of the audit log are about the tenant default, and it is shown ${own.length}`);
  }

  /** Each component that a version needs is there and whole, and nothing else. */
  #checkFiles(used: ReadonlySet<string>): void {
    const strange = readdirSync(this.#folder).filter((name) => !FILES.test(name));
    if (strange.length > 0) throw new Violation(`left over in the data folder: ${strange.join(", ")}`);
    const components = join(this.#folder, "components");
    const expected = [...used].map((digest) => `${digest}.wasm`).sort();
    const found = readdirSync(components).sort();
    if (found.join() !== expected.join())
      throw new Violation(`components are ${found.join(", ")}; the versions need ${expected.join(", ")}`);
    for (const digest of used) {
      if (digestOf(readFileSync(join(components, `${digest}.wasm`))) !== digest)
        throw new Violation(`the component ${digest} has other bytes`);
    }
    const unused = readdirSync(join(this.#folder, "compiled")).filter((name) => {
      const digest = COMPILED.exec(name)?.[1];
      return digest === undefined ? !COMPILED_DRAFT.test(name) : !used.has(digest);
    });
    if (unused.length > 0) throw new Violation(`compiled forms of no version are left: ${unused.join(", ")}`);
  }

  async #checkFolder(): Promise<void> {
    const state = openState(this.#folder);
    try {
      checkTables(state);
      for (const part of this.#parts) part.checkFolder?.(this.#folder, state);
    } finally {
      await state.close();
    }
  }
}

/** No version and no alias without its task, no alias without its versions, no task without its tenant. */
function checkTables(state: StateStore): void {
  const keys = (name: string): string[] => state.list(table<unknown>(name)).map(({ key }) => key);
  const tenants = new Set(keys("tenants"));
  const tasks = new Set(keys("tasks"));
  const versions = new Set(
    state.list(table<{ readonly number: number }>("versions")).map(({ key, value }) => `${taskOf(key)}/v${value.number}`),
  );
  for (const task of tasks) if (!tenants.has(task.slice(0, task.indexOf("/")))) throw new Violation(`the task ${task} has no tenant`);
  for (const version of versions) if (!tasks.has(taskOf(version))) throw new Violation(`the version ${version} has no task`);
  for (const { key, value } of state.list(table<{ readonly targets: object }>("aliases"))) {
    if (!tasks.has(taskOf(key))) throw new Violation(`the alias ${key} has no task`);
    for (const label of Object.keys(value.targets)) {
      if (!versions.has(`${taskOf(key)}/${label}`)) throw new Violation(`the alias ${key} leads to ${label}, which is not there`);
    }
  }
}

/** `tenant/task` of a key below it. */
function taskOf(key: string): string {
  return key.slice(0, key.lastIndexOf("/"));
}

function reach(address: NodeAddress): Reached {
  return { admin: adminClient(address), data: address.data, withKey: (key) => adminClient({ admin: address.admin, key }) };
}

/** Of the components of every version on the node. */
async function digestsOf(admin: Admin): Promise<Set<string>> {
  const digests = new Set<string>();
  for (const { name: tenant } of await everyItem<{ readonly name: string }>(admin, "/tenants")) {
    for (const { name } of await everyItem<{ readonly name: string }>(admin, `/tenants/${tenant}/tasks`)) {
      for (const { digest } of await everyItem<{ readonly digest: string }>(admin, `/tenants/${tenant}/tasks/${name}/versions`))
        digests.add(digest);
    }
  }
  return digests;
}

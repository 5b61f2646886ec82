/**
 * The tasks of this node as they are stored: their versions and aliases, in memory, and how they change.
 *
 * Everything here is a value: an edit makes another `StoredTask` and the changes that store it, and readers see it
 * once it is committed. What a task's rules are (which alias may go where, what a deploy needs) is the control
 * plane's to know.
 */
import { put, remove, table, type Change, type Plan, type StateStore } from "../state/store.js";
import type { ManifestInput } from "./manifest.js";
import { taskKey, versionLabel, versionNumber } from "./task.js";

export interface VersionRecord {
  readonly number: number;
  /** sha256 of the component, lower-case hex. */
  readonly digest: string;
  readonly componentBytes: number;
  /** As it was deployed, without defaults. */
  readonly manifest: ManifestInput;
  readonly createdAt: string;
  readonly createdBy: string;
}

/** Version labels and their weights; and the header whose equal values get the same version. */
export interface AliasTargets {
  readonly targets: Readonly<Record<string, number>>;
  readonly sticky?: string | undefined;
}

export interface AliasRecord extends AliasTargets {
  readonly updatedAt: string;
  readonly revision: number;
  /** What it was before its last change. */
  readonly previous: AliasTargets | undefined;
}

export interface StoredTask {
  readonly tenant: string;
  readonly name: string;
  readonly createdAt: string;
  /** Of the whole: goes up with each change of a version or an alias. */
  readonly revision: number;
  /** The highest number that a version had; numbers are not used twice. */
  readonly lastVersion: number;
  /** By label, in order. */
  readonly versions: ReadonlyMap<string, VersionRecord>;
  readonly aliases: ReadonlyMap<string, AliasRecord>;
}

export type TaskEdit = {
  readonly addVersion?: Omit<VersionRecord, "number">;
  readonly removeVersion?: string;
  /** `"new"` among the targets stands for the version that is added. */
  readonly setAlias?: { readonly name: string; readonly to: AliasTargets };
  readonly removeAlias?: string;
};

/** The target that means the version that the same edit adds. */
export const NEW_VERSION = "new";

interface TaskRow {
  readonly createdAt: string;
  readonly revision: number;
  readonly lastVersion: number;
}

const TASKS = table<TaskRow>("tasks");
const VERSIONS = table<VersionRecord>("versions");
const ALIASES = table<AliasRecord>("aliases");
/** By tenant: the last revision that was given to something of it. */
const REVISIONS = table<number>("tasks-revisions");

export class Catalog {
  readonly #wall: () => number;
  readonly #tenants = new Map<string, Map<string, StoredTask>>();
  /**
   * One counter for all tasks of a tenant, so that a task of the same name later has no revision that one had before.
   * Not one for all tenants: everybody would see in it how busy the others are.
   */
  readonly #revisions: Map<string, number>;

  constructor(store: StateStore, wall: () => number) {
    this.#wall = wall;
    this.#revisions = new Map(store.list(REVISIONS).map(({ key, value }) => [key, value]));
    for (const { key, value } of store.list(TASKS)) {
      const [tenant, name] = key.split("/") as [string, string];
      const below = { prefix: `${key}/` };
      const versions = store.list(VERSIONS, below).map(({ value: version }) => [versionLabel(version.number), version] as const);
      const aliases = store.list(ALIASES, below).map(({ key: path, value: alias }) => [path.slice(key.length + 1), alias] as const);
      this.#show({ tenant, name, ...value, versions: new Map(versions), aliases: new Map(aliases) });
    }
  }

  get(tenant: string, name: string): StoredTask | undefined {
    return this.#tenants.get(tenant)?.get(name);
  }

  /** A tenant's tasks by name. */
  list(tenant: string): StoredTask[] {
    return [...(this.#tenants.get(tenant)?.values() ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  count(tenant: string): number {
    return this.#tenants.get(tenant)?.size ?? 0;
  }

  /** Every task of every tenant. */
  all(): StoredTask[] {
    const all: StoredTask[] = [];
    for (const tasks of this.#tenants.values()) for (const task of tasks.values()) all.push(task);
    return all;
  }

  /** Digests of the components that some version needs. */
  digests(): Set<string> {
    return new Set(this.all().flatMap(({ versions }) => [...versions.values()].map(({ digest }) => digest)));
  }

  /** Bytes of a tenant's components; one that several versions share counts once. */
  componentBytes(tenant: string): number {
    const sizes = new Map<string, number>();
    for (const { versions } of this.list(tenant))
      for (const { digest, componentBytes } of versions.values()) sizes.set(digest, componentBytes);
    return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** A change of one task, which is made by it when there is none of that name. */
  edit(tenant: string, name: string, edit: TaskEdit): Plan<StoredTask> & { readonly task: StoredTask } {
    const now = new Date(this.#wall()).toISOString();
    const revision = this.#nextRevision(tenant);
    const before = this.get(tenant, name) ?? empty(tenant, name, now);
    const key = taskKey(tenant, name);
    const changes: Change[] = [put(REVISIONS, tenant, revision)];
    const versions = new Map(before.versions);
    const aliases = new Map(before.aliases);
    let { lastVersion } = before;
    if (edit.addVersion !== undefined) {
      const version: VersionRecord = { number: ++lastVersion, ...edit.addVersion };
      versions.set(versionLabel(version.number), version);
      changes.push(put(VERSIONS, versionKey(key, version.number), version));
    }
    if (edit.removeVersion !== undefined) {
      versions.delete(edit.removeVersion);
      changes.push(remove(VERSIONS, versionKey(key, versionNumber(edit.removeVersion) as number)));
    }
    if (edit.removeAlias !== undefined) {
      aliases.delete(edit.removeAlias);
      changes.push(remove(ALIASES, `${key}/${edit.removeAlias}`));
    }
    if (edit.setAlias !== undefined) {
      const { name: alias, to } = edit.setAlias;
      const old = aliases.get(alias);
      const record: AliasRecord = { ...withNew(to, versionLabel(lastVersion)), updatedAt: now, revision, previous: old && targetsOf(old) };
      aliases.set(alias, record);
      changes.push(put(ALIASES, `${key}/${alias}`, record));
    }
    const task: StoredTask = { ...before, revision, lastVersion, versions, aliases };
    changes.push(put(TASKS, key, { createdAt: task.createdAt, revision, lastVersion }));
    return {
      changes,
      task,
      apply: () => {
        this.#show(task);
        return task;
      },
    };
  }

  /** The task with everything of it. */
  remove(task: StoredTask): Plan<void> {
    const key = taskKey(task.tenant, task.name);
    return {
      changes: [
        remove(TASKS, key),
        ...[...task.versions.values()].map(({ number }) => remove(VERSIONS, versionKey(key, number))),
        ...[...task.aliases.keys()].map((alias) => remove(ALIASES, `${key}/${alias}`)),
        put(REVISIONS, task.tenant, this.#nextRevision(task.tenant)),
      ],
      apply: () => {
        const tasks = this.#tenants.get(task.tenant);
        tasks?.delete(task.name);
        if (tasks?.size === 0) this.#tenants.delete(task.tenant);
      },
    };
  }

  #nextRevision(tenant: string): number {
    const revision = (this.#revisions.get(tenant) ?? 0) + 1;
    this.#revisions.set(tenant, revision);
    return revision;
  }

  #show(task: StoredTask): void {
    let tasks = this.#tenants.get(task.tenant);
    if (tasks === undefined) this.#tenants.set(task.tenant, (tasks = new Map()));
    tasks.set(task.name, task);
  }
}

export function targetsOf({ targets, sticky }: AliasTargets): AliasTargets {
  return sticky === undefined ? { targets } : { targets, sticky };
}

/** True if both lead to the same versions by the same weights. */
export function sameTargets(a: AliasTargets, b: AliasTargets): boolean {
  const [left, right] = [Object.entries(a.targets), Object.entries(b.targets)];
  return a.sticky === b.sticky && left.length === right.length && left.every(([label, weight]) => b.targets[label] === weight);
}

function empty(tenant: string, name: string, createdAt: string): StoredTask {
  return { tenant, name, createdAt, revision: 0, lastVersion: 0, versions: new Map(), aliases: new Map() };
}

function withNew({ targets, sticky }: AliasTargets, label: string): AliasTargets {
  const named = Object.entries(targets).map(([target, weight]) => [target === NEW_VERSION ? label : target, weight] as const);
  return targetsOf({ targets: Object.fromEntries(named), sticky });
}

/** Padded, so that versions are listed in order. */
function versionKey(task: string, number: number): string {
  return `${task}/${String(number).padStart(8, "0")}`;
}

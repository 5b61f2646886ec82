/**
 * The versions that requests reach: which of them are linked, and where the `live` aliases lead.
 *
 * A task is linked before an alias moves to it, and after a start by its first run; one that nobody asks for goes back
 * to its compiled form. The router always has a task for every live version, linked or not.
 */
import type { VersionRecord, Catalog, StoredTask } from "../tasks/catalog.js";
import type { Manifest } from "../tasks/manifest.js";
import type { Choice, LiveTask, Router } from "../tasks/router.js";
import { NO_GRANTS, type OwnGrants } from "../tasks/spec.js";
import { UNLINKED, taskKey, versionLabel, versionNumber, type Task } from "../tasks/task.js";
import { invalid, noSuch } from "../tenants/refusals.js";
import type { Secrets } from "../tenants/secrets.js";
import type { Tenants } from "../tenants/tenants.js";
import { LIVE, needAlias, needManifest, needVersion, secretMissing } from "./checks.js";
import type { Ledger } from "./ledger.js";
import { taskOf, unlinked, type Prepared, type Programs } from "./programs.js";

export interface LivePorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly secrets: Secrets;
  readonly catalog: Catalog;
  readonly programs: Programs;
  readonly router: Router;
}

/** A program that nobody has asked for this long goes back to its compiled form. */
export const QUIET_MS = 10 * 60_000;
/** Linked at once while a node starts. */
const AT_ONCE = 8;

export class Live {
  readonly #ports: LivePorts;
  /** The versions that the `live` alias of some task leads to, by `tenant/task/v7`. */
  readonly #linked = new Map<string, Task>();
  /** How many leases a task's runs had when `lower` looked last, and since when they are so many. */
  readonly #seen = new WeakMap<Task, { readonly count: number; readonly at: number }>();
  /** Links that runs wait for. */
  readonly #raising = new Map<string, Promise<Task>>();
  /** What the process granted to a version of its own, which no manifest says. */
  readonly #own = new Map<string, OwnGrants>();

  constructor(ports: LivePorts) {
    this.#ports = ports;
  }

  /** Grants a version what no manifest can say. */
  grant(tenant: string, name: string, label: string, own: OwnGrants): void {
    this.#own.set(versionKeyOf(tenant, name, label), own);
  }

  /** A version that is deleted. */
  forgetVersion(tenant: string, name: string, label: string): void {
    this.#own.delete(versionKeyOf(tenant, name, label));
  }

  /** The version that requests of a live task get, for calls by the process itself: the one with the greatest weight. */
  of(tenant: string, name: string): Task | undefined {
    const choices = this.#ports.router.live(tenant, name)?.choices ?? [];
    return choices.reduce<Choice | undefined>(
      (best, choice) => (best === undefined || choice.weight > best.weight ? choice : best),
      undefined,
    )?.task;
  }

  /** The tasks of a tenant that requests reach, by name. */
  all(tenant: string): Task[] {
    return this.#ports.catalog.list(tenant).flatMap(({ name }) => this.of(tenant, name) ?? []);
  }

  /** Links those of the versions that are not live, and tries one instance of each if asked to. */
  async link(
    task: StoredTask,
    labels: readonly string[],
    attempt: boolean,
    have: ReadonlyMap<string, Task> = new Map(),
  ): Promise<Map<string, Task>> {
    const made = new Map<string, Task>();
    const { tenant, name } = task;
    try {
      for (const label of labels) {
        const key = versionKeyOf(tenant, name, label);
        if (this.#linked.has(key) || have.has(key)) continue;
        const prepared = await this.#prepare(task, needVersion(task, label));
        made.set(key, taskOf(tenant, name, label, prepared));
        if (attempt) await this.#ports.programs.try(prepared, `version ${label}`);
      }
      return made;
    } catch (error) {
      for (const { version } of made.values()) this.#ports.programs.retire(version.program);
      throw error;
    }
  }

  /** Links a stored version; `secrets` are those to give it instead of the present ones. */
  async #prepare(task: StoredTask, version: VersionRecord, secrets?: ReadonlyMap<string, string>): Promise<Prepared> {
    const { tenant, name } = task;
    const label = versionLabel(version.number);
    const manifest = manifestOf(label, version);
    const own = this.#own.get(versionKeyOf(tenant, name, label)) ?? NO_GRANTS;
    const values = this.secretsFor(tenant, manifest).map(([secret, value]) => [secret, secrets?.get(secret) ?? value] as const);
    return this.#ports.programs.prepare({ tenant, manifest, digest: version.digest, secrets: values, own, source: `${name} ${label}` });
  }

  /**
   * The change of routes for a task as it will be; `fresh` has the tasks for versions that become live and are not linked
   * yet, or anew. Throws `request/conflict` for a route that another task has. The returned function goes over to it, and
   * lets go of every program that nothing leads to then.
   */
  plan(task: StoredTask, fresh: ReadonlyMap<string, Task>): () => void {
    const { tenant, name } = task;
    const live = this.#live(task, fresh);
    const swap = this.#ports.router.plan(tenant, live === undefined ? [] : [live]);
    return () => {
      const before = new Map(this.#linked);
      const keys = new Set<string>();
      for (const choice of live?.choices ?? []) {
        const key = versionKeyOf(tenant, name, choice.task.version.label);
        this.#linked.set(key, choice.task);
        keys.add(key);
      }
      swap();
      for (const [key, other] of fresh) {
        const gone = this.#linked.get(key) === other ? before.get(key) : other;
        if (gone !== undefined) this.#ports.programs.retire(gone.version.program);
      }
      this.#drop(tenant, name, keys);
    };
  }

  /** The same for a task that goes. */
  planRemoval(tenant: string, name: string): () => void {
    const swap = this.#ports.router.plan(tenant, [], [name]);
    return () => {
      swap();
      this.#drop(tenant, name, new Set());
    };
  }

  /** Where the live alias of a task leads; undefined when a version of it is not linked. */
  #live(task: StoredTask, fresh: ReadonlyMap<string, Task>): LiveTask | undefined {
    const alias = task.aliases.get(LIVE);
    if (alias === undefined) return undefined;
    const choices: Choice[] = [];
    for (const [label, weight] of Object.entries(alias.targets)) {
      const key = versionKeyOf(task.tenant, task.name, label);
      const linked = fresh.get(key) ?? this.#linked.get(key);
      if (linked === undefined) throw new Error(`version ${key} is not linked`);
      choices.push({ task: linked, weight });
    }
    choices.sort((a, b) => (versionNumber(a.task.version.label) as number) - (versionNumber(b.task.version.label) as number));
    return { tenant: task.tenant, name: task.name, choices, sticky: alias.sticky?.toLowerCase() };
  }

  /** Lets go of a task's programs that are not among those kept. */
  #drop(tenant: string, name: string, keep: ReadonlySet<string>): void {
    const prefix = `${taskKey(tenant, name)}/`;
    for (const [key, task] of this.#linked) {
      if (!key.startsWith(prefix) || keep.has(key)) continue;
      this.#linked.delete(key);
      this.#ports.programs.retire(task.version.program);
    }
  }

  /**
   * Routes to everything that is live, as after a start. Versions that want instances ready are linked at once, several
   * at a time; the others by their first run. Those that cannot be served any more are left out and told of; the rest
   * of the node goes on.
   */
  async restore(failed: (task: StoredTask, error: unknown) => void): Promise<void> {
    const { catalog, router, tenants } = this.#ports;
    for (const { name, hosts } of tenants.list()) if (hosts.length > 0) router.planHosts(name, hosts)();
    const waiting = catalog.all().filter(({ aliases }) => aliases.has(LIVE));
    const lives = new Map<string, LiveTask[]>();
    const next = async (): Promise<void> => {
      for (let task = waiting.pop(); task !== undefined; task = waiting.pop()) {
        try {
          const live = await this.#restored(task);
          const others = lives.get(task.tenant);
          if (others === undefined) lives.set(task.tenant, [live]);
          else others.push(live);
        } catch (error) {
          failed(task, error);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
    for (const [tenant, live] of lives) router.plan(tenant, live)();
  }

  async #restored(task: StoredTask): Promise<LiveTask> {
    const { tenant, name } = task;
    const labels = Object.keys(needAlias(task, LIVE).targets);
    const eager: string[] = [];
    for (const label of labels) {
      const manifest = manifestOf(label, needVersion(task, label));
      if (manifest.capacity.ready > 0) eager.push(label);
      else this.#linked.set(versionKeyOf(tenant, name, label), unlinked(tenant, name, label, manifest));
    }
    for (const [key, linked] of await this.link(task, eager, false)) this.#linked.set(key, linked);
    return this.#live(task, new Map()) as LiveTask;
  }

  /** The task linked, for a run of it that is not. Many at once cause one link. Rejects with what is wrong. */
  raise(task: Task): Promise<Task> {
    const key = versionKeyOf(task.tenant, task.name, task.version.label);
    const current = this.#linked.get(key);
    if (current !== undefined && current.version.program !== UNLINKED) return Promise.resolve(current);
    let raising = this.#raising.get(key);
    if (raising === undefined) {
      raising = this.#raise(task, key).finally(() => this.#raising.delete(key));
      this.#raising.set(key, raising);
    }
    return raising;
  }

  async #raise(stub: Task, key: string): Promise<Task> {
    const { tenant, name, version } = stub;
    for (;;) {
      const stored = this.#need(tenant, name);
      const at = this.secretsAt(tenant, version.manifest);
      const task = taskOf(tenant, name, version.label, await this.#prepare(stored, needVersion(stored, version.label)));
      const raised = await this.#ports.ledger.turn(async () =>
        this.#raised(stub, key, task, this.secretsAt(tenant, version.manifest) === at),
      );
      if (raised !== undefined) return raised;
    }
  }

  /** Puts a task that was linked for a run where the unlinked one was; undefined when it has to be linked anew. Inside a turn. */
  #raised(stub: Task, key: string, task: Task, fresh: boolean): Task | undefined {
    const { programs, router } = this.#ports;
    const current = this.#linked.get(key);
    if (current === stub && fresh) {
      this.#linked.set(key, task);
      router.relink(stub, task);
      return task;
    }
    if (current === undefined) {
      // Nothing leads there any more. The runs that wait for it are served, and it goes with them.
      setImmediate(() => programs.retire(task.version.program));
      return task;
    }
    programs.retire(task.version.program);
    return current === stub ? undefined : current;
  }

  /**
   * Lets go of the programs that had no run for `QUIET_MS` and keep no instances ready; the next run links them again.
   * `granted` says how many leases a program's runs ever had; `now` is milliseconds of a monotonic clock. Asked from time
   * to time. In a turn: a change that is being committed leads to programs that must not go meanwhile.
   */
  lower(now: number, granted: (program: number) => number | undefined): Promise<void> {
    return this.#ports.ledger.turn(async () => this.#lower(now, granted));
  }

  #lower(now: number, granted: (program: number) => number | undefined): void {
    for (const [key, task] of this.#linked) {
      const { program, manifest, label } = task.version;
      if (program === UNLINKED || manifest.capacity.ready > 0) continue;
      const count = granted(program) ?? 0;
      const seen = this.#seen.get(task);
      if (seen === undefined || seen.count !== count) this.#seen.set(task, { count, at: now });
      else if (now - seen.at >= QUIET_MS) {
        const stub = unlinked(task.tenant, task.name, label, manifest);
        this.#linked.set(key, stub);
        this.#ports.router.relink(task, stub);
        this.#ports.programs.retire(program);
      }
    }
  }

  /** Gives those live versions that name the secret its new value. Returns what to do once the secret is stored, or when that failed. Inside a turn. */
  async withSecret(tenant: string, secret: string, value: string): Promise<{ readonly apply: () => void; readonly discard: () => void }> {
    const { router, programs } = this.#ports;
    const fresh = new Map<string, Task>();
    const discard = (): void => {
      for (const task of fresh.values()) programs.retire(task.version.program);
    };
    try {
      for (const [key, linked] of this.#linked) {
        // What is not linked gets it when it is.
        if (linked.tenant !== tenant || linked.version.program === UNLINKED || !linked.version.manifest.secrets.includes(secret)) continue;
        const task = this.#need(tenant, linked.name);
        const prepared = await this.#prepare(task, needVersion(task, linked.version.label), new Map([[secret, value]]));
        fresh.set(key, taskOf(tenant, linked.name, linked.version.label, prepared));
      }
    } catch (error) {
      discard();
      throw error;
    }
    return {
      discard,
      apply: () => {
        for (const [key, task] of fresh) {
          const before = this.#linked.get(key) as Task;
          this.#linked.set(key, task);
          router.relink(before, task);
          programs.retire(before.version.program);
        }
      },
    };
  }

  /** Names of the tasks with a version that an alias leads to and that asks for the secret. */
  usersOf(tenant: string, secret: string): string[] {
    return this.#ports.catalog
      .list(tenant)
      .filter((task) =>
        [...task.aliases.values()].some(({ targets }) =>
          Object.keys(targets).some((label) => task.versions.get(label)?.manifest.secrets?.includes(secret)),
        ),
      )
      .map(({ name }) => name);
  }

  /** When a tenant goes: its routes and programs. */
  forget(tenant: string): void {
    const { catalog, router } = this.#ports;
    const names = catalog.list(tenant).map(({ name }) => name);
    router.plan(tenant, [], names)();
    router.planHosts(tenant, [])();
    for (const name of names) this.#drop(tenant, name, new Set());
  }

  #need(tenant: string, name: string): StoredTask {
    const task = this.#ports.catalog.get(tenant, name);
    if (task === undefined) throw noSuch("task", name);
    return task;
  }

  secretsFor(tenant: string, manifest: Manifest): [string, string][] {
    return manifest.secrets.map((name) => {
      const value = this.#ports.secrets.reveal(tenant, name);
      if (value === undefined) throw invalid([{ field: "manifest.secrets", message: secretMissing(name) }]);
      return [name, value];
    });
  }

  /** Changes when one of the manifest's secrets does. */
  secretsAt(tenant: string, manifest: Manifest): string {
    return manifest.secrets.map((name) => this.#ports.secrets.info(tenant, name)?.revision ?? 0).join();
  }
}

/** The manifest of a stored version, read again; one that an older Pilotlight took and this one does not is refused. */
function manifestOf(label: string, { manifest }: VersionRecord): Manifest {
  return needManifest(manifest, `${label}.manifest`);
}

/** `tenant/task/v7`. */
export function versionKeyOf(tenant: string, name: string, label: string): string {
  return `${tenant}/${name}/${label}`;
}

/**
 * The versions that requests reach: which program each of them is, and where the `live` aliases lead.
 *
 * A version is linked and tried before an alias moves to it; whether it stays linked is the pool's to decide. A new secret
 * makes new programs of those that have the old one.
 */
import type { Registry } from "../dispatch/registry.js";
import type { VersionRecord, Catalog, StoredTask } from "../tasks/catalog.js";
import type { Manifest } from "../tasks/manifest.js";
import type { Choice, LiveTask, Router } from "../tasks/router.js";
import { NO_GRANTS, type OwnGrants } from "../tasks/spec.js";
import { taskKey, versionLabel, versionNumber, type Task } from "../tasks/task.js";
import { invalid, noSuch } from "../tenants/refusals.js";
import type { Secrets } from "../tenants/secrets.js";
import type { Tenants } from "../tenants/tenants.js";
import { LIVE, needAlias, needManifest, needVersion, secretMissing } from "./checks.js";
import type { Ledger } from "./ledger.js";
import { taskOf, type Prepared, type ProgramRequest, type Programs } from "./programs.js";

export interface LivePorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly secrets: Secrets;
  readonly catalog: Catalog;
  readonly programs: Programs;
  readonly router: Router;
  readonly registry: Pick<Registry, "put" | "remove">;
}

export class Live {
  readonly #ports: LivePorts;
  /** The versions that the `live` alias of some task leads to, by `tenant/task/v7`. */
  readonly #tasks = new Map<string, Task>();
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

  /** Other tasks of the tenant that requests reach and that name this one in `uses` or as a sidecar. */
  dependentsOf(tenant: string, name: string): string[] {
    const { catalog, router } = this.#ports;
    return catalog.list(tenant).flatMap(({ name: other }) => {
      const choices = other === name ? [] : (router.live(tenant, other)?.choices ?? []);
      const isUsed = choices.some(({ task: { version } }) => {
        const { uses, sidecars } = version.manifest;
        return Object.values(uses).some((used) => used.task === name) || sidecars.some(({ use }) => use === name);
      });
      return isUsed ? [other] : [];
    });
  }

  /** The tasks of a tenant that requests reach, by name. */
  all(tenant: string): Task[] {
    return this.#ports.catalog.list(tenant).flatMap(({ name }) => this.of(tenant, name) ?? []);
  }

  /** Links those of the versions that are not live, and tries one instance of each if asked to; `have` are done already. */
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
        if (this.#tasks.has(key) || have.has(key)) continue;
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

  /** Links a stored version; `secrets` are those to give it instead of the present ones, while there are any. */
  async #prepare(task: StoredTask, version: VersionRecord, secrets?: ReadonlyMap<string, string>): Promise<Prepared> {
    return this.#ports.programs.prepare(this.#requestFor(task, version, secrets));
  }

  #requestFor({ tenant, name }: StoredTask, version: VersionRecord, secrets?: ReadonlyMap<string, string>): ProgramRequest {
    const label = versionLabel(version.number);
    const manifest = manifestOf(label, version);
    return {
      tenant,
      manifest,
      digest: version.digest,
      secrets: () => this.secretsFor(tenant, manifest).map(([secret, value]) => [secret, secrets?.get(secret) ?? value]),
      own: this.#own.get(versionKeyOf(tenant, name, label)) ?? NO_GRANTS,
      source: `${name} ${label}`,
    };
  }

  /**
   * The change of routes for a task as it will be; `fresh` has the tasks for versions that become live, or are made anew.
   * Throws `request/conflict` for a route that another task has. The returned function goes over to it, and lets go of every
   * program that nothing leads to then.
   */
  plan(task: StoredTask, fresh: ReadonlyMap<string, Task>): () => void {
    const { tenant, name } = task;
    const live = this.#live(task, fresh);
    const swap = this.#ports.router.plan(tenant, live === undefined ? [] : [live]);
    return () => {
      const before = new Map(this.#tasks);
      const keys = new Set<string>();
      for (const choice of live?.choices ?? []) {
        const key = versionKeyOf(tenant, name, choice.task.version.label);
        this.#tasks.set(key, choice.task);
        keys.add(key);
      }
      swap();
      if (live !== undefined) this.#ports.registry.put(live);
      for (const [key, other] of fresh) {
        const gone = this.#tasks.get(key) === other ? before.get(key) : other;
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
      this.#ports.registry.remove(tenant, name);
      this.#drop(tenant, name, new Set());
    };
  }

  /** Where the live alias of a task leads; undefined when it has none. */
  #live(task: StoredTask, fresh: ReadonlyMap<string, Task>): LiveTask | undefined {
    const alias = task.aliases.get(LIVE);
    if (alias === undefined) return undefined;
    const choices: Choice[] = [];
    for (const [label, weight] of Object.entries(alias.targets)) {
      const key = versionKeyOf(task.tenant, task.name, label);
      const live = fresh.get(key) ?? this.#tasks.get(key);
      if (live === undefined) throw new Error(`version ${key} is not live`);
      choices.push({ task: live, weight });
    }
    choices.sort((a, b) => (versionNumber(a.task.version.label) as number) - (versionNumber(b.task.version.label) as number));
    return { tenant: task.tenant, name: task.name, choices, sticky: alias.sticky?.toLowerCase() };
  }

  /** Lets go of a task's programs that are not among those kept. */
  #drop(tenant: string, name: string, keep: ReadonlySet<string>): void {
    const prefix = `${taskKey(tenant, name)}/`;
    for (const [key, task] of this.#tasks) {
      if (!key.startsWith(prefix) || keep.has(key)) continue;
      this.#tasks.delete(key);
      this.#ports.programs.retire(task.version.program);
    }
  }

  /**
   * Routes to everything that is live, as after a start. Nothing is linked here: the pool links what it wants to have ready,
   * and the rest for its first runs. Those that cannot be served any more are left out and told of; the rest of the node
   * goes on.
   */
  restore(failed: (task: StoredTask, error: unknown) => void): void {
    const { catalog, router, tenants, registry } = this.#ports;
    for (const { name, hosts } of tenants.list()) if (hosts.length > 0) router.planHosts(name, hosts)();
    const lives = new Map<string, LiveTask[]>();
    for (const task of catalog.all()) {
      if (!task.aliases.has(LIVE)) continue;
      try {
        const live = this.#restored(task);
        const others = lives.get(task.tenant);
        if (others === undefined) lives.set(task.tenant, [live]);
        else others.push(live);
      } catch (error) {
        failed(task, error);
      }
    }
    for (const [tenant, live] of lives) {
      router.plan(tenant, live)();
      for (const task of live) registry.put(task);
    }
  }

  #restored(task: StoredTask): LiveTask {
    const { tenant, name } = task;
    // All of them are looked at before the first gets a number.
    const requests = Object.keys(needAlias(task, LIVE).targets).map(
      (label) => [label, this.#requestFor(task, needVersion(task, label))] as const,
    );
    for (const [label, request] of requests) {
      const prepared = { manifest: request.manifest, program: this.#ports.programs.register(request) };
      this.#tasks.set(versionKeyOf(tenant, name, label), taskOf(tenant, name, label, prepared));
    }
    return this.#live(task, new Map()) as LiveTask;
  }

  /**
   * Gives those live versions that name the secret its new value. Returns what to do once the secret is stored, or when that
   * failed. Inside a turn. What is linked is linked anew beforehand; what is not takes the value when it is.
   */
  async withSecret(tenant: string, secret: string, value: string): Promise<{ readonly apply: () => void; readonly discard: () => void }> {
    const { programs } = this.#ports;
    const coming = new Map([[secret, value]]);
    const fresh = new Map<string, Task>();
    const discard = (): void => {
      for (const task of fresh.values()) programs.retire(task.version.program);
    };
    try {
      for (const [key, live] of this.#using(tenant, secret)) {
        if (!programs.isLinked(live.version.program)) continue;
        const task = this.#need(tenant, live.name);
        const prepared = await this.#prepare(task, needVersion(task, live.version.label), coming);
        fresh.set(key, taskOf(tenant, live.name, live.version.label, prepared));
      }
    } catch (error) {
      discard();
      throw error;
    }
    return {
      discard,
      apply: () => {
        // From here on the stored value is the new one, until there is a newer one.
        coming.clear();
        for (const [key, live] of this.#using(tenant, secret)) this.#replace(key, live, fresh.get(key) ?? this.#afresh(live));
      },
    };
  }

  /** The live versions that name the secret. */
  #using(tenant: string, secret: string): [string, Task][] {
    return [...this.#tasks].filter(([, task]) => task.tenant === tenant && task.version.manifest.secrets.includes(secret));
  }

  /** Another program of the task if the present one has taken its secrets meanwhile, or is about to. */
  #afresh({ tenant, name, version }: Task): Task | undefined {
    const { programs } = this.#ports;
    const { label, manifest, program } = version;
    return programs.isRaised(program) ? taskOf(tenant, name, label, { manifest, program: programs.again(program) }) : undefined;
  }

  /** Puts a task where another program of the same version was. */
  #replace(key: string, before: Task, after: Task | undefined): void {
    if (after === undefined) return;
    this.#tasks.set(key, after);
    this.#ports.router.relink(before, after);
    this.#ports.programs.retire(before.version.program);
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
    for (const name of names) {
      this.#ports.registry.remove(tenant, name);
      this.#drop(tenant, name, new Set());
    }
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

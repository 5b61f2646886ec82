/**
 * Deploys, versions and aliases: from an upload to a route that leads to it.
 *
 * A version is compiled, linked and tried before an alias moves there, beside the requests that run and outside of
 * the ledger's turn. Inside the turn nothing takes long: what was decided from is looked at again, the change is
 * committed with its audit entry, and the router goes over to it in one step. Runs that go on end on the version
 * that they began with.
 */
import { createHash, randomInt } from "node:crypto";
import { realpathSync, statSync } from "node:fs";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { ProblemError, type FieldError } from "../base/problem.js";
import type { ComponentStore } from "../artefacts/components.js";
import { NEW_VERSION, sameTargets, targetsOf, type AliasRecord, type AliasTargets, type Catalog, type StoredTask, type TaskEdit, type VersionRecord } from "../tasks/catalog.js";
import { checkManifest, type Manifest, type ManifestInput } from "../tasks/manifest.js";
import { patternsOf, type Choice, type LiveTask, type Router } from "../tasks/router.js";
import { NO_GRANTS, type OwnGrants } from "../tasks/spec.js";
import { UNLINKED, taskKey, versionLabel, versionNumber, type Task } from "../tasks/task.js";
import { require as requireScope, whoIs } from "../tenants/access.js";
import { requireRoom } from "../tenants/quotas.js";
import { invalid, noSuch } from "../tenants/refusals.js";
import type { Secrets } from "../tenants/secrets.js";
import { normalHost } from "../tenants/settings.js";
import { DEFAULT_TENANT, type Caller, type Tenant } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { AliasSettings, AliasView, DeployInput, Deployed, Page, Paged, TaskView, VersionView } from "./control.js";
import { storing, type Deed, type Ledger } from "./ledger.js";
import { paged } from "./paging.js";
import { taskOf, unlinked, type Prepared, type Programs } from "./programs.js";

export interface TaskPorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly secrets: Secrets;
  readonly catalog: Catalog;
  readonly components: ComponentStore;
  readonly programs: Programs;
  readonly router: Router;
  /** `http://HOST:PORT/` of the data plane; undefined while it does not listen. */
  dataUrl(): string | undefined;
  /** Bytes in the stores of a tenant. */
  storedBytes(tenant: string): number;
  /** Told when a tenant's components take more or less room. */
  resized(tenant: string): Promise<void>;
}

/** What the process itself may add to a deploy. */
export interface DeployExtras {
  readonly own?: Partial<OwnGrants>;
  /** Names the component in messages. */
  readonly source?: string;
}

/** The alias that routes lead to. */
export const LIVE = "live";
const ALIAS = /^[a-z][a-z0-9-]{0,62}$/;
const HEADER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const MOST_WEIGHT = 1_000_000;

export class TaskDesk {
  readonly #ports: TaskPorts;
  /** The versions that the `live` alias of some task leads to, by `tenant/task/v7`. */
  readonly #linked = new Map<string, Task>();
  /** Components that a deploy needs and no version has yet, with how many deploys do. */
  readonly #pins = new Map<string, number>();
  /** How many leases a task's runs had when `lower` looked last, and since when they are so many. */
  readonly #seen = new WeakMap<Task, { readonly count: number; readonly at: number }>();
  /** Links that runs wait for. */
  readonly #raising = new Map<string, Promise<Task>>();
  /** What the process granted to a version of its own, which no manifest says. */
  readonly #own = new Map<string, OwnGrants>();

  constructor(ports: TaskPorts) {
    this.#ports = ports;
  }

  list(caller: Caller, tenant: string, page: Page): Paged<TaskView> {
    this.#allow(caller, tenant, "read");
    const { items, next } = paged(this.#ports.catalog.list(tenant), ({ name }) => name, page);
    return { items: items.map((task) => this.#view(task)), next };
  }

  get(caller: Caller, tenant: string, name: string): TaskView {
    this.#allow(caller, tenant, "read");
    return this.#view(this.#need(tenant, name));
  }

  versions(caller: Caller, tenant: string, name: string, page: Page): Paged<VersionView> {
    this.#allow(caller, tenant, "read");
    const task = this.#need(tenant, name);
    // The newest first.
    const newest = [...task.versions.values()].reverse();
    const { items, next } = paged(newest, ({ number }) => String(1e9 - number), page);
    return { items: items.map((version) => versionView(task, version)), next };
  }

  version(caller: Caller, tenant: string, name: string, label: string): VersionView {
    this.#allow(caller, tenant, "read");
    const task = this.#need(tenant, name);
    return versionView(task, needVersion(task, label));
  }

  async deploy(caller: Caller, tenant: string, input: DeployInput, extras: DeployExtras = {}): Promise<Deployed> {
    this.#allow(caller, tenant, "deploy");
    const checked = checkManifest(input.manifest);
    if ("errors" in checked) throw invalid(checked.errors.map(({ field, message }) => ({ field: `manifest.${field}`, message })));
    const { manifest } = checked;
    const alias = input.alias === undefined ? LIVE : input.alias;
    if (alias !== null) checkAlias(alias);
    this.#checkGranted(caller, tenant, manifest);
    const digest = createHash("sha256").update(input.component).digest("hex");
    const record = {
      digest,
      componentBytes: input.component.byteLength,
      manifest: input.manifest as ManifestInput,
      createdAt: new Date().toISOString(),
      createdBy: whoIs(caller),
    };
    this.#checkRoom(tenant, manifest.name, record);
    this.#pin(digest);
    try {
      await storing(() => this.#ports.components.put(input.component));
      return await this.#deploy(caller, tenant, manifest, record, alias, extras);
    } finally {
      this.#unpin(digest);
    }
  }

  async #deploy(
    caller: Caller,
    tenant: string,
    manifest: Manifest,
    record: Omit<VersionRecord, "number">,
    alias: string | null,
    extras: DeployExtras,
  ): Promise<Deployed> {
    const { catalog, programs, ledger } = this.#ports;
    const { name } = manifest;
    const source = extras.source ?? "the component";
    const own = { ...NO_GRANTS, ...extras.own };
    const same = findSame(catalog.get(tenant, name), record);
    // There already, and where it should be: nothing to do.
    if (same !== undefined && extras.own === undefined) {
      const task = this.#need(tenant, name);
      if (alias === null || leadsOnlyTo(task.aliases.get(alias), versionLabel(same.number))) return this.#deployed(task, same, false, alias);
    }
    const at = this.#secretsAt(tenant, manifest);
    let prepared = await programs.prepare({ tenant, manifest, digest: record.digest, secrets: this.#secretsFor(tenant, manifest), own, source });
    let taken = false;
    try {
      await programs.try(prepared, source);
      return await ledger.turn(async () => {
        this.#allow(caller, tenant, "deploy");
        this.#checkGranted(caller, tenant, manifest);
        this.#checkRoom(tenant, name, record);
        if (this.#secretsAt(tenant, manifest) !== at) {
          const fresh = await programs.prepare({ tenant, manifest, digest: record.digest, secrets: this.#secretsFor(tenant, manifest), own, source });
          programs.retire(prepared.program);
          prepared = fresh;
        }
        const before = catalog.get(tenant, name);
        const existing = findSame(before, record);
        const label = existing === undefined ? versionLabel((before?.lastVersion ?? 0) + 1) : versionLabel(existing.number);
        const edit: TaskEdit = {
          ...(existing === undefined && { addVersion: record }),
          ...(alias !== null && { setAlias: { name: alias, to: { targets: { [existing === undefined ? NEW_VERSION : label]: 1 } } } }),
        };
        const deed: Deed = {
          tenant,
          action: "task.deploy",
          subject: `task ${name}`,
          before: before && aliasTargets(before),
          after: { version: label, digest: record.digest, alias },
        };
        if (extras.own !== undefined) this.#own.set(versionKeyOf(tenant, name, label), own);
        const task = taskOf(tenant, name, label, prepared);
        const key = versionKeyOf(tenant, name, label);
        // Where it is live already it goes on as it is, unless the process grants something else.
        if (alias === LIVE) taken = true;
        const after = await this.#change(caller, tenant, name, edit, deed, alias === LIVE ? new Map([[key, task]]) : new Map());
        return this.#deployed(after, needVersion(after, label), existing === undefined, alias);
      });
    } catch (error) {
      taken = false;
      throw error;
    } finally {
      if (!taken) programs.retire(prepared.program);
    }
  }

  /** Takes a task with all of it. Runs that go on finish. */
  delete(caller: Caller, tenant: string, name: string, ifRevision: number | undefined): Promise<void> {
    return this.#ports.ledger.turn(async () => {
      this.#allow(caller, tenant, "deploy");
      const task = this.#need(tenant, name);
      checkRevision(task.revision, ifRevision);
      const { catalog, ledger, router } = this.#ports;
      const swap = router.plan(tenant, [], [name]);
      const deed = { tenant, action: "task.delete", subject: `task ${name}`, before: aliasTargets(task), after: undefined };
      await ledger.commit(caller, deed, [catalog.remove(task)]);
      swap();
      this.#drop(tenant, name, new Set());
      await this.#ports.resized(tenant);
      await this.#collect(task);
    });
  }

  deleteVersion(caller: Caller, tenant: string, name: string, label: string): Promise<void> {
    return this.#ports.ledger.turn(async () => {
      this.#allow(caller, tenant, "deploy");
      const task = this.#need(tenant, name);
      const version = needVersion(task, label);
      const aliases = aliasesTo(task, label);
      if (aliases.length > 0) {
        throw new ProblemError("request/conflict", `The alias ${aliases.join(", ")} leads to ${label}; move it to another version first.`);
      }
      const deed = { tenant, action: "version.delete", subject: `task ${name}`, before: { version: label, digest: version.digest }, after: undefined };
      await this.#change(caller, tenant, name, { removeVersion: label }, deed, new Map());
      this.#own.delete(versionKeyOf(tenant, name, label));
      await this.#ports.resized(tenant);
      await this.#collect(task);
    });
  }

  async setAlias(
    caller: Caller,
    tenant: string,
    name: string,
    alias: string,
    settings: AliasSettings,
    ifRevision: number | undefined,
  ): Promise<AliasView> {
    this.#allow(caller, tenant, "deploy");
    checkAlias(alias);
    const to = checkTargets(settings);
    return this.#move(caller, tenant, name, alias, () => to, "alias.set", ifRevision);
  }

  deleteAlias(caller: Caller, tenant: string, name: string, alias: string): Promise<void> {
    return this.#ports.ledger.turn(async () => {
      this.#allow(caller, tenant, "deploy");
      const record = needAlias(this.#need(tenant, name), alias);
      if (alias === LIVE) throw new ProblemError("request/conflict", "The alias live stays while its task does: routes lead to it.");
      const deed = { tenant, action: "alias.delete", subject: `alias ${alias} of task ${name}`, before: targetsOf(record), after: undefined };
      await this.#change(caller, tenant, name, { removeAlias: alias }, deed, new Map());
    });
  }

  async rollback(caller: Caller, tenant: string, name: string, alias: string, to: string | undefined): Promise<AliasView> {
    this.#allow(caller, tenant, "deploy");
    const target = (task: StoredTask): AliasTargets => {
      const record = needAlias(task, alias);
      if (to !== undefined) return { targets: { [versionLabel(needVersion(task, to).number)]: 1 } };
      if (record.previous === undefined) {
        throw new ProblemError("request/conflict", `The alias ${alias} has been nowhere else before; name a version to go to.`);
      }
      const gone = Object.keys(record.previous.targets).find((label) => !task.versions.has(label));
      if (gone !== undefined) throw new ProblemError("request/conflict", `The alias ${alias} led to ${gone} before, which is deleted; name a version to go to.`);
      return record.previous;
    };
    return this.#move(caller, tenant, name, alias, target, "alias.rollback", undefined);
  }

  /** Moves an alias to versions that exist, which are linked first where they are not. */
  async #move(
    caller: Caller,
    tenant: string,
    name: string,
    alias: string,
    targetOf: (task: StoredTask) => AliasTargets,
    action: string,
    ifRevision: number | undefined,
  ): Promise<AliasView> {
    const early = this.#need(tenant, name);
    // Before the turn, because it may compile.
    const ready = alias === LIVE ? await this.#link(early, Object.keys(targetOf(early).targets), true) : new Map<string, Task>();
    let used = false;
    try {
      return await this.#ports.ledger.turn(async () => {
        this.#allow(caller, tenant, "deploy");
        const task = this.#need(tenant, name);
        checkRevision(task.aliases.get(alias)?.revision ?? 0, ifRevision);
        const to = targetOf(task);
        for (const label of Object.keys(to.targets)) needVersion(task, label);
        const record = task.aliases.get(alias);
        if (record !== undefined && sameTargets(record, to)) return aliasView(alias, record);
        if (alias === LIVE) for (const [key, linked] of await this.#link(task, Object.keys(to.targets), false, ready)) ready.set(key, linked);
        const deed = { tenant, action, subject: `alias ${alias} of task ${name}`, before: record && targetsOf(record), after: to };
        const after = await this.#change(caller, tenant, name, { setAlias: { name: alias, to } }, deed, ready);
        used = true;
        return aliasView(alias, needAlias(after, alias));
      });
    } finally {
      if (!used) for (const task of ready.values()) this.#ports.programs.retire(task.version.program);
    }
  }

  /** Links those of the versions that are not live, and tries one instance of each if asked to. */
  async #link(task: StoredTask, labels: readonly string[], attempt: boolean, have: ReadonlyMap<string, Task> = new Map()): Promise<Map<string, Task>> {
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
    const values = this.#secretsFor(tenant, manifest).map(([secret, value]) => [secret, secrets?.get(secret) ?? value] as const);
    return this.#ports.programs.prepare({ tenant, manifest, digest: version.digest, secrets: values, own, source: `${name} ${label}` });
  }

  /** Commits an edit and goes over to it. `fresh` has the tasks for versions that become live and are not linked yet, or anew. Inside a turn. */
  async #change(
    caller: Caller,
    tenant: string,
    name: string,
    edit: TaskEdit,
    deed: Deed,
    fresh: ReadonlyMap<string, Task>,
  ): Promise<StoredTask> {
    const { catalog, ledger, router } = this.#ports;
    const plan = catalog.edit(tenant, name, edit);
    const live = this.#live(plan.task, fresh);
    const swap = edit.setAlias?.name === LIVE ? router.plan(tenant, live === undefined ? [] : [live]) : undefined;
    await ledger.commit(caller, deed, [plan]);
    if (swap !== undefined) {
      const before = new Map(this.#linked);
      for (const { task } of live?.choices ?? []) this.#linked.set(versionKeyOf(tenant, name, task.version.label), task);
      swap();
      for (const [key, task] of fresh) {
        const other = this.#linked.get(key) === task ? before.get(key) : task;
        if (other !== undefined) this.#ports.programs.retire(other.version.program);
      }
      this.#drop(tenant, name, new Set(live?.choices.map(({ task }) => versionKeyOf(tenant, name, task.version.label))));
    }
    if (edit.addVersion !== undefined) await this.#ports.resized(tenant);
    return plan.task;
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
    for (const [key, linked] of await this.#link(task, eager, false)) this.#linked.set(key, linked);
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
      const at = this.#secretsAt(tenant, version.manifest);
      const task = taskOf(tenant, name, version.label, await this.#prepare(stored, needVersion(stored, version.label)));
      const raised = await this.#ports.ledger.turn(async () => this.#raised(stub, key, task, this.#secretsAt(tenant, version.manifest) === at));
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
   * to time.
   */
  lower(now: number, granted: (program: number) => number | undefined): void {
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
    const tasks = new Set<StoredTask>();
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
        tasks.add(task);
      }
    } catch (error) {
      discard();
      throw error;
    }
    const swap = router.plan(tenant, [...tasks].map((task) => this.#live(task, fresh) as LiveTask));
    return {
      discard,
      apply: () => {
        if (fresh.size === 0) return;
        swap();
        for (const [key, task] of fresh) {
          const before = this.#linked.get(key) as Task;
          this.#linked.set(key, task);
          programs.retire(before.version.program);
        }
      },
    };
  }

  /** Names of the tasks with a version that an alias leads to and that asks for the secret. */
  usersOf(tenant: string, secret: string): string[] {
    return this.#ports.catalog
      .list(tenant)
      .filter((task) => [...task.aliases.values()].some(({ targets }) => Object.keys(targets).some((label) => task.versions.get(label)?.manifest.secrets?.includes(secret))))
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

  /** The version that requests of a live task get, for calls by the process itself: the one with the greatest weight. */
  live(tenant: string, name: string): Task | undefined {
    const choices = this.#ports.router.live(tenant, name)?.choices ?? [];
    return choices.reduce<Choice | undefined>((best, choice) => (best === undefined || choice.weight > best.weight ? choice : best), undefined)?.task;
  }

  /** The tasks of a tenant that requests reach, by name. */
  lives(tenant: string): Task[] {
    return this.#ports.catalog.list(tenant).flatMap(({ name }) => this.live(tenant, name) ?? []);
  }

  /** Deletes the versions of a task that no alias leads to. */
  async forgetUnused(caller: Caller, tenant: string, name: string): Promise<void> {
    for (const [label] of this.#need(tenant, name).versions) {
      if (aliasesTo(this.#need(tenant, name), label).length === 0) await this.deleteVersion(caller, tenant, name, label);
    }
  }

  /** Of the components that some version has. */
  digests(): ReadonlySet<string> {
    return this.#ports.catalog.digests();
  }

  /** Removes the components that no version has any more. */
  async collect(): Promise<void> {
    await this.#ports.components.collect(new Set([...this.#ports.catalog.digests(), ...this.#pins.keys()]));
  }

  async #collect(task: StoredTask): Promise<void> {
    const needed = this.#ports.catalog.digests();
    for (const { digest } of task.versions.values()) {
      if (!needed.has(digest) && !this.#pins.has(digest)) await this.#ports.components.remove(digest);
    }
  }

  #pin(digest: string): void {
    this.#pins.set(digest, (this.#pins.get(digest) ?? 0) + 1);
  }

  #unpin(digest: string): void {
    const pins = (this.#pins.get(digest) as number) - 1;
    if (pins > 0) this.#pins.set(digest, pins);
    else this.#pins.delete(digest);
  }

  /** The caller's scope, and that there is such a tenant. */
  #allow(caller: Caller, tenant: string, scope: "read" | "deploy"): Tenant {
    requireScope(caller, tenant, scope);
    return this.#ports.tenants.need(tenant);
  }

  #need(tenant: string, name: string): StoredTask {
    const task = this.#ports.catalog.get(tenant, name);
    if (task === undefined) throw noSuch("task", name);
    return task;
  }

  /** What a manifest asks for and the tenant does not have, all of it. */
  #checkGranted(caller: Caller, name: string, manifest: Manifest): void {
    const tenant = this.#ports.tenants.need(name);
    const errors: FieldError[] = [];
    for (const [i, pattern] of (manifest.routes ?? []).entries()) {
      const host = pattern.slice(0, pattern.indexOf("/"));
      if (host !== "" && !tenant.hosts.includes(normalHost(host))) {
        errors.push({ field: `manifest.routes[${i}]`, message: `the host ${host} is not granted to this tenant; its operator grants hosts` });
      }
    }
    for (const [i, { host }] of manifest.files.entries()) {
      const granted = caller.kind === "operator" || tenant.folders.some((folder) => isWithin(folder, host));
      if (!granted) errors.push({ field: `manifest.files[${i}].host`, message: `the folder ${host} is not granted to this tenant; its operator grants folders` });
      else if (!isFolder(host)) errors.push({ field: `manifest.files[${i}].host`, message: `there is no folder ${host}` });
    }
    for (const [i, secret] of manifest.secrets.entries()) {
      if (this.#ports.secrets.info(name, secret) === undefined) {
        errors.push({ field: `manifest.secrets[${i}]`, message: `there is no secret ${secret}; set it first: pilotlight secrets set ${secret}` });
      }
    }
    if (errors.length > 0) throw invalid(errors);
  }

  #checkRoom(name: string, task: string, { digest, componentBytes }: Pick<VersionRecord, "digest" | "componentBytes">): void {
    const { quotas } = this.#ports.tenants.need(name);
    const { catalog } = this.#ports;
    if (catalog.get(name, task) === undefined) requireRoom(quotas, "tasks", catalog.count(name), 1);
    if (quotas.storedBytes === undefined) return;
    const known = catalog.list(name).some(({ versions }) => [...versions.values()].some((version) => version.digest === digest));
    if (!known) requireRoom(quotas, "storedBytes", catalog.componentBytes(name) + this.#ports.storedBytes(name), componentBytes);
  }

  #secretsFor(tenant: string, manifest: Manifest): [string, string][] {
    return manifest.secrets.map((name) => {
      const value = this.#ports.secrets.reveal(tenant, name);
      if (value === undefined) throw invalid([{ field: "manifest.secrets", message: `there is no secret ${name}; set it first: pilotlight secrets set ${name}` }]);
      return [name, value];
    });
  }

  /** Changes when one of the manifest's secrets does. */
  #secretsAt(tenant: string, manifest: Manifest): string {
    return manifest.secrets.map((name) => this.#ports.secrets.info(tenant, name)?.revision ?? 0).join();
  }

  #deployed(task: StoredTask, version: VersionRecord, created: boolean, alias: string | null): Deployed {
    const manifest = shownOf(version);
    return {
      tenant: task.tenant,
      task: task.name,
      version: versionLabel(version.number),
      created,
      digest: version.digest,
      alias: alias ?? undefined,
      urls: this.#urls(task.tenant, routesOf(task.name, manifest)),
      access: manifest.access,
    };
  }

  #view(task: StoredTask): TaskView {
    const live = task.aliases.get(LIVE);
    const newest = [...task.versions.values()].at(-1);
    const shown = live === undefined ? newest : task.versions.get(heaviest(live));
    const manifest = shown === undefined ? undefined : shownOf(shown);
    const routes = live === undefined || manifest === undefined ? [] : routesOf(task.name, manifest);
    return {
      name: task.name,
      tenant: task.tenant,
      aliases: [...task.aliases].map(([name, alias]) => aliasView(name, alias)).sort((a, b) => (a.name < b.name ? -1 : 1)),
      versions: task.versions.size,
      routes,
      urls: this.#urls(task.tenant, routes),
      access: manifest?.access ?? "public",
      createdAt: task.createdAt,
      revision: task.revision,
    };
  }

  /** Where routes can be reached; a trailing `/*` is left out, since the bare path is served too. */
  #urls(tenant: string, routes: readonly string[]): string[] {
    const base = this.#ports.dataUrl();
    if (base === undefined) return [];
    const shared = `${base.slice(0, -1)}${tenant === DEFAULT_TENANT ? "" : `/~${tenant}`}`;
    const port = new URL(base).port;
    return routes.map((route) => {
      const path = route.endsWith("/*") ? route.slice(0, -2) : route;
      if (route.startsWith("/")) return shared + path === base.slice(0, -1) ? base : shared + path;
      const slash = route.indexOf("/");
      return `http://${route.slice(0, slash)}${port === "" ? "" : `:${port}`}${path.slice(slash) || "/"}`;
    });
  }
}

/** A program that nobody has asked for this long goes back to its compiled form. */
export const QUIET_MS = 10 * 60_000;
/** Linked at once while a node starts. */
const AT_ONCE = 8;

export function aliasView(name: string, record: AliasRecord): AliasView {
  return { name, ...targetsOf(record), updatedAt: record.updatedAt, revision: record.revision, previous: record.previous };
}

function versionView(task: StoredTask, version: VersionRecord): VersionView {
  const label = versionLabel(version.number);
  return {
    version: label,
    digest: version.digest,
    componentBytes: version.componentBytes,
    manifest: version.manifest,
    createdAt: version.createdAt,
    createdBy: version.createdBy,
    aliases: aliasesTo(task, label),
  };
}

function aliasesTo(task: StoredTask, label: string): string[] {
  return [...task.aliases].filter(([, { targets }]) => Object.hasOwn(targets, label)).map(([name]) => name).sort();
}

function aliasTargets(task: StoredTask): Record<string, AliasTargets> {
  return Object.fromEntries([...task.aliases].map(([name, alias]) => [name, targetsOf(alias)]));
}

function heaviest({ targets }: AliasTargets): string {
  return Object.entries(targets).reduce((best, entry) => (entry[1] > best[1] ? entry : best), ["", 0] as [string, number])[0];
}

/** The manifest of a stored version, read again; one that an older Pilotlight took and this one does not is refused. */
function manifestOf(label: string, { manifest }: VersionRecord): Manifest {
  const checked = checkManifest(manifest);
  if (!("errors" in checked)) return checked.manifest;
  throw invalid(checked.errors.map(({ field, message }) => ({ field: `${label}.manifest.${field}`, message })));
}

/** What views show of a stored manifest, without reading all of it. */
function shownOf({ manifest }: VersionRecord): Pick<Manifest, "access" | "routes"> {
  return { access: (manifest.access as Manifest["access"] | undefined) ?? "public", routes: manifest.routes };
}

function routesOf(name: string, manifest: Pick<Manifest, "routes">): readonly string[] {
  return patternsOf({ name, version: { manifest } as Task["version"] });
}

/** The version that these bytes and this manifest are already. */
function findSame(task: StoredTask | undefined, { digest, manifest }: Pick<VersionRecord, "digest" | "manifest">): VersionRecord | undefined {
  if (task === undefined) return undefined;
  const wanted = canonical(manifest);
  return [...task.versions.values()].reverse().find((version) => version.digest === digest && canonical(version.manifest) === wanted);
}

function leadsOnlyTo(alias: AliasRecord | undefined, label: string): boolean {
  return alias !== undefined && Object.keys(alias.targets).length === 1 && Object.hasOwn(alias.targets, label);
}

/** JSON with the fields of objects in order. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

function needVersion(task: StoredTask, label: string): VersionRecord {
  const version = task.versions.get(label);
  if (version === undefined) throw noSuch("version", label);
  return version;
}

function needAlias(task: StoredTask, name: string): AliasRecord {
  const alias = task.aliases.get(name);
  if (alias === undefined) throw noSuch("alias", name);
  return alias;
}

function checkAlias(name: string): void {
  if (ALIAS.test(name) && versionNumber(name) === undefined) return;
  throw invalid([
    { field: "alias", message: 'expected a name such as "live": lower-case letters, digits and dashes, a letter first, at most 63 long, and no version such as "v7"' },
  ]);
}

function checkTargets({ targets, sticky }: AliasSettings): AliasTargets {
  const errors: FieldError[] = [];
  const entries = Object.entries(targets);
  if (entries.length === 0) errors.push({ field: "targets", message: 'expected at least one version with its weight, such as { "v7": 90, "v8": 10 }' });
  for (const [label, weight] of entries) {
    if (versionNumber(label) === undefined) errors.push({ field: `targets.${label}`, message: 'expected a version such as "v7"' });
    else if (!Number.isSafeInteger(weight) || weight < 1 || weight > MOST_WEIGHT) {
      errors.push({ field: `targets.${label}`, message: `expected a whole number from 1 to ${MOST_WEIGHT}; leave a version out that should get nothing` });
    }
  }
  if (sticky !== undefined && !HEADER.test(sticky)) errors.push({ field: "sticky", message: 'expected the name of a header, such as "x-user"' });
  if (errors.length > 0) throw invalid(errors);
  return targetsOf({ targets, sticky: sticky?.toLowerCase() });
}

/** Throws `request/changed-meanwhile`. */
export function checkRevision(revision: number, wanted: number | undefined): void {
  if (wanted === undefined || wanted === revision) return;
  throw new ProblemError("request/changed-meanwhile", revision === 0 ? "It is not there any more." : `It has the revision ${revision} by now, and not ${wanted}.`);
}

function versionKeyOf(tenant: string, name: string, label: string): string {
  return `${tenant}/${name}/${label}`;
}

/** True if the path is the folder or below it, wherever links lead. */
function isWithin(folder: string, path: string): boolean {
  if (!isAbsolute(path)) return false;
  const [above, below] = [real(folder), real(path)];
  const way = relative(above, below);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** A number from [0, 1). */
export function chance(): number {
  return randomInt(2 ** 32) / 2 ** 32;
}

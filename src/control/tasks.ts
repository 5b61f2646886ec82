/**
 * Deploys, versions and aliases: from an upload to a route that leads to it.
 *
 * A version is compiled, linked and tried before an alias moves there, beside the requests that run and outside of
 * the ledger's turn. Inside the turn nothing takes long: what was decided from is looked at again, the change is
 * committed with its audit entry, and the router goes over to it in one step. Runs that go on end on the version
 * that they began with.
 */
import { digestOf, type ComponentStore } from "../artefacts/components.js";
import { ProblemError } from "../base/problem.js";
import {
  NEW_VERSION,
  sameTargets,
  targetsOf,
  type AliasTargets,
  type Catalog,
  type StoredTask,
  type TaskEdit,
  type VersionRecord,
} from "../tasks/catalog.js";
import type { RecordStore } from "../memo/store.js";
import type { Manifest, ManifestInput } from "../tasks/manifest.js";
import { NO_GRANTS, type OwnGrants } from "../tasks/spec.js";
import { versionLabel, type Task } from "../tasks/task.js";
import { require as requireScope, whoIs } from "../tenants/access.js";
import { requireRoom } from "../tenants/quotas.js";
import { noSuch } from "../tenants/refusals.js";
import type { Secrets } from "../tenants/secrets.js";
import type { Caller, Tenant } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import {
  LIVE,
  checkAlias,
  checkGranted,
  checkRevision,
  checkTargets,
  findSame,
  leadsOnlyTo,
  needAlias,
  needManifest,
  needVersion,
} from "./checks.js";
import type { CapacityDesk } from "./capacity.js";
import type { AliasSettings, AliasView, DeployInput, Deployed, Page, Paged, TaskView, VersionView } from "./control.js";
import { storing, type Deed, type Ledger } from "./ledger.js";
import { versionKeyOf, type Live } from "./live.js";
import { paged } from "./paging.js";
import { taskOf, type FoundSidecar, type Prepared, type Programs } from "./programs.js";
import { aliasTargets, aliasView, aliasesTo, deployedView, taskView, versionView } from "./views.js";

export interface TaskPorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly secrets: Secrets;
  readonly catalog: Catalog;
  readonly components: ComponentStore;
  readonly programs: Programs;
  readonly live: Live;
  readonly capacityDesk: Pick<CapacityDesk, "faultsOf">;
  readonly records: Pick<RecordStore, "purge">;
  /** `http://HOST:PORT/` of the data plane; undefined while it does not listen. */
  dataUrl(): string | undefined;
  /** Bytes in the stores of a tenant. */
  storedBytes(tenant: string): number;
  /** Told when a tenant's components take more or less room. */
  resized(tenant: string): Promise<void>;
  /**
   * Resolves once it is durable from when on what starts tasks by itself counts for those that requests get now: what is written after a
   * deploy was answered has its run, whatever ends the node.
   */
  triggersKnown(): Promise<void>;
}

/** What the process itself may add to a deploy. */
export interface DeployExtras {
  readonly own?: Partial<OwnGrants>;
  /** Names the component in messages. */
  readonly source?: string;
}

export class TaskDesk {
  readonly #ports: TaskPorts;
  /** Components that a deploy needs and no version has yet, with how many deploys do. */
  readonly #pins = new Map<string, number>();

  constructor(ports: TaskPorts) {
    this.#ports = ports;
  }

  list(caller: Caller, tenant: string, page: Page): Paged<TaskView> {
    this.#allow(caller, tenant, "read");
    const { items, next } = paged(this.#ports.catalog.list(tenant), ({ name }) => name, page);
    return { items: items.map((task) => taskView(task, this.#ports.dataUrl())), next };
  }

  get(caller: Caller, tenant: string, name: string): TaskView {
    this.#allow(caller, tenant, "read");
    return taskView(this.#need(tenant, name), this.#ports.dataUrl());
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
    const manifest = needManifest(input.manifest, "manifest");
    const alias = input.alias === undefined ? LIVE : input.alias;
    if (alias !== null) checkAlias(alias);
    this.#checkGranted(caller, tenant, manifest, extras);
    const digest = digestOf(input.component);
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
    const { catalog, programs, ledger, live } = this.#ports;
    const { name } = manifest;
    const source = extras.source ?? "the component";
    const own = { ...NO_GRANTS, ...extras.own };
    const same = findSame(catalog.get(tenant, name), record);
    // There already, and where it should be: nothing to do.
    if (same !== undefined && extras.own === undefined) {
      const task = this.#need(tenant, name);
      if (alias === null || leadsOnlyTo(task.aliases.get(alias), versionLabel(same.number)))
        return deployedView(task, same, false, alias, this.#ports.dataUrl());
    }
    const prepare = (): Promise<Prepared> =>
      programs.prepare({ tenant, manifest, digest: record.digest, secrets: () => live.secretsFor(tenant, manifest), own, source });
    const at = live.secretsAt(tenant, manifest);
    let prepared = await prepare();
    const { found } = prepared;
    // What was found is part of the version: it is looked for once.
    if (found.length > 0) record = { ...record, manifest: withFound(record.manifest, found) };
    let taken = false;
    try {
      await programs.try(prepared, source);
      return await ledger.turn(async () => {
        this.#allow(caller, tenant, "deploy");
        this.#checkGranted(caller, tenant, manifest, extras);
        this.#checkRoom(tenant, name, record);
        if (live.secretsAt(tenant, manifest) !== at) {
          const fresh = await prepare();
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
        if (extras.own !== undefined) live.grant(tenant, name, label, own);
        const task = taskOf(tenant, name, label, prepared);
        const key = versionKeyOf(tenant, name, label);
        // Where it is live already it goes on as it is, unless the process grants something else.
        if (alias === LIVE) taken = true;
        const after = await this.#change(caller, tenant, name, edit, deed, alias === LIVE ? new Map([[key, task]]) : new Map());
        const view = deployedView(after, needVersion(after, label), existing === undefined, alias, this.#ports.dataUrl());
        return found.length === 0 ? view : { ...view, found };
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
      const { catalog, ledger, live } = this.#ports;
      const users = live.dependentsOf(tenant, name);
      if (users.length > 0)
        throw new ProblemError(
          "request/conflict",
          `The task ${name} is named in "uses" or "sidecars" by ${users.join(", ")}; deploy those without it first.`,
        );
      const swap = live.planRemoval(tenant, name);
      const deed = { tenant, action: "task.delete", subject: `task ${name}`, before: aliasTargets(task), after: undefined };
      await ledger.commit(caller, deed, [catalog.remove(task)]);
      swap();
      // A task of the same name later starts with none.
      this.#ports.records.purge({ tenant, task: name });
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
      const deed = {
        tenant,
        action: "version.delete",
        subject: `task ${name}`,
        before: { version: label, digest: version.digest },
        after: undefined,
      };
      await this.#change(caller, tenant, name, { removeVersion: label }, deed, new Map());
      this.#ports.live.forgetVersion(tenant, name, label);
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
      const deed = {
        tenant,
        action: "alias.delete",
        subject: `alias ${alias} of task ${name}`,
        before: targetsOf(record),
        after: undefined,
      };
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
      if (gone !== undefined)
        throw new ProblemError("request/conflict", `The alias ${alias} led to ${gone} before, which is deleted; name a version to go to.`);
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
    const ready = alias === LIVE ? await this.#ports.live.link(early, Object.keys(targetOf(early).targets), true) : new Map<string, Task>();
    let used = false;
    try {
      return await this.#ports.ledger.turn(async () => {
        this.#allow(caller, tenant, "deploy");
        const task = this.#need(tenant, name);
        checkRevision(task.aliases.get(alias)?.revision ?? 0, ifRevision);
        const to = targetOf(task);
        for (const label of Object.keys(to.targets)) {
          const version = needVersion(task, label);
          if (alias === LIVE) this.#checkTerms(tenant, label, version);
        }
        const record = task.aliases.get(alias);
        if (record !== undefined && sameTargets(record, to)) return aliasView(alias, record);
        if (alias === LIVE)
          for (const [key, linked] of await this.#ports.live.link(task, Object.keys(to.targets), false, ready)) ready.set(key, linked);
        const deed = { tenant, action, subject: `alias ${alias} of task ${name}`, before: record && targetsOf(record), after: to };
        const after = await this.#change(caller, tenant, name, { setAlias: { name: alias, to } }, deed, ready);
        used = true;
        return aliasView(alias, needAlias(after, alias));
      });
    } finally {
      if (!used) for (const task of ready.values()) this.#ports.programs.retire(task.version.program);
    }
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
    const { catalog, ledger, live } = this.#ports;
    const plan = catalog.edit(tenant, name, edit);
    const swap = edit.setAlias?.name === LIVE ? live.plan(plan.task, fresh) : undefined;
    await ledger.commit(caller, deed, [plan]);
    swap?.();
    if (swap !== undefined) await this.#ports.triggersKnown();
    if (edit.addVersion !== undefined) await this.#ports.resized(tenant);
    return plan.task;
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

  #checkGranted(caller: Caller, name: string, manifest: Manifest, { own }: DeployExtras): void {
    const { tenants, secrets, capacityDesk } = this.#ports;
    const tenant = tenants.need(name);
    // What somebody runs here and now may have all that there is, if it does not suffice either.
    const capacity = own === undefined ? capacityDesk.faultsOf(tenant, manifest) : [];
    checkGranted(tenant, manifest, caller.kind === "operator", (secret) => secrets.info(name, secret) !== undefined, capacity);
  }

  /** Terms may have changed since a version was deployed. Throws `request/conflict`. */
  #checkTerms(name: string, label: string, { manifest }: VersionRecord): void {
    const faults = this.#ports.capacityDesk.faultsOf(this.#ports.tenants.need(name), needManifest(manifest, `${label}.manifest`));
    if (faults.length === 0) return;
    const said = faults.map(({ field, message }) => `${field}: ${message}`).join("; ");
    throw new ProblemError("request/conflict", `${label} picks what there is not: ${said}.`);
  }

  #checkRoom(name: string, task: string, { digest, componentBytes }: Pick<VersionRecord, "digest" | "componentBytes">): void {
    const { quotas } = this.#ports.tenants.need(name);
    const { catalog } = this.#ports;
    if (catalog.get(name, task) === undefined) requireRoom(quotas, "tasks", catalog.count(name), 1);
    if (quotas.storedBytes === undefined) return;
    const known = catalog.list(name).some(({ versions }) => [...versions.values()].some((version) => version.digest === digest));
    if (!known) requireRoom(quotas, "storedBytes", catalog.componentBytes(name) + this.#ports.storedBytes(name), componentBytes);
  }
}

/** A manifest that names the sidecars which were found for imports that it does not speak of. */
function withFound(manifest: ManifestInput, found: readonly FoundSidecar[]): ManifestInput {
  const uses = [...new Set(found.map(({ use }) => use))];
  return { ...manifest, sidecars: [...(manifest.sidecars ?? []), ...uses.map((use) => ({ use, when: "used" as const }))] };
}

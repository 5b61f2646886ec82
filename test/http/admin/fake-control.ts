/** `Control` in memory, by the words of its port: for tests of what stands in front of it. */
import { createHash, randomBytes } from "node:crypto";
import { ProblemError } from "../../../src/base/problem.js";
import type {
  AliasSettings,
  AliasView,
  CapabilityView,
  CapacityInfo,
  CellInfo,
  Control,
  Deployed,
  EntryView,
  IssuedKey,
  LogEntry,
  LogQuery,
  Page,
  Paged,
  PurgeQuery,
  RecordDetail,
  RecordQuery,
  RecordView,
  SecretView,
  TaskView,
  TenantView,
  UsageQuery,
  UsageView,
  VersionView,
} from "../../../src/control/control.js";
import { usualCapacity } from "../../../src/config/capacity.js";
import type { CapacityChange } from "../../../src/control/node-capacity.js";
import { readManifest, type ManifestInput } from "../../../src/tasks/manifest.js";
import { USUAL_TERMS, type AuditEntry, type Caller, type Key, type Scope, type TenantSettings } from "../../../src/tenants/tenant.js";

interface FakeTask {
  readonly createdAt: string;
  revision: number;
  readonly versions: Map<string, VersionView>;
  readonly aliases: Map<string, AliasView>;
  count: number;
}

interface FakeTenant {
  view: TenantView;
  readonly tasks: Map<string, FakeTask>;
  readonly secrets: Map<string, { readonly value: string; readonly updatedAt: string }>;
  readonly stores: Map<string, Map<string, { value: Uint8Array; revision: number }>>;
  readonly logs: LogEntry[];
}

interface Follower {
  readonly tenant: string;
  readonly query: LogQuery;
  readonly listener: (entry: LogEntry) => void;
}

const HOLDS: Readonly<Record<Scope, readonly Scope[]>> = {
  admin: ["admin", "deploy", "invoke", "debug", "read"],
  deploy: ["deploy", "read"],
  invoke: ["invoke"],
  debug: ["debug"],
  read: ["read"],
};
const NAME = /^[a-z][a-z0-9-]{0,62}$/;

export class FakeControl implements Control {
  /** An admin key of the node. */
  readonly rootKey: string;
  /** Log followers that have not gone away. */
  readonly followers = new Set<Follower>();
  /** The node's cells. */
  cellsNow: readonly CellInfo[] = [];
  readonly drained: string[] = [];
  #capacity: CapacityChange = {};
  /** What was used, of whichever tenant. */
  used: readonly UsageView[] = [];
  /** What is recorded, of whichever tenant. */
  recorded: readonly RecordDetail[] = [];
  /** Thrown by the next `whoami`, once. */
  fault: unknown;
  readonly #tenants = new Map<string, FakeTenant>();
  readonly #keys = new Map<string, { key: Key; text: string; endsAt: number | undefined }>();
  readonly #audit: AuditEntry[] = [];
  #revision = 0;

  constructor() {
    this.#make("default", {});
    this.rootKey = this.#issue(undefined, { scopes: ["admin"], note: "first", expiresAt: undefined }).text;
  }

  identify(text: string): Caller | undefined {
    for (const { key, text: known, endsAt } of this.#keys.values()) {
      if (known !== text) continue;
      const ends = Math.min(endsAt ?? Infinity, key.expiresAt === undefined ? Infinity : Date.parse(key.expiresAt));
      if (Date.now() >= ends) return undefined;
      return { kind: "key", key, may: new Set(key.scopes.flatMap((scope) => HOLDS[scope])) };
    }
    return undefined;
  }

  whoami(caller: Caller): ReturnType<Control["whoami"]> {
    if (this.fault !== undefined) {
      const { fault } = this;
      this.fault = undefined;
      throw fault; // oxlint-disable-line typescript/only-throw-error -- a test says what
    }
    return { key: caller.kind === "key" ? caller.key : undefined, version: "0.0.0-fake", dataUrl: "http://127.0.0.1:8700/" };
  }

  tenants(caller: Caller, page: Page): Paged<TenantView> {
    const own = caller.kind === "key" ? caller.key.tenant : undefined;
    this.#may(caller, own, "read");
    const names = own === undefined ? [...this.#tenants.keys()].sort() : [own];
    return paged(names, page, (name) => (this.#tenants.get(name) as FakeTenant).view);
  }

  tenant(caller: Caller, name: string): TenantView {
    return this.#reach(caller, name, "read").view;
  }

  async createTenant(caller: Caller, name: string, settings: TenantSettings): Promise<TenantView> {
    this.#may(caller, undefined, "admin");
    if (!NAME.test(name)) throw invalid("name", "expected a name of lower-case letters, digits and dashes");
    if (this.#tenants.has(name)) throw new ProblemError("request/conflict", `The tenant ${name} is there already.`);
    const { view } = this.#make(name, settings);
    this.#note(caller, name, "tenant.create", `tenant ${name}`, undefined, view);
    return view;
  }

  async updateTenant(caller: Caller, name: string, settings: TenantSettings, ifRevision: number | undefined): Promise<TenantView> {
    this.#may(caller, undefined, "admin");
    const tenant = this.#reach(caller, name, undefined);
    this.#unchanged(ifRevision, tenant.view.revision);
    const before = tenant.view;
    tenant.view = { ...before, ...settingsOf(before, settings), revision: ++this.#revision };
    this.#note(caller, name, "tenant.update", `tenant ${name}`, before, tenant.view);
    return tenant.view;
  }

  async deleteTenant(caller: Caller, name: string, ifRevision: number | undefined): Promise<void> {
    this.#may(caller, undefined, "admin");
    const tenant = this.#reach(caller, name, undefined);
    this.#unchanged(ifRevision, tenant.view.revision);
    if (name === "default") throw new ProblemError("request/conflict", "The tenant default stays.");
    this.#tenants.delete(name);
    for (const [id, { key }] of this.#keys) if (key.tenant === name) this.#keys.delete(id);
    this.#note(caller, name, "tenant.delete", `tenant ${name}`, tenant.view, undefined);
  }

  keys(caller: Caller, tenant: string | undefined, page: Page): Paged<Key> {
    this.#forKeys(caller, tenant);
    const keys = [...this.#keys.values()].map(({ key }) => key).filter((key) => key.tenant === tenant);
    return paged(
      keys.map(({ id }) => id),
      page,
      (id) => keys.find((key) => key.id === id) as Key,
    );
  }

  async issueKey(caller: Caller, tenant: string | undefined, input: Parameters<Control["issueKey"]>[2]): Promise<IssuedKey> {
    this.#forKeys(caller, tenant);
    if (input.scopes.length === 0) throw invalid("scopes", "expected at least one");
    if (input.expiresAt !== undefined && Number.isNaN(Date.parse(input.expiresAt))) throw invalid("expiresAt", "expected ISO 8601");
    const issued = this.#issue(tenant, { note: undefined, expiresAt: undefined, ...input });
    this.#note(caller, tenant, "key.issue", `key ${issued.key.id}`, undefined, issued.key);
    return issued;
  }

  async rotateKey(caller: Caller, tenant: string | undefined, id: string, graceMs: number): Promise<IssuedKey> {
    this.#forKeys(caller, tenant);
    const old = this.#key(tenant, id);
    old.endsAt = Date.now() + graceMs;
    const { scopes, note, expiresAt } = old.key;
    return this.#issue(tenant, { scopes, note, expiresAt });
  }

  async revokeKey(caller: Caller, tenant: string | undefined, id: string): Promise<void> {
    this.#forKeys(caller, tenant);
    this.#key(tenant, id);
    this.#keys.delete(id);
  }

  tasks(caller: Caller, tenant: string, page: Page): Paged<TaskView> {
    const { tasks } = this.#reach(caller, tenant, "read");
    return paged([...tasks.keys()].sort(), page, (name) => taskView(tenant, name, tasks.get(name) as FakeTask));
  }

  task(caller: Caller, tenant: string, task: string): TaskView {
    return taskView(tenant, task, this.#task(caller, tenant, task, "read"));
  }

  async deploy(caller: Caller, tenant: string, input: Parameters<Control["deploy"]>[2]): Promise<Deployed> {
    const { tasks } = this.#reach(caller, tenant, "deploy");
    const manifest = this.#manifest(input.manifest);
    const digest = createHash("sha256").update(input.component).digest("hex");
    const now = new Date().toISOString();
    const task = tasks.get(manifest.name) ?? { createdAt: now, revision: 0, versions: new Map(), aliases: new Map(), count: 0 };
    tasks.set(manifest.name, task);
    const same = [...task.versions.values()].find((v) => v.digest === digest && JSON.stringify(v.manifest) === JSON.stringify(manifest));
    const version = same?.version ?? `v${++task.count}`;
    const { byteLength: componentBytes } = input.component;
    if (same === undefined)
      task.versions.set(version, { version, digest, componentBytes, manifest, createdAt: now, createdBy: who(caller), aliases: [] });
    const alias = input.alias === null ? undefined : (input.alias ?? "live");
    if (alias !== undefined) this.#move(task, alias, { targets: { [version]: 1 } });
    task.revision = ++this.#revision;
    this.#note(caller, tenant, "task.deploy", `task ${manifest.name}`, undefined, { version });
    const { access, urls } = taskView(tenant, manifest.name, task);
    return { tenant, task: manifest.name, version, created: same === undefined, digest, alias, urls, access };
  }

  async deleteTask(caller: Caller, tenant: string, name: string, ifRevision: number | undefined): Promise<void> {
    const task = this.#task(caller, tenant, name, "deploy");
    this.#unchanged(ifRevision, task.revision);
    this.#tenants.get(tenant)?.tasks.delete(name);
  }

  versions(caller: Caller, tenant: string, name: string, page: Page): Paged<VersionView> {
    const task = this.#task(caller, tenant, name, "read");
    return paged([...task.versions.keys()].reverse(), page, (label) => versionView(task, label) as VersionView);
  }

  version(caller: Caller, tenant: string, name: string, label: string): VersionView {
    const version = versionView(this.#task(caller, tenant, name, "read"), label);
    if (version === undefined) throw noSuch("version", label);
    return version;
  }

  async deleteVersion(caller: Caller, tenant: string, name: string, label: string): Promise<void> {
    const task = this.#task(caller, tenant, name, "deploy");
    const version = versionView(task, label);
    if (version === undefined) throw noSuch("version", label);
    if (version.aliases.length > 0) throw new ProblemError("request/conflict", `The alias ${version.aliases[0]} leads to ${label}.`);
    task.versions.delete(label);
  }

  async setAlias(...args: Parameters<Control["setAlias"]>): Promise<AliasView> {
    const [caller, tenant, name, alias, settings, ifRevision] = args;
    const task = this.#task(caller, tenant, name, "deploy");
    this.#unchanged(ifRevision, task.aliases.get(alias)?.revision ?? 0);
    for (const [label, weight] of Object.entries(settings.targets)) {
      if (!task.versions.has(label)) throw noSuch("version", label);
      if (!Number.isInteger(weight) || weight < 1) throw invalid(`targets.${label}`, "expected a whole number above zero");
    }
    return this.#move(task, alias, settings);
  }

  async deleteAlias(caller: Caller, tenant: string, name: string, alias: string): Promise<void> {
    const task = this.#task(caller, tenant, name, "deploy");
    if (alias === "live") throw new ProblemError("request/conflict", "The alias live stays.");
    if (!task.aliases.delete(alias)) throw noSuch("alias", alias);
  }

  async rollback(caller: Caller, tenant: string, name: string, alias: string, to: string | undefined): Promise<AliasView> {
    const task = this.#task(caller, tenant, name, "deploy");
    const now = task.aliases.get(alias);
    if (now === undefined) throw noSuch("alias", alias);
    if (to !== undefined && !task.versions.has(to)) throw noSuch("version", to);
    const settings = to === undefined ? now.previous : { targets: { [to]: 1 } };
    if (settings === undefined) throw new ProblemError("request/conflict", `The alias ${alias} never led anywhere else.`);
    return this.#move(task, alias, settings);
  }

  secrets(caller: Caller, tenant: string, page: Page): Paged<SecretView> {
    const { secrets } = this.#reach(caller, tenant, "read");
    return paged([...secrets.keys()].sort(), page, (name) => ({ name, updatedAt: secrets.get(name)?.updatedAt ?? "", usedBy: [] }));
  }

  async putSecret(caller: Caller, tenant: string, name: string, value: string): Promise<SecretView> {
    const { secrets } = this.#reach(caller, tenant, "deploy");
    const secret = { value, updatedAt: new Date().toISOString() };
    secrets.set(name, secret);
    this.#note(caller, tenant, "secret.put", `secret ${name}`, undefined, undefined);
    // More than the view: what stands in front lets none of it out.
    return { name, updatedAt: secret.updatedAt, usedBy: [], value } as SecretView;
  }

  async deleteSecret(caller: Caller, tenant: string, name: string): Promise<void> {
    if (!this.#reach(caller, tenant, "deploy").secrets.delete(name)) throw noSuch("secret", name);
  }

  stores(caller: Caller, tenant: string): ReturnType<Control["stores"]> {
    return [...this.#reach(caller, tenant, "read").stores].map(([name, entries]) => ({
      name,
      keys: entries.size,
      bytes: [...entries.values()].reduce((sum, { value }) => sum + value.byteLength, 0),
    }));
  }

  entries(caller: Caller, tenant: string, store: string, prefix: string, page: Page): Paged<EntryView> {
    const entries = this.#store(caller, tenant, store, "read");
    const keys = [...entries.keys()].filter((key) => key.startsWith(prefix)).sort();
    return paged(keys, page, (key) => {
      const { value, revision } = entries.get(key) as { value: Uint8Array; revision: number };
      return { key, revision, bytes: value.byteLength };
    });
  }

  entry(caller: Caller, tenant: string, store: string, key: string): { value: Uint8Array; revision: number } {
    const entry = this.#store(caller, tenant, store, "read").get(key);
    if (entry === undefined) throw noSuch("entry", key);
    return entry;
  }

  async putEntry(...args: Parameters<Control["putEntry"]>): Promise<number> {
    const [caller, tenant, name, key, value, ifRevision] = args;
    const { stores } = this.#reach(caller, tenant, "deploy");
    const store = stores.get(name) ?? new Map<string, { value: Uint8Array; revision: number }>();
    this.#unchanged(ifRevision, store.get(key)?.revision ?? 0);
    stores.set(name, store);
    store.set(key, { value: Uint8Array.from(value), revision: ++this.#revision });
    return this.#revision;
  }

  async deleteEntry(caller: Caller, tenant: string, store: string, key: string, ifRevision: number | undefined): Promise<void> {
    const entries = this.#store(caller, tenant, store, "deploy");
    const entry = entries.get(key);
    if (entry === undefined) throw noSuch("entry", key);
    this.#unchanged(ifRevision, entry.revision);
    entries.delete(key);
  }

  audit(caller: Caller, tenant: string | undefined, page: Page): Paged<AuditEntry> {
    if (tenant === undefined) this.#may(caller, undefined, "read");
    else this.#reach(caller, tenant, "read");
    const entries = this.#audit.filter((entry) => tenant === undefined || entry.tenant === tenant).reverse();
    return paged(
      entries.map(({ sequence }) => String(sequence)),
      page,
      (sequence) => entries.find((entry) => String(entry.sequence) === sequence) as AuditEntry,
    );
  }

  logs(caller: Caller, tenant: string, query: LogQuery): LogEntry[] {
    const { logs } = this.#reach(caller, tenant, "debug");
    return logs.filter((entry) => fits(entry, query)).slice(-(query.limit ?? 100));
  }

  followLogs(caller: Caller, tenant: string, query: LogQuery, listener: (entry: LogEntry) => void): () => void {
    this.#reach(caller, tenant, "debug");
    const follower = { tenant, query, listener };
    this.followers.add(follower);
    return () => void this.followers.delete(follower);
  }

  cells(caller: Caller, page: Page): Paged<CellInfo> {
    const own = caller.kind === "key" ? caller.key.tenant : undefined;
    this.#may(caller, own, "read");
    const cells = new Map(
      this.cellsNow.filter(({ tenant }) => own === undefined || tenant === own).map((cell) => [String(cell.cell), cell]),
    );
    return paged([...cells.keys()], page, (id) => cells.get(id) as CellInfo);
  }

  capacity(caller: Caller): CapacityInfo {
    this.#may(caller, undefined, "read");
    const { pools: _, ...top } = this.#capacity;
    const settings = { ...usualCapacity(100, 2 ** 34), ...(top as object) };
    const { budgetBytes, lobbyBytes } = settings;
    const now = {
      budgetBytes,
      lobbyBytes,
      cellBytes: 0,
      lobbyChargedBytes: 0,
      reservedRuns: 0,
      waiting: 0,
      leases: 0,
      runLimit: undefined,
      pools: [],
    };
    const none = { expired: 0, evictedInstances: 0, evictedPrograms: 0, foreseen: 0 };
    const totals = { rungs: { "own/ready": 3 }, passed: {}, refused: {}, ...none };
    return {
      settings,
      set: this.#capacity,
      now: { ...now, draining: this.drained.includes("") },
      totals,
      drained: this.drained.filter((one) => one !== ""),
    };
  }

  async setCapacity(caller: Caller, change: CapacityChange): Promise<CapacityInfo> {
    this.#may(caller, undefined, "admin");
    if ((change.overcommit ?? 1) < 1) throw invalid("overcommit", "expected a number from 1 to 1000");
    this.#capacity = { ...this.#capacity, ...change };
    return this.capacity(caller);
  }

  async resetCapacity(caller: Caller): Promise<CapacityInfo> {
    this.#may(caller, undefined, "admin");
    this.#capacity = {};
    return this.capacity(caller);
  }

  async drainCell(caller: Caller, id: string): Promise<void> {
    this.#may(caller, undefined, "admin");
    if (!this.cellsNow.some(({ cell }) => String(cell) === id)) throw noSuch("cell", id);
    this.cellsNow = this.cellsNow.map((cell) => (String(cell.cell) === id ? { ...cell, state: "draining" } : cell));
  }

  async drain(caller: Caller, tenant: string | undefined): Promise<void> {
    this.#may(caller, undefined, "admin");
    if (tenant !== undefined) this.#reach(caller, tenant, undefined);
    this.drained.push(tenant ?? "");
  }

  async resume(caller: Caller, tenant: string | undefined): Promise<void> {
    this.#may(caller, undefined, "admin");
    if (tenant !== undefined) this.#reach(caller, tenant, undefined);
    this.drained.splice(this.drained.indexOf(tenant ?? ""), 1);
  }

  async usage(caller: Caller, tenant: string | undefined, { task }: UsageQuery, page: Page): Promise<Paged<UsageView>> {
    const owner = tenant ?? (caller.kind === "key" ? caller.key.tenant : undefined);
    if (owner === undefined) this.#may(caller, undefined, "read");
    else this.#reach(caller, owner, "read");
    const rows = this.used.filter((row) => (owner === undefined || row.tenant === owner) && (task === undefined || row.task === task));
    return paged(
      rows.map((_, i) => String(i)),
      page,
      (i) => rows[Number(i)] as UsageView,
    );
  }

  capabilities(caller: Caller, tenant: string | undefined): Paged<CapabilityView> {
    const owner = tenant ?? (caller.kind === "key" ? caller.key.tenant : undefined);
    if (owner === undefined) this.#may(caller, undefined, "read");
    else this.#reach(caller, owner, "read");
    return { items: [], next: undefined };
  }

  sidecars(caller: Caller, tenant: string): ReturnType<Control["sidecars"]> {
    this.#reach(caller, tenant, "read");
    return { items: [], next: undefined };
  }

  records(caller: Caller, tenant: string, { task, key = "" }: RecordQuery, page: Page): Paged<RecordView> {
    this.#reach(caller, tenant, "read");
    const found = this.recorded.filter((one) => (task ?? one.task) === task && one.key.startsWith(key));
    return paged(
      found.map((one) => one.key),
      page,
      (of) => found.find((one) => one.key === of) as RecordView,
    );
  }

  record(caller: Caller, tenant: string, key: string): RecordDetail {
    this.#reach(caller, tenant, "read");
    const found = this.recorded.find((one) => one.key.startsWith(key));
    if (found === undefined) throw noSuch("record", key);
    return found;
  }

  async purgeRecords(caller: Caller, tenant: string, { task, key = "", reads, all }: PurgeQuery): Promise<{ purged: number }> {
    this.#reach(caller, tenant, "deploy");
    if (task === undefined && key === "" && reads === undefined && all !== true) throw invalid("all", "expected task, key or reads");
    const left = this.recorded.filter((one) => (task !== undefined && one.task !== task) || !one.key.startsWith(key));
    const purged = this.recorded.length - left.length;
    this.recorded = left;
    return { purged };
  }

  /** Nothing runs here, nor later. */
  deferred(caller: Caller, tenant: string): ReturnType<Control["deferred"]> {
    this.#reach(caller, tenant, "read");
    return { items: [], next: undefined };
  }

  deferredRun(caller: Caller, tenant: string, run: string): never {
    this.#reach(caller, tenant, "read");
    throw noSuch("deferred run", run);
  }

  async cancelDeferred(caller: Caller, tenant: string, run: string): Promise<never> {
    this.#reach(caller, tenant, "deploy");
    throw noSuch("deferred run", run);
  }

  redrive(caller: Caller, tenant: string, run: string): Promise<never> {
    return this.cancelDeferred(caller, tenant, run);
  }

  async redriveAll(caller: Caller, tenant: string): Promise<{ redriven: number }> {
    this.#reach(caller, tenant, "deploy");
    return { redriven: 0 };
  }

  /** Nothing is foreseen here. */
  pretriggers(caller: Caller, tenant: string): ReturnType<Control["pretriggers"]> {
    this.#reach(caller, tenant, "read");
    return { pairs: [], announcements: [], expected: [], firstCalls: [] };
  }

  announce(caller: Caller, tenant: string): { readonly key: string } {
    this.#reach(caller, tenant, "invoke");
    return { key: "" };
  }

  async resetPretriggers(caller: Caller, tenant: string): Promise<void> {
    this.#reach(caller, tenant, "deploy");
  }

  queues(caller: Caller, tenant: string): readonly never[] {
    this.#reach(caller, tenant, "read");
    return [];
  }

  maySend(caller: Caller, tenant: string): void {
    this.#reach(caller, tenant, "invoke");
  }

  async send(caller: Caller, tenant: string, queue: string): Promise<never> {
    this.#reach(caller, tenant, "invoke");
    throw new ProblemError("request/no-such-thing", `There is no queue ${JSON.stringify(queue)}; no task takes messages.`);
  }

  /** Nothing runs here. */
  pauseRun(caller: Caller, tenant: string, run: string): void {
    this.#reach(caller, tenant, "deploy");
    throw new ProblemError("request/run-not-found", `No run ${JSON.stringify(run)} of the tenant goes on here.`);
  }

  resumeRun(caller: Caller, tenant: string, run: string): void {
    this.pauseRun(caller, tenant, run);
  }

  async advice(caller: Caller, tenant: string): ReturnType<Control["advice"]> {
    this.#reach(caller, tenant, "read");
    return [];
  }

  /** A guest of the tenant's task writes a line. */
  log(tenant: string, task: string, text: string): void {
    const entry = { at: new Date().toISOString(), task, version: "v1", run: "r1", level: "info", origin: "stdout", text };
    this.#tenants.get(tenant)?.logs.push(entry);
    for (const { tenant: of, query, listener } of this.followers) if (of === tenant && fits(entry, query)) listener(entry);
  }

  #make(name: string, settings: TenantSettings): FakeTenant {
    const used = { tasks: 0, storedBytes: 0, concurrency: 0, memory: 0 };
    const grants = { hosts: [], folders: [], quotas: {}, capacity: USUAL_TERMS };
    const empty = { name, ...grants, createdAt: new Date().toISOString(), revision: ++this.#revision, used };
    const tenant = { tasks: new Map(), secrets: new Map(), stores: new Map(), logs: [] };
    const made: FakeTenant = { ...tenant, view: { ...empty, ...settingsOf(empty, settings) } };
    this.#tenants.set(name, made);
    return made;
  }

  #issue(tenant: string | undefined, rights: Pick<Key, "scopes" | "note" | "expiresAt">): IssuedKey {
    const id = randomBytes(6).toString("hex");
    const { scopes, note, expiresAt } = rights;
    const key: Key = { id, tenant, scopes, note, createdAt: new Date().toISOString(), expiresAt };
    const text = `pl_${randomBytes(16).toString("hex")}`;
    this.#keys.set(id, { key, text, endsAt: undefined });
    return { key, text };
  }

  #key(tenant: string | undefined, id: string): { key: Key; endsAt: number | undefined } {
    const found = this.#keys.get(id);
    if (found === undefined || found.key.tenant !== tenant) throw noSuch("key", id);
    return found;
  }

  #forKeys(caller: Caller, tenant: string | undefined): void {
    if (tenant === undefined) this.#may(caller, undefined, "admin");
    else this.#reach(caller, tenant, "admin");
  }

  /** The tenant, if the caller sees it and has the scope there. */
  #reach(caller: Caller, name: string, scope: Scope | undefined): FakeTenant {
    if (caller.kind === "key" && caller.key.tenant !== undefined && caller.key.tenant !== name) throw noSuch("tenant", name);
    if (scope !== undefined) this.#may(caller, name, scope);
    const tenant = this.#tenants.get(name);
    if (tenant === undefined) throw noSuch("tenant", name);
    return tenant;
  }

  #may(caller: Caller, tenant: string | undefined, scope: Scope): void {
    if (caller.kind !== "key") return;
    if (tenant === undefined && caller.key.tenant !== undefined)
      throw new ProblemError("request/forbidden", "This takes a key of the node; the key is a tenant's.");
    if (!caller.may.has(scope)) throw new ProblemError("request/forbidden", `This takes a key with the scope ${scope}.`);
  }

  #task(caller: Caller, tenant: string, name: string, scope: Scope): FakeTask {
    const task = this.#reach(caller, tenant, scope).tasks.get(name);
    if (task === undefined) throw noSuch("task", name);
    return task;
  }

  #store(caller: Caller, tenant: string, name: string, scope: Scope): Map<string, { value: Uint8Array; revision: number }> {
    return this.#reach(caller, tenant, scope).stores.get(name) ?? new Map<string, { value: Uint8Array; revision: number }>();
  }

  #manifest(value: unknown): ManifestInput {
    try {
      readManifest(value, "manifest");
    } catch (error) {
      throw invalid("manifest", (error as Error).message);
    }
    return value as ManifestInput;
  }

  #move(task: FakeTask, name: string, { targets, sticky }: AliasSettings): AliasView {
    const before = task.aliases.get(name);
    const previous = before && { targets: before.targets, sticky: before.sticky };
    const alias = { name, targets, sticky, previous, updatedAt: new Date().toISOString(), revision: ++this.#revision };
    task.aliases.set(name, alias);
    return alias;
  }

  #unchanged(asked: number | undefined, is: number): void {
    if (asked !== undefined && asked !== is)
      throw new ProblemError("request/changed-meanwhile", is === 0 ? "It is not there." : `It has the revision ${is} by now.`);
  }

  #note(caller: Caller, tenant: string | undefined, action: string, subject: string, before: unknown, after: unknown): void {
    const entry = { sequence: this.#audit.length + 1, at: new Date().toISOString(), who: who(caller), tenant, action, subject };
    this.#audit.push({ ...entry, before, after });
  }
}

function settingsOf(before: Pick<TenantView, "hosts" | "folders" | "quotas" | "capacity">, settings: TenantSettings): typeof before {
  const quotas = Object.fromEntries(Object.entries({ ...before.quotas, ...settings.quotas }).filter(([, value]) => value !== null));
  const capacity = { ...before.capacity, ...(settings.capacity as object) };
  return { hosts: settings.hosts ?? before.hosts, folders: settings.folders ?? before.folders, quotas, capacity };
}

function taskView(tenant: string, name: string, task: FakeTask): TaskView {
  const { createdAt, revision } = task;
  const root = tenant === "default" ? "" : `/~${tenant}`;
  const url = `http://127.0.0.1:8700${root}/${name}`;
  const aliases = [...task.aliases.values()];
  return {
    name,
    tenant,
    aliases,
    versions: task.versions.size,
    routes: [`/${name}/*`],
    urls: [url],
    access: "public",
    createdAt,
    revision,
  };
}

function versionView(task: FakeTask, label: string): VersionView | undefined {
  const version = task.versions.get(label);
  const aliases = [...task.aliases.values()].filter(({ targets }) => Object.hasOwn(targets, label)).map(({ name }) => name);
  return version && { ...version, aliases };
}

function paged<T>(keys: readonly string[], { limit = 100, cursor }: Page, show: (key: string) => T): Paged<T> {
  const start = cursor === undefined ? 0 : keys.indexOf(cursor) + 1;
  if (cursor !== undefined && start === 0) throw invalid("cursor", "expected what the page before gave as next");
  const rest = keys.slice(start);
  return { items: rest.slice(0, limit).map(show), next: rest.length > limit ? rest[limit - 1] : undefined };
}

function fits(entry: LogEntry, { task, run }: LogQuery): boolean {
  return (task === undefined || entry.task === task) && (run === undefined || entry.run === run);
}

function who(caller: Caller): string {
  return caller.kind === "key" ? `key:${caller.key.id}` : caller.kind;
}

function noSuch(what: string, name: string): ProblemError {
  return new ProblemError("request/no-such-thing", `There is no ${what} ${name}.`);
}

function invalid(field: string, message: string): ProblemError {
  return new ProblemError("request/invalid", `${field}: ${message}`, { errors: [{ field, message }] });
}

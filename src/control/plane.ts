/** The control plane of one node: the desks that do the work, behind the port that the admin API knows. */
import { callerOf, require as requireScope } from "../tenants/access.js";
import type { Audit } from "../tenants/audit.js";
import type { AuditEntry, Caller } from "../tenants/tenant.js";
import type { LogBook } from "../observe/log-book.js";
import type { UsageBook } from "../observe/usage.js";
import { CapabilityDesk, type CapabilityPorts } from "./capabilities.js";
import { CapacityDesk, type CapacityPorts } from "./capacity.js";
import type {
  AliasSettings,
  Control,
  DeferredQuery,
  DeployInput,
  KeyInput,
  LogEntry,
  LogQuery,
  MessageInput,
  Page,
  Paged,
  PurgeQuery,
  RecordQuery,
  UsageQuery,
  Whoami,
} from "./control.js";
import { Live } from "./live.js";
import type { CapacityChange } from "./node-capacity.js";
import { DeferredDesk, type DeferredPorts } from "./deferred.js";
import { PretriggersDesk, type PretriggersPorts } from "./pretriggers.js";
import { RecordDesk, type RecordPorts } from "./records.js";
import { SecretDesk } from "./secrets.js";
import { SidecarDesk, type SidecarPorts } from "./sidecars.js";
import { StoreDesk, type StorePorts } from "./stores.js";
import { TaskDesk, type TaskPorts } from "./tasks.js";
import { KeyDesk, TenantDesk, type KeyPorts, type TenantPorts } from "./tenants.js";
import type { TenantSettings } from "../tenants/tenant.js";
import { UsageDesk, type UsagePorts } from "./usage.js";

export interface ControlPorts
  extends
    Omit<TaskPorts, "live" | "storedBytes" | "resized" | "capacityDesk" | "records">,
    Omit<TenantPorts, "gone" | "capacityDesk">,
    KeyPorts,
    StorePorts,
    CapabilityPorts,
    SidecarPorts,
    RecordPorts,
    DeferredPorts,
    PretriggersPorts,
    CapacityPorts {
  readonly audit: Audit;
  readonly logs: LogBook;
  readonly usage: UsagePorts["usage"] & Pick<UsageBook, "forget">;
  /** Of Pilotlight. */
  readonly version: string;
  /** Ends the runs of a tenant that has gone. */
  endRuns(tenant: string): void;
  /** Told of what went wrong after something was done. */
  report(error: unknown): void;
}

export class ControlPlane implements Control {
  readonly #ports: ControlPorts;
  /** For the process itself, which deploys what others cannot. */
  readonly desk: TaskDesk;
  /** For the process itself, which links what runs need. */
  readonly live: Live;
  readonly #tenants: TenantDesk;
  readonly #keys: KeyDesk;
  readonly #secrets: SecretDesk;
  readonly #stores: StoreDesk;
  readonly #capacity: CapacityDesk;
  readonly #usage: UsageDesk;
  readonly #capabilities: CapabilityDesk;
  readonly #sidecars: SidecarDesk;
  readonly #records: RecordDesk;
  readonly #deferred: DeferredDesk;
  readonly #pretriggers: PretriggersDesk;

  constructor(ports: ControlPorts) {
    this.#ports = ports;
    this.#capacity = new CapacityDesk(ports);
    this.#tenants = new TenantDesk({ ...ports, capacityDesk: this.#capacity, gone: (tenant) => this.#gone(tenant) });
    this.live = new Live(ports);
    this.desk = new TaskDesk({
      ...ports,
      live: this.live,
      capacityDesk: this.#capacity,
      dataUrl: () => ports.dataUrl(),
      storedBytes: (tenant) => ports.stores.usage(tenant),
      // What was deployed or deleted is; a quota that lags behind is brought along with the next change.
      resized: (tenant) => this.#tenants.resized(tenant).catch((error: unknown) => ports.report(error)),
    });
    this.#keys = new KeyDesk(ports);
    this.#secrets = new SecretDesk({ ...ports, live: this.live });
    this.#stores = new StoreDesk(ports);
    this.#usage = new UsageDesk({ ...ports, live: this.live });
    this.#capabilities = new CapabilityDesk(ports);
    this.#sidecars = new SidecarDesk({ ...ports, live: this.live });
    this.#records = new RecordDesk({ ...ports, live: this.live });
    this.#deferred = new DeferredDesk(ports);
    this.#pretriggers = new PretriggersDesk(ports);
  }

  /** Brings the stores' quotas to where the state is, after a start. */
  async settle(): Promise<void> {
    for (const { name } of this.#ports.tenants.list()) await this.#tenants.resized(name);
  }

  /** Gives the pool the tenants' terms, after a start and before programs; returns what does not add up, in words. */
  restoreCapacity(): string[] {
    return this.#capacity.restore();
  }

  #gone(tenant: string): void {
    this.live.forget(tenant);
    this.#ports.logs.forget(tenant);
    this.#ports.endRuns(tenant);
    // After the runs, which are usage of it as they end.
    this.#ports.usage.forget(tenant);
    this.#ports.records.purge({ tenant });
  }

  identify(text: string): Caller | undefined {
    const key = this.#ports.keys.verify(text);
    return key && callerOf(key);
  }

  whoami(caller: Caller): Whoami {
    if (caller.kind === "anonymous") requireScope(caller, undefined, "read");
    return { key: caller.kind === "key" ? caller.key : undefined, version: this.#ports.version, dataUrl: this.#ports.dataUrl() };
  }

  tenants = (caller: Caller, page: Page) => this.#tenants.list(caller, page);
  tenant = (caller: Caller, name: string) => this.#tenants.get(caller, name);
  createTenant = (caller: Caller, name: string, settings: TenantSettings) => this.#tenants.create(caller, name, settings);
  updateTenant = (caller: Caller, name: string, settings: TenantSettings, ifRevision: number | undefined) =>
    this.#tenants.update(caller, name, settings, ifRevision);
  deleteTenant = (caller: Caller, name: string, ifRevision: number | undefined) => this.#tenants.delete(caller, name, ifRevision);

  keys = (caller: Caller, tenant: string | undefined, page: Page) => this.#keys.list(caller, tenant, page);
  issueKey = (caller: Caller, tenant: string | undefined, input: KeyInput) => this.#keys.issue(caller, tenant, input);
  rotateKey = (caller: Caller, tenant: string | undefined, id: string, graceMs: number) => this.#keys.rotate(caller, tenant, id, graceMs);
  revokeKey = (caller: Caller, tenant: string | undefined, id: string) => this.#keys.revoke(caller, tenant, id);

  tasks = (caller: Caller, tenant: string, page: Page) => this.desk.list(caller, tenant, page);
  task = (caller: Caller, tenant: string, task: string) => this.desk.get(caller, tenant, task);
  deploy = (caller: Caller, tenant: string, input: DeployInput) => this.desk.deploy(caller, tenant, input);
  deleteTask = (caller: Caller, tenant: string, task: string, ifRevision: number | undefined) =>
    this.desk.delete(caller, tenant, task, ifRevision);
  versions = (caller: Caller, tenant: string, task: string, page: Page) => this.desk.versions(caller, tenant, task, page);
  version = (caller: Caller, tenant: string, task: string, version: string) => this.desk.version(caller, tenant, task, version);
  deleteVersion = (caller: Caller, tenant: string, task: string, version: string) => this.desk.deleteVersion(caller, tenant, task, version);
  setAlias = (caller: Caller, tenant: string, task: string, alias: string, settings: AliasSettings, ifRevision: number | undefined) =>
    this.desk.setAlias(caller, tenant, task, alias, settings, ifRevision);
  deleteAlias = (caller: Caller, tenant: string, task: string, alias: string) => this.desk.deleteAlias(caller, tenant, task, alias);
  rollback = (caller: Caller, tenant: string, task: string, alias: string, to: string | undefined) =>
    this.desk.rollback(caller, tenant, task, alias, to);

  secrets = (caller: Caller, tenant: string, page: Page) => this.#secrets.list(caller, tenant, page);
  putSecret = (caller: Caller, tenant: string, name: string, value: string) => this.#secrets.put(caller, tenant, name, value);
  deleteSecret = (caller: Caller, tenant: string, name: string) => this.#secrets.delete(caller, tenant, name);

  stores = (caller: Caller, tenant: string) => this.#stores.list(caller, tenant);
  entries = (caller: Caller, tenant: string, store: string, prefix: string, page: Page) =>
    this.#stores.entries(caller, tenant, store, prefix, page);
  entry = (caller: Caller, tenant: string, store: string, key: string) => this.#stores.entry(caller, tenant, store, key);
  putEntry = (caller: Caller, tenant: string, store: string, key: string, value: Uint8Array, ifRevision: number | undefined) =>
    this.#stores.put(caller, tenant, store, key, value, ifRevision);
  deleteEntry = (caller: Caller, tenant: string, store: string, key: string, ifRevision: number | undefined) =>
    this.#stores.delete(caller, tenant, store, key, ifRevision);

  cells = (caller: Caller, page: Page) => this.#capacity.cells(caller, page);
  capacity = (caller: Caller) => this.#capacity.capacity(caller);
  setCapacity = (caller: Caller, change: CapacityChange) => this.#capacity.setCapacity(caller, change);
  resetCapacity = (caller: Caller) => this.#capacity.resetCapacity(caller);
  drainCell = (caller: Caller, id: string) => this.#capacity.drainCell(caller, id);
  drain = (caller: Caller, tenant: string | undefined) => this.#capacity.drain(caller, tenant);
  resume = (caller: Caller, tenant: string | undefined) => this.#capacity.resume(caller, tenant);

  capabilities = (caller: Caller, tenant: string | undefined, page: Page) => this.#capabilities.list(caller, tenant, page);

  sidecars = (caller: Caller, tenant: string, page: Page) => this.#sidecars.list(caller, tenant, page);
  pauseRun = (caller: Caller, tenant: string, run: string) => this.#sidecars.pause(caller, tenant, run);
  resumeRun = (caller: Caller, tenant: string, run: string) => this.#sidecars.resume(caller, tenant, run);

  deferred = (caller: Caller, tenant: string, query: DeferredQuery, page: Page) => this.#deferred.list(caller, tenant, query, page);
  deferredRun = (caller: Caller, tenant: string, run: string) => this.#deferred.get(caller, tenant, run);
  cancelDeferred = (caller: Caller, tenant: string, run: string) => this.#deferred.cancel(caller, tenant, run);
  redrive = (caller: Caller, tenant: string, run: string) => this.#deferred.redrive(caller, tenant, run);
  redriveAll = (caller: Caller, tenant: string, query: Pick<DeferredQuery, "task" | "queue">) =>
    this.#deferred.redriveAll(caller, tenant, query);
  queues = (caller: Caller, tenant: string) => this.#deferred.queues(caller, tenant);
  maySend = (caller: Caller, tenant: string) => requireScope(caller, tenant, "invoke");
  send = (caller: Caller, tenant: string, queue: string, message: MessageInput) => this.#deferred.send(caller, tenant, queue, message);
  pretriggers = (caller: Caller, tenant: string) => this.#pretriggers.view(caller, tenant);
  announce = (caller: Caller, tenant: string, body: unknown) => this.#pretriggers.announce(caller, tenant, body);
  resetPretriggers = (caller: Caller, tenant: string, cause: string | undefined) => this.#pretriggers.reset(caller, tenant, cause);
  records = (caller: Caller, tenant: string, query: RecordQuery, page: Page) => this.#records.list(caller, tenant, query, page);
  record = (caller: Caller, tenant: string, key: string) => this.#records.get(caller, tenant, key);
  purgeRecords = (caller: Caller, tenant: string, query: PurgeQuery) => this.#records.purge(caller, tenant, query);

  usage = (caller: Caller, tenant: string | undefined, query: UsageQuery, page: Page) => this.#usage.list(caller, tenant, query, page);
  advice = (caller: Caller, tenant: string, query: Omit<UsageQuery, "by">) => this.#usage.advice(caller, tenant, query);

  audit(caller: Caller, tenant: string | undefined, page: Page): Paged<AuditEntry> {
    requireScope(caller, tenant, "read");
    const since = tenant === undefined ? undefined : this.#ports.tenants.need(tenant).createdAt;
    return this.#ports.audit.list({ tenant, since, ...page });
  }

  logs(caller: Caller, tenant: string, query: LogQuery): readonly LogEntry[] {
    this.#allowLogs(caller, tenant);
    return this.#ports.logs.last(tenant, query);
  }

  followLogs(caller: Caller, tenant: string, query: LogQuery, listener: (entry: LogEntry) => void): () => void {
    this.#allowLogs(caller, tenant);
    return this.#ports.logs.follow(tenant, query, listener);
  }

  #allowLogs(caller: Caller, tenant: string): void {
    requireScope(caller, tenant, "debug");
    this.#ports.tenants.need(tenant);
  }
}

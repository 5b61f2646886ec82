/**
 * The control plane as a port: everything that can be asked about and done to a node's tenants, tasks and data.
 *
 * The admin API and the command line over it know this file and nothing behind it. Every method looks at the caller
 * first and throws a `ProblemError`; somebody else's thing and a thing that is not there are the same problem.
 * `revision` is what an ETag is made of; a method that takes `ifRevision` changes nothing when it is another by now
 * (`request/changed-meanwhile`).
 */
import type { JobState } from "../deferral/job.js";
import type { ProblemCode } from "../base/problem.js";
import type { PoolSettings, SubPool, Term } from "../pool/types.js";
import type { CellView, PoolTotals, PoolView } from "../pool/views.js";
import type { ManifestInput } from "../tasks/manifest.js";
import type { AuditEntry, Caller, Key, Scope, Tenant, TenantSettings } from "../tenants/tenant.js";
import type { CapacityChange } from "./node-capacity.js";
import type { FirstCalls } from "../triggers/first-calls.js";
import type { AnnouncementView, ExpectedView, PairView } from "../triggers/foresight/view.js";

export interface Page {
  /** At most so many; 100 unless told, 1000 at most. */
  readonly limit?: number | undefined;
  /** What the page before gave as `next`. */
  readonly cursor?: string | undefined;
}

export interface Paged<T> {
  readonly items: readonly T[];
  /** Undefined: this was all. */
  readonly next: string | undefined;
}

/** Which version a request gets: by weight, all weights together are the whole. */
export interface AliasSettings {
  /** Version labels (`v7`) and their weights, whole numbers above zero. */
  readonly targets: Readonly<Record<string, number>>;
  /** Requests with the same value of this header get the same version, as long as the weights stay. */
  readonly sticky?: string | undefined;
}

export interface AliasView extends AliasSettings {
  readonly name: string;
  readonly updatedAt: string;
  readonly revision: number;
  /** What `rollback` would go back to; undefined: there was nothing else before. */
  readonly previous: AliasSettings | undefined;
}

export interface VersionView {
  /** `v7`. */
  readonly version: string;
  /** sha256 of the component, in lower-case hex. */
  readonly digest: string;
  readonly componentBytes: number;
  /** As it was deployed, without defaults. */
  readonly manifest: ManifestInput;
  readonly createdAt: string;
  /** `key:<id>` or `operator:<name>`. */
  readonly createdBy: string;
  /** Aliases that lead to it now. */
  readonly aliases: readonly string[];
}

export interface TaskView {
  readonly name: string;
  readonly tenant: string;
  /** The aliases; `live` is the one that routes lead to. */
  readonly aliases: readonly AliasView[];
  /** How many versions are kept. */
  readonly versions: number;
  /** Of the live alias; with a path, or host and path. */
  readonly routes: readonly string[];
  /** Where it can be reached from the data plane's address on. */
  readonly urls: readonly string[];
  readonly access: "public" | "key" | { readonly tenants: readonly string[] };
  readonly createdAt: string;
  readonly revision: number;
}

export interface Deployed {
  readonly tenant: string;
  readonly task: string;
  readonly version: string;
  /** False: these bytes and this manifest were a version already. */
  readonly created: boolean;
  readonly digest: string;
  /** What moved there; undefined when none was asked to. */
  readonly alias: string | undefined;
  readonly urls: readonly string[];
  readonly access: TaskView["access"];
  /** Sidecars that were found for imports which the manifest does not speak of; left out: none. */
  readonly found?: readonly { readonly import: string; readonly use: string }[];
}

export interface DeployInput {
  readonly manifest: unknown;
  readonly component: Uint8Array;
  /** Moves there once the version is ready: `live` unless told; null: none. */
  readonly alias?: string | null | undefined;
}

export interface KeyInput {
  readonly scopes: readonly Scope[];
  readonly note?: string | undefined;
  /** ISO 8601; undefined: never. */
  readonly expiresAt?: string | undefined;
}

/** The one time that a key's text is seen. */
export interface IssuedKey {
  readonly key: Key;
  readonly text: string;
}

export interface SecretView {
  readonly name: string;
  readonly updatedAt: string;
  /** Tasks whose live version gets it. */
  readonly usedBy: readonly string[];
}

export interface StoreView {
  readonly name: string;
  readonly keys: number;
  readonly bytes: number;
}

export interface EntryView {
  readonly key: string;
  readonly revision: number;
  readonly bytes: number;
}

/** A line of a task's log: a guest's own, or the one that a run leaves. */
export interface LogEntry {
  readonly at: string;
  readonly task: string;
  readonly version: string | undefined;
  readonly run: string | undefined;
  readonly level: string;
  /** `run` for the line of a run, else what the guest wrote to: `stdout`, `stderr`, `wasi:logging`. */
  readonly origin: string;
  readonly text: string;
}

export interface LogQuery {
  readonly task?: string | undefined;
  readonly run?: string | undefined;
  /** At most so many of the last ones; 100. */
  readonly limit?: number | undefined;
}

/** How what was used is summed: by hour or day (of UTC), or over the whole time by task or tenant. */
export const USAGE_BY = ["hour", "day", "task", "tenant"] as const;
export type UsageBy = (typeof USAGE_BY)[number];

/** Which usage is asked for. Times are ISO 8601; hours that overlap the time between count whole. */
export interface UsageQuery {
  readonly task?: string | undefined;
  /** A day before `to` unless told. */
  readonly from?: string | undefined;
  /** Now. */
  readonly to?: string | undefined;
  /** `hour` unless told. */
  readonly by?: UsageBy | undefined;
}

/** A sidecar as people see it. */
export interface SidecarView {
  readonly name: string;
  readonly version: string;
  readonly from: "pilotlight" | "tenant";
  readonly about: string | undefined;
  /** Of what Pilotlight ships. */
  readonly digest: string | undefined;
  readonly bytes: number | undefined;
  readonly scope: "request" | "task" | "tenant";
  readonly standing: number;
  readonly usedBy: readonly string[];
}

/** What the runs of a time came to that had task, sub-pool, term and price in common. Seconds and bytes. */
export interface UsageView {
  /** Whole hours: from the first on, until before the second. */
  readonly from: string;
  readonly to: string;
  readonly tenant: string;
  /** Undefined: all of the tenant's. */
  readonly task: string | undefined;
  /** Of the cell that the runs got; of those that got none, the one that the manifest names. */
  readonly pool: SubPool;
  /** How they got their place; `none`: they got none. */
  readonly term: Term | "none";
  /** Of a GiB-second. */
  readonly price: number;
  /** Those that got a place, that were refused one, and that were given up while they waited. */
  readonly runs: number;
  readonly refused: number;
  readonly abandoned: number;
  /** Answered from records: nothing ran for them. */
  readonly recalled: number;
  /** Refused, by reason. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly runSeconds: number;
  readonly cpuSeconds: number;
  /** Memory that was charged, times the time that it was used. */
  readonly gibSeconds: number;
  /** GiB-seconds times their price. */
  readonly cost: number;
  readonly waitSeconds: number;
  readonly maxWaitSeconds: number;
  readonly maxRunSeconds: number;
  /** Until the slowest answer began. */
  readonly maxHeadSeconds: number;
  /** Runs by how far their code was. */
  readonly rungs: { readonly ready: number; readonly linked: number; readonly compiled: number; readonly stored: number };
  /** What at most 5 % of the runs went over (to a fifth), and what none did. */
  readonly memory: { readonly p95Bytes: number; readonly maxBytes: number };
  /** Runs of one task at once. */
  readonly peakConcurrency: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

/** What a setting is, set against what was used. Nothing is changed by it. */
export interface AdviceView {
  /** Undefined: about the tenant. */
  readonly task: string | undefined;
  /** In the manifest (`limits.memory`), or of the tenant's terms (`dedicated`). */
  readonly field: string;
  /** `unknown`: too few runs to tell. */
  readonly change: "lower" | "raise" | "other" | "keep" | "unknown";
  /** As one would write them; nothing is suggested where nothing is to be changed. */
  readonly set: string | number;
  readonly suggested: string | number | undefined;
  /** The figures that speak for it. */
  readonly why: string;
}

/** Which runs that answer later are asked about: all that is said must fit. */
export interface DeferredQuery {
  readonly task?: string | undefined;
  readonly queue?: string | undefined;
  readonly state?: JobState | undefined;
  /** Those that failed as often as they may. */
  readonly dead?: boolean | undefined;
}

/** A run that answers later. Times are ISO 8601. */
export interface DeferredView {
  readonly id: string;
  readonly task: string | undefined;
  readonly capability: string | undefined;
  /** That ran it last. */
  readonly version: string | undefined;
  readonly state: JobState;
  readonly dead: boolean;
  /** In words: `cron 0 3 * * * at …`. */
  readonly origin: string;
  readonly acceptedAt: string;
  /** While it waits. */
  readonly dueAt: string | undefined;
  readonly notAfter: string | undefined;
  /** How often it has begun. */
  readonly starts: number;
  readonly startedAt: string | undefined;
  readonly endedAt: string | undefined;
  readonly status: number | undefined;
  readonly fault: { readonly code: string; readonly detail: string | undefined } | undefined;
}

/** What was forecast for a time, what capacity costs then, and what the two come to. */
export interface WeighedView {
  readonly at: string;
  readonly demand: number | undefined;
  readonly price: number;
  readonly cost: number;
}

export interface DeferredDetail extends DeferredView {
  /** Why it starts when it does; undefined: it was not weighed. */
  readonly decision:
    | {
        readonly why: string;
        /** Undefined: at once. */
        readonly startsAt: string | undefined;
        readonly latest: string;
        readonly now: WeighedView;
        readonly best: WeighedView | undefined;
      }
    | undefined;
  readonly inputBytes: number;
  readonly resultBytes: number | undefined;
  readonly keptUntil: string | undefined;
  readonly caller: string;
  /** Whom guards found to be calling. */
  readonly subject: string | undefined;
}

/** A queue, by the task that takes from it, with how many messages are how far. */
export interface QueueInfo {
  readonly name: string;
  readonly task: string;
  readonly waiting: number;
  readonly running: number;
  readonly dead: number;
}

/** What is foreseen and announced for a tenant. Times are ISO 8601, durations milliseconds, waste MiB × seconds. */
export interface PretriggersView {
  /** What follows what, the likeliest first. */
  readonly pairs: readonly PairView[];
  readonly announcements: readonly (Omit<AnnouncementView, "start" | "window"> & { readonly start: string; readonly end: string })[];
  /** What is prepared, or will be when it is due. */
  readonly expected: readonly (Omit<ExpectedView, "until"> & { readonly until: string })[];
  /** How long runs took to begin that found their instance prepared, and those for which it had to be made. */
  readonly firstCalls: readonly FirstCalls[];
}

export interface MessageInput {
  readonly body: Uint8Array;
  /** Media type. */
  readonly type: string | undefined;
  /** A message with the same key is taken once. */
  readonly key: string | undefined;
}

/** Which records are asked about: all that is said must fit. */
export interface RecordQuery {
  readonly task?: string | undefined;
  /** With this its key begins. */
  readonly key?: string | undefined;
  /** What it has read, as `src/memo/select.ts` has it: `kv:default/catalogue/*`, `task:png`, an address, a resource. */
  readonly reads?: string | undefined;
}

export interface PurgeQuery extends RecordQuery {
  /** For all of the tenant's, where nothing else is said. */
  readonly all?: boolean | undefined;
}

/** What a run of an idempotent task produced, and is answered with until something that it read has changed. */
export interface RecordView {
  readonly key: string;
  readonly task: string;
  readonly version: string;
  /** `GET /thumbs/7`. */
  readonly what: string;
  /** The run whose answer it is. */
  readonly run: string;
  readonly recordedAt: string;
  /** By what the live manifest says; undefined: it says no more that the task is idempotent. */
  readonly expiresAt: string | undefined;
  /** Undefined: it is the result of a call. */
  readonly status: number | undefined;
  /** All of it, as its store counts. */
  readonly bytes: number;
  readonly runMs: number;
  /** Requests that it answered since the node started. */
  readonly hits: number;
  /** How much it has read that is looked at. */
  readonly dependencies: number;
}

export interface RecordDetail extends RecordView {
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly bodyBytes: number;
  /** What it has read, and the revision or state that it was in, a line each. */
  readonly reads: readonly string[];
}

/** A task that provides a capability, and what a call would take now, by version. Milliseconds. */
export interface CapabilityView {
  /** With the version that it provides. */
  readonly capability: string;
  readonly tenant: string;
  readonly task: string;
  readonly access: TaskView["access"];
  /** Those that its live alias leads to. */
  readonly versions: readonly {
    readonly version: string;
    /** Of the calls that the task gets, 0 to 1. */
    readonly share: number;
    /** Left out of other tenants' tasks: how busy they are is theirs. */
    readonly now?: CapabilityCost;
  }[];
}

export interface CapabilityCost {
  /** Calls that the estimate comes from, decayed; 0: it is a guess. */
  readonly observed: number;
  readonly execMs: number;
  readonly memoryMibMs: number;
  readonly startMs: number;
  readonly queueMs: number;
  readonly running: number;
  readonly waiting: number;
  /** How a call would come by its instance: `own/ready`. */
  readonly rung: string;
}

export interface Whoami {
  readonly key: Key | undefined;
  readonly version: string;
  /** The data plane's address, `http://HOST:PORT/`; undefined while it does not listen. */
  readonly dataUrl: string | undefined;
}

/** A tenant and what it has used of its quotas. */
export interface TenantView extends Tenant {
  readonly used: { readonly tasks: number; readonly storedBytes: number; readonly concurrency: number; readonly memory: number };
}

/** A cell. A tenant's key sees its own cells alone, numbered from 1 on. */
export interface CellInfo extends Omit<CellView, "programs"> {
  /** Whose programs are linked in it. */
  readonly tasks: readonly string[];
}

/** The node's capacity: what is wanted, and what is. */
export interface CapacityInfo {
  /** What holds. */
  readonly settings: PoolSettings;
  /** Of that, what was set on the running node and wins over its configuration. */
  readonly set: CapacityChange;
  readonly now: Omit<PoolView, "runLimit"> & {
    /** Undefined: the processors are not the limit. */
    readonly runLimit: number | undefined;
  };
  readonly totals: PoolTotals;
  /** Tenants that take no runs until they are resumed. */
  readonly drained: readonly string[];
}

/** A change that was asked for over HTTP and not made. */
export interface RefusedChange {
  /** As in the audit log. */
  readonly who: string;
  readonly method: string;
  readonly path: string;
  readonly cause: ProblemCode;
  /** Without the keys that stand in it, and cut. */
  readonly detail: string | undefined;
}

export interface Control {
  /** Whose key this is; undefined: nobody's, or not any more. */
  identify(key: string): Caller | undefined;
  whoami(caller: Caller): Whoami;

  tenants(caller: Caller, page: Page): Paged<TenantView>;
  tenant(caller: Caller, name: string): TenantView;
  createTenant(caller: Caller, name: string, settings: TenantSettings): Promise<TenantView>;
  updateTenant(caller: Caller, name: string, settings: TenantSettings, ifRevision: number | undefined): Promise<TenantView>;
  /** Takes its tasks, keys, secrets and stores with it. `default` stays. */
  deleteTenant(caller: Caller, name: string, ifRevision: number | undefined): Promise<void>;

  /** `tenant` undefined: the node's keys. */
  keys(caller: Caller, tenant: string | undefined, page: Page): Paged<Key>;
  issueKey(caller: Caller, tenant: string | undefined, input: KeyInput): Promise<IssuedKey>;
  /** A new text under a new id, with the same rights; the old one holds for `graceMs` more. */
  rotateKey(caller: Caller, tenant: string | undefined, id: string, graceMs: number): Promise<IssuedKey>;
  revokeKey(caller: Caller, tenant: string | undefined, id: string): Promise<void>;

  tasks(caller: Caller, tenant: string, page: Page): Paged<TaskView>;
  task(caller: Caller, tenant: string, task: string): TaskView;
  /** Compiled, linked and made ready before an alias moves; runs that go on end on the version they began with. */
  deploy(caller: Caller, tenant: string, input: DeployInput): Promise<Deployed>;
  /** The task with its aliases and versions; runs that go on finish. */
  deleteTask(caller: Caller, tenant: string, task: string, ifRevision: number | undefined): Promise<void>;
  versions(caller: Caller, tenant: string, task: string, page: Page): Paged<VersionView>;
  version(caller: Caller, tenant: string, task: string, version: string): VersionView;
  /** Refused while an alias leads there. */
  deleteVersion(caller: Caller, tenant: string, task: string, version: string): Promise<void>;

  setAlias(
    caller: Caller,
    tenant: string,
    task: string,
    alias: string,
    settings: AliasSettings,
    ifRevision: number | undefined,
  ): Promise<AliasView>;
  /** Refused for `live`. */
  deleteAlias(caller: Caller, tenant: string, task: string, alias: string): Promise<void>;
  /** Back to what the alias was before its last change, or to a version. */
  rollback(caller: Caller, tenant: string, task: string, alias: string, to: string | undefined): Promise<AliasView>;

  secrets(caller: Caller, tenant: string, page: Page): Paged<SecretView>;
  putSecret(caller: Caller, tenant: string, name: string, value: string): Promise<SecretView>;
  /** Refused while a version that an alias leads to asks for it. */
  deleteSecret(caller: Caller, tenant: string, name: string): Promise<void>;

  stores(caller: Caller, tenant: string): readonly StoreView[];
  entries(caller: Caller, tenant: string, store: string, prefix: string, page: Page): Paged<EntryView>;
  entry(caller: Caller, tenant: string, store: string, key: string): { readonly value: Uint8Array; readonly revision: number };
  /** `ifRevision` 0: only when it is not there yet. Resolves with the new revision. */
  putEntry(caller: Caller, tenant: string, store: string, key: string, value: Uint8Array, ifRevision: number | undefined): Promise<number>;
  deleteEntry(caller: Caller, tenant: string, store: string, key: string, ifRevision: number | undefined): Promise<void>;

  /** A node's key sees all cells, a tenant's key its own. */
  cells(caller: Caller, page: Page): Paged<CellInfo>;
  capacity(caller: Caller): CapacityInfo;
  /** Outlives a restart, and wins over the configuration. Refused when it does not add up, or takes what live tasks need. */
  setCapacity(caller: Caller, change: CapacityChange): Promise<CapacityInfo>;
  /** Back to the configuration. */
  resetCapacity(caller: Caller): Promise<CapacityInfo>;
  /** It takes no more runs and is replaced. */
  drainCell(caller: Caller, id: string): Promise<void>;
  /** Takes no more runs until it is resumed or the node starts again; those that go on finish. `tenant` undefined: the node. */
  drain(caller: Caller, tenant: string | undefined): Promise<void>;
  resume(caller: Caller, tenant: string | undefined): Promise<void>;

  /** What the tenant's manifests may name as sidecars. */
  sidecars(caller: Caller, tenant: string, page: Page): Paged<SidecarView>;
  /** Its guest's code goes no further, and its sidecars with it; its time goes on. Refused for what shares its instance. */
  pauseRun(caller: Caller, tenant: string, run: string): void;
  resumeRun(caller: Caller, tenant: string, run: string): void;

  /** The latest first. */
  deferred(caller: Caller, tenant: string, query: DeferredQuery, page: Page): Paged<DeferredView>;
  deferredRun(caller: Caller, tenant: string, run: string): DeferredDetail;
  /** Refused for what is over. */
  cancelDeferred(caller: Caller, tenant: string, run: string): Promise<DeferredDetail>;
  /** Has it wait again; refused for what has not failed, nor was interrupted or called off. */
  redrive(caller: Caller, tenant: string, run: string): Promise<DeferredDetail>;
  /** Of all dead letters, or those of a task or queue. */
  redriveAll(caller: Caller, tenant: string, query: Pick<DeferredQuery, "task" | "queue">): Promise<{ readonly redriven: number }>;
  queues(caller: Caller, tenant: string): readonly QueueInfo[];
  /** Throws where `send` would, whatever the message. */
  maySend(caller: Caller, tenant: string): void;
  send(caller: Caller, tenant: string, queue: string, message: MessageInput): Promise<DeferredView>;

  pretriggers(caller: Caller, tenant: string): PretriggersView;
  /** Runs or a signal, as in `POST /-/pretriggers`. */
  announce(caller: Caller, tenant: string, body: unknown): { readonly key: string };
  /** Forgets what follows a task or signal, or all that was learnt. */
  resetPretriggers(caller: Caller, tenant: string, cause: string | undefined): Promise<void>;

  /** In the order of their keys. */
  records(caller: Caller, tenant: string, query: RecordQuery, page: Page): Paged<RecordView>;
  /** `key`: all of it, or at least eight of its digits where these are of no other. */
  record(caller: Caller, tenant: string, key: string): RecordDetail;
  /** Whatever asks for these again runs. Something has to be said of which, `all` at least. */
  purgeRecords(caller: Caller, tenant: string, query: PurgeQuery): Promise<{ readonly purged: number }>;

  /** What tasks provide that the tenant may call; `tenant` undefined: of the key's tenant; for a key of the node, all. */
  capabilities(caller: Caller, tenant: string | undefined, page: Page): Paged<CapabilityView>;

  /** The newest first. `tenant` undefined: everything on the node. */
  audit(caller: Caller, tenant: string | undefined, page: Page): Paged<AuditEntry>;
  /** In the order of time, tenant and task. `tenant` undefined: of the key's tenant; for a key of the node, of all. */
  usage(caller: Caller, tenant: string | undefined, query: UsageQuery, page: Page): Promise<Paged<UsageView>>;
  /** What is set against what was used; of one task, or of all. */
  advice(caller: Caller, tenant: string, query: Omit<UsageQuery, "by">): Promise<readonly AdviceView[]>;
  /** The last lines, oldest first. */
  logs(caller: Caller, tenant: string, query: LogQuery): readonly LogEntry[];
  /** Calls `listener` with each line from now on, until the returned function is called. */
  followLogs(caller: Caller, tenant: string, query: LogQuery, listener: (entry: LogEntry) => void): () => void;
}

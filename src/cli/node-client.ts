/**
 * A node's REST API as typed functions: one for each route, in the views of `src/control/control.ts`.
 *
 * A refused request throws a `RefusedError`, a node that does not answer a `UserError` that says how to start one.
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { createInterface } from "node:readline";
import { UserError } from "../base/errors.js";
import type {
  AdviceView,
  AliasSettings,
  AliasView,
  CapabilityView,
  CapacityInfo,
  CellInfo,
  DeferredDetail,
  DeferredQuery,
  DeferredView,
  Deployed,
  EntryView,
  IssuedKey,
  KeyInput,
  LogEntry,
  LogQuery,
  PurgeQuery,
  PretriggersView,
  QueueInfo,
  RecordDetail,
  RecordQuery,
  RecordView,
  SecretView,
  SidecarView,
  StoreView,
  TaskView,
  TenantView,
  UsageQuery,
  UsageView,
  VersionView,
  Whoami,
} from "../control/control.js";
import type { CapacityChange } from "../control/node-capacity.js";
import type { AuditEntry, Key, TenantSettings } from "../tenants/tenant.js";
import { exchange, type Outgoing } from "./exchange.js";
import { refusal } from "./failure.js";
import type { NodeAddress } from "./nodes-file.js";

/** What must still hold for a change: the revision that was read, or that nothing is there yet. */
export type Condition = { readonly revision: number } | "absent" | undefined;

/** `undefined` for the node's own, where the API has both. */
type Owner = string | undefined;

export interface Upload {
  readonly manifest: unknown;
  readonly component: Uint8Array;
  /** Null: no alias moves. Undefined: the node's default, `live`. */
  readonly alias?: string | null | undefined;
}

export type NodeClient = ReturnType<typeof createNodeClient>;

const PAGE = 1000;

/** `signal` ends what goes on. */
export function createNodeClient(node: NodeAddress, signal?: AbortSignal) {
  const wire: Wire = { node, signal };
  const tenant = (name: string): string => path("v1", "tenants", name);
  const task = (tenantName: string, name: string): string => `${tenant(tenantName)}/${path("tasks", name)}`;
  const alias = (tenantName: string, taskName: string, name: string): string => `${task(tenantName, taskName)}/${path("aliases", name)}`;
  const keys = (owner: Owner): string => (owner === undefined ? "v1/keys" : `${tenant(owner)}/keys`);
  const entry = (tenantName: string, store: string, key: string): string =>
    `${tenant(tenantName)}/${path("stores", store, "entries", key)}`;
  return {
    url: node.url,
    whoami: () => json<Whoami>(wire, "GET", "v1/whoami"),

    tenants: () => list<TenantView>(wire, "v1/tenants"),
    tenant: (name: string) => json<TenantView>(wire, "GET", tenant(name)),
    createTenant: (name: string, settings: TenantSettings) => json<TenantView>(wire, "POST", "v1/tenants", { body: { name, ...settings } }),
    updateTenant: (name: string, settings: TenantSettings) => json<TenantView>(wire, "PATCH", tenant(name), { body: settings }),
    deleteTenant: (name: string) => nothing(wire, "DELETE", tenant(name)),

    keys: (owner: Owner) => list<Key>(wire, keys(owner)),
    issueKey: (owner: Owner, input: KeyInput) => json<IssuedKey>(wire, "POST", keys(owner), { body: input }),
    rotateKey: (owner: Owner, id: string, graceSeconds: number) =>
      json<IssuedKey>(wire, "POST", `${keys(owner)}/${path(id, "rotate")}`, { body: { graceSeconds } }),
    revokeKey: (owner: Owner, id: string) => nothing(wire, "DELETE", `${keys(owner)}/${path(id)}`),

    tasks: (t: string) => list<TaskView>(wire, `${tenant(t)}/tasks`),
    task: (t: string, name: string) => json<TaskView>(wire, "GET", task(t, name)),
    deleteTask: (t: string, name: string) => nothing(wire, "DELETE", task(t, name)),
    deploy: (t: string, name: string, upload: Upload) => json<Deployed>(wire, "POST", `${task(t, name)}/versions`, { form: form(upload) }),
    versions: (t: string, name: string) => list<VersionView>(wire, `${task(t, name)}/versions`),
    version: (t: string, name: string, version: string) => json<VersionView>(wire, "GET", `${task(t, name)}/${path("versions", version)}`),
    deleteVersion: (t: string, name: string, version: string) => nothing(wire, "DELETE", `${task(t, name)}/${path("versions", version)}`),

    alias: (t: string, name: string, a: string) => json<AliasView>(wire, "GET", alias(t, name, a)),
    setAlias: (t: string, name: string, a: string, settings: AliasSettings, condition?: Condition) =>
      json<AliasView>(wire, "PUT", alias(t, name, a), { body: settings, condition }),
    deleteAlias: (t: string, name: string, a: string) => nothing(wire, "DELETE", alias(t, name, a)),
    rollback: (t: string, name: string, a: string, to: string | undefined) =>
      json<AliasView>(wire, "POST", `${alias(t, name, a)}/rollback`, { body: to === undefined ? {} : { to } }),

    secrets: (t: string) => list<SecretView>(wire, `${tenant(t)}/secrets`),
    putSecret: (t: string, name: string, value: string) =>
      json<SecretView>(wire, "PUT", `${tenant(t)}/${path("secrets", name)}`, { body: { value } }),
    deleteSecret: (t: string, name: string) => nothing(wire, "DELETE", `${tenant(t)}/${path("secrets", name)}`),

    stores: (t: string) => list<StoreView>(wire, `${tenant(t)}/stores`),
    entries: (t: string, store: string, prefix: string) =>
      list<EntryView>(wire, `${tenant(t)}/${path("stores", store, "entries")}`, prefix === "" ? {} : { prefix }),
    entry: (t: string, store: string, key: string) => readEntry(wire, entry(t, store, key)),
    putEntry: async (t: string, store: string, key: string, value: Uint8Array, condition?: Condition) =>
      revisionOf(await send(wire, "PUT", entry(t, store, key), { bytes: value, condition })),
    deleteEntry: (t: string, store: string, key: string, condition?: Condition) =>
      nothing(wire, "DELETE", entry(t, store, key), { condition }),

    cells: () => list<CellInfo>(wire, "v1/cells"),
    drainCell: (id: string) => nothing(wire, "POST", `v1/${path("cells", id, "drain")}`),
    capacity: () => json<CapacityInfo>(wire, "GET", "v1/capacity"),
    setCapacity: (change: CapacityChange) => json<CapacityInfo>(wire, "PATCH", "v1/capacity", { body: change }),
    resetCapacity: () => nothing(wire, "DELETE", "v1/capacity"),
    drain: (owner: Owner) => nothing(wire, "POST", owner === undefined ? "v1/drain" : `${tenant(owner)}/drain`),
    resume: (owner: Owner) => nothing(wire, "POST", owner === undefined ? "v1/resume" : `${tenant(owner)}/resume`),

    audit: (owner: Owner, limit: number) => list<AuditEntry>(wire, owner === undefined ? "v1/audit" : `${tenant(owner)}/audit`, {}, limit),
    /** `owner` undefined: of the key's tenant; for a key of the node, of all. */
    usage: (owner: Owner, query: UsageQuery) =>
      list<UsageView>(wire, owner === undefined ? "v1/usage" : `${tenant(owner)}/usage`, { ...query }),
    /** At most `limit` of them. */
    records: (t: string, query: RecordQuery, limit: number) => list<RecordView>(wire, `${tenant(t)}/records`, { ...query }, limit),
    record: (t: string, key: string) => json<RecordDetail>(wire, "GET", `${tenant(t)}/${path("records", key)}`),
    purgeRecords: (t: string, { all, ...query }: PurgeQuery) =>
      json<{ readonly purged: number }>(
        wire,
        "DELETE",
        withQuery(`${tenant(t)}/records`, { ...query, all: all === true ? "true" : undefined }),
      ),
    /** The latest first, at most `limit` of them. */
    deferred: (t: string, { dead, ...query }: DeferredQuery, limit: number) =>
      list<DeferredView>(wire, `${tenant(t)}/deferred`, { ...query, dead: dead === true ? "true" : undefined }, limit),
    deferredRun: (t: string, id: string) => json<DeferredDetail>(wire, "GET", `${tenant(t)}/${path("deferred", id)}`),
    cancelDeferred: (t: string, id: string) => json<DeferredDetail>(wire, "DELETE", `${tenant(t)}/${path("deferred", id)}`),
    redrive: (t: string, id: string) => json<DeferredDetail>(wire, "POST", `${tenant(t)}/${path("deferred", id, "redrive")}`),
    redriveAll: (t: string, query: Pick<DeferredQuery, "task" | "queue">) =>
      json<{ readonly redriven: number }>(wire, "POST", `${tenant(t)}/deferred/redrive`, { body: query }),
    queues: async (t: string) => (await json<{ readonly items: QueueInfo[] }>(wire, "GET", `${tenant(t)}/queues`)).items,
    sendMessage: (t: string, queue: string, body: Uint8Array, headers: Readonly<Record<string, string>>) =>
      json<DeferredView>(wire, "POST", `${tenant(t)}/${path("queues", queue, "messages")}`, { bytes: body, headers }),
    pretriggers: (t: string) => json<PretriggersView>(wire, "GET", `${tenant(t)}/pretriggers`),
    announce: (t: string, body: object) => json<{ readonly key: string }>(wire, "POST", `${tenant(t)}/pretriggers`, { body }),
    resetPretriggers: (t: string, cause: string | undefined) => nothing(wire, "DELETE", withQuery(`${tenant(t)}/pretriggers`, { cause })),
    sidecars: (t: string) => list<SidecarView>(wire, `${tenant(t)}/sidecars`),
    pauseRun: (t: string, id: string) => nothing(wire, "POST", `${tenant(t)}/${path("runs", id, "pause")}`),
    resumeRun: (t: string, id: string) => nothing(wire, "POST", `${tenant(t)}/${path("runs", id, "resume")}`),
    /** What tasks provide; `owner` undefined: to the key's tenant, or with a key of the node, on all of it. */
    capabilities: (owner: Owner) => list<CapabilityView>(wire, owner === undefined ? "v1/capabilities" : `${tenant(owner)}/capabilities`),
    advice: async (t: string, query: Omit<UsageQuery, "by">) =>
      (await json<{ readonly items: AdviceView[] }>(wire, "GET", withQuery(`${tenant(t)}/advice`, { ...query }))).items,
    /** The last lines, oldest first; with `follow` every line from then on, until the node hangs up. */
    logs: (t: string, query: LogQuery, follow: boolean) =>
      lines(wire, withQuery(`${tenant(t)}/logs`, { ...query, follow: follow ? 1 : undefined })),
  };
}

/** What a function takes and gives, as `OPTIONS` of its path says it. */
export interface FunctionSchema {
  readonly interface: string;
  readonly function: string;
  /** The signature in WIT. */
  readonly wit: string;
  /** JSON Schema of the array of arguments. */
  readonly parameters: { readonly prefixItems?: readonly Readonly<Record<string, unknown>>[] };
}

/** A run of a function, with what it gave: the value of its JSON as text. */
export interface Called {
  readonly run: string;
  readonly result: string;
  /** `Server-Timing`, when it was asked for. */
  readonly timing: string | undefined;
}

/** The data plane of a node, for calls of functions. `base`: `-/tasks/NAME` or `-/call`. */
export function createDataClient(node: NodeAddress, signal?: AbortSignal) {
  const wire: Wire = { node, signal };
  return {
    /** Every function that can be called there, from the OpenAPI document. */
    functions: async (task: string, owner: string): Promise<string[]> => {
      const document = await json<{ readonly paths: Readonly<Record<string, unknown>> }>(
        wire,
        "GET",
        withQuery(`${path("-", "tasks", task)}/openapi.json`, { tenant: owner }),
      );
      return Object.keys(document.paths);
    },
    describe: (to: string, owner: string) => json<FunctionSchema>(wire, "OPTIONS", withQuery(to, { tenant: owner })),
    call: async (to: string, owner: string, body: string, headers: Readonly<Record<string, string>>): Promise<Called> => {
      const response = await send(wire, "POST", withQuery(to, { tenant: owner }), { text: body, headers });
      return {
        run: response.headers.get("pilotlight-run") ?? "",
        result: (await response.text()).trimEnd(),
        timing: response.headers.get("server-timing") ?? undefined,
      };
    },
    exchange: (outgoing: Outgoing) =>
      exchange(new URL(node.url), outgoing, signal).catch((error: unknown) => {
        throw failed(node.url, signal, error);
      }),
    run: (id: string) => json<Readonly<Record<string, unknown>>>(wire, "GET", path("-", "runs", id)),
    cancel: (id: string) => json<Readonly<Record<string, unknown>>>(wire, "DELETE", path("-", "runs", id)),
  };
}

interface Wire {
  readonly node: NodeAddress;
  readonly signal: AbortSignal | undefined;
}

interface Sent {
  readonly body?: unknown;
  /** JSON as it is. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly bytes?: Uint8Array | undefined;
  readonly form?: FormData;
  readonly condition?: Condition;
}

/** Segments of a path, each as one. */
function path(...segments: string[]): string {
  return segments.map((segment) => one(segment)).join("/");
}

function one(segment: string): string {
  // URLs drop these two however they are written, and an empty one would be another route.
  if (segment === "" || segment === "." || segment === "..")
    throw new UserError(`${JSON.stringify(segment)} is not a name that a node can be asked about`, { exitCode: 2 });
  return encodeURIComponent(segment);
}

type Query = Readonly<Record<string, string | number | undefined>>;

function withQuery(to: string, query: Query): string {
  const said = Object.entries(query).filter(([, value]) => value !== undefined);
  return said.length === 0
    ? to
    : `${to}?${new URLSearchParams(said.map(([name, value]): [string, string] => [name, String(value)])).toString()}`;
}

function form({ manifest, component, alias }: Upload): FormData {
  const parts = new FormData();
  parts.set("manifest", JSON.stringify(manifest));
  if (alias !== undefined) parts.set("alias", alias ?? "");
  parts.set("component", new Blob([component], { type: "application/wasm" }), "component.wasm");
  return parts;
}

async function json<T>(wire: Wire, method: string, to: string, sent: Sent = {}): Promise<T> {
  return (await (await send(wire, method, to, sent)).json()) as T;
}

async function nothing(wire: Wire, method: string, to: string, sent: Sent = {}): Promise<void> {
  await (await send(wire, method, to, sent)).arrayBuffer();
}

/** All pages, or the first `limit` items of them. */
async function list<T>(wire: Wire, to: string, query: Query = {}, limit = Infinity): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page = withQuery(to, { ...query, limit: Math.min(PAGE, limit - items.length), cursor });
    const answer: { items: T[]; next?: string | null } = await json(wire, "GET", page);
    items.push(...answer.items);
    cursor = answer.next ?? undefined;
  } while (cursor !== undefined && items.length < limit);
  return items;
}

async function readEntry(wire: Wire, to: string): Promise<{ value: Uint8Array; revision: number }> {
  const response = await send(wire, "GET", to);
  return { value: new Uint8Array(await response.arrayBuffer()), revision: revisionOf(response) };
}

function revisionOf(response: Response): number {
  return Number(/^(?:W\/)?"?(\d+)"?$/.exec(response.headers.get("etag") ?? "")?.[1]);
}

async function send({ node, signal }: Wire, method: string, to: string, sent: Sent = {}): Promise<Response> {
  const headers: Record<string, string> = { authorization: `Bearer ${node.key}`, ...conditionHeaders(sent.condition), ...sent.headers };
  if (sent.body !== undefined || sent.text !== undefined) headers["content-type"] = "application/json";
  if (sent.bytes !== undefined) headers["content-type"] ??= "application/octet-stream";
  const body = sent.form ?? sent.bytes ?? sent.text ?? (sent.body === undefined ? undefined : JSON.stringify(sent.body));
  let response: Response;
  try {
    // A redirect would carry the key to somebody else.
    const init: RequestInit = { method, headers, redirect: "manual", signal: signal ?? null };
    response = await fetch(new URL(to, node.url), body === undefined ? init : { ...init, body: body as NonNullable<RequestInit["body"]> });
  } catch (error) {
    throw failed(node.url, signal, error);
  }
  if (!response.ok) throw refusal(response.status, await response.text());
  return response;
}

function conditionHeaders(condition: Condition): Record<string, string> {
  if (condition === undefined) return {};
  return condition === "absent" ? { "if-none-match": "*" } : { "if-match": `"${condition.revision}"` };
}

/** NDJSON as it comes. Over `node:http`, because `fetch` gives up on an answer that is silent for five minutes. */
async function* lines({ node, signal }: Wire, to: string): AsyncGenerator<LogEntry> {
  const url = new URL(to, node.url);
  const request = url.protocol === "https:" ? httpsRequest : httpRequest;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { authorization: `Bearer ${node.key}`, accept: "application/x-ndjson" };
    request(url, { headers, ...(signal === undefined ? {} : { signal }) }, resolve)
      .on("error", reject)
      .end();
  }).catch((error: unknown) => {
    throw failed(node.url, signal, error);
  });
  const status = response.statusCode ?? 0;
  if (status !== 200) throw refusal(status, await textOf(response));
  try {
    for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
      if (line !== "") yield JSON.parse(line) as LogEntry;
    }
    if (response.errored !== null) throw response.errored;
  } catch (error) {
    throw failed(node.url, signal, error);
  } finally {
    response.destroy();
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return text;
}

/** What became of a request that got no answer. */
function failed(url: string, signal: AbortSignal | undefined, error: unknown): Error {
  if (signal?.aborted === true) return signal.reason as Error;
  const { code, message } = rootCause(error);
  if (code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EHOSTUNREACH" || code === "ETIMEDOUT") {
    return new UserError(
      `no node answers at ${url} (${code}); start one with pilotlight serve, or say which with --url (pilotlight login URL remembers it)`,
      { cause: error },
    );
  }
  return new UserError(`the node at ${url} broke off without an answer: ${code ?? message}`, { cause: error });
}

/** `fetch` says "fetch failed" and keeps the reason behind it; a host with several addresses has several. */
function rootCause(error: unknown): { code: string | undefined; message: string } {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error);
  const first = cause instanceof AggregateError ? (cause.errors[0] as Error) : cause;
  return { code: (first as NodeJS.ErrnoException).code, message: first.message };
}

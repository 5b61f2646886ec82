/**
 * The documents of the admin API: what is taken and what is given. The same schemas check, strip and describe, so that
 * `openapi.json` is what happens: a field that is not listed here never leaves the node.
 *
 * What is taken is checked for its form only; what a name, a host or a quota may be is for `Control` to say.
 */
import { JOB_STATES } from "../../control/deferred.js";
import { z } from "@hono/zod-openapi";
import { USAGE_BY } from "../../control/control.js";
import { PREFER_HELP } from "../../base/preference.js";
import { READS_HELP } from "../../memo/select.js";
import { SUB_POOLS, WHEN_FULL } from "../../pool/types.js";
import { SCOPES } from "../../tenants/tenant.js";

const instant = z.string().openapi({ description: "ISO 8601", example: "2026-11-25T12:00:00.000Z" });
const revision = z.number().int().openapi({ description: "Goes up with each change; the ETag is made of it" });
const scopes = z.array(z.enum(SCOPES));
const strings = z.array(z.string());

export const problem = z
  .object({
    type: z.string().openapi({ example: "https://pilotlight.dev/problems/request/no-such-thing" }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().optional(),
    errors: z
      .array(z.object({ path: z.string().openapi({ description: "The field, such as `limits.memory`" }), detail: z.string() }))
      .optional(),
    run: z.string().openapi({ description: "The id that `Pilotlight-Run` carries, too" }),
  })
  .openapi("Problem");

/** A page of a list. */
export function pageOf(item: z.ZodType, name: string): z.ZodType {
  const next = z.string().nullable().openapi({ description: "The `cursor` of the page after; null when this was all" });
  return z.object({ items: z.array(item), next }).openapi(name);
}

/** `?limit=&cursor=`; everything comes as text. */
export const page = z.strictObject({
  limit: z
    .string()
    .regex(/^(?:[1-9]\d{0,2}|1000)$/, "expected a whole number from 1 to 1000")
    .transform(Number)
    .optional()
    .openapi({ type: "integer", minimum: 1, maximum: 1000, description: "At most so many; 100" }),
  cursor: z.string().min(1).max(4096).optional().openapi({ description: "What the page before gave as `next`" }),
});

export const prefixedPage = page.extend({ prefix: z.string().optional().openapi({ description: "Keys that begin so" }) });

export const logQuery = z.strictObject({
  task: z.string().optional(),
  run: z.string().optional(),
  limit: page.shape.limit,
  follow: z
    .enum(["0", "1"], { error: "expected 1, to go on with each line that comes, or 0" })
    .optional()
    .openapi({ description: "1: goes on with each line that comes, until the client goes away" }),
});

const time = z.string().optional();
export const adviceQuery = z.strictObject({
  task: z.string().optional(),
  from: time.openapi({ description: "ISO 8601, or a day; hours that overlap count whole. A day before `to` unless told" }),
  to: time.openapi({ description: "Until before this; now unless told" }),
});
export const usageQuery = adviceQuery.extend({
  ...page.shape,
  by: z
    .enum(USAGE_BY, { error: `expected one of ${USAGE_BY.join(", ")}` })
    .optional()
    .openapi({ description: "What is summed: hours or days (of UTC), or the whole time by task or tenant; hour" }),
});

export const key = z
  .object({
    id: z.string(),
    tenant: z.string().optional().openapi({ description: "Left out: a key of the node" }),
    scopes,
    note: z.string().optional(),
    createdAt: instant,
    expiresAt: instant.optional(),
  })
  .openapi("Key");

export const keyInput = z
  .strictObject({
    scopes,
    note: z.string().optional(),
    expiresAt: z.string().optional().openapi({ description: "ISO 8601; left out: never" }),
  })
  .openapi("KeyInput");

export const rotateInput = z
  .strictObject({
    graceSeconds: z
      .number()
      .int()
      .min(0)
      .max(30 * 86_400)
      .default(0)
      .openapi({ description: "For so long the old text holds, too" }),
  })
  .openapi("RotateInput");

export const issuedKey = z
  .object({ key, text: z.string().openapi({ description: "The key itself, `pl_…`: told this once", example: "pl_…" }) })
  .openapi("IssuedKey");

export const whoami = z
  .object({
    key: key.optional(),
    version: z.string(),
    dataUrl: z.string().optional().openapi({ description: "The data plane's address" }),
  })
  .openapi("Whoami");

const quota = z.number().optional();
const quotas = z.object({ requestsPerSecond: quota, concurrency: quota, memory: quota, storedBytes: quota, tasks: quota });
const quotaChange = z.number().nullable().optional();
const terms = {
  dedicated: z.number().openapi({ description: "Cells of its own" }),
  variableCeiling: z.number().openapi({ description: "The share of the budget that its variable cells may take, 0 to 1; 0: none" }),
  whenFull: z
    .array(z.enum(WHEN_FULL))
    .openapi({ description: "What may happen to a run whose sub-pool is full; the first holds where a manifest says nothing" }),
  weight: z.number().openapi({ description: "How much of a full node it gets beside others; 1 is usual" }),
};
const settings = {
  hosts: strings.optional().openapi({ description: "Hosts that lead to this tenant's tasks alone" }),
  folders: strings.optional().openapi({ description: "Host folders that its manifests may name in `files`" }),
  quotas: z
    .strictObject({
      requestsPerSecond: quotaChange,
      concurrency: quotaChange,
      memory: quotaChange,
      storedBytes: quotaChange,
      tasks: quotaChange,
    })
    .optional()
    .openapi({ description: "null takes a limit away; what is left out stays as it is" }),
  capacity: z
    .strictObject(terms)
    .partial()
    .optional()
    .openapi({ description: "Among these its manifests pick; what is left out stays as it is" }),
  prefer: z
    .string()
    .nullable()
    .optional()
    .openapi({ description: `What counts when a provider is chosen for its calls: ${PREFER_HELP}; null: time`, example: "time=0.7" }),
  sidecars: z
    .array(z.unknown())
    .optional()
    .openapi({ description: "Sidecars that every run of its tasks has, as manifests name them", example: ["log-access"] }),
};

export const tenantInput = z.strictObject({ name: z.string(), ...settings }).openapi("TenantInput");
export const tenantSettings = z.strictObject(settings).openapi("TenantSettings");

export const tenant = z
  .object({
    name: z.string(),
    hosts: strings,
    folders: strings,
    quotas,
    capacity: z.object(terms),
    prefer: z.string().optional(),
    sidecars: z
      .array(z.object({ use: z.string() }))
      .optional()
      .openapi({ description: "Those that every run of its tasks has" }),
    createdAt: instant,
    revision,
    used: z.object({ tasks: z.number(), storedBytes: z.number(), concurrency: z.number(), memory: z.number() }),
  })
  .openapi("Tenant");

const label = z.string().openapi({ description: "A version, such as `v7`", example: "v7" });
const targets = z.record(z.string(), z.number()).openapi({ description: "Versions and their weights", example: { v7: 90, v8: 10 } });
const sticky = z.string().optional().openapi({ description: "Requests with the same value of this header get the same version" });
const access = z.union([z.enum(["public", "key"]), z.object({ tenants: strings })]);
const manifest = z
  .record(z.string(), z.unknown())
  .openapi("Manifest", { type: "object", description: "A manifest; `/schemas/pilotlight.json` is its schema" });

/** The label of a version: `7` is taken for `v7`. */
export function versionLabel(text: string): string {
  return /^\d+$/.test(text) ? `v${text}` : text;
}

export const aliasInput = z
  .strictObject({ targets, sticky })
  .superRefine(({ targets }, ctx) => {
    for (const name of Object.keys(targets)) {
      const label = versionLabel(name);
      if (label !== name && Object.hasOwn(targets, label))
        ctx.addIssue({ code: "custom", path: ["targets", name], message: `the same version as ${label}, which is there, too` });
    }
  })
  .openapi("AliasInput");

export const rollbackInput = z
  .strictObject({ to: label.optional().openapi({ description: "A version; left out: what the alias was before its last change" }) })
  .openapi("RollbackInput");

export const alias = z
  .object({
    name: z.string(),
    targets,
    sticky,
    updatedAt: instant,
    revision,
    previous: z.object({ targets, sticky }).optional().openapi({ description: "What `rollback` goes back to" }),
  })
  .openapi("Alias");

export const task = z
  .object({
    name: z.string(),
    tenant: z.string(),
    aliases: z.array(alias),
    versions: z.number().int(),
    routes: strings,
    urls: strings,
    access,
    createdAt: instant,
    revision,
  })
  .openapi("Task");

export const version = z
  .object({
    version: label,
    digest: z.string().openapi({ description: "sha256 of the component" }),
    componentBytes: z.number().int(),
    manifest,
    createdAt: instant,
    createdBy: z.string(),
    aliases: strings,
  })
  .openapi("Version");

/** For the document alone: an upload is read by `upload.ts`. */
export const upload = z
  .object({
    manifest: manifest.openapi({ description: "The manifest; its name is the task in the path" }),
    component: z.string().openapi({ format: "binary", description: "The component's bytes" }),
    alias: z.string().optional().openapi({ description: "Moves there once the version is ready; `live`; empty: none" }),
  })
  .openapi("Upload");

export const deployed = z
  .object({
    tenant: z.string(),
    task: z.string(),
    version: label,
    created: z.boolean().openapi({ description: "False: these bytes and this manifest were a version already" }),
    digest: z.string(),
    alias: z.string().optional(),
    urls: strings,
    access,
    found: z
      .array(z.object({ import: z.string(), use: z.string() }))
      .optional()
      .openapi({ description: "Sidecars that were found for imports which the manifest does not speak of" }),
  })
  .openapi("Deployed");

export const secretInput = z.strictObject({ value: z.string() }).openapi("SecretInput");
export const secret = z.object({ name: z.string(), updatedAt: instant, usedBy: strings }).openapi("Secret");

export const store = z.object({ name: z.string(), keys: z.number().int(), bytes: z.number().int() }).openapi("Store");
export const bytes = z.string().openapi({ format: "binary" });
const opaque = z.number().int().openapi({ description: "Another one after each change, not a count; the ETag is made of it" });
export const entry = z.object({ key: z.string(), revision: opaque, bytes: z.number().int() }).openapi("Entry");

const bytesOf = (what: string): z.ZodNumber => z.number().openapi({ description: `Bytes: ${what}` });
const milliseconds = (what: string): z.ZodNumber => z.number().openapi({ description: `Milliseconds: ${what}` });
const subPool = z.enum(SUB_POOLS);

export const cell = z
  .object({
    cell: z.number().int().openapi({ description: "Its number; for a tenant's key, that of its own cells from 1 on" }),
    pool: subPool,
    state: z.enum(["warming", "active", "draining"]),
    tenant: z.string().optional().openapi({ description: "Left out: nobody's yet" }),
    bytes: bytesOf("what it may hold"),
    chargedBytes: bytesOf("for running and ready instances and for programs"),
    slots: z.number().int(),
    busy: z.number().int(),
    idle: z.number().int(),
    starting: z.number().int(),
    tasks: strings.openapi({ description: "Whose programs are linked in it" }),
    idleMs: milliseconds("since nothing has run in it; left out: something runs").optional(),
    sick: z.string().optional().openapi({ description: "Why it is being drained" }),
  })
  .openapi("Cell");

const cells = {
  cellBytes: bytesOf("what a cell may hold"),
  cellSlots: z.number().openapi({ description: "Instances that a cell has reserved slots for" }),
  warming: z.number().openapi({ description: "Unassigned cells to keep" }),
};
const capacitySettings = {
  budgetBytes: bytesOf("what all cells and the lobby may hold together"),
  lobbyBytes: bytesOf("of the budget, for programs whose tenant has no cell"),
  overcommit: z.number().openapi({ description: "A running instance is charged its memory limit divided by this" }),
  variableCeiling: z.number().openapi({ description: "The share of the budget that variable cells of all tenants may take, 0 to 1" }),
  instanceIdle: milliseconds("after which an idle instance goes that need not be ready; less than cellIdle"),
  cellIdle: milliseconds("after which a cell without runs and instances goes back"),
  programIdle: milliseconds("after which a linked program that nobody asked for goes back to its compiled form"),
  forecast: z
    .boolean()
    .openapi({ description: "Capacity is kept ready for runs that are to be expected; without it, only what manifests say" }),
};
const cellsChange = z.strictObject(cells).partial().optional();

export const capacityChange = z
  .strictObject({
    ...z.strictObject(capacitySettings).partial().shape,
    pools: z.strictObject({ shared: cellsChange, dedicated: cellsChange, variable: cellsChange }).optional(),
  })
  .openapi("CapacityChange");

const subPoolNow = z.object({
  pool: subPool,
  cellBytes: z.number(),
  cellSlots: z.number(),
  cells: z.number().int(),
  warming: z.number().int(),
  target: z.number().openapi({ description: "Unassigned cells that there should be" }),
  active: z.number().int(),
  draining: z.number().int(),
  assigned: z.number().int().openapi({ description: "Cells that were given to a tenant, ever" }),
  reclaimed: z.number().int().openapi({ description: "Taken back from idleness, ever" }),
  replaced: z.number().int().openapi({ description: "Replaced because they were sick, ever" }),
  misses: z.number().int().openapi({ description: "Runs that found no unassigned cell, ever" }),
});
const counts = z.record(z.string(), z.number());

export const capacity = z
  .object({
    settings: z
      .object({ ...capacitySettings, pools: z.object({ shared: z.object(cells), dedicated: z.object(cells), variable: z.object(cells) }) })
      .openapi({ description: "What holds" }),
    set: capacityChange.openapi({ description: "Of that, what was set on the running node and wins over its configuration" }),
    now: z.object({
      budgetBytes: z.number(),
      cellBytes: bytesOf("in cells"),
      lobbyBytes: z.number(),
      lobbyChargedBytes: z.number(),
      reservedRuns: z.number().int().openapi({ description: "Runs in the lobby: calls of other runs that found no room in cells" }),
      waiting: z.number().int().openapi({ description: "Runs that wait for a place" }),
      leases: z.number().int().openapi({ description: "Runs that go on" }),
      runLimit: z
        .number()
        .optional()
        .openapi({ description: "Runs at once before the processors are the limit; left out while they are not" }),
      draining: z.boolean(),
      pools: z.array(subPoolNow),
    }),
    totals: z
      .object({
        rungs: counts.openapi({ description: "Leases by how they were come by" }),
        passed: counts.openapi({ description: "Nearer ways that were passed over, and why" }),
        refused: counts,
        expired: z.number(),
        evictedInstances: z.number(),
        evictedPrograms: z.number(),
        foreseen: z.number(),
      })
      .openapi({ description: "Ever" }),
    drained: strings.openapi({ description: "Tenants that take no runs until they are resumed" }),
  })
  .openapi("Capacity");

export const auditEntry = z
  .object({
    sequence: z.number().int(),
    at: instant,
    who: z.string(),
    tenant: z.string().optional(),
    action: z.string(),
    subject: z.string(),
    before: z.unknown().optional(),
    after: z.unknown().optional(),
  })
  .openapi("AuditEntry");

const count = z.number().int();
const seconds = z.number();
export const usage = z
  .object({
    from: instant,
    to: instant,
    tenant: z.string(),
    task: z.string().optional().openapi({ description: "Left out: all of the tenant's" }),
    pool: z.enum(SUB_POOLS),
    term: z
      .enum(["direct", "wait", "spill", "deferred", "none"])
      .openapi({ description: "How the runs got their place; `none`: they got none" }),
    price: z.number().openapi({ description: "Of a GiB-second" }),
    runs: count,
    refused: count,
    abandoned: count.openapi({ description: "Given up before there was a place" }),
    recalled: count.openapi({ description: "Answered from records: nothing ran for them" }),
    refusals: z.record(z.string(), count).openapi({ description: "Refused, by reason", example: { "task-full": 3 } }),
    runSeconds: seconds,
    cpuSeconds: seconds,
    gibSeconds: z.number().openapi({ description: "Memory that was charged, times the time that it was used" }),
    cost: z.number(),
    waitSeconds: seconds,
    maxWaitSeconds: seconds,
    maxRunSeconds: seconds,
    maxHeadSeconds: seconds,
    rungs: z.object({ ready: count, linked: count, compiled: count, stored: count }),
    memory: z.object({ p95Bytes: count, maxBytes: count }),
    peakConcurrency: count.openapi({ description: "Runs of one task at once" }),
    requestBytes: count,
    responseBytes: count,
  })
  .openapi("Usage");

const selection = {
  task: z.string().optional(),
  key: z.string().optional().openapi({ description: "With this the key begins" }),
  reads: z
    .string()
    .max(4096)
    .optional()
    .openapi({
      description: `What it has read: ${READS_HELP}`,
      example: "kv:default/catalogue/*",
    }),
};
export const recordQuery = page.extend(selection);
export const purgeQuery = z.strictObject({
  ...selection,
  all: z
    .enum(["true"], { error: "expected true, or nothing" })
    .optional()
    .openapi({ description: "For all of the tenant's, where nothing else is said" }),
});
export const purged = z.object({ purged: count.openapi({ description: "How many went" }) }).openapi("Purged");

export const record = z
  .object({
    key: z.string().openapi({ description: "32 hex digits" }),
    task: z.string(),
    version: z.string(),
    what: z.string().openapi({ description: "What was asked", example: "GET /thumbs/7" }),
    run: z.string().openapi({ description: "The run whose answer it is" }),
    recordedAt: instant,
    expiresAt: instant.optional().openapi({ description: "By the live manifest; left out: the task is not idempotent any more" }),
    status: count.optional().openapi({ description: "Left out: it is the result of a call" }),
    bytes: count.openapi({ description: "All of it, as the node counts" }),
    runMs: z.number().openapi({ description: "Milliseconds that running took" }),
    hits: count.openapi({ description: "Requests that it answered since the node started" }),
    dependencies: count.openapi({ description: "How much it has read that is looked at" }),
  })
  .openapi("Record");

export const recordDetail = record
  .extend({
    headers: z.array(z.object({ name: z.string(), value: z.string() })).openapi({ description: "Of the answer" }),
    bodyBytes: count,
    reads: strings.openapi({
      description: "What it has read, with the revision or state of then",
      example: ["kv:default/catalogue/7 @ 140737488355328", "task:png"],
    }),
  })
  .openapi("RecordDetail");

export const sidecar = z
  .object({
    name: z.string().openapi({ example: "auth-jwt" }),
    version: z.string(),
    from: z.enum(["pilotlight", "tenant"]).openapi({ description: "Shipped with Pilotlight, or a task of the tenant" }),
    about: z.string().optional(),
    digest: z.string().optional().openapi({ description: "sha256 of the component" }),
    bytes: count.optional(),
    scope: z.enum(["request", "task", "tenant"]).openapi({ description: "What it has where a manifest says none" }),
    standing: count.openapi({ description: "Instances that stand now" }),
    usedBy: strings.openapi({ description: "Tasks of the tenant that name it" }),
  })
  .openapi("Sidecar");

export const capability = z
  .object({
    capability: z.string().openapi({ example: "acme:image/resize@1.2.0" }),
    tenant: z.string(),
    task: z.string(),
    access: z.union([z.enum(["public", "key"]), z.object({ tenants: z.array(z.string()) })]),
    versions: z.array(
      z.object({
        version: z.string(),
        share: z.number().openapi({ description: "Of the calls that the task gets" }),
        now: z
          .object({
            observed: z.number().openapi({ description: "Calls that the estimate comes from, decayed; 0: it is a guess" }),
            execMs: z.number().nonnegative(),
            memoryMibMs: z.number().nonnegative(),
            startMs: z.number().nonnegative(),
            queueMs: z.number().nonnegative(),
            running: count,
            waiting: count,
            rung: z.string().openapi({ description: "How a call would come by its instance", example: "own/ready" }),
          })
          .optional()
          .openapi({ description: "Left out of other tenants' tasks" }),
      }),
    ),
  })
  .openapi("Capability");

const setting = z.union([z.string(), z.number()]);
const advice = z
  .object({
    task: z.string().optional().openapi({ description: "Left out: about the tenant" }),
    field: z.string().openapi({ description: "In the manifest, or of the tenant's terms", example: "limits.memory" }),
    change: z.enum(["lower", "raise", "other", "keep", "unknown"]).openapi({ description: "`unknown`: too few runs to tell" }),
    set: setting,
    suggested: setting.optional(),
    why: z.string(),
  })
  .openapi("Advice");
export const advices = z.object({ items: z.array(advice) }).openapi("AdviceList");

export const logEntry = z
  .object({
    at: instant,
    task: z.string(),
    version: z.string().optional(),
    run: z.string().optional(),
    level: z.string(),
    origin: z.string(),
    text: z.string(),
  })
  .openapi("LogEntry");

const jobState = z.enum(JOB_STATES, { error: `expected ${JOB_STATES.join(", ")}` });
const which = { task: z.string().optional(), queue: z.string().optional() };
export const deferredQuery = page.extend({
  ...which,
  state: jobState.optional(),
  dead: z
    .enum(["true"], { error: "expected true, or nothing" })
    .optional()
    .openapi({ description: "Dead letters alone: what failed as often as it may" }),
});
export const redriveInput = z.strictObject(which).openapi("RedriveInput");
export const nothing = z.strictObject({}).openapi("Nothing");
export const redriven = z.object({ redriven: count }).openapi("Redriven");

export const deferred = z
  .object({
    id: z.string().openapi({ description: "Of the run" }),
    task: z.string().optional(),
    capability: z.string().optional(),
    version: z.string().optional(),
    state: jobState,
    dead: z.boolean(),
    origin: z.string().openapi({ description: "What asked for it", example: "cron */5 * * * * at 2026-11-27T12:05:00.000Z" }),
    acceptedAt: instant,
    dueAt: instant.optional().openapi({ description: "While it waits" }),
    notAfter: instant.optional(),
    starts: count.openapi({ description: "How often it has begun" }),
    startedAt: instant.optional(),
    endedAt: instant.optional(),
    status: count.optional().openapi({ description: "Of the answer" }),
    fault: z.object({ code: z.string(), detail: z.string().optional() }).optional(),
  })
  .openapi("Deferred");

const weighed = z
  .object({ at: instant, demand: z.number().optional(), price: z.number(), cost: z.number() })
  .openapi({ description: "Forecast demand times price; without a forecast the price alone" });

export const deferredDetail = deferred
  .extend({
    decision: z
      .object({ why: z.string(), startsAt: instant.optional(), latest: instant, now: weighed, best: weighed.optional() })
      .optional()
      .openapi({ description: "Why it starts when it does" }),
    inputBytes: count,
    resultBytes: count.optional(),
    keptUntil: instant.optional(),
    caller: z.string(),
    subject: z.string().optional().openapi({ description: "Whom guards found to be calling" }),
  })
  .openapi("DeferredDetail");

export const queues = z
  .object({
    items: z.array(z.object({ name: z.string(), task: z.string(), waiting: count, running: count, dead: count })),
  })
  .openapi("QueueList");

const starts = z
  .object({ count, p50: z.number(), p99: z.number() })
  .openapi({ description: "Milliseconds from admission until the guest began; of the last 128" });

export const pretriggers = z
  .object({
    pairs: z.array(
      z.object({
        cause: z.string().openapi({ description: "A task, or a signal" }),
        kind: z.enum(["task", "signal"]),
        task: z.string().openapi({ description: "Whose runs follow it" }),
        likelihood: z.number().openapi({ description: "The share of times that it was followed" }),
        occurrences: count,
        chance: z.number().openapi({ description: "How likely a run is in the same time without any sign" }),
        number: z.number().openapi({ description: "Runs that follow" }),
        delay: z.number().openapi({ description: "Milliseconds until the first of them" }),
        deviation: z.number(),
        state: z.enum(["learning", "on", "off"]),
        offFor: z.number().openapi({ description: "Milliseconds until a pair that kept missing is tried again" }),
        predictions: count,
        hits: count,
        late: count,
        wasted: count,
        waste: z.number().openapi({ description: "MiB × seconds that were held for nothing" }),
      }),
    ),
    announcements: z.array(
      z.object({
        key: z.string(),
        sender: z.string(),
        task: z.string(),
        count,
        arrived: count,
        start: instant,
        end: instant,
        confidence: z.number(),
        believed: z.number().openapi({ description: "Of that, after what came of the sender's others" }),
        state: z.enum(["planned", "active", "over", "spent", "gone"]),
      }),
    ),
    expected: z.array(
      z.object({
        task: z.string(),
        count,
        until: instant,
        depth: z.enum(["ready", "program"]).openapi({ description: "Instances, or the linked program alone" }),
      }),
    ),
    firstCalls: z.array(z.object({ task: z.string(), prepared: starts.optional(), unprepared: starts.optional() })),
  })
  .openapi("Pretriggers");

export const said = z
  .strictObject({
    signal: z.string().optional().openapi({ description: "Something happened; which runs follow is learnt" }),
    task: z.string().optional(),
    count: z.number().optional().openapi({ description: "Runs; 0 takes back what was said under the key" }),
    in: z.string().optional().openapi({ description: "Until the first of them", example: "2s" }),
    start: z.string().optional().openapi({ description: "When the first of them comes; in its place" }),
    window: z.string().optional().openapi({ description: "Until all of them have come; 10s" }),
    confidence: z.number().optional().openapi({ description: "Above 0 and up to 1" }),
    key: z.string().optional().openapi({ description: "The same again under the same key is the same" }),
  })
  .openapi("Announcement");
export const heard = z.object({ key: z.string() }).openapi("Heard");
export const causeQuery = z.strictObject({ cause: z.string().optional().openapi({ description: "A task or a signal; left out: all" }) });

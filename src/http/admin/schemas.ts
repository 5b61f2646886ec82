/**
 * The documents of the admin API: what is taken and what is given. The same schemas check, strip and describe, so that
 * `openapi.json` is what happens: a field that is not listed here never leaves the node.
 *
 * What is taken is checked for its form only; what a name, a host or a quota may be is for `Control` to say.
 */
import { z } from "@hono/zod-openapi";
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
};

export const tenantInput = z.strictObject({ name: z.string(), ...settings }).openapi("TenantInput");
export const tenantSettings = z.strictObject(settings).openapi("TenantSettings");

export const tenant = z
  .object({
    name: z.string(),
    hosts: strings,
    folders: strings,
    quotas,
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
  })
  .openapi("Deployed");

export const secretInput = z.strictObject({ value: z.string() }).openapi("SecretInput");
export const secret = z.object({ name: z.string(), updatedAt: instant, usedBy: strings }).openapi("Secret");

export const store = z.object({ name: z.string(), keys: z.number().int(), bytes: z.number().int() }).openapi("Store");
export const bytes = z.string().openapi({ format: "binary" });
const opaque = z.number().int().openapi({ description: "Another one after each change, not a count; the ETag is made of it" });
export const entry = z.object({ key: z.string(), revision: opaque, bytes: z.number().int() }).openapi("Entry");

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

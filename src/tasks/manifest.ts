/**
 * The manifest `pilotlight.json`: what a task says about itself.
 *
 * The schema is the contract; `readManifest` turns it into the `Manifest` that the rest of the code sees, all
 * units resolved and defaults in. Unknown fields, wrong units and contradictions are refused with the path of
 * the field. Fields of the contract whose mechanism has not landed are refused as such, never ignored.
 */
import { z } from "zod";
import { UserError } from "../base/errors.js";
import { describeIssues, fieldErrors } from "../base/json.js";
import type { FieldError } from "../base/problem.js";
import { DURATION_HELP, SIZE_HELP, parseDuration, parseSize } from "../base/units.js";
import { PREFER_HELP, parsePreference } from "../base/preference.js";
import type { SubPool, WhenFull } from "../pool/types.js";
import { signals } from "./signals.js";
import { triggers } from "./triggers.js";
import { parseInterfaceName, sameLine } from "../wit/capability.js";

const size = z.string({ error: `expected ${SIZE_HELP}` }).transform((text, ctx) => parseSize(text) ?? refuse(ctx, `expected ${SIZE_HELP}`));
const duration = z
  .string({ error: `expected ${DURATION_HELP}` })
  .transform((text, ctx) => parseDuration(text) ?? refuse(ctx, `expected ${DURATION_HELP}`));
const count = z.number().int().positive();

function refuse(ctx: z.RefinementCtx, message: string): never {
  ctx.addIssue({ code: "custom", message });
  return z.NEVER;
}

const MiB = 2 ** 20;
/** What a request's head may come to where it crosses into the engine. */
export const MAX_HEADERS = MiB / 4;

const limits = z.strictObject({
  memory: size.default(128 * MiB),
  timeout: duration.default(30_000),
  idle: duration.default(30_000),
  duration: duration.default(900_000),
  cpu: duration.default(10_000),
  concurrency: count.default(200),
  requestBody: size.default(10 * MiB),
  responseBody: size.default(1024 * MiB),
  headers: size.refine((bytes) => bytes <= MAX_HEADERS, 'at most "256KiB"').default(MiB / 8),
  handles: count.default(4096),
  logs: size.default(MiB / 16),
  values: size.default(MiB),
});

const reuse = z
  .strictObject({
    maxRequests: count.default(1),
    maxConcurrent: count.default(1),
    maxMemory: size.default(32 * MiB),
    maxIdle: duration.default(5_000),
    maxAge: duration.default(600_000),
  })
  .refine(({ maxRequests, maxConcurrent }) => maxRequests < 1 || maxConcurrent <= maxRequests, {
    path: ["maxConcurrent"],
    error: "an instance cannot serve more runs at once than in all; raise maxRequests to at least this",
  });

const SUB_POOLS = ["shared", "dedicated", "variable"] as const satisfies readonly SubPool[];
const WHEN_FULL = ["wait", "spill", "reject"] as const satisfies readonly WhenFull[];

/** Picked among the tenant's terms; what is left out follows from them (capacity.ts). */
const capacity = z.strictObject({
  pool: z.enum(SUB_POOLS, { error: 'expected "shared", "dedicated" or "variable"' }).optional(),
  ready: z.number().int().nonnegative().max(10_000).default(0),
  whenFull: z.enum(WHEN_FULL, { error: 'expected "wait", "spill" or "reject"' }).optional(),
});

const build = z.union(
  [
    z.strictObject({ source: z.string(), world: z.literal("http").default("http"), engine: z.literal("quickjs").default("quickjs") }),
    z.strictObject({ source: z.string(), wit: z.string(), world: z.string(), engine: z.literal("quickjs").default("quickjs") }),
    z.strictObject({ command: z.string() }),
  ],
  {
    error:
      'expected { "source": FILE, "world": "http", "engine": "quickjs" }, of which the last two may be left out, { "source": FILE, "wit": FILE, "world": NAME }, or { "command": LINE }',
  },
);

const directory = z.strictObject({ host: z.string(), guest: z.string(), readOnly: z.boolean().default(true) });

/** As WIT has it. */
const interfaceName = z
  .string()
  .refine(
    (text) => parseInterfaceName(text) !== undefined,
    'expected the name of a WIT interface such as "acme:image/resize@1.2.0": namespace, package, interface and version',
  );

/** What it provides; each once, since a call may take any version of one compatible line. */
const provides = z
  .array(interfaceName)
  .superRefine((names, ctx) => {
    const parsed = names.map((name) => parseInterfaceName(name));
    for (const [i, own] of parsed.entries()) {
      // What is no name at all is told of already.
      const at = own === undefined ? i : parsed.findIndex((other) => other !== undefined && sameLine(own, other));
      if (at === i) continue;
      const message = `${names[i]} and ${names[at]} are one capability to callers; keep one of them`;
      ctx.addIssue({ code: "custom", path: [i], message });
    }
  })
  .default([]);

const varied = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'expected the name of a header, such as "accept"')
  .transform((name) => name.toLowerCase())
  .refine((name) => !name.startsWith("pilotlight-") && !CONDITIONAL.has(name), "Pilotlight acts on this header itself; leave it out");

const CONDITIONAL: ReadonlySet<string> = new Set([
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
  "range",
  "cache-control",
  "connection",
  "transfer-encoding",
  "te",
  "upgrade",
]);

const ALLOW = ["clock", "random", "sockets", "requests", "imports"] as const;

const idempotent = z.strictObject({
  ttl: duration
    .refine((ms) => ms > 0, "expected more than nothing; leave idempotent out where nothing is to be recorded")
    .default(3_600_000),
  vary: z.array(varied).max(32, "at most 32 headers").default([]),
  reads: z
    .array(
      z
        .string()
        .regex(
          /^(?:kv:[a-z][a-z0-9-]{0,62}\/[^*]{0,480}\*?|https?:\/\/\S+)$/,
          'expected "kv:STORE/KEY", "kv:STORE/PREFIX*" or an address that begins with https:// or http://',
        ),
    )
    .max(64, "at most 64 readings")
    .default([]),
  allow: z.array(z.enum(ALLOW, { error: 'expected "clock", "random", "sockets", "requests" or "imports"' })).default([]),
  maxStale: duration.default(0),
  /** The answer does not depend on who is calling: neither on credentials nor on whom a guard has found. */
  shared: z.boolean().default(false),
  /** Where the states of resources are asked for that guests name with `pilotlight:memo/depend`. */
  resolver: z
    .string()
    .regex(/^https?:\/\/\S+$/, "expected an address that begins with https:// or http://")
    .optional(),
});

/** How a run that failed is tried again; only where it may start more than once. */
const retries = z.strictObject({
  max: z.number().int().min(0).max(100).default(0),
  delay: duration.default(1000),
  longest: duration.default(300_000),
});

/** A path, or a host of the tenant and a path. */
const route = z
  .string()
  .regex(
    /^(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])?\/[^\s?#]*$/,
    'expected a path that begins with "/", without query or fragment; a host in lower case, without port, may stand before it',
  )
  .refine((path) => !path.slice(0, -1).includes("*") && !/[^/]\*$/.test(path), '"*" may only be the whole last segment, as in "/files/*"')
  .refine((path) => !/^[^/]*\/-\//.test(path), '"/-/" belongs to Pilotlight')
  .refine((path) => !path.startsWith("/~"), '"/~" begins the paths of other tenants');

const taskName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, "expected a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long");

/** Who shares one instance of a sidecar: nobody but the run, all runs of the task, all of the tenant's that use it. */
const SCOPES = ["request", "task", "tenant"] as const;
const scope = z.enum(SCOPES, { error: 'expected "request", "task" or "tenant"' });

/** What a sidecar's `start` is given; what is no string becomes JSON. */
const sidecarConfig = z
  .record(z.string(), z.json())
  .refine((config) => JSON.stringify(config).length <= 64 * 1024, "at most 64 KiB of JSON")
  .default({});

const sidecar = z
  .strictObject({
    use: taskName,
    scope: scope.optional(),
    when: z
      .union([z.enum(["always", "used"]), z.strictObject({ header: z.string().min(1) })], {
        error: 'expected "always", "used" or { "header": NAME }',
      })
      .default("always"),
    onFailure: z.enum(["open", "closed"], { error: 'expected "open" or "closed"' }).default("closed"),
    hideRaw: z.boolean().optional(),
    config: sidecarConfig,
  })
  .refine(({ hideRaw, onFailure }) => hideRaw !== true || onFailure === "closed", {
    path: ["hideRaw"],
    error: 'what is to stay hidden cannot be shown when the sidecar fails; take out "onFailure": "open"',
  });

/** More would make a request a procession. */
const MOST_SIDECARS = 16;

const sidecars = z
  .array(sidecar)
  .max(MOST_SIDECARS, `at most ${MOST_SIDECARS} sidecars`)
  .superRefine((entries, ctx) => {
    for (const [i, { use }] of entries.entries()) {
      const first = entries.findIndex((other) => other.use === use);
      if (first !== i) ctx.addIssue({ code: "custom", path: [i, "use"], message: `${use} is there twice; keep one of them` });
    }
  })
  .default([]);

/** Of a task that others use as their sidecar. */
const asSidecar = z.strictObject({
  scope: scope.default("request"),
  /** Of one scope, where one has more to do than it can. */
  instances: z.number().int().min(1).max(64).default(1),
  idle: duration.default(30_000),
  hideRaw: z.boolean().default(false),
});

const access = z.union([z.enum(["public", "key"]), z.strictObject({ tenants: z.array(taskName).min(1, "expected at least one tenant") })], {
  error: 'expected "public", "key" or { "tenants": [NAME, …] }',
});

/** Each once. */
function names(pattern: RegExp, help: string): z.ZodDefault<z.ZodArray<z.ZodString>> {
  const list = z.array(z.string().regex(pattern, help)).refine((all) => new Set(all).size === all.length, "each name may be there once");
  return list.default([]);
}

const document = z.strictObject({
  $schema: z.string().optional(),
  name: taskName,
  component: z.string().min(1),
  build: build.optional(),
  routes: z.array(route).optional(),
  access: access.default("public"),
  limits: limits.prefault({}),
  reuse: reuse.prefault({}),
  capacity: capacity.prefault({}),
  config: z.record(z.string(), z.string()).default({}),
  env: z.record(z.string(), z.string()).default({}),
  files: z.array(directory).default([]),
  outbound: z.array(z.string()).default([]),
  sockets: z.boolean().default(false),
  secrets: names(
    /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/,
    'expected a name such as "API_TOKEN": letters, digits, "_", "." and "-", not a digit, "." or "-" first, at most 128 long',
  ),
  stores: names(
    /^[a-z][a-z0-9-]{0,62}$/,
    "expected a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long",
  ),
  provides,
  prefer: z
    .string()
    .refine((text) => parsePreference(text) !== undefined, `expected ${PREFER_HELP}`)
    .optional(),
  uses: z.record(interfaceName, z.strictObject({ task: taskName })).default({}),
  sidecars,
  sidecar: asSidecar.optional(),
  idempotent: idempotent.optional(),
  triggers: triggers.default([]),
  /** Requests that are signs of what comes next: which runs follow them is learnt. */
  signals: signals.default([]),
  /** Requests to it are answered later, whether they ask for that or not. */
  async: z.boolean().default(false),
  /** A run that is answered later may start more than once: after a crash, and as `retries` say. Without it, it starts at most once. */
  repeat: z.boolean().default(false),
  retries: retries.prefault({}),
  /** How long the answers of such runs are kept. */
  keepResults: duration.default(86_400_000),
  /** Runs that its triggers start pass its guards as well. */
  guardInternal: z.boolean().default(false),
});

export const manifestSchema = document.superRefine(({ name, config, secrets, uses, sidecars: beside, reuse: used, ...more }, ctx) => {
  if (more.idempotent !== undefined && used.maxRequests > 1)
    ctx.addIssue({
      code: "custom",
      path: ["reuse", "maxRequests"],
      message: "what an idempotent run has read is known of an instance that it has to itself; leave this at 1, or idempotent out",
    });
  if (more.idempotent !== undefined && more.sidecar !== undefined)
    ctx.addIssue({ code: "custom", path: ["idempotent"], message: "calls of a sidecar are not recorded; leave it out" });
  for (const [i, { use }] of beside.entries())
    if (use === name)
      ctx.addIssue({ code: "custom", path: ["sidecars", i, "use"], message: "a task cannot stand beside itself; name another" });
  for (const [used, { task }] of Object.entries(uses))
    if (task === name) ctx.addIssue({ code: "custom", path: ["uses", used, "task"], message: "a task cannot call itself; name another" });
  if (more.retries.max > 0 && !more.repeat)
    ctx.addIssue({ code: "custom", path: ["retries", "max"], message: 'trying again is starting more than once; add "repeat": true' });
  if (more.sidecar !== undefined && (more.async || more.triggers.length > 0))
    ctx.addIssue({
      code: "custom",
      path: [more.async ? "async" : "triggers"],
      message: "a sidecar runs beside others, at once; leave it out",
    });
  for (const [i, name] of secrets.entries()) {
    if (!Object.hasOwn(config, name)) continue;
    ctx.addIssue({
      code: "custom",
      path: ["secrets", i],
      message: `${name} is in config as well; a name has one value, so take it out of one of them`,
    });
  }
});

/** The sidecars that an operator requires of all of a tenant's tasks, said as a manifest says them. */
export function readSidecars(value: unknown): { readonly sidecars: Manifest["sidecars"] } | { readonly errors: readonly FieldError[] } {
  const result = sidecars.safeParse(value);
  return result.success ? { sidecars: result.data } : { errors: fieldErrors(result.error) };
}

/** What a user writes. */
export type ManifestInput = z.input<typeof manifestSchema>;
/** What it means: bytes, milliseconds, defaults in. */
export type Manifest = z.output<typeof manifestSchema>;

/** Checks a manifest. `where` names the file for messages. Throws a `UserError` that lists every wrong field. */
export function readManifest(value: unknown, where: string): Manifest {
  const result = manifestSchema.safeParse(value);
  if (result.success) return result.data;
  throw new UserError(`${where} is not a valid manifest:\n${describeIssues(result.error)}`);
}

/** The same, with what is wrong by field, for those who answer with a problem. */
export function checkManifest(value: unknown): { readonly manifest: Manifest } | { readonly errors: readonly FieldError[] } {
  const result = manifestSchema.safeParse(value);
  return result.success ? { manifest: result.data } : { errors: fieldErrors(result.error) };
}

/** The published JSON Schema of `pilotlight.json`, as `schemas/pilotlight.json` has it. */
export function manifestJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(manifestSchema, {
    io: "input",
    unrepresentable: "any",
  });
  return { $id: "https://pilotlight.dev/schemas/pilotlight.json", title: "Pilotlight manifest", ...schema };
}

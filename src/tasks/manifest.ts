/**
 * The manifest `pilotlight.json`: what a task says about itself.
 *
 * The schema is the contract; `readManifest` turns it into the `Manifest` that the rest of the code sees, all
 * units resolved and defaults in. Unknown fields, wrong units and contradictions are refused with the path of
 * the field. Fields of the contract whose mechanism has not landed are refused as such, never ignored.
 */
import { z } from "zod";
import { UserError } from "../base/errors.js";
import { describeIssues } from "../base/json.js";
import { DURATION_HELP, SIZE_HELP, parseDuration, parseSize } from "../base/units.js";

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

const capacity = z.strictObject({
  pool: z.literal("shared", { error: 'only "shared" is supported by this version' }).default("shared"),
  ready: z.number().int().nonnegative().max(10_000).default(0),
  whenFull: z.enum(["wait", "reject"], { error: 'expected "wait" or "reject"; "spill" is not supported by this version' }).default("wait"),
});

const build = z.union(
  [
    z.strictObject({ source: z.string(), world: z.literal("http").default("http"), engine: z.literal("quickjs").default("quickjs") }),
    z.strictObject({ command: z.string() }),
  ],
  {
    error:
      'expected { "source": FILE, "world": "http", "engine": "quickjs" }, of which the last two may be left out, or { "command": LINE }',
  },
);

const directory = z.strictObject({ host: z.string(), guest: z.string(), readOnly: z.boolean().default(true) });

/** Part of the contract, not of this version. */
const later = z.undefined({ error: "not supported by this version of Pilotlight; remove the field" }).optional();

const route = z
  .string()
  .regex(/^\/[^\s?#]*$/, 'expected a path that begins with "/", without query or fragment')
  .refine((path) => !path.slice(0, -1).includes("*") && !/[^/]\*$/.test(path), '"*" may only be the whole last segment, as in "/files/*"')
  .refine((path) => !path.startsWith("/-/"), '"/-/" belongs to Pilotlight');

export const manifestSchema = z.strictObject({
  $schema: z.string().optional(),
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/, "expected a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long"),
  component: z.string().min(1),
  build: build.optional(),
  routes: z.array(route).optional(),
  access: z.literal("public", { error: 'only "public" is supported by this version' }).default("public"),
  limits: limits.prefault({}),
  reuse: reuse.prefault({}),
  capacity: capacity.prefault({}),
  config: z.record(z.string(), z.string()).default({}),
  env: z.record(z.string(), z.string()).default({}),
  files: z.array(directory).default([]),
  outbound: z.array(z.string()).default([]),
  sockets: z.boolean().default(false),
  secrets: later,
  stores: later,
  provides: later,
  uses: later,
  sidecars: later,
  idempotent: later,
  triggers: later,
});

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

/** What the operator said: `pilotlight.config.json`, merely checked. `resolve.ts` says what it means. */
import { z } from "zod";
import { UserError } from "../base/errors.js";
import { describeIssues, parseJson } from "../base/json.js";
import { DURATION_HELP, SHARE_HELP, SIZE_HELP, parseDuration, parseShare, parseSize } from "../base/units.js";
import { LOG_LEVELS } from "../observe/log.js";

const address = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/, 'expected HOST:PORT, such as "127.0.0.1:8700"')
  .refine((text) => !(Number(text.slice(text.lastIndexOf(":") + 1)) > 65_535), "ports go up to 65535");

const size = z
  .string({ error: `expected ${SIZE_HELP}` })
  .refine((text) => (parseSize(text) ?? 0) > 0, `expected ${SIZE_HELP}`)
  .optional();
const duration = z
  .string({ error: `expected ${DURATION_HELP}` })
  .refine((text) => (parseDuration(text) ?? 0) > 0, `expected ${DURATION_HELP}`)
  .optional();
const share = z
  .string({ error: `expected ${SHARE_HELP}` })
  .refine((text) => parseShare(text) !== undefined, `expected ${SHARE_HELP}`)
  .optional();

/** What of a sub-pool's cells may be said; whether it adds up is for `capacity.ts` to say. */
const pool = {
  cell: size,
  slots: z.number().int().min(1).optional(),
  warming: z.number().int().nonnegative().optional(),
};
const NO_WARMING = "dedicated cells always have a tenant, so there are none to keep without; leave it out";

const time = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'expected a local time of day such as "06:30"');
const amount = z.number({ error: "expected a number" }).nonnegative("expected 0 or more");
const price = z
  .union([amount, z.array(z.strictObject({ from: time.optional(), to: time.optional(), price: amount }))], {
    error: 'expected a number, or a list such as [{ "from": "22:00", "to": "06:00", "price": 0.5 }, { "price": 1 }]',
  })
  .optional();

export const configSchema = z.strictObject({
  $schema: z.string().optional(),
  /** Folders with a `pilotlight.json`, or manifest files; relative to the config file. */
  tasks: z.array(z.string().min(1)).default([]),
  addr: address.optional(),
  admin: address.optional(),
  data: z.string().min(1).optional(),
  /** The admin plane may listen where others reach it, keys in the clear. */
  insecureAdmin: z.boolean().optional(),
  /** The hosts that tenants share; without it, every host that is no tenant's own. */
  hosts: z
    .array(z.string().regex(/^(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])$/, 'expected a host such as "edge.example.com", without port'))
    .optional(),
  /** The largest component that the admin API takes. */
  upload: size,
  kv: z
    .strictObject({
      sync: z
        .enum(["group", "always"], {
          error: 'expected "group" (an answered write survives the process) or "always" (power loss too)',
        })
        .optional(),
    })
    .prefault({}),
  log: z.enum(LOG_LEVELS, { error: `expected one of ${LOG_LEVELS.join(", ")}` }).optional(),
  node: z
    .strictObject({
      instances: z.number().int().min(1).max(20_000).optional(),
      threads: z.number().int().min(1).max(256).optional(),
      drain: z.string().optional(),
      /** Of cells and lobby together. */
      memory: size,
      lobby: size,
      overcommit: z.number().min(1).optional(),
      instanceIdle: duration,
      cellIdle: duration,
      programIdle: duration,
      /** Keeps capacity ready for runs that are to be expected. */
      forecast: z.boolean().optional(),
      /** Compiled components on disk. */
      compiled: size,
    })
    .prefault({}),
  pools: z
    .strictObject({
      shared: z.strictObject(pool).optional(),
      dedicated: z.strictObject({ ...pool, warming: z.literal(0, { error: NO_WARMING }).optional() }).optional(),
      variable: z.strictObject({ ...pool, ceiling: share }).optional(),
    })
    .prefault({}),
  /** Records of idempotent tasks: on disk, and how much of it in memory as well. */
  records: z.strictObject({ size, memory: size }).prefault({}),
  /** The cost of a GiB-second by sub-pool. */
  prices: z.strictObject({ shared: price, dedicated: price, variable: price }).prefault({}),
});

export type ConfigFile = z.output<typeof configSchema>;

/** Parses a config file's text. `where` names the file. Throws a `UserError` that lists every wrong field. */
export function readConfig(text: string, where: string): ConfigFile {
  const result = configSchema.safeParse(parseJson(text, where));
  if (result.success) return result.data;
  throw new UserError(`${where} is not a valid configuration:\n${describeIssues(result.error)}`);
}

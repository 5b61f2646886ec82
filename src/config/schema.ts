/** What the operator said: `pilotlight.config.json`, merely checked. `resolve.ts` says what it means. */
import { z } from "zod";
import { UserError } from "../base/errors.js";
import { describeIssues, parseJson } from "../base/json.js";
import { SIZE_HELP, parseSize } from "../base/units.js";
import { LOG_LEVELS } from "../observe/log.js";

const address = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/, 'expected HOST:PORT, such as "127.0.0.1:8700"')
  .refine((text) => !(Number(text.slice(text.lastIndexOf(":") + 1)) > 65_535), "ports go up to 65535");

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
  upload: z
    .string()
    .refine((text) => (parseSize(text) ?? 0) > 0, `expected ${SIZE_HELP}`)
    .optional(),
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
    })
    .prefault({}),
});

export type ConfigFile = z.output<typeof configSchema>;

/** Parses a config file's text. `where` names the file. Throws a `UserError` that lists every wrong field. */
export function readConfig(text: string, where: string): ConfigFile {
  const result = configSchema.safeParse(parseJson(text, where));
  if (result.success) return result.data;
  throw new UserError(`${where} is not a valid configuration:\n${describeIssues(result.error)}`);
}

/** What flags and file together mean. Flags win. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { UserError } from "../base/errors.js";
import type { FieldError } from "../base/problem.js";
import { DURATION_HELP, parseDuration, parseSize } from "../base/units.js";
import type { LogLevel } from "../observe/log.js";
import type { PoolSettings } from "../pool/types.js";
import { resolveCapacity } from "./capacity.js";
import { processMemory } from "./memory.js";
import { resolvePrices, type Prices } from "./prices.js";
import { readConfig, type ConfigFile } from "./schema.js";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A node, ready to be started. */
export interface NodeConfig {
  readonly addr: Address;
  readonly admin: Address;
  /** Absolute. */
  readonly data: string;
  readonly log: LogLevel;
  /** Absolute paths of manifests, or of folders with one. */
  readonly tasks: readonly string[];
  readonly instances: number;
  readonly threads: number;
  readonly drainMs: number;
  /** When guests' writes are on the disk: before the machine may lose power, or before the process may die. */
  readonly sync: "group" | "always";
  /** Bytes. */
  readonly uploadBytes: number;
  readonly insecureAdmin: boolean;
  /** Undefined: every host that is no tenant's own is shared. */
  readonly hosts: readonly string[] | undefined;
  /** What cells hold, how many there are, and when they go; a running node may have been told otherwise since. */
  readonly capacity: PoolSettings;
  readonly prices: Prices;
  /** What compiled components may take on disk. */
  readonly compiledBytes: number;
  /** What records may take on disk, and how much of it is in memory as well. */
  readonly records: { readonly bytes: number; readonly memoryBytes: number };
}

export interface NodeFlags {
  readonly addr?: string;
  readonly admin?: string;
  readonly data?: string;
  readonly config?: string;
  readonly log?: LogLevel;
  readonly insecureAdmin?: boolean;
}

const CONFIG_FILE = "pilotlight.config.json";
const DEFAULT_DRAIN_MS = 30_000;
const DEFAULT_UPLOAD = 100 * 2 ** 20;
/** What compiled components may take on disk. */
export const DEFAULT_COMPILED = 10 * 2 ** 30;
/** What records may take, and how much of it is in memory as well. */
export const DEFAULT_RECORDS = 256 * 2 ** 20;
export const RECORDS_IN_MEMORY = 32 * 2 ** 20;
export const DEFAULT_INSTANCES = 1000;

/**
 * Reads the config file that `--config` names, or the usual one in the working folder if there is one. `memory`: what the
 * process may use, in bytes.
 */
export function resolveConfig(flags: NodeFlags, cwd: string, memory: number = processMemory()): NodeConfig {
  const path = resolve(cwd, flags.config ?? CONFIG_FILE);
  const file = readFile(path, flags.config !== undefined);
  const base = dirname(path);
  const faults: FieldError[] = [];
  const instances = file.node.instances ?? DEFAULT_INSTANCES;
  const config: NodeConfig = {
    addr: parseAddress(flags.addr ?? file.addr ?? "127.0.0.1:8700", "--addr"),
    admin: parseAddress(flags.admin ?? file.admin ?? "127.0.0.1:8701", "--admin"),
    data: flags.data === undefined ? resolve(base, file.data ?? ".pilotlight") : resolve(cwd, flags.data),
    log: flags.log ?? file.log ?? "info",
    tasks: file.tasks.map((task) => resolve(base, task)),
    instances,
    threads: file.node.threads ?? 0,
    drainMs: drain(file.node.drain, faults),
    sync: file.kv.sync ?? "group",
    uploadBytes: file.upload === undefined ? DEFAULT_UPLOAD : (parseSize(file.upload) as number),
    hosts: file.hosts,
    insecureAdmin: flags.insecureAdmin ?? file.insecureAdmin ?? false,
    capacity: resolveCapacity(file, instances, memory, faults),
    prices: resolvePrices(file.prices, faults),
    compiledBytes: file.node.compiled === undefined ? DEFAULT_COMPILED : (parseSize(file.node.compiled) as number),
    records: {
      bytes: file.records.size === undefined ? DEFAULT_RECORDS : (parseSize(file.records.size) as number),
      memoryBytes: file.records.memory === undefined ? RECORDS_IN_MEMORY : (parseSize(file.records.memory) as number),
    },
  };
  if (faults.length === 0) return config;
  const lines = faults.map(({ field, message }) => `  ${field}: ${message}`);
  throw new UserError(`${path} is not a valid configuration:\n${lines.join("\n")}`);
}

/** `HOST:PORT`, or a UserError that names the flag. */
export function parseAddress(text: string, flag: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new UserError(
      `${flag} ${JSON.stringify(text)} is not an address: expected HOST:PORT, such as 127.0.0.1:8700; port 0 takes any free one`,
      { exitCode: 2 },
    );
  }
  return { host: (match[1] ?? match[2]) as string, port };
}

function readFile(path: string, asked: boolean): ConfigFile {
  if (!asked && !existsSync(path)) return readConfig("{}", path);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UserError(`the configuration ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return readConfig(text, path);
}

function drain(text: string | undefined, faults: FieldError[]): number {
  if (text === undefined) return DEFAULT_DRAIN_MS;
  const parsed = parseDuration(text);
  if (parsed === undefined) faults.push({ field: "node.drain", message: `expected ${DURATION_HELP}` });
  return parsed ?? DEFAULT_DRAIN_MS;
}

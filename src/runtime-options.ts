/** What may be said of a runtime when it is made. */
import type { DestinationStream } from "pino";
import type { Prices } from "./config/prices.js";
import type { ScriptImports } from "./imports/imports.js";
import type { LogLevel } from "./observe/log.js";
import type { PoolSettings } from "./pool/types.js";

export interface RecordOptions {
  /** Bytes of all of them; 256 MiB. */
  readonly bytes?: number;
  /** Bytes of those that are kept in memory as well; 32 MiB. */
  readonly memoryBytes?: number;
  /**
   * The state of a resource that guests name with `pilotlight:memo/depend`, for tasks whose manifest names no resolver; undefined:
   * there is no such resource. What it throws counts as not to be reached.
   */
  readonly resolve?: (tenant: string, resource: string) => string | undefined | Promise<string | undefined>;
}

export interface RuntimeOptions {
  /** Folder for compiled components; without it they are compiled anew in each process. */
  readonly data?: string;
  /** Keeps tasks, tenants, keys, secrets and stores in `data` too, so that they are there after a restart. */
  readonly durable?: boolean;
  /** `group`: an answered write survives the process; `always`: power loss too, at the price of slower writes of guests. */
  readonly sync?: "group" | "always";
  /** Most instances at once; 1000. */
  readonly instances?: number;
  /** Threads that run guests; one a core. */
  readonly threads?: number;
  /** `silent` for a library, `info` for a node. */
  readonly log?: LogLevel;
  /** Where log lines go; stdout. */
  readonly logTo?: DestinationStream;
  /** Satisfies imports that neither WASI nor Pilotlight provides; `docs/imports.md` has the rules. */
  readonly imports?: ScriptImports;
  /** Memory as it is needed instead of from a pool: for a component of any shape, at the price of slower instances. */
  readonly onDemand?: boolean;
  /** True when `/-/` belongs to guests too, as under `serve FILE`. */
  readonly guestsOwnEverything?: boolean;
  /** The largest component that the admin API takes, in bytes; 100 MiB. */
  readonly uploadBytes?: number;
  /** The hosts that tenants share; without it, every host that is no tenant's own. */
  readonly hosts?: readonly string[] | undefined;
  /** How the node's memory is cut into cells; by what this process may use. */
  readonly capacity?: PoolSettings;
  /** What a GiB-second costs, for usage; 1. */
  readonly prices?: Prices;
  /** What compiled components may take on disk, in bytes; where the data is this runtime's own. */
  readonly compiledBytes?: number;
  /** Records of idempotent tasks. */
  readonly records?: RecordOptions;
  /** Milliseconds since 1970; for tests. */
  readonly wall?: () => number;
}

/** A node under soak: the real runtime on real sockets and a folder of its own, in this process. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { usualCapacity } from "../../../src/config/capacity.js";
import type { PoolSettings } from "../../../src/pool/types.js";
import { Runtime } from "../../../src/runtime.js";
import type { TenantSettings } from "../../../src/tenants/tenant.js";
import { Names } from "./names.js";

/** Stands between the tenants and a node's admin plane: takes the port of the plane, gives its own. */
export type Between = (port: number) => Promise<{ readonly port: number; close(): void }>;

const INSTANCES = 200;
const MiB = 2 ** 20;
const HOUR_MS = 3_600_000;
/**
 * The same on every machine, and so much that nobody ever waits: that a full node is slower is no secret. Nothing goes for
 * want of use, since nodes differ a little in when that is.
 */
const CAPACITY: PoolSettings = {
  ...usualCapacity(INSTANCES, 32_768 * MiB),
  pools: {
    shared: { cellBytes: 1024 * MiB, cellSlots: 16, warming: 1 },
    dedicated: { cellBytes: 128 * MiB, cellSlots: 4, warming: 0 },
    variable: { cellBytes: 128 * MiB, cellSlots: 4, warming: 0 },
  },
  instanceIdle: HOUR_MS,
  cellIdle: 2 * HOUR_MS,
  programIdle: 2 * HOUR_MS,
};

export class Place implements AsyncDisposable {
  readonly runtime: Runtime;
  readonly adminPort: number;
  readonly dataPort: number;
  readonly names: Names;
  /** What the node wrote to its own log. */
  readonly log: () => string;
  readonly #end: () => Promise<void>;

  private constructor(parts: Pick<Place, "runtime" | "adminPort" | "dataPort" | "names" | "log">, end: () => Promise<void>) {
    this.runtime = parts.runtime;
    this.adminPort = parts.adminPort;
    this.dataPort = parts.dataPort;
    this.names = parts.names;
    this.log = parts.log;
    this.#end = end;
  }

  static async start(salt: string, between?: Between): Promise<Place> {
    const data = mkdtempSync(join(tmpdir(), "pilotlight-isolation-"));
    const lines: string[] = [];
    // No two things are made at one time, so that lists by time have one order.
    let last = 0;
    const wall = (): number => (last = Math.max(last + 1, Date.now()));
    const runtime = new Runtime({
      data,
      durable: true,
      instances: INSTANCES,
      capacity: CAPACITY,
      log: "info",
      logTo: { write: (line) => void lines.push(line) },
      wall,
    });
    await runtime.start();
    const host = "127.0.0.1";
    const { port: dataPort } = await runtime.dataFront().listen({ host, port: 0 });
    const { port: plane } = await runtime.adminFront().listen({ host, port: 0 });
    const proxy = await between?.(plane);
    const adminPort = proxy?.port ?? plane;
    const names = new Names(
      [
        [`127.0.0.1:${dataPort}`, "DATA"],
        [`127.0.0.1:${adminPort}`, "ADMIN"],
        [`.example:${dataPort}`, ".example:PORT"],
      ],
      salt,
    );
    return new Place({ runtime, adminPort, dataPort, names, log: () => lines.join("") }, async () => {
      proxy?.close();
      await runtime.close(2000);
      rmSync(data, { recursive: true, force: true });
    });
  }

  /** The tenant, with a key that may do everything in it, named `TENANT:k0`. */
  async admit(tenant: string, settings: TenantSettings): Promise<void> {
    const { control, operator } = this.runtime;
    await control.createTenant(operator, tenant, settings);
    const { key, text } = await control.issueKey(operator, tenant, { scopes: ["admin"], note: "the first" });
    this.names.set(`${tenant}:k0.text`, text);
    this.names.set(`${tenant}:k0.id`, key.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}

/** A real node with three tenants: one with cells of its own, one on demand, and one that floods the shared cells. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adminClient, uploadOf, type Admin } from "../soak/support/admin.js";
import { ServedNode } from "../soak/support/served-node.js";
import { BenchError } from "../support/bench-error.js";
import { guestFile } from "../support/paths.js";
import { WORK_FILE } from "../support/work.js";

export type TenantName = "dedicated" | "on-demand" | "flood";

export interface FloodNode extends AsyncDisposable {
  /** Where the node answers, without a slash at its end; tenants below `/~NAME`. */
  readonly data: string;
  /** What the pool says of itself now. */
  now(): Promise<PoolNow>;
}

/** Of `GET /v1/capacity` what the bench looks at: runs that go on and that wait, and cells. */
export interface PoolNow {
  readonly leases: number;
  readonly waiting: number;
  readonly pools: readonly { readonly pool: string; readonly warming: number; readonly active: number }[];
}

/** Few cells, so that a flood fills them: 7 of 128 MiB beside the lobby, 2 of them dedicated. */
const CELLS = { shared: 5, dedicated: 2 } as const;
const CONFIG = { node: { memory: "1GiB", lobby: "128MiB" }, pools: { shared: { cell: "128MiB" }, dedicated: { cell: "128MiB" } } };
/** A run with the usual limit of 128 MiB is charged an eighth of it, so that a cell holds so many at once. */
const RUNS_IN_A_CELL = 8;

export const SHARED_RUNS = CELLS.shared * RUNS_IN_A_CELL;
export const NODE_TEXT = `${CELLS.dedicated} dedicated and ${CELLS.shared} shared cells of ${RUNS_IN_A_CELL} runs each`;

const TERMS: Readonly<Record<TenantName, object>> = {
  dedicated: { dedicated: CELLS.dedicated, whenFull: ["reject"] },
  "on-demand": {},
  flood: {},
};

/** The flood's own host, where a guest sees its path as it is. */
export const FLOOD_HOST = "flood.example";

export async function startFloodNode(): Promise<FloodNode> {
  const parent = mkdtempSync(join(tmpdir(), "pilotlight-flood-"));
  writeFileSync(join(parent, "pilotlight.config.json"), JSON.stringify(CONFIG));
  const node = new ServedNode(join(parent, "data"));
  const stop = async (): Promise<void> => {
    await node.end("SIGTERM");
    rmSync(parent, { recursive: true, force: true });
  };
  try {
    const address = await node.listening;
    if (address === undefined) throw new BenchError(`the node ended before it listened: ${node.said}`);
    const admin = adminClient(address);
    for (const [name, capacity] of Object.entries(TERMS)) {
      await make(admin, name as TenantName, capacity);
      await deploy(admin, name, "work", name === "dedicated" ? { pool: "dedicated", whenFull: "reject" } : {});
    }
    await deploy(admin, "flood", "behave", {});
    const now = async (): Promise<PoolNow> => {
      const { json } = await asked(admin("GET", "/capacity"), 200, "GET /capacity");
      return (json as { readonly now: PoolNow }).now;
    };
    return { data: address.data, now, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function make(admin: Admin, name: TenantName, capacity: object): Promise<unknown> {
  return asked(
    admin("POST", "/tenants", { json: { name, capacity, hosts: name === "flood" ? [FLOOD_HOST] : [] } }),
    201,
    `making tenant ${name}`,
  );
}

function deploy(admin: Admin, tenant: string, guest: "work" | "behave", capacity: object): Promise<unknown> {
  // What `behave` does is its whole path.
  const manifest = { name: guest, capacity, ...(guest === "behave" ? { routes: ["/sleep"] } : {}) };
  const upload = uploadOf(manifest, readFileSync(guest === "work" ? WORK_FILE : guestFile("behave-p2")));
  return asked(admin("POST", `/tenants/${tenant}/tasks/${guest}/versions`, upload), 201, `deploying ${guest} for ${tenant}`);
}

async function asked(answer: ReturnType<Admin>, expected: number, what: string): ReturnType<Admin> {
  const { status, bytes } = await answer;
  if (status !== expected) throw new BenchError(`${what} was answered ${status}: ${bytes.toString()}`);
  return answer;
}

/**
 * What a manifest picks of its tenant's terms of capacity, and what it picks that is not there.
 *
 * Pure: terms are the operator's (src/tenants/), cells the node's (src/pool/types.ts).
 */
import type { FieldError } from "../base/problem.js";
import { sizeTexts } from "../base/units.js";
import type { PoolSettings, SubPool, WhenFull } from "../pool/types.js";
import type { CapacityTerms } from "../tenants/tenant.js";
import type { Manifest } from "./manifest.js";

/** Where a task's runs take place, and what happens to them when there is no room. */
export interface EffectiveCapacity {
  readonly pool: SubPool;
  readonly whenFull: WhenFull;
}

/**
 * Without a pick a task goes to its tenant's dedicated cells if there are any, else to the shared ones; and the first of
 * the terms says what happens when they are full, passing over `spill` for a task that is in the shared ones already.
 */
export function effectiveCapacity(said: Pick<Manifest["capacity"], "pool" | "whenFull">, terms: CapacityTerms): EffectiveCapacity {
  const pool = said.pool ?? (terms.dedicated > 0 ? "dedicated" : "shared");
  const usual = terms.whenFull.find((one) => pool !== "shared" || one !== "spill");
  return { pool, whenFull: said.whenFull ?? usual ?? "wait" };
}

/** What the manifest asks for that its tenant, or the node at all, does not have; by its fields. */
export function capacityFaults(
  { capacity, limits }: Pick<Manifest, "capacity" | "limits">,
  terms: CapacityTerms,
  settings: PoolSettings,
): FieldError[] {
  const { pool } = effectiveCapacity(capacity, terms);
  const faults = [poolFault(pool, terms), whenFullFault(pool, capacity.whenFull, terms)].filter((fault) => fault !== undefined);
  // Without cells there is no sum.
  if (faults.some(({ field }) => field === "capacity.pool")) return faults;
  const memory = memoryFault(pool, limits.memory, terms, settings);
  return memory === undefined ? faults : [...faults, memory];
}

function poolFault(pool: SubPool, terms: CapacityTerms): FieldError | undefined {
  const fault = (lacks: string): FieldError => ({ field: "capacity.pool", message: `this tenant has no ${lacks}; its operator grants it` });
  if (pool === "dedicated" && terms.dedicated === 0) return fault("dedicated capacity");
  if (pool === "variable" && terms.variableCeiling === 0) return fault("variable capacity");
  return undefined;
}

function whenFullFault(pool: SubPool, said: WhenFull | undefined, { whenFull }: CapacityTerms): FieldError | undefined {
  const field = "capacity.whenFull";
  if (said === undefined) return undefined;
  if (said === "spill" && pool === "shared")
    return { field, message: '"spill" goes over to the shared sub-pool, and the task is there already; expected "wait" or "reject"' };
  if (whenFull.includes(said)) return undefined;
  return { field, message: `"${said}" is not among this tenant's terms, which are ${whenFull.join(", ")}; its operator sets them` };
}

function memoryFault(pool: SubPool, memory: number, terms: CapacityTerms, settings: PoolSettings): FieldError | undefined {
  const { cellBytes } = settings.pools[pool];
  const count = mostCells(pool, terms, settings);
  if (memory <= count * cellBytes) return undefined;
  const [asked, held] = sizeTexts(memory, count * cellBytes);
  const whose = pool === "shared" ? "the node's" : "this tenant's";
  const cells = count === 1 ? `one ${pool} cell holds ${held}` : `${count} ${pool} cells hold ${held} together`;
  return { field: "limits.memory", message: `${asked} do not fit: ${whose} ${cells}` };
}

/** As many cells as a task of the sub-pool could have if nobody else had any. */
function mostCells(pool: SubPool, terms: CapacityTerms, { budgetBytes, lobbyBytes, variableCeiling, pools }: PoolSettings): number {
  if (pool === "dedicated") return terms.dedicated;
  const room = budgetBytes - lobbyBytes;
  const most = pool === "shared" ? room : Math.min(room, Math.min(terms.variableCeiling, variableCeiling) * budgetBytes);
  return Math.floor(most / pools[pool].cellBytes);
}

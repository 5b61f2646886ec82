/**
 * Where a runtime keeps what it knows: in a data folder, or in memory and gone with the process.
 *
 * The folder has the control plane's state, the components, their compiled forms, the stores of guests and the key
 * that secrets are sealed with; docs/state.md says which file is which.
 */
import { join } from "node:path";
import { CompiledCache } from "./artefacts/compiled.js";
import type { ComponentStore } from "./artefacts/components.js";
import { folderComponents } from "./artefacts/folder.js";
import { memoryComponents } from "./artefacts/memory.js";
import { rmSync } from "node:fs";
import { messageOf } from "./base/errors.js";
import { folderBodies, memoryBodies, type Bodies } from "./memo/bodies.js";
import { openState } from "./state/lmdb.js";
import { memoryState } from "./state/memory.js";
import type { StateStore } from "./state/store.js";
import { HighWaterClock } from "./tenants/high-water.js";
import { Secrets } from "./tenants/secrets.js";

export interface Home {
  readonly durable: boolean;
  readonly state: StateStore;
  readonly components: ComponentStore;
  readonly secrets: Secrets;
  readonly clock: HighWaterClock;
  /** Folder of the guests' stores; null: in memory. */
  readonly stores: string | null;
  /** Folder of compiled components; null: compiled anew in each process. */
  readonly compiled: string | null;
  /** What is in that folder. */
  readonly forms: CompiledCache;
  /** What idempotent runs have left. */
  readonly records: { readonly state: StateStore; readonly bodies: Bodies };
  /** What was accepted to be done later. */
  readonly deferred: StateStore;
  /** Removes compiled forms that belong to none of these components. */
  collectCompiled(digests: ReadonlySet<string>): Promise<void>;
}

/** `data` with `durable` false keeps compiled components alone there. Throws a `StateError` or `UserError` that names the file. */
export function openHome(data: string | undefined, durable: boolean, wall: () => number, report: (problem: string) => void): Home {
  const compiled = data === undefined ? null : join(data, "compiled");
  const forms = new CompiledCache(compiled);
  if (data === undefined || !durable) {
    const state = memoryState();
    const clock = new HighWaterClock(state, wall);
    const secrets = Secrets.inMemory(state, () => clock.time());
    // The folder is not this runtime's alone: what it does not use, others may.
    return {
      durable: false,
      state,
      components: memoryComponents(),
      secrets,
      clock,
      stores: null,
      compiled,
      forms,
      records: { state: memoryState(), bodies: memoryBodies() },
      deferred: memoryState(),
      collectCompiled: async () => {},
    };
  }
  const state = openState(data);
  try {
    const clock = new HighWaterClock(state, wall);
    return {
      durable: true,
      state,
      components: folderComponents(join(data, "components")),
      secrets: Secrets.open(state, () => clock.time(), data),
      clock,
      stores: join(data, "stores"),
      compiled,
      forms,
      records: openRecords(join(data, "records"), report),
      deferred: openState(join(data, "deferred")),
      collectCompiled: async (digests) => void (await forms.collect(digests)),
    };
  } catch (error) {
    void state.close();
    throw error;
  }
}

/** Records that cannot be read are let go: what they save is work, and what they hold can be had again. */
function openRecords(folder: string, report: (problem: string) => void): Home["records"] {
  const bodies = folderBodies(join(folder, "bodies"));
  try {
    return { state: openState(folder), bodies };
  } catch (error) {
    report(`the records are let go, and begin anew: ${messageOf(error)}`);
    rmSync(folder, { recursive: true, force: true });
    return { state: openState(folder), bodies };
  }
}

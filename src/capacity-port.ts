/** The pool as the control plane steers it: changes go through the executor, which obeys what follows from them. */
import type { CapacityPort } from "./control/capacity.js";
import type { Programs } from "./control/programs.js";
import type { Executor } from "./invoke/executor.js";
import type { Pool } from "./pool/pool.js";

export function capacityPort(pool: Pool, executor: () => Executor, programs: () => Programs): CapacityPort {
  return {
    cells: () => pool.cells(),
    view: () => pool.view(),
    totals: () => pool.totals(),
    programs: () => pool.programs(),
    configure: (settings) => executor().tell({ kind: "configure", settings }),
    terms: (tenant, { dedicated, variableCeiling, weight }) => {
      executor().tell({ kind: "terms", tenant, terms: { dedicated, variableCeiling, weight } });
      programs().amend(tenant);
    },
    drain: (what) => executor().tell({ kind: "drain", ...what }),
    resume: (what) => executor().tell({ kind: "resume", ...what }),
  };
}

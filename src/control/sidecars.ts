/** Sidecars and the runs that they stand beside, as people and scripts see them. */
import { ProblemError } from "../base/problem.js";
import type { Launcher } from "../invoke/launch.js";
import type { Run } from "../invoke/run.js";
import { require as requireScope } from "../tenants/access.js";
import type { Caller } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { Page, Paged, SidecarView } from "./control.js";
import type { Library } from "./library.js";
import type { Live } from "./live.js";
import { paged } from "./paging.js";
import type { SidecarPort } from "./programs.js";

export interface SidecarPorts {
  readonly tenants: Tenants;
  readonly library: Library;
  readonly sidecars: Pick<SidecarPort, "find" | "names">;
  /** Instances of a tenant's sidecar that stand. */
  standing(tenant: string, name: string): number;
  /** The live run of that public id. */
  run(id: string): Run | undefined;
  readonly launcher: Pick<Launcher, "pause" | "resume">;
}

export class SidecarDesk {
  readonly #ports: SidecarPorts & { readonly live: Live };

  constructor(ports: SidecarPorts & { readonly live: Live }) {
    this.#ports = ports;
  }

  list(caller: Caller, tenant: string, page: Page): Paged<SidecarView> {
    requireScope(caller, tenant, "read");
    this.#ports.tenants.need(tenant);
    const { sidecars, library, live } = this.#ports;
    const shipped = library.list();
    const views = sidecars.names(tenant).flatMap((name): SidecarView[] => {
      const task = sidecars.find(tenant, name);
      if (task === undefined) return [];
      const ours = shipped.find((each) => each.name === name && each.version === task.version.label);
      return [
        {
          name,
          version: task.version.label,
          from: ours === undefined ? "tenant" : "pilotlight",
          about: ours?.about,
          digest: ours?.digest,
          bytes: ours?.bytes,
          scope: task.version.manifest.sidecar?.scope ?? "request",
          standing: this.#ports.standing(tenant, name),
          usedBy: live.dependentsOf(tenant, name),
        },
      ];
    });
    views.sort((a, b) => (a.name < b.name ? -1 : 1));
    return paged(views, ({ name }) => name, page);
  }

  pause(caller: Caller, tenant: string, id: string): void {
    const run = this.#run(caller, tenant, id);
    if (run.paused) throw new ProblemError("request/conflict", `The run ${id} is paused already.`);
    if (!this.#ports.launcher.pause(run)) throw new ProblemError("request/conflict", `The run ${id} does not run now: it is ${run.state}.`);
  }

  resume(caller: Caller, tenant: string, id: string): void {
    const run = this.#run(caller, tenant, id);
    if (!this.#ports.launcher.resume(run)) throw new ProblemError("request/conflict", `The run ${id} is not paused.`);
  }

  #run(caller: Caller, tenant: string, id: string): Run {
    requireScope(caller, tenant, "deploy");
    this.#ports.tenants.need(tenant);
    const run = this.#ports.run(id);
    if (run === undefined || run.task.tenant !== tenant)
      throw new ProblemError("request/run-not-found", `No run ${JSON.stringify(id)} of the tenant goes on here.`);
    if (run.task.version.manifest.reuse.maxConcurrent > 1)
      throw new ProblemError(
        "request/conflict",
        `Other runs may share the instance of ${id}; a task whose runs are to be paused has reuse.maxConcurrent 1.`,
      );
    return run;
  }
}

/** What tasks provide, as people and scripts see it. */
import type { Choosing } from "../invoke/choosing.js";
import type { Registry } from "../dispatch/registry.js";
import { mayReach, require as requireScope } from "../tenants/access.js";
import type { Caller } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { CapabilityCost, CapabilityView, Page, Paged } from "./control.js";
import { paged } from "./paging.js";

export interface CapabilityPorts {
  readonly registry: Registry;
  readonly choosing: Pick<Choosing, "costOf">;
  readonly tenants: Tenants;
}

export class CapabilityDesk {
  readonly #ports: CapabilityPorts;

  constructor(ports: CapabilityPorts) {
    this.#ports = ports;
  }

  list(caller: Caller, tenant: string | undefined, page: Page): Paged<CapabilityView> {
    const owner = tenant ?? (caller.kind === "key" ? caller.key.tenant : undefined);
    requireScope(caller, owner, "read");
    if (owner !== undefined) this.#ports.tenants.need(owner);
    const all = this.#ports.registry.list().flatMap(({ capability, provider }): CapabilityView[] => {
      const reached = provider.choices.filter(({ choice }) => {
        const { task } = choice;
        return owner === undefined || mayReach(owner, { tenant: task.tenant, access: task.version.manifest.access });
      });
      const first = reached[0];
      if (first === undefined) return [];
      const total = provider.choices.reduce((sum, { choice }) => sum + choice.weight, 0);
      return [
        {
          capability,
          tenant: provider.tenant,
          task: provider.name,
          access: first.choice.task.version.manifest.access,
          versions: reached.map(({ choice: { task, weight } }) => {
            const { label: version, program } = task.version;
            const of = { version, share: weight / total };
            return owner === undefined || owner === task.tenant ? Object.assign(of, { now: this.#cost(program, capability) }) : of;
          }),
        },
      ];
    });
    return paged(all, ({ capability, tenant: of, task }) => `${capability} ${of}/${task}`, page);
  }

  #cost(program: number, capability: string): CapabilityCost {
    const { estimate, outlook } = this.#ports.choosing.costOf(program, capability);
    const { observed, serviceMs, memoryMibMs } = estimate;
    const { startMs, queueMs, running, waiting, rung } = outlook;
    return { observed, execMs: serviceMs, memoryMibMs, startMs, queueMs, running, waiting, rung };
  }
}

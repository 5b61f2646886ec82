/** What tasks provide, as people and scripts see it. */
import type { Choosing } from "../invoke/choosing.js";
import type { Registry } from "../dispatch/registry.js";
import { mayReach, require as requireScope } from "../tenants/access.js";
import type { Caller } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { CapabilityView, Page, Paged } from "./control.js";
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
          versions: reached.map(({ choice }) => {
            const { estimate, outlook } = this.#ports.choosing.costOf(choice.task.version.program, capability);
            return {
              version: choice.task.version.label,
              share: choice.weight / total,
              observed: estimate.observed,
              execMs: estimate.serviceMs,
              memoryMibMs: estimate.memoryMibMs,
              startMs: outlook.startMs,
              queueMs: outlook.queueMs,
              running: outlook.running,
              waiting: outlook.waiting,
              rung: outlook.rung,
            };
          }),
        },
      ];
    });
    return paged(all, ({ capability, tenant: of, task }) => `${capability} ${of}/${task}`, page);
  }
}

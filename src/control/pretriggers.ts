/** What is foreseen and announced, as people and scripts see and steer it. */
import { require as requireScope, whoIs } from "../tenants/access.js";
import type { Caller } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { FirstCalls } from "../triggers/first-calls.js";
import type { ForesightView } from "../triggers/foresight/view.js";
import type { PretriggersView } from "./control.js";
import type { Ledger } from "./ledger.js";

/** What foresees, and what follows from that. */
export interface PretriggersPort {
  /** Times are milliseconds since 1970. */
  view(tenant: string): ForesightView & { readonly firstCalls: readonly FirstCalls[] };
  /** `body` as in `POST /-/pretriggers`. */
  hear(tenant: string, sender: string, body: unknown): { readonly key: string };
  /** Resolves once it is durable. */
  reset(tenant: string, cause: string | undefined): Promise<void>;
}

export interface PretriggersPorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly pretriggers: PretriggersPort;
}

export class PretriggersDesk {
  readonly #ports: PretriggersPorts;

  constructor(ports: PretriggersPorts) {
    this.#ports = ports;
  }

  view(caller: Caller, tenant: string): PretriggersView {
    this.#allow(caller, tenant, "read");
    const { pairs, announcements, expected, firstCalls } = this.#ports.pretriggers.view(tenant);
    return {
      pairs,
      announcements: announcements.map(({ start, window, ...rest }) =>
        Object.assign(rest, { start: time(start), end: time(start + window) }),
      ),
      expected: expected.map(({ until, ...rest }) => Object.assign(rest, { until: time(until) })),
      firstCalls,
    };
  }

  /** `body` as in `POST /-/pretriggers`. */
  announce(caller: Caller, tenant: string, body: unknown): { readonly key: string } {
    this.#allow(caller, tenant, "invoke");
    return this.#ports.pretriggers.hear(tenant, whoIs(caller), body);
  }

  reset(caller: Caller, tenant: string, cause: string | undefined): Promise<void> {
    const { ledger, pretriggers } = this.#ports;
    return ledger.turn(async () => {
      this.#allow(caller, tenant, "deploy");
      const before = pretriggers.view(tenant).pairs.filter((pair) => cause === undefined || pair.cause === cause).length;
      await pretriggers.reset(tenant, cause);
      const subject = cause === undefined ? "all that was learnt" : `what follows ${cause}`;
      await ledger.commit(caller, { tenant, action: "pretriggers.reset", subject, before: `${before} pairs`, after: "none" }, []);
    });
  }

  #allow(caller: Caller, tenant: string, scope: "read" | "deploy" | "invoke"): void {
    requireScope(caller, tenant, scope);
    this.#ports.tenants.need(tenant);
  }
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

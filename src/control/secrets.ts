/** Secrets: set, listed without their values, and taken away; live versions that name one get the new value at once. */
import { ProblemError } from "../base/problem.js";
import { require as requireScope } from "../tenants/access.js";
import { noSuch } from "../tenants/refusals.js";
import type { SecretInfo, Secrets } from "../tenants/secrets.js";
import type { Caller } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { Page, Paged, SecretView } from "./control.js";
import type { Ledger } from "./ledger.js";
import { paged } from "./paging.js";
import type { Live } from "./live.js";

export interface SecretPorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly secrets: Secrets;
  readonly live: Live;
}

export class SecretDesk {
  readonly #ports: SecretPorts;

  constructor(ports: SecretPorts) {
    this.#ports = ports;
  }

  list(caller: Caller, tenant: string, page: Page): Paged<SecretView> {
    this.#allow(caller, tenant, "read");
    const { secrets } = this.#ports;
    const { items, next } = paged(secrets.names(tenant), (name) => name, page);
    return { items: items.map((name) => this.#view(tenant, secrets.info(tenant, name) as SecretInfo)), next };
  }

  put(caller: Caller, tenant: string, name: string, value: string): Promise<SecretView> {
    return this.#ports.ledger.turn(async () => {
      this.#allow(caller, tenant, "deploy");
      const { secrets, live, ledger } = this.#ports;
      const before = secrets.info(tenant, name);
      const plan = secrets.put(tenant, name, value);
      const relinked = await live.withSecret(tenant, name, value);
      try {
        const deed = { tenant, action: "secret.put", subject: `secret ${name}`, before, after: { name } };
        await ledger.commit(caller, deed, [plan, { changes: [], apply: relinked.apply }]);
      } catch (error) {
        relinked.discard();
        throw error;
      }
      return this.#view(tenant, secrets.info(tenant, name) as SecretInfo);
    });
  }

  delete(caller: Caller, tenant: string, name: string): Promise<void> {
    return this.#ports.ledger.turn(async () => {
      this.#allow(caller, tenant, "deploy");
      const { secrets, live, ledger } = this.#ports;
      const before = secrets.info(tenant, name);
      if (before === undefined) throw noSuch("secret", name);
      const users = live.usersOf(tenant, name);
      if (users.length > 0) {
        throw new ProblemError(
          "request/conflict",
          `The secret ${name} is used by ${users.join(", ")}; deploy versions without it, or delete these, first.`,
        );
      }
      await ledger.commit(caller, { tenant, action: "secret.delete", subject: `secret ${name}`, before, after: undefined }, [
        secrets.remove(tenant, name),
      ]);
    });
  }

  #allow(caller: Caller, tenant: string, scope: "read" | "deploy"): void {
    requireScope(caller, tenant, scope);
    this.#ports.tenants.need(tenant);
  }

  #view(tenant: string, { name, updatedAt }: SecretInfo): SecretView {
    return { name, updatedAt, usedBy: this.#ports.live.usersOf(tenant, name) };
  }
}

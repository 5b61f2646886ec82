/** Tenants and their keys: the operator's part of the control plane. */
import type { KeyValue } from "../engine/kv.js";
import type { Catalog } from "../tasks/catalog.js";
import type { Router } from "../tasks/router.js";
import { require as requireScope } from "../tenants/access.js";
import type { Keys } from "../tenants/keys.js";
import type { TenantGates } from "../tenants/quotas.js";
import type { Secrets } from "../tenants/secrets.js";
import type { Caller, Key, Tenant, TenantSettings } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { CapacityDesk } from "./capacity.js";
import type { IssuedKey, KeyInput, Page, Paged, TenantView } from "./control.js";
import type { Ledger } from "./ledger.js";
import { paged } from "./paging.js";
import { checkRevision } from "./checks.js";

export interface TenantPorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly keys: Keys;
  readonly secrets: Secrets;
  readonly gates: TenantGates;
  readonly catalog: Catalog;
  readonly router: Router;
  readonly stores: KeyValue;
  readonly capacityDesk: Pick<CapacityDesk, "checkTerms" | "termsSet" | "forget">;
  /** Told when a tenant has gone from the state: what else it had goes with it. */
  gone(tenant: string): void;
}

export class TenantDesk {
  readonly #ports: TenantPorts;

  constructor(ports: TenantPorts) {
    this.#ports = ports;
  }

  /** A node's keys see all tenants, a tenant's key its own. */
  list(caller: Caller, page: Page): Paged<TenantView> {
    const own = caller.kind === "key" ? caller.key.tenant : undefined;
    requireScope(caller, own, "read");
    const { tenants } = this.#ports;
    const { items, next } = paged(own === undefined ? tenants.list() : [tenants.need(own)], ({ name }) => name, page);
    return { items: items.map((tenant) => this.#view(tenant)), next };
  }

  get(caller: Caller, name: string): TenantView {
    requireScope(caller, name, "read");
    return this.#view(this.#ports.tenants.need(name));
  }

  create(caller: Caller, name: string, settings: TenantSettings): Promise<TenantView> {
    requireScope(caller, undefined, "admin");
    return this.#ports.ledger.turn(async () => {
      const { tenants, ledger, stores, capacityDesk } = this.#ports;
      const plan = tenants.create(name, settings);
      if (settings.capacity !== undefined) capacityDesk.checkTerms(plan.tenant);
      // What a tenant of this name had before it was deleted, if a crash came between.
      if (stores.stores(name).length > 0) await stores.removeTenant(name);
      await ledger.commit(
        caller,
        { tenant: name, action: "tenant.create", subject: `tenant ${name}`, before: undefined, after: settings },
        [plan],
      );
      if (settings.capacity !== undefined) capacityDesk.termsSet(plan.tenant);
      await this.#settled(plan.tenant);
      return this.#view(plan.tenant);
    });
  }

  update(caller: Caller, name: string, settings: TenantSettings, ifRevision: number | undefined): Promise<TenantView> {
    requireScope(caller, undefined, "admin");
    return this.#ports.ledger.turn(async () => {
      const { tenants, ledger, capacityDesk } = this.#ports;
      const before = tenants.need(name);
      checkRevision(before.revision, ifRevision);
      const plan = tenants.update(name, settings);
      if (settings.capacity !== undefined) capacityDesk.checkTerms(plan.tenant);
      await ledger.commit(
        caller,
        { tenant: name, action: "tenant.update", subject: `tenant ${name}`, before: termsOf(before), after: settings },
        [plan],
      );
      const after = tenants.need(name);
      if (settings.capacity !== undefined) capacityDesk.termsSet(after);
      await this.#settled(after);
      return this.#view(after);
    });
  }

  /** Takes everything of the tenant with it; `default` stays. */
  delete(caller: Caller, name: string, ifRevision: number | undefined): Promise<void> {
    requireScope(caller, undefined, "admin");
    return this.#ports.ledger.turn(async () => {
      const { tenants, keys, secrets, catalog, ledger, stores, gates, capacityDesk } = this.#ports;
      const before = tenants.need(name);
      checkRevision(before.revision, ifRevision);
      const tasks = catalog.list(name);
      const plans = [tenants.remove(name), keys.removeAll(name), secrets.removeAll(name)];
      const deed = { tenant: name, action: "tenant.delete", subject: `tenant ${name}`, before: termsOf(before), after: undefined };
      // Its tasks are let go while they are still known.
      const letGo = { changes: [], apply: () => this.#ports.gone(name) };
      await ledger.commit(caller, deed, [letGo, ...plans, ...tasks.map((task) => catalog.remove(task))]);
      gates.forget(name);
      capacityDesk.forget(name);
      await stores.removeTenant(name);
    });
  }

  /** Brings what follows from a tenant's terms to where they are: the router's hosts, the stores' quota. */
  async #settled(tenant: Tenant): Promise<void> {
    this.#ports.router.planHosts(tenant.name, tenant.hosts)();
    await this.resized(tenant.name);
  }

  /** What the components leave of the quota is the stores'. */
  async resized(name: string): Promise<void> {
    const { tenants, stores, catalog } = this.#ports;
    const storedBytes = tenants.get(name)?.quotas.storedBytes;
    const left = storedBytes === undefined ? null : Math.max(0, storedBytes - catalog.componentBytes(name));
    if (stores.quota(name) !== left) await stores.setQuota(name, left);
  }

  #view(tenant: Tenant): TenantView {
    const { catalog, stores, gates } = this.#ports;
    const gate = gates.of(tenant.name);
    return {
      ...tenant,
      used: {
        tasks: catalog.count(tenant.name),
        storedBytes: catalog.componentBytes(tenant.name) + stores.usage(tenant.name),
        concurrency: gate.concurrency,
        memory: gate.memory,
      },
    };
  }
}

function termsOf({ hosts, folders, quotas, capacity, prefer, sidecars }: Tenant): TenantSettings {
  // What a sidecar is given may be a secret, and is nobody's to read in the audit log.
  return { hosts, folders, quotas, capacity, prefer, ...(sidecars && { sidecars: sidecars.map(({ use }) => use) }) };
}

export interface KeyPorts {
  readonly ledger: Ledger;
  readonly tenants: Tenants;
  readonly keys: Keys;
}

export class KeyDesk {
  readonly #ports: KeyPorts;

  constructor(ports: KeyPorts) {
    this.#ports = ports;
  }

  list(caller: Caller, tenant: string | undefined, page: Page): Paged<Key> {
    this.#allow(caller, tenant);
    return paged(this.#ports.keys.list(tenant), ({ createdAt, id }) => `${createdAt} ${id}`, page);
  }

  issue(caller: Caller, tenant: string | undefined, input: KeyInput): Promise<IssuedKey> {
    return this.#ports.ledger.turn(async () => {
      this.#allow(caller, tenant);
      const plan = this.#ports.keys.issue({ ...input, tenant });
      return this.#issue(caller, tenant, "key.create", undefined, plan);
    });
  }

  rotate(caller: Caller, tenant: string | undefined, id: string, graceMs: number): Promise<IssuedKey> {
    return this.#ports.ledger.turn(async () => {
      this.#allow(caller, tenant);
      const before = this.#ports.keys.find(tenant, id);
      return this.#issue(caller, tenant, "key.rotate", before, this.#ports.keys.rotate(id, graceMs));
    });
  }

  revoke(caller: Caller, tenant: string | undefined, id: string): Promise<void> {
    return this.#ports.ledger.turn(async () => {
      this.#allow(caller, tenant);
      const before = this.#ports.keys.find(tenant, id);
      const deed = { tenant, action: "key.revoke", subject: `key ${id}`, before, after: undefined };
      await this.#ports.ledger.commit(caller, deed, [this.#ports.keys.revoke(id)]);
    });
  }

  async #issue(
    caller: Caller,
    tenant: string | undefined,
    action: string,
    before: Key | undefined,
    plan: ReturnType<Keys["issue"]>,
  ): Promise<IssuedKey> {
    let issued: IssuedKey | undefined;
    const kept = { changes: plan.changes, apply: () => (issued = plan.apply()) };
    await this.#ports.ledger.commit(caller, { tenant, action, subject: `key ${(before ?? plan.key).id}`, before, after: plan.key }, [kept]);
    return issued as unknown as IssuedKey;
  }

  #allow(caller: Caller, tenant: string | undefined): void {
    requireScope(caller, tenant, "admin");
    if (tenant !== undefined) this.#ports.tenants.need(tenant);
  }
}

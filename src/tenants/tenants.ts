/**
 * The tenants of this node: their hosts, folders, quotas and terms of capacity, in memory, and how they change.
 *
 * Changes are plans: decided here on what is in memory, committed by the caller, and only then seen by readers. One
 * plan is committed and applied before the next is decided. What a tenant owns is taken away by those who keep it.
 */
import { PREFER_HELP, parsePreference } from "../base/preference.js";
import { ProblemError } from "../base/problem.js";
import { put, remove, table, type Plan, type StateStore } from "../state/store.js";
import { Faults, noSuch } from "./refusals.js";
import { checkCapacity, checkFolders, checkHosts, checkName, checkQuotas, hostOf, checkSidecars } from "./settings.js";
import { DEFAULT_TENANT, USUAL_TERMS, type CapacityTerms, type Tenant, type TenantSettings } from "./tenant.js";

/** One that was stored before there were terms has none. */
type TenantRow = Omit<Tenant, "capacity"> & { readonly capacity?: Partial<CapacityTerms> };

const TENANTS = table<TenantRow>("tenants");

/** A change of one tenant, and what it will be. */
export type TenantPlan = Plan<Tenant> & { readonly tenant: Tenant };

/** What an operator has said, checked; `null` takes a preference away. */
type Checked = Partial<Pick<Tenant, "hosts" | "folders" | "quotas" | "capacity" | "sidecars">> & { readonly prefer?: string | null };

function merged({ prefer: before, ...tenant }: Tenant, { prefer = before, ...fields }: Checked): Tenant {
  return { ...tenant, ...fields, ...(typeof prefer === "string" && { prefer }) };
}

export class Tenants {
  readonly #wall: () => number;
  readonly #tenants = new Map<string, Tenant>();
  readonly #ofHost = new Map<string, Tenant>();
  /** True until the default tenant, which a new node has in memory at once, is in the store as well. */
  #unsaved = false;

  /** `wall` must not go back (high-water.ts): a tenant's audit entries are told from those of one before it by time. */
  constructor(store: StateStore, wall: () => number) {
    this.#wall = wall;
    for (const { value } of store.list(TENANTS)) this.#show({ ...value, capacity: { ...USUAL_TERMS, ...value.capacity } });
    if (this.#tenants.has(DEFAULT_TENANT)) return;
    this.#show(this.#fresh(DEFAULT_TENANT));
    this.#unsaved = true;
  }

  /** For the first commit of a node: the default tenant. Without changes once it is stored. */
  ensured(): Plan<Tenant> {
    const tenant = this.#tenants.get(DEFAULT_TENANT) as Tenant;
    return {
      changes: this.#unsaved ? [put(TENANTS, DEFAULT_TENANT, tenant)] : [],
      apply: () => {
        this.#unsaved = false;
        return tenant;
      },
    };
  }

  get(name: string): Tenant | undefined {
    return this.#tenants.get(name);
  }

  /** The tenant of that name; throws `request/no-such-thing`. */
  need(name: string): Tenant {
    const tenant = this.#tenants.get(name);
    if (tenant === undefined) throw noSuch("tenant", name);
    return tenant;
  }

  /** By name. */
  list(): Tenant[] {
    return [...this.#tenants.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Whose host this is, as it comes in a request: in any case, with or without a port. */
  ofHost(host: string): Tenant | undefined {
    if (this.#ofHost.size === 0) return undefined;
    return this.#ofHost.get(hostOf(host));
  }

  /** Throws `request/invalid` with every wrong field, `request/conflict` when the name or a host is taken. */
  create(name: string, settings: TenantSettings): TenantPlan {
    const faults = new Faults();
    checkName(name, faults);
    const fields = this.#checked(settings, faults);
    if (this.#tenants.has(name)) throw new ProblemError("request/conflict", `There is a tenant ${name} already.`);
    return this.#putting(merged(this.#fresh(name), fields));
  }

  /** Throws as `create` does, and `request/no-such-thing`. */
  update(name: string, settings: TenantSettings): TenantPlan {
    const before = this.need(name);
    const fields = this.#checked(settings, new Faults(), before);
    return this.#putting({ ...merged(before, fields), revision: before.revision + 1 });
  }

  /** Takes the tenant alone; its keys and secrets have plans of their own. `default` is refused with `request/conflict`. */
  remove(name: string): Plan<Tenant> {
    const tenant = this.need(name);
    if (name === DEFAULT_TENANT)
      throw new ProblemError("request/conflict", "The tenant default stays: the shared host's paths are its own.");
    return {
      changes: [remove(TENANTS, name)],
      apply: () => {
        this.#hide(name);
        return tenant;
      },
    };
  }

  #checked(settings: TenantSettings, faults: Faults, of?: Tenant): Checked {
    const hosts = settings.hosts === undefined ? undefined : checkHosts(settings.hosts, faults);
    const folders = settings.folders === undefined ? undefined : checkFolders(settings.folders, faults);
    const quotas = settings.quotas === undefined ? undefined : checkQuotas(of?.quotas ?? {}, settings.quotas, faults);
    const capacity = settings.capacity === undefined ? undefined : checkCapacity(of?.capacity ?? USUAL_TERMS, settings.capacity, faults);
    const { prefer } = settings;
    if (typeof prefer === "string" && parsePreference(prefer) === undefined)
      faults.add("prefer", `${JSON.stringify(prefer)} is no preference; expected ${PREFER_HELP}`);
    const sidecars = settings.sidecars === undefined ? undefined : checkSidecars(settings.sidecars, faults);
    faults.check();
    for (const host of hosts ?? []) this.#refuseTaken(host, of);
    return {
      ...(hosts && { hosts }),
      ...(folders && { folders }),
      ...(quotas && { quotas }),
      ...(capacity && { capacity }),
      ...(prefer !== undefined && { prefer }),
      ...(sidecars && { sidecars }),
    };
  }

  /** Says whose the host is: only those who may see every tenant set hosts. */
  #refuseTaken(host: string, by: Tenant | undefined): void {
    const holder = this.#ofHost.get(host);
    if (holder === undefined || holder.name === by?.name) return;
    throw new ProblemError("request/conflict", `The host ${host} belongs to the tenant ${holder.name}.`);
  }

  #putting(tenant: Tenant): TenantPlan {
    return {
      tenant,
      changes: [put(TENANTS, tenant.name, tenant)],
      apply: () => {
        this.#hide(tenant.name);
        this.#show(tenant);
        return tenant;
      },
    };
  }

  #show(tenant: Tenant): void {
    this.#tenants.set(tenant.name, tenant);
    for (const host of tenant.hosts) this.#ofHost.set(host, tenant);
  }

  #hide(name: string): void {
    for (const host of this.#tenants.get(name)?.hosts ?? []) this.#ofHost.delete(host);
    this.#tenants.delete(name);
  }

  #fresh(name: string): Tenant {
    const createdAt = new Date(this.#wall()).toISOString();
    return { name, hosts: [], folders: [], quotas: {}, capacity: USUAL_TERMS, createdAt, revision: 1 };
  }
}

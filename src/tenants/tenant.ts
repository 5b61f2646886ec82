/** Who owns tasks, keys, stores and quotas; and what a key may do. */

import type { SidecarEntry } from "../sidecars/plan.js";
import type { TenantTerms, WhenFull } from "../pool/types.js";

/** `default` exists from the start; it alone has the paths of the shared host that do not begin with `/~`. */
export const DEFAULT_TENANT = "default";

/** Undefined: without limit. */
export interface Quotas {
  /** Requests a second, sustained; as many at once when there was a pause of a second. */
  readonly requestsPerSecond?: number | undefined;
  /** Runs at once. */
  readonly concurrency?: number | undefined;
  /** Sum of the memory limits of the runs that go on, in bytes. */
  readonly memory?: number | undefined;
  /** Keys and values in all stores of the tenant, and the components of its versions, in bytes. */
  readonly storedBytes?: number | undefined;
  readonly tasks?: number | undefined;
}

/** What a tenant may have of the node's capacity: set by the operator; manifests pick among it. */
export interface CapacityTerms extends TenantTerms {
  /** What may happen to a run whose sub-pool is full, each once; what the first says holds where a manifest says nothing. */
  readonly whenFull: readonly WhenFull[];
}

/** The shared sub-pool, like everybody. */
export const USUAL_TERMS: CapacityTerms = { dedicated: 0, variableCeiling: 0, whenFull: ["wait", "spill", "reject"], weight: 1 };

export interface Tenant {
  readonly name: string;
  /** Hosts that lead to this tenant's tasks alone: lower case, without port. No host has two tenants. */
  readonly hosts: readonly string[];
  /** Host folders (absolute) that its manifests may name in `files`, with what is in them. */
  readonly folders: readonly string[];
  readonly quotas: Quotas;
  readonly capacity: CapacityTerms;
  /** What counts when a provider is chosen for its calls, where neither they nor the calling task say; undefined: time. */
  readonly prefer?: string;
  /** Sidecars that every run of its tasks has. */
  readonly sidecars?: readonly SidecarEntry[];
  /** ISO 8601. */
  readonly createdAt: string;
  /** Goes up with each change; the ETag. */
  readonly revision: number;
}

/** What an operator says about a tenant. A field left out stays as it is. */
export interface TenantSettings {
  readonly hosts?: readonly string[] | undefined;
  readonly folders?: readonly string[] | undefined;
  /** `null` takes the limit away. */
  readonly quotas?: { readonly [K in keyof Quotas]?: number | null | undefined } | undefined;
  readonly capacity?: { readonly [K in keyof CapacityTerms]?: CapacityTerms[K] | undefined } | undefined;
  /** `null` takes it away. */
  readonly prefer?: string | null | undefined;
  /** Those that every run of its tasks has, as manifests name them; an empty list takes them away. */
  readonly sidecars?: readonly unknown[] | undefined;
}

/**
 * What a key may do with what is its tenant's; with everything on the node, when the key is the node's.
 * `admin`: everything, keys too, and tenants for the node's keys. `deploy`: tasks, versions, aliases, secrets, stores.
 * `invoke`: calls tasks that need a key. `debug`: sees times, traps and logs. `read`: sees all but secrets' values.
 * `admin` holds all others, `deploy` holds `debug` and `read`.
 */
export const SCOPES = ["admin", "deploy", "invoke", "debug", "read"] as const;
export type Scope = (typeof SCOPES)[number];

/** A key as it is stored and shown; the key's own text is shown once, when it is made. */
export interface Key {
  /** Names it in lists and in the audit log. */
  readonly id: string;
  /** Undefined: a key of the node. */
  readonly tenant: string | undefined;
  readonly scopes: readonly Scope[];
  /** What people call it. */
  readonly note: string | undefined;
  readonly createdAt: string;
  readonly expiresAt: string | undefined;
}

/** Who may call a task: everyone; keys of its tenant; those, and keys of the tenants named. Keys need `invoke`. */
export type Access = "public" | "key" | { readonly tenants: readonly string[] };

/** Who asks for something. */
export type Caller =
  | { readonly kind: "anonymous" }
  | { readonly kind: "key"; readonly key: Key; readonly may: ReadonlySet<Scope> }
  /** The process itself: its configuration, or the program that embeds it. */
  | { readonly kind: "operator"; readonly name: string };

export const ANONYMOUS: Caller = { kind: "anonymous" };

/** One thing that somebody did. */
export interface AuditEntry {
  /** Goes up by one with each; a number is left out only where a commit failed, and then nothing was done. */
  readonly sequence: number;
  readonly at: string;
  /** `key:<id>`, or `operator:<name>`. */
  readonly who: string;
  /** Undefined: about the node. */
  readonly tenant: string | undefined;
  /** `tenant.update`, `task.deploy`, `alias.set`, `key.revoke`, `secret.put`, … */
  readonly action: string;
  /** What it was done to: `task hello`, `key 3f…`. */
  readonly subject: string;
  /** What was there before and after, without secrets; undefined: nothing. */
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * Who may what: the one place that decides it. Pure functions over a caller and what the thing says of itself.
 *
 * A key acts within its tenant; a key of the node within every tenant, and on the node's own things; the operator is
 * not asked. What a key of another tenant asks about does not exist for it, in the same words as for a name that
 * nobody has.
 */
import { ProblemError } from "../base/problem.js";
import { noSuch } from "./refusals.js";
import type { Access, Caller, Key, Scope } from "./tenant.js";

/** What a scope holds besides itself. */
const HOLDS: Readonly<Record<Scope, readonly Scope[]>> = {
  admin: ["deploy", "invoke", "debug", "read"],
  // Who deploys code could have it print anything.
  deploy: ["debug", "read"],
  invoke: [],
  debug: [],
  read: [],
};

/** Keys live as long as they hold, so that a request does not pay for expanding their scopes. */
const callers = new WeakMap<Key, Caller>();

/** The caller that a key makes of whoever shows it. */
export function callerOf(key: Key): Caller {
  const known = callers.get(key);
  if (known !== undefined) return known;
  const may = new Set(key.scopes.flatMap((scope) => [scope, ...HOLDS[scope]]));
  const caller: Caller = { kind: "key", key, may };
  callers.set(key, caller);
  return caller;
}

/** How the audit log and versions name a caller. */
export function whoIs(caller: Caller): string {
  switch (caller.kind) {
    case "anonymous":
      return "anonymous";
    case "key":
      return `key:${caller.key.id}`;
    case "operator":
      return `operator:${caller.name}`;
  }
}

/** True if the caller has the scope on what is this tenant's. */
function has(caller: Caller, tenant: string, scope: Scope): boolean {
  if (caller.kind !== "key") return caller.kind === "operator";
  return caller.may.has(scope) && (caller.key.tenant === undefined || caller.key.tenant === tenant);
}

/** A task, as far as access goes. */
export interface Callable {
  readonly tenant: string;
  readonly access: Access;
}

/** Whom it refuses is told what is told where there is no task (stages/identify.ts): nobody learns that there is one. */
export function mayInvoke(caller: Caller, task: Callable): boolean {
  const { access } = task;
  if (access === "public" || has(caller, task.tenant, "invoke")) return true;
  if (access === "key" || caller.kind !== "key" || !caller.may.has("invoke")) return false;
  return caller.key.tenant !== undefined && access.tenants.includes(caller.key.tenant);
}

/**
 * Whether what a tenant's tasks begin may go on to this task: a guest shows no key, so it is the tenant that counts of the
 * run that began the chain. Nobody's task is talked into lending what its own tenant may.
 */
export function mayReach(tenant: string, { tenant: owner, access }: Callable): boolean {
  return access === "public" || tenant === owner || (access !== "key" && access.tenants.includes(tenant));
}

/** Whether traps, times and logs of a tenant's runs are for this caller's eyes. */
export function mayDebug(caller: Caller, tenant: string): boolean {
  return has(caller, tenant, "debug");
}

/** For no key, and for one that is unknown, revoked or expired: which of them it is, nobody learns. */
const NO_KEY = "Give a key that holds: Pilotlight-Key or Authorization: Bearer pl_…";

/**
 * Passes if the caller has the scope on this tenant's things; `tenant` undefined: on the node's. Else throws
 * `request/unauthorized` (no key, or one that does not hold), `request/no-such-thing` (the tenant is not the key's,
 * whether it exists or not), `request/forbidden` (the scope is missing, or the thing is the node's).
 */
export function require(caller: Caller, tenant: string | undefined, scope: Scope): void {
  if (caller.kind === "operator") return;
  if (caller.kind === "anonymous") throw new ProblemError("request/unauthorized", NO_KEY);
  const own = caller.key.tenant;
  if (own !== undefined && tenant === undefined)
    throw new ProblemError("request/forbidden", "This takes a key of the node; the key is a tenant's.");
  if (own !== undefined && own !== tenant) throw noSuch("tenant", tenant as string);
  if (!caller.may.has(scope)) throw new ProblemError("request/forbidden", `This takes a key with the scope ${scope}.`);
}

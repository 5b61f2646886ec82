/**
 * Which version answers a host and a path.
 *
 * A host that the operator granted leads to its tenant alone. Every other host, or those that the operator names, are
 * shared: there the default tenant has `/…` and each other tenant `/~<tenant>/…`; the longest route wins within one tenant, and no tenant's routes are
 * ever compared with another's. Nothing is decoded, and what a guest sees is the path as it came.
 */
import { ProblemError } from "../base/problem.js";
import { hostOf, normalHost } from "../tenants/settings.js";
import { DEFAULT_TENANT } from "../tenants/tenant.js";
import { RouteConflict, RouteTable, type Route } from "./routes.js";
import type { Task } from "./task.js";

/** Where the `live` alias of a task leads now. */
export interface LiveTask {
  readonly tenant: string;
  readonly name: string;
  /** Ascending by version; weights are above zero. */
  readonly choices: readonly Choice[];
  /** Lower case. */
  readonly sticky: string | undefined;
}

export interface Choice {
  /** Another of the same version once that is linked. */
  task: Task;
  readonly weight: number;
}

/** What a route leads to: one version, or one of several by weight. */
export interface Target {
  readonly choices: readonly Choice[];
  readonly total: number;
  readonly sticky: string | undefined;
}

interface Tables {
  /** The tenant's paths on the shared host. */
  readonly shared: RouteTable<Target>;
  readonly hosts: ReadonlyMap<string, RouteTable<Target>>;
}

interface TenantRoutes {
  readonly live: ReadonlyMap<string, LiveTask>;
  readonly hosts: readonly string[];
  readonly tables: Tables;
}

const NOBODY: TenantRoutes = { live: new Map(), hosts: [], tables: { shared: new RouteTable(), hosts: new Map() } };

export class Router {
  readonly #tenants = new Map<string, TenantRoutes>();
  readonly #ofHost = new Map<string, RouteTable<Target>>();
  /** The hosts that are shared; undefined: all that are nobody's. */
  readonly #shared: ReadonlySet<string> | undefined;

  /** `shared`: on every host that is neither one of these nor a tenant's, there is nothing. */
  #told: () => void = () => {};

  constructor(shared?: readonly string[]) {
    this.#shared = shared && new Set(shared.map((host) => normalHost(host)));
  }

  /** Of a `Host` field or authority, and a path without query. */
  match(authority: string, path: string): Target | undefined {
    if (this.#ofHost.size > 0 || this.#shared !== undefined) {
      const host = hostOf(authority);
      const table = this.#ofHost.get(host);
      if (table !== undefined) return table.match(path);
      if (this.#shared?.has(host) === false) return undefined;
    }
    if (path.charCodeAt(1) !== TILDE) return this.#tenants.get(DEFAULT_TENANT)?.tables.shared.match(path);
    const end = path.indexOf("/", 2);
    const tenant = end < 0 ? path.slice(2) : path.slice(2, end);
    return tenant === DEFAULT_TENANT ? undefined : this.#tenants.get(tenant)?.tables.shared.match(end < 0 ? "" : path.slice(end));
  }

  /** Where a task's `live` alias leads; undefined when it is not routed. */
  live(tenant: string, name: string): LiveTask | undefined {
    return this.#tenants.get(tenant)?.live.get(name);
  }

  /** What requests get now: of each task the version that most get. */
  *all(): IterableIterator<Task> {
    for (const { live } of this.#tenants.values())
      for (const { choices } of live.values()) yield choices.reduce((most, each) => (each.weight > most.weight ? each : most)).task;
  }

  /** Has somebody told whenever what requests get has changed. */
  whenChanged(told: () => void): void {
    this.#told = told;
  }

  /** Puts a task in place of one of the same version, wherever routes lead to it. */
  relink(before: Task, after: Task): void {
    for (const choice of this.live(before.tenant, before.name)?.choices ?? []) if (choice.task === before) choice.task = after;
  }

  /**
   * A change of a tenant's routes: tasks that are put in place of those of their names, and names that go. Throws
   * `request/conflict` when two tasks of the tenant have one route; nothing changes before the returned function is
   * called, and then everything does at once.
   */
  plan(tenant: string, put: readonly LiveTask[], gone: readonly string[] = []): () => void {
    const before = this.#tenants.get(tenant) ?? NOBODY;
    const live = new Map(before.live);
    for (const name of gone) live.delete(name);
    for (const task of put) live.set(task.name, task);
    return this.#swap(tenant, live, before.hosts);
  }

  /** The same for the hosts that lead to a tenant. */
  planHosts(tenant: string, hosts: readonly string[]): () => void {
    return this.#swap(tenant, this.#tenants.get(tenant)?.live ?? new Map(), hosts);
  }

  #swap(tenant: string, live: ReadonlyMap<string, LiveTask>, hosts: readonly string[]): () => void {
    const next: TenantRoutes = { live, hosts, tables: tablesOf([...live.values()], hosts) };
    return () => {
      queueMicrotask(this.#told);
      for (const host of this.#tenants.get(tenant)?.hosts ?? []) this.#ofHost.delete(host);
      if (live.size === 0 && hosts.length === 0) {
        this.#tenants.delete(tenant);
        return;
      }
      this.#tenants.set(tenant, next);
      for (const [host, table] of next.tables.hosts) this.#ofHost.set(host, table);
    };
  }
}

/** One of the target's versions: by the sticky header's value if there is one, else by chance. `random` gives [0, 1). */
export function pick(target: Target, header: (name: string) => string | undefined, random: () => number): Task {
  const { choices, total, sticky } = target;
  if (choices.length === 1) return (choices[0] as Choice).task;
  const value = sticky === undefined ? undefined : header(sticky);
  let at = (value === undefined ? random() : spread(value)) * total;
  for (const { task, weight } of choices) {
    at -= weight;
    if (at < 0) return task;
  }
  return (choices.at(-1) as Choice).task;
}

/** The routes of a manifest; without any, a task answers on `/<task>/*`. */
export function patternsOf(task: Pick<Task, "name" | "version">): readonly string[] {
  return task.version.manifest.routes ?? [`/${task.name}/*`];
}

const TILDE = 126;

function tablesOf(live: readonly LiveTask[], hosts: readonly string[]): Tables {
  const routes = live.flatMap(routesOf);
  const paths = routes.filter(({ pattern }) => pattern.startsWith("/"));
  const onHost = (host: string): RouteTable<Owned> => {
    const own = routes
      .filter(({ pattern }) => !pattern.startsWith("/") && normalHost(pattern.slice(0, pattern.indexOf("/"))) === host)
      .map(({ pattern, target }) => ({ pattern: pattern.slice(pattern.indexOf("/")), target }));
    // A path with its host wins over the same path without.
    const named = new Set(own.map(({ pattern }) => pattern));
    return tableOf([...own, ...paths.filter(({ pattern }) => !named.has(pattern))]);
  };
  return { shared: tableOf(paths), hosts: new Map(hosts.map((host) => [host, onHost(host)])) };
}

/** A target that can say whose it is, for the message about a conflict. */
interface Owned extends Target {
  readonly owner: string;
}

function routesOf({ name, choices, sticky }: LiveTask): Route<Owned>[] {
  const patterns = new Set(choices.flatMap(({ task }) => patternsOf(task)));
  // A version answers where its own manifest says so.
  return [...patterns].map((pattern) => {
    const able = choices.filter(({ task }) => patternsOf(task).includes(pattern));
    return { pattern, target: { owner: name, sticky, choices: able, total: able.reduce((sum, { weight }) => sum + weight, 0) } };
  });
}

function tableOf(routes: readonly Route<Owned>[]): RouteTable<Owned> {
  const table = new RouteTable<Owned>();
  try {
    table.replace(routes);
  } catch (error) {
    if (!(error instanceof RouteConflict)) throw error;
    const [first, second] = [error.first, error.second] as unknown as readonly [Route<Owned>, Route<Owned>];
    throw new ProblemError(
      "request/conflict",
      `The task ${second.target.owner} has the route ${second.pattern}, which matches the same paths as ${first.pattern} of the task ${first.target.owner}; change one of them.`,
    );
  }
  return table;
}

/** A number from [0, 1) that is the same for the same text, and spread evenly: FNV-1a, then murmur3's finish. */
function spread(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

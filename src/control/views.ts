/** How tasks, versions and aliases look from outside. */
import { targetsOf, type AliasRecord, type AliasTargets, type StoredTask, type VersionRecord } from "../tasks/catalog.js";
import type { Manifest } from "../tasks/manifest.js";
import { patternsOf } from "../tasks/router.js";
import { versionLabel, type Task } from "../tasks/task.js";
import { DEFAULT_TENANT } from "../tenants/tenant.js";
import { LIVE } from "./checks.js";
import type { AliasView, Deployed, TaskView, VersionView } from "./control.js";

/** `dataUrl` is `http://HOST:PORT/` of the data plane; undefined while it does not listen. */
export function taskView(task: StoredTask, dataUrl: string | undefined): TaskView {
  const live = task.aliases.get(LIVE);
  const newest = [...task.versions.values()].at(-1);
  const shown = live === undefined ? newest : task.versions.get(heaviest(live));
  const manifest = shown === undefined ? undefined : shownOf(shown);
  const routes = live === undefined || manifest === undefined ? [] : routesOf(task.name, manifest);
  return {
    name: task.name,
    tenant: task.tenant,
    aliases: [...task.aliases].map(([name, alias]) => aliasView(name, alias)).sort((a, b) => (a.name < b.name ? -1 : 1)),
    versions: task.versions.size,
    routes,
    urls: urlsOf(dataUrl, task.tenant, routes),
    access: manifest?.access ?? "public",
    createdAt: task.createdAt,
    revision: task.revision,
  };
}

export function deployedView(
  task: StoredTask,
  version: VersionRecord,
  created: boolean,
  alias: string | null,
  dataUrl: string | undefined,
): Deployed {
  const manifest = shownOf(version);
  return {
    tenant: task.tenant,
    task: task.name,
    version: versionLabel(version.number),
    created,
    digest: version.digest,
    alias: alias ?? undefined,
    urls: urlsOf(dataUrl, task.tenant, routesOf(task.name, manifest)),
    access: manifest.access,
  };
}

/** Where routes can be reached; a trailing `/*` is left out, since the bare path is served too. */
function urlsOf(base: string | undefined, tenant: string, routes: readonly string[]): string[] {
  if (base === undefined) return [];
  const shared = `${base.slice(0, -1)}${tenant === DEFAULT_TENANT ? "" : `/~${tenant}`}`;
  const port = new URL(base).port;
  return routes.map((route) => {
    const path = route.endsWith("/*") ? route.slice(0, -2) : route;
    if (route.startsWith("/")) return shared + path === base.slice(0, -1) ? base : shared + path;
    const slash = route.indexOf("/");
    return `http://${route.slice(0, slash)}${port === "" ? "" : `:${port}`}${path.slice(slash) || "/"}`;
  });
}

export function aliasView(name: string, record: AliasRecord): AliasView {
  return { name, ...targetsOf(record), updatedAt: record.updatedAt, revision: record.revision, previous: record.previous };
}

export function versionView(task: StoredTask, version: VersionRecord): VersionView {
  const label = versionLabel(version.number);
  return {
    version: label,
    digest: version.digest,
    componentBytes: version.componentBytes,
    manifest: version.manifest,
    createdAt: version.createdAt,
    createdBy: version.createdBy,
    aliases: aliasesTo(task, label),
  };
}

export function aliasesTo(task: StoredTask, label: string): string[] {
  return [...task.aliases]
    .filter(([, { targets }]) => Object.hasOwn(targets, label))
    .map(([name]) => name)
    .sort();
}

export function aliasTargets(task: StoredTask): Record<string, AliasTargets> {
  return Object.fromEntries([...task.aliases].map(([name, alias]) => [name, targetsOf(alias)]));
}

function heaviest({ targets }: AliasTargets): string {
  return Object.entries(targets).reduce((best, entry) => (entry[1] > best[1] ? entry : best), ["", 0] as [string, number])[0];
}

/** What views show of a stored manifest, without reading all of it. */
function shownOf({ manifest }: VersionRecord): Pick<Manifest, "access" | "routes"> {
  return { access: manifest.access ?? "public", routes: manifest.routes };
}

function routesOf(name: string, manifest: Pick<Manifest, "routes">): readonly string[] {
  return patternsOf({ name, version: { manifest } as Task["version"] });
}

/** What a deploy or a change of an alias is held against: pure functions, which throw the problem. */
import { realpathSync, statSync } from "node:fs";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { ProblemError, type FieldError } from "../base/problem.js";
import { targetsOf, type AliasRecord, type AliasTargets, type StoredTask, type VersionRecord } from "../tasks/catalog.js";
import { checkManifest, type Manifest } from "../tasks/manifest.js";
import { versionNumber } from "../tasks/task.js";
import { invalid, noSuch } from "../tenants/refusals.js";
import { normalHost } from "../tenants/settings.js";
import type { Tenant } from "../tenants/tenant.js";
import type { AliasSettings } from "./control.js";

/** The alias that routes lead to. */
export const LIVE = "live";
const ALIAS = /^[a-z][a-z0-9-]{0,62}$/;
const HEADER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const MOST_WEIGHT = 1_000_000;

/**
 * What a manifest asks for and the tenant does not have, all of it. `anyFolder`: for the process itself. `capacity`: what is
 * wrong with what it picks of the tenant's terms. Throws `request/invalid`.
 */
export function checkGranted(
  tenant: Tenant,
  manifest: Manifest,
  anyFolder: boolean,
  hasSecret: (name: string) => boolean,
  capacity: readonly FieldError[],
): void {
  const errors: FieldError[] = capacity.map(({ field, message }) => ({ field: `manifest.${field}`, message }));
  for (const [i, pattern] of (manifest.routes ?? []).entries()) {
    const host = pattern.slice(0, pattern.indexOf("/"));
    if (host !== "" && !tenant.hosts.includes(normalHost(host))) {
      errors.push({ field: `manifest.routes[${i}]`, message: `the host ${host} is not granted to this tenant; its operator grants hosts` });
    }
  }
  for (const [i, { host }] of manifest.files.entries()) {
    const granted = anyFolder || tenant.folders.some((folder) => isWithin(folder, host));
    if (!granted)
      errors.push({
        field: `manifest.files[${i}].host`,
        message: `the folder ${host} is not granted to this tenant; its operator grants folders`,
      });
    else if (!isFolder(host)) errors.push({ field: `manifest.files[${i}].host`, message: `there is no folder ${host}` });
  }
  for (const [i, secret] of manifest.secrets.entries()) {
    if (!hasSecret(secret)) {
      errors.push({
        field: `manifest.secrets[${i}]`,
        message: secretMissing(secret),
      });
    }
  }
  if (errors.length > 0) throw invalid(errors);
}

/** A document as a manifest; what is wrong is said of fields below `where`. Throws `request/invalid`. */
export function needManifest(document: unknown, where: string): Manifest {
  const checked = checkManifest(document);
  if (!("errors" in checked)) return checked.manifest;
  throw invalid(checked.errors.map(({ field, message }) => ({ field: `${where}.${field}`, message })));
}

export function secretMissing(name: string): string {
  return `there is no secret ${name}; set it first: pilotlight secrets set ${name}`;
}

/** The version that these bytes and this manifest are already. */
export function findSame(
  task: StoredTask | undefined,
  { digest, manifest }: Pick<VersionRecord, "digest" | "manifest">,
): VersionRecord | undefined {
  if (task === undefined) return undefined;
  const wanted = canonical(manifest);
  return [...task.versions.values()].reverse().find((version) => version.digest === digest && canonical(version.manifest) === wanted);
}

export function leadsOnlyTo(alias: AliasRecord | undefined, label: string): boolean {
  return alias !== undefined && Object.keys(alias.targets).length === 1 && Object.hasOwn(alias.targets, label);
}

/** JSON with the fields of objects in order. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

export function needVersion(task: StoredTask, label: string): VersionRecord {
  const version = task.versions.get(label);
  if (version === undefined) throw noSuch("version", label);
  return version;
}

export function needAlias(task: StoredTask, name: string): AliasRecord {
  const alias = task.aliases.get(name);
  if (alias === undefined) throw noSuch("alias", name);
  return alias;
}

export function checkAlias(name: string): void {
  if (ALIAS.test(name) && versionNumber(name) === undefined) return;
  throw invalid([
    {
      field: "alias",
      message:
        'expected a name such as "live": lower-case letters, digits and dashes, a letter first, at most 63 long, and no version such as "v7"',
    },
  ]);
}

export function checkTargets({ targets, sticky }: AliasSettings): AliasTargets {
  const errors: FieldError[] = [];
  const entries = Object.entries(targets);
  if (entries.length === 0)
    errors.push({ field: "targets", message: 'expected at least one version with its weight, such as { "v7": 90, "v8": 10 }' });
  for (const [label, weight] of entries) {
    if (versionNumber(label) === undefined) errors.push({ field: `targets.${label}`, message: 'expected a version such as "v7"' });
    else if (!Number.isSafeInteger(weight) || weight < 1 || weight > MOST_WEIGHT) {
      errors.push({
        field: `targets.${label}`,
        message: `expected a whole number from 1 to ${MOST_WEIGHT}; leave a version out that should get nothing`,
      });
    }
  }
  if (sticky !== undefined && !HEADER.test(sticky))
    errors.push({ field: "sticky", message: 'expected the name of a header, such as "x-user"' });
  if (errors.length > 0) throw invalid(errors);
  return targetsOf({ targets, sticky: sticky?.toLowerCase() });
}

/** Throws `request/changed-meanwhile`. */
export function checkRevision(revision: number, wanted: number | undefined): void {
  if (wanted === undefined || wanted === revision) return;
  throw new ProblemError(
    "request/changed-meanwhile",
    revision === 0 ? "It is not there any more." : `It has the revision ${revision} by now, and not ${wanted}.`,
  );
}

/** True if the path is the folder or below it, wherever links lead. */
function isWithin(folder: string, path: string): boolean {
  if (!isAbsolute(path)) return false;
  const [above, below] = [real(folder), real(path)];
  const way = relative(above, below);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** What may be said about a tenant: each check returns the normal form, and adds what is wrong to the faults. */
import { isIPv6 } from "node:net";
import { isAbsolute, resolve } from "node:path";
import type { WhenFull } from "../pool/types.js";
import type { SidecarEntry } from "../sidecars/plan.js";
import { readSidecars } from "../tasks/manifest.js";
import type { Faults } from "./refusals.js";
import type { CapacityTerms, Quotas, TenantSettings } from "./tenant.js";

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
const HOST_HELP = 'expected a host such as "acme.example.com", without scheme, port, path or wildcard; names outside ASCII in punycode';

/** The quotas that there are; the value says whether a part of one makes sense. */
const QUOTAS: Readonly<Record<keyof Quotas, "number" | "whole">> = {
  requestsPerSecond: "number",
  concurrency: "whole",
  memory: "whole",
  storedBytes: "whole",
  tasks: "whole",
};

const WHEN_FULL: readonly WhenFull[] = ["wait", "spill", "reject"];
const MOST_CELLS = 10_000;
const [LEAST_WEIGHT, MOST_WEIGHT] = [0.01, 1000];

/** What each term may be; whether the node has as much is for the control plane to say. */
const TERMS: Readonly<Record<keyof CapacityTerms, { readonly fits: (value: unknown) => boolean; readonly expected: string }>> = {
  dedicated: {
    fits: (cells) => Number.isSafeInteger(cells) && (cells as number) >= 0 && (cells as number) <= MOST_CELLS,
    expected: `a whole number of cells from 0 to ${MOST_CELLS}`,
  },
  variableCeiling: {
    fits: (share) => typeof share === "number" && share >= 0 && share <= 1,
    expected: "a share from 0 to 1 (0% to 100%)",
  },
  whenFull: {
    fits: (all) => Array.isArray(all) && all.length > 0 && new Set(all).size === all.length && all.every((one) => WHEN_FULL.includes(one)),
    expected: `at least one of ${WHEN_FULL.join(", ")}, each at most once`,
  },
  weight: {
    fits: (weight) => typeof weight === "number" && weight >= LEAST_WEIGHT && weight <= MOST_WEIGHT,
    expected: `a number from ${LEAST_WEIGHT} to ${MOST_WEIGHT}; 1 is usual`,
  },
};

/** The same rule as for tasks; also for whoever names a tenant, where a tenant need not exist. */
export function isName(name: string): boolean {
  return NAME.test(name);
}

export function checkName(name: string, faults: Faults): void {
  if (isName(name)) return;
  faults.add("name", "expected a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long");
}

export function checkHosts(hosts: readonly string[], faults: Faults): string[] {
  const normal = hosts.map((host) => normalHost(host));
  for (const [i, host] of normal.entries()) {
    if (!isHost(host)) faults.add(`hosts[${i}]`, HOST_HELP);
    else if (normal.indexOf(host) < i) faults.add(`hosts[${i}]`, `${host} is there twice`);
  }
  return normal;
}

/** One spelling of each host, so that nobody gets a second one of what another holds: case, final dot, IPv6 zeros. */
export function normalHost(host: string): string {
  const lower = host.toLowerCase();
  if (isAddress(lower)) return new URL(`http://${lower}`).hostname;
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** The host of an authority in the form that tenants' hosts have, without its port. */
export function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(":");
  return normalHost(colon < 0 || authority.indexOf("]", colon) >= 0 ? authority : authority.slice(0, colon));
}

/** An IPv6 address in brackets. One with a zone (`%eth0`) is none that a URL can have. */
function isAddress(host: string): boolean {
  return host.startsWith("[") && host.endsWith("]") && isIPv6(host.slice(1, -1)) && URL.canParse(`http://${host}`);
}

function isHost(host: string): boolean {
  return isAddress(host) || (host.length <= 253 && host.split(".").every((label) => LABEL.test(label)));
}

export function checkFolders(folders: readonly string[], faults: Faults): string[] {
  for (const [i, folder] of folders.entries()) {
    if (!isAbsolute(folder) || folder.includes("\0")) faults.add(`folders[${i}]`, 'expected an absolute path, such as "/srv/acme"');
  }
  return [...new Set(folders.map((folder) => resolve(folder)))];
}

/** The quotas as they will be: what is not named stays, `null` takes a limit away. */
export function checkQuotas(before: Quotas, change: NonNullable<TenantSettings["quotas"]>, faults: Faults): Quotas {
  const quotas: Record<string, number> = {};
  for (const [name, value] of Object.entries(before)) if (value !== undefined) quotas[name] = value;
  for (const [name, value] of Object.entries(change)) {
    if (value === null) delete quotas[name];
    else if (value !== undefined && isQuota(name, value, faults)) quotas[name] = value;
  }
  return quotas;
}

function isQuota(name: string, value: number, faults: Faults): boolean {
  const kind = Object.hasOwn(QUOTAS, name) ? QUOTAS[name as keyof Quotas] : undefined;
  const field = `quotas.${name}`;
  if (kind === undefined) faults.add(field, `unknown field; there are ${Object.keys(QUOTAS).join(", ")}`);
  else if (typeof value !== "number" || !Number.isFinite(value) || value <= 0)
    faults.add(field, "expected a number above zero, or null for no limit");
  else if (kind === "whole" && !Number.isSafeInteger(value)) faults.add(field, "expected a whole number, or null for no limit");
  else return true;
  return false;
}

/** The terms as they will be: what is not named stays. */
export function checkCapacity(before: CapacityTerms, change: NonNullable<TenantSettings["capacity"]>, faults: Faults): CapacityTerms {
  const terms: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined) continue;
    const term = Object.hasOwn(TERMS, name) ? TERMS[name as keyof CapacityTerms] : undefined;
    if (term === undefined) faults.add(`capacity.${name}`, `unknown field; there are ${Object.keys(TERMS).join(", ")}`);
    else if (term.fits(value)) terms[name] = value;
    else faults.add(`capacity.${name}`, `expected ${term.expected}`);
  }
  return terms as unknown as CapacityTerms;
}

/** As a manifest would name them; `use` alone may be said as a text. */
export function checkSidecars(sidecars: readonly unknown[], faults: Faults): readonly SidecarEntry[] {
  const checked = readSidecars(sidecars.map((entry) => (typeof entry === "string" ? { use: entry } : entry)));
  if (!("errors" in checked)) return checked.sidecars;
  for (const { field, message } of checked.errors) faults.add(`sidecars${field}`, message);
  return [];
}

/**
 * Whether node_modules is what the lock file says, told by contents: npm leaves in
 * node_modules/.package-lock.json what it installed, and writes it last. So an interrupted install, a lock
 * file changed by a pull and an `npm install` by hand are all seen for what they are, and none needs times.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, devOptional?: boolean, peer?: boolean, link?: boolean }} LockedPackage
 * @typedef {{ packages: Record<string, LockedPackage> }} Lock
 */

/**
 * Why the dependencies must be installed, or undefined when they are in place.
 * @param {string} root
 * @returns {string | undefined}
 */
export function dependencyProblem(root) {
  const wanted = readLock(join(root, "package-lock.json"));
  if (wanted === undefined) return undefined; // nothing to install from
  const installed = readLock(join(root, "node_modules/.package-lock.json"));
  if (installed === undefined) return "missing";
  const difference = lockDifference(wanted, installed);
  if (difference !== undefined) return difference;
  const gone = Object.keys(installed.packages).find((path) => path !== "" && !existsSync(join(root, path)));
  return gone === undefined ? undefined : `${gone} is gone`;
}

/**
 * The first way in which what is installed falls short of what the lock file asks for. Optional packages may be
 * absent: npm leaves out those of other platforms. More may be there: that is somebody's `npm install --no-save`.
 * @param {Lock} wanted
 * @param {Lock} installed
 * @returns {string | undefined}
 */
export function lockDifference(wanted, installed) {
  for (const [path, entry] of Object.entries(wanted.packages)) {
    if (path === "") continue;
    const found = installed.packages[path];
    if (found === undefined) {
      if (entry.optional || entry.devOptional || entry.peer) continue;
      return `${nameOf(path)} is not installed`;
    }
    if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return `${nameOf(path)} is ${found.version}, the lock file says ${entry.version}`;
    }
  }
  return undefined;
}

/** @param {string} path */
function nameOf(path) {
  return path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
}

/**
 * @param {string} path
 * @returns {Lock | undefined}
 */
function readLock(path) {
  try {
    const lock = JSON.parse(readFileSync(path, "utf8"));
    return typeof lock.packages === "object" ? lock : undefined;
  } catch {
    return undefined;
  }
}

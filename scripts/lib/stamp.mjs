/**
 * Whether something built is older than what it was built from, told by contents and not by times: after a
 * `git clone`, a checkout or a copy, times say nothing.
 *
 * A stamp is a small JSON file beside what was built. It holds the digest of the inputs, and the size of the
 * result as a guard against one that was cut short or put there by hand.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * The files under `paths` (files or folders, relative to `root`; missing ones are passed over), as sorted
 * paths with forward slashes.
 * @param {string} root
 * @param {string[]} paths
 * @param {{ keep?: (path: string) => boolean, skip?: string[] }} [options] `skip`: folder names never entered
 */
export function listFiles(root, paths, { keep = () => true, skip = ["node_modules", "target"] } = {}) {
  /** @type {string[]} */
  const files = [];
  /** @param {string} path */
  const visit = (path) => {
    const stats = statSync(join(root, path), { throwIfNoEntry: false });
    if (stats === undefined) return;
    if (stats.isFile()) {
      if (keep(path)) files.push(path);
      return;
    }
    for (const name of readdirSync(join(root, path))) if (!skip.includes(name)) visit(`${path}/${name}`);
  };
  paths.forEach(visit);
  return files.sort();
}

/**
 * One digest of files (names and contents) and of any other facts a build depends on.
 * @param {string} root
 * @param {string[]} files
 * @param {string[]} [facts]
 */
export function digestOf(root, files, facts = []) {
  const hash = createHash("sha256");
  for (const fact of facts) hash.update(`fact ${fact}\n`);
  for (const file of files) {
    const bytes = readFileSync(join(root, file));
    hash.update(`file ${file} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex");
}

/**
 * Why `output` must be built, or undefined when it is up to date.
 * @param {string} output
 * @param {string} stamp
 * @param {string} inputs the digest of what it is built from now
 * @returns {"missing" | "sources changed" | "not from here" | undefined}
 */
export function staleness(output, stamp, inputs) {
  const stats = statSync(output, { throwIfNoEntry: false });
  if (stats === undefined) return "missing";
  const recorded = readStamp(stamp);
  if (recorded === undefined) return "not from here";
  if (recorded.inputs !== inputs) return "sources changed";
  return stats.isFile() && stats.size !== recorded.size ? "not from here" : undefined;
}

/**
 * Records that `output` was built from `inputs`.
 * @param {string} output
 * @param {string} stamp
 * @param {string} inputs
 */
export function writeStamp(output, stamp, inputs) {
  const stats = statSync(output);
  writeWhole(stamp, `${JSON.stringify({ inputs, size: stats.isFile() ? stats.size : 0 })}\n`);
}

/**
 * Writes a file so that nobody ever reads half of it.
 * @param {string} path
 * @param {string | Uint8Array} content
 */
export function writeWhole(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  const next = `${path}.${process.pid}.tmp`;
  writeFileSync(next, content);
  renameSync(next, path);
}

/**
 * @param {string} path
 * @returns {{ inputs: string, size: number } | undefined}
 */
function readStamp(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined; // missing, or cut short: both mean "build it"
  }
}

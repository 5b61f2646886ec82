/**
 * What the repository promises about itself. Each function takes contents and gives the broken promises as
 * lines for a reader: where, what is wrong, what would be right.
 */
import { createHash } from "node:crypto";
import { missingOptional } from "./lockfile.mjs";

const MAX_BYTES = 512 * 1024;

/** @typedef {Record<string, { sha256: string }>} Digests */

/**
 * Every dependency is one exact version.
 * @param {Record<string, any>} manifest package.json
 */
export function pinProblems(manifest) {
  const fields = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "overrides"];
  return fields.flatMap((field) =>
    Object.entries(manifest[field] ?? {})
      .filter(([, version]) => typeof version !== "string" || !/^\d+\.\d+\.\d+(-[\w.-]+)?$/.test(version))
      .map(([name, version]) => `package.json: ${field}.${name} is ${JSON.stringify(version)}; give one exact version`),
  );
}

/**
 * The lock file is of this package.json, knows the packages of every platform, and names no registry: whoever
 * installs uses their own.
 * @param {Record<string, any>} manifest
 * @param {{ packages: Record<string, Record<string, any>> }} lock
 */
export function lockProblems(manifest, lock) {
  const problems = [];
  const root = lock.packages[""] ?? {};
  for (const field of ["version", "dependencies", "devDependencies", "optionalDependencies"]) {
    if (canonical(root[field]) !== canonical(manifest[field])) {
      problems.push(`package-lock.json: ${field} differs from package.json; run npm install`);
    }
  }
  const named = Object.entries(lock.packages).find(([, entry]) => typeof entry.resolved === "string" && /^https?:/.test(entry.resolved));
  if (named !== undefined) {
    problems.push(`package-lock.json: ${named[0]} names a registry; delete the lines with "resolved" (.npmrc keeps npm from writing them)`);
  }
  const missing = missingOptional(lock);
  if (missing.length > 0) {
    problems.push(
      `package-lock.json: ${missing.length} packages of other platforms have no entry, ${missing[0]?.name} first; npm run fix adds them`,
    );
  }
  return problems;
}

/**
 * The crates of wasmtime are of one version, pinned where they are asked for; nothing comes from a git
 * repository; and the addon has the version of the package.
 * @param {string} cargoToml of the workspace
 * @param {string} cargoLock
 * @param {string} version of package.json
 */
export function nativeProblems(cargoToml, cargoLock, version) {
  const problems = [];
  const crates = [...cargoLock.matchAll(/name = "([^"]+)"\nversion = "([^"]+)"(?:\nsource = "([^"]+)")?/g)];
  const wasmtime = crates.filter(([, name]) => /^wasmtime(-wasi|-wasi-http)?$/.test(name ?? ""));
  if (new Set(wasmtime.map(([, , found]) => found)).size !== 1) {
    const list = wasmtime.map(([, name, found]) => `${name} ${found}`).join(", ");
    problems.push(`native/Cargo.lock: the wasmtime crates must be of one version; found ${list || "none"}`);
  }
  for (const [, name, , source] of crates) {
    if (source?.startsWith("git+")) problems.push(`native/Cargo.lock: ${name} comes from a git repository; use a released version`);
  }
  const native = /^version = "([^"]+)"/m.exec(cargoToml)?.[1];
  if (native !== version) problems.push(`native/Cargo.toml: version is ${native}, package.json says ${version}; make them equal`);
  return problems;
}

/**
 * Every committed component is listed with its digest, and every listed one is there and unchanged.
 * @param {Record<string, Digests>} lists digest files by path: guests/digests.json, examples/<name>/digests.json
 * @param {string[]} files everything in the repository
 * @param {(file: string) => Uint8Array} read
 */
export function digestProblems(lists, files, read) {
  const problems = [];
  const listed = listedComponents(lists, files);
  for (const { list, name, sha256, file } of listed) {
    if (file === undefined) problems.push(`${list}: ${name} is listed, but there is no ${name}.wasm`);
    else if (createHash("sha256").update(read(file)).digest("hex") !== sha256) {
      problems.push(`${file}: its sha256 is not the one in ${list}; build it again with the command given there`);
    }
  }
  for (const file of files) {
    if (file.endsWith(".wasm") && !listed.some((entry) => entry.file === file)) {
      problems.push(`${file}: a component without a digest; list it in the digests.json above it, or do not commit it`);
    }
  }
  return problems;
}

/**
 * No big files but listed components.
 * @param {{ file: string, bytes: number }[]} sizes
 * @param {Record<string, Digests>} lists
 */
export function sizeProblems(sizes, lists) {
  const listed = new Set(
    listedComponents(
      lists,
      sizes.map(({ file }) => file),
    ).map(({ file }) => file),
  );
  return sizes
    .filter(({ file, bytes }) => bytes > MAX_BYTES && !listed.has(file))
    .map(
      ({ file, bytes }) =>
        `${file}: ${Math.ceil(bytes / 1024)} KiB; only components listed in a digests.json may exceed ${MAX_BYTES / 1024} KiB`,
    );
}

/**
 * No test file runs a part of its tests alone.
 * @param {string} file
 * @param {string} text
 */
export function onlyProblems(file, text) {
  const lines = text.split("\n");
  return lines.flatMap((line, i) =>
    /\b(it|test|describe|suite|bench)(\.\w+)*\.only\b/.test(line) ? [`${file}:${i + 1}: .only left in`] : [],
  );
}

/**
 * @param {Record<string, Digests>} lists
 * @param {string[]} files
 */
function listedComponents(lists, files) {
  const known = new Set(files);
  return Object.entries(lists).flatMap(([list, digests]) => {
    const folder = list.slice(0, list.lastIndexOf("/"));
    return Object.entries(digests).map(([name, { sha256 }]) => {
      const file = [`${folder}/${name}/${name}.wasm`, `${folder}/${name}.wasm`, `${folder}/${name}`].find((path) => known.has(path));
      return { list, name, sha256, file };
    });
  });
}

/** @param {unknown} value */
function canonical(value) {
  if (value === undefined || value === null) return "none";
  if (typeof value !== "object") return JSON.stringify(value);
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

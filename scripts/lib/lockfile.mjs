/**
 * A lock file that is good on every platform.
 *
 * Tools written in Rust, Go or Zig come as a package for each platform, all optional. npm writes down only those
 * it could look up: with a registry that lacks some of them, or with the node_modules of another platform at
 * hand, it leaves entries out, and then refuses its own lock file in `npm ci`. The missing entries are known
 * from what asks for them (an exact version) and from their names (the platform), so they can be put back.
 */

/**
 * @typedef {{ version?: string, dev?: boolean, optional?: boolean, optionalDependencies?: Record<string, string>,
 *   os?: string[], cpu?: string[], libc?: string[] }} Entry
 * @typedef {{ packages: Record<string, Entry> }} Lock
 */

const EXACT = /^\d+\.\d+\.\d+(-[\w.-]+)?$/;

/**
 * The optional packages that the lock file asks for and has no entry for.
 * @param {Lock} lock
 */
export function missingOptional(lock) {
  return Object.entries(lock.packages).flatMap(([parent, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name, version]) => !isResolved(lock, parent, name, version))
      .map(([name, version]) => ({ parent, name, version })),
  );
}

/**
 * The lock file with an entry for each of those. Throws for a package whose version or platform cannot be told.
 * @param {Lock} lock
 * @returns {Lock}
 */
export function completed(lock) {
  const packages = { ...lock.packages };
  for (const { parent, name, version } of missingOptional(lock)) {
    if (!EXACT.test(version)) throw new Error(`${name}: ${version} is not one exact version`);
    const top = `node_modules/${name}`;
    const path = packages[top] === undefined || packages[top].version === version ? top : `${parent}/${top}`;
    packages[path] = { version, ...(lock.packages[parent]?.dev ? { dev: true } : {}), optional: true, ...platformOf(name) };
  }
  const root = Object.entries(packages).filter(([path]) => path === "");
  const rest = Object.entries(packages).filter(([path]) => path !== "");
  return { ...lock, packages: Object.fromEntries([...root, ...rest.sort(([a], [b]) => a.localeCompare(b, "en"))]) };
}

const SYSTEMS = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const PROCESSORS = ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64"];
const OTHER_WORDS = /** @type {Record<string, string>} */ ({ windows: "win32", 64: "x64" });

/**
 * What a package's name says of the platform it is for.
 * @param {string} name
 * @returns {Pick<Entry, "os" | "cpu" | "libc">}
 */
export function platformOf(name) {
  const words = name.split(/[/-]/).map((word) => OTHER_WORDS[word] ?? word);
  if (words.includes("wasm32")) return { cpu: ["wasm32"] };
  const os = words.find((word) => SYSTEMS.includes(word));
  const cpu = words.find((word) => PROCESSORS.includes(word));
  if (os === undefined || cpu === undefined) throw new Error(`${name}: its name does not say which platform it is for`);
  const libc = words.some((word) => word.startsWith("musl")) ? "musl" : words.some((word) => word.startsWith("gnu")) ? "glibc" : undefined;
  return { os: [os], cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc] }) };
}

/**
 * Whether Node's look-up from `parent` finds an entry that will do: of that version, if one exact version is
 * asked for.
 * @param {Lock} lock
 * @param {string} parent
 * @param {string} name
 * @param {string} version
 */
function isResolved(lock, parent, name, version) {
  for (let folder = parent; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("node_modules/") - 1))) {
    const found = lock.packages[`${folder === "" ? "" : `${folder}/`}node_modules/${name}`];
    if (found !== undefined) return found.version === version || !EXACT.test(version);
    if (folder === "") return false;
  }
}

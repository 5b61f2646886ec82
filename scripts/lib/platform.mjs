/**
 * This machine's name among the platforms we build for, as napi-rs spells it: `linux-x64-gnu`.
 * The loader in src/engine/native.ts uses the same names.
 */

const BINARY_NAME = "pilotlight";

/**
 * @param {string} [platform] as `process.platform` has it
 * @param {string} [arch] as `process.arch` has it
 * @param {boolean} [musl]
 */
export function platformName(platform = process.platform, arch = process.arch, musl = platform === "linux" && usesMusl()) {
  if (platform === "linux") return `linux-${arch}-${musl ? "musl" : "gnu"}`;
  if (platform === "win32") return `win32-${arch}-msvc`;
  return `${platform}-${arch}`;
}

/**
 * The same name for a Rust target triple, one of those in package.json's `napi.targets`.
 * @param {string} triple
 */
export function platformOfTriple(triple) {
  const [cpu, , system = "", abi] = triple.split("-");
  const arch = cpu === "x86_64" ? "x64" : cpu === "aarch64" ? "arm64" : undefined;
  const platform = /** @type {Record<string, string>} */ ({ linux: "linux", darwin: "darwin", windows: "win32" })[system];
  if (arch === undefined || platform === undefined) throw new Error(`no platform package is made for ${triple}`);
  return platformName(platform, arch, abi === "musl");
}

/** @param {string} platform */
export function addonFile(platform) {
  return `${BINARY_NAME}.${platform}.node`;
}

/**
 * The npm package that carries the addon for one platform.
 * @param {string} platform
 */
export function platformPackage(platform) {
  return `${BINARY_NAME}-${platform}`;
}

function usesMusl() {
  // Without `excludeNetwork`, which Node's types do not know yet, the report may look up names for seconds.
  const report = /** @type {NodeJS.ProcessReport & { excludeNetwork?: boolean }} */ (process.report);
  report.excludeNetwork = true;
  const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (report.getReport());
  return header.glibcVersionRuntime === undefined;
}

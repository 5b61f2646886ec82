/**
 * The npm packages of a release: one for each platform in package.json's `napi.targets`, holding the addon
 * alone, and the main one, which asks for all of them as optional dependencies of its own version. npm
 * installs the one that fits the machine.
 *
 * The main package is staged in a folder of its own instead of listing the platform packages in the checkout's
 * package.json: there they would make every `npm ci` ask a registry for packages that this checkout builds itself.
 */
import { platformOfTriple, platformPackage } from "./platform.mjs";

/** Fields of package.json that only a checkout needs. */
const CHECKOUT_ONLY = ["scripts", "devDependencies", "overrides", "allowScripts", "imports", "napi"];

/**
 * package.json of the main package as it is published. npm heeds `overrides` only at the root of an install,
 * so there they become dependencies: npm then puts that version where the packages that want it find it.
 * @param {Record<string, any>} manifest the checkout's package.json
 */
export function publishedManifest(manifest) {
  const kept = Object.fromEntries(Object.entries(manifest).filter(([field]) => !CHECKOUT_ONLY.includes(field)));
  const packages = manifest.napi.targets.map((/** @type {string} */ triple) => platformPackage(platformOfTriple(triple)));
  return {
    ...kept,
    dependencies: { ...manifest.dependencies, ...manifest.overrides },
    optionalDependencies: Object.fromEntries(packages.map((/** @type {string} */ name) => [name, manifest.version])),
  };
}

/**
 * What a package must hold and does not.
 * @param {string[]} files in the package, as `npm pack --json` lists them
 * @param {string[]} needed files, or folders ending in a slash
 */
export function missingFiles(files, needed) {
  return needed.filter((path) => !files.some((file) => (path.endsWith("/") ? file.startsWith(path) : file === path)));
}

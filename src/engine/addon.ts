/** Where the native addon may be: a build in this checkout first, then the package of this platform. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The napi-rs name of this platform, for example `linux-x64-gnu`. */
export function platformName(platform: string = process.platform, arch: string = process.arch, musl: boolean = isMusl()): string {
  if (platform === "linux") return `linux-${arch}-${musl ? "musl" : "gnu"}`;
  if (platform === "win32") return `win32-${arch}-msvc`;
  return `${platform}-${arch}`;
}

/** Module names to try, in order. */
export function addonCandidates(name: string = platformName()): string[] {
  // One folder up from src/ or dist/, in a checkout and in an installed package alike.
  const local = fileURLToPath(new URL(`../../native/pilotlight.${name}.node`, import.meta.url));
  return [local, `pilotlight-${name}`];
}

function isMusl(): boolean {
  if (process.platform !== "linux") return false;
  try {
    return readFileSync("/usr/bin/ldd", "latin1").includes("musl");
  } catch {
    // No ldd to ask: Node's own report knows whether it was linked to glibc.
    const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
    return report?.header?.glibcVersionRuntime === undefined;
  }
}

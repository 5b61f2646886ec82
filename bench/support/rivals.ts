/** Which rivals are here: what `npm run bench:rivals` installs and what benches ask for. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { BenchError } from "./bench-error.js";
import { RIVALS, ROOT } from "./paths.js";

export const WASMTIME = join(RIVALS, "bin/wasmtime");
export const WORKERD = join(ROOT, "node_modules/.bin/workerd");
/** The line that we embed, too: another version would be another question. */
export const WASMTIME_VERSION = "48.0.8";

/** The first line that a program says about its version; undefined when it cannot be started. */
export function versionOf(command: string, flag = "--version"): string | undefined {
  const { error, stdout, stderr } = spawnSync(command, [flag], { encoding: "utf8" });
  return error === undefined ? (stdout || stderr).split("\n")[0]?.trim() : undefined;
}

export function hasWasmtime(): boolean {
  return versionOf(WASMTIME)?.split(" ")[1] === WASMTIME_VERSION;
}

export function hasWorkerd(): boolean {
  return versionOf(WORKERD)?.startsWith("workerd ") === true;
}

export function hasWrk(): boolean {
  return versionOf("wrk", "-v")?.startsWith("wrk ") === true;
}

/** A bench without its rival answers no question. */
export function requireRivals(names: readonly ("wasmtime" | "workerd")[]): void {
  const has = { wasmtime: hasWasmtime, workerd: hasWorkerd };
  const missing = names.filter((name) => !has[name]());
  if (missing.length > 0)
    throw new BenchError(
      `${missing.join(" and ")} cannot be started; run "npm run bench:rivals" once, which installs what is measured against`,
    );
}

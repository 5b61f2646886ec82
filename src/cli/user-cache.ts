/**
 * The user's own folder for compiled components, so that serving or running the same file again starts at once.
 *
 * It is a cache and nothing else: where there is no such folder, or it cannot be written, all works without.
 */
import { accessSync, constants, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** The folder, made if need be; undefined where there is none to be had. `PILOTLIGHT_CACHE` names another, or is empty for none. */
export function userCache(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = environment["PILOTLIGHT_CACHE"];
  if (named === "") return undefined;
  const base = environment["XDG_CACHE_HOME"];
  const folder = named ?? join(base !== undefined && isAbsolute(base) ? base : join(homedir(), ".cache"), "pilotlight");
  try {
    // What is in there becomes code that runs: it is nobody else's to write.
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK);
    return folder;
  } catch {
    return undefined;
  }
}

/**
 * Compiled forms of components, collected: native/core/src/artefacts.rs writes and maps them, in a folder of their own.
 *
 * `<digest>-<compatibility>.cwasm` with `<digest>-<compatibility>.seal` beside it. One that is missing is compiled again,
 * so nothing is lost when too much goes; one that is mapped stays mapped when its file goes.
 */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "./components.js";

const COMPILED = /^([0-9a-f]{64})-[0-9a-f]{16}\.(?:cwasm|seal)$/;
/** What tempfile calls a file that is being written. */
const DRAFT = /^\.tmp[A-Za-z0-9]{6}$/;
/** Writing a compiled form takes a second at most; what has been there for so long belongs to a killed process. */
const DRAFT_MS = 10 * 60_000;

/**
 * Removes the compiled forms of components that are not in `keep`, for whatever version of the engine, and drafts that
 * nobody writes any more; every other file is left alone. Gives the names of the files that are gone; a folder that is
 * not there has none.
 */
export async function collectCompiled(folder: string, keep: ReadonlySet<Digest>, now: number = Date.now()): Promise<string[]> {
  const gone: string[] = [];
  for (const name of await namesIn(folder)) {
    const digest = COMPILED.exec(name)?.[1];
    const isUnused = digest === undefined ? DRAFT.test(name) && (await isOlder(join(folder, name), now - DRAFT_MS)) : !keep.has(digest);
    if (!isUnused) continue;
    await rm(join(folder, name), { force: true });
    gone.push(name);
  }
  return gone;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    // A seal goes before what it seals, as one without a file is nothing.
    return (await readdir(folder)).sort().reverse();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function isOlder(path: string, than: number): Promise<boolean> {
  try {
    return (await stat(path)).mtimeMs < than;
  } catch {
    return false; // it has its name by now
  }
}

/**
 * Says when a source folder has changed.
 *
 * It looks every few hundred milliseconds rather than being told: recursive `fs.watch` differs between systems, is
 * blind on network and container mounts, and a function's folder is small.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** What tools write, not people: a build must not set off the next one. */
const SKIPPED_FOLDERS: ReadonlySet<string> = new Set(["node_modules", "target", "gen", "dist", "build"]);
const SKIPPED_FILES = /\.(wasm|o|partial|tmp|log|swp)$|~$/;

/** Path → size and time of change, of everything under `paths` that people write. */
export type Snapshot = ReadonlyMap<string, string>;

/** `always`: files that count although they look like a tool's. */
export async function snapshot(paths: readonly string[], always: readonly string[] = []): Promise<Snapshot> {
  const found = new Map<string, string>();
  for (const path of paths) await look(path, found);
  for (const path of always) await lookAtFile(path, found);
  return found;
}

/** The first path that is new, gone or different; undefined: nothing has changed. */
export function changed(before: Snapshot, after: Snapshot): string | undefined {
  for (const [path, state] of after) if (before.get(path) !== state) return path;
  for (const path of before.keys()) if (!after.has(path)) return path;
  return undefined;
}

async function look(path: string, found: Map<string, string>): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) =>
    error.code === "ENOTDIR" ? undefined : [],
  );
  if (entries === undefined) return await lookAtFile(path, found);
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const inner = join(path, entry.name);
    if (entry.isDirectory()) {
      if (!SKIPPED_FOLDERS.has(entry.name)) await look(inner, found);
    } else if (!SKIPPED_FILES.test(entry.name)) await lookAtFile(inner, found);
  }
}

/** A file that goes away meanwhile is not there. */
async function lookAtFile(path: string, found: Map<string, string>): Promise<void> {
  const file = await stat(path).catch(() => undefined);
  if (file !== undefined) found.set(path, `${file.size} ${file.mtimeMs} ${file.ino}`);
}

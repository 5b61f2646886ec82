/** Files that are there as a whole, also after a power loss, or not at all. */
import { closeSync, fsyncSync, openSync, renameSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes the names in a folder as durable as the files; systems that cannot sync a folder do so by themselves. */
export function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** `syncFolder` without holding up the event loop. */
export async function syncFolderLater(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Gives a file that is synced already its final name, durably. Replaces what has that name. */
export function renameDurably(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
}

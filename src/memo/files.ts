/** Whether a folder of the host is as it was: by what is in it, without reading any of it. */
import { createHash } from "node:crypto";
import { readdir, lstat } from "node:fs/promises";
import { join } from "node:path";

/** A folder with more in it cannot be looked over for each request. */
const MOST_ENTRIES = 10_000;
/** A change this shortly before the look may be followed by one that leaves the same time behind. Milliseconds. */
const TOO_FRESH_MS = 50;

/**
 * Names, kinds, lengths and times of all below the folder as one text. Undefined where that says too little: it has too many entries,
 * cannot be read, or has changed just now. `now`: milliseconds since 1970.
 */
export async function folderState(folder: string, now: number): Promise<string | undefined> {
  const digest = createHash("sha256");
  const left = [""];
  let count = 0;
  try {
    for (let path = left.pop(); path !== undefined; path = left.pop()) {
      const names = (await readdir(join(folder, path))).sort();
      if ((count += names.length) > MOST_ENTRIES) return undefined;
      for (const name of names) {
        const inner = path === "" ? name : `${path}/${name}`;
        const { mode, size, mtimeNs, ctimeNs, ino } = await lstat(join(folder, inner), { bigint: true });
        if (Math.abs(now - Number(ctimeNs / 1_000_000n)) < TOO_FRESH_MS) return undefined;
        digest.update(JSON.stringify([inner, mode, size, mtimeNs, ctimeNs, ino].map(String)));
        if ((mode & 0o170000n) === 0o040000n) left.push(inner);
      }
    }
  } catch {
    return undefined;
  }
  return digest.digest("hex").slice(0, 32);
}

/**
 * Components as files of a folder, each named by its digest: `<digest>.wasm`.
 *
 * A file gets its name only when all of it is on the disk, so one with the right name is whole unless a disk changed it
 * since; the digest tells on every read. One process at a time has the folder: the state beside it holds the lock.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { access, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncFolder, syncFolderLater } from "../base/durable.js";
import { messageOf } from "../base/errors.js";
import { StateError } from "../state/store.js";
import { digestOf, isDigest, type ComponentStore, type Digest } from "./components.js";

const SUFFIX = ".wasm";
const DRAFT = /^\.put-[0-9a-f]+$/;

/** The store in a folder, which is made when it is not there. Throws a `StateError` when that cannot be. */
export function folderComponents(folder: string): ComponentStore {
  makeFolder(folder);
  /** Puts that go on, so that two of the same bytes write once, and a collection leaves them alone. */
  const putting = new Map<Digest, Promise<Digest>>();
  /** Removals that go on: a put of the same bytes must not take for kept what is about to go. */
  const removing = new Map<Digest, Promise<void>>();
  const drafts = new Set<string>();
  /** What was put while a collection goes on, and so may not be in what that one was told to keep. */
  const collections = new Set<Set<Digest>>();
  const pathOf = (digest: Digest): string => join(folder, digest + SUFFIX);

  const write = async (digest: Digest, bytes: Uint8Array): Promise<void> => {
    const draft = `.put-${randomBytes(8).toString("hex")}`;
    drafts.add(draft);
    try {
      await writeSynced(join(folder, draft), bytes);
      await rename(join(folder, draft), pathOf(digest));
      await syncFolderLater(folder);
    } catch (error) {
      await rm(join(folder, draft), { force: true });
      throw new StateError(
        `the component ${digest} cannot be written to ${folder}: ${messageOf(error)}; make room on the disk and try again`,
        {
          cause: error,
        },
      );
    } finally {
      drafts.delete(draft);
    }
  };
  const keep = async (digest: Digest, bytes: Uint8Array): Promise<Digest> => {
    await removing.get(digest);
    const there = await readOrNothing(pathOf(digest));
    if (there !== undefined && Buffer.compare(there, bytes) === 0) await syncFolderLater(folder);
    else await write(digest, bytes);
    return digest;
  };
  const discard = (digest: Digest): Promise<void> => {
    const going = rm(pathOf(digest), { force: true }).finally(() => removing.delete(digest));
    removing.set(digest, going);
    return going;
  };

  return {
    async put(bytes: Uint8Array): Promise<Digest> {
      const copy = Uint8Array.from(bytes); // the caller's may change while this goes on
      const digest = digestOf(copy);
      for (const put of collections) put.add(digest);
      let going = putting.get(digest);
      if (going === undefined) {
        going = keep(digest, copy).finally(() => putting.delete(digest));
        putting.set(digest, going);
      }
      return going;
    },
    async get(digest: Digest): Promise<Uint8Array | undefined> {
      if (!isDigest(digest)) return undefined;
      const bytes = await readOrNothing(pathOf(digest));
      if (bytes !== undefined && digestOf(bytes) !== digest) throw damaged(pathOf(digest), digest);
      return bytes;
    },
    has: async (digest: Digest): Promise<boolean> => isDigest(digest) && (await exists(pathOf(digest))),
    list: async (): Promise<Digest[]> => digestsOf(await readdir(folder)),
    async remove(digest: Digest): Promise<void> {
      if (!isDigest(digest)) return;
      await putting.get(digest);
      await discard(digest);
    },
    async collect(used: ReadonlySet<Digest>): Promise<Digest[]> {
      const since = new Set(putting.keys());
      collections.add(since);
      try {
        const names = await readdir(folder);
        const gone: Digest[] = [];
        for (const digest of digestsOf(names)) {
          if (used.has(digest) || since.has(digest)) continue;
          await discard(digest);
          gone.push(digest);
        }
        for (const name of names) if (DRAFT.test(name) && !drafts.has(name)) await rm(join(folder, name), { force: true });
        return gone;
      } finally {
        collections.delete(since);
      }
    },
  };
}

function digestsOf(names: readonly string[]): Digest[] {
  return names
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length))
    .filter(isDigest)
    .sort();
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readOrNothing(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new StateError(`${path} cannot be read: ${messageOf(error)}; look at the file's permissions and at the disk`, { cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

function makeFolder(folder: string): void {
  try {
    const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (made !== undefined) syncFolder(dirname(made));
  } catch (error) {
    throw new StateError(`the folder ${folder} cannot be made: ${messageOf(error)}; give another data folder with --data`, {
      cause: error,
    });
  }
}

function damaged(path: string, digest: Digest): StateError {
  return new StateError(
    `the component ${path} is damaged: its bytes are not those of ${digest}; deploy the same component again, which repairs it, or restore a backup of the data folder`,
  );
}

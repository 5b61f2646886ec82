/**
 * State in a data folder, over LMDB: `state.mdb`, all tables in one tree.
 *
 * Commits that come while another is being written share the next transaction and its sync. A transaction is synced
 * before its promises resolve, and LMDB writes beside what is there, so a process or a machine that dies at any moment
 * leaves the last transaction or the one before it, whole. docs/state.md is the page for people.
 */
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { messageOf } from "../base/errors.js";
import { renameDurably, syncFolder } from "../base/durable.js";
import { afterPrefix, encodeChanges, keyBytes, keyText, pack, seal, unpack, unseal, type Write } from "./codec.js";
import { checkLmdbFile, Damage } from "./lmdb-check.js";
import { lockFolder } from "./lock.js";
import { StateError, type Change, type Range, type StateStore, type Table } from "./store.js";

/** What this version writes, and the only one that it reads. Goes up when tables or keys change their meaning. */
const STATE_FORMAT = 1;
const STATE_FILE = "state.mdb";
/** No table begins with it. */
const FORMAT_KEY = Buffer.from("\0format");
/** Address space, not disk: the file grows as it is filled, except on Windows. */
const MAP_BYTES = process.platform === "win32" ? undefined : 16 * 2 ** 30;
const LITTLE_ROOM = 2 ** 20;

interface Waiting {
  readonly writes: readonly Write[];
  readonly done: () => void;
  readonly failed: (error: StateError) => void;
}

/**
 * Opens the state of a data folder, which is made (for its owner alone) when it is not there.
 * Throws a `StateError` when another process has the folder, and when the file is damaged or of another format; what
 * is there stays as it is then.
 */
export function openState(folder: string): StateStore {
  const home = resolve(folder);
  makeFolder(home);
  const lock = lockFolder(home);
  try {
    const path = join(home, STATE_FILE);
    if (existsSync(path)) check(path);
    else create(path);
    const database = openDatabase(path);
    return store(database, path, async () => {
      await database.close();
      lock.release();
    });
  } catch (error) {
    lock.release();
    throw error;
  }
}

function store(database: RootDatabase<Buffer, Buffer>, path: string, shut: () => Promise<void>): StateStore {
  let waiting: Waiting[] = [];
  let writing: Promise<void> | undefined;
  let closing: Promise<void> | undefined;

  const live = (): void => {
    if (closing !== undefined) throw new StateError(`the state ${path} is closed`);
  };
  const decoded = (key: Buffer, sealed: Buffer): unknown => {
    const value = unseal(key, sealed);
    if (value === undefined) throw damaged(path, `the entry ${JSON.stringify(keyText(key))} is not what was written`);
    return unpack(value);
  };
  /** Writes what waits until nothing does; one transaction at a time. */
  const writeAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      try {
        await transact(database, group);
        for (const { done } of group) done();
      } catch (error) {
        const failure = notWritten(path, error);
        for (const { failed } of group) failed(failure);
      }
    }
    writing = undefined;
  };

  return {
    get<T>(from: Table<T>, key: string): T | undefined {
      live();
      const bytes = keyBytes(from.name, key);
      const sealed = database.get(bytes);
      return sealed === undefined ? undefined : (decoded(bytes, sealed) as T);
    },
    list<T>(from: Table<T>, range: Range = {}): { key: string; value: T }[] {
      live();
      if (range.limit !== undefined && range.limit <= 0) return [];
      return [...database.getRange(bounds(from.name, range))].map(({ key, value }) => ({
        key: keyText(key),
        value: decoded(key, value) as T,
      }));
    },
    async commit(changes: readonly Change[]): Promise<void> {
      live();
      const writes = encodeChanges(changes);
      await new Promise<void>((done, failed) => {
        waiting.push({ writes, done, failed });
        writing ??= Promise.resolve().then(writeAll);
      });
    },
    /** What was committed before is written first. */
    close(): Promise<void> {
      closing ??= (async () => {
        await writing;
        await shut();
      })();
      return closing;
    },
  };
}

/** A child transaction, because lmdb-js commits what an outer one wrote before it threw. */
async function transact(database: RootDatabase<Buffer, Buffer>, group: readonly Waiting[]): Promise<void> {
  try {
    await database.childTransaction(() => {
      for (const { writes } of group) {
        for (const { key, value } of writes) void (value === undefined ? database.remove(key) : database.put(key, seal(key, value)));
      }
    });
  } catch (error) {
    // The reason is in a promise beside it, which nobody else looks at.
    await (error as { readonly commitError?: Promise<never> }).commitError;
    throw error;
  }
}

function bounds(table: string, { prefix = "", after, limit, reverse = false }: Range): object {
  const start = keyBytes(table, prefix);
  const end = afterPrefix(start);
  const bound = after === undefined ? undefined : keyBytes(table, after);
  const range = limit === undefined ? {} : { limit };
  if (reverse) {
    const from = bound !== undefined && Buffer.compare(bound, end) < 0 ? bound : end;
    return { ...range, reverse: true, start: from, exclusiveStart: true, end: start, inclusiveEnd: true };
  }
  const isPast = bound !== undefined && Buffer.compare(bound, start) >= 0;
  return { ...range, start: isPast ? bound : start, exclusiveStart: isPast, end };
}

function openDatabase(path: string): RootDatabase<Buffer, Buffer> {
  try {
    return open<Buffer, Buffer>({
      path,
      encoding: "binary",
      keyEncoding: "binary",
      // A commit resolves once it is synced; with overlapping syncs it would be before.
      overlappingSync: false,
      // Of its own accord lmdb-js makes a promise for each turn that nobody can handle, and a full disk rejects it.
      eventTurnBatching: false,
      noSubdir: true,
      ...(MAP_BYTES === undefined ? {} : { mapSize: MAP_BYTES }),
    });
  } catch (error) {
    throw new StateError(`the state ${path} cannot be opened: ${messageOf(error)}; look at the file's permissions and at the disk`, {
      cause: error,
    });
  }
}

/** Under another name first, so that a file with the right one is always whole. */
function create(path: string): void {
  const draft = `${path}.new`;
  const leftOver = (): void => {
    for (const name of [draft, `${draft}-lock`]) rmSync(name, { force: true });
  };
  leftOver();
  try {
    writeFileSync(draft, "", { mode: 0o600 });
    const database = openDatabase(draft);
    try {
      database.transactionSync(() => void database.put(FORMAT_KEY, seal(FORMAT_KEY, pack({ format: STATE_FORMAT }))));
    } finally {
      // Nothing is queued, so that it is closed when this returns.
      void database.close();
    }
    renameDurably(draft, path);
  } catch (error) {
    throw error instanceof StateError ? error : notWritten(path, error);
  } finally {
    leftOver();
  }
}

/** Throws unless the file is whole, down to each entry, and of our format. Reads it once; nothing is changed. */
function check(path: string): void {
  let format: string | number | undefined;
  const entry = (key: Buffer, sealed: Buffer): void => {
    const value = unseal(key, sealed);
    if (value === undefined) throw new Damage(`the entry ${JSON.stringify(key.toString())} is not what was written`);
    if (key.equals(FORMAT_KEY)) format = (unpack(value) as { readonly format?: string | number }).format;
  };
  try {
    checkLmdbFile(path, entry);
  } catch (error) {
    if (error instanceof Damage) throw damaged(path, error.message, error);
    throw new StateError(`the state ${path} cannot be read: ${messageOf(error)}; look at the file's permissions and at the disk`, {
      cause: error,
    });
  }
  if (format === undefined) throw damaged(path, "it does not say of which format it is");
  if (format !== STATE_FORMAT) {
    throw new StateError(
      `the state ${path} has the format ${format}, and this version of Pilotlight knows ${STATE_FORMAT}; ` +
        "start the version that wrote it, or restore a backup from before",
    );
  }
}

function makeFolder(folder: string): void {
  try {
    const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (made !== undefined) syncFolder(dirname(made));
  } catch (error) {
    throw new StateError(`the data folder ${folder} cannot be made: ${messageOf(error)}; give another one with --data`, { cause: error });
  }
}

function damaged(path: string, what: string, cause?: unknown): StateError {
  return new StateError(
    `the state ${path} is damaged: ${what}; restore a backup of the data folder, or remove this file to begin with an empty node`,
    { cause },
  );
}

function notWritten(path: string, error: unknown): StateError {
  const room = freeBytes(dirname(path));
  const why = room !== undefined && room < LITTLE_ROOM ? `the disk is full (${Math.floor(room / 1024)} KiB are free)` : messageOf(error);
  return new StateError(`the state ${path} cannot be written: ${why}; nothing was changed. Make room on the disk and try again`, {
    cause: error,
  });
}

function freeBytes(folder: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

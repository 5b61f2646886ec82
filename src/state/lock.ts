/**
 * One process for one data folder.
 *
 * The lock is a file that names its holder. A holder that was killed cannot remove it, so it says enough to tell that
 * it is gone: the process id alone would not do, as ids are used again, and in a container it is 1 each time.
 */
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StateError } from "./store.js";

const LOCK_FILE = "node.lock";
/** How often a holder shows that it lives, and how long it may be silent, to those who cannot see its process. */
const BEAT_MS = 5000;
const SILENCE_MS = 20_000;
const ATTEMPTS = 5;

interface Holder {
  readonly pid: number;
  /** When the process began, as its system counts; undefined where that cannot be known. */
  readonly started?: string | undefined;
  /** Changes with each start of the machine. */
  readonly boot?: string | undefined;
  /** Process ids mean something within one of these alone. */
  readonly namespace?: string | undefined;
}

export interface FolderLock {
  release(): void;
}

/** Takes a folder for this process; throws a `StateError` that names the holder when another one, or this one, has it. */
export function lockFolder(folder: string): FolderLock {
  const path = join(folder, LOCK_FILE);
  const mine = JSON.stringify(identity(process.pid));
  const draft = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}`;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      writeFileSync(draft, mine, { mode: 0o600 });
      linkSync(draft, path); // there at once with all of its text, or refused
      return heldLock(path, mine);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw cannotLock(path, error);
    } finally {
      rmSync(draft, { force: true });
    }
    removeIfStale(folder, path);
  }
  throw new StateError(`the data folder ${folder} is being taken by several processes at once; start one`);
}

function heldLock(path: string, mine: string): FolderLock {
  const beat = setInterval(() => {
    try {
      utimesSync(path, new Date(), new Date());
    } catch {
      // Somebody removed it by hand: the state itself goes on working.
    }
  }, BEAT_MS);
  beat.unref();
  return {
    release: () => {
      clearInterval(beat);
      if (read(path) === mine) rmSync(path, { force: true });
    },
  };
}

/** Takes a dead holder's lock away; throws when the holder lives. */
function removeIfStale(folder: string, path: string): void {
  const text = read(path);
  if (text === undefined) return; // released meanwhile
  const holder = parse(text);
  if (holder !== undefined && isAlive(holder, path)) throw held(folder, path, holder);
  // Moved and looked at again: another process may have taken it over in between, and then it is not ours to remove.
  const aside = `${path}.${process.pid}-stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw cannotLock(path, error);
  }
  if (read(aside) !== text) putBack(aside, path);
  rmSync(aside, { force: true });
}

function putBack(aside: string, path: string): void {
  try {
    linkSync(aside, path);
  } catch {
    // A third one has it; it and the one that was moved both began a moment ago, and LMDB keeps the file whole.
  }
}

function isAlive(holder: Holder, path: string): boolean {
  const here = identity(process.pid);
  if (holder.boot !== here.boot) return false;
  if (holder.namespace !== here.namespace) return isBeating(path);
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return identity(holder.pid).started === holder.started;
}

function isBeating(path: string): boolean {
  try {
    return Date.now() - statSync(path).mtimeMs < SILENCE_MS;
  } catch {
    return false;
  }
}

function identity(pid: number): Holder {
  // The 22nd field; the second is the program's name in brackets, and may hold anything.
  const started = read(`/proc/${pid}/stat`)?.split(") ").at(-1)?.split(" ")[19];
  return { pid, started, boot: read("/proc/sys/kernel/random/boot_id")?.trim(), namespace: linkOf("/proc/self/ns/pid") };
}

function parse(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder;
    return Number.isInteger(holder.pid) ? holder : undefined;
  } catch {
    return undefined; // no lock of ours was ever written in part
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function held(folder: string, path: string, { pid, namespace }: Holder): StateError {
  if (pid === process.pid && namespace === linkOf("/proc/self/ns/pid"))
    return new StateError(`the data folder ${folder} is in use by this process (${pid}) already`);
  const elsewhere = namespace === linkOf("/proc/self/ns/pid") ? "" : " of another container";
  return new StateError(
    `the data folder ${folder} is in use by process ${pid}${elsewhere}; stop that node, or give this one another folder with --data` +
      ` (a node that was killed is noticed by itself; ${path} says who holds it)`,
  );
}

function cannotLock(path: string, error: unknown): StateError {
  return new StateError(`the lock ${path} cannot be written: ${(error as Error).message}; give a folder that can be, with --data`, {
    cause: error,
  });
}

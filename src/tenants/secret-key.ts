/** The file that the secrets of a data folder are sealed with: 32 random bytes, for its owner's eyes. */
import { randomBytes } from "node:crypto";
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.js";

const KEY_FILE = "secrets.key";
const KEY_BYTES = 32;

export interface SecretKey {
  readonly bytes: Buffer;
  /** Where it comes from, for messages. */
  readonly path: string;
}

/**
 * The key of a data folder. `inUse`: something is sealed with it already, so that it must be there; else it is made
 * when it is missing. Throws a `UserError` that names the file.
 */
export function openSecretKey(folder: string, inUse: boolean): SecretKey {
  const path = join(folder, KEY_FILE);
  const found = read(path);
  if (found !== undefined && (inUse || !isUnfinished(found))) return { bytes: checked(path, found), path };
  if (inUse) {
    throw new UserError(
      `the secrets in ${folder} are sealed with the key ${path}, which is missing; put it back, from a backup of the data folder`,
    );
  }
  // A start that was killed between making the file and filling it: nothing can be sealed with that.
  if (found !== undefined) rmSync(path);
  return { bytes: make(path), path };
}

function isUnfinished(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

function read(path: string): Buffer | undefined {
  let found: { readonly bytes: Buffer; readonly mode: number };
  try {
    found = readOpen(openSync(path, "r"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new UserError(`the key of the secrets, ${path}, cannot be read: ${(error as Error).message}`, { cause: error });
  }
  // Windows knows no such bits and reports them all as set.
  if (process.platform !== "win32" && (found.mode & 0o077) !== 0) {
    throw new UserError(`the key of the secrets, ${path}, is open to other users of this machine; run: chmod 600 ${path}`);
  }
  return found.bytes;
}

/** Mode and bytes are of one file, whatever happens to the name meanwhile. */
function readOpen(file: number): { bytes: Buffer; mode: number } {
  try {
    return { mode: fstatSync(file).mode, bytes: readFileSync(file) };
  } finally {
    closeSync(file);
  }
}

function checked(path: string, bytes: Buffer): Buffer {
  if (bytes.length === KEY_BYTES) return bytes;
  throw new UserError(
    `the key of the secrets, ${path}, has ${bytes.length} bytes and not ${KEY_BYTES}; put the right file back, from a backup of the data folder`,
  );
}

function make(path: string): Buffer {
  const bytes = randomBytes(KEY_BYTES);
  try {
    const file = openSync(path, "wx", 0o600);
    try {
      writeSync(file, bytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    syncFolder(path);
  } catch (error) {
    throw new UserError(`the key of the secrets, ${path}, cannot be made: ${(error as Error).message}`, { cause: error });
  }
  return bytes;
}

/** Makes the file's name as durable as its bytes; systems that cannot sync a folder do so by themselves. */
function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const folder = openSync(join(path, ".."), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

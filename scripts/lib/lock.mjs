/**
 * One set-up at a time in a checkout, also after one was killed.
 *
 * The lock is a file that says who holds it. Its holder touches it while it works; it is stale when its
 * process is gone, or, where that cannot be told (another host, another container), when nobody touched it
 * for a minute. Taking over a stale lock is the only delicate part: two may find it stale at once, so whoever
 * takes over waits a moment and looks whether the lock is still its own.
 */
import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const TOUCH_MS = 5_000;
const SILENT_MS = 60_000;
const POLL_MS = 200;
const SETTLE_MS = 100;

/** @typedef {{ pid: number, host: string, token: string }} Holder */

/**
 * Runs `work` while holding the lock; `onWait` hears once of whoever holds it first.
 * @template T
 * @param {string} path
 * @param {() => Promise<T>} work
 * @param {(holder: Holder | undefined) => void} onWait
 * @returns {Promise<T>}
 */
export async function withLock(path, work, onWait) {
  const token = randomUUID();
  await acquire(path, token, onWait);
  const touching = setInterval(() => touch(path), TOUCH_MS);
  touching.unref();
  const release = () => {
    clearInterval(touching);
    if (readHolder(path)?.token === token) rmSync(path, { force: true });
  };
  process.once("exit", release);
  try {
    return await work();
  } finally {
    process.off("exit", release);
    release();
  }
}

/**
 * Whether a lock may be taken from its holder.
 * @param {Holder | undefined} holder undefined when the file cannot be read as a lock
 * @param {number} silentMs since it was last touched
 * @param {{ host: string, isAlive: (pid: number) => boolean }} here
 */
export function isStale(holder, silentMs, here) {
  if (silentMs > SILENT_MS) return true;
  return holder !== undefined && holder.host === here.host && !here.isAlive(holder.pid);
}

/**
 * @param {string} path
 * @param {string} token
 * @param {(holder: Holder | undefined) => void} onWait
 */
async function acquire(path, token, onWait) {
  mkdirSync(dirname(path), { recursive: true });
  let told = false;
  for (;;) {
    if (create(path, token)) return;
    const holder = readHolder(path);
    if (isStale(holder, silence(path), { host: hostname(), isAlive })) {
      if (await takeOver(path, holder, token)) return;
      continue;
    }
    if (!told) onWait(holder);
    told = true;
    await sleep(POLL_MS);
  }
}

/**
 * @param {string} path
 * @param {Holder | undefined} stale
 * @param {string} token
 */
async function takeOver(path, stale, token) {
  if (readHolder(path)?.token !== stale?.token) return false;
  rmSync(path, { force: true });
  if (!create(path, token)) return false;
  await sleep(SETTLE_MS);
  return readHolder(path)?.token === token;
}

/**
 * @param {string} path
 * @param {string} token
 */
function create(path, token) {
  try {
    writeFileSync(path, JSON.stringify({ pid: process.pid, host: hostname(), token }), { flag: "wx" });
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "EEXIST") return false;
    throw error;
  }
}

/**
 * @param {string} path
 * @returns {Holder | undefined}
 */
function readHolder(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined; // gone, or being written this instant
  }
}

/** @param {string} path */
function silence(path) {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? 0 : Date.now() - stats.mtimeMs;
}

/** @param {string} path */
function touch(path) {
  try {
    utimesSync(path, new Date(), new Date());
  } catch {
    // Taken from us after a long sleep of the machine; `release` leaves it to its new holder.
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
}

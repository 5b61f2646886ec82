/**
 * A node for `bench/records`: `reader`, whose runs are recorded, and hello, whose are not; plain JavaScript over `dist`, so that
 * nothing stands between. As a program it listens until it is told to end.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Runtime } from "#dist/runtime.js";

/** What each key holds. */
const VALUE = "v".repeat(32);
/** The most that one request reads. */
const KEYS = 64;

/** What has `reader` read so many keys. @param {number} keys @param {number} [n] To tell requests apart that are answered the same. */
export function target(keys, n) {
  const path = keys === 0 ? "/" : `/get?keys=${names(keys).join(",")}&store=default`;
  return n === undefined ? path : `${path}${keys === 0 ? "?" : "&"}n=${n}`;
}

/** What it answers. @param {number} keys */
export function answerTo(keys) {
  if (keys === 0) return "hello";
  return names(keys)
    .map((key) => `${key}=${VALUE}\n`)
    .join("");
}

/** @param {number} keys */
function names(keys) {
  return Array.from({ length: keys }, (_, i) => `k${i + 1}`);
}

/** Logs go where standard output does unless told otherwise. @param {{ write(line: string): void }} [logTo] */
export async function recordingRuntime(logTo) {
  const runtime = new Runtime({ log: "info", ...(logTo !== undefined && { logTo }) });
  await runtime.deploy({ manifest: { name: "reader", routes: ["/*"], stores: ["default"], idempotent: {} }, component: guest("reader") });
  for (const name of ["hello-p2", "hello-p3"]) await runtime.deploy({ manifest: { name, routes: [`/${name}`] }, component: guest(name) });
  for (const key of names(KEYS)) await write(runtime, key);
  return runtime;
}

/** Writes a key of the store that `reader` reads. @param {Runtime} runtime @param {string} key */
export async function write(runtime, key) {
  await runtime.control.putEntry(runtime.operator, "default", "default", key, Buffer.from(VALUE), undefined);
}

/** @param {string} name */
function guest(name) {
  return readFileSync(new URL(`../../guests/${name}/${name}.wasm`, import.meta.url));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const runtime = await recordingRuntime();
  const { port } = await runtime.dataFront().listen({ host: "127.0.0.1", port: 0 });
  process.stderr.write(`node on http://127.0.0.1:${port}/\n`);
  process.once("SIGTERM", () => void runtime.close().then(() => process.exit(0)));
}

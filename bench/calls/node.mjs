/**
 * A node with tasks that call each other, for `bench/calls`; plain JavaScript over `dist`, so that nothing stands between.
 *
 * `named` and `chosen` call calc by name and by capability; `each` a calc that shares its instances, so that each call of it is
 * a run of its own.
 */
import { readFileSync } from "node:fs";
import { Runtime } from "../../dist/runtime.js";

/** @param {string} name */
const guest = (name) => readFileSync(new URL(`../../guests/${name}/${name}.wasm`, import.meta.url));
const CALC = "demo:math/calc";
const runtime = new Runtime({ log: "info" });
await runtime.deploy({ manifest: { name: "calc", provides: [CALC] }, component: guest("calc") });
await runtime.deploy({ manifest: { name: "shared", reuse: { maxRequests: 1000, maxConcurrent: 2 } }, component: guest("calc") });
await runtime.deploy({ manifest: { name: "named", uses: { [CALC]: { task: "calc" } } }, component: guest("relay") });
await runtime.deploy({ manifest: { name: "chosen" }, component: guest("relay") });
await runtime.deploy({ manifest: { name: "each", uses: { [CALC]: { task: "shared" } } }, component: guest("relay") });
const { port } = await runtime.dataFront().listen({ host: "127.0.0.1", port: 0 });
process.stderr.write(`node on http://127.0.0.1:${port}/\n`);
process.once("SIGTERM", () => void runtime.close().then(() => process.exit(0)));

/**
 * Installs what the benches measure against, once: `npm run bench:rivals`.
 *
 * wasmtime's own server goes into `bench/.rivals` (8 to 25 minutes the first time); workerd comes with npm; wrk, the
 * load client, comes with the system. What is here already is left alone.
 */
import { mkdirSync } from "node:fs";
import { runOpenly } from "../scripts/lib/child.mjs";
import { withCargoBin } from "../scripts/lib/requirements.mjs";
import { BenchError, main } from "./support/bench-error.js";
import { RIVALS, ROOT } from "./support/paths.js";
import { hasWasmtime, hasWorkerd, hasWrk, versionOf, WASMTIME, WASMTIME_VERSION, WORKERD } from "./support/rivals.js";

const FEATURES = [
  "run",
  "serve",
  "compile",
  "cranelift",
  "pooling-allocator",
  "component-model",
  "component-model-async",
  "parallel-compilation",
  "wat",
  "wasi-http",
  "wasi-config",
  "wasi-keyvalue",
  "logging",
  "cache",
];

await main(async () => {
  await wasmtime();
  workerd();
  wrk();
});

async function wasmtime(): Promise<void> {
  if (!hasWasmtime()) {
    mkdirSync(RIVALS, { recursive: true });
    say(`building wasmtime ${WASMTIME_VERSION} with cargo, which takes 8 to 25 minutes`);
    const args = [
      "install",
      `wasmtime-cli@${WASMTIME_VERSION}`,
      "--locked",
      "--root",
      RIVALS,
      "--no-default-features",
      "--features",
      FEATURES.join(","),
    ];
    const status = await runOpenly("cargo", args, { cwd: ROOT, env: withCargoBin(process.env) });
    if (status !== 0 || !hasWasmtime())
      throw new BenchError(`cargo could not install wasmtime-cli ${WASMTIME_VERSION} (status ${status}); what it said is above`);
  }
  say(`${versionOf(WASMTIME)} in ${RIVALS}`);
}

function workerd(): void {
  if (!hasWorkerd()) throw new BenchError(`${WORKERD} cannot be started; "npm install" brings it, and "npm rebuild workerd" mends it`);
  say(`${versionOf(WORKERD)} from npm`);
}

function wrk(): void {
  if (hasWrk()) say(versionOf("wrk", "-v") ?? "wrk");
  else say("wrk is missing: apt-get install wrk (brew install wrk). Until then a built-in client is used, which is slower and says so");
}

function say(text: string): void {
  process.stdout.write(`rivals: ${text}\n`);
}

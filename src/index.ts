/**
 * Pilotlight as a library: WebAssembly components as functions inside your own Node process.
 *
 * ```ts
 * await using runtime = await createRuntime({ data: ".pilotlight" });
 * await runtime.deploy({ manifest: { name: "hello", routes: ["/hello"] }, component: await readFile("hello.wasm") });
 * app.all("/hello", (c) => runtime.fetch(c.req.raw));
 * ```
 */
import { Runtime, type RuntimeOptions } from "./runtime.js";

export { UserError } from "./base/errors.js";
export { PROBLEMS, type Problem, type ProblemCode } from "./base/problem.js";
export type { Outcome, Usage } from "./engine/outcome.js";
export type { ComponentInfo, FunctionInfo, InterfaceInfo } from "./engine/program.js";
export { ComponentError, type Provided, type ScriptImports } from "./imports/imports.js";
export { CallError } from "./invoke/call.js";
export type { RunRecord } from "./invoke/run.js";
export type { ManifestInput } from "./tasks/manifest.js";
export type { DeployedTask, Deployment } from "./deployment.js";
export type { RuntimeOptions, RuntimeStats } from "./runtime.js";
export type { Runtime } from "./runtime.js";

/** Starts a runtime. Rejects with an error that names what is wrong when the addon or the data folder cannot be used. */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const runtime = new Runtime(options);
  await runtime.start();
  return runtime;
}

/** A task as the table and the pipeline see it, without an engine. */
import { readManifest, type ManifestInput } from "../../src/tasks/manifest.js";
import type { Task } from "../../src/tasks/task.js";

export function fakeTask(name: string, fields: Partial<ManifestInput> = {}, program = 1): Task {
  const manifest = readManifest({ name, component: `${name}.wasm`, ...fields }, name);
  const info = { digest: "0".repeat(64), imports: [], exports: [], runs: { http: "0.3" as const, command: undefined }, cached: false, compileNanoseconds: 0, compiledBytes: 0 };
  return { tenant: "default", name, version: { label: "000000000000", info, manifest, program } };
}

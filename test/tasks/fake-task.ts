/** A task as the table and the pipeline see it, without an engine. */
import { readManifest, type ManifestInput } from "../../src/tasks/manifest.js";
import type { ComponentInfo } from "../../src/engine/program.js";
import type { Task } from "../../src/tasks/task.js";

export function fakeInfo(http: "0.2" | "0.3"): ComponentInfo {
  return {
    digest: "d".repeat(64),
    imports: [],
    exports: [],
    runs: { http, command: undefined },
    cached: false,
    compileNanoseconds: 0,
    compiledBytes: 0,
  };
}

export function fakeTask(name: string, fields: Partial<ManifestInput> = {}, program = 1): Task {
  const manifest = readManifest({ name, component: `${name}.wasm`, ...fields }, name);
  return { tenant: "default", name, key: `default/${name}`, version: { label: "v1", manifest, program } };
}

/** The engine as the product sets it up, without anything above it. From `dist`: what is measured is what ships. */
import { readFileSync } from "node:fs";
import type { Engine, EngineEvent, ProgramId } from "#dist/engine/engine.js";
import { startEngine } from "#dist/engine/native.js";
import { readManifest } from "#dist/tasks/manifest.js";
import { NO_GRANTS, programSpec } from "#dist/tasks/spec.js";
import { guestFile } from "../support/paths.js";

const MANIFEST = readManifest({ name: "hello", component: "hello.wasm" }, "the manifest of the bench");
const DEADLINES = { head: 30_000, idle: 30_000, total: 60_000 };

/** An engine with room for so many instances. */
export function productEngine(instances: number, cache: string | null = null): Engine {
  return startEngine({ cache, instances, threads: 0, keepResidentBytes: 2 * 2 ** 20, onDemand: false, backtraces: false });
}

/** Loads a component and links it as a task with nothing but defaults. */
export async function linkProgram(
  engine: Engine,
  component: Uint8Array,
): Promise<{ readonly program: ProgramId; readonly cached: boolean }> {
  const info = await engine.load(component);
  return {
    program: await engine.link(programSpec({ info, tenant: "default", manifest: MANIFEST, secrets: [], own: NO_GRANTS })),
    cached: info.cached,
  };
}

export function helloComponent(flavour: string): Uint8Array {
  return readFileSync(guestFile(`hello-${flavour}`));
}

/** A request for hello, on an instance that ends with it. */
export function runCommand(program: ProgramId, slot: number, generation: number, run: number): Parameters<Engine["send"]>[0] {
  const headers = ["Host", "bench.test", "Accept", "*/*"];
  const frame = {
    kind: "http" as const,
    method: "GET",
    scheme: "http",
    authority: "bench.test",
    target: "/",
    headers,
    body: undefined,
    more: false,
  };
  return { kind: "run", slot, generation, program, run, frame, deadlines: DEADLINES, last: true };
}

/** Anything that did not go well ends the part; there are no figures about failures. */
export function refuseFailures(event: EngineEvent): void {
  if (event.kind === "failed" || (event.kind === "settled" && event.outcome.kind !== "ok") || event.kind === "lease-refused") {
    throw new Error(`the engine said ${JSON.stringify(event)}`);
  }
}

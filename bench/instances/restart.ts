/**
 * Loads and links every component of a folder: `restart.ts FOLDER`, with compiled forms in FOLDER/compiled.
 *
 * The first time that compiles them all; in the next process it is what a node does at its start. The clock runs from
 * before the first file is read until the last program is linked.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { collectGarbage, pssOf } from "../support/memory.js";
import { answerPart } from "../support/part.js";
import { linkProgram, productEngine } from "./engine.js";

export interface Restarted {
  readonly seconds: number;
  readonly programs: number;
  /** Those whose compiled form was found. */
  readonly cached: number;
  /** What they added to the process, in bytes of PSS. */
  readonly pss: number;
}

/** So many are on their way at once: a compiler for each core, and never a thousand of them. */
const AT_ONCE = 16;

const [folder = "."] = process.argv.slice(2);
const files = readdirSync(folder)
  .filter((name) => name.endsWith(".wasm"))
  .map((name) => join(folder, name));
const engine = productEngine(1000, join(folder, "compiled"));
let [next, cached] = [0, 0];
collectGarbage();
const before = pssOf("self");
const begin = performance.now();
await Promise.all(Array.from({ length: AT_ONCE }, worker));
const seconds = (performance.now() - begin) / 1000;
collectGarbage();
const restarted: Restarted = { seconds, programs: engine.stats().programs, cached, pss: pssOf("self") - before };
await engine.close();
answerPart(restarted);

async function worker(): Promise<void> {
  while (next < files.length) {
    const program = await linkProgram(engine, readFileSync(files[next++] as string));
    if (program.cached) cached++;
  }
}

/** Deploys so many tasks of distinct digests into a data folder: `fill.ts FOLDER COUNT`. Says how long one took. */
import { readFileSync } from "node:fs";
import { Runtime } from "#dist/runtime.js";
import { withSection } from "../instances/components.js";
import { answerPart } from "../support/part.js";
import { guestFile } from "../support/paths.js";

export interface Filled {
  /** All of them: compiled, linked, tried once, written durably and routed. */
  readonly seconds: number;
}

const [folder = ".", count = "0"] = process.argv.slice(2);
const hello = readFileSync(guestFile("hello-p2"));
const runtime = new Runtime({ data: folder, durable: true });
await runtime.start();
let next = 0;
const begin = performance.now();
await Promise.all(Array.from({ length: 8 }, worker));
const filled: Filled = { seconds: (performance.now() - begin) / 1000 };
await runtime.close();
answerPart(filled);

async function worker(): Promise<void> {
  while (next < Number(count)) {
    const n = next++;
    await runtime.control.deploy(runtime.operator, "default", {
      manifest: { name: `task-${n}`, component: "hello.wasm" },
      component: withSection(hello, `task ${n}`),
    });
  }
}

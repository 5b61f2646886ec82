/**
 * The product's own runtime with so many tasks of distinct digests, over a data folder: `announced-node.ts fill|serve FOLDER COUNT
 * COMPONENT`.
 *
 * `fill` deploys them and answers with a key for each. `serve` is a node that was started again: their programs are on disk alone,
 * and nobody has asked for them. It answers each line with how often runs got their capacity in which way, since the line before.
 * Logs are written as on a node, and read for that.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Runtime } from "#dist/runtime.js";
import { withSection } from "../instances/components.js";
import { answerPart } from "../support/part.js";

const [what = "serve", folder = ".", countText = "0", file = ""] = process.argv.slice(2);
const count = Number(countText);
let rungs: Record<string, number> = {};
const runtime = new Runtime({
  data: folder,
  durable: true,
  log: "info",
  logTo: {
    write: (line: string) => {
      const rung = /"capacity":"([^"]+)".*"msg":"run"/.exec(line)?.[1];
      if (rung !== undefined) rungs[rung] = (rungs[rung] ?? 0) + 1;
    },
  },
});
await runtime.start();
if (what === "fill") answerPart(await fill());
else await serve();

async function fill(): Promise<string[]> {
  const component = readFileSync(file);
  const keys: string[] = [];
  for (let n = 0; n < count; n++) {
    await runtime.control.deploy(runtime.operator, "default", {
      manifest: { name: `t${n}`, component: "hello.wasm" },
      component: withSection(component, `task ${n}`),
    });
    keys.push((await runtime.control.issueKey(runtime.operator, "default", { scopes: ["invoke"] })).text);
  }
  await runtime.close();
  return keys;
}

async function serve(): Promise<void> {
  // What follows what outlives a restart: the rounds before are to be foreseen by nobody.
  await runtime.control.resetPretriggers(runtime.operator, "default", undefined);
  const { url } = await runtime.dataFront().listen({ host: "127.0.0.1", port: 0 });
  process.stderr.write(`announced node on ${url}\n`);
  createInterface({ input: process.stdin }).on("line", () => {
    process.stdout.write(`${JSON.stringify({ rungs, programs: runtime.stats().engine.programs })}\n`);
    rungs = {};
  });
  process.once("SIGTERM", () => void runtime.close(1000).then(() => process.exit(0)));
}

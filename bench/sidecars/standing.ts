/**
 * Weighs shared sidecars: `standing.ts COUNT`.
 *
 * COUNT tasks that have one each, of the scope `task`, for requests with a header. The difference in PSS between the node once each
 * task was called without it, and once each was called with it and nothing runs but what stands, divided by COUNT.
 */
import { readFileSync } from "node:fs";
import { Runtime } from "../../src/runtime.js";
import { collectGarbage, pssOf } from "../support/memory.js";
import { answerPart } from "../support/part.js";

export interface Held {
  /** Of PSS, for each. */
  readonly bytes: number;
}

const count = Number(process.argv[2] ?? 200);
const guest = (name: string): Uint8Array => readFileSync(new URL(`../../guests/${name}/${name}.wasm`, import.meta.url));
const runtime = new Runtime({ instances: 2 * count + 100 });
const limits = { memory: "16MiB" } as const;
await runtime.deploy({
  manifest: { name: "onlooker", routes: [], limits, sidecar: { scope: "task", idle: "1h" } },
  component: guest("onlooker"),
});
const hello = guest("hello-p2");
for (let i = 0; i < count; i++)
  await runtime.deploy({
    manifest: { name: `t${i}`, limits, sidecars: [{ use: "onlooker", when: { header: "x-watch" } }] },
    component: hello,
  });
await callAll({});
await callAll({});
const before = await weigh();
await callAll({ "x-watch": "1" });
const after = await weigh();
const { instances } = runtime.stats().engine;
if (instances < count) throw new Error(`${instances} instances stand, and there should be ${count}`);
const held: Held = { bytes: Math.round((after - before) / count) };
await runtime.close();
answerPart(held);

async function callAll(headers: Readonly<Record<string, string>>): Promise<void> {
  for (let i = 0; i < count; i++) {
    const answer = await runtime.fetch(new Request(`http://localhost/t${i}`, { headers }));
    if (answer.status !== 200) throw new Error(`t${i} answers ${answer.status}: ${await answer.text()}`);
    await answer.text();
  }
}

async function weigh(): Promise<number> {
  // What is idle and not needed goes in the meantime.
  await new Promise((resolve) => setTimeout(resolve, 8000));
  collectGarbage();
  return pssOf("self");
}

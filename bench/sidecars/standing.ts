/**
 * Weighs shared sidecars: `standing.ts COUNT`.
 *
 * Twice COUNT tasks that have one each, of the scope `task`. The first half is called for all that a node keeps once so many were;
 * it is weighed when its sidecars stand and nothing else does. It is weighed again once the other half was called, and its sidecars
 * stand too: the difference in PSS, divided by COUNT. Instances that are gone leave as many slots to each half as they do to the other.
 */
import { readFileSync } from "node:fs";
import { usualCapacity } from "../../src/config/capacity.js";
import { Runtime } from "../../src/runtime.js";
import { collectGarbage, pssOf } from "../support/memory.js";
import { answerPart } from "../support/part.js";

export interface Held {
  /** Of PSS, for each. */
  readonly bytes: number;
}

/** It is weighed once it has not become less for so long. */
const [STEADY_S, STEADY_BYTES, MOST_S] = [12, 2 ** 18, 60];
const count = Number(process.argv[2] ?? 200);
const guest = (name: string): Uint8Array => readFileSync(new URL(`../../guests/${name}/${name}.wasm`, import.meta.url));
const instances = 4 * count + 100;
const runtime = new Runtime({
  instances,
  capacity: { ...usualCapacity(instances), forecast: false, instanceIdle: 2000, cellIdle: 120_000 },
});
const limits = { memory: "16MiB" } as const;
await runtime.deploy({
  manifest: { name: "onlooker", routes: [], limits, sidecar: { scope: "task", idle: "1h" } },
  component: guest("onlooker"),
});
const hello = guest("hello-p2");
for (let i = 0; i < 2 * count; i++)
  await runtime.deploy({ manifest: { name: `t${i}`, limits, sidecars: [{ use: "onlooker" }] }, component: hello });
await callAll(0, count);
const before = await weigh(count);
await callAll(count, 2 * count);
const after = await weigh(2 * count);
const held: Held = { bytes: Math.round((after - before) / count) };
await runtime.close();
answerPart(held);

async function callAll(from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    const answer = await runtime.fetch(new Request(`http://localhost/t${i}`));
    if (answer.status !== 200) throw new Error(`t${i} answers ${answer.status}: ${await answer.text()}`);
    await answer.text();
  }
}

/** Once exactly so many instances are there. */
async function weigh(standing: number): Promise<number> {
  const until = Date.now() + 90_000;
  for (let found: number; (found = runtime.stats().engine.instances) !== standing;) {
    if (found < standing || Date.now() > until) throw new Error(`${found} instances stand, and there should be ${standing}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  // What is let go goes back to the system bit by bit: V8 alone takes a pause of seconds between two.
  let least = Number.POSITIVE_INFINITY;
  for (let since = 0, i = 0; since < STEADY_S && i < MOST_S; since++, i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const bytes = pssOf("self") - unusedHeap();
    if (bytes < least - STEADY_BYTES) since = 0;
    least = Math.min(least, bytes);
  }
  return least;
}

/** What V8 keeps for later. */
function unusedHeap(): number {
  const { heapTotal, heapUsed } = process.memoryUsage();
  return heapTotal - heapUsed;
}

/**
 * A node with one hello task, which times its runs on request: `receipt-server.ts p2|p3 READY`.
 *
 * It is the product's own runtime, logs and metrics included. What a run waited is noted as it goes into the register
 * of ended runs: from its admission (the request is read and its task is known) until the lease, and from there the
 * engine's own time until the guest's first instruction, making the instance included where it was not ready. Not in it:
 * Node's reading of the request, and the few microseconds in which the frame crosses into the engine.
 *
 * A line `COUNT` on stdin asks for so many runs; a line of JSON on stdout answers.
 */
import { createInterface } from "node:readline";
import type { Run } from "#dist/invoke/run.js";
import { EndedRuns } from "#dist/invoke/runs.js";
import { Runtime } from "#dist/runtime.js";
import { percentile } from "../support/statistics.js";
import { helloComponent } from "./engine.js";

export interface Waited {
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** The share of runs that found an instance ready. */
  readonly ready: number;
}

const [flavour = "p2", ready = "0"] = process.argv.slice(2);
let waits = new Float64Array();
let [wanted, ended, found] = [0, 0, 0];

const add = Reflect.get<EndedRuns, "add">(EndedRuns.prototype, "add");
Reflect.set(EndedRuns.prototype, "add", function (this: EndedRuns, run: Run): void {
  if (ended < wanted) note(run);
  add.call(this, run);
});

function note(run: Run): void {
  // The client leaves at the end of a burst, whatever is on its way then.
  if (run.outcome?.kind === "cancelled") return;
  if (run.outcome?.kind !== "ok" || run.grantedAt === undefined) throw new Error(`a run ended as ${JSON.stringify(run.outcome)}`);
  waits[ended++] = run.grantedAt - run.admittedAt + run.usage.waitNanoseconds / 1e6;
  if (run.rung === "own/ready") found++;
  if (ended < wanted) return;
  const waited: Waited = { p50: percentile(waits, 50), p99: percentile(waits, 99), ready: found / wanted };
  process.stdout.write(`${JSON.stringify(waited)}\n`);
}

const runtime = new Runtime({ log: "info", logTo: { write: () => {} } });
await runtime.deploy({
  manifest: { name: "hello", routes: ["/*"], capacity: { ready: Number(ready) } },
  component: helloComponent(flavour),
});
const { url } = await runtime.dataFront().listen({ host: "127.0.0.1", port: 0 });
process.stderr.write(`receipt server on ${url}\n`);

createInterface({ input: process.stdin }).on("line", (line) => {
  waits = new Float64Array(Number(line));
  [ended, found] = [0, 0];
  wanted = waits.length;
});
process.once("SIGTERM", () => void runtime.close(1000).then(() => process.exit(0)));

/**
 * The node under soak, in a process of its own: real runtimes with real fronts, driven over HTTP alone.
 *
 * `node-process.ts` is forked by `node.ts` with what to deploy as JSON; it says where it listens, what it holds when
 * asked, and ends when told. One runtime for each entry, so that guests of both versions can have the same paths.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { usualCapacity } from "../../../src/config/capacity.js";
import type { Deployment } from "../../../src/deployment.js";
import { Runtime, type RuntimeStats } from "../../../src/runtime.js";
import { collectGarbage } from "../../support/memory.js";
import { guestFile } from "../../support/paths.js";

/** A task of a runtime: a committed guest, and its manifest. */
export interface Planned {
  readonly guest: string;
  readonly manifest: Deployment["manifest"];
}

/** What the process holds: of the engine's, the pool's and the system's. */
export interface Held {
  readonly runtimes: readonly RuntimeStats[];
  /** Open file descriptors, by what they lead to. */
  readonly files: Readonly<Record<string, number>>;
  /** Resident memory in bytes, after a garbage collection. */
  readonly rss: number;
  readonly heap: number;
}

export type ToNode = "held" | "stop";
export type FromNode = { readonly kind: "listening"; readonly ports: readonly number[] } | { readonly kind: "held"; readonly held: Held };

const INSTANCES = 200;

const plan = JSON.parse(process.argv[2] ?? "[]") as readonly (readonly Planned[])[];
const runtimes: Runtime[] = [];
const ports: number[] = [];
for (const tasks of plan) {
  // Log lines are made as in a node, and thrown away.
  // What is kept ready for expected runs comes and goes with the time, and what the last of them left ready depends on
  // which those were: both would look like a leak. So nothing is expected, and what is idle goes before the node is looked at.
  const capacity = { ...usualCapacity(INSTANCES), forecast: false, instanceIdle: 2000 };
  const runtime = new Runtime({ instances: INSTANCES, capacity, log: "info", logTo: { write: () => {} } });
  runtimes.push(runtime);
  for (const { guest, manifest } of tasks) await runtime.deploy({ manifest, component: readFileSync(guestFile(guest)), source: guest });
  ports.push((await runtime.dataFront().listen({ host: "127.0.0.1", port: 0 })).port);
}
say({ kind: "listening", ports });

process.on("message", (message: ToNode) => {
  if (message === "held") say({ kind: "held", held: held() });
  else void stop();
});
process.once("disconnect", () => process.exit(1));

function held(): Held {
  collectGarbage();
  const { rss, heapUsed } = process.memoryUsage();
  return { runtimes: runtimes.map((runtime) => runtime.stats()), files: openFiles(), rss, heap: heapUsed };
}

function openFiles(): Record<string, number> {
  const files: Record<string, number> = {};
  for (const fd of readdirSync("/proc/self/fd")) {
    let target: string;
    try {
      // `socket:[12345]` is a socket like any other.
      target = readlinkSync(`/proc/self/fd/${fd}`).replace(/:\[\d+\]$/, "");
    } catch {
      continue; // the folder itself, closed by now
    }
    files[target] = (files[target] ?? 0) + 1;
  }
  return files;
}

async function stop(): Promise<void> {
  await Promise.all(runtimes.map((runtime) => runtime.close(5000)));
  process.exit(0);
}

function say(message: FromNode): void {
  process.send?.(message);
}

/**
 * The hostile soak itself: a warm-up, what the node holds, the requests, and what it holds then.
 *
 * The warm-up makes the node as large as it will be (every slot's memory touched, code compiled, arenas grown), so
 * that what grows afterwards is a leak. Nothing else may differ at all.
 */
import { isDeepStrictEqual } from "node:util";
import { FLAVOURS, type Flavour } from "../../support/paths.js";
import type { Client } from "../support/client.js";
import { SoakNode } from "../support/node.js";
import type { Held } from "../support/node-process.js";
import { Random } from "../support/random.js";
import { Findings, runSteps, Violation, type Found } from "../support/steps.js";
import { BAD } from "./bad.js";
import { expectBody } from "./expect.js";
import { GOOD } from "./good.js";
import { PatientClient } from "./patient.js";
import { hostileTasks, ONE_OF_EACH_TASK, READY } from "./tasks.js";

export interface HostileOptions {
  readonly steps: number;
  readonly seed: number;
  /** Requests on their way at once. */
  readonly atOnce: number;
  /** Steps before the node is looked at for the first time. */
  readonly warmup: number;
  /** How many bytes of resident memory the node may gain over the soak. */
  readonly growth: number;
  readonly progress?: (line: string) => void;
}

export interface HostileResult {
  readonly requests: number;
  readonly hostile: number;
  readonly seconds: number;
  readonly violations: number;
  /** The first of them. */
  readonly found: readonly Found[];
  readonly before: Held;
  readonly after: Held;
}

/** The share of requests that are hostile. */
const HOSTILE = 0.1;
/** How long what was abandoned may take to be gone. */
const SETTLE_MS = 30_000;

export async function runHostile(options: HostileOptions): Promise<HostileResult> {
  const { steps, seed, atOnce, warmup, growth, progress = () => {} } = options;
  const findings = new Findings();
  await using node = await SoakNode.start(FLAVOURS.map(hostileTasks));
  let hostile = 0;
  const step =
    (client: Client) =>
    async (n: number): Promise<void> => {
      const random = new Random(seed, n);
      const flavour = random.pick(FLAVOURS);
      const isHostile = random.chance(HOSTILE);
      const chosen = random.pick(isHostile ? BAD : GOOD);
      if (isHostile && n >= 0) hostile++;
      if (n > 0 && n % 1000 === 0) progress(`${n} of ${steps} requests, ${findings.count} violations`);
      try {
        await chosen.run({ client, port: portOf(node, flavour) }, random);
      } catch (error) {
        findings.add(n, `${flavour} ${chosen.name}`, error);
      }
    };
  const isOver = (): boolean => node.death !== undefined;

  await withClient(1, (client) => touchTasks(node, client));
  const empty = await settled(node, undefined, findings);
  await withClient(atOnce, async (client) => {
    await touchSlots(node, client, atOnce);
    // Steps below zero: another part of the same streams.
    await runSteps(-warmup, warmup, atOnce, step(client), isOver);
  });
  const before = await settled(node, empty, findings);
  progress(`warmed up: ${describe(before)}`);
  const begin = performance.now();
  await withClient(atOnce, (client) => runSteps(0, steps, atOnce, step(client), isOver));
  const seconds = (performance.now() - begin) / 1000;
  const after = await settled(node, before, findings);
  progress(`at the end: ${describe(after)}`);
  if (after.rss - before.rss > growth)
    findings.add(
      steps,
      "memory",
      new Violation(`the node grew from ${mib(before.rss)} to ${mib(after.rss)} MiB; ${mib(growth)} MiB more are allowed`),
    );
  await stillServes(node, findings, steps);
  return { requests: steps, hostile, seconds, violations: findings.count, found: findings.found, before, after };
}

async function withClient(connections: number, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new PatientClient(connections);
  try {
    await work(client);
  } finally {
    client.close();
  }
}

/** A component's memory image is opened with its first instance. */
async function touchTasks(node: SoakNode, client: Client): Promise<void> {
  for (const port of node.ports) for (const path of ONE_OF_EACH_TASK) await client.ask(port, { path });
}

/** Has guests take all the memory they may in as many slots as are used at once, since a slot keeps some of it. */
async function touchSlots(node: SoakNode, client: Client, atOnce: number): Promise<void> {
  for (const port of node.ports) await runSteps(0, 8 * atOnce, 2 * atOnce, async () => void (await client.ask(port, { path: "/memory" })));
}

/**
 * What the node holds once nothing goes on in it and it holds no more than it did at `start`; what is still different
 * after a while is a leak.
 */
async function settled(node: SoakNode, start: Held | undefined, findings: Findings): Promise<Held> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const now = await node.held();
    const leaks = [...unrest(now), ...differences(start ?? now, now)];
    if (leaks.length === 0) return now;
    if (Date.now() > deadline) {
      findings.add(-1, "leak", new Violation(`${SETTLE_MS / 1000} s after the last request: ${leaks.join("; ")}`));
      return now;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What goes on although nobody asks for anything; ready instances are there again, and no more than are wanted. */
function unrest({ runtimes }: Held): string[] {
  return runtimes.flatMap(({ engine, pool, liveRuns }, i) => {
    const counts = { runs: engine.runs, asks: engine.asks, connections: engine.connections, liveRuns, ...pool };
    return Object.entries(counts).flatMap(([name, count]) => {
      const wanted = name === "idle" ? READY : 0;
      return count === wanted ? [] : [`runtime ${FLAVOURS[i]} has ${count} ${name}, not ${wanted}`];
    });
  });
}

/** Every count must be what it was, and no file more may be open. */
export function differences(start: Held, now: Held): string[] {
  const leaks: string[] = [];
  for (const [target, count] of Object.entries(now.files)) {
    const before = start.files[target] ?? 0;
    if (count > before) leaks.push(`${target} was open ${before} times, now ${count}`);
  }
  now.runtimes.forEach((stats, i) => {
    const before = start.runtimes[i];
    if (!isDeepStrictEqual(stats, before))
      leaks.push(`runtime ${FLAVOURS[i]} held ${JSON.stringify(before)}, now ${JSON.stringify(stats)}`);
  });
  return leaks;
}

async function stillServes(node: SoakNode, findings: Findings, step: number): Promise<void> {
  try {
    if (node.death !== undefined) throw new Violation(node.death);
    await withClient(1, async (client) => {
      for (const port of node.ports) expectBody(await client.ask(port, { path: "/hello" }), 200, "Hello, WASI!\n");
    });
    const status = await node.stop();
    if (status !== 0) throw new Violation(`the node was told to drain and ended with ${status}`);
  } catch (error) {
    findings.add(step, "the end", error);
  }
}

function portOf(node: SoakNode, flavour: Flavour): number {
  return node.ports[FLAVOURS.indexOf(flavour)] as number;
}

export function describe(held: Held): string {
  const runtimes = held.runtimes.map(
    ({ engine, liveRuns }, i) => `${FLAVOURS[i]} ${engine.instances} instances, ${engine.runs} + ${liveRuns} runs`,
  );
  return `${mib(held.rss)} MiB resident, ${mib(held.heap)} MiB of it JavaScript's, ${Object.values(held.files).reduce((a, b) => a + b, 0)} files open; ${runtimes.join("; ")}`;
}

function mib(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

/**
 * First calls of tasks whose programs are on disk alone, announced and not: over HTTP to a real node (`announced-node.ts`).
 *
 * The node is started anew for each round and forgets, because it learns: rounds that resemble each other would be foreseen. What
 * is read from disk is in the page cache. A call takes until the head of its answer is there; calls come one after the other, over
 * one connection, once the node's own code is warm.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BenchError } from "../support/bench-error.js";
import { pinning } from "../support/machine.js";
import { runPart } from "../support/part.js";
import { startServer } from "../support/server.js";
import { percentile, rotated } from "../support/statistics.js";

const NODE = new URL("announced-node.ts", import.meta.url);
/** Announced to begin at once and so for so long; called a while later. */
const WINDOW = "20s";
const AHEAD_MS = 3000;
/** Calls of a task that does not count, before. */
const WARM_UP = 300;

const KINDS = ["unannounced", "announced"] as const;
type Kind = (typeof KINDS)[number];

export interface AnnouncedRound {
  /** Milliseconds of a call. */
  readonly p50: number;
  readonly p99: number;
  /** Calls that found an instance ready. */
  readonly ready: number;
}

export type AnnouncedRounds = Readonly<Record<Kind, readonly AnnouncedRound[]>>;

export interface AnnouncedPlan {
  /** A component's file. */
  readonly file: string;
  readonly calls: number;
  readonly rounds: number;
}

interface Deployed {
  readonly folder: string;
  readonly calls: number;
  /** A sender each, because of one no more than a few announcements are taken at once. */
  readonly keys: readonly string[];
}

export async function measureAnnounced({ file, calls, rounds }: AnnouncedPlan): Promise<AnnouncedRounds> {
  const folder = mkdtempSync(join(tmpdir(), "pilotlight-announced-"));
  try {
    // One more, for the connection alone.
    const { value: keys } = await runPart<string[]>(NODE, ["fill", folder, calls + 1, file]);
    const results: Record<Kind, AnnouncedRound[]> = { unannounced: [], announced: [] };
    for (let round = 0; round < rounds; round++) {
      for (const kind of rotated(KINDS, round)) results[kind].push(await measureRound(kind, { folder, calls, keys }));
    }
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureRound(kind: Kind, { folder, calls, keys }: Deployed): Promise<AnnouncedRound> {
  const command = [...pinning().server, process.execPath, "--import", "tsx", fileURLToPath(NODE), "serve", folder] as unknown as [
    string,
    ...string[],
  ];
  await using node = await startServer({ name: "announced node", command, talks: true });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const told = async (): Promise<{ rungs: Record<string, number>; programs: number }> => JSON.parse(await node.ask("")) as never;
  try {
    for (let n = 0; n < WARM_UP; n++) await call(agent, node.url, `t${calls}`);
    const { programs } = await told();
    if (programs > 1) throw new BenchError(`${programs - 1} programs that nobody asked for are linked`);
    if (kind === "announced") for (let n = 0; n < calls; n++) await announce(agent, node.url, `t${n}`, keys[n] as string);
    await sleep(AHEAD_MS);
    await call(agent, node.url, `t${calls}`);
    await told();
    const took: number[] = [];
    for (let n = 0; n < calls; n++) took.push(await call(agent, node.url, `t${n}`));
    return { p50: percentile(took, 50), p99: percentile(took, 99), ready: (await told()).rungs["own/ready"] ?? 0 };
  } finally {
    agent.destroy();
  }
}

async function announce(agent: Agent, url: string, task: string, key: string): Promise<void> {
  const body = JSON.stringify({ task, count: 1, in: "0s", window: WINDOW });
  const headers = { "Pilotlight-Key": key, "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
  const { status } = await send(agent, `${url}-/pretriggers`, { method: "POST", headers }, body);
  if (status !== 202) throw new BenchError(`the announcement of ${task} was answered ${status}`);
}

/** Milliseconds until the head of the answer. */
async function call(agent: Agent, url: string, task: string): Promise<number> {
  const { status, ms } = await send(agent, `${url}${task}`, {});
  if (status !== 200) throw new BenchError(`${task} was answered ${status}`);
  return ms;
}

function send(
  agent: Agent,
  url: string,
  how: { readonly method?: string; readonly headers?: Record<string, string | number> },
  body?: string,
): Promise<{ readonly status: number; readonly ms: number }> {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const asked = request(url, { agent, ...how }, (answer) => {
      const ms = performance.now() - begin;
      answer.once("end", () => resolve({ status: answer.statusCode ?? 0, ms }));
      answer.once("error", reject);
      answer.resume();
    });
    asked.once("error", reject);
    asked.end(body);
  });
}

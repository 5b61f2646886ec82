/**
 * What a flood of one tenant does to two others: one with cells of its own, and one on demand.
 *
 * Both ask at a steady rate for a function that computes for a while, alone and under the flood, in turns. The flood is a
 * third tenant's: sleeping runs, several times as many at once as all shared cells hold, which are asked for again as soon
 * as they end, and beside them runs that compute. `--pairs N` (5), `--seconds N` of each half (10), `--rate N` requests a
 * second of each tenant (100), `--work N` milliseconds of each (2), `--cpu N` per cent of all processors that the flood's
 * computing asks for (25), `--seed N`, `--json FILE`. The node is a real `pilotlight serve`.
 */
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { compared, overAlone, unserved, type Half, type Pair } from "./flood/figures.js";
import { FLOOD_HOST, NODE_TEXT, SHARED_RUNS, startFloodNode, type FloodNode, type PoolNow } from "./flood/node.js";
import { readFlags } from "./support/arguments.js";
import { BenchError, main } from "./support/bench-error.js";
import { describeMachine } from "./support/machine.js";
import { runPart } from "./support/part.js";
import { publish, type Row } from "./support/report.js";
import type { Stream, Streamed } from "./support/streams.js";
import { workOf, type Work } from "./support/work.js";

const DEFAULTS = { pairs: 5, seconds: 10, rate: 100, work: 2, cpu: 25, seed: 1 };
type Plan = typeof DEFAULTS;

/** Sleeping runs at once, in times of what the shared cells hold. */
const TIMES_FULL = 4;
/** They are of different lengths, so that they do not all end in one moment. Milliseconds. */
const SLEEPS_MS = [330, 410, 470, 530, 590, 670] as const;
/** How long a flooding client stays away after a refusal, in milliseconds. */
const PAUSE_MS = 100;
/** One computing run of the flood, in milliseconds. */
const FLOOD_WORK_MS = 5;
/** Before what is measured begins the flood has been there so long, in milliseconds; and nothing after it ended. */
const LEAD_MS = 2000;
const CALM_MS = 2000;
/** The flood goes on for so many seconds more than what is measured: a process takes its time to start. */
const MORE_SECONDS = 8;

await main(async () => {
  const { numbers: plan, json } = readFlags(DEFAULTS);
  const machine = describeMachine();
  await using node = await startFloodNode();
  const work = await workOf(`${node.data}/~dedicated/work`, plan.work);
  const floodWork = await workOf(`${node.data}/~dedicated/work`, FLOOD_WORK_MS);
  const pairs: Pair[] = [];
  const seen: PoolNow[] = [];
  await half(node, work, { ...plan, seconds: 2 }, 0);
  for (let n = 0; n < plan.pairs; n++) {
    const alone = (): Promise<Half> => half(node, work, plan, n);
    const flooded = (): Promise<Half> => underFlood(node, plan, floodWork, n, seen, () => half(node, work, plan, n));
    // Nobody is always first.
    const first = n % 2 === 0 ? await alone() : await flooded();
    const second = n % 2 === 0 ? await flooded() : await alone();
    const pair = n % 2 === 0 ? { alone: first, flooded: second } : { alone: second, flooded: first };
    pairs.push(pair);
    note(`pair ${n + 1}/${plan.pairs}: dedicated ${compared(pair, "dedicated").times.toFixed(2)} of alone`);
  }
  const held = seen.map(({ leases, waiting }) => `${leases} went on and ${waiting} waited`).join("; ");
  const flood =
    `${TIMES_FULL * SHARED_RUNS} sleepers of ${SLEEPS_MS[0]} to ${SLEEPS_MS.at(-1)} ms at once, ${floodRate(plan)} a second that compute for ${FLOOD_WORK_MS} ms ` +
    `(${plan.cpu} % of the processors); ${held}`;
  const dedicatedUnserved = unserved(pairs, "dedicated");
  publish(
    {
      question:
        `two tenants, ${plan.rate} requests a second of ${plan.work} ms each, p99 in ms, beside a third one's flood\n` +
        `node: ${NODE_TEXT}\nflood: ${flood}`,
      machine,
      rows: pairs.map(rowOf),
      ratios: { on_demand_p99_over_alone: overAlone(pairs, "onDemand") },
      figures: {
        dedicated_p99_over_alone: overAlone(pairs, "dedicated"),
        dedicated_unserved: dedicatedUnserved,
        on_demand_unserved: unserved(pairs, "onDemand"),
      },
    },
    json,
  );
  if (dedicatedUnserved > 0) throw new BenchError(`${dedicatedUnserved} requests of the dedicated tenant were not served`);
});

/** Both tenants for some seconds. */
async function half({ data }: FloodNode, { query, expected }: Work, { rate, seconds, seed }: Plan, n: number): Promise<Half> {
  const stream = (tenant: string, i: number): Stream => ({
    name: tenant,
    url: `${data}/~${tenant}/work${query}`,
    expected,
    pace: { kind: "open", rate },
    connections: rate,
    seed: seed + 10 * n + i,
  });
  const [dedicated, onDemand] = await send([stream("dedicated", 1), stream("on-demand", 2)], seconds);
  return { dedicated: checked(dedicated as Streamed), onDemand: checked(onDemand as Streamed) };
}

/** Does something while the flood is there, from before to after. */
async function underFlood(
  node: FloodNode,
  plan: Plan,
  work: Work,
  n: number,
  seen: PoolNow[],
  measure: () => Promise<Half>,
): Promise<Half> {
  const atOnce = Math.ceil((TIMES_FULL * SHARED_RUNS) / SLEEPS_MS.length);
  const sleepers = SLEEPS_MS.map((milliseconds): Stream => ({
    name: `sleepers of ${milliseconds} ms`,
    url: `${node.data}/sleep?ms=${milliseconds}`,
    host: FLOOD_HOST,
    expected: "ok\n",
    pace: { kind: "closed", atOnce, pause: PAUSE_MS },
    connections: atOnce,
    seed: 0,
  }));
  const computing: Stream = {
    name: "computing",
    url: `${node.data}/~flood/work${work.query}`,
    expected: work.expected,
    pace: { kind: "open", rate: floodRate(plan) },
    connections: 10 * floodRate(plan),
    seed: plan.seed + 10 * n,
  };
  let over = false;
  const flood = send(plan.cpu > 0 ? [...sleepers, computing] : sleepers, plan.seconds + MORE_SECONDS).finally(() => (over = true));
  await sleep(LEAD_MS);
  const [measured, now] = await Promise.all([measure(), sleep((plan.seconds * 1000) / 2).then(() => node.now())]);
  if (over) throw new BenchError("the flood was over before what it was to disturb; nothing was measured");
  seen.push(now);
  for (const { name, served, refused, codes, wrong, shown } of await flood) {
    note(`flood, ${name}: ${served.length} served, ${refused.length} refused ${JSON.stringify(codes)}, ${wrong} wrong ${shown.join("; ")}`);
  }
  await sleep(CALM_MS);
  return measured;
}

/** Requests a second that compute. */
function floodRate({ cpu }: Plan): number {
  return Math.round(((cpu / 100) * availableParallelism() * 1000) / FLOOD_WORK_MS);
}

async function send(streams: readonly Stream[], seconds: number): Promise<Streamed[]> {
  return (await runPart<Streamed[]>(new URL("support/streams-process.ts", import.meta.url), [seconds, JSON.stringify(streams)])).value;
}

function checked(streamed: Streamed): Streamed {
  if (streamed.wrong > 0) throw new BenchError(`${streamed.name}: ${streamed.wrong} answers were wrong: ${streamed.shown.join("; ")}`);
  return streamed;
}

function rowOf(pair: Pair, n: number): Row {
  const [dedicated, onDemand] = [compared(pair, "dedicated"), compared(pair, "onDemand")];
  return {
    pair: n + 1,
    "dedicated alone": dedicated.alone,
    "under the flood": dedicated.flooded,
    times: dedicated.times,
    "on demand alone": onDemand.alone,
    "on demand under the flood": onDemand.flooded,
    "on demand times": onDemand.times,
  };
}

function note(text: string): void {
  process.stderr.write(`flood: ${text}\n`);
}

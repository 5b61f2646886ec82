/**
 * What a sidecar costs: a call of one by a task that imports what it exports, beside a workerd service binding; hello with a
 * guard and an observer, and with a token to verify and a line to write; and what a shared one holds.
 *
 * A call is timed from outside, the same way for both: a request that makes N calls one after the other, less what one that makes
 * none takes, over N. Contenders take turns. `--calls N` a request, `--requests N` a turn, `--rounds N`, `--seconds N` a turn of
 * the load over HTTP, `--connections N`, `--standing N` sidecars that are weighed, `--json FILE`.
 */
import { createHmac } from "node:crypto";
import { startRelayWorker } from "./calls/contenders.js";
import { startNode, timedCalls, timedHello } from "./sidecars/contenders.js";
import type { Held } from "./sidecars/standing.js";
import { readFlags } from "./support/arguments.js";
import { main } from "./support/bench-error.js";
import { loadClient } from "./support/load.js";
import { describeMachine, pinning } from "./support/machine.js";
import { runPart } from "./support/part.js";
import { publish, type Row } from "./support/report.js";
import { requireRivals } from "./support/rivals.js";
import type { RunningServer } from "./support/server.js";
import { median, percentile, ratio, rotated } from "./support/statistics.js";

const DEFAULTS = { calls: 1000, requests: 40, rounds: 5, seconds: 4, connections: 32, standing: 200 };
type Plan = typeof DEFAULTS;

/** The secret of `node.mjs`, and a token by it that holds for long. */
const SECRET = "a secret for a bench, of at least 32 bytes";

await main(async () => {
  const { numbers: plan, json } = readFlags(DEFAULTS);
  requireRivals(["workerd"]);
  const machine = describeMachine();
  const { server: prefix } = pinning();
  await using node = await startNode(prefix);
  const crossings = await crossing(node, plan);
  const rates = await throughput(node, plan);
  const chain = await latency(node, plan);
  const { value: held } = await runPart<Held>(new URL("sidecars/standing.ts", import.meta.url), [plan.standing]);
  const p = (times: readonly number[], percent: number): number => percentile(times, percent);
  const rows: Row[] = [
    {
      what: "call of a sidecar's function",
      "p50 µs": p(crossings.ours, 50),
      "p99 µs": p(crossings.ours, 99),
      how: "an import, scope `task`, one after the other",
    },
    {
      what: "workerd service binding",
      "p50 µs": p(crossings.workerd, 50),
      "p99 µs": p(crossings.workerd, 99),
      how: "RPC: `await env.CALC.add(a, b)`, two workers in one process",
    },
    { what: "hello", "p50 µs": p(chain.plain, 50), "p99 µs": p(chain.plain, 99), how: "one request at a time over one connection" },
    {
      what: "hello behind auth-jwt and log-access",
      "p50 µs": p(chain.chained, 50),
      "p99 µs": p(chain.chained, 99),
      how: "HS256, scope `task`; a line a request",
    },
    {
      what: "both sidecars of those, on the head",
      "p50 µs": p(chain.inside, 50),
      "p99 µs": p(chain.inside, 99),
      how: "as `Server-Timing` has it, waiting included",
    },
    { what: "hello, requests/s", "a second": median(rates.plain), how: loadClient().name },
    { what: "hello with a guard and an observer", "a second": median(rates.watched), how: "one sidecar that does nothing, scope `task`" },
    { what: "a shared sidecar holds", bytes: held.bytes, how: `PSS over ${plan.standing} that stand, nothing else running` },
  ];
  const ratios = {
    workerd_binding_over_sidecar: ratio(p(crossings.workerd, 50), p(crossings.ours, 50)),
    with_over_without: ratio(median(rates.watched), median(rates.plain)),
  };
  const figures = {
    sidecar_call_p50_us: p(crossings.ours, 50),
    sidecar_call_p99_us: p(crossings.ours, 99),
    workerd_binding_p50_us: p(crossings.workerd, 50),
    hello_p50_us: p(chain.plain, 50),
    hello_auth_log_p50_us: p(chain.chained, 50),
    auth_log_chain_p50_us: p(chain.inside, 50),
    shared_sidecar_bytes: held.bytes,
  };
  publish({ question: "what a sidecar costs", machine, rows, ratios, figures }, json);
});

/** Microseconds a call, one figure for each request. */
async function crossing(node: RunningServer, { calls, requests, rounds }: Plan): Promise<Record<"ours" | "workerd", number[]>> {
  await using workerd = await startRelayWorker(pinning().server);
  const contenders = [
    { name: "ours" as const, request: (n: number) => timedCalls(node, n), server: node, times: [] as number[] },
    { name: "workerd" as const, request: (n: number) => timedCalls(workerd, n), server: workerd, times: [] as number[] },
  ];
  const turn = async ({ request, server }: (typeof contenders)[number], count: number): Promise<number[]> => {
    const without: number[] = [];
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      without.push(await request(0));
      times.push(await request(calls));
    }
    server.check();
    const base = median(without);
    return times.map((time) => (1000 * (time - base)) / calls);
  };
  for (const contender of contenders) await turn(contender, Math.ceil(requests / 4));
  for (let round = 0; round < rounds; round++) {
    for (const contender of rotated(contenders, round)) {
      const measured = await turn(contender, requests);
      contender.times.push(...measured);
      process.stderr.write(`round ${round + 1}/${rounds}: ${contender.name} ${median(measured).toFixed(2)} µs a call\n`);
    }
  }
  const [ours, theirs] = contenders as [(typeof contenders)[number], (typeof contenders)[number]];
  return { ours: ours.times, workerd: theirs.times };
}

/** Requests a second, one figure for each turn. */
async function throughput(node: RunningServer, { rounds, seconds, connections }: Plan): Promise<Record<"plain" | "watched", number[]>> {
  const client = loadClient();
  const { client: prefix } = pinning();
  const take = async (path: string): Promise<number> => {
    const { requestsPerSecond } = await client.run(`${node.url}${path}`, { connections, seconds, prefix });
    node.check();
    return requestsPerSecond;
  };
  const contenders = [
    { path: "plain" as const, rates: [] as number[] },
    { path: "watched" as const, rates: [] as number[] },
  ];
  for (const { path } of contenders) await take(path);
  for (let round = 0; round < rounds; round++) {
    for (const { path, rates } of rotated(contenders, round)) {
      rates.push(await take(path));
      process.stderr.write(`round ${round + 1}/${rounds}: ${path} ${Math.round(rates.at(-1) as number)}/s\n`);
    }
  }
  const [plain, watched] = contenders as [(typeof contenders)[number], (typeof contenders)[number]];
  return { plain: plain.rates, watched: watched.rates };
}

/** Microseconds, one figure for each request. */
async function latency(node: RunningServer, { requests, rounds }: Plan): Promise<Record<"plain" | "chained" | "inside", number[]>> {
  const authorization = `Bearer ${token()}`;
  const all = { plain: [] as number[], chained: [] as number[], inside: [] as number[] };
  const each = requests * 25;
  for (let round = -1; round < rounds; round++) {
    for (const path of rotated(["plain", "chained"] as const, Math.max(0, round))) {
      const taken = await timedHello(node, path, { authorization }, each);
      if (round < 0) continue;
      all[path].push(...taken.times);
      all.inside.push(...taken.inside);
      process.stderr.write(`round ${round + 1}/${rounds}: ${path} ${median(taken.times).toFixed(0)} µs\n`);
    }
  }
  return all;
}

function token(): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "bench", iss: "bench", exp: 4102444800 })}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

/**
 * What a call of one function by another costs, beside a workerd service binding; and typed JSON calls over HTTP a second,
 * beside the same function behind bare Hono.
 *
 * A call is timed from outside, the same way for all: a request that makes N calls one after the other, less what one that makes
 * none takes, over N. Contenders take turns. `--calls N` a request, `--requests N` a turn, `--rounds N`, `--seconds N` a turn of
 * the load over HTTP, `--connections N`, `--json FILE`.
 */
import { CALLERS, startHono, startNode, startRelayWorker, type CallerId, type CallingServer } from "./calls/contenders.js";
import { readFlags } from "./support/arguments.js";
import { main } from "./support/bench-error.js";
import { loadClient } from "./support/load.js";
import { describeMachine, pinning } from "./support/machine.js";
import { publish, type Row } from "./support/report.js";
import { requireRivals } from "./support/rivals.js";
import type { RunningServer } from "./support/server.js";
import { median, percentile, ratio, rotated } from "./support/statistics.js";

const DEFAULTS = { calls: 1000, requests: 40, rounds: 5, seconds: 4, connections: 32 };

await main(async () => {
  const { numbers, json } = readFlags(DEFAULTS);
  requireRivals(["workerd"]);
  const machine = describeMachine();
  const calls = await betweenGuests(numbers);
  const http = await overHttp(numbers);
  const of = (id: CallerId, percent: number): number => percentile(calls.get(id) as number[], percent);
  const rows: Row[] = CALLERS.map(({ id, what, how }) => ({
    what,
    "p50 µs": of(id, 50),
    "p99 µs": of(id, 99),
    how,
  }));
  rows.push(
    { what: "JSON call over HTTP", "a second": median(http.ours), how: `POST of two numbers, clean instances; ${loadClient().name}` },
    { what: "the same behind bare Hono", "a second": median(http.hono), how: "@hono/node-server, no component" },
  );
  const ratios = {
    workerd_binding_over_call: ratio(of("workerd_binding", 50), of("call", 50)),
    workerd_binding_over_late_bound: ratio(of("workerd_binding", 50), of("late_bound", 50)),
    json_calls_vs_hono: ratio(median(http.ours), median(http.hono)),
  };
  const figures = Object.fromEntries(
    CALLERS.flatMap(({ id }) => [
      [`${id}_p50_us`, of(id, 50)],
      [`${id}_p99_us`, of(id, 99)],
    ]),
  );
  const question = `a call between functions, ${numbers.calls} one after the other in each of ${numbers.requests * numbers.rounds} requests`;
  publish({ question, machine, rows, ratios, figures }, json);
});

/** Microseconds a call, by contender, one figure for each request. */
async function betweenGuests({ calls, requests, rounds }: typeof DEFAULTS): Promise<Map<CallerId, number[]>> {
  const { server: prefix } = pinning();
  await using node = await startNode(prefix);
  await using workerd = await startRelayWorker(prefix);
  const callers = CALLERS.map(({ id, of }) => ({ id, caller: of(node, workerd), times: [] as number[] }));
  for (const { caller } of callers) await turn(caller, calls, Math.ceil(requests / 4));
  for (let round = 0; round < rounds; round++) {
    for (const { id, caller, times } of rotated(callers, round)) {
      const measured = await turn(caller, calls, requests);
      times.push(...measured);
      process.stderr.write(`round ${round + 1}/${rounds}: ${id} ${median(measured).toFixed(2)} µs a call\n`);
    }
  }
  return new Map(callers.map(({ id, times }) => [id, times]));
}

async function turn(caller: CallingServer, calls: number, requests: number): Promise<number[]> {
  const without: number[] = [];
  const times: number[] = [];
  for (let i = 0; i < requests; i++) {
    without.push(await caller.request(0));
    times.push(await caller.request(calls));
  }
  caller.server.check();
  const base = median(without);
  return times.map((time) => (1000 * (time - base)) / calls);
}

/** Requests a second, one figure for each turn. */
async function overHttp({ rounds, seconds, connections }: typeof DEFAULTS): Promise<{ readonly ours: number[]; readonly hono: number[] }> {
  const pins = pinning();
  await using node = await startNode(pins.server);
  await using bare = await startHono(pins.server);
  const client = loadClient();
  const load = async (server: RunningServer, path: string): Promise<number> => {
    const options = { connections, seconds, prefix: pins.client, json: "[20,22]" };
    const { requestsPerSecond } = await client.run(`${server.url}${path}`, options);
    server.check();
    return requestsPerSecond;
  };
  const contenders = [
    { name: "ours", take: () => load(node, "-/tasks/calc/demo:math/calc/add"), rates: [] as number[] },
    { name: "hono", take: () => load(bare, "add"), rates: [] as number[] },
  ] as const;
  for (const { take } of contenders) await take();
  for (let round = 0; round < rounds; round++) {
    for (const { name, take, rates } of rotated(contenders, round)) {
      rates.push(await take());
      process.stderr.write(`round ${round + 1}/${rounds}: ${name} ${Math.round(rates.at(-1) as number)}/s\n`);
    }
  }
  const [ours, hono] = contenders;
  return { ours: ours.rates, hono: hono.rates };
}

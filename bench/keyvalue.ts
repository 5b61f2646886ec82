/**
 * What a guest's get and set cost with durable stores, beside the reads of `wasmtime serve` from its memory.
 *
 * `get` and `set` are one operation in one request, on an instance of its own. `gets` is many gets in one request, one
 * request at a time, which is about the gets alone: its rate is gets a second. Only reads are compared, since
 * what wasmtime's guest sets is gone with the instance.
 *
 * `--seconds N` a turn, `--rounds N`, `--warmup SECONDS`, `--connections N`, `--times N` gets in one request, `--json FILE`.
 */
import { VALUE, startOurs, startWasmtime, type Contender } from "./keyvalue/contenders.js";
import { readFlags } from "./support/arguments.js";
import { BenchError, main } from "./support/bench-error.js";
import { loadClient } from "./support/load.js";
import { describeMachine, pinning } from "./support/machine.js";
import { publish, type Row } from "./support/report.js";
import { requireRivals } from "./support/rivals.js";
import { median, ratio, rotated, spread } from "./support/statistics.js";
import type { Load } from "./support/wrk.js";

interface Turn {
  readonly contender: Contender;
  readonly what: "get" | "set" | "gets";
  readonly target: string;
  readonly connections: number;
  /** Operations in one request. */
  readonly each: number;
  readonly loads: Load[];
}

await main(async () => {
  const { numbers, json } = readFlags({ seconds: 4, rounds: 5, warmup: 1, connections: 16, times: 10_000 });
  requireRivals(["wasmtime"]);
  const machine = describeMachine();
  const client = loadClient();
  const pins = pinning();
  await using ours = disposable(await startOurs(pins.server, "group"));
  await using theirs = disposable(await startWasmtime(pins.server));
  await expectBody(ours.contender.url(`set?key=k&bytes=${VALUE.length}`), "set");
  for (const { contender } of [ours, theirs]) await expectBody(contender.url("get?key=k"), VALUE);

  const turns: Turn[] = [];
  for (const { contender } of [ours, theirs]) {
    const { connections, times } = numbers;
    turns.push({ contender, what: "get", target: "get?key=k", connections, each: 1, loads: [] });
    if (contender.id === "ours")
      turns.push({ contender, what: "set", target: "set?key=l&value=0123456789", connections, each: 1, loads: [] });
    turns.push({ contender, what: "gets", target: `gets?key=k&times=${times}`, connections: 1, each: times, loads: [] });
  }
  const take = async ({ contender, what, target, connections, each }: Turn, seconds: number): Promise<Load> => {
    const load = await client.run(contender.url(target), { connections, seconds, prefix: pins.client });
    contender.server.check();
    process.stderr.write(`${contender.id} ${what}: ${Math.round(load.requestsPerSecond * each)}/s\n`);
    return load;
  };
  if (numbers.warmup > 0) for (const turn of turns) await take(turn, numbers.warmup);
  for (let round = 0; round < numbers.rounds; round++) {
    for (const turn of rotated(turns, round)) turn.loads.push(await take(turn, numbers.seconds));
  }

  const rate = (id: Contender["id"], what: Turn["what"]): number => {
    const turn = turns.find((candidate) => candidate.contender.id === id && candidate.what === what) as Turn;
    return median(turn.loads.map((load) => load.requestsPerSecond * turn.each));
  };
  const figure = (what: Turn["what"], of: (load: Load) => number): number =>
    median((turns.find((turn) => turn.contender.id === "ours" && turn.what === what) as Turn).loads.map(of));
  const question = `key-value data from a guest: operations/s, ${client.name}, median of ${numbers.rounds} alternating rounds of ${numbers.seconds} s`;
  const ratios = {
    kv_get_vs_wasmtime: ratio(rate("ours", "get"), rate("wasmtime", "get")),
    kv_gets_vs_wasmtime: ratio(rate("ours", "gets"), rate("wasmtime", "gets")),
  };
  const figures = {
    kv_get_per_s: rate("ours", "get"),
    kv_get_p50_ms: figure("get", (load) => load.p50),
    kv_get_p99_ms: figure("get", (load) => load.p99),
    kv_set_per_s: rate("ours", "set"),
    kv_set_p50_ms: figure("set", (load) => load.p50),
    kv_set_p99_ms: figure("set", (load) => load.p99),
    kv_get_alone_us: 1e6 / rate("ours", "gets"),
  };
  publish({ question, machine, rows: turns.map(rowOf), ratios, figures }, json);
});

function rowOf({ contender, what, connections, each, loads }: Turn): Row {
  const rates = loads.map((load) => load.requestsPerSecond * each);
  return {
    contender: contender.name,
    operation: what,
    connections,
    "operations/s": Math.round(median(rates)),
    "spread %": Math.round(100 * spread(rates)),
    "p50 ms": median(loads.map((load) => load.p50)),
    "p99 ms": median(loads.map((load) => load.p99)),
    how: contender.how,
  };
}

function disposable(contender: Contender): AsyncDisposable & { readonly contender: Contender } {
  return { contender, [Symbol.asyncDispose]: () => contender.server[Symbol.asyncDispose]() };
}

async function expectBody(url: string, body: string): Promise<void> {
  const answer = await fetch(url);
  const text = await answer.text();
  if (answer.status !== 200 || text !== body)
    throw new BenchError(`${url} should answer ${JSON.stringify(body)}, not ${answer.status} ${JSON.stringify(text)}`);
}

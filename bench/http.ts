/**
 * How many requests a second a hello component answers over HTTP, clean and reused, beside `wasmtime serve`, workerd and bare Hono.
 *
 * Every contender is the real program on a port of its own, started once, checked for the right answer and warmed up.
 * Rounds alternate: each gives every contender its turn, and begins with another one. Ratios are those of the medians.
 *
 * `--seconds N` a turn, `--rounds N`, `--warmup SECONDS`, `--connections N`, `--json FILE`.
 */
import { main } from "./support/bench-error.js";
import { contenders, HELLO, ratiosOf, type Contender } from "./http/contenders.js";
import { readFlags } from "./support/arguments.js";
import { loadClient, type LoadClient } from "./support/load.js";
import { describeMachine, pinning } from "./support/machine.js";
import { FLAVOURS, type Flavour } from "./support/paths.js";
import { publish, type Row } from "./support/report.js";
import { requireRivals } from "./support/rivals.js";
import { expectAnswer, type RunningServer } from "./support/server.js";
import { median, rotated, spread } from "./support/statistics.js";
import type { Load } from "./support/wrk.js";

await main(async () => {
  const { numbers, json } = readFlags({ seconds: 5, rounds: 5, warmup: 2, connections: 32 });
  requireRivals(["wasmtime", "workerd"]);
  const machine = describeMachine();
  const client = loadClient();
  const rows: Row[] = [];
  const ratios: Record<string, number> = {};
  for (const flavour of FLAVOURS) {
    const measured = await measure(flavour, client, numbers);
    rows.push(...measured.map((result) => rowOf(flavour, result)));
    Object.assign(
      ratios,
      ratiosOf(flavour, (id) => median((measured.find(({ contender }) => contender.id === id) as Measured).loads.map(rate))),
    );
  }
  const { rounds, seconds, connections } = numbers;
  const question = `hello over HTTP: requests/s, ${client.name} -c${connections}, median of ${rounds} alternating rounds of ${seconds} s`;
  publish({ question, machine, rows, ratios, figures: {} }, json);
});

interface Measured {
  readonly contender: Contender;
  readonly loads: Load[];
}

interface Plan {
  readonly seconds: number;
  readonly rounds: number;
  readonly warmup: number;
  readonly connections: number;
}

/** Starts everybody, then lets them take turns. */
async function measure(flavour: Flavour, client: LoadClient, plan: Plan): Promise<Measured[]> {
  const pins = pinning();
  const entries: Entry[] = [];
  try {
    for (const contender of contenders(flavour, pins.server)) {
      const server = await contender.start();
      entries.push({ contender, server, loads: [] });
      await expectAnswer(server, HELLO);
    }
    const turn = async ({ contender, server }: Entry, seconds: number, what: string): Promise<Load> => {
      const load = await client.run(server.url, { connections: plan.connections, seconds, prefix: pins.client });
      server.check();
      process.stderr.write(`${flavour} ${what}: ${contender.id} ${Math.round(load.requestsPerSecond)}/s\n`);
      return load;
    };
    if (plan.warmup > 0) for (const entry of entries) await turn(entry, plan.warmup, "warm-up");
    for (let round = 0; round < plan.rounds; round++) {
      for (const entry of rotated(entries, round)) entry.loads.push(await turn(entry, plan.seconds, `round ${round + 1}/${plan.rounds}`));
    }
    for (const { server } of entries) await expectAnswer(server, HELLO);
    return entries;
  } finally {
    await Promise.all(entries.map(({ server }) => server[Symbol.asyncDispose]()));
  }
}

interface Entry extends Measured {
  readonly server: RunningServer;
}

function rate(load: Load): number {
  return load.requestsPerSecond;
}

function rowOf(flavour: Flavour, { contender, loads }: Measured): Row {
  return {
    wasi: flavour === "p2" ? "0.2" : "0.3",
    contender: contender.name,
    "requests/s": Math.round(median(loads.map(rate))),
    "spread %": Math.round(100 * spread(loads.map(rate))),
    "p50 ms": median(loads.map((load) => load.p50)),
    "p99 ms": median(loads.map((load) => load.p99)),
    how: contender.how,
  };
}

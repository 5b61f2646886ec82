/**
 * What a hit costs whose record has read 0, 8 or 64 keys, beside running hello and beside a cache that trusts time.
 *
 * In process both sides are timed the same way: from when a run is handed on until the head of its answer is with its listener, by
 * the run's own clock; and with the rest of the pipeline, from the request's arrival until the head goes to the front. A hundred
 * requests of one kind are asked in turn, each of which has its record. Unless a row says otherwise, an unrelated key of the same
 * store is written before they come round again: then each look has to look at each key that was read. Over HTTP hits are held against bare Hono, which answers the same bytes. A percentile is the
 * median over the rounds of each round's percentile; contenders take turns.
 *
 * `--operations N` a turn in process, `--rounds N`, `--seconds N` a turn over HTTP, `--warmup SECONDS`, `--connections N`,
 * `--json FILE`.
 */
import { DEPENDENCIES, startServed, type Served, type ServedId } from "./records/contenders.js";
import type { Percentiles, Staged, StageId } from "./records/stage.js";
import { readFlags } from "./support/arguments.js";
import { main } from "./support/bench-error.js";
import { loadClient } from "./support/load.js";
import { describeMachine, pinning } from "./support/machine.js";
import { runPart } from "./support/part.js";
import { publish, type Row } from "./support/report.js";
import { median, ratio, rotated, spread } from "./support/statistics.js";
import type { Load } from "./support/wrk.js";

const DEFAULTS = { operations: 20_000, rounds: 5, seconds: 5, warmup: 2, connections: 32 };
type Plan = typeof DEFAULTS;

/** With the flag of the executable's own first line, so that it runs as `pilotlight` does. */
const NODE_FLAGS = ["--max-semi-space-size=64"];

const STAGED: Readonly<Record<StageId, readonly [what: string, how: string]>> = {
  hit_0: ["hit, 0 dependencies", "of 100 records in turn, an unrelated key written in between"],
  hit_8: ["hit, 8 dependencies", "the same"],
  hit_64: ["hit, 64 dependencies", "the same"],
  hit_8_quiet: ["hit, 8 dependencies, quiet", "nothing written since the last look"],
  hit_64_quiet: ["hit, 64 dependencies, quiet", "nothing written since the last look"],
  cache: ["a cache that trusts time", "method and URL in a map, good for some time; nothing else of the pipeline"],
  hello_p2: ["running hello, WASI 0.2", "lease and run, clean instances, one after the other, the same writes"],
  hello_p3: ["running hello, WASI 0.3", "the same"],
};

await main(async () => {
  const { numbers: plan, json } = readFlags(DEFAULTS);
  const machine = describeMachine();
  const { operations, rounds } = plan;
  const { value: staged } = await runPart<Staged[]>(new URL("records/stage.ts", import.meta.url), [operations, rounds], NODE_FLAGS);
  const loads = await overHttp(plan);
  const client = loadClient().name;
  const of = (id: StageId, which: "stage" | "whole", p: keyof Percentiles): number =>
    median((staged.find((each) => each.id === id) as Staged)[which][p]);
  const rate = (id: ServedId): number => median((loads.find(({ served }) => served.id === id) as Loaded).loads.map(perSecond));
  // The one that is harder to beat.
  const hello = (which: "stage" | "whole"): number => Math.min(of("hello_p2", which, "p50"), of("hello_p3", which, "p50"));
  const ratios = {
    hello_over_hit_8: ratio(hello("stage"), of("hit_8", "stage", "p50")),
    hello_over_hit_8_quiet: ratio(hello("stage"), of("hit_8_quiet", "stage", "p50")),
    hello_over_hit_8_whole: ratio(hello("whole"), of("hit_8", "whole", "p50")),
    hit_8_over_cache: ratio(of("hit_8", "whole", "p50"), of("cache", "whole", "p50")),
    hits_vs_hono: ratio(rate("hits"), rate("hono")),
  };
  const figures = Object.fromEntries([
    ...staged.flatMap(({ id, stage }) => {
      const which = stage.p50.length > 0 ? "stage" : "whole";
      return [
        [`${id}_p50_us`, of(id, which, "p50")],
        [`${id}_p99_us`, of(id, which, "p99")],
      ];
    }),
    ...loads.map(({ served }) => [`${served.id}_per_s`, rate(served.id)]),
  ]) as Record<string, number>;
  const rows = [...staged.map(stagedRow), ...loads.map(loadedRow)];
  const question =
    `what a recorded answer costs: in process ${rounds} rounds of ${operations} operations; over HTTP, ${client} ` +
    `-c${plan.connections}, ${rounds} alternating rounds of ${plan.seconds} s (hits of ${DEPENDENCIES} dependencies)`;
  publish({ question, machine, rows, ratios, figures }, json);
});

interface Loaded {
  readonly served: Served;
  readonly loads: Load[];
}

async function overHttp({ seconds, rounds, warmup, connections }: Plan): Promise<readonly Loaded[]> {
  const pins = pinning();
  const client = loadClient();
  const served = await startServed(pins.server);
  try {
    const entries = served.map((each): Loaded => ({ served: each, loads: [] }));
    for (const { expect } of served) await expect();
    const take = async ({ id, url, server }: Served, time: number, what: string): Promise<Load> => {
      const load = await client.run(url, { connections, seconds: time, prefix: pins.client });
      server.check();
      process.stderr.write(`${what}: ${id} ${Math.round(load.requestsPerSecond)}/s\n`);
      return load;
    };
    if (warmup > 0) for (const each of served) await take(each, warmup, "warm-up");
    for (let round = 0; round < rounds; round++)
      for (const each of rotated(entries, round)) each.loads.push(await take(each.served, seconds, `round ${round + 1}/${rounds}`));
    for (const { expect } of served) await expect();
    return entries;
  } finally {
    for (const server of new Set(served.map((each) => each.server))) await server[Symbol.asyncDispose]();
  }
}

function perSecond({ requestsPerSecond }: Load): number {
  return requestsPerSecond;
}

function stagedRow({ id, stage, whole }: Staged): Row {
  const [what, how] = STAGED[id];
  return {
    what,
    ...(stage.p50.length > 0 && { "stage p50 µs": median(stage.p50), "stage p99 µs": median(stage.p99) }),
    "p50 µs": median(whole.p50),
    "p99 µs": median(whole.p99),
    how,
  };
}

function loadedRow({ served: { what, how }, loads }: Loaded): Row {
  const rates = loads.map(perSecond);
  return {
    what: `HTTP: ${what}`,
    "a second": Math.round(median(rates)),
    "spread %": Math.round(100 * spread(rates)),
    "p50 ms": median(loads.map(({ p50 }) => p50)),
    "p99 ms": median(loads.map(({ p99 }) => p99)),
    how,
  };
}

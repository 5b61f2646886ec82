/**
 * Hits and runs in process: `stage.ts OPERATIONS ROUNDS`. Contenders take turns; each operation begins with an empty stack, once
 * what came before is over. Before a record is looked at again, an unrelated key is written: then all that it has read is looked at.
 */
import { setImmediate as turn } from "node:timers/promises";
import { BenchError } from "../support/bench-error.js";
import { answerPart } from "../support/part.js";
import { percentile, rotated } from "../support/statistics.js";
import { answerTo, recordingRuntime, target, write } from "./node.mjs";
import { asksCache, Pipeline, type Ask } from "./pipeline.js";
import { TrustingCache } from "./trusting.js";

export type StageId = "hit_0" | "hit_8" | "hit_64" | "hit_8_quiet" | "hit_64_quiet" | "cache" | "hello_p2" | "hello_p3";

/** Microseconds, one for each round. */
export interface Percentiles {
  readonly p50: number[];
  readonly p99: number[];
}

export interface Staged {
  readonly id: StageId;
  readonly whole: Percentiles;
  /** Empty where nothing is run. */
  readonly stage: Percentiles;
}

/** Requests that are asked in turn; each has its own record. */
const RECORDS = 100;
const DEPENDENCIES = [0, 8, 64] as const;

interface Contender extends Staged {
  readonly asks: readonly Ask[];
  /** An unrelated key of the store is written after each round of them, before the next. */
  readonly writes: boolean;
}

const [operations = 20_000, rounds = 5] = process.argv.slice(2).map(Number);
const runtime = await recordingRuntime({ write: () => {} });
const pipeline = await Pipeline.of(runtime, "/hello-p2");
for (const keys of DEPENDENCIES) for (let n = 0; n < RECORDS; n++) await settle(keys, n);

const cache = new TrustingCache(() => performance.now());
const trusted = await pipeline.answer(target(8, 0));
const hits = (keys: number): Ask[] => each((n) => pipeline.asks(target(keys, n), "hit"));
const contenders: readonly Contender[] = [
  contender("hit_0", hits(0), true),
  contender("hit_8", hits(8), true),
  contender("hit_64", hits(64), true),
  contender("hit_8_quiet", hits(8), false),
  contender("hit_64_quiet", hits(64), false),
  contender(
    "cache",
    each((n) => asksCache(cache, target(8, n), trusted)),
    true,
  ),
  contender("hello_p2", [pipeline.asks("/hello-p2", "run")], true),
  contender("hello_p3", [pipeline.asks("/hello-p3", "run")], true),
];
for (const one of contenders) await take(one, Math.ceil(operations / 4));
for (let round = 0; round < rounds; round++) {
  for (const one of rotated(contenders, round)) {
    const { whole, stage } = await take(one, operations);
    keep(one.whole, whole);
    if (stage !== undefined) keep(one.stage, stage);
    process.stderr.write(`round ${round + 1}/${rounds}: ${one.id} ${(1000 * percentile(stage ?? whole, 50)).toFixed(1)} µs\n`);
  }
}
await runtime.close();
answerPart(contenders.map(({ id, whole, stage }): Staged => ({ id, whole, stage })));

/** Until the answer comes from a record, which has read what it is said to. */
async function settle(keys: number, n: number): Promise<void> {
  const path = target(keys, n);
  for (let i = 0; i < 100; i++) {
    const { headers, body } = await pipeline.answer(path);
    const text = Buffer.from(body).toString();
    if (text !== answerTo(keys)) throw new BenchError(`${path} was answered ${text}`);
    if (headers[headers.indexOf("Cache-Status") + 1]?.startsWith("pilotlight; hit") === true) {
      const { items } = runtime.control.records(runtime.operator, "default", { task: "reader" }, { limit: 1000 });
      const dependencies = items.find(({ what }) => what === `GET ${path}`)?.dependencies;
      if (dependencies !== keys) throw new BenchError(`the record of ${path} has read ${dependencies} things, not ${keys}`);
      return;
    }
    await turn();
  }
  throw new BenchError(`${path} does not become a record`);
}

function each(ask: (n: number) => Ask): Ask[] {
  return Array.from({ length: RECORDS }, (_, n) => ask(n));
}

function contender(id: StageId, asks: readonly Ask[], writes: boolean): Contender {
  return { id, asks, writes, whole: { p50: [], p99: [] }, stage: { p50: [], p99: [] } };
}

/** Milliseconds of each operation. */
async function take(
  { asks, writes }: Contender,
  count: number,
): Promise<{ readonly whole: Float64Array; readonly stage: Float64Array | undefined }> {
  const whole = new Float64Array(count);
  const stage = new Float64Array(count);
  let isStaged = true;
  for (let i = 0; i < count; i++) {
    if (writes && i % RECORDS === 0) await write(runtime, "unrelated");
    await turn();
    const taken = await (asks[i % asks.length] as Ask)();
    whole[i] = taken.whole;
    if (taken.stage === undefined) isStaged = false;
    else stage[i] = taken.stage;
  }
  return { whole, stage: isStaged ? stage : undefined };
}

function keep(percentiles: Percentiles, times: Float64Array): void {
  percentiles.p50.push(1000 * percentile(times, 50));
  percentiles.p99.push(1000 * percentile(times, 99));
}

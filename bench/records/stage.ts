/**
 * Hits and runs in process: `stage.ts OPERATIONS ROUNDS`. Contenders take turns; each operation begins with an empty stack, once
 * what came before is over.
 */
import { setImmediate as turn } from "node:timers/promises";
import { BenchError } from "../support/bench-error.js";
import { answerPart } from "../support/part.js";
import { percentile, rotated } from "../support/statistics.js";
import { answerTo, recordingRuntime, target, write } from "./node.mjs";
import { asksCache, Pipeline, type Ask } from "./pipeline.js";

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

const DEPENDENCIES = [0, 8, 64] as const;

const [operations = 20_000, rounds = 5] = process.argv.slice(2).map(Number);
const runtime = await recordingRuntime({ write: () => {} });
const pipeline = await Pipeline.of(runtime, "/hello-p2");
for (const keys of DEPENDENCIES) await settle(keys);
const elsewhere = (): Promise<void> => write(runtime, "unrelated");

const contenders: (Staged & { readonly ask: Ask; readonly before: () => Promise<void> })[] = [
  contender("hit_0", pipeline.asks(target(0), "hit"), elsewhere),
  contender("hit_8", pipeline.asks(target(8), "hit"), elsewhere),
  contender("hit_64", pipeline.asks(target(64), "hit"), elsewhere),
  contender("hit_8_quiet", pipeline.asks(target(8), "hit")),
  contender("hit_64_quiet", pipeline.asks(target(64), "hit")),
  contender("cache", asksCache(target(8), await pipeline.answer(target(8)))),
  contender("hello_p2", pipeline.asks("/hello-p2", "run")),
  contender("hello_p3", pipeline.asks("/hello-p3", "run")),
];
for (const each of contenders) await take(each, Math.ceil(operations / 4));
for (let round = 0; round < rounds; round++) {
  for (const each of rotated(contenders, round)) {
    const { whole, stage } = await take(each, operations);
    keep(each.whole, whole);
    if (stage !== undefined) keep(each.stage, stage);
    process.stderr.write(`round ${round + 1}/${rounds}: ${each.id} ${(1000 * percentile(stage ?? whole, 50)).toFixed(1)} µs\n`);
  }
}
await runtime.close();
answerPart(contenders.map(({ id, whole, stage }): Staged => ({ id, whole, stage })));

/** Until its answer comes from a record, which has read what it is said to. */
async function settle(keys: number): Promise<void> {
  const { control, operator } = runtime;
  for (let i = 0; i < 100; i++) {
    const { headers, body } = await pipeline.answer(target(keys));
    if (Buffer.from(body).toString() !== answerTo(keys))
      throw new BenchError(`${target(keys)} was answered ${Buffer.from(body).toString()}`);
    if (headers[headers.indexOf("Cache-Status") + 1]?.startsWith("pilotlight; hit") === true) {
      const { items } = control.records(operator, "default", { task: "reader" }, {});
      const found = items.find(({ what }) => what === `GET ${target(keys)}`);
      const reads = found === undefined ? undefined : control.record(operator, "default", found.key).reads.length;
      if (reads !== keys) throw new BenchError(`the record of ${target(keys)} has ${reads} readings, not ${keys}`);
      return;
    }
    await turn();
  }
  throw new BenchError(`${target(keys)} does not become a record`);
}

function contender(id: StageId, ask: Ask, before: () => Promise<void> = () => Promise.resolve()): (typeof contenders)[number] {
  return { id, ask, before, whole: { p50: [], p99: [] }, stage: { p50: [], p99: [] } };
}

/** Milliseconds of each operation. */
async function take(
  { ask, before }: (typeof contenders)[number],
  count: number,
): Promise<{ readonly whole: Float64Array; readonly stage: Float64Array | undefined }> {
  const whole = new Float64Array(count);
  const stage = new Float64Array(count);
  let isStaged = true;
  for (let i = 0; i < count; i++) {
    await before();
    await turn();
    const taken = await ask();
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

/**
 * Weighs idle instances: `idle.ts p2|p3 COUNT RUNS`.
 *
 * The difference in PSS between a linked program and the same with COUNT instances ready, divided by COUNT; and once
 * more after RUNS runs on them, each replaced by a new instance in its slot, which shows what used slots keep.
 */
import { collectGarbage, pssOf } from "../support/memory.js";
import { answerPart } from "../support/part.js";
import { helloComponent, linkProgram, productEngine, refuseFailures, runCommand } from "./engine.js";

export interface Weighed {
  /** Bytes of PSS for each instance. */
  readonly ready: number;
  readonly afterRuns: number;
  /** The same, of the slots alone, once every instance is gone. */
  readonly left: number;
}

/** Instances made or runs going at once. */
const AT_ONCE = 64;

const [flavour = "p2", countText = "2000", runsText = "10000"] = process.argv.slice(2);
const [count, runs] = [Number(countText), Number(runsText)];
const engine = productEngine(count + AT_ONCE);
const { program } = await linkProgram(engine, helloComponent(flavour));
const generations = Array.from({ length: count + AT_ONCE }, () => 0);
let lastRun = 0;

// Threads, code and what the first instance of all sets up is not what an instance weighs.
await prepareAll(AT_ONCE);
await runAll(AT_ONCE, AT_ONCE);
await retireAll(AT_ONCE);
const before = await weigh();
await prepareAll(count);
const ready = await weigh();
await runAll(count, runs);
const afterRuns = await weigh();
await retireAll(count);
const left = await weigh();
await engine.close();
const each = (bytes: number): number => (bytes - before) / count;
const weighed: Weighed = { ready: each(ready), afterRuns: each(afterRuns), left: each(left) };
answerPart(weighed);

async function weigh(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 200));
  collectGarbage();
  return pssOf("self");
}

/** Makes instances in the slots below `slots`, some at a time. */
function prepareAll(slots: number): Promise<void> {
  return eachOnce(slots, (n) => engine.send({ kind: "prepare", slot: n, generation: nextGeneration(n), program }), "ready");
}

function retireAll(slots: number): Promise<void> {
  return eachOnce(slots, (n) => engine.send({ kind: "retire", slot: n, generation: generations[n] as number }), "retired");
}

/** Runs on the slots in turn; in the place of each used instance a new one is made. */
function runAll(slots: number, total: number): Promise<void> {
  const idle = Array.from({ length: slots }, (_, slot) => slot);
  let [begun, replaced, next] = [0, 0, 0];
  return new Promise((resolve) => {
    const run = (): void => {
      const slot = idle[next++] as number;
      begun++;
      engine.send(runCommand(program, slot, generations[slot] as number, ++lastRun));
    };
    engine.listen((events) => {
      for (const event of events) {
        refuseFailures(event);
        if (event.kind === "retired") {
          engine.send({ kind: "prepare", slot: event.slot, generation: nextGeneration(event.slot), program });
        } else if (event.kind === "ready") {
          idle.push(event.slot);
          if (begun < total) run();
          if (++replaced === total) resolve();
        }
      }
    });
    while (begun < Math.min(AT_ONCE, slots, total)) run();
  });
}

function nextGeneration(slot: number): number {
  return (generations[slot] = (generations[slot] as number) + 1);
}

/** Sends a command for each number below `total` and waits for as many events. */
function eachOnce(total: number, send: (n: number) => void, answer: "ready" | "retired"): Promise<void> {
  let [sent, answered] = [0, 0];
  return new Promise((resolve) => {
    engine.listen((events) => {
      for (const event of events) {
        refuseFailures(event);
        if (event.kind !== answer) continue;
        if (sent < total) send(sent++);
        if (++answered === total) resolve();
      }
    });
    while (sent < Math.min(AT_ONCE, total)) send(sent++);
  });
}

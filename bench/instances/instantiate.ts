/**
 * Times how long the engine takes to make an instance, one after the other: `instantiate.ts p2|p3 OPERATIONS ROUNDS`.
 *
 * The time is the engine's own (`ready.nanoseconds`): host state, store, instance. An instance is told to go before the
 * next is asked for, in another slot: that it is gone is told late, because nobody waits for it, and a bench that did
 * would time a processor that has slept. Asking and hearing of it are not in the figure.
 */
import { answerPart } from "../support/part.js";
import { percentile } from "../support/statistics.js";
import { helloComponent, linkProgram, productEngine, refuseFailures } from "./engine.js";

export interface Instantiated {
  /** Microseconds, a figure for each round. */
  readonly p50: number[];
  readonly p99: number[];
}

const [flavour = "p2", operations = "20000", rounds = "5"] = process.argv.slice(2);
const engine = productEngine(1000);
const { program } = await linkProgram(engine, helloComponent(flavour));
const result: Instantiated = { p50: [], p99: [] };
/** Slots in turn: one is used again long after its instance is gone. */
const SLOTS = 500;
let made = 0;
await times(Number(operations) >> 2); // warm-up
for (let round = 0; round < Number(rounds); round++) {
  const microseconds = await times(Number(operations));
  result.p50.push(percentile(microseconds, 50));
  result.p99.push(percentile(microseconds, 99));
}
await engine.close();
answerPart(result);

function times(count: number): Promise<Float64Array> {
  const microseconds = new Float64Array(count);
  let [done, gone] = [0, 0];
  return new Promise((resolve) => {
    const start = made;
    const prepare = (): void => {
      engine.send({ kind: "prepare", slot: made % SLOTS, generation: 1 + Math.floor(made / SLOTS), program });
      made++;
    };
    engine.listen((events) => {
      for (const event of events) {
        refuseFailures(event);
        if (event.kind === "ready") {
          microseconds[done++] = event.nanoseconds / 1000;
          engine.send({ kind: "retire", slot: event.slot, generation: event.generation });
          if (done < count && made - start - gone < SLOTS) prepare();
        } else if (event.kind === "retired") {
          gone++;
          if (gone === count) resolve(microseconds);
          // All slots were taken.
          else if (done < count && done === made - start) prepare();
        }
      }
    });
    prepare();
  });
}

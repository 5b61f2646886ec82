/**
 * Times how long the engine takes to make an instance, one after the other: `instantiate.ts p2|p3 OPERATIONS ROUNDS`.
 *
 * The time is the engine's own (`ready.nanoseconds`): host state, store, instance. The instance is retired, and gone,
 * before the next is asked for; asking and hearing of it are not in the figure.
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
let generation = 0;
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
  const slot = 0;
  let done = 0;
  return new Promise((resolve) => {
    const prepare = (): void => engine.send({ kind: "prepare", slot, generation: ++generation, program });
    engine.listen((events) => {
      for (const event of events) {
        refuseFailures(event);
        if (event.kind === "ready") {
          microseconds[done++] = event.nanoseconds / 1000;
          engine.send({ kind: "retire", slot, generation });
        } else if (event.kind === "retired") {
          if (done < count) prepare();
          else resolve(microseconds);
        }
      }
    });
    prepare();
  });
}

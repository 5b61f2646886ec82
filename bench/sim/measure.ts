/**
 * Measures the steps of a start on this addon: `measure.ts compile|raise FOLDER NAME COUNT INSTANCES`.
 *
 * FOLDER holds NAME-0.wasm and so on, components that differ only in their digest, and their compiled forms. A process of
 * `compile` makes those; one of `raise` finds them, as a node does that has let a program go: what it reads is in the
 * page cache. `raise` then makes INSTANCES of one program.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine, ProgramId } from "#dist/engine/engine.js";
import { helloComponent, linkProgram, productEngine, refuseFailures } from "../instances/engine.js";
import { collectGarbage, pssOf } from "../support/memory.js";
import { answerPart } from "../support/part.js";
import { median } from "../support/statistics.js";
import type { Steps } from "./costs.js";

const [what = "raise", folder = ".", name = "", countText = "1", instancesText = "1"] = process.argv.slice(2);
const count = Number(countText);
const instances = Number(instancesText);
// A JavaScript guest takes the places of several small ones in the pool.
const engine = productEngine(4 * (instances + count) + 200, join(folder, "compiled"));
// What the first program of all sets up is not what a program costs.
const warm = await linkProgram(engine, helloComponent("p2"));
await makeInstances(engine, warm.program, 20);
const FIRST_SLOT = 100;
answerPart(what === "compile" ? await compile() : await raise());

async function compile(): Promise<Pick<Steps, "compileMs">> {
  const took: number[] = [];
  for (let n = 0; n < count; n++) {
    const begin = performance.now();
    await engine.load(component(n));
    took.push(performance.now() - begin);
  }
  return { compileMs: median(took) };
}

async function raise(): Promise<Omit<Steps, "compileMs">> {
  const took: number[] = [];
  const programs: ProgramId[] = [];
  const before = await weigh();
  for (let n = 0; n < count; n++) {
    const begin = performance.now();
    const { program, cached } = await linkProgram(engine, component(n));
    took.push(performance.now() - begin);
    if (!cached) throw new Error(`the compiled form of ${name}-${n} was not found in ${folder}`);
    programs.push(program);
  }
  // The first instance of a program touches pages that all its later ones share: they are the program's.
  for (const [n, program] of programs.entries()) await makeInstances(engine, program, 1, FIRST_SLOT + n);
  const touched = await weigh();
  const program = programs[0] as ProgramId;
  const nanoseconds = await makeInstances(engine, program, instances, FIRST_SLOT + count);
  const ready = await weigh();
  return {
    raiseMs: median(took),
    instantiateMs: median(nanoseconds) / 1e6,
    programBytes: Math.round((touched - before) / count),
    readyBytes: Math.round((ready - touched) / instances),
  };
}

function component(n: number): Buffer {
  return readFileSync(join(folder, `${name}-${n}.wasm`));
}

/** Makes so many, one after the other, and leaves them ready; nanoseconds of each. */
function makeInstances(on: Engine, program: ProgramId, total: number, slot = 0): Promise<number[]> {
  const nanoseconds: number[] = [];
  return new Promise((resolve) => {
    const next = (): void => on.send({ kind: "prepare", slot: slot + nanoseconds.length, generation: 1, program });
    on.listen((events) => {
      for (const event of events) {
        refuseFailures(event);
        if (event.kind !== "ready") continue;
        nanoseconds.push(event.nanoseconds);
        if (nanoseconds.length < total) next();
        else resolve(nanoseconds);
      }
    });
    next();
  });
}

async function weigh(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 200));
  collectGarbage();
  return pssOf("self");
}

/** What each step of a start costs on this machine: the engine as the product sets it up, real components. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withSection } from "../instances/components.js";
import { BenchError } from "../support/bench-error.js";
import { runPart } from "../support/part.js";
import { ROOT } from "../support/paths.js";
import { median } from "../support/statistics.js";
import { COMPONENTS, type Component } from "./trace.js";

/** Milliseconds and bytes. */
export interface Steps {
  /** From the component to its compiled form on disk. */
  readonly compileMs: number;
  /** From the compiled form to a linked program: read, map, link. */
  readonly raiseMs: number;
  /** From the program to an instance. */
  readonly instantiateMs: number;
  /** What a linked program adds to the process, once an instance of it was made (PSS). */
  readonly programBytes: number;
  /** What each instance more that waits for a run adds (PSS). */
  readonly readyBytes: number;
}

export type Costs = Readonly<Record<Component, Steps>>;

/** Hello, in each language, and how many programs of it are weighed: enough for the noise to be small beside them. */
const SUBJECTS: Readonly<Record<Component, { readonly file: string; readonly programs: number }>> = {
  c: { file: "examples/c-hello/c-hello.wasm", programs: 100 },
  rust: { file: "examples/rust-hello/rust-hello.wasm", programs: 60 },
  javascript: { file: "examples/hello/hello.wasm", programs: 8 },
};
const INSTANCES = 300;
const ROUNDS = 3;

/** Measures them all; about half a minute, most of it compiling. `note` hears what is being done. */
export async function measureCosts(note: (text: string) => void): Promise<Costs> {
  const measured: Partial<Record<Component, Steps>> = {};
  for (const component of COMPONENTS) {
    note(`measuring the steps of a start, ${component}`);
    measured[component] = await measure(component);
  }
  return measured as Costs;
}

async function measure(component: Component): Promise<Steps> {
  const { file, programs } = SUBJECTS[component];
  const path = join(ROOT, file);
  if (!existsSync(path)) throw new BenchError(`${path} is not built; npm run setup builds it`);
  const folder = mkdtempSync(join(tmpdir(), "pilotlight-costs-"));
  try {
    mkdirSync(join(folder, "compiled"));
    const bytes = readFileSync(path);
    for (let n = 0; n < programs; n++) writeFileSync(join(folder, `${component}-${n}.wasm`), withSection(bytes, `program ${n}`));
    const part = new URL("measure.ts", import.meta.url);
    const { value: compiled } = await runPart<Pick<Steps, "compileMs">>(part, ["compile", folder, component, programs, INSTANCES]);
    const rounds: Omit<Steps, "compileMs">[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push((await runPart<Omit<Steps, "compileMs">>(part, ["raise", folder, component, programs, INSTANCES])).value);
    }
    const middle = (step: keyof Omit<Steps, "compileMs">): number => median(rounds.map((round) => round[step]));
    return {
      ...compiled,
      raiseMs: middle("raiseMs"),
      instantiateMs: middle("instantiateMs"),
      programBytes: middle("programBytes"),
      readyBytes: middle("readyBytes"),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * From an upload to its first answer, a thousand deployed tasks back after a restart, and what one holds that nobody calls.
 *
 * The node is the product itself, `pilotlight serve` with durable state, a process of its own; workerd with as many
 * workers stands beside it. `--tasks N`, `--rounds N`, `--json FILE`.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Filled } from "./deploy/fill.js";
import { startNode, type Node } from "./deploy/node.js";
import { withSection } from "./instances/components.js";
import { measureIsolates } from "./instances/isolates.js";
import { readFlags } from "./support/arguments.js";
import { BenchError, main } from "./support/bench-error.js";
import { describeMachine } from "./support/machine.js";
import { runPart } from "./support/part.js";
import { ROOT } from "./support/paths.js";
import { publish, type Row } from "./support/report.js";
import { requireRivals } from "./support/rivals.js";
import { median } from "./support/statistics.js";

const KIB = 2 ** 10;
const DEFAULTS = { tasks: 1000, rounds: 5 };
const HELLOS = [
  ["TypeScript", join(ROOT, "examples/hello/hello.wasm")],
  ["Rust", join(ROOT, "examples/rust-hello/rust-hello.wasm")],
] as const;

const rows: Row[] = [];
const ratios: Record<string, number> = {};
const figures: Record<string, number> = {};

await main(async () => {
  const { numbers: plan, json } = readFlags(DEFAULTS);
  requireRivals(["workerd"]);
  const machine = describeMachine();
  await withFolder(async (folder, config) => uploads(folder, config, plan.rounds));
  await restarts(plan);
  publish({ question: "deploys, and restarts with what was deployed", machine, rows, ratios, figures }, json);
});

async function uploads(folder: string, config: string, rounds: number): Promise<void> {
  const node = await startNode(folder, config);
  try {
    for (const [language, file] of HELLOS) {
      if (!existsSync(file)) throw new BenchError(`${file} is not built; npm run setup builds it`);
      const component = readFileSync(file);
      const took: number[] = [];
      for (let round = 0; round < rounds; round++) {
        note(`deploy of hello in ${language} ${round + 1}/${rounds}`);
        // Of a digest that was never compiled here, and a task that never was.
        took.push(await node.deploy(`${language.toLowerCase()}-${round}`, withSection(component, `${language} ${round} ${Date.now()}`)));
      }
      const ms = median(took);
      row(
        `upload to first answer, hello in ${language}`,
        ms,
        "ms",
        `${Math.round(component.byteLength / KIB)} KiB, compiled for the first time, over the admin API`,
      );
      figures[`deploy_${language.toLowerCase()}_ms`] = ms;
    }
  } finally {
    await node.stop();
  }
}

async function restarts({ tasks, rounds }: typeof DEFAULTS): Promise<void> {
  await withFolder(async (folder, config) => {
    await withFolder(async (empty, emptyConfig) => {
      note(`deploying ${tasks} tasks`);
      const { value } = await runPart<Filled>(new URL("deploy/fill.ts", import.meta.url), [folder, tasks]);
      row(
        "a deploy, many at once",
        (value.seconds * 1000) / tasks,
        "ms",
        `hello 0.2 in C, ${tasks} of distinct digests, in process, compiled for the first time`,
      );
      await (await startNode(empty, emptyConfig)).stop();
      const results: { readonly full: Measured; readonly none: Measured; readonly workerd: number }[] = [];
      for (let round = 0; round < rounds; round++) {
        note(`restart ${round + 1}/${rounds}`);
        const full = await restart(folder, config, `/task-${tasks - 1}`);
        const none = await restart(empty, emptyConfig, "/-/livez");
        results.push({ full, none, workerd: (await measureIsolates(tasks)).seconds });
      }
      const seconds = median(results.map(({ full }) => full.ms)) / 1000;
      const workerd = median(results.map((result) => result.workerd));
      row(
        `restart with ${tasks} tasks`,
        seconds,
        "s",
        "from the start of the process to an answer of the last task; state, components and compiled forms on disk",
      );
      row("restart with none", median(results.map(({ none }) => none.ms)) / 1000, "s", "the same, to the health of the node");
      row(`workerd with ${tasks} workers`, workerd, "s", "from the start of the process to the first answer");
      const idle = median(results.map(({ full, none }) => (full.pss - none.pss) / tasks / KIB));
      row("a deployed task that nobody calls", idle, "KiB", `PSS, a node with ${tasks} less a node with none, ÷ tasks`);
      figures[`restart_${tasks}_tasks_s`] = seconds;
      figures["idle_task_kib"] = idle;
      ratios["restart_vs_workerd"] = workerd / seconds;
    });
  });
}

interface Measured {
  readonly ms: number;
  readonly pss: number;
}

async function restart(folder: string, config: string, path: string): Promise<Measured> {
  const begin = performance.now();
  const node: Node = await startNode(folder, config);
  try {
    const status = await node.ask(path);
    if (status !== 200) throw new BenchError(`after the restart ${path} was answered ${status}`);
    return { ms: performance.now() - begin, pss: node.pss() };
  } finally {
    await node.stop();
  }
}

/** A data folder, and a configuration without tasks. */
async function withFolder(work: (folder: string, config: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pilotlight-deploy-"));
  try {
    const config = join(folder, "node.config.json");
    writeFileSync(config, "{}");
    await work(join(folder, "data"), config);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function row(what: string, value: number, unit: string, how: string): void {
  rows.push({ what, value, unit, how });
}

function note(text: string): void {
  process.stderr.write(`deploy: ${text}\n`);
}

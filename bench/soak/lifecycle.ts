/**
 * A run and its sidecars move together, in order and in time, whatever either of them does: start, pause, resume, stop.
 *
 * `--seed N` repeats what is asked, `--steps N` (10,000) runs, `--at-once N` of them (64). Exits with 0 only if nothing was wrong.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { runLifecycle } from "./lifecycle/soak.js";
import { reportFound } from "./support/found.js";

await main(async () => {
  const { numbers } = readFlags({ steps: 10_000, seed: Date.now() % 1_000_000, "at-once": 64 });
  const { steps, seed, "at-once": atOnce } = numbers;
  const progress = (line: string): void => void process.stderr.write(`lifecycle: ${line}\n`);
  progress(`seed ${seed}`);
  const { counts, seconds, violations, found } = await runLifecycle({ steps, seed, atOnce, progress });
  reportFound(found);
  const kinds = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`);
  process.stdout.write(`lifecycle: ${kinds.join(", ")} in ${seconds.toFixed(1)} s: ${violations} violations, seed ${seed}\n`);
  if (violations > 0) process.exitCode = 1;
});

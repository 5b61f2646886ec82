/**
 * Runs that answer later, and what starts by itself, over `kill -9`: one run record each, none lost, none begun more often than was
 * promised. `--seed N` repeats what is done, `--steps N` kills (200). Exits with 0 only if nothing was wrong.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { DeferredSubject } from "./deferred/subject.js";
import { runKill } from "./kill/soak.js";
import { reportFound } from "./support/found.js";

await main(async () => {
  const { steps, seed } = readFlags({ steps: 200, seed: Date.now() % 1_000_000 }).numbers;
  const progress = (line: string): void => void process.stderr.write(`deferred: ${line}\n`);
  progress(`seed ${seed}`);
  const subjects = { node: (folder: string) => new DeferredSubject(folder) };
  const { rounds, answered, cutOff, seconds, violations, found } = await runKill({ steps, seed, subjects, progress });
  reportFound(found);
  const counts = `${rounds} kills, ${answered} accepted, ${cutOff} cut off`;
  process.stdout.write(`deferred: ${counts} in ${seconds.toFixed(1)} s: ${violations} violations, seed ${seed}\n`);
  if (violations > 0) process.exitCode = 1;
});

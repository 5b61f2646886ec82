/**
 * Keys written under a prefix that starts a task, over `kill -9`: exactly one run record for each revision.
 *
 * `--seed N` repeats what is done, `--steps N` kills (100), in which 10,000 keys and more are written. Exits with 0 only if nothing was
 * wrong, and so many were.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { DeferredSubject } from "./deferred/subject.js";
import { runKill } from "./kill/soak.js";
import { reportFound } from "./support/found.js";

/** For each kill, so that 100 come to 10,000. */
const WRITES = 220;

await main(async () => {
  const { steps, seed } = readFlags({ steps: 100, seed: Date.now() % 1_000_000 }).numbers;
  const progress = (line: string): void => void process.stderr.write(`store-trigger: ${line}\n`);
  progress(`seed ${seed}`);
  const subjects = { node: (folder: string) => new DeferredSubject(folder, { kinds: ["write"], ticks: false, mostAnswers: WRITES }) };
  const { rounds, answered, cutOff, seconds, violations, found } = await runKill({ steps, seed, subjects, progress });
  reportFound(found);
  const counts = `${rounds} kills, ${answered} writes, ${cutOff} cut off`;
  process.stdout.write(`store-trigger: ${counts} in ${seconds.toFixed(1)} s: ${violations} violations, seed ${seed}\n`);
  if (violations > 0) process.exitCode = 1;
});

/**
 * `kill -9` at random moments, round after round: nothing that was answered is lost, nothing is there by halves, and every start works.
 *
 * In turn the state and component store alone, and a whole `pilotlight serve` changed through its admin API and by guests.
 * `--seed N` repeats what is done and when it is killed (not what the disk makes of it), `--steps N` rounds of both together (200).
 * Exits with 0 only if nothing was wrong.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { runKill } from "./kill/soak.js";
import { subjects } from "./kill/subjects.js";
import { reportFound } from "./support/found.js";

await main(async () => {
  const { steps, seed } = readFlags({ steps: 200, seed: Date.now() % 1_000_000 }).numbers;
  const progress = (line: string): void => void process.stderr.write(`kill: ${line}\n`);
  progress(`seed ${seed}`);
  const { rounds, answered, cutOff, seconds, violations, found } = await runKill({ steps, seed, subjects, progress });
  reportFound(found);
  const counts = `${rounds} rounds, ${answered} answered changes, ${cutOff} cut off`;
  process.stdout.write(`kill: ${counts} in ${seconds.toFixed(1)} s: ${violations} violations, seed ${seed}\n`);
  if (violations > 0) process.exitCode = 1;
});

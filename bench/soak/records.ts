/**
 * Records against an oracle: no stale answer, no lost update, no key that is stuck, whatever is written, deployed, killed and evicted.
 *
 * `--seed N` repeats what is asked, `--steps N` (1,000,000) steps in process, `--kills N` (30) kills of a node in a process of its own.
 * Exits with 0 only if nothing was wrong.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { runRecords } from "./records/soak.js";
import { reportFound } from "./support/found.js";

await main(async () => {
  const { numbers } = readFlags({ steps: 1_000_000, seed: Date.now() % 1_000_000, kills: 30 });
  const { steps, seed, kills } = numbers;
  const progress = (line: string): void => void process.stderr.write(`records: ${line}\n`);
  progress(`seed ${seed}`);
  const { counts, seconds, violations, found } = await runRecords({ steps, seed, kills, progress });
  reportFound(found);
  const kinds = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`);
  process.stdout.write(`records: ${steps} steps, ${kinds.join(", ")} in ${seconds.toFixed(1)} s: ${violations} violations, seed ${seed}\n`);
  if (violations > 0) process.exitCode = 1;
});

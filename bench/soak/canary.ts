/**
 * A secret that one request writes into its memory is never found by another, with the settings that everybody has by default.
 *
 * `--seed N` repeats a soak, `--steps N` (100,000 requests), `--concurrency N` (32). Exits with 0 only if nothing was
 * found, and if the control, with instances used again, did find it.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { runCanary } from "./canary/soak.js";
import { reportFound } from "./support/found.js";

await main(async () => {
  const { numbers } = readFlags({ steps: 100_000, seed: Date.now() % 1_000_000, concurrency: 32 });
  const { steps, seed, concurrency } = numbers;
  const progress = (line: string): void => void process.stderr.write(`canary: ${line}\n`);
  progress(`seed ${seed}`);
  const { control, writes, scans, seconds, violations, found } = await runCanary({ steps, seed, atOnce: concurrency, progress });
  reportFound(found);
  const counts = `${steps} requests (${writes} wrote, ${scans} looked; control found it ${control.found.join(" and ")} times of ${control.scans})`;
  process.stdout.write(`canary: ${counts} at ${concurrency} in ${seconds.toFixed(1)} s: ${violations} violations, seed ${seed}\n`);
  if (violations > 0) process.exitCode = 1;
});

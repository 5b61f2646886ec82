/**
 * A secret that one tenant's request leaves in memory is never found by another tenant's, and in a clean instance by none, while cells and
 * instances go from tenant to tenant.
 *
 * `--seed N` repeats what is asked, `--steps N` (100,000 requests), `--concurrency N` (32). Exits with 0 only if nothing was
 * found, if looks in instances that were used again did find their own tenant's, and if cells changed hands often enough.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { runCanary, SIZE } from "./canary/soak.js";
import { reportFound } from "./support/found.js";

await main(async () => {
  const { numbers } = readFlags({ steps: 100_000, seed: Date.now() % 1_000_000, concurrency: 32 });
  const { steps, seed, concurrency } = numbers;
  const progress = (line: string): void => void process.stderr.write(`canary: ${line}\n`);
  progress(`seed ${seed}`);
  const result = await runCanary({ steps, seed, atOnce: concurrency, progress });
  const { writes, looks, ownFound, refused, handovers, seconds, violations, found } = result;
  const { assigned, reclaimed, changed, instances } = handovers;
  reportFound(found);
  const looked = Object.entries(looks).map(([aim, count]) => `${count} for ${aim}`);
  const asked = `${steps} requests (${writes} wrote; ${looked.join(", ")}, found ${ownFound} times; ${refused} refused and made again)`;
  const went = `${assigned} cells assigned, ${reclaimed} taken back from a tenant and ${changed} seen to change theirs, ${instances} instances`;
  process.stdout.write(
    `canary: ${asked} of ${SIZE.tenants} tenants in ${SIZE.cells} cells: ${went} at ${concurrency} in ${seconds.toFixed(1)} s: ${violations} violations, seed ${seed}\n`,
  );
  if (violations > 0) process.exitCode = 1;
});

/**
 * What one tenant's request leaves in memory is never found by another tenant's, and in a clean instance by nobody, while
 * cells and instances go from tenant to tenant.
 *
 * `--seed N` repeats what is asked, `--steps N` (100,000 requests), `--concurrency N` (8). Exits with 0 only if nothing was
 * found, if looks in instances that were used again did find what their own tenant had left, and if cells were given to
 * other tenants often enough.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { runCanary } from "./canary/soak.js";
import { reportFound } from "./support/found.js";

await main(async () => {
  const { numbers } = readFlags({ steps: 100_000, seed: Date.now() % 1_000_000, concurrency: 8 });
  const { steps, seed, concurrency } = numbers;
  const progress = (line: string): void => void process.stderr.write(`canary: ${line}\n`);
  progress(`seed ${seed}`);
  const { tally, handovers, seconds, violations, found } = await runCanary({ steps, seed, atOnce: concurrency, progress });
  const { assigned, reclaimed, changed, instances } = handovers;
  reportFound(found);
  const looked = `${tally.anybodys} looked for anybody's, ${tally.others} for another tenant's, ${tally.own} for their own, found ${tally.ownFound} times`;
  const asked = `${steps} requests (${tally.writes} wrote; ${looked}; ${tally.refused} refused and made again)`;
  const went = `${assigned} cells given to a tenant (${reclaimed} taken back from another, ${changed} seen to change theirs), ${instances} instances`;
  process.stdout.write(`canary: ${asked}; ${went}; at ${concurrency} in ${seconds.toFixed(1)} s: ${violations} violations, seed ${seed}\n`);
  if (violations > 0) process.exitCode = 1;
});

/**
 * Deploys, rollbacks, weights and deletes under a constant load of 0.7 × what the node sustains: no request fails, and each gets the right version.
 *
 * `--seed N` repeats the changes (not the moments at which they meet requests), `--steps N` seconds of load (30),
 * `--calibrate N` seconds in which it is found out what the node sustains (5), `--connections N` (64). The node is a real
 * `pilotlight serve`; the load comes from this process, which takes one core at most. Exits with 0 only if nothing was wrong.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { runRollout } from "./rollout/soak.js";
import { reportFound } from "./support/found.js";

await main(async () => {
  const { numbers } = readFlags({ steps: 30, seed: Date.now() % 1_000_000, calibrate: 5, connections: 64 });
  const progress = (line: string): void => void process.stderr.write(`rollout: ${line}\n`);
  progress(`seed ${numbers.seed}`);
  const result = await runRollout({ ...numbers, progress });
  const { requests, sustained, rate, p50, p99, changes, split, sticky, violations, found } = result;
  reportFound(found);
  const made = Object.entries(changes)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(", ");
  process.stdout.write(
    `rollout: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms; weights looked at ${split} times, users followed ${sticky} times\n`,
  );
  process.stdout.write(
    `rollout: ${requests} requests, ${Math.round(rate)} a second of ${Math.round(sustained)} sustained for ${numbers.steps} s; ${made}: ${violations} violations, seed ${numbers.seed}\n`,
  );
  if (violations > 0) process.exitCode = 1;
});

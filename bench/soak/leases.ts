/**
 * Leases, cells and tenants under random steps, against a model of a node that judges every command of the real pool.
 *
 * Nodes by chance, one after the other: demand, endings of every kind, lost and silent instances, programs that come and go,
 * budgets, sizes and terms that change, drains, a clock that jumps, and runs that
 * call others and wait for them. `--seed N` repeats a soak, `--steps N` (10,000,000).
 * Exits with 0 only if no promise was broken.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { runLeases } from "./leases/soak.js";
import { reportFound } from "./support/found.js";

await main(() => {
  const { steps, seed } = readFlags({ steps: 10_000_000, seed: Date.now() % 1_000_000 }).numbers;
  const progress = (line: string): void => void process.stderr.write(`leases: ${line}\n`);
  progress(`seed ${seed}`);
  const { nodes, counts, seconds, violations, found } = runLeases({ steps, seed, progress });
  reportFound(found);
  const { granted, shared, refused, expired, reclaimed, raised, moved, called, reserved } = counts;
  const leases = `${granted} leases (${shared} on busy instances), ${refused} refused, ${expired} expired; ${called} calls, ${reserved} in the reserve`;
  const capacity = `${reclaimed} cells taken back, ${moved} came to another tenant, ${raised} programs linked`;
  process.stdout.write(
    `leases: ${steps} steps on ${nodes} nodes (${leases}; ${capacity}) in ${seconds.toFixed(1)} s: ${violations} violations, seed ${seed}\n`,
  );
  if (violations > 0) process.exitCode = 1;
  return Promise.resolve();
});

/**
 * Two tenants on one node never read, change or detect each other's things: each is told what it would be told on a node of its own.
 *
 * `--seed N` repeats what both ask, `--steps N` (10,000), `--programs N` in a thousand commands run as the real program (5).
 * Exits with 0 only if nothing was wrong.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { runIsolation } from "./isolation/soak.js";
import { reportFound } from "./support/found.js";

await main(async () => {
  const { numbers } = readFlags({ steps: 10_000, seed: Date.now() % 1_000_000, programs: 5 });
  const { steps, seed, programs } = numbers;
  const progress = (line: string): void => void process.stderr.write(`isolation: ${line}\n`);
  progress(`seed ${seed}`);
  const result = await runIsolation({ steps, seed, programs: programs / 1000, progress });
  const { requests, accepted, pairs, unasked, seconds, violations, found } = result;
  reportFound(found);
  const kinds = Object.entries(accepted).map(([kind, count]) => `${count} ${kind}`);
  if (unasked.length > 0) process.stdout.write(`isolation: never asked: ${unasked.join(", ")}\n`);
  process.stdout.write(
    `isolation: ${requests} requests (accepted with looks: ${kinds.join(", ")}), ${pairs} pairs in ${seconds.toFixed(1)} s: ${violations} violations, seed ${seed}\n`,
  );
  if (violations > 0) process.exitCode = 1;
});

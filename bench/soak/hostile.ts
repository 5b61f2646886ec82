/**
 * Mixed requests, a tenth of them hostile, against a real node: every answer right, every ending blamed on who caused it, nothing left behind.
 *
 * `--seed N` repeats a soak, `--steps N` (10,000), `--concurrency N` (64), `--warmup N` steps before the first look,
 * `--growth N` MiB that the node may gain. Exits with 0 only if nothing was wrong.
 */
import { readFlags } from "../support/arguments.js";
import { main } from "../support/bench-error.js";
import { runHostile } from "./hostile/soak.js";
import { reportFound } from "./support/found.js";

await main(async () => {
  const { numbers } = readFlags({ steps: 10_000, seed: Date.now() % 1_000_000, concurrency: 64, warmup: 2000, growth: 64 });
  const { steps, seed, concurrency, warmup, growth } = numbers;
  const progress = (line: string): void => void process.stderr.write(`hostile: ${line}\n`);
  progress(`seed ${seed}`);
  const result = await runHostile({ steps, seed, atOnce: concurrency, warmup, growth: growth * 2 ** 20, progress });
  const { requests, hostile, seconds, violations, found } = result;
  reportFound(found);
  process.stdout.write(
    `hostile: ${requests} requests, ${hostile} of them hostile, at ${concurrency} in ${seconds.toFixed(1)} s: ${violations} violations, seed ${seed}\n`,
  );
  if (violations > 0) process.exitCode = 1;
});

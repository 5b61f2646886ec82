/**
 * 1.4 times what a node can, for a minute: what is served stays fast, everything else is refused at once, and nothing else comes back.
 *
 * Latency one request at a time, then what the node can with a client that waits for answers (the best window), then
 * independent arrivals at 1.4 of that, which wait for nothing. `--seconds N` of that load (60), `--over N` per cent (140),
 * `--work N` milliseconds of processor time for each request (3), `--seed N`, `--json FILE`. `--guest hello` is for one
 * that costs next to nothing, where the node itself is the limit, or the client: that is told, not judged. The node is a
 * real `pilotlight serve`; the load comes from a process of its own. Exits with 0 only if nothing was wrong.
 */
import { readFlags } from "../support/arguments.js";
import { BenchError, main } from "../support/bench-error.js";
import { describeMachine } from "../support/machine.js";
import { publish } from "../support/report.js";
import { BOUNDS, resultLines, runOverload, windowsOf } from "./overload/soak.js";
import { GUESTS, startTarget, type Guest } from "./overload/target.js";
import { reportFound } from "./support/found.js";

await main(async () => {
  const { guest, rest } = guestOf(process.argv.slice(2));
  const { numbers, json } = readFlags({ seconds: 60, seed: Date.now() % 1_000_000, over: 140, work: 3 }, rest);
  const { seconds, seed, work } = numbers;
  const over = numbers.over / 100;
  const machine = describeMachine();
  const progress = (line: string): void => void process.stderr.write(`overload: ${line}\n`);
  progress(`seed ${seed}`);
  const result = await runOverload({
    seconds,
    seed,
    over,
    unloadedSeconds: 10,
    windowSeconds: 3,
    windows: windowsOf(guest),
    bounds: BOUNDS,
    start: () => startTarget(guest, work),
    progress,
  });
  reportFound(result.found);
  const { figures, loaded, capacity, violations } = result;
  if (json !== undefined) {
    const counts = { requests: loaded.requests, served: loaded.served.length, refused: loaded.refused.length, wrong: loaded.wrong };
    const { served_p99_over_unloaded, goodput, ...more } = figures;
    const question = `${over} times what a node can for ${seconds} s (${guest}), seed ${seed}`;
    const ratios = { served_p99_over_unloaded, goodput };
    publish({ question, machine, rows: [counts], ratios, figures: { ...more, capacity, violations } }, json);
  }
  for (const line of resultLines(result, over, seed)) process.stdout.write(`overload: ${line}\n`);
  if (violations > 0 && guest === "work") process.exitCode = 1;
});

/** `--guest NAME` apart from the flags that are numbers. */
function guestOf(argv: readonly string[]): { readonly guest: Guest; readonly rest: readonly string[] } {
  const at = argv.indexOf("--guest");
  if (at < 0) return { guest: "work", rest: argv };
  const guest = GUESTS.find((known) => known === argv[at + 1]);
  if (guest === undefined) throw new BenchError(`--guest is one of ${GUESTS.join(", ")}, not ${argv[at + 1] ?? "nothing"}`);
  return { guest, rest: argv.toSpliced(at, 2) };
}

/** What a process holds, as Linux counts it. */
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { BenchError } from "./bench-error.js";

/** Proportional set size in bytes: pages of its own, and its share of those it shares. */
export function pssOf(pid: number | "self"): number {
  const rollup = read(`/proc/${pid}/smaps_rollup`);
  const kilobytes = /^Pss:\s+(\d+) kB/m.exec(rollup)?.[1];
  if (kilobytes === undefined) throw new BenchError(`/proc/${pid}/smaps_rollup has no Pss`);
  return Number(kilobytes) * 1024;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new BenchError(`memory is measured through ${path}, which this system does not give: ${(error as Error).message}`);
  }
}

let collect: (() => void) | undefined;

/** Throws away what JavaScript no longer needs, so that what is left is what is held. */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  // The second one takes what the finalizers of the first let go.
  collect();
  collect();
}

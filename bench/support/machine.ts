/** What a figure was measured on, in one object that goes with every result. */
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the last minute, before the bench: above half the cores, others were at work and figures are not to be trusted. */
  readonly load: number;
  readonly date: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    date: new Date().toISOString(),
  };
}

/** The machine as a line under a table; says so when it was not quiet. */
export function machineLine({ cpu, cores, memoryGiB, kernel, node, load }: Machine): string {
  const noisy = load > cores / 2 ? `; NOISY: the load was ${load} before it began` : "";
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}${noisy}`;
}

/**
 * With more than two cores the client has the last one to itself; with fewer, everybody shares.
 * Gives the commands' prefixes.
 */
export function pinning(cores: number = availableParallelism()): {
  readonly server: readonly string[];
  readonly client: readonly string[];
} {
  if (cores <= 2 || process.platform !== "linux") return { server: [], client: [] };
  return { server: ["taskset", "-c", `0-${cores - 2}`], client: ["taskset", "-c", String(cores - 1)] };
}

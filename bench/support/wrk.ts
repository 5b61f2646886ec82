/** Reads what wrk prints. */
import { BenchError } from "./bench-error.js";

export interface Load {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Milliseconds as the client saw them, with `connections` requests on their way all the time. */
  readonly p50: number;
  readonly p99: number;
  /** What went wrong, in words; empty when nothing did. */
  readonly errors: readonly string[];
}

const MILLISECONDS: Readonly<Record<string, number>> = { us: 1e-3, ms: 1, s: 1e3, m: 60e3, h: 3600e3 };

/** The figures of a run with `--latency`. */
export function parseWrk(output: string): Load {
  return {
    requests: Number(find(output, /^\s*(\d+) requests in /m)[1]),
    requestsPerSecond: Number(find(output, /^Requests\/sec:\s*([\d.]+)/m)[1]),
    p50: latency(output, 50),
    p99: latency(output, 99),
    errors: errorsOf(output),
  };
}

function latency(output: string, percent: number): number {
  const [, value, unit] = find(output, new RegExp(`^\\s*${percent}%\\s+([\\d.]+)(us|ms|s|m|h)`, "m"));
  return Number(value) * (MILLISECONDS[unit as string] as number);
}

/** wrk mentions these only when there were any. */
function errorsOf(output: string): string[] {
  const sockets = /^\s*Socket errors: (.*)$/m.exec(output)?.[1];
  const statuses = /^\s*Non-2xx or 3xx responses: (\d+)$/m.exec(output)?.[1];
  return [
    ...(sockets === undefined ? [] : [`socket errors: ${sockets}`]),
    ...(statuses === undefined ? [] : [`answers other than 2xx or 3xx: ${statuses}`]),
  ];
}

function find(output: string, pattern: RegExp): RegExpExecArray {
  const match = pattern.exec(output);
  if (match === null) throw new BenchError(`wrk printed nothing like ${pattern}; it printed:\n${output}`);
  return match;
}

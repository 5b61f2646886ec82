/** Who takes part in `bench/http`, how each is started, and which of them are compared. */
import { join } from "node:path";
import { guestFile, PILOTLIGHT, ROOT, type Flavour } from "../support/paths.js";
import { WASMTIME } from "../support/rivals.js";
import { startServer, type RunningServer, type ServerCommand } from "../support/server.js";
import { ratio } from "../support/statistics.js";
import { startWorkerd } from "../support/workerd.js";

/** What every contender answers. */
export const HELLO = "Hello, WASI!\n";

export type ContenderId = "ours-clean" | "ours-reuse" | "wasmtime-clean" | "wasmtime-tuned" | "wasmtime-reuse" | "workerd" | "hono";

export interface Contender {
  readonly id: ContenderId;
  readonly name: string;
  /** How it was started, as far as it matters. */
  readonly how: string;
  start(): Promise<RunningServer>;
}

/** What wasmtime reuses a 0.3 instance for by default, and so what ours may: requests in all, and at once. */
const REUSE = { requests: 128, atOnce: 16 };
/** Our own pooling options, given to the rival. */
const TUNED = "pooling-memory-keep-resident=2097152,pooling-table-keep-resident=524288,pooling-pagemap-scan=auto";
const OUR_LOGS = "log lines (level info, the default) to /dev/null";

/** Everybody, for one version of WASI. A 0.2 component takes one request at a time, whoever runs it. */
export function contenders(flavour: Flavour, prefix: readonly string[]): Contender[] {
  const guest = guestFile(`hello-${flavour}`);
  const isConcurrent = flavour === "p3";
  const ours = (id: ContenderId, name: string, how: string, ...args: string[]): Contender => {
    // With the flag of the executable's own first line, so that it runs as `pilotlight` does.
    const command: Command = [process.execPath, "--max-semi-space-size=64", PILOTLIGHT, "serve", guest, "--addr", "127.0.0.1:0", ...args];
    return contender(id, name, `${how}; ${OUR_LOGS}`, prefix, { command, dropOutput: true });
  };
  const wasmtime = (id: ContenderId, name: string, how: string, ...args: string[]): Contender => {
    const command: Command = [WASMTIME, "serve", "-Scli", "-Sp3,http", "--addr", "127.0.0.1:0", ...args, guest];
    return contender(id, name, how, prefix, { command });
  };
  const reuse = ["--reuse", `maxRequests=${REUSE.requests}`, ...(isConcurrent ? ["--reuse", `maxConcurrent=${REUSE.atOnce}`] : [])];
  const reused = `${REUSE.requests} requests an instance, ${isConcurrent ? `${REUSE.atOnce} at once` : "one at a time"}`;
  const clean = ["--max-instance-reuse-count", "1"];
  return [
    ours("ours-clean", "pilotlight, clean", "pilotlight serve FILE"),
    ours("ours-reuse", "pilotlight, reused", reused, ...reuse),
    wasmtime("wasmtime-clean", "wasmtime serve, clean", "as it comes, reuse off", ...clean),
    wasmtime("wasmtime-tuned", "wasmtime serve, clean, tuned", "reuse off, our pooling options", ...clean, "-O", TUNED),
    // As it comes for 0.3; a 0.2 component it reuses only when told to.
    isConcurrent
      ? wasmtime("wasmtime-reuse", "wasmtime serve, reused", `as it comes: ${reused}`)
      : wasmtime("wasmtime-reuse", "wasmtime serve, reused", reused, "--max-instance-reuse-count", String(REUSE.requests)),
    { id: "workerd", name: "workerd", how: "JavaScript, one isolate for all requests", start: () => startWorkerd(HELLO, 1, prefix) },
    contender("hono", "bare Hono", "@hono/node-server, the same Node, no component", prefix, {
      command: [process.execPath, join(ROOT, "bench/http/hono-server.mjs"), HELLO],
    }),
  ];
}

type Command = readonly [string, ...string[]];

function contender(id: ContenderId, name: string, how: string, prefix: readonly string[], server: Omit<ServerCommand, "name">): Contender {
  const command = [...prefix, ...server.command] as unknown as Command;
  return { id, name, how, start: () => startServer({ ...server, name, command }) };
}

/** Ours against theirs, by the names under which the project speaks of them. */
const COMPARED: Readonly<Record<string, readonly [ContenderId, ContenderId]>> = {
  fresh_vs_wasmtime: ["ours-clean", "wasmtime-clean"],
  fresh_vs_tuned_wasmtime: ["ours-clean", "wasmtime-tuned"],
  reuse_vs_wasmtime_reuse: ["ours-reuse", "wasmtime-reuse"],
  fresh_vs_hono: ["ours-clean", "hono"],
  fresh_vs_workerd: ["ours-clean", "workerd"],
};

export function ratiosOf(flavour: Flavour, rate: (id: ContenderId) => number): Record<string, number> {
  return Object.fromEntries(
    Object.entries(COMPARED).map(([name, [ours, theirs]]) => [`${name}_${flavour}`, ratio(rate(ours), rate(theirs))]),
  );
}

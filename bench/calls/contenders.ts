/** Who takes part in `bench/calls`: a function that calls another one as often as it is told, and returns the sum. */
import { join } from "node:path";
import { BenchError } from "../support/bench-error.js";
import { ROOT } from "../support/paths.js";
import { startServer, type RunningServer } from "../support/server.js";
import { startWorkerdWith } from "../support/workerd.js";

export type CallerId = "call" | "late_bound" | "asked" | "workerd_binding";

export interface CallingServer {
  readonly server: RunningServer;
  /** Has one request make so many calls, one after the other; milliseconds that it took. */
  request(calls: number): Promise<number>;
}

export interface Caller {
  readonly id: CallerId;
  readonly what: string;
  readonly how: string;
  readonly of: (node: RunningServer, workerd: RunningServer) => CallingServer;
}

export const CALLERS: readonly Caller[] = [
  ours("call", "named", "an explicit dependency", "`uses`, clean instances; the callee stays with the caller's run"),
  ours("late_bound", "chosen", "by capability", "no task named; chosen anew after 10 ms at the latest"),
  ours("asked", "each", "each call a run", "`uses` of a task that shares its instances: what asking TypeScript for each costs"),
  {
    id: "workerd_binding",
    what: "workerd service binding",
    how: "RPC: `await env.CALC.add(a, b)` of a WorkerEntrypoint, two workers in one process",
    of: (_node, server) => ({
      server,
      request: (calls) => timed(calls, () => fetch(`${server.url}?n=${calls}`)),
    }),
  },
];

function ours(id: CallerId, task: string, what: string, how: string): Caller {
  return {
    id,
    what,
    how,
    of: (server) => ({
      server,
      request: (calls) =>
        timed(calls, () =>
          fetch(`${server.url}-/tasks/${task}/demo:app/relay/many`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: `[${calls}]`,
          }),
        ),
    }),
  };
}

async function timed(calls: number, ask: () => Promise<Response>): Promise<number> {
  const begin = performance.now();
  const answer = await ask();
  const text = await answer.text();
  const took = performance.now() - begin;
  if (answer.status !== 200 || text.trim() !== String(calls))
    throw new BenchError(`${calls} calls were answered ${answer.status}: ${text.slice(0, 300)}`);
  return took;
}

export function startNode(prefix: readonly string[]): Promise<RunningServer> {
  return startScript("node.mjs", prefix);
}

export function startHono(prefix: readonly string[]): Promise<RunningServer> {
  return startScript("hono-server.mjs", prefix);
}

/** With the flag of the executable's own first line, so that it runs as `pilotlight` does. */
function startScript(file: string, prefix: readonly string[]): Promise<RunningServer> {
  const script = join(ROOT, "bench/calls", file);
  const command = [...prefix, process.execPath, "--max-semi-space-size=64", script] as unknown as [string, ...string[]];
  return startServer({ name: file, command, dropOutput: true });
}

const CALC_WORKER = `import { WorkerEntrypoint } from "cloudflare:workers";
export class Calc extends WorkerEntrypoint { add(a, b) { return (a + b) >>> 0; } }
export default { fetch() { return new Response("calc"); } };`;

const RELAY_WORKER = `export default { async fetch(request, env) {
  const n = Number(new URL(request.url).searchParams.get("n"));
  let sum = 0;
  while (sum < n) sum = await env.CALC.add(sum, 1);
  return new Response(String(sum));
} };`;

export function startRelayWorker(prefix: readonly string[]): Promise<RunningServer> {
  const worker = (name: string, source: string, more = ""): string =>
    `(name = "${name}", worker = (modules = [(name = "${name}", esModule = ${JSON.stringify(source)})], ` +
    `compatibilityDate = "2026-11-01"${more}))`;
  const binding = `, bindings = [(name = "CALC", service = (name = "calc", entrypoint = "Calc"))]`;
  return startWorkerdWith(
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [${worker("calc", CALC_WORKER)}, ${worker("relay", RELAY_WORKER, binding)}],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "relay")]
);
`,
    prefix,
  );
}

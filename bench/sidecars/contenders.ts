/** Who takes part in `bench/sidecars`: a function that calls another one as often as it is told, and hello with and without company. */
import { Agent, get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { BenchError } from "../support/bench-error.js";
import { ROOT } from "../support/paths.js";
import { startServer, type RunningServer } from "../support/server.js";

/** With the flag of the executable's own first line, so that it runs as `pilotlight` does. */
export function startNode(prefix: readonly string[]): Promise<RunningServer> {
  const script = join(ROOT, "bench/sidecars/node.mjs");
  const command = [...prefix, process.execPath, "--max-semi-space-size=64", script] as unknown as [string, ...string[]];
  return startServer({ name: "node.mjs", command, dropOutput: true });
}

/** Milliseconds of a request that makes so many calls one after the other; ours is posted to, workerd's is asked by its query. */
export async function timedCalls(server: RunningServer, calls: number): Promise<number> {
  const isOurs = server.name === "node.mjs";
  const begin = performance.now();
  const answer = isOurs
    ? await fetch(`${server.url}-/tasks/linked/demo:app/relay/many`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: `[${calls}]`,
      })
    : await fetch(`${server.url}?n=${calls}`);
  const text = await answer.text();
  const took = performance.now() - begin;
  if (answer.status !== 200 || text.trim() !== String(calls))
    throw new BenchError(`${calls} calls were answered ${answer.status}: ${text.slice(0, 300)}`);
  return took;
}

/** So many requests one after the other: microseconds of each, and what of it its sidecars took before it ran, as the answer says. */
export async function timedHello(
  server: RunningServer,
  path: string,
  headers: Readonly<Record<string, string>>,
  count: number,
): Promise<{ readonly times: number[]; readonly inside: number[] }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  const inside: number[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const begin = performance.now();
      const { statusCode, headers: answered } = await ask(`${server.url}${path}`, agent, headers);
      times.push(1000 * (performance.now() - begin));
      if (statusCode !== 200) throw new BenchError(`${path} was answered ${statusCode}`);
      const timing = [...String(answered["server-timing"] ?? "").matchAll(/sidecar-[a-z-]+;dur=([\d.]+)/g)];
      if (timing.length > 0) inside.push(timing.reduce((sum, [, ms]) => sum + 1000 * Number(ms), 0));
    }
  } finally {
    agent.destroy();
  }
  return { times, inside };
}

function ask(url: string, agent: Agent, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = get(url, { agent, headers: { ...headers, "pilotlight-explain": "1" } }, (response) => {
      response.resume();
      response.on("end", () => resolve(response));
    });
    asked.on("error", reject);
  });
}

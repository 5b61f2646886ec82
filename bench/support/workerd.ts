/** workerd's configuration: any number of small JavaScript workers, each an isolate of its own, one of them on a port. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WORKERD } from "./rivals.js";
import { startServer, type RunningServer } from "./server.js";

/** Starts workerd with `workers` workers that answer `text`; requests reach the last one. Ends with its configuration removed. */
export function startWorkerd(text: string, workers = 1, prefix: readonly string[] = []): Promise<RunningServer> {
  return startWorkerdWith(configuration(text, workers), prefix);
}

/** Starts workerd with a configuration whose only socket is on port 0. */
export async function startWorkerdWith(text: string, prefix: readonly string[] = []): Promise<RunningServer> {
  const folder = mkdtempSync(join(tmpdir(), "pilotlight-workerd-"));
  const file = join(folder, "config.capnp");
  writeFileSync(file, text);
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const command = [...prefix, WORKERD, "serve", "--control-fd=3", file] as unknown as [string, ...string[]];
    const server = await startServer({ name: "workerd", command, control: true, url: listening });
    return {
      ...server,
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** workerd reports the port that it was given as a line of JSON. */
function listening(output: string): string | undefined {
  const port = /"event":"listen".*"port":(\d+)/.exec(output)?.[1];
  return port === undefined ? undefined : `http://127.0.0.1:${port}/`;
}

function configuration(text: string, workers: number): string {
  // Distinct sources, as the workers of distinct people are.
  const worker = (n: number): string => {
    const source = `/* ${n} */ export default { fetch() { return new Response(${JSON.stringify(text)}); } };`;
    return `    (name = "w${n}", worker = (modules = [(name = "w${n}", esModule = ${JSON.stringify(source)})], compatibilityDate = "2026-11-01"))`;
  };
  const services = Array.from({ length: workers }, (_, n) => worker(n));
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
${services.join(",\n")}
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "w${workers - 1}")]
);
`;
}

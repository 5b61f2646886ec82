/**
 * One round of load: wrk for some seconds, or our own client where there is no wrk.
 *
 * Anything but answers of 2xx over healthy connections is an error: a fast wrong answer is no figure.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BenchError } from "./bench-error.js";
import { ROOT } from "./paths.js";
import { hasWrk } from "./rivals.js";
import { parseWrk, type Load } from "./wrk.js";

export interface LoadOptions {
  readonly connections: number;
  readonly seconds: number;
  /** Command prefix that pins the client to a core. */
  readonly prefix: readonly string[];
  /** A JSON body that is posted; without one it is a GET. */
  readonly json?: string;
}

export interface LoadClient {
  readonly name: string;
  run(url: string, options: LoadOptions): Promise<Load>;
}

const OWN_CLIENT = fileURLToPath(new URL("load-client.ts", import.meta.url));

/** The client to use on this machine. */
export function loadClient(): LoadClient {
  if (hasWrk()) {
    const flags = ({ connections, seconds }: LoadOptions): string[] => ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency"];
    return {
      name: "wrk -t1",
      run: async (url, options) => {
        const script = options.json === undefined ? undefined : postScript(options.json);
        const scripted = script === undefined ? [] : ["-s", script];
        try {
          return healthy(url, parseWrk(await output([...options.prefix, "wrk", ...flags(options), ...scripted, url])));
        } finally {
          if (script !== undefined) rmSync(dirname(script), { recursive: true });
        }
      },
    };
  }
  const own = ({ connections, seconds, json = "" }: LoadOptions): string[] => [
    "--import",
    "tsx",
    OWN_CLIENT,
    String(connections),
    String(seconds),
    json,
  ];
  return {
    name: "built-in client (no wrk here)",
    run: async (url, options) =>
      healthy(url, JSON.parse(await output([...options.prefix, process.execPath, ...own(options), url])) as Load),
  };
}

/** What tells wrk to post. */
function postScript(json: string): string {
  const file = join(mkdtempSync(join(tmpdir(), "pilotlight-wrk-")), "post.lua");
  const lines = ['wrk.method = "POST"', `wrk.body = ${JSON.stringify(json)}`, 'wrk.headers["Content-Type"] = "application/json"'];
  writeFileSync(file, lines.join("\n"));
  return file;
}

function healthy(url: string, load: Load): Load {
  if (load.errors.length > 0) throw new BenchError(`${url} did not answer everything as it should: ${load.errors.join("; ")}`);
  if (load.requests === 0) throw new BenchError(`${url} answered nothing`);
  return load;
}

function output(command: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = command as [string, ...string[]];
    const child = spawn(program, args, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve(text) : reject(new BenchError(`${program} ended with ${code}:\n${text}`))));
  });
}

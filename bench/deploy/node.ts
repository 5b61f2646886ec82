/** The product, `pilotlight serve`, over a data folder: how soon it answers, what it holds, and deploys over its admin API. */
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BenchError } from "../support/bench-error.js";
import { pssOf } from "../support/memory.js";
import { PILOTLIGHT } from "../support/paths.js";

export interface Node {
  readonly origin: string;
  /** From the start of the process until it listened. */
  readonly listenedMs: number;
  pss(): number;
  /** Uploads a component as a task and asks for its path until it answers; milliseconds for all of it. */
  deploy(name: string, component: Uint8Array): Promise<number>;
  ask(path: string): Promise<number>;
  stop(): Promise<void>;
}

export async function startNode(folder: string, config: string): Promise<Node> {
  const begin = performance.now();
  const args = [
    PILOTLIGHT,
    "serve",
    "--addr",
    "127.0.0.1:0",
    "--admin",
    "127.0.0.1:0",
    "--data",
    folder,
    "--config",
    config,
    "--log",
    "warn",
  ];
  const env = { ...process.env, XDG_CONFIG_HOME: join(folder, "config") };
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"], env });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const text = await linesOf(child);
  const listenedMs = performance.now() - begin;
  const [origin, admin] = ["data", "admin"].map((plane) => new RegExp(`${plane} plane (\\S+)/\n`).exec(text)?.[1] as string) as [
    string,
    string,
  ];
  const ask = async (path: string): Promise<number> => {
    const answer = await fetch(origin + path);
    await answer.arrayBuffer();
    return answer.status;
  };
  return {
    origin,
    listenedMs,
    ask,
    pss: () => pssOf(child.pid as number),
    deploy: async (name, component) => {
      const key = readFileSync(join(folder, "admin.key"), "utf8").trim();
      const form = new FormData();
      form.set("manifest", JSON.stringify({ name, component: "hello.wasm" }));
      form.set("component", new Blob([new Uint8Array(component)]));
      const started = performance.now();
      const answer = await fetch(`${admin}/v1/tenants/default/tasks/${name}/versions`, {
        method: "POST",
        body: form,
        headers: { authorization: `Bearer ${key}` },
      });
      if (answer.status !== 201) throw new BenchError(`the deploy was answered ${answer.status}: ${await answer.text()}`);
      await answer.arrayBuffer();
      const status = await ask(`/${name}`);
      if (status !== 200) throw new BenchError(`the first answer of ${name} was ${status}`);
      return performance.now() - started;
    },
    stop: () =>
      new Promise((resolve) => {
        process.off("exit", kill);
        child.once("close", () => resolve());
        child.kill("SIGTERM");
      }),
  };
}

/** What it says until it listens. */
function linesOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (/admin plane \S+\n/.test(text)) resolve(text);
    });
    child.once("error", reject);
    child.once("close", (code) => reject(new BenchError(`pilotlight serve ended with ${code}: ${text}`)));
  });
}

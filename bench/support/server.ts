/**
 * Programs under test: started as a user would, asked where they listen, ended with the bench.
 *
 * What they print is kept, at most its end, for the message when something goes wrong.
 */
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { BenchError } from "./bench-error.js";
import { ROOT } from "./paths.js";

export interface ServerCommand {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** Finds the URL in what the program prints; the default looks for the first `http://HOST:PORT/`. */
  readonly url?: (output: string) => string | undefined;
  /** True when it tells where it listens on descriptor 3 instead of stderr and stdout. */
  readonly control?: boolean;
  /** Throws standard output away, as a node does whose logs go elsewhere. */
  readonly dropOutput?: boolean;
  /** True when it is asked things on stdin, and answers on stdout. */
  readonly talks?: boolean;
}

export interface RunningServer extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  /** Throws, with what the program said, when it has ended by itself. */
  check(): void;
  /** Writes a line to a program that talks, and resolves with the line that it answers. */
  ask(line: string): Promise<string>;
}

const START_MS = 60_000;
const KEPT = 4000;

const running = new Set<ChildProcess>();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)
  process.once(signal, () => process.exit(status));

/** Starts the program and resolves once it says where it listens. */
export async function startServer(server: ServerCommand): Promise<RunningServer> {
  const [command, ...args] = server.command;
  const stdio: StdioOptions = [
    server.talks === true ? "pipe" : "ignore",
    server.dropOutput === true ? "ignore" : "pipe",
    "pipe",
    ...(server.control === true ? (["pipe"] as const) : []),
  ];
  // A node writes itself into its user's list of nodes; what is measured is none of the user's.
  const env = { ...process.env, XDG_CONFIG_HOME: join(tmpdir(), "pilotlight-bench") };
  const child = spawn(command, args, { cwd: ROOT, stdio, env });
  running.add(child);
  let ended: string | undefined;
  let output = "";
  let said = "";
  const listen = (stream: NodeJS.ReadableStream | null | undefined, isControl: boolean): void => {
    stream?.on("data", (chunk: Buffer) => {
      const text = chunk.toString();
      output = (output + text).slice(-KEPT);
      if (isControl === (server.control === true)) said = (said + text).slice(0, KEPT);
    });
  };
  const answers = server.talks === true ? createInterface({ input: child.stdout as NodeJS.ReadableStream }) : undefined;
  if (answers === undefined) listen(child.stdout, false);
  listen(child.stderr, false);
  listen(child.stdio[3] as NodeJS.ReadableStream | undefined, true);
  child.on("error", (error) => (ended = error.message));
  child.on("exit", (code, signal) => (ended = `it ended with ${signal ?? code}`));

  const check = (): void => {
    if (ended !== undefined) throw new BenchError(`${server.name}: ${ended}; its last words:\n${output.trim()}`);
  };
  const ask = (line: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const lost = (): void => reject(new BenchError(`${server.name} ended without an answer; its last words:\n${output.trim()}`));
      child.once("exit", lost);
      answers?.once("line", (said: string) => {
        child.off("exit", lost);
        resolve(said);
      });
      child.stdin?.write(`${line}\n`);
    });
  const urlOf = server.url ?? ((text: string) => /http:\/\/[\d.]+:\d+\//.exec(text)?.[0]);
  const deadline = Date.now() + START_MS;
  for (;;) {
    check();
    const url = urlOf(said);
    if (url !== undefined)
      return { name: server.name, url, pid: child.pid as number, check, ask, [Symbol.asyncDispose]: () => stop(child) };
    if (Date.now() > deadline) {
      await stop(child);
      throw new BenchError(`${server.name} did not say where it listens within ${START_MS / 1000} s; it said:\n${output.trim()}`);
    }
    await sleep(2);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill("SIGTERM");
    const impatience = setTimeout(() => child.kill("SIGKILL"), 5000);
    await gone;
    clearTimeout(impatience);
  }
  running.delete(child);
}

/** Asks until the answer is right; a wrong one is an error that shows it. */
export async function expectAnswer(server: RunningServer, body: string): Promise<void> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    server.check();
    try {
      const answer = await fetch(server.url);
      const text = await answer.text();
      if (answer.status === 200 && text === body) return;
      throw new BenchError(
        `${server.name} should answer 200 ${JSON.stringify(body)}, not ${answer.status} ${JSON.stringify(text.slice(0, 200))}`,
      );
    } catch (error) {
      if (error instanceof BenchError || Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

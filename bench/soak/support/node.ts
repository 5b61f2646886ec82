/** Starts the node under soak, asks it what it holds, and notices when it dies. */
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { BenchError } from "../../support/bench-error.js";
import { ROOT } from "../../support/paths.js";
import type { FromNode, Held, Planned, ToNode } from "./node-process.js";

const PROGRAM = fileURLToPath(new URL("node-process.ts", import.meta.url));
const START_MS = 120_000;

export class SoakNode implements AsyncDisposable {
  /** One for each list of tasks, in their order. */
  readonly ports: readonly number[];
  readonly #child: ChildProcess;
  readonly #errors: () => string;
  #stopping = false;

  private constructor(child: ChildProcess, ports: readonly number[], errors: () => string) {
    this.#child = child;
    this.ports = ports;
    this.#errors = errors;
  }

  /** Starts a process with a runtime for each list of tasks. */
  static async start(plan: readonly (readonly Planned[])[]): Promise<SoakNode> {
    const child = fork(PROGRAM, [JSON.stringify(plan)], {
      cwd: ROOT,
      execArgv: ["--import", "tsx"],
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    });
    let stderr = "";
    child.stderr?.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4000)));
    const kill = (): void => void child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.off("exit", kill));
    const errors = (): string => stderr.trim();
    const message = await reply(child, "listening", errors);
    return new SoakNode(child, message.ports, errors);
  }

  /** What it holds now. Rejects when it has died. */
  async held(): Promise<Held> {
    const answer = reply(this.#child, "held", this.#errors);
    this.#child.send("held" satisfies ToNode);
    return (await answer).held;
  }

  /** How the process died, if it has; undefined while it lives. */
  get death(): string | undefined {
    const { exitCode, signalCode } = this.#child;
    if (this.#stopping || (exitCode === null && signalCode === null)) return undefined;
    return `the node ended with ${signalCode ?? exitCode}; its last words:\n${this.#errors()}`;
  }

  /** Drains it; resolves with how it ended, which is 0 when all went well. */
  async stop(): Promise<number | string | null> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return signalCode ?? exitCode;
    this.#stopping = true;
    return new Promise((resolve) => {
      const impatience = setTimeout(() => this.#child.kill("SIGKILL"), 20_000);
      this.#child.once("exit", (code, signal) => {
        clearTimeout(impatience);
        resolve(signal ?? code);
      });
      this.#child.send("stop" satisfies ToNode);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** The next message of a kind; rejects when the process ends first, or says nothing. */
function reply<K extends FromNode["kind"]>(child: ChildProcess, kind: K, errors: () => string): Promise<Extract<FromNode, { kind: K }>> {
  return new Promise((resolve, reject) => {
    const over = (): void => {
      clearTimeout(impatience);
      child.off("message", listen).off("exit", died);
    };
    const died = (code: number | null, signal: string | null): void => {
      over();
      reject(new BenchError(`the node ended with ${signal ?? code}; its last words:\n${errors()}`));
    };
    const listen = (message: unknown): void => {
      if ((message as FromNode).kind !== kind) return;
      over();
      resolve(message as Extract<FromNode, { kind: K }>);
    };
    const impatience = setTimeout(() => {
      over();
      reject(new BenchError(`the node said nothing for ${START_MS / 1000} s; its last words:\n${errors()}`));
    }, START_MS);
    if (child.exitCode !== null || child.signalCode !== null) return died(child.exitCode, child.signalCode);
    child.on("message", listen).on("exit", died);
  });
}

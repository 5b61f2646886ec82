/** `pilotlight serve` over a data folder, as a user starts it: for soaks that drive a node through its admin API. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { BenchError } from "../../support/bench-error.js";
import { PILOTLIGHT } from "../../support/paths.js";

/** Where a node listens, without the last slash, and its first admin key. */
export interface NodeAddress {
  readonly data: string;
  readonly admin: string;
  readonly key: string;
}

/** How a process ended: its exit status, or the signal. */
export type Ended = number | NodeJS.Signals;

const LISTENS = /^data plane (http:\S+)\/\nadmin plane (http:\S+)\/\n/;
const START_MS = 60_000;
const STOP_MS = 40_000;
/** Of what the process says; the rest is not needed to understand it. */
const KEPT = 20_000;

export class ServedNode implements AsyncDisposable {
  /** Where it listens, once it does; undefined when it ended before. */
  readonly listening: Promise<NodeAddress | undefined>;
  readonly #child: ChildProcess;
  readonly #over: Promise<unknown>;
  #stderr = "";
  #stdout = "";

  /** Over `folder`, which is made if it is not there. It logs warnings and errors alone. */
  constructor(folder: string) {
    const cwd = dirname(folder);
    mkdirSync(cwd, { recursive: true });
    const args = ["serve", "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", folder, "--log", "warn"];
    const child = spawn(process.execPath, ["--max-semi-space-size=64", PILOTLIGHT, ...args], {
      cwd,
      // The user's own list of nodes is none of a soak's business.
      env: { ...process.env, XDG_CONFIG_HOME: cwd, PILOTLIGHT_CACHE: "", NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const dies = (): void => void child.kill("SIGKILL");
    process.once("exit", dies);
    child.once("exit", () => process.off("exit", dies));
    this.#child = child;
    this.#over = once(child, "close");
    child.stdout.on("data", (piece: Buffer) => (this.#stdout = (this.#stdout + piece.toString()).slice(0, KEPT)));
    this.listening = new Promise((resolve, reject) => {
      const impatience = setTimeout(
        () => reject(new BenchError(`the node did not listen within ${START_MS / 1000} s: ${this.said}`)),
        START_MS,
      );
      child.stderr.on("data", (piece: Buffer) => {
        this.#stderr = (this.#stderr + piece.toString()).slice(0, KEPT);
        const [, data, admin] = LISTENS.exec(this.#stderr) ?? [];
        if (data === undefined || admin === undefined) return;
        clearTimeout(impatience);
        resolve({ data, admin, key: readFileSync(join(folder, "admin.key"), "utf8").trim() });
      });
      child.once("close", () => {
        clearTimeout(impatience);
        resolve(undefined);
      });
    });
  }

  /** Undefined while it lives. */
  get ended(): Ended | undefined {
    return this.#child.exitCode ?? this.#child.signalCode ?? undefined;
  }

  /** All that it said, for reports. */
  get said(): string {
    return `it said on stderr:\n${this.#stderr}and on stdout:\n${this.#stdout}`;
  }

  /** What it said beside where it listens, and where its key is: nothing, if all is well. */
  get complaints(): string {
    return this.#stderr.replace(LISTENS, "").replace(/^admin key in \S+\n/, "") + this.#stdout;
  }

  /** Sends the signal, and resolves with how the process ended once it is gone with all it had to say. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<Ended> {
    if (this.ended === undefined) this.#child.kill(signal);
    const impatience = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    await this.#over;
    clearTimeout(impatience);
    return this.ended as Ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGTERM");
  }
}

/**
 * The program itself, `node dist/cli/bin.js …`, as a user starts it.
 *
 * What it says is kept: whoever waits for it in vain is told all of it, and so is the report of a test that failed.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach } from "vitest";
import { atEnd } from "./cleanup.js";
import { ROOT } from "./files.js";
import { LogCapture } from "./log.js";
import { until, within } from "./until.js";

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Everything on stdin; without it stdin is empty, and with null it stays open. */
  readonly input?: string | null;
}

/** How a program ended, and all it said. */
export interface Ending {
  /** The exit status, or the signal that ended it. */
  readonly exit: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

const BIN = join(ROOT, "dist/cli/bin.js");
/** How much of either stream a report shows. */
const TAIL = 4000;
/** Nothing is read from or left in the user's own cache and list of nodes. */
const ENVIRONMENT = { NO_COLOR: "1", PILOTLIGHT_CACHE: "", XDG_CONFIG_HOME: mkdtempSync(join(tmpdir(), "pilotlight-test-config-")) };
const running = new Set<Program>();

afterAll(() => rmSync(ENVIRONMENT.XDG_CONFIG_HOME, { recursive: true, force: true }));

afterEach(({ task }) => {
  if (task.result?.state === "fail") for (const program of running) console.error(program.said());
});

export class Program {
  readonly ended: Promise<Ending>;
  stdout = "";
  stderr = "";
  readonly #args: readonly string[];
  readonly #child: ChildProcess;

  constructor(args: readonly string[], { cwd = ROOT, env = {}, input = "" }: ProgramOptions) {
    this.#args = args;
    this.#child = spawn(process.execPath, [BIN, ...args], { cwd, env: { ...process.env, ...ENVIRONMENT, ...env } });
    running.add(this);
    const { stdin, stdout, stderr } = this.#child;
    stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text));
    stderr?.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    stdin?.on("error", () => {}); // it need not read to the end
    if (input !== null) stdin?.end(input);
    this.ended = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("close", (code, signal) =>
        resolve({ exit: code ?? (signal as NodeJS.Signals), stdout: this.stdout, stderr: this.stderr }),
      );
    });
    atEnd(() => this.stop());
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Asks it to end, and sees to it that it does. */
  async stop(): Promise<Ending> {
    this.signal("SIGTERM");
    const stubborn = setTimeout(() => this.signal("SIGKILL"), 15_000);
    const ending = await this.ended;
    clearTimeout(stubborn);
    running.delete(this);
    return ending;
  }

  /** Everything, for reports. */
  said(): string {
    return `\n--- pilotlight ${this.#args.join(" ")}\n--- stderr\n${this.stderr.slice(-TAIL)}--- stdout\n${this.stdout.slice(-TAIL)}---`;
  }

  /** Waits for `pattern` on stderr. */
  async says(pattern: RegExp, limitMs = 20_000): Promise<RegExpExecArray> {
    let over = false;
    void this.ended.then(() => (over = true));
    const found = await until(
      () => `stderr has ${pattern}${this.said()}`,
      () => pattern.exec(this.stderr) ?? (over ? null : undefined),
      limitMs,
    );
    if (found === null) throw new Error(`it ended without saying ${pattern}${this.said()}`);
    return found;
  }

  /** What it logs on stdout, from now on. */
  log(): LogCapture {
    const log = new LogCapture();
    this.#child.stdout?.on("data", (text: string) => log.write(text));
    return log;
  }

  /** The most memory that was resident at once so far, in MiB. */
  peakMiB(): number {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, "latin1"))?.[1]) / 1024;
  }
}

/** Runs the program to its end. */
export function runProgram(args: readonly string[], options: ProgramOptions = {}): Promise<Ending> {
  const program = new Program(args, options);
  return within(program.ended, 60_000, "its end", () => program.said());
}

/** A program that serves. */
export interface Serving {
  readonly program: Program;
  readonly port: number;
  readonly origin: string;
  readonly log: LogCapture;
  get(path: string, init?: RequestInit): Promise<Response>;
}

/** Starts `serve` with these arguments on a free port and reads back which. */
export async function startProgram(args: readonly string[], options: ProgramOptions = {}): Promise<Serving> {
  const program = new Program(["serve", "--addr", "127.0.0.1:0", ...args], options);
  const log = program.log();
  const [, origin, port] = await program.says(/(http:\/\/127\.0\.0\.1:(\d+))\/\n/);
  return { program, port: Number(port), origin: origin as string, log, get: (path, init) => fetch(`${origin}${path}`, init) };
}

/**
 * Running other programs: their lines are heard as they come, kept, and shown only if they fail. A signal that
 * asks us to end is passed on to whichever child runs.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { StringDecoder } from "node:string_decoder";

/** A child that did not end well. */
export class ChildFailure extends Error {
  /**
   * @param {string} message
   * @param {string} command as one would type it
   * @param {string} output everything it said
   */
  constructor(message, command, output) {
    super(message);
    this.command = command;
    this.output = output;
  }
}

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();

/** How long a child may take to end once it has been asked to. */
const GRACE_MS = 2000;

/**
 * Passes a signal on to every child that runs, and ends those that do not heed it.
 * @param {NodeJS.Signals} signal
 * @returns {Promise<void>} once all of them are gone
 */
export async function endChildren(signal) {
  const ends = [...running].map((child) => {
    const gone = new Promise((done) => child.once("close", done));
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
    return gone.then(() => clearTimeout(timer));
  });
  await Promise.all(ends);
}

/**
 * Runs a program to its end and gives its stdout; throws a ChildFailure with all it said.
 * @param {string} command
 * @param {string[]} args
 * @param {object} options
 * @param {string} options.cwd
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {(line: string) => void} [options.onLine] hears stderr, cut at line ends and carriage returns
 * @param {(line: string) => boolean} [options.keep] whether a line of stderr belongs in the failure report
 * @param {boolean} [options.quietStdout] leaves stdout, when it is data, out of the failure report
 * @returns {Promise<string>}
 */
export function runQuietly(command, args, { cwd, env = process.env, onLine = () => {}, keep = () => true, quietStdout = false }) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], shell: needsShell(command) });
    running.add(child);
    const shown = [command, ...args].join(" ");
    /** @type {string[]} */
    const said = [];
    let stdout = "";
    const out = new StringDecoder("utf8");
    child.stdout.on("data", (bytes) => {
      const text = out.write(bytes);
      stdout += text;
      if (!quietStdout) said.push(text);
    });
    eachLine(child.stderr, (line) => {
      if (keep(line)) said.push(`${line}\n`);
      onLine(line);
    });
    child.on("error", (error) => {
      running.delete(child);
      fail(new ChildFailure(`${command} could not be started: ${error.message}`, shown, said.join("")));
    });
    child.on("close", (code, signal) => {
      running.delete(child);
      if (code === 0) done(stdout);
      else fail(new ChildFailure(`${command} ended with ${signal ?? `status ${code}`}`, shown, said.join("")));
    });
  });
}

/**
 * Runs a program on our own terminal and gives its exit status. With `onOutput`, its stdout is passed through
 * that as well.
 * @param {string} command
 * @param {string[]} args
 * @param {object} options
 * @param {string} options.cwd
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {(text: string) => void} [options.onOutput]
 * @returns {Promise<number>}
 */
export function runOpenly(command, args, { cwd, env = process.env, onOutput }) {
  return new Promise((done, fail) => {
    const stdout = onOutput === undefined ? "inherit" : "pipe";
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", stdout, "inherit"], shell: needsShell(command) });
    running.add(child);
    const decoder = new StringDecoder("utf8");
    child.stdout?.on("data", (bytes) => {
      process.stdout.write(bytes);
      onOutput?.(decoder.write(bytes));
    });
    child.on("error", (error) => {
      running.delete(child);
      fail(error);
    });
    child.on("close", (code) => {
      running.delete(child);
      done(code ?? 1);
    });
  });
}

/**
 * How to start npm: the one that started us, else the one beside this Node, else the one on the PATH.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {[string, ...string[]]}
 */
export function npmCommand(env = process.env) {
  const beside = dirname(process.execPath);
  const candidates = [
    env.npm_execpath,
    join(beside, "node_modules/npm/bin/npm-cli.js"),
    join(beside, "../lib/node_modules/npm/bin/npm-cli.js"),
  ];
  const script = candidates.find((path) => path !== undefined && basename(path) === "npm-cli.js" && existsSync(path));
  return script === undefined ? ["npm"] : [process.execPath, script];
}

/** @param {string} command on Windows npm itself is a script */
function needsShell(command) {
  return process.platform === "win32" && command === "npm";
}

/**
 * @param {import("node:stream").Readable} stream
 * @param {(line: string) => void} onLine
 */
function eachLine(stream, onLine) {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  stream.on("data", (bytes) => {
    const lines = (rest + decoder.write(bytes)).split(/\r\n|[\r\n]/);
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
  });
  stream.on("end", () => rest !== "" && onLine(rest));
}

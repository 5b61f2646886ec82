/**
 * What a machine must have before anything is built, and the one message each lack is answered with.
 *
 * The functions that judge take plain facts and give the message or undefined, so they are tested without
 * the machine being poor; `findRust` is the only one that looks around. Written so that an old Node can still
 * parse it: the message about Node is of no use to somebody who only sees a syntax error.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** @typedef {[major: number, minor: number]} Version */

/** @type {Version} */
const NODE_NEEDED = [20, 19];
/** @type {Version} */
const RUST_NEEDED = [1, 95];

const RUSTUP = {
  posix: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
  windows: "the installer from https://rustup.rs",
};

const C_COMPILER = {
  linux: "sudo apt-get install build-essential   (Fedora: sudo dnf install gcc; Alpine: apk add build-base)",
  darwin: "xcode-select --install",
  other: "your system's C compiler package (cc, gcc or clang)",
};

/**
 * What is wrong with this Node, or undefined.
 * @param {string} version as `process.versions.node` has it
 * @param {string} executable
 */
export function nodeProblem(version, executable) {
  if (atLeast(version, NODE_NEEDED)) return undefined;
  return [
    `Pilotlight needs Node ${NODE_NEEDED.join(".")} or newer; this is Node ${version} (${executable}).`,
    "Install a current one from https://nodejs.org or with a version manager (nvm install 24), then run the same command again.",
  ].join("\n");
}

/**
 * What is missing to build the addon, all of it in one message, or undefined.
 * @param {RustFacts} found
 * @param {string} [platform] as `process.platform` has it
 */
export function rustProblem(found, platform = process.platform) {
  const needed = RUST_NEEDED.join(".");
  const rustup = platform === "win32" ? RUSTUP.windows : RUSTUP.posix;
  const lines = [];
  if (found.rustc === undefined && found.cargo === undefined) {
    lines.push(`No Rust was found: neither rustc nor cargo is on the PATH or in ${found.cargoBin}.`, `Install it: ${rustup}`);
  } else if (found.rustc === undefined || found.cargo === undefined) {
    const missing = found.rustc === undefined ? "rustc" : "cargo";
    lines.push(`${missing} was not found; it belongs beside ${missing === "rustc" ? "cargo" : "rustc"}.`, `Install both: ${rustup}`);
  } else if (!atLeast(found.rustc, RUST_NEEDED)) {
    lines.push(`This Rust is too old: rustc is ${found.rustc}.`, `Update it: rustup update stable   (without rustup: ${rustup})`);
  }
  if (found.cc === undefined && platform !== "win32") {
    const compiler = platform === "linux" || platform === "darwin" ? C_COMPILER[platform] : C_COMPILER.other;
    lines.push("No C compiler was found: there is no cc on the PATH.", `Install one: ${compiler}`);
  }
  if (lines.length === 0) return undefined;
  return [`Building the addon needs Rust ${needed} or newer and a C compiler.`, ...lines, "Then run the same command again."].join("\n");
}

/**
 * @typedef {object} RustFacts
 * @property {string | undefined} rustc its version
 * @property {string | undefined} cargo its version
 * @property {string | undefined} cc the C compiler found
 * @property {string} cargoBin where rustup puts its commands
 */

/**
 * Asks this machine for its Rust and C compiler. rustc links with `cc`, whatever other compilers there are.
 * @param {NodeJS.ProcessEnv} env with a PATH from `withCargoBin`
 * @returns {Promise<RustFacts>}
 */
export async function findRust(env) {
  const [rustc, cargo] = await Promise.all([versionOf("rustc", env), versionOf("cargo", env)]);
  return { rustc, cargo, cc: env.CC || onPath("cc", env), cargoBin: cargoBin(env) };
}

/**
 * The environment in which rustup's commands are found even by a shell that was opened before rustup was
 * installed.
 * @param {NodeJS.ProcessEnv} env
 */
export function withCargoBin(env) {
  const key = pathKey(env);
  return { ...env, [key]: `${env[key] ?? ""}${delimiter}${cargoBin(env)}` };
}

/**
 * @param {string} version
 * @param {Version} needed
 */
function atLeast(version, needed) {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  return major > needed[0] || (major === needed[0] && minor >= needed[1]);
}

/** @param {NodeJS.ProcessEnv} env */
function cargoBin(env) {
  return join(env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin");
}

/**
 * Where a command is, or undefined.
 * @param {string} command
 * @param {NodeJS.ProcessEnv} env
 */
export function onPath(command, env) {
  const file = process.platform === "win32" ? `${command}.exe` : command;
  const path = env[pathKey(env)] ?? "";
  return path
    .split(delimiter)
    .map((folder) => join(folder, file))
    .find((candidate) => existsSync(candidate));
}

/** @param {NodeJS.ProcessEnv} env */
function pathKey(env) {
  return Object.keys(env).find((name) => name.toUpperCase() === "PATH") ?? "PATH";
}

/**
 * @param {string} command
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string | undefined>}
 */
function versionOf(command, env) {
  return new Promise((done) => {
    execFile(command, ["--version"], { env, timeout: 60_000 }, (error, stdout) => {
      const match = error ? null : /\d+\.\d+\.\d+\S*/.exec(stdout);
      done(match ? match[0] : undefined);
    });
  });
}

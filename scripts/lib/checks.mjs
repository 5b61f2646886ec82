/**
 * What `npm run check` looks at, quickest first. Each check is a command whose output matters only when it
 * fails; all of them run, so that one call shows everything.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ChildFailure, runQuietly } from "./child.mjs";
import { duration } from "./progress.mjs";
import { withCargoBin } from "./requirements.mjs";

/**
 * @typedef {object} Check
 * @property {string} name
 * @property {[string, ...string[]]} command
 * @property {string} [skip] why it cannot run here
 */

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @returns {Check[]}
 */
function checks(root, env) {
  /** @type {(pkg: string, bin: string, ...args: string[]) => [string, ...string[]]} */
  const tool = (pkg, bin, ...args) => [process.execPath, join(root, "node_modules", pkg, bin), ...args];
  const rustfmt = has("rustfmt", env) ? {} : { skip: "rustfmt is not installed (rustup component add rustfmt)" };
  return [
    { name: "pins", command: [process.execPath, join(root, "scripts/check-pins.mjs")] },
    { name: "format", command: tool("oxfmt", "bin/oxfmt", "--check") },
    { name: "types", command: tool("typescript", "bin/tsc", "-p", "tsconfig.json") },
    ...exampleProjects(root).map(({ name, project }) => ({
      name: `types of ${name}`,
      command: tool("typescript", "bin/tsc", "-p", project),
    })),
    { name: "lint", command: tool("oxlint", "bin/oxlint", "--type-aware", "--deny-warnings") },
    { name: "unused code", command: tool("knip", "bin/knip.js") },
    { name: "rust format", command: ["cargo", "fmt", "--all", "--check", "--manifest-path", "native/Cargo.toml"], ...rustfmt },
  ];
}

/**
 * Examples that are written against types of their own, as a user's project is.
 * @param {string} root
 */
function exampleProjects(root) {
  const folders = existsSync(join(root, "examples")) ? readdirSync(join(root, "examples")) : [];
  return folders
    .map((folder) => ({ name: `examples/${folder}`, project: `examples/${folder}/tsconfig.json` }))
    .filter(({ project }) => existsSync(join(root, project)));
}

/**
 * Runs every check and gives the names of those that failed.
 * @param {string} root
 * @returns {Promise<string[]>}
 */
export async function runChecks(root) {
  const env = withCargoBin(process.env);
  const failed = [];
  for (const { name, command, skip } of checks(root, env)) {
    if (skip !== undefined) {
      console.log(`- ${name}: skipped, ${skip}`);
      continue;
    }
    const began = Date.now();
    const output = await failureOf(command, root, env);
    console.log(`${output === undefined ? "✔" : "✘"} ${name} (${duration(Date.now() - began)})`);
    if (output === undefined) continue;
    console.log(output);
    failed.push(name);
  }
  return failed;
}

/**
 * @param {[string, ...string[]]} command
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string | undefined>} what it said, if it failed
 */
async function failureOf([command, ...args], cwd, env) {
  try {
    await runQuietly(command, args, { cwd, env });
    return undefined;
  } catch (error) {
    if (!(error instanceof ChildFailure)) throw error;
    return `${error.output.trimEnd()}\n${error.message}: ${error.command}\n`;
  }
}

/**
 * @param {string} command
 * @param {NodeJS.ProcessEnv} env
 */
function has(command, env) {
  try {
    execFileSync(command, ["--version"], { env, stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/**
 * The steps of the set-up, in order: dependencies, addon, TypeScript, hello example. Each knows why it must
 * run now (or that it need not), what the machine must have for it, and how to do it. A step whose sources
 * are not there has nothing to do.
 */
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { cargoBuild } from "./cargo.mjs";
import { ChildFailure, npmCommand, runQuietly } from "./child.mjs";
import { dependencyProblem } from "./dependencies.mjs";
import { missingOptional } from "./lockfile.mjs";
import { addonFile, platformName, platformPackage } from "./platform.mjs";
import { findRust, onPath, rustProblem, withCargoBin } from "./requirements.mjs";
import { digestOf, listFiles, staleness, writeStamp, writeWhole } from "./stamp.mjs";

/**
 * @typedef {object} Step
 * @property {"deps" | "native" | "ts" | "hello"} name as `--only` takes it
 * @property {string} title
 * @property {string} doing what is said while it begins
 * @property {string} done the participle that ends it
 * @property {() => string | undefined} reason why it must run, or undefined
 * @property {() => Promise<string | undefined>} [lacks] the message about what the machine lacks, or undefined
 * @property {(update: (doing: string) => void) => Promise<void>} run
 */

/**
 * @param {string} root
 * @returns {Step[]}
 */
export function setupSteps(root) {
  return [dependencies(root), addon(root), typescript(root), hello(root)];
}

/** @param {string} root @returns {Step} */
function dependencies(root) {
  return {
    name: "deps",
    title: "dependencies",
    doing: "npm ci",
    done: "installed",
    reason: () => dependencyProblem(root),
    async run() {
      const [npm, ...args] = npmCommand();
      try {
        await runQuietly(npm, [...args, "ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund"], { cwd: root });
      } catch (error) {
        const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
        if (error instanceof ChildFailure && missingOptional(lock).length > 0) {
          error.message += "\npackage-lock.json lacks packages of other platforms: npm run fix adds them";
        }
        throw error;
      }
    },
  };
}

/**
 * Built here whenever there is a Rust; without one, an addon that npm brought will do.
 * @param {string} root
 * @returns {Step}
 */
function addon(root) {
  const platform = platformName();
  const output = join(root, "native", addonFile(platform));
  const stamp = `${output}.stamp`;
  const env = withCargoBin(process.env);
  const inputs = () => digestOf(root, listFiles(root, ["native", "wit", ".cargo"], { keep: isNativeSource }), [platform]);
  const served = () => !existsSync(output) && onPath("cargo", env) === undefined && hasPrebuilt(root, platform);
  return {
    name: "native",
    title: "addon",
    doing: existsSync(output) ? "building" : "building (the first time compiles all of wasmtime: 3 to 15 minutes)",
    done: "built",
    reason: () => (existsSync(join(root, "native/Cargo.toml")) && !served() ? staleness(output, stamp, inputs()) : undefined),
    lacks: async () => rustProblem(await findRust(env)),
    async run(update) {
      const before = inputs();
      writeWhole(output, readFileSync(await cargoBuild(root, ["--release"], update)));
      writeStamp(output, stamp, before);
    },
  };
}

/** @param {string} path */
function isNativeSource(path) {
  return !/\/(tests|benches|examples)\//.test(path) && /(\.rs|\.wit|Cargo\.(toml|lock)|config\.toml)$/.test(path);
}

/**
 * Whether npm brought an addon of this very version.
 * @param {string} root
 * @param {string} platform
 */
function hasPrebuilt(root, platform) {
  try {
    const require = createRequire(join(root, "package.json"));
    return require(`${platformPackage(platform)}/package.json`).version === require("./package.json").version;
  } catch {
    return false;
  }
}

/**
 * Compiled beside `dist` and swapped in whole: a compile that fails leaves the last good one, and no file of
 * a deleted source stays.
 * @param {string} root
 * @returns {Step}
 */
function typescript(root) {
  const output = join(root, "dist");
  const stamp = join(output, ".stamp");
  const next = join(root, "dist.next");
  const inputs = () => digestOf(root, listFiles(root, ["src", "tsconfig.json", "tsconfig.build.json"]), [versionOf(root, "typescript")]);
  return {
    name: "ts",
    title: "TypeScript",
    doing: "compiling",
    done: "compiled",
    reason: () => (existsSync(join(root, "src")) ? staleness(output, stamp, inputs()) : undefined),
    async run() {
      const before = inputs();
      rmSync(next, { recursive: true, force: true });
      const tsc = join(root, "node_modules/typescript/bin/tsc");
      await runQuietly(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", next, "--noEmitOnError"], { cwd: root });
      writeStamp(next, join(next, ".stamp"), before);
      swapIn(next, output);
    },
  };
}

/**
 * Puts a new folder in the place of an old one, which is gone for no longer than a rename takes.
 * @param {string} next
 * @param {string} output
 */
function swapIn(next, output) {
  const old = `${next}.old`;
  rmSync(old, { recursive: true, force: true });
  if (existsSync(output)) renameSync(output, old);
  renameSync(next, output);
  rmSync(old, { recursive: true, force: true });
}

/**
 * @param {string} root
 * @returns {Step}
 */
function hello(root) {
  const output = join(root, "examples/hello/hello.wasm");
  const stamp = `${output}.stamp`;
  const sources = () => listFiles(root, HELLO_INPUTS, { keep: (path) => !/\.(wasm|stamp|md)$/.test(path) });
  const inputs = () =>
    digestOf(
      root,
      sources(),
      HELLO_TOOLS.map((name) => versionOf(root, name)),
    );
  return {
    name: "hello",
    title: "hello example",
    doing: "building the component",
    done: "built",
    reason: () => (existsSync(join(root, "examples/hello")) ? staleness(output, stamp, inputs()) : undefined),
    async run() {
      const before = inputs();
      await runQuietly(process.execPath, [join(root, "dist/cli/bin.js"), "build", "examples/hello"], { cwd: root });
      writeStamp(output, stamp, before);
    },
  };
}

/** The example, what it is written against, and what builds it. */
const HELLO_TOOLS = ["@bytecodealliance/jco", "rolldown"];
const HELLO_INPUTS = ["examples/hello", "wit", "src/guests"];

/**
 * The installed version of a dependency; "none" before there is one.
 * @param {string} root
 * @param {string} name
 * @returns {string}
 */
function versionOf(root, name) {
  try {
    return JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8")).version;
  } catch {
    return "none";
  }
}

/**
 * A made-up checkout with the real scripts and pretended tools: npm, cargo, rustc and tsc write down that they
 * were called and leave what the real ones would. So the whole set-up runs in a second, on any machine.
 */
import { spawn } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const SCRIPTS = fileURLToPath(new URL("../../scripts", import.meta.url));

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

export interface Checkout {
  readonly root: string;
  /** Runs one of scripts/ to its end. */
  run(script: string, args?: string[], env?: NodeJS.ProcessEnv): Promise<Result>;
  /** Starts one of scripts/ and leaves it running. */
  start(script: string, args?: string[], env?: NodeJS.ProcessEnv): ReturnType<typeof spawn>;
  /** The tools that were called since the last look, in order. */
  calls(): string[];
  write(path: string, content: string): void;
  remove(path: string): void;
}

export function createCheckout(): Checkout {
  const root = mkdtempSync(join(tmpdir(), "pilotlight-checkout-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const log = join(root, "tools/calls.log");
  const write = (path: string, content: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  cpSync(SCRIPTS, join(root, "scripts"), { recursive: true });
  for (const [path, content] of Object.entries(SOURCES)) write(path, content);
  for (const [name, body] of Object.entries(TOOLS)) {
    write(`tools/${name}`, `#!${process.execPath}\nconst log = ${JSON.stringify(log)};\n${body}`);
    chmodSync(join(root, "tools", name), 0o755);
  }
  const environment = {
    PATH: join(root, "tools"),
    HOME: root,
    CARGO_HOME: join(root, "none"),
    npm_execpath: join(root, "tools/npm-cli.js"),
  };
  const start = (script: string, args: string[] = [], env: NodeJS.ProcessEnv = {}) =>
    spawn(process.execPath, [join(root, "scripts", script), ...args], { cwd: root, env: { ...environment, ...env } });
  return {
    root,
    start,
    write,
    run: (script, args, env) => ended(start(script, args, env)),
    calls() {
      const lines = readFileSync(log, { encoding: "utf8", flag: "a+" }).split("\n").filter(Boolean);
      rmSync(log, { force: true });
      return lines;
    },
    remove: (path) => rmSync(join(root, path), { recursive: true }),
  };
}

/** Waits for a process to end and gives all it said. */
export function ended(child: ReturnType<typeof spawn>): Promise<Result> {
  const began = performance.now();
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (bytes) => (stdout += String(bytes)));
  child.stderr?.on("data", (bytes) => (stderr += String(bytes)));
  return new Promise((done, fail) => {
    child.on("error", fail);
    child.on("close", (status) => done({ status, stdout, stderr, milliseconds: performance.now() - began }));
  });
}

const LOCK = {
  packages: {
    "": { name: "pilotlight", version: "0.1.0" },
    "node_modules/typescript": { version: "7.0.2", integrity: "sha512-a" },
    "node_modules/other-platform": { version: "1.0.0", integrity: "sha512-b", optional: true },
  },
};

const SOURCES = {
  "package.json": JSON.stringify({ name: "pilotlight", version: "0.1.0", type: "module" }),
  "package-lock.json": JSON.stringify(LOCK),
  "tsconfig.json": "{}",
  "tsconfig.build.json": "{}",
  "native/Cargo.toml": "[workspace]",
  "native/Cargo.lock": "",
  "native/src/lib.rs": "// addon",
  "src/index.ts": "export {};",
  "examples/hello/hello.ts": "// hello",
  "tools/package.json": "{}",
  "tools/cc": "",
};

/** What the pretended tsc leaves as `dist/cli/bin.js`. */
const BIN = String.raw`
import { appendFileSync, writeFileSync } from "node:fs";
const [command, ...args] = process.argv.slice(2);
if (command === "build") {
  appendFileSync(new URL("../../tools/calls.log", import.meta.url), "hello\n");
  writeFileSync(args[0] + "/hello.wasm", "component");
} else {
  const running = setInterval(() => {}, 1000);
  process.once("SIGTERM", () => { console.log("drained"); clearInterval(running); process.exitCode = 7; });
  console.log([command, ...args].join(" "));
}
`;

const TSC = String.raw`
const { appendFileSync, mkdirSync, writeFileSync } = require("node:fs");
appendFileSync("tools/calls.log", "tsc\n");
const out = process.argv[process.argv.indexOf("--outDir") + 1];
mkdirSync(out + "/cli", { recursive: true });
writeFileSync(out + "/cli/bin.js", ${JSON.stringify(BIN)});
`;

const TOOLS = {
  "npm-cli.js": String.raw`
const fs = require("node:fs");
fs.appendFileSync(log, "npm " + process.argv[2] + "\n");
setTimeout(() => {
  // Whoever started it may be long dead, and the folder gone: making folders there would never come to an end.
  if (!fs.existsSync("package.json")) return;
  fs.mkdirSync("node_modules/typescript/bin", { recursive: true });
  fs.writeFileSync("node_modules/typescript/package.json", '{"version":"7.0.2"}');
  fs.writeFileSync("node_modules/typescript/bin/tsc", ${JSON.stringify(TSC)});
  const lock = JSON.parse(fs.readFileSync("package-lock.json", "utf8"));
  delete lock.packages[""];
  delete lock.packages["node_modules/other-platform"];
  fs.writeFileSync("node_modules/.package-lock.json", JSON.stringify(lock));
}, Number(process.env.SLOW_NPM ?? 0));
`,
  cargo: String.raw`
const fs = require("node:fs");
if (process.argv[2] === "--version") {
  console.log("cargo 1.95.0 (f2d3ce0bd 2026-03-21)");
} else {
  fs.appendFileSync(log, "cargo " + process.argv[2] + "\n");
  process.stderr.write("   Compiling wasmtime v48.0.8\n    Building [====>   ] 3/4: wasmtime\r");
  if (process.env.BREAK_CARGO) {
    process.stderr.write("error[E0425]: cannot find value x\n");
    process.exit(101);
  }
  fs.writeFileSync("native/lib.so", "addon");
  console.log(JSON.stringify({ reason: "compiler-artifact", target: { name: "pilotlight_native" }, filenames: [process.cwd() + "/native/lib.so"] }));
}
`,
  rustc: String.raw`console.log("rustc " + (process.env.RUSTC_VERSION ?? "1.95.0") + " (59807616e 2026-04-14)");`,
};

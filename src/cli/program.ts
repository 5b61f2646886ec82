/** Every command, its options and its help. The work is done elsewhere. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { statSync } from "node:fs";
import { UserError } from "../base/errors.js";
import { parseAddress, resolveConfig, type NodeFlags } from "../config/resolve.js";
import type * as Main from "../main.js";
import { LOG_LEVELS, type LogLevel } from "../observe/log.js";
import { describeIssues } from "../base/json.js";
import { manifestSchema } from "../tasks/manifest.js";
import { clientCommands } from "./client-commands.js";
import { ROOT, newCommand } from "./command.js";
import { announceNode } from "./nodes-file.js";
import { remark } from "./output.js";
import type { Terminal } from "./terminal.js";
import { userCache } from "./user-cache.js";
import { VERSION } from "../base/version.js";

interface FileFlags {
  readonly data?: string;
  readonly env: Record<string, string>;
  readonly dir: Main.FileOptions["files"];
  readonly outbound: string[];
  readonly sockets: boolean;
  readonly configVar: Record<string, string>;
  readonly limit: Record<string, string | number>;
  readonly reuse: Record<string, string | number>;
  readonly ready: number;
}

type ServeFlags = FileFlags & NodeFlags & { readonly log?: LogLevel };

/** Builds the command tree. `status.code` is what the process ends with. */
export function createProgram(status: { code: number }, terminal: Terminal): Command {
  const program = newCommand(terminal, ROOT, "Runs WebAssembly components as functions: a clean instance for every request.")
    .version(VERSION)
    .addCommand(serveCommand(status, terminal))
    .addCommand(runCommand(status, terminal));
  for (const command of clientCommands(terminal)) program.addCommand(command);
  return program;
}

function serveCommand(status: { code: number }, terminal: Terminal): Command {
  const about = "Starts a node with the tasks of pilotlight.config.json, or serves one component on every path.";
  const command = newCommand(terminal, "serve", about)
    .argument("[FILE]", "a component; without it, a node is started")
    .argument("[ARGS...]", "arguments of the component, after --")
    .option("--addr <HOST:PORT>", "where requests come in; port 0 takes any free one (default: 127.0.0.1:8700)")
    .option(
      "--data <DIR>",
      "state and compiled components (default: .pilotlight; with FILE: compiled components alone, in the user's cache folder)",
    )
    .addOption(new Option("--log <LEVEL>", "log lines on stdout from this level up (default: info)").choices(LOG_LEVELS))
    .option("--admin <HOST:PORT>", "the API that commands talk to, health and metrics, without FILE (default: 127.0.0.1:8701)")
    .option("--insecure-admin", "lets --admin be an address that others reach, keys in the clear: for a network that is trusted")
    .option("--config <FILE>", "configuration, without FILE (default: pilotlight.config.json)");
  fileOptions(command).option("--ready <N>", "instances kept ready ahead of requests", integer, 0);
  command.addHelpText("after", SERVE_EXAMPLES);
  return command.action(async (file: string | undefined, args: string[], flags: ServeFlags) => {
    const { serveFile, serveNode } = await engine();
    if (file === undefined) {
      refuseFileFlags(command);
      status.code = await serveNode(resolveConfig(flags, process.cwd()), ({ adminUrl, data, key }) => {
        if (key !== undefined) announceNode(terminal.env, { url: adminUrl, key, data }, (text) => remark(terminal, text));
      });
      return;
    }
    refuseNodeFlags(command, flags);
    status.code = await serveFile(file, {
      ...fileFlags(flags, args),
      addr: parseAddress(flags.addr ?? "127.0.0.1:8700", "--addr"),
      log: flags.log ?? "info",
    });
  });
}

function runCommand(status: { code: number }, terminal: Terminal): Command {
  const command = newCommand(terminal, "run", "Runs a wasi:cli/run component on this terminal's stdio; its exit status is ours.")
    .argument("<FILE>", "a component")
    .argument("[ARGS...]", "arguments of the component, after --");
  fileOptions(command).addHelpText("after", RUN_EXAMPLES);
  return command.action(async (file: string, args: string[], flags: FileFlags) => {
    const { runFile } = await engine();
    status.code = await runFile(file, fileFlags(flags, args));
  });
}

/** Everything that runs components. Loaded when it is needed: most commands only talk to a node. */
function engine(): Promise<typeof Main> {
  return import("../main.js");
}

function fileOptions(command: Command): Command {
  return command
    .option("--env <K=V>", "an environment variable of the component (repeatable)", pair, {})
    .option("--dir <HOST::GUEST>", "a folder the component may use, with everything in it (repeatable)", directory, [])
    .option(
      "--outbound <ORIGIN>",
      "an origin the component may call, such as https://api.example.com; * means everything (repeatable)",
      append,
      [],
    )
    .option("--sockets", "gives the component TCP, UDP and name lookup", false)
    .option("--config-var <K=V>", "a value that wasi:config gives the component (repeatable)", pair, {})
    .option("--limit <K=V>", "a limit, as in the manifest: memory=64MiB, timeout=10s, cpu=2s, … (repeatable)", setting, {})
    .option(
      "--reuse <K=V>",
      "how instances are used again, as in the manifest: maxRequests=100, maxConcurrent=16, … (repeatable)",
      setting,
      {},
    );
}

function fileFlags(flags: FileFlags, args: readonly string[]): Main.FileOptions {
  return {
    env: flags.env,
    files: flags.dir,
    outbound: flags.outbound,
    sockets: flags.sockets,
    config: flags.configVar,
    limits: checked("--limit", manifestSchema.shape.limits, flags.limit) as Main.FileOptions["limits"],
    reuse: checked("--reuse", manifestSchema.shape.reuse, flags.reuse) as Main.FileOptions["reuse"],
    ready: flags.ready ?? 0,
    arguments: args,
    data: flags.data ?? userCache(),
  };
}

/** Settings as they were given; what is wrong with them is said of the flag rather than of a manifest that nobody wrote. */
function checked<T>(flag: string, schema: typeof manifestSchema.shape.limits | typeof manifestSchema.shape.reuse, settings: T): T {
  const result = schema.safeParse(settings);
  if (result.success) return settings;
  throw new UserError(`${flag} is not valid:\n${describeIssues(result.error)}`, { exitCode: 2 });
}

const NODE_ONLY = ["admin", "config", "insecureAdmin"];
const FILE_ONLY = ["env", "dir", "outbound", "sockets", "configVar", "limit", "reuse", "ready"];

function refuseFileFlags(command: Command): void {
  for (const name of FILE_ONLY) {
    if (command.getOptionValueSource(name) === "cli")
      command.error(`error: ${flagOf(command, name)} goes with a FILE; a node's tasks say it in their manifests`, { exitCode: 2 });
  }
}

function refuseNodeFlags(command: Command, flags: ServeFlags): void {
  for (const name of NODE_ONLY) {
    if (flags[name as keyof ServeFlags] !== undefined)
      command.error(`error: ${flagOf(command, name)} goes without a FILE: it is about a node`, { exitCode: 2 });
  }
}

function flagOf(command: Command, name: string): string {
  return command.options.find((option) => option.attributeName() === name)?.long ?? name;
}

function integer(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError("expected a whole number.");
  return Number(text);
}

function append(text: string, before: string[]): string[] {
  return [...before, text];
}

function pair(text: string, before: Record<string, string>): Record<string, string> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("expected NAME=VALUE.");
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}

/** Fields of `limits` and `reuse` that a manifest has as numbers; all others have a unit. */
const COUNTS: ReadonlySet<string> = new Set(["concurrency", "handles", "maxRequests", "maxConcurrent"]);

/** A manifest's field: numbers where the manifest has numbers. */
function setting(text: string, before: Record<string, string | number>): Record<string, string | number> {
  const [[name, value]] = Object.entries(pair(text, {})) as [[string, string]];
  return { ...before, [name]: COUNTS.has(name) && /^\d+$/.test(value) ? Number(value) : value };
}

function directory(text: string, before: Main.FileOptions["files"]): Main.FileOptions["files"] {
  const [host, guest, ...rest] = text.split("::");
  if (host === undefined || host === "" || guest === "" || rest.length > 0)
    throw new InvalidArgumentError("expected HOST::GUEST, such as ./data::/data.");
  if (statSync(host, { throwIfNoEntry: false })?.isDirectory() !== true) throw new InvalidArgumentError(`there is no folder ${host}.`);
  return [...before, { host, guest: guest ?? host, readOnly: false }];
}

const SERVE_EXAMPLES = `
Examples:
  $ pilotlight serve                                    a node, with the tasks of pilotlight.config.json
  $ pilotlight serve hello.wasm                         one component on every path
  $ pilotlight serve api.wasm --outbound https://api.example.com --env MODE=dev
  $ pilotlight serve api.wasm --reuse maxRequests=1000 --reuse maxConcurrent=16`;

const RUN_EXAMPLES = `
Examples:
  $ pilotlight run tool.wasm -- --verbose input.txt
  $ pilotlight run tool.wasm --dir .::/ < data.csv`;

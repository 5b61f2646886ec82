/** The process: starts a runtime, listens, says where, and drains on SIGINT and SIGTERM. */
import { basename, extname, relative } from "node:path";
import { UserError } from "./base/errors.js";
import { parseSize } from "./base/units.js";
import { wholeProcess } from "./config/capacity.js";
import { DEFAULT_INSTANCES, type Address, type NodeConfig } from "./config/resolve.js";
import { ListenError, type Front, type Listening } from "./http/front.js";
import type { LogLevel } from "./observe/log.js";
import type { Deployment } from "./deployment.js";
import { Runtime } from "./runtime.js";
import { StateError } from "./state/store.js";
import { loadTask, readComponentFile } from "./tasks/load.js";
import type { ManifestInput } from "./tasks/manifest.js";

/** A node that listens: where its admin plane is, and an admin key for it if one is known. */
export interface StartedNode {
  /** `http://HOST:PORT/`. */
  readonly adminUrl: string;
  /** Absolute. */
  readonly data: string;
  /** Of the key that the first start made, while it holds. */
  readonly key: string | undefined;
}

/**
 * Starts a node with what was deployed on it and the tasks of its configuration; resolves with the exit status once it
 * has drained. `started` is told when it listens.
 */
export async function serveNode(config: NodeConfig, started: (node: StartedNode) => void = () => {}): Promise<number> {
  const open = !isLoopback(config.admin.host);
  if (open && !config.insecureAdmin) {
    throw new UserError(
      `--admin ${config.admin.host}: an admin plane that others than this machine reach would send keys in the clear; put a proxy with TLS before 127.0.0.1, or say --insecure-admin`,
      { exitCode: 2 },
    );
  }
  const runtime = openRuntime(config);
  try {
    await runtime.start();
    const key = await runtime.adminKey(config.data);
    const paths = new Map<string, string>();
    for (const path of config.tasks) {
      const { manifest, component, path: source } = loadTask(path);
      const other = paths.get(manifest.name);
      if (other !== undefined) throw new UserError(`${path}: the task ${manifest.name} is in ${other} already; names are unique`);
      paths.set(manifest.name, path);
      await runtime.configure({ manifest, component, source });
    }
    const data = await listen(runtime.dataFront(), config.addr, "--addr");
    const admin = await listen(runtime.adminFront(open), config.admin, "--admin");
    // Before the address is out: whoever waits for it may send a signal at once.
    const drained = drainOnSignal(runtime, config.drainMs);
    process.stderr.write(`data plane ${data.url}\nadmin plane ${admin.url}\n`);
    if (key.path !== undefined) process.stderr.write(`admin key in ${fromHere(key.path)}\n`);
    started({ adminUrl: admin.url, data: config.data, key: key.text });
    return await drained;
  } catch (error) {
    await runtime.close(0);
    throw error;
  }
}

function openRuntime(config: NodeConfig): Runtime {
  const { data, instances, threads, log, sync, uploadBytes, hosts, capacity, prices, compiledBytes, records } = config;
  try {
    return new Runtime({
      data,
      durable: true,
      instances,
      threads,
      log,
      sync,
      uploadBytes,
      hosts,
      capacity,
      prices,
      compiledBytes,
      records,
    });
  } catch (error) {
    if (error instanceof StateError) throw new UserError(error.message, { cause: error });
    throw error;
  }
}

/** A path as it is shortest to type. */
function fromHere(path: string): string {
  const way = relative(process.cwd(), path);
  return way.startsWith("..") ? path : way;
}

/** True when nobody but this machine can reach the address. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** What `serve FILE` and `run FILE` grant: the user's own command on the user's own machine. */
export interface FileOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly files: NonNullable<ManifestInput["files"]>;
  readonly outbound: readonly string[];
  readonly sockets: boolean;
  readonly config: Readonly<Record<string, string>>;
  readonly limits: ManifestInput["limits"];
  readonly reuse: ManifestInput["reuse"];
  readonly ready: number;
  readonly arguments: readonly string[];
  /** Keeps compiled components there. */
  readonly data: string | undefined;
}

export interface ServeFileOptions extends FileOptions {
  readonly addr: Address;
  readonly log: LogLevel;
}

const FILE_DRAIN_MS = 10_000;

/** Serves one component on every path. */
export async function serveFile(path: string, options: ServeFileOptions): Promise<number> {
  const component = readComponentFile(path);
  const capacity = wholeProcess(DEFAULT_INSTANCES, memoryOf(options, SERVE_LIMITS));
  const runtime = new Runtime({ log: options.log, guestsOwnEverything: true, capacity, ...dataOf(options) });
  try {
    const { component: info } = await runtime.deploy(deploymentOf(path, component, options, "capture", SERVE_LIMITS));
    if (info.runs.http === undefined) throw new UserError(`${path}: ${cannotServe(info.runs.command !== undefined)}`);
    const { url } = await listen(runtime.dataFront(), options.addr, "--addr");
    const drained = drainOnSignal(runtime, FILE_DRAIN_MS);
    process.stderr.write(`serving ${path} on ${url}\n`);
    return await drained;
  } catch (error) {
    await runtime.close(0);
    throw error;
  }
}

/** Runs a `wasi:cli/run` component on this process's stdio; resolves with its exit status. */
export async function runFile(path: string, options: FileOptions): Promise<number> {
  const component = readComponentFile(path);
  // One component of any shape rather than many instances: memory as it is needed.
  const capacity = wholeProcess(16, memoryOf(options, RUN_LIMITS));
  const runtime = new Runtime({ instances: 16, onDemand: true, capacity, ...dataOf(options) });
  const cancel = (signal: NodeJS.Signals): void => process.exit(signal === "SIGINT" ? 130 : 143);
  process.once("SIGINT", cancel).once("SIGTERM", cancel);
  try {
    const { component: info, name } = await runtime.deploy(deploymentOf(path, component, options, "inherit", RUN_LIMITS));
    if (info.runs.command === undefined) {
      const instead = info.runs.http === undefined ? "" : `; it exports an HTTP handler: pilotlight serve ${path}`;
      throw new UserError(`${path} does not export wasi:cli/run@0.2 or @0.3${instead}`);
    }
    return await runtime.run(name);
  } finally {
    await runtime.close(0);
  }
}

/** What an instance may grow to, in bytes. A size that is none is told of by the manifest's check. */
function memoryOf({ limits }: FileOptions, usual: { readonly memory: string }): number {
  return parseSize(limits?.memory ?? usual.memory) ?? (parseSize(usual.memory) as number);
}

function dataOf(options: FileOptions): { data?: string } {
  return options.data === undefined ? {} : { data: options.data };
}

/** The user's own component may do more than a task that others send requests to, though not without end. */
const SERVE_LIMITS = {
  memory: "1GiB",
  cpu: "30s",
  requestBody: "64GiB",
  responseBody: "64GiB",
  concurrency: 1000,
  duration: "1d",
} satisfies ManifestInput["limits"];
const FOREVER = "36500d";
const RUN_LIMITS = {
  memory: "4GiB",
  timeout: FOREVER,
  idle: FOREVER,
  duration: FOREVER,
  cpu: FOREVER,
  handles: 1_000_000,
  values: "64MiB",
} satisfies ManifestInput["limits"];

function deploymentOf(
  path: string,
  component: Uint8Array,
  options: FileOptions,
  stdio: "capture" | "inherit",
  limits: ManifestInput["limits"],
): Deployment {
  return {
    manifest: {
      name: taskName(path),
      routes: ["/*"],
      limits: { ...limits, ...options.limits },
      ...(options.reuse === undefined ? {} : { reuse: options.reuse }),
      capacity: { ready: options.ready },
      env: { ...options.env },
      files: [...options.files],
      outbound: [...options.outbound],
      sockets: options.sockets,
      config: { ...options.config },
    },
    component,
    source: path,
    // A component's own name comes first among its arguments, as a program's does.
    own: { anyAddress: true, stdio, arguments: [basename(path), ...options.arguments] },
  };
}

function taskName(path: string): string {
  const name = basename(path, extname(path))
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 63);
  return name === "" ? "component" : name;
}

function cannotServe(isCommand: boolean): string {
  const needed = "it has no HTTP handler: it should export wasi:http/incoming-handler@0.2 or wasi:http/handler@0.3";
  return isCommand ? `${needed}; it exports wasi:cli/run: use pilotlight run` : needed;
}

async function listen(front: Front, address: Address, flag: string): Promise<Listening> {
  try {
    return await front.listen(address);
  } catch (error) {
    if (error instanceof ListenError) throw new UserError(`${flag}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** npm passes an interrupt on that the terminal has sent already: the same wish twice within this time is one. */
const SAME_SIGNAL_MS = 1000;

/** Resolves with 0 once a signal has come and everything that ran is done, or its time is up. A later second signal ends at once. */
function drainOnSignal(runtime: Runtime, limitMs: number): Promise<number> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const onSignal = (): void => {
      if (first !== undefined) {
        if (performance.now() - first > SAME_SIGNAL_MS) process.exit(1);
        return;
      }
      first = performance.now();
      void runtime.close(limitMs).then(() => resolve(0));
    };
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  });
}

/** `deploy`: a component and its manifest to the node, and where it answers then. */
import type { Command } from "commander";
import { readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { UserError } from "../../base/errors.js";
import { parseJson } from "../../base/json.js";
import type { Deployed } from "../../control/control.js";
import { append, connect, newCommand, nodeOptions, type NodeFlags, type Session } from "../command.js";
import { bold, printJson, printLine, progress, size } from "../output.js";
import type { Terminal } from "../terminal.js";
import { build } from "./build.js";

interface DeployFlags extends NodeFlags {
  readonly name?: string;
  readonly route?: readonly string[];
  /** False: `--no-alias`. */
  readonly alias?: string | false;
  readonly build?: true;
}

/** What is uploaded. */
export interface Source {
  readonly name: string;
  readonly manifest: unknown;
  readonly component: Uint8Array;
}

const MANIFEST_FILE = "pilotlight.json";

export function deployCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "deploy", "Deploys a function: uploads it, and once it is ready moves the alias live to it.", [
    "deploy",
    "deploy examples/hello --build",
    "deploy api.wasm --name api --route '/api/*'",
    "deploy --alias beta                 live stays where it is",
    "deploy --no-alias                   a version alone, for alias or rollback --to",
  ])
    .argument("[WHAT]", "a folder with pilotlight.json, or a component", ".")
    .option("--name <NAME>", "the task's name, with a component")
    .option("--route <ROUTE>", "a path such as /api/*, with a component (repeatable; default: /NAME/*)", append)
    .option("--build", "build first, with a folder")
    .option("--alias <NAME>", "the alias to move (default: live)")
    .option("--no-alias", "move none");
  return nodeOptions(command).action(async (what: string, flags: DeployFlags) => {
    const session = connect(terminal, flags);
    const path = resolve(terminal.cwd, what);
    const source = (await isFolder(path)) ? await ofFolder(terminal, path, flags) : await ofFile(path, flags);
    const deployed = await upload(terminal, session, source, flags.alias === false ? null : flags.alias);
    if (flags.json === true) return printJson(terminal, deployed);
    await printDeployed(terminal, session, deployed);
  });
}

/** Uploads a version and waits until it is ready. `alias` undefined: `live`; null: none moves. */
export async function upload(terminal: Terminal, session: Session, source: Source, alias: string | null | undefined): Promise<Deployed> {
  const tenant = await session.tenant();
  const { name, manifest, component } = source;
  return await progress(terminal, `deploying ${name}, ${size(component.length)}`, () =>
    session.client.deploy(tenant, name, { manifest, component, alias }),
  );
}

/** What became of it: the version, then each URL with who may call it. */
export async function printDeployed(terminal: Terminal, session: Session, deployed: Deployed): Promise<void> {
  const { task, version, created, alias, access } = deployed;
  const what = `${bold(terminal, terminal.stdout, `${task} ${version}`)}${created ? "" : " (as it was already)"}`;
  terminal.stdout.write(`${what}${alias === undefined ? ", no alias moved" : ` is ${alias}`}\n`);
  for (const { import: imported, use } of deployed.found ?? []) printLine(terminal, `  ${imported} is served by the sidecar ${use}`);
  // Routes lead to live alone: under another alias nothing answers at a URL yet.
  if (alias !== "live") return;
  const { dataUrl } = deployed.urls.some((url) => url.startsWith("/")) ? await session.whoami() : {};
  for (const url of deployed.urls) {
    printLine(terminal, `  ${dataUrl !== undefined && url.startsWith("/") ? `${dataUrl.replace(/\/$/, "")}${url}` : url}`);
  }
  printLine(terminal, `  ${whoMayCall(access)}`);
}

function whoMayCall(access: Deployed["access"]): string {
  if (access === "public") return "public: everyone can call it";
  if (access === "key") return "not public: it takes a key of this tenant with the scope invoke";
  return `not public: it takes a key with the scope invoke, of this tenant or of ${access.tenants.join(", ")}`;
}

async function ofFolder(terminal: Terminal, folder: string, flags: DeployFlags): Promise<Source> {
  for (const name of ["name", "route"] as const) {
    if (flags[name] !== undefined)
      throw new UserError(`--${name} goes with a component; with a folder, ${join(folder, MANIFEST_FILE)} says it`, { exitCode: 2 });
  }
  if (flags.build === true) await build(terminal, folder);
  return await readFolder(folder);
}

/** A manifest on disk, as far as finding things needs it; the node checks the rest. */
export interface ManifestFile {
  readonly name: string;
  readonly manifest: unknown;
  /** Absolute path of the component. */
  readonly component: string;
  /** Whether `pilotlight build` makes it. */
  readonly isBuilt: boolean;
}

/** The manifest in a folder. Throws a `UserError` that names the file and the field. */
export async function readManifestFile(folder: string): Promise<ManifestFile> {
  const file = join(folder, MANIFEST_FILE);
  const help = "a function's folder has a pilotlight.json; pilotlight new NAME makes one";
  const manifest = parseJson((await read(file, help)).toString("utf8"), file);
  const { name, component, build } = (manifest ?? {}) as { name?: unknown; component?: unknown; build?: unknown };
  if (typeof name !== "string" || name === "") throw new UserError(`${file}: name is missing; it has to be the task's name`);
  if (typeof component !== "string" || component === "")
    throw new UserError(`${file}: component is missing; it has to be the path of the component, like "${name}.wasm"`);
  return { name, manifest, component: resolve(folder, component), isBuilt: build !== undefined };
}

/** The function in a folder as it is there now. */
export async function readFolder(folder: string): Promise<Source> {
  const { name, manifest, component, isBuilt } = await readManifestFile(folder);
  const help = isBuilt ? `build it first: pilotlight build ${folder}, or add --build` : `${MANIFEST_FILE} names it as component`;
  return { name, manifest, component: await read(component, help) };
}

async function ofFile(path: string, flags: DeployFlags): Promise<Source> {
  if (flags.build === true) throw new UserError("--build goes with a folder that has a pilotlight.json", { exitCode: 2 });
  if (flags.name === undefined)
    throw new UserError("a component needs --name NAME; a folder with a pilotlight.json needs none", { exitCode: 2 });
  const component = await read(path, "it should be a component or a folder with a pilotlight.json");
  const routes = flags.route === undefined ? {} : { routes: flags.route };
  return { name: flags.name, manifest: { name: flags.name, component: basename(path), ...routes }, component };
}

async function read(path: string, help: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw new UserError(`${path} cannot be read: ${reason}; ${help}`, { cause: error });
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

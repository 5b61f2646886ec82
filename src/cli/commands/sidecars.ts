/** `sidecars`: what may stand beside a task, and how one of one's own comes to be among that. */
import { type Command, Option } from "commander";
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { UserError } from "../../base/errors.js";
import { connect, newCommand, nodeOptions, type NodeFlags } from "../command.js";
import { printJson, printLine, printTable, size } from "../output.js";
import type { Terminal } from "../terminal.js";
import { upload } from "./deploy.js";

interface AddFlags extends NodeFlags {
  readonly name: string;
  readonly scope: string;
  readonly instances?: string;
  readonly alias?: string;
}

export function sidecarsCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "sidecars", "Lists what a manifest may name as sidecars: what Pilotlight ships, and one's own.", [
    "sidecars",
    "sidecars add audit.wasm --name audit --scope task",
  ]);
  nodeOptions(command).action(async (flags: NodeFlags) => {
    const session = connect(terminal, flags);
    const all = await session.client.sidecars(await session.tenant());
    if (flags.json === true) return printJson(terminal, all);
    const rows = all.map(({ name, version, from, scope, standing, usedBy, about, bytes }) => [
      name,
      version,
      from,
      scope,
      bytes === undefined ? "-" : size(bytes),
      String(standing),
      usedBy.length === 0 ? "-" : usedBy.join(", "),
      about ?? "-",
    ]);
    printTable(terminal, ["SIDECAR", "VERSION", "FROM", "SCOPE", "SIZE", "STANDING", "USED BY", "ABOUT"], rows, "there is none");
  });
  return command.addCommand(addCommand(terminal));
}

function addCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "sidecars add", "Deploys a component as a sidecar: no route leads to it, manifests name it.", [
    "sidecars add audit.wasm --name audit",
    "sidecars add audit.wasm --name audit --scope tenant --alias beta",
  ])
    .argument("<FILE>", "a component that exports an interface of pilotlight:sidecar, or what tasks import")
    .requiredOption("--name <NAME>", "what manifests call it")
    .addOption(
      new Option("--scope <SCOPE>", "who shares one, where a manifest does not say")
        .choices(["request", "task", "tenant"])
        .default("request"),
    )
    .option("--instances <N>", "of one scope, where one has more to do than it can (default: 1)")
    .option("--alias <NAME>", "the alias to move (default: live)");
  return nodeOptions(command).action(async (file: string, flags: AddFlags) => {
    const session = connect(terminal, flags);
    const path = resolve(terminal.cwd, file);
    const component = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      throw new UserError(`${path} cannot be read: ${error.code === "ENOENT" ? "there is no such file" : error.message}`, { cause: error });
    });
    const { name, scope } = flags;
    const sidecar = { scope, ...(flags.instances !== undefined && { instances: Number(flags.instances) }) };
    const manifest = { name, component: basename(path), routes: [], access: "key", sidecar };
    const deployed = await upload(terminal, session, { name, manifest, component }, flags.alias);
    if (flags.json === true) return printJson(terminal, deployed);
    printLine(
      terminal,
      `${deployed.task} ${deployed.version}${deployed.alias === undefined ? "" : ` is ${deployed.alias}`}; a manifest has it by:`,
    );
    printLine(terminal, `  "sidecars": [{ "use": ${JSON.stringify(name)} }]`);
  });
}

/** `secrets`: values that a task gets as config and nobody else sees again. */
import type { Command } from "commander";
import { UserError } from "../../base/errors.js";
import { connect, newCommand, nodeOptions, type NodeFlags } from "../command.js";
import { printJson, printTable, remark } from "../output.js";
import { ask, readAll, type Terminal } from "../terminal.js";

export function secretsCommand(terminal: Terminal): Command {
  return newCommand(terminal, "secrets", "Secrets of a tenant: written, used by its tasks, never shown.")
    .addCommand(listCommand(terminal))
    .addCommand(setCommand(terminal))
    .addCommand(deleteCommand(terminal));
}

function listCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "secrets list", "Lists the names of the secrets and the tasks that use them.", ["secrets list"]);
  return nodeOptions(command).action(async (flags: NodeFlags) => {
    const { client, tenant } = connect(terminal, flags);
    const secrets = await client.secrets(await tenant());
    if (flags.json === true) return printJson(terminal, secrets);
    const rows = secrets.map(({ name, updatedAt, usedBy }) => [name, updatedAt, usedBy.join(" ")]);
    printTable(terminal, ["SECRET", "SET", "USED BY"], rows, "there are no secrets");
  });
}

function setCommand(terminal: Terminal): Command {
  const command = newCommand(
    terminal,
    "secrets set",
    "Sets a secret to what is typed or piped in; one line end at its end does not belong to it.",
    ["secrets set API_TOKEN", "secrets set API_TOKEN < token.txt"],
  )
    .argument("<NAME>", "the name that manifests have in secrets")
    .option("--value <VALUE>", "the value; other users of this machine can see it while the command runs, and the shell keeps it");
  return nodeOptions(command, { json: false }).action(async (name: string, flags: NodeFlags & { readonly value?: string }) => {
    const { client, tenant } = connect(terminal, flags);
    const owner = await tenant();
    await client.putSecret(owner, name, flags.value ?? (await readValue(terminal, name)));
    remark(terminal, `set the secret ${name} of ${owner}`);
  });
}

function deleteCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "secrets delete", "Deletes a secret; refused while a version in use asks for it.", [
    "secrets delete API_TOKEN",
  ]).argument("<NAME>", "the secret");
  return nodeOptions(command, { json: false }).action(async (name: string, flags: NodeFlags) => {
    const { client, tenant } = connect(terminal, flags);
    const owner = await tenant();
    await client.deleteSecret(owner, name);
    remark(terminal, `deleted the secret ${name} of ${owner}`);
  });
}

async function readValue(terminal: Terminal, name: string): Promise<string> {
  const value =
    terminal.stdin.isTTY === true ? await ask(terminal, `Value of ${name}: `, { hidden: true }) : decode(await readAll(terminal));
  if (value === "") throw new UserError("no value was given; type it, pipe it in, or add --value", { exitCode: 2 });
  return value;
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch (error) {
    throw new UserError("the value is not UTF-8 text; encode it, for example as base64", { exitCode: 2, cause: error });
  }
}

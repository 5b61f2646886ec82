/** `stores`: what the tenant's tasks keep, key by key. */
import type { Command } from "commander";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { UserError } from "../../base/errors.js";
import { connect, newCommand, nodeOptions, wholeNumber, type NodeFlags } from "../command.js";
import type { Condition } from "../node-client.js";
import { printJson, printTable, remark, size } from "../output.js";
import { readAll, type Terminal } from "../terminal.js";

interface PutFlags extends NodeFlags {
  readonly file?: string;
  readonly new?: true;
  readonly ifRevision?: number;
}

export function storesCommand(terminal: Terminal): Command {
  return newCommand(terminal, "stores", "Key-value stores of a tenant.")
    .addCommand(listCommand(terminal))
    .addCommand(getCommand(terminal))
    .addCommand(putCommand(terminal))
    .addCommand(deleteCommand(terminal));
}

function listCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "stores list", "Lists the stores, or the keys of one.", [
    "stores list",
    "stores list default",
    "stores list default --prefix users/",
  ])
    .argument("[STORE]", "the store whose keys to list")
    .option("--prefix <TEXT>", "only keys that begin with it", "");
  return nodeOptions(command).action(async (store: string | undefined, flags: NodeFlags & { readonly prefix: string }) => {
    if (store === undefined && flags.prefix !== "") throw new UserError("--prefix goes with a STORE", { exitCode: 2 });
    const { client, tenant } = connect(terminal, flags);
    const owner = await tenant();
    if (store === undefined) {
      const stores = await client.stores(owner);
      if (flags.json === true) return printJson(terminal, stores);
      const rows = stores.map(({ name, keys, bytes }) => [name, String(keys), size(bytes)]);
      return printTable(terminal, ["STORE", "KEYS", "SIZE"], rows, "there are no stores");
    }
    const entries = await client.entries(owner, store, flags.prefix);
    if (flags.json === true) return printJson(terminal, entries);
    const rows = entries.map(({ key, revision, bytes }) => [key, String(revision), size(bytes)]);
    printTable(terminal, ["KEY", "REVISION", "SIZE"], rows, "there are no such keys");
  });
}

function getCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "stores get", "Prints a value as it is, byte for byte.", [
    "stores get default greeting",
    "stores get default logo > logo.png",
    "stores get default greeting --json       with its revision",
  ])
    .argument("<STORE>", "the store")
    .argument("<KEY>", "the key");
  return nodeOptions(command).action(async (store: string, key: string, flags: NodeFlags) => {
    const { client, tenant } = connect(terminal, flags);
    const { value, revision } = await client.entry(await tenant(), store, key);
    if (flags.json === true) return printJson(terminal, { key, revision, ...readable(value) });
    terminal.stdout.write(value);
    // A value rarely ends its line, and the prompt would follow it.
    if (terminal.stdout.isTTY && value.at(-1) !== 10) terminal.stdout.write("\n");
  });
}

function putCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "stores put", "Writes a value: the argument, a file, or what is piped in.", [
    "stores put default greeting hello",
    "stores put default logo --file logo.png",
    "stores put default lock mine --new       only when it is not there",
  ])
    .argument("<STORE>", "the store")
    .argument("<KEY>", "the key")
    .argument("[VALUE]", "the value, as UTF-8")
    .option("--file <FILE>", "the value is what this file holds")
    .option("--new", "only when the key is not there yet")
    .option("--if-revision <N>", "only while the key has this revision", wholeNumber);
  return nodeOptions(command).action(async (store: string, key: string, text: string | undefined, flags: PutFlags) => {
    const condition = conditionOf(flags);
    const { client, tenant } = connect(terminal, flags);
    const value = await valueOf(terminal, text, flags.file);
    const revision = await client.putEntry(await tenant(), store, key, value, condition);
    if (flags.json === true) return printJson(terminal, { key, revision, bytes: value.length });
    remark(terminal, `put ${size(value.length)} as ${key} into ${store}`);
  });
}

function deleteCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "stores delete", "Deletes a key.", ["stores delete default greeting"])
    .argument("<STORE>", "the store")
    .argument("<KEY>", "the key")
    .option("--if-revision <N>", "only while the key has this revision", wholeNumber);
  return nodeOptions(command, { json: false }).action(
    async (store: string, key: string, flags: NodeFlags & { readonly ifRevision?: number }) => {
      const { client, tenant } = connect(terminal, flags);
      await client.deleteEntry(await tenant(), store, key, flags.ifRevision === undefined ? undefined : { revision: flags.ifRevision });
      remark(terminal, `deleted ${key} of ${store}`);
    },
  );
}

function conditionOf(flags: PutFlags): Condition {
  if (flags.new === true && flags.ifRevision !== undefined)
    throw new UserError("--new and --if-revision exclude each other", { exitCode: 2 });
  if (flags.new === true) return "absent";
  return flags.ifRevision === undefined ? undefined : { revision: flags.ifRevision };
}

async function valueOf(terminal: Terminal, text: string | undefined, file: string | undefined): Promise<Uint8Array> {
  if (text !== undefined && file !== undefined)
    throw new UserError("the value is either an argument or in --file, not both", { exitCode: 2 });
  if (text !== undefined) return Buffer.from(text, "utf8");
  if (file !== undefined) return await readFile(resolve(terminal.cwd, file)).catch(unreadable(file));
  if (terminal.stdin.isTTY === true)
    throw new UserError("there is no value: give it as VALUE, with --file, or pipe it in", { exitCode: 2 });
  return await readAll(terminal);
}

function unreadable(file: string): (error: Error) => never {
  return (error) => {
    throw new UserError(`${file} cannot be read: ${error.message}`, { cause: error });
  };
}

/** A value in JSON: as text where it is UTF-8. */
function readable(value: Uint8Array): { text: string } | { base64: string } {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value) };
  } catch {
    return { base64: Buffer.from(value).toString("base64") };
  }
}

/** `alias` and `rollback`: which version answers. */
import type { Command } from "commander";
import { UserError } from "../../base/errors.js";
import type { AliasSettings, AliasView } from "../../control/control.js";
import { connect, newCommand, nodeOptions, wholeNumber, type NodeFlags } from "../command.js";
import { printJson, printLine, printTable, remark } from "../output.js";
import type { Terminal } from "../terminal.js";
import { targetsText } from "./tasks.js";

interface AliasFlags extends NodeFlags {
  readonly sticky?: string;
  readonly delete?: true;
  readonly ifRevision?: number;
}

export function aliasCommand(terminal: Terminal): Command {
  const command = newCommand(
    terminal,
    "alias",
    "Shows where the aliases of a task lead, or moves one; requests that go on finish where they began.",
    [
      "alias hello                                  all aliases of hello",
      "alias hello live                             one of them",
      "alias hello live v7                          every request to v7",
      "alias hello live v7=90 v8=10 --sticky x-user one in ten to v8, the same users each time",
      "alias hello beta --delete",
    ],
  )
    .argument("<TASK>", "the task")
    .argument("[NAME]", "the alias; live is the one that routes lead to")
    .argument("[TARGETS...]", "versions with their weights, such as v7=90 v8=10; one alone needs no weight")
    .option("--sticky <HEADER>", "requests with the same value of this header get the same version")
    .option("--delete", "take the alias away")
    .option("--if-revision <N>", "only while the alias has this revision, as alias TASK NAME --json shows it", wholeNumber);
  return nodeOptions(command).action(async (task: string, name: string | undefined, texts: string[], flags: AliasFlags) => {
    const targets = readTargets(texts);
    refuseContradictions(targets, flags);
    const { client, tenant } = connect(terminal, flags);
    const owner = await tenant();
    if (name === undefined) return printAliases(terminal, (await client.task(owner, task)).aliases, flags);
    if (flags.delete === true) {
      await client.deleteAlias(owner, task, name);
      return remark(terminal, `deleted the alias ${name} of ${task}`);
    }
    if (targets === undefined) return printAlias(terminal, task, await client.alias(owner, task, name), flags);
    const settings = flags.sticky === undefined ? { targets } : { targets, sticky: flags.sticky };
    const condition = flags.ifRevision === undefined ? undefined : { revision: flags.ifRevision };
    printAlias(terminal, task, await client.setAlias(owner, task, name, settings, condition), flags);
  });
}

export function rollbackCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "rollback", "Puts an alias back to where it led before its last change, or to a version.", [
    "rollback hello",
    "rollback hello --to v6",
  ])
    .argument("<TASK>", "the task")
    .option("--to <VERSION>", "the version to go back to")
    .option("--alias <NAME>", "the alias", "live");
  return nodeOptions(command).action(async (task: string, flags: NodeFlags & { readonly to?: string; readonly alias: string }) => {
    const { client, tenant } = connect(terminal, flags);
    printAlias(terminal, task, await client.rollback(await tenant(), task, flags.alias, flags.to), flags);
  });
}

/** Undefined where none are given: the alias is read. */
function readTargets(texts: readonly string[]): AliasSettings["targets"] | undefined {
  if (texts.length === 0) return undefined;
  const targets: Record<string, number> = {};
  for (const text of texts) {
    const match = /^([^=]+)(?:=(\d{1,9}))?$/.exec(text);
    const weight = match?.[2] === undefined && texts.length === 1 ? 100 : Number(match?.[2]);
    if (match === null || !(weight > 0))
      throw usage(`${JSON.stringify(text)} is not a target: expected VERSION=WEIGHT such as v7=90, the weight a whole number above zero`);
    const version = match[1] as string;
    if (Object.hasOwn(targets, version)) throw usage(`${version} is there twice; give each version one weight`);
    targets[version] = weight;
  }
  return targets;
}

function refuseContradictions(targets: AliasSettings["targets"] | undefined, flags: AliasFlags): void {
  if (flags.delete === true && targets !== undefined) throw usage("--delete takes no targets");
  if (targets === undefined && flags.sticky !== undefined) throw usage("--sticky goes with targets");
  if (targets === undefined && flags.ifRevision !== undefined) throw usage("--if-revision goes with targets");
}

function usage(text: string): UserError {
  return new UserError(text, { exitCode: 2 });
}

function printAlias(terminal: Terminal, task: string, alias: AliasView, flags: NodeFlags): void {
  if (flags.json === true) return printJson(terminal, alias);
  printLine(terminal, `${task} ${alias.name} → ${targetsText(alias)}`);
}

function printAliases(terminal: Terminal, aliases: readonly AliasView[], flags: NodeFlags): void {
  if (flags.json === true) return printJson(terminal, aliases);
  const rows = aliases.map((alias) => [
    alias.name,
    targetsText(alias),
    alias.previous === undefined ? "-" : targetsText(alias.previous),
    alias.updatedAt,
  ]);
  printTable(terminal, ["ALIAS", "LEADS TO", "BEFORE", "SINCE"], rows, "it has no aliases");
}

/** What all commands share: how they are made, how they say which node and tenant, and how they are asked to end. */
import { Command, InvalidArgumentError } from "commander";
import { UserError } from "../base/errors.js";
import { DURATION_HELP, SHARE_HELP, SIZE_HELP, parseDuration, parseShare, parseSize } from "../base/units.js";
import { DEFAULT_TENANT } from "../tenants/tenant.js";
import type { Whoami } from "../control/control.js";
import { findNode, type FoundNode } from "./find-node.js";
import { createNodeClient, type NodeClient } from "./node-client.js";
import { ask, type Terminal } from "./terminal.js";

export const ROOT = "pilotlight";

/**
 * A command that says on `terminal` what there is to say of its usage. `path`: its name with those of the commands it
 * belongs to, such as `keys list`. `examples`: lines without the `pilotlight`, or whole ones after `$ `.
 */
export function newCommand(terminal: Terminal, path: string, description: string, examples: readonly string[] = []): Command {
  const command = new Command(path.split(" ").at(-1))
    .description(description)
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError(path === ROOT ? "(add --help for what there is)" : `(${ROOT} ${path} --help says what there is)`)
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  if (examples.length === 0) return command;
  const lines = examples.map((example) => `  $ ${example.startsWith("$ ") ? example.slice(2) : `pilotlight ${example}`}`);
  return command.addHelpText("after", `\n${lines.length > 1 ? "Examples" : "Example"}:\n${lines.join("\n")}`);
}

export interface NodeFlags {
  readonly url?: string;
  readonly key?: string;
  readonly tenant?: string;
  readonly json?: true;
}

/** `--url` and `--key`, and what else a command needs of these. */
export function nodeOptions(command: Command, also: { tenant?: boolean; json?: boolean } = {}): Command {
  command
    .option("--url <URL>", "the node's admin plane (default: PILOTLIGHT_URL, else the node here, else the last one used)")
    .option("--key <KEY>", "the key to show it (default: PILOTLIGHT_KEY, else the one stored for the node)");
  if (also.tenant !== false) command.option("--tenant <NAME>", "whose things (default: the key's tenant; for a node's key: default)");
  if (also.json !== false) command.option("--json", "print JSON");
  return command;
}

/** A command's way to its node. */
export interface Session {
  readonly node: FoundNode;
  readonly client: NodeClient;
  readonly signal: AbortSignal;
  readonly whoami: () => Promise<Whoami>;
  /** Whose things it is about. */
  readonly tenant: () => Promise<string>;
}

/** Finds the node. Nothing is sent yet; from here on Ctrl-C ends what goes on. */
export function connect(terminal: Terminal, flags: NodeFlags): Session {
  const node = findNode(terminal, flags);
  const signal = terminal.interruption();
  const client = createNodeClient(node, signal);
  let who: Promise<Whoami> | undefined;
  const whoami = (): Promise<Whoami> => (who ??= client.whoami());
  return {
    node,
    client,
    signal,
    whoami,
    tenant: async () => flags.tenant ?? (await whoami()).key?.tenant ?? DEFAULT_TENANT,
  };
}

/** Whose keys or log: the node's with `--node`, else a tenant's. */
export async function ownerOf(session: Session, flags: NodeFlags & { readonly node?: true }): Promise<string | undefined> {
  if (flags.node !== true) return await session.tenant();
  if (flags.tenant !== undefined) throw new UserError("--node and --tenant exclude each other", { exitCode: 2 });
  return undefined;
}

/** Before something goes for good: asks whoever watches, and wants `--yes` where nobody does. */
export async function confirm(terminal: Terminal, what: string, flags: { readonly yes?: true }): Promise<void> {
  if (flags.yes === true) return;
  if (terminal.stdin.isTTY !== true) throw new UserError(`${what} cannot be undone; add --yes to do it`, { exitCode: 2 });
  const answer = await ask(terminal, `${what} cannot be undone. Do it? [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new UserError("nothing was done");
}

// What options and arguments are read by.

/** Collects a repeatable option. */
export function append(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text];
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("expected a whole number.");
  return Number(text);
}

export function positiveNumber(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError("expected a whole number above zero.");
  return value;
}

/** Zero or more, with a fraction. */
export function numberArgument(text: string): number {
  if (!/^\d+(?:\.\d+)?$/.test(text)) throw new InvalidArgumentError("expected a number such as 2 or 0.5.");
  return Number(text);
}

/** Bytes. */
export const sizeArgument = readBy(parseSize, SIZE_HELP);
/** Milliseconds. */
export const durationArgument = readBy(parseDuration, DURATION_HELP);
/** A share of 1. */
export const shareArgument = readBy(parseShare, SHARE_HELP);

function readBy(parse: (text: string) => number | undefined, help: string): (text: string) => number {
  return (text) => {
    const value = parse(text);
    if (value === undefined) throw new InvalidArgumentError(`expected ${help}.`);
    return value;
  };
}

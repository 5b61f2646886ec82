/** `keys`: who may do what. A key's text is seen once, when it is made. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { DURATION_HELP, parseDuration } from "../../base/units.js";
import type { IssuedKey } from "../../control/control.js";
import { SCOPES, type Scope } from "../../tenants/tenant.js";
import { connect, newCommand, nodeOptions, ownerOf, type NodeFlags } from "../command.js";
import { printJson, printTable, remark } from "../output.js";
import type { Terminal } from "../terminal.js";

interface KeyFlags extends NodeFlags {
  readonly node?: true;
}

interface CreateFlags extends KeyFlags {
  readonly scope: readonly Scope[];
  readonly note?: string;
  readonly expires?: Date;
}

export function keysCommand(terminal: Terminal): Command {
  return newCommand(terminal, "keys", "Keys of a tenant, or of the node.")
    .addCommand(listCommand(terminal))
    .addCommand(createCommand(terminal))
    .addCommand(rotateCommand(terminal))
    .addCommand(revokeCommand(terminal));
}

function listCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "keys list", "Lists the keys, without their text.", [
    "keys list",
    "keys list --tenant acme",
    "keys list --node",
  ]);
  return keyOptions(command).action(async (flags: KeyFlags) => {
    const session = connect(terminal, flags);
    const keys = await session.client.keys(await ownerOf(session, flags));
    if (flags.json === true) return printJson(terminal, keys);
    const rows = keys.map(({ id, scopes, note, createdAt, expiresAt }) => [
      id,
      scopes.join(" "),
      createdAt,
      expiresAt ?? "never",
      note ?? "",
    ]);
    printTable(terminal, ["KEY", "SCOPES", "CREATED", "EXPIRES", "NOTE"], rows, "there are no keys");
  });
}

function createCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "keys create", "Makes a key and prints it: the one time that it is seen.", [
    "keys create --tenant acme --scope deploy --scope invoke --note ci",
    "keys create --scope read --expires 90d",
    "$ PILOTLIGHT_KEY=$(pilotlight keys create --tenant acme --scope admin)",
  ])
    .addOption(
      new Option(
        "--scope <SCOPE>",
        "what it may do (repeatable): admin everything of its tenant; deploy tasks, secrets and stores; invoke calls; debug times, traps and logs; read all but secrets",
      )
        .choices(SCOPES)
        .argParser(scope)
        .makeOptionMandatory(),
    )
    .option("--note <TEXT>", "what people call it")
    .option("--expires <WHEN>", "a duration such as 90d, or a date such as 2027-01-31", expiry);
  return keyOptions(command).action(async (flags: CreateFlags) => {
    const session = connect(terminal, flags);
    const { scope: scopes, note, expires } = flags;
    const input = { scopes, note, expiresAt: expires?.toISOString() };
    printIssued(terminal, await session.client.issueKey(await ownerOf(session, flags), input), flags);
  });
}

function rotateCommand(terminal: Terminal): Command {
  const command = newCommand(
    terminal,
    "keys rotate",
    "Makes a key with the same rights in place of one, and prints it; the old one holds for a while.",
    ["keys rotate 3f9c2a", "keys rotate 3f9c2a --grace 24h"],
  )
    .argument("<ID>", "the key's id, as keys list shows it")
    .option("--grace <TIME>", "how long the old key still works", duration, 0);
  return keyOptions(command).action(async (id: string, flags: KeyFlags & { readonly grace: number }) => {
    const session = connect(terminal, flags);
    const graceSeconds = Math.ceil(flags.grace / 1000);
    printIssued(terminal, await session.client.rotateKey(await ownerOf(session, flags), id, graceSeconds), flags);
  });
}

function revokeCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "keys revoke", "Ends a key at once.", ["keys revoke 3f9c2a --tenant acme"]).argument(
    "<ID>",
    "the key's id, as keys list shows it",
  );
  return keyOptions(command, false).action(async (id: string, flags: KeyFlags) => {
    const session = connect(terminal, flags);
    await session.client.revokeKey(await ownerOf(session, flags), id);
    remark(terminal, `revoked the key ${id}`);
  });
}

function keyOptions(command: Command, json = true): Command {
  return nodeOptions(command, { json }).option("--node", "the node's keys rather than a tenant's");
}

/** The key alone on stdout, so that a script can take it; what belongs to it on stderr. */
function printIssued(terminal: Terminal, issued: IssuedKey, flags: NodeFlags): void {
  if (flags.json === true) return printJson(terminal, issued);
  const { id, tenant, scopes, expiresAt } = issued.key;
  const until = expiresAt === undefined ? "" : `, until ${expiresAt}`;
  remark(terminal, `key ${id} of ${tenant ?? "the node"}: ${scopes.join(", ")}${until}. It is shown this once:`);
  terminal.stdout.write(`${issued.text}\n`);
}

function scope(text: string, before: readonly Scope[] | undefined): readonly Scope[] {
  if (!(SCOPES as readonly string[]).includes(text)) throw new InvalidArgumentError(`there are ${SCOPES.join(", ")}.`);
  return [...new Set([...(before ?? []), text as Scope])];
}

function duration(text: string): number {
  const parsed = parseDuration(text);
  if (parsed === undefined) throw new InvalidArgumentError(`expected ${DURATION_HELP}.`);
  return parsed;
}

function expiry(text: string): Date {
  const after = parseDuration(text);
  const date = after === undefined && /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : new Date(Date.now() + (after ?? Number.NaN));
  if (Number.isNaN(date.getTime())) throw new InvalidArgumentError("expected a duration such as 90d, or a date such as 2027-01-31.");
  return date;
}

/** `audit`: who did what, the newest first. */
import type { Command } from "commander";
import { connect, newCommand, nodeOptions, ownerOf, positiveNumber, type NodeFlags } from "../command.js";
import { printJson, printTable } from "../output.js";
import type { Terminal } from "../terminal.js";

interface AuditFlags extends NodeFlags {
  readonly node?: true;
  readonly limit: number;
}

export function auditCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "audit", "Shows who did what, the newest first; --json has what was there before and after.", [
    "audit",
    "audit --tenant acme --limit 20 --json",
    "audit --node",
  ])
    .option("--limit <N>", "at most so many", positiveNumber, 100)
    .option("--node", "everything on the node");
  return nodeOptions(command).action(async (flags: AuditFlags) => {
    const session = connect(terminal, flags);
    const entries = await session.client.audit(await ownerOf(session, flags), flags.limit);
    if (flags.json === true) return printJson(terminal, entries);
    const rows = entries.map(({ at, who, tenant, action, subject }) => [at, who, tenant ?? "-", action, subject]);
    printTable(terminal, ["AT", "WHO", "TENANT", "ACTION", "WHAT"], rows, "nothing has been done yet");
  });
}

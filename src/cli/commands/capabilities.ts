/** `capabilities`: what tasks provide, and what each would cost now. */
import type { Command } from "commander";
import type { CapabilityCost } from "../../control/control.js";
import { connect, newCommand, nodeOptions, type NodeFlags } from "../command.js";
import { printJson, printTable } from "../output.js";
import type { Terminal } from "../terminal.js";

/** Estimate, start, runs and how; dashes where that is not told, or not known. */
function costOf(now: CapabilityCost | undefined): string[] {
  if (now === undefined) return ["-", "-", "-", "-"];
  const { observed, execMs, startMs, running, waiting, rung } = now;
  return [observed === 0 ? "-" : `${execMs.toFixed(3)} ms`, `${startMs.toFixed(3)} ms`, `${running} + ${waiting}`, rung];
}

export function capabilitiesCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "capabilities", "Lists what tasks provide: who serves a call, and what that would take now.", [
    "capabilities",
    "capabilities acme:image/resize --json",
  ]).argument("[CAPABILITY]", "only what begins so");
  return nodeOptions(command).action(async (prefix: string | undefined, flags: NodeFlags) => {
    const { client } = connect(terminal, flags);
    const all = (await client.capabilities(flags.tenant)).filter(({ capability }) => capability.startsWith(prefix ?? ""));
    if (flags.json === true) return printJson(terminal, all);
    const rows = all.flatMap(({ capability, tenant, task, versions }) =>
      versions.map((each) => [capability, tenant, `${task} ${each.version}`, `${Math.round(each.share * 100)}%`, ...costOf(each.now)]),
    );
    printTable(terminal, ["CAPABILITY", "TENANT", "TASK", "SHARE", "EXEC", "START", "RUNS", "NOW"], rows, "no task provides anything");
  });
}

/** `logs`: what tasks wrote, and the line that each run leaves. */
import type { Command } from "commander";
import { UserError } from "../../base/errors.js";
import type { LogEntry } from "../../control/control.js";
import { connect, newCommand, nodeOptions, positiveNumber, type NodeFlags } from "../command.js";
import { dim, plain } from "../output.js";
import type { Terminal } from "../terminal.js";

interface LogFlags extends NodeFlags {
  readonly follow?: true;
  readonly run?: string;
  readonly limit: number;
}

export function logsCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "logs", "Shows the last lines of all tasks or of one, the oldest first.", [
    "logs hello",
    "logs hello -f",
    "logs --run cd8932c37f2689bc04072738353ee04d",
  ])
    .argument("[TASK]", "the task")
    .option("-f, --follow", "go on with each line as it comes, until Ctrl-C")
    .option("--run <ID>", "the lines of this run alone; an answer's Pilotlight-Run header names it")
    .option("--limit <N>", "at most so many of the last lines", positiveNumber, 100);
  return nodeOptions(command).action(async (task: string | undefined, flags: LogFlags) => {
    const session = connect(terminal, flags);
    const { run, limit, follow = false } = flags;
    for await (const entry of session.client.logs(await session.tenant(), { task, run, limit }, follow)) {
      if (flags.json === true) terminal.stdout.write(`${JSON.stringify(entry)}\n`);
      else printEntry(terminal, entry);
    }
    session.signal.throwIfAborted();
    if (follow) throw new UserError(`the node at ${session.node.url} ended the log; it may be shutting down`);
  });
}

/** `2026-11-24T09:15:02.110Z hello@v3 stdout  text`. */
export function printEntry(terminal: Terminal, { at, task, version, level, origin, text }: LogEntry): void {
  const source = version === undefined ? task : `${task}@${version}`;
  const kind = origin === "wasi:logging" ? level : origin;
  const head = plain(`${at} ${source} ${kind.padEnd(6)}`);
  terminal.stdout.write(`${dim(terminal, terminal.stdout, head)} ${plain(text.replace(/\n$/, ""))}\n`);
}

/** `pretriggers`: what is foreseen and announced, so that it finds its instances ready. */
import type { Command } from "commander";
import { UserError } from "../../base/errors.js";
import type { PretriggersView } from "../../control/control.js";
import { connect, newCommand, nodeOptions, type NodeFlags } from "../command.js";
import { printJson, printLine, printTable, remark } from "../output.js";
import type { Terminal } from "../terminal.js";

export function pretriggersCommand(terminal: Terminal): Command {
  const command = newCommand(
    terminal,
    "pretriggers",
    "Shows which runs follow what, how well that was foreseen, and what is announced: their instances are ready before they come.",
    ["pretriggers", "pretriggers announce thumbs 50 --in 2s --window 10s", "pretriggers signal app-opened"],
  );
  return nodeOptions(command)
    .action(async (flags: NodeFlags) => {
      const { client, tenant } = connect(terminal, flags);
      const view = await client.pretriggers(await tenant());
      if (flags.json === true) printJson(terminal, view);
      else show(terminal, view);
    })
    .addCommand(announceCommand(terminal))
    .addCommand(signalCommand(terminal))
    .addCommand(resetCommand(terminal));
}

interface AnnounceFlags extends NodeFlags {
  readonly in?: string;
  readonly start?: string;
  readonly window?: string;
  readonly confidence?: string;
  readonly idempotencyKey?: string;
}

function announceCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "pretriggers announce", "Says that runs of a task will come.", [
    "pretriggers announce thumbs 50 --in 2s --window 10s",
    "pretriggers announce thumbs 50 --start 2026-12-24T18:00:00Z --idempotency-key sale",
    "pretriggers announce thumbs 0 --idempotency-key sale   takes it back",
  ])
    .argument("<TASK>", "whose runs")
    .argument("<COUNT>", "how many")
    .option("--in <DURATION>", "until the first of them comes (default: at once)")
    .option("--start <TIME>", "when the first of them comes")
    .option("--window <DURATION>", "until all of them have come (default: 10s)")
    .option("--confidence <SHARE>", "how sure that is, above 0 and up to 1 (default: 1)")
    .option("--idempotency-key <KEY>", "the same again under the same key is the same");
  return nodeOptions(command).action(async (task: string, count: string, flags: AnnounceFlags) => {
    const { in: wait, start, window, confidence, idempotencyKey } = flags;
    const said = {
      task,
      count: number("COUNT", count),
      in: wait,
      start,
      window,
      confidence: confidence === undefined ? undefined : number("--confidence", confidence),
      key: idempotencyKey,
    };
    const { client, tenant } = connect(terminal, flags);
    const heard = await client.announce(await tenant(), said);
    if (flags.json === true) return printJson(terminal, heard);
    remark(terminal, `announced as ${heard.key}`);
  });
}

function signalCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "pretriggers signal", "Says that something happened; which runs follow, the node learns.", [
    "pretriggers signal app-opened",
  ])
    .argument("<NAME>", "of the signal")
    .option("--idempotency-key <KEY>", "the same again under the same key is the same");
  return nodeOptions(command).action(async (signal: string, flags: AnnounceFlags) => {
    const { client, tenant } = connect(terminal, flags);
    const heard = await client.announce(await tenant(), { signal, key: flags.idempotencyKey });
    if (flags.json === true) return printJson(terminal, heard);
    remark(terminal, `the node was told of ${signal}`);
  });
}

function resetCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "pretriggers reset", "Forgets what follows a task or signal, or all that was learnt.", [
    "pretriggers reset app-opened",
  ]).argument("[CAUSE]", "the task or signal");
  return nodeOptions(command, { json: false }).action(async (cause: string | undefined, flags: NodeFlags) => {
    const { client, tenant } = connect(terminal, flags);
    await client.resetPretriggers(await tenant(), cause);
    remark(terminal, cause === undefined ? "all that was learnt is forgotten" : `what follows ${cause} is forgotten`);
  });
}

function number(what: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value))
    throw new UserError(`${what} is ${JSON.stringify(text)}; expected a number`, { exitCode: 2 });
  return value;
}

function show(terminal: Terminal, { pairs, announcements, firstCalls }: PretriggersView): void {
  const rows = pairs.map((pair) => [
    pair.cause,
    pair.kind,
    pair.task,
    `${percent(pair.likelihood)} of ${pair.occurrences}`,
    pair.number.toFixed(1),
    duration(pair.delay),
    String(pair.hits),
    String(pair.late),
    String(pair.wasted),
    `${pair.waste.toFixed(1)} MiB s`,
    pair.state === "off" ? `off for ${duration(pair.offFor)}` : pair.state,
  ]);
  const headings = ["CAUSE", "KIND", "FOLLOWER", "LIKELY", "RUNS", "DELAY", "HITS", "LATE", "WASTED", "WASTE", "STATE"];
  printTable(terminal, headings, rows, "nothing is known to follow anything yet");
  if (announcements.length > 0) {
    printLine(terminal, "");
    const told = announcements.map(({ key, sender, task, count, arrived, start, end, believed, state }) => [
      key,
      sender,
      task,
      `${arrived} of ${count}`,
      `${start} – ${end}`,
      percent(believed),
      state,
    ]);
    printTable(terminal, ["ANNOUNCED", "BY", "TASK", "CAME", "WHEN", "BELIEVED", "STATE"], told, "");
  }
  if (firstCalls.length === 0) return;
  printLine(terminal, "");
  const starts = firstCalls.map(({ task, prepared, unprepared }) => [task, startsOf(prepared), startsOf(unprepared)]);
  printTable(terminal, ["STARTED", "PREPARED (P50, P99)", "NOT PREPARED (P50, P99)"], starts, "");
}

function startsOf(starts: PretriggersView["firstCalls"][number]["prepared"]): string {
  return starts === undefined ? "-" : `${duration(starts.p50)}, ${duration(starts.p99)} of ${starts.count}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function duration(ms: number): string {
  if (ms >= 60_000) return `${Math.round(ms / 60_000)} min`;
  return ms >= 10_000 ? `${(ms / 1000).toFixed(0)} s` : ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}

/** `runs`: what one run did, and why it ran where it did. */
import type { Command } from "commander";
import { connect, newCommand, nodeOptions, type NodeFlags } from "../command.js";
import { printFields, printJson, printLine, printTable } from "../output.js";
import type { Terminal } from "../terminal.js";
import { dataClient } from "./call.js";

/** A run, as the data plane tells of it. */
interface ShownRun {
  readonly id: string;
  readonly task: string;
  readonly version: string;
  readonly state: string;
  readonly startedAt: string;
  readonly outcome?: string;
  readonly status?: number;
  readonly parent?: string;
  readonly capacity?: string;
  readonly pool?: string;
  readonly term?: string;
  readonly why?: readonly string[];
  readonly queueMs?: number;
  readonly runMs?: number;
  readonly cpuMs?: number;
  readonly memoryBytes?: number;
  readonly record?: { readonly how: string; readonly reason?: string; readonly recalls?: string; readonly recorded?: string };
  readonly pick?: ShownPick;
  readonly lifecycle?: readonly {
    readonly of: string;
    readonly move: string;
    readonly at: string;
    readonly ms?: number;
    readonly failed?: string;
  }[];
}

interface ShownPick {
  readonly why: string;
  readonly considered: readonly {
    readonly provider: string;
    readonly version: string;
    readonly execMs: number;
    readonly startMs: number;
    readonly queueMs: number;
    readonly load: number;
    readonly hot: boolean;
    readonly score: number;
  }[];
}

export function runsCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "runs", "Shows a run that goes on or ended not long ago, and ends one.");
  const show = newCommand(terminal, "runs show", "What a run did, how it came by its place, and why its task was chosen.", [
    "runs show cd8932c37f2689bc04072738353ee04d",
  ]).argument("<ID>", "an answer's Pilotlight-Run header names it");
  const cancel = newCommand(terminal, "runs cancel", "Ends a run that goes on.", ["runs cancel cd8932c37f2689bc04072738353ee04d"]).argument(
    "<ID>",
    "the run",
  );
  nodeOptions(show, { tenant: false }).action(async (id: string, flags: NodeFlags) => {
    const run = (await (await dataClient(connect(terminal, flags))).run(id)) as unknown as ShownRun;
    if (flags.json === true) return printJson(terminal, run);
    print(terminal, run);
  });
  nodeOptions(cancel, { tenant: false }).action(async (id: string, flags: NodeFlags) => {
    const run = await (await dataClient(connect(terminal, flags))).cancel(id);
    if (flags.json === true) return printJson(terminal, run);
    printLine(terminal, `run ${id} ${run["ended"] === true ? "has ended" : "is being ended"}`);
  });
  const pause = newCommand(
    terminal,
    "runs pause",
    "A run goes no further until it is resumed, and its sidecars with it; its time goes on.",
    ["runs pause cd8932c37f2689bc04072738353ee04d"],
  ).argument("<ID>", "the run");
  const resume = newCommand(terminal, "runs resume", "A run that is paused goes on.", [
    "runs resume cd8932c37f2689bc04072738353ee04d",
  ]).argument("<ID>", "the run");
  nodeOptions(pause).action(async (id: string, flags: NodeFlags) => {
    const session = connect(terminal, flags);
    await session.client.pauseRun(await session.tenant(), id);
    printLine(terminal, `run ${id} is paused`);
  });
  nodeOptions(resume).action(async (id: string, flags: NodeFlags) => {
    const session = connect(terminal, flags);
    await session.client.resumeRun(await session.tenant(), id);
    printLine(terminal, `run ${id} goes on`);
  });
  return command.addCommand(show).addCommand(cancel).addCommand(pause).addCommand(resume);
}

function recordText({ how, reason, recalls, recorded }: NonNullable<ShownRun["record"]>): string {
  const why = reason === undefined ? "" : ` (${reason})`;
  const left = recorded === undefined ? "" : `; ${recorded === "kept" ? "left one" : `left none: ${recorded}`}`;
  return `${how}${why}${recalls === undefined ? "" : ` of run ${recalls}`}${left}`;
}

function print(terminal: Terminal, run: ShownRun): void {
  const { pick, why = [] } = run;
  const place = [run.capacity, run.pool, run.term].filter((part) => part !== undefined).join(", ");
  const times = [
    ["waited", run.queueMs],
    ["ran", run.runMs],
    ["computed", run.cpuMs],
  ] as const;
  const fields: (readonly [string, string | undefined])[] = [
    ["run", run.id],
    ["task", `${run.task} ${run.version}`],
    ["called by", run.parent],
    ["state", [run.state, run.outcome, run.status].filter((part) => part !== undefined).join(", ")],
    ["started", run.startedAt],
    ["place", place === "" ? undefined : place],
    ["because", why.length === 0 ? undefined : why.join("; ")],
    ...times.map(([name, value]) => [name, value === undefined ? undefined : milliseconds(value)] as const),
    ["chosen", pick?.why],
    ["record", run.record && recordText(run.record)],
  ];
  printFields(
    terminal,
    fields.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  );
  if (run.lifecycle !== undefined && run.lifecycle.length > 0) {
    const moves = run.lifecycle.map(({ at, of, move, ms, failed }) => [
      at,
      of,
      move,
      ms === undefined ? "-" : milliseconds(ms),
      failed ?? "-",
    ]);
    printTable(terminal, ["AT", "OF", "MOVE", "TOOK", "FAILED"], moves, "");
  }
  if (pick === undefined) return;
  const rows = pick.considered.map((each) => [
    each.provider,
    each.version,
    milliseconds(each.execMs),
    milliseconds(each.startMs),
    milliseconds(each.queueMs),
    each.load.toFixed(2),
    each.hot ? "hot" : "-",
    each.score.toFixed(3),
  ]);
  printTable(terminal, ["CANDIDATE", "VERSION", "EXEC", "START", "QUEUE", "LOAD", "HOT", "SCORE"], rows, "");
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 3 : 1)} ms`;
}

/** `usage`: what ran, how long it waited and what it cost; and which settings do not fit it. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { UserError } from "../../base/errors.js";
import { DURATION_HELP, durationText, parseDuration } from "../../base/units.js";
import type { AdviceView, UsageBy, UsageView } from "../../control/control.js";
import { connect, newCommand, nodeOptions, type NodeFlags, type Session } from "../command.js";
import { printJson, printTable } from "../output.js";
import type { Terminal } from "../terminal.js";

interface UsageFlags extends NodeFlags {
  /** Milliseconds. */
  readonly since: number;
  readonly by?: UsageBy;
  readonly advise?: true;
}

const DAY_MS = 86_400_000;
/** In a line of sums; nothing has this for a name. */
const RECALLED = "RECALLED";
const ALL = "*";

export function usageCommand(terminal: Terminal): Command {
  const command = newCommand(
    terminal,
    "usage",
    "Shows what tasks used, with the sums of each task and tenant; with --advise, settings that do not fit it.",
    ["usage", "usage hello --since 7d --by day", "usage --tenant acme --json", "usage hello --advise --since 7d"],
  )
    .argument("[TASK]", "the task")
    .option("--since <DURATION>", "from so long ago on, whole hours (default: 24h)", durationArgument, DAY_MS)
    .addOption(
      new Option("--by <WHAT>", "what a line is: a task, or an hour or day (of UTC) of it (default: task)").choices([
        "task",
        "hour",
        "day",
      ]),
    )
    .option("--advise", "sets what the manifests and the tenant's terms say against what was used; changes nothing");
  return nodeOptions(command).action(async (task: string | undefined, flags: UsageFlags) => {
    if (flags.advise === true && flags.by !== undefined) throw new UserError("--advise and --by exclude each other", { exitCode: 2 });
    const session = connect(terminal, flags);
    const query = { task, from: new Date(Date.now() - flags.since).toISOString() };
    await (flags.advise === true ? printAdvice(terminal, session, flags, query) : printUsage(terminal, session, flags, query));
  });
}

function durationArgument(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined) throw new InvalidArgumentError(`expected ${DURATION_HELP}.`);
  return milliseconds;
}

interface Asked {
  readonly task: string | undefined;
  readonly from: string;
}

async function printUsage(terminal: Terminal, { client }: Session, flags: UsageFlags, query: Asked): Promise<void> {
  const by = flags.by ?? "task";
  const rows = await client.usage(flags.tenant, { ...query, by });
  if (flags.json === true) return printJson(terminal, rows);
  const times = by === "task" ? [] : ["FROM"];
  const headings = [...times, "TENANT", "TASK", "POOL", "TERM", "RUNS", RECALLED, "REFUSED", "WAIT(avg,max)", "GIB-S", "COST"];
  const lines = groups(rows, ({ tenant }) => tenant).flatMap((ofTenant) => linesOf(ofTenant, by));
  if (rows.every(({ recalled }) => recalled === 0)) {
    // Most nodes have no idempotent tasks, and lines are long enough.
    const column = headings.indexOf(RECALLED);
    for (const each of [headings, ...lines]) each.splice(column, 1);
  }
  printTable(terminal, headings, lines, `nothing ran in the last ${durationText(flags.since)}`);
}

/** A tenant's rows, with the sum of each task that has several and of the tenant when it has several tasks. */
function linesOf(rows: readonly UsageView[], by: UsageBy): string[][] {
  const tasks = groups(rows, ({ task }) => task ?? "");
  const lines = tasks.flatMap((ofTask) => {
    const own = ofTask.map((row) => line(by, row, [row.tenant, row.task ?? "", row.pool, row.term === "none" ? "-" : row.term]));
    return ofTask.length === 1 ? own : [...own, sumLine(by, ofTask, ofTask[0]?.task ?? "")];
  });
  return tasks.length === 1 ? lines : [...lines, sumLine(by, rows, ALL)];
}

type Sums = Pick<UsageView, "runs" | "refused" | "abandoned" | "recalled" | "waitSeconds" | "maxWaitSeconds" | "gibSeconds" | "cost">;

function sumLine(by: UsageBy, rows: readonly UsageView[], task: string): string[] {
  const sum = (name: keyof Sums): number => rows.reduce((total, row) => total + row[name], 0);
  const sums: Sums = {
    runs: sum("runs"),
    refused: sum("refused"),
    abandoned: sum("abandoned"),
    recalled: sum("recalled"),
    waitSeconds: sum("waitSeconds"),
    maxWaitSeconds: Math.max(...rows.map(({ maxWaitSeconds }) => maxWaitSeconds)),
    gibSeconds: sum("gibSeconds"),
    cost: sum("cost"),
  };
  return line(by, { ...sums, from: "" }, [rows[0]?.tenant ?? "", task, ALL, ALL]);
}

function line(by: UsageBy, row: Sums & Pick<UsageView, "from">, names: readonly string[]): string[] {
  const { runs, refused, abandoned, recalled, waitSeconds, maxWaitSeconds, gibSeconds, cost } = row;
  const average = waitSeconds / Math.max(1, runs + refused + abandoned);
  const wait = `${milliseconds(average)},${milliseconds(maxWaitSeconds)}`;
  const time = by === "task" ? [] : [timeText(row.from, by)];
  return [...time, ...names, String(runs), String(recalled), String(refused), wait, figure(gibSeconds), figure(cost)];
}

/** `2026-11-25T12:00Z`, or the day alone. */
function timeText(from: string, by: UsageBy): string {
  if (from === "") return ALL;
  return by === "day" ? from.slice(0, 10) : `${from.slice(0, 16)}Z`;
}

function milliseconds(seconds: number): string {
  return `${figure(seconds * 1000)}ms`;
}

/** Three figures are enough to compare; all of whole numbers. */
function figure(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

async function printAdvice(terminal: Terminal, { client, tenant }: Session, flags: UsageFlags, query: Asked): Promise<void> {
  const owner = await tenant();
  const advice = await client.advice(owner, query);
  if (flags.json === true) return printJson(terminal, advice);
  const rows = advice.map((one) => [one.task ?? `(${owner})`, one.field, String(one.set), suggestion(one), one.why]);
  const nothing = query.task === undefined ? `${owner} has no tasks` : `${owner} has no task ${query.task}`;
  printTable(terminal, ["TASK", "FIELD", "SET", "SUGGESTED", "BECAUSE"], rows, nothing);
}

function suggestion({ change, suggested }: AdviceView): string {
  if (change === "unknown") return "?";
  return suggested === undefined ? "-" : String(suggested);
}

/** Rows by their name, in its order; they come in order of time first. */
function groups(rows: readonly UsageView[], nameOf: (row: UsageView) => string): UsageView[][] {
  const named = new Map<string, UsageView[]>();
  for (const row of rows) {
    const name = nameOf(row);
    const group = named.get(name);
    if (group === undefined) named.set(name, [row]);
    else group.push(row);
  }
  return [...named].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}
